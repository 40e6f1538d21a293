"""A clip's moments: windows of two seconds with their place in the space that motion and video share.

A window is 8 tokens (2.1 s at 15 frames a second) and begins 4 tokens after the one before: long enough for a step
or a swing of an arm as a whole, dense enough that whatever lasts a second lies inside one. The last window ends where
the clip ends; a shorter clip is one window. Axis legend: `M` moments, `N` tokens, `W` tokens of a window, `D` concept,
`E` shared space.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float

from motionqa.data.schema import Array, InputError
from motionqa.encoders.device import computed

if TYPE_CHECKING:
    from motionqa.encoders.concepts.humocon import HuMoCon
    from motionqa.encoders.concepts.track import ConceptTrack

WINDOW_TOKENS = 8
STRIDE_TOKENS = 4
BATCH = 512
"""Windows that are projected together."""

Modality = Literal["motion", "video"]
Project = Callable[[Modality, Float[Array, "M W D"]], Float[Array, "M E"]]
"""Windows of a modality's code vectors to unit vectors of the shared space."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Windows of a clip, in order."""

    embeddings: Float[Array, "M E"]
    """Unit vectors."""
    spans_s: Float[Array, "M 2"]
    """Start and end."""


def projection_of(model: HuMoCon) -> Project:
    """The model's own projections, as the index takes them."""
    import torch

    @computed
    def project(modality: Modality, windows: Float[Array, "M W D"]) -> Float[Array, "M E"]:
        part = model.align.motion if modality == "motion" else model.align.video
        given = torch.from_numpy(windows).to(next(part.parameters()).device)
        with torch.inference_mode():
            return part(given).float().cpu().numpy()

    return project


def moments_of(
    track: ConceptTrack, modality: Modality, project: Project, seen: Bool[Array, "N"] | None = None
) -> Moments:
    """A track's windows, without those in which under half of the tokens are `seen`.

    InputError for a track without tokens, or with NaN or infinity.
    """
    check_track(track)
    count = len(track.vectors)
    size = min(WINDOW_TOKENS, count)
    starts = np.array([*range(0, count - size, STRIDE_TOKENS), count - size])
    if seen is not None:
        starts = starts[np.array([2 * seen[s : s + size].sum() >= size for s in starts])]
    if not len(starts):
        return Moments(np.zeros((0, track.embedding.shape[-1]), np.float32), np.zeros((0, 2)))
    found = [_window(track, starts[i : i + BATCH], size, modality, project) for i in range(0, len(starts), BATCH)]
    edges = np.asarray(track.edges_s, dtype=np.float64)
    return Moments(np.concatenate(found), np.stack([edges[starts], edges[starts + size]], axis=1))


def moment_at(track: ConceptTrack, at_s: float, modality: Modality, project: Project) -> Moments:
    """The one window about a time, as far as the clip reaches. InputError for a time outside the clip."""
    check_track(track)
    edges = np.asarray(track.edges_s, dtype=np.float64)
    if not edges[0] <= at_s <= edges[-1]:
        raise InputError(f"{at_s:g} s is outside the clip; choose a time from {edges[0]:.1f} to {edges[-1]:.1f} s")
    count = len(track.vectors)
    size = min(WINDOW_TOKENS, count)
    token = min(int(np.searchsorted(edges, at_s, side="right")) - 1, count - 1)
    start = np.clip(np.array([token - size // 2]), 0, count - size)
    embedding = _window(track, start, size, modality, project)
    return Moments(embedding, np.stack([edges[start], edges[start + size]], axis=1))


def _window(track: ConceptTrack, starts: Array, size: int, modality: Modality, project: Project) -> Array:
    vectors = np.asarray(track.vectors, dtype=np.float32)
    return unit_rows(project(modality, vectors[starts[:, None] + np.arange(size)]), "a moment's embedding")


def check_track(track: ConceptTrack) -> None:
    """InputError for a track without tokens, without its edges, or with NaN or infinity."""
    if len(track.vectors) == 0:
        raise InputError("the clip has no concepts; give one of at least a tenth of a second")
    if len(track.edges_s) != len(track.vectors) + 1:
        raise InputError(f"{len(track.vectors)} tokens have {len(track.edges_s)} edges; expected one more than tokens")
    if not (np.isfinite(track.vectors).all() and np.isfinite(track.edges_s).all()):
        raise InputError("the clip's concepts hold NaN or infinity; encode it again")
    if not (np.diff(track.edges_s) > 0).all():
        raise InputError("the clip's times do not ascend; encode it again")


def unit_rows(vectors: Array, what: str) -> Float[Array, "M E"]:
    """The rows at length 1, in single precision. InputError for NaN, infinity, or a row of zeros."""
    vectors = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
    if vectors.ndim != 2:
        raise InputError(f"{what} has the shape {vectors.shape}, expected one vector")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise InputError(f"{what} holds NaN, infinity or nothing but zeros; encode the clip again")
    return vectors / lengths

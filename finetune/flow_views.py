"""Packed clips as a network is trained on them: another stretch of time, another place and size in the window.

Never mirrored: a swipe to the left would become one to the right, and a clockwise circle its opposite; people also do
everything here with the right hand, so that a mirrored clip is of a kind that no test has. A person's walk has sides
too. Flow takes part in every change: a person drawn larger moves by more pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from motionqa.data.packed_flow import Condition, packed_channels
from motionqa.data.schema import InputError

Array = np.ndarray


@dataclass(frozen=True)
class ViewConfig:
    """How far a view may be from the clip as packed; ours."""

    steps: int = 24
    """Moments a clip is trained with."""
    trim: float = 0.75
    """Least share of the clip's time that is shown."""
    shift: float = 0.08
    """Of the window's side, each way."""
    zoom: float = 0.12
    stretch: float = 0.06
    """Of width against height."""
    nearness: float = 0.08
    """Of what is seen: people lean and stand differently deep."""
    pace: float = 0.25
    """Of all flow: the same done faster or slower."""


STILL = ViewConfig(trim=1.0, shift=0.0, zoom=0.0, stretch=0.0, nearness=0.0, pace=0.0)
"""No change at all."""


def load_clips(folder: Path, names: Sequence[str], condition: Condition) -> Float[Tensor, "N T C H W"]:
    """All clips as float16, which holds 861 clips of five channels in 0.9 GB.

    InputError where clips were packed with other numbers of moments.
    """
    clips = [packed_channels(folder, n, condition) for n in names]
    shapes = {c.shape for c in clips}
    if len(shapes) != 1:
        raise InputError(f"{folder} holds clips of several shapes ({sorted(shapes)}); pack them again in one go")
    return torch.from_numpy(np.stack(clips))


def shown(clips: Float[Tensor, "B T C H W"], steps: int) -> Float[Tensor, "B S C H W"]:
    """The clips as they are, at so many even moments: what networks are tested on."""
    moments = np.linspace(0, clips.shape[1] - 1, steps).round().astype(int)
    return clips[:, moments].float()


def viewed(
    clips: Float[Tensor, "B T C H W"], config: ViewConfig, rng: np.random.Generator
) -> Float[Tensor, "B S C H W"]:
    """Random views of clips, one each."""
    count, length, channels = clips.shape[:3]
    parts = []
    for clip in clips:
        span = rng.uniform(config.trim, 1.0) * (length - 1)
        start = rng.uniform(0, length - 1 - span)
        even = np.linspace(start, start + span, config.steps)
        jitter = rng.uniform(-0.4, 0.4, config.steps) if config.trim < 1 else 0.0
        moments = np.sort(np.clip(np.round(even + jitter), 0, length - 1).astype(int))
        parts.append(clip[moments].float())
    x = torch.stack(parts)
    zoom = np.exp(rng.uniform(-config.zoom, config.zoom, count))
    stretch = np.exp(rng.uniform(-config.stretch, config.stretch, count))
    size = np.stack([zoom * stretch, zoom / stretch], axis=1)
    place = rng.uniform(-2 * config.shift, 2 * config.shift, (count, 2))
    x = _moved(x, size, place)
    gain = np.ones((count, channels))
    gain[:, 0] = rng.uniform(1 - config.nearness, 1 + config.nearness, count)
    pace = np.exp(rng.uniform(-config.pace, config.pace, count))
    gain[:, 1:] = np.tile(size, (1, (channels - 1) // 2)) * pace[:, None]
    return x * torch.from_numpy(gain).float()[:, None, :, None, None]


def _moved(
    x: Float[Tensor, "B T C H W"], size: Float[Array, "B 2"], place: Float[Array, "B 2"]
) -> Float[Tensor, "B T C H W"]:
    """Pictures drawn larger by `size` about their middle and put elsewhere; 0 where nothing was seen."""
    if np.allclose(size, 1) and np.allclose(place, 0):
        return x
    matrix = np.zeros((len(size), 2, 3), np.float32)
    matrix[:, 0, 0], matrix[:, 1, 1] = 1 / size[:, 0], 1 / size[:, 1]
    matrix[:, :, 2] = -place / size
    flat = x.flatten(1, 2)  # frames of a clip move together, so they pass as channels of one picture
    grid = F.affine_grid(torch.from_numpy(matrix), [*flat.shape], align_corners=False)
    return F.grid_sample(flat, grid, align_corners=False).view_as(x)

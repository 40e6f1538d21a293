"""The open `anny` body (Brégier et al., arXiv 2511.03589; Apache-2.0, `motionqa[mesh]`) posed to a clip's joints.

Nothing is learned or searched for: the body's stature is chosen from the clip's bone lengths, each of its limbs is made
as long as the clip's, and its bones are turned as the joints say (`bone_alignment`). Lengths are those of the whole
clip, the same on both sides, so that the body does not breathe with the noise of the joints; what does not fit is
told in `residual_mm`. Fingers keep their rest pose and hands follow the forearms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from jaxtyping import Bool, Float, Int

from motionqa.data.schema import InputError, Pose3D
from motionqa.encoders.body.bone_alignment import LIMBS, SIDES, Points, midpoint
from motionqa.encoders.body.mesh import BodyMeshSequence

Array = np.ndarray
MISSING = "A body mesh needs the open body model anny: pip install 'motionqa[mesh]'"
_LENGTHS = tuple((limb[0].split("_")[1], limb[1].split("_")[1], limb[2].split("_")[1]) for limb in LIMBS[:2])


@dataclass(frozen=True)
class FitConfig:
    """How many moments of a clip get a body."""

    per_second: float = 10.0
    max_frames: int = 120
    min_confidence: float = 0.1
    """Joints less sure than this do not pull."""

    def __post_init__(self) -> None:
        if self.per_second <= 0 or self.max_frames < 1:
            raise ValueError(f"per_second {self.per_second} and max_frames {self.max_frames} must be positive")

    def key_frames(self, times_s: Float[Array, "T"]) -> Int[Array, "K"]:
        """Frames spread evenly over the clip's time, at most `per_second` and `max_frames` of them."""
        count = min(self.max_frames, len(times_s), int(float(times_s[-1] - times_s[0]) * self.per_second) + 1)
        wanted = np.linspace(times_s[0], times_s[-1], count)
        return np.unique(np.abs(times_s[None] - wanted[:, None]).argmin(axis=1))


def installed() -> bool:
    """Whether the anny package is there."""
    return find_spec("anny") is not None


def fit_body(pose: Pose3D, config: FitConfig = FitConfig()) -> BodyMeshSequence:
    """The open body posed to the joints of a clip, at its key frames.

    InputError where anny is not installed, or the clip never shows both hips and both shoulders.
    """
    if not installed():
        raise InputError(MISSING)
    from motionqa.encoders.body.anny_rig import AnnyRig

    keys = config.key_frames(pose.times_s)
    tracks, sure = _seen_points(pose, config.min_confidence)
    absent = [f"{s}_{j}" for s in SIDES for j in ("hip", "shoulder") if f"{s}_{j}" not in tracks]
    if absent:
        raise InputError(f"A body mesh needs both hips and both shoulders; the clip never shows the {_words(absent)}.")
    lengths = _lengths(tracks)
    seen = {name: track[keys] for name, track in tracks.items()}
    body = AnnyRig.of_stature(lengths).posed(seen, lengths)
    joints = {j: at for j, at in body.joints_m.items() if j in sure}
    shift, residual_mm = _settle(joints, seen, {j: sure[j][keys] for j in joints})
    vertices = body.skinned() + shift[:, None].astype(np.float32)
    times = pose.times_s[keys]
    return BodyMeshSequence(
        vertices, body.faces, times, residual_mm, _source(residual_mm, len(joints)), _notes(pose, times, seen)
    )


def _source(residual_mm: Float[Array, "K"], joints: int) -> str:
    mean = float(np.nanmean(residual_mm)) if np.isfinite(residual_mm).any() else float("nan")
    return f"open body anny, fitted to the joints ({joints} joints, {mean:.0f} mm apart on average)"


def _notes(pose: Pose3D, times_s: Float[Array, "K"], seen: Points) -> tuple[str, ...]:
    rate = (len(times_s) - 1) / float(times_s[-1] - times_s[0]) if len(times_s) > 1 else 0.0
    notes = [f"Posed at {len(times_s)} key frames" + (f", {rate:.1f} a second." if rate else ".")]
    absent = [j for limb in LIMBS for j in limb if j not in seen]
    if absent:
        notes.append(f"Never seen, so in line with the rest of the body: {_words(absent)}.")
    if pose.planar:
        notes.append("Only the picture's plane is known, so the body is flat.")
    return tuple(notes)


def _words(joints: list[str]) -> str:
    return ", ".join(joints).replace("_", " ")


# ------------------------------------------------------------------------------------------- the clip


def _seen_points(pose: Pose3D, min_confidence: float) -> tuple[dict[str, Array], dict[str, Bool[Array, "T"]]]:
    """Named joints with gaps bridged in time, and where each was really seen; never seen ones are left out.

    Gaps are bridged relative to the middle of the hips, so that a joint out of view travels with the body.
    """
    sure = {
        name: (pose.confidence[:, i] >= min_confidence) & np.isfinite(pose.xyz_m[:, i]).all(axis=1)
        for i, name in enumerate(pose.skeleton.joints)
    }
    sure = {name: seen for name, seen in sure.items() if seen.any()}
    tracks = {name: pose.xyz_m[:, pose.skeleton.index(name)].astype(np.float64) for name in sure}
    for name in ("left_hip", "right_hip"):
        if name in tracks:
            tracks[name] = _bridged(tracks[name], sure[name], pose.times_s)
    if not {"left_hip", "right_hip"} <= tracks.keys():
        return {}, {}
    hips = midpoint(tracks, "hip")
    for name, track in tracks.items():
        tracks[name] = hips + _bridged(track - hips, sure[name], pose.times_s)
    return tracks, sure


def _bridged(track: Float[Array, "T 3"], sure: Bool[Array, "T"], times_s: Float[Array, "T"]) -> Float[Array, "T 3"]:
    return np.stack([np.interp(times_s, times_s[sure], track[sure, i]) for i in range(3)], axis=1)


def _lengths(points: Points) -> dict[str, float]:
    """Median lengths in metres of trunk and limb parts, and of hips to middle; both sides together."""
    found = {"trunk": [midpoint(points, "shoulder") - midpoint(points, "hip")]}
    for joint in ("hip", "shoulder"):
        found[joint] = [points[f"left_{joint}"] - midpoint(points, joint)]
    for limb in _LENGTHS:
        for start, end in zip(limb, limb[1:], strict=False):
            found[end] = [
                points[f"{s}_{end}"] - points[f"{s}_{start}"] for s in SIDES if f"{s}_{end}" in points
            ]  # fmt: skip
    return {k: float(np.median(np.linalg.norm(np.concatenate(v), axis=-1))) for k, v in found.items() if v}


def _settle(
    body: Mapping[str, Float[Array, "K 3"]], seen: Points, trusted: Mapping[str, Bool[Array, "K"]]
) -> tuple[Float[Array, "K 3"], Float[Array, "K"]]:
    """The shift of each key frame that lays the body's joints best on the seen ones, and what is left, in mm."""
    apart = np.stack([seen[j] - body[j] for j in body], axis=1)
    weight = np.stack([trusted[j] for j in body], axis=1).astype(np.float64)
    count = weight.sum(axis=1)
    mean = np.einsum("kj,kjd->kd", weight, apart) / np.maximum(count, 1)[:, None]
    left = np.linalg.norm(apart - mean[:, None], axis=-1)
    residual = (weight * left).sum(axis=1) / np.where(count > 0, count, np.nan)
    return mean, 1000 * residual

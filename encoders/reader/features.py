"""A movement as the reader is given it: joints in the person's own directions, in torso lengths, 15 times a second.

Nothing depends on where the person stands, faces or how tall they are; how they travel and turn is given as speeds.
Ours throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import uniform_filter1d

from motionqa.data.schema import InputError, Pose3D
from motionqa.data.skeleton import H36M_17, convert

Array = np.ndarray

FPS = 15.0
STRIDE = 4
"""Frames a token of the reader."""
JOINTS = len(H36M_17)
FEATURES = 3 * JOINTS + JOINTS + 5
"""Positions, whether each joint is seen, the pelvis' velocity, the rate of turning, and whether the path is known."""
SEEN = 0.2
"""Confidence from which a joint counts as seen."""
HEADING_S, PATH_S = 0.5, 0.4
"""Heading and path are averaged over so long."""

_PELVIS, _THORAX = H36M_17.index("pelvis"), H36M_17.index("thorax")
_LEFT = [H36M_17.index(f"left_{j}") for j in ("hip", "shoulder")]
_RIGHT = [H36M_17.index(f"right_{j}") for j in ("hip", "shoulder")]


@dataclass(frozen=True, eq=False)
class BodyFeatures:
    """Rows of features and their moments."""

    values: Float[Array, "K F"]
    times_s: Float[Array, "K"]


def body_features(pose: Pose3D) -> BodyFeatures:
    """Features of a pose of any skeleton that gives the Human3.6M joints.

    InputError where the hips and shoulders are never seen, or where only the picture's plane is known: directions
    can not be told then.
    """
    if pose.planar:
        raise InputError("only the picture's plane is known; actions are read from joints in space")
    xyz, confidence = convert(pose.xyz_m, pose.confidence, pose.skeleton, H36M_17)
    times = np.asarray(pose.times_s, float)
    count = max(1, int(np.floor((times[-1] - times[0]) * FPS + 1e-6)) + 1)
    moments = times[0] + np.arange(count) / FPS
    values = features_of(*at_moments(xyz, confidence, times, moments), pose.root_motion != "none")
    return BodyFeatures(values, moments)


def at_moments(
    xyz: Float[Array, "T 17 3"],
    confidence: Float[Array, "T 17"],
    times_s: Float[Array, "T"],
    moments: Float[Array, "K"],
) -> tuple[Float[Array, "K 17 3"], Float[Array, "K 17"]]:
    """Joints at any moments, linear between frames and held beyond the ends.

    A joint is as sure as the less sure frame.
    """
    place = np.interp(moments, times_s, np.arange(len(times_s)))
    before = np.floor(place).astype(int)
    after = np.minimum(before + 1, len(times_s) - 1)
    share = (place - before)[:, None, None]
    return (1 - share) * xyz[before] + share * xyz[after], np.minimum(confidence[before], confidence[after])


def features_of(
    xyz: Float[Array, "K 17 3"], confidence: Float[Array, "K 17"], path_known: bool = True
) -> Float[Array, "K F"]:
    """Features of Human3.6M joints at `FPS`, Y up, any unit. InputError where hips and shoulders are never seen."""
    seen = (confidence >= SEEN) & np.isfinite(xyz).all(axis=-1)
    trunk = np.asarray(seen[:, [*_LEFT, *_RIGHT]].all(axis=1))
    if not trunk.any():
        raise InputError("hips and shoulders are never seen together; actions can not be read without them")
    xyz = _held(np.nan_to_num(xyz), seen)
    size = float(np.median(np.linalg.norm(xyz[trunk, _THORAX] - xyz[trunk, _PELVIS], axis=-1)))
    if size <= 0:
        raise InputError("the trunk has no length; these are not a body's joints")
    heading = _heading(xyz, trunk)
    about = (xyz - xyz[:, :1]) / size
    own = np.where(seen[..., None], _turned(about, heading), 0.0)
    path = uniform_filter1d(xyz[:, 0] / size, max(1, round(PATH_S * FPS)), axis=0, mode="nearest")
    velocity = np.gradient(path, 1 / FPS, axis=0) if len(xyz) > 1 else np.zeros_like(path)
    turning = np.gradient(heading, 1 / FPS) if len(xyz) > 1 else np.zeros_like(heading)
    moving = np.concatenate([_turned(velocity[:, None], heading)[:, 0], turning[:, None]], axis=1)
    if not path_known:
        moving[:, :3] = 0
    known = np.full((len(xyz), 1), float(path_known))
    flat = own.reshape(len(xyz), -1)
    return np.concatenate([flat, seen, np.clip(moving, -8, 8), known], axis=1).astype(np.float32)


def _held(xyz: Float[Array, "K 17 3"], seen: Array) -> Float[Array, "K 17 3"]:
    """Joints that are not seen stay where they were last, or will be first."""
    out = xyz.copy()
    for j in np.flatnonzero(~seen.all(axis=0) & seen.any(axis=0)):
        at = np.flatnonzero(seen[:, j])
        out[:, j] = xyz[at[np.abs(np.arange(len(xyz))[:, None] - at).argmin(axis=1)], j]
    return out


def _heading(xyz: Float[Array, "K 17 3"], trunk: Array) -> Float[Array, "K"]:
    """Radians about the vertical that the hips and shoulders face on average, smoothed and unwrapped."""
    across = (xyz[:, _LEFT] - xyz[:, _RIGHT]).mean(axis=1)
    # Facing is left turned a quarter about the vertical: forward = left x up.
    facing = np.stack([-across[:, 2], across[:, 0]], axis=1)
    facing = _held_rows(facing, trunk & (np.linalg.norm(facing, axis=1) > 1e-9))
    facing = facing / np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-9)
    facing = uniform_filter1d(facing, max(1, round(HEADING_S * FPS)), axis=0, mode="nearest")
    return np.unwrap(np.arctan2(facing[:, 0], facing[:, 1]))


def _held_rows(rows: Float[Array, "K 2"], good: Array) -> Float[Array, "K 2"]:
    at = np.flatnonzero(good)
    return rows[at[np.abs(np.arange(len(rows))[:, None] - at).argmin(axis=1)]] if len(at) else rows + (0, 1)


def _turned(x: Float[Array, "K J 3"], heading: Float[Array, "K"]) -> Float[Array, "K J 3"]:
    """Vectors in the person's own directions: left, up, forward."""
    sin, cos = np.sin(heading)[:, None], np.cos(heading)[:, None]
    left = x[..., 0] * cos - x[..., 2] * sin
    forward = x[..., 0] * sin + x[..., 2] * cos
    return np.stack([left, x[..., 1], forward], axis=-1)

"""Units, up axis and handedness of joint positions, found from the body itself where no header tells.

Body proportions are Drillis and Contini's (in Winter, *Biomechanics and Motor Control of Human Movement*, figure
4.1): thigh 0.245, shank 0.246 and hip-to-shoulder trunk 0.288 of the stature, which needs no upright pose.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from jaxtyping import Float

from motionqa.data.motion_files.raw_motion import AXES, METRES_PER, Axis
from motionqa.data.skeleton import Skeleton, recipe_for

Array = np.ndarray

PLAUSIBLE_STATURE_M = (1.0, 2.2)
ASSUMED_STATURE_M = 1.7
LEGS_AND_TRUNK = 0.245 + 0.246 + 0.288
CMU_UNIT_M = 0.0254 / 0.45
"""The CMU database stores inches times 0.45 (mocap.cs.cmu.edu, FAQ); many BVH conversions keep that."""
CLEARLY_UPRIGHT = 0.7
"""Part of the head-to-ankle distance that must lie along one axis for the data to tell what is up."""
FLOOR_M = 0.12


def joint_path(positions: Float[Array, "T J 3"], skeleton: Skeleton, joint: str) -> Float[Array, "T 3"]:
    """A joint over time, built from its neighbours where the skeleton lacks it; NaN where it can not be had."""
    recipe = recipe_for(joint, skeleton)
    if recipe is None:
        return np.full((len(positions), 3), np.nan)
    return sum((w * positions[:, skeleton.index(j)] for j, w in recipe), np.zeros((len(positions), 3)))


def _median(values: Float[Array, "T ..."]) -> Any:
    """Median over the first axis of what is known, NaN where nothing is, without numpy's warning."""
    if not np.isfinite(values).any():
        return np.full(values.shape[1:], np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns that are all NaN
        return np.nanmedian(values, axis=0)


def stature(positions: Float[Array, "T J 3"], skeleton: Skeleton) -> float:
    """The person's height in file units, from median limb and trunk lengths; NaN when too little is known."""

    def length(a: str, b: str) -> float:
        gap = joint_path(positions, skeleton, a) - joint_path(positions, skeleton, b)
        return float(_median(np.linalg.norm(gap, axis=1)))

    sides = [length(f"{s}_hip", f"{s}_knee") + length(f"{s}_knee", f"{s}_ankle") for s in ("left", "right")]
    hips = 0.5 * (joint_path(positions, skeleton, "left_hip") + joint_path(positions, skeleton, "right_hip"))
    trunk = float(_median(np.linalg.norm(joint_path(positions, skeleton, "thorax") - hips, axis=1)))
    return (float(_median(np.array(sides))) + trunk) / LEGS_AND_TRUNK


def scale_to_metres(
    height: float, header: str | None, header_scale: float | None, override: str | None
) -> tuple[float, str, str, bool]:
    """(metres per unit, unit's name, how it was found, whether lengths are metric) for a person `height` units tall."""
    if override is not None:
        return METRES_PER[override], override, "given by the user", True
    if header_scale is not None and _plausible(height * header_scale, slack=2.0):
        return header_scale, f"{header_scale:.4g} m", "file header", True
    doubt = ""
    if header in METRES_PER:
        if not np.isfinite(height) or _plausible(height * METRES_PER[header], slack=2.0):
            return METRES_PER[header], header, "file header", True
        doubt = f"the header says {header}, which would make the person {height * METRES_PER[header]:.3g} m tall; "
    for name, scale in (*METRES_PER.items(), ("CMU units", CMU_UNIT_M)):
        if _plausible(height * scale):
            how = f"{doubt}body size: {height:.3g} units tall read as {height * scale:.2f} m"
            return scale, name, how, True
    if np.isfinite(height) and height > 0:
        how = f"{doubt}body size fits no common unit: scaled to a stature of {ASSUMED_STATURE_M} m"
        return ASSUMED_STATURE_M / height, "unknown", how, False
    return 1.0, "unknown", f"{doubt}too little of the body is seen to tell: read as metres", False


def _plausible(height_m: float, slack: float = 1.0) -> bool:
    low, high = PLAUSIBLE_STATURE_M
    return bool(low / slack <= height_m <= high * slack)


def unit_vector(axis: Axis) -> Float[Array, "3"]:
    """The axis as a vector, e.g. "-z" as (0, 0, -1)."""
    return np.eye(3)["xyz".index(axis[-1])] * (-1.0 if axis.startswith("-") else 1.0)


# Rows give the new X, Y and Z in terms of the old axes; each is a proper rotation (determinant 1).
TO_Y_UP: dict[Axis, Float[Array, "3 3"]] = {
    "y": np.eye(3),
    "-y": np.diag([1.0, -1.0, -1.0]),
    "z": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "-z": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "x": np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 1]]),
    "-x": np.array([[0, 1.0, 0], [-1, 0, 0], [0, 0, 1]]),
}


def detect_up(positions_m: Float[Array, "T J 3"], skeleton: Skeleton, usual: Axis) -> tuple[Axis, str, tuple[str, ...]]:
    """(up axis, how it was found, notes): the axis along which the head is over the feet most of the time.

    Where the person lies or bends most of the time the data does not tell, and the format's usual axis is taken.
    A person who lies straight looks like one who stands along another axis: there the floor decides, since most
    recordings have it near zero on the up axis.
    """
    head = joint_path(positions_m, skeleton, "head")
    ankles = 0.5 * sum(joint_path(positions_m, skeleton, f"{s}_ankle") for s in ("left", "right"))
    apart = head - ankles
    size = float(_median(np.linalg.norm(apart, axis=1)))
    separation = _median(apart) / size if size else np.full(3, np.nan)
    if not np.isfinite(separation).all():
        return usual, "usual for this format (head or feet not seen)", ()
    best = max(AXES, key=lambda axis: float(unit_vector(axis) @ separation))
    share = float(unit_vector(best) @ separation)
    if best == usual:
        return best, f"head over feet along {best} ({share:.0%} of the distance)", ()
    ask = "set up_axis if that is wrong."
    if share < CLEARLY_UPRIGHT:
        note = f"The person is hardly upright, so the up axis is the format's usual {usual}; {ask}"
        return usual, "usual for this format (the person is hardly upright)", (note,)
    lies = _is_level(positions_m, skeleton, usual) and _rests_on_floor(positions_m, skeleton, usual)
    if lies and not _rests_on_floor(positions_m, skeleton, best):
        note = f"The person seems to lie along {best} on the floor, so {usual} is taken as up; {ask}"
        return usual, "usual for this format (lying on its floor)", (note,)
    note = f"The head is over the feet along {best}, so that is taken as up and not the usual {usual}; {ask}"
    return best, f"head over feet along {best} ({share:.0%} of the distance)", (note,)


def _rests_on_floor(positions_m: Float[Array, "T J 3"], skeleton: Skeleton, up: Axis) -> bool:
    """Whether the body's lowest point along an axis is near zero, in a file whose origin is not the body itself."""
    pelvis = joint_path(positions_m, skeleton, "pelvis")
    if not np.nanmax(np.abs(pelvis), initial=0.0) > 0.02:
        return False
    heights = positions_m @ unit_vector(up)
    lowest = np.nanmin(heights[np.isfinite(heights).any(axis=1)], axis=1)
    return bool(abs(np.percentile(lowest, 5)) < FLOOR_M)


def _is_level(positions_m: Float[Array, "T J 3"], skeleton: Skeleton, up: Axis) -> bool:
    """Whether left and right hip, and left and right shoulder, are at one height, as in a body lying on its front or
    back; seen from the side of a standing person they are not."""
    gaps = [
        (joint_path(positions_m, skeleton, f"left_{j}") - joint_path(positions_m, skeleton, f"right_{j}"))
        @ unit_vector(up)
        for j in ("hip", "shoulder")
    ]
    return all(abs(float(_median(gap))) < FLOOR_M for gap in gaps)


def is_mirrored(upright_m: Float[Array, "T J 3"], skeleton: Skeleton) -> bool:
    """Whether the axes are left-handed: with Y up, left hip to the left, the feet would point backwards.

    In each frame the lower foot is asked, since a lifted one points anywhere. False where in doubt or toes are unknown.
    """
    across = joint_path(upright_m, skeleton, "left_hip") - joint_path(upright_m, skeleton, "right_hip")
    forward = np.cross(across, unit_vector("y"))
    ankles = np.stack([joint_path(upright_m, skeleton, f"{s}_ankle") for s in ("left", "right")])
    toes = np.stack([joint_path(upright_m, skeleton, f"{s}_toe") for s in ("left", "right")])
    heights = np.where(np.isfinite(toes[..., 1]), ankles[..., 1], np.inf)
    lower = np.argmin(np.where(np.isfinite(heights), heights, np.inf), axis=0)
    frames = np.arange(len(upright_m))
    foot = (toes - ankles)[lower, frames] * [1, 0, 1]
    norm = np.linalg.norm(foot, axis=1) * np.linalg.norm(forward, axis=1)
    known = np.isfinite(norm) & (norm > 1e-9)
    cosines = np.sum(foot * forward, axis=1)[known] / norm[known]
    return bool(len(cosines) and cosines.mean() < -0.4 and (cosines < 0).mean() > 0.8)

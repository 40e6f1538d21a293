"""How each quantity is measured: functions of a body's measures and a side to a series over time, NaN where not seen.

Percentages are of the person's own bones, so that tall and short people are judged alike.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from motionqa.encoders.kinematics.angles import angle_between
from motionqa.encoders.kinematics.body import UP, Body, dot, low_pass, unit
from motionqa.encoders.kinematics.measures import ANGLE_CUTOFF_HZ, Measures

Array = np.ndarray
SIDES = ("left", "right")
Measuring = Callable[[Measures, str], Float[Array, "T"]]
"""(measures, side) to values; side is "" for quantities of the whole body."""


def angle(name: str, sided: bool) -> Callable[[Measures, str], Array]:
    def look_up(m: Measures, side: str) -> Array:
        key = f"{side}_{name}" if sided else name
        series = m.angles.get(key)
        if series is None:
            return np.full(len(m.body), np.nan)
        return np.where(np.isfinite(series.degrees), m.smooth[key], np.nan)

    return look_up


def _smooth(x: Float[Array, "T"], m: Measures) -> Float[Array, "T"]:
    """Low-passed for peaks as the joint angles are, gaps left open."""
    good = np.isfinite(x)
    if good.sum() < 2:
        return x
    bridged = np.interp(np.arange(len(x)), np.flatnonzero(good), x[good])
    return np.where(good, low_pass(bridged, m.fps, ANGLE_CUTOFF_HZ), np.nan)


def _part(part: Float[Array, "T"], of: float, m: Measures) -> Float[Array, "T"]:
    return _smooth(100 * part / of if of > 1e-6 else np.full(len(part), np.nan), m)


def trunk_upright(m: Measures, side: str) -> Array:
    del side
    return _smooth(np.degrees(np.arcsin(np.clip(m.body.trunk[:, 1], -1, 1))), m)


def body_line(m: Measures, side: str) -> Array:
    """Bend at the hip of the line shoulder, hip, ankle; positive where the hip hangs below it."""
    del side
    b = m.body
    shoulder, hip, ankle = (_middle(b, j) for j in ("shoulder", "hip", "ankle"))
    bend = 180 - angle_between(shoulder - hip, ankle - hip)
    line = unit(shoulder - ankle)
    above = (hip - ankle) - dot(hip - ankle, line)[:, None] * line
    return _smooth(np.where(above[:, 1] <= 0, bend, -bend), m)


def _middle(b: Body, joint: str) -> Array:
    """Midway between both sides, or the side that is seen."""
    both = np.stack([b[f"{s}_{joint}"] for s in SIDES])
    with np.errstate(invalid="ignore"):
        return np.where(
            np.isfinite(both).any(axis=0), np.nansum(both, 0) / np.maximum(np.isfinite(both).sum(0), 1), np.nan
        )


def knee_over_toe(m: Measures, side: str) -> Array:
    """How far the knee is ahead of the toe, percent of the shank; from the ankle plus a foot where no toe is known."""
    b = m.body
    shank = np.nanmedian(np.linalg.norm(b[f"{side}_knee"] - b[f"{side}_ankle"], axis=1))
    toe = b.joints.get(f"{side}_toe")
    reach = b.relative(f"{side}_knee", f"{side}_ankle")[:, 2]
    foot = 0.4 * shank * np.ones(len(b)) if toe is None else b.relative(f"{side}_toe", f"{side}_ankle")[:, 2]
    return _part(reach - foot, float(shank), m)


def shank_lean(m: Measures, side: str) -> Array:
    """Shank against the vertical, forwards positive."""
    v = m.body.relative(f"{side}_knee", f"{side}_ankle")
    return _smooth(np.degrees(np.arctan2(v[:, 2], v[:, 1])), m)


def foot_pitch(m: Measures, side: str) -> Array:
    """Heel above the toe: the heel-to-toe line against the floor; NaN without a heel."""
    heel, toe = m.body.joints.get(f"{side}_heel"), m.body.joints.get(f"{side}_toe")
    if heel is None or toe is None:
        return np.full(len(m.body), np.nan)
    return _smooth(np.degrees(np.arcsin(np.clip(unit(heel - toe)[:, 1], -1, 1))), m)


def width_of(a: str, b: str) -> Callable[[Measures, str], Array]:
    """Distance between two joints of a kind as percent of another kind's, sideways."""

    def width(m: Measures, side: str) -> Array:
        del side
        one = np.linalg.norm(m.body.relative(f"left_{a}", f"right_{a}")[:, :2], axis=1)
        other = np.linalg.norm(m.body.relative(f"left_{b}", f"right_{b}")[:, :2], axis=1)
        return _smooth(100 * one / np.where(other > 1e-3, other, np.nan), m)

    return width


def knee_cave(m: Measures, side: str) -> Array:
    """How far the knee lies inside the line from hip to ankle seen from the front, percent of the shank."""
    b = m.body
    hip, knee, ankle = (b[f"{side}_{j}"] for j in ("hip", "knee", "ankle"))
    down = np.clip((hip - knee)[:, 1] / np.where(np.abs((hip - ankle)[:, 1]) > 0.05, (hip - ankle)[:, 1], np.nan), 0, 1)
    line = hip + down[:, None] * (ankle - hip)
    inwards = dot(line - knee, b.left) * (1 if side == "left" else -1)
    shank = float(np.nanmedian(np.linalg.norm(knee - ankle, axis=1)))
    return _part(inwards, shank, m)


def hip_shift_left(m: Measures, side: str) -> Array:
    """Pelvis to the left of the middle between the feet, percent of the distance between the ankles."""
    del side
    v = m.body["pelvis"] - _middle(m.body, "ankle")
    apart = float(np.nanmedian(np.abs(dot(m.body["left_ankle"] - m.body["right_ankle"], m.body.left))))
    return _part(dot(v, m.body.left), max(apart, 0.1 * m.body.leg_m), m)


def tilt(joint: str) -> Callable[[Measures, str], Array]:
    """Left side of a pair higher than the right, degrees."""

    def tilted(m: Measures, side: str) -> Array:
        del side
        line = unit(m.body[f"left_{joint}"] - m.body[f"right_{joint}"])
        return _smooth(np.degrees(np.arcsin(np.clip(line[:, 1], -1, 1))), m)

    return tilted


def wrist_height(m: Measures, side: str) -> Array:
    return np.where(np.isfinite(m.body[f"{side}_wrist"][:, 1]), 100 * m.wrist_height(side), np.nan)


def wrist_ahead(m: Measures, side: str) -> Array:
    """Wrist ahead of the shoulder, percent of the arm."""
    return _part(m.body.relative(f"{side}_wrist", f"{side}_shoulder")[:, 2], m.body.arm_m, m)


def forearm_tilt(m: Measures, side: str) -> Array:
    """Forearm against the vertical, 0 where it stands or hangs upright."""
    fore = unit(m.body[f"{side}_wrist"] - m.body[f"{side}_elbow"])
    return _smooth(np.degrees(np.arccos(np.clip(np.abs(fore @ UP), 0, 1))), m)


def chin_over_hands(m: Measures, side: str) -> Array:
    """Nose above the middle of both wrists, percent of the arm."""
    del side
    return _part((m.body["nose"] - _middle(m.body, "wrist"))[:, 1], m.body.arm_m, m)


def hip_drop(m: Measures, side: str) -> Array:
    del side
    known = np.isfinite(m.body["left_ankle"][:, 1]) | np.isfinite(m.body["right_ankle"][:, 1])
    return np.where(known, 100 * m.drop, np.nan)


def foot_ahead(m: Measures, side: str) -> Array:
    """Ankle ahead of the pelvis, percent of the leg: overstride where the foot lands."""
    return _part(m.body.relative(f"{side}_ankle", "pelvis")[:, 2], m.body.leg_m, m)


def pelvis_rise(m: Measures, side: str) -> Array:
    """Height of the pelvis above its lowest place in the clip, percent of the leg."""
    del side
    y = m.body["pelvis"][:, 1]
    return _part(y - (np.nanmin(y) if np.isfinite(y).any() else 0.0), m.body.leg_m, m)


def shoulder_height(m: Measures, side: str) -> Array:
    """Height of the shoulders above their lowest place in the clip, percent of the trunk."""
    del side
    y = m.body["thorax"][:, 1]
    return _part(y - (np.nanmin(y) if np.isfinite(y).any() else 0.0), m.body.torso_m, m)


def thigh_split(m: Measures, side: str) -> Array:
    """One thigh ahead of the other: difference of the hip angles."""
    del side
    left, right = (angle("hip_flexion", True)(m, s) for s in SIDES)
    return np.abs(left - right)


def pelvis_height(m: Measures, side: str) -> Array:
    """Pelvis above the lowest joint, percent of the leg: about 110 standing."""
    del side
    return np.asarray(100 * m.pelvis_height)


def chest_up(m: Measures, side: str) -> Array:
    """How far the chest faces up: 90 lying on the back, -90 face down."""
    del side
    face = np.cross(m.body.pelvis_left, m.body.trunk)[:, 1]
    return _smooth(np.degrees(np.arcsin(np.clip(face, -1, 1))), m)

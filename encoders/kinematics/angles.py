"""Joint angles with fixed signs and ranges, in degrees. Left and right mean the same thing mirrored.

| Name | 0 is | Positive | Range |
|---|---|---|---|
| `*_knee_flexion`, `*_elbow_flexion` | straight | bent | 0 to 180 |
| `*_hip_flexion` | thigh in line with the trunk | thigh forwards of it | -180 to 180 |
| `*_hip_abduction` | thigh in the sagittal plane | away from the midline | -90 to 90 |
| `*_shoulder_elevation` | arm hanging along the trunk | raised in any direction | 0 to 180 |
| `*_shoulder_flexion` | same | the forward part of the elevation | -180 to 180 |
| `*_shoulder_abduction` | same | the outward part of the elevation | -180 to 180 |
| `*_ankle_dorsiflexion` | foot square to the shank | toes up | -90 to 90 |
| `trunk_lean_forward` | upright | forwards | -180 to 180 |
| `trunk_lean_left` | upright | to the left | -90 to 90 |
| `trunk_twist_left` | shoulders over hips | shoulders turned to the left | -180 to 180 |
| `neck_flexion` | head in line with the trunk | chin down | -180 to 180 |
| `neck_lean_left` | same | to the left shoulder | -90 to 90 |
| `head_turn_left` | face over shoulders | to the left (needs ears) | -180 to 180 |

Hip angles are flexion first, then abduction (Grood and Suntay 1983, ISB 2002). Shoulder flexion and abduction split
the elevation by its direction, f = e cos a and b = e sin a, instead of the ISB's Euler angles: they stay smooth where
those jump (arm hanging or straight to the side), agree with them for pure movements, and are unsure only overhead.
The foot is heel to toe where a heel is known, else ankle to toe, which reads about 25 degrees lower.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from motionqa.data.schema import AngleSeries
from motionqa.encoders.kinematics.body import UP, Body, dot, filled, low_pass, unit

Array = np.ndarray
SIDES = ("left", "right")


CLEAR_BEND_DEG = 45.0
"""Seen from the front or back, a smaller lean, and any backward lean, is in the depth that one camera only guesses."""


def angle_between(a: Float[Array, "T 3"], b: Float[Array, "T 3"]) -> Float[Array, "T"]:
    """Degrees between two vectors, 0 to 180; accurate near both ends (Kahan's form)."""
    a, b = unit(a), unit(b)
    return np.degrees(2 * np.arctan2(np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1)))


def _frame(up: Float[Array, "T 3"], left: Float[Array, "T 3"]) -> tuple[Array, Array, Array]:
    """Left, up, forward unit axes with `left` kept and `up` made square to it."""
    up = unit(up - dot(up, left)[:, None] * left)
    return left, up, np.cross(left, up)


def _hip(body: Body, side: str) -> tuple[Array, Array]:
    """Flexion and abduction of one hip; flexion NaN where the thigh points sideways and has no forward direction."""
    left, up, forward = _frame(body.trunk, body.pelvis_left)
    thigh = unit(body[f"{side}_knee"] - body[f"{side}_hip"])
    outward = dot(thigh, left) * (1 if side == "left" else -1)
    flexion = np.degrees(np.arctan2(dot(thigh, forward), -dot(thigh, up)))
    return np.where(np.abs(outward) < 0.95, flexion, np.nan), np.degrees(np.arcsin(np.clip(outward, -1, 1)))


def _shoulder(body: Body, side: str) -> tuple[Array, Array, Array]:
    """Elevation, flexion and abduction of one shoulder in the frame of trunk and shoulder line."""
    line = body.left if body.pose.planar else unit(body["left_shoulder"] - body["right_shoulder"])
    up = body.trunk
    left = unit(line - dot(line, up)[:, None] * up)
    forward = np.cross(left, up)
    arm = unit(body[f"{side}_elbow"] - body[f"{side}_shoulder"])
    elevation = angle_between(arm, -up)
    outward = dot(arm, left) * (1 if side == "left" else -1)
    azimuth = np.arctan2(outward, dot(arm, forward))
    return elevation, elevation * np.cos(azimuth), elevation * np.sin(azimuth)


def _lean(direction: Float[Array, "T 3"], left: Array, up: Array, forward: Array) -> tuple[Array, Array]:
    """How far a direction tips forwards and to the left of `up`."""
    ahead = np.degrees(np.arctan2(dot(direction, forward), dot(direction, up)))
    return ahead, np.degrees(np.arcsin(np.clip(dot(direction, left), -1, 1)))


def _twist(line: Float[Array, "T 3"], base: Float[Array, "T 3"], axis: Float[Array, "T 3"]) -> Float[Array, "T"]:
    """Turn of one left-pointing line against another about an axis; counter-clockwise seen from its tip."""
    a = unit(base - dot(base, axis)[:, None] * axis)
    b = unit(line - dot(line, axis)[:, None] * axis)
    return np.degrees(np.arctan2(dot(np.cross(a, b), axis), dot(a, b)))


def _pelvis_heading(body: Body) -> tuple[Array, Array]:
    """Horizontal left and forward axes of the pelvis itself, unlike the smoothed heading."""
    if body.pose.planar:
        return body.left, body.forward
    left = body.pelvis_left * np.array([1.0, 0.0, 1.0])
    left = unit(np.where(np.linalg.norm(left, axis=1, keepdims=True) > 0.3, left, body.left))
    return left, np.cross(left, np.broadcast_to(UP, left.shape))


def joint_angles(body: Body) -> dict[str, AngleSeries]:
    """Every angle of the table above that the joints allow, by name; NaN in frames where a joint was not seen."""
    out: dict[str, Array] = {}
    for side in SIDES:
        j = {name: body[f"{side}_{name}"] for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")}
        out[f"{side}_knee_flexion"] = 180 - angle_between(j["hip"] - j["knee"], j["ankle"] - j["knee"])
        out[f"{side}_elbow_flexion"] = 180 - angle_between(j["shoulder"] - j["elbow"], j["wrist"] - j["elbow"])
        out[f"{side}_hip_flexion"], out[f"{side}_hip_abduction"] = _hip(body, side)
        elevation, flexion, abduction = _shoulder(body, side)
        out[f"{side}_shoulder_elevation"] = elevation
        out[f"{side}_shoulder_flexion"], out[f"{side}_shoulder_abduction"] = flexion, abduction
        if f"{side}_toe" in body.joints:
            foot = body[f"{side}_toe"] - body.joints.get(f"{side}_heel", j["ankle"])
            out[f"{side}_ankle_dorsiflexion"] = 90 - angle_between(j["knee"] - j["ankle"], foot)
    left, forward = _pelvis_heading(body)
    up = np.broadcast_to(UP, left.shape)
    out["trunk_lean_forward"], out["trunk_lean_left"] = _lean(body.trunk, left, up, forward)
    shoulders = body["left_shoulder"] - body["right_shoulder"]
    out["neck_flexion"], out["neck_lean_left"] = _lean(
        unit(body["head_top"] - body["thorax"]), *_frame(body.trunk, left)
    )
    if not body.pose.planar:
        out["trunk_twist_left"] = _twist(shoulders, body.pelvis_left, body.trunk)
        if "left_ear" in body.native and "right_ear" in body.native:
            out["head_turn_left"] = _twist(body["left_ear"] - body["right_ear"], shoulders, body.trunk)
    if body.pose.planar:
        _drop_unseen_plane(out, body.side_view)
    elif body.pose.camera:
        lean = out["trunk_lean_forward"]
        out["trunk_lean_forward"] = np.where(body.faces_camera & (lean < CLEAR_BEND_DEG), np.nan, lean)
    return {name: AngleSeries(name, degrees) for name, degrees in out.items() if np.isfinite(degrees).any()}


def _drop_unseen_plane(out: dict[str, Array], side_view: bool) -> None:
    """Remove what a flat view cannot show: sideways angles from the side, forward angles from the front."""
    hidden = ("abduction", "lean_left") if side_view else ("hip_flexion", "shoulder_flexion", "lean_forward", "neck_f")
    for name in [n for n in out if any(h in n for h in hidden)]:
        del out[name]


def smooth_angle(series: AngleSeries, fps: float, cutoff_hz: float) -> Float[Array, "T"]:
    """The angle with gaps bridged and low-passed, for finding peaks; not for reporting values in gaps."""
    return low_pass(filled(series.degrees), fps, cutoff_hz)

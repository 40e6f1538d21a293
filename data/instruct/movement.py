"""What a stretch of a movement shows by measurement: which limb moves, where the body goes, which way it turns.

Every reading has a clear no-man's-land: where it is neither surely one nor the other, the answer is empty and no
question is asked, because a wrong truth is worse than none. Thresholds are ours, in leg lengths (about 0.83 m).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from motionqa.data.instruct.stitch import heading_rad, leg_m
from motionqa.data.schema import MotionReport, Pose3D, Segment
from motionqa.data.skeleton import H36M_17

Array = np.ndarray
J = {name: i for i, name in enumerate(H36M_17.joints)}
CLEAR_RATIO = 2.0
"""One limb moves at least this many times as far as the other: it does it alone."""
ALIKE_RATIO = 1.35
"""At most this many times: both do it."""
DIRECTIONS = ("forwards", "backwards", "left", "right", "on the spot")
TURNS = ("left", "right", "no")
END_FRAMES_S = 0.15
"""Left out at both ends of a part of a longer sequence: the blend."""


def part_paths(pose: Pose3D, start_s: float, end_s: float) -> dict[str, float]:
    """How far each arm and leg goes relative to the trunk, leg lengths; parts that are mostly unseen are left out."""
    rows = _rows(pose.times_s, start_s, end_s)
    if rows.sum() < 4:
        return {}
    x, sure, size = np.asarray(pose.xyz_m, float)[rows], pose.confidence[rows], leg_m(pose)
    out = {}
    for part, joint, base in (("arm", "wrist", "thorax"), ("leg", "ankle", "pelvis")):
        for side in ("left", "right"):
            i, j = J[f"{side}_{joint}"], J[base]
            if (sure[:, i] > 0).mean() < 0.8:
                continue
            track = _smoothed(x[:, i] - x[:, j], pose.fps)
            out[f"{side} {part}"] = float(np.linalg.norm(np.diff(track, axis=0), axis=1).sum()) / size
    return out


def _rows(times_s: Float[Array, "T"], start_s: float, end_s: float) -> Bool[Array, "T"]:
    return (times_s >= start_s) & (times_s <= end_s)


def _smoothed(track: Float[Array, "T 3"], fps: float) -> Float[Array, "N 3"]:
    """A running mean over a sixth of a second: jitter is no path."""
    width = max(1, round(fps / 6))
    if len(track) <= width:
        return track
    sums = np.cumsum(np.concatenate([np.zeros((1, 3)), track]), axis=0)
    return (sums[width:] - sums[:-width]) / width


def moving_side(pose: Pose3D, start_s: float, end_s: float, limb: str = "arm") -> str:
    """left, right or both for "arm" or "leg"; "" where it is not clear or the limbs hardly move."""
    paths = part_paths(pose, start_s, end_s)
    left, right = paths.get(f"left {limb}"), paths.get(f"right {limb}")
    if left is None or right is None or max(left, right) < 0.5:
        return ""
    if left > CLEAR_RATIO * right:
        return "left"
    if right > CLEAR_RATIO * left:
        return "right"
    return "both" if max(left, right) < ALIKE_RATIO * min(left, right) else ""


def travel(report: MotionReport, start_s: float, end_s: float) -> tuple[float, float, float]:
    """Metres forwards, to the left, and along the path, in the directions that the body faces at each moment."""
    rows = _rows(report.times_s, start_s, end_s)
    if rows.sum() < 4:
        return 0.0, 0.0, 0.0
    root = _smoothed(report.trajectory.root_m[rows], report.fps)
    heading = np.radians(report.trajectory.heading_deg[rows])[: len(root)]
    step = np.diff(root, axis=0)
    angle = heading[1:]
    ahead = step[:, 0] * np.sin(angle) + step[:, 2] * np.cos(angle)
    left = step[:, 0] * np.cos(angle) - step[:, 2] * np.sin(angle)
    path = np.hypot(step[:, 0], step[:, 2]).sum()
    return float(ahead.sum()), float(left.sum()), float(path)


def direction(report: MotionReport, leg: float, start_s: float, end_s: float) -> str:
    """One of `DIRECTIONS`: clear travel one way, or clearly none; "" between them and where travel is unknown."""
    ahead, left, path = travel(report, start_s, end_s)
    far = max(abs(ahead), abs(left))
    if far < 0.15 * leg and path < 0.6 * leg:
        return "on the spot"
    if far < 0.7 * leg or far < 2.0 * min(abs(ahead), abs(left)) or far < 0.6 * path:
        return ""
    if abs(ahead) > abs(left):
        return "forwards" if ahead > 0 else "backwards"
    return "left" if left > 0 else "right"


def turning(report: MotionReport, start_s: float, end_s: float) -> str:
    """One of `TURNS` for the net turn; "" between 15 and 50 degrees, and where the body turns to and fro."""
    rows = _rows(report.times_s, start_s, end_s)
    if rows.sum() < 4:
        return ""
    heading = report.trajectory.heading_deg[rows]
    net, span = float(heading[-1] - heading[0]), float(np.ptp(heading))
    if abs(net) > 50 and span < 1.4 * abs(net):
        return "left" if net > 0 else "right"
    return "no" if span < 15 else ""


def measured_part(pose: Pose3D, action: Segment, part: str) -> str:
    """The part that labels say does an action, where the measured movement agrees; "" where it does not.

    One-handed actions need that hand to move clearly more, two-handed ones both alike; legs and trunk are believed.
    """
    side, _, limb = part.partition(" ")
    if limb in ("arm", "arms"):
        found = moving_side(pose, *inner(action), "arm")
        return part if found == side else ""
    if part in ("left leg", "right leg"):
        found = _front_leg(pose, action) if action.name == "lunge" else moving_side(pose, *inner(action), "leg")
        return part if found == side else ""
    return part


def _front_leg(pose: Pose3D, action: Segment) -> str:
    """The foot that is in front when the feet are furthest apart; both legs move in a lunge."""
    rows = _rows(pose.times_s, *inner(action))
    x = np.asarray(pose.xyz_m, float)[rows]
    ankles = x[:, J["left_ankle"]] - x[:, J["right_ankle"]]
    at = int(np.hypot(ankles[:, 0], ankles[:, 2]).argmax())
    heading = heading_rad(x[at])
    ahead = ankles[at, 0] * np.sin(heading) + ankles[at, 2] * np.cos(heading)
    return "" if abs(ahead) < 0.4 * leg_m(pose) else "left" if ahead > 0 else "right"


def inner(action: Segment) -> tuple[float, float]:
    """An action's time without the blends at its ends."""
    margin = min(END_FRAMES_S, 0.15 * (action.end_s - action.start_s))
    return action.start_s + margin, action.end_s - margin

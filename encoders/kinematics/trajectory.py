"""Where the pelvis goes and which way the body faces, in the person's own directions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from motionqa.data.schema import Trajectory
from motionqa.encoders.kinematics.body import Body, dot, filled, low_pass, runs

Array = np.ndarray
PATH_CUTOFF_HZ = 1.5
"""The pelvis sways with every step; below this rate it travels."""


@dataclass(frozen=True)
class Turning:
    """One turn of the whole body: frames and signed angle, positive to the left."""

    first: int
    last: int
    degrees: float
    steps: bool = True
    """False where the feet stay put and only the body above them turns: a twist."""


def root_track(body: Body) -> Float[Array, "T 3"]:
    """The pelvis with gaps bridged; of one hip or the mid-shoulder where the hips were not seen."""
    for joint in ("pelvis", "left_hip", "right_hip", "thorax"):
        if body.seen(joint) > 0.3:
            return np.stack([filled(body[joint][:, i]) for i in range(3)], axis=1)
    return np.zeros((len(body), 3))


def body_velocity(body: Body) -> Float[Array, "T 2"]:
    """Horizontal velocity of the pelvis below the step rate: forward and left parts, per second."""
    if len(body) < 2 or body.pose.root_motion == "none":
        return np.zeros((len(body), 2))
    root = low_pass(root_track(body), body.fps, PATH_CUTOFF_HZ)
    velocity = np.gradient(root, 1 / body.fps, axis=0)
    return np.stack([dot(velocity, body.forward), dot(velocity, body.left)], axis=1)


def trajectory(body: Body) -> Trajectory:
    """Path, speed, heading and net travel; travel is summed in the direction the body faces at each moment."""
    root = root_track(body)
    velocity = body_velocity(body)
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    heading = np.degrees(body.heading_rad)
    # n frames span n - 1 intervals: the trapezium rule, written as sums of interval means.
    steps = (velocity[1:] + velocity[:-1]) / 2 / body.fps
    known = body.pose.root_motion != "none"
    return Trajectory(
        root_m=root,
        speed_m_s=speed,
        heading_deg=heading,
        forward_m=float(steps[:, 0].sum()),
        left_m=float(steps[:, 1].sum()),
        up_m=float(root[-1, 1] - root[0, 1]) if known else 0.0,
        path_m=float(((speed[1:] + speed[:-1]) / 2 / body.fps).sum()),
        turn_deg=float(heading[-1] - heading[0]),
    )


def turns(body: Body) -> tuple[Turning, ...]:
    """Stretches in which the body turns about the vertical by enough to be called a turn, in order.

    The heading must move steadily one way; two turns to the same side with less than 0.4 s between are one. Turning
    the shoulders over still hips is none: the hips must carry at least half of it. Where the line through the ankles
    does not come along, it is marked as a twist.
    """
    config = body.config
    heading = np.degrees(body.heading_rad)
    if len(body) < 3:
        return ()
    rate = np.gradient(heading, 1 / body.fps)
    found: list[Turning] = []
    for sign in (1, -1):
        stretches = runs(sign * rate > config.turn_rate_deg_s)
        merged: list[tuple[int, int]] = []
        for a, b in stretches:
            quiet = merged and a - merged[-1][1] <= body.frames(0.4)
            if quiet and (sign * rate[merged[-1][1] : a + 1]).min() > -config.turn_rate_deg_s / 2:
                merged[-1] = (merged[-1][0], b)
            else:
                merged.append((a, b))
        found += [Turning(a, b, float(heading[b] - heading[a])) for a, b in merged]
    hips = _hip_heading_deg(body)
    least = body.frames(config.turn_min_s)
    kept = [t for t in found if abs(t.degrees) >= config.turn_min_deg and t.last - t.first >= least]
    kept = [t for t in kept if abs(hips[t.last] - hips[t.first]) >= 0.5 * abs(t.degrees)]
    return tuple(sorted((replace(t, steps=_feet_follow(body, t)) for t in kept), key=lambda t: t.first))


def _feet_follow(body: Body, turn: Turning) -> bool:
    """Whether the feet turn or travel along: judged by the line between the ankles and how far the pelvis goes."""
    apart = body["left_ankle"] - body["right_ankle"]
    if min(body.seen("left_ankle"), body.seen("right_ankle")) < 0.5 or body.pose.planar:
        return True
    x, z = filled(apart[:, 0]), filled(apart[:, 2])
    line = np.degrees(np.unwrap(np.arctan2(-z, x)))
    margin = body.frames(0.2)
    a, b = max(0, turn.first - margin), min(len(body) - 1, turn.last + margin)
    speed = np.hypot(*body_velocity(body)[a : b + 1].T).mean() / body.leg_m
    followed = np.sign(turn.degrees) * (line[b] - line[a]) > 0.4 * abs(turn.degrees)
    return bool(followed or speed > 1.5 * body.config.travel_speed or abs(turn.degrees) > 100)


def _hip_heading_deg(body: Body) -> Float[Array, "T"]:
    """Facing direction of the hips alone, unwrapped."""
    x, z = filled(body.pelvis_left[:, 0]), filled(body.pelvis_left[:, 2])
    return np.degrees(low_pass(np.unwrap(np.arctan2(-z, x)), body.fps, body.config.heading_cutoff_hz))

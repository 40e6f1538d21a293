"""Generators of body motions whose truth is known exactly: counts, depths, tempos, speeds, turns and sides.

Every generator returns a `BodyMotion` that begins and ends in the neutral stance (except sitting), so that
`concatenate` can join them; `render` turns one into a `Pose3D`, with noise where asked.

    pose = render(concatenate(walk(steps=6), turn(90), squats(3)), noise_m=0.005)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from motionqa.data.schema import Segment
from motionqa.data.synthetic.body import (
    LEFT,
    OUTWARD,
    RIGHT,
    BodyMotion,
    BodyShape,
    concatenate,
    joint_positions,
    labelled,
    mirrored,
    neutral,
    placed,
    render,
    smooth_step,
)
from motionqa.data.synthetic.gait import run, turn, walk

Array = np.ndarray
Side = Literal["left", "right", "both"]
SHAPE = BodyShape()

__all__ = [
    "BodyMotion",
    "BodyShape",
    "arm_raise",
    "biceps_curls",
    "concatenate",
    "forward_bend",
    "joint_positions",
    "jumping_jacks",
    "jumps",
    "kick",
    "lunge",
    "mirrored",
    "placed",
    "render",
    "run",
    "single_leg_stance",
    "sit_down",
    "squats",
    "stand",
    "stand_up",
    "turn",
    "walk",
    "wave",
]


def _sides(side: Side) -> tuple[int, ...]:
    return {"left": (LEFT,), "right": (RIGHT,), "both": (LEFT, RIGHT)}[side]


def _arms_name(side: Side) -> str:
    return "both arms" if side == "both" else f"the {side} arm"


def _pulse(reps: int, period_s: float, fps: float) -> Float[Array, "T"]:
    """`reps` raised-cosine bumps from 0 to 1 and back, `period_s` each."""
    frames = max(round(reps * period_s * fps), 2)
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frames) / (period_s * fps))


def _plateau(move_s: float, hold_s: float, fps: float) -> Float[Array, "T"]:
    """0 to 1 in `move_s`, held, and back."""
    t = np.arange(round((2 * move_s + hold_s) * fps)) / fps
    return smooth_step(t / move_s) * smooth_step((2 * move_s + hold_s - t) / move_s)


def stand(duration_s: float = 1.0, fps: float = 30.0) -> BodyMotion:
    """Standing still."""
    return labelled(neutral(max(round(duration_s * fps), 1), fps), "standing still")


def _knee_drop(knee_deg: Float[Array, "T"]) -> Float[Array, "T"]:
    """How far the hip comes down over the ankle when the knee bends from the standing 0.5 % to `knee_deg`, metres."""
    a, b = SHAPE.thigh, SHAPE.shank
    reach = np.sqrt(a * a + b * b + 2 * a * b * np.cos(np.radians(knee_deg)))
    return np.maximum(0.995 * SHAPE.leg - reach, 0.0)


def squats(reps: int = 3, *, depth_deg: float = 100.0, period_s: float = 2.0, fps: float = 30.0) -> BodyMotion:
    """`reps` squats of `period_s` seconds each; the knees bend to exactly `depth_deg`, the arms come forward."""
    bump = _pulse(reps, period_s, fps)
    m = neutral(len(bump), fps)
    root = m.root_m.copy()
    root[:, 1] -= _knee_drop(depth_deg * bump)
    arms = m.arm_deg.copy()
    arms[:, :, 0] += 60 * bump[:, None]
    trunk = m.trunk_deg.copy()
    trunk[:, 0] = 0.35 * depth_deg * bump
    return labelled(replace(m, root_m=root, arm_deg=arms, trunk_deg=trunk), "squatting", "left_knee", "right_knee")


def arm_raise(
    side: Side = "right",
    reps: int = 1,
    *,
    top_deg: float = 165.0,
    move_s: float = 0.8,
    hold_s: float = 0.4,
    forward: bool = True,
    fps: float = 30.0,
) -> BodyMotion:
    """The arm goes up to `top_deg` from hanging (forwards or sideways), is held and comes down, `reps` times."""
    bump = np.tile(_plateau(move_s, hold_s, fps), reps)
    m = neutral(len(bump), fps)
    arms = m.arm_deg.copy()
    for i in _sides(side):
        arms[:, i, 0 if forward else 1] += (top_deg - arms[:, i, 0 if forward else 1]) * bump
    return labelled(replace(m, arm_deg=arms), f"raising {_arms_name(side)}", *_wrists(side))


def _wrists(side: Side) -> tuple[str, ...]:
    return tuple(("left_wrist", "right_wrist")[i] for i in _sides(side))


def wave(side: Side = "right", n: int = 4, *, period_s: float = 0.5, fps: float = 30.0) -> BodyMotion:
    """The upper arm goes out to the side, the forearm up, and the hand waves `n` times; then the arm comes down."""
    lift_s = 0.6
    hold = _plateau(lift_s, n * period_s, fps)
    m = neutral(len(hold), fps)
    t = np.arange(len(hold)) / fps - lift_s
    waving = np.where((t >= 0) & (t < n * period_s), np.sin(2 * np.pi * t / period_s), 0.0)
    arms = m.arm_deg.copy()
    for i in _sides(side):
        arms[:, i] += hold[:, None] * (np.array([15.0, 85.0, 95.0]) - arms[:, i])
        arms[:, i, 2] += 25 * waving
    hand = "both hands" if side == "both" else f"the {side} hand"
    m = replace(m, arm_deg=arms)
    return replace(m, labels=(Segment(f"waving with {hand}", lift_s, lift_s + n * period_s, _wrists(side)),))


def jumps(n: int = 1, *, height_m: float = 0.25, fps: float = 30.0) -> BodyMotion:
    """`n` jumps on the spot: crouch, ballistic flight to `height_m`, soft landing; 0.6 s + flight each."""
    flight_s = 2 * np.sqrt(2 * height_m / 9.81)
    crouch_s = 0.45
    t = np.arange(round((2 * crouch_s + flight_s) * fps)) / fps
    up = t - crouch_s
    air = np.where((up > 0) & (up < flight_s), 0.5 * 9.81 * up * (flight_s - up), 0.0)
    before, after = np.clip(t / crouch_s, 0, 1), np.clip((t - crouch_s - flight_s) / crouch_s, 0, 1)
    knee = np.tile(70 * np.sin(np.pi * before) ** 2 + 60 * np.sin(np.pi * after) ** 2, n)
    air = np.tile(air, n)
    m = neutral(len(air), fps)
    root, ankle, toe = m.root_m.copy(), m.ankle_m.copy(), m.toe_deg.copy()
    root[:, 1] += air - _knee_drop(knee)
    ankle[:, :, 1] += air[:, None]
    toe -= 25 * np.clip(air / 0.1, 0, 1)[:, None]
    return labelled(replace(m, root_m=root, ankle_m=ankle, toe_deg=toe), "jumping", "left_ankle", "right_ankle")


def lunge(side: Side = "right", reps: int = 1, *, depth_deg: float = 90.0, fps: float = 30.0) -> BodyMotion:
    """A long step forward with one leg, the front knee bent to about `depth_deg`, and back; 2 s each."""
    (foot,) = _sides(side)
    bump = np.tile(_plateau(0.9, 0.2, fps), reps)
    m = neutral(len(bump), fps)
    root, ankle = m.root_m.copy(), m.ankle_m.copy()
    ankle[:, foot, 2] += 0.80 * bump
    ankle[:, foot, 1] += 0.10 * np.sin(np.pi * np.clip(bump, 0, 1)) ** 2
    root[:, 2] += 0.40 * bump
    root[:, 1] -= 0.33 * depth_deg / 90 * bump
    # The rear heel comes up: the ankle rises over the ball of the foot.
    ankle[:, 1 - foot, 1] += 0.10 * bump
    toe = m.toe_deg.copy()
    toe[:, 1 - foot] = -np.degrees(np.arcsin(0.10 * bump / SHAPE.foot)) * 0.98
    m = replace(m, root_m=root, ankle_m=ankle, toe_deg=toe)
    return labelled(m, f"lunging with the {side} leg", f"{side}_knee")


def kick(side: Side = "right", *, height_deg: float = 80.0, fps: float = 30.0) -> BodyMotion:
    """A forward kick: the leg swings up, nearly straight, to `height_deg` at the hip and back in 0.9 s."""
    return _leg_lift(side, _plateau(0.4, 0.1, fps) * height_deg, 0.15, f"kicking with the {side} leg", fps)


def single_leg_stance(side: Side = "left", *, duration_s: float = 3.0, fps: float = 30.0) -> BodyMotion:
    """Standing on `side` leg, the other foot lifted by bending hip and knee."""
    lifted: Side = "right" if side == "left" else "left"
    profile = _plateau(0.5, max(duration_s - 1.0, 0.1), fps) * 45.0
    return _leg_lift(lifted, profile, 1.8, f"standing on the {side} leg", fps)


def _leg_lift(side: Side, hip_deg: Array, knee_per_hip: float, name: str, fps: float) -> BodyMotion:
    """One leg lifted forwards to hip angles over time, the knee bending in proportion."""
    (foot,) = _sides(side)
    m = neutral(len(hip_deg), fps)
    hip, knee = np.radians(hip_deg), np.radians(hip_deg * knee_per_hip)
    forward = SHAPE.thigh * np.sin(hip) + SHAPE.shank * np.sin(hip - knee)
    down = SHAPE.thigh * np.cos(hip) + SHAPE.shank * np.cos(hip - knee)
    ankle = m.ankle_m.copy()
    ankle[:, foot, 2] = forward
    ankle[:, foot, 1] = np.maximum(m.root_m[:, 1] - SHAPE.hip_drop - down, SHAPE.ankle_height)
    return labelled(replace(m, ankle_m=ankle), name, f"{side}_ankle")


def forward_bend(reps: int = 1, *, angle_deg: float = 80.0, move_s: float = 1.0, fps: float = 30.0) -> BodyMotion:
    """A hip hinge: the trunk leans forward to exactly `angle_deg` with straight legs and comes back."""
    bump = np.tile(_plateau(move_s, 0.3, fps), reps)
    m = neutral(len(bump), fps)
    trunk, root = m.trunk_deg.copy(), m.root_m.copy()
    trunk[:, 0] = angle_deg * bump
    root[:, 2] -= 0.10 * bump
    return labelled(replace(m, trunk_deg=trunk, root_m=root), "bending forward", "thorax")


def biceps_curls(side: Side = "right", reps: int = 5, *, period_s: float = 1.5, fps: float = 30.0) -> BodyMotion:
    """`reps` curls: the elbow bends to 140 degrees and straightens, the upper arm hangs."""
    bump = _pulse(reps, period_s, fps)
    m = neutral(len(bump), fps)
    arms = m.arm_deg.copy()
    for i in _sides(side):
        arms[:, i, 2] += (140 - arms[:, i, 2]) * bump
    elbow = "both elbows" if side == "both" else f"the {side} elbow"
    return labelled(replace(m, arm_deg=arms), f"bending {elbow}", *_wrists(side))


def jumping_jacks(reps: int = 5, *, period_s: float = 1.0, fps: float = 30.0) -> BodyMotion:
    """`reps` jumping jacks: feet out and arms overhead, and back, with a small hop on each half."""
    bump = _pulse(reps, period_s, fps)
    m = neutral(len(bump), fps)
    hop = 0.07 * np.sin(2 * np.pi * np.arange(len(bump)) / (period_s * fps)) ** 2
    ankle, arms, root = m.ankle_m.copy(), m.arm_deg.copy(), m.root_m.copy()
    ankle[:, :, 0] += np.multiply(OUTWARD, 0.28) * bump[:, None]
    ankle[:, :, 1] += hop[:, None]
    root[:, 1] += hop - (SHAPE.leg - np.sqrt(SHAPE.leg**2 - 0.28**2)) * bump
    arms[:, :, 1] += (165 - arms[:, :, 1]) * bump[:, None]
    m = replace(m, ankle_m=ankle, arm_deg=arms, root_m=root)
    return labelled(m, "doing jumping jacks", "left_wrist", "right_wrist", "left_ankle", "right_ankle")


def sit_down(*, move_s: float = 1.2, hold_s: float = 1.0, seat_deg: float = 95.0, fps: float = 30.0) -> BodyMotion:
    """From standing to sitting on a chair behind the feet, then sitting still."""
    t = np.arange(round((move_s + hold_s) * fps)) / fps
    x = smooth_step(t / move_s)
    m = neutral(len(t), fps)
    root, trunk, arms = m.root_m.copy(), m.trunk_deg.copy(), m.arm_deg.copy()
    knee = np.radians(seat_deg * x)
    # The shank stays upright: hip height is ankle + shank + thigh · cos(knee).
    root[:, 1] -= SHAPE.thigh * (1 - np.cos(knee))
    root[:, 2] -= SHAPE.thigh * np.sin(knee)
    trunk[:, 0] = 40 * np.sin(np.pi * np.clip(x, 0, 1)) ** 2
    arms[:, :, 0] += 35 * x[:, None]
    m = replace(m, root_m=root, trunk_deg=trunk, arm_deg=arms)
    return replace(m, labels=(Segment("sitting down", 0.0, move_s), Segment("sitting", move_s, move_s + hold_s)))


def stand_up(*, move_s: float = 1.2, hold_s: float = 1.0, seat_deg: float = 95.0, fps: float = 30.0) -> BodyMotion:
    """Sitting still, then standing up: `sit_down` backwards, ending where it stands."""
    down = sit_down(move_s=move_s, hold_s=hold_s, seat_deg=seat_deg, fps=fps)
    turned = {name: getattr(down, name)[::-1] for name in ("root_m", "trunk_deg", "ankle_m", "arm_deg")}
    labels = (Segment("sitting", 0.0, hold_s), Segment("standing up", hold_s, hold_s + move_s))
    return replace(down, **turned, labels=labels)

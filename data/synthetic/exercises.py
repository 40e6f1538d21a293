"""Exercises done by the synthetic body: every repetition's depth and every fault is set, so all findings are known.

A depth is a part of a full repetition: `(1, 1, 0.4, 1)` is three repetitions and one that was broken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from motionqa.data.synthetic.body import BodyMotion, BodyShape, labelled, neutral, smooth_step

Array = np.ndarray
SHAPE = BodyShape()
WRISTS = ("left_wrist", "right_wrist")


def effort(depths: Sequence[float], *, out_s: float = 1.0, back_s: float = 1.0, rest_s: float = 0.4, fps: float = 30.0):
    """0 at rest to each depth and back, minimum-jerk both ways, a pause before each and after the last; [T]."""
    rest = np.zeros(round(rest_s * fps))
    parts = [rest]
    for depth in depths:
        out = smooth_step((np.arange(round(out_s * fps)) + 1) / round(out_s * fps))
        back = 1 - smooth_step((np.arange(round(back_s * fps)) + 1) / round(back_s * fps))
        parts += [depth * out, depth * back, rest]
    return np.concatenate(parts)


def _sank(knee_deg: Float[Array, "T"]) -> Float[Array, "T"]:
    """How far the hip comes down over the ankle when the knee bends, metres."""
    a, b = SHAPE.thigh, SHAPE.shank
    return np.maximum(0.995 * SHAPE.leg - np.sqrt(a * a + b * b + 2 * a * b * np.cos(np.radians(knee_deg))), 0.0)


def squat_set(
    depths: Sequence[float] = (1, 1, 1),
    *,
    knee_deg: float = 105.0,
    lean_deg: float = 35.0,
    shift_m: float = 0.0,
    fps: float = 30.0,
    **timing: float,
) -> BodyMotion:
    """Squats to `knee_deg` of knee bend, the trunk leaning to `lean_deg`, the hips `shift_m` to the left."""
    x = effort(depths, fps=fps, **timing)
    m = neutral(len(x), fps)
    root, arms, trunk, ankle = m.root_m.copy(), m.arm_deg.copy(), m.trunk_deg.copy(), m.ankle_m.copy()
    ankle[:, :, 0] *= 1.8
    root[:, 1] -= _sank(knee_deg * x)
    root[:, 2] -= 0.10 * x
    root[:, 0] += shift_m * x
    arms[:, :, 0] += 60 * x[:, None]
    trunk[:, 0] = lean_deg * x
    m = replace(m, root_m=root, arm_deg=arms, trunk_deg=trunk, ankle_m=ankle)
    return labelled(m, "squatting", "left_knee", "right_knee")


def deadlift_set(
    depths: Sequence[float] = (1, 1, 1), *, lean_deg: float = 75.0, knee_deg: float = 30.0, fps: float = 30.0,
    **timing: float,
) -> BodyMotion:  # fmt: skip
    """Hip hinges: the trunk leans to `lean_deg`, the hips go back, the knees bend to `knee_deg`, the arms hang."""
    x = effort(depths, fps=fps, **timing)
    m = neutral(len(x), fps)
    root, arms, trunk = m.root_m.copy(), m.arm_deg.copy(), m.trunk_deg.copy()
    root[:, 1] -= _sank(knee_deg * x) + 0.01 * x
    root[:, 2] -= 0.16 * x
    trunk[:, 0] = lean_deg * x
    arms[:, :, 0] += lean_deg * x[:, None]
    return labelled(replace(m, root_m=root, arm_deg=arms, trunk_deg=trunk), "bending forward", "thorax")


def curl_set(
    depths: Sequence[float] = (1, 1, 1), *, elbow_deg: float = 140.0, swing_deg: float = 0.0,
    lean_back_deg: float = 0.0, fps: float = 30.0, **timing: float,
) -> BodyMotion:  # fmt: skip
    """Curls of both arms to `elbow_deg`; the upper arm swings forward and the trunk leans back where asked."""
    x = effort(depths, fps=fps, **timing)
    m = neutral(len(x), fps)
    arms, trunk = m.arm_deg.copy(), m.trunk_deg.copy()
    arms[:, :, 2] += (elbow_deg - arms[:, :, 2]) * x[:, None]
    arms[:, :, 0] += swing_deg * x[:, None]
    trunk[:, 0] = -lean_back_deg * x
    return labelled(replace(m, arm_deg=arms, trunk_deg=trunk), "bending both elbows", *WRISTS)


def press_set(
    depths: Sequence[float] = (1, 1, 1), *, elbow_deg: float = 10.0, lean_back_deg: float = 0.0, fps: float = 30.0,
    **timing: float,
) -> BodyMotion:  # fmt: skip
    """Overhead presses: from the shoulders to the arms overhead, the elbows straightened to `elbow_deg`."""
    x = effort(depths, fps=fps, **timing)
    m = neutral(len(x), fps)
    arms, trunk = m.arm_deg.copy(), m.trunk_deg.copy()
    rack, top = np.array([30.0, 45.0, 140.0]), np.array([60.0, 155.0, elbow_deg])
    arms[:] = rack + x[:, None, None] * (top - rack)
    trunk[:, 0] = -lean_back_deg * x
    return labelled(replace(m, arm_deg=arms, trunk_deg=trunk), "raising both arms", *WRISTS)


def _prone(elbow: Float[Array, "T"], sag_deg: Float[Array, "T"], fps: float) -> BodyMotion:
    """The body on hands and toes, facing +Z: hands under the shoulders, elbows bent, hips sagging by an angle."""
    s, m = SHAPE, neutral(len(elbow), fps)
    bend, sag = np.radians(elbow), np.radians(sag_deg)
    reach = np.sqrt(s.upper_arm**2 + s.forearm**2 + 2 * s.upper_arm * s.forearm * np.cos(bend))
    leg, foot_height = 0.995 * s.leg, 0.12
    line = np.sqrt(leg**2 + s.trunk**2 + 2 * leg * s.trunk * np.cos(sag))
    rise = np.arcsin((reach + 0.03 - foot_height) / line)
    leg_up = rise - np.arcsin(s.trunk * np.sin(sag) / line)
    lean = np.pi / 2 - (leg_up + sag)
    root, trunk, ankle, arms = m.root_m.copy(), m.trunk_deg.copy(), m.ankle_m.copy(), m.arm_deg.copy()
    ankle[:, :, 1], ankle[:, :, 2] = foot_height, -0.8
    root[:, 1] = foot_height + leg * np.sin(leg_up) + s.hip_drop
    root[:, 2] = -0.8 + leg * np.cos(leg_up)
    trunk[:, 0] = np.degrees(lean)
    turned = np.arctan2(s.forearm * np.sin(bend), s.upper_arm + s.forearm * np.cos(bend))
    arms[:, :, 0] = np.degrees(lean - turned)[:, None]
    arms[:, :, 1], arms[:, :, 2] = 6.0, elbow[:, None]
    return replace(
        m, root_m=root, trunk_deg=trunk, ankle_m=ankle, arm_deg=arms, toe_deg=np.full((len(elbow), 2), -70.0)
    )


def push_up_set(
    depths: Sequence[float] = (1, 1, 1), *, elbow_deg: float = 95.0, sag_deg: float = 0.0, fps: float = 30.0,
    **timing: float,
) -> BodyMotion:  # fmt: skip
    """Push-ups to `elbow_deg` of elbow bend with the hips hanging by `sag_deg` (negative: piked)."""
    x = effort(depths, fps=fps, **timing)
    return labelled(
        _prone(5 + (elbow_deg - 5) * x, np.full(len(x), float(sag_deg)), fps), "in a push-up position", *WRISTS
    )


def plank_hold(hold_s: float = 6.0, *, sag_deg: float = 0.0, sag_end_deg: float | None = None, fps: float = 30.0):
    """A plank on straight arms, the hips going from one sag to the other over the hold."""
    frames = round(hold_s * fps)
    sag = np.linspace(sag_deg, sag_deg if sag_end_deg is None else sag_end_deg, frames)
    return labelled(_prone(np.full(frames, 5.0), sag, fps), "in a push-up position", *WRISTS)


def sit_up_set(depths: Sequence[float] = (1, 1, 1), *, up_deg: float = 75.0, fps: float = 30.0, **timing: float):
    """Sit-ups from lying on the back, knees bent, the trunk rising to `up_deg` above the floor."""
    x = effort(depths, fps=fps, **timing)
    m = neutral(len(x), fps)
    root, trunk, ankle, arms = m.root_m.copy(), m.trunk_deg.copy(), m.ankle_m.copy(), m.arm_deg.copy()
    root[:, 1] = 0.12 + SHAPE.hip_drop
    ankle[:, :, 2] = 0.45
    trunk[:, 0] = -88 + up_deg * x
    arms[:] = np.array([30.0, 20.0, 120.0])
    return labelled(replace(m, root_m=root, trunk_deg=trunk, ankle_m=ankle, arm_deg=arms), "sitting up", "thorax")


def pull_up_set(depths: Sequence[float] = (1, 1, 1), *, elbow_deg: float = 125.0, fps: float = 30.0, **timing: float):
    """Pull-ups from a dead hang: the elbows bend to `elbow_deg` and the body rises, the hands stay at the bar."""
    x = effort(depths, fps=fps, **timing)
    m = neutral(len(x), fps)
    root, ankle, arms = m.root_m.copy(), m.ankle_m.copy(), m.arm_deg.copy()
    elbow = 8 + (elbow_deg - 8) * x
    bend = np.radians(elbow)
    reach = np.sqrt(SHAPE.upper_arm**2 + SHAPE.forearm**2 + 2 * SHAPE.upper_arm * SHAPE.forearm * np.cos(bend))
    rise = SHAPE.upper_arm + SHAPE.forearm - reach
    root[:, 1] += 0.35 + rise
    ankle[:, :, 1] += 0.34 + rise[:, None]
    turned = np.degrees(np.arctan2(SHAPE.forearm * np.sin(bend), SHAPE.upper_arm + SHAPE.forearm * np.cos(bend)))
    elevation = 172 - turned
    arms[:, :, 0] = (elevation * np.sin(np.radians(35)))[:, None]
    arms[:, :, 1] = (elevation * np.cos(np.radians(35)))[:, None]
    arms[:, :, 2] = elbow[:, None]
    toe = np.full((len(x), 2), -60.0)
    return labelled(replace(m, root_m=root, ankle_m=ankle, arm_deg=arms, toe_deg=toe), "pulling up", *WRISTS)


def lunge_set(
    depths: Sequence[float] = (1, 1), *, side: int = 1, knee_over_m: float = 0.0, fps: float = 30.0, **timing: float
) -> BodyMotion:
    """Forward lunges with one leg (0 left, 1 right), the pelvis `knee_over_m` further ahead than straight down."""
    x = effort(depths, fps=fps, **timing)
    m = neutral(len(x), fps)
    root, ankle, toe = m.root_m.copy(), m.ankle_m.copy(), m.toe_deg.copy()
    ankle[:, side, 2] += 0.75 * x
    ankle[:, side, 1] += 0.10 * np.sin(np.pi * np.clip(x, 0, 1)) ** 2
    root[:, 2] += (0.36 + knee_over_m) * x
    root[:, 1] -= 0.34 * x
    ankle[:, 1 - side, 1] += 0.10 * x
    toe[:, 1 - side] = -np.degrees(np.arcsin(np.clip(0.10 * x / SHAPE.foot, 0, 1))) * 0.98
    name = ("left", "right")[side]
    return labelled(replace(m, root_m=root, ankle_m=ankle, toe_deg=toe), f"lunging with the {name} leg", f"{name}_knee")

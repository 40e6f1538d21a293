"""Postures in words: squatting, lunging, kneeling, sitting, lying, push-up position, hands and knees, upside down."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

from motionqa.data.schema import Segment
from motionqa.encoders.kinematics.body import filled, runs
from motionqa.encoders.kinematics.measures import SIDES, Measures, segment

ANKLES = ("left_ankle", "right_ankle")
Array = np.ndarray
KNEES = ("left_knee", "right_knee")


def on_floor(m: Measures) -> Bool[Array, "T"]:
    """Frames with the trunk level and the body carried by more than the feet: lying, on the knees, on the hands."""
    knees = np.fmin(*[m.above_lowest(f"{s}_knee") for s in SIDES]) < 0.16
    hands = np.fmin(*[m.above_lowest(f"{s}_wrist") for s in SIDES]) < 0.14
    straight = np.minimum(*[m.angle(f"{s}_knee_flexion") for s in SIDES]) < 50
    held = (m.pelvis_height < 0.42) | knees | (hands & straight & (m.pelvis_height < 0.7))
    return (m.trunk_up < m.config.lying_deg) & held


def low_postures(m: Measures) -> Iterator[Segment]:
    """Squats, lunges, kneeling and sitting: the pelvis low over the feet, outside gait and jumps."""
    if not m.feet.judged:
        return
    low = (m.drop > m.config.low_drop) & ~m.in_gait & ~m.in_flight & ~on_floor(m)
    spans: list[tuple[str, int, int]] = []
    for a, b in runs(low):
        margin = m.body.frames(0.15)
        if (b - a + 1) / m.fps < m.config.low_min_s or m.in_flight[max(0, a - margin) : b + margin + 1].any():
            continue  # the crouch before a jump and its landing belong to the jump
        name = _low_name(m, a, b)
        if not name:
            continue
        first, last = widened(m.drop, a, b)
        if name == "sitting":
            yield from _sitting(m, a, b, first, last)
        elif spans and spans[-1][0] == name and first - spans[-1][2] <= m.body.frames(1.5):
            spans[-1] = (name, spans[-1][1], last)
        else:
            spans.append((name, first, last))
    for name, first, last in spans:
        yield segment(m, name, first, last, *KNEES)
        if name == "squatting":
            yield from _held(m, first, last)


def _low_name(m: Measures, a: int, b: int) -> str:
    """Which low posture frames a to b are, judged where the pelvis is lowest; "" where none fits."""
    part = slice(a, b + 1)
    deep = m.drop[part] >= m.drop[part].max() - 0.05
    fore = float(max(m.apart[0][part], key=abs))
    aside = float(np.median(m.apart[1][part][deep]))
    knees = [float(np.median(m.angle(f"{s}_knee_flexion")[part][deep])) for s in SIDES]
    knee_height = [
        np.nanmedian(np.append((m.body[f"{s}_knee"][part, 1] - np.fmin(*[m.body[x][part, 1] for x in ANKLES])), 9))
        for s in SIDES
    ]
    if min(knee_height) < 0.12 * m.body.leg_m:
        return "kneeling"
    thighs = [float(np.median(m.angle(f"{s}_hip_flexion")[part][deep])) for s in SIDES]
    if abs(thighs[0] - thighs[1]) > 40 and max(thighs) > 40:
        return f"lunging with the {'left' if thighs[0] > thighs[1] else 'right'} leg"
    if abs(fore) > 0.37:
        return f"lunging with the {'left' if fore > 0 else 'right'} leg"
    if not m.body.pose.planar and float(np.percentile(m.balance[part], 10)) < -m.config.unbalanced:
        return "sitting"
    if abs(aside) > 0.75 and abs(knees[0] - knees[1]) > 30:
        return f"lunging sideways to the {'left' if knees[0] > knees[1] else 'right'}"
    return "squatting" if min(knees) >= m.config.squat_knee_deg else ""


def widened(x: Float[Array, "T"], a: int, b: int, part: float = 0.07) -> tuple[int, int]:
    """Frames a to b grown outwards down to where the signal stops falling or reaches a part of its peak."""
    floor = part * x[a : b + 1].max()
    while a > 0 and floor < x[a - 1] <= x[a] + 1e-3:
        a -= 1
    while b < len(x) - 1 and floor < x[b + 1] <= x[b] + 1e-3:
        b += 1
    return a, b


def _steady(m: Measures, a: int, b: int) -> tuple[int, int] | None:
    """The longest stretch near the lowest point in which the pelvis hardly rises or falls, or None below `hold_s`."""
    rate = np.abs(np.gradient(m.drop, 1 / m.fps))[a : b + 1]
    near = m.drop[a : b + 1] > 0.75 * m.drop[a : b + 1].max()
    still = runs((rate < 0.12) & near)
    first, last = max(still, key=lambda r: r[1] - r[0], default=(0, -1))
    return (a + first, a + last) if (last - first + 1) / m.fps >= m.config.hold_s else None


def _held(m: Measures, first: int, last: int) -> Iterator[Segment]:
    steady = _steady(m, first, last)
    if steady:
        yield segment(m, "holding a squat", *steady, *KNEES)


def _sitting(m: Measures, a: int, b: int, first: int, last: int) -> Iterator[Segment]:
    """Going down, sitting, getting up; each only where the clip shows it."""
    near = runs(m.drop[a : b + 1] > 0.93 * m.drop[a : b + 1].max())
    seated = (a + near[0][0], a + near[-1][1])
    joints = ("pelvis", *KNEES)
    if first > 0 and seated[0] > first:
        yield segment(m, "sitting down", first, seated[0], *joints)
    if (seated[1] - seated[0]) / m.fps >= 0.15:
        yield segment(m, "sitting", *seated, *joints)
    if last < len(m.body) - 1 and last > seated[1]:
        yield segment(m, "standing up", seated[1], last, *joints)


def floor(m: Measures) -> Iterator[Segment]:
    """Lying, push-up position, hands and knees, upside down."""
    if m.body.pose.planar or m.body.seen("pelvis") < 0.3 or m.body.seen("thorax") < 0.3:
        return
    face = np.cross(m.body.pelvis_left, m.body.trunk)[:, 1]
    left, right = ((m.body[f"{s}_shoulder"] - m.body[f"{s}_wrist"])[:, 1] for s in SIDES)
    support = np.nan_to_num(np.fmax(left, right))
    for a, b in runs(on_floor(m) & (m.trunk_up > -45)):
        if (b - a + 1) / m.fps < 0.3:
            continue
        part = slice(a, b + 1)
        chest = float(np.median(filled(face[part])))
        on_hands = float(np.median(support[part])) > 0.55 * m.body.arm_m
        bent = np.median([m.angle(f"{s}_knee_flexion")[part] for s in SIDES]) > 60
        if abs(chest) < 0.5:
            name = "lying on the side"
        elif chest > 0:
            name = "lying on the back"
        elif on_hands:
            name = "on hands and knees" if bent else "in a push-up position"
        else:
            name = "lying face down"
        yield segment(m, name, a, b, "pelvis", "thorax")
    for a, b in runs(m.trunk_up < -30):
        if (b - a + 1) / m.fps >= 0.12 and m.pelvis_height[a : b + 1].max() > 0.3:
            yield segment(m, "upside down", a, b, "pelvis", "thorax")

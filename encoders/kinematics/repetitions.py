"""Repetitions: the same movement done again and again, with the moments it starts, turns and ends.

Every angle that moves enough is cut into cycles at its prominent peaks. The signal with the largest excursion for its
kind wins; signals that rise and fall with it are the same movement and only lend their joints. Steps of walking and
running are not repetitions; they are counted in `gait`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.signal import correlate, find_peaks

from motionqa.data.schema import Repetition, RepetitionSet
from motionqa.encoders.kinematics.arm_segments import wave_points
from motionqa.encoders.kinematics.body import filled
from motionqa.encoders.kinematics.measures import SIDES, Measures

Array = np.ndarray
EDGE = 0.10
"""A repetition starts and ends where the signal has left or come back to within this part of the excursion."""


@dataclass(frozen=True, eq=False)
class Signal:
    """A candidate: what it is, its values, the least excursion worth counting and a full excursion of its kind."""

    name: str
    values: Float[Array, "T"]
    unit: str
    joints: tuple[str, ...]
    least: float
    full: float
    part: str
    """`legs`, `arms` or `trunk`: legs and trunk are not counted during gait."""


@dataclass(frozen=True, eq=False)
class _Found:
    signal: Signal
    cycles: list[tuple[int, int, int, float]]
    """Frames of start, turn and end, and depth."""

    @property
    def frames(self) -> slice:
        return slice(self.cycles[0][0], self.cycles[-1][2] + 1)

    @property
    def weight(self) -> float:
        """Median depth against a full excursion of the kind."""
        return float(np.median([c[3] for c in self.cycles])) / self.signal.full


# Per joint angle: least excursion that is movement rather than sway, and a full one; degrees.
ANGLES = {
    "knee_flexion": (30.0, 100.0, "legs"),
    "hip_flexion": (25.0, 110.0, "legs"),
    "hip_abduction": (15.0, 45.0, "legs"),
    "shoulder_elevation": (30.0, 130.0, "arms"),
    "elbow_flexion": (35.0, 130.0, "arms"),
}
TRUNK = {
    "trunk_lean_forward": (25.0, 90.0),
    "trunk_lean_left": (15.0, 45.0),
    "trunk_twist_left": (25.0, 70.0),
}
ANGLE_JOINT = {"knee": "knee", "hip": "hip", "shoulder": "elbow", "elbow": "wrist"}
"""Which joint shows the movement of an angle."""


def _signals(m: Measures) -> list[Signal]:
    """Every candidate; both sides together where they move together."""
    out = []
    for name, (least, full, part) in ANGLES.items():
        pair = {s: m.smooth[f"{s}_{name}"] for s in SIDES if f"{s}_{name}" in m.smooth and _mostly_seen(m, s, name)}
        joint = ANGLE_JOINT[name.partition("_")[0]]
        words = name.replace("_", " ")
        alike = len(pair) == 2 and _together(pair["left"], pair["right"], least)
        if alike:
            both = (pair["left"] + pair["right"]) / 2
            out.append(Signal(words, both, "degrees", (f"left_{joint}", f"right_{joint}"), least, full, part))
        else:
            out += [Signal(f"{s} {words}", x, "degrees", (f"{s}_{joint}",), least, full, part) for s, x in pair.items()]
    for name, (least, full) in TRUNK.items():
        if name in m.smooth:
            out.append(Signal(name.replace("_", " "), m.smooth[name], "degrees", ("thorax",), least, full, "trunk"))
    return out


def _mostly_seen(m: Measures, side: str, name: str) -> bool:
    return float(np.isfinite(m.angles[f"{side}_{name}"].degrees).mean()) >= 0.5


def _together(left: Float[Array, "T"], right: Float[Array, "T"], least: float) -> bool:
    """Whether both sides move, by similar amounts and in step."""
    ranges = np.ptp(left), np.ptp(right)
    if min(ranges) < 0.8 * least or min(ranges) < 0.4 * max(ranges):
        return False
    return float(np.corrcoef(left, right)[0, 1]) > 0.6


def cycles(x: Float[Array, "T"], least: float) -> list[tuple[int, int, int, float]]:
    """(start, turn, end, depth) of each excursion of `x` upwards from rest and back, by at least `least`.

    Where the signal begins, ends and mostly stays high, the excursions counted are the downward ones. An excursion cut
    off by the start or end of the clip counts only if what is seen of it stands out by `least` on both sides.
    """
    if len(x) < 5 or np.ptp(x) < least:
        return []
    low, high = x.min() + 0.25 * np.ptp(x), x.max() - 0.25 * np.ptp(x)
    # At rest high (sitting between stands) only where it also stays there; a squat cut off below does not.
    rest_high = (x[0] + x[-1]) / 2 > (low + high) / 2 and np.sum(x > high) > 1.3 * np.sum(x < low)
    y = -x if rest_high else x
    # Half the largest excursion at least, so that wobble within a repetition is not another one.
    peaks, _ = find_peaks(y, prominence=max(least, 0.4 * np.ptp(y)))
    out = []
    for i, peak in enumerate(map(int, peaks)):
        before = int(peaks[i - 1]) if i else 0
        after = int(peaks[i + 1]) if i + 1 < len(peaks) else len(y) - 1
        low_before = before + int(np.argmin(y[before : peak + 1]))
        low_after = peak + int(np.argmin(y[peak : after + 1]))
        base = (y[low_before] + y[low_after]) / 2
        depth = float(y[peak] - base)
        # The higher of both rests: a slow drift to a lower one after the last repetition is not part of it.
        rest = float(max(y[low_before], y[low_after]))
        level = rest + EDGE * (float(y[peak]) - rest)
        start, end = _crossing(y, peak, low_before, level), _crossing(y, peak, low_after, level)
        out.append((start, peak, end, depth))
    return out


def _crossing(y: Float[Array, "T"], peak: int, towards: int, level: float) -> int:
    """Frame on the way from the peak to a low where the signal first comes down to a level."""
    step = 1 if towards > peak else -1
    path = y[peak : towards + step : step] if towards + step >= 0 else y[peak::step]
    below = np.flatnonzero(path <= level)
    return peak + step * int(below[0]) if len(below) else towards


def _similar(found: list[tuple[int, int, int, float]], m: Measures) -> list[tuple[int, int, int, float]]:
    """Cycles as deep as the others and about as long; empty where most are unlike each other."""
    if not found:
        return []
    depth = np.median([c[3] for c in found])
    length = np.median([c[2] - c[0] for c in found])
    kept = [
        c for c in found if c[3] >= m.config.similar * depth and c[2] - c[0] <= m.config.max_duration_ratio * length
    ]
    return kept if len(kept) >= 0.6 * len(found) else []


def repetitions(m: Measures) -> tuple[RepetitionSet, ...]:
    """One set per distinct movement done once or more, those of largest excursion first."""
    candidates: list[_Found] = []
    jumping = _jumps(m)
    for signal in _signals(m):
        values = cycles(signal.values, signal.least)
        if signal.part != "arms":
            values = [c for c in values if m.stepping[c[0] : c[2] + 1].mean() < 0.5]
        else:
            values = [
                c
                for c in values
                if m.stepping[c[0] : c[2] + 1].mean() < 0.5 or ("shoulder" in signal.name and c[3] > 80)
            ]
        if signal.part != "arms":
            values = [c for c in values if not m.in_flight[c[0] : c[2] + 1].any()]
        values = _similar(values, m)
        if values:
            candidates.append(_Found(signal, values))
    # Legs and trunk lead: in a squat the arms may swing further than the knees bend.
    lead = {"legs": 0.5, "trunk": 0.25, "arms": 0.0}
    candidates.sort(key=lambda f: -f.weight - lead[f.signal.part])
    chosen: list[_Found] = []
    joints: list[set[str]] = []
    for found in candidates:
        host = next((i for i, c in enumerate(chosen) if _same_movement(c, found, m)), None)
        if host is None:
            chosen.append(found)
            joints.append(set(found.signal.joints))
        elif found.weight > 0.5 * chosen[host].weight:
            joints[host] |= set(found.signal.joints)
    sets = [_as_set(f, j, m) for f, j in zip(chosen, joints, strict=True)]
    return (*jumping, *_waves(m), *sets)


def _jumps(m: Measures) -> tuple[RepetitionSet, ...]:
    """One repetition per jump, from take-off to landing; depth is how high the pelvis rises in flight."""
    t = m.body.times_s
    height = filled(m.body["pelvis"][:, 1]) * 100
    reps = []
    for a, b in m.flights:
        top = a + int(np.argmax(height[a : b + 1]))
        reps.append(Repetition(float(t[a]), float(t[top]), float(t[b]), float(height[top] - min(height[a], height[b]))))
    joints = ("pelvis", "left_ankle", "right_ankle")
    return (RepetitionSet("pelvis height", "cm", joints, tuple(reps), "jump"),) if reps else ()


def _waves(m: Measures) -> tuple[RepetitionSet, ...]:
    """Each hand's waves: to one side and back is one; both hands together where they wave at the same time."""
    t = m.body.times_s
    found: dict[str, list[Repetition]] = {}
    for side in SIDES:
        sideways = filled(m.body.relative(f"{side}_wrist", f"{side}_shoulder")[:, 0]) * 100
        for points in wave_points(m, side):
            period = 2 * (points[-1] - points[0]) / (len(points) - 1)
            for i in range(0, len(points), 2):
                a, b = points[i], points[min(i + 1, len(points) - 1)]
                end = min(len(t) - 1, round(a + period))
                rep = Repetition(float(t[a]), float(t[b]), float(t[end]), abs(float(sideways[b] - sideways[a])))
                found.setdefault(side, []).append(rep)
    if len(found) == 2:
        left, right = (found[s] for s in SIDES)
        together = left[0].start_s < right[-1].end_s and right[0].start_s < left[-1].end_s
        if together and abs(len(left) - len(right)) <= max(1, 0.2 * len(left)):
            joints = ("left_wrist", "right_wrist")
            return (RepetitionSet("hands sideways", "cm", joints, tuple(max(left, right, key=len)), "wave"),)
    return tuple(RepetitionSet(f"{s} hand sideways", "cm", (f"{s}_wrist",), tuple(r), "wave") for s, r in found.items())


def _same_movement(host: _Found, other: _Found, m: Measures) -> bool:
    """Whether two signals are one movement: they overlap and correlate, in phase where they are on opposite sides."""
    shared = min(host.frames.stop, other.frames.stop) - max(host.frames.start, other.frames.start)
    shorter = min(host.frames.stop - host.frames.start, other.frames.stop - other.frames.start)
    if shared < 0.5 * shorter:
        return False
    part = slice(min(host.frames.start, other.frames.start), max(host.frames.stop, other.frames.stop))
    a, b = host.signal.values[part], other.signal.values[part]
    a, b = a - a.mean(), b - b.mean()
    scale = np.linalg.norm(a) * np.linalg.norm(b)
    if scale < 1e-9:
        return True
    # A joint may lag another by a part of the repetition.
    lags = correlate(a, b, mode="full") / scale
    reach = max(1, round(0.2 * np.median([c[2] - c[0] for c in host.cycles])))
    near = lags[len(b) - 1 - reach : len(b) + reach]
    opposite = {j.partition("_")[0] for j in host.signal.joints + other.signal.joints} >= {"left", "right"}
    single = len(host.signal.joints) == 1 and len(other.signal.joints) == 1
    limit = m.config.same_movement
    if opposite and single:
        return bool(near.max() > limit and np.corrcoef(a, b)[0, 1] > 0.3)
    return bool(np.abs(near).max() > limit) or len(other.cycles) <= 1


def _as_set(found: _Found, joints: set[str], m: Measures) -> RepetitionSet:
    t = m.body.times_s
    reps = tuple(Repetition(float(t[a]), float(t[p]), float(t[b]), depth) for a, p, b, depth in found.cycles)
    ordered = tuple(sorted(joints, key=lambda j: (j not in found.signal.joints, j)))
    return RepetitionSet(found.signal.name, found.signal.unit, ordered, reps)

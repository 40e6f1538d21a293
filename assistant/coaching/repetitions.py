"""The repetitions, strides or hold of a named exercise, each with its phases, and what was broken off or cut off.

Cycles are cut by `motionqa.encoders.kinematics.repetitions.cycles`; here the exercise says on which quantity, in
which direction and under which conditions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from motionqa.assistant.coaching.exercise import Bounds, Exercise, RepetitionRule
from motionqa.assistant.coaching.quantities import QUANTITIES, series
from motionqa.encoders.kinematics.body import filled, runs
from motionqa.encoders.kinematics.measures import Measures
from motionqa.encoders.kinematics.repetitions import cycles

Array = np.ndarray
SIDES = ("left", "right")
PARTIAL = 0.6
"""An excursion below this part of the usual one was broken off: it is told apart and not counted."""
CUT = 0.5
"""The clip begins or ends within a repetition where the signal is this part of the excursion away from rest."""
REST = 0.03
"""A repetition begins and ends within this part of the excursion of its rest."""
TURN = 0.1
"""The turning point lasts while the signal is within this part of the excursion of it."""
FAR_SIDE = 0.1
"""A side seen in this part of the frames less often than the other is not counted on. Ours: in push-ups filmed from the
side the far elbow was lost at the bottom, and 4 of 16 repetitions were counted."""
HOLD_S = 1.5
"""Shorter than this is passing through the position, not holding it."""
SLICE_S = 2.0
"""A hold is judged in slices of this length."""
State = Literal["complete", "partial", "cut"]


@dataclass(frozen=True)
class Cycle:
    """One repetition in frames: rest, way out, turning point, way back, rest."""

    start: int
    turn: int
    end: int
    depth: float
    side: str = ""
    """The side that worked, where they take turns; "" for both."""
    state: State = "complete"
    turn_from: int = 0
    turn_to: int = 0
    contact: int = 0
    """Frame of foot strike, for strides."""

    def frames(self, phase: str, kind: str) -> tuple[int, int]:
        """First and last frame of a phase; strides know `contact` and `whole`, slices of a hold `whole` alone."""
        if kind == "gait" and phase == "contact":
            return self.contact, min(self.contact + 1, self.end)
        if kind != "repetitions" or phase == "whole":
            return self.start, self.end
        spans = {"start": (self.start, self.start), "out": (self.start, self.turn), "back": (self.turn, self.end),
                 "turn": (self.turn_from, self.turn_to)}  # fmt: skip
        return spans.get(phase, (self.start, self.end))


@dataclass(frozen=True, eq=False)
class Counted:
    """Everything that was found of an exercise in a clip."""

    cycles: tuple[Cycle, ...]
    """Complete ones, in order of time."""
    broken: tuple[Cycle, ...] = ()
    """Partial ones, and those that the clip cuts off."""
    signal: Float[Array, "T"] | None = None
    """What they were counted on."""
    quantity: str = ""
    """Its name; empty for holds and strides."""
    missing: str = ""
    """Why nothing could be counted, in words."""


def count(m: Measures, exercise: Exercise) -> Counted:
    """The repetitions of an exercise (for holds its slices, for gait its strides)."""
    if not m.moving:
        return Counted((), missing="There are too few frames in which the person is seen.")
    if exercise.kind == "hold":
        return _hold(m, exercise)
    if exercise.kind == "gait":
        return _strides(m)
    assert exercise.repetition is not None
    return _repetitions(m, exercise.repetition)


# --------------------------------------------------------------------------------------- repetitions


def counted_signals(m: Measures, rule: RepetitionRule) -> list[tuple[str, Float[Array, "T"]]]:
    """(side, values) of what repetitions are counted on; empty where it was never seen."""
    if not QUANTITIES[rule.quantity].sided:
        x = series(m, rule.quantity)
        return [("", filled(x))] if _seen(x) else []
    raw = {s: series(m, rule.quantity, s) for s in SIDES}
    sides = {s: filled(x) for s, x in raw.items() if _seen(x)}
    if len(sides) < 2:
        return [("" if rule.counted == "both" else s, x) for s, x in sides.items()]
    both = np.stack(list(sides.values()))
    if rule.counted == "most":
        return [("", both.max(axis=0) if rule.turn == "high" else both.min(axis=0))]
    moving = [s for s, x in sides.items() if np.ptp(x) >= rule.least]
    # Sides that take turns, or of which one rests, are counted apart.
    if rule.counted == "each" and moving and (len(moving) == 1 or np.corrcoef(both)[0, 1] < 0.3):
        return [(s, sides[s]) for s in moving]
    left, right = (float(np.isfinite(raw[s]).mean()) for s in SIDES)
    if abs(left - right) > FAR_SIDE:
        # The far side is hidden part of the time, mostly where the bend is deepest: its gaps would halve the mean.
        return [("", sides["left" if left > right else "right"])]
    return [("", both.mean(axis=0))]


def _seen(x: Float[Array, "T"]) -> bool:
    return bool(np.isfinite(x).mean() >= 0.4)


def _repetitions(m: Measures, rule: RepetitionRule) -> Counted:
    found = _found(m, rule)
    if not found.cycles and not found.broken and rule.instead is not None:
        other = _found(m, rule.instead)
        return other if other.cycles or other.broken or found.missing else found
    return found


def _found(m: Measures, rule: RepetitionRule) -> Counted:
    """The repetitions by one rule, whatever stands in its place."""
    signals = counted_signals(m, rule)
    quantity = QUANTITIES[rule.quantity]
    if not signals:
        return Counted((), missing=f"Repetitions can not be counted: the {quantity.words.split(';')[0]} is not seen.")
    whole: list[Cycle] = []
    broken: list[Cycle] = []
    for side, x in signals:
        found = [c for c in _cycles(x if rule.turn == "high" else -x, rule.least, side) if _allowed(m, rule, c)]
        usual = float(np.median([c.depth for c in found if c.state == "complete"] or [0.0]))
        for c in found:
            partial = c.state == "complete" and c.depth < PARTIAL * usual
            (broken if partial or c.state != "complete" else whole).append(_with_state(c, "partial") if partial else c)
    whole.sort(key=lambda c: c.turn)
    return Counted(tuple(whole), tuple(sorted(broken, key=lambda c: c.turn)), signals[0][1], quantity.name)


def _with_state(c: Cycle, state: State) -> Cycle:
    return Cycle(c.start, c.turn, c.end, c.depth, c.side, state, c.turn_from, c.turn_to)


def _cycles(y: Float[Array, "T"], least: float, side: str) -> list[Cycle]:
    """Excursions of `y` upwards from rest. Rest is put before and after, so that direction is never guessed."""
    frames = len(y)
    rest = float(np.percentile(y, 8))
    padded = np.concatenate([np.full(3, min(rest, y[0])), y, np.full(3, min(rest, y[-1]))])
    out = []
    for first, peak, last, depth in cycles(padded, least):
        start, turn, end = (int(np.clip(i - 3, 0, frames - 1)) for i in (first, peak, last))
        base = float(y[turn]) - depth
        start, end = _to_rest(y, start, -1, base + REST * depth), _to_rest(y, end, 1, base + REST * depth)
        cut = any(edge and y[i] - base > CUT * depth for edge, i in ((start == 0, 0), (end == frames - 1, frames - 1)))
        near = y >= y[turn] - TURN * depth
        a, b = next(((a, b) for a, b in runs(near) if a <= turn <= b), (turn, turn))
        a, b = max(a, start), min(b, end)
        out.append(Cycle(start, turn, end, depth, side, "cut" if cut else "complete", a, b))
    return out


def _to_rest(y: Float[Array, "T"], frame: int, step: int, level: float) -> int:
    """Frame outwards of a repetition's edge where the signal reaches a level or stops falling."""
    while 0 <= frame + step < len(y) and y[frame] > level and y[frame + step] < y[frame]:
        frame += step
    return frame


def _allowed(m: Measures, rule: RepetitionRule, c: Cycle) -> bool:
    part = slice(c.start, c.end + 1)
    if (
        (c.end - c.start) / m.fps < rule.shortest_s
        or c.end <= c.start
        or (not rule.steps and m.stepping[part].mean() > 0.5)
    ):
        return False
    return all(bound.membership(_statistic(m, bound, part, c.side)) > 0 for bound in rule.during)


def _statistic(m: Measures, bound: Bounds, part: slice, working: str) -> float:
    """A bound's quantity over some frames; NaN where it was not seen, which no limits allow."""
    side = (working or "both") if bound.side == "working" else bound.side
    return statistic(combined(m, bound.quantity, side)[part], bound.statistic)


def combined(m: Measures, quantity: str, side: str) -> Float[Array, "T"]:
    """One side of a quantity, or both as one series: their mean, the larger, the smaller, or how far apart they are."""
    if not QUANTITIES[quantity].sided:
        return series(m, quantity)
    if side in SIDES:
        return series(m, quantity, side)
    both = np.stack([series(m, quantity, s) for s in SIDES])
    if side == "difference":
        return np.abs(both[0] - both[1])
    seen = np.isfinite(both).any(axis=0)
    joined = {"both": np.nansum(both, 0) / np.maximum(np.isfinite(both).sum(0), 1),
              "most": np.fmax(*both), "least": np.fmin(*both)}["both" if side == "working" else side]  # fmt: skip
    return np.where(seen, joined, np.nan)


def statistic(values: Float[Array, "N"], name: str) -> float:
    """Mean, median, or a maximum, minimum or range that single frames do not make; NaN without values."""
    good = values[np.isfinite(values)]
    if len(good) == 0:
        return float("nan")
    low, high = (float(np.percentile(good, p)) for p in ((3, 97) if len(good) > 20 else (0, 100)))
    return {"mean": float(good.mean()), "median": float(np.median(good)), "max": high, "min": low, "range": high - low}[
        name
    ]


# ---------------------------------------------------------------------------------- holds and strides


def _hold(m: Measures, exercise: Exercise) -> Counted:
    """The longest stretch in which the position is held, in slices."""
    inside = np.ones(len(m.body), dtype=bool)
    for bound in exercise.recognise:
        if bound.statistic in ("median", "mean"):
            x = filled(combined(m, bound.quantity, bound.side))
            inside &= (x >= bound.limits[0]) & (x <= bound.limits[3])
    spans = [(a, b) for a, b in runs(_closed(inside, m.body.frames(0.7))) if (b - a) / m.fps >= HOLD_S]
    if not spans:
        return Counted((), missing=f"No {exercise.noun} is held for {HOLD_S:g} seconds or more.")
    first, last = max(spans, key=lambda s: s[1] - s[0])
    slices = max(1, round((last - first) / m.fps / SLICE_S))
    edges = np.linspace(first, last, slices + 1).round().astype(int)
    found = [Cycle(int(a), int((a + b) // 2), int(b), 0.0, turn_from=int(a), turn_to=int(b))
             for a, b in zip(edges[:-1], edges[1:], strict=True)]  # fmt: skip
    return Counted(tuple(found))


def _closed(mask: Array, frames: int) -> Array:
    out = mask.copy()
    for a, b in runs(~mask):
        if a > 0 and b < len(mask) - 1 and b - a + 1 <= frames:
            out[a : b + 1] = True
    return out


def _strides(m: Measures) -> Counted:
    """From one step to the next of the same side. A step is where the feet are farthest apart, at foot strike."""
    if not m.gait:
        return Counted((), missing="No steps in a row were found; film some metres of walking or running.")
    fore, _ = m.apart
    found = []
    for bout in m.gait:
        for a, b in zip(bout.steps[:-2], bout.steps[2:], strict=True):
            side = "left" if fore[a] > 0 else "right"
            between = next(s for s in bout.steps if a < s < b)
            found.append(Cycle(a, between, b, 0.0, side, "complete", between, between, contact=a))
    if not found:
        return Counted((), missing="Fewer than three steps in a row are seen.")
    return Counted(tuple(sorted(found, key=lambda c: c.start)))

"""Which exercise it is: every exercise says what it looks like in measured quantities, the best fit wins.

Where the clip was read by the released reader of actions, and that reader has a name for some of the exercises
(`actions` in the rule files), the fit is weighed with what it read. It knows squats, arm curls, lunges, walking and
running. What it has no name for it may call something else, so it has half a say at most, and an exercise that it
did not read keeps a share (both ours).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motionqa.assistant.coaching.exercise import Bounds, Exercise, Rules
from motionqa.assistant.coaching.repetitions import Counted, combined, count, statistic
from motionqa.data.reading import MotionReading
from motionqa.encoders.kinematics.body import runs
from motionqa.encoders.kinematics.measures import Measures

UNSURE = 0.35
"""Below this confidence no exercise is named."""
STANDING = "stand"
READER_WEIGHT = 0.5
"""How much a reading that is all exercise and all sure counts beside the rules."""
READ_OTHERWISE = 0.2
"""What an exercise keeps of the reader's side where another one was read."""


@dataclass(frozen=True)
class Guess:
    """An exercise, how sure it is, and whether a person named it."""

    name: str
    confidence: float
    named_by_user: bool = False
    read: bool = False
    """Whether the reader of actions had a say."""

    @property
    def how(self) -> str:
        """By whom it was named, in words."""
        if self.named_by_user:
            return "named by you"
        by = "rules and the reader of actions" if self.read else "rules"
        return f"recognised by {by}, confidence {self.confidence:.2f}"


def recognise(m: Measures, rules: Rules, reading: MotionReading | None = None) -> tuple[Guess, ...]:
    """Every exercise that fits at all, best first. Confidence is the fit, halved where a second one fits as well.

    The fit is the geometric mean of the memberships of all bounds, taken over the part of the clip in which the
    exercise was found; 0 where nothing can be counted. A `reading` draws it towards what was read.
    """
    read = read_shares(reading, rules)
    said = READER_WEIGHT * sum(read.values())
    fits = {}
    for name, exercise in rules.exercises.items():
        by_reader = max(READ_OTHERWISE, read.get(name, 0.0) / max(sum(read.values()), 1e-9))
        fits[name] = _fit(m, exercise) ** (1 - said) * by_reader**said
    ranked = sorted(((f, n) for n, f in fits.items() if f > 0), reverse=True)
    out = []
    for fit, name in ranked:
        rival = max((f for f, n in ranked if n != name), default=0.0)
        out.append(Guess(name, round(fit / (1 + (rival / fit) ** 4), 2), read=bool(read)))
    return tuple(sorted(out, key=lambda g: -g.confidence))


def read_shares(reading: MotionReading | None, rules: Rules) -> dict[str, float]:
    """For each exercise that was read, the share of the named movement that it takes, times its probability.

    Standing and movements without a name do not count; empty where no exercise was read.
    """
    named = [a for a in (reading.actions if reading else ()) if a.name and a.name != STANDING]
    total = sum(a.end_s - a.start_s for a in named)
    out = {
        name: sum((a.end_s - a.start_s) * a.probability for a in named if a.name in exercise.actions) / total
        for name, exercise in rules.exercises.items()
        if total > 0
    }
    return {name: share for name, share in out.items() if share > 0}


def _fit(m: Measures, exercise: Exercise) -> float:
    counted = count(m, exercise)
    cycles = counted.cycles or tuple(c for c in counted.broken if c.state == "cut")
    if not cycles:
        return 0.0
    first, last = cycles[0].start, cycles[-1].end
    values = [_membership(m, bound, slice(first, last + 1)) for bound in exercise.recognise]
    if exercise.kind == "repetitions":
        busy = _busy(m, counted)
        values.append(np.clip((busy - 0.05) / 0.25, 0.0, 1.0))
    whole = 1.0 if counted.cycles else 0.5
    return whole * float(np.prod(values) ** (1 / len(values)))


def _membership(m: Measures, bound: Bounds, part: slice) -> float:
    values = combined(m, bound.quantity, bound.side)[part]
    value = statistic(values, bound.statistic) if np.isfinite(values).mean() > 0.3 else np.nan
    # What was not seen speaks neither for nor against, but less than what was seen.
    return bound.membership(value) if np.isfinite(value) else 0.6


def _busy(m: Measures, counted: Counted) -> float:
    """Part of the clip, still moments aside, that the repetitions take."""
    mask = np.zeros(len(m.body), dtype=bool)
    for c in (*counted.cycles, *counted.broken):
        mask[c.start : c.end + 1] = True
    moving = np.asarray(m.joint_speed > 0.5 * m.config.still_speed) | mask
    spans = runs(moving)
    total = sum(b - a + 1 for a, b in spans)
    return float(mask.sum()) / total if total else 0.0

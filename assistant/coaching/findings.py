"""What the coach found: faults, good points, and what can not be judged, each with its time, value and certainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from motionqa.assistant.coaching.exercise import Check, Exercise
from motionqa.assistant.coaching.quantities import Unit
from motionqa.assistant.coaching.wording import capital, shown, which

Kind = Literal["fault", "good", "unjudged", "note"]
Severity = Literal["major", "moderate", "minor", ""]
RANK: dict[str, int] = {"major": 3, "moderate": 2, "minor": 1, "": 0}


@dataclass(frozen=True)
class Moment:
    """One repetition's value of a check, and when it was taken."""

    repetition: int
    """1 is the first."""
    start_s: float
    end_s: float
    at_s: float
    value: float
    missed_by: float
    """Beyond the target, 0 within; the tolerance is not taken off."""
    side: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing to say. Faults and good points carry the check they come from; notes are about the whole set."""

    kind: Kind
    title: str
    text: str
    """The plain sentence: what, when, how much, against what."""
    start_s: float
    end_s: float
    severity: Severity = ""
    part: str = ""
    joints: tuple[str, ...] = ()
    value: float | None = None
    """The most telling value: of the worst repetition for a fault, the median for a good point."""
    unit: Unit | None = None
    target: str = ""
    uncertainty: float | None = None
    """How far the value may be off, in its unit."""
    confidence: float = 1.0
    """0 to 1: joints, view and distance from the limit together."""
    moments: tuple[Moment, ...] = ()
    """The repetitions it speaks of."""
    judged: int = 0
    """How many repetitions could be judged."""
    check: Check | None = None

    @property
    def id(self) -> str:
        """The check's id, or the title."""
        return self.check.id if self.check else self.title

    @property
    def worst(self) -> Moment | None:
        """The moment to show: the repetition that misses most."""
        return max(self.moments, key=lambda m: m.missed_by, default=None)

    @property
    def repetitions(self) -> tuple[int, ...]:
        """Numbers of the repetitions it speaks of."""
        return tuple(dict.fromkeys(m.repetition for m in self.moments))

    @property
    def weight(self) -> float:
        """How important it is: severity first, then how far the target is missed, how often, and how surely."""
        if self.kind != "fault" or self.check is None:
            return 0.0
        share = len(self.repetitions) / max(self.judged, 1)
        over = min((self.worst.missed_by if self.worst else 0.0) / max(self.check.tolerance, 1e-6), 5.0)
        return RANK[self.severity] * 2 + share + 0.3 * over + self.confidence


@dataclass(frozen=True)
class RepetitionRow:
    """One line of the table: when, how long, how far, and every judged value."""

    number: int
    start_s: float
    end_s: float
    out_s: float
    back_s: float
    range: float
    unit: str
    side: str
    values: dict[str, float]
    """By check id."""
    faults: tuple[str, ...]
    """Ids of the checks it fails."""


def fault_text(
    check: Check, exercise: Exercise, moments: tuple[Moment, ...], total: int, target: str, likely: bool
) -> str:
    """What is wrong, when, by how much: one sentence, and the value's moment."""
    worst = max(moments, key=lambda m: m.missed_by)
    numbers = tuple(dict.fromkeys(m.repetition for m in moments))
    where = which(numbers, total, exercise.kind, exercise.noun)
    reading = read(check, worst.value)
    if worst.side and check.side in ("worst", "working"):
        reading = _with_side(reading, worst.side)
    when = f"at {worst.at_s:.1f} s" if len(moments) == 1 else f"at worst, at {worst.at_s:.1f} s,"
    hedge = " This is near the limit of what this camera can tell." if likely else ""
    return f"{capital(check.fault)} {where}: {when} {reading}; the target is {target}.{hedge}"


def read(check: Check, value: float) -> str:
    """A check's value in the rule file's words."""
    minus = value < 0 and bool(check.reading_minus)
    words = check.reading_minus if minus else check.reading
    return words.format(value=shown(-value if minus else value, check.measured.unit))


def _with_side(reading: str, side: str) -> str:
    """The side put before the first body part named with "the"."""
    return reading.replace("the ", f"the {side} ", 1) if reading.startswith("the ") else reading


def good_text(check: Check, value: float, target: str) -> str:
    """What is right, with the usual value."""
    return f"{capital(check.good)}: measured {shown(value, check.measured.unit)}, the target is {target}."

"""Exercises as data: what a repetition is, its phases, the checks and their thresholds. `exercise_file` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from motionqa.assistant.coaching.quantities import QUANTITIES, Quantity
from motionqa.data.schema import InputError


@dataclass(frozen=True)
class Bounds:
    """A quantity that must be within limits: between the first two membership rises, between the last two it falls."""

    quantity: str
    statistic: str
    side: str
    limits: tuple[float, float, float, float]

    def membership(self, value: float) -> float:
        """0 outside the outer limits, 1 inside the inner ones, straight in between."""
        a, b, c, d = self.limits
        if not a <= value <= d:
            return 0.0
        if value < b:
            return (value - a) / (b - a)
        return 1.0 if value <= c else (d - value) / (d - c)


@dataclass(frozen=True)
class RepetitionRule:
    """How a repetition is found: the excursions of one quantity from rest to a turning point and back."""

    quantity: str
    counted: str
    """`both` sides' mean, the side that shows `most`, or `each` side where they take turns."""
    turn: str
    """`high` or `low`: what the turning point is."""
    least: float
    """Smaller excursions are no repetition, in the quantity's unit."""
    steps: bool
    """Whether repetitions may be done while stepping."""
    shortest_s: float
    """Quicker excursions are no repetition."""
    during: tuple[Bounds, ...]
    """What must hold during a repetition, so that getting into position is not one."""
    instead: RepetitionRule | None = None
    """What is counted on where the quantity is not seen, or shows no repetition."""


@dataclass(frozen=True)
class Check:
    """One thing a coach looks at: a measurable quantity in a phase, its target, and what to say about it."""

    id: str
    title: str
    quantity: str
    side: str
    phase: str
    statistic: str
    at_least: float | None
    at_most: float | None
    tolerance: float
    severity: str
    views: tuple[str, ...]
    part: str
    """The body part in words."""
    reading: str
    """How the value is told, with `{value}`: "the knees bend to {value}"."""
    reading_minus: str
    """The same for values below 0, which are then told without a sign; empty where `reading` serves."""
    goal: str
    """The target in the coach's words, with `{least}` and `{most}`; empty for the plain "at least 95 degrees"."""
    fault: str
    good: str
    cause: str
    why: str
    cue: str
    drill: str
    coordination: str
    source: str

    @property
    def measured(self) -> Quantity:
        """The quantity with its unit and joints."""
        return QUANTITIES[self.quantity]

    def missed_by(self, value: float) -> float:
        """How far a value is outside the target, 0 inside; the tolerance is not yet taken off."""
        below = self.at_least - value if self.at_least is not None else 0.0
        above = value - self.at_most if self.at_most is not None else 0.0
        return max(below, above, 0.0)


@dataclass(frozen=True)
class Exercise:
    """Everything the coach knows about one exercise."""

    name: str
    title: str
    noun: str
    plural: str
    kind: str
    film: str
    """From where to film it."""
    repetition: RepetitionRule | None
    phases: dict[str, str]
    recognise: tuple[Bounds, ...]
    checks: tuple[Check, ...]
    path: Path
    actions: tuple[str, ...] = ()
    """What the reader of actions calls it; empty where it has no name for it."""
    evident: bool = False
    """Nothing else that people do looks like it: answers about a clip name and count it without being told."""

    def phase(self, name: str) -> str:
        """The coach's word for a phase."""
        return self.phases.get(name, name)


@dataclass(frozen=True)
class Rules:
    """The exercises that could be read, and what is wrong with the files that could not."""

    exercises: dict[str, Exercise]
    problems: tuple[str, ...] = ()

    def find(self, name: str) -> Exercise:
        """An exercise by name or title, however it is spelt. InputError naming the known ones, and broken files."""
        wanted = _plain(name)
        for exercise in self.exercises.values():
            if wanted in (
                _plain(exercise.name),
                _plain(exercise.title),
                _plain(exercise.plural),
                _plain(exercise.noun),
            ):
                return exercise
        for problem in self.problems:
            if problem.split(",")[0].split(":")[0].removesuffix(".toml").replace("_", "").replace("-", "") == wanted:
                raise InputError(problem)
        known = ", ".join(sorted(self.exercises))
        raise InputError(
            f"There are no rules for the exercise {name!r}; known are {known}. Add a file to the exercises."
        )


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())

"""What is measured of one movement: facts in sentences, angles, repetitions, phases and times, together a report.

`schema.py` gives these on with the other values that cross rooms. Axis legend: `T` frames, `J` joints. Times are
seconds from the start of the source file, lengths metres, angles degrees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Array = np.ndarray


@dataclass(frozen=True)
class Fact:
    """One measured sentence: what, when, which body part, how much."""

    text: str
    topic: str
    """What it is about: summary, order, count, time, speed, travel, turn, part, side, angle, posture, symmetry,
    contact, absence, view; of actions action, limb, after, before, first, last, longest, sequence, missing."""
    start_s: float
    end_s: float
    joints: tuple[str, ...] = ()
    value: float | None = None
    unit: str = ""
    salience: float = 0.5
    """0 to 1: how much of the movement's character it carries."""


@dataclass(frozen=True)
class Segment:
    """A stretch of time with a name: a phase, an activity, a foot on the floor, a repetition."""

    name: str
    start_s: float
    end_s: float
    joints: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class AngleSeries:
    """A joint angle over time, with the sign and range documented in `encoders/kinematics/angles.py`."""

    name: str
    degrees: Float[Array, "T"]
    """NaN where a joint it needs was not seen."""

    @property
    def range_deg(self) -> float:
        """Largest minus smallest angle, degrees; NaN when never seen."""
        return float(np.nanmax(self.degrees) - np.nanmin(self.degrees)) if np.isfinite(self.degrees).any() else np.nan


@dataclass(frozen=True)
class Repetition:
    """One repetition of a repeated movement: out to the turning point and back."""

    start_s: float
    turn_s: float
    end_s: float
    depth: float
    """Excursion from the starting position to the turning point, in the set's unit."""

    @property
    def tempo_s(self) -> tuple[float, float]:
        """Seconds out, seconds back."""
        return self.turn_s - self.start_s, self.end_s - self.turn_s


@dataclass(frozen=True)
class RepetitionSet:
    """Repetitions counted on one signal, e.g. knee flexion."""

    signal: str
    unit: str
    joints: tuple[str, ...]
    repetitions: tuple[Repetition, ...]
    name: str = ""
    """What is repeated, where it was recognised: "squat", "wave", ...; empty otherwise."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The pelvis through space, and the direction the body faces."""

    root_m: Float[Array, "T 3"]
    speed_m_s: Float[Array, "T"]
    heading_deg: Float[Array, "T"]
    """Direction the body faces about the vertical, unwrapped; counter-clockwise (to the left) is positive."""
    forward_m: float
    """Net travel along the body's own forward direction, summed over time; negative is backwards."""
    left_m: float
    up_m: float
    path_m: float
    turn_deg: float
    """Net turn; positive is to the person's left."""


@dataclass(frozen=True)
class Activity:
    """How much one body part moves, and when most."""

    part: str
    mean_speed_m_s: float
    peak_speed_m_s: float
    peak_s: float
    share: float
    """Its share of all parts' movement relative to the pelvis, 0 to 1."""


@dataclass(frozen=True)
class Asymmetry:
    """Left against right for one angle or path."""

    name: str
    left: float
    right: float
    unit: str


@dataclass(frozen=True, eq=False)
class MotionReport:
    """Everything measured about one person's movement, each thing with its times."""

    person_id: int
    times_s: Float[Array, "T"]
    fps: float
    angles: dict[str, AngleSeries]
    trajectory: Trajectory
    contacts: tuple[Segment, ...]
    repetitions: tuple[RepetitionSet, ...]
    segments: tuple[Segment, ...]
    """The movement in words over time, in order: standing, walking, squatting, …"""
    activity: tuple[Activity, ...]
    asymmetry: tuple[Asymmetry, ...]
    facts: tuple[Fact, ...]
    """Most salient first."""
    warnings: tuple[str, ...] = ()
    """What could not be judged, and why."""

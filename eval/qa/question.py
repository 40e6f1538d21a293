"""What every benchmark is to the evaluator: questions about clips, the answers that count, and how they are scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motionqa.data.motion_files.read import MotionOverrides


@dataclass(frozen=True)
class Question:
    """One question of a benchmark and its reference answer, as published."""

    id: str
    clip: str
    """The benchmark's own name of the clip."""
    text: str
    answer: str
    type: str
    """A row of the table: what is asked for."""
    relation: str = ""
    """A second division where the benchmark has one: before, after, in-between, none."""
    options: tuple[str, ...] = ()
    """The answers to choose from, in the order of the official file; () where the answer is free."""
    accepted: tuple[str, ...] = ()
    """Other reference answers that count as right."""
    span_s: tuple[float, float] | None = None
    """The moment that the question is about, where the benchmark says so."""


@dataclass(frozen=True)
class ClipFile:
    """Where a clip is on disk and how it is to be read."""

    path: Path
    overrides: MotionOverrides = MotionOverrides()
    span_s: tuple[float, float] | None = None
    """The part of the file that is the clip; None for all of it."""
    fps: float | None = None
    """Frame rate that the benchmark asks for, where the file is faster; None for the file's own.
    `motionqa.eval.qa.clip_files` reads and thins it."""


@dataclass(frozen=True)
class Prediction:
    """What was answered to one question: one line of a predictions file."""

    id: str
    answer: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Log-likelihood of each option, where they were scored."""
    evidence_s: tuple[tuple[float, float], ...] = ()
    """Moments that the answer was based on."""
    error: str = ""
    """Why there is no answer; such lines are counted apart and tried again on demand."""
    seconds: float = 0.0
    about: Mapping[str, Any] = field(default_factory=dict)
    """Anything else worth keeping: the prompt's hash, the model."""


@dataclass(frozen=True)
class Protocol:
    """One published way of scoring. Figures of different protocols are not comparable."""

    name: str
    about: str
    """One sentence: what counts as right, and whose protocol it is."""
    score: Callable[[Question, Prediction], float]
    """0 to 1 for one question."""
    needs: str = "answer"
    """Field of the prediction that must be there: `answer`, `scores` or `evidence_s`."""


@dataclass(frozen=True)
class Aggregate:
    """A published figure that is no mean of the questions' scores, such as a faulty one that must be reproduced."""

    name: str
    about: str
    protocol: str
    """The protocol whose scores it is computed from."""
    value: Callable[[Sequence[Question], Sequence[float]], float]
    """From the questions that were scored, in the order of the official file, and their scores."""


@dataclass(frozen=True)
class Anchor:
    """A published figure to stand beside ours."""

    system: str
    value: float
    protocol: str
    source: str


@dataclass(frozen=True)
class Benchmark:
    """A benchmark's questions with everything the evaluator needs to know about it."""

    name: str
    split: str
    questions: tuple[Question, ...]
    training: tuple[Question, ...]
    """Questions that blind baselines may learn from."""
    protocols: tuple[Protocol, ...]
    anchors: tuple[Anchor, ...]
    clip_file: Callable[[Question], ClipFile]
    """Where a question's clip is. InputError where it is missing."""
    notes: tuple[str, ...] = ()
    """What was skipped in reading, and why."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Rows of the table that join several types, by name."""
    aggregates: tuple[Aggregate, ...] = ()

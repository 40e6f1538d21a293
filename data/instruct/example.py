"""One question about a clip with its answer, and where the answer's truth comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Truth = Literal["label", "boundaries", "kinematics", "generator", "caption", "benchmark", "none"]
"""`label`: the source's own name of the action. `boundaries`: where clips were joined. `kinematics`: measured on the
exact motion. `generator`: a synthetic body whose repetitions and faults were set. `caption`: somebody's words.
`benchmark`: an official file. `none`: a refusal, because nothing can be judged."""


@dataclass(frozen=True)
class InstructExample:
    """A question, its short and its full answer, and how it may be scored."""

    clip: str
    """Which clip it is about, by the builder's own name for it."""
    question: str
    answer: str
    """In a word or a few: what benchmarks compare."""
    sentence: str
    """The same in one or two sentences, as a chat says it."""
    kind: str
    """What is asked for: action, side, direction, count, when, …"""
    truth: Truth
    relation: str = ""
    """before, after, first, last, … where the question has one."""
    options: tuple[str, ...] = ()
    """The answers there are, where they are a closed set."""
    accepted: tuple[str, ...] = ()
    """Other short answers that count as right."""
    phrasing: str = ""
    """Which pattern worded the question, `kind/number`."""
    held_out: bool = False
    """True where the pattern is kept out of training."""
    span_s: tuple[float, float] | None = None
    """The moment that the answer is about."""

    def __post_init__(self) -> None:
        if not self.question.strip() or not self.answer.strip() or not self.sentence.strip():
            raise ValueError(f"an example needs a question, an answer and a sentence, got {self!r}")
        if self.options and self.answer not in self.options:
            raise ValueError(f"the answer {self.answer!r} is none of the options {self.options}")

"""A question whose truth is known but whose words are not chosen yet, and how it becomes an example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from motionqa.data.instruct.action_words import action_words, part_of
from motionqa.data.instruct.example import InstructExample, Truth
from motionqa.data.instruct.known import KnownMotion
from motionqa.data.instruct.movement import inner, measured_part
from motionqa.data.instruct.phrasings import PERSON, Subject, Which, a_subject, filled, wordings
from motionqa.data.schema import MotionReport, Segment

YES_NO = ("yes", "no")


@dataclass(frozen=True)
class Asked:
    """What is asked for and what is right."""

    wording: str
    """Which entry of the phrasings words it."""
    answer: str
    truth: Truth
    kind: str = ""
    """The kind that an example records; the wording's name before any "/" where empty."""
    relation: str = ""
    options: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    span_s: tuple[float, float] | None = None
    slots: Mapping[str, str] = field(default_factory=dict)
    said: str = ""
    """Which sentences answer it; those of the answer where empty."""


def example(
    asked: Asked, clip: str, rng: np.random.Generator, which: Which = "train", subject: Subject | None = None
) -> InstructExample:
    """The question in one of its wordings, with its answer in a sentence."""
    wording = wordings()[asked.wording]
    patterns = wording.chosen(which)
    pattern = patterns[int(rng.integers(len(patterns)))]
    question = filled(pattern.text, asked.slots, subject or a_subject(rng))
    said = wording.sentences_for(asked.said or asked.answer)
    sentence = filled(said[int(rng.integers(len(said)))], asked.slots, PERSON)
    return InstructExample(
        clip=clip,
        question=question,
        answer=asked.answer,
        sentence=sentence[:1].upper() + sentence[1:],
        kind=asked.kind or asked.wording.partition("/")[0],
        truth=asked.truth,
        relation=asked.relation,
        options=asked.options,
        accepted=asked.accepted,
        phrasing=pattern.name,
        held_out=pattern.held_out,
        span_s=asked.span_s,
    )


def act_slots(name: str, ending: str = "") -> dict[str, str]:
    """The words of an action for patterns: {act}, {acts}, {acting}, {act_noun}; `ending` "2" for a second action."""
    w = action_words()[name]
    return {
        f"act{ending}": w.do,
        f"acts{ending}": w.does,
        f"acts{ending}_many": w.do,
        f"act_does{ending}": w.does,
        f"acting{ending}": w.doing,
        f"act_noun{ending}": w.noun,
        f"plural{ending}": w.do,
    }


def ans_slots(name: str) -> dict[str, str]:
    """The words of the action that is the answer: {ans_does}, {ans_doing}, {ans_noun}."""
    w = action_words()[name]
    return {"ans_does": w.does, "ans_doing": w.doing, "ans_noun": w.noun, "name": name}


def part_slots(part: str) -> dict[str, str]:
    """{part} "left arm" and {the_part} "the left arm"; both arms take no article."""
    return {"part": part, "the_part": part if part.startswith("both") else f"the {part}"}


def told(actions: Sequence[Segment]) -> dict[str, str]:
    """The actions in order: {list_does} "waves, then claps" and {list} "wave, then clap"."""
    words = [action_words()[a.name] for a in actions]
    return {"list_does": ", then ".join(w.does for w in words), "list": ", then ".join(w.name for w in words)}


def seconds(value: float) -> str:
    """Seconds with one decimal, never minus zero."""
    return f"{abs(value) if abs(value) < 0.05 else value:.1f}"


@dataclass(frozen=True, eq=False)
class Known:
    """A movement with its report, and which other actions may be said wrongly of it."""

    motion: KnownMotion
    report: MotionReport
    rng: np.random.Generator
    others: tuple[str, ...]
    """Actions that are clearly not in it, those of its own collection first."""

    @property
    def actions(self) -> tuple[Segment, ...]:
        return self.motion.actions

    def part(self, action: Segment) -> str:
        """Which body part does an action, where labels and movement agree; else ""."""
        part = part_of(action.name, action.joints)
        return measured_part(self.motion.pose, action, part) if part else ""

    def stretch(self, action: Segment) -> tuple[float, float]:
        """The action's time without the blends, or all of the clip where it is the only action."""
        return inner(action) if len(self.actions) > 1 else (action.start_s, action.end_s)

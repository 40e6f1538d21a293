"""The coach: from an encoded clip to a critique. The page, the command line and the benchmark all enter here.

critique = coach(encoding, llm=engine.llm)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from motionqa.assistant.coaching.checks import judge, order
from motionqa.assistant.coaching.critique import Correction, Wording, write
from motionqa.assistant.coaching.exercise import Exercise, Rules
from motionqa.assistant.coaching.exercise_file import load_rules
from motionqa.assistant.coaching.findings import Finding, RepetitionRow
from motionqa.assistant.coaching.observed import Observed, observe
from motionqa.assistant.coaching.recognition import UNSURE, Guess, recognise
from motionqa.assistant.coaching.reference import Comparison, compare
from motionqa.assistant.coaching.repetitions import Counted, count
from motionqa.assistant.coaching.view import Sight, View
from motionqa.assistant.coaching.whole_set import notes, rows
from motionqa.assistant.llm import LanguageModel
from motionqa.data.schema import ClipEncoding, Fact, InputError

DISCLAIMER = "This is feedback on technique from measured movement, not medical advice."


@dataclass(frozen=True, eq=False)
class Assessment:
    """Everything measured about the exercise in a clip, before any wording."""

    encoding: ClipEncoding
    seen: Observed
    exercise: Exercise | None
    """None where no known exercise was recognised."""
    guesses: tuple[Guess, ...]
    """What it could be, best first; the person's own word where they named it."""
    counted: Counted
    table: tuple[RepetitionRow, ...]
    findings: tuple[Finding, ...]
    """Most important first."""
    limits: tuple[str, ...]
    """What could not be done or judged about the clip as a whole, in sentences."""

    @property
    def sight(self) -> Sight:
        """From where the person was seen."""
        return self.seen.sight

    def of_kind(self, kind: str) -> tuple[Finding, ...]:
        """The findings of one kind."""
        return tuple(f for f in self.findings if f.kind == kind)


@dataclass(frozen=True, eq=False)
class Critique:
    """What is said to the person, and everything it rests on."""

    assessment: Assessment
    opening: str
    corrections: tuple[Correction, ...]
    """Three at most, the most important first."""
    praise: str
    wording: Wording
    """How the text came about: by the language model or from the template, and why."""
    comparison: Comparison | None = None
    disclaimer: str = DISCLAIMER

    @property
    def text(self) -> str:
        """The whole critique as plain text; the disclaimer stands once, at the end."""
        parts = [self.opening]
        parts += [f"{i}. {c.title}. {c.text}" for i, c in enumerate(self.corrections, 1)]
        parts += [self.praise] if self.praise else []
        parts += [self.comparison.text] if self.comparison else []
        return "\n\n".join((*parts, self.disclaimer))


def assess(
    encoding: ClipEncoding, exercise: str | None = None, *, rules: Rules | None = None, view: View | None = None
) -> Assessment:
    """The findings about an encoded clip. `exercise` and `view` correct what would be recognised.

    InputError for an exercise without rules, or whose rule file is broken.
    """
    rules = rules or load_rules()
    named = rules.find(exercise) if exercise else None
    seen = observe(encoding, view)
    guesses = recognise(seen.m, rules, encoding.reading)
    chosen = named or _chosen(guesses, rules)
    if named:
        guesses = (Guess(named.name, 1.0, named_by_user=True), *(g for g in guesses if g.name != named.name))
    counted = count(seen.m, chosen) if chosen else Counted((), missing="No known exercise was recognised.")
    judged = judge(seen, chosen, counted) if chosen and counted.cycles else ()
    table = rows(seen, chosen, counted, judged) if chosen else ()
    told = notes(seen, chosen, counted, table) if chosen else ()
    limits = (*_limits(seen, chosen, guesses, counted), *rules.problems)
    return Assessment(encoding, seen, chosen, guesses, counted, table, order((*judged, *told)), limits)


def _chosen(guesses: tuple[Guess, ...], rules: Rules) -> Exercise | None:
    return rules.exercises[guesses[0].name] if guesses and guesses[0].confidence >= UNSURE else None


def _limits(seen: Observed, exercise: Exercise | None, guesses: tuple[Guess, ...], counted: Counted) -> tuple[str, ...]:
    out = []
    if exercise is None:
        near = f" The nearest was {guesses[0].name.replace('_', ' ')}." if guesses else ""
        out.append(
            f"This is none of the exercises the rules know, or too little of it is seen.{near} Name the exercise."
        )
    elif counted.missing:
        out.append(counted.missing)
    if len(seen.encoding.people) > 1:
        out.append(
            f"{len(seen.encoding.people)} people, or one and a mirror image, are in the picture; this is about person "
            f"{seen.encoding.person_id}. Choose another one if that is wrong."
        )
    if exercise and seen.sight.view != "space" and seen.sight.confidence < 0.6:
        out.append("The view lies between two kinds; correct it if it was taken wrongly.")
    return tuple(out)


def coach(
    encoding: ClipEncoding,
    exercise: str | None = None,
    *,
    reference: ClipEncoding | None = None,
    llm: LanguageModel | None = None,
    rules: Rules | None = None,
    view: View | None = None,
) -> Critique:
    """The critique of an encoded clip, worded by `llm` where one is given and its words hold up, else by the template.

    A `reference` that shows another exercise leaves a stated limit; the critique itself stands. InputError for an
    exercise without rules.
    """
    found = assess(encoding, exercise, rules=rules, view=view)
    comparison = None
    if reference is not None:
        try:
            comparison = compare(found.seen, found.exercise, reference, rules or load_rules())
        except InputError as error:
            found = replace(found, limits=(*found.limits, str(error)))
    return write_critique(found, llm, comparison)


def write_critique(
    found: Assessment, llm: LanguageModel | None = None, comparison: Comparison | None = None
) -> Critique:
    """The critique of an assessment."""
    opening, corrections, praise, wording = write(
        found.exercise, found.sight, found.findings, found.guesses, found.limits, llm
    )
    return Critique(found, opening, corrections, praise, wording, comparison)


TOPIC = "coaching"


def coaching_facts(critique: Critique) -> tuple[Fact, ...]:
    """The findings, and what to do about the faults, as facts that questions in the chat are answered from."""
    out = []
    for f in critique.assessment.findings:
        if f.title == "Count":
            continue  # the clip's own facts say it
        salience = 0.9 if f.kind == "fault" else 0.6
        out.append(Fact(f.text, TOPIC, f.start_s, f.end_s, f.joints, f.value, f.unit or "", salience))
        if f.kind == "fault" and f.check:
            why = f"{f.title}: the likely cause is {f.check.cause}; it matters because {f.check.why}."
            mend = f"To correct {f.title.lower()}: {f.check.cue} Drill: {f.check.drill}"
            out += [Fact(text, TOPIC, f.start_s, f.end_s, f.joints, salience=0.7) for text in (why, mend)]
    return tuple(out)

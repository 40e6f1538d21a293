"""The findings in words: most important first, three corrections at most, worded by the language model under control.

Each correction is given to the model as a plain note that already says everything. Its own version is taken only where
it says no number, unit or side that the note does not, keeps CoachMe's six indicators, and stays with the note's words;
it is asked twice at most, then the note itself is used. `Wording` says which.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Literal

from motionqa.assistant.coaching.exercise import Exercise
from motionqa.assistant.coaching.findings import Finding
from motionqa.assistant.coaching.indicators import SIX, content_words, indicators
from motionqa.assistant.coaching.number_check import unfounded
from motionqa.assistant.coaching.recognition import Guess
from motionqa.assistant.coaching.view import Sight
from motionqa.assistant.coaching.wording import capital, listed
from motionqa.assistant.llm import GenerationConfig, LanguageModel
from motionqa.assistant.prompt import SMALL_MODEL_PARAMETERS
from motionqa.data.schema import Conversation

MOST_CORRECTIONS = 3
TRIES = 2
SMALLEST = SMALL_MODEL_PARAMETERS
"""Smaller models are not asked unless the user insists: SmolLM2-135M copies the note or loses half of it (measured by
`make bench-coach`), and costs five seconds a correction."""
OWN_WORDS = 0.4
"""A version in which more than this part of the content words is new says something else."""
SYSTEM = (
    "You are a coach. Rewrite the note to the athlete in plain, friendly words. Keep every fact, number and time of "
    "the note, add none, and keep its order."
)
Source = Literal["model", "template"]


@dataclass(frozen=True)
class Correction:
    """One thing to change: what is wrong, when, where, why, what to do, and how the parts should work together."""

    finding: Finding
    title: str
    text: str
    source: Source
    refused: tuple[str, ...] = ()
    """Why the model's versions were not taken, one reason a try."""


@dataclass(frozen=True)
class Wording:
    """How the text came about."""

    model: str
    """The language model's name; empty where none was asked."""
    by_model: int
    by_template: int

    @property
    def sentence(self) -> str:
        """In words for the page and the report."""
        if not self.model:
            return "Worded by the template, from measured findings."
        if not self.by_template:
            return f"Worded by {self.model}; every number was checked against the findings."
        kept = "none" if not self.by_model else str(self.by_model)
        return (
            f"{self.model} worded {kept} of {self.by_model + self.by_template} corrections; its other versions did not "
            "keep to the findings and were replaced by the template."
        )


def write(
    exercise: Exercise | None,
    sight: Sight,
    findings: tuple[Finding, ...],
    guesses: tuple[Guess, ...],
    limits: tuple[str, ...],
    llm: LanguageModel | None,
) -> tuple[str, tuple[Correction, ...], str, Wording]:
    """Opening, corrections, praise, and how they were worded. Without a model everything comes from the template."""
    faults = [f for f in findings if f.kind == "fault"]
    corrections = tuple(_correction(f, llm) for f in faults[:MOST_CORRECTIONS])
    by_model = sum(c.source == "model" for c in corrections)
    wording = Wording(llm.name if llm and corrections else "", by_model, len(corrections) - by_model)
    return opening(exercise, sight, findings, guesses, limits), corrections, praise(findings), wording


def can_word(llm: LanguageModel) -> bool:
    """Whether a model is large enough to reword a note and keep all of it; servers are taken to be."""
    return llm.parameters is None or llm.parameters >= SMALLEST


def opening(
    exercise: Exercise | None,
    sight: Sight,
    findings: tuple[Finding, ...],
    guesses: tuple[Guess, ...],
    limits: tuple[str, ...],
) -> str:
    """What was seen, from where, what is limited, and how much there is to change."""
    if exercise is None:
        return " ".join((*limits, sight.sentence()))
    sure = guesses[0] if guesses else None
    how = "" if sure is None or sure.named_by_user or sure.confidence >= 0.7 else " (probably; correct it if it is not)"
    counted = " ".join(f.text for f in findings if f.title in ("Count", "Hold", "Not counted"))
    faults = [f for f in findings if f.kind == "fault"]
    judged = any(f.kind == "good" for f in findings)
    if not faults:
        verdict = "Nothing that could be judged needs correcting." if judged else "Nothing could be judged."
    elif len(faults) > MOST_CORRECTIONS:
        rest = listed([f.title.lower() for f in faults[MOST_CORRECTIONS:]])
        verdict = f"The most important corrections come first; {rest} can wait."
    else:
        verdict = "The most important correction comes first." if len(faults) > 1 else "There is one thing to work on."
    return " ".join(p for p in (f"{exercise.title}{how}.", counted, sight.sentence(), *limits, verdict) if p)


def praise(findings: tuple[Finding, ...]) -> str:
    """The good points in one or two sentences, fatigue and the like after them; what can not be judged last."""
    # Hips that do not sag are no praise where they are held too high.
    missed = {(f.check.quantity, f.check.phase) for f in findings if f.kind == "fault" and f.check}
    good = [f.check.good for f in findings
            if f.kind == "good" and f.check and (f.check.quantity, f.check.phase) not in missed]  # fmt: skip
    parts = [f"Good: {listed(good)}."] if good else []
    parts += [f.text for f in findings if f.kind == "note" and f.title in ("Fatigue", "Pace", "Tempo", "Symmetry")]
    hidden = [f for f in findings if f.kind == "unjudged"]
    if hidden:
        parts.append(f"Not judged: {listed([f'{f.title.lower()} ({_reason(f)})' for f in hidden])}.")
    return " ".join(parts)


def _reason(finding: Finding) -> str:
    """Why a check was not judged, short."""
    reason = finding.text.partition(": ")[2].rstrip(".").partition(", and this clip")[0]
    return reason.removeprefix("it ")


def heading(finding: Finding) -> str:
    """A correction's title with the body part."""
    named = not finding.part or finding.part.lower() in finding.title.lower()
    return finding.title if named else f"{finding.title} ({finding.part})"


def note(finding: Finding) -> str:
    """A fault as the template words it: all six indicators, in short sentences. ValueError without a check."""
    check = finding.check
    if check is None:
        raise ValueError(f"{finding.title} is not a fault found by a check")
    return " ".join(
        (
            finding.text,
            f"Likely cause: {check.cause}.",
            f"It matters because {check.why}.",
            f"{capital(check.coordination)}",
            f"Cue: {check.cue}",
            f"Drill: {check.drill}",
        )
    )


# -------------------------------------------------------------------------------------- language model


def _correction(finding: Finding, llm: LanguageModel | None) -> Correction:
    plain = note(finding)
    refused: list[str] = []
    for attempt in range(TRIES if llm else 0):
        assert llm is not None
        text = _reworded(plain, llm, attempt, refused[-1] if refused else "")
        problem = objection(text, finding)
        if not problem:
            return Correction(finding, heading(finding), text, "model", tuple(refused))
        refused.append(problem)
        if text == plain:
            break  # a model that copies the note would copy it again
    return Correction(finding, heading(finding), plain, "template", tuple(refused))


def _reworded(plain: str, llm: LanguageModel, attempt: int, problem: str) -> str:
    again = f"\nThe last version was wrong: {problem}. Stay closer to the note." if problem else ""
    talk = Conversation().plus("system", SYSTEM).plus("user", f"Note: {plain}{again}")
    config = GenerationConfig(max_new_tokens=220, temperature=0.0 if attempt == 0 else 0.3, seed=attempt)
    text = "".join(llm.stream(talk, config, threading.Event()))
    return re.sub(
        r"\s+", " ", re.sub(r"^\s*(note|rewritten note|here[^:]*):\s*", "", text.strip(), flags=re.IGNORECASE)
    )


def objection(text: str, finding: Finding) -> str:
    """What is wrong with a version of a fault's note, in words; empty where it may be used."""
    plain = note(finding)
    if text == plain:
        return "it is the note again, word for word"
    invented = unfounded(text, plain)
    if invented:
        return f"nobody measured {listed(invented)}"
    if not re.search(r"[.!?][\"')]?$", text):
        return "it breaks off"
    said, known = content_words(text), content_words(plain)
    if len(said) < 8 or len(said - known) > OWN_WORDS * len(said):
        return "it says other things than the note"
    lost = [name for name in SIX if name not in indicators(f"{heading(finding)}. {text}", finding)]
    return f"it leaves out the {listed(lost)}" if lost else ""

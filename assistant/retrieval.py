"""Which measured facts a question is about.

A small language model answers from two fitting sentences and loses itself in twelve (`docs/design.md`), so choosing
is half of the answer. A fact's score adds its similarity to the question, how likely its topic answers that kind of
question (`question_kinds.py`), whether it speaks of the action, side or moment that is asked about, and its salience.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.question_kinds import LIKELY, QuestionKinds, question_kinds, topic_of
from motionqa.data.instruct.action_words import form_of, mentioned, spoken_of, unlike, without_ways
from motionqa.data.reading import MotionReading
from motionqa.data.schema import Fact, MotionReport

ORDER_CUES: dict[str, str] = {
    r"after|next|then|following": "After ",
    r"before|prior|preceding": "Before ",
    r"first|start|begin|beginning": "The first ",
    r"last|end|finally|finish": "The last ",
}
"""Words for an order in time, which sentence vectors hardly hear, and how the facts that say it begin."""


AT_MOMENT = 0.4
"""How much less a fact's topic matters where the question names a moment."""


@dataclass(frozen=True)
class RetrievalConfig:
    """Weights of a fact's score; set by reading what `tests/test_retrieval.py` asks, so they are no held-out choice."""

    salience_weight: float = 0.25
    previous_question_weight: float = 0.3
    """How much the question before matters, for "and the left one?"."""
    moment_weight: float = 0.9
    """For a fact about the moment a question names ("at 2.5 s")."""
    side_weight: float = 0.7
    """For a fact about the side asked about, and against one about the other: vectors hardly tell left from right."""
    order_weight: float = 0.3
    """For a fact that begins with the relation in time which a question names."""
    kind_weight: float = 1.2
    """For a fact of a topic that answers the kind of question this is."""
    named_weight: float = 0.2
    """For a fact that begins with the action which the question names; half of it where the fact names it anywhere."""
    order_likely: float = 0.2
    """How likely a question that names two actions must be to ask for their order; one that does mostly is."""
    near_the_top: float = 0.1
    """Facts this close to the best score are as good as it."""


def known_facts(report: MotionReport, reading: MotionReading | None = None) -> tuple[Fact, ...]:
    """What can be said of a clip: what was recognised and what was measured.

    Where several actions were recognised, they and not the measured phases tell the order of things.
    """
    if reading is None or not any(a.name for a in reading.actions):
        return report.facts
    several = len(reading.actions) > 1
    return (*reading.facts, *(f for f in report.facts if not (several and f.topic in ("order", "summary"))))


def choose_facts(
    facts: tuple[Fact, ...],
    question: str,
    embedder: SentenceEmbedder,
    most: int,
    previous_question: str = "",
    config: RetrievalConfig = RetrievalConfig(),
    kinds: QuestionKinds | None = None,
) -> tuple[Fact, ...]:
    """The facts a question is about, best first: the best one, and up to `most` that come near it.

    Before them stands that an action which the question names was not recognised, or which of two it names comes first
    where the order is what it asks about. With room for ten or more, simply
    the `most` best: a large model can choose for itself. `kinds` is the released classifier where none is given.
    """
    kinds = kinds or question_kinds()
    likely = partial(kinds.likelihood_of, question=question, previous=previous_question)
    said = not_recognised(question, facts) if likely("named") >= LIKELY else ()
    said += named_order(question, facts) if likely("order") >= config.order_likely else ()
    said = said[:most]
    scored = score_facts(facts, question, embedder, previous_question, config, kinds)
    order = np.argsort(-scored, kind="stable")[: most - len(said)]
    if most < 10:
        order = [i for i in order if scored[i] >= scored[order[0]] - config.near_the_top]
    return (*said, *(facts[i] for i in order))


def not_recognised(question: str, facts: Sequence[Fact]) -> tuple[Fact, ...]:
    """That actions which a question names are not among those recognised or suspected, nor like one; nothing otherwise.

    Only where actions are recognised at all: measured phases have no vocabulary that a name could be missing from.
    """
    recognised = [f for f in facts if f.topic == "action"]
    if not recognised:
        return ()
    seen = {name for fact in facts if not _denies(fact) for name in mentioned(fact.text)}
    missing = [name for name in sorted(mentioned(question)) if all(unlike(name, other) for other in seen)]
    if not missing:
        return ()
    named = " or ".join(form_of(name, "do") for name in missing)
    start, end = min(f.start_s for f in recognised), max(f.end_s for f in recognised)
    return (Fact(f"Nowhere in the clip does the person {named}, as far as recognised.", "missing", start, end),)


def _denies(fact: Fact) -> bool:
    """Whether a fact names what is not there: an absence, or a count of none."""
    return fact.topic == "absence" or (fact.topic == "count" and fact.value == 0)


def named_order(question: str, facts: Sequence[Fact]) -> tuple[Fact, ...]:
    """Which of two recognised actions comes first, where a question names both and each is done once."""
    sequence = next((f.text for f in facts if f.topic == "sequence"), "")
    names = sequence.removeprefix("In order: ").removesuffix(".").split(", then ")
    told = [f for f in facts if f.topic == "action"]
    asked = [name for name in mentioned(question) if names.count(name) == 1]
    if len(asked) != 2 or len(told) != len(names):
        return ()
    i, j = sorted(map(names.index, asked))
    first, second = (form_of(names[k], "doing") for k in (i, j))
    times = [f"{told[k].start_s:.1f} to {told[k].end_s:.1f} s" for k in (i, j)]
    text = f"{first[:1].upper()}{first[1:]} ({times[0]}) comes before {second} ({times[1]})."
    return (Fact(text, "named order", told[i].start_s, told[j].end_s),)


def score_facts(
    facts: tuple[Fact, ...],
    question: str,
    embedder: SentenceEmbedder,
    previous_question: str = "",
    config: RetrievalConfig = RetrievalConfig(),
    kinds: QuestionKinds | None = None,
) -> Float[np.ndarray, "N"]:
    """How much each fact speaks to the question; higher is better."""
    if not facts:
        return np.zeros(0)
    spoken = spoken_of(question)
    # A question that names an action needs no other one to be understood.
    asked = embedder.follow_up(question, "" if spoken else previous_question, config.previous_question_weight)
    similarity = embedder([fact.text for fact in facts]) @ asked
    likely = (kinds or question_kinds()).topics(question, previous_question)
    salience = np.array([fact.salience for fact in facts])
    moments = [float(x) for x in re.findall(r"(\d+(?:\.\d+)?)\s*(?:s\b|sec)", question.lower())]
    # Whatever happens at a moment answers a question about it.
    answers = np.array([likely.get(topic_of(fact), 0.0) for fact in facts]) * (AT_MOMENT if moments else 1.0)
    # A short fact about the moment says more about it than one about the whole clip.
    now = np.array(
        [any(f.start_s - 0.2 <= t <= f.end_s + 0.2 for t in moments) / (1 + 0.3 * (f.end_s - f.start_s)) for f in facts]
    )
    cues = tuple(start for words, start in ORDER_CUES.items() if re.search(rf"\b({words})\b", question.lower()))
    in_order = np.array([bool(cues) and fact.text.startswith(cues) for fact in facts])
    same_side = np.array([_side(without_ways(question), without_ways(fact.text)) for fact in facts])
    return (
        similarity
        + config.kind_weight * answers
        + config.named_weight * np.array([_names(spoken, fact) for fact in facts])
        + config.salience_weight * salience
        + config.moment_weight * now
        + config.order_weight * in_order
        + config.side_weight * same_side
    )


def _names(spoken: frozenset[str], fact: Fact) -> float:
    """1 for a fact that begins with an action which is spoken of, 0.5 for one that names it later."""
    if not spoken:
        return 0.0
    if spoken & spoken_of(fact.text.partition(",")[0]):
        return 1.0
    return 0.5 * bool(spoken & spoken_of(fact.text))


def _side(question: str, text: str) -> float:
    """1 where the fact names the only side that the question names, -1 where it names only the other, 0 otherwise."""
    named = {side for side in ("left", "right") if re.search(rf"\b{side}\b", question)}
    told = {side for side in ("left", "right") if re.search(rf"\b{side}\b", text)}
    if len(named) != 1 or len(told) != 1:
        return 0.0
    return 1.0 if named == told else -1.0

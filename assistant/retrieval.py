"""Which measured facts a question is about.

A small language model answers from two fitting sentences and loses itself in twelve (`docs/design.md`), so choosing
is half of the answer. A fact's score adds three things: its similarity to the question, how much the question
resembles typical questions about the fact's topic, and the fact's own salience.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    "view": ("What can you not judge?", "Is the whole body visible?", "How sure are you?"),
}  # fmt: skip
"""How people ask about each topic; a question is compared with these, never answered from them."""


@dataclass(frozen=True)
class RetrievalConfig:
    """Weights of a fact's score, tuned on the questions of `tests/test_retrieval.py`."""

    topic_weight: float = 0.5
    salience_weight: float = 0.15
    previous_question_weight: float = 0.3
    """How much the question before matters, for "and the left one?"."""


def rank_facts(
    facts: tuple[Fact, ...],
    question: str,
    embedder: SentenceEmbedder,
    previous_question: str = "",
    config: RetrievalConfig = RetrievalConfig(),
) -> tuple[Fact, ...]:
    """All facts, those that the question is about first."""
    if not facts:
        return ()
    asked = embedder([question])[0]
    if previous_question:
        asked = asked + config.previous_question_weight * embedder([previous_question])[0]
        asked /= np.linalg.norm(asked)
    similarity = embedder([fact.text for fact in facts]) @ asked
    topic = {
        name: float((embedder(list(questions)) @ asked).max())
        for name, questions in TOPIC_QUESTIONS.items()
        if any(fact.topic == name for fact in facts)
    }
    score = (
        similarity
        + config.topic_weight * np.array([topic.get(fact.topic, 0.0) for fact in facts])
        + config.salience_weight * np.array([fact.salience for fact in facts])
    )
    return tuple(facts[i] for i in np.argsort(-score, kind="stable"))

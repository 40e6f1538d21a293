"""Which kind of question is asked, and so which topics of facts may answer it.

A linear classifier on the question's sentence vector, trained on the wordings of `data/instruct/phrasings`
(`finetune/train_question_kinds.py`); `question_kinds.toml` says which topics answer which kind. Ours.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from motionqa.data.schema import Fact, InputError

HERE = Path(__file__).parent
RELEASED = HERE / "weights" / "question_kinds"
LATER = 0.85
"""A topic that answers a kind counts so much of the one that stands before it."""
_WRISTS = frozenset(("left_wrist", "right_wrist"))


@cache
def _table() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads((HERE / "question_kinds.toml").read_text())


@cache
def topics_of_kinds() -> dict[str, tuple[str, ...]]:
    """The topics that answer each kind of question, the best first; "topic/NAME" is any other question about one."""
    alone = {f"topic/{topic}": (topic,) for topic in topic_questions()}
    return alone | {kind: tuple(topics) for kind, topics in _table()["kinds"].items()}


def topic_questions() -> dict[str, tuple[str, ...]]:
    """How people ask about each topic."""
    return {topic: tuple(questions) for topic, questions in _table()["topics"].items()}


def topic_of(fact: Fact) -> str:
    """What a fact is about as `question_kinds.toml` names it: its topic, or "hands" for a posture of the hands."""
    if fact.topic == "posture" and fact.joints and _WRISTS.issuperset(fact.joints):
        return "hands"
    return fact.topic


@dataclass(frozen=True, eq=False)
class QuestionKinds:
    """The classifier."""

    kinds: tuple[str, ...]
    weights: Float[np.ndarray, "K D"]
    bias: Float[np.ndarray, "K"]

    def probabilities(self, vector: Float[np.ndarray, "D"]) -> dict[str, float]:
        """How likely each kind is, from the question's unit vector."""
        scores = self.weights @ vector + self.bias
        each = np.exp(scores - scores.max())
        return dict(zip(self.kinds, map(float, each / each.sum()), strict=True))

    def topics(self, vector: Float[np.ndarray, "D"]) -> Mapping[str, float]:
        """How well each topic answers the question, 0 to 1; several may."""
        out: dict[str, float] = {}
        for kind, p in self.probabilities(vector).items():
            for topic, share in shares(kind).items():
                out[topic] = out.get(topic, 0.0) + p * share
        return out


def shares(kind: str) -> dict[str, float]:
    """How well each of its topics answers a kind of question: 1 for the best, then less and less."""
    return {topic: LATER**rank for rank, topic in enumerate(topics_of_kinds()[kind])}


def load_question_kinds(folder: Path) -> QuestionKinds:
    """The classifier of a folder. InputError where its kinds are not those of `question_kinds.toml`."""
    from safetensors.numpy import load_file

    kinds = tuple(json.loads((folder / "config.json").read_text())["kinds"])
    if set(kinds) != set(topics_of_kinds()):
        strange = sorted(set(kinds) ^ set(topics_of_kinds()))
        raise InputError(
            f"{folder} and question_kinds.toml differ in {', '.join(strange)}; train it again with "
            "python -m motionqa.finetune.train_question_kinds"
        )
    found = load_file(folder / "model.safetensors")
    return QuestionKinds(kinds, found["weights"].astype(np.float32), found["bias"].astype(np.float32))


@cache
def question_kinds() -> QuestionKinds:
    """The released classifier. InputError as `load_question_kinds`."""
    return load_question_kinds(RELEASED)

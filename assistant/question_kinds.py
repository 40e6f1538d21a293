"""Which kind of question is asked, and so which topics of facts may answer it and what is asked for in plain words.

A linear classifier on the question's sentence vector, with LoRA adapters in the embedder's layers (Hu et al., arXiv
2106.09685), trained on the wordings of `data/instruct/phrasings` (`finetune/train_question_kinds.py`).
`question_kinds.toml` says which topics answer which kind and what each kind asks for. Ours.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from motionqa.assistant.embedder import SentenceEmbedder, load_minilm
from motionqa.data.instruct.action_words import form_of, mentioned
from motionqa.data.schema import Fact, InputError
from motionqa.encoders.device import computed

HERE = Path(__file__).parent
RELEASED = HERE / "weights" / "question_kinds"
LATER = 0.85
"""A topic that answers a kind counts so much of the one that stands before it."""
RANK = 16
"""Of the adapters."""
LAYERS = r"encoder\..*\.(query|key|value|dense)"
"""The linear layers that adapters are in."""
PREVIOUS = 0.3
"""How much the question before matters to what a question asks for, where that is not clear from itself."""
LIKELY = 0.5
"""A question is taken for one of a kind where that is at least so likely."""
SAID = 0.4
"""What a question asks for is said where it is at least so likely. Measured once, on the unseen wordings of one fold:
of those between 0.4 and 0.5, 0.72 were heard rightly, of those between 0.3 and 0.4, 0.54."""
NO_KIND = ("absent",)
"""Kinds that no wording tells: these ask for an action as others do, only that it is not there."""
_GOES_ON = re.compile(r"\s*(and|or|but|so|then|why|what about|how about|same|also)\b", re.IGNORECASE)
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


@cache
def meanings() -> dict[str, tuple[str, str]]:
    """What a kind of question asks for, and the form of its answer, where all questions of the kind agree in that."""
    return {kind: (asked, form) for kind, (asked, form) in _table()["meanings"].items()}


@dataclass(frozen=True, eq=False)
class QuestionKinds:
    """The classifier."""

    kinds: tuple[str, ...]
    weights: Float[np.ndarray, "K D"]
    bias: Float[np.ndarray, "K"]
    embedder: SentenceEmbedder
    """The one whose vectors it was trained on."""

    def probabilities(self, question: str, previous: str = "") -> dict[str, float]:
        """How likely each kind is; one that goes on from the question before and is not clear alone leans on that."""
        alone = self._kinds(self.embedder([question])[0])
        if not (previous and goes_on(question)) or max(alone.values()) >= LIKELY:
            return alone
        return self._kinds(self.embedder.follow_up(question, previous, PREVIOUS))

    def topics(self, question: str, previous: str = "") -> Mapping[str, float]:
        """How well each topic answers the question, 0 to 1; several may."""
        out: dict[str, float] = {}
        for kind, p in self.probabilities(question, previous).items():
            for topic, share in shares(kind).items():
                out[topic] = out.get(topic, 0.0) + p * share
        return out

    def likelihood_of(
        self, group: Literal["named", "order", "unanswerable"], question: str, previous: str = ""
    ) -> float:
        """How likely it is a question of one of the kinds of a group, as `question_kinds.toml` lists them."""
        likely = self.probabilities(question, previous)
        return sum(likely[kind] for kind in _table()["groups"][group])

    def meaning(self, question: str, previous: str = "") -> str:
        """What the question asks for in plain words; its answer's form, or "", where the kind is not clear."""
        likely = {k: p for k, p in self.probabilities(question, previous).items() if k not in NO_KIND}
        enough = SAID * sum(likely.values())
        for said in (_in_full, _form):
            found: dict[str, float] = {}
            for kind, p in likely.items():
                found[said(kind)] = found.get(said(kind), 0.0) + p
            best = max(found, key=found.__getitem__)
            if found[best] >= enough:
                return best.format(**_two_named(question))
        return ""

    def _kinds(self, vector: Float[np.ndarray, "D"]) -> dict[str, float]:
        scores = self.weights @ vector + self.bias
        each = np.exp(scores - scores.max())
        return dict(zip(self.kinds, map(float, each / each.sum()), strict=True))


def _two_named(question: str) -> dict[str, str]:
    """How to speak of the two actions that a question names."""
    names = mentioned(question)
    if len(names) != 2:
        return {"first": "what is named first", "second": "what is named second"}
    return {place: form_of(name, "doing") for place, name in zip(("first", "second"), names, strict=True)}


def _in_full(kind: str) -> str:
    return "; ".join(filter(None, meanings().get(kind, ())))


def _form(kind: str) -> str:
    return meanings().get(kind, ("", ""))[1]


def goes_on(question: str) -> bool:
    """Whether a question begins as one that makes no sense without the one before."""
    return bool(_GOES_ON.match(question))


def shares(kind: str) -> dict[str, float]:
    """How well each of its topics answers a kind of question: 1 for the best, then less and less."""
    return {topic: LATER**rank for rank, topic in enumerate(topics_of_kinds()[kind])}


@computed
def load_question_kinds(folder: Path) -> QuestionKinds:
    """The classifier of a folder.

    InputError where its kinds are not those of `question_kinds.toml`, or where adapters are missing or strange.
    """
    from safetensors.torch import load_file

    kinds = tuple(json.loads((folder / "config.json").read_text())["kinds"])
    if set(kinds) != set(topics_of_kinds()):
        strange = sorted(set(kinds) ^ set(topics_of_kinds()))
        raise InputError(
            f"{folder} and question_kinds.toml differ in {', '.join(strange)}; train it again with "
            "python -m motionqa.finetune.train_question_kinds"
        )
    found = load_file(folder / "model.safetensors")
    weights, bias = (found.pop(name).float().numpy() for name in ("weights", "bias"))
    return QuestionKinds(kinds, weights, bias, SentenceEmbedder(*_with_adapters(found)))


def adapted(network: Any) -> Any:
    """MiniLM with untrained adapters, the only weights of it that are trained."""
    from peft import LoraConfig, get_peft_model

    return get_peft_model(network, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=LAYERS))


def _with_adapters(found: Mapping[str, Any]) -> tuple[Any, Any]:
    """The tokenizer, and MiniLM with trained adapters folded into its weights. InputError where some are missing."""
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    tokenizer, network = load_minilm()
    tuned = adapted(network)
    wrong = set(get_peft_model_state_dict(tuned)) ^ set(found)
    if wrong:
        raise InputError(f"adapters of the question classifier are missing or strange: {', '.join(sorted(wrong)[:3])}")
    set_peft_model_state_dict(tuned, {name: x.float() for name, x in found.items()})
    return tokenizer, tuned.merge_and_unload().eval()


@cache
def question_kinds() -> QuestionKinds:
    """The released classifier. InputError as `load_question_kinds`."""
    return load_question_kinds(RELEASED)

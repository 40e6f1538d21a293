"""A benchmark of a few questions about clips that need not exist, and predictors that answer in microseconds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.likelihood import AnswerLikelihood
from motionqa.data.schema import Conversation, InputError
from motionqa.eval.qa.predict import Answerer
from motionqa.eval.qa.protocols import CLOSED_SET, EXACT
from motionqa.eval.qa.question import Anchor, Benchmark, ClipFile, Prediction, Question
from motionqa.tests.fake_models import ScriptedModel

OPTIONS = ("walk", "run", "jump")


def small_benchmark(clips: int = 6, per_clip: int = 3, missing: tuple[str, ...] = ()) -> Benchmark:
    """Questions whose clips alternate, as in ActivityNet-QA; `missing` clips are not found."""

    def question(k: int, prefix: str = "q") -> Question:
        options = OPTIONS if k % 2 else ()
        answer = OPTIONS[k % 3]
        return Question(
            f"{prefix}{k:03}", f"clip{k % clips}", f"What is done at {k}?", answer, f"t{k % 2}", "", options
        )

    def find(asked: Question) -> ClipFile:
        if asked.clip in missing:
            raise InputError(f"{asked.clip}.npz is missing; download it")
        return ClipFile(Path(f"{asked.clip}.npz"))

    questions = tuple(question(k) for k in range(clips * per_clip))
    training = tuple(question(k, "train") for k in range(30))
    anchors = (Anchor("Published", 0.5, EXACT.name, "a paper"), Anchor("Other", 0.7, "GPT judge", "another"))
    return Benchmark("small", "test", questions, training, (EXACT, CLOSED_SET), anchors, find)


class FakePredictor:
    """Answers by the question's id; counts looks and answers; can be slow, fail, or break on a clip."""

    def __init__(
        self, delay_s: float = 0.0, fails: tuple[str, ...] = (), breaks: tuple[str, ...] = (), kind: str = "fake"
    ):
        self.delay_s, self.fails, self.breaks, self.kind = delay_s, fails, breaks, kind
        self.looked: list[str] = []
        self.answered: list[str] = []
        self.needs_clips = True

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"kind": self.kind}

    def look_at(self, clip: ClipFile | None) -> Answerer:
        assert clip is not None
        self.looked.append(clip.path.stem)
        if clip.path.stem in self.breaks:
            raise ValueError(f"{clip.path} holds 17 frames of garbage")
        return self._answer

    def _answer(self, question: Question) -> Prediction:
        time.sleep(self.delay_s)
        if question.id in self.fails:
            raise RuntimeError("the model is gone")
        self.answered.append(question.id)
        k = int(question.id[-3:])
        scores = {o: -1.0 - (i + k) % 3 for i, o in enumerate(question.options)}
        evidence = ((0.5, 1.0 + k),) if k % 4 == 0 else ()
        return Prediction(question.id, f"{OPTIONS[k % 2]}", scores, evidence, about={"k": k})


class LetterEmbedder(SentenceEmbedder):
    """Sentences as counts of their letters: enough to prefer alike words, and no model to load."""

    def __init__(self) -> None:
        pass

    def __call__(self, sentences: list[str]) -> Float[np.ndarray, "N 384"]:
        counts = np.zeros((len(sentences), 384))
        for row, sentence in enumerate(sentences):
            counts[row, :26] = [sentence.lower().count(chr(97 + k)) + 1e-3 for k in range(26)]
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


class WeighingScript(ScriptedModel):
    """A scripted model that also weighs answers: the shorter the likelier, one token a letter."""

    def weigh(self, conversation: Conversation, answers: Sequence[str]) -> tuple[AnswerLikelihood, ...]:
        self.shown.append(conversation)
        return tuple(AnswerLikelihood(a, -(float(len(a)) ** 0.5), len(a)) for a in answers)

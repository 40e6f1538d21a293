"""What answers a benchmark's questions: the assistant, the same language model without the clip, and the blind rules.

The assistant is the chat's own `ChatSession`; nothing is answered by a second implementation. Its system prompt alone
differs, because benchmarks want one or two words where a person wants a sentence.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from motionqa.assistant.grounding import cite
from motionqa.assistant.likelihood import AnswerLikelihood
from motionqa.assistant.llm import GenerationConfig, LanguageModel, LocalModel, WeighingModel
from motionqa.assistant.prompt import BLIND_SYSTEM, BRIEFLY, PromptConfig, blind_question, config_for
from motionqa.assistant.session import ChatSession, Engine
from motionqa.data.motion_files.read import looks_like_motion_file
from motionqa.data.schema import Evidence
from motionqa.encoders.clip_encoder import EncoderConfig
from motionqa.eval.qa.blind import BLIND
from motionqa.eval.qa.clip_files import prepared
from motionqa.eval.qa.manifest import questions_sha256
from motionqa.eval.qa.predict import Answerer
from motionqa.eval.qa.question import Benchmark, ClipFile, Prediction, Question
from motionqa.eval.qa.replies import BATCH, replies

SYSTEM = (
    "You answer questions about a person's movement in a clip. Use only what the measurements say. "
    "Answer with one or two words, without a sentence."
)


@dataclass(frozen=True)
class AnswerConfig:
    """How a language model's answers are read off."""

    max_new_tokens: int = 16
    per_token: bool = False
    """Score options by log-likelihood per token instead of its sum; the other one is kept in `about`."""
    clip: Literal["both", "words", "tokens"] = "both"
    """What a model tuned on clips is shown of them: for ablations."""


UNMEASURED, WRITTEN = "unmeasured", "written"
"""In `Prediction.about`: numbers and sides of the answer that no fact contains; what the model wrote where the measured
answer took its place."""


class AssistantPredictor:
    """The chat's engine, asked each question afresh: no history, greedy decoding, options by likelihood."""

    needs_clips = True

    def __init__(self, engine: Engine, work: Path, config: AnswerConfig = AnswerConfig()) -> None:
        self.engine = replace(engine, generation=GenerationConfig(config.max_new_tokens))
        self.config = config
        self.work = work
        """Folder for motion files cut to the part and rate that a benchmark asks for."""
        self.prompt: PromptConfig = _prompt_for(engine.llm, config)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Everything that answers depend on."""
        return {
            "kind": "assistant", "llm": self.engine.llm.name, "answers": asdict(self.config),
            "prompt": asdict(self.prompt), "encoder": _encoder_settings(self.engine.encoder.config),
            "reader": self.engine.encoder.reader.source if self.engine.encoder.reader else "none",
        }  # fmt: skip

    def look_at(self, clip: ClipFile | None) -> Answerer:
        """What answers questions about one clip, which is encoded here, or found in the cache."""
        assert clip is not None
        session = ChatSession(self.engine)
        session.prompt_config = self.prompt
        path, config, offset_s = how_to_read(clip, self.engine.encoder.config, self.work)
        session.set_clip(path, config=config)
        return partial(self._answer, session, offset_s)

    def _answer(self, session: ChatSession, offset_s: float, question: Question) -> Prediction:
        session.history = ()
        assert session.encoding is not None
        about: dict[str, Any] = {"clip_sha256": session.encoding.content_sha256[:16]}
        if question.options and isinstance(self.engine.llm, WeighingModel):
            weighed, prompt = session.weigh(question.text, question.options)
            found = _weighed(question, weighed, self.config)
            evidence = cite(found.answer, prompt.facts)
        else:
            *_, answer = session.ask(question.text + _listed(question.options))
            found, evidence = _said(question, answer.text), answer.evidence
            about |= {UNMEASURED: list(answer.unmeasured)} if answer.unmeasured else {}
            about |= {WRITTEN: answer.written} if answer.written else {}
        return replace(found, evidence_s=_spans(evidence, offset_s), about={**about, **found.about})


def _prompt_for(llm: LanguageModel, config: AnswerConfig) -> PromptConfig:
    """The chat's own prompt; a model tuned on clips is asked for brevity as it was in training, others are told."""
    chat = config_for(llm)
    if chat.clip == "none":
        return replace(chat, system=SYSTEM)
    facts = 0 if config.clip == "tokens" else chat.facts
    return replace(chat, clip=config.clip, suffix=BRIEFLY, facts=facts)


class BlindModelPredictor:
    """The language model alone: it sees the question and no clip, fact or frame."""

    needs_clips = False

    def __init__(self, llm: LanguageModel, config: AnswerConfig = AnswerConfig()) -> None:
        self.llm, self.config = llm, config

    @property
    def settings(self) -> Mapping[str, Any]:
        """Everything that answers depend on."""
        return {"kind": "blind: language model", "llm": self.llm.name, "answers": asdict(self.config),
                "system": BLIND_SYSTEM}  # fmt: skip

    def look_at(self, clip: ClipFile | None) -> Answerer:
        """What answers questions about any clip, unseen."""
        assert clip is None
        return self._answer

    def _answer(self, question: Question) -> Prediction:
        if question.options and isinstance(self.llm, WeighingModel):
            weighed = self.llm.weigh(blind_question(question.text), question.options)
            return _weighed(question, weighed, self.config)
        config = GenerationConfig(self.config.max_new_tokens)
        conversation = blind_question(question.text + _listed(question.options))
        return _said(question, "".join(self.llm.stream(conversation, config, threading.Event())))


class GroupedBlindPredictor(BlindModelPredictor):
    """The same with a model of this machine, which replies to all free questions of a clip side by side."""

    def __init__(self, llm: LocalModel, config: AnswerConfig = AnswerConfig()) -> None:
        super().__init__(llm, config)
        self.local = llm

    @property
    def settings(self) -> Mapping[str, Any]:
        """Everything that answers depend on."""
        return {**super().settings, "side_by_side": BATCH}

    def answer_together(self, questions: Sequence[Question]) -> tuple[Prediction, ...]:
        """Free questions side by side, those with options by weighing; in the order given."""
        free = [q for q in questions if not q.options]
        texts = replies(self.local, [blind_question(q.text) for q in free], self.config.max_new_tokens)
        said = {q.id: _said(q, text) for q, text in zip(free, texts, strict=True)}
        return tuple(said[q.id] if q.id in said else self._answer(q) for q in questions)


def blind_model_predictor(llm: LanguageModel, config: AnswerConfig = AnswerConfig()) -> BlindModelPredictor:
    """The quickest of the two for this model."""
    return GroupedBlindPredictor(llm, config) if isinstance(llm, LocalModel) else BlindModelPredictor(llm, config)


class RulePredictor:
    """A blind rule learned from the training questions: majority by type, or question look-up."""

    needs_clips = False

    def __init__(self, name: str, benchmark: Benchmark) -> None:
        self.name = name
        self._rule: Callable[[Question], Prediction] = BLIND[name](benchmark.training)
        self._training = questions_sha256(benchmark.training)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Everything that answers depend on."""
        return {"kind": f"blind: {self.name}", "training_sha256": self._training}

    def look_at(self, clip: ClipFile | None) -> Answerer:
        """The rule itself."""
        assert clip is None
        return self._rule


# ------------------------------------------------------------------------------------------------ clips


def how_to_read(clip: ClipFile, config: EncoderConfig, work: Path) -> tuple[Path, EncoderConfig, float]:
    """The file to encode, how, and the seconds its time 0 lies after that of the benchmark's file."""
    if not looks_like_motion_file(clip.path):
        if clip.span_s is not None:
            start_s, end_s = clip.span_s
            decode = replace(config.decode, start_s=start_s, max_seconds=max(end_s - start_s, 0.1))
            config = replace(config, decode=decode)
        return clip.path, config, 0.0  # a video's times are those of its file
    file = prepared(clip, work) if clip.span_s is not None or clip.fps is not None else clip
    offset_s = clip.span_s[0] if clip.span_s is not None else 0.0
    return file.path, replace(config, motion_file=file.overrides), offset_s


def _encoder_settings(config: EncoderConfig) -> dict[str, Any]:
    # The weights are known by what they are, not by where they lie on this machine.
    return asdict(config) | {"lifting": config.lifting.version or "blazepose"}


# ---------------------------------------------------------------------------------------------- answers


def _weighed(question: Question, weighed: Sequence[AnswerLikelihood], config: AnswerConfig) -> Prediction:
    total = {w.answer: round(w.total, 6) for w in weighed}
    mean = {w.answer: round(w.per_token, 6) for w in weighed}
    scores, other = (mean, {"scores_total": total}) if config.per_token else (total, {"scores_per_token": mean})
    return Prediction(question.id, max(question.options, key=lambda o: scores[o]), scores, about=other)


def _said(question: Question, text: str) -> Prediction:
    answer = short_answer(text)
    return Prediction(question.id, answer, about={"said": text.strip()} if answer != text.strip() else {})


def short_answer(text: str) -> str:
    """A model's words as benchmarks write answers: the first line in lower case without its full stop.

    A line that begins with yes or no followed by punctuation is that word: "Yes, he is." is "yes".
    """
    line = next((line.strip() for line in text.splitlines() if line.strip()), "").lower()
    line = re.sub(r"^(answer|a)\s*:\s*", "", line).strip(" .!\"'`*")
    plain = re.match(r"(yes|no)\s*[,.;:!–-]", line)
    return plain[1] if plain else line


def _listed(options: Sequence[str]) -> str:
    return f" Answer with one of: {', '.join(options)}." if options else ""


def _spans(evidence: Sequence[Evidence], offset_s: float) -> tuple[tuple[float, float], ...]:
    """The moments of the facts that the answer speaks of; of all it was given, where it names none."""
    kept = [e.fact for e in evidence if e.cited] or [e.fact for e in evidence]
    return tuple(sorted({(fact.start_s + offset_s, fact.end_s + offset_s) for fact in kept}))

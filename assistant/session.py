"""One user's chat about one clip: the engine behind the page, the command line and the evaluators alike."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.grounding import cite, cite_actions, unmeasured_numbers, unmeasured_sides
from motionqa.assistant.likelihood import AnswerLikelihood
from motionqa.assistant.llm import GenerationConfig, LanguageModel, Precision, WeighingModel, load_llm
from motionqa.assistant.measured_answers import REFUSING, as_measured, refuses
from motionqa.assistant.prompt import BRIEFLY, Prompt, PromptConfig, build_prompt, check_question, config_for
from motionqa.assistant.question_kinds import question_kinds
from motionqa.assistant.released import clip_encoder
from motionqa.assistant.retrieval import choose_facts, known_facts
from motionqa.assistant.streaming import said_once
from motionqa.data.cache import EncodingCache
from motionqa.data.schema import Answer, ClipEncoding, Evidence, Fact, InputError
from motionqa.encoders.clip_encoder import Cancelled, ClipEncoder, EncoderConfig, Progress
from motionqa.encoders.people import PersonChoice

ABOUT_MOVEMENT = 0.1
"""A question is taken for one that movement can answer where any other is less likely. Counted once on unseen
wordings, in five folds: 0.90 of the questions about movement lie below, and 0.03 of the others."""


@dataclass(frozen=True)
class Engine:
    """What all sessions share: encoder, language model, sentence embedder. Holds nothing of any user."""

    encoder: ClipEncoder
    llm: LanguageModel
    embedder: SentenceEmbedder
    generation: GenerationConfig = field(default_factory=GenerationConfig)


def load_engine(
    llm: str | None = None,
    *,
    llm_model: str | None = None,
    encoder: EncoderConfig | None = None,
    use_cache: bool = True,
    generation: GenerationConfig | None = None,
    precision: Precision = "auto",
) -> Engine:
    """The engine with its models loaded. InputError where a model is missing or can not be read."""
    return Engine(
        clip_encoder(encoder, EncodingCache() if use_cache else None),
        load_llm(llm, server_model=llm_model, precision=precision),
        SentenceEmbedder(),
        generation or GenerationConfig(),
    )


class ChatSession:
    """One clip, one conversation. Sessions share an engine and nothing else; methods may be called from any thread."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.prompt_config: PromptConfig = config_for(engine.llm)
        self.encoding: ClipEncoding | None = None
        self.history: tuple[tuple[str, str], ...] = ()
        self.learned: tuple[Fact, ...] = ()
        """What was measured about the clip on demand, after it was encoded."""
        self._clip_request = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()

    def set_clip(
        self,
        path: str | Path,
        progress: Progress | None = None,
        person: PersonChoice | None = None,
        config: EncoderConfig | None = None,
    ) -> ClipEncoding:
        """Encodes a file and makes it the clip of this conversation, which starts anew.

        `progress` is called with stage and share; `config` reads this one file differently. A later call overtakes
        an earlier one, which then raises `Cancelled`. InputError for anything wrong with the file; the earlier clip
        then stays.
        """
        with self._lock:
            self._clip_request += 1
            request = self._clip_request

        def watched(stage: str, share: float) -> None:
            if request != self._clip_request:
                raise Cancelled(f"{Path(path).name} was replaced by another clip")
            if progress:
                progress(stage, share)

        encoding = self.engine.encoder.encode(path, watched, person, config)
        with self._lock:
            if request != self._clip_request:
                raise Cancelled(f"{Path(path).name} was replaced by another clip")
            self.encoding, self.history, self.learned = encoding, (), ()
        return encoding

    def cancel_clip(self) -> None:
        """Stops an encoding that is under way; the clip before it stays."""
        with self._lock:
            self._clip_request += 1

    def learn(self, encoding: ClipEncoding, facts: Sequence[Fact]) -> bool:
        """Lets further answers about this clip use facts that were measured later; False where another clip came."""
        with self._lock:
            if encoding is not self.encoding:
                return False
            self.learned = tuple(dict.fromkeys((*self.learned, *facts)))
        return True

    def stop(self) -> None:
        """Ends the answer that is being written at its next token."""
        self._stop.set()

    def ask(self, question: str) -> Iterator[Answer]:
        """The answer as it grows; the last one carries evidence and timings.

        InputError for an empty or overlong question, or before any clip is there.
        """
        self._stop.clear()
        engine, started = self.engine, time.perf_counter()
        question, encoding, prompt, meaning = self._prompt(question)
        timings = {"choosing facts": time.perf_counter() - started}
        text = ""
        for piece in engine.llm.stream(prompt.conversation, engine.generation, self._stop):
            timings.setdefault("first token", time.perf_counter() - started)
            text += piece
            yield Answer(text.strip(), (), timings, "no")
        timings["answer"] = time.perf_counter() - started
        written = said_once(text.strip())
        brief = self.prompt_config.suffix == BRIEFLY
        text = self._asked_again(question, prompt) if refuses(written) else ""
        text = as_measured(text or written, question, meaning, prompt.facts, encoding.report.facts, brief)
        with self._lock:
            if encoding is self.encoding and text:
                self.history = (*self.history, (question, text))
        evidence, shown = _evidence(text, text != written, prompt.facts, encoding.report.facts), ""
        reading = encoding.reading if self.prompt_config.clip != "none" else None
        if reading is not None:
            evidence, shown = (*evidence, *cite_actions(text, reading)), reading.words
        told = (*prompt.facts, Fact(shown, "summary", 0.0, 0.0)) if shown else prompt.facts
        written = written if written != text else ""
        yield Answer(
            text,
            evidence,
            timings,
            "stopped" if self._stop.is_set() else "end",
            _basis(encoding, prompt.dropped_turns, written),
            (*unmeasured_numbers(text, question, prompt.facts, shown), *unmeasured_sides(text, told)),
            written,
        )

    def _asked_again(self, question: str, prompt: Prompt) -> str:
        """What the model says where it may not refuse; "" where refusing may be right.

        Only for models tuned on refusals, which refuse what they did not understand. A fact that says what cannot be
        judged is a reason.
        """
        previous = self.history[-1][0] if self.history else ""
        if self.prompt_config.clip == "none" or self._stop.is_set() or any(refuses(f.text) for f in prompt.facts):
            return ""
        if question_kinds().likelihood_of("unanswerable", question, previous) >= ABOUT_MOVEMENT:
            return ""
        generation = replace(self.engine.generation, never=REFUSING)
        return said_once("".join(self.engine.llm.stream(prompt.conversation, generation, self._stop)).strip())

    def weigh(self, question: str, answers: Sequence[str]) -> tuple[tuple[AnswerLikelihood, ...], Prompt]:
        """How likely each of several answers is, and what it was judged by; the conversation stays as it is.

        InputError as for `ask`; ValueError where the language model can not weigh answers (a server).
        """
        if not isinstance(self.engine.llm, WeighingModel):
            raise ValueError(f"{self.engine.llm.name} can not weigh answers; only models run here can")
        _, _, prompt, _ = self._prompt(question)
        return self.engine.llm.weigh(prompt.conversation, answers), prompt

    def prompt(self, question: str) -> Prompt:
        """What the language model would be shown for a question, which is not asked. InputError as for `ask`."""
        return self._prompt(question)[2]

    def _prompt(self, question: str) -> tuple[str, ClipEncoding, Prompt, str]:
        """The question as it is put, the clip it is about, what the model is shown, and what the question asks for."""
        question = check_question(question, self.prompt_config)
        encoding = self.encoding
        if encoding is None:
            raise InputError("There is no clip yet. Upload a video or a motion file first, then ask about it.")
        engine, config = self.engine, self.prompt_config
        previous = self.history[-1][0] if self.history else ""
        read = encoding.reading if config.clip != "none" else None
        known = (*known_facts(encoding.report, read), *self.learned)
        facts = choose_facts(known, question, engine.embedder, config.facts, previous) if config.facts else ()
        meaning = question_kinds().meaning(question, previous) if config.clip != "none" else ""
        reply_tokens = engine.generation.max_new_tokens
        return (
            question,
            encoding,
            build_prompt(engine.llm, config, question, facts, self.history, reply_tokens, encoding.reading, meaning),
            meaning,
        )


def _evidence(text: str, measured: bool, asked: tuple[Fact, ...], known: tuple[Fact, ...]) -> tuple[Evidence, ...]:
    """The facts that stood beside the question; of an answer that is a measurement, those that it is made of."""
    if not measured:
        return cite(text, asked)
    made_of = tuple(f for f in known if f.text in text and f not in asked)
    return tuple(e for e in cite(text, (*made_of, *asked)) if e.cited)


def _basis(encoding: ClipEncoding, dropped_turns: int, corrected: str = "") -> str:
    basis = f"Measured from {encoding.pose3d.source}"
    if corrected:
        basis += f"; the model first wrote “{corrected}”, which the measurements do not support"
    if encoding.pose3d.root_motion == "estimated":
        basis += "; distances are estimated from one camera"
    if dropped_turns:
        basis += f"; the first {dropped_turns} exchanges no longer fit and were left out"
    return basis + "."

"""What the language model is shown: the question, the measured facts it is about, and the conversation so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from motionqa.assistant.llm import ClipReadingModel, LanguageModel
from motionqa.assistant.question_kinds import goes_on
from motionqa.data.reading import ClipTokens, MotionReading
from motionqa.data.schema import Conversation, Fact, InputError

SMALL_MODEL_PARAMETERS = 1_000_000_000


@dataclass(frozen=True)
class PromptConfig:
    """How much the model is shown."""

    facts: int
    """Measured sentences beside a question."""
    history_turns: int
    """Earlier questions with their answers."""
    history_for_continuations_only: bool = False
    """Small models repeat the answer before; they see it only where the question goes on from it."""
    system: str = (
        "You answer questions about a person's movement in a clip. Use only what the measurements say. "
        "Answer in one short sentence."
    )
    max_question_chars: int = 2000
    clip: Literal["none", "words", "tokens", "both"] = "none"
    """What stands in the system turn of a model that was tuned on clips: the reading's words, its learned tokens."""
    suffix: str = ""
    """Put after every question; `BRIEFLY` where benchmarks want a word or two."""


BRIEFLY = "Answer in a word or two."
BLIND_SYSTEM = (
    "You answer questions about a video of people that you can not see. Guess the most likely answer. "
    "Answer with one or two words, without a sentence."
)
"""What a model is told that answers without the clip: a baseline of benchmarks."""
SMALL = PromptConfig(facts=2, history_turns=1, history_for_continuations_only=True)
LARGE = PromptConfig(
    facts=24,
    history_turns=12,
    system=(
        "You answer questions about a person's movement in a clip. The measurements below come from pose estimation: "
        "use only them, give the times they give, and say so when they do not answer the question. Be brief."
    ),
)


TUNED = PromptConfig(
    facts=2,
    history_turns=4,
    clip="both",
    system="You answer questions about a person's movement in a clip. Say what was seen and measured, nothing else.",
)


def blind_question(text: str) -> Conversation:
    """A benchmark's question to a model that is shown nothing else."""
    return Conversation().plus("system", BLIND_SYSTEM).plus("user", f"Question: {text}")


def config_for(model: LanguageModel) -> PromptConfig:
    """Few facts for a small model, the whole report for a large one; servers are taken to be large.

    A model tuned on clips is shown the whole reading as well, before the first question.
    """
    if isinstance(model, ClipReadingModel):
        return TUNED
    small = model.parameters is not None and model.parameters < SMALL_MODEL_PARAMETERS
    return SMALL if small else LARGE


def check_question(question: str, config: PromptConfig) -> str:
    """The question without surrounding blanks. InputError where it is empty or too long."""
    question = question.strip()
    if not question:
        raise InputError("The question is empty. Ask for example: What is the person doing?")
    if len(question) > config.max_question_chars:
        raise InputError(
            f"The question has {len(question):,} characters; at most {config.max_question_chars:,} are read. "
            "Shorten it."
        )
    return question


@dataclass(frozen=True)
class Prompt:
    """A conversation ready for the model, and the facts that went into it."""

    conversation: Conversation
    facts: tuple[Fact, ...]
    dropped_turns: int
    """Earlier exchanges left out because they no longer fit."""


def build_prompt(
    model: LanguageModel,
    config: PromptConfig,
    question: str,
    facts: tuple[Fact, ...],
    history: tuple[tuple[str, str], ...],
    reply_tokens: int,
    reading: MotionReading | None = None,
    meaning: str = "",
) -> Prompt:
    """The question with its facts (best first), after as many earlier exchanges as fit; the oldest go first.

    `meaning`: what the question asks for, said beside it to a model that was tuned on clips.
    """
    room = model.context_tokens - reply_tokens
    remembers = not config.history_for_continuations_only or goes_on(question)
    start = max(0, len(history) - config.history_turns) if remembers else len(history)
    left_out = start if remembers else 0
    while True:
        conversation = render(config, question, facts, history[start:], reading, meaning)
        if model.count_tokens(conversation) <= room:
            return Prompt(conversation, facts, left_out)
        if start < len(history):
            start += 1
            left_out = start
        elif len(facts) > 1:
            facts = facts[: len(facts) // 2]
        else:
            raise InputError(f"The question is too long for {model.name} ({model.context_tokens} tokens). Shorten it.")


def render(
    config: PromptConfig,
    question: str,
    facts: tuple[Fact, ...],
    history: tuple[tuple[str, str], ...],
    reading: MotionReading | None = None,
    meaning: str = "",
) -> Conversation:
    """The conversation as a model is shown it; training renders its examples with the same two functions below."""
    if config.clip == "none" or reading is None:
        conversation = Conversation().plus("system", config.system)
    else:
        conversation = clip_opening(config, reading.words, reading.tokens)
    for asked, answered in history:
        conversation = conversation.plus("user", asked).plus("assistant", answered)
    if config.clip != "none":
        return conversation.plus("user", clip_question(question, facts, config.suffix, meaning))
    measured = " ".join(fact.text for fact in facts)
    asked = f"{question} {config.suffix}".strip()
    return conversation.plus(
        "user",
        f"Question: {asked}\nThe measurements say: {measured}\nAnswer the question with what the measurements say.",
    )


def clip_opening(config: PromptConfig, words: str, tokens: ClipTokens | None) -> Conversation:
    """The system turn of a model tuned on clips: what it is to do, and the clip in words, tokens or both."""
    shown = f"{config.system}\n{words}" if config.clip in ("words", "both") else config.system
    kept = tokens if config.clip in ("tokens", "both") else None
    return Conversation(clip=kept).plus("system", shown)


def clip_question(question: str, facts: tuple[Fact, ...], suffix: str = "", meaning: str = "") -> str:
    """A user turn of a model tuned on clips: the question, what it asks for in plain words, and the facts about it."""
    asked = f"{question} {suffix}".strip() + (f"\nAsked: {meaning}." if meaning else "")
    return f"{asked}{_MEASURED}{' '.join(fact.text for fact in facts)}" if facts else asked


def without_facts(turn: str) -> str:
    """The user turn of `clip_question` as a model is shown it that may not read any measurement."""
    return turn.partition(_MEASURED)[0]


_MEASURED = "\nMeasured: "

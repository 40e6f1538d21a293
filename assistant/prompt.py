"""What the language model is shown: the question, the measured facts it is about, and the conversation so far."""

from __future__ import annotations

import re
from dataclasses import dataclass

from motionqa.assistant.llm import LanguageModel
from motionqa.data.schema import Conversation, Fact, InputError

SMALL_MODEL_PARAMETERS = 1_000_000_000
_CONTINUES = re.compile(r"\s*(and|or|but|so|then|why|what about|how about|same|also)\b", re.IGNORECASE)
"""How a question begins that makes no sense without the one before."""


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


SMALL = PromptConfig(facts=2, history_turns=1, history_for_continuations_only=True)
LARGE = PromptConfig(
    facts=24,
    history_turns=12,
    system=(
        "You answer questions about a person's movement in a clip. The measurements below come from pose estimation: "
        "use only them, give the times they give, and say so when they do not answer the question. Be brief."
    ),
)


def config_for(model: LanguageModel) -> PromptConfig:
    """Few facts for a small model, the whole report for a large one; servers are taken to be large."""
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
) -> Prompt:
    """The question with its facts (best first), after as many earlier exchanges as fit; the oldest go first."""
    room = model.context_tokens - reply_tokens
    goes_on = not config.history_for_continuations_only or bool(_CONTINUES.match(question))
    start = max(0, len(history) - config.history_turns) if goes_on else len(history)
    left_out = start if goes_on else 0
    while True:
        conversation = _render(config, question, facts, history[start:])
        if model.count_tokens(conversation) <= room:
            return Prompt(conversation, facts, left_out)
        if start < len(history):
            start += 1
            left_out = start
        elif len(facts) > 1:
            facts = facts[: len(facts) // 2]
        else:
            raise InputError(f"The question is too long for {model.name} ({model.context_tokens} tokens). Shorten it.")


def _render(
    config: PromptConfig, question: str, facts: tuple[Fact, ...], history: tuple[tuple[str, str], ...]
) -> Conversation:
    conversation = Conversation().plus("system", config.system)
    for asked, answered in history:
        conversation = conversation.plus("user", asked).plus("assistant", answered)
    measured = " ".join(fact.text for fact in facts)
    return conversation.plus(
        "user",
        f"Question: {question}\nThe measurements say: {measured}\nAnswer the question with what the measurements say.",
    )

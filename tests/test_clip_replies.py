"""Replies side by side: the same as one by one, whatever stands beside them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from motionqa.assistant.clip_replies import clip_replies
from motionqa.assistant.model_dir import Assistant
from motionqa.assistant.prompt import TUNED, clip_opening
from motionqa.data.schema import Conversation
from motionqa.tests.assistant_models import clip_tokens, talkative, tiny_assistant

QUESTIONS = ("Which hand waves?", "Does the person turn to the left and then stop?", "Squats?")


def showings() -> list[Conversation]:
    """A clip in both modalities, in one, and not at all: system turns of three lengths."""
    tokens, how = clip_tokens(5), replace(TUNED, clip="tokens")
    return [clip_opening(how, "", tokens.only(some)) for some in (("motion", "video"), ("video",), ())]


def alone(assistant: Assistant, shown: Conversation, question: str, most: int) -> str:
    """transformers' own greedy reply to one question."""
    inputs = assistant.processor(shown.plus("user", question)).tensors()
    with torch.inference_mode():
        out = assistant.model.generate(**inputs, do_sample=False, max_new_tokens=most)
    ids = out[0, inputs["input_ids"].shape[1] :] if out.shape[1] > most + 1 else out[0]
    return str(assistant.processor.tokenizer.decode(ids, skip_special_tokens=True)).strip()


def test_replies_are_those_that_each_question_gets_alone() -> None:
    assistant = talkative(tiny_assistant())
    together = clip_replies(assistant, showings(), QUESTIONS, max_new_tokens=9)
    expected = tuple(tuple(alone(assistant, s, q, 9) for q in QUESTIONS) for s in showings())
    assert together == expected
    assert len({reply for some in together for reply in some}) > 3
    assert all(some[1] == clip_replies(assistant, [s], QUESTIONS[1:2], 9)[0][0]
               for s, some in zip(showings(), together, strict=True))  # fmt: skip


def test_a_reply_ends_at_its_end_and_the_others_go_on() -> None:
    assistant = talkative(tiny_assistant())
    long, short = (clip_replies(assistant, showings(), QUESTIONS, most) for most in (60, 3))
    pairs = [pair for some in zip(long, short, strict=True) for pair in zip(*some, strict=True)]
    assert all(a.startswith(b) for a, b in pairs)
    assert {a == b for a, b in pairs} == {True, False}


def test_what_is_no_showing_is_refused() -> None:
    assistant = talkative(tiny_assistant())
    with pytest.raises(ValueError, match="one system turn"):
        clip_replies(assistant, [showings()[0].plus("user", "Hello")], QUESTIONS)
    with pytest.raises(ValueError, match="expected showings and questions, got 1 and 0"):
        clip_replies(assistant, showings()[:1], [])

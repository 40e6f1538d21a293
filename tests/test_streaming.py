"""A reply that goes round in a circle is found out, and said once."""

from __future__ import annotations

import threading

import pytest
import torch

from motionqa.assistant.streaming import LONGEST_ROUND, GenerationConfig, goes_round, said_once, stream_reply
from motionqa.tests.assistant_models import chatml_tokenizer

RAISES = "then raises both arms, then lowers both arms, "


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("show show show show sho", "show"),
        ("She waves, " + 3 * RAISES + "then rai", "She waves, then raises both arms, then lowers both arms"),
        ("She waves, " + 3 * RAISES + "then walks.", "She waves, " + 3 * RAISES + "then walks."),
        ("She waves, " + 2 * RAISES, "She waves, " + 2 * RAISES),
        ("No, no, no.", "No, no, no."),
        ("", ""),
    ],
)
def test_only_a_reply_that_ends_in_circles_is_cut(text: str, said: str) -> None:
    assert said_once(text) == said


@pytest.mark.parametrize(
    ("tokens", "round_"),
    [
        ([5] * 12, True),
        ([5] * 11, False),
        ([1, 2, 3, 4] * 3, True),
        ([9, *([1, 2, 3, 4, 5] * 2)], False),
        (list(range(LONGEST_ROUND)) * 3, True),
        (list(range(LONGEST_ROUND + 1)) * 3, False),
        ([], False),
    ],
)
def test_three_rounds_are_a_circle(tokens: list[int], round_: bool) -> None:
    assert goes_round(tokens) is round_


def test_generating_ends_where_the_reply_goes_round() -> None:
    asked: list[int] = []

    def generate(*, streamer, stopping_criteria, max_new_tokens, **settings) -> None:  # noqa: ARG001
        ids = torch.tensor([[3]])
        streamer.put(ids[0])
        for _ in range(max_new_tokens):
            ids = torch.cat([ids, torch.tensor([[7]])], dim=1)
            streamer.put(ids[0, -1:])
            asked.append(ids.shape[1])
            if stopping_criteria[0](ids, None)[0]:
                break
        streamer.end()

    list(stream_reply(generate, chatml_tokenizer(), GenerationConfig(100), threading.Event(), threading.Lock()))
    assert asked[-1] == 13

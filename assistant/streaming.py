"""The words of a reply while a model of this machine generates them in a thread."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from motionqa.encoders.device import begin

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


LONGEST_ROUND = 30
"""Tokens after which a small model that repeats itself is found out."""


@dataclass(frozen=True)
class GenerationConfig:
    """How answers are generated. Greedy unless a temperature is given, so that the same question answers the same."""

    max_new_tokens: int = 120
    temperature: float = 0.0
    seed: int = 0
    never: tuple[str, ...] = ()
    """Words that the reply may not contain, as far as the model runs here."""


def stream_reply(
    generate: Callable[..., Any],
    tokenizer: PreTrainedTokenizerBase,
    config: GenerationConfig,
    stop: threading.Event,
    one_at_a_time: threading.Lock,
) -> Iterator[str]:
    """Pieces of the reply of `generate`, which is given transformers' settings for one reply as keywords.

    It runs beside the caller (`encoders.device.begin`), under the lock, and ends at the next token once `stop` is set,
    or where it goes round in a circle.
    Whoever leaves the iteration early stops it too; what it raises is raised here.
    """
    import torch
    from transformers import TextIteratorStreamer, set_seed

    class Streamer(TextIteratorStreamer):
        """Whole words, as transformers streams them, but the first token at once: whoever waits sees that it begins."""

        def put(self, value: torch.Tensor) -> None:
            super().put(value)
            if self.token_cache and not self.print_len:
                text = str(self.tokenizer.decode(self.token_cache, **self.decode_kwargs))
                if not text.endswith("\ufffd"):  # half of a letter
                    self.print_len = len(text)
                    self.on_finalized_text(text)

    streamer = Streamer(tokenizer, skip_prompt=True, skip_special_tokens=True)  # type: ignore[arg-type]
    local_stop = threading.Event()
    failure: list[BaseException] = []

    def halt(input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: object) -> torch.Tensor:  # noqa: ARG001
        done = stop.is_set() or local_stop.is_set() or goes_round(input_ids[0, -3 * LONGEST_ROUND :].tolist())
        return torch.full((input_ids.shape[0],), done, dtype=torch.bool, device=input_ids.device)

    def work() -> None:
        try:
            with one_at_a_time, torch.inference_mode():
                if config.temperature > 0:
                    set_seed(config.seed)
                generate(
                    streamer=streamer,
                    max_new_tokens=config.max_new_tokens,
                    do_sample=config.temperature > 0,
                    temperature=config.temperature or None,
                    top_p=None,
                    top_k=None,
                    stopping_criteria=[halt],
                    pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
                    bad_words_ids=_ids(tokenizer, config.never),
                )
        except BaseException as error:
            failure.append(error)
            streamer.end()

    under_way = begin(work)
    try:
        for piece in streamer:
            if piece:
                yield piece
    finally:
        local_stop.set()
        under_way.result()
    if failure:
        raise failure[0]


def goes_round(tokens: list[int]) -> bool:
    """Whether the last tokens, twelve or more, are three or more rounds of the same, each `LONGEST_ROUND` at most."""
    for size in range(1, LONGEST_ROUND + 1):
        times = max(3, -(-12 // size))
        last = tokens[-size * times :]
        if len(last) == size * times and last[size:] == last[:-size]:
            return True
    return False


def said_once(text: str) -> str:
    """A reply that ends going round, with the first round only."""
    found = re.search(r"(\b.{3,200}?)\1{2,}", text, flags=re.DOTALL)
    if found is None or not found[1].startswith(text[found.end() :]):
        return text
    return text[: found.start()] + found[1].rstrip(" ,;")


def _ids(tokenizer: PreTrainedTokenizerBase, words: tuple[str, ...]) -> list[list[int]] | None:
    """Each word's tokens, where it begins the reply and where it goes on."""
    forms = [form for word in words for form in (word, f" {word}", word.capitalize())]
    return [tokenizer(form, add_special_tokens=False)["input_ids"] for form in forms] or None  # type: ignore[return-value]


def markers(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """Strings that mean something else than their letters to a chat model: special tokens and marks of a turn."""
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return tuple(sorted(special | {*tokenizer.all_special_tokens, "[INST]", "[/INST]"}))


def as_text(words: str, marks: tuple[str, ...]) -> str:
    """What somebody typed, with the marks spelt out: to the model they are text, not the start of another role."""
    for mark in marks:
        words = words.replace(mark, " ".join(mark))
    return words

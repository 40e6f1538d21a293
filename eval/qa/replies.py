"""What a local language model replies to several prompts side by side: on one core 4 times as fast as one by one.

Greedy, as one by one; but bfloat16 sums depend on how many rows stand together, so that an answer in a hundred differs
where two words are nearly equally likely. Whoever wants the same bytes again must put the same prompts together again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from motionqa.assistant.llm import LocalModel
from motionqa.data.schema import Conversation

if TYPE_CHECKING:
    import torch

BATCH = 16
"""Prompts side by side; bounds memory. On one core more are slower again."""


def replies(llm: LocalModel, conversations: Sequence[Conversation], max_new_tokens: int) -> tuple[str, ...]:
    """The model's greedy reply to each conversation, in their order."""
    groups = [conversations[k : k + BATCH] for k in range(0, len(conversations), BATCH)]
    return tuple(text for group in groups for text in _side_by_side(llm, group, max_new_tokens))


def _side_by_side(llm: LocalModel, conversations: Sequence[Conversation], max_new_tokens: int) -> Iterator[str]:
    import torch

    tokenizer = llm.tokenizer
    # The chat's own rendering, which takes the template's markers out of what users type.
    prompts = [tokenizer(llm.rendered(c), add_special_tokens=False).input_ids for c in conversations]
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    assert isinstance(pad, int)
    tokens, real = _padded(prompts, pad)
    with torch.inference_mode():
        out = llm.model.generate(  # type: ignore[operator]
            input_ids=tokens.to(llm.device),
            attention_mask=real.to(llm.device),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            pad_token_id=pad,
        )
    for row in out[:, tokens.shape[1] :]:
        yield str(tokenizer.decode(row, skip_special_tokens=True))


def _padded(prompts: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and which of them are real, both [B, L]; padding stands on the left, so that all replies begin at L."""
    import torch

    length = max(map(len, prompts))
    tokens = torch.tensor([[pad] * (length - len(p)) + list(p) for p in prompts])
    return tokens, torch.tensor([[0] * (length - len(p)) + [1] * len(p) for p in prompts])

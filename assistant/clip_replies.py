"""Replies to many questions about one clip that is shown in several ways: greedy, side by side, the clip computed once.

For measuring what each part of a clip is worth. A chat answers one question at a time (`tuned.py`); thousands of short
answers cost a quarter of that here, because a showing runs once for all its questions and rows that have ended drop
out. As with every batch in bfloat16, sums depend a little on who stands beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import Cache

from motionqa.assistant.model import MotionQAForConditionalGeneration
from motionqa.assistant.model_dir import Assistant
from motionqa.assistant.processor import MotionQAProcessor
from motionqa.assistant.shared_cache import continued, keeps_everything
from motionqa.data.reading import MODALITIES
from motionqa.data.schema import Conversation, Turn

ROWS = 32
"""Replies that are made side by side; bounds memory."""


@dataclass(frozen=True, eq=False)
class _Showings:
    """System turns that were run: S of them, padded on the left to P tokens."""

    cache: Cache
    real: Int[Tensor, "S P"]
    """1 at tokens, 0 at padding."""


@torch.inference_mode()
def clip_replies(
    assistant: Assistant, showings: Sequence[Conversation], questions: Sequence[str], max_new_tokens: int = 12
) -> tuple[tuple[str, ...], ...]:
    """For each showing the replies to all questions, in their order, each asked without the others.

    A showing is a conversation of one system turn, with the clip's tokens or without any. ValueError where there is
    another turn, nothing to show or to ask, and for a model that forgets what is beyond a window.
    """
    model, processor = assistant.model, assistant.processor
    if not showings or not questions:
        raise ValueError(f"expected showings and questions, got {len(showings)} and {len(questions)}")
    if any([t.role for t in c.turns] != ["system"] for c in showings):
        raise ValueError("a showing is one system turn; what is asked about it comes as a question")
    if not keeps_everything(model.base.config):
        raise ValueError("only models that keep all keys and values can reply side by side")
    shown = _shown(model, processor, showings)
    asked = [(processor.turn(Turn("user", q)) + processor.reply_prompt()).ids for q in questions]
    order = sorted(range(len(asked)), key=lambda k: len(asked[k]))  # alike in length, for little padding
    size = max(1, ROWS // len(showings))
    out = [[""] * len(questions) for _ in showings]
    for at in range(0, len(order), size):
        some = order[at : at + size]
        said = _said(model, processor, shown, [asked[k] for k in some], max_new_tokens)
        for row, ids in enumerate(said):
            text = str(processor.tokenizer.decode(ids, skip_special_tokens=True))
            out[row // len(some)][some[row % len(some)]] = text.strip()
    return tuple(tuple(replies) for replies in out)


def _shown(
    model: MotionQAForConditionalGeneration, processor: MotionQAProcessor, showings: Sequence[Conversation]
) -> _Showings:
    """The system turns through the model, all at once."""
    device = next(model.parameters()).device
    parts = [processor.opening(c.turns[0].text, c.clip)[:2] for c in showings]
    ids, real = padded_left([opening.ids for opening, _ in parts])
    features: dict[str, Float[Tensor, "N D"]] = {}
    for modality in MODALITIES:
        rows = [torch.as_tensor(f[modality]).float() for _, f in parts if modality in f]
        if rows:
            features[modality] = torch.cat(rows).to(device)
    ids, real = ids.to(device), real.to(device)
    places = (real.cumsum(1) - 1).clamp(min=0)
    out = model(
        input_ids=ids, attention_mask=real, position_ids=places, **features, use_cache=True, logits_to_keep=_last(ids)
    )  # fmt: skip
    assert out.past_key_values is not None
    return _Showings(out.past_key_values, real)


def _said(
    model: MotionQAForConditionalGeneration,
    processor: MotionQAProcessor,
    shown: _Showings,
    asked: Sequence[Sequence[int]],
    most: int,
) -> list[list[int]]:
    """The reply's tokens without its end, showing by showing, each with all that is asked."""
    end = processor.tokenizer.eos_token_id
    cache = continued(shown.cache)
    cache.batch_repeat_interleave(len(asked))
    ids, real = (x.to(shown.real.device).repeat(len(shown.real), 1) for x in padded_left(asked))
    real = torch.cat([shown.real.repeat_interleave(len(asked), dim=0), real], dim=1)
    said: list[list[int]] = [[] for _ in real]
    going = torch.arange(len(real))
    for _ in range(most):
        places = (real.cumsum(1) - 1)[:, -ids.shape[1] :]
        out = model(
            input_ids=ids, attention_mask=real, position_ids=places, past_key_values=cache, use_cache=True,
            logits_to_keep=_last(ids),
        )  # fmt: skip
        best = out.logits[:, -1].argmax(dim=-1)
        left = torch.nonzero(best != end)[:, 0]
        if not len(left):
            break
        if len(left) < len(best):
            cache.batch_select_indices(left)
        best, real, going = best[left], real[left], going[left.cpu()]
        for row, token in zip(going.tolist(), best.tolist(), strict=True):
            said[row].append(token)
        ids, real = best[:, None], torch.nn.functional.pad(real, (0, 1), value=1)
    return said


def _last(ids: Int[Tensor, "N L"]) -> Int[Tensor, "1"]:
    """Which logits are wanted. A number would give a view, for which torch copies the output layer once a row."""
    return torch.tensor([ids.shape[1] - 1], device=ids.device)


def padded_left(rows: Sequence[Sequence[int]]) -> tuple[Int[Tensor, "N L"], Int[Tensor, "N L"]]:
    """Token ids that all end together, and which of them are real; what pads them is never looked at."""
    length = max(map(len, rows))
    ids = torch.tensor([[0] * (length - len(r)) + list(r) for r in rows])
    return ids, torch.tensor([[0] * (length - len(r)) + [1] * len(r) for r in rows])

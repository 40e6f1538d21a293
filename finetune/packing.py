"""Many questions about one clip in one row: the clip's prefix is computed once and shared by all.

A row is the prefix and then one block for each conversation. A block sees the prefix and itself, never another block,
and its positions go on where the prefix ends: so each is computed as if it stood alone (`test_packing.py` compares
losses and gradients). One batch a step, as models sharded over processes need it; one process is faster with
`shared_prefix.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from motionqa.assistant.model import IGNORE
from motionqa.assistant.processor import Tokens

Array = np.ndarray
_PADDING = -1
"""The block of tokens that only fill a row."""


@dataclass(frozen=True, eq=False)
class PackedRow:
    """A prefix and the blocks behind it."""

    ids: Int[Array, "L"]
    positions: Int[Array, "L"]
    blocks: Int[Array, "L"]
    """0 in the prefix, then 1, 2, … block by block."""
    weights: Float[Array, "L"]
    """What each token adds to the loss: every block's learned tokens share 1, all others have 0."""
    features: Mapping[str, Float[Array, "N D"]]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def examples(self) -> int:
        """How many blocks it holds."""
        return int(self.blocks.max(initial=0))


@dataclass(frozen=True, eq=False)
class PackedBatch:
    """Rows side by side, padded to the longest."""

    input_ids: Int[Tensor, "B L"]
    position_ids: Int[Tensor, "B L"]
    attention_mask: Bool[Tensor, "B 1 L L"]
    labels: Int[Tensor, "B L"]
    loss_weights: Float[Tensor, "B L"]
    features: Mapping[str, Float[Tensor, "N D"]]
    examples: int
    tokens: int
    """Tokens that are not padding."""

    def loss(self, model: nn.Module, device: torch.device) -> Tensor:
        """The blocks' loss by their weights."""
        return model(**self.arguments(device)).loss

    def arguments(self, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """The model's keyword arguments."""
        names = ("input_ids", "position_ids", "attention_mask", "labels", "loss_weights")
        return {k: v.to(device) for k, v in {**{n: getattr(self, n) for n in names}, **self.features}.items()}


def pack(
    opening: Tokens, features: Mapping[str, Float[Array, "N D"]], blocks: Sequence[Tokens], row_tokens: int = 400
) -> list[PackedRow]:
    """Rows of about `row_tokens` that hold all blocks in order; what does not fit goes behind the same prefix again.

    A single block may make a row longer than that. ValueError for a block without a token to learn.
    """
    rows: list[PackedRow] = []
    held: list[Tokens] = []
    for block in blocks:
        if not any(block.loss):
            raise ValueError("a block has no token to learn; expected an answer in each")
        if held and len(opening) + sum(map(len, held)) + len(block) > row_tokens:
            rows.append(_row(opening, features, held))
            held = []
        held.append(block)
    return [*rows, _row(opening, features, held)] if held else rows


def _row(opening: Tokens, features: Mapping[str, Float[Array, "N D"]], blocks: Sequence[Tokens]) -> PackedRow:
    start = len(opening)
    ids = [*opening.ids, *(i for b in blocks for i in b.ids)]
    positions = [*range(start), *(start + k for b in blocks for k in range(len(b)))]
    numbers = [0] * start + [n for n, b in enumerate(blocks, 1) for _ in b.ids]
    weights = [0.0] * start + [learned / sum(b.loss) for b in blocks for learned in b.loss]
    return PackedRow(
        np.array(ids, np.int64),
        np.array(positions, np.int64),
        np.array(numbers, np.int64),
        np.array(weights, np.float32),
        features,
    )


def visible(blocks: Int[Tensor, "B L"]) -> Bool[Tensor, "B 1 L L"]:
    """Which tokens (last axis) each token sees: earlier ones of the prefix and of its own block.

    Padding sees itself and nothing sees padding: a row of a mask without a visible key would give NaN.
    """
    length = blocks.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=blocks.device).tril()
    key, query = blocks[:, None, :], blocks[:, :, None]
    seen = earlier & ((key == 0) | (key == query)) & (key != _PADDING)
    return (seen | torch.eye(length, dtype=torch.bool, device=blocks.device))[:, None]


def collate(rows: Sequence[PackedRow], examples: int | None = None) -> PackedBatch:
    """Rows as one batch; each block counts 1/`examples` in the loss, by default 1 over the blocks there are."""
    count = sum(r.examples for r in rows)
    length = max(map(len, rows))
    ids, positions, blocks = (torch.full((len(rows), length), fill) for fill in (0, 0, _PADDING))
    weights = torch.zeros(len(rows), length)
    for k, row in enumerate(rows):
        for tensor, values in (
            (ids, row.ids),
            (positions, row.positions),
            (blocks, row.blocks),
            (weights, row.weights),
        ):
            tensor[k, : len(row)] = torch.from_numpy(values)
    names = {m for r in rows for m in r.features}
    features = {
        m: torch.from_numpy(np.concatenate([np.asarray(r.features[m], np.float32) for r in rows if m in r.features]))
        for m in names
    }
    return PackedBatch(
        ids,
        positions,
        visible(blocks),
        torch.where(weights > 0, ids, IGNORE),
        weights / (examples or count),
        features,
        count,
        sum(map(len, rows)),
    )


def without_padding(row: PackedRow, block: int) -> PackedRow:
    """One block of a row behind its prefix, alone: what packing must agree with."""
    keep = (row.blocks == 0) | (row.blocks == block)
    return replace(
        row,
        ids=row.ids[keep],
        positions=row.positions[keep],
        blocks=np.minimum(row.blocks[keep], 1),
        weights=row.weights[keep],
    )

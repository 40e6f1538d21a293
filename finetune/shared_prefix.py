"""Many questions about one clip behind one encoding: the prefix runs once, and its keys and values serve every block.

The same arithmetic as the packed rows of `packing.py` without their square masks: a block's tokens attend to the prefix
and to their own block only, so nothing is computed to be masked away. On two cores a step of twelve questions a clip
takes 0.72 of a packed one (measured once, medians of three steps; gradients agree). It runs the model several times a
step and needs its cache: models sharded over processes, gradient checkpointing and bases that forget what is beyond a
window keep to packed rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from motionqa.assistant.model import IGNORE
from motionqa.assistant.processor import Tokens
from motionqa.assistant.shared_cache import continued

Array = np.ndarray
WASTE = 0.3
"""Share of a block that may be padding."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of about one length, side by side, padded to the longest."""

    input_ids: Int[Tensor, "N L"]
    attention_mask: Int[Tensor, "N PL"]
    """Of the prefix and the block."""
    position_ids: Int[Tensor, "N L"]
    labels: Int[Tensor, "N L"]
    loss_weights: Float[Tensor, "N L"]

    def arguments(self, device: torch.device) -> dict[str, Tensor]:
        """The model's keyword arguments."""
        return {k: getattr(self, k).to(device) for k in self.__dataclass_fields__}


@dataclass(frozen=True, eq=False)
class SharedPrefix:
    """One clip and everything that a step asks about it."""

    prefix: Int[Tensor, "1 P"]
    features: Mapping[str, Float[Tensor, "M D"]]
    blocks: tuple[Blocks, ...]
    examples: int
    tokens: int
    """Tokens that are not padding."""

    def loss(self, model: nn.Module, device: torch.device) -> Tensor:
        """The blocks' loss by their weights. ValueError for a model whose cache can not be shared."""
        given = {m: x.to(device) for m, x in self.features.items()}
        cache = model(input_ids=self.prefix.to(device), **given, use_cache=True, logits_to_keep=1).past_key_values
        parts = [
            model(**part.arguments(device), past_key_values=continued(cache, len(part.input_ids))).loss
            for part in self.blocks
        ]
        return torch.stack(parts).sum()


def shared_prefix(
    opening: Tokens, features: Mapping[str, Float[Array, "M D"]], blocks: Sequence[Tokens], examples: int | None = None
) -> SharedPrefix:
    """A clip with its questions; each counts 1/`examples` in the loss, by default 1 over the blocks there are.

    ValueError for an empty prefix, and for a block without a token to learn.
    """
    if not len(opening):
        raise ValueError("there is no prefix to share; expected the turn that holds the clip")
    if not all(any(b.loss) for b in blocks):
        raise ValueError("a block has no token to learn; expected an answer in each")
    groups: list[list[Tokens]] = []
    for block in sorted(blocks, key=len, reverse=True):
        if groups and len(block) >= (1 - WASTE) * len(groups[-1][0]):
            groups[-1].append(block)
        else:
            groups.append([block])
    return SharedPrefix(
        torch.tensor([opening.ids]),
        {m: torch.from_numpy(np.asarray(x, np.float32)) for m, x in features.items()},
        tuple(_blocks(len(opening), group, examples or len(blocks)) for group in groups),
        len(blocks),
        len(opening) + sum(map(len, blocks)),
    )


def _blocks(start: int, group: Sequence[Tokens], examples: int) -> Blocks:
    """Blocks as one batch, the longest first, that goes on from `start` tokens."""
    count, length = len(group), len(group[0])
    ids = torch.zeros(count, length, dtype=torch.long)
    weights = torch.zeros(count, length)
    mask = torch.zeros(count, start + length, dtype=torch.long)
    for k, block in enumerate(group):
        ids[k, : len(block)] = torch.tensor(block.ids)
        weights[k, : len(block)] = torch.tensor(block.loss, dtype=torch.float32) / (sum(block.loss) * examples)
        mask[k, : start + len(block)] = 1
    positions = torch.arange(start, start + length).expand(count, -1)
    return Blocks(ids, mask, positions, torch.where(weights > 0, ids, IGNORE), weights)

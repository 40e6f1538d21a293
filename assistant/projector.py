"""Learned features of a clip as word embeddings of the language model: one small network for each modality."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Projector(nn.Module):
    """Rows [N D] of a modality as rows [N H] that look like word embeddings: norm, linear, GELU, linear, scale.

    Two linear layers, as in MotionLLM (Chen et al., arXiv 2405.20340) for video; the norm and the scale are ours: a
    language model reads a row at once only where it is about as long as its words are.
    """

    scale: Tensor

    def __init__(self, width: int, hidden: int, scale: float = 1.0) -> None:
        """`scale` is the root mean square of the embedding table's values."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, hidden)
        self.register_buffer("scale", torch.tensor(float(scale)))
        # Rows come out with a root mean square of 1: GELU of a standard normal has a mean square of 0.425.
        nn.init.normal_(self.inner.weight, std=1 / math.sqrt(width))
        nn.init.normal_(self.outer.weight, std=1 / math.sqrt(0.425 * hidden))
        nn.init.zeros_(self.inner.bias)
        nn.init.zeros_(self.outer.bias)

    def forward(self, features: Float[Tensor, "N D"]) -> Float[Tensor, "N H"]:
        rows = features.to(self.inner.weight.dtype)
        return self.outer(nn.functional.gelu(self.inner(self.norm(rows)))) * self.scale


def table_scale(embeddings: Float[Tensor, "V H"]) -> float:
    """The root mean square of an embedding table's values."""
    return float(embeddings.detach().float().square().mean().sqrt())

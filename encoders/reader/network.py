"""The reader's network: convolutions over a movement's features, attention within reach, an action at every moment.

Ours; the size follows the small encoder of the project's own trial (one million parameters). Attention reaches a few
seconds to either side and knows no absolute place, so that any length is read as it was learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from motionqa.encoders.reader.features import FEATURES, STRIDE


@dataclass(frozen=True)
class ReaderConfig:
    """Sizes of the reader, and the names it knows."""

    names: tuple[str, ...]
    """Actions; the class after the last one is "none of these"."""
    features: int = FEATURES
    width: int = 192
    layers: int = 2
    heads: int = 4
    reach: int = 12
    """Tokens to either side that one token attends to."""
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names) or not all(self.names):
            raise ValueError("names must be distinct and not empty")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")

    @classmethod
    def of(cls, sizes: dict[str, object]) -> ReaderConfig:
        """The configuration as json has it."""
        return cls(**{**sizes, "names": tuple(sizes["names"])})  # type: ignore[arg-type]


class _Layer(nn.Module):
    """Attention within reach, then two linear layers, each with a norm before it and the input added."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        width = config.width
        self.heads, self.dropout = config.heads, config.dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mix = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(2 * width, width)
        )

    def forward(self, x: Float[Tensor, "B N D"], allowed: Bool[Tensor, "B 1 N N"]) -> Float[Tensor, "B N D"]:
        q, k, v = rearrange(self.qkv(self.norm1(x)), "b n (three h d) -> three b h n d", three=3, h=self.heads)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        x = x + F.dropout(self.out(rearrange(seen, "b h n d -> b n (h d)")), self.dropout, self.training)
        return x + F.dropout(self.mix(self.norm2(x)), self.dropout, self.training)


class MotionReader(nn.Module):
    """Features of movements to tokens, and from each token how likely every action is."""

    mean: Tensor
    spread: Tensor

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.register_buffer("mean", torch.zeros(config.features))
        self.register_buffer("spread", torch.ones(config.features))
        self.enter = nn.ModuleList(
            nn.Conv1d(config.features if i == 0 else width, width, 5, stride=s, padding=2)
            for i, s in enumerate((1, 2, 1, STRIDE // 2))
        )
        self.norms = nn.ModuleList(nn.GroupNorm(8, width) for _ in self.enter)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.leave = nn.LayerNorm(width)
        self.classify = nn.Linear(width, len(config.names) + 1)

    def tokens(
        self, features: Float[Tensor, "B T F"], real: Bool[Tensor, "B T"]
    ) -> tuple[Float[Tensor, "B N D"], Bool[Tensor, "B N"]]:
        """One token for every four frames, and which of them stand for real frames; padding follows the real ones."""
        x = (features - self.mean) / self.spread
        x = torch.where(real[..., None], x, 0.0)
        x = rearrange(x, "b t f -> b f t")
        keep = real
        for conv, norm in zip(self.enter, self.norms, strict=True):
            x = conv(x)
            keep = keep[:, :: cast(nn.Conv1d, conv).stride[0]]
            x = F.gelu(_normalised(x, norm)) * keep[:, None]
        x = F.dropout(rearrange(x, "b d n -> b n d"), self.config.dropout, self.training)
        place = torch.arange(x.shape[1], device=x.device)
        near = (place[:, None] - place[None]).abs() <= self.config.reach
        # A padded row still sees itself: a row without anything visible has no softmax.
        allowed = (near & keep[:, None]) | torch.eye(len(place), dtype=torch.bool, device=x.device)
        for layer in self.layers:
            x = layer(x, allowed[:, None])
        return self.leave(x), keep

    def forward(
        self, features: Float[Tensor, "B T F"], real: Bool[Tensor, "B T"]
    ) -> tuple[Float[Tensor, "B N K"], Bool[Tensor, "B N"]]:
        tokens, keep = self.tokens(features, real)
        return self.classify(F.dropout(tokens, self.config.dropout, self.training)), keep


def _normalised(x: Float[Tensor, "B D T"], norm: nn.Module) -> Float[Tensor, "B D T"]:
    """Group norm of each moment on its own, so that neither padding nor what comes later changes it."""
    b, _, t = x.shape
    flat = norm(rearrange(x, "b d t -> (b t) d"))
    return rearrange(flat, "(b t) d -> b d t", b=b, t=t)

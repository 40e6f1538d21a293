"""Frames to tokens and back: one token for every four frames, as in the tokenizers of T2M-GPT and MotionGPT.

Both of HuMoCon's encoders share these layers, so that the tokens of a clip's motion and of its video lie at the same
moments. Convolutions over time alone: a window's tokens depend on the frames around them, never on the clip's length.
Axis legend: `B` clips, `T` frames, `N` = T / 4 tokens, `D` width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from motionqa.encoders.concepts.quantizer import Quantised, Quantizer

TOKEN_FRAMES = 4
"""Frames a token stands for."""


class ResidualBlock(nn.Module):
    """A dilated convolution over time with its input added; norms are per moment."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.look = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        around = self.look(F.gelu(self.norm(x)).transpose(1, 2)).transpose(1, 2)
        return x + self.mix(F.gelu(around))


class ToTokens(nn.Module):
    """Frames' states to tokens: two halvings of the rate."""

    def __init__(self, state: int, width: int, token: int) -> None:
        super().__init__()
        self.enter = nn.Linear(state, width)
        self.blocks = nn.ModuleList(ResidualBlock(width, d) for d in (1, 3, 1))
        self.halving = nn.ModuleList(nn.Conv1d(width, width, 4, stride=2, padding=1) for _ in range(2))
        self.norm, self.leave = nn.LayerNorm(width), nn.Linear(width, token)

    def forward(self, states: Float[Tensor, "B T S"]) -> Float[Tensor, "B N D"]:
        if states.shape[1] % TOKEN_FRAMES:
            raise ValueError(f"expected a multiple of {TOKEN_FRAMES} frames, got {states.shape[1]}; pad the clip")
        x = self.blocks[0](self.enter(states))
        for halve, block in zip(self.halving, self.blocks[1:], strict=True):
            x = block(halve(x.transpose(1, 2)).transpose(1, 2))
        return self.leave(self.norm(x))


class FromTokens(nn.Module):
    """Tokens to features of every frame; hidden tokens are filled in from their neighbours."""

    def __init__(self, token: int, width: int) -> None:
        super().__init__()
        self.hidden = nn.Parameter(torch.zeros(token))
        """Stands in for a token that is hidden."""
        self.enter = nn.Linear(token, width)
        self.around = nn.ModuleList(ResidualBlock(width, d) for d in (1, 2, 3))
        self.doubling = nn.ModuleList(nn.ConvTranspose1d(width, width, 4, stride=2, padding=1) for _ in range(2))
        self.blocks = nn.ModuleList(ResidualBlock(width, d) for d in (3, 1))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Float[Tensor, "B N D"], hidden: Bool[Tensor, "B N"] | None) -> Float[Tensor, "B T W"]:
        if hidden is not None:
            tokens = torch.where(hidden[..., None], self.hidden.to(tokens.dtype), tokens)
        x = self.enter(tokens)
        for block in self.around:
            x = block(x)
        for double, block in zip(self.doubling, self.blocks, strict=True):
            x = block(double(x.transpose(1, 2)).transpose(1, 2))
        return self.norm(x)


def hidden_tokens(like: Float[Tensor, "B N D"], share: float) -> Bool[Tensor, "B N"] | None:
    """Which tokens the decoder does not see: each with the given probability; None at 0."""
    if share <= 0:
        return None
    return torch.rand(like.shape[:2], device=like.device) < share


class FrameVQ(nn.Module):
    """What the motion and the video encoder have in common: states of frames to tokens, and tokens to concepts."""

    to_tokens: ToTokens
    quantizer: Quantizer

    def latents(self, states: Float[Tensor, "B T S"]) -> Float[Tensor, "B N D"]:
        """What is quantised: a vector for every four frames."""
        return self.to_tokens(states)

    def quantise(self, latents: Float[Tensor, "B N D"]) -> Quantised:
        """The concepts."""
        return self.quantizer(latents)

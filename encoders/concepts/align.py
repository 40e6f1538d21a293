"""Motion and video in one space: two projections and a cosine alignment with temperature (HuMoCon, section 3).

The paper aligns the discrete features of paired clips and names it as a limit that unpaired clips take no part; here
too they train only the other terms. Sizes, the temperature, and the mean over tokens are ours.
Axis legend: `B` clips, `N` and `M` tokens, `D` and `D2` concept, `E` shared space.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class AlignConfig:
    """The shared space."""

    width: int = 96
    hidden: int = 192
    temperature: float = 0.07

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")


class Projection(nn.Module):
    """A clip's tokens to one unit vector: every token projected, then their mean."""

    def __init__(self, token: int, config: AlignConfig = AlignConfig()) -> None:
        super().__init__()
        self.enter = nn.Linear(token, config.hidden)
        self.leave = nn.Linear(config.hidden, config.width)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B E"]:
        return F.normalize(self.leave(F.gelu(self.enter(tokens)).mean(dim=1)), dim=-1)


class Alignment(nn.Module):
    """The two projections."""

    def __init__(self, motion: int, video: int, config: AlignConfig = AlignConfig()) -> None:
        super().__init__()
        self.config = config
        self.motion, self.video = Projection(motion, config), Projection(video, config)

    def loss(self, motion: Float[Tensor, "B N D"], video: Float[Tensor, "P M D2"]) -> dict[str, Tensor]:
        """Cross-entropy of finding each clip's partner in the batch, both ways ("loss"); "accuracy" of motion to video.

        ValueError for unequal numbers of clips. With fewer than two pairs there is nobody to tell apart: 0.
        """
        if len(motion) != len(video):
            raise ValueError(f"{len(motion)} motions and {len(video)} videos are no pairs")
        if len(motion) < 2:
            nothing = motion.sum() * 0.0 + video.sum() * 0.0
            return {"loss": nothing, "accuracy": nothing.detach()}
        likeness = self.motion(motion) @ self.video(video).T / self.config.temperature
        own = torch.arange(len(motion), device=motion.device)
        loss = (F.cross_entropy(likeness, own) + F.cross_entropy(likeness.T, own)) / 2
        return {"loss": loss, "accuracy": (likeness.argmax(dim=1) == own).to(loss.dtype).mean()}

"""Networks over what a camera sees of a person through a clip, to which flow is nothing but more input channels.

H-MoRe (arXiv 2504.10676) is plug and play: its flow has the form of a picture and enters any network as two more
channels. Here that is a small network for actions and for telling people by their walk, made alike for every choice of
channels, and `widened`, which gives another model's first layer the channels without changing its answers.
The networks are ours; the paper takes GaitBase and video backbones of millions of parameters.
Axis legend: `B` clips, `T` frames, `C` channels, `H`, `W` pixels, `D` width, `K` classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

MOST_FRAMES = 64


class FrameTrunk(nn.Module):
    """One vector a clip: every frame through four strided convolutions, then two transformer layers over time.

    The place in the window is kept (no pooling over the picture): left and right, up and down are what actions are
    made of. Windows of 64 pixels and at most 64 frames.
    """

    def __init__(self, channels: int, width: int = 128, first: int = 16, dropout: float = 0.3) -> None:
        super().__init__()
        sizes = (channels, first, 2 * first, 4 * first, 4 * first)
        self.frame = nn.Sequential(
            *(_Down(a, b, 5 if i == 0 else 3) for i, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False)))
        )
        self.place = nn.Linear(sizes[-1] * 16, width)
        self.when = nn.Parameter(0.02 * torch.randn(1, MOST_FRAMES, width))
        self.drop = nn.Dropout(dropout)
        # A step is compared with those beside it before all are mixed.
        self.beside = nn.Conv1d(width, width, 3, padding=1, groups=4)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout, F.gelu, batch_first=True, norm_first=True)
        self.over_time = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "B T C 64 64"]) -> Float[Tensor, "B D"]:
        b, t = x.shape[:2]
        if t > MOST_FRAMES:
            raise ValueError(f"expected at most {MOST_FRAMES} frames a clip, got {t}")
        frames = self.frame(rearrange(x, "b t c h w -> (b t) c h w"))
        steps = self.place(rearrange(frames, "(b t) d h w -> b t (d h w)", b=b))
        steps = self.drop(steps)
        beside = rearrange(self.beside(rearrange(steps, "b t d -> b d t")), "b d t -> b t d")
        steps = steps + F.gelu(beside) + self.when[:, :t]
        return self.norm(self.over_time(steps)).mean(dim=1)


class _Down(nn.Module):
    """Half the size: convolution, batch norm, GELU."""

    def __init__(self, enter: int, leave: int, side: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(enter, leave, side, stride=2, padding=side // 2, bias=False)
        self.norm = nn.BatchNorm2d(leave)

    def forward(self, x: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D h w"]:
        return F.gelu(self.norm(self.conv(x)))


class FlowActionNet(nn.Module):
    """Class scores of a clip."""

    def __init__(self, channels: int, classes: int, width: int = 128, first: int = 16, dropout: float = 0.3) -> None:
        super().__init__()
        self.sizes = {"channels": channels, "classes": classes, "width": width, "first": first, "dropout": dropout}
        self.trunk = FrameTrunk(channels, width, first, dropout)
        self.drop = nn.Dropout(0.5)
        self.leave = nn.Linear(width, classes)

    def forward(self, x: Float[Tensor, "B T C 64 64"]) -> Float[Tensor, "B K"]:
        return self.leave(self.drop(self.trunk(x)))


class FlowGaitNet(nn.Module):
    """A unit vector a clip: near to those of the same person."""

    def __init__(
        self, channels: int, embedding: int = 128, width: int = 128, first: int = 16, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.sizes = {"channels": channels, "embedding": embedding, "width": width, "first": first, "dropout": dropout}
        self.trunk = FrameTrunk(channels, width, first, dropout)
        self.leave = nn.Linear(width, embedding)

    def forward(self, x: Float[Tensor, "B T C 64 64"]) -> Float[Tensor, "B E"]:
        return F.normalize(self.leave(self.trunk(x)), dim=-1)


def widened(model: nn.Module, extra: int) -> nn.Module:
    """The same model, changed in place, whose first convolution takes `extra` more channels after its own.

    Their weights are 0, so that answers stay what they were until training finds a use for them. For any model of
    pictures (Conv2d) or videos (Conv3d). ValueError where it has no such layer, or its first is grouped.
    """
    if extra < 1:
        raise ValueError(f"expected at least one more channel, got {extra}")
    layer = next((m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)), None)
    if layer is None or layer.groups != 1:
        what = "no convolution over pictures or videos" if layer is None else "a first layer that works on groups"
        raise ValueError(f"{type(model).__name__} has {what}; channels cannot be added to it")
    zeros = layer.weight.new_zeros(layer.out_channels, extra, *layer.kernel_size)
    layer.weight = nn.Parameter(torch.cat([layer.weight.detach(), zeros], dim=1))
    layer.in_channels += extra
    return model


def with_flow(
    pictures: Float[Tensor, "B T C H W"], *flows: Float[Tensor, "_ _ 2 _ _"], scale: float = 1.0
) -> Float[Tensor, "B T D H W"]:
    """Pictures with x and y of each flow as further channels, scaled to the pictures' size.

    The flow's unit is kept (times `scale`): body heights per second are of the size of grey levels from 0 to 1.
    """
    b, t = pictures.shape[:2]
    parts = [pictures]
    for flow in flows:
        if flow.shape[:2] != (b, t):
            raise ValueError(f"{b} clips of {t} frames cannot take the flow of {flow.shape[0]} of {flow.shape[1]}")
        flat = F.interpolate(flow.flatten(0, 1), pictures.shape[-2:], mode="bilinear", align_corners=False)
        parts.append(scale * flat.unflatten(0, (b, t)))
    return torch.cat(parts, dim=2)

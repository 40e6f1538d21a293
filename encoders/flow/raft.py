"""RAFT-small: optical flow by recurrent look-ups in all-pairs correlations (Teed and Deng, ECCV 2020, section 3).

Module and parameter names are those of the public checkpoints, so that they load key by key; 990,162 parameters.
Axis legend: `B` pairs, `H`, `W` pixels, `h`, `w` eighths of them, `C` channels.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

HIDDEN, CONTEXT, FEATURES = 96, 64, 128
LEVELS, RADIUS = 4, 3


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside the input; the 3x3 one may halve the picture."""

    def __init__(self, entering: int, leaving: int, stride: int, normed: bool) -> None:
        super().__init__()
        inner = leaving // 4
        self.conv1 = nn.Conv2d(entering, inner, 1)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1)
        self.conv3 = nn.Conv2d(inner, leaving, 1)
        self.normed = normed
        self.downsample = nn.Sequential(nn.Conv2d(entering, leaving, 1, stride)) if stride > 1 else None

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        y = x
        for conv in (self.conv1, self.conv2, self.conv3):
            y = F.relu(normalised(conv(y), self.normed))
        if self.downsample is not None:
            x = normalised(self.downsample(x), self.normed)
        return F.relu(x + y)


def normalised(x: Tensor, wanted: bool) -> Tensor:
    """Each channel of each picture to zero mean and unit variance, where wanted."""
    return F.instance_norm(x) if wanted else x


class Encoder(nn.Module):
    """A picture to features at an eighth of its size."""

    def __init__(self, leaving: int, normed: bool) -> None:
        super().__init__()
        self.normed = normed
        self.conv1 = nn.Conv2d(3, 32, 7, 2, 3)
        widths = ((32, 32, 1), (32, 64, 2), (64, 96, 2))
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(Bottleneck(a, b, stride, normed), Bottleneck(b, b, 1, normed)) for a, b, stride in widths
        )
        self.conv2 = nn.Conv2d(96, leaving, 1)

    def forward(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C h w"]:
        x = F.relu(normalised(self.conv1(x), self.normed))
        return self.conv2(self.layer3(self.layer2(self.layer1(x))))


class MotionEncoder(nn.Module):
    """Correlations and the flow so far, to 82 channels: 80 learned, and the flow itself."""

    def __init__(self) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(LEVELS * (2 * RADIUS + 1) ** 2, 96, 1)
        self.convf1 = nn.Conv2d(2, 64, 7, padding=3)
        self.convf2 = nn.Conv2d(64, 32, 3, padding=1)
        self.conv = nn.Conv2d(128, 80, 3, padding=1)

    def forward(self, flow: Float[Tensor, "B 2 h w"], correlation: Float[Tensor, "B C h w"]) -> Tensor:
        seen = F.relu(self.convc1(correlation))
        moved = F.relu(self.convf2(F.relu(self.convf1(flow))))
        return torch.cat([F.relu(self.conv(torch.cat([seen, moved], dim=1))), flow], dim=1)


class ConvGRU(nn.Module):
    """A gated recurrent unit whose products are 3x3 convolutions."""

    def __init__(self, hidden: int, entering: int) -> None:
        super().__init__()
        self.convz, self.convr, self.convq = (nn.Conv2d(hidden + entering, hidden, 3, padding=1) for _ in range(3))

    def forward(self, state: Float[Tensor, "B C h w"], x: Float[Tensor, "B D h w"]) -> Float[Tensor, "B C h w"]:
        both = torch.cat([state, x], dim=1)
        update, reset = torch.sigmoid(self.convz(both)), torch.sigmoid(self.convr(both))
        proposed = torch.tanh(self.convq(torch.cat([reset * state, x], dim=1)))
        return (1 - update) * state + update * proposed


class FlowHead(nn.Module):
    """The state to a step of the flow."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(HIDDEN, 128, 3, padding=1)
        self.conv2 = nn.Conv2d(128, 2, 3, padding=1)

    def forward(self, state: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
        return self.conv2(F.relu(self.conv1(state)))


class UpdateBlock(nn.Module):
    """One look and one step."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = MotionEncoder()
        self.gru = ConvGRU(HIDDEN, 82 + CONTEXT)
        self.flow_head = FlowHead()

    def forward(
        self, state: Tensor, context: Tensor, correlation: Tensor, flow: Float[Tensor, "B 2 h w"]
    ) -> tuple[Float[Tensor, "B C h w"], Float[Tensor, "B 2 h w"]]:
        state = self.gru(state, torch.cat([context, self.encoder(flow, correlation)], dim=1))
        return state, self.flow_head(state).float()


class Correlation:
    """How alike every place of one picture is to every place of the other, at four sizes of the other (section 3.2)."""

    def __init__(self, first: Float[Tensor, "B C h w"], second: Float[Tensor, "B C h w"]) -> None:
        b, c, h, w = first.shape
        alike = torch.einsum("bcn,bcm->bnm", first.flatten(2), second.flatten(2)) / c**0.5
        level = alike.reshape(b * h * w, 1, h, w)
        self.levels = [level]
        for _ in range(LEVELS - 1):
            # The smallest pictures run out of halves: the last size then stands for the smaller ones.
            level = F.avg_pool2d(level, 2) if min(level.shape[-2:]) > 1 else level
            self.levels.append(level)
        steps = torch.arange(-RADIUS, RADIUS + 1, dtype=first.dtype, device=first.device)
        # The public checkpoints were trained with the first index of the window along x.
        self.window = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)

    def around(self, place: Float[Tensor, "B 2 h w"]) -> Float[Tensor, "B C h w"]:
        """The 7x7 neighbourhood of each place (x, y in eighths) at each size."""
        b, _, h, w = place.shape
        centre = place.permute(0, 2, 3, 1).reshape(b * h * w, 1, 1, 2)
        out = []
        for i, level in enumerate(self.levels):
            size = torch.tensor([level.shape[-1], level.shape[-2]], dtype=place.dtype, device=place.device)
            at = (centre / 2**i + self.window) * 2 / (size - 1).clamp(min=1) - 1
            out.append(F.grid_sample(level, at, align_corners=True).reshape(b, h, w, -1))
        return torch.cat(out, dim=-1).permute(0, 3, 1, 2)


def places(like: Float[Tensor, "B C h w"]) -> Float[Tensor, "B 2 h w"]:
    """Every place's own x and y."""
    b, _, h, w = like.shape
    y, x = torch.meshgrid(
        torch.arange(h, device=like.device, dtype=like.dtype),
        torch.arange(w, device=like.device, dtype=like.dtype),
        indexing="ij",
    )
    return torch.stack([x, y]).expand(b, 2, h, w)


def enlarged(flow: Float[Tensor, "B 2 h w"], factor: int = 8) -> Float[Tensor, "B 2 H W"]:
    """The flow at full size, in full-size pixels."""
    return factor * F.interpolate(flow, scale_factor=factor, mode="bilinear", align_corners=True)


Round = tuple[Float[Tensor, "B 2 h w"], Float[Tensor, "B C h w"]]
"""The flow in eighths of the size, and the recurrent state it comes from."""


class RAFTSmall(nn.Module):
    """The network as published, small size, without the learned enlargement of the large one."""

    def __init__(self) -> None:
        super().__init__()
        self.fnet = Encoder(FEATURES, normed=True)
        self.cnet = Encoder(HIDDEN + CONTEXT, normed=False)
        self.update_block = UpdateBlock()

    def features(self, pictures: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C h w"]:
        """What is compared between pictures."""
        return self.fnet(pictures)

    def forward(
        self, first: Float[Tensor, "B 3 H W"], second: Float[Tensor, "B 3 _ _"], updates: int = 12
    ) -> list[Float[Tensor, "B 2 H W"]]:
        """The flow after each update, pixels: where each pixel of the first picture is in the second, less its place.

        Out of training only the last one is enlarged and given. Pictures have values 0 to 1; ValueError where their
        sizes differ or are no multiples of 8.
        """
        return [enlarged(flow) for flow, _ in self.wanted(self.rounds(first, second, updates))]

    def wanted(self, rounds: Iterator[Round]) -> list[Round]:
        """All rounds while training, whose loss sees each; otherwise the last."""
        found = list(rounds)
        return found if self.training else found[-1:]

    def rounds(
        self,
        first: Float[Tensor, "B 3 H W"],
        second: Float[Tensor, "B 3 _ _"],
        updates: int,
        flow: Float[Tensor, "B 2 h w"] | None = None,
    ) -> Iterator[Round]:
        """The flow in eighths of the size and the state, after each update; from `flow`, or from none.

        Places, state and correlation stay in full precision where layers run in bfloat16, whose three digits would
        put a place off by half a pixel.
        """
        if first.shape != second.shape:
            raise ValueError(f"expected two pictures of one size, got {tuple(first.shape)} and {tuple(second.shape)}")
        if first.shape[-1] % 8 or first.shape[-2] % 8:
            raise ValueError(f"expected sides that are multiples of 8, got {tuple(first.shape[-2:])}")
        first, second = 2 * first - 1, 2 * second - 1
        features = self.features(torch.cat([first, second])).float()
        correlation = Correlation(*features.chunk(2))
        state, context = self.cnet(first).float().split([HIDDEN, CONTEXT], dim=1)
        state, context = torch.tanh(state), F.relu(context)
        start = places(state)
        at = start if flow is None else start + flow
        for _ in range(updates):
            at = at.detach()
            state, step = self.update_block(state, context, correlation.around(at), at - start)
            at = at + step
            yield at - start, state

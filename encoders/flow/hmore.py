"""H-MoRe: how every point of a person moves in the world, and against the person's own course (arXiv 2504.10676).

World flow comes from Φ, RAFT-small with two self-attention blocks over its features; the course v_s of each person
from Ψ, four cross-attention layers over frames and world flow; local flow is their difference. The paper gives no
widths; with ours the whole has 3.89 M parameters (the paper's: 5.57 M). All flow is in pixels per frame pair.
Axis legend: `B` pairs, `P` people, `H`, `W` pixels, `N` tokens, `D` width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from motionqa.encoders.device import exactly
from motionqa.encoders.flow.classical import dis_flows
from motionqa.encoders.flow.raft import FEATURES, HIDDEN, RAFTSmall


@dataclass(frozen=True)
class FlowConfig:
    """Sizes of both networks. Depths are the paper's, widths ours."""

    attention_blocks: int = 2
    heads: int = 4
    trend_layers: int = 4
    trend_width: int = 256
    trend_patch: int = 16
    """Side of the patches that Ψ reads, pixels."""
    updates: int = 8
    classical: bool = True
    """Whether the recurrence starts from a classical flow, and may fall back on it; ours."""

    def __post_init__(self) -> None:
        if self.trend_width % self.heads or FEATURES % self.heads or self.trend_width % 4:
            raise ValueError(f"{self.heads} heads do not divide the widths {FEATURES} and {self.trend_width}")


class SelfAttention(nn.Module):
    """A pre-norm transformer block over all places of a feature map, which starts as the identity."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        for last in (self.proj, self.fc2):  # pretrained features are not disturbed at the start
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        q, k, v = rearrange(self.qkv(self.norm1(x)), "b n (t h d) -> t b h n d", t=3, h=self.heads)
        attended = F.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(rearrange(attended, "b h n d -> b n (h d)"))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class CrossAttention(nn.Module):
    """A pre-norm transformer block in which one query a person reads the picture."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_q, self.norm_kv, self.norm2 = (nn.LayerNorm(width) for _ in range(3))
        self.q, self.kv, self.proj = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(
        self, query: Float[Tensor, "B P D"], tokens: Float[Tensor, "B N D"], bias: Float[Tensor, "B P N"]
    ) -> Float[Tensor, "B P D"]:
        q = rearrange(self.q(self.norm_q(query)), "b p (h d) -> b h p d", h=self.heads)
        k, v = rearrange(self.kv(self.norm_kv(tokens)), "b n (t h d) -> t b h n d", t=2, h=self.heads)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[:, None].to(q.dtype))
        query = query + self.proj(rearrange(attended, "b h p d -> b p (h d)"))
        return query + self.fc2(F.gelu(self.fc1(self.norm2(query))))


class ConvexEnlargement(nn.Module):
    """Coarse flow at eight times the size: at every fine place a mixture of the nine coarse places around it (RAFT,
    section 3.3), of no flow, and of a classical flow where there is one.

    With untrained weights nearly the bilinear enlargement, or half of it and half the classical flow. That nothing
    moves is a choice of its own, so that a background is still and a person's edge sharp; ours.
    """

    def __init__(self, state: int, classical: bool = False, factor: int = 8) -> None:
        super().__init__()
        self.factor, self.choices = factor, 10 + classical
        self.conv1, self.conv2 = nn.Conv2d(state, 128, 3, padding=1), nn.Conv2d(128, self.choices * factor**2, 1)
        nn.init.zeros_(self.conv2.weight)
        fine = (torch.arange(factor) + 0.5) / factor - 0.5  # of a fine place, from its coarse place's centre
        near = (1 - (fine[None] - torch.arange(-1, 2)[:, None]).abs()).clamp(min=0)
        shares = torch.einsum("iy,jx->ijyx", near, near).flatten(0, 1)
        others = [0.01] + [1.0] * classical
        shares = torch.cat([shares, torch.tensor(others)[:, None, None].expand(-1, factor, factor)])
        self.conv2.bias = nn.Parameter((shares + 1e-3).log().flatten())

    def forward(
        self,
        flow: Float[Tensor, "B 2 h w"],
        state: Float[Tensor, "B C h w"],
        classical: Float[Tensor, "B 2 H W"] | None = None,
    ) -> Float[Tensor, "B 2 H W"]:
        f = self.factor
        shares = self.conv2(F.relu(self.conv1(state))).float()
        shares = rearrange(shares, "b (n y x) h w -> b n y x h w", y=f, x=f).softmax(dim=1)
        around = F.unfold(F.pad(f * flow, (1, 1, 1, 1), mode="replicate"), 3)
        around = rearrange(around, "b (c n) (h w) -> b c n h w", c=2, h=flow.shape[-2])
        with exactly(flow):
            fine = torch.einsum("bnyxhw,bcnhw->bchywx", shares[:, :9], around)
        fine = rearrange(fine, "b c h y w x -> b c (h y) (w x)")
        if classical is not None:
            fine = fine + rearrange(shares[:, 10], "b y x h w -> b 1 (h y) (w x)") * classical
        return fine


class WorldFlow(RAFTSmall):
    """Φ: RAFT-small whose features have looked at the whole picture, which starts from a classical flow.

    Attention is the paper's. Ours: a recurrence that begins at dense inverse search's flow instead of none (RAFT knows
    warm starts from the pair before), because it can be trained in hours on a processor; and the learned enlargement.
    """

    def __init__(self, config: FlowConfig = FlowConfig()) -> None:
        super().__init__()
        self.classical = config.classical
        self.attention = nn.ModuleList(SelfAttention(FEATURES, config.heads) for _ in range(config.attention_blocks))
        self.enlargement = ConvexEnlargement(HIDDEN, config.classical)

    def forward(
        self, first: Float[Tensor, "B 3 H W"], second: Float[Tensor, "B 3 _ _"], updates: int = 12
    ) -> list[Float[Tensor, "B 2 H W"]]:
        """As `RAFTSmall.forward`."""
        classical = dis_flows(first, second) if self.classical else None
        start = None if classical is None else F.avg_pool2d(classical, 8) / 8
        rounds = self.wanted(self.rounds(first, second, updates, start))
        return [self.enlargement(flow, state, classical) for flow, state in rounds]

    def features(self, pictures: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D h w"]:
        found = self.fnet(pictures)
        tokens = rearrange(found, "b d h w -> b (h w) d")
        for block in self.attention:
            tokens = block(tokens)
        return rearrange(tokens, "b (h w) d -> b d h w", h=found.shape[-2])


class SubjectTrend(nn.Module):
    """Ψ: the course of each person between two frames, from the frames and the world flow.

    It answers with a correction to the mean world flow inside the person's mask; with untrained weights, 0.
    """

    def __init__(self, config: FlowConfig = FlowConfig()) -> None:
        super().__init__()
        width = config.trend_width
        self.patch = config.trend_patch
        self.enter = nn.Conv2d(3 + 3 + 2, width, self.patch, self.patch)
        self.query = nn.Parameter(torch.zeros(1, 1, width))
        self.from_mean = nn.Linear(2, width)
        self.layers = nn.ModuleList(CrossAttention(width, config.heads) for _ in range(config.trend_layers))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, 2)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(
        self,
        first: Float[Tensor, "B 3 H W"],
        second: Float[Tensor, "B 3 H W"],
        world: Float[Tensor, "B 2 H W"],
        masks: Float[Tensor, "B P H W"],
    ) -> Float[Tensor, "B P 2"]:
        """v_s of each person, pixels. Masks are 0 to 1; a person whose mask is empty gets the mean flow of all."""
        scale = 0.05 * max(world.shape[-2:])
        tokens = self.enter(torch.cat([2 * first - 1, 2 * second - 1, world / scale], dim=1))
        shares = F.avg_pool2d(masks, self.patch).flatten(2)
        tokens = rearrange(tokens + _sines(tokens), "b d h w -> b (h w) d")
        mean = masked_mean(world, masks)
        query = self.query + self.from_mean(mean / scale)
        # Patches of the person are eight times as loud in the logarithm as the background.
        bias = 2.0 * shares
        for layer in self.layers:
            query = layer(query, tokens, bias)
        return mean + scale * self.leave(self.norm(query)).float()


def masked_mean(flow: Float[Tensor, "B 2 H W"], masks: Float[Tensor, "B P H W"]) -> Float[Tensor, "B P 2"]:
    """Mean flow inside each mask; of the whole picture where a mask is empty."""
    area = masks.sum((2, 3))
    weight = torch.where((area > 0)[..., None, None], masks, torch.ones_like(masks))
    with exactly(flow):
        return torch.einsum("bchw,bphw->bpc", flow, weight) / weight.sum((2, 3))[..., None]


def _sines(like: Float[Tensor, "B D h w"]) -> Float[Tensor, "1 D h w"]:
    """Fixed positions: a quarter of the channels for the sine and cosine of x and of y each."""
    _, d, h, w = like.shape
    rates = torch.exp(-math.log(64.0) * torch.arange(d // 4, device=like.device) / (d // 4)) * math.pi
    x = torch.linspace(-1, 1, w, device=like.device)[None] * rates[:, None] * 8
    y = torch.linspace(-1, 1, h, device=like.device)[None] * rates[:, None] * 8
    x, y = x[:, None].expand(-1, h, w), y[:, :, None].expand(-1, h, w)
    return torch.cat([x.sin(), x.cos(), y.sin(), y.cos()])[None].to(like.dtype)


@dataclass(frozen=True, eq=False)
class Flows:
    """What H-MoRe says about pairs of frames, pixels."""

    world: Float[Tensor, "B 2 H W"]
    trend: Float[Tensor, "B P 2"]
    local: Float[Tensor, "B P 2 H W"]
    """World flow less each person's own course; it means something inside that person's mask."""
    rounds: tuple[Float[Tensor, "B 2 H W"], ...] = ()
    """World flow after each update, the last one included; out of training the last one alone."""


class HMoRe(nn.Module):
    """Φ and Ψ together."""

    def __init__(self, config: FlowConfig = FlowConfig()) -> None:
        super().__init__()
        self.config = config
        self.world = WorldFlow(config)
        self.trend = SubjectTrend(config)

    def forward(
        self,
        first: Float[Tensor, "B 3 H W"],
        second: Float[Tensor, "B 3 _ _"],
        masks: Float[Tensor, "B P _ _"],
        updates: int | None = None,
    ) -> Flows:
        """World flow, courses and local flow of picture pairs of any size; values 0 to 1.

        ValueError where the two pictures or the masks differ in size, or where a side is under 64 pixels.
        """
        if first.shape != second.shape or masks.shape[-2:] != first.shape[-2:]:
            sizes = ", ".join(str(tuple(x.shape[-2:])) for x in (first, second, masks))
            raise ValueError(f"expected two pictures and masks of one size, got {sizes}")
        if min(first.shape[-2:]) < MIN_SIDE:
            raise ValueError(f"expected sides of at least {MIN_SIDE} pixels, got {tuple(first.shape[-2:])}")
        height, width = first.shape[-2:]
        padding = (0, -width % self.config.trend_patch, 0, -height % self.config.trend_patch)
        first, second = (F.pad(x, padding, mode="replicate") for x in (first, second))
        masks = F.pad(masks, padding)
        rounds = self.world(first, second, updates or self.config.updates)
        # The course is learned on the flow as it is found, and does not change it.
        trend = self.trend(first, second, rounds[-1].detach(), masks)
        world = rounds[-1][..., :height, :width]
        local = world[:, None] - trend[..., None, None]
        return Flows(world, trend, local, tuple(r[..., :height, :width] for r in rounds))


MIN_SIDE = 64
"""Smaller pictures have fewer than eight places to compare in one direction."""

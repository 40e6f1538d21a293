"""DSTformer: the dual-stream spatio-temporal transformer of MotionBERT (arXiv 2210.06551v5, section 3.2, figure 2).

Each layer runs two streams over the same input, one attending over joints first and then over frames, the other the
other way round, and mixes them with weights predicted from both (equation 5). The module and parameter names are
those of the public checkpoints, so that official weights load key by key (`motionqa.encoders.pretrained`).

Attention runs through `torch.nn.functional.scaled_dot_product_attention`, but is written out while training on a
processor, where that is faster. In mixed precision the ends stay exact (`exactly`). Neither changes what is computed.
Axis legend: `B` clips, `T` frames, `J` joints, `C` input channels, `D` width, `R` representation, `O` outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from motionqa.encoders.device import exactly


@dataclass(frozen=True)
class DSTformerConfig:
    """Sizes of a DSTformer; the defaults are the paper's full model (42,466,317 parameters)."""

    joints: int = 17
    in_channels: int = 3
    """x, y and confidence of each joint."""
    out_channels: int = 3
    width: int = 512
    depth: int = 5
    heads: int = 8
    mlp_ratio: float = 2.0
    representation: int = 512
    max_frames: int = 243
    dropout: float = 0.0
    drop_path: float = 0.0
    """Largest stochastic depth rate; it grows linearly from 0 at the first layer."""
    initial_std: float = 0.02
    """Of the linear layers' weights before training. The paper's; narrow networks start faster from 1 / √width."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")
        for name in ("joints", "in_channels", "out_channels", "depth", "representation", "max_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


SIZES: dict[str, DSTformerConfig] = {
    "full": DSTformerConfig(),
    "lite": DSTformerConfig(width=256, mlp_ratio=4.0),
    "small": DSTformerConfig(
        width=128, depth=3, heads=4, mlp_ratio=2.0, representation=256, max_frames=81, initial_std=0.09
    ),
    "debug": DSTformerConfig(width=16, depth=2, heads=2, mlp_ratio=2.0, representation=32, max_frames=27),
}
"""`full` and `lite` are the paper's; `small` is ours, sized for training and running on two processor cores."""


class DSTformer(nn.Module):
    """Joints in an image over time to a representation per joint and frame, and from it to joints in space."""

    def __init__(self, config: DSTformerConfig = DSTformerConfig()) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.joints_embed = nn.Linear(config.in_channels, width)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.joints, width))
        self.temp_embed = nn.Parameter(torch.zeros(1, config.max_frames, 1, width))
        rates = torch.linspace(0, config.drop_path, config.depth).tolist()
        self.blocks_st = nn.ModuleList(Block(config, "spatial first", rate) for rate in rates)
        self.blocks_ts = nn.ModuleList(Block(config, "temporal first", rate) for rate in rates)
        self.ts_attn = nn.ModuleList(nn.Linear(2 * width, 2) for _ in rates)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pre_logits = nn.Sequential()
        self.pre_logits.add_module("fc", nn.Linear(width, config.representation))
        self.pre_logits.add_module("act", nn.Tanh())
        self.head = nn.Linear(config.representation, config.out_channels)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=self.config.initial_std)
                nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.temp_embed, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for fusion in self.ts_attn:  # both streams start with equal say
            assert isinstance(fusion, nn.Linear)
            nn.init.zeros_(fusion.weight)
            nn.init.constant_(fusion.bias, 0.5)

    def represent(self, joints: Float[Tensor, "B T J C"]) -> Float[Tensor, "B T J R"]:
        """The motion representation: one vector of numbers between -1 and 1 per joint and frame.

        ValueError where the joints or channels are not the configured ones, or there are more than `max_frames`.
        """
        self._check(joints)
        frames = joints.shape[1]
        with exactly(joints):
            x = self.joints_embed(joints) + self.pos_embed + self.temp_embed[:, :frames]
        x = F.dropout(x, self.config.dropout, self.training)
        for spatial_first, temporal_first, fusion in zip(self.blocks_st, self.blocks_ts, self.ts_attn, strict=True):
            st, ts = spatial_first(x), temporal_first(x)
            with exactly(joints):
                alpha = fusion(torch.cat([st, ts], dim=-1)).softmax(dim=-1)  # equation 5
            x = st * alpha[..., :1] + ts * alpha[..., 1:]
        with exactly(joints):
            return self.pre_logits(self.norm(x))

    def forward(self, joints: Float[Tensor, "B T J C"]) -> Float[Tensor, "B T J O"]:
        """Joints in space, from the representation by one linear layer."""
        representation = self.represent(joints)
        with exactly(joints):
            return self.head(representation)

    def inner_matrices(self) -> list[nn.Parameter]:
        """Weights of the layers between the first and the last: the ones that an optimiser for matrices is for."""
        blocks = (*self.blocks_st, *self.blocks_ts)
        return [p for block in blocks for p in block.parameters() if p.ndim == 2]

    def _check(self, joints: Tensor) -> None:
        expected = (self.config.joints, self.config.in_channels)
        if joints.ndim != 4 or tuple(joints.shape[2:]) != expected:
            raise ValueError(
                f"expected clips of [frames, {expected[0]} joints, {expected[1]} channels], got {tuple(joints.shape)}"
            )
        if not 1 <= joints.shape[1] <= self.config.max_frames:
            raise ValueError(
                f"expected 1 to {self.config.max_frames} frames, got {joints.shape[1]}; cut longer clips into windows"
            )


class Block(nn.Module):
    """Attention and MLP over joints, and over frames, in one of the two orders; pre-norm, residual."""

    norm1_s: nn.LayerNorm
    norm1_t: nn.LayerNorm
    norm2_s: nn.LayerNorm
    norm2_t: nn.LayerNorm
    mlp_s: MLP
    mlp_t: MLP

    def __init__(self, config: DSTformerConfig, order: str, drop_path: float) -> None:
        super().__init__()
        self.order = order
        self.drop_path = drop_path
        width = config.width
        for axis in ("s", "t"):
            setattr(self, f"norm1_{axis}", nn.LayerNorm(width, eps=1e-6))
            setattr(self, f"norm2_{axis}", nn.LayerNorm(width, eps=1e-6))
            setattr(self, f"mlp_{axis}", MLP(width, int(width * config.mlp_ratio), config.dropout))
        self.attn_s = Attention(width, config.heads, config.dropout, "spatial")
        self.attn_t = Attention(width, config.heads, config.dropout, "temporal")

    def forward(self, x: Float[Tensor, "B T J D"]) -> Float[Tensor, "B T J D"]:
        if self.order == "spatial first":
            return self._temporal(self._spatial(x))
        return self._spatial(self._temporal(x))

    def _spatial(self, x: Tensor) -> Tensor:
        x = x + self._dropped(self.attn_s(self.norm1_s(x)))
        return x + self._dropped(self.mlp_s(self.norm2_s(x)))

    def _temporal(self, x: Tensor) -> Tensor:
        x = x + self._dropped(self.attn_t(self.norm1_t(x)))
        return x + self._dropped(self.mlp_t(self.norm2_t(x)))

    def _dropped(self, branch: Tensor) -> Tensor:
        """Stochastic depth: in training, the whole branch is left out for some clips."""
        if not self.training or self.drop_path == 0:
            return branch
        keep = branch.new_empty(len(branch), 1, 1, 1).bernoulli_(1 - self.drop_path)
        return branch * keep / (1 - self.drop_path)


class Attention(nn.Module):
    """Multi-head self-attention over joints within a frame, or over frames for each joint."""

    def __init__(self, width: int, heads: int, dropout: float, over: str) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.over = over
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "B T J D"]) -> Float[Tensor, "B T J D"]:
        if self.over == "spatial":
            split, join = "b t j (n h d) -> n b t h j d", "b t h j d -> b t j (h d)"
        else:
            split, join = "b t j (n h d) -> n b j h t d", "b j h t d -> b t j (h d)"
        q, k, v = rearrange(self.qkv(x), split, n=3, h=self.heads)
        rows = q.shape[:2]
        attended = self._attend(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1))
        x = rearrange(attended.unflatten(0, rows), join)
        return F.dropout(self.proj(x), self.dropout, self.training)

    def _attend(
        self, q: Float[Tensor, "N H S d"], k: Float[Tensor, "N H S d"], v: Float[Tensor, "N H S d"]
    ) -> Float[Tensor, "N H S d"]:
        dropout = self.dropout if self.training else 0.0
        if q.device.type == "cpu" and torch.is_grad_enabled():
            # On a processor the backward pass of the fused kernel takes two thirds of a training step over 17 joints;
            # the same sums written out make the whole step 2.5 times as fast.
            weights = (q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)).softmax(dim=-1)
            return F.dropout(weights, dropout, self.training) @ v
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)


class MLP(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.dropout = dropout

    def forward(self, x: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        hidden = F.dropout(F.gelu(self.fc1(x)), self.dropout, self.training)
        return F.dropout(self.fc2(hidden), self.dropout, self.training)

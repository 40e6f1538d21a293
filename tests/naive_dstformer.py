"""DSTformer once more, slowly and literally, from the paper's text and figure (arXiv 2210.06551, section 3.2): the
independent check on `motionqa.encoders.dstformer`. Weights come as the plain dictionary of a checkpoint; frames are
folded into the batch and every sum of the attention is written out for one head, one frame or one joint at a time.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

Weights = dict[str, Tensor]


def linear(x: Tensor, weights: Weights, name: str) -> Tensor:
    """x Wᵀ + b."""
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def layer_norm(x: Tensor, weights: Weights, name: str) -> Tensor:
    """Zero mean and unit variance over the last axis, then scale and shift."""
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = (centred * centred).mean(dim=-1, keepdim=True)
    return centred / torch.sqrt(variance + 1e-6) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def mlp(x: Tensor, weights: Weights, name: str) -> Tensor:
    """Linear, GELU with the error function, linear."""
    hidden = linear(x, weights, f"{name}.fc1")
    hidden = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
    return linear(hidden, weights, f"{name}.fc2")


def attend(tokens: Tensor, weights: Weights, name: str, heads: int) -> Tensor:
    """Self-attention over the rows of [S, D]."""
    width = tokens.shape[1]
    size = width // heads
    joined = linear(tokens, weights, f"{name}.qkv")
    out = []
    for h in range(heads):
        q, k, v = (joined[:, part * width + h * size : part * width + (h + 1) * size] for part in range(3))
        scores = q @ k.T * size**-0.5
        scores = torch.exp(scores - scores.max(dim=1, keepdim=True).values)
        out.append(scores / scores.sum(dim=1, keepdim=True) @ v)
    return linear(torch.cat(out, dim=1), weights, f"{name}.proj")


def over_joints(x: Tensor, weights: Weights, name: str, heads: int) -> Tensor:
    """[B*T, J, D]: each frame attends over its joints."""
    return torch.stack([attend(frame, weights, name, heads) for frame in x])


def over_frames(x: Tensor, weights: Weights, name: str, heads: int, frames: int) -> Tensor:
    """[B*T, J, D]: each joint of each clip attends over that clip's frames."""
    out = []
    for clip in x.split(frames):
        out.append(torch.stack([attend(clip[:, j], weights, name, heads) for j in range(x.shape[1])], dim=1))
    return torch.cat(out)


def block(x: Tensor, weights: Weights, name: str, heads: int, frames: int, order: str) -> Tensor:
    """The two halves of a layer in the order given: "st" or "ts"."""
    for axis in order:
        normed = layer_norm(x, weights, f"{name}.norm1_{axis}")
        if axis == "s":
            x = x + over_joints(normed, weights, f"{name}.attn_s", heads)
        else:
            x = x + over_frames(normed, weights, f"{name}.attn_t", heads, frames)
        x = x + mlp(layer_norm(x, weights, f"{name}.norm2_{axis}"), weights, f"{name}.mlp_{axis}")
    return x


def represent(
    joints: Tensor,
    weights: Weights,
    heads: int,
    orders: tuple[str, str] = ("st", "ts"),
    fusion: tuple[int, int] = (0, 1),
) -> Tensor:
    """Representation [B, T, J, R] of joints [B, T, J, C].

    `orders` is what `blocks_st` and `blocks_ts` do; `fusion` is which output of `ts_attn` weighs which stream. Other
    values than the defaults are wrong, and there to show that a test would notice.
    """
    clips, frames, count, channels = joints.shape
    x = linear(joints.reshape(clips * frames, count, channels), weights, "joints_embed") + weights["pos_embed"]
    time = weights["temp_embed"][0, :frames].repeat(clips, 1, 1)
    x = x + time
    depth = len({k.split(".")[1] for k in weights if k.startswith("blocks_st.")})
    for i in range(depth):
        a = block(x, weights, f"blocks_st.{i}", heads, frames, orders[0])
        b = block(x, weights, f"blocks_ts.{i}", heads, frames, orders[1])
        score = torch.exp(linear(torch.cat([a, b], dim=2), weights, f"ts_attn.{i}"))
        share = score / score.sum(dim=2, keepdim=True)
        x = share[:, :, fusion[0], None] * a + share[:, :, fusion[1], None] * b
    x = layer_norm(x, weights, "norm").reshape(clips, frames, count, -1)
    return torch.tanh(linear(x, weights, "pre_logits.fc"))


def joints_in_space(joints: Tensor, weights: Weights, heads: int) -> Tensor:
    """Output [B, T, J, O]."""
    return linear(represent(joints, weights, heads), weights, "head")

"""What makes a code a concept: it tells its own states from others, and the way out of it tells the movement.

HuMoCon (arXiv 2505.20920) carries two terms over from InfoCon (ICLR 2024): **discriminative informativeness**, a
classifier that a hypernetwork makes from the concept, and **actionable informativeness**, velocity found from the
gradient of that classifier's score with respect to the state. Shapes and units of state, velocity and concept are in
`motionqa.encoders.concepts.motion_vq` and `motionqa.encoders.concepts.video_vq`.

As InfoCon has it: concept c owns unit vectors v¹ … v^L; for l < L, B(A_l v^l) gives a weight matrix W and a bias b,
h ← h W + b, with ReLU except after the last generated layer; r(s | c) = σ(cos(C v^L, h) / 0.1). r is read as how far a
state has left its concept: near 0 inside, near 1 outside.

Ours: the unit vectors come from the code vector, v^l = P_l c / |P_l c|, since HuMoCon's codes are moving averages
without gradients of their own, and gradients go straight through to the encoder; some concepts of the batch a step
instead of one; the gradient is scaled to an RMS of 1 per window, since σ flattens it inside a concept; and at random
the state, or the velocity before, is withheld from the transformer, so that the gradient has to say it.

Axis legend: `B` clips, `T` frames, `N` tokens, `S` state, `D` concept, `K` concepts, `F` states, `V` velocity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from motionqa.encoders.concepts.frame_tokens import TOKEN_FRAMES


@dataclass(frozen=True)
class ConceptConfig:
    """Sizes of the hypernetwork and of the transformer that reads its gradients."""

    vector: int = 64
    """Width of the unit vectors v^l; InfoCon's 128."""
    levels: int = 2
    """L, InfoCon's: the last vector is the direction, the others make layers."""
    temperature: float = 0.1
    sampled: int = 16
    """Concepts that are told from others in a step."""
    width: int = 96
    depth: int = 2
    heads: int = 4
    max_frames: int = 64
    hide_state: float = 0.5
    """Share of windows whose states the transformer does not see in training."""
    hide_previous: float = 0.5
    """Share of windows whose earlier velocities it does not see in training."""

    def __post_init__(self) -> None:
        if self.levels < 2:
            raise ValueError(f"levels must be at least 2 (one generated layer and a direction), got {self.levels}")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")


class ConceptClassifier(nn.Module):
    """The hypernetwork: a concept in, the score of states against it out."""

    def __init__(self, state: int, concept: int, config: ConceptConfig = ConceptConfig()) -> None:
        super().__init__()
        self.state, self.temperature = state, config.temperature
        layers = config.levels - 1
        self.vectors = nn.ModuleList(nn.Linear(concept, config.vector, bias=False) for _ in range(config.levels))  # P
        self.inner = nn.ModuleList(nn.Linear(config.vector, config.vector) for _ in range(layers))  # A
        self.weights = nn.Linear(config.vector, state * state + state)  # B
        self.direction = nn.Linear(config.vector, state)  # C

    def logits(self, states: Float[Tensor, "#K F S"], concepts: Float[Tensor, "K D"]) -> Float[Tensor, "K F"]:
        """cos(C v^L, h) / temperature of each concept's states; the score r is its sigmoid."""
        h = states
        units = [F.normalize(p(concepts), dim=-1) for p in self.vectors]
        for level, (inner, unit) in enumerate(zip(self.inner, units, strict=False)):
            theta = self.weights(inner(unit))
            matrix, bias = theta[:, : -self.state].unflatten(1, (self.state, self.state)), theta[:, -self.state :]
            h = h @ matrix + bias[:, None]
            if level < len(self.inner) - 1:
                h = h.relu()
        direction = self.direction(units[-1])[:, None]
        return F.cosine_similarity(direction, h, dim=-1, eps=1e-6) / self.temperature

    def left(self, states: Float[Tensor, "B T S"], concepts: Float[Tensor, "B N D"]) -> Float[Tensor, "B T"]:
        """r of each state against the concept of its own token: near 0 where they match."""
        per_token = states.reshape(-1, TOKEN_FRAMES, self.state)
        return self.logits(per_token, concepts.flatten(0, 1)).sigmoid().reshape(states.shape[:2])

    def gradient(self, states: Float[Tensor, "B T S"], concepts: Float[Tensor, "B N D"]) -> Float[Tensor, "B T S"]:
        """g = ∇ₛ Σ r: where a state must move to leave its concept. Kept in the graph while gradients are recorded.

        The concept is held: what it owes to the same states through the encoder is no part of g.
        """
        keep = torch.is_grad_enabled()
        with torch.enable_grad():
            held = states.view_as(states) if states.requires_grad else states.detach().requires_grad_()
            score = self.left(held, concepts if keep else concepts.detach())
            (g,) = torch.autograd.grad(score.sum(), held, create_graph=keep)
        return g


def discriminative_loss(
    classifier: ConceptClassifier,
    states: Float[Tensor, "B T S"],
    concepts: Float[Tensor, "B N D"],
    codes: Int[Tensor, "B N"],
    sampled: int,
) -> dict[str, Tensor]:
    """Cross-entropy of "this state is outside this concept", inside and outside states weighing the same ("loss").

    Some of the batch's concepts are drawn; "accuracy" is the mean of the shares right inside and outside, 0.5 by
    chance. With a single concept in the batch there is no outside, and only the inside counts.
    """
    present = codes.unique()
    drawn = present[torch.randperm(len(present), device=codes.device)[:sampled]]
    member = (codes.flatten() == drawn[:, None]).to(concepts.dtype)  # [K B·N]
    # Every member has the same vector; their mean passes gradients straight through to all of them.
    own = member @ concepts.flatten(0, 1) / member.sum(dim=1, keepdim=True)
    logits = classifier.logits(states.flatten(0, 1)[None], own)
    inside = member.bool().repeat_interleave(TOKEN_FRAMES, dim=1)
    wrong = F.binary_cross_entropy_with_logits(logits, (~inside).to(logits.dtype), reduction="none")
    right = ((logits > 0) == ~inside).to(logits.dtype)
    both = len(present) > 1
    sides = (inside, ~inside) if both else (inside,)
    return {
        "loss": torch.stack([_mean_over(wrong, side) for side in sides]).mean(),
        "accuracy": torch.stack([_mean_over(right, side) for side in sides]).mean().detach(),
    }


def _mean_over(values: Float[Tensor, "K F"], chosen: Bool[Tensor, "K F"]) -> Float[Tensor, ""]:
    """Mean over concepts of the mean over their chosen states."""
    weight = chosen.to(values.dtype)
    return ((values * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)).mean()


class VelocityTransformer(nn.Module):
    """Velocity of each frame from states, score gradients and velocities up to it.

    Per frame three tokens in this order: the state, the gradient, the velocity before; the prediction is read from
    the third, and attention is causal. Velocities are in units of about their RMS.
    """

    def __init__(self, state: int, velocity: int, config: ConceptConfig = ConceptConfig()) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.enter = nn.ModuleList(_mlp(size, width) for size in (state, state, velocity))
        self.kind = nn.Parameter(0.02 * torch.randn(3, width))
        self.moment = nn.Parameter(0.02 * torch.randn(config.max_frames, 1, width))
        self.blocks = nn.ModuleList(CausalBlock(width, config.heads) for _ in range(config.depth))
        self.norm, self.leave = nn.LayerNorm(width), nn.Linear(width, velocity)

    def forward(
        self, states: Float[Tensor, "B T S"], gradients: Float[Tensor, "B T S"], before: Float[Tensor, "B T V"]
    ) -> Float[Tensor, "B T V"]:
        frames = states.shape[1]
        if frames > self.config.max_frames:
            raise ValueError(f"expected at most {self.config.max_frames} frames, got {frames}; cut the clip")
        known = [enter(x) for enter, x in zip(self.enter, (states, unit_rms(gradients), before), strict=True)]
        if self.training:
            known = self._withheld(known)
        tokens = torch.stack(known, dim=2) + self.kind + self.moment[:frames]
        x = tokens.flatten(1, 2)
        for block in self.blocks:
            x = block(x)
        return self.leave(self.norm(x[:, 2::3]))

    def _withheld(self, known: Sequence[Tensor]) -> list[Tensor]:
        shares = (self.config.hide_state, 0.0, self.config.hide_previous)
        keep = [torch.rand(len(x), 1, 1, device=x.device) >= share for x, share in zip(known, shares, strict=True)]
        return [x * k for x, k in zip(known, keep, strict=True)]


class CausalBlock(nn.Module):
    """Attention to earlier tokens and MLP; pre-norm, residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Float[Tensor, "B M W"]) -> Float[Tensor, "B M W"]:
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        weights = (q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)).masked_fill(later, float("-inf")).softmax(dim=-1)
        x = x + self.proj((weights @ v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


def _mlp(size: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, width), nn.GELU(), nn.Linear(width, width))


def unit_rms(x: Float[Tensor, "B T S"]) -> Float[Tensor, "B T S"]:
    """Each window scaled to an RMS of 1; the scale itself passes no gradient."""
    scale = x.detach().square().mean(dim=(1, 2), keepdim=True).sqrt()
    return x / scale.clamp(min=1e-12)


def actionable_loss(
    classifier: ConceptClassifier,
    transformer: VelocityTransformer,
    states: Float[Tensor, "B T S"],
    concepts: Float[Tensor, "B N D"],
    velocity: Float[Tensor, "B _ V"],
    weight: Float[Tensor, "B _ V"] | None = None,
) -> Float[Tensor, ""]:
    """Mean squared error of the velocity found from the gradient of the concepts' scores.

    `velocity` has one frame fewer than `states`: entry t leads from frame t to t + 1. `weight` is 0 where it is not
    known.
    """
    gradients = classifier.gradient(states, concepts)
    before = torch.cat([torch.zeros_like(velocity[:, :1]), velocity], dim=1)
    found = transformer(states, gradients, before)[:, :-1]
    square = (found - velocity).square()
    return square.mean() if weight is None else (square * weight).sum() / weight.sum().clamp(min=1)

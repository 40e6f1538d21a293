"""The losses of MotionBERT's mesh task (arXiv 2210.06551, section 3.4), with the weights of its public recipe.

| name     | of what                                                            | unit    | weight |
|----------|--------------------------------------------------------------------|---------|--------|
| pose     | L1 between rotation matrices, mean over their entries              | 1       | 1000   |
| shape    | L1 between shape coefficients                                      | 1       | 1      |
| norm     | length of the predicted parameters (24 axis-angles, 10 coefficients) | rad, 1  | 20     |
| joints   | mean distance of the pelvis-centred Human3.6M joints               | mm      | 0.5    |
| velocity | mean distance of their displacements from frame to frame           | mm/frame | 10     |

`norm` is a prior that draws towards the rest pose and the mean shape: it is not 0 at the truth. The root's rotation is
part of it, as in the public code.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from motionqa.encoders.body.rotations import angle_of

MM = 1000.0


@dataclass(frozen=True)
class MeshLossWeights:
    """How much each loss counts; the defaults are the paper's."""

    pose: float = 1000.0
    shape: float = 1.0
    norm: float = 20.0
    joints: float = 0.5
    velocity: float = 10.0


@dataclass(frozen=True, eq=False)
class BodyState:
    """What the losses compare: predicted or true parameters, and the joints they lead to."""

    rotations: Float[Tensor, "B T 24 3 3"]
    betas: Float[Tensor, "B T 10"]
    joints_m: Float[Tensor, "B T 17 3"]
    """Human3.6M joints in metres, wherever the pelvis (joint 0) may be."""


def mesh_losses(
    found: BodyState, truth: BodyState, weights: MeshLossWeights = MeshLossWeights()
) -> dict[str, Float[Tensor, ""]]:
    """Every loss unweighted in its unit, and their weighted sum under "loss"."""
    about_found, about_truth = (s.joints_m - s.joints_m[:, :, :1] for s in (found, truth))
    moved, truly_moved = about_found.diff(dim=1), about_truth.diff(dim=1)
    parts = {
        "pose": (found.rotations - truth.rotations).abs().mean(),
        "shape": (found.betas - truth.betas).abs().mean(),
        "norm": _length(found).mean(),
        "joints": (about_found - about_truth).norm(dim=-1).mean() * MM,
        "velocity": (moved - truly_moved).norm(dim=-1).mean() * MM if moved.shape[1] else about_found.new_zeros(()),
    }
    total = torch.stack([getattr(weights, name) * value for name, value in parts.items()]).sum()
    return {"loss": total, **parts}


def _length(state: BodyState) -> Float[Tensor, "B T"]:
    """Length of the vector of all axis-angles and shape coefficients."""
    square = angle_of(state.rotations).square().sum(-1) + state.betas.square().sum(-1)
    return (square + 1e-12).sqrt()

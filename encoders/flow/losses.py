"""What H-MoRe learns from (arXiv 2504.10676): flow follows the joints, and its edges follow the person's outline.

Skeleton constraint F, boundary constraint G, and their sum F + α G with α = 0.1 and β = 0.01 as published. The paper
samples points along bones and matches them with the nearest visible joint inside the person's mask; how far a point's
joint may be, and how edges of flow are found, are ours and said where they are.
Axis legend: `B` pairs, `P` people, `J` joints, `H`, `W` pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class FlowLossConfig:
    """Thresholds and weights. Those named in the paper are the paper's."""

    angle_deg: float = 15.0
    intensity: tuple[float, float] = (0.8, 1.2)
    alpha: float = 0.1
    beta: float = 0.01
    min_confidence: float = 0.3
    """Joints below are not matched. Ours."""
    min_motion_px: float = 0.5
    """Joints that move less have no direction; their points are only held to the intensity. Ours."""
    patches: tuple[int, ...] = (8, 16, 32)
    """Sides of the patches of the boundary constraint, pixels. Ours; the paper says several scales."""

    def __post_init__(self) -> None:
        low, high = self.intensity
        if not 0 <= low <= high or not 0 <= self.angle_deg < 180:
            raise ValueError(f"thresholds are not in order: angle {self.angle_deg}, intensity {self.intensity}")


@dataclass(frozen=True, eq=False)
class People:
    """What the pose stage knows of the people in a pair of frames."""

    joints: Float[Tensor, "B P J 2"]
    """In the first frame, pixels."""
    moved: Float[Tensor, "B P J 2"]
    """To the second frame, pixels."""
    confidence: Float[Tensor, "B P J"]
    """In both frames: the smaller one."""
    masks: Float[Tensor, "B P H W"]
    """0 to 1, of the first frame; all 0 for places in the batch without a person."""


def nearest_joint(
    people: People, bones: tuple[tuple[int, int], ...], config: FlowLossConfig = FlowLossConfig()
) -> tuple[Float[Tensor, "B P 2 H W"], Bool[Tensor, "B P H W"]]:
    """For every pixel of a person the displacement of its joint, and where there is one.

    A pixel belongs to the nearest point of the nearest visible bone, and to that bone's nearer end; distance is divided
    by the end's confidence (the paper's weighting by visibility). The displacement is the joint's own, not a mixture.
    """
    b, p, h, w = people.masks.shape
    y, x = torch.meshgrid(
        torch.arange(h, device=people.masks.device), torch.arange(w, device=people.masks.device), indexing="ij"
    )
    pixel = torch.stack([x, y], dim=-1).to(people.joints.dtype)
    best = people.masks.new_full((b, p, h, w), math.inf)
    moved = people.masks.new_zeros((b, p, h, w, 2))
    for one, other in bones:
        start, end = people.joints[:, :, one], people.joints[:, :, other]
        along = (end - start)[:, :, None, None]
        length = along.square().sum(-1).clamp(min=1e-6)
        share = (((pixel - start[:, :, None, None]) * along).sum(-1) / length).clamp(0, 1)
        distance = (pixel - start[:, :, None, None] - share[..., None] * along).norm(dim=-1)
        for joint, side in ((one, share <= 0.5), (other, share > 0.5)):
            sure = people.confidence[:, :, joint, None, None]
            weighted = torch.where(side & (sure >= config.min_confidence), distance / sure.clamp(min=1e-6), math.inf)
            closer = weighted < best
            best = torch.where(closer, weighted, best)
            moved = torch.where(closer[..., None], people.moved[:, :, joint, None, None].expand_as(moved), moved)
    inside = (people.masks > 0.5) & best.isfinite()
    return moved.permute(0, 1, 4, 2, 3), inside


def angle_term(
    flow: Float[Tensor, "B P 2 H W"], joint: Float[Tensor, "B P 2 H W"], config: FlowLossConfig
) -> Float[Tensor, "B P H W"]:
    """F_A: by how much the flow's direction is off the joint's beyond the threshold, radians.

    atan2 of cross and dot product: its gradient is finite at every angle, unlike that of arccos. No flow has no
    direction and counts as a right angle, and flow shorter than the intensity allows in part (ours): as published,
    standing still would be the way to be right.
    """
    cross = flow[:, :, 0] * joint[:, :, 1] - flow[:, :, 1] * joint[:, :, 0]
    dot = (flow * joint).sum(dim=2)
    still = (cross.abs() + dot.abs()) < 1e-6  # atan2 has no gradient at the origin
    angle = torch.atan2(cross.abs(), torch.where(still, torch.ones_like(dot), dot))
    length = (flow.square().sum(dim=2) + 1e-8).sqrt()
    short = F.relu(1 - length / (config.intensity[0] * joint.norm(dim=2)).clamp(min=1e-6))
    angle = (1 - short) * angle + short * math.pi / 2
    return F.relu(angle - math.radians(config.angle_deg))


def intensity_term(
    flow: Float[Tensor, "B P 2 H W"], joint: Float[Tensor, "B P 2 H W"], config: FlowLossConfig
) -> Float[Tensor, "B P H W"]:
    """F_I: how far the flow's length is outside 0.8 to 1.2 times the joint's, pixels."""
    length = (flow.square().sum(dim=2) + 1e-8).sqrt()
    expected = joint.norm(dim=2)
    low, high = config.intensity
    return F.relu(low * expected - length) + F.relu(length - high * expected - 1e-4)


def skeleton_loss(
    flow: Float[Tensor, "B P 2 H W"],
    joint: Float[Tensor, "B P 2 H W"],
    inside: Bool[Tensor, "B P H W"],
    config: FlowLossConfig = FlowLossConfig(),
) -> dict[str, Tensor]:
    """F: mean over the people's pixels of F_A + β F_I; 0 where there are none.

    `flow` is the world flow against the joints' displacements, or the local flow against their displacements less the
    person's own. Pixels of joints that stand still have no direction and count for F_I alone.
    """
    has_direction = joint.norm(dim=2) >= config.min_motion_px
    count = inside.sum().clamp(min=1)
    angle = torch.where(inside & has_direction, angle_term(flow, joint, config), 0.0).sum() / count
    intensity = torch.where(inside, intensity_term(flow, joint, config), 0.0).sum() / count
    return {"angle": angle, "intensity": intensity, "skeleton": angle + config.beta * intensity}


# ---------------------------------------------------------------------------------------------- boundary

_SOBEL_X = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8


def flow_edges(flow: Float[Tensor, "B 2 H W"]) -> Float[Tensor, "B H W"]:
    """s: how sharply the flow changes at each pixel, pixels per pixel, by Sobel's operator; differentiable."""
    kernel = torch.stack([_SOBEL_X, _SOBEL_X.T])[:, None].to(flow)
    padded = F.pad(flow.flatten(0, 1)[:, None], (1, 1, 1, 1), mode="replicate")
    slope = F.conv2d(padded, kernel).unflatten(0, flow.shape[:2])
    return (slope.square().sum(dim=(1, 2)) + 1e-8).sqrt()


def outline(mask: Float[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
    """e: 1 on the pixels of a person that touch the background, else 0."""
    body = (mask > 0.5).to(mask.dtype)[:, None]
    eroded = -F.max_pool2d(-F.pad(body, (1, 1, 1, 1), value=1.0), 3, stride=1)
    return (body - eroded)[:, 0]


def patch_centroids(curve: Float[Tensor, "B H W"], side: int) -> tuple[Float[Tensor, "B N 2"], Float[Tensor, "B N"]]:
    """The centre of mass of a curve inside each patch, pixels, and the mass."""
    h, w = curve.shape[1:]
    curve = F.pad(curve, (0, -w % side, 0, -h % side))
    rows = torch.arange(curve.shape[1], device=curve.device, dtype=curve.dtype)
    columns = torch.arange(curve.shape[2], device=curve.device, dtype=curve.dtype)
    mass, at_x, at_y = (
        F.avg_pool2d(v[:, None], side).flatten(1) * side**2 for v in (curve, curve * columns, curve * rows[:, None])
    )
    return torch.stack([at_x, at_y], dim=-1) / mass.clamp(min=1e-6)[..., None], mass


def boundary_loss(
    flow: Float[Tensor, "B 2 H W"], mask: Float[Tensor, "B H W"], config: FlowLossConfig = FlowLossConfig()
) -> Float[Tensor, ""]:
    """G: the Chamfer distance between the flow's edges and the outline by centroids of patches, at several scales.

    Both ways, weighted by mass: every piece of flow edge to the nearest piece of outline, and back. The outline side
    looks for flow edges softly, since which of them is nearest must be learnable. Distances are in patch sides, so
    that scales count alike; pairs without an outline or without flow edges count 0.
    """
    edges = flow_edges(flow) * (_near(mask) > 0)
    wanted = outline(mask)
    known = (wanted.sum((1, 2)) > 0) & (edges.amax((1, 2)) > 1e-2)
    if not known.any():
        return flow.sum() * 0.0
    total = flow.new_zeros(())
    for side in config.patches:
        total = total + _patch_chamfer(edges[known], wanted[known], side)
    return total / len(config.patches)


def _near(mask: Float[Tensor, "B H W"], reach: int = 15) -> Float[Tensor, "B H W"]:
    """The person and a margin around: what other things in the picture do is none of the outline's business."""
    return F.max_pool2d(mask[:, None], 2 * reach + 1, stride=1, padding=reach)[:, 0]


def _patch_chamfer(edges: Float[Tensor, "B H W"], wanted: Float[Tensor, "B H W"], side: int) -> Float[Tensor, ""]:
    at_edge, edge_mass = patch_centroids(edges, side)
    at_outline, outline_mass = patch_centroids(wanted, side)
    distance = torch.cdist(at_edge, at_outline) / side
    to_outline = distance.masked_fill(outline_mass[:, None] <= 0, math.inf).amin(dim=2)
    there = (edge_mass * to_outline).sum(dim=1) / edge_mass.sum(dim=1)
    # A patch of weak flow edge is a distant one: mass enters the soft minimum.
    strength = (edge_mass / edge_mass.amax(dim=1, keepdim=True)).clamp(min=1e-6).log()
    nearness = (strength[:, :, None] - 2 * distance).softmax(dim=1)
    back = ((nearness * distance).sum(dim=1) * outline_mass).sum(dim=1) / outline_mass.sum(dim=1)
    return ((there + back) / 2).mean()


def chamfer(edges: Float[Tensor, "H W"], wanted: Float[Tensor, "H W"], threshold: float = 0.5) -> Float[Tensor, ""]:
    """The exact symmetric Chamfer distance between two curves, pixels: the reference for `boundary_loss`.

    Pixels above `threshold` belong to a curve. ValueError where a curve has none.
    """
    one, other = ((curve > threshold).nonzero().float() for curve in (edges, wanted))
    if not len(one) or not len(other):
        raise ValueError("a curve has no pixels; there is no distance to it")
    distance = torch.cdist(one[None], other[None])[0]
    return (distance.amin(dim=1).mean() + distance.amin(dim=0).mean()) / 2

"""How good flow of people is: against the exact flow of drawn pairs, and against joints and outlines of filmed ones."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float

from motionqa.data.synthetic.puppets import FlowPair
from motionqa.encoders.flow.losses import chamfer, flow_edges, outline
from motionqa.eval.flow_estimators import near, outside

Array = np.ndarray

MIN_CONFIDENCE = 0.3
MIN_MOTION_PX = 1.0
"""Joints that move less have no direction that could be compared."""
STILL_PX = 0.05
"""Flow below this has no direction; it counts as a right angle off, which is what chance gives."""
MIN_EDGE = 1e-3
"""Flow that changes less, pixels per pixel, has no edge."""
NEAR_PX = 15
"""Edges of flow farther from a person are not this person's."""


def body_error(flow: Float[Array, "2 H W"], pair: FlowPair, still: Float[Array, "2 H W"] | None = None) -> float:
    """Mean end-point error over the people's pixels of a drawn pair, px.

    With `still`, the flow of a still world, the truth is the people's motion in that world: the true flow less it.
    ValueError where nobody is seen or the flow is not known.
    """
    body = pair.masks.any(axis=0)
    if pair.flow is None or not body.any():
        raise ValueError("expected a pair with known flow and somebody in it")
    true = pair.flow if still is None else pair.flow - still
    return float(np.linalg.norm(flow - true, axis=0)[body].mean())


def leak(flow: Float[Array, "2 H W"], pair: FlowPair) -> float:
    """Mean length of the flow farther than 2 px from every person, px; 0 where people fill the picture."""
    background = outside(pair.masks)
    return float(np.linalg.norm(flow, axis=0)[background].mean()) if background.any() else 0.0


def angle_errors(flow: Float[Array, "2 H W"], pair: FlowPair) -> Float[Array, "_"]:
    """Degrees between the flow at each visible, moving joint and the joint's displacement.

    Joints outside the picture or outside every mask, or that move less than 1 px, are left out.
    """
    height, width = flow.shape[1:]
    at = pair.joints.round().astype(int)
    inside = ((at >= 0) & (at < (width, height))).all(axis=-1)
    on = np.zeros_like(inside)
    body = np.asarray(pair.masks.any(axis=0))
    on[inside] = body[at[inside][:, 1], at[inside][:, 0]]
    chosen = on & (pair.confidence >= MIN_CONFIDENCE) & (np.linalg.norm(pair.moved, axis=-1) >= MIN_MOTION_PX)
    x, y = (pair.joints[chosen][:, i].astype(np.float32) for i in (0, 1))
    if not len(x):
        return np.zeros(0)
    found = np.stack([cv2.remap(f.astype(np.float32), x, y, cv2.INTER_LINEAR)[:, 0] for f in flow], axis=-1)
    true = pair.moved[chosen]
    cross = found[:, 0] * true[:, 1] - found[:, 1] * true[:, 0]
    angle = np.degrees(np.arctan2(np.abs(cross), (found * true).sum(axis=-1)))
    return np.where(np.linalg.norm(found, axis=-1) < STILL_PX, 90.0, angle)


def outline_distance(flow: Float[Array, "2 H W"], pair: FlowPair) -> float | None:
    """Exact Chamfer distance of the flow's edges and the people's outline, px; None where nobody has an outline.

    Edges of flow have no scale, so as many of their sharpest pixels count as the outline has: methods of weak and of
    strong flow are judged alike. Flow without any edge counts half the picture's shorter side. Both rules are ours.
    """
    rim = outline(torch.from_numpy(pair.masks.any(axis=0))[None].float())[0]
    if not rim.any():
        return None
    edges = flow_edge_pixels(flow, pair.masks, int(rim.sum()))
    return float(chamfer(torch.from_numpy(edges).float(), rim)) if edges.any() else min(rim.shape) / 2


def flow_edge_pixels(flow: Float[Array, "2 H W"], masks: Bool[Array, "P H W"], count: int) -> Bool[Array, "H W"]:
    """The `count` pixels where the flow changes most, on ridges and within 15 px of the people."""
    sharp = flow_edges(torch.from_numpy(np.ascontiguousarray(flow, np.float32))[None])[0].numpy()
    ridge = np.where(near(masks, NEAR_PX) & _ridge(sharp) & (sharp > MIN_EDGE), sharp, 0.0)
    strongest = np.argsort(-ridge, axis=None, kind="stable")[:count]
    edges = np.zeros(ridge.shape, bool)
    edges.flat[strongest[ridge.flat[strongest] > 0]] = True
    return edges


def _ridge(sharp: Float[Array, "H W"]) -> Array:
    """Pixels that are no less sharp than both neighbours in a row, or in a column."""
    padded = np.pad(sharp, 1)
    centre = padded[1:-1, 1:-1]
    along_row = (centre >= padded[1:-1, :-2]) & (centre >= padded[1:-1, 2:])
    along_column = (centre >= padded[:-2, 1:-1]) & (centre >= padded[2:, 1:-1])
    return along_row | along_column


def moves(pair: FlowPair) -> bool:
    """Whether the visible joints of a pair move by at least 1 px on average."""
    seen = pair.confidence >= MIN_CONFIDENCE
    return bool(seen.any()) and float(np.linalg.norm(pair.moved, axis=-1)[seen].mean()) >= MIN_MOTION_PX

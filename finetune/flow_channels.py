"""Channels of a clip for small networks: a few even moments cut out about the person, and the flow seen in each.

The same windows, pictures and outline serve the classical flow (OpenCV's DIS, medium preset) and H-MoRe, so that they
differ in nothing but the method. A pair of frames is cut with one window: flow stays flow in the world, also where the
windows follow a person through the picture. Units, cutting at the outline and sizes are our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8

from motionqa.data.packed_flow import PackedHMoRe, PackedSight
from motionqa.data.schema import InputError
from motionqa.encoders.flow.classical import dis_flow
from motionqa.encoders.flow.hmore import HMoRe

Array = np.ndarray


@dataclass(frozen=True)
class ChannelConfig:
    """How a clip becomes channels; ours."""

    steps: int = 24
    size: int = 64
    """Side of the packed windows, pixels."""
    flow_side: int = 128
    """Side at which flow is estimated, pixels; H-MoRe's cost grows with its square."""
    gap: int = 2
    """Frames between the two pictures of a pair."""
    margin: float = 0.05
    """Room about the person, as a share of the window."""
    follow: bool = False
    """Windows go with the person (for people who cross the picture) instead of standing still."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.gap < 1 or not 8 <= self.size <= self.flow_side:
            raise ValueError(
                f"expected steps and gap of at least 1 and 8 <= size <= flow_side, got {self.steps}, {self.gap}, "
                f"{self.size}, {self.flow_side}"
            )


@dataclass(frozen=True, eq=False)
class SeenPerson:
    """One person through a clip, as a camera saw it."""

    pictures: UInt8[Array, "T H W 3"]
    """What flow is estimated on."""
    mask: Bool[Array, "T _ _"]
    seen: Float[Array, "T _ _"]
    """What a network without flow is given; 0 outside the mask."""
    fps: float

    def __post_init__(self) -> None:
        if not self.pictures.shape[:3] == self.mask.shape == self.seen.shape:
            sizes = f"{self.pictures.shape[:3]}, {self.mask.shape}, {self.seen.shape}"
            raise ValueError(f"pictures, mask and what is seen must be of one size, got {sizes}")


@dataclass(frozen=True, eq=False)
class Pairs:
    """A clip's pairs of pictures, cut out about the person at `flow_side`."""

    first: UInt8[Array, "N S S 3"]
    second: UInt8[Array, "N S S 3"]
    mask: Float[Array, "N S S"]
    """Of the first picture; between 0 and 1 at the rim."""
    seen: Float[Array, "N S S"]
    to_heights_per_s: float
    """What flow in pixels of these pictures is multiplied with."""


def cut_pairs(person: SeenPerson, config: ChannelConfig = ChannelConfig()) -> Pairs:
    """The clip's even moments, each with the picture `gap` frames later, in windows about the person.

    A body height is three quarters up the outline's heights over the clip: standing more often than crouching.
    InputError for a clip without anybody or of too few frames.
    """
    if len(person.mask) <= config.gap:
        raise InputError(f"the clip has {len(person.mask)} frames, expected more than {config.gap} to see flow")
    boxes = _boxes(person.mask)
    if boxes is None:
        raise InputError("nobody is in the clip: the mask is empty in every frame")
    moments = np.linspace(0, len(person.mask) - 1 - config.gap, config.steps).round().astype(int)
    windows = _windows(boxes, person.mask.shape[1:], config)[moments]
    side = int(windows[0, 2])
    height_px = max(2.0, float(np.quantile(boxes[:, 3] - boxes[:, 1], 0.75)))

    def cut(frames: Array, at: Array) -> Array:
        return np.stack([_cut(frames[k], w, config.flow_side) for k, w in zip(at, windows, strict=True)])

    return Pairs(
        first=cut(person.pictures, moments),
        second=cut(person.pictures, moments + config.gap),
        mask=cut(person.mask.astype(np.float32), moments),
        seen=cut(person.seen.astype(np.float32), moments),
        to_heights_per_s=side / config.flow_side / height_px * person.fps / config.gap,
    )


def sight(pairs: Pairs, size: int) -> PackedSight:
    """What is seen, and DIS flow inside the person."""
    found = [dis_flow(a, b).transpose(2, 0, 1) for a, b in zip(pairs.first, pairs.second, strict=True)]
    flow = np.stack(found) * pairs.to_heights_per_s
    mask = _shrunk(pairs.mask, size)
    seen = np.where(mask > 0.5, _shrunk(pairs.seen, size) / np.maximum(mask, 0.5), 0.0)
    return PackedSight(seen.astype(np.float32), _inside(flow, pairs.mask, seen > 0, size))


def hmore_flow(model: HMoRe, pairs: Pairs, size: int, batch: int = 8) -> PackedHMoRe:
    """H-MoRe's world flow inside the person and the person's course, `batch` pairs at a time."""
    from motionqa.encoders.device import best_device

    device = next(model.parameters()).device
    precision = best_device()[1]
    worlds, trends = [], []
    for k in range(0, len(pairs.mask), batch):
        part = slice(k, k + batch)
        first, second = (
            torch.from_numpy(np.ascontiguousarray(p[part])).to(device).permute(0, 3, 1, 2).float() / 255
            for p in (pairs.first, pairs.second)
        )
        masks = torch.from_numpy(pairs.mask[part]).to(device)[:, None]
        with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision != torch.float32):
            found = model(first, second, masks)
        worlds.append(found.world.float().cpu().numpy())
        trends.append(found.trend[:, 0].float().cpu().numpy())
    world = np.concatenate(worlds) * pairs.to_heights_per_s
    shrunk = _shrunk(pairs.mask, size) > 0.5
    trend = np.concatenate(trends) * pairs.to_heights_per_s
    return PackedHMoRe(_inside(world, pairs.mask, shrunk, size), trend.astype(np.float32))


def _boxes(mask: Bool[Array, "T H W"]) -> Int[Array, "T 4"] | None:
    """x0, y0, x1, y1 of the person in each frame; frames without one take the next frame's that has. None: nobody."""
    found = np.full((len(mask), 4), -1)
    for k, frame in enumerate(mask):
        # Two pixels wide at least: what compression leaves beside the person is thinner.
        solid = cv2.morphologyEx(frame.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        columns, rows = (np.flatnonzero(solid.any(axis=a)) for a in (0, 1))
        if len(columns):
            found[k] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    there = np.flatnonzero(found[:, 0] >= 0)
    if not len(there):
        return None
    return found[there[np.searchsorted(there, np.arange(len(mask))).clip(max=len(there) - 1)]]


def _windows(boxes: Int[Array, "T 4"], size: tuple[int, int], config: ChannelConfig) -> Int[Array, "T 3"]:
    """Left, top and side of the window of each frame; one side throughout, so that flow has one scale."""
    low, high = boxes[:, :2].astype(float), boxes[:, 2:].astype(float)
    if not config.follow:
        low, high = np.broadcast_to(low.min(axis=0), low.shape), np.broadcast_to(high.max(axis=0), high.shape)
    side = int(np.ceil((high - low).max() * (1 + config.margin)))
    side = max(8, min(side, 2 * max(size)))
    corner = np.round((low + high) / 2 - side / 2).astype(int)
    return np.concatenate([corner, np.full((len(boxes), 1), side)], axis=1)


def _cut(frame: Array, window: Int[Array, "3"], out: int) -> Array:
    """The window of a frame at the given size; black beyond the frame's edge."""
    x, y, side = (int(v) for v in window)
    height, width = frame.shape[:2]
    canvas = np.zeros((side, side, *frame.shape[2:]), frame.dtype)
    rows, columns = slice(max(0, y), max(0, min(height, y + side))), slice(max(0, x), max(0, min(width, x + side)))
    part = frame[rows, columns]
    canvas[rows.start - y : rows.start - y + part.shape[0], columns.start - x : columns.start - x + part.shape[1]] = (
        part
    )
    way = cv2.INTER_AREA if side > out else cv2.INTER_LINEAR
    return cv2.resize(canvas, (out, out), interpolation=way)


def _shrunk(pictures: Float[Array, "N S S"], size: int) -> Float[Array, "N s s"]:
    return np.stack([cv2.resize(p.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) for p in pictures])


def _inside(
    flow: Float[Array, "N 2 S S"], mask: Float[Array, "N S S"], inside: Bool[Array, "N s s"], size: int
) -> Float[Array, "N 2 s s"]:
    """Mean flow of the person's pixels under each packed pixel; 0 outside."""
    weight = np.maximum(_shrunk(mask, size), 1e-3)
    parts = [np.where(inside, _shrunk(flow[:, c] * mask, size) / weight, 0.0) for c in (0, 1)]
    return np.stack(parts, axis=1).astype(np.float32)

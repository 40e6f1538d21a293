"""Pairs of pictures of moving, textured people before a moving background, with exact flow: labelled data for H-MoRe.

People are flat limbs laid over a motion's joints as a camera sees them, so where every visible pixel goes is known
without a renderer: limbs are stretched along and across their bone, the trunk is two triangles. The camera turns,
zooms and drifts between the two pictures. Everything here is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from motionqa.data.skeleton import H36M_17

Array = np.ndarray

_J = {name: i for i, name in enumerate(H36M_17.joints)}
LIMBS: tuple[tuple[str, str, float, float], ...] = (
    *((f"{s}_hip", f"{s}_knee", 0.085, 0.06) for s in ("left", "right")),
    *((f"{s}_knee", f"{s}_ankle", 0.06, 0.04) for s in ("left", "right")),
    *((f"{s}_shoulder", f"{s}_elbow", 0.055, 0.045) for s in ("left", "right")),
    *((f"{s}_elbow", f"{s}_wrist", 0.045, 0.05) for s in ("left", "right")),
    ("thorax", "head_top", 0.06, 0.11),
)
"""Bone, and the limb's half width at its two ends, metres."""
TRUNK = ("left_shoulder", "right_shoulder", "right_hip", "left_hip")
TRUNK_MARGIN_M = 0.07


@dataclass(frozen=True, eq=False)
class FlowPair:
    """Two pictures and what is known of them, drawn or filmed; flow in pixels."""

    first: UInt8[Array, "H W 3"]
    second: UInt8[Array, "H W 3"]
    masks: Bool[Array, "P H W"]
    """Where each person is seen in the first picture."""
    joints: Float[Array, "P 17 2"]
    moved: Float[Array, "P 17 2"]
    confidence: Float[Array, "P 17"]
    """0 for joints outside the first picture."""
    trend: Float[Array, "P 2"]
    """Where each person goes as a whole: the displacement of the pelvis."""
    flow: Float[Array, "2 H W"] | None = None
    """Of every pixel of the first picture, the background's included; None where nobody knows it."""


@dataclass(frozen=True, eq=False)
class SeenBody:
    """A body in the picture at two moments: joints in pixels, depth, and pixels per metre there."""

    first_px: Float[Array, "17 2"]
    second_px: Float[Array, "17 2"]
    depth_m: Float[Array, "17"]
    scale: tuple[float, float]


@dataclass(frozen=True, eq=False)
class _Part:
    """A piece of a person: corner points and half widths at both moments, and its texture."""

    depth: float
    first: Array
    second: Array
    texture: UInt8[Array, "S S 3"]
    person: int


def puppet_pair(
    bodies: Sequence[SeenBody], size: tuple[int, int], camera: Float[Array, "2 3"], rng: np.random.Generator
) -> FlowPair:
    """The pair for bodies (in the second picture before the camera moves) and an affine camera motion in pixels.

    `camera` takes places of the background in the first picture to the second one; it moves the people as well.
    """
    height, width = size
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
    scenery = texture(rng, 2 * max(size), coarse=True)
    centre = np.array([width, height], np.float32) / 2
    first = _scenery(scenery, grid - centre)
    second = _scenery(scenery, _undone(grid, camera) - centre)
    flow = (_moved(grid, camera) - grid).transpose(2, 0, 1)
    masks = np.zeros((len(bodies), height, width), bool)
    parts = [p for k, body in enumerate(bodies) for p in _parts(body, camera, k, rng)]
    for part in sorted(parts, key=lambda p: -p.depth):
        box, seen, uv = _covered(grid, part.first)
        first[box][seen] = _cloth(part.texture, uv)
        flow[:, *box][:, seen] = (_place(uv, part.second) - grid[box][seen]).T
        masks[:, *box][:, seen] = False
        masks[part.person][box][seen] = True
        box, seen, uv = _covered(grid, part.second)
        second[box][seen] = _cloth(part.texture, uv)
    joints = np.stack([b.first_px for b in bodies])
    later = np.stack([_moved(b.second_px, camera) for b in bodies])
    inside = ((joints >= 0) & (joints <= (width - 1, height - 1))).all(axis=-1)
    return FlowPair(
        first=_filmed(first, rng),
        second=_filmed(second, rng),
        flow=flow.astype(np.float32),
        masks=masks,
        joints=joints.astype(np.float32),
        moved=(later - joints).astype(np.float32),
        confidence=np.asarray(inside, np.float32),
        trend=(later - joints)[:, _J["pelvis"]].astype(np.float32),
    )


def _moved(points: Array, camera: Float[Array, "2 3"]) -> Array:
    return points @ camera[:, :2].T + camera[:, 2]


def _undone(points: Array, camera: Float[Array, "2 3"]) -> Array:
    return (points - camera[:, 2]) @ np.linalg.inv(camera[:, :2]).T


# ------------------------------------------------------------------------------------------------- parts
#
# A limb is [4, 2]: its two ends, and its half widths at both (repeated over the last axis). A triangle is [3, 2].


def _parts(body: SeenBody, camera: Array, person: int, rng: np.random.Generator) -> list[_Part]:
    one, two = body.first_px, _moved(body.second_px, camera)
    zoom = float(np.sqrt(abs(np.linalg.det(camera[:, :2]))))
    scales = body.scale[0], body.scale[1] * zoom
    clothes = {k: texture(rng, 128) for k in ("trunk", "leg", "arm", "skin")}
    out = []
    for a, b, wide, narrow in LIMBS:
        ends = [_J[a], _J[b]]
        kind = (
            "skin" if b in ("head_top", "left_wrist", "right_wrist") else "leg" if "hip" in a or "knee" in a else "arm"
        )
        before, after = (
            np.stack([*points[ends], np.full(2, wide * s), np.full(2, narrow * s)])
            for points, s in ((one, scales[0]), (two, scales[1]))
        )
        out.append(_Part(float(body.depth_m[ends].mean()), before, after, clothes[kind], person))
    corners = [_J[j] for j in TRUNK]
    depth = float(body.depth_m[corners].mean())
    sides = _sides(one[corners])  # of the first picture for both: a trunk seen edge-on must not turn inside out
    quads = [_widened(points[corners], TRUNK_MARGIN_M * s, sides) for points, s in ((one, scales[0]), (two, scales[1]))]
    for three in ([0, 1, 2], [0, 2, 3]):
        out.append(_Part(depth, quads[0][three], quads[1][three], clothes["trunk"], person))
    return out


def _sides(quad: Float[Array, "4 2"]) -> Float[Array, "4"]:
    """On which side of the trunk's middle line each corner is pushed out."""
    first = 1.0 if ((quad[[0, 3]] - quad.mean(axis=0)) @ _across(quad)).sum() >= 0 else -1.0
    return np.array([first, -first, -first, first])


def _across(quad: Float[Array, "4 2"]) -> Float[Array, "2"]:
    down = quad[[2, 3]].mean(axis=0) - quad[[0, 1]].mean(axis=0)
    return np.array([-down[1], down[0]]) / max(float(np.linalg.norm(down)), 1e-6)


def _widened(quad: Float[Array, "4 2"], margin: float, sides: Float[Array, "4"]) -> Float[Array, "4 2"]:
    """The trunk's corners pushed out from its middle; seen from the side it keeps twice the margin of width."""
    return quad + sides[:, None] * _across(quad) * margin


def _covered(grid: Float[Array, "H W 2"], shape: Array) -> tuple[tuple[slice, slice], Array, Float[Array, "N 2"]]:
    """The box around a part, which of the box's pixels it covers, and their coordinates on it."""
    points = shape if len(shape) == 3 else shape[:2]
    reach = 0.0 if len(shape) == 3 else float(shape[2:].max())
    low = np.clip(np.floor(points.min(axis=0) - reach), 0, (grid.shape[1], grid.shape[0])).astype(int)
    high = np.clip(np.ceil(points.max(axis=0) + reach) + 1, 0, (grid.shape[1], grid.shape[0])).astype(int)
    box = slice(low[1], high[1]), slice(low[0], high[0])
    seen, uv = _coordinates(grid[box], shape)
    return box, seen, uv[seen]


def _coordinates(grid: Float[Array, "H W 2"], shape: Array) -> tuple[Bool[Array, "H W"], Float[Array, "H W 2"]]:
    """Which pixels a part covers, and their coordinates on it."""
    if len(shape) == 3:
        edges = np.stack([shape[1] - shape[0], shape[2] - shape[0]], axis=1)
        if abs(np.linalg.det(edges)) < 1e-3:
            return np.zeros(grid.shape[:2], bool), np.zeros_like(grid)
        uv = (grid - shape[0]) @ np.linalg.inv(edges).T
        return (uv >= 0).all(axis=-1) & (uv.sum(axis=-1) <= 1), uv.astype(np.float32)
    start, end, wide, narrow = shape[0], shape[1], shape[2, 0], shape[3, 0]
    along, length = _axis(start, end)
    d = (grid - start) @ along
    across = (grid - start) @ np.array([-along[1], along[0]])
    share = np.clip(d / length, 0, 1)
    half = wide + (narrow - wide) * share
    beyond = np.where(d < 0, d / wide, np.where(d > length, (d - length) / narrow, 0.0))
    u, v = share + beyond, across / half
    return (beyond**2 + v**2) <= 1, np.stack([u, v], axis=-1).astype(np.float32)


def _place(uv: Float[Array, "N 2"], shape: Array) -> Float[Array, "N 2"]:
    """Where coordinates on a part are in the picture: the inverse of `_coordinates`."""
    if len(shape) == 3:
        return shape[0] + uv[:, :1] * (shape[1] - shape[0]) + uv[:, 1:] * (shape[2] - shape[0])
    start, end, wide, narrow = shape[0], shape[1], shape[2, 0], shape[3, 0]
    along, length = _axis(start, end)
    share = np.clip(uv[:, 0], 0, 1)
    beyond = uv[:, 0] - share
    d = share * length + np.where(beyond < 0, beyond * wide, beyond * narrow)
    half = wide + (narrow - wide) * share
    return start + d[:, None] * along + (uv[:, 1] * half)[:, None] * np.array([-along[1], along[0]])


def _axis(start: Float[Array, "2"], end: Float[Array, "2"]) -> tuple[Float[Array, "2"], float]:
    """Unit vector and length of a bone; one seen end on keeps a pixel."""
    bone = end - start
    length = float(np.linalg.norm(bone))
    return (bone / length, length) if length >= 1 else (np.array([1.0, 0.0]), 1.0)


# ---------------------------------------------------------------------------------------------- textures


def texture(rng: np.random.Generator, side: int, coarse: bool = False) -> UInt8[Array, "S S 3"]:
    """Random colour, with cloudy noise of several sizes, stripes now and then, and shapes in a coarse one."""
    import cv2

    base = rng.uniform(30, 225, 3)
    out = np.broadcast_to(base, (side, side, 3)).astype(np.float32).copy()
    for cells in (4, 12, 40):
        noise = rng.normal(0, 1, (cells, cells, 3)).astype(np.float32)
        out += rng.uniform(4, 28) * cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.4:
        turn = rng.uniform(0, np.pi)
        y, x = np.mgrid[:side, :side] / side
        wave = np.sin(2 * np.pi * rng.uniform(4, 16) * (x * np.cos(turn) + y * np.sin(turn)))
        out += (rng.uniform(10, 45) * wave)[..., None] * rng.uniform(-1, 1, 3)
    for _ in range(rng.integers(8, 30) if coarse else 0):
        colour = rng.uniform(0, 255, 3).tolist()
        at = rng.integers(0, side, 2)
        if rng.random() < 0.5:
            cv2.circle(out, at.tolist(), int(rng.integers(side // 60 + 1, side // 8)), colour, -1)
        else:
            cv2.rectangle(out, at.tolist(), (at + rng.integers(side // 60 + 1, side // 5, 2)).tolist(), colour, -1)
    return np.clip(out, 0, 255).astype(np.uint8)


def _scenery(picture: UInt8[Array, "S S 3"], at_px: Float[Array, "H W 2"]) -> UInt8[Array, "H W 3"]:
    """The background at pixels counted from its middle, mirrored beyond its border."""
    return _looked_up(picture, at_px + len(picture) / 2)


def _cloth(picture: UInt8[Array, "S S 3"], uv: Float[Array, "N 2"]) -> UInt8[Array, "N 3"]:
    """The texture at a part's coordinates, which run from -1 to 2."""
    if len(uv) == 0:
        return np.zeros((0, 3), np.uint8)
    return _looked_up(picture, ((uv + 1) / 3 * (len(picture) - 1))[:, None])[:, 0]


def _looked_up(picture: UInt8[Array, "S S 3"], place: Float[Array, "M N 2"]) -> UInt8[Array, "M N 3"]:
    import cv2

    place = place.astype(np.float32)
    return cv2.remap(picture, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _filmed(picture: UInt8[Array, "H W 3"], rng: np.random.Generator) -> UInt8[Array, "H W 3"]:
    """A little unsharpness, other light and sensor noise, as a camera adds."""
    import cv2

    out = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.0)).astype(np.float32)
    out = out * rng.uniform(0.95, 1.05) + rng.normal(0, rng.uniform(1, 4), picture.shape)
    return np.clip(out, 0, 255).astype(np.uint8)

"""Pictures of what each term of H-MoRe's loss punishes, drawn from the terms themselves.

python -m motionqa.eval.flow_pictures --out docs
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from motionqa.data.skeleton import H36M_17, convert
from motionqa.data.synthetic.body import render
from motionqa.data.synthetic.motions import walk
from motionqa.data.synthetic.puppets import FlowPair, SeenBody, puppet_pair
from motionqa.encoders.flow.losses import (
    FlowLossConfig,
    People,
    angle_term,
    boundary_loss,
    flow_edges,
    intensity_term,
    nearest_joint,
    outline,
    patch_centroids,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray
CONFIG = FlowLossConfig()
SIZE = (192, 160)
PATCH = 16
SHIFT_PX = 10
"""By how much the flow of the boundary's picture is beside the person."""


@dataclass(frozen=True)
class Config:
    """Where the pictures go."""

    out: Path = Path("docs")


def walker() -> FlowPair:
    """Two pictures of a drawn person who walks to the right, seen from the side."""
    pose = render(walk(3))
    joints, _ = convert(pose.xyz_m, pose.confidence, pose.skeleton, H36M_17)
    k, later = 24, 27
    side = joints[[k, later]][..., [2, 1, 0]]
    low, high = side[0].min(axis=0), side[0].max(axis=0)
    scale = 0.8 * SIZE[0] / (high[1] - low[1])
    middle = (low + high)[:2] / 2
    px = (side[..., :2] - middle) * (scale, -scale) + (0.45 * SIZE[1], SIZE[0] / 2)
    body = SeenBody(px[0], px[1], 4 - side[0, :, 2], (scale, scale))
    return puppet_pair([body], SIZE, np.eye(2, 3), np.random.default_rng(3))


def known(pair: FlowPair) -> People:
    """What the pose stage would know of the people of one pair."""
    parts = (pair.joints, pair.moved, pair.confidence, pair.masks.astype(np.float32))
    return People(*(torch.from_numpy(x)[None] for x in parts))


def angle_picture(pair: FlowPair, target: Path) -> Path:
    """Flow that is the pelvis' everywhere: directions more than 15 degrees off the joint's are charged."""
    joint, inside = nearest_joint(known(pair), H36M_17.bones, CONFIG)

    def charge(flow: Tensor) -> Tensor:
        moving = inside & (joint.norm(dim=2) >= CONFIG.min_motion_px)
        return torch.where(moving, torch.rad2deg(angle_term(flow, joint, CONFIG)), 0.0)

    amounts = np.linspace(-180, 180, 73)
    curve = [_mean_on(charge(_turned(joint, d)), inside) for d in amounts]
    labels = "Angle term F_A, degrees", "true flow turned by, degrees"
    return _term_picture(pair, charge, (amounts, curve), labels, target)


def intensity_picture(pair: FlowPair, target: Path) -> Path:
    """Flow that is the pelvis' everywhere: lengths outside 0.8 to 1.2 times the joint's are charged."""
    joint, inside = nearest_joint(known(pair), H36M_17.bones, CONFIG)

    def charge(flow: Tensor) -> Tensor:
        return torch.where(inside, intensity_term(flow, joint, CONFIG), 0.0)

    amounts = np.linspace(0, 2.5, 51)
    curve = [_mean_on(charge(joint * float(f)), inside) for f in amounts]
    labels = "Intensity term F_I, px", "true flow times"
    return _term_picture(pair, charge, (amounts, curve), labels, target)


def boundary_picture(pair: FlowPair, target: Path) -> Path:
    """Flow beside the person: each patch's centre of flow edge is charged its way to the nearest one of outline."""
    body = torch.from_numpy(pair.masks.any(axis=0))[None].float()
    flow = torch.tensor([4.0, 1.0])[None, :, None, None] * body

    def beside(shift: int) -> Tensor:
        return torch.roll(flow, shift, dims=-1)

    edges, rim = flow_edges(beside(SHIFT_PX)), outline(body)
    figure, (left, middle, right) = _panels("Boundary constraint G: flow edges belong on the outline")
    left.imshow(_faint(pair.first))
    left.imshow(_tint(edges[0].numpy() > 0.3, (255, 120, 0)))
    left.imshow(_tint(rim[0].numpy() > 0, (0, 90, 255)))
    left.set_title(f"Flow edges (orange) {SHIFT_PX} px beside\nthe outline (blue)")
    middle.imshow(np.full((*SIZE, 3), 255, np.uint8))
    (start, mass), (end, wanted) = (patch_centroids(c, PATCH) for c in (edges * (edges > 0.3), rim))
    starts, ends = start[0, mass[0] > 0].numpy(), end[0, wanted[0] > 0].numpy()
    for place in starts:
        nearest = ends[np.linalg.norm(ends - place, axis=1).argmin()]
        middle.plot(*zip(place, nearest, strict=True), color="0.4", linewidth=1)
    middle.scatter(*starts.T, s=14, color="tab:orange")
    middle.scatter(*ends.T, s=14, color="tab:blue")
    middle.set_title(f"Centroids of {PATCH} px patches\nand the distance charged")
    shifts = range(-24, 25, 2)
    right.plot(list(shifts), [float(boundary_loss(beside(s), body, CONFIG)) for s in shifts])
    right.set_title("Boundary term G, patch sides")
    right.set_xlabel("shift of the flow, px")
    return _saved(figure, target)


# ---------------------------------------------------------------------------------------------------- drawing


def _term_picture(
    pair: FlowPair,
    charge: Callable[[Tensor], Tensor],
    curve: tuple[Array, list[float]],
    labels: tuple[str, str],
    target: Path,
) -> Path:
    """The pelvis' displacement as everybody's flow, what each pixel is charged for it, and the charge by amount."""
    name, amount = labels
    figure, (left, middle, right) = _panels(f"{name.split(',')[0]}: each point of the body moves as its joint does")
    body = pair.masks.any(axis=0)
    left.imshow(_faint(pair.first))
    y, x = np.nonzero(body)
    grid = (y % 10 == 0) & (x % 10 == 0)
    y, x = y[grid], x[grid]
    style: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 0.4}
    wrong = np.broadcast_to(pair.trend[0], (len(x), 2))
    left.quiver(x, y, *wrong.T, color="tab:orange", width=0.006, **style)
    left.quiver(*pair.joints[0].T, *pair.moved[0].T, color="tab:blue", width=0.012, **style)
    left.set_title("One flow for all (orange),\njoints' displacements (blue)")
    everywhere = torch.from_numpy(pair.trend)[None, :, :, None, None].expand(1, 1, 2, *body.shape)
    drawn = middle.imshow(np.where(body, charge(everywhere).amax(dim=1)[0].numpy(), np.nan), cmap="plasma")
    figure.colorbar(drawn, ax=middle, fraction=0.05)
    middle.set_title(f"{name},\nof this flow")
    right.plot(*curve)
    right.set_title(f"{name},\nmean over the person")
    right.set_xlabel(amount)
    return _saved(figure, target)


def _faint(picture: Array) -> Array:
    """The picture as a pale ground for lines."""
    return (255 - (255 - picture.mean(axis=-1, keepdims=True).repeat(3, axis=-1)) * 0.45).astype(np.uint8)


def _panels(title: str) -> tuple[Any, tuple[Axes, Axes, Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), dpi=90, layout="constrained")
    panels = figure.subplots(1, 3)
    for panel in panels[:2]:
        panel.set_xticks([])
        panel.set_yticks([])
    figure.suptitle(title)
    return figure, tuple(panels)


def _saved(figure: Any, target: Path) -> Path:
    """The path of the written picture, in few colours so that it is small."""
    import cv2
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[..., 2::-1]
    target.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(target), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise OSError(f"{target} could not be written")
    return target


def _tint(where: Array, colour: tuple[int, int, int]) -> Array:
    """A picture that is transparent but where a colour is wanted."""
    return np.concatenate([np.broadcast_to(colour, (*where.shape, 3)), 255 * where[..., None]], axis=-1).astype(
        np.uint8
    )


def _turned(flow: Float[Tensor, "1 P 2 H W"], degrees: float) -> Float[Tensor, "1 P 2 H W"]:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.stack([c * flow[:, :, 0] - s * flow[:, :, 1], s * flow[:, :, 0] + c * flow[:, :, 1]], dim=2)


def _mean_on(value: Tensor, inside: Tensor) -> float:
    return float(value.sum() / inside.sum())


PICTURES = {"angle": angle_picture, "intensity": intensity_picture, "boundary": boundary_picture}


def main(config: Config) -> None:
    """Writes flow_loss_angle.png, flow_loss_intensity.png and flow_loss_boundary.png."""
    pair = walker()
    for name, draw in PICTURES.items():
        path = draw(pair, config.out / f"flow_loss_{name}.png")
        print(f"{path} ({path.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    main(tyro.cli(Config))

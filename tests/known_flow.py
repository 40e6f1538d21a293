"""Pairs of pictures whose flow, joints and outline are known, for the tests of the flow benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from motionqa.data.kept_films import KeptFilm, save_film
from motionqa.data.skeleton import H36M_17, convert
from motionqa.data.synthetic.body import render
from motionqa.data.synthetic.motions import walk
from motionqa.data.synthetic.puppets import FlowPair, SeenBody, puppet_pair, texture

SIZE = (96, 112)
CAMERA = np.array([[1.01, 0.008, 3.0], [-0.008, 1.01, -2.0]])


def person(shift: tuple[float, float] = (0.0, 0.0), gap: int = 0) -> SeenBody:
    """A small walker seen half from the side; the whole body moves by `shift`, the limbs by `gap` frames."""
    pose = render(walk(3))
    joints, _ = convert(pose.xyz_m, pose.confidence, pose.skeleton, H36M_17)
    about = joints[[20, 20 + gap]] - joints[20, 0]
    turn = np.sqrt(0.5) * np.array([[1, 0, 1], [0, np.sqrt(2), 0], [-1, 0, 1]])
    seen = about @ turn.T
    px = seen[..., :2] * (42, -42) + (52, 44)
    return SeenBody(px[0], px[1] + np.array(shift), 4 - seen[0, :, 2], (42.0, 42.0))


def known_pair(
    shift: tuple[float, float] = (5.0, 0.0), camera: Float[np.ndarray, "2 3"] | None = None, gap: int = 0
) -> FlowPair:
    """The walker before a camera that stands still unless one is given."""
    return puppet_pair([person(shift, gap)], SIZE, np.eye(2, 3) if camera is None else camera, np.random.default_rng(0))


def write_film(path: Path, group: str, frames: int = 6, step_px: float = 2.0) -> Path:
    """A kept film in which a walker's picture moves to the right at the same speed throughout."""
    pair = known_pair((0.0, 0.0))
    behind = texture(np.random.default_rng(1), 128)[: SIZE[0], : SIZE[1]]
    body = pair.masks[0]
    pictures, masks = [], []
    for k in range(frames):
        moved = np.roll(body, round(k * step_px), axis=1)
        pictures.append(np.where(moved[..., None], np.roll(pair.first, round(k * step_px), axis=1), behind))
        masks.append(moved)
    joints = pair.joints[:, None] + np.arange(frames)[None, :, None, None] * (step_px, 0.0)
    confidence = np.ones((1, frames, 17), np.float32)
    film = KeptFilm(np.stack(pictures), joints.astype(np.float32), confidence, np.stack(masks)[None], group)
    return save_film(film, path)

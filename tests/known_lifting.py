"""A lifter known beforehand, and somebody filmed for it: lifting is tested against what must come out."""

from __future__ import annotations

import numpy as np

from motionqa.data.skeleton import H36M_17, SMPL_22, convert
from motionqa.data.synthetic.body import joint_positions
from motionqa.data.synthetic.motions import squats
from motionqa.data.virtual_camera import View, to_camera
from motionqa.encoders.lifter import (
    LifterConfig,
)

Array = np.ndarray
CONFIG = LifterConfig()


def in_depth(plane: Array) -> Array:
    """The known network: in metres, half the normalised picture, and a depth that follows from it."""
    x, y = 0.5 * plane[..., 0], 0.5 * plane[..., 1]
    return np.stack([x, y, -0.3 * y + 0.5 * x**2], axis=-1)


def filmed(seconds: float = 3.0, fps: float = 15.0) -> tuple[Array, Array]:
    """Pixels of somebody who squats, the size of whose picture does not change, and the truth of `in_depth`."""
    body = joint_positions(squats(2, fps=fps))[: round(seconds * fps)]
    xyz, _ = convert(body, np.ones(body.shape[:2]), SMPL_22, H36M_17)
    about = to_camera(xyz, View(30, 5))[..., :2]
    about = about - about[:, :1]
    about /= np.sqrt((about[:, 1:] ** 2).sum(axis=-1).mean(axis=1))[:, None, None]
    path = np.linspace(0, 80, len(about))[:, None, None]  # walks through the picture while at it
    return 120 * about + 300 + path, in_depth(about)


def sure(xy: Array) -> Array:
    return np.ones(xy.shape[:2])

"""Random pairs of drawn people with exact flow: whose motion, how large, from where, before which moving camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from motionqa.data.mocap.clip import MocapClip
from motionqa.data.schema import InputError
from motionqa.data.synthetic.puppets import FlowPair, SeenBody, puppet_pair
from motionqa.data.virtual_camera import ViewRange, to_camera, with_other_limbs

Array = np.ndarray


@dataclass(frozen=True)
class PuppetConfig:
    """What drawn pairs look like; ours."""

    size: tuple[int, int] = (192, 192)
    people: int = 2
    second_person: float = 0.3
    height: tuple[float, float] = (0.45, 1.0)
    """Of the body, as a share of the picture's."""
    gap: tuple[int, int] = (1, 3)
    """Frames at 30 a second between the pictures."""
    camera_moves: float = 0.75
    shift_px: float = 4.0
    """Standard deviation of the camera's shift; turn 0.8° and zoom 1.5 % go with it."""


class PuppetSampler:
    """Random drawn pairs: the same seed and step give the same pairs."""

    def __init__(self, clips: Sequence[MocapClip], config: PuppetConfig = PuppetConfig(), seed: int = 0) -> None:
        self.clips = [c for c in clips if c.metric and len(c) > 8]
        if not self.clips:
            raise InputError("there is no metric motion capture to drive puppets with")
        self.config, self.seed = config, seed

    def pairs(self, step: int, count: int) -> list[FlowPair]:
        """`count` pairs, drawn afresh."""
        rng = np.random.default_rng((self.seed, step))
        return [self.pair(rng) for _ in range(count)]

    def pair(self, rng: np.random.Generator) -> FlowPair:
        """One pair: one or two people somewhere in the picture, before a camera that moves or stands."""
        how = self.config
        count = 1 + (rng.random() < how.second_person) if how.people > 1 else 1
        bodies = [self._body(rng) for _ in range(count)]
        return puppet_pair(bodies, how.size, _camera(rng, how), rng)

    def _body(self, rng: np.random.Generator) -> SeenBody:
        how = self.config
        clip = self.clips[rng.integers(len(self.clips))]
        gap = int(rng.integers(how.gap[0], how.gap[1] + 1) * max(1, round(clip.fps / 30)))
        k = int(rng.integers(0, max(1, len(clip) - gap)))
        xyz = clip.xyz_m[[k, min(k + gap, len(clip) - 1)]]
        view = replace(ViewRange().sample(rng), distance_m=rng.uniform(3, 7))
        camera = to_camera(with_other_limbs(xyz, rng), view)
        flat = camera[..., :2] / camera[..., 2:]
        height, width = how.size
        tall = max(float(np.ptp(flat[0, :, 1])), float(np.ptp(flat[0, :, 0])), 1e-3)
        focal = rng.uniform(*how.height) * height / tall
        middle = (flat[0].min(axis=0) + flat[0].max(axis=0)) / 2
        place = np.array([width, height]) * (0.5 + rng.uniform(-0.25, 0.25, 2))
        px = (flat - middle) * focal + place
        scales = focal / camera[:, 0, 2]
        return SeenBody(px[0], px[1], camera[0, :, 2] + rng.uniform(-0.5, 0.5), (float(scales[0]), float(scales[1])))


def _camera(rng: np.random.Generator, how: PuppetConfig) -> Float[Array, "2 3"]:
    """A small turn, zoom and shift about the picture's middle; often none."""
    if rng.random() >= how.camera_moves:
        return np.eye(2, 3)
    turn, zoom = np.deg2rad(rng.normal(0, 0.8)), 1 + rng.normal(0, 0.015)
    matrix = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.array([how.size[1], how.size[0]]) / 2
    shift = middle - matrix @ middle + rng.normal(0, how.shift_px, 2)
    return np.concatenate([matrix, shift[:, None]], axis=1)

"""Exact motion as the chat would have it from a film: virtual camera, detector's errors, lifter, a guessed path.

What is learned on motion capture is asked about videos. This shows motion capture through the same steps that a video
goes through after the detector (`motionqa.encoders.lift`), so that training and benchmarks see what the chat sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motionqa.data.detector_noise import DetectorNoise
from motionqa.data.schema import Pose3D, PoseSequence
from motionqa.data.skeleton import H36M_17, convert
from motionqa.data.virtual_camera import View, normalise_pelvis, project, to_camera
from motionqa.encoders.lift import SMOOTHING_HZ, along_the_ray, place_in_space
from motionqa.encoders.lifter import LifterConfig, Network, lift
from motionqa.encoders.pose import smooth

SIDE_PX = 1000
"""Side of the virtual picture; its focal length is the one that `place_in_space` assumes."""


@dataclass(frozen=True)
class Film:
    """From where a motion is filmed, and by how bad a detector."""

    view: View
    noise: DetectorNoise | None = None
    strength: float = 1.0
    seed: int = 0


def random_film(
    pose: Pose3D,
    front_deg: float,
    rng: np.random.Generator,
    noise: DetectorNoise,
    side_deg: float = 75.0,
    strength: tuple[float, float] = (0.4, 1.2),
) -> Film:
    """A film from about the front (the azimuth `front_deg`), up to `side_deg` beside it.

    The camera stands 3 to 6 m from the nearest that the person comes to it, in whichever direction they go.
    """
    path = pose.xyz_m[:, 0] - pose.xyz_m[:, 0].mean(axis=0)
    reach = float(np.linalg.norm(path, axis=1).max())
    azimuth = front_deg + rng.uniform(-side_deg, side_deg)
    view = View(azimuth, rng.triangular(-10, 5, 25), rng.normal(0, 3), reach + rng.uniform(3, 6))
    return Film(view, noise, rng.uniform(*strength), int(rng.integers(2**31)))


def filmed(pose: Pose3D, film: Film, network: Network, config: LifterConfig) -> Pose3D:
    """The pose as read off a film of it: Human3.6M joints in camera axes, with an estimated path.

    The camera stands still, at the film's distance from where the person is on average. InputError as for `lift`.
    """
    image = _seen(pose, film)
    lifted = lift(image.xy_px, image.confidence, image.fps, network, config) * (1, -1, -1)
    lifted = smooth(lifted, image.seen, image.fps, SMOOTHING_HZ)
    source = f"{pose.source}, filmed"
    world = Pose3D(
        pose.person_id, H36M_17, pose.fps, pose.times_s, lifted, image.confidence, source, "none", False, camera=True
    )
    return place_in_space(image, world, along_the_ray(image))


def _seen(pose: Pose3D, film: Film) -> PoseSequence:
    """Joints in the virtual picture as the detector reports them."""
    xyz, measured = convert(pose.xyz_m, pose.confidence, pose.skeleton, H36M_17)
    xy = project(to_camera(xyz.astype(np.float32), film.view))
    everywhere = np.ones(measured.shape, np.float32)
    normal, size = normalise_pelvis(xy, everywhere)
    seen = everywhere
    if film.noise is not None:
        rng = np.random.default_rng(film.seed)
        normal, seen = film.noise.apply(normal, pose.fps, rng, film.strength)
    joints = xy[:, :1] + normal * size
    pixels = SIDE_PX * joints + SIDE_PX / 2
    confidence = np.where(measured > 0, seen, 0.0)
    return PoseSequence(
        pose.person_id, H36M_17, pose.fps, pose.times_s, pixels, confidence, SIDE_PX, SIDE_PX, pose.source
    )

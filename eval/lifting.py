"""How well lifters recover joints in space: held-out motion capture, rendered figures, and several cameras at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from motionqa.data.detector_noise import DetectorNoise
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.windows import scored_clips
from motionqa.data.pose_metrics import acceleration_error_mm, mpjpe_mm, pa_mpjpe_mm
from motionqa.data.schema import PoseSequence
from motionqa.data.skeleton import H36M_17, convert
from motionqa.encoders.lifter import LifterConfig, Network, lift

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class LiftingScores:
    """Errors of one lifter, a list entry per clip; every frame counts the same in the means."""

    sources: tuple[str, ...]
    mpjpe: tuple[Float[Array, "_"], ...]
    pa_mpjpe: tuple[Float[Array, "_"], ...]
    acceleration: tuple[Float[Array, "_"], ...]

    def mean(self, metric: str, source: str | None = None) -> float:
        """Mean over frames, mm; of one collection where it is named."""
        values = [v for v, s in zip(getattr(self, metric), self.sources, strict=True) if source in (None, s)]
        return float(np.concatenate(values).mean())

    def interval(self, metric: str, draws: int = 500) -> tuple[float, float]:
        """95 % bootstrap interval of the mean, clips drawn with replacement."""
        rng = np.random.default_rng(0)
        sums = np.array([v.sum() for v in getattr(self, metric)])
        counts = np.array([len(v) for v in getattr(self, metric)])
        chosen = rng.integers(len(sums), size=(draws, len(sums)))
        means = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
        low, high = np.percentile(means, [2.5, 97.5])
        return round(float(low), 2), round(float(high), 2)


def score(
    clips: Sequence[MocapClip], noise: DetectorNoise | None, network: Network, config: LifterConfig
) -> LiftingScores:
    """Errors of a lifter on clips seen by fixed virtual cameras, through a detector's noise or exactly."""
    rows = []
    for clip, seen in scored_clips(clips, noise):
        found = lift(seen.joints2d[..., :2], seen.joints2d[..., 2], clip.fps, network, config)
        true = seen.target_m
        errors = (mpjpe_mm(found, true), pa_mpjpe_mm(found, true), acceleration_error_mm(found, true))
        rows.append((clip.source, *errors))
    return LiftingScores(*(tuple(column) for column in zip(*rows, strict=True)))


# --------------------------------------------------------------------------------------- several cameras


@dataclass(frozen=True, eq=False)
class SeenPerson:
    """One camera's view of a person: joints in the picture, and BlazePose's own guess in space."""

    image: PoseSequence
    world_m: Float[Array, "T 17 3"]


def see(video: Path) -> SeenPerson:
    """The longest-seen person of a video through the chat's own pipeline."""
    from motionqa.data.video import read_clip
    from motionqa.encoders.people import PersonChoice, choose_person, find_people
    from motionqa.encoders.pose import estimate_pose

    clip = read_clip(video)
    pose = estimate_pose(clip, choose_person(find_people(clip), PersonChoice(), clip))
    world, _ = convert(pose.world.xyz_m, pose.world.confidence, pose.world.skeleton, H36M_17)
    return SeenPerson(pose.image, world)


def lifted(person: SeenPerson, network: Network, config: LifterConfig) -> Float[Array, "T 17 3"]:
    """The person's joints about the pelvis by a lifter, in BlazePose's axes: x right, y up, z to the camera."""
    xy, confidence = convert(person.image.xy_px, person.image.confidence, person.image.skeleton, H36M_17)
    return lift(xy, confidence, person.image.fps, network, config) * (1, -1, -1)


def disagreement_mm(views: Sequence[Float[Array, "T 17 3"]], seen: Iterable[Float[Array, "T"]]) -> list[float]:
    """Mean joint distance of each pair of cameras after one rotation, scale and shift for the whole clip, mm.

    The cameras stand still, so one alignment must do for all frames; pairs are scaled to the mean of their sizes.
    """
    both = np.logical_and.reduce(list(seen))
    out = []
    for a in range(len(views)):
        for b in range(a + 1, len(views)):
            one, two = views[a][both].reshape(1, -1, 3), views[b][both].reshape(1, -1, 3)
            out.append(float((pa_mpjpe_mm(one, two) + pa_mpjpe_mm(two, one)).mean() / 2))
    return out

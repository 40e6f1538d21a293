"""Windows of motion capture seen by a virtual camera through a detector: what a lifter is given, and what is true."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from motionqa.data.detector_noise import DetectorNoise
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.virtual_camera import (
    MIRROR,
    View,
    ViewRange,
    mirrored,
    normalise_pelvis,
    project,
    to_camera,
    with_other_limbs,
)

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class LiftingWindow:
    """One window: the detector's view of it and the truth."""

    joints2d: Float[Array, "T 17 3"]
    """x, y in body sizes about the pelvis (`normalise_pelvis`), and confidence; zeros where not seen."""
    target_m: Float[Array, "T 17 3"]
    """Relative to the pelvis, in camera axes, metres."""
    weight: Float[Array, "T 17"]
    """0 where the source did not measure the joint."""


def window_of(
    xyz_m: Float[Array, "T 17 3"],
    measured: Float[Array, "T 17"],
    fps: float,
    view: View,
    noise: DetectorNoise | None,
    rng: np.random.Generator,
    strength: float = 1.0,
) -> LiftingWindow:
    """The window as a camera at `view` sees it; exact positions at confidence 1 where `noise` is None."""
    camera = to_camera(xyz_m, view)
    exact, _ = normalise_pelvis(project(camera), np.ones(measured.shape, dtype=np.float32))
    seen = np.ones(measured.shape, dtype=np.float32)
    if noise is not None:
        noisy, seen = noise.apply(exact, fps, rng, strength)
        exact, _ = normalise_pelvis(noisy, seen if (seen[:, 0] > 0).any() else np.ones_like(seen))
    # Positions are about the pelvis: a frame that does not show it shows nothing.
    confidence = np.where((measured > 0) & (seen[:, :1] > 0), seen, 0.0)
    joints = np.concatenate([np.where(confidence[..., None] > 0, exact, 0.0), confidence[..., None]], axis=-1)
    target = camera - camera[:, :1]
    return LiftingWindow(joints.astype(np.float32), target.astype(np.float32), (measured > 0).astype(np.float32))


@dataclass(frozen=True)
class Augmentation:
    """How training windows differ from the clip they are cut from. Ours but for the paper's flips."""

    views: ViewRange = ViewRange()
    mirror: float = 0.5
    other_limbs: float = 0.5
    fps: float = 15.0
    """Windows are cut at about this rate, by taking every so many frames. Ours: neighbouring frames at 30 a second are
    nearly the same picture, and a window at 15 sees twice the time for the same work."""
    noise_strength: tuple[float, float] = (0.0, 1.3)


SOURCE_SHARES = {"bandai_namco": 0.55, "utd_mhad": 0.15, "cmu": 0.15, "deepmimic": 0.15}
"""How often a window comes from each of the packed collections, together 1; other collections by their length."""


class WindowSampler:
    """Random training windows: the same seed and step give the same batch, so that training can be resumed."""

    def __init__(
        self,
        clips: Sequence[MocapClip],
        noise: DetectorNoise | None,
        augmentation: Augmentation = Augmentation(),
        seed: int = 0,
    ) -> None:
        if not clips:
            raise ValueError("there are no clips to draw windows from")
        self.clips, self.noise, self.augmentation, self.seed = list(clips), noise, augmentation, seed
        frames = np.array([len(c) for c in self.clips], dtype=np.float64)
        sources = np.array([c.source for c in self.clips])
        total = frames.sum()
        for source in sorted(set(sources)):
            of = sources == source
            share = SOURCE_SHARES.get(str(source), frames[of].sum() / total)
            frames[of] *= share / frames[of].sum()
        self._share = frames / frames.sum()
        self._every = np.array([max(1, round(c.fps / augmentation.fps)) for c in self.clips])
        self._lengths = np.array([-(-len(c) // k) for c, k in zip(self.clips, self._every, strict=True)])

    def batch(self, step: int, size: int, frames: int) -> list[LiftingWindow]:
        """`size` windows of `frames` frames; clips too short for one are passed over."""
        rng = np.random.default_rng((self.seed, step))
        share = np.where(self._lengths >= frames, self._share, 0.0)
        if not share.any():
            raise ValueError(f"no clip has {frames} frames; the longest has {max(len(c) for c in self.clips)}")
        chosen = rng.choice(len(self.clips), size, p=share / share.sum())
        return [self._window(self.clips[i], int(self._every[i]), frames, rng) for i in chosen]

    def _window(self, clip: MocapClip, step: int, frames: int, rng: np.random.Generator) -> LiftingWindow:
        how = self.augmentation
        start = int(rng.integers(0, len(clip) - step * (frames - 1)))
        rows = slice(start, start + step * (frames - 1) + 1, step)
        xyz, measured = clip.xyz_m[rows], clip.confidence[rows]
        if rng.random() < how.mirror:
            xyz, measured = mirrored(xyz), measured[:, MIRROR]
        if rng.random() < how.other_limbs:
            xyz = with_other_limbs(xyz, rng)
        strength = rng.uniform(*how.noise_strength)
        return window_of(xyz, measured, clip.fps / step, how.views.sample(rng), self.noise, rng, strength)


TEST_VIEWS = tuple(
    View(azimuth, elevation, 0.0, 4.0) for azimuth, elevation in ((20, 0), (110, 10), (200, 20), (290, 5))
)
"""The views that held-out clips are scored from, one a clip in turn; ours."""


def scored_clips(
    clips: Sequence[MocapClip], noise: DetectorNoise | None, seed: int = 0
) -> Iterator[tuple[MocapClip, LiftingWindow]]:
    """Whole clips as one window each, at a fixed view and with noise fixed by the clip's place in the list."""
    for i, clip in enumerate(clips):
        rng = np.random.default_rng((seed, i))
        view = TEST_VIEWS[i % len(TEST_VIEWS)]
        yield clip, window_of(clip.xyz_m, clip.confidence, clip.fps, view, noise, rng)


def flat_window(clip: MocapClip, frames: int, rng: np.random.Generator) -> LiftingWindow:
    """A window of a clip that is not to scale, as it was filmed: the target's first two numbers repeat the input."""
    start = int(rng.integers(0, len(clip) - frames + 1))
    camera = clip.xyz_m[start : start + frames] * np.array([1.0, -1.0, -1.0])
    measured = clip.confidence[start : start + frames]
    shown = measured if (measured[:, 0] > 0).any() else np.ones_like(measured)
    xy, _ = normalise_pelvis(project(camera.astype(np.float32)), shown)
    joints = np.concatenate([xy, shown[..., None]], axis=-1).astype(np.float32)
    target = np.concatenate([xy, np.zeros_like(xy[..., :1])], axis=-1)
    return LiftingWindow(joints, target.astype(np.float32), shown.astype(np.float32))

"""Action recognition tasks on the packed collections: classes, protocols, and clips as a network is shown them.

Protocols: official cross-subject for UTD-MHAD and MSR-Action3D; by style for Bandai-Namco; one-shot as in NTU RGB+D
120 (Liu et al., TPAMI 2019) carried over to UTD-MHAD: actions never trained on, one exemplar each. See
`motionqa.data.mocap.splits`; the validation groups there belong to the training side here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from motionqa.data.detector_noise import DetectorNoise
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.windows import window_of
from motionqa.data.virtual_camera import View, with_other_limbs

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class ActionTask:
    """Labelled clips on two sides."""

    name: str
    classes: tuple[str, ...]
    train: tuple[MocapClip, ...]
    test: tuple[MocapClip, ...]

    def index(self, clip: MocapClip) -> int:
        """The class number of a clip."""
        return self.classes.index(clip.label)


def action_task(clips: Sequence[MocapClip], source: str) -> ActionTask:
    """The recognition task of one collection; ValueError where it has no labelled clips."""
    labelled = [c for c in clips if c.source == source and c.label]
    if not labelled:
        raise ValueError(f"no labelled clips of {source!r}; there are {sorted({c.source for c in clips})}")
    train = tuple(c for c in labelled if c.split != "test")
    test = tuple(c for c in labelled if c.split == "test")
    return ActionTask(source, tuple(sorted({c.label for c in labelled})), train, test)


def with_share_of_labels(task: ActionTask, share: float, seed: int) -> ActionTask:
    """The task with a share of its training clips, drawn class by class; at least one clip a class."""
    rng = np.random.default_rng(seed)
    kept: list[MocapClip] = []
    quota = share * len(task.train) / len(task.classes)
    for name in task.classes:
        of_class = [c for c in task.train if c.label == name]
        count = min(len(of_class), max(1, int(quota) + (rng.random() < quota % 1)))
        kept += [of_class[i] for i in rng.permutation(len(of_class))[:count]]
    return replace(task, train=tuple(kept))


@dataclass(frozen=True, eq=False)
class OneShotTask:
    """Known actions to learn from, and novel ones of which one exemplar each is given."""

    known: ActionTask
    novel: tuple[str, ...]
    exemplars: tuple[tuple[MocapClip, ...], ...]
    """Sets of one clip for each novel action, from the training subjects."""
    test: tuple[MocapClip, ...]
    """Novel actions by the test subjects."""


def one_shot_task(clips: Sequence[MocapClip], every: int = 3) -> OneShotTask:
    """Every third action of UTD-MHAD (alphabetically) is novel; ours, since no official one-shot protocol exists."""
    task = action_task(clips, "utd_mhad")
    novel = task.classes[::every]
    known = ActionTask(
        "utd_mhad known actions",
        tuple(c for c in task.classes if c not in novel),
        tuple(c for c in task.train if c.label not in novel),
        tuple(c for c in task.test if c.label not in novel),
    )
    by_action = [sorted((c for c in task.train if c.label == n), key=lambda c: c.clip_id) for n in novel]
    sets = min(len(clips_of) for clips_of in by_action)
    exemplars = tuple(tuple(clips_of[i] for clips_of in by_action) for i in range(sets))
    return OneShotTask(known, novel, exemplars, tuple(c for c in task.test if c.label in novel))


FRONT = {"utd_mhad": 180.0, "msr_action3d": 0.0, "bandai_namco": 0.0}
"""Azimuth from which a collection's people are seen from the front at the start."""
TEST_AZIMUTHS = (-30.0, 0.0, 30.0)


def test_inputs(clip: MocapClip, frames: int) -> Float[Array, "V T 17 3"]:
    """The whole clip at `frames` even moments, from three views about the front; exact joints."""
    rng = np.random.default_rng(0)
    moments = np.linspace(0, len(clip) - 1, frames)
    front = FRONT.get(clip.source, 0.0)
    return np.stack([_seen(clip, moments, View(front + a, 5.0), None, rng, 0.0) for a in TEST_AZIMUTHS])


def training_input(
    clip: MocapClip, frames: int, noise: DetectorNoise | None, rng: np.random.Generator
) -> Float[Array, "T 17 3"]:
    """A random stretch of at least three quarters of the clip, on other limbs, from a random frontal view, with noise.

    Not mirrored: some classes differ by side alone.
    """
    length = rng.uniform(0.75, 1.0) * (len(clip) - 1)
    start = rng.uniform(0, len(clip) - 1 - length)
    even = np.linspace(start, start + length, frames)
    moments = np.clip(even + rng.normal(0, 0.2 * length / frames, frames), 0, len(clip) - 1)
    moments.sort()
    view = View(FRONT.get(clip.source, 0.0) + rng.uniform(-60, 60), rng.uniform(-10, 25), rng.normal(0, 5))
    return _seen(clip, moments, view, noise, rng, rng.uniform(0, 0.7))


def _seen(
    clip: MocapClip, moments: Float[Array, "T"], view: View, noise: DetectorNoise | None, rng: np.random.Generator,
    strength: float,
) -> Float[Array, "T 17 3"]:  # fmt: skip
    before = np.floor(moments).astype(int)
    after = np.minimum(before + 1, len(clip) - 1)
    share = (moments - before)[:, None, None]
    xyz = (1 - share) * clip.xyz_m[before] + share * clip.xyz_m[after]
    measured = np.minimum(clip.confidence[before], clip.confidence[after])
    if noise is not None and rng.random() < 0.5:
        xyz = with_other_limbs(xyz, rng)
    if (clip.confidence[:, 0] > 0).any() and not (measured[:, 0] > 0).any():
        measured = np.ones_like(measured)
    rate = clip.fps * max(len(moments) - 1, 1) / max(moments[-1] - moments[0], 1e-6)
    return window_of(xyz, measured, float(rate), view, noise, rng, strength).joints2d

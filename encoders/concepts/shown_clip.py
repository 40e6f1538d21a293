"""A clip of motion capture as one camera sees it, and DSTformer's features of that: what concepts are learned from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motionqa.data.concept_pairs import ConceptClip, as_bytes
from motionqa.data.detector_noise import DetectorNoise
from motionqa.data.mocap.actions import FRONT
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.windows import Augmentation, window_of
from motionqa.data.virtual_camera import MIRROR, View, mirrored, with_other_limbs
from motionqa.encoders.concepts.motion_features import Representation, motion_features
from motionqa.encoders.lifter import LifterConfig


@dataclass(frozen=True, eq=False)
class Shown:
    """A clip as it is to be seen."""

    clip: MocapClip
    view: View
    mirrored: bool = False
    noise: DetectorNoise | None = None
    seed: int = 0


def front(source: str) -> View:
    """From where a collection's people are seen from the front."""
    return View(FRONT.get(source, 0.0), 5.0)


def features_of(shown: Shown, represent: Representation, lifter: LifterConfig) -> ConceptClip:
    """The clip at the features' rate, with its features in 127ths. InputError as `motion_features`."""
    clip, rng = shown.clip, np.random.default_rng(shown.seed)
    every = max(1, round(clip.fps / lifter.fps))
    xyz, measured = clip.xyz_m[::every], clip.confidence[::every]
    if shown.mirrored:
        xyz, measured = mirrored(xyz), measured[:, MIRROR]
    if shown.noise is not None:
        xyz = with_other_limbs(xyz, rng)
    strength = rng.uniform(*Augmentation().noise_strength)
    seen = window_of(xyz, measured, clip.fps / every, shown.view, shown.noise, rng, strength)
    found = motion_features(seen.joints2d[..., :2], seen.joints2d[..., 2], clip.fps / every, represent, lifter)
    words = (clip.clip_id, clip.source, clip.split, clip.label, clip.subject)
    return ConceptClip(*words, shown.mirrored, as_bytes(found.features), seen.target_m, seen.weight)

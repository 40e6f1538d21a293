"""Pairs for HuMoCon of drawn people: motion capture of the training split as a camera films it, before a moving room.

The same joints, of the same other proportions and seen from the same place, are drawn
(`motionqa.data.synthetic.puppet_film`) and, with the detector's measured errors, turned into features. Only training
clips are drawn, and none of UTD-MHAD, which has videos of its own. All choices here are ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from motionqa.data.concept_pairs import FPS, ConceptClip, source_shares
from motionqa.data.detector_noise import DetectorNoise
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.windows import Augmentation, window_of
from motionqa.data.schema import InputError
from motionqa.data.synthetic.puppet_film import PuppetFilmConfig, puppet_film
from motionqa.data.virtual_camera import ViewRange, with_other_limbs
from motionqa.finetune.paired_clips import (
    FrozenNetworks,
    PairedClip,
    PictureSize,
    SeenPairs,
    cut_person,
    joint_features,
)

Array = np.ndarray

RENDERED = "rendered"
BESIDES = ("utd_mhad",)
"""Collections that are not drawn."""


@dataclass(frozen=True)
class RenderConfig:
    """Which stretches are drawn, and how."""

    count: int
    longest_s: float = 4.0
    """A random stretch of so much is drawn of longer clips."""
    shortest_s: float = 1.0
    """Shorter clips are passed over."""
    distance_m: tuple[float, float] = (2.5, 6.0)
    """Of the camera from the nearest that the person comes to it."""
    sides: PictureSize = PictureSize()
    film: PuppetFilmConfig = PuppetFilmConfig()
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Drawn:
    """A clip that is to be drawn, under the name that its pair has."""

    name: str
    clip: MocapClip
    seed: int


def to_draw(clips: Sequence[MocapClip], config: RenderConfig) -> list[Drawn]:
    """Which clips are drawn: by length within a collection, collections by their shares; one may come several times.

    The same configuration gives the same ones, and a larger count begins with those of a smaller one. InputError where
    there is no training clip that is long enough.
    """
    usable = [
        c for c in clips
        if c.split == "train" and c.metric and c.source not in BESIDES and len(c) >= config.shortest_s * c.fps
    ]  # fmt: skip
    if not usable:
        raise InputError(
            f"there is no training motion capture of {config.shortest_s:g} s or more to draw people with (besides "
            f"{', '.join(BESIDES)}, which has videos of its own); give other packed collections with --mocap"
        )
    share = np.cumsum(source_shares(usable))
    out = []
    for number in range(config.count):
        rng = np.random.default_rng((config.seed, number))
        clip = usable[min(int(np.searchsorted(share, rng.random() * share[-1], side="right")), len(usable) - 1)]
        stem = re.sub(r"[^A-Za-z0-9]+", "_", Path(clip.clip_id).stem).strip("_")
        out.append(Drawn(f"{RENDERED}_{number:05d}_{clip.source}_{stem}", clip, int(rng.integers(2**31))))
    return out


def rendered_pair(
    drawn: Drawn, noise: DetectorNoise | None, networks: FrozenNetworks, config: RenderConfig
) -> PairedClip:
    """The clip's features and its drawn video. InputError where the clip cannot be filmed, such as for NaN joints."""
    clip, rng = drawn.clip, np.random.default_rng(drawn.seed)
    every = max(1, round(clip.fps / FPS))
    xyz, measured = clip.xyz_m[::every], clip.confidence[::every]
    length = round(config.longest_s * FPS)
    start = int(rng.integers(0, max(0, len(xyz) - length) + 1))
    xyz, measured = with_other_limbs(xyz[start : start + length], rng), measured[start : start + length]
    reach = float(np.linalg.norm(xyz[:, 0] - xyz[:, 0].mean(axis=0), axis=-1).max())
    view = replace(ViewRange().sample(rng), distance_m=reach + rng.uniform(*config.distance_m))
    strength = rng.uniform(*Augmentation().noise_strength)
    seen = window_of(xyz, measured, FPS, view, noise, rng, strength)
    features = joint_features(seen.joints2d[..., :2], seen.joints2d[..., 2], networks)
    words = (drawn.name, f"{RENDERED}/{clip.source}", clip.split, clip.label, clip.subject)
    take = ConceptClip(*words, False, features, seen.target_m, seen.weight, True)
    film = list(puppet_film(xyz, FPS, view, rng, config.film))
    shown = SeenPairs(
        first=np.stack([p.first for p in film]),
        second=np.stack([p.second for p in film]),
        mask=np.stack([p.masks[0] for p in film]),
        joints_px=np.stack([np.where(p.confidence[0][:, None] > 0, p.joints[0], np.nan) for p in film]),
        gap_s=np.full(len(film), 1 / FPS),
    )
    return PairedClip((take,), *cut_person(shown, config.sides))

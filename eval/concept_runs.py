"""Trained concept models on the held-out clips, by ablation and seed: what rows of `bench_concepts` are made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from motionqa.data.concept_pairs import ConceptClip, load_part
from motionqa.data.schema import InputError
from motionqa.encoders.concepts.frame_tokens import TOKEN_FRAMES
from motionqa.encoders.concepts.humocon import HuMoCon
from motionqa.encoders.concepts.track import (
    ConceptTrack,
    decode_motion,
    encode_motion,
    encode_video,
    motion_of,
    video_of,
)
from motionqa.encoders.model_dir import load_model_dir
from motionqa.eval.benchmark import Row

Array = np.ndarray

LABELLED = "utd_mhad"
"""The collection with actions, held-out subjects, and videos."""

NAMES = {
    "plain": "plain VQ-VAE",
    "no_velocity": "without velocity terms",
    "no_actionable": "without actionable term",
    "no_discriminative": "without discriminative term",
    "no_speed": "without decoded velocity",
    "no_mask": "without masks",
    "no_alignment": "alignment off",
    "no_unpaired": "without unpaired clips",
}
"""What the rows call the ablations of `motionqa.finetune.pretrain_concepts`."""


@dataclass(frozen=True, eq=False)
class Kept:
    """Kept features, read when they are needed first."""

    folder: Path

    @cached_property
    def test(self) -> list[ConceptClip]:
        return load_part(self.folder, "test")

    @cached_property
    def labelled(self) -> list[ConceptClip]:
        """The held-out subjects' clips."""
        return [c for c in self.test if c.source == LABELLED and c.label]

    @cached_property
    def training(self) -> list[ConceptClip]:
        """The training subjects' clips, each from the front once."""
        first: dict[str, ConceptClip] = {}
        for c in load_part(self.folder, "train"):
            if c.source == LABELLED and c.label:
                first.setdefault(c.name, c)
        return list(first.values())


def token_features(clip: ConceptClip) -> Float[Array, "N R"]:
    """DSTformer's features of each token: the mean over its four frames, joints side by side."""
    whole = motion_of(clip).features.reshape(len(clip), -1)
    return np.stack([whole[k : k + TOKEN_FRAMES].mean(axis=0) for k in range(0, len(whole), TOKEN_FRAMES)])


@dataclass(eq=False)
class Run:
    """A trained model on the held-out clips; every track is encoded once."""

    model: HuMoCon
    kept: Kept
    _motion: dict[str, ConceptTrack] = field(default_factory=dict)
    _video: dict[str, ConceptTrack] = field(default_factory=dict)

    def motion(self, clip: ConceptClip) -> ConceptTrack:
        if clip.name not in self._motion:
            self._motion[clip.name] = encode_motion(self.model, motion_of(clip))
        return self._motion[clip.name]

    def video(self, clip: ConceptClip) -> ConceptTrack:
        if clip.name not in self._video:
            self._video[clip.name] = encode_video(self.model, video_of(self.kept.folder, clip))
        return self._video[clip.name]

    def decoded(self, clip: ConceptClip) -> Float[Array, "T 17 3"]:
        """The clip's joints from its motion codes alone."""
        return decode_motion(self.model, self.motion(clip).vectors)[: len(clip)]


def find_runs(folder: Path, kept: Kept) -> dict[str, list[Run]]:
    """The trained models by ablation, one a seed. InputError where a folder holds another network."""
    found: dict[str, list[Run]] = {}
    for ablation in ("full", *NAMES):
        for one in sorted(folder.glob(f"{ablation}-[0-9]*/model")):
            found.setdefault(ablation, []).append(load_run(one, kept))
    return found


def load_run(folder: Path, kept: Kept) -> Run:
    """One trained model. InputError where the folder holds another network."""
    model = load_model_dir(folder).model
    if not isinstance(model, HuMoCon):
        raise InputError(f"{folder} holds a {type(model).__name__}, expected HuMoCon")
    return Run(model, kept)


Runs = dict[str, list[Run]]


def over_seeds(
    id: str, runs: Runs, score: Callable[[Run], float], unit: str, *, beside: Sequence[str] = (),
    more: dict[str, float] | None = None, goal: str = "", split: str = "", digits: int = 3, command: str = "",
) -> Row:  # fmt: skip
    """A row of the full recipe's mean over seeds and its range, beside it the means of ablations.

    `split` goes on with the number of runs and the ablations' ranges: what is smaller than a range is no difference.
    """
    values = [score(run) for run in runs.get("full", ())]
    others = {NAMES[a]: [score(run) for run in runs[a]] for a in beside if a in runs}
    means = {name: round(float(np.mean(of)), digits) for name, of in others.items()}
    ranges = [f"{name} {len(of)} [{min(of):.{digits}f}, {max(of):.{digits}f}]" for name, of in others.items()]
    where = f"{split}; runs: {', '.join([f'full {len(values)}', *ranges])}; intervals: range over seeds"
    value = round(float(np.mean(values)), digits) if values else None
    interval = (round(min(values), digits), round(max(values), digits)) if values else None
    return Row(id, value, unit, interval, means | (more or {}), goal, where, command)

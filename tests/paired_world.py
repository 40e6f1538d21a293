"""A small UTD-MHAD: skeletons, kept features with videos, packed flow of the same clips, and an untrained HuMoCon."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from motionqa.data.concept_pairs import ConceptClip, save_part
from motionqa.data.mocap.packed import load_packed
from motionqa.data.packed_flow import PackedName, save_sight
from motionqa.encoders.concepts.clip_tokens import TokenFiles
from motionqa.encoders.concepts.humocon import HuMoCon
from motionqa.encoders.model_dir import save_model_dir
from motionqa.finetune.pretrain_concepts import SMALL
from motionqa.tests.concept_clips import blob_video, kept_clip
from motionqa.tests.depth_clips import ACTIONS, skeleton, write_packed, write_skeletons

LIKE = {1: "bend", 2: "squat", 22: "jump", 23: "walk"}
"""Whose features a clip of each action has."""


def write_concepts(folder: Path, seed: int = 0) -> Path:
    """An untrained network whose codes lie anywhere."""
    torch.manual_seed(seed)
    model = HuMoCon(SMALL)
    for part in (model.motion, model.video):
        part.quantizer.start(torch.randn(200, part.config.quantizer.width))
    return save_model_dir(folder, model.eval())


def write_world(folder: Path, takes: int = 2) -> TokenFiles:
    """Swipes to both sides, jogs and walks of two training people and two others; flow goes to the side swiped to."""
    names = [f"a{a}_s{s}_t{t}" for a in ACTIONS for s in (1, 2, 3, 4) for t in range(1, takes + 1)]
    (folder / "mocap").mkdir(parents=True)
    bodies = [skeleton(30, 0.02 * (1 if n.startswith("a1_") else -1)) for n in names]
    clips = load_packed(write_skeletons(folder / "mocap" / "utd_mhad.npz", names, bodies))
    by_split: dict[str, list[ConceptClip]] = {}
    (folder / "features" / "videos").mkdir(parents=True)
    for name, clip in zip(names, clips, strict=True):
        action, subject = int(name[1:].split("_")[0]), clip.subject[1:]
        seen = kept_clip(LIKE[action], subject, source="utd_mhad", split=clip.split, frames=16)
        seen = replace(seen, name=name, label=clip.label, subject=clip.subject)
        by_split.setdefault(clip.split, []).append(seen)
        about = PackedName(name, clip.label, clip.subject, split=clip.split)
        save_sight(folder / "features" / "videos", about, blob_video(seen))
    for split, some in by_split.items():
        turned = [replace(c, mirrored=True) for c in some] if split == "train" else []
        both = [*some, *turned]
        save_part(folder / "features", split, [np.asarray(c.features) for c in both], both)
    packs = [PackedName(n, c.label, c.subject, n[-1], "", c.split) for n, c in zip(names, clips, strict=True)]
    write_packed(folder / "packed", packs)
    concepts = write_concepts(folder / "concepts")
    return TokenFiles((folder / "mocap",), folder / "features", folder / "packed", concepts)

"""Small kept features to learn concepts from: synthetic bodies as clips with video, and others of motion alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from motionqa.data.concept_pairs import BYTE, ConceptClip, save_part
from motionqa.data.packed_flow import PackedName, PackedSight, save_sight
from motionqa.finetune.pretrain_concepts import SMALL
from motionqa.tests.mocap_clips import ACTIONS, clip

Array = np.ndarray

SIDE = SMALL.video.side


def kept_clip(action: str, subject: str, *, source: str, split: str = "train", frames: int = 30) -> ConceptClip:
    """A synthetic clip whose features are a fixed random look at its joints, as a frozen network's would be."""
    mocap = clip(action, subject, source=source, fps=15.0, frames=frames)
    joints = (mocap.xyz_m - mocap.xyz_m[:, :1]).astype(np.float32)
    look = np.random.default_rng(0).normal(size=(3, SMALL.motion.representation)).astype(np.float32)
    moved = np.diff(joints, axis=0, append=joints[-1:])
    features = np.round(np.tanh(2 * (joints + 8 * moved) @ look) * BYTE).astype(np.int8)
    name = f"{source}_{action}_{subject}"
    return ConceptClip(
        name, source, split, action, subject, False, features, joints, np.ones(joints.shape[:2], np.float32)
    )


def blob_video(of: ConceptClip) -> PackedSight:
    """A square where each wrist and the head are, and flow to where they go next."""
    seen = np.zeros((len(of) - 1, SIDE, SIDE), np.float32)
    flow = np.zeros((len(of) - 1, 2, SIDE, SIDE), np.float32)
    places = np.clip((0.5 + of.joints_m[..., :2] * (0.4, -0.4)) * SIDE, 4, SIDE - 5).astype(int)
    for t in range(len(of) - 1):
        for joint in (0, 10, 13, 16):
            x, y = places[t, joint]
            rows, columns = slice(y - 3, y + 4), slice(x - 3, x + 4)
            seen[t, rows, columns] = 1
            flow[t, :, rows, columns] = (of.joints_m[t + 1, joint, :2] - of.joints_m[t, joint, :2])[:, None, None] * 15
    return PackedSight(seen, flow)


def write_features(folder: Path, videos: bool = True) -> Path:
    """A folder of kept features: a train and a val part, videos of the clips of `utd_mhad`."""
    for part, subjects in (("train", ("1", "3")), ("val", ("5",))):
        paired = [kept_clip(a, s, source="utd_mhad", split=part) for a in ACTIONS for s in subjects]
        alone = [kept_clip(a, s, source="cmu", split=part, frames=45) for a in ACTIONS for s in subjects]
        clips = [*paired, *alone]
        save_part(folder, part, [np.asarray(c.features) for c in clips], clips)
        if videos:
            (folder / "videos").mkdir(exist_ok=True)
            for c in paired:
                save_sight(folder / "videos", PackedName(c.name, c.label, c.subject, split=part), blob_video(c))
    return folder

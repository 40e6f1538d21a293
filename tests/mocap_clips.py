"""Small labelled clips of the synthetic body in training's joints, and packed collections of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from motionqa.data.mocap.clip import MocapClip
from motionqa.data.motion_files.kinect import MSR_JOINTS
from motionqa.data.skeleton import H36M_17, SMPL_22, convert
from motionqa.data.synthetic import motions
from motionqa.data.synthetic.body import BodyMotion, joint_positions

Array = np.ndarray
J = {name: i for i, name in enumerate(H36M_17.joints)}

ACTIONS: dict[str, Callable[[float], BodyMotion]] = {
    "bend": lambda fps: motions.forward_bend(fps=fps),
    "curl": lambda fps: motions.biceps_curls(reps=2, fps=fps),
    "jump": lambda fps: motions.jumps(2, fps=fps),
    "squat": lambda fps: motions.squats(1, fps=fps),
    "walk": lambda fps: motions.walk(3, fps=fps),
    "wave": lambda fps: motions.wave("left", 3, fps=fps),
}


@cache
def body(action: str, fps: float = 30.0) -> Array:
    """SMPL joints of an action, metres, facing +Z with the left side at +X. Not to be written to."""
    return joint_positions(ACTIONS[action](fps))


def clip(
    action: str = "walk",
    subject: str = "1",
    take: int = 0,
    *,
    source: str = "utd_mhad",
    split: str = "train",
    fps: float = 30.0,
    frames: int | None = None,
) -> MocapClip:
    """A clip of an action; subjects differ in size by 1 %, takes begin a frame later."""
    xyz = body(action, fps)[take:][:frames] * (1 + 0.01 * int(subject))
    h36m, confidence = convert(xyz.astype(np.float32), np.ones(xyz.shape[:2], np.float32), SMPL_22, H36M_17)
    name = f"{action}_{subject}_{take}"
    return MocapClip(source, name, fps, h36m, confidence, "test" if split == "test" else "train", action, "", subject)


def labelled(source: str = "utd_mhad", takes: int = 3) -> list[MocapClip]:
    """Every action by four subjects, several times; odd subjects train and even ones test, as the protocol has it."""
    return [
        clip(action, str(subject), take, source=source, split="train" if subject % 2 else "test")
        for action in ACTIONS
        for subject in (1, 2, 3, 4)
        for take in range(takes)
    ]


def write_collection(path: Path, bodies: Sequence[Array], fps: float = 30.0, **words: Sequence[str]) -> Path:
    """A packed collection of SMPL joints in metres; `words` are label, subject and split, one a body."""
    np.savez(
        path,
        allow_pickle=False,
        positions_mm=np.round(np.concatenate(bodies) * 1000).astype(np.int16),
        offsets=np.cumsum([0, *(len(b) for b in bodies)]),
        fps=np.full(len(bodies), fps, np.float32),
        clip_id=np.array([f"clip_{i}" for i in range(len(bodies))]),
        joint_names=np.array(SMPL_22.joints),
        parents=np.array(SMPL_22.parents, np.int16),
        **{k: np.array(v) for k, v in words.items()},
    )
    return path


def write_actions(path: Path) -> Path:
    """A packed collection, 15 frames a second, of every action by four subjects, odd ones for training.

    In one called utd_mhad the splits set aside a few of the clips of odd subjects for validation.
    """
    parts = [(a, s) for a in ACTIONS for s in (1, 2, 3, 4)]
    bodies = [body(a, 15.0) * (1 + 0.01 * s) for a, s in parts]
    words = {
        "label": [a for a, _ in parts],
        "subject": [str(s) for _, s in parts],
        "split": ["train" if s % 2 else "test" for _, s in parts],
    }
    return write_collection(path, bodies, 15.0, **words)


def write_flat_collection(path: Path, frames: int = 30) -> Path:
    """A packed collection that is not to scale: somebody in a Kinect's depth image, 320 x 240."""
    at = {"head": (160, 40), "hip_center": (160, 120), "left_ankle": (175, 200), "right_ankle": (145, 200)}
    frame = np.array([(*at.get(j, (160, 100)), 750.0) for j in MSR_JOINTS])
    video = frame + np.random.default_rng(0).uniform(-1, 1, (frames, len(MSR_JOINTS), 3))
    np.savez(
        path,
        allow_pickle=False,
        positions_px=video.astype(np.float32),
        confidence=np.ones((frames, len(MSR_JOINTS)), np.float32),
        offsets=np.array([0, frames]),
        fps=np.full(1, 15, np.float32),
        clip_id=np.array(["a"]),
        label=np.array(["x"]),
        subject=np.array(["1"]),
        split=np.array(["train"]),
        joint_names=np.array(MSR_JOINTS),
        parents=np.full(len(MSR_JOINTS), -1, np.int16),
    )
    return path

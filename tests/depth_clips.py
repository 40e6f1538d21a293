"""Small depth videos in UTD-MHAD's form with the skeletons that belong to them: a body and a hand that goes about."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from motionqa.data.depth_video import project
from motionqa.data.packed_flow import PackedHMoRe, PackedName, PackedSight, save_hmore, save_sight
from motionqa.data.skeleton import KINECT_20
from motionqa.data.video_writer import write_video

Array = np.ndarray

_RIGHT = {
    "pelvis": (0.0, 0.0), "spine": (0.0, 0.25), "neck": (0.0, 0.5), "head": (0.0, 0.7), "shoulder": (0.2, 0.45),
    "elbow": (0.3, 0.2), "wrist": (0.35, 0.0), "hand": (0.36, -0.05), "hip": (0.1, -0.05), "knee": (0.1, -0.45),
    "ankle": (0.1, -0.85), "toe": (0.1, -0.9),
}  # fmt: skip
"""X and Y in metres about the pelvis; the person's right is at larger x."""
ACTIONS = {1: "swipe left", 2: "swipe right", 22: "jog", 23: "walk"}


def skeleton(frames: int, speed: float, distance_m: float = 2.8) -> Array:
    """Joints in camera metres of somebody whose right hand goes sideways at `speed` metres a frame: [T, 20, 3]."""
    xyz = np.zeros((frames, 20, 3))
    for j, name in enumerate(KINECT_20.joints):
        side = -1 if name.startswith("left") else 1
        x, y = _RIGHT[name.removeprefix("left_").removeprefix("right_")]
        xyz[:, j] = side * x, y, distance_m
    for j in (KINECT_20.index("right_wrist"), KINECT_20.index("right_hand")):
        xyz[:, j, 0] += speed * (np.arange(frames) - frames / 2)
    return xyz


def depth_frames(xyz: Array, grey: int = 130) -> Array:
    """RGB frames with a box about the body and a nearer patch about the right hand."""
    import cv2

    at = project(xyz)
    frames = np.zeros((len(xyz), 240, 320), np.uint8)
    neck, toe = (KINECT_20.index(n) for n in ("neck", "right_toe"))
    texture = cv2.resize(np.random.default_rng(0).uniform(0, 1, (24, 32)), (320, 240))
    for frame, joints in zip(frames, at, strict=True):
        middle = joints[neck, 0]
        x0, x1, y0, y1 = (int(v) for v in (middle - 22, middle + 22, joints[neck, 1] - 25, joints[toe, 1]))
        frame[y0:y1, x0:x1] = grey - 8 + (16 * texture[y0:y1, x0:x1]).astype(np.uint8)
        hand = joints[KINECT_20.index("right_hand")]
        hx, hy = int(hand[0]), int(hand[1])
        frame[hy - 8 : hy + 8, hx - 8 : hx + 8] = (grey + 30 + 20 * texture[:16, :16]).astype(np.uint8)
    return np.repeat(frames[..., None], 3, axis=-1)


def write_depth(path: Path, frames: Array) -> Path:
    """The frames as a video of 30 a second."""
    return write_video(((k / 30, f) for k, f in enumerate(frames)), path)


def write_skeletons(path: Path, names: Sequence[str], bodies: Sequence[Array]) -> Path:
    """The packed collection of so many named skeletons."""
    words = [n.replace("a", "").replace("s", "").replace("t", "").split("_") for n in names]
    np.savez(
        path,
        allow_pickle=False,
        positions_mm=np.round(np.concatenate(bodies) * 1000).astype(np.int16),
        offsets=np.cumsum([0, *(len(b) for b in bodies)]),
        fps=np.full(len(names), 30, np.float32),
        clip_id=np.array([f"Skeleton/{n}_skeleton.mat" for n in names]),
        label=np.array([ACTIONS[int(a)] for a, _, _ in words]),
        subject=np.array([f"s{s}" for _, s, _ in words]),
        split=np.array(["train" if int(s) % 2 else "test" for _, s, _ in words]),
        joint_names=np.array(KINECT_20.joints),
        parents=np.array(KINECT_20.parents, np.int16),
    )
    return path


def write_packed(folder: Path, names: Sequence[PackedName], steps: int = 6, size: int = 64, flow: bool = True) -> Path:
    """Packed clips whose hand goes right for labels that end with "right", else left; people differ in width."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in names:
        person = int("".join(c for c in n.subject if c.isdigit()))
        seen, moved = np.zeros((steps, size, size)), np.zeros((steps, 2, size, size))
        side = 1 if n.label.endswith("right") else -1
        rng = np.random.default_rng(zlib.crc32(n.name.encode()))
        for t in range(steps):
            seen[t, 12:60, 32 - 4 - 2 * person : 32 + 4 + 2 * person] = 0.5 + rng.uniform(-0.02, 0.02)
            x = 32 + side * int(24 * (t / max(steps - 1, 1) - 0.5))
            seen[t, 20:28, x - 4 : x + 4] = 0.9
            moved[t, 0, 20:28, x - 4 : x + 4] = side
        save_sight(folder, n, PackedSight(seen, moved))
        if flow:
            save_hmore(folder, n.name, PackedHMoRe(moved + 0.25 * (seen > 0)[:, None], np.full((steps, 2), 0.25)))
    return folder

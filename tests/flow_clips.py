"""Films of a textured, person-sized patch that moves as told, with exact joints and outlines; and fields made up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from motionqa.data.flow_field import FlowField
from motionqa.data.schema import Clip, PoseSequence
from motionqa.data.skeleton import H36M_17
from motionqa.data.video import read_clip
from motionqa.data.video_writer import write_video

Array = np.ndarray
WIDTH, HEIGHT = 320, 240
TALL = 120.0
"""Stature in pixels: the joints' bones together are 0.961 of it."""
STANDING = {
    "head_top": (0.0, 0.0), "nose": (0.02, 0.08), "thorax": (0.0, 0.182), "spine": (0.0, 0.33), "pelvis": (0.0, 0.47),
    "left_shoulder": (0.1, 0.19), "right_shoulder": (-0.1, 0.19), "left_elbow": (0.12, 0.36),
    "right_elbow": (-0.12, 0.36), "left_wrist": (0.13, 0.5), "right_wrist": (-0.13, 0.5), "left_hip": (0.06, 0.47),
    "right_hip": (-0.06, 0.47), "left_knee": (0.06, 0.715), "right_knee": (-0.06, 0.715), "left_ankle": (0.06, 0.961),
    "right_ankle": (-0.06, 0.961),
}  # fmt: skip
"""Joints in statures, x right of the middle and y below the crown."""


def texture(seed: int, width: int, height: int, middle: float = 120.0) -> Array:
    """Cloudy colours that flow can hold on to."""
    rng = np.random.default_rng(seed)
    out = np.full((height, width, 3), middle, np.float32)
    for cells, strength in ((8, 40), (30, 30), (90, 20)):
        small = rng.normal(0, strength, (cells * height // width + 2, cells, 3)).astype(np.float32)
        out += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(out, 0, 255).astype(np.uint8)


def joints_at(crown: Array) -> Array:
    """[T, 17, 2] joints of somebody standing, from the place of the crown of the head at each moment."""
    shape = np.array([STANDING[j] for j in H36M_17.joints]) * TALL
    return crown[:, None] + shape[None]


def patch_film(
    path: Path,
    crowns: Sequence[Array],
    fps: float = 20.0,
    rooms: Sequence[int] | None = None,
    times_s: Array | None = None,
) -> tuple[Clip, list[PoseSequence]]:
    """The film of patches whose crowns of the head are at [T, 2] each, and their exact poses.

    `rooms` gives the background of each frame by number: another number, another room.
    """
    count = len(crowns[0])
    times = np.arange(count) / fps if times_s is None else times_s
    backgrounds = {r: texture(100 + r, WIDTH, HEIGHT, 90.0 + 70 * (r % 2)) for r in set(rooms or [0])}
    clothes = [texture(k, 60, 140, 60.0 + 130 * (k % 2)) for k in range(len(crowns))]
    masks = [np.zeros((count, HEIGHT // 2, WIDTH // 2), bool) for _ in crowns]
    frames = []
    for t in range(count):
        image = backgrounds[rooms[t] if rooms else 0].copy()
        for k, crown in enumerate(crowns):
            left, top = crown[t, 0] - 0.2 * TALL, crown[t, 1] - 0.05 * TALL
            size = (round(0.4 * TALL), round(1.06 * TALL))
            matrix = np.array([[1, 0, left], [0, 1, top]], np.float32)
            drawn = cv2.warpAffine(clothes[k][: size[1], : size[0]], matrix, (WIDTH, HEIGHT))
            body = cv2.warpAffine(np.ones(size[::-1], np.float32), matrix, (WIDTH, HEIGHT)) > 0.5
            image[body] = drawn[body]
            masks[k][t] = cv2.resize(body.astype(np.uint8), (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA) > 0
        frames.append((float(times[t]), image))
    clip = read_clip(write_video(frames, path))
    poses = [
        PoseSequence(
            k, H36M_17, fps, clip.times_s[:count], joints_at(crown), np.ones((count, 17)), WIDTH, HEIGHT, "made up",
            masks[k],
        )
        for k, crown in enumerate(crowns)
    ]  # fmt: skip
    return clip, poses


def walk_of(count: int, start: tuple[float, float] = (60.0, 60.0), step: tuple[float, float] = (4.0, 0.0)) -> Array:
    """[T, 2] places a step apart."""
    return np.array(start) + np.arange(count)[:, None] * np.array(step)


class Classical:
    """OpenCV's dense inverse search in the place of a trained network; counts what it is shown."""

    def __init__(self) -> None:
        self.dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self.shown: list[tuple[Array, Array, Array]] = []

    def __call__(self, first: Array, second: Array, masks: Array) -> tuple[Array, Array]:
        world, trend = [], []
        for a, b, mask in zip(first, second, masks, strict=True):
            self.shown.append((a, b, mask))
            one, other = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) for x in (a, b))
            flow = self.dis.calc(one, other, np.zeros((*one.shape, 2), np.float32)).transpose(2, 0, 1)
            world.append(flow)
            trend.append(flow[:, mask].mean(axis=1))
        return np.stack(world), np.stack(trend)


class Says:
    """A network that gives the same flow everywhere, in pixels of what it is shown."""

    def __init__(self, x: float, y: float) -> None:
        self.flow = np.array([x, y], np.float32)

    def __call__(self, first: Array, second: Array, masks: Array) -> tuple[Array, Array]:
        assert first.shape == second.shape
        count, side = masks.shape[:2]
        return np.broadcast_to(self.flow[:, None, None], (count, 2, side, side)).copy(), np.tile(self.flow, (count, 1))


def made_field(
    trend: Array,
    local: dict[str, Array] | None = None,
    gap_s: float = 0.1,
    shot: Array | None = None,
    camera: Array | None = None,
    body_px: float = 200.0,
) -> FlowField:
    """A field with a course [N, 2] and joints' local flow [N, 2] as told, all in body heights a second."""
    pairs, grid = len(trend), 8
    shot = np.zeros(pairs, int) if shot is None else shot
    trend_px_s = np.where((shot < 0)[:, None], np.nan, trend * body_px)
    joints = np.repeat(trend_px_s[:, None], 17, axis=1)
    for name, speed in (local or {}).items():
        joints[:, H36M_17.index(name)] += speed * body_px
    mask = np.zeros((pairs, grid, grid), bool)
    mask[:, 1:7, 3:5] = True
    return FlowField(
        person_id=0, width=640, height=480, looked_px=256, times_s=np.arange(pairs) * gap_s,
        gap_s=np.full(pairs, gap_s), shot=shot, window_px=np.tile([200.0, 100.0, 256.0, 256.0], (pairs, 1)),
        world_px_s=np.repeat(np.repeat(trend_px_s[:, :, None, None], grid, 2), grid, 3).astype(np.float16),
        trend_px_s=trend_px_s, mask=mask, joints_px=np.full((pairs, 17, 2), 300.0), joints_px_s=joints,
        body_px=np.full(pairs, body_px), camera_px_s=np.zeros((pairs, 2)) if camera is None else camera * body_px,
    )  # fmt: skip

"""Pairs of pictures to learn flow from: drawn puppets with exact flow, and films with joints and masks of people.

Both come as `FlowBatch`es of one size. Films are followed once and kept:

    python -m motionqa.finetune.flow_pairs --videos FOLDER FILE ... --out CACHE
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from motionqa.data.mocap.clip import MocapClip
from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17, convert
from motionqa.data.synthetic.puppets import FlowPair, SeenBody, puppet_pair
from motionqa.data.virtual_camera import ViewRange, to_camera, with_other_limbs
from motionqa.encoders.flow_losses import People

Array = np.ndarray

BONES = tuple((p, c) for c, p in enumerate(H36M_17.parents) if p >= 0)


@dataclass(frozen=True, eq=False)
class FlowBatch:
    """Pictures, what is known of the people in them, and the exact flow where it is known."""

    first: Float[Tensor, "B 3 H W"]
    second: Float[Tensor, "B 3 H W"]
    people: People
    trend: Float[Tensor, "B P 2"]
    """The displacement of each person's pelvis."""
    flow: Float[Tensor, "B 2 H W"] | None = None

    def to(self, device: torch.device) -> FlowBatch:
        p = self.people
        people = People(*(x.to(device) for x in (p.joints, p.moved, p.confidence, p.masks)))
        flow = None if self.flow is None else self.flow.to(device)
        return FlowBatch(self.first.to(device), self.second.to(device), people, self.trend.to(device), flow)


def stacked(pairs: Sequence[FlowPair], people: int) -> FlowBatch:
    """Pairs as tensors with room for so many people each; the flow where it is known of all pairs."""

    def filled(values: list[Array]) -> Tensor:
        out = np.zeros((len(values), people, *values[0].shape[1:]), np.float32)
        for i, v in enumerate(values):
            out[i, : len(v)] = v
        return torch.from_numpy(out)

    first, second = (
        torch.from_numpy(np.stack([getattr(p, n) for p in pairs])).permute(0, 3, 1, 2).float() / 255
        for n in ("first", "second")
    )
    known = People(*(filled([getattr(p, n) for p in pairs]) for n in ("joints", "moved", "confidence", "masks")))
    exact = [p.flow for p in pairs if p.flow is not None]
    flow = torch.from_numpy(np.stack(exact)) if len(exact) == len(pairs) else None
    return FlowBatch(first, second, known, filled([p.trend for p in pairs]), flow)


# --------------------------------------------------------------------------------------------- puppets


@dataclass(frozen=True)
class PuppetConfig:
    """What drawn pairs look like; ours."""

    size: tuple[int, int] = (192, 192)
    people: int = 2
    second_person: float = 0.3
    height: tuple[float, float] = (0.45, 1.0)
    """Of the body, as a share of the picture's."""
    gap: tuple[int, int] = (1, 3)
    """Frames at 30 a second between the pictures."""
    camera_moves: float = 0.75
    shift_px: float = 4.0
    """Standard deviation of the camera's shift; turn 0.8° and zoom 1.5 % go with it."""


class PuppetSampler:
    """Random drawn pairs: the same seed and step give the same batch."""

    def __init__(self, clips: Sequence[MocapClip], config: PuppetConfig = PuppetConfig(), seed: int = 0) -> None:
        self.clips = [c for c in clips if c.metric and len(c) > 8]
        if not self.clips:
            raise InputError("there is no metric motion capture to drive puppets with")
        self.config, self.seed = config, seed

    def batch(self, step: int, size: int) -> FlowBatch:
        """`size` pairs, drawn afresh."""
        rng = np.random.default_rng((self.seed, step))
        return stacked([self.pair(rng) for _ in range(size)], self.config.people)

    def pair(self, rng: np.random.Generator) -> FlowPair:
        """One pair: one or two people somewhere in the picture, before a camera that moves or stands."""
        how = self.config
        count = 1 + (rng.random() < how.second_person) if how.people > 1 else 1
        bodies = [self._body(rng) for _ in range(count)]
        return puppet_pair(bodies, how.size, _camera(rng, how), rng)

    def _body(self, rng: np.random.Generator) -> SeenBody:
        how = self.config
        clip = self.clips[rng.integers(len(self.clips))]
        gap = int(rng.integers(how.gap[0], how.gap[1] + 1) * max(1, round(clip.fps / 30)))
        k = int(rng.integers(0, max(1, len(clip) - gap)))
        xyz = clip.xyz_m[[k, min(k + gap, len(clip) - 1)]]
        view = replace(ViewRange().sample(rng), distance_m=rng.uniform(3, 7))
        camera = to_camera(with_other_limbs(xyz, rng), view)
        flat = camera[..., :2] / camera[..., 2:]
        height, width = how.size
        tall = max(float(np.ptp(flat[0, :, 1])), float(np.ptp(flat[0, :, 0])), 1e-3)
        focal = rng.uniform(*how.height) * height / tall
        middle = (flat[0].min(axis=0) + flat[0].max(axis=0)) / 2
        place = np.array([width, height]) * (0.5 + rng.uniform(-0.25, 0.25, 2))
        px = (flat - middle) * focal + place
        scales = focal / camera[:, 0, 2]
        return SeenBody(px[0], px[1], camera[0, :, 2] + rng.uniform(-0.5, 0.5), (float(scales[0]), float(scales[1])))


def _camera(rng: np.random.Generator, how: PuppetConfig) -> Float[Array, "2 3"]:
    """A small turn, zoom and shift about the picture's middle; often none."""
    if rng.random() >= how.camera_moves:
        return np.eye(2, 3)
    turn, zoom = np.deg2rad(rng.normal(0, 0.8)), 1 + rng.normal(0, 0.015)
    matrix = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = np.array([how.size[1], how.size[0]]) / 2
    shift = middle - matrix @ middle + rng.normal(0, how.shift_px, 2)
    return np.concatenate([matrix, shift[:, None]], axis=1)


# ----------------------------------------------------------------------------------------------- films

KEPT_SIDE = 256
"""Longer side of kept frames, pixels."""


def film_people(video: Path, cache: Path, people: int = 2, max_frames: int = 90) -> Path | None:
    """The npz in `cache` with the frames of a video, and joints and masks of the people most in view; None without any.

    Frames are cropped to where the people are and scaled to 256 pixels. A file that is there already is kept.
    """
    from motionqa.data.video import iter_frames, read_clip
    from motionqa.encoders.people import find_people
    from motionqa.encoders.pose import estimate_pose

    name = hashlib.sha256(str(video.resolve()).encode() + str(video.stat().st_size).encode()).hexdigest()[:16]
    out = cache / f"{video.stem}-{name}.npz"
    if out.exists():
        return out
    clip = read_clip(video)
    try:
        tracks = sorted(find_people(clip), key=lambda t: -len(t.times_s))[:people]
        poses = [estimate_pose(clip, t).image for t in tracks]
    except InputError:
        return None
    frames = [f for f, _ in zip(iter_frames(clip), range(max_frames), strict=False)]
    kept = _cropped(frames, poses)
    if kept is None:
        return None
    cache.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out, allow_pickle=False, **kept)
    return out


def _cropped(frames: list[Array], poses: Sequence[object]) -> dict[str, Array] | None:
    import cv2

    from motionqa.data.schema import PoseSequence

    count = len(frames)
    height, width = frames[0].shape[:2]
    joints, sure, masks = [], [], []
    for pose in poses:
        assert isinstance(pose, PoseSequence)
        scale = np.array([width / pose.width, height / pose.height])
        xy, confidence = convert(pose.xy_px[:count] * scale, pose.confidence[:count], pose.skeleton, H36M_17)
        if pose.mask is None or not (confidence > 0).any():
            continue
        joints.append(xy)
        sure.append(confidence)
        masks.append(np.stack([cv2.resize(m.astype(np.float32), (width, height)) > 0.5 for m in pose.mask[:count]]))
    if not joints:
        return None
    seen = np.concatenate([xy[c > 0.3] for xy, c in zip(joints, sure, strict=True)])
    low, high = seen.min(axis=0), seen.max(axis=0)
    margin = 0.2 * float((high - low).max())
    x0, y0 = np.clip(low - margin, 0, (width - 2, height - 2)).astype(int)
    x1, y1 = np.clip(high + margin, (x0 + 2, y0 + 2), (width, height)).astype(int)
    factor = KEPT_SIDE / max(x1 - x0, y1 - y0)
    size = max(64, round((x1 - x0) * factor)), max(64, round((y1 - y0) * factor))

    def shrunk(picture: Array) -> Array:
        return cv2.resize(picture[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)

    ratio = np.array([size[0] / (x1 - x0), size[1] / (y1 - y0)])
    return {
        "frames": np.stack([shrunk(f) for f in frames]),
        "joints": (np.stack(joints) - (x0, y0)).astype(np.float32) * ratio.astype(np.float32),
        "confidence": np.stack(sure).astype(np.float32),
        "masks": np.stack([[shrunk(m.astype(np.float32)) > 0.5 for m in person] for person in masks]),
    }


class FilmSampler:
    """Random pairs of frames of kept films: joints and masks, no exact flow."""

    def __init__(
        self,
        files: Sequence[Path],
        size: tuple[int, int] = (192, 192),
        people: int = 2,
        max_gap: int = 2,
        seed: int = 0,
    ) -> None:
        if not files:
            raise InputError("there are no kept films; make them with motionqa.finetune.flow_pairs")
        self.films = [dict(np.load(f)) for f in files]
        self.size, self.people, self.max_gap, self.seed = size, people, max_gap, seed

    def batch(self, step: int, size: int) -> FlowBatch:
        """`size` pairs, cut to one size."""
        rng = np.random.default_rng((self.seed, 1, step))
        return stacked([self.pair(rng) for _ in range(size)], self.people)

    def pair(self, rng: np.random.Generator) -> FlowPair:
        """Two frames of one film and what the pose stage saw in them."""
        film = self.films[rng.integers(len(self.films))]
        gap = int(rng.integers(1, self.max_gap + 1))
        k = int(rng.integers(0, max(1, len(film["frames"]) - gap)))
        return film_pair(film, k, min(k + gap, len(film["frames"]) - 1), self.size, rng)


def film_pair(
    film: dict[str, Array], k: int, later: int, size: tuple[int, int], rng: np.random.Generator | None = None
) -> FlowPair:
    """Frames k and `later` of a kept film, cut or padded to a size; at the middle without `rng`."""
    height, width = film["frames"].shape[1:3]
    spare = np.array([width - size[1], height - size[0]])
    share = rng.random(2) if rng is not None else np.array([0.5, 0.5])
    start = np.where(spare > 0, (share * spare).astype(int), 0)
    rows, columns = slice(start[1], start[1] + size[0]), slice(start[0], start[0] + size[1])

    def cut(x: Array) -> Array:
        part = x[..., rows, columns, :] if x.ndim == 3 and x.shape[-1] == 3 else x[..., rows, columns]
        axes = (0, 1) if x.ndim == 3 and x.shape[-1] == 3 else (x.ndim - 2, x.ndim - 1)
        pad = [(0, 0)] * x.ndim
        for axis, wanted in zip(axes, size, strict=True):
            pad[axis] = (0, max(0, wanted - part.shape[axis]))
        return np.pad(part, pad)

    joints, after = film["joints"][:, k] - start, film["joints"][:, later] - start
    confidence = np.minimum(film["confidence"][:, k], film["confidence"][:, later])
    moved = (after - joints).astype(np.float32)
    return FlowPair(
        first=cut(film["frames"][k]),
        second=cut(film["frames"][later]),
        masks=cut(film["masks"][:, k]),
        joints=joints.astype(np.float32),
        moved=moved,
        confidence=confidence,
        trend=moved[:, H36M_17.index("pelvis")],
    )


@dataclass(frozen=True)
class FilmConfig:
    """Which videos are followed."""

    videos: tuple[Path, ...]
    """Files, or folders of them."""
    out: Path


def main(config: FilmConfig) -> None:
    """Follows the people of every video that is not kept yet."""
    files = [f for p in config.videos for f in (sorted(p.rglob("*.mp4")) if p.is_dir() else [p])]
    for i, video in enumerate(files):
        kept = film_people(video, config.out)
        print(f"{i + 1}/{len(files)} {video.name}: {'kept' if kept else 'nobody found'}", flush=True)


if __name__ == "__main__":
    main(tyro.cli(FilmConfig))

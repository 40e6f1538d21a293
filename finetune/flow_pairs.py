"""Pairs of pictures as batches to learn flow from, and films followed once so that they can be drawn from.

python -m motionqa.finetune.flow_pairs --videos FOLDER FILE ... --out CACHE
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from motionqa.data.kept_films import KeptFilm, load_film, save_film, usual_group
from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17, convert
from motionqa.data.synthetic.puppets import FlowPair
from motionqa.encoders.flow.losses import People

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


# ----------------------------------------------------------------------------------------------- films

KEPT_SIDE = 256
"""Longer side of kept frames, pixels."""


def film_people(
    video: Path, cache: Path, people: int = 2, max_frames: int = 90, group: str | None = None
) -> Path | None:
    """The npz in `cache` with the frames of a video, and joints and masks of the people most in view; None without any.

    Frames are cropped to where the people are and scaled to 256 pixels. A file that is there already is kept; only its
    group follows `group`.
    """
    from motionqa.data.video import iter_frames, read_clip
    from motionqa.encoders.people import find_people
    from motionqa.encoders.pose import estimate_pose

    name = hashlib.sha256(str(video.resolve()).encode() + str(video.stat().st_size).encode()).hexdigest()[:16]
    out = cache / f"{video.stem}-{name}.npz"
    group = group or usual_group(video.stem)
    if out.exists():
        if (kept := load_film(out)).group != group:
            save_film(replace(kept, group=group), out)
        return out
    clip = read_clip(video)
    try:
        tracks = sorted(find_people(clip), key=lambda t: -len(t.times_s))[:people]
        poses = [estimate_pose(clip, t).image for t in tracks]
    except InputError:
        return None
    frames = [f for f, _ in zip(iter_frames(clip), range(max_frames), strict=False)]
    kept = _cropped(frames, poses, group)
    return save_film(kept, out) if kept is not None else None


def _cropped(frames: list[Array], poses: Sequence[object], group: str) -> KeptFilm | None:
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
    return KeptFilm(
        frames=np.stack([shrunk(f) for f in frames]),
        joints=(np.stack(joints) - (x0, y0)).astype(np.float32) * ratio.astype(np.float32),
        confidence=np.stack(sure).astype(np.float32),
        masks=np.stack([[shrunk(m.astype(np.float32)) > 0.5 for m in person] for person in masks]),
        group=group,
    )


@dataclass(frozen=True)
class FilmConfig:
    """Which videos are followed."""

    videos: tuple[Path, ...]
    """Files, or folders of them."""
    out: Path
    groups: Path | None = None
    """A CSV with columns `file` and `group`: videos of one person or session, which are held out together."""


def read_groups(path: Path) -> dict[str, str]:
    """The group of each video of a CSV, by the video's name without folder and ending."""
    with path.open(newline="") as file:
        table = csv.DictReader(file)
        if not {"file", "group"} <= set(table.fieldnames or ()):
            raise InputError(
                f"{path} needs columns file and group, it has {', '.join(table.fieldnames or ()) or 'none'}"
            )
        return {Path(row["file"]).stem: row["group"] for row in table}


def main(config: FilmConfig) -> None:
    """Follows the people of every video that is not kept yet."""
    files = [f for p in config.videos for f in (sorted(p.rglob("*.mp4")) if p.is_dir() else [p])]
    groups = read_groups(config.groups) if config.groups else {}
    for i, video in enumerate(files):
        kept = film_people(video, config.out, group=groups.get(video.stem))
        print(f"{i + 1}/{len(files)} {video.name}: {'kept' if kept else 'nobody found'}", flush=True)


if __name__ == "__main__":
    main(tyro.cli(FilmConfig))

"""Films that were followed once: frames with joints and masks of the people in them, and which are held out.

`motionqa.finetune.flow_pairs` writes them, one npz a video. Which are for training and which for tests is decided
here, for both, by the film's group: films of one person or recording session are on one side.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from motionqa.data.motion_files.array_files import load_npz
from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17
from motionqa.data.synthetic.puppets import FlowPair

Array = np.ndarray

HELD_OUT_SHARE = 4
"""One group in so many is never trained on."""


@dataclass(frozen=True, eq=False)
class KeptFilm:
    """Frames of a video, cut to where its people are, and what the pose stage saw in them."""

    frames: UInt8[Array, "T H W 3"]
    joints: Float[Array, "P T 17 2"]
    """Pixels."""
    confidence: Float[Array, "P T 17"]
    masks: Bool[Array, "P T H W"]
    group: str
    """What it shares with films of the same person or session."""


def save_film(film: KeptFilm, path: Path) -> Path:
    """The path, now holding the film."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {k: getattr(film, k) for k in ("frames", "joints", "confidence", "masks")}
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, group=np.array(film.group), **arrays)
    part.replace(path)  # nobody reads half a film
    return path


def load_film(path: Path) -> KeptFilm:
    """The film of a file. InputError where it is no kept film or its parts do not fit each other."""
    data = load_npz(path, ("frames", "joints", "confidence", "masks"), optional=("group",))
    frames, joints, confidence, masks = (data[k] for k in ("frames", "joints", "confidence", "masks"))
    wanted = (len(joints), *frames.shape[:1])
    if frames.ndim != 4 or any(x.shape[:2] != wanted for x in (joints, confidence, masks)):
        raise InputError(
            f"{path.name}: expected joints, confidence and masks of {wanted} people and frames, got "
            f"{joints.shape[:2]}, {confidence.shape[:2]} and {masks.shape[:2]}; make it again with flow_pairs"
        )
    return KeptFilm(
        frames, joints.astype(np.float32), confidence.astype(np.float32), masks.astype(bool), _group(path, data)
    )


def group_of(path: Path) -> str:
    """The group of a kept film; of one that names none, the video's name."""
    return _group(path, load_npz(path, (), optional=("group",)))


def _group(path: Path, data: dict[str, Array]) -> str:
    return str(data["group"]) if "group" in data else usual_group(path.stem.rpartition("-")[0])


def usual_group(video: str) -> str:
    """The group of a video by its name: the name itself, but all of cam01, cam02, … of one recording together."""
    return re.sub(r"(cam(?:era)?)[_-]?\d+$", r"\1", video, flags=re.IGNORECASE)


def held_out(group: str) -> bool:
    """Whether a group of films is for tests alone."""
    return int.from_bytes(hashlib.sha256(f"film/{group}".encode()).digest()[:4]) % HELD_OUT_SHARE == 0


def film_files(folder: Path, test: bool) -> list[Path]:
    """The kept films of a folder that are for training, or those that are held out. InputError where there are none."""
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise InputError(f"{folder} holds no kept films (.npz); make them with motionqa.finetune.flow_pairs")
    return [f for f in files if held_out(group_of(f)) == test]


class FilmSampler:
    """Random pairs of frames of kept films: joints and masks, no exact flow."""

    def __init__(
        self, files: Sequence[Path], size: tuple[int, int] = (192, 192), max_gap: int = 2, seed: int = 0
    ) -> None:
        if not files:
            raise InputError("there are no kept films; make them with motionqa.finetune.flow_pairs")
        self.films = [load_film(f) for f in files]
        self.size, self.max_gap, self.seed = size, max_gap, seed

    def pairs(self, step: int, count: int) -> list[FlowPair]:
        """`count` pairs, cut to one size."""
        rng = np.random.default_rng((self.seed, 1, step))
        return [self.pair(rng) for _ in range(count)]

    def pair(self, rng: np.random.Generator) -> FlowPair:
        """Two frames of one film and what the pose stage saw in them."""
        film = self.films[rng.integers(len(self.films))]
        gap = int(rng.integers(1, self.max_gap + 1))
        k = int(rng.integers(0, max(1, len(film.frames) - gap)))
        return film_pair(film, k, min(k + gap, len(film.frames) - 1), self.size, rng)


def film_pair(
    film: KeptFilm, k: int, later: int, size: tuple[int, int], rng: np.random.Generator | None = None
) -> FlowPair:
    """Frames k and `later` of a kept film, cut or padded to a size; at the middle without `rng`."""
    height, width = film.frames.shape[1:3]
    spare = np.array([width - size[1], height - size[0]])
    share = rng.random(2) if rng is not None else np.array([0.5, 0.5])
    start = np.where(spare > 0, (share * spare).astype(int), 0)
    joints, after = film.joints[:, k] - start, film.joints[:, later] - start
    moved = (after - joints).astype(np.float32)
    return FlowPair(
        first=_cut(film.frames[k][None], start, size)[0],
        second=_cut(film.frames[later][None], start, size)[0],
        masks=_cut(film.masks[:, k], start, size),
        joints=joints.astype(np.float32),
        moved=moved,
        confidence=np.minimum(film.confidence[:, k], film.confidence[:, later]),
        trend=moved[:, H36M_17.index("pelvis")],
    )


def _cut(pictures: Array, start: Array, size: tuple[int, int]) -> Array:
    """Pictures [N H W …] from `start` (x, y) on, padded with zeros to a size (height, width)."""
    part = pictures[:, start[1] : start[1] + size[0], start[0] : start[0] + size[1]]
    missing = [(0, 0), (0, size[0] - part.shape[1]), (0, size[1] - part.shape[2])]
    return np.pad(part, missing + [(0, 0)] * (pictures.ndim - 3))

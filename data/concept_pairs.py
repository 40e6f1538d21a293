"""Windows that motion concepts are learned from: motion with its video where a clip has both, motion alone elsewhere.

`motionqa.finetune.concept_features` writes a folder once; everything in it is frozen while concepts are learned:
`PART.features.npy` holds DSTformer's representation of every frame at 15 a second, `PART.npz` the joints and words of
the clips, `videos/` what is seen of the person and the flow there (`motionqa.data.packed_flow`). Which part a clip is
in is decided by `motionqa.data.mocap.splits`: of UTD-MHAD odd subjects train and even subjects test. Pairs of other
sources are parts of their own, named SPLIT-SOURCE (`train-rendered`, `train-films`, `test-films`), so that they can be
added to a folder later.

The representation ends in tanh, so a signed byte holds it to 1 / 254. Axis legend: `B` windows, `P` pairs (the first
of the windows), `T` frames, `R` representation, `C` channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float16, Int8

from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.windows import SOURCE_SHARES
from motionqa.data.motion_files.array_files import load_npz
from motionqa.data.packed_flow import packed_channels, sight_path
from motionqa.data.schema import InputError

Array = np.ndarray

BYTE = 127
WORDS = ("name", "source", "split", "label", "subject")
FPS = 15.0


@dataclass(frozen=True, eq=False)
class ConceptClip:
    """A clip as one camera saw it, with what a frozen DSTformer makes of it."""

    name: str
    source: str
    split: str
    label: str
    subject: str
    mirrored: bool
    """Whether body and video are taken mirrored."""
    features: Int8[Array, "T 17 R"]
    """In 127ths; may lie on disk."""
    joints_m: Float[Array, "T 17 3"]
    """About the pelvis, camera axes, metres."""
    measured: Float[Array, "T 17"]
    has_video: bool = False

    def __len__(self) -> int:
        return len(self.joints_m)


@dataclass(frozen=True, eq=False)
class ConceptBatch:
    """Windows of motion; the first `pairs` of them have a video."""

    features: Float[Array, "B T 17 R"]
    joints_m: Float[Array, "B T 17 3"]
    measured: Float[Array, "B T 17"]
    seen: Float[Array, "P T 1 H W"] | None
    flow: Float[Array, "P T 4 H W"] | None
    """World flow (x, y) and local flow (x, y) to the next frame, body heights per second."""
    pairs: int


def as_bytes(features: Float[Array, "..."]) -> Int8[Array, "..."]:
    """Features between -1 and 1 in 127ths."""
    return np.clip(np.round(features * BYTE), -BYTE, BYTE).astype(np.int8)


def save_part(folder: Path, part: str, features: Sequence[Int8[Array, "_ 17 R"]], clips: Sequence[ConceptClip]) -> Path:
    """The part's npz file, written after its features: a part with one is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(len(f) for f in features)
    kept = np.lib.format.open_memmap(
        folder / f"{part}.features.npy", mode="w+", dtype=np.int8, shape=(total, *features[0].shape[1:])
    )
    np.concatenate(features, out=kept)
    kept.flush()
    path = folder / f"{part}.npz"
    fresh = path.with_suffix(".part")
    with fresh.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            offsets=np.cumsum([0, *(len(c) for c in clips)]),
            joints_m=np.concatenate([c.joints_m for c in clips]).astype(np.float32),
            measured=np.concatenate([c.measured for c in clips]).astype(np.float32),
            mirrored=np.array([c.mirrored for c in clips]),
            **{word: np.array([getattr(c, word) for c in clips]) for word in WORDS},
        )
    fresh.replace(path)
    return path


def load_part(folder: Path, part: str) -> list[ConceptClip]:
    """The clips of a part; features stay on disk until a window is drawn. InputError where it is missing or torn.

    `train` is followed by the training pairs of every other source that is there. Held-out pairs of other sources are
    read by their own name (`test-films`): their joints are estimates, which would blur scores on exact ones.
    """
    parts = sorted(f.stem for f in folder.glob("train-*.npz")) if part == "train" else []
    return [clip for name in (part, *parts) for clip in _load_part(folder, name)]


def _load_part(folder: Path, part: str) -> list[ConceptClip]:
    path, kept = folder / f"{part}.npz", folder / f"{part}.features.npy"
    if not path.exists() or not kept.exists():
        raise InputError(
            f"{folder} holds no part {part!r} of concept features; make it with motionqa.finetune.concept_features"
        )
    data = load_npz(path, ("offsets", "joints_m", "measured", "mirrored", *WORDS))
    try:
        features = np.load(kept, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{kept} is no whole array ({error}); remove {path.name} and make the part again") from error
    if len(features) != len(data["joints_m"]) or features.dtype != np.int8:
        raise InputError(
            f"{kept} holds {len(features)} frames of {features.dtype}, {path.name} describes {len(data['joints_m'])} "
            "of int8; remove both and make the part again"
        )
    clips = []
    for i, (start, stop) in enumerate(zip(data["offsets"], data["offsets"][1:], strict=False)):
        rows = slice(int(start), int(stop))
        words = {w: str(data[w][i]) for w in WORDS}
        clips.append(
            ConceptClip(
                **words, mirrored=bool(data["mirrored"][i]), features=features[rows], joints_m=data["joints_m"][rows],
                measured=data["measured"][rows], has_video=sight_path(folder / "videos", words["name"]).exists(),
            )
        )  # fmt: skip
    return clips


def load_video(folder: Path, name: str) -> Float16[Array, "T 5 H W"]:
    """What is seen, world flow and local flow of a clip: H-MoRe's where it was packed, else the classical one's.

    The classical flow's local flow is what is left after its mean over the person in each frame is taken away.
    """
    videos = folder / "videos"
    if (videos / "hmore.json").exists():
        return packed_channels(videos, name, "both")
    channels = packed_channels(videos, name, "dis").astype(np.float32)
    seen, world = channels[:, :1], channels[:, 1:]
    inside = (seen > 0).astype(np.float32)
    course = (world * inside).sum((2, 3), keepdims=True) / np.maximum(inside.sum((2, 3), keepdims=True), 1)
    return np.concatenate([seen, world, (world - course) * inside], axis=1).astype(np.float16)


def mirrored_video(video: Float[Array, "T 5 H W"]) -> Float[Array, "T 5 H W"]:
    """The mirror image: columns exchanged, flow along x negated."""
    return video[..., ::-1] * np.array([1, -1, 1, -1, 1], dtype=video.dtype)[:, None, None]


class ConceptSampler:
    """Random windows of training clips: the same seed and step give the same batch, so that training can be resumed."""

    def __init__(self, folder: Path, clips: Sequence[ConceptClip], window: int, seed: int = 0) -> None:
        if not clips:
            raise ValueError("there are no clips to draw windows from")
        self.folder, self.window, self.seed = folder, window, seed
        self.alone = [c for c in clips if not c.has_video]
        takes: dict[str, list[ConceptClip]] = {}
        for c in clips:
            if c.has_video:
                takes.setdefault(c.name, []).append(c)
        self.takes = list(takes.values())
        """Every clip with a video, with the views it was seen from."""
        self._videos = {name: load_video(folder, name) for name in takes}
        self._share = source_shares(self.alone) if self.alone else None

    def batch(self, step: int, pairs: int, others: int) -> ConceptBatch:
        """`pairs` windows with their video, all of different clips, then `others` of motion alone.

        Where there are fewer clips with video there are fewer pairs; where all have one, their motion makes up for
        motion alone.
        """
        rng = np.random.default_rng((self.seed, step))
        drawn = [self.takes[i] for i in rng.permutation(len(self.takes))[:pairs]]
        paired = [take[rng.integers(len(take))] for take in drawn]
        videos = [self._videos[c.name] for c in paired]
        starts = [
            int(rng.integers(0, max(0, min(len(c), len(v)) - self.window) + 1))
            for c, v in zip(paired, videos, strict=True)
        ]
        chosen = list(paired)
        pool = self.alone or [c for take in self.takes for c in take]
        share = self._share if self.alone else None
        for i in rng.choice(len(pool), others, p=share):
            chosen.append(pool[i])
            starts.append(int(rng.integers(0, max(0, len(pool[i]) - self.window) + 1)))
        rows = [_held_rows(len(c), s, self.window) for c, s in zip(chosen, starts, strict=True)]
        seen, flow = self._pictures(paired, videos, starts[: len(paired)]) if paired else (None, None)
        return ConceptBatch(
            np.stack([c.features[r].astype(np.float32) / BYTE for c, r in zip(chosen, rows, strict=True)]),
            np.stack([c.joints_m[r] for c, r in zip(chosen, rows, strict=True)]),
            np.stack([c.measured[r] for c, r in zip(chosen, rows, strict=True)]),
            seen,
            flow,
            len(paired),
        )

    def _pictures(
        self, clips: Sequence[ConceptClip], videos: Sequence[Array], starts: Sequence[int]
    ) -> tuple[Float[Array, "P T 1 H W"], Float[Array, "P T 4 H W"]]:
        windows = []
        for clip, video, start in zip(clips, videos, starts, strict=True):
            cut = video[_held_rows(len(video), start, self.window)].astype(np.float32)
            cut[max(0, len(video) - start) :, 1:] = 0  # a held frame does not move
            windows.append(mirrored_video(cut) if clip.mirrored else cut)
        stacked = np.stack(windows)
        return stacked[:, :, :1], stacked[:, :, 1:]


def _held_rows(length: int, start: int, window: int) -> Array:
    """Which frames a window shows; a clip that is too short holds its last one."""
    return np.minimum(np.arange(start, start + window), length - 1)


def source_shares(clips: Sequence[ConceptClip] | Sequence[MocapClip]) -> Float[Array, "N"]:
    """How often a window comes from each clip: by length within a collection, collections by `SOURCE_SHARES`."""
    frames = np.array([len(c) for c in clips], dtype=np.float64)
    sources = np.array([c.source for c in clips])
    for source in set(sources.tolist()):
        of = sources == source
        frames[of] *= SOURCE_SHARES.get(source, 0.15) / frames[of].sum()
    return frames / frames.sum()

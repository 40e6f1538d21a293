"""CASIA-B (Yu, Tan, Tan, ICPR 2006) as its users have it: silhouettes and, where they are there, the videos.

124 people walk six times normally (nm-01 to nm-06), twice with a bag (bg) and twice in a coat (cl), each seen from
eleven sides at once: 13,640 sequences. Two layouts of the official release are read, each in one folder:

    silhouettes  SUBJECT/CONDITION/VIEW/*.png     (001/nm-01/090/001-nm-01-090-001.png; the number is the video's frame)
    videos       SUBJECT-CONDITION-VIEW.avi       (001-nm-01-090.avi)

The usual protocol: the first 74 subjects train; of the others nm-01 to nm-04 are the gallery, and nm-05/06, bg and cl
are the probes. Pickled releases are not read, since opening a pickle runs what is in it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Int, UInt8

from motionqa.data.schema import InputError
from motionqa.data.video import iter_frames, read_clip

Array = np.ndarray

Role = Literal["train", "gallery", "probe"]
SUBJECTS, TRAIN_SUBJECTS = 124, 74
WALKS = tuple(f"{kind}-{i:02d}" for kind, count in (("nm", 6), ("bg", 2), ("cl", 2)) for i in range(1, count + 1))
VIEWS = tuple(range(0, 181, 18))
GALLERY = frozenset({"nm-01", "nm-02", "nm-03", "nm-04"})
FPS = 25.0
_VIDEO = re.compile(r"(\d{3})-((?:nm|bg|cl)-\d{2})-(\d{3})")
_FRAME = re.compile(r"(?:.*-)?(\d+)")


@dataclass(frozen=True)
class GaitSequence:
    """One walk of one person from one side."""

    subject: str
    walk: str
    """nm-01 to nm-06, bg-01, bg-02, cl-01, cl-02."""
    view_deg: int
    silhouettes: Path
    """Folder of pictures."""
    video: Path | None = None

    @property
    def name(self) -> str:
        """As the official videos are named: 001-nm-01-090."""
        return f"{self.subject}-{self.walk}-{self.view_deg:03d}"

    @property
    def role(self) -> Role:
        """The side of the usual protocol."""
        if int(self.subject) <= TRAIN_SUBJECTS:
            return "train"
        return "gallery" if self.walk in GALLERY else "probe"


@dataclass(frozen=True)
class CasiaB:
    """The sequences that are there, and what is not."""

    sequences: tuple[GaitSequence, ...]
    empty: tuple[str, ...]
    """Sequences whose folder has no pictures (the official set has some)."""
    strange: tuple[str, ...]
    """Folders of other names, left out."""

    @property
    def missing(self) -> int:
        """Sequences of the official 13,640 that are not there or empty."""
        return SUBJECTS * len(WALKS) * len(VIEWS) - len(self.sequences)

    @property
    def report(self) -> str:
        """What is there and what is missing, in words."""
        roles = Counter(s.role for s in self.sequences)
        subjects = {r: len({s.subject for s in self.sequences if s.role == r}) for r in roles}
        counted = ", ".join(f"{roles[r]} {r} ({subjects[r]} people)" for r in ("train", "gallery", "probe") if roles[r])
        lines = [f"{len(self.sequences)} sequences: {counted}."]
        if self.missing:
            lines.append(f"{self.missing} of the official 13,640 are missing; figures are not those of the whole set.")
        lines += [f"{len(v)} {what}, e.g. {v[0]}." for what, v in self._left_out() if v]
        with_video = sum(s.video is not None for s in self.sequences)
        lines.append(f"{with_video} sequences have their video; the others have silhouettes alone.")
        return " ".join(lines)

    def _left_out(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return ("empty folders", self.empty), ("folders of unknown names left out", self.strange)


@dataclass(frozen=True, eq=False)
class GaitClip:
    """A sequence in memory. Pictures are the video's where it is there, else the silhouettes."""

    sequence: GaitSequence
    pictures: UInt8[Array, "T H W 3"]
    mask: Bool[Array, "T H W"]
    filmed: bool
    """Whether pictures are the video's."""
    left_out: int
    """Silhouettes that are not in here."""
    fps: float = FPS


def find_casia_b(silhouettes: Path, videos: Path | None = None) -> CasiaB:
    """The sequences of a copy of CASIA-B, whole or not; what is missing is counted and said in its `report`.

    InputError where nothing has the official layout, or where either side of the protocol is without anybody.
    """
    if not silhouettes.is_dir():
        raise InputError(f"there is no folder {silhouettes}; give the folder that holds 001, 002, … of CASIA-B")
    films = {f.stem.lower(): f for f in sorted(videos.rglob("*.avi"))} if videos else {}
    if videos is not None and not any(_VIDEO.fullmatch(n) for n in films):
        raise InputError(f"{videos} holds no videos named like 001-nm-01-090.avi; leave --videos out to do without")
    found, empty, strange = [], [], []
    for folder in sorted(p for p in silhouettes.glob("*/*/*") if p.is_dir()):
        words = folder.relative_to(silhouettes).parts
        if not _official(*words):
            strange.append("/".join(words))
            continue
        subject, walk, view = words
        if not any(folder.glob("*.png")):
            empty.append("/".join(words))
            continue
        found.append(GaitSequence(subject, walk, int(view), folder, films.get(f"{subject}-{walk}-{view}")))
    if not found:
        raise InputError(
            f"{silhouettes} holds no folders like 001/nm-01/090 with .png files ({len(empty)} empty, {len(strange)} of "
            "other names); unpack the silhouettes of CASIA-B there"
        )
    return CasiaB(tuple(found), tuple(empty), tuple(strange))


def _official(subject: str, walk: str, view: str) -> bool:
    numbers = subject.isdecimal() and view.isdecimal() and len(subject) == len(view) == 3
    return numbers and 1 <= int(subject) <= SUBJECTS and walk in WALKS and int(view) in VIEWS


def read_gait_clip(sequence: GaitSequence) -> GaitClip:
    """Pictures and outlines of a sequence: its longest stretch of frames without a hole.

    Silhouettes are matched with the video by the frame number in their names. Frames without an outline and those
    beyond the video's end break the sequence, so that no two neighbours are further apart than they look.
    InputError for damaged pictures, pictures of several sizes, a video of another size, or nobody in any frame.
    """
    files = sorted(sequence.silhouettes.glob("*.png"))
    pictures = [cv2.imread(str(f), cv2.IMREAD_GRAYSCALE) for f in files]
    bad = [f.name for f, p in zip(files, pictures, strict=True) if p is None]
    if bad:
        raise InputError(f"{sequence.name}: {len(bad)} pictures cannot be read, such as {bad[0]}; copy them again")
    sizes = {p.shape for p in pictures if p is not None}
    if len(sizes) != 1:
        raise InputError(f"{sequence.name}: expected silhouettes of one size, got {sorted(sizes)}")
    masks = np.stack([p for p in pictures if p is not None]) > 127
    if not masks.any():
        raise InputError(f"{sequence.name} shows nobody: all {len(files)} silhouettes are black")
    numbers = _frame_numbers(sequence, files)
    there = np.any(masks, axis=(1, 2))
    frames = list(iter_frames(read_clip(sequence.video))) if sequence.video else None
    if frames is not None:
        _require_same_size(sequence, frames[0].shape[:2], masks.shape[1:])
        there = np.logical_and(there, numbers <= len(frames))
        if not there.any():
            raise InputError(f"{sequence.name}: the video ends before its first silhouette (frame {numbers.min()})")
    kept = _longest_run(numbers, np.asarray(there))
    if frames is None:
        shown = np.repeat(masks[kept][..., None], 3, axis=-1).astype(np.uint8) * 255
    else:
        shown = np.stack([frames[n - 1] for n in numbers[kept]])
    return GaitClip(sequence, shown, masks[kept], frames is not None, len(files) - len(kept))


def _longest_run(numbers: Int[Array, "T"], there: Bool[Array, "T"]) -> Int[Array, "R"]:
    """Places of the longest stretch of consecutive frames, the first where several are as long."""
    places = np.flatnonzero(there)
    places = places[np.argsort(numbers[places], kind="stable")]
    runs = np.split(places, np.flatnonzero(np.diff(numbers[places]) != 1) + 1)
    return max(runs, key=len)


def _require_same_size(sequence: GaitSequence, video: tuple[int, ...], silhouettes: tuple[int, ...]) -> None:
    if video != silhouettes:
        raise InputError(
            f"{sequence.name}: the video has {video[1]} x {video[0]} pixels and the silhouettes {silhouettes[1]} x "
            f"{silhouettes[0]}; silhouettes that were cut out cannot be laid over it, leave --videos out"
        )


def _frame_numbers(sequence: GaitSequence, files: list[Path]) -> Int[Array, "T"]:
    """The frame of the video that each silhouette is of, from 1."""
    matches = [_FRAME.fullmatch(f.stem) for f in files]
    strange = [f.name for f, m in zip(files, matches, strict=True) if m is None]
    if strange:
        raise InputError(
            f"{sequence.name}: {strange[0]} does not end with a frame number, as 001-nm-01-090-001.png does"
        )
    return np.array([int(m.group(1)) for m in matches if m])

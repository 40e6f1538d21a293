"""Motion as a file stores it: its own joint names, units and axes, before anything is turned or scaled.

Every reader returns `RawMotion`s; `data/recording.py` turns them into the project's `Pose3D`. Also here: what the
user may override, the frames that are kept of long or fast recordings, and bounded reading from disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from motionqa.data.schema import InputError
from motionqa.data.skeleton import SKELETONS, Skeleton

Array = np.ndarray
Units = Literal["m", "cm", "mm", "in"]
Axis = Literal["x", "y", "z", "-x", "-y", "-z"]

METRES_PER: dict[str, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254}
AXES: tuple[Axis, ...] = ("x", "y", "z", "-x", "-y", "-z")

MAX_TEXT_BYTES = 256 * 2**20
MAX_ARRAY_BYTES = 2**30
MAX_FPS = 60.0
"""Faster recordings are thinned: people do not move faster than 30 Hz, and everything after costs time per frame."""
DEFAULT_FPS = 30.0


@dataclass(frozen=True)
class MotionOverrides:
    """What the user knows better than the detection; None leaves it to the file."""

    format: str | None = None
    """One of `motion_files.READERS`, e.g. "bvh"."""
    skeleton: str | None = None
    """Joint set of an array or json without joint names, one of `skeleton.SKELETONS`, e.g. "h36m_17"."""
    fps: float | None = None
    units: Units | None = None
    up_axis: Axis | None = None
    handedness: Literal["right", "left"] | None = None
    body_model: Path | None = None
    """File or directory of the SMPL-family body model, for AMASS and SMPL parameters."""
    clip: int | str | None = None
    """Which clip of a packed npz: its number from 0, or its clip_id."""
    asf: Path | None = None
    """The skeleton of an .amc file."""
    image_size: tuple[int, int] | None = None
    """Width and height in pixels of the images that key points were found in."""
    max_frames: int = 20_000

    def __post_init__(self) -> None:
        if self.skeleton is not None and self.skeleton not in SKELETONS:
            raise InputError(f"skeleton is {self.skeleton!r}, expected one of {', '.join(SKELETONS)}")
        if self.fps is not None and not 0 < self.fps <= 10_000:
            raise InputError(f"fps is {self.fps}, expected more than 0 and at most 10000 frames per second")
        if self.units is not None and self.units not in METRES_PER:
            raise InputError(f"units is {self.units!r}, expected one of {', '.join(METRES_PER)}")
        if self.up_axis is not None and self.up_axis not in AXES:
            raise InputError(f"up_axis is {self.up_axis!r}, expected one of {', '.join(AXES)}")
        if self.handedness not in (None, "right", "left"):
            raise InputError(f"handedness is {self.handedness!r}, expected right or left")
        if self.image_size is not None and min(self.image_size) < 1:
            raise InputError(f"image_size is {self.image_size}, expected width and height in pixels")
        if self.max_frames < 1:
            raise InputError(f"max_frames is {self.max_frames}, expected at least 1")


@dataclass(frozen=True)
class FrameChoice:
    """Which frames of the file are kept, and how fast they were recorded."""

    keep: slice
    count: int
    """Frames in the file."""
    source_fps: float
    how: str
    notes: tuple[str, ...] = ()

    @property
    def fps(self) -> float:
        """Rate of the kept frames."""
        return self.source_fps / (self.keep.step or 1)

    @property
    def times_s(self) -> Float[Array, "T"]:
        """Time of each kept frame from the start of the file."""
        return np.arange(self.count)[self.keep] / self.source_fps


@dataclass(frozen=True, eq=False)
class RawMotion:
    """One person's joints (or markers) as stored in the file, the kept frames only."""

    format: str
    names: tuple[str, ...]
    """The file's own names, or a known skeleton's where `skeleton` is given."""
    positions: Float[Array, "T J 3"]
    """File units and file axes; NaN where the file says a joint was not seen."""
    frames: FrameChoice
    usual_up: Axis = "y"
    """What the format's files usually have, for when the data does not tell."""
    units: str | None = None
    """What the header says; "" where the format has no unit and must not be guessed from a header."""
    metres_per_unit: float | None = None
    """Scale where the header gives one that is none of the common units."""
    up_axis: Axis | None = None
    """What the header or the format's definition says."""
    parents: tuple[int, ...] | None = None
    skeleton: Skeleton | None = None
    """Where the joint set is known from the format, not from names."""
    confidence: Float[Array, "T J"] | None = None
    metric: bool = True
    camera: bool = False
    root_motion: Literal["measured", "estimated", "none"] = "measured"
    person_id: int = 0
    detected: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def choose_frames(
    count: int,
    header_fps: float | None,
    overrides: MotionOverrides,
    default_fps: float = DEFAULT_FPS,
    why_default: str = "",
) -> FrameChoice:
    """Which frames to keep: at most 60 per second (every n-th frame) and at most `max_frames` from the start.

    Every n-th frame instead of a low-pass filter: no kept position is invented, and nothing rings at impacts.
    InputError when there is no frame at all.
    """
    if count < 1:
        raise InputError("the file has no frames; expected at least one. Export it again, with the animation included")
    notes: list[str] = []
    if overrides.fps is not None:
        fps, how = overrides.fps, "given by the user"
    elif header_fps is not None and np.isfinite(header_fps) and 0.5 <= header_fps <= 10_000:
        fps, how = float(header_fps), "file header"
    else:
        fps = default_fps
        how = f"not in the file: {default_fps:g} assumed" + (f" ({why_default})" if why_default else "")
        if header_fps is not None:
            how = f"the header's {header_fps:g} is not plausible: {default_fps:g} assumed"
        notes.append(f"Frame rate {how}; set fps if that is wrong, since all times and speeds depend on it.")
    step = int(np.ceil(fps / MAX_FPS - 1e-3))
    if step > 1:
        notes.append(f"{fps:g} frames per second are more than needed: every {step}. frame is used.")
    kept = -(-count // step)
    if kept > overrides.max_frames:
        seconds = overrides.max_frames * step / fps
        notes.append(f"Only the first {seconds:.0f} s of {count / fps:.0f} s are used ({overrides.max_frames} frames).")
    stop = min(count, overrides.max_frames * step)
    return FrameChoice(slice(0, stop, step), count, fps, how, tuple(notes))


def read_bytes(path: Path, limit: int = MAX_TEXT_BYTES) -> bytes:
    """The file's content; InputError for a missing, empty, unreadable or oversized one."""
    try:
        size = path.stat().st_size
        if size == 0:
            raise InputError(f"{path.name} is empty (0 bytes). Export or download it again")
        if size > limit:
            raise InputError(
                f"{path.name} has {size / 2**20:.0f} MB, more than the {limit / 2**20:.0f} MB limit; cut it"
            )
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror or error}. Check the path") from error


def read_text(path: Path) -> str:
    """The file as text (UTF-8, UTF-16 with its mark, or Latin-1), with plain line ends; InputError for binary junk."""
    raw = read_bytes(path)
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = raw.decode("utf-16", errors="replace")
    else:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
    if "\0" in text:
        raise InputError(f"{path.name} holds binary data where text was expected. Check that it is the right file")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_numbers(text: str) -> Float[Array, "N"]:
    """All whitespace-separated numbers of a text; InputError quotes the first word that is none."""
    try:
        words = text.split()
        return np.array(words, dtype=np.float64) if len(words) < 1_000_000 else _parse_many(text)
    except ValueError as error:
        bad = next((w for w in text.split() if not _is_number(w)), "?")
        raise InputError(f"expected a number but found {bad[:40]!r}") from error


def _parse_many(text: str) -> Float[Array, "N"]:
    # A list of millions of word objects takes ten times the file's size, so go line by line.
    return np.concatenate([np.array(line.split(), dtype=np.float64) for line in text.splitlines()])


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True

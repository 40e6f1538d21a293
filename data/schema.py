"""The values that cross rooms.

Axis legend used in every annotation: `T` frames, `K` key frames, `J` joints, `P` pixels.
Times are seconds from the start of the source file, lengths are metres, image positions are pixels of the
upright source image (x right, y down), angles are degrees.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from motionqa.data.reading import ClipTokens, MotionReading
from motionqa.data.report import (  # noqa: F401  (given on with the other values)
    Activity,
    AngleSeries,
    Asymmetry,
    Fact,
    MotionReport,
    Repetition,
    RepetitionSet,
    Segment,
    Trajectory,
)
from motionqa.data.skeleton import Skeleton

Array = np.ndarray


class InputError(ValueError):
    """Something is wrong with what the user handed in: says what was expected, what came, what to do."""


# ---------------------------------------------------------------------------------------------- video


@dataclass(frozen=True, eq=False)
class Clip:
    """A bounded window of a video file: which frames are analysed, and when each was shown.

    Pixels are not held here: `motionqa.data.video.iter_frames` decodes them in one bounded-memory pass.
    """

    path: Path
    content_sha256: str
    frame_index: Int[Array, "T"]
    """Index of each analysed frame in display order of the source."""
    times_s: Float[Array, "T"]
    """Presentation time of each analysed frame."""
    fps: float
    """Analysis rate: the source's own rate, or a part of it for fast cameras."""
    width: int
    height: int
    """Size of the upright image, after the rotation the file asks for."""
    rotation_deg: int
    """Counter-clockwise turn the file asks players to apply: 0, 90, 180 or 270."""
    source_fps: float
    source_frames: int
    duration_s: float
    variable_rate: bool
    codec: str
    notes: tuple[str, ...] = ()
    """What the reader left out or changed, in words for the user."""

    def __len__(self) -> int:
        return len(self.frame_index)


# ---------------------------------------------------------------------------------------------- poses


@dataclass(frozen=True, eq=False)
class PersonTrack:
    """One person followed through key frames: a circle around the whole body at each."""

    person_id: int
    times_s: Float[Array, "K"]
    center_px: Float[Array, "K 2"]
    radius_px: Float[Array, "K"]
    score: Float[Array, "K"]

    def circle_at(self, time_s: float) -> tuple[float, float, float]:
        """Centre x, centre y and radius in pixels at a moment, interpolated; constant beyond the ends."""
        x, y = (float(np.interp(time_s, self.times_s, self.center_px[:, i])) for i in (0, 1))
        return x, y, float(np.interp(time_s, self.times_s, self.radius_px))


@dataclass(frozen=True, eq=False)
class PoseSequence:
    """One person's joints in the image, frame by frame."""

    person_id: int
    skeleton: Skeleton
    fps: float
    times_s: Float[Array, "T"]
    xy_px: Float[Array, "T J 2"]
    confidence: Float[Array, "T J"]
    """0 to 1: how surely the joint is where it is said to be. 0 where nothing was found."""
    width: int
    height: int
    source: str
    mask: Bool[Array, "T h w"] | None = None
    """Person silhouette at reduced size over the whole image, or None where the source has none."""

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def seen(self) -> Bool[Array, "T"]:
        """Frames in which the person was found at all."""
        return self.confidence.max(axis=1) > 0


@dataclass(frozen=True, eq=False)
class Pose3D:
    """One person's joints in space: metres, right-handed, Y up.

    For video, X grows to the image's right and Z towards the camera. For motion files the axes are the
    file's own, turned so that Y is up.
    """

    person_id: int
    skeleton: Skeleton
    fps: float
    times_s: Float[Array, "T"]
    xyz_m: Float[Array, "T J 3"]
    confidence: Float[Array, "T J"]
    source: str
    root_motion: Literal["measured", "estimated", "none"] = "measured"
    """Where the pelvis travels: measured (motion capture), estimated (one camera), or unknown (fixed at 0)."""
    metric: bool = True
    """False where the scale is a guess (stature set to 1.7 m)."""
    planar: bool = False
    """True where only the image plane is known: Z is 0 and angles are as seen by the camera."""
    camera: bool = False
    """True where the axes are a camera's, so that 'to the left of the picture' has a meaning."""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.times_s)


@dataclass(frozen=True)
class MotionFileInfo:
    """What was detected in a motion file, to be shown and, where wrong, overridden."""

    format: str
    skeleton: str
    joints: int
    frames: int
    fps: float
    units: str
    up_axis: str
    people: int = 1
    detected: dict[str, str] = field(default_factory=dict)
    """Per property: how it was found, e.g. `{"fps": "Frame Time header", "units": "limb length"}`."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class MotionRecording:
    """A motion file as read: either three-dimensional joints, or joints in an image."""

    info: MotionFileInfo
    poses: tuple[Pose3D, ...] = ()
    image_poses: tuple[PoseSequence, ...] = ()


@dataclass(frozen=True, eq=False)
class ClipEncoding:
    """Everything measured about one person in one clip: computed once, asked many times, kept in the cache."""

    content_sha256: str
    name: str
    kind: Literal["video", "motion"]
    duration_s: float
    people: tuple[PersonTrack, ...]
    person_id: int
    pose: PoseSequence | None
    """Joints in the image; None for three-dimensional motion files."""
    pose3d: Pose3D
    report: MotionReport
    notes: tuple[str, ...] = ()
    timings_s: dict[str, float] = field(default_factory=dict)
    reading: MotionReading | None = None
    """What the reader sees in the movement; read afresh, never stored."""


# ------------------------------------------------------------------------------------------- chatting


@dataclass(frozen=True)
class Turn:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True)
class Conversation:
    """Messages in order, as the language model is shown them."""

    turns: tuple[Turn, ...] = ()
    clip: ClipTokens | None = None
    """Learned tokens of the clip that it is about, for models that read them."""

    def plus(self, role: Literal["system", "user", "assistant"], text: str) -> Conversation:
        """The same conversation with one more message."""
        return replace(self, turns=(*self.turns, Turn(role, text)))

    def as_messages(self) -> list[dict[str, str]]:
        """`[{"role": …, "content": …}]`, the form chat templates and servers take."""
        return [{"role": t.role, "content": t.text} for t in self.turns]


@dataclass(frozen=True)
class Evidence:
    """A measured fact the answer was given, and whether the answer speaks of it."""

    fact: Fact
    cited: bool


@dataclass(frozen=True)
class Answer:
    """What the assistant said, what it was based on, and how long it took."""

    text: str
    evidence: tuple[Evidence, ...]
    timings_s: dict[str, float]
    finished: Literal["no", "end", "stopped"] = "end"
    """"no" while it is still being written."""
    basis: str = ""
    """What the answer rests on, in words: the kind of measurement, and earlier turns left out."""
    unmeasured: tuple[str, ...] = ()
    """Numbers and sides in the text that no fact contains."""
    written: str = ""
    """The model's own words where the measured answer took their place."""

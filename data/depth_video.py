"""UTD-MHAD's depth videos as clips: grey depth, the person's outline and joints in the picture.

Chen, Jafari, Kehtarnavaz (ICIP 2015), one Kinect v1, packed as videos `a1_s1_t1.mp4` of 320 x 240 pixels: grey 0 is no
depth, and the background is already gone; 255 is 1.0 m and 48 is 4.0 m. Frame k belongs to frame k of the skeleton of
the same name. The picture is mirrored: the person's right side is at larger x.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from motionqa.data.mocap.clip import MocapClip, Split
from motionqa.data.mocap.packed import load_packed
from motionqa.data.motion_files.kinect import CENTER_PX, FOCAL_PX
from motionqa.data.schema import InputError
from motionqa.data.video import iter_frames, read_clip

Array = np.ndarray

WIDTH, HEIGHT = 320, 240
NO_DEPTH = 24
"""Grey up to here is background: compression leaves a rim around the person."""
COLOUR = 16
"""Channels that differ by more are no grey picture."""
NEAREST_M, METRES_PER_GREY = 1.0, 3.0 / 207
_NAME = re.compile(r"a(\d+)_s(\d+)_t(\d+)")


@dataclass(frozen=True)
class DepthVideo:
    """A depth video on disk and what its name says."""

    path: Path
    action: int
    subject: int
    trial: int

    @property
    def name(self) -> str:
        """As in the collection: `a1_s1_t1`."""
        return f"a{self.action}_s{self.subject}_t{self.trial}"

    @property
    def split(self) -> Split:
        """The official cross-subject protocol: odd subjects train, even subjects test."""
        return "train" if self.subject % 2 else "test"


@dataclass(frozen=True, eq=False)
class DepthClip:
    """A depth video in memory, with the joints of its skeleton in the picture."""

    video: DepthVideo
    label: str
    """The action's name, as the skeleton collection has it."""
    fps: float
    grey: UInt8[Array, "T 240 320"]
    joints_px: Float[Array, "T 17 2"]
    """Human3.6M joints; some lie beside the person, since the Kinect guesses hidden ones."""
    confidence: Float[Array, "T 17"]

    def __len__(self) -> int:
        return len(self.grey)

    @property
    def mask(self) -> Bool[Array, "T 240 320"]:
        """The person: wherever there is depth."""
        return self.grey > NO_DEPTH

    @property
    def depth_m(self) -> Float[Array, "T 240 320"]:
        """Distance from the camera's plane, metres; 0 where there is no depth. Compression adds about 0.03 m."""
        depth = NEAREST_M + (255.0 - self.grey.astype(np.float32)) * METRES_PER_GREY
        return np.where(self.mask, depth, 0.0).astype(np.float32)


def find_depth_videos(folder: Path) -> list[DepthVideo]:
    """The depth videos of a folder by action, subject and trial.

    InputError where there are none, or where a video's name does not say what it shows.
    """
    files = sorted(folder.glob("*.mp4")) if folder.is_dir() else []
    if not files:
        raise InputError(f"{folder} holds no .mp4 files; give the folder of UTD-MHAD's depth videos (a1_s1_t1.mp4, …)")
    found = {f: _NAME.fullmatch(f.stem) for f in files}
    strange = [f.name for f, m in found.items() if m is None]
    if strange:
        raise InputError(
            f"{folder} holds {len(strange)} videos with other names than a1_s1_t1.mp4, such as {strange[0]}; "
            "move them elsewhere"
        )
    videos = [DepthVideo(f, *(int(n) for n in m.groups())) for f, m in found.items() if m]
    return sorted(videos, key=lambda v: (v.action, v.subject, v.trial))


def take_name(clip_id: str) -> str:
    """The name that a skeleton's video has (`a1_s1_t1`), from the clip's own; empty where it has none."""
    found = _NAME.search(clip_id)
    return found.group() if found else ""


def load_skeletons(path: Path) -> dict[str, MocapClip]:
    """Skeletons by name (`a1_s1_t1`), from the packed collection of UTD-MHAD (`utd_mhad.npz`)."""
    named = {name: clip for clip in load_packed(path) if (name := take_name(clip.clip_id))}
    if not named:
        raise InputError(f"{path.name} holds no clips named like a1_s1_t1; give the packed UTD-MHAD skeletons")
    return named


def project(xyz_m: Float[Array, "*N 3"]) -> Float[Array, "*N 2"]:
    """Where camera points are seen, pixels: 160 + f x / z and 120 − f y / z with the Kinect's nominal f = 285.6.

    X grows to the camera's left, Y up and Z away from it, metres. ValueError for points that are not before the camera.
    """
    if not (xyz_m[..., 2] > 0).all():
        raise ValueError("points at or behind the camera cannot be projected; Z must be positive")
    flat = FOCAL_PX * xyz_m[..., :2] / xyz_m[..., 2:]
    return np.stack([CENTER_PX[0] + flat[..., 0], CENTER_PX[1] - flat[..., 1]], axis=-1)


def read_depth_clip(video: DepthVideo, skeletons: dict[str, MocapClip]) -> DepthClip:
    """The frames and joints of a depth video.

    InputError where it has no skeleton or not one a frame, another size, colours, or nobody in it.
    """
    skeleton = skeletons.get(video.name)
    if skeleton is None:
        raise InputError(f"there is no skeleton {video.name} for {video.path.name}; it belongs to another collection")
    clip = read_clip(video.path)
    if (clip.width, clip.height) != (WIDTH, HEIGHT):
        raise InputError(
            f"{video.path.name} has {clip.width} x {clip.height} pixels, expected {WIDTH} x {HEIGHT}: joints are "
            "projected for the Kinect's own size"
        )
    frames = np.stack(list(iter_frames(clip)))
    if len(frames) != len(skeleton):
        raise InputError(
            f"{video.path.name} has {len(frames)} frames and its skeleton {len(skeleton)}; the two must belong "
            "frame to frame. Copy the video again, it may be cut off"
        )
    red, grey, blue = (np.ascontiguousarray(frames[..., c]) for c in range(3))
    if max(int((np.maximum(grey, c) - np.minimum(grey, c)).max()) for c in (red, blue)) > COLOUR:
        raise InputError(f"{video.path.name} is in colour, expected grey depth")
    if not (grey > NO_DEPTH).any():
        raise InputError(f"{video.path.name} shows nobody: no frame has depth (grey above {NO_DEPTH})")
    if not (skeleton.xyz_m[..., 2] > 0).all():
        raise InputError(f"the skeleton {video.name} is not before the camera (Z must be positive, metres)")
    joints = project(skeleton.xyz_m).astype(np.float32)
    return DepthClip(video, skeleton.label, clip.fps, grey, joints, skeleton.confidence.astype(np.float32))

"""A Pose3D made ready for measuring: named joints, gaps bridged or left open, noise filtered, body axes and scale.

Body axes, all unit vectors in the pose's own right-handed, Y-up frame:

* pelvis left: from right to left hip; trunk up: from mid-hip to mid-shoulder, made square to it;
  pelvis forward = left x up, so that it follows the trunk (hip flexion is thigh against trunk).
* heading: the horizontal direction the hips and shoulders face on average, smoothed below the stride rate.

Nothing here depends on where the person stands, faces or how tall they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float
from scipy.signal import butter, sosfiltfilt

from motionqa.data.schema import Pose3D
from motionqa.data.skeleton import recipe_for
from motionqa.encoders.kinematics.config import KinematicsConfig

Array = np.ndarray

CORE = (
    *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "nose", "head_top"),
)
EXTRA = (
    *("left_toe", "right_toe", "left_heel", "right_heel", "left_hand", "right_hand", "left_ear", "right_ear"),
    *("left_eye", "right_eye"),
)
UP = np.array([0.0, 1.0, 0.0])
_WIDE = ("hip", "shoulder")
LEG_OF_STATURE = 0.49
"""Hip to ankle as a part of stature (Winter 2009, table 4.1: thigh 0.245 + shank 0.246)."""


def unit(v: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
    """Vectors of length 1; NaN where the length is below a nanometre."""
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    return v / np.where(length > 1e-9, length, np.nan)


def dot(a: Float[Array, "*n 3"], b: Float[Array, "*n 3"]) -> Float[Array, "*n"]:
    """Scalar products along the last axis."""
    return (a * b).sum(axis=-1)


def runs(mask: Bool[Array, "T"]) -> list[tuple[int, int]]:
    """First and last frame of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def filled(x: Float[Array, "T"]) -> Float[Array, "T"]:
    """Gaps bridged by straight lines, ends held; zeros where nothing was ever seen."""
    good = np.isfinite(x)
    if good.all():
        return x
    if not good.any():
        return np.zeros_like(x)
    return np.interp(np.arange(len(x)), np.flatnonzero(good), x[good])


def low_pass(x: Float[Array, "T *n"], fps: float, cutoff_hz: float) -> Float[Array, "T *n"]:
    """Second-order Butterworth run forwards and backwards (no delay) along time; the input where it cannot work."""
    if len(x) < 5 or cutoff_hz >= 0.45 * fps:
        return x
    sos = butter(2, cutoff_hz, fs=fps, output="sos")
    return sosfiltfilt(sos, x, axis=0, padtype="odd", padlen=min(len(x) - 1, round(1.5 * fps / cutoff_hz)))


def _bridge(xyz: Float[Array, "T 3"], seen: Bool[Array, "T"], max_frames: int) -> tuple[Array, Bool[Array, "T"]]:
    """The track with every gap filled for filtering, and which frames of it may be believed."""
    believed = seen.copy()
    if not seen.any():
        return np.zeros_like(xyz), believed
    for a, b in runs(~seen):
        inside = a > 0 and b < len(seen) - 1
        believed[a : b + 1] = inside and b - a + 1 <= max_frames
    track = np.where(seen[:, None], xyz, np.nan)
    return np.stack([filled(track[:, i]) for i in range(3)], axis=1), believed


def _named_joint(pose: Pose3D, joint: str, threshold: float) -> tuple[Array, Bool[Array, "T"]] | None:
    """Position and whether it is sure enough, built from neighbours where the skeleton lacks it; None if it cannot."""
    recipe = recipe_for(joint, pose.skeleton)
    if recipe is None:
        return None
    index = [pose.skeleton.index(name) for name, _ in recipe]
    weights = np.array([weight for _, weight in recipe])
    parts = pose.xyz_m[:, index].astype(np.float64)
    seen = (pose.confidence[:, index] >= threshold).all(axis=1) & np.isfinite(parts).all(axis=(1, 2))
    return np.einsum("tjd,j->td", np.nan_to_num(parts), weights), np.asarray(seen)


@dataclass(frozen=True, eq=False)
class Body:
    """One person's joints over time, ready to be measured. Positions are metres (or the pose's unit)."""

    pose: Pose3D
    config: KinematicsConfig
    joints: dict[str, Float[Array, "T 3"]]
    """Smoothed positions, NaN where not seen. Always has every CORE joint, pelvis, thorax and hands."""
    native: frozenset[str]
    """Joints that were measured, not built from neighbours or missing."""

    def __getitem__(self, joint: str) -> Float[Array, "T 3"]:
        return self.joints[joint]

    def __len__(self) -> int:
        return len(self.pose)

    @property
    def fps(self) -> float:
        return float(self.pose.fps)

    @property
    def times_s(self) -> Float[Array, "T"]:
        return self.pose.times_s

    def seen(self, joint: str) -> float:
        """Part of the frames in which a joint can be believed, 0 to 1."""
        return float(np.isfinite(self.joints[joint][:, 0]).mean()) if joint in self.joints else 0.0

    def frames(self, seconds: float) -> int:
        """A duration in whole frames, at least 1."""
        return max(1, round(seconds * self.fps))

    def _length(self, a: str, b: str) -> float:
        lengths = np.linalg.norm(self[a] - self[b], axis=1)
        # Above the median: bones pointing at a camera come out too short, hardly ever too long.
        return float(np.nanpercentile(lengths, 70)) if np.isfinite(lengths).any() else np.nan

    def _limb(self, *chain: str) -> float:
        """Longest of both sides' summed bone lengths."""
        sums = [sum(self._length(f"{s}_{a}", f"{s}_{b}") for a, b in pairwise(chain)) for s in ("left", "right")]
        sums = [x for x in sums if np.isfinite(x) and x > 1e-6]
        return max(sums) if sums else np.nan

    @cached_property
    def torso_m(self) -> float:
        """Mid-hip to mid-shoulder; NaN where never seen."""
        return self._length("pelvis", "thorax")

    @cached_property
    def leg_m(self) -> float:
        """Hip to ankle along the bones; from torso or arm where the legs were not seen, 0.83 where nothing was."""
        for length, factor in ((self._limb("hip", "knee", "ankle"), 1.0), (self.torso_m, 1.65), (self._arm, 1.55)):
            if np.isfinite(length) and length > 1e-6:
                return float(length * factor)
        return 0.83

    @cached_property
    def _arm(self) -> float:
        return self._limb("shoulder", "elbow", "wrist")

    @cached_property
    def arm_m(self) -> float:
        """Shoulder to wrist along the bones; from the leg where the arms were not seen."""
        return self._arm if np.isfinite(self._arm) and self._arm > 1e-6 else self.leg_m / 1.55

    @cached_property
    def pelvis_left(self) -> Float[Array, "T 3"]:
        """Unit vector from right to left hip; across the view where only the image plane is known."""
        if self.pose.planar:
            return self.left
        return unit(self["left_hip"] - self["right_hip"])

    @cached_property
    def trunk(self) -> Float[Array, "T 3"]:
        """Unit vector from mid-hip to mid-shoulder."""
        return unit(self["thorax"] - self["pelvis"])

    @cached_property
    def heading_rad(self) -> Float[Array, "T"]:
        """Facing direction about the vertical, unwrapped, 0 along +Z, positive to the left; smoothed."""
        if self.pose.planar:
            return np.full(len(self), self._planar_heading)
        hips, shoulders = (self[f"left_{j}"] - self[f"right_{j}"] for j in ("hip", "shoulder"))
        # Lines seen nearly end-on from above (lying on the side) tell nothing about the facing direction.
        parts = [
            np.where(np.hypot(v[:, :1], v[:, 2:]) > 0.5 * np.abs(v[:, 1:2]), unit(v), 0) for v in (hips, shoulders)
        ]
        left = np.nansum(np.stack(parts), axis=0)[:, [0, 2]]
        weak = np.linalg.norm(left, axis=1) < 0.3
        left = np.where(weak[:, None], np.nan, left)
        left = np.stack([filled(left[:, 0]), filled(left[:, 1])], axis=1)
        if not np.any(left):
            return np.zeros(len(self))
        # left x up = forward: (lx, 0, lz) x Y = (-lz, 0, lx)
        angle = np.unwrap(np.arctan2(-left[:, 1], left[:, 0]))
        return low_pass(angle, self.fps, self.config.heading_cutoff_hz)

    @cached_property
    def faces_camera(self) -> Bool[Array, "T"]:
        """Frames in which one camera sees the body from the front or back, within 45 degrees."""
        return (
            np.abs(np.cos(self.heading_rad)) > np.cos(np.radians(45)) if self.pose.camera else np.zeros(len(self), bool)
        )

    @cached_property
    def side_view(self) -> bool:
        """Seen from the side, for planar poses: hips and shoulders are narrow against the torso."""
        widths = [np.nanmedian(np.append(np.abs((self[f"left_{j}"] - self[f"right_{j}"])[:, 0]), 0)) for j in _WIDE]
        return bool(max(widths) < 0.4 * self.torso_m) if np.isfinite(self.torso_m) else False

    @cached_property
    def _planar_heading(self) -> float:
        """One facing direction for a planar pose: across the picture in side view, else to or from the camera."""
        if not self.side_view:
            widths = [(self[f"left_{j}"] - self[f"right_{j}"])[:, 0] for j in _WIDE]
            return float(np.pi if np.nansum(widths) < 0 else 0.0)
        ahead = [self["nose"] - self["thorax"]]
        ahead += [self[f"{s}_toe"] - self[f"{s}_ankle"] for s in ("left", "right") if f"{s}_toe" in self.joints]
        return float(np.copysign(np.pi / 2, np.nansum([v[:, 0] for v in ahead])))

    @cached_property
    def forward(self) -> Float[Array, "T 3"]:
        """Horizontal unit vector along the heading."""
        h = self.heading_rad
        return np.stack([np.sin(h), 0 * h, np.cos(h)], axis=1)

    @cached_property
    def left(self) -> Float[Array, "T 3"]:
        """Horizontal unit vector to the person's left of the heading."""
        h = self.heading_rad
        return np.stack([np.cos(h), 0 * h, -np.sin(h)], axis=1)

    def speed(self, track: Float[Array, "T 3"]) -> Float[Array, "T"]:
        """Length of the velocity, per second; NaN beside gaps, zeros for a single frame."""
        if len(self) < 2:
            return np.zeros(len(self))
        return np.linalg.norm(np.gradient(track, 1 / self.fps, axis=0), axis=1)

    def relative(self, joint: str, to: str) -> Float[Array, "T 3"]:
        """A joint seen from another: left, up and forward parts by heading, same unit."""
        v = self[joint] - self[to]
        return np.stack([dot(v, self.left), v[:, 1], dot(v, self.forward)], axis=1)


def prepare(pose: Pose3D, config: KinematicsConfig | None = None) -> Body:
    """The pose as a Body. ValueError where the arrays do not fit together or the frame rate is not positive."""
    config = config or KinematicsConfig()
    frames, joints = len(pose.times_s), len(pose.skeleton)
    if pose.xyz_m.shape != (frames, joints, 3) or pose.confidence.shape != (frames, joints):
        raise ValueError(
            f"expected positions {(frames, joints, 3)} and confidences {(frames, joints)} for {pose.skeleton.name}, "
            f"got {pose.xyz_m.shape} and {pose.confidence.shape}"
        )
    if not pose.fps > 0 or frames == 0:
        raise ValueError(f"a pose needs at least one frame and a positive rate, got {frames} frames at {pose.fps} fps")
    tracks: dict[str, Array] = {}
    believed: dict[str, Array] = {}
    for name in (*CORE, *EXTRA):
        found = _named_joint(pose, name, config.min_confidence)
        if found is not None and (name in CORE or name in pose.skeleton):
            tracks[name], believed[name] = _bridge(*found, max_frames=round(config.max_gap_s * pose.fps))
    native = frozenset(j for j in tracks if j in pose.skeleton and believed[j].any())
    smooth = _smoothed(tracks, believed, pose, config)
    for name in CORE:
        smooth.setdefault(name, np.full((frames, 3), np.nan))
    smooth["pelvis"] = (smooth["left_hip"] + smooth["right_hip"]) / 2
    smooth["thorax"] = (smooth["left_shoulder"] + smooth["right_shoulder"]) / 2
    for side in ("left", "right"):
        wrist, elbow = smooth[f"{side}_wrist"], smooth[f"{side}_elbow"]
        # Palm: a third of the forearm beyond the wrist (Winter 2009: hand 0.108, forearm 0.146 of stature).
        smooth.setdefault(f"{side}_hand", wrist + 0.35 * (wrist - elbow))
    return Body(pose, config, smooth, native)


def _smoothed(
    tracks: dict[str, Array], believed: dict[str, Array], pose: Pose3D, config: KinematicsConfig
) -> dict[str, Array]:
    """All tracks low-passed; for a single camera the pelvis' depth is smoothed apart from the body around it."""
    names = list(tracks)
    if not names:
        return {}
    stacked = np.stack([tracks[n] for n in names], axis=1)
    depth = np.zeros(len(stacked))
    if pose.root_motion == "estimated" and "left_hip" in tracks:
        depth = (tracks["left_hip"][:, 2] + tracks["right_hip"][:, 2]) / 2
        stacked[:, :, 2] -= depth[:, None]
        depth = low_pass(depth, pose.fps, config.root_depth_cutoff_hz)
    stacked = low_pass(stacked, pose.fps, config.cutoff_hz)
    stacked[:, :, 2] += depth[:, None]
    return {n: np.where(believed[n][:, None], stacked[:, i], np.nan) for i, n in enumerate(names)}

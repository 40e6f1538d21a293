"""A jointed body with known bone lengths, and the motion channels that move it.

The body has the SMPL_22 joints, measures about 1.7 m and stands on the floor at Y = 0. It faces +Z at heading 0,
its left is +X. Legs are posed by where the ankles are (two-bone inverse kinematics, so standing feet do not slide),
arms and trunk by angles with the signs of `motionqa.encoders.kinematics.angles`. Everything is exact: what a generator
says about repetitions, angles, travel and turns is true to rounding, which is what the tests lean on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from motionqa.data.schema import Pose3D, Segment
from motionqa.data.skeleton import SMPL_22

Array = np.ndarray
LEFT, RIGHT = 0, 1
SIDES = ("left", "right")
OUTWARD = (1.0, -1.0)
"""Sign of the lateral axis (+X is left) that points away from the midline, for left and right."""


@dataclass(frozen=True)
class BodyShape:
    """Bone lengths in metres; the defaults are those of a person of 1.7 m (Winter 2009, table 4.1, rounded)."""

    hip_half_width: float = 0.09
    hip_drop: float = 0.06
    thigh: float = 0.42
    shank: float = 0.41
    ankle_height: float = 0.08
    foot: float = 0.14
    trunk: float = 0.50
    shoulder_half_width: float = 0.18
    upper_arm: float = 0.28
    forearm: float = 0.25
    head: float = 0.20

    @property
    def leg(self) -> float:
        """Hip to ankle with a straight knee."""
        return self.thigh + self.shank

    @property
    def pelvis_height(self) -> float:
        """Pelvis above the floor when standing, knees all but straight (0.5 % short of full length)."""
        return self.ankle_height + 0.995 * self.leg + self.hip_drop


@dataclass(frozen=True, eq=False)
class BodyMotion:
    """Motion channels of one body over time; every generator starts at the origin with heading 0."""

    fps: float
    root_m: Float[Array, "T 3"]
    """Pelvis."""
    heading_deg: Float[Array, "T"]
    """Facing direction about the vertical; positive to the left."""
    trunk_deg: Float[Array, "T 3"]
    """Lean forward, lean left, twist left relative to the pelvis."""
    ankle_m: Float[Array, "T 2 3"]
    """Where the ankles should be; drawn in where the leg is too short. Left, right."""
    arm_deg: Float[Array, "T 2 3"]
    """Shoulder flexion, shoulder abduction, elbow flexion. Left, right."""
    toe_deg: Float[Array, "T 2"]
    """Pitch of the foot: toes up is positive, 0 is flat."""
    labels: tuple[Segment, ...] = ()
    """What happens when, in the recogniser's words."""

    def __len__(self) -> int:
        return len(self.root_m)

    @property
    def duration_s(self) -> float:
        """Seconds from the first to one frame past the last."""
        return len(self) / self.fps


def neutral(frames: int, fps: float, shape: BodyShape | None = None) -> BodyMotion:
    """Standing upright with the arms hanging, for as many frames as asked."""
    s = shape or BodyShape()
    ankle = np.zeros((frames, 2, 3))
    ankle[:, :, 0] = np.multiply(OUTWARD, s.hip_half_width)
    ankle[:, :, 1] = s.ankle_height
    root = np.tile([0.0, s.pelvis_height, 0.0], (frames, 1))
    arms = np.tile([0.0, 8.0, 10.0], (frames, 2, 1))
    zeros = np.zeros(frames)
    return BodyMotion(fps, root, zeros, np.zeros((frames, 3)), ankle, arms, np.zeros((frames, 2)))


def _unit(v: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)


def _leg(
    hip: Float[Array, "T 3"], ankle: Float[Array, "T 3"], left: Float[Array, "T 3"], s: BodyShape
) -> tuple[Float[Array, "T 3"], Float[Array, "T 3"]]:
    """Knee and ankle by the cosine rule; the knee points forwards of the hip-ankle line."""
    reach = np.clip(np.linalg.norm(ankle - hip, axis=1), 0.3 * s.leg, 0.9999 * s.leg)[:, None]
    direction = _unit(ankle - hip)
    along = (s.thigh**2 + reach**2 - s.shank**2) / (2 * reach)
    out = np.sqrt(np.maximum(s.thigh**2 - along**2, 0))
    knee = hip + along * direction + out * _unit(np.cross(direction, left))
    return knee, hip + reach * direction


def _arm(
    shoulder: Float[Array, "T 3"], deg: Float[Array, "T 3"], trunk: Rotation, outward: float, s: BodyShape
) -> tuple[Float[Array, "T 3"], Float[Array, "T 3"]]:
    """Elbow and wrist. Flexion and abduction are the elevation's forward and outward parts (see encoders.angles)."""
    flexion, abduction, elbow_flexion = np.radians(deg).T
    elevation = np.hypot(flexion, abduction)
    azimuth = np.arctan2(abduction, flexion)
    upper = np.stack(
        [outward * np.sin(elevation) * np.sin(azimuth), -np.cos(elevation), np.sin(elevation) * np.cos(azimuth)], 1
    )
    # The forearm folds forwards from a hanging or overhead arm and upwards from a level one.
    pole = np.stack([0 * elevation, np.sin(elevation), np.abs(np.cos(elevation)) + 1e-3], 1)
    fold = _unit(pole - (pole * upper).sum(1, keepdims=True) * upper)
    fore = np.cos(elbow_flexion)[:, None] * upper + np.sin(elbow_flexion)[:, None] * fold
    elbow = shoulder + s.upper_arm * trunk.apply(upper)
    return elbow, elbow + s.forearm * trunk.apply(fore)


def joint_positions(motion: BodyMotion, shape: BodyShape | None = None) -> Float[Array, "T J 3"]:
    """SMPL_22 joint positions in metres, by forward kinematics."""
    s = shape or BodyShape()
    heading = Rotation.from_euler("Y", motion.heading_deg[:, None], degrees=True)
    forward_deg, left_deg, twist_deg = motion.trunk_deg.T
    trunk = heading * Rotation.from_euler("XZY", np.stack([forward_deg, -left_deg, twist_deg], 1), degrees=True)
    p: dict[str, Array] = {"pelvis": motion.root_m}
    left = heading.apply([1.0, 0.0, 0.0])
    hips = motion.root_m + heading.apply([0.0, -s.hip_drop, 0.0])
    for name, height in (("spine1", 0.2), ("spine2", 0.5), ("spine3", 0.65)):
        p[name] = hips + trunk.apply([0.0, height * s.trunk, 0.0])
    p["neck"] = hips + trunk.apply([0.0, 1.05 * s.trunk, 0.0])
    p["head"] = p["neck"] + trunk.apply([0.0, 0.6 * s.head, 0.1 * s.head])
    for i, side in enumerate(SIDES):
        out = OUTWARD[i]
        p[f"{side}_hip"] = hips + heading.apply([out * s.hip_half_width, 0.0, 0.0])
        p[f"{side}_knee"], p[f"{side}_ankle"] = _leg(p[f"{side}_hip"], motion.ankle_m[:, i], left, s)
        pitch = np.radians(motion.toe_deg[:, i])
        drop = s.ankle_height - 0.02
        toe = np.stack(
            [0 * pitch, s.foot * np.sin(pitch) - drop * np.cos(pitch), s.foot * np.cos(pitch) + drop * np.sin(pitch)], 1
        )
        p[f"{side}_toe"] = p[f"{side}_ankle"] + heading.apply(toe)
        p[f"{side}_clavicle"] = hips + trunk.apply([out * 0.3 * s.shoulder_half_width, 0.95 * s.trunk, 0.0])
        shoulder = hips + trunk.apply([out * s.shoulder_half_width, s.trunk, 0.0])
        p[f"{side}_shoulder"] = shoulder
        p[f"{side}_elbow"], p[f"{side}_wrist"] = _arm(shoulder, motion.arm_deg[:, i], trunk, out, s)
    return np.stack([p[j] for j in SMPL_22.joints], axis=1)


def render(
    motion: BodyMotion, *, noise_m: float = 0.0, seed: int = 0, shape: BodyShape | None = None, start_s: float = 0.0
) -> Pose3D:
    """The motion as a Pose3D on SMPL_22, with independent Gaussian noise of the given standard deviation per axis."""
    xyz = joint_positions(motion, shape)
    if noise_m:
        xyz = xyz + np.random.default_rng(seed).normal(0.0, noise_m, xyz.shape)
    times = start_s + np.arange(len(motion)) / motion.fps
    return Pose3D(0, SMPL_22, motion.fps, times, xyz, np.ones(xyz.shape[:2]), source="synthetic")


def labelled(motion: BodyMotion, name: str, *joints: str) -> BodyMotion:
    """The motion with one label over its whole length."""
    return replace(motion, labels=(Segment(name, 0.0, motion.duration_s, joints),))


def smooth_step(x: Float[Array, "T"] | float) -> Array:
    """Minimum-jerk rise from 0 to 1 as x goes from 0 to 1, constant outside (Flash and Hogan 1985)."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * x * (10 - 15 * x + 6 * x * x)


def mirrored(motion: BodyMotion) -> BodyMotion:
    """The same motion with left and right exchanged, reflected in the plane X = 0."""
    flip = np.array([-1.0, 1.0, 1.0])

    def swapped(name: str) -> str:
        return name.replace("left", "\0").replace("right", "left").replace("\0", "right")

    return replace(
        motion,
        root_m=motion.root_m * flip,
        heading_deg=-motion.heading_deg,
        trunk_deg=motion.trunk_deg * np.array([1.0, -1.0, -1.0]),
        ankle_m=motion.ankle_m[:, ::-1] * flip,
        arm_deg=motion.arm_deg[:, ::-1],
        toe_deg=motion.toe_deg[:, ::-1],
        labels=tuple(
            replace(x, name=swapped(x.name), joints=tuple(swapped(j) for j in x.joints)) for x in motion.labels
        ),
    )


def placed(motion: BodyMotion, position_m: Float[Array, "3"], heading_deg: float, start_s: float = 0.0) -> BodyMotion:
    """The motion turned and moved to start elsewhere; labels are shifted to start at `start_s`."""
    turn = Rotation.from_euler("Y", heading_deg, degrees=True)
    offset = np.array([position_m[0], 0.0, position_m[2]])
    return replace(
        motion,
        root_m=turn.apply(motion.root_m) + offset,
        heading_deg=motion.heading_deg + heading_deg,
        ankle_m=turn.apply(motion.ankle_m.reshape(-1, 3)).reshape(motion.ankle_m.shape) + offset,
        labels=tuple(replace(x, start_s=x.start_s + start_s, end_s=x.end_s + start_s) for x in motion.labels),
    )


_CHANNELS = ("root_m", "heading_deg", "trunk_deg", "ankle_m", "arm_deg", "toe_deg")


def concatenate(*motions: BodyMotion, blend_s: float = 0.3) -> BodyMotion:
    """One motion after the other, each starting where and facing how the one before ended.

    Between two motions `blend_s` seconds of minimum-jerk transition are put in. ValueError where rates differ.
    """
    if len({m.fps for m in motions}) != 1:
        raise ValueError(f"motions to join must have one frame rate, got {[m.fps for m in motions]}")
    joined = motions[0]
    frames = max(round(blend_s * joined.fps), 0)
    for motion in motions[1:]:
        start_s = joined.duration_s + frames / joined.fps
        following = placed(motion, joined.root_m[-1], float(joined.heading_deg[-1]), start_s)
        weight = smooth_step((np.arange(frames) + 1) / (frames + 1))
        channels = {}
        for name in _CHANNELS:
            a, b = getattr(joined, name), getattr(following, name)
            w = weight.reshape(-1, *([1] * (a.ndim - 1)))
            channels[name] = np.concatenate([a, (1 - w) * a[-1:] + w * b[:1], b])
        joined = BodyMotion(joined.fps, **channels, labels=joined.labels + following.labels)
    return joined

"""Everything measured about a body once, for the recogniser, the repetition finder and the sentences to share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from motionqa.data.schema import AngleSeries, Pose3D, Segment, Trajectory
from motionqa.encoders.kinematics.angles import joint_angles, smooth_angle
from motionqa.encoders.kinematics.body import Body, dot, filled, low_pass, prepare, runs
from motionqa.encoders.kinematics.config import KinematicsConfig
from motionqa.encoders.kinematics.gait import Bout, Feet, bouts, feet, flights, pelvis_drop
from motionqa.encoders.kinematics.trajectory import Turning, trajectory, turns

Array = np.ndarray
SIDES = ("left", "right")
ANGLE_CUTOFF_HZ = 4.0
"""For peaks of angles, not for their values."""
MASS = {"thorax": 0.35, "pelvis": 0.24, "head_top": 0.08, "knee": 0.20, "ankle": 0.05, "elbow": 0.08}
"""Parts of the body mass put at joints, after Winter (2009, table 4.1): trunk 0.50, head 0.08, thighs 0.20, ..."""


@dataclass(frozen=True, eq=False)
class Measures:
    """One body's signals over time. Lengths in leg or arm lengths, angles in degrees, gaps bridged."""

    body: Body
    angles: dict[str, AngleSeries]
    trajectory: Trajectory
    turns: tuple[Turning, ...]
    gait: tuple[Bout, ...]
    feet: Feet
    flights: tuple[tuple[int, int], ...]

    @property
    def config(self) -> KinematicsConfig:
        return self.body.config

    @property
    def fps(self) -> float:
        return self.body.fps

    @cached_property
    def smooth(self) -> dict[str, Float[Array, "T"]]:
        """Angles with gaps bridged, low-passed for peak finding."""
        return {name: smooth_angle(series, self.fps, ANGLE_CUTOFF_HZ) for name, series in self.angles.items()}

    def angle(self, name: str) -> Float[Array, "T"]:
        """A smoothed angle, zeros where it could not be measured at all."""
        return self.smooth.get(name, np.zeros(len(self.body)))

    @cached_property
    def in_gait(self) -> Bool[Array, "T"]:
        """Frames inside a bout of stepping."""
        mask = np.zeros(len(self.body), dtype=bool)
        for bout in self.gait:
            mask[bout.first : bout.last + 1] = True
        return mask

    @cached_property
    def in_long_run(self) -> Bool[Array, "T"]:
        """Frames inside running of five steps or more, in which feet fly high without kicking."""
        mask = np.zeros(len(self.body), dtype=bool)
        for bout in self.gait:
            if bout.running and len(bout.steps) >= 5:
                mask[bout.first : bout.last + 1] = True
        return mask

    @property
    def moving(self) -> bool:
        """Whether there are frames and joints enough to judge movement: five frames, a fifth of a second."""
        return len(self.body) >= 5 and len(self.body) / self.fps >= 0.2 and bool(self.body.native)

    @cached_property
    def travelling(self) -> Bool[Array, "T"]:
        """Frames in which the pelvis goes somewhere, over one leg length at least, with or without steps seen."""
        speed = self.trajectory.speed_m_s / self.body.leg_m
        mask = np.zeros(len(self.body), dtype=bool)
        for a, b in runs(speed > self.config.travel_speed):
            gone = np.linalg.norm((self.trajectory.root_m[b] - self.trajectory.root_m[a])[[0, 2]]) / self.body.leg_m
            mask[a : b + 1] = gone > 1.2 and not self.in_flight[a : b + 1].any()
        return mask

    @cached_property
    def stepping(self) -> Bool[Array, "T"]:
        """Frames of gait or travel, in which legs and arms swing anyway."""
        return self.in_gait | self.travelling

    @cached_property
    def in_flight(self) -> Bool[Array, "T"]:
        """Frames inside a jump, with a quarter of a second before and after for crouch and landing."""
        mask = np.zeros(len(self.body), dtype=bool)
        margin = self.body.frames(0.25)
        for a, b in self.flights:
            mask[max(0, a - margin) : b + margin + 1] = True
        return mask

    @cached_property
    def drop(self) -> Float[Array, "T"]:
        """How much lower the pelvis is than with a straight leg, leg lengths."""
        return low_pass(filled(pelvis_drop(self.body)), self.fps, ANGLE_CUTOFF_HZ)

    @cached_property
    def trunk_up(self) -> Float[Array, "T"]:
        """Degrees of the trunk above the horizontal: 90 upright, 0 level, negative upside down."""
        y = filled(self.body.trunk[:, 1])
        return np.degrees(np.arcsin(np.clip(y, -1, 1)))

    @cached_property
    def _lowest(self) -> Float[Array, "T"]:
        """Height of the lowest joint; NaN where none was seen."""
        ys = np.stack([self.body[j][:, 1] for j in self.body.joints if not j.startswith("head_")])
        lowest = np.where(np.isfinite(ys), ys, np.inf).min(axis=0)
        return np.where(np.isfinite(lowest), lowest, np.nan)

    def above_lowest(self, joint: str) -> Float[Array, "T"]:
        """A joint's height above the lowest joint, leg lengths; large where it was never seen."""
        height = self.body[joint][:, 1] - self._lowest
        return filled(height) / self.body.leg_m if np.isfinite(height).any() else np.full(len(self.body), 9.0)

    @cached_property
    def pelvis_height(self) -> Float[Array, "T"]:
        """Pelvis above the lowest joint, leg lengths: about 1.1 standing, below 0.4 on the floor."""
        return self.above_lowest("pelvis")

    @cached_property
    def balance(self) -> Float[Array, "T"]:
        """Centre of mass ahead of the mid-ankle, leg lengths; clearly negative needs a seat."""
        total = np.zeros((len(self.body), 3))
        for joint, mass in MASS.items():
            both = joint in ("knee", "ankle", "elbow")
            where = (self.body[f"left_{joint}"] + self.body[f"right_{joint}"]) / 2 if both else self.body[joint]
            total += mass * where
        feet_at = (self.body["left_ankle"] + self.body["right_ankle"]) / 2
        return low_pass(filled(dot(total - feet_at, self.body.forward)), self.fps, 3.0) / self.body.leg_m

    @cached_property
    def apart(self) -> tuple[Float[Array, "T"], Float[Array, "T"]]:
        """Left ankle from right ankle: forwards and to the left, leg lengths."""
        v = self.body.relative("left_ankle", "right_ankle")
        return filled(v[:, 2]) / self.body.leg_m, filled(v[:, 0]) / self.body.leg_m

    def wrist_height(self, side: str) -> Float[Array, "T"]:
        """Wrist above the shoulder in arm lengths: -1 hanging, 0 level, 1 overhead."""
        v = self.body[f"{side}_wrist"] - self.body[f"{side}_shoulder"]
        return low_pass(filled(v[:, 1]), self.fps, ANGLE_CUTOFF_HZ) / self.body.arm_m

    def hand_over_head(self, side: str) -> Float[Array, "T"]:
        """Hand above the crown, arm lengths; NaN where not seen."""
        return (self.body[f"{side}_hand"] - self.body["head_top"])[:, 1] / self.body.arm_m

    def arm_speed(self, side: str) -> Float[Array, "T"]:
        """Wrist speed relative to the shoulder, arm lengths a second."""
        v = self.body.relative(f"{side}_wrist", f"{side}_shoulder")
        return low_pass(filled(self.body.speed(v)), self.fps, 3.0) / self.body.arm_m

    @cached_property
    def joint_speed(self) -> Float[Array, "T"]:
        """Mean speed of all body joints below 2 Hz, leg lengths a second; jitter of the measurement is no movement."""
        names = [j for j in self.body.native if not j.endswith(("eye", "ear"))]
        names = names or ["pelvis"]
        tracks = np.stack([filled(self.body[j][:, i]) for j in names for i in range(3)], axis=1)
        slow = low_pass(tracks, self.fps, 2.0).reshape(len(self.body), len(names), 3)
        return np.mean([self.body.speed(slow[:, i]) for i in range(len(names))], axis=0) / self.body.leg_m


def measure(pose: Pose3D, config: KinematicsConfig) -> Measures:
    """All signals of a pose. ValueError where the pose's arrays do not fit together."""
    body = prepare(pose, config)
    angles = joint_angles(body)
    gait = _gait(body)
    standing = feet(body)
    return Measures(body, angles, trajectory(body), turns(body), gait, standing, flights(body, standing, gait))


def _gait(body: Body) -> tuple[Bout, ...]:
    """Bouts of stepping of a body whose ankles are seen surely now and then; in between, less sure joints count too."""
    config = body.config
    if min(body.seen("left_ankle"), body.seen("right_ankle")) < config.step_seen:
        return ()
    if config.step_confidence < config.min_confidence:
        body = prepare(body.pose, replace(config, min_confidence=config.step_confidence))
    angles, never = joint_angles(body), np.full(len(body), np.nan)
    knees = [angles[f"{s}_knee_flexion"].degrees if f"{s}_knee_flexion" in angles else never for s in SIDES]
    return bouts(body, np.stack(knees))


def segment(m: Measures, name: str, first: int, last: int, *joints: str) -> Segment:
    """A segment from frames."""
    times = m.body.times_s
    return Segment(name, float(times[max(first, 0)]), float(times[min(last, len(times) - 1)]), joints)

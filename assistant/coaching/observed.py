"""A clip as the coach looks at it: its measures, from where it was seen, and how sure each value is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float

from motionqa.assistant.coaching.quantities import QUANTITIES, Unit, series
from motionqa.assistant.coaching.view import SIDE_WIDTH, UNCERTAINTY_DEG, Sight, View, see, shoulder_width
from motionqa.data.schema import ClipEncoding
from motionqa.encoders.kinematics.config import ONE_CAMERA, KinematicsConfig
from motionqa.encoders.kinematics.measures import Measures, measure
from motionqa.encoders.lift import from_image

Array = np.ndarray
Side = Literal["", "left", "right"]
SURE = 0.5
"""Confidence from which a joint is judged; questions are answered from less sure joints too."""
_SIDEWAYS = ("elbow_flexion", "shoulder_elevation", "wrist_height", "stance_width", "hand_width", "knee_width",
             "knee_cave",
             "hip_shift_left", "shoulder_tilt", "hip_tilt", "hip_drop", "trunk_lean_left", "forearm_tilt",
             "chin_over_hands")  # fmt: skip
IN_PICTURE: dict[str, tuple[str, ...]] = {
    "side": (
        "knee_flexion", "hip_flexion", "elbow_flexion", "trunk_lean_forward", "trunk_upright", "shank_lean",
        "body_line",
        "neck_flexion", "foot_pitch", "shoulder_flexion", "shoulder_elevation", "knee_over_toe", "wrist_height",
        "wrist_ahead", "hip_drop", "foot_ahead", "forearm_tilt", "chin_over_hands",
    ),
    "front": _SIDEWAYS,
    "back": _SIDEWAYS,
}  # fmt: skip
"""What lies in the picture, by view: there the camera measures and nothing is guessed. On drawn people seen from the
side the elbow was 5 degrees off in the picture and 16 lifted into space, knee 2 and 7, body line 1.5 and 3."""


@dataclass(frozen=True, eq=False)
class Observed:
    """What is known of one person in one clip."""

    encoding: ClipEncoding
    m: Measures
    sight: Sight
    flat: Measures | None = None
    """Measures as the picture shows them, where the person is filmed from the side, the front or behind."""

    def values(self, quantity: str, side: str = "") -> Float[Array, "T"]:
        """A quantity over time: from the picture where that is exact, else from space."""
        if self.flat is not None and quantity in IN_PICTURE.get(self.sight.view, ()):
            return series(self.flat, quantity, side)
        return series(self.m, quantity, side)

    @cached_property
    def lead(self) -> Float[Array, "T"]:
        """Left minus right thigh angle: above 0 the left leg is in front."""
        left, right = (series(self.m, "hip_flexion", s) for s in ("left", "right"))
        return left - right

    def confidence(self, quantity: str, side: str, first: int, last: int) -> float:
        """Mean confidence of the joints a quantity needs over some frames, 0 to 1."""
        pose = self.encoding.pose3d
        index = [pose.skeleton.index(j) for j in QUANTITIES[quantity].joints_of(side) if j in pose.skeleton]
        return float(np.clip(pose.confidence[first : last + 1, index].mean(), 0, 1)) if index else 1.0

    def uncertainty(self, unit: Unit, confidence: float) -> float:
        """How far a value of a unit may be off: the view's figure, up to twice as much for unsure joints."""
        wider = 1.0 + (1.0 - confidence)
        if unit == "seconds":
            return round(1.5 / self.m.fps, 2)
        if unit == "a minute":
            return 4.0
        return round(UNCERTAINTY_DEG[self.sight.view] * wider, 1)


def surely_seen(config: KinematicsConfig) -> KinematicsConfig:
    """The thresholds with only such joints as the detector saw: a critique does not judge where a joint may well be."""
    return replace(config, min_confidence=SURE, step_confidence=SURE)


def observe(encoding: ClipEncoding, view: View | None = None, config: KinematicsConfig | None = None) -> Observed:
    """The encoding made ready for judging; `view` corrects from where it was filmed."""
    config = config or surely_seen(ONE_CAMERA if encoding.pose3d.camera else KinematicsConfig())
    m = measure(encoding.pose3d, config)
    sight = see(encoding, m.body)
    if view is not None:
        sight = replace(sight, view=view, confidence=1.0)
    flat = _flat(encoding, m, config) if sight.view in IN_PICTURE else None
    wide = flat is not None and (not flat.body.side_view or shoulder_width(flat.body) > SIDE_WIDTH)
    if flat is not None and wide == (sight.view == "side"):
        # What the picture shows contradicts the lifted body: nothing that needs a clear view is claimed.
        flat = None
        sight = replace(sight, view="oblique", confidence=0.5) if view is None else sight
    return Observed(encoding, m, sight, flat)


def _flat(encoding: ClipEncoding, m: Measures, config: KinematicsConfig) -> Measures | None:
    """Measures in the picture's plane over the same frames; None for motion files."""
    pose = encoding.pose
    if pose is None or encoding.pose3d.planar:
        return None
    start = int(np.abs(pose.times_s - encoding.pose3d.times_s[0]).argmin())
    span = slice(start, start + len(m.body))
    if len(pose.times_s[span]) != len(m.body):
        return None
    part = replace(
        pose, times_s=pose.times_s[span], xy_px=pose.xy_px[span], confidence=pose.confidence[span], mask=None
    )
    return measure(from_image(part), config)

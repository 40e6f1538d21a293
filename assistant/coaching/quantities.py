"""What a rule can ask for: every measurable quantity by name, with its unit, joints and how it is measured.

`FORMAT.md` beside the exercises lists them for coaches; a test compares the list with this table. Joint angles are
those of `motionqa.encoders.kinematics.angles`, measured once and only looked up here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float

from motionqa.assistant.coaching import measuring
from motionqa.assistant.coaching.measuring import SIDES, Measuring
from motionqa.encoders.kinematics.measures import Measures

Array = np.ndarray
Unit = Literal["degrees", "percent", "seconds", "a minute", "times"]


@dataclass(frozen=True)
class Quantity:
    """One measurable thing. `measure` gives a series over time; per-repetition quantities have none."""

    name: str
    words: str
    """What it is, for coaches."""
    unit: Unit
    joints: tuple[str, ...] = ()
    """Without the side, for quantities of one limb."""
    sided: bool = False
    measure: Measuring | None = field(default=None, compare=False)
    """(measures, side) to values; side is "" for quantities of the whole body. NaN where it was not seen."""

    def joints_of(self, side: str) -> tuple[str, ...]:
        """Full joint names for a side, or for both where it is ""."""
        if not self.sided:
            return self.joints
        sides = (side,) if side in SIDES else SIDES
        return tuple(f"{s}_{j}" for s in sides for j in self.joints)


_LEG, _ARM = ("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")
_TRUNK = ("left_hip", "right_hip", "left_shoulder", "right_shoulder")
_ANKLES = ("left_ankle", "right_ankle")
_TABLE = (
    Quantity(
        "knee_flexion", "bend of the knee; 0 is straight", "degrees", _LEG, True, measuring.angle("knee_flexion", True)
    ),
    Quantity(
        "hip_flexion",
        "thigh forwards of the trunk's line; 0 is straight",
        "degrees",
        ("shoulder", "hip", "knee"),
        True,
        measuring.angle("hip_flexion", True),
    ),
    Quantity(
        "hip_abduction",
        "thigh out to the side",
        "degrees",
        ("hip", "knee"),
        True,
        measuring.angle("hip_abduction", True),
    ),
    Quantity(
        "ankle_dorsiflexion",
        "toes up against the shank",
        "degrees",
        ("knee", "ankle"),
        True,
        measuring.angle("ankle_dorsiflexion", True),
    ),
    Quantity(
        "elbow_flexion",
        "bend of the elbow; 0 is straight",
        "degrees",
        _ARM,
        True,
        measuring.angle("elbow_flexion", True),
    ),
    Quantity(
        "shoulder_elevation",
        "upper arm away from the trunk in any direction; 0 hangs, 180 is overhead",
        "degrees",
        ("hip", "shoulder", "elbow"),
        True,
        measuring.angle("shoulder_elevation", True),
    ),
    Quantity(
        "shoulder_flexion",
        "upper arm forwards of the trunk",
        "degrees",
        ("hip", "shoulder", "elbow"),
        True,
        measuring.angle("shoulder_flexion", True),
    ),
    Quantity(
        "shoulder_abduction",
        "upper arm out to the side",
        "degrees",
        ("hip", "shoulder", "elbow"),
        True,
        measuring.angle("shoulder_abduction", True),
    ),
    Quantity("shank_lean", "shank forwards of the vertical", "degrees", ("knee", "ankle"), True, measuring.shank_lean),
    Quantity("foot_pitch", "heel above the toes; 0 is a flat foot", "degrees", ("ankle",), True, measuring.foot_pitch),
    Quantity(
        "forearm_tilt", "forearm out of the vertical", "degrees", ("elbow", "wrist"), True, measuring.forearm_tilt
    ),
    Quantity(
        "knee_over_toe",
        "knee ahead of the toe, of the shank",
        "percent",
        ("knee", "ankle"),
        True,
        measuring.knee_over_toe,
    ),
    Quantity(
        "knee_cave", "knee inside the line from hip to ankle, of the shank", "percent", _LEG, True, measuring.knee_cave
    ),
    Quantity(
        "wrist_height",
        "wrist above the shoulder, of the arm; -100 hangs, 100 is overhead",
        "percent",
        ("shoulder", "wrist"),
        True,
        measuring.wrist_height,
    ),
    Quantity(
        "wrist_ahead",
        "wrist ahead of the shoulder, of the arm",
        "percent",
        ("shoulder", "wrist"),
        True,
        measuring.wrist_ahead,
    ),
    Quantity(
        "foot_ahead", "ankle ahead of the pelvis, of the leg", "percent", ("hip", "ankle"), True, measuring.foot_ahead
    ),
    Quantity(
        "trunk_lean_forward",
        "trunk forwards of the vertical; negative leans back",
        "degrees",
        _TRUNK,
        False,
        measuring.angle("trunk_lean_forward", False),
    ),
    Quantity(
        "trunk_lean_left",
        "trunk to the left of the vertical",
        "degrees",
        _TRUNK,
        False,
        measuring.angle("trunk_lean_left", False),
    ),
    Quantity(
        "trunk_twist_left",
        "shoulders turned to the left against the hips",
        "degrees",
        _TRUNK,
        False,
        measuring.angle("trunk_twist_left", False),
    ),
    Quantity(
        "trunk_upright",
        "trunk above the horizontal; 90 is upright, 0 level",
        "degrees",
        _TRUNK,
        False,
        measuring.trunk_upright,
    ),
    Quantity(
        "chest_up",
        "how far the chest faces up; 90 on the back, -90 face down",
        "degrees",
        _TRUNK,
        False,
        measuring.chest_up,
    ),
    Quantity(
        "neck_flexion",
        "chin down against the trunk's line",
        "degrees",
        ("left_shoulder", "right_shoulder", "nose"),
        False,
        measuring.angle("neck_flexion", False),
    ),
    Quantity(
        "body_line",
        "bend at the hips of the line shoulder to ankle; positive hangs, negative is piked",
        "degrees",
        (*_TRUNK, *_ANKLES),
        False,
        measuring.body_line,
    ),
    Quantity(
        "shoulder_tilt",
        "left shoulder higher than the right",
        "degrees",
        ("left_shoulder", "right_shoulder"),
        False,
        measuring.tilt("shoulder"),
    ),
    Quantity(
        "hip_tilt", "left hip higher than the right", "degrees", ("left_hip", "right_hip"), False, measuring.tilt("hip")
    ),
    Quantity(
        "hip_shift_left",
        "pelvis left of the middle between the feet, of the stance",
        "percent",
        ("left_hip", "right_hip", *_ANKLES),
        False,
        measuring.hip_shift_left,
    ),
    Quantity(
        "stance_width",
        "distance of the ankles, of the shoulder width",
        "percent",
        ("left_shoulder", "right_shoulder", *_ANKLES),
        False,
        measuring.width_of("ankle", "shoulder"),
    ),
    Quantity(
        "knee_width",
        "distance of the knees, of the ankles' distance",
        "percent",
        ("left_knee", "right_knee", *_ANKLES),
        False,
        measuring.width_of("knee", "ankle"),
    ),
    Quantity(
        "hand_width",
        "distance of the hands, of the shoulder width",
        "percent",
        ("left_shoulder", "right_shoulder", "left_wrist", "right_wrist"),
        False,
        measuring.width_of("wrist", "shoulder"),
    ),
    Quantity(
        "chin_over_hands",
        "nose above the hands, of the arm",
        "percent",
        ("nose", "left_wrist", "right_wrist"),
        False,
        measuring.chin_over_hands,
    ),
    Quantity(
        "hip_drop",
        "hips lower over the feet than with straight legs, of the leg",
        "percent",
        ("left_hip", "right_hip", *_ANKLES),
        False,
        measuring.hip_drop,
    ),
    Quantity(
        "pelvis_rise",
        "pelvis above its lowest place in the clip, of the leg",
        "percent",
        ("left_hip", "right_hip"),
        False,
        measuring.pelvis_rise,
    ),
    Quantity(
        "pelvis_height",
        "pelvis above the lowest joint, of the leg; about 110 standing",
        "percent",
        ("left_hip", "right_hip"),
        False,
        measuring.pelvis_height,
    ),
    Quantity(
        "shoulder_height",
        "shoulders above their lowest place in the clip, of the trunk",
        "percent",
        ("left_shoulder", "right_shoulder"),
        False,
        measuring.shoulder_height,
    ),
    Quantity(
        "thigh_split",
        "one thigh ahead of the other",
        "degrees",
        ("left_hip", "right_hip", "left_knee", "right_knee"),
        False,
        measuring.thigh_split,
    ),
    Quantity("total_time", "seconds of the whole repetition, stride or hold", "seconds"),
    Quantity("out_time", "seconds from the start to the turning point", "seconds"),
    Quantity("back_time", "seconds from the turning point back", "seconds"),
    Quantity("pause_time", "seconds within a tenth of the turning point", "seconds"),
    Quantity("steps_a_minute", "steps a minute", "a minute", _ANKLES),
    Quantity("step_time_difference", "left and right steps apart in time, of the stride", "percent", _ANKLES),
)

QUANTITIES: dict[str, Quantity] = {q.name: q for q in _TABLE}
"""Every quantity by name."""


def series(m: Measures, name: str, side: str = "") -> Float[Array, "T"]:
    """A quantity over time; NaN where it was not seen. ValueError for one that has no course over time."""
    quantity = QUANTITIES[name]
    if quantity.measure is None:
        raise ValueError(f"{name} is measured once per repetition and has no course over time")
    return np.asarray(quantity.measure(m, side if quantity.sided else ""), dtype=float)

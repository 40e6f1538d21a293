"""From 3D joints to a MotionReport: angles, travel, contacts, repetitions, segments and facts in words.

    report = analyse(pose)

Angles are defined in `angles`, thresholds in `config`, rules for names in
`segments` and `arm_segments`, wording in `facts`. Everything is measured in the body's own
frame, so it does not depend on where the camera stands; what could not be seen is said instead of guessed.
"""

from __future__ import annotations

import numpy as np

from motionqa.data.schema import Fact, MotionReport, Pose3D, RepetitionSet
from motionqa.encoders.kinematics.activity import activity, asymmetry
from motionqa.encoders.kinematics.config import KinematicsConfig
from motionqa.encoders.kinematics.facts import facts
from motionqa.encoders.kinematics.gait import contacts
from motionqa.encoders.kinematics.measures import Measures, measure
from motionqa.encoders.kinematics.repetition_names import named, with_exercise
from motionqa.encoders.kinematics.repetitions import repetitions
from motionqa.encoders.kinematics.segments import recognise


def analyse(
    pose: Pose3D, config: KinematicsConfig | None = None, exercise: RepetitionSet | None = None
) -> MotionReport:
    """The report of one person's movement; what is known to be an `exercise` is told and counted as that.

    Works from a single frame up and with any part of the body unseen: what cannot be judged is left out and named in
    `warnings`. Times are those of `pose.times_s`. ValueError where the pose's arrays do not fit together.
    """
    m = measure(pose, config or KinematicsConfig())
    warnings = _warnings(m)
    moving = m.moving
    segments = recognise(m)
    sets = named(repetitions(m), segments) if moving else ()
    if exercise is not None:
        segments, sets = with_exercise(exercise, segments, sets)
    parts, sides = activity(m), asymmetry(m)
    found = facts(m, segments=segments, sets=sets, activity=parts, asymmetry=sides, warnings=warnings)
    if not found:
        found = (Fact("Nothing about the movement could be judged.", "view", 0.0, 0.0, salience=1.0),)
    return MotionReport(
        person_id=pose.person_id,
        times_s=np.asarray(pose.times_s, dtype=float),
        fps=float(pose.fps),
        angles=m.angles,
        trajectory=m.trajectory,
        contacts=contacts(m.body, m.feet) if moving else (),
        repetitions=sets,
        segments=segments,
        activity=parts,
        asymmetry=sides,
        facts=found,
        warnings=warnings,
    )


# What is out of view, and what that leaves unjudged.
PARTS = (
    (("left_ankle", "right_ankle"), "the feet are", "steps and foot contacts"),
    (("left_knee", "right_knee"), "the knees are", "squats and knee bend"),
    (("left_wrist", "right_wrist"), "the hands are", "what the hands do"),
    (("left_hip", "right_hip"), "the hips are", "posture and travel"),
    (("left_shoulder", "right_shoulder"), "the shoulders are", "posture and arm height"),
)


def _warnings(m: Measures) -> tuple[str, ...]:
    """What could not be judged, and why, in sentences."""
    pose = m.body.pose
    if not m.body.native:
        return ("No joint was seen surely enough: the movement cannot be judged.",)
    out = []
    for joints, what, judged in PARTS:
        seen = [m.body.seen(j) for j in joints]
        if max(seen) < 0.5:
            out.append(f"{what[:1].upper()}{what[1:]} out of view: {judged} cannot be judged.")
        elif min(seen) < 0.5:
            side = joints[int(np.argmin(seen))].replace("_", " ")
            out.append(f"The {side} is out of view most of the time: it cannot be judged.")
    if pose.planar:
        out.append("Only the image plane is known: depth, turns and travel towards the camera cannot be judged.")
    elif m.moving and float(np.mean(m.body.faces_camera)) > 0.5:
        out.append("Seen from the front or back: small forward leans, and backward ones, cannot be judged.")
    elif pose.root_motion == "none":
        out.append("Travel is unknown: whether the person moves away from the spot cannot be judged.")
    if not m.moving:
        out.append("There are too few frames to judge movement: only the posture is described.")
    return tuple(out)

"""Movements whose actions are known, of the synthetic body, for the tests of questions."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from motionqa.data.instruct.known import KnownMotion, known_body, mirrored_motion
from motionqa.data.instruct.stitch import stitch
from motionqa.data.schema import MotionReport
from motionqa.data.synthetic import exercises, motions
from motionqa.encoders.kinematics.analyse import analyse


@cache
def motion(name: str) -> KnownMotion:
    """One known movement; the names are those of `BODIES`."""
    body, action, count = BODIES[name]()
    return replace(known_body(body, action, count, clip=name), captions=(f"A person does this: {action}.",))


BODIES = {
    "squats": lambda: (motions.squats(4), "squat", 4),
    "uneven": lambda: (exercises.squat_set((1, 1, 0.62, 1)), "squat", 4),
    "tiring": lambda: (motions.concatenate(*(motions.squats(1, period_s=p) for p in (1.4, 1.5, 2.4, 2.6))), "squat", 4),
    "wave right": lambda: (motions.wave("right", 4), "wave right hand", 0),
    "wave left": lambda: (motions.wave("left", 4), "wave left hand", 0),
    "raise both": lambda: (motions.arm_raise("both"), "raise both hands", 0),
    "walk": lambda: (motions.walk(8), "walk", 0),
    "bow": lambda: (motions.forward_bend(), "bow", 0),
    "sit down": lambda: (motions.sit_down(), "sit down", 0),
    "jump": lambda: (motions.jumps(3), "jump", 3),
    "throw": lambda: (motions.arm_raise("right", top_deg=100), "throw", 0),
}


@cache
def sequence(*names: str) -> KnownMotion:
    """Several of them joined."""
    return stitch([motion(n) for n in names])


@cache
def mirror(*names: str) -> KnownMotion:
    """The mirror image of one, or of several joined."""
    return mirrored_motion(sequence(*names) if len(names) > 1 else motion(*names))


_REPORTS: dict[int, tuple[KnownMotion, MotionReport]] = {}


def report(of: KnownMotion) -> MotionReport:
    """What is measured on it, once."""
    if id(of) not in _REPORTS:
        _REPORTS[id(of)] = (of, analyse(of.pose))
    return _REPORTS[id(of)][1]

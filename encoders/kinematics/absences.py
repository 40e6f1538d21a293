"""What the person does not do, in sentences: a small language model can not conclude it from silence.

Only what could have been seen is denied: with the feet out of view nothing is said about jumping.
"""

from __future__ import annotations

from collections.abc import Iterator

from motionqa.data.schema import Fact, RepetitionSet, Segment
from motionqa.encoders.kinematics.measures import SIDES, Measures
from motionqa.encoders.kinematics.phrases import person

# What is denied, how the segments that would show it begin or what they contain, and the joints it takes to see it.
DENIALS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("walk", ("walking", "moving forwards", "moving backwards", "moving sideways"), ("left_ankle", "right_ankle")),
    ("run", ("running",), ("left_ankle", "right_ankle")),
    ("jump", ("jumping", "doing jumping"), ("left_ankle", "right_ankle")),
    ("squat", ("squatting", "holding a squat"), ("left_knee", "right_knee")),
    ("lunge", ("lunging",), ("left_knee", "right_knee")),
    ("kick", ("kicking",), ("left_ankle", "right_ankle")),
    ("sit", ("sitting",), ("left_knee", "right_knee")),
    ("bend forward", ("bending forward",), ("thorax", "pelvis")),
    ("turn around", ("turning",), ("left_hip", "right_hip")),
    ("wave", ("waving",), ("left_wrist", "right_wrist")),
    ("clap", ("clapping", "bringing the hands together"), ("left_wrist", "right_wrist")),
    ("lie down", ("lying",), ("thorax", "pelvis")),
    ("fall", ("lying", "on hands", "upside down"), ("thorax", "pelvis")),
)
# Movements that may be the action in a form the rules do not know: then nothing is denied.
UNSURE: dict[str, tuple[str, ...]] = {
    "wave": ("moving",),
    "clap": ("moving both", "bringing", "crossing"),
    "walk": ("moving", "raising the left leg", "raising the right leg", "running in place", "lunging"),
    "run": ("moving", "walking in place", "raising the left leg", "raising the right leg"),
    "lunge": ("squatting", "kneeling"),
    "squat": ("lunging", "sitting", "kneeling"),
}
SALIENCE = 0.05
"""They answer questions; they do not describe."""


def absences(m: Measures, segments: tuple[Segment, ...], sets: tuple[RepetitionSet, ...]) -> Iterator[Fact]:
    """One denial per well-known action that could be seen and was not."""
    if not m.moving:
        return
    names = [s.name for s in segments] + [r.name for r in sets if r.name]
    first, last = float(m.body.times_s[0]), float(m.body.times_s[-1])
    for action, shown_by, joints in DENIALS:
        seen = all(m.body.seen(j) >= 0.5 for j in joints)
        if action == "turn around" and abs(m.trajectory.turn_deg) >= 20:
            continue
        if any(name.startswith(UNSURE.get(action, ())) for name in names):
            continue
        done = any(name.startswith((*shown_by, action)) for name in names)
        if seen and not done:
            yield Fact(person(f"does not {action}"), "absence", first, last, joints, salience=SALIENCE)
    if all(m.body.seen(f"{side}_wrist") >= 0.5 for side in SIDES):
        raised = [side for side in SIDES if any(_raises(s.name, side) for s in segments)]
        text = "raises both arms" if len(raised) == 2 else "does not raise an arm, neither the left nor the right"
        if len(raised) == 1:
            text = f"raises the {raised[0]} arm and not the {'right' if raised[0] == 'left' else 'left'} arm"
        yield Fact(person(text), "absence", first, last, ("left_wrist", "right_wrist"), salience=SALIENCE)


def _raises(name: str, side: str) -> bool:
    """Whether a segment shows an arm of that side going or being up."""
    return name.startswith(("raising", "holding", "waving")) and (f"the {side}" in name or "both" in name)

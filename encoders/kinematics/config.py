"""The thresholds of the movement analysis, each with the reason for its value.

Lengths are in units of the person's own leg (hip to ankle, about 0.83 m for a stature of 1.7 m) and angles in
degrees, so that children, tall people and recordings without a scale are judged alike. Values without a source were
set by reading the sentences they give on UTD-MHAD, Bandai-Namco, CMU and DeepMimic motions.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KinematicsConfig:
    """Thresholds of `analyse`; times in seconds, speeds in leg lengths a second."""

    # Reading the joints
    min_confidence: float = 0.2
    """A joint less sure than this is not measured. A detector doubts every joint that something hides, but the lifter,
    which knows how people move, mostly puts it where it is; below this it is a guess (`docs/design.md`)."""
    max_gap_s: float = 0.25
    """Longer gaps are not bridged: a hand can go up and down in half a second."""
    cutoff_hz: float = 6.0
    """Zero-phase low-pass; 6 Hz keeps walking and reaching (Winter 2009, ch. 3) and drops 10 mm jitter."""
    root_depth_cutoff_hz: float = 0.8
    """How fast the pelvis may come closer or go away as one camera sees it: its depth is mostly noise."""
    heading_cutoff_hz: float = 1.0
    """Below the stride rate, so that the pelvis swinging in each stride is not a turn."""

    # Steps
    step_fore: float = 0.28
    """Least change of the fore-aft (or sideways) distance between the ankles from one step to the next."""
    step_knee_deg: float = 25.0
    """Least change of the difference between the knee angles, for stepping on the spot."""
    step_min_s: float = 0.16
    step_max_s: float = 1.3
    """Sprinting takes five steps a second; slower than one step in 1.3 s is stepping, not walking."""
    min_steps: int = 3
    step_confidence: float = 0.05
    """Ankles and knees less sure than `min_confidence` still show the rhythm of steps: of two legs one hides the other
    twice a stride, and the lifter knows where the hidden one goes. They are measured in nothing else."""
    step_seen: float = 0.3
    """Part of the frames in which both ankles must be seen surely before steps are counted."""
    travel_speed: float = 0.22
    """Slower than this while stepping is walking on the spot."""
    run_speed: float = 2.5
    """About 2.1 m/s, where people change from walking to running (Froude number 0.5, Alexander 1989)."""
    run_steps_per_s: float = 2.35
    run_knee_deg: float = 75.0
    """Quicker steps than this with the knees bent further than this in swing are running, even on the spot."""
    jog_steps_per_s: float = 3.3
    """Nobody walks at this rate: small quick steps on the spot are jogging."""

    # Feet
    contact_height: float = 0.06
    """A foot whose lowest point is within about 5 cm of the floor stands on it, if it is slow as well."""
    contact_speed: float = 1.2
    flight_height: float = 0.075
    """Both feet this far above the floor: a jump, not measurement noise."""
    flight_min_s: float = 0.10

    # Turns
    turn_rate_deg_s: float = 20.0
    turn_min_deg: float = 35.0
    turn_min_s: float = 0.2

    # Postures
    low_drop: float = 0.17
    """Pelvis this much lower over the feet than with straight legs: squatting, lunging, sitting, kneeling."""
    squat_knee_deg: float = 0.0
    """Both knees must bend this far at the lowest point for a low posture to be a squat."""
    low_min_s: float = 0.2
    """A low posture must last this long."""
    hold_s: float = 0.8
    """Staying in a posture this long is holding it."""
    lean_deg: float = 35.0
    """Trunk this far forward is a bend; a brisk walk leans 10."""
    side_lean_deg: float = 18.0
    lying_deg: float = 35.0
    """A trunk within this of the horizontal, with the pelvis low, lies or is on the floor."""
    unbalanced: float = 0.10
    """Centre of mass this far behind the ankles cannot be balanced: something else carries the person, a seat."""
    still_speed: float = 0.13
    """Mean joint speed below which the person is still."""
    still_min_s: float = 0.4

    # Legs
    leg_raise: float = 0.25
    kick_speed: float = 2.6
    stance_lift: float = 0.09
    stance_min_s: float = 0.8
    """One foot up for longer than a slow step's swing is standing on one leg."""

    # Arms (heights in arm lengths relative to the shoulder: hanging is -1, level 0, overhead 1)
    stroke: float = 0.45
    """Least rise or fall of the wrist that counts as raising or lowering the arm."""
    raised: float = -0.35
    """How high the wrist must come, at least, for the arm to be raised; chest height."""
    wave_part: float = 0.22
    """Least side-to-side travel of a waving hand, in arm lengths."""
    wave_min_halves: int = 3
    reach_speed: float = 2.2
    """Hand moving away from the shoulder at this many arm lengths a second: a punch or quick reach."""
    arm_moves_speed: float = 0.9
    """Wrist speed relative to the trunk, in arm lengths a second, above which the arm moves."""

    # Repetitions
    similar: float = 0.5
    """A repetition is at least this part of the median depth of its set."""
    max_duration_ratio: float = 2.5
    """Longest against median repetition; beyond it, it is not the same movement again."""
    same_movement: float = 0.6
    """Two signals correlating more than this are one movement."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"min_confidence must be between 0 and 1, got {self.min_confidence}")
        if self.step_min_s >= self.step_max_s:
            raise ValueError(f"step_min_s {self.step_min_s} must be below step_max_s {self.step_max_s}")
        if not 0 < self.similar <= 1:
            raise ValueError(f"similar must be above 0 and at most 1, got {self.similar}")


ONE_CAMERA = KinematicsConfig(
    turn_min_deg=60.0,
    turn_min_s=0.5,
    min_steps=4,
    low_drop=0.20,
    squat_knee_deg=55.0,
    low_min_s=0.4,
    unbalanced=0.30,
    flight_height=0.13,
    flight_min_s=0.15,
    stance_lift=0.12,
    stance_min_s=0.6,
    side_lean_deg=22.0,
)
"""For poses that one camera saw, whose depth is a guess: more is asked before a turn, a seat, a jump or a short run is
claimed. Set by watching the four views of one movement in `pose2sim` and the two people of `sports2d`."""

"""What the analysis says of motions that are hardly seen, flat, noisy or damaged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from motionqa.data.synthetic import motions as S
from motionqa.encoders.kinematics.analyse import KinematicsConfig, analyse
from motionqa.tests.kinematic_reports import counted, moved, names


@pytest.mark.parametrize("frames", [1, 2, 3, 6])
def test_a_handful_of_frames_gives_a_posture_and_no_movement(frames: int) -> None:
    pose = S.render(S.stand(1))
    few = replace(pose, times_s=pose.times_s[:frames], xyz_m=pose.xyz_m[:frames], confidence=pose.confidence[:frames])
    report = analyse(few)
    assert report.facts
    assert not report.repetitions
    assert any("stand" in f.text for f in report.facts)


def test_nothing_seen_is_said() -> None:
    pose = S.render(S.walk())
    for blind in (replace(pose, confidence=0 * pose.confidence), replace(pose, xyz_m=np.full_like(pose.xyz_m, np.nan))):
        report = analyse(blind)
        assert "cannot be judged" in report.facts[0].text
        assert not report.segments


def test_feet_out_of_view_are_named_and_no_steps_claimed() -> None:
    pose = S.render(S.walk())
    confidence = pose.confidence.copy()
    for joint in ("left_ankle", "right_ankle", "left_toe", "right_toe"):
        confidence[:, pose.skeleton.index(joint)] = 0.02
    report = analyse(replace(pose, confidence=confidence))
    assert any("feet are out of view" in w for w in report.warnings)
    assert not report.contacts
    assert not any(f.unit == "steps" for f in report.facts)


def steps_seen_from_the_side(hidden: float) -> int:
    """Steps counted where the leg farther away is this sure whenever the nearer one is in front of it."""
    pose = S.render(S.walk(8))
    confidence = pose.confidence.copy()
    far = np.array([pose.skeleton.index(f"right_{j}") for j in ("knee", "ankle", "toe")])
    ahead = pose.xyz_m[:, pose.skeleton.index("left_ankle"), 2] > pose.xyz_m[:, pose.skeleton.index("right_ankle"), 2]
    confidence[np.ix_(ahead, far)] = hidden
    report = analyse(replace(pose, confidence=confidence))
    return sum(int(f.value or 0) for f in report.facts if f.topic == "count" and f.unit == "steps")


def test_a_leg_hidden_by_the_other_twice_a_stride_still_steps() -> None:
    assert steps_seen_from_the_side(hidden=0.1) == steps_seen_from_the_side(hidden=1.0) == 8
    assert steps_seen_from_the_side(hidden=0.0) < 8


def test_short_gaps_are_bridged_and_long_ones_left_open() -> None:
    pose = S.render(S.squats(2))
    confidence = pose.confidence.copy()
    knee = pose.skeleton.index("left_knee")
    confidence[20:26, knee] = 0.0
    confidence[60:90, knee] = 0.0
    angle = analyse(replace(pose, confidence=confidence)).angles["left_knee_flexion"].degrees
    assert np.isfinite(angle[20:26]).all()
    assert np.isnan(angle[60:90]).all()


def test_a_fixed_pelvis_claims_no_travel() -> None:
    pose = S.render(S.walk())
    report = analyse(replace(pose, xyz_m=pose.xyz_m - pose.xyz_m[:, :1], root_motion="none"))
    assert not any(f.topic in ("travel", "speed") and f.unit == "m" for f in report.facts)
    assert "walking" in names(report)
    assert any("Travel is unknown" in w for w in report.warnings)


def test_noisy_depth_of_a_single_camera_does_not_become_travel() -> None:
    pose = S.render(S.squats(3))
    jitter = np.random.default_rng(0).normal(0, 0.06, len(pose))
    xyz = pose.xyz_m.copy()
    xyz[:, :, 2] += jitter[:, None]
    report = analyse(replace(pose, xyz_m=xyz, root_motion="estimated", camera=True))
    assert any("does not travel" in f.text for f in report.facts)
    assert len(counted(report, "squat")[0].repetitions) == 3


def test_a_flat_view_keeps_to_what_it_shows() -> None:
    pose = moved(S.render(S.squats(2)), 90)
    xyz = pose.xyz_m.copy()
    xyz[:, :, 2] = 0
    report = analyse(replace(pose, xyz_m=xyz, planar=True, camera=True, root_motion="estimated"))
    assert "left_hip_abduction" not in report.angles
    assert len(counted(report, "squat")[0].repetitions) == 2
    assert any("depth" in w for w in report.warnings)
    assert not any(f.topic == "turn" for f in report.facts)


@pytest.mark.parametrize("fps", [5.0, 12.5, 60.0, 240.0])
def test_any_frame_rate_will_do(fps: float) -> None:
    motion = S.concatenate(S.walk(6, fps=fps), S.squats(2, fps=fps))
    report = analyse(S.render(motion, noise_m=0.004))
    assert names(report)[0] == "walking forwards"
    assert len(counted(report, "squat")[0].repetitions) == 2


def test_what_makes_no_sense_is_refused() -> None:
    pose = S.render(S.stand())
    with pytest.raises(ValueError, match="positive rate"):
        analyse(replace(pose, fps=0.0))
    with pytest.raises(ValueError, match="min_confidence"):
        KinematicsConfig(min_confidence=2.0)

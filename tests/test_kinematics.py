"""What the analysis measures on motions whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionqa.data.skeleton import H36M_17, convert, mirrored_name
from motionqa.data.synthetic import motions as S
from motionqa.data.synthetic.body import BodyMotion
from motionqa.encoders.kinematics.analyse import analyse
from motionqa.tests.kinematic_reports import counted, has, moved, names

QUICK = settings(max_examples=15, deadline=None, derandomize=True)
VARIED = st.sampled_from(
    [
        S.concatenate(S.walk(4), S.turn(90), S.wave("left")),
        S.concatenate(S.lunge("left"), S.arm_raise("right")),
        S.concatenate(S.kick("right"), S.biceps_curls("left", 3)),
        S.walk(8, turn_deg=80),
        S.walk(6, direction="left", step_m=0.35),
    ]
)


# ------------------------------------------------------------------------------------- properties


@QUICK
@given(motion=VARIED)
def test_a_mirrored_motion_swaps_left_and_right_everywhere(motion: BodyMotion) -> None:
    pose = S.render(motion)
    plain, mirror = analyse(pose), analyse(S.render(S.mirrored(motion)))
    for name, series in plain.angles.items():
        sign = -1 if name in ("trunk_lean_left", "trunk_twist_left", "neck_lean_left", "head_turn_left") else 1
        other = name if sign < 0 else mirrored_name(name)
        np.testing.assert_allclose(mirror.angles[other].degrees, sign * series.degrees, atol=1e-6, err_msg=name)
    swapped = sorted((mirrored_name(s.name), round(s.start_s, 2)) for s in plain.segments)
    assert sorted((s.name, round(s.start_s, 2)) for s in mirror.segments) == swapped
    assert mirror.trajectory.turn_deg == pytest.approx(-plain.trajectory.turn_deg, abs=1e-6)
    assert mirror.trajectory.left_m == pytest.approx(-plain.trajectory.left_m, abs=1e-6)
    turns = [f.value for f in plain.facts if f.topic == "turn" and f.value]
    assert [f.value for f in mirror.facts if f.topic == "turn" and f.value] == pytest.approx([-(v or 0) for v in turns])
    assert mirrored_name(plain.facts[0].text) == mirror.facts[0].text


@QUICK
@given(motion=VARIED, degrees=st.floats(-180, 180))
def test_turning_the_world_leaves_the_body_alone(motion: BodyMotion, degrees: float) -> None:
    pose = S.render(motion)
    plain, turned = analyse(pose), analyse(moved(pose, degrees, offset=3.0))
    for name, series in plain.angles.items():
        np.testing.assert_allclose(turned.angles[name].degrees, series.degrees, atol=1e-5, err_msg=name)
    assert names(turned) == names(plain)
    assert turned.trajectory.forward_m == pytest.approx(plain.trajectory.forward_m, abs=1e-6)


@QUICK
@given(motion=VARIED, scale=st.floats(0.4, 3.0))
def test_size_changes_no_angle_and_no_name(motion: BodyMotion, scale: float) -> None:
    pose = S.render(motion)
    plain, large = analyse(pose), analyse(moved(pose, scale=scale))
    for name, series in plain.angles.items():
        np.testing.assert_allclose(large.angles[name].degrees, series.degrees, atol=1e-5, err_msg=name)
    assert names(large) == names(plain)


@QUICK
@given(
    reps=st.integers(1, 12),
    period_s=st.sampled_from([1.2, 1.6, 2.0, 3.0]),
    noise_m=st.sampled_from([0.0, 0.005, 0.010]),
    rest_s=st.sampled_from([0.0, 0.8]),
    seed=st.integers(0, 5),
)
def test_every_squat_is_counted_once(reps: int, period_s: float, noise_m: float, rest_s: float, seed: int) -> None:
    motion = S.squats(reps, period_s=period_s)
    if rest_s:
        motion = S.concatenate(S.stand(rest_s), motion, S.stand(rest_s), blend_s=0.0)
    report = analyse(S.render(motion, noise_m=noise_m, seed=seed))
    (squats,) = counted(report, "squat")
    assert len(squats.repetitions) == reps
    bottom = [rest_s + (i + 0.5) * period_s for i in range(reps)]
    assert [r.turn_s for r in squats.repetitions] == pytest.approx(bottom, abs=0.2)
    out, back = squats.repetitions[0].tempo_s
    assert out == pytest.approx(back, abs=0.35)


@pytest.mark.parametrize("cut_s", [0.2, 0.9])
def test_a_squat_cut_off_by_the_clip_does_not_upset_the_count(cut_s: float) -> None:
    pose = S.render(S.squats(5, period_s=2.0), noise_m=0.005)
    keep = slice(round(cut_s * 30), len(pose) - round(cut_s * 30))
    cut = replace(pose, times_s=pose.times_s[keep], xyz_m=pose.xyz_m[keep], confidence=pose.confidence[keep])
    (squats,) = counted(analyse(cut), "squat")
    # A fifth of a second is nothing; with nine tenths gone, only a moment before the turning point is left.
    assert len(squats.repetitions) == (5 if cut_s < 0.5 else 3)


def test_twice_the_speed_takes_half_the_time() -> None:
    pose = S.render(S.squats(4, period_s=2.4))
    fast = analyse(replace(pose, fps=60.0, times_s=pose.times_s / 2))
    (slow_set,), (fast_set,) = counted(analyse(pose), "squat"), counted(fast, "squat")
    assert len(fast_set.repetitions) == len(slow_set.repetitions) == 4
    for a, b in zip(slow_set.repetitions, fast_set.repetitions, strict=True):
        assert (b.start_s, b.turn_s, b.end_s) == pytest.approx((a.start_s / 2, a.turn_s / 2, a.end_s / 2), abs=0.04)
        assert b.depth == pytest.approx(a.depth, abs=1.5)


# ------------------------------------------------------------------------------- angles and travel


@pytest.mark.parametrize("depth", [60.0, 90.0, 120.0])
def test_the_knee_bends_as_far_as_it_was_told(depth: float) -> None:
    report = analyse(S.render(S.squats(2, depth_deg=depth)))
    assert np.nanmax(report.angles["left_knee_flexion"].degrees) == pytest.approx(depth, abs=2)


def test_angles_have_the_documented_signs() -> None:
    bend = analyse(S.render(S.forward_bend(angle_deg=70)))
    assert np.nanmax(bend.angles["trunk_lean_forward"].degrees) == pytest.approx(70, abs=1)
    assert np.nanmax(bend.angles["left_hip_flexion"].degrees) > 60
    side = analyse(S.render(S.arm_raise("left", top_deg=150, forward=False)))
    assert np.nanmax(side.angles["left_shoulder_abduction"].degrees) == pytest.approx(150, abs=2)
    assert np.nanmax(np.abs(side.angles["left_shoulder_flexion"].degrees)) < 5
    front = analyse(S.render(S.arm_raise("right", top_deg=150)))
    assert np.nanmax(front.angles["right_shoulder_flexion"].degrees) == pytest.approx(150, abs=2)
    curl = analyse(S.render(S.biceps_curls("right", 2)))
    assert np.nanmax(curl.angles["right_elbow_flexion"].degrees) == pytest.approx(140, abs=2)


def test_leaning_and_twisting_to_the_left_are_positive() -> None:
    motion = S.stand(2)
    trunk = np.zeros((len(motion), 3))
    trunk[:, 1], trunk[:, 2] = 20.0, 30.0
    report = analyse(S.render(replace(motion, trunk_deg=trunk)))
    assert np.nanmedian(report.angles["trunk_lean_left"].degrees) == pytest.approx(20, abs=1)
    assert np.nanmedian(report.angles["trunk_twist_left"].degrees) == pytest.approx(30, abs=3)


@pytest.mark.parametrize(
    ("direction", "forward", "left", "name"),
    [
        ("forwards", 4.8, 0.0, "walking forwards"),
        ("backwards", -4.8, 0.0, "walking backwards"),
        ("left", 0.0, 2.4, "walking sideways to the left"),
        ("right", 0.0, -2.4, "walking sideways to the right"),
        ("in place", 0.0, 0.0, "walking in place"),
    ],
)
def test_walking_goes_where_it_goes(direction: str, forward: float, left: float, name: str) -> None:
    step = 0.6 if direction in ("forwards", "backwards") else 0.3
    report = analyse(S.render(S.walk(8, step_m=step, direction=direction), noise_m=0.005))  # pyright: ignore[reportArgumentType]
    assert report.trajectory.forward_m == pytest.approx(forward, abs=0.1)
    assert report.trajectory.left_m == pytest.approx(left, abs=0.1)
    assert name in names(report)


@pytest.mark.parametrize("steps", [5, 8, 12])
@pytest.mark.parametrize("rate", [1.4, 1.8, 2.2])
def test_steps_are_counted_and_timed(steps: int, rate: float) -> None:
    report = analyse(S.render(S.walk(steps, steps_per_s=rate), noise_m=0.005))
    (fact,) = [f for f in report.facts if f.unit == "steps"]
    assert fact.value == pytest.approx(steps, abs=1)
    assert any(f"{rate:.1f} steps per second" in f.text for f in report.facts)
    assert not any(r.signal.endswith("knee flexion") for r in report.repetitions)


@pytest.mark.parametrize("angle", [90, -90, 180, -45])
def test_turns_have_a_side_and_a_size(angle: float) -> None:
    report = analyse(S.render(S.turn(angle, duration_s=2.0), noise_m=0.005))
    assert report.trajectory.turn_deg == pytest.approx(angle, abs=3)
    assert names(report).count(f"turning {'left' if angle > 0 else 'right'}") == 1


# ------------------------------------------------------------------------------------- recognition

SEEN = {
    "standing still": S.stand(2),
    "squatting": S.squats(2),
    "raising the left arm": S.arm_raise("left"),
    "lowering both arms": S.arm_raise("both"),
    "holding the right hand above the head": S.arm_raise("right", hold_s=1.0),
    "waving with the right hand": S.wave("right"),
    "running forwards": S.run(),
    "jumping": S.jumps(1),
    "lunging with the left leg": S.lunge("left"),
    "kicking with the right leg": S.kick("right"),
    "bending forward": S.forward_bend(),
    "bending and straightening the left elbow": S.biceps_curls("left", 3),
    "doing jumping jacks": S.jumping_jacks(4),
    "sitting down": S.sit_down(),
    "sitting": S.sit_down(),
    "standing up": S.stand_up(),
    "standing on the left leg": S.single_leg_stance("left"),
}


@pytest.mark.parametrize("noise_m", [0.0, 0.008])
@pytest.mark.parametrize("name", SEEN)
def test_each_movement_is_recognised(name: str, noise_m: float) -> None:
    report = analyse(S.render(SEEN[name], noise_m=noise_m, seed=1))
    assert name in names(report)


def test_a_seat_is_told_from_a_squat_by_balance() -> None:
    assert not has(analyse(S.render(S.squats(1, depth_deg=95))), "sitting")
    assert not has(analyse(S.render(S.sit_down(seat_deg=95))), "squatting")


@pytest.mark.parametrize(("motion", "name", "count"), [(S.jumps(3), "jump", 3), (S.wave("left", 5), "wave", 5)])
def test_jumps_and_waves_are_counted(motion: BodyMotion, name: str, count: int) -> None:
    (found,) = counted(analyse(S.render(motion, noise_m=0.004)), name)
    assert len(found.repetitions) == count


def test_arms_raised_in_turn_are_two_sets() -> None:
    one = S.concatenate(S.arm_raise("left"), S.arm_raise("right"), blend_s=0.1)
    report = analyse(S.render(S.concatenate(one, one, one, blend_s=0.1), noise_m=0.005))
    by_joint = {r.joints[0]: len(r.repetitions) for r in report.repetitions}
    assert by_joint == {"left_elbow": 3, "right_elbow": 3}


def test_the_same_joint_set_less_finely_named_says_the_same() -> None:
    pose = S.render(S.concatenate(S.walk(6), S.squats(2)))
    xyz, confidence = convert(pose.xyz_m, pose.confidence, pose.skeleton, H36M_17)
    report = analyse(replace(pose, skeleton=H36M_17, xyz_m=xyz, confidence=confidence))
    assert [n for n in names(report) if n != "standing still"] == ["walking forwards", "squatting"]
    assert "left_ankle_dorsiflexion" not in report.angles

"""What the coach finds in sets whose count and faults are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from motionqa.assistant.coaching.coach import Assessment, assess
from motionqa.assistant.coaching.exercise_file import load_rules
from motionqa.assistant.coaching.findings import Finding
from motionqa.assistant.coaching.observed import observe
from motionqa.assistant.coaching.recognition import read_shares, recognise
from motionqa.assistant.released import reader
from motionqa.data.reading import ClipTokens, MotionReading, ReadAction
from motionqa.data.schema import InputError, PersonTrack
from motionqa.data.synthetic import exercises as made
from motionqa.data.synthetic.body import BodyMotion
from motionqa.data.synthetic.motions import jumping_jacks, run, stand, walk
from motionqa.tests.coach_clips import encoded

SETS: dict[str, tuple[BodyMotion, int]] = {
    "squat": (made.squat_set((1, 1, 1)), 3),
    "push_up": (made.push_up_set((1, 1)), 2),
    "lunge": (made.lunge_set((1, 1)), 2),
    "deadlift": (made.deadlift_set((1, 1)), 2),
    "overhead_press": (made.press_set((1, 1)), 2),
    "biceps_curl": (made.curl_set((1, 1, 1)), 3),
    "sit_up": (made.sit_up_set((1, 1)), 2),
    "plank": (made.plank_hold(4.0), 2),
    "jumping_jack": (jumping_jacks(4), 4),
    "pull_up": (made.pull_up_set((1, 1)), 2),
    "walking": (walk(steps=8), 6),
    "running": (run(steps=10), 8),
}


def finding(found: Assessment, id: str) -> Finding:
    return next(f for f in found.findings if f.id == id)


@pytest.mark.parametrize("name", SETS)
def test_each_exercise_is_recognised_and_counted(name: str) -> None:
    motion, count = SETS[name]
    found = assess(encoded(motion))
    assert found.exercise is not None
    assert found.exercise.name == name
    assert len(found.table) == count


@pytest.mark.parametrize(
    ("motion", "exercise", "fault"),
    [
        (made.squat_set((1, 1), knee_deg=70), "squat", "depth"),
        (made.squat_set((1, 1), lean_deg=62), "squat", "trunk_lean"),
        (made.push_up_set((1, 1), sag_deg=28), "push_up", "sag"),
        (made.push_up_set((1, 1), sag_deg=-38), "push_up", "pike"),
        (made.curl_set((1, 1), lean_back_deg=25), "biceps_curl", "lean_back"),
        (made.plank_hold(4.0, sag_deg=22), "plank", "sag"),
    ],
)
def test_a_built_in_fault_is_found_and_a_clean_set_is_free_of_it(motion: BodyMotion, exercise: str, fault: str) -> None:
    assert fault in {f.id for f in assess(encoded(motion), exercise).of_kind("fault")}
    assert fault not in {f.id for f in assess(encoded(SETS[exercise][0]), exercise).of_kind("fault")}


def test_a_fault_has_its_repetition_time_value_target_and_uncertainty() -> None:
    found = finding(assess(encoded(made.curl_set((1, 1), lean_back_deg=25))), "lean_back")
    assert found.repetitions == (1, 2)
    assert found.value == pytest.approx(-25, abs=3)
    assert found.worst is not None
    assert found.worst.start_s < found.worst.at_s < found.worst.end_s
    assert found.uncertainty is not None
    assert "25 degrees" in found.text or "24 degrees" in found.text or "26 degrees" in found.text
    assert "at most 9 degrees back" in found.text
    assert "left_shoulder" in found.joints


def test_only_the_repetitions_that_fail_are_named_and_rare_faults_weigh_less() -> None:
    found = finding(assess(encoded(made.squat_set((1, 1, 0.68, 1)))), "depth")
    assert found.repetitions == (3,)
    assert found.severity == "minor"
    assert "repetition 3 of 4" in found.text


def test_a_broken_off_repetition_is_told_but_not_counted() -> None:
    found = assess(encoded(made.squat_set((1, 0.5, 1, 1))))
    assert len(found.table) == 3
    assert any(f.title == "Not counted" and f.text.startswith("1 squat is broken off") for f in found.findings)


def test_a_repetition_cut_off_by_the_clip_is_told_but_not_counted() -> None:
    whole = encoded(made.squat_set((1, 1, 1), rest_s=0.4))
    pose = whole.pose3d
    part = slice(round(1.4 * pose.fps), None)
    cut = replace(pose, times_s=pose.times_s[part], xyz_m=pose.xyz_m[part], confidence=pose.confidence[part])
    found = assess(replace(whole, pose3d=cut))
    assert len(found.table) == 2
    assert any("cut off by the start or end" in f.text for f in found.findings)


def test_an_arm_hidden_at_the_bottom_does_not_hide_the_repetition() -> None:
    clip = encoded(made.push_up_set((1, 1, 1, 1, 1), out_s=0.35, back_s=0.35, rest_s=0.1))
    pose = clip.pose3d
    confidence = pose.confidence.copy()
    height = pose.xyz_m[:, pose.skeleton.index("left_shoulder"), 1]
    low = height < np.median(height)
    for joint in ("left_elbow", "left_wrist"):
        confidence[low, pose.skeleton.index(joint)] = 0
    found = assess(replace(clip, pose3d=replace(pose, confidence=confidence)), "push_up")
    whole = assess(clip, "push_up")
    assert len(found.table) == len(whole.table) == 5
    assert found.table[2].range == pytest.approx(whole.table[2].range, abs=8)


def test_where_the_elbows_show_nothing_push_ups_are_counted_on_the_shoulders() -> None:
    clip = encoded(made.push_up_set((1, 1, 1)))
    pose = clip.pose3d
    still = pose.xyz_m.copy()
    for side in ("left", "right"):  # a detector that leaves the arm as it was at the top
        shoulder = pose.skeleton.index(f"{side}_shoulder")
        for joint in (f"{side}_elbow", f"{side}_wrist"):
            k = pose.skeleton.index(joint)
            still[:, k] = still[:, shoulder] + (pose.xyz_m[0, k] - pose.xyz_m[0, shoulder])
    found = assess(replace(clip, pose3d=replace(pose, xyz_m=still)), "push_up")
    assert found.counted.quantity == "shoulder_height"
    assert len(found.table) == 3


def test_a_clip_that_begins_with_the_movement_is_not_blamed_for_its_start() -> None:
    whole = encoded(made.curl_set((1, 1), rest_s=0.4))
    pose = whole.pose3d
    part = slice(round(0.72 * pose.fps), None)
    cut = replace(pose, times_s=pose.times_s[part], xyz_m=pose.xyz_m[part], confidence=pose.confidence[part])
    found = assess(replace(whole, pose3d=cut), "biceps_curl")
    assert len(found.table) == 2
    assert 1 not in finding(found, "bottom").repetitions
    assert finding(found, "bottom").kind == "good"


def test_tiring_is_seen_over_the_set() -> None:
    texts = [f.text for f in assess(encoded(made.squat_set((1, 0.95, 0.88, 0.8, 0.74)))).of_kind("note")]
    assert any("range shrinks" in t for t in texts)
    steady = [f.text for f in assess(encoded(made.squat_set((1, 1, 1, 1, 1)))).of_kind("note")]
    assert not any("range shrinks" in t for t in steady)


def test_what_the_view_hides_is_a_finding() -> None:
    found = assess(encoded(made.squat_set((1, 1))), view="front")
    assert finding(found, "depth").kind == "unjudged"
    assert "view from the side" in finding(found, "depth").text
    assert finding(found, "knee_cave").kind == "good"


def test_feet_out_of_view_are_said_and_the_rest_is_judged() -> None:
    clip = encoded(made.curl_set((1, 1)))
    confidence = clip.pose3d.confidence.copy()
    for joint in ("left_ankle", "right_ankle", "left_toe", "right_toe"):
        confidence[:, clip.pose3d.skeleton.index(joint)] = 0
    found = assess(replace(clip, pose3d=replace(clip.pose3d, confidence=confidence)))
    assert found.exercise is not None
    assert found.exercise.name == "biceps_curl"
    assert "Feet are out of view" in found.sight.sentence()
    walked = assess(replace(clip, pose3d=replace(clip.pose3d, confidence=confidence)), "squat")
    assert not walked.of_kind("fault")


def test_standing_still_is_no_exercise() -> None:
    found = assess(encoded(stand(3.0)))
    assert found.exercise is None
    assert "Name the exercise" in found.limits[0]


def test_two_people_or_a_mirror_are_a_stated_limit() -> None:
    clip = encoded(made.squat_set((1, 1)))
    track = PersonTrack(0, np.zeros(2), np.zeros((2, 2)), np.ones(2), np.ones(2))
    found = assess(replace(clip, people=(track, replace(track, person_id=1))))
    assert any("mirror" in limit for limit in found.limits)


def test_the_user_may_name_the_exercise_but_only_a_known_one() -> None:
    found = assess(encoded(made.squat_set((1, 1))), "deadlift")
    assert found.guesses[0].named_by_user
    with pytest.raises(InputError, match="known are"):
        assess(encoded(made.squat_set((1,))), "juggling")


def read_as(*actions: tuple[str, float, float, float]) -> MotionReading:
    return MotionReading(tuple(ReadAction(*a) for a in actions), ClipTokens())


def test_what_was_read_decides_between_exercises_that_the_rules_find_alike() -> None:
    m, rules = observe(encoded(SETS["squat"][0])).m, load_rules()
    alone = {g.name: g.confidence for g in recognise(m, rules)}
    for_it = {g.name: g for g in recognise(m, rules, read_as(("squat", 0.0, 4.0, 0.9)))}
    against = {g.name: g for g in recognise(m, rules, read_as(("lunge", 0.0, 4.0, 0.9)))}
    assert against["squat"].confidence < alone["squat"]
    assert for_it["squat"].confidence >= alone["squat"]
    assert "reader of actions" in for_it["squat"].how


def test_a_reading_without_an_exercise_changes_nothing() -> None:
    m, rules = observe(encoded(SETS["push_up"][0])).m, load_rules()
    assert recognise(m, rules, read_as(("", 0.0, 3.0, 0.4), ("stand", 3.0, 4.0, 0.9), ("bow", 4.0, 5.0, 0.9))) == (
        recognise(m, rules)
    )


def test_what_was_read_is_weighed_by_time_and_probability_standing_aside() -> None:
    read = read_as(("stand", 0.0, 10.0, 0.9), ("squat", 10.0, 13.0, 0.8), ("wave left hand", 13.0, 14.0, 0.9))
    assert read_shares(read, load_rules()) == {"squat": pytest.approx(0.75 * 0.8)}


def test_every_action_of_an_exercise_is_a_name_that_the_released_reader_has() -> None:
    known = reader()
    assert known is not None
    said = {name for exercise in load_rules().exercises.values() for name in exercise.actions}
    assert said
    assert said <= set(known.names)

"""An exercise that a clip shows beyond doubt is what the report, the words and the facts about the clip speak of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motionqa.assistant.coaching.exercise_file import load_rules
from motionqa.assistant.coaching.in_clip import evident_exercises, exercise_in
from motionqa.assistant.coaching.observed import SURE
from motionqa.assistant.examples import write_trc
from motionqa.data.reading import ClipTokens, MotionReading, ReadAction
from motionqa.data.schema import ClipEncoding, Repetition, RepetitionSet, Segment
from motionqa.data.synthetic import exercises as made
from motionqa.data.synthetic import motions
from motionqa.data.synthetic.body import BodyMotion, render
from motionqa.encoders.clip_encoder import ClipEncoder
from motionqa.encoders.kinematics.analyse import analyse
from motionqa.encoders.kinematics.repetition_names import repeated_verb, with_exercise
from motionqa.encoders.reader.network import MotionReader, ReaderConfig
from motionqa.encoders.reader.read import Reader, reader_of
from motionqa.encoders.reader.words import _without, between, told_actions
from motionqa.tests.coach_clips import encoded

DONE = tuple(Repetition(t, t + 0.5, t + 1, 80.0) for t in (2.0, 3.0, 4.0))
PUSH_UPS = RepetitionSet("elbow flexion", "degrees", ("left_elbow", "right_elbow"), DONE, "push-up")


@pytest.mark.parametrize(
    ("motion", "name", "count"),
    [
        (made.push_up_set((1, 1, 1, 1)), "push-up", 4),
        (made.sit_up_set((1, 1)), "sit-up", 2),
        (made.pull_up_set((1, 1, 1)), "pull-up", 3),
    ],
)
def test_what_nobody_does_by_chance_is_named_and_counted(motion: BodyMotion, name: str, count: int) -> None:
    found = exercise_in(encoded(motion))
    assert found is not None
    assert (found.name, len(found.repetitions)) == (name, count)
    assert all(r.start_s < r.turn_s < r.end_s for r in found.repetitions)


@pytest.mark.parametrize(
    "motion",
    [made.squat_set((1, 1, 1)), made.curl_set((1, 1)), made.press_set((1, 1)), motions.wave("right"),
     motions.stand(3.0), motions.jumping_jacks(4), motions.forward_bend(2), made.plank_hold()],
)  # fmt: skip
def test_what_everyday_movements_look_like_is_left_to_the_other_rules(motion: BodyMotion) -> None:
    assert exercise_in(encoded(motion)) is None


def test_half_of_a_repetition_is_none() -> None:
    clip = encoded(made.push_up_set((1,)))
    half = int((clip.pose3d.times_s <= clip.report.repetitions[0].repetitions[0].turn_s).sum())
    assert exercise_in(replace(clip, pose3d=between(clip.pose3d, 0.0, float(clip.pose3d.times_s[half])))) is None


def test_somebody_hardly_seen_does_nothing_for_sure() -> None:
    clip = encoded(made.push_up_set((1, 1)))
    clip.pose3d.confidence[:] = 0.9 * SURE
    assert exercise_in(clip) is None


def test_only_exercises_marked_so_are_evident() -> None:
    marked = {name for name, exercise in load_rules().exercises.items() if exercise.evident}
    assert set(evident_exercises().exercises) == marked
    assert "overhead_press" not in marked


def test_an_exercise_replaces_what_its_parts_were_taken_for() -> None:
    before = Segment("walking forwards", 0.0, 1.7)
    wrong = (Segment("kneeling", 1.8, 4.0), Segment("lying face down", 0.0, 9.0), Segment("bending forward", 1.6, 1.9))
    elbow = RepetitionSet("right elbow flexion", "degrees", ("right_wrist",), DONE[1:], "")
    later = RepetitionSet("left knee flexion", "degrees", ("left_knee",), (Repetition(6, 7, 8, 60),), "squat")
    segments, sets = with_exercise(PUSH_UPS, (before, *wrong), (elbow, later))
    assert [s.name for s in segments] == ["walking forwards", "doing push-ups"]
    assert (segments[1].start_s, segments[1].end_s) == (2.0, 5.0)
    assert sets == (PUSH_UPS, later)


def test_an_exercise_of_ones_own_is_said_by_its_name() -> None:
    assert repeated_verb(RepetitionSet("trunk", "degrees", (), DONE, "burpee")) == "does burpees"


def test_the_report_speaks_of_the_exercise_it_is_given() -> None:
    pose = render(made.push_up_set((1, 1, 1)))
    told = analyse(pose, exercise=PUSH_UPS)
    (summary,) = (f.text for f in told.facts if f.topic == "summary")
    assert "does 3 push-ups" in summary
    assert summary.count("push-up") == 1
    counts = [f for f in told.facts if f.topic == "count" and f.unit == "repetitions"]
    assert counts[0].text.startswith("The person does push-ups: down and up 3 times (2.0-3.0 s")
    assert told.repetitions[0] is PUSH_UPS


def read(name: str, start_s: float, end_s: float) -> ReadAction:
    return ReadAction(name, start_s, end_s, 0.7)


@pytest.mark.parametrize(
    ("actions", "names"),
    [
        ((read("bow", 0.0, 6.0),), ["bow"]),
        ((read("walk", 0.0, 2.0), read("bow", 2.0, 4.0), read("push", 4.0, 5.5)), ["walk", ""]),
        ((read("bow", 2.0, 3.0), read("sit", 3.0, 4.5), read("walk", 4.5, 9.0)), ["", "walk"]),
        ((), []),
    ],
)
def test_actions_read_into_an_exercise_lose_their_names(actions: tuple[ReadAction, ...], names: list[str]) -> None:
    assert [a.name for a in _without(actions, PUSH_UPS)] == names


@pytest.fixture(scope="module")
def reader() -> Reader:
    torch.manual_seed(0)
    return reader_of(MotionReader(ReaderConfig(("squat", "bow"), width=32, heads=2)), "random")


@pytest.mark.parametrize("knows", [exercise_in, None])
def test_the_encoder_asks_for_the_exercise(
    reader: Reader, knows: Callable[[ClipEncoding], RepetitionSet | None] | None, tmp_path: Path
) -> None:
    write_trc(render(made.push_up_set((1, 1)), noise_m=0.02, seed=1), tmp_path / "floor.trc")
    encoding = ClipEncoder(reader=reader, exercise_in=knows).encode(tmp_path / "floor.trc")
    assert encoding.reading is not None
    if knows is None:
        assert all(s.name != "doing push-ups" for s in encoding.report.segments)
        return
    assert "does 2 push-ups" in encoding.reading.words
    assert all(not a.name for a in encoding.reading.actions)
    assert any(f.topic == "time" and f.text.startswith("The clip lasts") for f in encoding.report.facts)
    assert np.isclose(encoding.report.repetitions[0].repetitions[-1].depth, 80, atol=25)


def test_what_people_see_recognised_names_the_exercise() -> None:
    reading = MotionReading((read("", 2.0, 5.0), read("walk", 5.5, 9.0)), ClipTokens())
    report = analyse(render(made.push_up_set((1, 1, 1))), exercise=PUSH_UPS)
    assert [f.text for f in told_actions(reading, report)] == ["Push-ups (by rule).", "Walk (70%)."]
    assert [f.text for f in told_actions(reading)] == ["None of the known actions (70%).", "Walk (70%)."]

"""The sentences: true to the motion, free of NaN, within their budget, and ordered by what is asked."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from motionqa.data.schema import MotionReport, Repetition, RepetitionSet, Segment
from motionqa.data.synthetic import motions as S
from motionqa.data.synthetic.exercises import push_up_set
from motionqa.encoders.kinematics.analyse import analyse
from motionqa.encoders.kinematics.describe import describe, estimate_tokens
from motionqa.encoders.kinematics.phrases import does, span, times
from motionqa.encoders.kinematics.timeline import summary


@pytest.fixture(scope="module")
def story() -> MotionReport:
    return analyse(S.render(S.concatenate(S.walk(6), S.turn(90), S.squats(3), S.wave("left", 4)), noise_m=0.005))


def test_the_summary_tells_the_story_in_order(story: MotionReport) -> None:
    assert story.facts[0].text.startswith("The person walks forwards, then turns left, then squats 3 times, then waves")
    order = next(f.text for f in story.facts if f.topic == "order")
    assert order.index("first walks") < order.index("then turns") < order.index("then squats") < order.index("finally")


def test_descriptions_keep_to_their_budget_and_lead_with_the_summary(story: MotionReport) -> None:
    for budget in (40, 80, 150, 300):
        text = describe(story, budget)
        assert estimate_tokens(text) <= budget
        assert text.startswith(story.facts[0].text)
    words = describe(story, 60, tokens=lambda text: len(text.split()))
    assert len(words.split()) <= 60


def test_no_sentence_holds_a_nan_or_a_minus_zero(story: MotionReport) -> None:
    for fact in story.facts:
        assert not re.search(r"\bnan\b", fact.text.lower())
        assert "-0.0" not in fact.text
        assert fact.text[0].isupper()
        assert fact.text.endswith(".")
        assert 0 <= fact.salience <= 1
        assert fact.start_s <= fact.end_s


def test_one_sided_movement_names_its_side() -> None:
    report = analyse(S.render(S.arm_raise("left")))
    text = describe(report)
    assert "The left arm moves most; the right arm hardly moves." in text
    assert "The left hand is above the head" in text
    assert "Both feet stay on the floor." in text


def test_a_camera_allows_words_of_the_picture_and_others_do_not() -> None:
    pose = S.render(S.walk(direction="left", step_m=0.3))
    assert "picture" not in describe(analyse(pose))
    assert "to the right of the picture" in describe(analyse(replace(pose, camera=True)))


def test_distances_from_one_camera_are_said_to_be_estimates() -> None:
    pose = replace(S.render(S.walk()), metric=False, root_motion="estimated")
    facts = analyse(pose).facts
    distances = [f.text for f in facts if re.search(r"\d m\b|\d m/s", f.text)]
    assert distances
    assert all("about" in text for text in distances)


def test_what_is_not_done_is_denied_and_what_could_not_be_seen_is_not() -> None:
    denied = {f.text for f in analyse(S.render(S.squats(2))).facts if f.topic == "absence"}
    assert "The person does not jump." in denied
    assert "The person does not wave." in denied
    assert not any("squat" in text for text in denied)
    pose = S.render(S.squats(2))
    hidden = pose.confidence.copy()
    hidden[:, [pose.skeleton.index(f"{side}_ankle") for side in ("left", "right")]] = 0
    unseen = {f.text for f in analyse(replace(pose, confidence=hidden)).facts if f.topic == "absence"}
    assert "The person does not jump." not in unseen
    assert "The person does not wave." in unseen


def test_what_comes_after_and_before_is_said_outright(story: MotionReport) -> None:
    texts = [f.text for f in story.facts if f.topic == "order"]
    assert any(t.startswith("After walking forwards, the person turns left") for t in texts)
    assert any(t.startswith("Before squatting, the person turns left") for t in texts)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("walking forwards", "walks forwards"),
        ("raising and lowering the right arm", "raises and lowers the right arm"),
        ("doing jumping jacks", "does jumping jacks"),
        ("on hands and knees", "is on hands and knees"),
    ],
)
def test_names_become_verbs(name: str, said: str) -> None:
    assert does(name) == said


def test_small_words_read_well() -> None:
    assert [times(n) for n in (1, 2, 3)] == ["once", "twice", "3 times"]
    assert (span(0.4, 2.1), span(1.0, 1.01)) == ("from 0.4 to 2.1 s", "at 1.0 s")


@pytest.mark.parametrize(("reps", "said"), [((1,), "does 1 push-up"), ((1, 1, 1), "does 3 push-ups")])
def test_a_counted_exercise_is_named_by_what_is_counted(reps: tuple[float, ...], said: str) -> None:
    (summary,) = (f.text for f in analyse(S.render(push_up_set(reps))).facts if f.topic == "summary")
    assert said in summary
    assert "position" not in summary


def test_an_exercise_beside_something_else_is_counted_too() -> None:
    reps = tuple(Repetition(t, t + 0.5, t + 1, 80.0) for t in (2.0, 3.0, 4.0))
    push_ups = RepetitionSet("left elbow flexion", "degrees", ("left_elbow",), reps, "push-up")
    told = summary((Segment("walking", 0.0, 9.0), Segment("in a push-up position", 2.0, 5.0)), (push_ups,))
    assert told == "The person walks while doing 3 push-ups."

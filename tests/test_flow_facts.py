"""Sentences from flow: courses, swinging against them, staying in place, and silence where nothing is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionqa.data.flow_field import FlowField
from motionqa.data.schema import Fact
from motionqa.encoders.flow.clip import FlowClipConfig, flow_field
from motionqa.encoders.flow.facts import FlowFactConfig, flow_facts
from motionqa.tests.flow_clips import TALL, Classical, made_field, patch_film, walk_of

Array = np.ndarray
PAIRS = 20


def course(x: float = 0.0, y: float = 0.0, start: int = 0, end: int = PAIRS) -> Array:
    """A course from one pair to another, body heights a second, standing around it."""
    out = np.zeros((PAIRS, 2))
    out[start:end] = (x, y)
    return out


def swing(strength: float, phase: float = 0.0, period: float = 8.0) -> Array:
    """To and fro across the picture."""
    return np.stack([strength * np.sin(2 * np.pi * np.arange(PAIRS) / period + phase), np.zeros(PAIRS)], axis=1)


def texts(field: FlowField, topic: str = "") -> list[str]:
    return [f.text for f in flow_facts(field) if topic in ("", f.topic)]


def only(field: FlowField, topic: str) -> Fact:
    (found,) = [f for f in flow_facts(field) if f.topic == topic]
    return found


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (-1.2, 0.1, "to the left of the picture"), (1.2, 0.0, "to the right of the picture"),
        (0.1, -1.2, "up in the picture"), (0.0, 1.2, "down in the picture"),
    ],
)  # fmt: skip
def test_a_course_is_told_with_way_speed_and_time(x: float, y: float, said: str) -> None:
    fact = only(made_field(course(x, y, 5, 15)), "travel")
    assert fact.text == f"The person moves {said} at 1.2 body heights/s from 0.5 to 1.5 s."
    assert fact.unit == "body heights/s"
    assert fact.value == pytest.approx(1.2, abs=0.01)
    assert (fact.start_s, fact.end_s) == pytest.approx((0.5, 1.5))


def test_courses_of_one_way_are_told_together_and_another_way_apart() -> None:
    trend = course(0, 1.0, 0, 4) + course(0, -1.0, 5, 9) + course(0, 1.0, 12, 16)
    said = texts(made_field(trend), "travel")
    assert len(said) == 2
    assert any("moves down in the picture twice (0.0-0.4 s, 1.2-1.6 s)" in s for s in said)
    assert any("moves up in the picture" in s and "twice" not in s for s in said)


def test_an_arm_that_goes_against_the_course_is_told_with_its_speed_relative_to_the_body() -> None:
    back = np.tile([0.8, 0.0], (PAIRS, 1))
    field = made_field(course(-1.2), {"right_wrist": back})
    (fact,) = [f for f in flow_facts(field) if f.topic == "part" and "swings" in f.text]
    assert fact.text == (
        "While moving to the left of the picture (0.0-2.0 s), the right arm swings against it "
        "(0.8 body heights/s relative to the body)."
    )
    assert fact.joints == ("right_wrist",)
    ahead = [f.text for f in flow_facts(made_field(course(1.2), {"left_wrist": back})) if f.topic == "part"]
    assert any("the left arm moves ahead of it" in text for text in ahead)


def test_limbs_of_both_sides_swing_against_each_other_or_together() -> None:
    apart = {"left_wrist": swing(0.9), "right_wrist": swing(0.9, np.pi)}
    assert any("the arms swing against each other" in s for s in texts(made_field(course(1.0), apart)))
    together = {"left_ankle": swing(0.9), "right_ankle": swing(0.9)}
    assert any("the legs swing to and fro" in s for s in texts(made_field(course(1.0), together)))
    one = texts(made_field(course(1.0), {"left_wrist": swing(0.9)}))
    assert any("the left arm swings to and fro" in s for s in one)


def test_a_body_that_stays_is_said_to_stay_and_what_moves_most_is_named() -> None:
    hands = {"left_wrist": swing(1.5), "right_wrist": swing(1.4)}
    fact = only(made_field(course(), hands), "travel")
    assert fact.text.startswith("The body as a whole stays in place; the hands move most (up to 1.5 body heights/s")
    one = only(made_field(course(), {"right_ankle": swing(1.5)}), "travel")
    assert "stays in place; the right foot moves most" in one.text
    assert not any("stays" in t for t in texts(made_field(course(0.5), hands)))


def test_a_slow_drift_is_not_staying_in_place() -> None:
    hands = {"left_wrist": swing(1.5)}
    drifting = made_field(course(0.12), hands)  # slower than a course, but 0.24 body heights in all
    assert not any("stays in place" in t or "moves to" in t for t in texts(drifting))
    assert any(t.startswith("Relative to the body, the left hand moves most") for t in texts(drifting))


def test_nothing_to_say_is_not_said() -> None:
    still = made_field(course())
    assert flow_facts(still) == ()
    trembling = made_field(course(0.05, 0.05), {"left_wrist": swing(0.1)})
    assert flow_facts(trembling) == ()
    jerk = made_field(course(1.0, 0.0, 9, 10))
    assert flow_facts(jerk) == ()


def test_movement_below_what_the_network_can_see_is_not_told() -> None:
    far = made_field(course(0.5), {"left_wrist": swing(0.9)}, body_px=8.0)  # a person of eight pixels
    assert flow_facts(far) == ()


def test_nothing_is_told_across_a_cut_and_the_cut_is() -> None:
    shot = np.array([0] * 10 + [-1] + [1] * 9)
    field = made_field(course(1.0), shot=shot)
    cut = only(field, "view")
    assert cut.text == "The film is cut once, at 1.1 s; flow is not taken across a cut."
    said = only(field, "travel")
    assert "twice (0.0-1.0 s, 1.1-2.0 s)" in said.text
    between = made_field(course(1.0), shot=np.array([0] * 10 + [1] * 10))
    assert "cut once, at 1.0 s" in only(between, "view").text
    short = made_field(course(1.0, 0, 9, 13), shot=shot)  # a way that only together would be long enough
    assert texts(short, "travel") == []


def test_before_a_moving_camera_ways_are_against_the_background() -> None:
    pan = np.tile([-1.0, 0.0], (PAIRS, 1))
    followed = only(made_field(course(0.0), camera=pan), "travel")
    assert followed.text.startswith("The person moves to the right against the background at 1.0 body heights/s")
    assert followed.text.endswith("the camera moves too.")
    standing = made_field(course(-1.0), {"left_wrist": swing(1.5)}, camera=pan)
    assert texts(standing, "travel") == []  # moves in the picture only because the camera turns
    flash = made_field(course(1.0), camera=np.where(np.arange(PAIRS)[:, None] == 5, pan, 0))
    assert "of the picture" in only(flash, "travel").text


def test_without_joints_nothing_is_told_but_cuts() -> None:
    shot = np.array([0] * 10 + [-1] + [1] * 9)
    field = made_field(course(1.0), {"left_wrist": swing(1)}, shot=shot)
    unknown = replace(field, body_px=np.full(PAIRS, np.nan))
    assert [f.topic for f in flow_facts(unknown)] == ["view"]


def test_a_limb_that_is_hardly_seen_is_not_spoken_of() -> None:
    hidden = swing(0.9)
    hidden[::2] = np.nan
    assert not any("arm" in t or "hand" in t for t in texts(made_field(course(1.0), {"left_wrist": hidden})))


def test_thresholds_can_be_moved() -> None:
    slow = made_field(course(0.15))
    assert flow_facts(slow) == ()
    assert flow_facts(slow, FlowFactConfig(course=0.1))[0].topic == "travel"


def test_a_film_of_somebody_moving_left_says_so(tmp_path: Path) -> None:
    clip, (pose,) = patch_film(tmp_path / "a.mp4", [walk_of(40, (250, 60), (-4.5, 0))])
    field = flow_field(clip, pose, Classical(), FlowClipConfig(window_px=128, grid=32))
    fact = only(field, "travel")
    assert "moves to the left of the picture at 0.7 body heights/s from 0.0 to 1.9 s" in fact.text
    assert fact.value == pytest.approx(90 / TALL, rel=0.1)
    assert len(flow_facts(field)) == 1  # a patch has no limbs that swing

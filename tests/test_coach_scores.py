"""What scores the coach: heads that never see the group they judge, and counts made by eye."""

from __future__ import annotations

import numpy as np

from motionqa.assistant.coaching.coach import assess
from motionqa.data.synthetic import exercises as made
from motionqa.eval.push_ups import counts_by_eye, features, nested_leave_groups_out, over_groups
from motionqa.eval.small_head import balanced_accuracy
from motionqa.tests.coach_clips import encoded


def rows(informative: bool) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Twelve groups of six rows; one feature tells the label where it is to be told, the other only the group."""
    rng = np.random.default_rng(1)
    y = np.tile([0, 1], 36)
    groups = [f"g{i // 6}" for i in range(72)]
    own = np.repeat(rng.normal(size=12) * 5, 6)
    told = y + 0.2 * rng.normal(size=72) if informative else rng.normal(size=72)
    return np.stack([told, own], axis=1), y, groups


def test_a_head_finds_what_the_features_tell_and_no_more() -> None:
    x, y, groups = rows(informative=True)
    assert balanced_accuracy(y, nested_leave_groups_out(x, y, groups), 2) > 0.95
    x, y, groups = rows(informative=False)
    assert balanced_accuracy(y, nested_leave_groups_out(x, y, groups), 2) < 0.7


def test_a_label_that_is_the_groups_own_is_not_learnt() -> None:
    _, _, groups = rows(informative=True)
    own = np.array([int(g[1:]) % 2 for g in groups])
    x = np.array([[float(g[1:])] for g in groups])  # names the group, tells nothing of others
    assert balanced_accuracy(own, nested_leave_groups_out(x, own, groups), 2) < 0.7


def test_the_interval_holds_the_score_and_widens_with_few_groups() -> None:
    _, y, groups = rows(informative=True)
    said = np.where(np.arange(72) % 5 == 0, 1 - y, y)
    low, high = over_groups(y, said, groups)
    assert low <= balanced_accuracy(y, said, 2) <= high
    few = over_groups(y, np.where(np.arange(72) < 24, 1 - y, y), ["a"] * 24 + ["b"] * 24 + ["c"] * 24)
    assert few[1] - few[0] > high - low


def test_features_of_a_push_up_tell_sagging_hips() -> None:
    flat, sagging = (features(assess(encoded(made.push_up_set((1, 1), sag_deg=s)), "push_up")) for s in (0, 28))
    assert flat.shape == sagging.shape
    assert sagging[0] - flat[0] > 15  # the body line at the top comes first


def test_counts_by_eye_name_every_video_once() -> None:
    counts = counts_by_eye()
    assert counts["correct/correct111.mp4"] == 15
    assert counts["wrong/wrong57.mp4"] is None
    assert "correct/correct1.mp4" not in counts  # holds one, as all that are not listed
    assert all(c is None or c != 1 for c in counts.values())

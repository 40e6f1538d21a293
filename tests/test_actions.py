"""Recognition tasks: sides that share nobody, few labels drawn fairly, novel actions nobody trained on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from motionqa.data.detector_noise import load
from motionqa.data.mocap import actions
from motionqa.data.mocap.actions import action_task, one_shot_task, training_input, with_share_of_labels
from motionqa.data.mocap.clip import MocapClip
from motionqa.tests.mocap_clips import ACTIONS, J, clip, labelled

CLIPS = labelled()


def ids(clips: tuple[MocapClip, ...]) -> set[str]:
    return {c.clip_id for c in clips}


def test_a_task_has_every_class_on_both_sides_and_nobody_on_both() -> None:
    validation = replace(clip("walk", "1", 7), split="val")
    unlabelled = replace(clip("walk", "1", 8), label="")
    elsewhere = clip("wave", "1", 9, source="cmu")
    task = action_task([*CLIPS, validation, unlabelled, elsewhere], "utd_mhad")
    assert task.classes == tuple(sorted(ACTIONS))
    assert ids(task.train) | ids(task.test) == {c.clip_id for c in CLIPS} | {"walk_1_7"}
    assert "walk_1_7" in ids(task.train)  # the validation groups belong to the training side
    assert {c.subject for c in task.train} == {"1", "3"}
    assert {c.subject for c in task.test} == {"2", "4"}
    assert [task.index(clip(a)) for a in task.classes] == list(range(6))


def test_a_collection_without_labels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no labelled clips of 'cmu'; there are \['utd_mhad'\]"):
        action_task(CLIPS, "cmu")


def test_a_share_of_labels_keeps_every_class_and_grows_by_addition() -> None:
    task = action_task(CLIPS, "utd_mhad")  # six training clips a class
    before: set[str] = set()
    for share, least, most in ((0.001, 1, 1), (0.2, 1, 2), (0.5, 3, 3), (0.7, 4, 5), (1.0, 6, 6)):
        part = with_share_of_labels(task, share, seed=4)
        counts = Counter(c.label for c in part.train)
        assert set(counts) == set(task.classes)
        assert least <= min(counts.values()) <= max(counts.values()) <= most
        assert before <= ids(part.train) <= ids(task.train)
        assert part.test == task.test
        before = ids(part.train)
    half = [ids(with_share_of_labels(task, 0.5, seed).train) for seed in (4, 4, 5)]
    assert half[0] == half[1]
    assert half[0] != half[2]


def test_the_drawn_share_is_the_asked_one_on_average() -> None:
    task = action_task(CLIPS, "utd_mhad")
    kept = [len(with_share_of_labels(task, 0.4, seed).train) for seed in range(200)]
    assert np.mean(kept) == pytest.approx(0.4 * len(task.train), rel=0.03)


def test_novel_actions_are_never_trained_on_and_each_has_one_exemplar_a_set() -> None:
    clips = [c for c in CLIPS if c.clip_id != "bend_1_0"]  # one novel action has a clip fewer
    task = one_shot_task(clips)
    assert task.novel == ("bend", "squat")
    assert set(task.known.classes) == {"curl", "jump", "walk", "wave"}
    assert {c.label for c in (*task.known.train, *task.known.test)} == set(task.known.classes)
    assert len(task.exemplars) == 5
    for exemplars in task.exemplars:
        assert [c.label for c in exemplars] == ["bend", "squat"]
        assert all(c.split == "train" for c in exemplars)
    assert {c.label for c in task.test} == set(task.novel)
    assert all(c.split == "test" for c in task.test)
    assert len(task.test) == 12


# ---------------------------------------------------------------------------------------------- inputs


def test_a_test_clip_is_shown_from_three_frontal_views_exactly_and_always_alike() -> None:
    given = clip("walk", source="bandai_namco")
    views = actions.test_inputs(given, 10)
    assert views.shape == (3, 10, 17, 3)
    assert views.dtype == np.float32
    assert (views[..., 2] == 1).all()
    assert np.array_equal(views, actions.test_inputs(given, 10))
    assert np.abs(views[0] - views[2]).max() > 0.1
    # The synthetic body faces +Z: seen from the front, the left shoulder is at the image's right.
    across = views[:, :, J["left_shoulder"], 0] - views[:, :, J["right_shoulder"], 0]
    assert (across > 0).all()
    # UTD-MHAD's people face the other way, so a body that faces +Z shows its back there.
    behind = actions.test_inputs(clip("walk", source="utd_mhad"), 10)
    assert (behind[:, :, J["left_shoulder"], 0] < behind[:, :, J["right_shoulder"], 0]).all()


def test_clips_shorter_than_the_input_are_stretched_over_it() -> None:
    short = clip("squat", frames=5)
    views = actions.test_inputs(short, 17)
    assert views.shape == (3, 17, 17, 3)
    exact = actions.test_inputs(short, 5)
    assert views[:, ::4] == pytest.approx(exact, abs=1e-2)  # the window's body size is not quite the same
    steps = np.abs(np.diff(views, axis=1)).max(axis=(0, 2, 3))
    assert steps.max() < 0.7 * np.abs(np.diff(exact, axis=1)).max()


def test_training_inputs_differ_from_draw_to_draw_and_are_known_by_their_seed() -> None:
    given = clip("walk")
    draw = [training_input(given, 8, load(), np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert draw[0].shape == (8, 17, 3)
    assert np.array_equal(draw[0], draw[1])
    assert np.abs(draw[0] - draw[2]).max() > 0.05
    assert ((draw[0][..., 2] >= 0) & (draw[0][..., 2] <= 1)).all()


def test_training_inputs_are_never_mirrored() -> None:
    given, rng = clip("wave"), np.random.default_rng(0)  # with the left hand
    for _ in range(20):
        seen = training_input(given, 16, None, rng)
        moved = [np.ptp(seen[:, J[f"{side}_wrist"], 1]) for side in ("left", "right")]
        assert moved[0] > 3 * moved[1]


def test_joints_that_were_not_measured_stay_unseen() -> None:
    given = clip("walk")
    confidence = given.confidence.copy()
    confidence[:, J["left_wrist"]] = 0
    given = replace(given, confidence=confidence)
    for seen in (actions.test_inputs(given, 6)[1], training_input(given, 6, load(), np.random.default_rng(0))):
        assert (seen[:, J["left_wrist"]] == 0).all()
        assert seen[..., 2].max() > 0.5

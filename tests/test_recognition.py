"""Recognition scores: right answers count, embeddings are compared by angle, intervals are Wilson's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from motionqa.data.mocap import actions
from motionqa.data.mocap.actions import ActionTask, action_task, one_shot_task
from motionqa.data.mocap.clip import MocapClip
from motionqa.encoders.heads import TemporalTransformer
from motionqa.eval.recognition import hits, joint_embedding, one_shot_accuracy, scorer, wilson
from motionqa.tests.mocap_clips import labelled

Array = np.ndarray
CLIPS = labelled(takes=1)
TASK = action_task(CLIPS, "utd_mhad")
FRAMES = 6


def knowing(task: ActionTask, right: Callable[[int], Array]) -> Callable[[Array], Array]:
    """A scorer that recognises the test clips by their input and answers log of `right(class)`."""
    known = {actions.test_inputs(c, FRAMES).tobytes(): task.index(c) for c in task.test}
    return lambda views: np.log(right(known[views.tobytes()]))


def one_hot(index: int) -> Array:
    return np.tile(np.where(np.arange(6) == index, 0.9, 0.02), (3, 1))


def test_a_scorer_that_knows_is_always_right_and_one_that_does_not_is_right_by_chance() -> None:
    assert hits(TASK, knowing(TASK, one_hot), FRAMES).tolist() == [True] * len(TASK.test)
    stubborn = hits(TASK, knowing(TASK, lambda _: one_hot(2)), FRAMES)
    assert stubborn.tolist() == [TASK.index(c) == 2 for c in TASK.test]
    wrong = hits(TASK, knowing(TASK, lambda i: one_hot((i + 1) % 6)), FRAMES)
    assert not wrong.any()


def test_views_are_averaged_as_probabilities() -> None:
    def one_view_misled(index: int) -> Array:
        """Two views are sure of the right class and one rules it out; added up as logarithms, it would be lost."""
        out = np.full((3, 6), 1e-6)
        out[:, index] = (0.98, 0.98, 1e-9)
        out[:, (index + 1) % 6] = (0.02, 0.02, 0.9)
        return out

    assert hits(TASK, knowing(TASK, one_view_misled), FRAMES).all()


def test_a_torch_model_is_asked_in_evaluation_mode_for_log_probabilities() -> None:
    torch.manual_seed(0)
    model = TemporalTransformer(6, width=16).train()
    views = actions.test_inputs(TASK.test[0], 12)
    log_p, plain = (scorer(model, log_softmax)(views) for log_softmax in (True, False))
    assert log_p.shape == (3, 6)
    assert np.exp(log_p).sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.allclose(plain - plain[:, :1], log_p - log_p[:, :1], atol=1e-5)
    assert np.array_equal(log_p, scorer(model, True)(views))  # no dropout


# -------------------------------------------------------------------------------------------- one-shot

ONE_SHOT = one_shot_task(labelled(takes=2))


def test_embeddings_that_know_the_action_are_always_right_and_equal_ones_by_chance() -> None:
    def knows(clip: MocapClip) -> Array:
        length = 1 + len(clip.clip_id)  # only the direction counts
        return length * np.array([1.0, 2.0] if clip.label == ONE_SHOT.novel[0] else [2.0, 1.0])

    assert one_shot_accuracy(ONE_SHOT, knows).tolist() == [1.0] * len(ONE_SHOT.exemplars)
    chance = np.mean([c.label == ONE_SHOT.novel[0] for c in ONE_SHOT.test])
    useless = one_shot_accuracy(ONE_SHOT, lambda _: np.ones(4))
    assert useless == pytest.approx([chance] * len(ONE_SHOT.exemplars))
    assert (one_shot_accuracy(ONE_SHOT, lambda c: -knows(c)) == 1).all()


def test_a_bad_exemplar_spoils_its_own_set_only() -> None:
    spoilt = ONE_SHOT.exemplars[1][0].clip_id

    def knows(clip: MocapClip) -> Array:
        first = clip.label == ONE_SHOT.novel[0] and clip.clip_id != spoilt
        return np.array([1.0, 0.0]) if first else np.array([0.0, 1.0])

    found = one_shot_accuracy(ONE_SHOT, knows)
    assert found[1] == pytest.approx(0.5)
    assert (np.delete(found, 1) == 1).all()


def test_the_baseline_s_embedding_tells_drawn_actions_apart() -> None:
    embedding = joint_embedding(ONE_SHOT.test[0], FRAMES)
    assert embedding.shape == (FRAMES * 17 * 2,)
    assert embedding.mean() == pytest.approx(0, abs=1e-6)
    assert one_shot_accuracy(ONE_SHOT, lambda c: joint_embedding(c, FRAMES)).min() > 0.9


def test_intervals_are_wilson_s() -> None:
    # Wilson (1927); the figures are those of any table of the score interval.
    assert wilson([True] * 8 + [False] * 2) == pytest.approx((49.02, 94.33), abs=0.01)
    assert wilson([False] * 10) == pytest.approx((0, 27.75), abs=0.01)
    assert wilson(np.ones(10, bool)) == pytest.approx((72.25, 100), abs=0.01)
    wide, narrow = wilson([True, False] * 5), wilson([True, False] * 500)
    assert narrow[1] - narrow[0] < 0.15 * (wide[1] - wide[0])

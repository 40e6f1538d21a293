"""Errors of joints in space are what they are known to be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motionqa.data.pose_metrics import acceleration_error_mm, mpjpe_mm, n_mpjpe_mm, pa_mpjpe_mm, procrustes

Array = np.ndarray
TRUTH = np.random.default_rng(0).normal(size=(5, 17, 3)) * 0.4
TURN = Rotation.from_euler("xyz", [40, -70, 100], degrees=True)
METRICS: list[Callable[[Array, Array], Array]] = [mpjpe_mm, n_mpjpe_mm, pa_mpjpe_mm, acceleration_error_mm]


@pytest.mark.parametrize("metric", METRICS)
def test_the_truth_itself_has_no_error_wherever_it_stands(metric: Callable[[Array, Array], Array]) -> None:
    path = np.arange(15.0).reshape(5, 1, 3)
    assert metric(TRUTH, TRUTH) == pytest.approx(0, abs=1e-6)
    assert metric(TRUTH + path, TRUTH) == pytest.approx(0, abs=1e-6)


def test_one_joint_off_by_17_mm_is_a_mean_of_1_mm_and_the_pelvis_moves_all_others() -> None:
    found = TRUTH.copy()
    found[2, 5, 1] += 0.017
    assert mpjpe_mm(found, TRUTH) == pytest.approx([0, 0, 1, 0, 0], abs=1e-9)
    found = TRUTH.copy()
    found[:, 0, 2] -= 0.017
    assert mpjpe_mm(found, TRUTH) == pytest.approx(16)


def test_scale_counts_for_the_plain_error_only() -> None:
    from_pelvis = np.linalg.norm(TRUTH - TRUTH[:, :1], axis=-1).mean(axis=1)
    assert mpjpe_mm(1.1 * TRUTH, TRUTH) == pytest.approx(100 * from_pelvis)
    assert n_mpjpe_mm(1.1 * TRUTH, TRUTH) == pytest.approx(0, abs=1e-6)
    scales = np.linspace(0.3, 3, 5)[:, None, None]  # another one for each frame
    assert pa_mpjpe_mm(scales * TRUTH, TRUTH) == pytest.approx(0, abs=1e-6)


def test_the_best_scale_is_the_one_of_least_squares() -> None:
    found = TRUTH + np.random.default_rng(1).normal(size=TRUTH.shape) * 0.05
    f, t = (x[0] - x[0, :1] for x in (found, TRUTH))
    tried = np.linspace(0.5, 1.5, 20001)
    best = tried[np.argmin([((s * f - t) ** 2).sum() for s in tried])]
    expected = 1000 * np.linalg.norm(best * f - t, axis=-1).mean()
    assert n_mpjpe_mm(found, TRUTH)[0] == pytest.approx(expected, rel=1e-4)


def test_a_turned_body_is_wrong_until_it_is_turned_back() -> None:
    turned = 0.7 * TURN.apply(TRUTH.reshape(-1, 3)).reshape(TRUTH.shape) + 2
    assert (mpjpe_mm(turned, TRUTH) > 100).all()
    assert (n_mpjpe_mm(turned, TRUTH) > 100).all()
    assert pa_mpjpe_mm(turned, TRUTH) == pytest.approx(0, abs=1e-6)
    assert np.allclose(procrustes(turned, TRUTH), TRUTH)


def test_alignment_never_reflects() -> None:
    mirrored = TRUTH * (-1, 1, 1)
    assert (pa_mpjpe_mm(mirrored, TRUTH) > 50).all()
    hand = [np.linalg.det(x[:, 1:4] - x[:, :1]) for x in (mirrored, procrustes(mirrored, TRUTH))]
    assert (np.sign(hand[0]) == np.sign(hand[1])).all()
    # The rotation is the best proper one, as scipy finds it.
    for found, aligned, true in zip(mirrored, procrustes(mirrored, TRUTH), TRUTH, strict=True):
        f, t = found - found.mean(axis=0), true - true.mean(axis=0)
        best = Rotation.align_vectors(t, f)[0].apply(f)
        scale = (best * t).sum() / (f**2).sum()
        assert np.allclose(aligned - true.mean(axis=0), scale * best, atol=1e-4)


def test_a_body_that_moves_evenly_has_no_acceleration() -> None:
    speed = np.random.default_rng(2).normal(size=(1, 17, 3))
    even = TRUTH[:1] + np.arange(6)[:, None, None] * speed
    still = np.repeat(TRUTH[:1], 6, axis=0)
    error = acceleration_error_mm(even, still)
    assert error.shape == (4,)
    assert error == pytest.approx(0, abs=1e-6)
    assert (mpjpe_mm(even, still)[1:] > 100).all()
    falling = still.copy()
    falling[:, 5, 1] += 0.5 * 0.034 * np.arange(6) ** 2  # one of 17 joints gains 34 mm a frame every frame
    assert acceleration_error_mm(falling, still) == pytest.approx(2)

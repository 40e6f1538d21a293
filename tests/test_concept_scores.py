"""What concepts are scored with: each measure says what it is meant to say, and cannot be fooled by doing nothing."""

from __future__ import annotations

import numpy as np
import pytest

from motionqa.data.schema import InputError
from motionqa.eval.concept_scores import (
    bags,
    cluster,
    high_energy,
    linear_probe,
    nmi_above_chance,
    nmi_of_clips,
    normalised_mutual_information,
    recall_at,
    velocity_error_mm,
)


def joints(hz: float, amplitude: float = 0.1, frames: int = 60, fps: float = 15.0, phase: float = 0.0) -> np.ndarray:
    """A wrist that swings at one frequency; all else stands still."""
    out = np.zeros((frames, 17, 3))
    out[:, 16, 0] = amplitude * np.sin(2 * np.pi * hz * np.arange(frames) / fps + phase)
    return out


def test_velocity_error_is_in_millimetres_a_frame_and_blind_to_where_the_body_stands() -> None:
    true = np.zeros((4, 17, 3))
    found = true.copy()
    found[2:, 5, 1] = 0.017  # one joint jumps by 17 mm between frames 1 and 2
    assert velocity_error_mm(found, true).tolist() == pytest.approx([0, 1, 0])
    assert velocity_error_mm(found + np.arange(4)[:, None, None], true).tolist() == pytest.approx([0, 1, 0])


def test_energy_above_four_hertz_counts_fast_movement_only() -> None:
    fast, slow = joints(6.0), joints(1.0)
    both = high_energy(fast + slow, fast + slow, 15.0)
    assert both.kept == pytest.approx(1)
    assert both.explained == pytest.approx(1)
    lost = high_energy(slow, fast + slow, 15.0)
    assert lost.kept < 0.01
    assert lost.explained < 0.05
    half = high_energy(0.5 * fast + slow, fast + slow, 15.0)
    assert half.kept == pytest.approx(0.25, abs=0.01)
    wrong = high_energy(joints(6.0, phase=np.pi) + slow, fast + slow, 15.0)
    assert wrong.kept == pytest.approx(1, abs=0.02)
    assert wrong.explained == pytest.approx(-3, abs=0.1)  # as much energy, in the opposite phase
    assert high_energy(slow, slow, 15.0).true < 1e-3 * both.true  # the window keeps slow movement from leaking
    assert (both + lost).true == pytest.approx(2 * both.true)


def test_energy_needs_frames_and_a_rate_that_show_it() -> None:
    with pytest.raises(InputError, match="nothing above 4 Hz"):
        high_energy(joints(1.0), joints(1.0), 8.0)
    with pytest.raises(InputError, match="at least 8 frames, got 5 and 5"):
        high_energy(joints(1.0)[:5], joints(1.0)[:5], 15.0)
    with pytest.raises(InputError, match="60 and 59"):
        high_energy(joints(1.0), joints(1.0)[:59], 15.0)


def test_mutual_information_is_one_for_renamed_labels_and_none_for_unrelated_ones() -> None:
    labels = ["a", "a", "b", "b", "c", "c"]
    assert normalised_mutual_information([7, 7, 1, 1, 4, 4], labels) == pytest.approx(1)
    assert normalised_mutual_information([0, 1] * 3, labels) == pytest.approx(0, abs=1e-9)
    assert normalised_mutual_information([0] * 6, labels) == 0
    # Two clusters of three against three pairs: I = ln 3 - (2/6) ln 2 · 1 …, computed by hand.
    found = normalised_mutual_information([0, 0, 0, 1, 1, 1], labels)
    information = 2 * (2 / 6) * np.log((2 / 6) / (0.5 / 3)) + 2 * (1 / 6) * np.log((1 / 6) / (0.5 / 3))
    assert found == pytest.approx(information / ((np.log(2) + np.log(3)) / 2))
    with pytest.raises(InputError, match="2 and 1"):
        normalised_mutual_information([1, 2], [1])


def test_codes_that_only_tell_clips_apart_agree_with_labels_no_more_than_chance() -> None:
    labels = ["wave", "bow", "run", "sit"] * 6
    own = [np.full(5, k) for k in range(24)]
    alike = [np.full(5, k % 4) for k in range(24)]
    assert nmi_of_clips(own, labels) > 0.5
    assert nmi_above_chance(own, labels) == pytest.approx(0, abs=1e-9)
    assert nmi_of_clips(alike, labels) == pytest.approx(1)
    assert nmi_above_chance(alike, labels) > 0.6


def test_bags_are_shares_of_each_code() -> None:
    assert bags([np.array([0, 2, 2, 2]), np.array([1])], 4).tolist() == [[0.25, 0, 0.75, 0], [0, 1, 0, 0]]


def test_a_linear_probe_finds_what_is_linearly_there_on_rows_it_was_not_fitted_on() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, 20)) * 2

    def rows(count: int) -> tuple[np.ndarray, list[str]]:
        labels = rng.integers(4, size=count)
        return centres[labels] + rng.normal(size=(count, 20)), [f"action {k}" for k in labels]

    train, test = rows(120), rows(80)
    assert linear_probe(*train, *test) > 0.9
    shuffled = list(rng.permutation(train[1]))
    assert linear_probe(train[0], shuffled, *test) < 0.5
    assert linear_probe(*train, test[0], ["never seen"] * 80) == 0


def test_clusters_find_blobs_whatever_the_other_directions_hold() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(5, size=300)
    vectors = rng.normal(size=(5, 40))[truth] * 5 + rng.normal(size=(300, 40))
    clusters = cluster(vectors, 5, directions=8)
    assert normalised_mutual_information(clusters.assign(vectors).tolist(), truth.tolist()) > 0.9
    near = ((clusters.centres[None] - ((vectors - clusters.mean) @ clusters.directions)[:, None]) ** 2).sum(axis=-1)
    assert (clusters.assign(vectors) == near.argmin(axis=1)).all()
    with pytest.raises(InputError, match="3 vectors cannot make 5 clusters"):
        cluster(vectors[:3], 5)


def test_recall_ranks_groups_by_their_best_member() -> None:
    gallery = np.eye(4)[[0, 1, 2, 3, 0]] + 0.0
    groups = ["walk", "run", "sit", "wave", "walk"]
    queries = np.array([[1.0, 0.9, 0, 0], [0.2, 0.3, 0.1, 0]])
    found = recall_at(queries, ["run", "walk"], gallery, groups, (1, 2, 4))
    assert found == {1: 0.0, 2: 1.0, 4: 1.0}
    assert recall_at(np.eye(4), groups[:4], gallery, groups, (1,)) == {1: 1.0}


def test_recall_cannot_be_had_by_calling_everything_alike() -> None:
    same = np.ones((6, 3))
    groups = [f"group {k}" for k in range(6)]
    assert recall_at(same, groups, same, groups, (1, 5)) == {1: 0.0, 5: 0.0}
    with pytest.raises(InputError, match="nothing of 1 groups, such as 'jump'"):
        recall_at(same[:1], ["jump"], same, groups)

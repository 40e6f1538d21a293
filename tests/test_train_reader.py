"""Training the reader: what it is shown, what it may name, halves for cross-fitting, and how scores become actions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motionqa.data.mocap.films import load_bank
from motionqa.data.mocap.packed import load_collections
from motionqa.data.mocap.splits import half_of
from motionqa.data.reading import ReadAction
from motionqa.data.schema import InputError, Segment
from motionqa.encoders.model_dir import load_model_dir
from motionqa.encoders.reader.features import FEATURES
from motionqa.encoders.reader.network import MotionReader
from motionqa.finetune.choose_decoding import Read, choose, found_share
from motionqa.finetune.train_reader import PRESETS, STAND, ReaderTraining, Sequences, hidden, joined, train
from motionqa.tests.mocap_clips import labelled, write_actions

DEBUG: ReaderTraining = PRESETS["debug"][1]


@pytest.fixture(scope="module")
def mocap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_actions(tmp_path_factory.mktemp("mocap") / "utd_mhad.npz")


@pytest.fixture
def config(mocap: Path, tmp_path: Path) -> ReaderTraining:
    return replace(DEBUG, mocap=(mocap,), out=tmp_path / "run")


def test_a_reader_is_trained_and_knows_its_names(config: ReaderTraining) -> None:
    trained = train(config)
    found = load_model_dir(config.out / "model")
    assert isinstance(found.model, MotionReader)
    assert found.model.config.names == trained.config.names
    assert STAND in trained.config.names
    assert "squat" in trained.config.names
    assert str(config.out) not in (config.out / "model" / "config.json").read_text()


def test_a_resumed_run_equals_one_without_a_break(config: ReaderTraining, tmp_path: Path) -> None:
    loop = replace(config.loop, steps=4, warmup=0, schedule="exponential", save_every=2)  # the same rate at any length
    whole = train(replace(config, loop=loop)).state_dict()
    parted = replace(config, out=tmp_path / "parted")
    half = train(replace(parted, loop=replace(loop, steps=2))).state_dict()
    assert any(not torch.equal(whole[k], v) for k, v in half.items())
    for k, v in train(replace(parted, loop=loop)).state_dict().items():
        torch.testing.assert_close(whole[k], v, msg=k)


def test_the_same_step_gives_the_same_batch(config: ReaderTraining) -> None:
    clips = load_collections(config.mocap)
    first, second = Sequences(config, clips, []).batch(3), Sequences(config, clips, []).batch(3)
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b)
    features, real, labels = first
    assert features.shape == (*real.shape, FEATURES)
    assert torch.isfinite(features).all()
    assert (labels[~real] == -1).all()
    assert (labels[real] >= 0).all()


def test_test_people_are_never_shown(config: ReaderTraining) -> None:
    shown = Sequences(config, load_collections(config.mocap), [])
    assert {c.split for c in shown.clips} == {"train"}


def test_halves_share_the_names_and_not_the_people(config: ReaderTraining) -> None:
    clips = load_collections(config.mocap)
    whole = Sequences(config, clips, [])
    halves = [Sequences(replace(config, fold=k), clips, []) for k in (0, 1)]
    assert {h.names for h in halves} == {whole.names}
    assert {half_of(c) for c in halves[0].clips} == {1}
    assert {half_of(c) for c in halves[1].clips} == {0}
    assert sum(len(h.clips) for h in halves) == len(whole.clips)


def test_the_class_changes_in_the_middle_of_the_seam() -> None:
    a, b = np.zeros((20, 3), np.float32), np.ones((20, 3), np.float32)
    for seed in range(8):
        x, y = joined([a, b], [4, 7], np.random.default_rng(seed))
        assert len(x) == len(y)
        assert set(y.tolist()) == {4, 7}
        border = int(np.flatnonzero(y == 7)[0])
        assert (y[:border] == 4).all()
        assert (x[border:, 0] >= 0.5).all()
        assert (x[:border, 0] < 0.5).all()


def test_hips_and_shoulders_are_never_hidden() -> None:
    rng = np.random.default_rng(0)
    sure = [hidden(np.ones((5, 17), np.float32), rng) for _ in range(300)]
    assert all((c[:, [0, 1, 4, 8, 11, 14]] == 1).all() for c in sure)
    assert any((c == 0).any() for c in sure)


def test_films_take_the_names_and_splits_of_their_clips(tmp_path: Path) -> None:
    clips = labelled(takes=1)[:4]
    lengths = [len(c) for c in clips[:3]]
    np.savez(
        tmp_path / "films-0.npz",
        xyz_m=np.concatenate([c.xyz_m + 1 for c in clips[:3]]).astype(np.float32),
        confidence=np.ones((sum(lengths), 17), np.float16),
        offsets=np.cumsum([0, *lengths]),
        clip=np.array([f"{c.source}/{c.clip_id}" for c in clips[:3]]),
    )
    found = load_bank(tmp_path, clips[1:])
    assert [(f.clip_id, f.split) for f in found] == [(c.clip_id, c.split) for c in clips[1:3]]
    np.testing.assert_allclose(found[0].xyz_m, clips[1].xyz_m + 1, atol=1e-5)
    with pytest.raises(InputError, match="film_bank"):
        load_bank(tmp_path / "nothing", clips)


# --------------------------------------------------------------------------------- scores to actions


def read(truth: list[str], seen: list[str], height: float) -> Read:
    """Ten moments of a second each action, scored for what is seen."""
    names = ("squat", "wave", "clap")
    scores = np.concatenate([np.tile(height * np.eye(4)[names.index(s)], (10, 1)) for s in seen])
    borders = np.arange(len(scores) + 1) / 10
    return Read(scores, borders, tuple(Segment(n, float(i), i + 1.0) for i, n in enumerate(truth)), names)


def test_an_action_is_found_where_name_and_time_agree() -> None:
    truth = (Segment("squat", 0.0, 2.0), Segment("wave", 2.0, 4.0))
    right = (ReadAction("squat", 0.0, 2.2, 0.9), ReadAction("wave", 2.2, 4.0, 0.9))
    assert found_share(right, truth) == (2, 2, 2)
    late = (ReadAction("squat", 0.0, 0.8, 0.9), ReadAction("", 0.8, 4.0, 0.2))
    assert found_share(late, truth) == (0, 1, 2)


def test_boastful_scores_are_cooled_and_wrong_names_are_doubted() -> None:
    wrong = [read(["squat", "wave"], ["clap", "clap"], 4.0)] * 3
    right = [read(["squat", "wave"], ["squat", "wave"], 4.0)] * 2
    cool, _ = choose([*right, *wrong])
    assert cool.temperature > 1
    sure, scores = choose(right * 3)
    assert sure.temperature < 1
    assert scores["cross_fitted_f1"] == 1.0

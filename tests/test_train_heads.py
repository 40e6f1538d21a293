"""Finetuning for recognition: what a head is trained on, with which backbone, and what it leaves behind."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motionqa.data.mocap.packed import load_collections
from motionqa.data.schema import InputError
from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.encoders.heads import ActionHead, EmbeddingHead, MotionModel, TemporalTransformer
from motionqa.encoders.model_dir import load_model_dir, save_model_dir
from motionqa.finetune.train_heads import PRESETS, HeadConfig, HeadTraining, build, train
from motionqa.tests.mocap_clips import ACTIONS, write_actions

DEBUG: HeadConfig = PRESETS["debug"][1]


@pytest.fixture(scope="module")
def mocap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_actions(tmp_path_factory.mktemp("mocap") / "utd_mhad.npz")


@pytest.fixture
def config(mocap: Path, tmp_path: Path) -> HeadConfig:
    return replace(DEBUG, mocap=(mocap,), out=tmp_path / "run")


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    return save_model_dir(tmp_path / "backbone", DSTformer(SIZES["debug"]))


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "history.jsonl").read_text().splitlines()]


def test_a_head_for_actions_says_its_classes_and_comes_back_from_disk(config: HeadConfig) -> None:
    trained = train(config)
    found = load_model_dir(config.out / "model")
    assert found.usage == {"task": "utd_mhad", "classes": sorted(ACTIONS), "frames": 8}
    assert found.recipe["loop"]["steps"] == 4
    assert isinstance(found.model, MotionModel)
    assert isinstance(found.model.head, ActionHead)
    joints = torch.randn(2, 8, 17, 3)
    with torch.no_grad():
        assert torch.allclose(found.model(joints), trained.eval()(joints), atol=2e-2)
    assert len(losses(config.out)) == 4
    assert np.isfinite(losses(config.out)).all()


def test_one_shot_trains_unit_vectors_on_known_actions_alone(config: HeadConfig) -> None:
    config = replace(config, task="one_shot")
    train(config)
    found = load_model_dir(config.out / "model")
    assert found.usage["classes"] == ["curl", "jump", "walk", "wave"]  # bend and squat are novel
    assert isinstance(found.model, MotionModel)
    assert isinstance(found.model.head, EmbeddingHead)
    with torch.no_grad():
        assert torch.allclose(found.model(torch.randn(2, 8, 17, 3)).norm(dim=-1), torch.ones(2))
    stage = HeadTraining(config, load_collections(config.mocap))
    for step in range(3):
        labels = Counter(stage.batch(step)[1].tolist())
        assert set(labels.values()) == {2}  # every clip has a partner of its own action
        assert len(labels) == config.batch // 2


def test_the_baseline_without_dstformer_is_trained_on_the_same_batches(config: HeadConfig) -> None:
    train(replace(config, network="transformer"))
    assert isinstance(load_model_dir(config.out / "model").model, TemporalTransformer)
    stages = [
        HeadTraining(replace(config, network=n), load_collections(config.mocap)) for n in ("dstformer", "transformer")
    ]
    assert all(torch.equal(a, b) for a, b in zip(*(s.batch(2) for s in stages), strict=True))


# -------------------------------------------------------------------------------------------- backbones


def test_training_starts_from_the_given_backbone_at_its_own_rate(config: HeadConfig, backbone: Path) -> None:
    given = load_model_dir(backbone).model.state_dict()
    config = replace(config, backbone=backbone)
    start = build(config, 6)
    assert isinstance(start, MotionModel)
    assert all(torch.equal(given[k], v) for k, v in start.backbone.state_dict().items())
    held = train(replace(config, backbone_rate=0.0))
    assert isinstance(held, MotionModel)
    assert all(torch.equal(given[k], v) for k, v in held.backbone.state_dict().items())
    moved = train(replace(config, backbone_rate=1.0, out=config.out.with_name("other")))
    assert isinstance(moved, MotionModel)
    assert not torch.equal(given["norm.weight"], moved.backbone.state_dict()["norm.weight"])


def test_a_backbone_that_is_none_is_refused(config: HeadConfig, tmp_path: Path) -> None:
    head = save_model_dir(tmp_path / "head", TemporalTransformer(3, width=16))
    with pytest.raises(InputError, match=r"TemporalTransformer.*expected a DSTformer"):
        build(replace(config, backbone=head), 6)
    with pytest.raises(InputError, match="no model directory"):
        build(replace(config, backbone=tmp_path / "nothing"), 6)


# --------------------------------------------------------------------------------------------- batches


def test_every_training_clip_is_seen_once_an_epoch_and_no_test_clip_ever(config: HeadConfig) -> None:
    stage = HeadTraining(config, load_collections(config.mocap))
    assert {c.subject for c in stage.task.train} == {"1", "3"}
    count, size = len(stage.task.train), config.batch
    assert count == 12
    order = np.concatenate([stage._shuffled(step) for step in range(2 * count // size)])
    first, second = order[:count], order[count:]
    assert sorted(first) == sorted(second) == list(range(count))
    assert first.tolist() != second.tolist()
    joints, labels = stage.batch(1)
    assert joints.shape == (size, config.frames, 17, 3)
    assert labels.tolist() == [stage.labels[i] for i in order[size : 2 * size]]
    again = HeadTraining(config, load_collections(config.mocap)).batch(1)
    assert torch.equal(joints, again[0])
    assert torch.equal(labels, again[1])


def test_few_labels_are_drawn_by_the_run_s_seed(config: HeadConfig) -> None:
    clips = load_collections(config.mocap)
    recipes = [replace(config, labels=0.5, loop=replace(config.loop, seed=seed)) for seed in (0, 0, 1, 2, 3)]
    few = [[c.clip_id for c in HeadTraining(recipe, clips).task.train] for recipe in recipes]
    assert all(len(ids) == 6 for ids in few)
    assert few[0] == few[1]
    assert any(few[0] != other for other in few[2:])

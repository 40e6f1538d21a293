"""Pretraining: masks and losses as the paper has them, batches in order, and a run from collections to a lifter."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from motionqa.data.detector_noise import load
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.windows import WindowSampler, scored_clips
from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.encoders.lifter import LifterConfig, lift, torch_network
from motionqa.encoders.mlp_lifter import MLPLifter
from motionqa.encoders.model_dir import load_model_dir
from motionqa.finetune.pretrain_dstformer import (
    PRESETS,
    Batch,
    PretrainConfig,
    Pretraining,
    load_clips,
    loss_2d,
    losses_3d,
    masked,
    pretrain,
)
from motionqa.tests.mocap_clips import J, clip, write_actions, write_flat_collection

DEBUG: PretrainConfig = PRESETS["debug"][1]


@pytest.fixture
def mocap(tmp_path: Path) -> Path:
    folder = tmp_path / "mocap"
    folder.mkdir()
    write_actions(folder / "utd_mhad.npz")
    write_flat_collection(folder / "msr_action3d.npz")
    return folder


def batch() -> Batch:
    return Batch.of(WindowSampler([clip("walk"), clip("wave")], None).batch(0, 3, 9))


# ----------------------------------------------------------------------------------------------- masks


def test_joints_and_whole_frames_are_hidden_at_their_rates_with_their_confidence() -> None:
    torch.manual_seed(0)
    full = torch.ones(20, 100, 17, 3)
    hidden = masked(full, 0.05, 0.0) == 0
    assert hidden[..., 0].float().mean() == pytest.approx(0.05, abs=0.01)
    assert torch.equal(hidden[..., 0], hidden[..., 2])
    assert torch.equal(hidden[..., 0], hidden[..., 1])
    frames = (masked(full, 0.0, 0.10) == 0).flatten(2)
    assert frames.all(dim=2).float().mean() == pytest.approx(0.10, abs=0.02)
    assert torch.equal(frames.all(dim=2), frames.any(dim=2))
    both = masked(full, 0.05, 0.10) == 0
    assert both.float().mean() == pytest.approx(1 - 0.95 * 0.9, abs=0.02)
    assert torch.equal(masked(full, 0.0, 0.0), full)
    assert (full == 1).all()  # the batch itself is left alone


# ---------------------------------------------------------------------------------------------- losses


def test_the_truth_costs_nothing() -> None:
    truth = batch()
    assert all(float(v) == pytest.approx(0, abs=1e-6) for v in losses_3d(truth.target_m, truth, 0.5, 20.0).values())


def test_each_loss_sees_its_own_kind_of_error() -> None:
    truth = batch()
    length = float(truth.target_m.norm(dim=-1).mean())
    larger = losses_3d(1.1 * truth.target_m, truth, 0.5, 20.0)
    assert float(larger["position"]) == pytest.approx(0.1 * length, rel=1e-3)
    assert float(larger["scale_free"]) == pytest.approx(0, abs=1e-5)
    beside = losses_3d(truth.target_m + torch.tensor([0.0, 0.0, 0.1]), truth, 0.5, 20.0)
    assert float(beside["position"]) == pytest.approx(0.1, rel=1e-3)
    assert float(beside["velocity"]) == pytest.approx(0, abs=1e-6)
    path = 0.01 * torch.arange(9.0)[None, :, None, None] * torch.tensor([1.0, 0.0, 0.0])
    assert float(losses_3d(truth.target_m + path, truth, 0.5, 20.0)["velocity"]) == pytest.approx(0.01, rel=1e-3)
    total = larger["position"] + 0.5 * larger["scale_free"] + 20.0 * larger["velocity"]
    assert float(larger["loss"]) == pytest.approx(float(total))


def test_joints_that_were_not_measured_cost_nothing_wherever_they_are_put() -> None:
    truth = batch()
    weight = truth.weight.clone()
    weight[:, :, J["left_wrist"]] = 0
    found = truth.target_m.clone()
    found[:, :, J["left_wrist"], 1] += 0.02
    unmeasured = losses_3d(found, replace(truth, weight=weight), 0.0, 20.0)
    assert float(unmeasured["position"]) == pytest.approx(0, abs=1e-6)
    assert float(losses_3d(found, truth, 0.0, 20.0)["position"]) == pytest.approx(0.02 / 17, rel=1e-3)
    flat = replace(truth, target_m=truth.joints2d, weight=weight, flat=True)
    seen = truth.joints2d.clone()
    seen[:, :, J["left_wrist"]] += 3
    assert float(loss_2d(seen, flat)["loss"]) == pytest.approx(0, abs=1e-6)


def test_the_picture_s_loss_knows_neither_scale_nor_depth() -> None:
    truth = batch()
    flat = replace(truth, target_m=truth.joints2d, flat=True)
    deep = torch.cat([truth.joints2d[..., :2], torch.randn(3, 9, 17, 1)], dim=-1)
    for scale in (0.2, 1.0, 5.0):
        assert float(loss_2d(scale * deep, flat)["loss"]) == pytest.approx(0, abs=1e-6)
    wrong = deep + torch.tensor([0.3, -0.2, 0.0]) * torch.randn(3, 9, 17, 1)
    costs = [float(loss_2d(scale * wrong, flat)["loss"]) for scale in (0.2, 1.0, 5.0)]
    assert costs[0] > 0.05
    assert costs == pytest.approx([costs[0]] * 3, rel=1e-3)


def test_losses_have_gradients_even_where_everything_is_found_at_the_pelvis() -> None:
    truth = batch()
    for loss in (lambda x: losses_3d(x, truth, 0.5, 20.0), lambda x: loss_2d(x, replace(truth, flat=True))):
        found = torch.zeros_like(truth.target_m, requires_grad=True)
        loss(found)["loss"].backward()
        assert found.grad is not None
        assert torch.isfinite(found.grad).all()


# --------------------------------------------------------------------------------------------- batches


def stage(mocap: Path, **changes: object) -> Pretraining:
    config = replace(DEBUG, mocap=(mocap,), **changes)
    return Pretraining(config, load_clips(config), load())


def test_windows_grow_and_pictures_alone_come_in_from_a_third_on(mocap: Path) -> None:
    run = stage(mocap)  # 6 steps, windows of 27 from half on, every third batch 2D-only
    batches = [run.batch(step) for step in range(6)]
    assert [b.flat for b in batches] == [False, False, False, True, False, False]
    assert [tuple(b.joints2d.shape[:2]) for b in batches] == [(4, 9)] * 3 + [(2, 27)] * 3
    assert torch.equal(batches[3].target_m[..., :2], batches[3].joints2d[..., :2])
    for step in (1, 3):
        assert torch.equal(run.batch(step).joints2d, batches[step].joints2d)
        assert torch.equal(stage(mocap).batch(step).joints2d, batches[step].joints2d)
    assert not any(stage(mocap, flat_every=0).batch(step).flat for step in range(6))


def test_nothing_is_trained_on_that_is_for_validation_or_testing(mocap: Path) -> None:
    run = stage(mocap)
    clips: list[MocapClip] = load_clips(run.config)
    assert {c.split for c in clips} == {"train", "val", "test"}
    assert {c.split for c in run.sampler.clips} == {"train"}
    assert {c.source for c in run.sampler.clips} == {"utd_mhad"}  # the other one is not to scale
    assert {c.source for c in run.flat} == {"msr_action3d"}
    assert {c.split for c in run.validation} == {"val"}


def test_weights_of_the_loss_grow_and_flat_batches_cost_their_picture(mocap: Path) -> None:
    run, model = stage(mocap), DSTformer(SIZES["debug"])
    config = replace(run.config, loop=replace(run.config.loop, steps=1000), joint_mask=0.0, frame_mask=0.0)
    run = Pretraining(config, load_clips(config), load())
    given = run.batch(0)
    parts: list[dict[str, Tensor]] = [run.losses(model, given, step) for step in (0, 50, 500)]
    for part, grown in zip(parts, (0.0, 0.5, 1.0), strict=True):
        more = grown * (config.n_mpjpe * part["scale_free"] + config.velocity * part["velocity"])
        assert float(part["loss"].detach()) == pytest.approx(float((part["position"] + more).detach()), rel=1e-5)
    assert set(run.losses(model, stage(mocap).batch(3), 500)) == {"loss", "flat"}


def test_recipes_that_can_not_be_are_refused() -> None:
    with pytest.raises(ValueError, match="size is 'huge', expected one of full, lite, small, debug"):
        replace(DEBUG, size="huge")
    with pytest.raises(ValueError, match="amass needs body_model"):
        replace(DEBUG, amass=Path("amass"))


# ------------------------------------------------------------------------------------------ end to end


def test_a_run_gives_a_lifter_that_says_how_it_was_made(mocap: Path, tmp_path: Path) -> None:
    trained = pretrain(replace(DEBUG, mocap=(mocap,), out=tmp_path / "run"))
    found = load_model_dir(tmp_path / "run" / "model")
    assert isinstance(found.model, DSTformer)
    assert found.recipe["loop"]["steps"] == 6
    assert str(mocap) not in json.dumps(found.recipe)  # whose folders they were is nobody's business
    assert found.data["utd_mhad"]["clips"] == 12 - 4  # of 12 by odd subjects, 4 are for validation
    assert found.scores["val_noisy_mpjpe_mm"] > 0
    config = LifterConfig(**found.lifter)
    assert (config.window, config.stride, config.normalisation, config.output) == (27, 9, "pelvis", "metres")
    for name, weight in trained.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], weight.half().float()), name
    ((given, seen),) = scored_clips([clip("wave", fps=30.0)], load())
    lifted = lift(seen.joints2d[..., :2], seen.joints2d[..., 2], given.fps, torch_network(found.model), config)
    assert lifted.shape == seen.target_m.shape
    assert np.isfinite(lifted).all()
    rows = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows if "val_noisy_mpjpe" in r] == [3, 6]
    assert {"val_exact_mpjpe", "val_noisy_acceleration", "val_exact_acceleration"} <= set(rows[-1])
    assert [r["step"] for r in rows if "flat" in r] == [4]
    assert all(np.isfinite(list(r.values())).all() for r in rows)


def test_the_per_frame_baseline_is_trained_on_the_same_windows(mocap: Path, tmp_path: Path) -> None:
    loop = replace(DEBUG.loop, steps=2, validate_every=10)
    config = replace(
        DEBUG, mocap=(mocap,), out=tmp_path / "run", network="mlp", windows=((0.0, 9, 4),), loop=loop, flat_every=0,
        validation_clips=1,
    )  # fmt: skip
    pretrain(config)
    found = load_model_dir(tmp_path / "run" / "model")
    assert isinstance(found.model, MLPLifter)
    assert found.lifter["window"] == 9


def test_a_run_goes_on_from_the_weights_of_another_and_says_so(mocap: Path, tmp_path: Path) -> None:
    first = replace(
        DEBUG, mocap=(mocap,), out=tmp_path / "first", loop=replace(DEBUG.loop, steps=2), validation_clips=1
    )
    pretrain(first)
    before = load_model_dir(tmp_path / "first" / "model")
    still = replace(DEBUG.loop, steps=1, learning_rate=0.0, muon_rate=0.0)
    after = pretrain(replace(first, start=tmp_path / "first" / "model", out=tmp_path / "second", loop=still))
    for name, weight in before.model.state_dict().items():
        assert torch.equal(after.state_dict()[name], weight), name
    assert load_model_dir(tmp_path / "second" / "model").recipe["start"] == before.recipe

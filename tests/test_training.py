"""The training loop: stopped and resumed is the same as never stopped, and a broken run says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from motionqa.data.mocap.windows import Augmentation, WindowSampler
from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.finetune.pretrain_dstformer import Batch, losses_3d
from motionqa.finetune.training import LoopConfig, fit
from motionqa.tests.mocap_clips import clip

CONFIG = LoopConfig(8, learning_rate=0.05, warmup=2, save_every=4, log_every=1, validate_every=3)
WITH_MUON = replace(CONFIG, muon_rate=0.05)


def small() -> nn.Sequential:
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 2))


def batch_at(step: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(step).normal(size=(6, 4)).astype(np.float32))


def loss_of(model: nn.Module, batch: Tensor, step: int) -> dict[str, Tensor]:
    del step
    hidden = torch.rand(batch.shape) < 0.2  # drawn while training, as masks are
    found = model(batch.masked_fill(hidden, 0.0))
    loss = (found - batch[:, :2]).square().mean()
    return {"loss": loss, "twice": 2 * loss.detach()}


def stopped_at(step: int) -> Callable[[int], Tensor]:
    def batches(k: int) -> Tensor:
        if k == step:
            raise KeyboardInterrupt
        return batch_at(k)

    return batches


def train(out: Path, config: LoopConfig, batches: Callable[[int], Tensor] = batch_at) -> dict[str, Tensor]:
    model = small()
    matrices = [p for p in model.parameters() if p.ndim == 2][:1]
    return dict(fit(model, batches, loss_of, config, out, lambda _: {"score": 1.0}, matrices=matrices).state_dict())


def history(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]


def without_times(out: Path) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history(out)]


@pytest.mark.parametrize("config", [CONFIG, WITH_MUON], ids=["AdamW", "Muon"])
def test_a_run_that_was_stopped_and_resumed_is_the_run_that_was_not(tmp_path: Path, config: LoopConfig) -> None:
    through = train(tmp_path / "through", config)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", config, stopped_at(6))  # two steps after the last checkpoint
    parts = train(tmp_path / "parts", config)
    for name, weight in through.items():
        assert torch.equal(weight, parts[name]), name
    untrained = small().state_dict()
    assert all(not torch.equal(untrained[name], weight) for name, weight in through.items())
    # Steps 5 and 6, which were done twice, are told once; times differ.
    assert without_times(tmp_path / "through") == without_times(tmp_path / "parts")


def test_matrices_are_left_to_adamw_where_muon_has_no_rate(tmp_path: Path) -> None:
    plain, muon = train(tmp_path / "a", CONFIG), train(tmp_path / "b", WITH_MUON)
    assert not torch.equal(plain["0.weight"], muon["0.weight"])
    model = small()
    alone = fit(model, batch_at, loss_of, CONFIG, tmp_path / "c").state_dict()
    assert torch.equal(plain["0.weight"], alone["0.weight"])


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    done = train(tmp_path, CONFIG)
    again = train(tmp_path, CONFIG, stopped_at(0))
    assert all(torch.equal(done[k], again[k]) for k in done)


def test_the_history_has_the_means_since_the_last_line_and_the_scores(tmp_path: Path) -> None:
    train(tmp_path, replace(CONFIG, log_every=4))
    rows = history(tmp_path)
    losses = [r for r in rows if "loss" in r]
    assert [r["step"] for r in rows if "val_score" in r] == [3, 6, 8]
    assert losses[0]["step"] in (3, 4)
    assert all(r["twice"] == pytest.approx(2 * r["loss"]) for r in losses)
    assert [r["step"] for r in rows if "lr" in r] == [4, 8]


def test_groups_keep_their_own_rates(tmp_path: Path) -> None:
    model = small()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    groups = [{"params": list(model[0].parameters()), "lr": 0.0}, {"params": list(model[3].parameters()), "lr": 0.1}]
    after = fit(model, batch_at, loss_of, CONFIG, tmp_path, groups=groups).state_dict()
    assert torch.equal(before["0.weight"], after["0.weight"])
    assert (before["3.weight"] - after["3.weight"]).abs().max() > 0.05


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_no_checkpoint_of_it(tmp_path: Path) -> None:
    def breaking(model: nn.Module, batch: Tensor, step: int) -> dict[str, Tensor]:
        losses = loss_of(model, batch, step)
        return losses | {"loss": losses["loss"] * (float("nan") if step == 5 else 1.0)}

    with pytest.raises(FloatingPointError, match="nan at step 5; lower the learning rate"):
        fit(small(), batch_at, breaking, CONFIG, tmp_path)
    assert json.loads((tmp_path / "state" / "step.json").read_text()) == {"step": 4}
    assert [r["step"] for r in history(tmp_path)] == [1, 2, 3, 4, 5]


def test_rates_rise_then_fall() -> None:
    cosine = LoopConfig(110, warmup=10)
    rates = [cosine.rate(s) for s in range(110)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert rates[10] == pytest.approx(1)
    assert rates[60] == pytest.approx(0.5)
    assert rates[-1] < 0.001
    paper = LoopConfig(3000, warmup=0, schedule="exponential", steps_per_epoch=1000)
    assert [paper.rate(s) for s in (0, 999, 1000, 2500)] == pytest.approx([1, 1, 0.99, 0.9801])
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        LoopConfig(0)


@pytest.mark.parametrize("muon_rate", [0.0, 0.02])
def test_a_dstformer_learns_one_batch_by_heart(tmp_path: Path, muon_rate: float) -> None:
    clips = [clip("walk", frames=40), clip("squat", frames=40)]
    batch = Batch.of(WindowSampler(clips, None, Augmentation()).batch(0, 2, 9))
    torch.manual_seed(0)
    model = DSTformer(replace(SIZES["debug"], width=32, initial_std=0.2))

    def losses(network: nn.Module, given: Batch, step: int) -> dict[str, Tensor]:
        del step
        found = network(given.joints2d)
        return losses_3d(found - found[:, :, :1], given, 0.0, 0.0)

    config = LoopConfig(120, 5e-3, muon_rate, 0.0, warmup=10, save_every=1000, log_every=10)
    fit(model, lambda _: batch, losses, config, tmp_path, matrices=model.inner_matrices())
    position = [r["position"] for r in history(tmp_path)]
    assert position[0] > 0.2  # metres
    assert position[-1] < 0.15 * position[0]

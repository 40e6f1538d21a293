"""One short training loop for every stage: Accelerate, AdamW, checkpoints that resume exactly, a history on disk.

A batch is a pure function of its number, so that a run that was stopped and resumed sees what it would have seen.
Several processes (`torchrun` or `accelerate launch`) each draw their own batches of the same step.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn


@dataclass(frozen=True)
class LoopConfig:
    """Steps, optimiser and bookkeeping."""

    steps: int
    learning_rate: float = 5e-4
    muon_rate: float = 0.0
    """Learning rate of the matrices that are given to Muon (Jordan et al., 2024), in AdamW's scale; 0 for AdamW
    throughout, which is the paper's."""
    weight_decay: float = 0.01
    warmup: int = 50
    schedule: Literal["cosine", "linear", "exponential"] = "cosine"
    """How the rate falls after the warm-up; `exponential` is MotionBERT's 0.99 an epoch."""
    decay: float = 0.99
    steps_per_epoch: int = 1000
    clip_norm: float = 1.0
    precision: Literal["no", "bf16"] = "no"
    seed: int = 0
    save_every: int = 500
    validate_every: int = 500
    log_every: int = 50

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")

    def rate(self, step: int) -> float:
        """Share of the learning rate at a step."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.schedule == "exponential":
            return self.decay ** (step // self.steps_per_epoch)
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return max(0.0, 1 - done) if self.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))


def recipe_of(config: Any) -> dict[str, object]:
    """The settings of a stage, for the model's directory: a dataclass without the places of this machine."""
    given = {f.name: getattr(config, f.name) for f in fields(config)}
    return {k: v for k, v in given.items() if not isinstance(v[0] if isinstance(v, tuple) and v else v, Path)}


def fit(
    model: nn.Module,
    batch_at: Callable[[int], Any],
    loss_of: Callable[[nn.Module, Any, int], dict[str, Tensor]],
    config: LoopConfig,
    out: Path,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    groups: Iterable[dict[str, Any]] | None = None,
    matrices: Sequence[nn.Parameter] = (),
) -> nn.Module:
    """The trained model; `out/history.jsonl` holds the curves and `out/state` the newest resumable checkpoint.

    `batch_at(k)` is the k-th batch (tensors, or a dataclass or dict of them are the caller's to move: it gets the
    device from the model), `loss_of` returns named losses with their sum under "loss". `groups` are AdamW's parameter
    groups, with their own "lr" where it differs; `matrices` are those that Muon may train instead.
    """
    accelerator = Accelerator(mixed_precision=config.precision, cpu=not torch.cuda.is_available())
    set_seed(config.seed)
    optimizers = _optimizers(model, config, groups, matrices)
    # A lambda: other callables are pickled into the checkpoint with all they hold.
    schedulers = [torch.optim.lr_scheduler.LambdaLR(o, lambda step: config.rate(step)) for o in optimizers]  # noqa: PLW0108
    model, *optimizers = accelerator.prepare(model, *optimizers)
    accelerator.register_for_checkpointing(*schedulers)
    out.mkdir(parents=True, exist_ok=True)
    first = _resume(accelerator, out)
    log = _History(out / "history.jsonl", accelerator.is_main_process, first)
    for step in range(first, config.steps):
        model.train()
        batch = batch_at(step * accelerator.num_processes + accelerator.process_index)
        with accelerator.autocast():
            losses = loss_of(model, batch, step)
        if not torch.isfinite(losses["loss"]):
            raise FloatingPointError(f"the loss is {losses['loss'].item()} at step {step}; lower the learning rate")
        accelerator.backward(losses["loss"])
        accelerator.clip_grad_norm_(model.parameters(), config.clip_norm)
        for optimizer, scheduler in zip(optimizers, schedulers, strict=True):
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        done = step + 1
        log.add(losses)
        if done % config.log_every == 0:
            log.write(done, {"lr": float(schedulers[0].get_last_lr()[0])})
        if validate and (done % config.validate_every == 0 or done == config.steps):
            model.eval()
            log.write(done, {f"val_{k}": v for k, v in validate(accelerator.unwrap_model(model)).items()})
        if done % config.save_every == 0 or done == config.steps:
            _save(accelerator, out, done)
    return accelerator.unwrap_model(model)


def _optimizers(
    model: nn.Module, config: LoopConfig, groups: Iterable[dict[str, Any]] | None, matrices: Sequence[nn.Parameter]
) -> list[torch.optim.Optimizer]:
    by_muon = {id(p) for p in matrices} if config.muon_rate else set()
    given = list(groups) if groups is not None else [{"params": list(model.parameters())}]
    for group in given:
        group["params"] = [p for p in group["params"] if id(p) not in by_muon]
    adamw = torch.optim.AdamW(given, lr=config.learning_rate, weight_decay=config.weight_decay)
    if not by_muon:
        return [adamw]
    rate, decay = config.muon_rate, config.weight_decay
    return [adamw, torch.optim.Muon(matrices, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")]


def _save(accelerator: Accelerator, out: Path, step: int) -> None:
    """The state beside the old one, then in its place: a run killed while saving keeps the old one."""
    fresh = out / "state.new"
    if accelerator.is_main_process and fresh.exists():
        shutil.rmtree(fresh)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(fresh))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        (fresh / "step.json").write_text(json.dumps({"step": step}))
        if (out / "state").exists():
            shutil.rmtree(out / "state")
        os.replace(fresh, out / "state")
    accelerator.wait_for_everyone()


def _resume(accelerator: Accelerator, out: Path) -> int:
    marker = out / "state" / "step.json"
    if not marker.exists():
        return 0
    accelerator.load_state(str(out / "state"))
    step = json.loads(marker.read_text())["step"]
    accelerator.print(f"resumed at step {step}")
    return int(step)


class _History:
    """Means of the losses since the last line, and validation scores, one JSON object a line."""

    def __init__(self, path: Path, active: bool, first: int) -> None:
        self.path, self.active, self.started = path, active, time.perf_counter()
        self.sums: dict[str, list[float]] = {}
        if active and path.exists():
            kept = [line for line in path.read_text().splitlines() if json.loads(line)["step"] <= first]
            path.write_text("".join(line + "\n" for line in kept))

    def add(self, losses: dict[str, Tensor]) -> None:
        for name, value in losses.items():
            self.sums.setdefault(name, []).append(value.item())

    def write(self, step: int, more: dict[str, float]) -> None:
        means = {k: sum(v) / len(v) for k, v in self.sums.items() if v}
        self.sums.clear()
        row = {"step": step, "seconds": round(time.perf_counter() - self.started, 1), **means, **more}
        if self.active:
            with self.path.open("a") as f:
                f.write(json.dumps(row) + "\n")
            print(" ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True)

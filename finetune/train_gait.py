"""Telling people by their walk, from outlines or depth without flow and with world, local and both flows.

    python -m motionqa.finetune.train_gait cpu --packed PACKED --out RUNS/gait --conditions none world local both

A supervised contrastive loss (as for one-shot actions) draws clips of one person together. Packed CASIA-B trains on
its first 74 people; packed UTD-MHAD on trials 1 and 2 of everybody's walk and jog. `motionqa.eval.gait` scores what
came out; steps are fixed beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from jaxtyping import Int
from torch import Tensor, nn

from motionqa.data.packed_flow import (
    KNOWN_TRIALS,
    WALKS,
    Condition,
    PackedName,
    channel_count,
    claim,
    packed_channels,
    packed_names,
    packing,
)
from motionqa.data.schema import InputError
from motionqa.encoders.flow.heads import FlowGaitNet
from motionqa.encoders.heads import supervised_contrastive
from motionqa.encoders.model_dir import save_model_dir
from motionqa.finetune.flow_views import ViewConfig, viewed
from motionqa.finetune.train_flow_actions import plain_recipe
from motionqa.finetune.training import LoopConfig, fit, recipe_of

Array = np.ndarray

Task = Literal["casia_b", "utd_mhad_walks"]


@dataclass(frozen=True)
class GaitConfig:
    """The recipe; ours."""

    packed: Path
    out: Path
    conditions: tuple[Condition, ...] = ("none", "world", "local", "both")
    seeds: tuple[int, ...] = (0,)
    people: int = 8
    """In a batch."""
    clips_each: int = 4
    embedding: int = 128
    width: int = 128
    first: int = 16
    temperature: float = 0.1
    keep: int = 4000
    """Clips kept in memory at most; those beyond are read anew each time."""
    views: ViewConfig = ViewConfig()
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(500))

    def __post_init__(self) -> None:
        if self.people < 2 or self.clips_each < 2:
            raise ValueError(f"a batch needs 2 people and 2 clips of each, got {self.people} and {self.clips_each}")


def training_clips(names: Sequence[PackedName]) -> tuple[Task, tuple[PackedName, ...]]:
    """Which protocol a folder is for, and the clips that train.

    InputError where there are fewer than two people, or nobody has two clips.
    """
    task: Task = "casia_b" if any(n.split in ("gallery", "probe") or n.view for n in names) else "utd_mhad_walks"
    if task == "casia_b":
        mine = tuple(n for n in names if n.split == "train")
    else:
        mine = tuple(n for n in names if n.label in WALKS and n.take in KNOWN_TRIALS)
    people = {n.subject for n in mine}
    if len(people) < 2 or len(mine) <= len(people):
        raise InputError(
            f"{len(mine)} clips of {len(people)} people are there to learn from, expected two people and more clips "
            "than people; pack walks (UTD-MHAD: walk and jog; CASIA-B: subjects 001 to 074)"
        )
    return task, mine


class GaitTraining:
    """Batches and losses of one condition."""

    def __init__(self, config: GaitConfig, condition: Condition, seed: int) -> None:
        self.config, self.seed = config, seed
        self.condition: Condition = condition
        self.task, self.names = training_clips(packed_names(config.packed))
        people = sorted({n.subject for n in self.names})
        self.labels = np.array([people.index(n.subject) for n in self.names])
        self.kept: dict[int, Array] = {}

    def chosen(self, rng: np.random.Generator) -> Int[Array, "B"]:
        """Several clips of each of several people; a person with fewer clips has some twice, in other views."""
        count = int(self.labels.max()) + 1
        people = rng.permutation(count)[: self.config.people]
        parts = []
        for person in people:
            mine = np.flatnonzero(self.labels == person)
            parts.append(rng.choice(mine, self.config.clips_each, replace=len(mine) < self.config.clips_each))
        return np.concatenate(parts)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, 3, step))
        chosen = self.chosen(rng)
        clips = torch.from_numpy(np.stack([self._clip(int(i)) for i in chosen]))
        return viewed(clips, self.config.views, rng), torch.from_numpy(self.labels[chosen])

    def _clip(self, i: int) -> Array:
        if i in self.kept:
            return self.kept[i]
        clip = packed_channels(self.config.packed, self.names[i].name, self.condition)
        if len(self.kept) < self.config.keep:
            self.kept[i] = clip
        return clip

    def losses(self, model: nn.Module, batch: tuple[Tensor, Tensor], step: int) -> dict[str, Tensor]:
        del step
        device = next(model.parameters()).device
        clips, labels = (x.to(device) for x in batch)
        return {"loss": supervised_contrastive(model(clips).float(), labels, self.config.temperature)}


def train_one(config: GaitConfig, condition: Condition, seed: int) -> nn.Module:
    """The trained network, also written to `config.out/CONDITION-SEED/model`.

    InputError where that folder holds a run of another recipe or of clips packed otherwise.
    """
    torch.manual_seed(seed)
    out = config.out / f"{condition}-{seed}"
    claim(out, "run.json", {"recipe": plain_recipe(config), "packed": packing(config.packed, condition)})
    stage = GaitTraining(config, condition, seed)
    model = FlowGaitNet(channel_count(condition), config.embedding, config.width, config.first)
    model = fit(model, stage.batch, stage.losses, replace(config.loop, seed=seed), out)
    usage = {"task": stage.task, "condition": condition, "steps": config.views.steps}
    data = {"clips": len(stage.names), "people": int(stage.labels.max()) + 1}
    save_model_dir(out / "model", model, usage=usage, recipe=recipe_of(config), data=data)
    return model


def main(config: GaitConfig) -> None:
    """Trains every condition and seed; runs that are done are not repeated, stopped ones go on."""
    for seed in config.seeds:
        for condition in config.conditions:
            train_one(config, condition, seed)
            print(f"{condition} seed {seed}: {config.out / f'{condition}-{seed}' / 'model'}", flush=True)


PRESETS = {
    "debug": (
        "seconds on a processor, to see that everything runs",
        GaitConfig(
            Path("packed"), Path("runs/gait"), people=2, clips_each=2, embedding=8, width=16, first=4,
            views=ViewConfig(steps=4), loop=LoopConfig(4, warmup=1, save_every=2, log_every=1),
        ),
    ),
    "cpu": (
        "about two minutes for each condition and seed on two cores: the walks of UTD-MHAD",
        GaitConfig(
            Path("packed"), Path("runs/gait"),
            loop=LoopConfig(
                400, learning_rate=1e-3, weight_decay=0.05, warmup=40, precision="bf16", save_every=100, log_every=50
            ),
        ),
    ),
    "gpu": (
        "CASIA-B",
        GaitConfig(
            Path("packed"), Path("runs/gait"), clips_each=16, embedding=256, width=256, first=32,
            loop=LoopConfig(20_000, learning_rate=1e-3, weight_decay=0.05, warmup=500, precision="bf16"),
        ),
    ),
}  # fmt: skip

if __name__ == "__main__":
    main(tyro.extras.overridable_config_cli(PRESETS))

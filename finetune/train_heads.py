"""Action recognition on the motion representation (MotionBERT, sections 3.4 and 4.4): finetuning and one-shot.

    python -m motionqa.finetune.train_heads cpu --mocap MOCAP_FOLDER --task utd_mhad --backbone MODEL_FOLDER --out RUN

Without `--backbone` the same network is trained from scratch; `--network transformer` trains the small baseline.
Joints go in as a camera would see them, from random frontal views. The test side is never looked at here: the steps
are fixed beforehand and `motionqa.eval.bench_motionbert` scores what came out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn

from motionqa.data.detector_noise import load
from motionqa.data.mocap.actions import action_task, one_shot_task, training_input, with_share_of_labels
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.packed import load_collections
from motionqa.data.schema import InputError
from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.encoders.heads import ActionHead, EmbeddingHead, MotionModel, TemporalTransformer, supervised_contrastive
from motionqa.encoders.model_dir import load_model_dir, save_model_dir
from motionqa.finetune.training import LoopConfig, fit, recipe_of


@dataclass(frozen=True)
class HeadConfig:
    """The recipe; head sizes, dropout and the two learning rates are the paper's."""

    mocap: tuple[Path, ...]
    out: Path
    task: str = "utd_mhad"
    """A collection's name, or `one_shot` (UTD-MHAD)."""
    backbone: Path | None = None
    """Folder of a pretrained model; trained from scratch without."""
    network: Literal["dstformer", "transformer"] = "dstformer"
    size: str = "full"
    """Used where no backbone is given."""
    labels: float = 1.0
    """Share of the training labels."""
    frames: int = 100
    batch: int = 32
    hidden: int = 2048
    backbone_rate: float = 0.1
    """The backbone's learning rate, as a share of the head's; 1 from scratch."""
    label_smoothing: float = 0.0
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(30_000, learning_rate=1e-3))


class HeadTraining:
    """Batches and losses of a recipe over loaded clips."""

    def __init__(self, config: HeadConfig, clips: Sequence[MocapClip]) -> None:
        self.config = config
        task = one_shot_task(clips).known if config.task == "one_shot" else action_task(clips, config.task)
        self.task = task if config.labels == 1 else with_share_of_labels(task, config.labels, config.loop.seed)
        self.noise = load()
        self.labels = np.array([self.task.index(c) for c in self.task.train])

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.config.loop.seed, step))
        chosen = self._pairs(rng) if self.config.task == "one_shot" else self._shuffled(step)
        inputs = [training_input(self.task.train[i], self.config.frames, self.noise, rng) for i in chosen]
        return torch.from_numpy(np.stack(inputs)), torch.from_numpy(self.labels[chosen])

    def _shuffled(self, step: int) -> np.ndarray:
        """The next clips of an endless sequence of shuffled epochs."""
        size, count = self.config.batch, len(self.labels)
        at = np.arange(step * size, (step + 1) * size)
        orders = {
            e: np.random.default_rng((self.config.loop.seed, 1, int(e))).permutation(count) for e in set(at // count)
        }
        return np.array([orders[e][i] for e, i in zip(at // count, at % count, strict=True)])

    def _pairs(self, rng: np.random.Generator) -> np.ndarray:
        """Two clips of each of several actions, so that each has a partner."""
        actions = rng.permutation(len(self.task.classes))[: self.config.batch // 2]
        return np.concatenate([rng.choice(np.flatnonzero(self.labels == a), 2) for a in actions])

    def losses(self, model: nn.Module, batch: tuple[Tensor, Tensor], step: int) -> dict[str, Tensor]:
        del step
        device = next(model.parameters()).device
        joints, labels = (x.to(device) for x in batch)
        found = model(joints).float()
        if self.config.task == "one_shot":
            return {"loss": supervised_contrastive(found, labels)}
        right = (found.argmax(dim=1) == labels).float().mean().detach()
        return {"loss": F.cross_entropy(found, labels, label_smoothing=self.config.label_smoothing), "accuracy": right}


def build(config: HeadConfig, classes: int) -> nn.Module:
    """The untrained model of a recipe, the backbone loaded where one is given."""
    if config.network == "transformer":
        return TemporalTransformer(classes)
    backbone = load_model_dir(config.backbone).model if config.backbone else DSTformer(SIZES[config.size])
    if not isinstance(backbone, DSTformer):
        raise InputError(
            f"{config.backbone} holds a {type(backbone).__name__}, expected a DSTformer without a head; give the "
            "folder that pretraining wrote"
        )
    sizes = backbone.config.joints, backbone.config.representation
    one_shot = config.task == "one_shot"
    head = EmbeddingHead(*sizes, config.hidden) if one_shot else ActionHead(*sizes, classes, config.hidden)
    return MotionModel(backbone, head)


def train(config: HeadConfig) -> nn.Module:
    """The finetuned model, also written to `config.out/model`."""
    torch.manual_seed(config.loop.seed)
    stage = HeadTraining(config, load_collections(config.mocap))
    model = build(config, len(stage.task.classes))
    groups, matrices, loop = None, (), config.loop
    if isinstance(model, MotionModel):
        share = config.backbone_rate if config.backbone else 1.0
        groups = [
            {"params": list(model.backbone.parameters()), "lr": loop.learning_rate * share},
            {"params": list(model.head.parameters()), "lr": loop.learning_rate},
        ]
        matrices = model.backbone.inner_matrices()
        loop = replace(loop, muon_rate=loop.muon_rate * share)
    model = fit(model, stage.batch, stage.losses, loop, config.out, groups=groups, matrices=matrices)
    about = {"task": config.task, "classes": stage.task.classes, "frames": config.frames}
    save_model_dir(config.out / "model", model, usage=about, recipe=recipe_of(config))
    return model


_SHARED = {"mocap": (Path("mocap"),), "out": Path("runs/heads")}
PRESETS = {
    "debug": (
        "seconds on a processor, to see that everything runs",
        HeadConfig(
            **_SHARED, size="debug", frames=8, batch=4, hidden=16,
            loop=LoopConfig(4, warmup=1, save_every=2, log_every=1),
        ),
    ),
    "cpu": (
        "minutes on two cores: the released heads",
        HeadConfig(
            **_SHARED, size="small", frames=27, hidden=512, backbone_rate=1.0, label_smoothing=0.1,
            loop=LoopConfig(800, learning_rate=1e-3, muon_rate=5e-3, warmup=40, precision="bf16", save_every=100),
        ),
    ),
    "gpu": (
        "the paper's recipe on the full model",
        HeadConfig(**_SHARED, loop=LoopConfig(30_000, learning_rate=1e-3, schedule="exponential", precision="bf16")),
    ),
}  # fmt: skip

if __name__ == "__main__":
    train(tyro.extras.overridable_config_cli(PRESETS))

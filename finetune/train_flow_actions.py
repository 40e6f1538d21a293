"""Action recognition from depth video without flow, with classical flow, with H-MoRe's world, local and both flows.

    python -m motionqa.finetune.train_flow_actions cpu --packed PACKED --out RUNS/depth_actions --seeds 0 1 2

PACKED comes from `motionqa.finetune.depth_flow`. The network, the recipe and the batches are the same for every
condition; only the channels differ. Official cross-subject protocol of UTD-MHAD: odd subjects train, even subjects
test. The steps are fixed beforehand; the test side is looked at once, after the last. `--hold-out s7` scores a subject
of the training side instead, which is how the recipe was chosen. Finished runs are not repeated.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from jaxtyping import Bool, Float
from torch import Tensor, nn

from motionqa.data.packed_flow import FLOWS, Condition, PackedName, channel_count, claim, packed_names, packing
from motionqa.data.schema import InputError
from motionqa.encoders.flow.heads import FlowActionNet
from motionqa.encoders.model_dir import save_model_dir
from motionqa.finetune.flow_views import ViewConfig, load_clips, shown, viewed
from motionqa.finetune.training import LoopConfig, fit, recipe_of

Array = np.ndarray


@dataclass(frozen=True)
class FlowActionConfig:
    """The recipe; ours."""

    packed: Path
    out: Path
    conditions: tuple[Condition, ...] = tuple(FLOWS)
    seeds: tuple[int, ...] = (0,)
    hold_out: tuple[str, ...] = ()
    """Subjects of the training side that are scored instead of the test side."""
    batch: int = 16
    width: int = 128
    first: int = 16
    label_smoothing: float = 0.1
    views: ViewConfig = ViewConfig()
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(800))


@dataclass(frozen=True)
class Sides:
    """Packed clips for training and for scoring."""

    train: tuple[PackedName, ...]
    test: tuple[PackedName, ...]
    classes: tuple[str, ...]

    def labels(self, names: Sequence[PackedName]) -> Array:
        """The class number of each clip."""
        return np.array([self.classes.index(n.label) for n in names])


def sides(names: Sequence[PackedName], hold_out: Sequence[str] = ()) -> Sides:
    """Who trains and who is scored. InputError where a side is empty, or where clips say no side."""
    train = tuple(n for n in names if n.split == "train" and n.subject not in hold_out)
    scored = tuple(n for n in names if (n.subject in hold_out if hold_out else n.split == "test"))
    if hold_out:
        scored = tuple(n for n in scored if n.split == "train")
    if not train or not scored:
        raise InputError(
            f"of {len(names)} packed clips {len(train)} are for training and {len(scored)} for scoring; pack the "
            "clips of all subjects, and hold out subjects of the training side alone"
        )
    return Sides(train, scored, tuple(sorted({n.label for n in names})))


class FlowActionTraining:
    """Batches and losses of one condition."""

    def __init__(self, config: FlowActionConfig, condition: Condition, seed: int) -> None:
        self.config, self.seed = config, seed
        self.sides = sides(packed_names(config.packed), config.hold_out)
        self.clips = load_clips(config.packed, [n.name for n in self.sides.train], condition)
        self.labels = torch.from_numpy(self.sides.labels(self.sides.train))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """The next clips of an endless sequence of shuffled epochs, in new views."""
        size, count = self.config.batch, len(self.clips)
        at = np.arange(step * size, (step + 1) * size)
        orders = {int(e): np.random.default_rng((self.seed, 1, int(e))).permutation(count) for e in set(at // count)}
        chosen = np.array([orders[int(e)][i] for e, i in zip(at // count, at % count, strict=True)])
        rng = np.random.default_rng((self.seed, 2, step))
        return viewed(self.clips[chosen], self.config.views, rng), self.labels[chosen]

    def losses(self, model: nn.Module, batch: tuple[Tensor, Tensor], step: int) -> dict[str, Tensor]:
        del step
        device = next(model.parameters()).device
        clips, labels = (x.to(device) for x in batch)
        found = model(clips).float()
        right = (found.argmax(dim=1) == labels).float().mean().detach()
        return {"loss": F.cross_entropy(found, labels, label_smoothing=self.config.label_smoothing), "accuracy": right}


@torch.inference_mode()
def hits(model: nn.Module, clips: Float[Tensor, "N T C H W"], labels: Array, steps: int) -> Bool[Array, "N"]:
    """For each clip whether the best class is the right one."""
    model.eval()
    device = next(model.parameters()).device
    found = [
        model(shown(clips[k : k + 16], steps).to(device)).argmax(dim=1).cpu().numpy() for k in range(0, len(clips), 16)
    ]
    return np.concatenate(found) == labels


def train_one(config: FlowActionConfig, condition: Condition, seed: int) -> float:
    """The accuracy of one network, trained, scored and kept under `config.out/CONDITION-SEED`.

    InputError where that folder holds a run of another recipe or of clips packed otherwise.
    """
    out = config.out / f"{condition}-{seed}"
    claim(out, "run.json", {"recipe": plain_recipe(config), "packed": packing(config.packed, condition)})
    score = out / "score.json"
    if score.exists():
        return float(json.loads(score.read_text())["accuracy"])
    torch.manual_seed(seed)
    stage = FlowActionTraining(config, condition, seed)
    classes = stage.sides.classes
    model = FlowActionNet(channel_count(condition), len(classes), config.width, config.first)
    model = fit(model, stage.batch, stage.losses, replace(config.loop, seed=seed), out)
    test = stage.sides.test
    clips = load_clips(config.packed, [n.name for n in test], condition)
    right = hits(model, clips, stage.sides.labels(test), config.views.steps)
    result = {"accuracy": float(right.mean()), "n": len(right), "condition": condition, "seed": seed}
    usage = {"task": "utd_mhad_depth", "classes": classes, "steps": config.views.steps, "condition": condition}
    save_model_dir(out / "model", model, usage=usage, recipe=recipe_of(config), scores=result)
    score.write_text(json.dumps(result) + "\n")
    return float(right.mean())


def plain_recipe(config: Any) -> dict[str, Any]:
    """The recipe as json has it, less which conditions and seeds are run."""
    named = {k: v for k, v in recipe_of(config).items() if k not in ("conditions", "seeds")}
    return json.loads(json.dumps(named, default=asdict))


def summarise(out: Path, condition: Condition) -> Path:
    """`out/CONDITION.json`: mean accuracy (a share), test clips, and the accuracy of each seed that was run.

    Said twice, at the top and under the condition's name, so that several files can be read as one table.
    """
    runs = [json.loads(f.read_text()) for f in out.glob(f"{condition}-*/score.json")]
    runs.sort(key=lambda r: r["seed"])
    shares = [r["accuracy"] for r in runs]
    entry = {"accuracy": float(np.mean(shares)), "n": runs[0]["n"], "seeds": shares}
    path = out / f"{condition}.json"
    path.write_text(json.dumps({**entry, "seed_numbers": [r["seed"] for r in runs], condition: entry}, indent=1) + "\n")
    return path


def main(config: FlowActionConfig) -> None:
    """Trains what is not trained yet, seed by seed, and sums up after each."""
    for seed in config.seeds:
        for condition in config.conditions:
            accuracy = train_one(config, condition, seed)
            summarise(config.out, condition)
            print(f"{condition} seed {seed}: {accuracy:.4f}", flush=True)


PRESETS = {
    "debug": (
        "seconds on a processor, to see that everything runs",
        FlowActionConfig(
            Path("packed"), Path("runs/depth_actions"), batch=2, width=16, first=4, views=ViewConfig(steps=4),
            loop=LoopConfig(4, warmup=1, save_every=2, log_every=1),
        ),
    ),
    "cpu": (
        "about two minutes for each condition and seed on two cores that do nothing else",
        FlowActionConfig(
            Path("packed"), Path("runs/depth_actions"),
            loop=LoopConfig(
                800, learning_rate=2e-3, weight_decay=0.05, warmup=50, precision="bf16", save_every=200, log_every=50
            ),
        ),
    ),
}  # fmt: skip

if __name__ == "__main__":
    main(tyro.extras.overridable_config_cli(PRESETS))

"""H-MoRe's training: flow that follows the joints and ends at the outline (arXiv 2504.10676, "Loss & Training").

Film pairs train the skeleton and boundary constraints, as in the paper; drawn puppets with exact flow warm the network
up and keep it exact, which is ours (with `--exact 0` they are held to the constraints like films). The course network Ψ
learns the pelvis' displacement, and on films local flow obeys the skeleton constraint about the pelvis.

    python -m motionqa.finetune.flow_pairs --videos VIDEOS --out FILMS
    python -m motionqa.finetune.pretrain_flow cpu --mocap MOCAP_FOLDER --films FILMS --out RUN
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
import tyro
from jaxtyping import Float
from torch import Tensor, nn

from motionqa.data.kept_films import FilmSampler, film_files
from motionqa.data.mocap.packed import load_collections
from motionqa.data.schema import InputError
from motionqa.data.synthetic.puppet_sampler import PuppetConfig, PuppetSampler
from motionqa.encoders.flow.hmore import FlowConfig, Flows, HMoRe
from motionqa.encoders.flow.losses import FlowLossConfig, boundary_loss, nearest_joint, skeleton_loss
from motionqa.encoders.model_dir import load_model_dir, save_model_dir
from motionqa.finetune.flow_pairs import BONES, FlowBatch, stacked
from motionqa.finetune.training import LoopConfig, fit, recipe_of


@dataclass(frozen=True)
class FlowTrainConfig:
    """The recipe. α, β and the thresholds are the paper's (`FlowLossConfig`); all other weights are ours."""

    mocap: tuple[Path, ...]
    """Packed collections that drive the puppets."""
    out: Path
    start: Path | None = None
    """Folder of a model to go on from."""
    films: Path | None = None
    """Folder of kept films, of which the held-out ones are left alone; puppets alone without."""
    network: FlowConfig = FlowConfig()
    loss: FlowLossConfig = FlowLossConfig()
    puppets: PuppetConfig = PuppetConfig()
    batch: int = 4
    film_every: int = 2
    """Every so many steps a batch is of films, once `film_from` of the steps are done."""
    film_from: float = 0.3
    exact: float = 1.0
    """Weight of the exact flow of puppets on the body."""
    background: float = 0.3
    """Weight of flow outside people, which is wanted to be 0."""
    skeleton: float = 1.0
    boundary: float = 1.0
    """Times α."""
    photometric: float = 0.0
    """Weight of the difference of colours after warping, for the baseline that learns from pixels alone."""
    course: float = 1.0
    decay: float = 0.8
    """Weight of each update against the next (RAFT, section 3.3)."""
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(40_000, learning_rate=1e-4, schedule="exponential"))


class FlowTraining:
    """Batches and losses of a recipe."""

    def __init__(self, config: FlowTrainConfig) -> None:
        self.config = config
        clips = [c for c in load_collections(config.mocap) if c.split == "train"]
        self.puppets = PuppetSampler(clips, config.puppets, config.loop.seed)
        files = film_files(config.films, test=False) if config.films else []
        self.films = FilmSampler(files, config.puppets.size, seed=config.loop.seed) if files else None

    def batch(self, step: int) -> FlowBatch:
        config = self.config
        late = step >= config.film_from * config.loop.steps
        sampler = self.films if self.films and late and step % config.film_every == 0 else self.puppets
        return stacked(sampler.pairs(step, config.batch), config.puppets.people)

    def data(self) -> dict[str, int]:
        """What is learned from: clips of each collection that drives puppets, and films."""
        films = {"films": len(self.films.films)} if self.films else {}
        return {**Counter(c.source for c in self.puppets.clips), **films}

    def losses(self, model: nn.Module, batch: FlowBatch, step: int) -> dict[str, Tensor]:
        del step
        batch = batch.to(next(model.parameters()).device)
        found: Flows = model(batch.first, batch.second, batch.people.masks)
        with torch.autocast(batch.first.device.type, enabled=False):
            return flow_losses(found, batch, self.config)


def flow_losses(found: Flows, batch: FlowBatch, config: FlowTrainConfig) -> dict[str, Tensor]:
    """Every term by name, and their weighted sum under "loss"."""
    body = batch.people.masks.amax(dim=1, keepdim=True)
    terms: dict[str, Tensor] = {"loss": found.world.sum() * 0.0}

    def add(name: str, weight: float, value: Tensor) -> None:
        terms[name] = value.detach()
        terms["loss"] = terms["loss"] + weight * value

    if config.background:
        outside = 1 - F.max_pool2d(body, 5, 1, 2)
        add("background", config.background, _over_rounds(found, lambda flow: _on(outside, flow.abs()), config.decay))
    if (true := batch.flow) is not None and config.exact:
        add("exact", config.exact, _over_rounds(found, lambda flow: _on(body, (flow - true).abs()), config.decay))
        terms["epe"] = _on(body, (found.world - true).norm(dim=1, keepdim=True)).detach()
    else:  # where the flow itself is known, constraints that only come near it would be in the way
        if config.skeleton:
            with torch.no_grad():
                joint, inside = nearest_joint(batch.people, BONES, config.loss)
            world = found.world[:, None].expand_as(joint)
            add("skeleton", config.skeleton, skeleton_loss(world, joint, inside, config.loss)["skeleton"])
            own = joint - batch.trend[..., None, None]
            local = found.world.detach()[:, None] - found.trend[..., None, None]  # trains Ψ; Φ has its own term above
            add("local", config.skeleton, skeleton_loss(local, own, inside, config.loss)["skeleton"])
        if config.boundary:
            add("boundary", config.boundary * config.loss.alpha, boundary_loss(found.world, body[:, 0], config.loss))
    if config.photometric:
        add("photometric", config.photometric, photometric(batch.first, batch.second, found.world))
    if config.course:
        present = batch.people.masks.sum((2, 3)) > 0
        off = (found.trend - batch.trend).abs().sum(dim=-1)
        add("course", config.course, torch.where(present, off, 0.0).sum() / present.sum().clamp(min=1))
    return terms


def _on(weight: Float[Tensor, "B 1 H W"], value: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
    """Mean over the weighted pixels."""
    return (weight * value).sum() / (weight.sum() * value.shape[1]).clamp(min=1)


def _over_rounds(found: Flows, error: Callable[[Tensor], Tensor], decay: float) -> Float[Tensor, ""]:
    """Errors of all updates, later ones more."""
    rounds = found.rounds
    weights = [decay ** (len(rounds) - 1 - i) for i in range(len(rounds))]
    return torch.stack([w * error(r) for w, r in zip(weights, rounds, strict=True)]).sum() / sum(weights)


def photometric(
    first: Float[Tensor, "B 3 H W"], second: Float[Tensor, "B 3 H W"], flow: Float[Tensor, "B 2 H W"]
) -> Float[Tensor, ""]:
    """Charbonnier difference of the first picture and the second warped back, with smooth flow away from edges."""
    from motionqa.encoders.flow.raft import places

    at = places(flow) + flow
    size = flow.new_tensor([flow.shape[-1] - 1, flow.shape[-2] - 1])[None, :, None, None]
    grid = (2 * at / size - 1).permute(0, 2, 3, 1)
    inside = (grid.abs() <= 1).all(dim=-1)[:, None]
    warped = F.grid_sample(second, grid, align_corners=True)
    colour = torch.where(inside, ((first - warped).square() + 1e-6).sqrt(), 0.0).mean()
    smooth = flow.new_zeros(())
    for axis in (-1, -2):
        edge = (-10 * first.diff(dim=axis).abs().mean(dim=1, keepdim=True)).exp()
        smooth = smooth + (edge * flow.diff(dim=axis).abs()).mean()
    return colour + 0.02 * smooth


def train(config: FlowTrainConfig) -> HMoRe:
    """The trained networks, also written to `config.out/model`."""
    torch.manual_seed(config.loop.seed)
    stage = FlowTraining(config)
    model = fit(_untrained(config), stage.batch, stage.losses, config.loop, config.out)
    assert isinstance(model, HMoRe)
    save_model_dir(config.out / "model", model, recipe=recipe_of(config), data=stage.data())
    return model


def _untrained(config: FlowTrainConfig) -> HMoRe:
    if config.start is None:
        return HMoRe(config.network)
    model = load_model_dir(config.start).model
    if not isinstance(model, HMoRe):
        raise InputError(f"{config.start} holds a {type(model).__name__}, expected an HMoRe")
    return model


_SHARED = {"mocap": (Path("mocap"),), "out": Path("runs/flow")}
PRESETS = {
    "debug": (
        "seconds on a processor, to see that everything runs",
        FlowTrainConfig(
            **_SHARED, batch=1, puppets=PuppetConfig((64, 64)), network=FlowConfig(updates=2, trend_width=32),
            loop=LoopConfig(4, warmup=1, save_every=2, log_every=1),
        ),
    ),
    "cpu-small": (
        "half an hour on one core: a warm-up on small drawn people",
        FlowTrainConfig(
            **_SHARED, batch=6, puppets=PuppetConfig((128, 128)), network=FlowConfig(updates=6),
            loop=LoopConfig(2500, learning_rate=5e-4, warmup=100, precision="bf16", save_every=200),
        ),
    ),
    "cpu": (
        "half an hour on one core, with --start RUN/model of the warm-up: larger people, and films",
        FlowTrainConfig(
            **_SHARED, network=FlowConfig(updates=6), background=1.0, film_from=0.35,
            loop=LoopConfig(1500, learning_rate=4e-4, warmup=100, precision="bf16", save_every=200),
        ),
    ),
    "photometric": (
        "the baseline: the same network from pixels alone",
        FlowTrainConfig(
            **_SHARED, network=FlowConfig(updates=6), exact=0.0, background=0.0, skeleton=0.0, boundary=0.0, course=0.0,
            photometric=1.0, film_from=0.0,
            loop=LoopConfig(300, learning_rate=4e-4, warmup=100, precision="bf16", save_every=200),
        ),
    ),
    "constraints": (
        "for the ablation, with --start of trained flow: the two constraints alone, nothing exact",
        FlowTrainConfig(
            **_SHARED, network=FlowConfig(updates=6), exact=0.0, background=1.0, film_from=0.0,
            loop=LoopConfig(250, learning_rate=2e-4, warmup=25, precision="bf16", save_every=50),
        ),
    ),
    "gpu": (
        "the paper's 8 epochs of 64 pairs",
        FlowTrainConfig(
            **_SHARED, batch=64, puppets=PuppetConfig((256, 256)), network=FlowConfig(updates=12),
            loop=LoopConfig(
                8 * 1000, learning_rate=1e-4, schedule="exponential", steps_per_epoch=1000, decay=0.9, precision="bf16"
            ),
        ),
    ),
}  # fmt: skip

if __name__ == "__main__":
    train(tyro.extras.overridable_config_cli(PRESETS))

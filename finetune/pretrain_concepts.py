"""HuMoCon's pretraining: motion and video concepts, trained with all five terms (arXiv 2505.20920, "Loss & Training").

    python -m motionqa.finetune.concept_features --mocap MOCAP_FOLDER --videos DEPTH_FOLDER --out FEATURES
    python -m motionqa.finetune.pretrain_concepts cpu --features FEATURES --out RUNS/full-0
    python -m motionqa.finetune.pretrain_concepts cpu --ablation plain --features FEATURES --out RUNS/plain-0

loss = rec_motion + rec_video + λ_dis · dis + λ_act · act + λ_align · align, each of them switched off by a weight of 0.
The paper does not publish its weights, so all are ours. Beside the five stand the codebooks' commitment and, because a
velocity kept in the codes is of no use where nobody asks for it back, the decoded motion's own velocity (`speed`): it
goes with the velocity terms in every ablation. Clips without video train all terms of motion but the alignment. With
several processes the codes follow the first one's batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from torch import Tensor, nn

from motionqa.data.concept_pairs import ConceptBatch, ConceptClip, ConceptSampler, load_part
from motionqa.data.mocap.sources import terms_of
from motionqa.data.pose_metrics import mpjpe_mm
from motionqa.data.schema import InputError
from motionqa.encoders.concepts.humocon import ConceptInputs, HuMoCon, HuMoConConfig, Terms
from motionqa.encoders.concepts.informativeness import ConceptConfig
from motionqa.encoders.concepts.motion_vq import MotionVQConfig
from motionqa.encoders.concepts.quantizer import QuantizerConfig, code_usage
from motionqa.encoders.concepts.track import decode_motion, encode_motion, encode_video, motion_of, video_of
from motionqa.encoders.concepts.video_vq import VideoVQConfig
from motionqa.encoders.model_dir import save_model_dir
from motionqa.finetune.training import LoopConfig, fit

ABLATIONS: dict[str, dict[str, float]] = {
    "full": {},
    "plain": {"discriminative": 0, "actionable": 0, "speed": 0, "align": 0, "mask": 0},
    "no_velocity": {"discriminative": 0, "actionable": 0, "speed": 0},
    "no_actionable": {"actionable": 0, "speed": 0},
    "no_discriminative": {"discriminative": 0},
    "no_speed": {"speed": 0},
    "no_mask": {"mask": 0},
    "no_alignment": {"align": 0},
    "no_unpaired": {"others": 0},
}
"""Settings that differ from the full recipe. `no_velocity` is the paper's ablation without both velocity terms;
`no_actionable` keeps the discriminative one; `no_speed` drops only what is ours."""

Ablation = Literal[
    "full", "plain", "no_velocity", "no_actionable", "no_discriminative", "no_speed", "no_mask", "no_alignment",
    "no_unpaired",
]  # fmt: skip


@dataclass(frozen=True)
class ConceptTrainConfig:
    """The recipe."""

    features: Path
    """Folder that `motionqa.finetune.concept_features` wrote."""
    out: Path
    ablation: Ablation = "full"
    """Switches terms off, whatever their weights are."""
    network: HuMoConConfig = HuMoConConfig()
    pairs: int = 16
    """Windows with their video a step."""
    others: int = 32
    """Windows of motion alone a step."""
    motion: float = 1.0
    video: float = 1.0
    speed: float = 0.2
    discriminative: float = 0.1
    actionable: float = 0.2
    align: float = 0.2
    commitment: float = 0.1
    mask: float = 0.15
    """Share of quantised features that the decoders do not see."""
    continuous: float = 0.05
    """Share of the steps before the codebooks start. Codes placed on the latents of an untrained encoder are soon a
    handful: after 40 steps 11 of 512 were in even use. Ours."""
    started_from: int = 6
    """The codebooks start from so many vectors a code, by k-means."""
    validation_clips: int = 48
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(8000, learning_rate=1e-3))

    def __post_init__(self) -> None:
        if not 0 <= self.continuous < 1:
            raise ValueError(f"continuous must be at least 0 and below 1, got {self.continuous}")
        if not 0 <= self.mask < 1:
            raise ValueError(f"mask must be at least 0 and below 1, got {self.mask}")
        if self.pairs < 0 or self.others < 0 or self.pairs + self.others == 0:
            raise ValueError(f"expected some windows a step, got {self.pairs} pairs and {self.others} others")

    def ablated(self) -> ConceptTrainConfig:
        """The recipe with its ablation carried out."""
        changes = dict(ABLATIONS[self.ablation])
        return replace(self, **changes)  # type: ignore[arg-type]


def weight_of(term: str, config: ConceptTrainConfig) -> float:
    """The weight of one of the model's terms; 0 for what is only watched."""
    which, _, kind = term.partition("_")
    if term == "align":
        return config.align
    own = {"motion": config.motion, "video": config.video}.get(which, 0.0)
    of_kind = {
        "rec": 1.0,
        "speed": config.speed,
        "dis": config.discriminative,
        "act": config.actionable,
        "commit": config.commitment,
    }
    return own * of_kind.get(kind, 0.0)


def as_inputs(batch: ConceptBatch) -> ConceptInputs:
    """A batch as tensors."""
    seen, flow = (None if x is None else torch.from_numpy(np.ascontiguousarray(x)) for x in (batch.seen, batch.flow))
    motion = (torch.from_numpy(x) for x in (batch.features, batch.joints_m, batch.measured))
    return ConceptInputs(*motion, seen=seen, flow=flow, pairs=batch.pairs)


class ConceptTraining:
    """Batches, losses and validation of a recipe over kept features."""

    def __init__(self, config: ConceptTrainConfig) -> None:
        self.config = config = config.ablated()
        train = load_part(config.features, "train")
        if config.pairs and not any(c.has_video for c in train):
            raise InputError(
                f"{config.features} has no videos, so there are no pairs; make the features with --videos, or train "
                "with --pairs 0"
            )
        kept = train if config.others else [c for c in train if c.has_video]
        self.sampler = ConceptSampler(config.features, kept, config.network.window, config.loop.seed)
        self.sources = data_of(kept)
        try:
            held_out = load_part(config.features, "val")
        except InputError:
            held_out = []
        self.validation = held_out[: config.validation_clips]
        self.terms = Terms(
            config.discriminative > 0, config.actionable > 0, config.align > 0 and config.pairs > 1, config.mask
        )

    def batch(self, step: int) -> ConceptInputs:
        return as_inputs(self.sampler.batch(step, self.config.pairs, self.config.others))

    def losses(self, model: nn.Module, inputs: ConceptInputs, step: int) -> dict[str, Tensor]:
        """Every term by name, their weighted sum under "loss", and the codebooks' use of late."""
        bare: Any = getattr(model, "module", model)  # several processes wrap it
        started = bare.motion.quantizer.started
        if not started and step >= round(self.config.continuous * self.config.loop.steps):
            self.start(bare)
            started = True
        how = replace(self.terms, quantise=started)
        terms: dict[str, Tensor] = model(inputs.to(next(model.parameters()).device), how)
        weighted = [w * v for k, v in terms.items() if (w := weight_of(k, self.config))]
        watched: dict[str, Tensor] = {}
        for which in ("motion", "video"):
            usage = getattr(bare, which).quantizer.running_usage()
            watched[f"{which}_used"], watched[f"{which}_perplexity"] = torch.tensor([usage.used, usage.perplexity])
        loss = torch.stack(weighted).sum()
        if bare is not model:  # several processes wait for gradients of everything, also of what no term uses yet
            loss = loss + 0.0 * torch.stack([p.sum() for p in bare.parameters()]).sum()
        return {"loss": loss, **{k: v.detach() for k, v in terms.items()}, **watched}

    def centre(self, model: HuMoCon, windows: int = 512) -> None:
        """Tells the encoders what features, joints and frames usually are, from random training windows."""
        size = max(1, self.config.pairs + self.config.others)
        found = [self.sampler.batch(step, 0, size) for step in range(-(-windows // size))]
        features, joints = (
            torch.from_numpy(np.concatenate([getattr(b, name)[:, ::4] for b in found])).flatten(0, 1)
            for name in ("features", "joints_m")
        )
        model.motion.centre(features, joints)
        if self.config.pairs:
            seen = [self.sampler.batch(step, size, 0).seen for step in range(-(-windows // size))]
            model.video.centre(torch.from_numpy(np.concatenate([s for s in seen if s is not None])).flatten(0, 1))

    def start(self, model: HuMoCon) -> None:
        """Places the codebooks' codes by k-means over latents of training windows."""
        found: dict[str, list[Tensor]] = {"motion": [], "video": []}
        wanted = {k: self.config.started_from * getattr(model, k).config.quantizer.codes for k in found}
        if not self.config.pairs:
            del found["video"]
        was_training = model.training
        model.eval()
        step = -1
        with torch.no_grad():
            while any(sum(len(v) for v in found[k]) < wanted[k] for k in found):
                step += 1
                inputs = self.batch(step)
                for which, latents in _latents(model, inputs).items():
                    found[which].append(latents.flatten(0, 1))
        for which, vectors in found.items():
            getattr(model, which).quantizer.start(torch.cat(vectors))
        if not self.config.pairs:
            model.video.quantizer.start(torch.randn(wanted["video"], model.video.config.quantizer.width))
        model.train(was_training)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Reconstruction of held-out clips from their codes, and how many that took; empty before there are codes."""
        assert isinstance(model, HuMoCon)
        if not model.motion.quantizer.started:
            return {}
        return held_out_scores(model, self.validation, self.config.features)


def _latents(model: HuMoCon, inputs: ConceptInputs) -> dict[str, Tensor]:
    device = next(model.parameters()).device
    inputs = inputs.to(device)
    out = {}
    if inputs.features is not None:
        out["motion"] = model.motion.latents(model.motion.states(inputs.features))
    if inputs.seen is not None:
        out["video"] = model.video.latents(model.video.states(inputs.seen, inputs.flow))
    return out


def held_out_scores(model: HuMoCon, clips: Sequence[ConceptClip], folder: Path) -> dict[str, float]:
    """MPJPE in mm of motion decoded from its codes, and usage of both codebooks; empty without clips."""
    errors, codes = [], {"motion": [torch.zeros(0, dtype=torch.long)], "video": [torch.zeros(0, dtype=torch.long)]}
    for clip in clips:
        track = encode_motion(model, motion_of(clip))
        decoded = decode_motion(model, track.vectors)[: len(clip)]
        errors.append(mpjpe_mm(decoded, clip.joints_m))
        codes["motion"].append(torch.from_numpy(track.codes))
        if clip.has_video:
            codes["video"].append(torch.from_numpy(encode_video(model, video_of(folder, clip)).codes))
    scores = {"mpjpe_mm": float(np.concatenate(errors).mean())} if errors else {}
    for which, found in codes.items():
        usage = code_usage(getattr(model, which).quantizer.counts(found))
        if usage.perplexity:
            scores |= {f"{which}_used": usage.used, f"{which}_perplexity": usage.perplexity}
    return scores


def data_of(clips: Sequence[ConceptClip]) -> dict[str, dict[str, object]]:
    """Per collection: different clips, how many of them with video, minutes over all views, and terms."""
    out: dict[str, dict[str, object]] = {}
    for source in sorted({c.source for c in clips}):
        of = [c for c in clips if c.source == source]
        out[source] = {
            "clips": len({c.name for c in of}),
            "with_video": len({c.name for c in of if c.has_video}),
            "minutes": round(sum(len(c) for c in of) / 15 / 60, 1),
            "terms": terms_of(source),
        }
    return out


def train(config: ConceptTrainConfig) -> HuMoCon:
    """The trained model, also written to `config.out/model`. A run that was stopped goes on where it was."""
    torch.manual_seed(config.loop.seed)
    stage = ConceptTraining(config)
    model = HuMoCon(config.network)
    stage.centre(model)
    trained = fit(model, stage.batch, stage.losses, config.loop, config.out, stage.validate)
    assert isinstance(trained, HuMoCon)
    usage = {"ablation": config.ablation, "fps": config.network.fps, "window": config.network.window}
    scores = {f"val_{k}": round(v, 4) for k, v in stage.validate(trained).items()}
    save_model_dir(
        config.out / "model", trained, usage=usage, recipe=_recipe(stage.config), data=stage.sources, scores=scores
    )
    return trained


def _recipe(config: ConceptTrainConfig) -> dict[str, Any]:
    """The settings without the places of this machine; sizes stand in the model's own configuration."""
    given = {f.name: getattr(config, f.name) for f in fields(config)}
    return {k: v for k, v in given.items() if k not in ("features", "out", "network")}


SMALL = HuMoConConfig(
    motion=MotionVQConfig(joint_width=4, state=8, width=16, quantizer=QuantizerConfig(16, 8)),
    video=VideoVQConfig(frame_width=8, state=8, width=16, quantizer=QuantizerConfig(16, 8)),
    concept=ConceptConfig(vector=8, sampled=4, width=16, depth=1, heads=2),
    window=8,
)
"""A network for tests and `debug`."""

_SHARED: dict[str, Any] = {"features": Path("features"), "out": Path("runs/concepts")}
PRESETS = {
    "debug": (
        "seconds on a processor, to see that everything runs",
        ConceptTrainConfig(
            **_SHARED, network=SMALL, pairs=2, others=2, validation_clips=2,
            loop=LoopConfig(4, save_every=2, validate_every=2, warmup=1, log_every=1),
        ),
    ),
    "cpu": (
        "twelve minutes on one core: the released weights",
        ConceptTrainConfig(
            **_SHARED,
            continuous=0.08,
            loop=LoopConfig(
                2000, learning_rate=1e-3, weight_decay=1e-3, warmup=100, precision="bf16", save_every=250,
                validate_every=500,
            ),
        ),
    ),
    "gpu": (
        "larger batches for longer, with frames and windows as they are",
        ConceptTrainConfig(
            **_SHARED, pairs=128, others=256,
            loop=LoopConfig(
                20_000, learning_rate=1e-3, weight_decay=1e-3, warmup=500, precision="bf16", save_every=1000,
                validate_every=2000,
            ),
        ),
    ),
}  # fmt: skip

if __name__ == "__main__":
    train(tyro.extras.overridable_config_cli(PRESETS))

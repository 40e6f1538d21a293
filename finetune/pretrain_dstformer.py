"""MotionBERT's pretraining: recover 3D motion from noisy, masked 2D (arXiv 2210.06551, section 3.3).

Motion capture is filmed by random virtual cameras, through a detector's measured errors, with joints and whole frames
masked, and the network recovers the joints in space. From a third of the way on, one batch in several has only 2D
(image positions, weighted by their confidence), as in the paper's curriculum.

    python -m motionqa.finetune.pretrain_dstformer cpu --mocap MOCAP_FOLDER --out RUN_FOLDER

Where this differs from the paper: pinhole views at a person's distance instead of orthographic ones; noise measured on
BlazePose (`motionqa.data.detector_noise`) instead of the paper's; inputs in body sizes about the pelvis and outputs in
metres; and in the presets for a processor windows of 9 frames first and of 27 later, a cosine schedule, Muon for the
inner matrices, and a velocity weight of 4 instead of 20.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from jaxtyping import Float
from torch import Tensor, nn

from motionqa.data.detector_noise import DetectorNoise, load
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.packed import load_collections
from motionqa.data.mocap.read_report import ReadReport
from motionqa.data.mocap.sources import collections_of
from motionqa.data.mocap.windows import LiftingWindow, WindowSampler, flat_window, scored_clips
from motionqa.data.pose_metrics import acceleration_error_mm, mpjpe_mm
from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.encoders.lifter import LifterConfig, lift, torch_network
from motionqa.encoders.mlp_lifter import MLPLifter
from motionqa.encoders.model_dir import load_model_dir, save_model_dir
from motionqa.finetune.training import LoopConfig, fit, recipe_of


@dataclass(frozen=True)
class PretrainConfig:
    """The recipe; loss weights and mask rates are the paper's."""

    mocap: tuple[Path, ...]
    """Packed collections, or folders of them."""
    out: Path
    amass: Path | None = None
    """Folder of AMASS, with `body_model`."""
    body_model: Path | None = None
    human36m: Path | None = None
    start: Path | None = None
    """Folder of a model to go on from, on a schedule of this run's own; sizes are that model's."""
    network: Literal["dstformer", "mlp"] = "dstformer"
    """`mlp` trains the per-frame baseline on the same windows."""
    size: str = "full"
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(90_000))
    windows: tuple[tuple[float, int, int], ...] = ((0.0, 243, 64),)
    """From which share of the steps on: frames a window, windows a batch."""
    joint_mask: float = 0.05
    frame_mask: float = 0.10
    n_mpjpe: float = 0.5
    velocity: float = 20.0
    """The paper's, for metres a frame at 50 frames a second; the same physical weight at 15 is 6."""
    grow: float = 0.1
    """Share of the steps over which the scale-free and velocity weights grow from 0. At full weight from the start the
    gradient of the scale-free loss, large while positions are small, and the velocity's, least for a body held still,
    keep a short run at zero (measured: mean position error 0.40 m for 300 steps). Ours."""
    flat_from: float = 1 / 3
    """Share of the steps after which 2D-only batches begin."""
    flat_every: int = 8
    """Every so many steps a batch is 2D-only; 0 for none."""
    validation_clips: int = 40

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise ValueError(f"size is {self.size!r}, expected one of {', '.join(SIZES)}")
        if (self.amass is None) != (self.body_model is None):
            raise ValueError("amass needs body_model, the SMPL-H file that AMASS is read with, and the reverse")


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows stacked into tensors."""

    joints2d: Float[Tensor, "B T 17 3"]
    target_m: Float[Tensor, "B T 17 3"]
    weight: Float[Tensor, "B T 17"]
    flat: bool = False
    """True where only the image plane of the target counts, up to scale."""

    @classmethod
    def of(cls, windows: Sequence[LiftingWindow], flat: bool = False) -> Batch:
        stacked = (np.stack([getattr(w, n) for w in windows]) for n in ("joints2d", "target_m", "weight"))
        return cls(*(torch.from_numpy(x) for x in stacked), flat=flat)

    def to(self, device: torch.device) -> Batch:
        return Batch(self.joints2d.to(device), self.target_m.to(device), self.weight.to(device), self.flat)


def masked(joints2d: Float[Tensor, "B T 17 3"], joint_mask: float, frame_mask: float) -> Float[Tensor, "B T 17 3"]:
    """The input with random joints of random frames, and whole frames, set to zero: position and confidence."""
    b, t, j, _ = joints2d.shape
    hidden = torch.rand(b, t, j, 1, device=joints2d.device) < joint_mask
    hidden |= torch.rand(b, t, 1, 1, device=joints2d.device) < frame_mask
    return joints2d.masked_fill(hidden, 0.0)


def losses_3d(
    found: Float[Tensor, "B T 17 3"], batch: Batch, n_mpjpe: float, velocity_weight: float
) -> dict[str, Tensor]:
    """Position, scale-free position and velocity losses, metres (section 3.3, equations 6 to 8)."""
    weight = batch.weight / batch.weight.mean().clamp(min=1e-6)
    position = (weight * (found - batch.target_m).norm(dim=-1)).mean()
    scale = (found * batch.target_m).sum((2, 3), keepdim=True) / found.square().sum((2, 3), keepdim=True).clamp(
        min=1e-6
    )
    scale_free = (weight * (scale * found - batch.target_m).norm(dim=-1)).mean()
    moved, truly_moved = found.diff(dim=1), batch.target_m.diff(dim=1)
    velocity = (weight[:, 1:] * (moved - truly_moved).norm(dim=-1)).mean()
    total = position + n_mpjpe * scale_free + velocity_weight * velocity
    return {"loss": total, "position": position, "scale_free": scale_free, "velocity": velocity}


def loss_2d(found: Float[Tensor, "B T 17 3"], batch: Batch) -> dict[str, Tensor]:
    """Distance in the image plane from the detected joints, weighted by their confidence (section 3.3, equation 9).

    The window's best scale from metres to body sizes is taken first; perspective within a body is neglected.
    """
    seen, plane = batch.target_m[..., :2], found[..., :2]
    weight = batch.weight[..., None]
    scale = (weight * plane * seen).sum((1, 2, 3), keepdim=True)
    scale = scale / (weight * plane.square()).sum((1, 2, 3), keepdim=True).clamp(min=1e-6)
    flat = (batch.weight * (scale * plane - seen).norm(dim=-1)).sum() / batch.weight.sum().clamp(min=1e-6)
    return {"loss": flat, "flat": flat}


class Pretraining:
    """Batches and losses of a recipe over loaded clips."""

    def __init__(self, config: PretrainConfig, clips: Sequence[MocapClip], noise: DetectorNoise) -> None:
        self.config = config
        train = [c for c in clips if c.split == "train"]
        self.sampler = WindowSampler([c for c in train if c.metric], noise, seed=config.loop.seed)
        # Image positions alone: collections that are not to scale, as filmed.
        self.flat = [c for c in train if not c.metric and len(c) >= 27] if config.flat_every else []
        self.validation = [c for c in clips if c.split == "val" and c.metric][::3][: config.validation_clips]
        self.noise = noise

    def batch(self, step: int) -> Batch:
        share = step / self.config.loop.steps
        _, frames, size = max(w for w in self.config.windows if w[0] <= share)
        if self.flat and share >= self.config.flat_from and step % self.config.flat_every == 0:
            return self._flat_batch(step, size)
        return Batch.of(self.sampler.batch(step, size, frames))

    def _flat_batch(self, step: int, size: int) -> Batch:
        rng = np.random.default_rng((self.config.loop.seed, step))
        windows = [flat_window(self.flat[i], 27, rng) for i in rng.integers(len(self.flat), size=size)]
        return Batch.of(windows, flat=True)

    def losses(self, model: nn.Module, batch: Batch, step: int) -> dict[str, Tensor]:
        config = self.config
        batch = batch.to(next(model.parameters()).device)
        joints = masked(batch.joints2d, config.joint_mask, config.frame_mask)
        found = model(joints).float()
        found = found - found[:, :, :1]
        if batch.flat:
            return loss_2d(found, batch)
        grown = min(1.0, step / max(1.0, config.grow * config.loop.steps))
        return losses_3d(found, batch, grown * config.n_mpjpe, grown * config.velocity)

    def validate(self, model: nn.Module) -> dict[str, float]:
        """MPJPE and acceleration error over whole validation clips, from noisy and from exact 2D, mm."""
        network = torch_network(model)
        window = max(frames for _, frames, _ in self.config.windows)
        settings = LifterConfig(window=window, stride=max(1, window // 2), flip=False, phases=1)
        scores: dict[str, float] = {}
        for name, noise in (("noisy", self.noise), ("exact", None)):
            errors, jerks = [], []
            for clip, seen in scored_clips(self.validation, noise):
                found = lift(seen.joints2d[..., :2], seen.joints2d[..., 2], clip.fps, network, settings)
                errors.append(mpjpe_mm(found, seen.target_m))
                jerks.append(acceleration_error_mm(found, seen.target_m))
            scores[f"{name}_mpjpe"] = float(np.concatenate(errors).mean())
            scores[f"{name}_acceleration"] = float(np.concatenate(jerks).mean())
        return scores


def load_clips(config: PretrainConfig) -> list[MocapClip]:
    """Every clip the recipe names."""
    clips = load_collections(config.mocap)
    if config.amass and config.body_model:
        from motionqa.data.mocap.amass import load_amass

        report = ReadReport("amass")
        clips += load_amass(config.amass, config.body_model, report)
        print(report)
    if config.human36m:
        from motionqa.data.mocap.human36m import load_human36m

        report = ReadReport("human36m")
        clips += load_human36m(config.human36m, report, every=2)
        print(report)
    return clips


def pretrain(config: PretrainConfig) -> nn.Module:
    """The pretrained network, also written to `config.out/model`."""
    torch.manual_seed(config.loop.seed)
    started = load_model_dir(config.start) if config.start else None
    model = started.model if started else _untrained(config)
    clips = load_clips(config)
    stage = Pretraining(config, clips, load())
    matrices = model.inner_matrices() if isinstance(model, DSTformer) else ()
    model = fit(model, stage.batch, stage.losses, config.loop, config.out, stage.validate, matrices=matrices)
    window = config.windows[-1][1]
    save_model_dir(
        config.out / "model",
        model,
        lifter=LifterConfig(window, max(1, window // 3)),
        recipe=recipe_of(config) | ({"start": started.recipe} if started else {}),
        data=collections_of(clips),
        scores={f"val_{k}_mm": round(v, 2) for k, v in stage.validate(model).items()},
    )
    return model


def _untrained(config: PretrainConfig) -> nn.Module:
    return DSTformer(SIZES[config.size]) if config.network == "dstformer" else MLPLifter()


_SHARED = {"mocap": (Path("mocap"),), "out": Path("runs/pretrain")}
PRESETS = {
    "debug": (
        "seconds on a processor, to see that everything runs",
        PretrainConfig(
            **_SHARED, size="debug", windows=((0.0, 9, 4), (0.5, 27, 2)), validation_clips=2, flat_every=3,
            loop=LoopConfig(6, save_every=3, validate_every=3, warmup=2, log_every=1),
        ),
    ),
    "cpu": (
        "about 75 minutes on two cores: the first part of the released weights' training",
        PretrainConfig(
            **_SHARED, size="small", windows=((0.0, 9, 64), (0.3, 27, 24)), velocity=4.0,
            loop=LoopConfig(
                8000, learning_rate=2e-3, muon_rate=1e-2, warmup=100, precision="bf16", save_every=200,
                validate_every=1000,
            ),
        ),
    ),
    "cpu-second": (
        "another 45 minutes with --start RUN/model: longer windows throughout, as the released weights ended",
        PretrainConfig(
            **_SHARED, size="small", windows=((0.0, 27, 24),), velocity=4.0, grow=0.0,
            loop=LoopConfig(
                4500, learning_rate=1e-3, muon_rate=6e-3, warmup=100, precision="bf16", save_every=200,
                validate_every=1000,
            ),
        ),
    ),
    "mlp": (
        "the per-frame baseline, minutes on two cores",
        PretrainConfig(
            **_SHARED, network="mlp", windows=((0.0, 9, 96),), velocity=0.0, flat_every=0,
            loop=LoopConfig(3000, learning_rate=1e-3, warmup=200, precision="bf16", validate_every=1500),
        ),
    ),
    "gpu": (
        "the paper's recipe: 90 epochs of the full model",
        PretrainConfig(
            **_SHARED,
            loop=LoopConfig(90 * 1000, schedule="exponential", steps_per_epoch=1000, precision="bf16"),
        ),
    ),
}  # fmt: skip

if __name__ == "__main__":
    pretrain(tyro.extras.overridable_config_cli(PRESETS))

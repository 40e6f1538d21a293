"""Finetunes DSTformer and the mesh head on motion capture with SMPL parameters (arXiv 2210.06551, section 3.4).

    python -m motionqa.finetune.train_mesh debug --amass FOLDER --smpl SMPL_NEUTRAL.pkl --out RUN_FOLDER

Clips in the layout of AMASS are posed by the user's SMPL model and filmed by random virtual cameras; the network is
given the joints in the image, and learns each joint's rotation and the body's shape. Clips of 16 frames, learning
rates and loss weights are the paper's. Ours: pinhole views instead of the paper's images of Human3.6M, COCO and 3DPW,
and Gaussian noise on the joints instead of a detector's errors.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Float
from safetensors.torch import save_file
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from motionqa.data.motion_files.smpl_files import read_parameters
from motionqa.data.schema import InputError
from motionqa.data.virtual_camera import View, ViewRange, normalise_pelvis, project, to_camera
from motionqa.encoders.body.mesh_head import MeshHead, MeshHeadConfig, MeshRegressor
from motionqa.encoders.body.mesh_loss import BodyState, MeshLossWeights, mesh_losses
from motionqa.encoders.body.smpl_body import SmplBody, load_smpl
from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.encoders.pretrained import load_dstformer
from motionqa.finetune.training import LoopConfig, fit

Array = np.ndarray
AMASS_UPRIGHT = Rotation.from_euler("x", -90, degrees=True)
"""AMASS stands along Z; here Y is up."""
JOINTS, SHAPES, FPS = 24, 10, 30.0


@dataclass(frozen=True)
class TrainMeshConfig:
    """The recipe; rates and weights are the paper's."""

    amass: Path
    """Folder of npz files in AMASS's layout."""
    smpl: Path
    """The user's SMPL model file."""
    out: Path
    size: str = "full"
    pretrained: Path | None = None
    """A DSTformer checkpoint to start from; a random start without one."""
    hidden: int = 1024
    frames: int = 16
    batch: int = 128
    rate_backbone: float = 5e-5
    rate_head: float = 5e-4
    noise: float = 0.02
    """Standard deviation of the joints' image positions, in body sizes."""
    weights: MeshLossWeights = MeshLossWeights()
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(20_000, schedule="exponential", decay=0.98))

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise ValueError(f"size is {self.size!r}, expected one of {', '.join(SIZES)}")
        if self.batch < 2:
            raise ValueError(f"batch must be at least 2 for BatchNorm, got {self.batch}")


@dataclass(frozen=True, eq=False)
class SmplClip:
    """SMPL parameters over time at about 30 frames a second; Y up, metres."""

    rotations: Float[Array, "T 24 3 3"]
    root_m: Float[Array, "T 3"]
    betas: Float[Array, "10"]


@dataclass(frozen=True, eq=False)
class MeshBatch:
    """Windows as a camera sees them, and the truth in that camera's axes."""

    joints2d: Float[Tensor, "B T 17 3"]
    rotations: Float[Tensor, "B T 24 3 3"]
    betas: Float[Tensor, "B T 10"]


def read_clips(folder: Path, frames: int) -> list[SmplClip]:
    """The clips of a folder that have enough frames. InputError where there are none."""
    files = sorted(p for p in folder.glob("**/*.npz") if p.name != "shape.npz")
    clips = [clip for clip in map(_read_clip, files) if len(clip.root_m) >= frames]
    if not clips:
        raise InputError(f"{folder} has {len(files)} npz files and none with {frames} frames at {FPS:.0f} a second")
    print(f"{len(clips)} of {len(files)} files are long enough")
    return clips


def _read_clip(path: Path) -> SmplClip:
    found = read_parameters(path)
    step = max(1, round((found.fps or FPS) / FPS))
    pose = found.pose[::step]
    turns = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(len(pose), -1, 3, 3)
    whole = np.tile(np.eye(3), (len(pose), JOINTS, 1, 1))  # SMPL's hands have no joints in AMASS's first 22
    whole[:, : turns.shape[1]] = turns
    whole[:, 0] = AMASS_UPRIGHT.as_matrix() @ whole[:, 0]
    betas = np.zeros(SHAPES)
    betas[: len(found.betas[:SHAPES])] = found.betas[:SHAPES]
    # The root turns about the pelvis, whose place in the body stays where it is: only the path is turned.
    return SmplClip(whole, AMASS_UPRIGHT.apply(found.root_m[::step]), betas)


class MeshTraining:
    """Batches and losses of a recipe."""

    def __init__(self, config: TrainMeshConfig, clips: list[SmplClip], smpl: SmplBody) -> None:
        self.config, self.clips, self.smpl, self.views = config, clips, smpl, ViewRange()

    def batch(self, step: int) -> MeshBatch:
        """The step's windows: a pure function of its number."""
        rng = np.random.default_rng((self.config.loop.seed, step))
        drawn = [self._window(self.clips[i], rng) for i in rng.integers(0, len(self.clips), self.config.batch)]
        return MeshBatch(*(torch.from_numpy(np.stack(part).astype(np.float32)) for part in zip(*drawn, strict=True)))

    def losses(self, model: nn.Module, batch: MeshBatch, step: int) -> dict[str, Tensor]:  # noqa: ARG002
        """The paper's losses of a batch."""
        device = next(model.parameters()).device
        self.smpl.to(device)
        found = model(batch.joints2d.to(device))
        truth = self._state(batch.rotations.to(device), batch.betas.to(device))
        return mesh_losses(self._state(found.rotations, found.betas), truth, self.config.weights)

    def _state(self, rotations: Float[Tensor, "B T 24 3 3"], betas: Float[Tensor, "B T 10"]) -> BodyState:
        return BodyState(rotations, betas, self.smpl.human36m(self.smpl(rotations, betas).joints_m))

    def _window(self, clip: SmplClip, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        frames = self.config.frames
        start = int(rng.integers(0, len(clip.root_m) - frames + 1))
        rows = slice(start, start + frames)
        betas = np.tile(clip.betas, (frames, 1))
        xyz = self._joints(clip.rotations[rows], betas) + clip.root_m[rows, None]
        view = self.views.sample(rng)
        sure = np.ones(xyz.shape[:2], dtype=np.float32)
        exact, _ = normalise_pelvis(project(to_camera(xyz, view)), sure)
        seen = exact + rng.normal(0, self.config.noise, exact.shape)
        rotations = clip.rotations[rows].copy()
        rotations[:, 0] = camera_turn(view) @ rotations[:, 0]
        return np.concatenate([seen, sure[..., None]], axis=-1), rotations, betas

    @torch.no_grad()
    def _joints(self, rotations: Float[Array, "T 24 3 3"], betas: Float[Array, "T 10"]) -> Float[Array, "T 17 3"]:
        device = self.smpl.faces.device
        turned, shape = (torch.from_numpy(x.astype(np.float32))[None].to(device) for x in (rotations, betas))
        return self.smpl.human36m(self.smpl(turned, shape).joints_m)[0].cpu().numpy()


def camera_turn(view: View) -> Float[Array, "3 3"]:
    """The rotation from world to camera axes: what `to_camera` makes of the unit vectors about the pelvis."""
    probe = np.zeros((1, 17, 3))
    probe[0, 1:4] = np.eye(3)
    seen = to_camera(probe, view)[0].astype(np.float64)
    return (seen[1:4] - seen[0]).T


def train(config: TrainMeshConfig) -> MeshRegressor:
    """The finetuned model, also written to `config.out/model` (weights, and what they were trained with)."""
    torch.manual_seed(config.loop.seed)
    backbone = load_dstformer(config.pretrained)[0] if config.pretrained else DSTformer(SIZES[config.size])
    head = MeshHead(MeshHeadConfig(backbone.config.representation, backbone.config.joints, config.hidden))
    stage = MeshTraining(config, read_clips(config.amass, config.frames), load_smpl(config.smpl))
    groups = [
        # The last layer of the lifter, `head`, takes no part in the representation.
        {
            "params": [p for n, p in backbone.named_parameters() if not n.startswith("head.")],
            "lr": config.rate_backbone,
        },
        {"params": list(head.parameters()), "lr": config.rate_head},
    ]
    backbone.head.requires_grad_(False)
    model = fit(MeshRegressor(backbone, head), stage.batch, stage.losses, config.loop, config.out, groups=groups)
    assert isinstance(model, MeshRegressor)
    _save(model, config)
    return model


def _save(model: MeshRegressor, config: TrainMeshConfig) -> None:
    folder = config.out / "model"
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}, folder / "mesh.safetensors")
    about = {
        "network": "dstformer + mesh head",
        "backbone": asdict(model.backbone.config),
        "head": asdict(model.head.config),
        "input": "Human3.6M joints normalised about the pelvis (data/virtual_camera.py), with confidence",
        "output": "SMPL pose and shape in camera axes: x right, y down, z away",
        "recipe": asdict(config),
    }
    (folder / "config.json").write_text(json.dumps(about, indent=2, default=str) + "\n")


_PLACES = (Path("amass"), Path("SMPL_NEUTRAL.pkl"), Path("runs/mesh"))
PRESETS = {
    "debug": (
        "seconds on a processor, to see that everything runs",
        TrainMeshConfig(
            *_PLACES, size="debug", hidden=16, frames=4, batch=4,
            loop=LoopConfig(4, warmup=1, save_every=2, log_every=1),
        ),
    ),
    "gpu": ("the paper's recipe on the full model", TrainMeshConfig(*_PLACES)),
}  # fmt: skip

if __name__ == "__main__":
    train(tyro.extras.overridable_config_cli(PRESETS))

"""MotionBERT's mesh head: a motion representation to SMPL pose and shape (arXiv 2210.06551, sections 3.4 and 4.4).

Two MLPs with one hidden layer each (BatchNorm, ReLU): one gives every frame's joint rotations, the other, from the
representation's mean over time, one shape for the clip. Both predict what is to be added to a mean body.

Names are those of the public mesh checkpoints (`head.fc1`, `head.bn1`, `head.head_pose`, …, `backbone.*`), whose SMPL
buffers (`head.smpl.*`) are left out: the body comes from the user's own file (`smpl_body`). What differs:
- the mean pose, until a checkpoint brings its own, is SMPL's rest pose turned upright in camera axes, not the mean of
  SPIN's data, which is not ours to ship;
- Human3.6M joints come from SMPL's own joints, not from the regressor that belongs to SPIN's data.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from motionqa.data.schema import InputError
from motionqa.encoders.body.rotations import matrix_from_6d, sixd_from_matrix
from motionqa.encoders.dstformer import DSTformer
from motionqa.encoders.pretrained import load_dstformer, read_state

JOINTS, SHAPES = 24, 10


@dataclass(frozen=True)
class MeshHeadConfig:
    """Sizes of the head; the defaults are the paper's over the full DSTformer."""

    representation: int = 512
    joints: int = 17
    hidden: int = 1024
    dropout: float = 0.1

    def __post_init__(self) -> None:
        for name in ("representation", "joints", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class SmplParameters:
    """SMPL pose and shape over time, in camera axes (x right, y down, z away)."""

    sixd: Float[Tensor, "B T 24 6"]
    """Joint rotations relative to the parent joint (`motionqa.encoders.body.rotations`)."""
    betas: Float[Tensor, "B T 10"]

    @property
    def rotations(self) -> Float[Tensor, "B T 24 3 3"]:
        """The rotations as matrices."""
        return matrix_from_6d(self.sixd)


class MeshHead(nn.Module):
    """Representation to SMPL parameters."""

    def __init__(self, config: MeshHeadConfig = MeshHeadConfig()) -> None:
        super().__init__()
        self.config = config
        width = config.joints * config.representation
        self.fc1, self.bn1 = nn.Linear(width, config.hidden), nn.BatchNorm1d(config.hidden)
        self.fc2, self.bn2 = nn.Linear(width, config.hidden), nn.BatchNorm1d(config.hidden)
        self.head_pose = nn.Linear(config.hidden, JOINTS * 6)
        self.head_shape = nn.Linear(config.hidden, SHAPES)
        for last in (self.head_pose, self.head_shape):  # training starts at the mean body
            nn.init.xavier_uniform_(last.weight, gain=0.01)
        self.register_buffer("init_pose", _upright())
        self.register_buffer("init_shape", torch.zeros(1, SHAPES))

    def forward(self, representation: Float[Tensor, "B T J R"]) -> SmplParameters:
        """Pose of every frame, and one shape for the clip repeated over its frames.

        ValueError where joints or width are not the configured ones.
        """
        expected = (self.config.joints, self.config.representation)
        if tuple(representation.shape[2:]) != expected:
            raise ValueError(
                f"expected [clips, frames, {expected[0]}, {expected[1]}], got {tuple(representation.shape)}"
            )
        clips, frames = representation.shape[:2]
        features = representation.flatten(2)
        moving = F.relu(self.bn1(self.fc1(self._dropped(features.flatten(0, 1)))))
        lasting = F.relu(self.bn2(self.fc2(self._dropped(features.mean(dim=1)))))
        pose = self.head_pose(moving) + self.get_buffer("init_pose")
        shape = self.head_shape(lasting) + self.get_buffer("init_shape")
        return SmplParameters(
            pose.reshape(clips, frames, JOINTS, 6), shape[:, None].expand(clips, frames, SHAPES)
        )  # fmt: skip

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.config.dropout, self.training)


class MeshRegressor(nn.Module):
    """Joints in an image over time to SMPL parameters: DSTformer and the mesh head."""

    def __init__(self, backbone: DSTformer, head: MeshHead) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, joints: Float[Tensor, "B T 17 3"]) -> SmplParameters:
        """SMPL parameters of clips of normalised image joints with confidence."""
        return self.head(self.backbone.represent(joints))


def load_mesh_head(path: Path) -> MeshHead:
    """The head of a mesh checkpoint, ready for use; its sizes are read off the weights.

    Takes the public checkpoints and those of `motionqa.finetune.train_mesh`. InputError names what is missing.
    """
    state = read_state(path)
    own = {
        k.removeprefix("head."): v
        for k, v in state.items()
        if k.startswith("head.") and not k.startswith(("head.smpl.", "head.J_regressor"))
    }
    if "fc1.weight" not in own:
        raise InputError(f"{path.name} holds no mesh head (no head.fc1.weight); give a mesh checkpoint")
    hidden, width = own["fc1.weight"].shape
    head = MeshHead(MeshHeadConfig(representation=width // 17, hidden=hidden))
    try:
        head.load_state_dict(own)
    except RuntimeError as error:
        raise InputError(f"{path.name} holds no mesh head that fits: {error}") from error
    return head.float().eval()


def load_mesh_regressor(path: Path, heads: int = 8) -> MeshRegressor:
    """Encoder and head of a mesh checkpoint, ready for use; `heads` is the encoder's number of attention heads."""
    backbone, _ = load_dstformer(path, heads)
    return MeshRegressor(backbone, load_mesh_head(path)).eval()


def _upright() -> Float[Tensor, "1 144"]:
    """SMPL's rest pose facing the camera: SMPL has y up, the camera has y down and z away."""
    turns = torch.eye(3).repeat(JOINTS, 1, 1)
    turns[0] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    return sixd_from_matrix(turns).reshape(1, -1)

"""The SMPL body from the user's own model file: vertices and joints of a pose and a shape.

SMPL: Loper et al., SIGGRAPH Asia 2015. Skinning is `smplx.lbs.lbs`; the file is read without running anything that it
brings along (`motionqa.data.motion_files.smpl_pickle`). The model is not ours to ship: its licence is the user's to
accept at https://smpl.is.tue.mpg.de.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from motionqa.data.motion_files.smpl_pickle import load_body_model
from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17, SMPL_24, convert

JOINTS, SHAPES = 24, 10
_KEYS = ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table")
_NEEDS = (
    "A body mesh by regression needs an SMPL model file (24 joints), such as SMPL_NEUTRAL.pkl or "
    "basicModel_neutral_lbs_10_207_0_v1.0.0.pkl from https://smpl.is.tue.mpg.de; its licence is yours to accept, so it "
    "does not come with motionqa. Give the path of the file or of its folder"
)


@dataclass(frozen=True, eq=False)
class PosedBody:
    """SMPL bodies over time, metres, in the axes of the root rotation, the body's own origin at 0."""

    vertices_m: Float[Tensor, "B T V 3"]
    joints_m: Float[Tensor, "B T 24 3"]
    """`motionqa.data.skeleton.SMPL_24`."""


class SmplBody(nn.Module):
    """SMPL with 10 shape components as a layer without parameters. Build it with `load_smpl`."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__()
        for name, value in arrays.items():
            whole = name in ("f", "kintree_table")
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.int64 if whole else torch.float32), False)
        self.register_buffer("to_h36m", torch.from_numpy(_to_h36m()), False)

    @property
    def faces(self) -> Int[Tensor, "F 3"]:
        """Triangles as vertex numbers."""
        return self.get_buffer("f")

    def forward(self, rotations: Float[Tensor, "B T 24 3 3"], betas: Float[Tensor, "B T 10"]) -> PosedBody:
        """The bodies of joint rotations (each relative to its parent) and shapes."""
        from smplx import lbs

        skin: Any = lbs.lbs  # smplx annotates with a Tensor class of its own
        clips, frames = rotations.shape[:2]
        vertices, joints = skin(
            betas.flatten(0, 1), rotations.flatten(0, 1), self.v_template, self.shapedirs, self._pose_directions(),
            self.J_regressor, self._parents(), self.weights, pose2rot=False,
        )  # fmt: skip
        return PosedBody(vertices.unflatten(0, (clips, frames)), joints.unflatten(0, (clips, frames)))

    def human36m(self, joints_m: Float[Tensor, "B T 24 3"]) -> Float[Tensor, "B T 17 3"]:
        """The Human3.6M joints, by the recipes of `motionqa.data.skeleton`."""
        return torch.einsum("kj,btjd->btkd", self.get_buffer("to_h36m"), joints_m)

    def _pose_directions(self) -> Float[Tensor, "207 V3"]:
        return self.get_buffer("posedirs").flatten(0, 1).T

    def _parents(self) -> Int[Tensor, "24"]:
        parents = self.get_buffer("kintree_table")[0].clone()
        parents[0] = -1
        return parents


def load_smpl(path: Path | None) -> SmplBody:
    """The SMPL layer of a model file (.pkl or .npz) or of the folder it lies in.

    InputError where it is missing (saying whose the licence is), damaged, or of another body model.
    """
    file = _model_file(path)
    arrays = load_body_model(file, _KEYS)
    vertices = len(arrays["v_template"])
    expected: dict[str, tuple[int | None, ...]] = {
        "v_template": (vertices, 3), "f": (None, 3), "shapedirs": (vertices, 3, None), "posedirs": (vertices, 3, 207),
        "J_regressor": (JOINTS, vertices), "weights": (vertices, JOINTS), "kintree_table": (2, JOINTS),
    }  # fmt: skip
    wrong = {k: a.shape for k, a in arrays.items() if not _fits(a, expected[k])}
    if wrong:
        raise InputError(f"{file.name} has arrays of shapes {wrong}, which is no SMPL body with 24 joints. {_NEEDS}")
    if arrays["shapedirs"].shape[2] < SHAPES:
        raise InputError(f"{file.name} has {arrays['shapedirs'].shape[2]} shape components, at least {SHAPES} expected")
    arrays["shapedirs"] = arrays["shapedirs"][..., :SHAPES]
    arrays["kintree_table"] = arrays["kintree_table"].astype(np.int64)
    return SmplBody(arrays)


def _model_file(path: Path | None) -> Path:
    if path is None:
        raise InputError(_NEEDS + ".")
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"There is no SMPL model at {path}. {_NEEDS}.")
    files = sorted(p for p in path.glob("**/*") if p.suffix.lower() in (".pkl", ".npz") and _is_smpl(p.name.lower()))
    if not files:
        raise InputError(f"No SMPL model file lies in {path}. {_NEEDS}.")
    return min(files, key=lambda p: "neutral" not in p.name.lower())


def _is_smpl(name: str) -> bool:
    return name.startswith(("smpl", "basicmodel")) and not name.startswith(("smplh", "smplx"))


def _fits(array: np.ndarray, shape: tuple[int | None, ...]) -> bool:
    same_rank = array.dtype.kind in "fiu" and array.ndim == len(shape)
    return same_rank and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))


def _to_h36m() -> Float[np.ndarray, "17 24"]:
    """The conversion as a matrix: what it makes of the unit vectors."""
    unit = np.eye(JOINTS, dtype=np.float32)[None]
    return convert(unit, np.ones((1, JOINTS), dtype=np.float32), SMPL_24, H36M_17)[0][0]

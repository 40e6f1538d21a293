"""The one door to a body mesh: by the mesh head where its weights and the user's SMPL file are there, else by fitting.

The result's `source` says which of the two it was.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from motionqa.data.schema import InputError, Pose3D
from motionqa.data.skeleton import H36M_17, convert
from motionqa.encoders.body.anny_body import MISSING, FitConfig, fit_body, installed
from motionqa.encoders.body.mesh import BodyMeshSequence
from motionqa.encoders.body.mesh_head import load_mesh_head
from motionqa.encoders.body.smpl_body import load_smpl

Array = np.ndarray
FROM_CAMERA = np.array([1.0, -1.0, -1.0], dtype=np.float32)
"""Camera axes (x right, y down, z away) to those of `Pose3D` (X right, Y up, Z towards the camera)."""


def body_mesh(
    pose3d: Pose3D,
    representation: Float[Array, "T 17 R"] | None = None,
    mesh_weights: Path | None = None,
    smpl_path: Path | None = None,
    config: FitConfig = FitConfig(),
) -> BodyMeshSequence:
    """A body's surface over the clip: regressed where weights and SMPL are given, else fitted to the joints.

    `representation` is that of the encoder the weights were trained with, one row per frame of `pose3d`. InputError
    where weights come without an SMPL file, and where the open body is needed but not installed; ValueError where
    weights come without a representation.
    """
    if mesh_weights is not None:
        return _regressed(pose3d, representation, mesh_weights, smpl_path, config)
    if not installed():
        raise InputError(
            f"{MISSING}. Or give mesh weights (finetune/train_mesh.py) together with your own SMPL model file."
        )
    return fit_body(pose3d, config)


@torch.no_grad()
def _regressed(
    pose3d: Pose3D,
    representation: Float[Array, "T 17 R"] | None,
    mesh_weights: Path,
    smpl_path: Path | None,
    config: FitConfig,
) -> BodyMeshSequence:
    smpl, head = load_smpl(smpl_path), load_mesh_head(mesh_weights)
    if representation is None or len(representation) != len(pose3d):
        found = "none" if representation is None else f"{len(representation)} rows"
        raise ValueError(f"mesh weights need the representation of all {len(pose3d)} frames, got {found}")
    parameters = head(torch.from_numpy(np.asarray(representation, dtype=np.float32))[None])
    keys = config.key_frames(pose3d.times_s)
    body = smpl(parameters.rotations[:, keys], parameters.betas[:, keys])
    joints = smpl.human36m(body.joints_m)[0].numpy() * FROM_CAMERA
    seen, sure = _h36m(pose3d, keys)
    shift = seen[:, :1] - joints[:, :1]
    apart = np.where(sure, np.linalg.norm(joints + shift - seen, axis=-1), np.nan)
    residual_mm = np.full(len(keys), np.nan)
    residual_mm[sure.any(axis=1)] = 1000 * np.nanmean(apart[sure.any(axis=1)], axis=1)
    vertices = (body.vertices_m[0].numpy() * FROM_CAMERA + shift).astype(np.float32)
    source = f"SMPL body regressed by mesh weights {mesh_weights.name}, placed at the pelvis of the clip's joints"
    faces = smpl.faces.numpy().astype(np.int32)
    return BodyMeshSequence(vertices, faces, pose3d.times_s[keys], residual_mm, source)


def _h36m(pose3d: Pose3D, keys: Array) -> tuple[Array, Array]:
    """The clip's joints [K, 17, 3] that the regressed body is compared with, and which of them were seen [K, 17]."""
    joints, confidence = convert(pose3d.xyz_m[keys], pose3d.confidence[keys], pose3d.skeleton, H36M_17)
    return joints, (confidence > 0) & np.isfinite(joints).all(axis=-1)

"""The mesh task: rotations, head, losses, the SMPL layer, and a short training run on a synthetic SMPL file."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from motionqa.data.schema import InputError
from motionqa.data.virtual_camera import View, to_camera
from motionqa.encoders.body.mesh_head import (
    MeshHead,
    MeshHeadConfig,
    MeshRegressor,
    load_mesh_head,
    load_mesh_regressor,
)
from motionqa.encoders.body.mesh_loss import BodyState, MeshLossWeights, mesh_losses
from motionqa.encoders.body.rotations import angle_of, matrix_from_6d, sixd_from_matrix
from motionqa.encoders.body.smpl_body import load_smpl
from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.finetune.train_mesh import PRESETS, MeshTraining, camera_turn, read_clips
from motionqa.tests import motion_writers as write

HEAD = MeshHeadConfig(representation=6, hidden=12)


def turns(*shape: int, seed: int = 0) -> torch.Tensor:
    found = Rotation.random(int(np.prod(shape)), rng=np.random.default_rng(seed)).as_matrix()
    return torch.from_numpy(found).float().reshape(*shape, 3, 3)


@pytest.fixture
def smpl_file(tmp_path: Path) -> Path:
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps(write.body_model(), protocol=2))
    return path


@pytest.fixture
def amass(tmp_path: Path) -> Path:
    """Two clips at 60 frames a second, standing along Z as AMASS does."""
    folder = tmp_path / "amass" / "subject"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k in range(2):
        poses = rng.normal(size=(20, 156)) * 0.1
        poses[:, 0] += np.pi / 2
        root = np.stack([np.zeros(20), np.arange(20) / 60, np.full(20, 0.95)], axis=1)
        np.savez(
            folder / f"{k}_poses.npz", poses=poses, trans=root, betas=rng.normal(size=16), gender="neutral",
            mocap_framerate=60.0,
        )  # fmt: skip
    return folder.parent


# ------------------------------------------------------------------------------------------- rotations


def test_six_numbers_and_back_give_the_same_rotation() -> None:
    matrices = turns(5, 24)
    assert torch.allclose(matrix_from_6d(sixd_from_matrix(matrices)), matrices, atol=1e-5)
    any_numbers = torch.from_numpy(np.random.default_rng(1).normal(size=(7, 6))).float()
    made = matrix_from_6d(any_numbers)
    assert torch.allclose(made @ made.mT, torch.eye(3).expand(7, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(made), torch.ones(7), atol=1e-5)


def test_six_numbers_lie_row_by_row_as_in_the_public_checkpoints() -> None:
    quarter = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert sixd_from_matrix(quarter).tolist() == [0, -1, 1, 0, 0, 0]


def test_the_angle_of_a_rotation_is_the_length_of_its_axis_angle_vector() -> None:
    matrices = turns(50)
    truth = np.linalg.norm(Rotation.from_matrix(matrices.numpy()).as_rotvec(), axis=-1)
    assert np.allclose(angle_of(matrices).numpy(), truth, atol=1e-3)
    still = torch.eye(3).requires_grad_()
    angle_of(still).backward()
    assert still.grad is not None
    assert torch.isfinite(still.grad).all()


# ------------------------------------------------------------------------------------------------ head


def test_the_head_gives_a_pose_for_every_frame_and_one_shape_for_the_clip() -> None:
    head = MeshHead(HEAD).eval()
    with torch.no_grad():
        found = head(torch.randn(2, 5, 17, 6) * 30)
    assert found.sixd.shape == (2, 5, 24, 6)
    assert found.betas.shape == (2, 5, 10)
    assert torch.equal(found.betas[:, 0], found.betas[:, 4])
    assert not torch.equal(found.sixd[:, 0], found.sixd[:, 4])
    with pytest.raises(ValueError, match="17, 6"):
        head(torch.randn(2, 5, 17, 7))


def test_an_untrained_head_says_upright_at_rest() -> None:
    head = MeshHead(HEAD).eval()
    torch.nn.init.zeros_(head.head_pose.weight)
    torch.nn.init.zeros_(head.head_pose.bias)
    with torch.no_grad():
        rotations = head(torch.randn(1, 2, 17, 6)).rotations
    assert torch.allclose(rotations[0, 0, 0], torch.diag(torch.tensor([1.0, -1.0, -1.0])), atol=1e-6)
    assert torch.allclose(rotations[0, 0, 1:], torch.eye(3).expand(23, 3, 3), atol=1e-6)


# ---------------------------------------------------------------------------------------------- losses


def state(seed: int = 0) -> BodyState:
    rng = np.random.default_rng(seed)
    joints = torch.from_numpy(rng.normal(size=(2, 3, 17, 3))).float()
    return BodyState(turns(2, 3, 24, seed=seed), torch.from_numpy(rng.normal(size=(2, 3, 10))).float(), joints)


def test_losses_are_zero_at_the_truth_wherever_the_body_stands() -> None:
    truth = state()
    found = mesh_losses(replace(truth, joints_m=truth.joints_m + 3), truth, MeshLossWeights(norm=0))
    assert float(found["loss"]) == pytest.approx(0, abs=1e-2)


def test_losses_have_their_units_and_weights() -> None:
    truth = state()
    still = BodyState(torch.eye(3).expand(2, 3, 24, 3, 3), torch.zeros(2, 3, 10), torch.zeros(2, 3, 17, 3))
    joints = torch.zeros(2, 3, 17, 3)
    joints[:, :, 5, 0] = 0.017  # one of 17 joints is 17 mm off: 1 mm on average, and it does not move
    found = mesh_losses(replace(still, betas=still.betas + 0.5, joints_m=joints), still)
    assert float(found["joints"]) == pytest.approx(1)
    assert float(found["velocity"]) == pytest.approx(0)
    assert float(found["shape"]) == pytest.approx(0.5)
    assert float(found["norm"]) == pytest.approx(0.5 * 10**0.5, rel=1e-3)
    assert float(found["loss"]) == pytest.approx(0.5 * 1 + 1 * 0.5 + 20 * 0.5 * 10**0.5, rel=1e-3)
    joints[:, 1] = 0  # it is back for one frame: 1 mm there and 1 mm back
    assert float(mesh_losses(replace(still, joints_m=joints), still)["velocity"]) == pytest.approx(1)
    half_turn = replace(truth, rotations=truth.rotations @ torch.diag(torch.tensor([-1.0, -1.0, 1.0])))
    assert float(mesh_losses(half_turn, truth)["pose"]) == pytest.approx(
        float(2 * truth.rotations[..., :2].abs().sum() / truth.rotations.numel()), rel=1e-4
    )


# ------------------------------------------------------------------------------------------------ smpl


def test_the_smpl_layer_poses_as_smplx_does(smpl_file: Path) -> None:
    import smplx
    from smplx.utils import Struct

    body = smplx.SMPL(
        "", data_struct=Struct(**write.body_model()), batch_size=6, use_hands=False, use_feet_keypoints=False,
        vertex_ids=dict.fromkeys(("nose", "reye", "leye", "rear", "lear"), 0),
    )  # fmt: skip
    rotations, betas = turns(2, 3, 24), torch.randn(2, 3, 10)
    with torch.no_grad():
        found = load_smpl(smpl_file)(rotations, betas)
        flat = rotations.flatten(0, 1)
        truth = body(betas=betas.flatten(0, 1), body_pose=flat[:, 1:], global_orient=flat[:, :1], pose2rot=False)
    assert torch.allclose(found.vertices_m.flatten(0, 1), truth.vertices, atol=1e-4)
    assert torch.allclose(found.joints_m.flatten(0, 1), truth.joints[:, :24], atol=1e-4)


def test_a_missing_smpl_model_says_whose_the_licence_is(tmp_path: Path) -> None:
    for place in (None, tmp_path, tmp_path / "SMPL_NEUTRAL.pkl"):
        with pytest.raises(InputError, match="licence is yours to accept"):
            load_smpl(place)


def test_a_smpl_model_is_found_in_its_folder_and_other_bodies_are_refused(smpl_file: Path, tmp_path: Path) -> None:
    (smpl_file.parent / "SMPLX_NEUTRAL.npz").write_bytes(b"")
    assert len(load_smpl(smpl_file.parent).faces) == 20
    other = write.body_model() | {"J_regressor": np.eye(52, 60)}
    (tmp_path / "SMPLH.pkl").write_bytes(pickle.dumps(other, protocol=2))
    with pytest.raises(InputError, match="no SMPL body with 24 joints"):
        load_smpl(tmp_path / "SMPLH.pkl")


# -------------------------------------------------------------------------------------------- training


def test_the_truth_of_a_window_is_what_its_camera_sees(smpl_file: Path, amass: Path, tmp_path: Path) -> None:
    config = replace(PRESETS["debug"][1], amass=amass, smpl=smpl_file, out=tmp_path / "run", noise=0.0)
    stage = MeshTraining(config, read_clips(amass, config.frames), load_smpl(smpl_file))
    batch = stage.batch(0)
    assert torch.equal(batch.joints2d, stage.batch(0).joints2d)
    body = stage.smpl.human36m(stage.smpl(batch.rotations, batch.betas).joints_m)
    # A narrow body far away: the picture is nearly the true joints without their depth.
    flat = (body - body[:, :, :1])[..., :2].flatten()
    assert np.corrcoef(flat.numpy(), batch.joints2d[..., :2].flatten().numpy())[0, 1] > 0.97


def test_the_camera_turn_is_the_one_that_joints_are_seen_with() -> None:
    view = View(33.0, 12.0, 4.0, 5.0)
    xyz = np.random.default_rng(0).normal(size=(1, 17, 3))
    about = xyz[0] - xyz[0, 0]
    seen = to_camera(xyz, view)[0]
    assert np.allclose(seen - seen[0], about @ camera_turn(view).T, atol=1e-5)
    assert np.linalg.det(camera_turn(view)) == pytest.approx(1, abs=1e-5)


def test_training_runs_end_to_end_and_its_weights_load_again(smpl_file: Path, amass: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "motionqa.finetune.train_mesh", "debug", "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [*command, "--amass", str(amass), "--smpl", str(smpl_file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "2 of 2 files are long enough" in done.stdout
    regressor = load_mesh_regressor(tmp_path / "run" / "model" / "mesh.safetensors", heads=SIZES["debug"].heads)
    with torch.no_grad():
        assert regressor(torch.randn(1, 4, 17, 3)).sixd.shape == (1, 4, 24, 6)
    about = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert about["recipe"]["weights"] == {"pose": 1000, "shape": 1, "norm": 20, "joints": 0.5, "velocity": 10}
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert np.isfinite(losses).all()


def test_one_batch_can_be_learnt_by_heart(smpl_file: Path, amass: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = replace(PRESETS["debug"][1], amass=amass, smpl=smpl_file, out=tmp_path, weights=MeshLossWeights(norm=0))
    stage = MeshTraining(config, read_clips(amass, config.frames), load_smpl(smpl_file))
    backbone = DSTformer(SIZES["debug"])
    head = MeshHead(MeshHeadConfig(backbone.config.representation, hidden=128, dropout=0.0))
    model, batch = MeshRegressor(backbone, head), stage.batch(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    joints_mm = []
    for step in range(150):
        losses = stage.losses(model, batch, step)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        joints_mm.append(losses["joints"].item())
    assert joints_mm[-1] < 0.2 * joints_mm[0]


def test_public_checkpoints_with_smpl_buffers_are_read(tmp_path: Path) -> None:
    model = MeshRegressor(DSTformer(SIZES["debug"]), MeshHead(MeshHeadConfig(SIZES["debug"].representation, hidden=8)))
    state = {f"module.{k}": v for k, v in model.state_dict().items()}
    state |= {"module.head.smpl.betas": torch.zeros(64, 10), "module.head.smpl.posedirs": torch.zeros(207, 30)}
    torch.save({"epoch": 1, "model": state}, tmp_path / "best_epoch.bin")
    again = load_mesh_regressor(tmp_path / "best_epoch.bin", heads=SIZES["debug"].heads)
    joints = torch.randn(1, 4, 17, 3)
    with torch.no_grad():
        assert torch.equal(again(joints).sixd, model.eval()(joints).sixd)
    torch.save({"model_pos": DSTformer(SIZES["debug"]).state_dict()}, tmp_path / "lifter.bin")
    with pytest.raises(InputError, match="no mesh head"):
        load_mesh_head(tmp_path / "lifter.bin")


def test_a_folder_without_clips_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 npz files"):
        read_clips(tmp_path, 16)

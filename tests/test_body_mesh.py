"""The body with a skin: fitted to known motions, saved, shown, and refused with a reason."""

from __future__ import annotations

import base64
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from motionqa.data.schema import InputError, Pose3D
from motionqa.data.skeleton import H36M_17, convert
from motionqa.data.synthetic.body import BodyShape, neutral
from motionqa.data.synthetic.motions import arm_raise, concatenate, forward_bend, render, sit_down, squats, turn, walk
from motionqa.encoders.body import body_mesh as door
from motionqa.encoders.body.anny_body import FitConfig, fit_body, installed
from motionqa.encoders.body.body_mesh import body_mesh
from motionqa.encoders.body.bone_alignment import axes, between, least_turn, part_turns
from motionqa.encoders.body.mesh import BodyMeshSequence, save_mesh
from motionqa.encoders.body.mesh_head import MeshHead, MeshHeadConfig
from motionqa.tests import motion_writers as write

Array = np.ndarray
needs_anny = pytest.mark.skipif(not installed(), reason="anny is not installed: pip install 'motionqa[mesh]'")


def as_h36m(pose: Pose3D) -> Pose3D:
    xyz, confidence = convert(pose.xyz_m, pose.confidence, pose.skeleton, H36M_17)
    return replace(pose, skeleton=H36M_17, xyz_m=xyz, confidence=confidence)


def mesh_of(frames: int = 3) -> BodyMeshSequence:
    vertices = np.random.default_rng(0).normal(size=(frames, 4, 3)).astype(np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32)
    return BodyMeshSequence(vertices, faces, np.arange(frames) / 10, np.zeros(frames), "made up")


def near(mesh: BodyMeshSequence, pose: Pose3D, joint: str, within_m: float) -> bool:
    """Whether at every key frame some vertex is near a joint of the clip."""
    track = np.stack(
        [np.interp(mesh.times_s, pose.times_s, pose.xyz_m[:, pose.skeleton.index(joint), i]) for i in range(3)], 1
    )
    return bool((np.linalg.norm(mesh.vertices_m - track[:, None], axis=-1).min(axis=1) < within_m).all())


# -------------------------------------------------------------------------------------------- geometry


def test_the_least_turn_points_where_it_should_even_when_turning_back() -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(size=(20, 3))
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    end = np.concatenate([start[1:], -start[-1:]])
    end[0] = -start[0]
    turned = np.einsum("tij,tj->ti", least_turn(start, end), start)
    assert np.allclose(turned, end, atol=1e-9)


def test_between_two_rotations_lies_the_half_turn() -> None:
    start, end = Rotation.from_euler("y", [[0], [80]], degrees=True)
    half = between(start.as_matrix()[None], end.as_matrix()[None], 0.5)
    assert np.allclose(half, Rotation.from_euler("y", [[40]], degrees=True).as_matrix())
    assert np.allclose(axes(np.array([[2.0, 0, 0]]), np.array([[1.0, 3, 0]]))[0], np.eye(3))


def test_parts_are_turned_as_the_whole_body_is() -> None:
    pose = render(squats(1))
    points = {j: pose.xyz_m[:, i] for i, j in enumerate(pose.skeleton.joints)}
    rest = {j: p[20:21] for j, p in points.items()}  # knees and elbows bent
    spin = Rotation.from_euler("xyz", [20, 70, -10], degrees=True)
    spun = {j: spin.apply(p) for j, p in rest.items()}
    for part, found in part_turns(rest, spun).items():
        assert np.allclose(found[0], spin.as_matrix(), atol=1e-6), part


# ------------------------------------------------------------------------------------------------- fit


@needs_anny
@pytest.mark.parametrize("form", ["smpl_22", "h36m_17"])
def test_the_open_body_lies_on_the_joints_it_is_fitted_to(form: str) -> None:
    pose = render(concatenate(squats(1), arm_raise("right"), turn(90), walk(steps=4), forward_bend(1), sit_down()))
    pose = pose if form == "smpl_22" else as_h36m(pose)
    mesh = fit_body(pose)
    assert mesh.vertices_m.dtype == np.float32
    assert mesh.vertices_m.shape[1:] == (13718, 3)
    assert mesh.residual_mm.max() < 5
    assert "fitted to the joints" in mesh.source
    for joint in ("left_wrist", "right_wrist", "left_ankle", "right_ankle", "left_knee", "right_elbow"):
        assert near(mesh, pose, joint, 0.06), joint


@needs_anny
def test_left_stays_left_feet_stay_below_and_the_face_looks_forward() -> None:
    pose = render(arm_raise("left"))
    mesh = fit_body(pose)
    at = int(np.abs(mesh.times_s - pose.times_s[pose.xyz_m[:, pose.skeleton.index("left_wrist"), 1].argmax()]).argmin())
    body = mesh.vertices_m[at]
    assert body[body[:, 1].argmax(), 0] > 0.05  # the raised hand is at +X, the left of somebody who faces +Z
    first = mesh.vertices_m[0]
    assert abs(float(first[:, 1].min())) < 0.05  # soles on the floor
    assert 1.6 < float(np.ptp(first[:, 1])) < 1.85
    head, feet = first[first[:, 1] > 1.6], first[first[:, 1] < 0.1]
    assert head[:, 2].max() > 0.06  # the nose
    assert feet[:, 2].max() > 0.1 > -feet[:, 2].min() - 0.05  # toes before, heels behind


@needs_anny
def test_the_skin_faces_outward() -> None:
    mesh = fit_body(render(walk(steps=2)))
    a, b, c = (mesh.vertices_m[0].astype(np.float64)[mesh.faces[:, i]] for i in range(3))
    volume = np.einsum("fi,fi->f", a, np.cross(b, c)).sum() / 6
    assert 0.04 < volume < 0.15  # cubic metres; negative where the faces are inside out


@needs_anny
def test_unsure_joints_do_not_pull() -> None:
    pose = as_h36m(render(arm_raise("right")))
    wrist, rows = H36M_17.index("left_wrist"), slice(10, 30)
    confidence, xyz = pose.confidence.copy(), pose.xyz_m.copy()
    confidence[rows, wrist] = 0
    plain = fit_body(replace(pose, confidence=confidence))
    xyz[rows, wrist] += 5.0
    pulled = fit_body(replace(pose, confidence=confidence, xyz_m=xyz))
    assert np.array_equal(plain.vertices_m, pulled.vertices_m)
    sure = fit_body(replace(pose, xyz_m=xyz))
    assert sure.residual_mm.max() > 100


@needs_anny
def test_joints_that_were_never_seen_are_named() -> None:
    pose = as_h36m(render(squats(1)))
    confidence = pose.confidence.copy()
    for joint in ("left_wrist", "right_ankle"):
        confidence[:, H36M_17.index(joint)] = 0
    mesh = fit_body(replace(pose, confidence=confidence))
    assert any("left wrist, right ankle" in note for note in mesh.notes)
    assert np.isfinite(mesh.vertices_m).all()
    confidence[:, H36M_17.index("left_hip")] = 0
    with pytest.raises(InputError, match="never shows the left hip"):
        fit_body(replace(pose, confidence=confidence))


@needs_anny
def test_a_body_of_other_size_gets_a_body_of_its_size() -> None:
    tall = BodyShape(thigh=0.47, shank=0.46, trunk=0.55, upper_arm=0.32, forearm=0.28, shoulder_half_width=0.2)
    bodies = [fit_body(render(neutral(10, 30.0, shape), shape=shape)) for shape in (BodyShape(), tall)]
    heights = [float(np.ptp(body.vertices_m[0, :, 1])) for body in bodies]
    assert heights[1] - heights[0] > 0.1


@needs_anny
def test_key_frames_are_few_and_told() -> None:
    pose = render(squats(3))
    mesh = fit_body(pose, FitConfig(per_second=4, max_frames=9))
    assert len(mesh) == 9
    assert mesh.times_s[-1] == pose.times_s[-1]
    assert mesh.notes[0].startswith("Posed at 9 key frames")


# ------------------------------------------------------------------------------------------------ door


def test_without_anny_the_door_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "installed", lambda: False)
    with pytest.raises(InputError, match=r"pip install 'motionqa\[mesh\]'"):
        body_mesh(render(squats(1)))


def test_mesh_weights_need_the_users_smpl_and_a_representation(tmp_path: Path) -> None:
    pose = as_h36m(render(squats(1)))
    weights = save_head(tmp_path)
    with pytest.raises(InputError, match="licence is yours to accept"):
        body_mesh(pose, mesh_weights=weights)
    (tmp_path / "SMPL_NEUTRAL.pkl").write_bytes(pickle.dumps(write.body_model(), protocol=2))
    with pytest.raises(ValueError, match="representation of all"):
        body_mesh(pose, mesh_weights=weights, smpl_path=tmp_path / "SMPL_NEUTRAL.pkl")


def test_with_weights_and_smpl_the_body_is_regressed_and_stands_at_the_pelvis(tmp_path: Path) -> None:
    pose = as_h36m(render(walk(steps=3)))
    (tmp_path / "SMPL_NEUTRAL.pkl").write_bytes(pickle.dumps(write.body_model(), protocol=2))
    representation = np.random.default_rng(0).normal(size=(len(pose), 17, 6)).astype(np.float32)
    mesh = body_mesh(pose, representation, save_head(tmp_path), tmp_path / "SMPL_NEUTRAL.pkl")
    assert "regressed by mesh weights head.pt" in mesh.source
    keys = FitConfig().key_frames(pose.times_s)
    # The file's first vertices are its joints; the untrained head stands at rest: y up, head above the feet.
    pelvis, head, toes = mesh.vertices_m[:, 0], mesh.vertices_m[:, 15], mesh.vertices_m[:, 10]
    assert np.abs(pelvis - pose.xyz_m[keys, 0]).max() < 0.3
    assert (head[:, 1] > toes[:, 1]).all()
    assert np.isfinite(mesh.residual_mm).all()


def save_head(folder: Path) -> Path:
    torch.manual_seed(0)
    head = MeshHead(MeshHeadConfig(representation=6, hidden=8))
    torch.nn.init.zeros_(head.head_pose.bias)
    torch.save({"model": {f"head.{k}": v for k, v in head.state_dict().items()}}, folder / "head.pt")
    return folder / "head.pt"


# --------------------------------------------------------------------------------------- files, figure


def test_a_mesh_is_saved_whole_or_frame_by_frame(tmp_path: Path) -> None:
    mesh = mesh_of()
    save_mesh(mesh, tmp_path / "body.npz")
    with np.load(tmp_path / "body.npz") as saved:
        assert np.array_equal(saved["vertices_m"], mesh.vertices_m)
        assert str(saved["source"]) == "made up"
    with pytest.raises(InputError, match=r"\.npz, \.glb, \.obj"):
        save_mesh(mesh, tmp_path / "body.fbx")


@needs_anny
def test_a_mesh_is_written_as_files_that_other_programs_read(tmp_path: Path) -> None:
    import trimesh

    mesh = mesh_of(2)
    assert [p.name for p in save_mesh(mesh, tmp_path / "body.obj")] == ["body_0000.obj", "body_0001.obj"]
    again = trimesh.load(tmp_path / "body_0001.obj", process=False, force="mesh")
    assert isinstance(again, trimesh.Trimesh)
    assert np.allclose(again.vertices, mesh.vertices_m[1], atol=1e-6)


@needs_anny
def test_the_figure_is_light_and_shows_the_body_in_its_place() -> None:
    from motionqa.assistant.mesh_panel import mesh_figure

    mesh = fit_body(render(concatenate(squats(3), arm_raise("right"))))
    text = str(mesh_figure(mesh).to_json())
    assert len(text) < 6_000_000
    drawn = json.loads(text)
    assert len(drawn["frames"]) == 60
    up = _numbers(drawn["frames"][0]["data"][0]["z"])
    assert np.ptp(up) == pytest.approx(1000 * np.ptp(mesh.vertices_m[0, :, 1]), abs=30)
    assert max(_numbers(drawn["data"][0][k]).max() for k in "ijk") < len(up)


def test_the_page_says_what_is_missing_or_which_body_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    from motionqa.assistant.visit import Page

    assert "no clip yet" in Page.show_mesh(None)[0]
    clip: Any = SimpleNamespace(chat=SimpleNamespace(encoding=SimpleNamespace(pose3d=render(squats(1)))))
    silent: Any = lambda *_, **__: None  # noqa: E731
    if installed():
        note, figure = Page.show_mesh(clip, silent)
        assert "open body anny, fitted to the joints" in note
        assert "<iframe" in figure
    monkeypatch.setattr(door, "installed", lambda: False)
    note, figure = Page.show_mesh(clip, silent)
    assert "pip install" in note
    assert figure == ""


def test_the_mesh_command_refuses_unknown_endings_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "motionqa.cli.main", "mesh", "absent.bvh", "--out", str(tmp_path / "a.fbx")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("motionqa: a.fbx: a mesh is saved as")


def _numbers(packed: dict[str, str]) -> Array:
    return np.frombuffer(base64.b64decode(packed["bdata"]), dtype=packed["dtype"]).astype(np.int64)

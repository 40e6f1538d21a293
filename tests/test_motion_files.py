"""Motion files in space: every format gives back the positions it was written from, upright and in metres."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from motionqa.data.motion_files.humanml3d import recover_joints
from motionqa.data.motion_files.packed import packed_clip_ids
from motionqa.data.motion_files.read import MotionOverrides, read_motion, sniff_format
from motionqa.data.schema import InputError
from motionqa.data.skeleton import KINECT_20, KITML_21, SMPL_22
from motionqa.tests import marker_writers as markers
from motionqa.tests import motion_writers as write

Array = np.ndarray


# ------------------------------------------------------------------------------------------- other formats


def test_an_amc_finds_its_skeleton_and_bones_end_where_they_should(tmp_path: Path) -> None:
    path, ends = write.write_asf_amc(tmp_path)
    recording = read_motion(path, MotionOverrides(fps=30))
    pose = recording.poses[0]
    for bone, joint in {
        "root": "pelvis", "lhipjoint": "left_hip", "ltibia": "left_ankle", "rwrist": "right_wrist",
        "rhumerus": "right_elbow", "rclavicle": "right_shoulder", "upperneck": "head",
    }.items():  # fmt: skip
        assert np.abs(pose.xyz_m[:, pose.skeleton.index(joint)] - ends[bone]).max() < write.MM, bone
    assert recording.info.detected["units"] == "file header"


def test_an_amc_without_a_frame_rate_is_taken_at_120_and_says_so(tmp_path: Path) -> None:
    path, _ = write.write_asf_amc(tmp_path, frames=9)
    info = read_motion(path).info
    assert (info.fps, info.frames) == (60.0, 5)
    assert any("120 assumed" in note for note in info.notes)


@pytest.mark.parametrize("turn_per_frame", [0.0, 0.05])
def test_humanml3d_features_give_back_the_joints(tmp_path: Path, turn_per_frame: float) -> None:
    truth = write.person(16)
    truth -= truth[:1, :1] * [1, 0, 1]
    features = write.humanml3d_features(truth, np.arange(16) * turn_per_frame)
    assert features.shape == (16, 263)
    assert np.abs(recover_joints(features, 22) - truth).max() < 1e-9
    np.save(tmp_path / "000001.npy", features)
    recording = read_motion(tmp_path / "000001.npy")
    write.same_place(recording, truth)
    assert recording.info.fps == 20.0


def test_humanml3d_and_flattened_joints_are_read_alike(tmp_path: Path) -> None:
    truth = write.person(10)
    np.save(tmp_path / "a.npy", truth.astype(np.float32))
    np.save(tmp_path / "b.npy", truth.reshape(10, -1))
    write.same_place(read_motion(tmp_path / "a.npy"), truth)
    write.same_place(read_motion(tmp_path / "b.npy"), truth)


def test_kit_features_have_21_joints_at_12_and_a_half_frames(tmp_path: Path) -> None:
    body = write.person(8)
    at = {j: body[:, i] for i, j in enumerate(SMPL_22.joints)} | {
        f"{s}_heel": body[:, SMPL_22.index(f"{s}_ankle")] - [0, 0.04, 0.04] for s in ("left", "right")
    }
    truth = np.stack([at[j] for j in KITML_21.joints], axis=1)
    truth -= truth[:1, :1] * [1, 0, 1]
    features = write.humanml3d_features(truth * 1000, np.zeros(8))
    assert features.shape == (8, 251)
    np.save(tmp_path / "00001.npy", features)
    recording = read_motion(tmp_path / "00001.npy")
    write.same_place(recording, truth, KITML_21)
    assert (recording.info.fps, recording.info.units) == (12.5, "mm")


def test_a_trc_of_joint_names_is_read_in_its_units_with_gaps_marked(tmp_path: Path) -> None:
    names = list(markers.JOINT_MARKERS.values())
    body = write.person(20)[:, [SMPL_22.index(j) for j in markers.JOINT_MARKERS]]
    gap = body.copy()
    gap[5:8, names.index("LKnee")] = np.nan
    (tmp_path / "a.trc").write_text(markers.trc_text(names, gap * 1000, units="mm"))
    recording = read_motion(tmp_path / "a.trc")
    pose = recording.poses[0]
    knee = pose.skeleton.index("left_knee")
    assert recording.info.fps == 50.0
    assert np.isfinite(pose.xyz_m).all()
    assert (pose.confidence[5:8, knee] == 0).all()
    assert pose.confidence[4, knee] == 1
    assert np.abs(pose.xyz_m[:, knee] - body[:, names.index("LKnee")]).max() < 0.03
    assert np.abs(np.delete(pose.xyz_m[:, knee] - body[:, names.index("LKnee")], [5, 6, 7], axis=0)).max() < write.MM


def test_a_c3d_of_joint_names_with_z_up_comes_out_y_up(tmp_path: Path) -> None:
    body = write.person(10)[:, [SMPL_22.index(j) for j in markers.JOINT_MARKERS]]
    z_up = np.stack([body[..., 0], -body[..., 2], body[..., 1]], axis=-1)
    path = markers.write_c3d(tmp_path / "a.c3d", list(markers.JOINT_MARKERS.values()), z_up * 1000)
    recording = read_motion(path)
    assert recording.info.up_axis == "z"
    truth = write.person(10)
    head = recording.poses[0].skeleton
    assert "left_toe" in head
    write.same_place(recording, truth)


def test_plug_in_gait_markers_give_joint_centres_within_three_centimetres(tmp_path: Path) -> None:
    body = write.pose(write.OFFSETS, SMPL_22.parents, write.root_path(6), _arms_down(6))
    names, points = markers.plug_in_gait(body)
    path = markers.write_c3d(tmp_path / "a.c3d", [f"Anna:{n}" for n in names], points * 1000)
    recording = read_motion(path)
    pose = recording.poses[0]
    for joint in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist"):
        for side in ("left", "right"):
            gap = pose.xyz_m[:, pose.skeleton.index(f"{side}_{joint}")] - body[:, SMPL_22.index(f"{side}_{joint}")]
            assert np.linalg.norm(gap, axis=1).max() < 0.03, (side, joint)
    assert any("Harrington" in note for note in recording.info.notes)


def test_medial_and_lateral_markers_meet_in_the_middle(tmp_path: Path) -> None:
    body = write.pose(write.OFFSETS, SMPL_22.parents, write.root_path(4), _arms_down(4))
    names, points = markers.plug_in_gait(body)
    extra = [("LKNM", "left_knee", -0.057), ("RKNM", "right_knee", 0.057)]
    added = [body[:, SMPL_22.index(j)] + [dx, 0, 0] for _, j, dx in extra]
    points = np.concatenate([points, np.stack(added, axis=1)], axis=1)
    path = markers.write_c3d(tmp_path / "a.c3d", [*names, *(n for n, _, _ in extra)], points * 1000)
    pose = read_motion(path).poses[0]
    knee = pose.xyz_m[:, pose.skeleton.index("left_knee")]
    assert np.abs(knee - body[:, SMPL_22.index("left_knee")]).max() < write.MM


def _arms_down(frames: int) -> Array:
    turned = np.zeros((frames, 22, 3))
    turned[:, SMPL_22.index("left_shoulder"), 2] = -70
    turned[:, SMPL_22.index("right_shoulder"), 2] = 70
    return turned


def test_a_clip_of_a_packed_file_is_chosen_by_number_or_name(tmp_path: Path) -> None:
    clips = [write.person(5), write.person(7, seed=1), write.person(9, seed=2)]
    path = write.write_packed(tmp_path / "p.npz", clips, SMPL_22.joints, SMPL_22.parents)
    for choice in (1, "1", "a/clip_1.bvh", "clip_1.bvh", "clip_1"):
        write.same_place(read_motion(path, MotionOverrides(clip=choice)), clips[1])
    assert packed_clip_ids(path) == ("a/clip_0.bvh", "a/clip_1.bvh", "a/clip_2.bvh")
    with pytest.raises(InputError, match=r"holds 3 clips.*a number from 0 to 2"):
        read_motion(path)
    with pytest.raises(InputError, match="clips 0 to 2"):
        read_motion(path, MotionOverrides(clip=3))


def test_a_utd_mhad_file_keeps_its_metres_and_axes(tmp_path: Path) -> None:
    truth = np.random.default_rng(0).normal(size=(6, 20, 3)) * 0.3 + [0, 0, 2.5]
    savemat(tmp_path / "a1_s1_t1_skeleton.mat", {"d_skel": truth.transpose(1, 2, 0)})
    pose = read_motion(tmp_path / "a1_s1_t1_skeleton.mat").poses[0]
    assert pose.skeleton is KINECT_20
    assert np.abs(pose.xyz_m - truth).max() < write.MM


def test_an_msr_action3d_text_is_unmirrored_upright_and_marked_not_metric(tmp_path: Path) -> None:
    from motionqa.data.motion_files.kinect import MSR_JOINTS

    rows = np.zeros((3, 20, 4))
    rows[..., 0], rows[..., 1], rows[..., 2] = 150, 120, 640
    for side, x in (("left", 130), ("right", 170)):
        for part, y in (("shoulder", 90), ("hip", 140), ("knee", 190), ("ankle", 230)):
            rows[:, MSR_JOINTS.index(f"{side}_{part}"), :2] = (x, y)
    rows[:, MSR_JOINTS.index("head"), :2] = (150, 55)
    rows[1, MSR_JOINTS.index("left_hand")] = (120, 2147483647, 600, 0)
    np.savetxt(tmp_path / "a01_s01_e01_skeleton.txt", rows.reshape(-1, 4))
    recording = read_motion(tmp_path / "a01_s01_e01_skeleton.txt")
    pose = recording.poses[0]
    at = {j: pose.xyz_m[0, i] for i, j in enumerate(pose.skeleton.joints)}
    assert not pose.metric
    assert at["head"][1] > at["pelvis"][1] > at["left_ankle"][1]
    assert at["left_shoulder"][0] > at["right_shoulder"][0]  # facing a camera, the left side is to the right
    assert pose.confidence[1, pose.skeleton.index("left_hand")] == 0
    assert np.isfinite(pose.xyz_m).all()


# ------------------------------------------------------------------------------------------------- smpl


@pytest.mark.parametrize("kind", ["npz", "pkl"])
def test_smpl_parameters_are_posed_as_smplx_poses_them(tmp_path: Path, kind: str) -> None:
    import smplx
    import torch
    from smplx.utils import Struct

    model = write.body_model()
    models = tmp_path / "models" / "smpl"
    models.mkdir(parents=True)
    if kind == "npz":
        np.savez(models / "SMPL_NEUTRAL.npz", allow_pickle=False, **model)
    else:
        (models / "SMPL_NEUTRAL.pkl").write_bytes(pickle.dumps(model, protocol=2))
    rng = np.random.default_rng(1)
    poses, betas = rng.normal(size=(9, 72)) * 0.1, rng.normal(size=10)
    poses[:, 0] = np.pi / 2  # AMASS stands in Z-up axes
    root = np.stack([np.zeros(9), np.arange(9) / 30, np.full(9, 0.95)], axis=1)
    np.savez(tmp_path / "walk_poses.npz", poses=poses, trans=root, betas=betas, gender="neutral", mocap_framerate=30.0)
    recording = read_motion(tmp_path / "walk_poses.npz", MotionOverrides(body_model=tmp_path / "models"))
    body = smplx.SMPL(
        "", data_struct=Struct(**model), batch_size=9, use_hands=False, use_feet_keypoints=False, dtype=torch.float64,
        vertex_ids=dict.fromkeys(("nose", "reye", "leye", "rear", "lear"), 0),
    )  # fmt: skip
    t = torch.from_numpy
    truth = body(
        betas=t(np.tile(betas, (9, 1))), body_pose=t(poses[:, 3:]), global_orient=t(poses[:, :3]), transl=t(root)
    ).joints[:, :22].detach().numpy()  # fmt: skip
    assert recording.info.up_axis == "z"
    write.same_place(recording, np.stack([truth[..., 0], truth[..., 2], -truth[..., 1]], axis=-1))


def test_smpl_parameters_without_a_body_model_say_which_one_is_needed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", poses=np.zeros((3, 156)), trans=np.zeros((3, 3)), gender="female", betas=np.zeros(16))
    with pytest.raises(InputError, match=r"SMPLH body model \(female\)"):
        read_motion(tmp_path / "a.npz")
    with pytest.raises(InputError, match="no model file was found"):
        read_motion(tmp_path / "a.npz", MotionOverrides(body_model=_empty(tmp_path)))


def _empty(folder: Path) -> Path:
    (folder / "models").mkdir()
    return folder / "models"


# -------------------------------------------------------------------------------------------- overrides


def test_every_override_is_obeyed(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text(write.person_bvh())
    plain = read_motion(tmp_path / "a.bvh").poses[0]
    slow = read_motion(tmp_path / "a.bvh", MotionOverrides(fps=10))
    assert slow.poses[0].times_s[1] == pytest.approx(0.1)
    assert slow.info.detected["fps"] == "given by the user"
    inches = read_motion(tmp_path / "a.bvh", MotionOverrides(units="in")).poses[0]
    assert np.allclose(inches.xyz_m, plain.xyz_m * 2.54)
    turned = read_motion(tmp_path / "a.bvh", MotionOverrides(up_axis="z")).poses[0]
    assert np.allclose(turned.xyz_m[..., 1], plain.xyz_m[..., 2])
    mirrored = read_motion(tmp_path / "a.bvh", MotionOverrides(handedness="left")).poses[0]
    assert np.allclose(mirrored.xyz_m[..., 0], -plain.xyz_m[..., 0])


def test_left_handed_axes_are_noticed_and_left_stays_left(tmp_path: Path) -> None:
    truth = write.person()
    np.save(tmp_path / "unity.npy", truth * [-1, 1, 1])
    recording = read_motion(tmp_path / "unity.npy")
    write.same_place(recording, truth)
    assert any("left-handed" in note for note in recording.info.notes)


def test_fast_recordings_are_thinned_and_long_ones_cut_with_a_note(tmp_path: Path) -> None:
    body = write.person(50)[:, [SMPL_22.index(j) for j in markers.JOINT_MARKERS]]
    (tmp_path / "a.trc").write_text(markers.trc_text(list(markers.JOINT_MARKERS.values()), body, fps=200))
    thinned = read_motion(tmp_path / "a.trc")
    assert (thinned.info.fps, thinned.info.frames) == (50.0, 13)
    assert np.allclose(np.diff(thinned.poses[0].times_s), 0.02)
    cut = read_motion(tmp_path / "a.trc", replace(MotionOverrides(), max_frames=5))
    assert cut.info.frames == 5
    assert any("Only the first" in note for note in cut.info.notes)


def test_the_content_decides_the_format_and_not_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(write.person_bvh())
    assert sniff_format(tmp_path / "a.txt") == "bvh"
    write.same_place(read_motion(tmp_path / "a.txt"), read_motion(tmp_path / "a.txt").poses[0].xyz_m)


def test_one_frame_is_enough(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text(write.person_bvh(1))
    assert len(read_motion(tmp_path / "a.bvh").poses[0]) == 1

"""BVH files: channels, offsets, roots, T-poses, and the names of every common rig."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionqa.data.motion_files.joint_names import build_skeleton, match_names, missing_joints
from motionqa.data.motion_files.read import read_motion
from motionqa.data.skeleton import SMPL_22
from motionqa.tests import motion_writers as write


@pytest.mark.parametrize("order", ["ZXY", "XYZ", "YZX", "ZYX"])
def test_bvh_with_any_channel_order_gives_the_known_positions(tmp_path: Path, order: str) -> None:
    (tmp_path / "a.bvh").write_text(write.person_bvh(order=order))
    recording = read_motion(tmp_path / "a.bvh")
    write.same_place(recording, write.pose(write.OFFSETS, SMPL_22.parents, write.root_path(), write.angles(), order))
    info = recording.info
    assert (info.format, info.skeleton, info.fps, info.units, info.up_axis) == ("bvh", "smpl_22", 30.0, "cm", "y")
    assert {"fps", "units", "up_axis", "skeleton"} <= info.detected.keys()


def test_bvh_position_channels_on_every_joint_replace_the_offsets(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text(write.person_bvh(all_positions=True))
    write.same_place(
        read_motion(tmp_path / "a.bvh"),
        write.pose(write.OFFSETS, SMPL_22.parents, write.root_path(), write.angles(), "ZXY"),
    )


def test_a_quarter_turn_of_the_left_knee_in_a_bvh_points_the_shin_backwards(tmp_path: Path) -> None:
    bent = np.zeros((2, 22, 3))
    bent[:, SMPL_22.index("left_knee"), 0] = 90
    text = write.bvh_text(
        list(write.MIXAMO.values()), SMPL_22.parents, write.OFFSETS, np.full((2, 3), 1.0), bent, order="XYZ"
    )
    (tmp_path / "a.bvh").write_text(text)
    found = read_motion(tmp_path / "a.bvh").poses[0]
    shin = found.xyz_m[0, found.skeleton.index("left_ankle")] - found.xyz_m[0, found.skeleton.index("left_knee")]
    assert np.allclose(shin, [0, 0.03, -0.41], atol=write.MM)


def test_a_bvh_root_relative_to_its_offset_stands_on_the_floor(tmp_path: Path) -> None:
    text = write.person_bvh()
    lifted = text.replace("\tOFFSET 0.000000 0.000000 0.000000", "\tOFFSET 0.000000 95.000000 0.000000", 1)
    lines = lifted.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Frame Time")) + 1
    for i in range(start, len(lines)):
        words = lines[i].split()
        words[1] = f"{float(words[1]) - 95:.6f}"
        lines[i] = " ".join(words)
    (tmp_path / "a.bvh").write_text("\n".join(lines))
    (tmp_path / "b.bvh").write_text(lifted)  # absolute, as most exporters mean it
    truth = write.pose(write.OFFSETS, SMPL_22.parents, write.root_path(), write.angles(), "ZXY")
    relative = read_motion(tmp_path / "a.bvh")
    write.same_place(relative, truth)
    assert any("relative to its OFFSET" in note for note in relative.info.notes)
    write.same_place(read_motion(tmp_path / "b.bvh"), truth)


def test_two_roots_in_a_bvh_are_two_people(tmp_path: Path) -> None:
    names = [*write.MIXAMO.values()]
    parents = [*SMPL_22.parents, *(p + 22 if p >= 0 else -1 for p in SMPL_22.parents)]
    both = np.concatenate([write.angles(), write.angles(seed=1)], axis=1)
    text = write.bvh_text(names * 2, parents, np.tile(write.OFFSETS, (2, 1)), write.root_path(), both)
    (tmp_path / "a.bvh").write_text(text)
    recording = read_motion(tmp_path / "a.bvh")
    assert [p.person_id for p in recording.poses] == [0, 1]
    assert recording.info.people == 2
    assert not np.allclose(recording.poses[0].xyz_m, recording.poses[1].xyz_m)


def test_a_leading_t_pose_is_left_out_and_times_stay_the_files(tmp_path: Path) -> None:
    turned = write.angles(20)
    turned[0] = 0
    text = write.bvh_text(list(write.MIXAMO.values()), SMPL_22.parents, write.OFFSETS, write.root_path(20), turned)
    (tmp_path / "a.bvh").write_text(text)
    (tmp_path / "b.bvh").write_text(write.person_bvh(20))
    with_t_pose, without = read_motion(tmp_path / "a.bvh"), read_motion(tmp_path / "b.bvh")
    assert len(with_t_pose.poses[0]) == 19
    assert with_t_pose.poses[0].times_s[0] == pytest.approx(1 / 30)
    assert any("T-pose" in note for note in with_t_pose.info.notes)
    assert len(without.poses[0]) == 20


RIGS = {
    "mixamo": "mixamorig:Hips mixamorig:LeftUpLeg mixamorig:LeftLeg mixamorig:LeftFoot mixamorig:LeftToeBase "
    "mixamorig:LeftShoulder mixamorig:LeftArm mixamorig:LeftForeArm mixamorig:LeftHand mixamorig:Head mixamorig:Neck",
    "cmu": "Hips LHipJoint LeftUpLeg LeftLeg LeftFoot LeftToeBase LeftShoulder LeftArm LeftForeArm LeftHand Head Neck",
    "bandai": "Hips UpperLeg_L LowerLeg_L Foot_L Toes_L Shoulder_L UpperArm_L LowerArm_L Hand_L Head Neck",
    "reallusion": "CC_Base_Hip CC_Base_L_Thigh CC_Base_L_Calf CC_Base_L_Foot CC_Base_L_ToeBase CC_Base_L_Clavicle "
    "CC_Base_L_Upperarm CC_Base_L_Forearm CC_Base_L_Hand CC_Base_Head CC_Base_NeckTwist01",
    "xsens": "Hips LeftHip LeftKnee LeftAnkle LeftToe LeftCollar LeftShoulder LeftElbow LeftWrist Head Neck",
    "biped": "Bip01_Pelvis Bip01_L_Thigh Bip01_L_Calf Bip01_L_Foot Bip01_L_Toe0 Bip01_L_Clavicle Bip01_L_UpperArm "
    "Bip01_L_Forearm Bip01_L_Hand Bip01_Head Bip01_Neck",
    "rokoko": "Hips LeftThigh LeftShin LeftFoot LeftToe LeftShoulder LeftArm LeftForeArm LeftHand Head Neck",
    "unreal": "pelvis thigh_l calf_l foot_l ball_l clavicle_l upperarm_l lowerarm_l hand_l head neck_01",
    "blender": "hips thigh.L shin.L foot.L toe.L shoulder.L upper_arm.L forearm.L hand.L head neck",
    "smpl": "Pelvis L_Hip L_Knee L_Ankle L_Foot L_Collar L_Shoulder L_Elbow L_Wrist Head Neck",
}


@pytest.mark.parametrize("rig", RIGS)
def test_every_rigs_leg_and_arm_joints_are_told_apart(rig: str) -> None:
    left = [name for name in RIGS[rig].split() if name != "LHipJoint"]
    parts = ("pelvis", "hip", "knee", "ankle", "toe", "clavicle", "shoulder", "elbow", "wrist", "head", "neck")
    found = match_names(RIGS[rig].split(), [-1] * len(RIGS[rig].split()))
    for part, name in zip(parts, left, strict=True):
        ours = part if part in ("pelvis", "head", "neck") else f"left_{part}"
        assert RIGS[rig].split()[found[ours]] == name, ours


def test_a_shoulder_without_an_upper_arm_is_the_shoulder_joint() -> None:
    assert "left_clavicle" not in match_names(["LShoulder", "LElbow", "LWrist"])
    assert match_names(["LShoulder", "LElbow", "LWrist"])["left_shoulder"] == 0


def test_a_skeleton_put_together_from_names_has_one_root_and_says_what_is_missing() -> None:
    skeleton = build_skeleton(["pelvis", "left_hip", "left_knee", "neck", "head"], "rig")
    assert skeleton.parents.count(-1) == 1
    assert "left_ankle" in missing_joints(skeleton)

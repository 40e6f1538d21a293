"""Joint sets and conversions: midline joints where they belong, sides kept, nothing invented."""

from __future__ import annotations

import numpy as np
import pytest

from motionqa.data.skeleton import BLAZEPOSE_33, COCO_17, H36M_17, SKELETONS, SMPL_22, Skeleton, convert
from motionqa.data.synthetic.motions import render, squats


def test_pelvis_thorax_and_spine_are_means_of_the_right_joints() -> None:
    xyz = np.random.default_rng(0).normal(size=(4, 33, 3))
    sure = np.full((4, 33), 0.9)
    sure[:, BLAZEPOSE_33.index("left_hip")] = 0.2
    out, confidence = convert(xyz, sure, BLAZEPOSE_33, H36M_17)
    at = {name: xyz[:, BLAZEPOSE_33.index(name)] for name in BLAZEPOSE_33.joints}
    hips = (at["left_hip"] + at["right_hip"]) / 2
    shoulders = (at["left_shoulder"] + at["right_shoulder"]) / 2
    assert np.allclose(out[:, H36M_17.index("pelvis")], hips)
    assert np.allclose(out[:, H36M_17.index("thorax")], shoulders)
    assert np.allclose(out[:, H36M_17.index("spine")], (hips + shoulders) / 2)
    assert np.allclose(out[:, H36M_17.index("left_wrist")], at["left_wrist"])
    assert np.allclose(confidence[:, H36M_17.index("pelvis")], 0.2)  # as sure as the least sure part
    assert np.allclose(confidence[:, H36M_17.index("right_knee")], 0.9)


def test_a_standing_body_keeps_its_order_from_the_floor_up() -> None:
    pose = render(squats(1))
    out, _ = convert(pose.xyz_m, pose.confidence, SMPL_22, H36M_17)
    heights = [
        out[0, H36M_17.index(j), 1] for j in ("left_ankle", "left_knee", "pelvis", "spine", "thorax", "head_top")
    ]
    assert heights == sorted(heights)
    assert 1.5 < heights[-1] < 1.85


def test_an_unseen_joint_does_not_spoil_joints_that_do_not_need_it() -> None:
    xyz = np.zeros((2, 17, 3))
    xyz[:, COCO_17.index("left_eye")] = np.nan
    out, _ = convert(xyz, np.ones((2, 17)), COCO_17, H36M_17)
    assert np.isfinite(out).all()


def test_what_cannot_be_built_is_named() -> None:
    legs = Skeleton("legs", ("left_hip", "right_hip"), (-1, 0))
    with pytest.raises(ValueError, match=r"left_knee.*from skeleton legs"):
        convert(np.zeros((1, 2, 3)), np.ones((1, 2)), legs, H36M_17)
    with pytest.raises(ValueError, match="17 joints but the positions have 5"):
        convert(np.zeros((1, 5, 3)), np.ones((1, 5)), COCO_17, H36M_17)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda s: s.name)
def test_mirroring_twice_changes_nothing_and_parents_form_a_tree(skeleton: Skeleton) -> None:
    assert [skeleton.mirror[i] for i in skeleton.mirror] == list(range(len(skeleton)))
    roots = [i for i, p in enumerate(skeleton.parents) if p < 0]
    assert len(roots) >= 1
    for joint in range(len(skeleton)):
        steps = 0
        while skeleton.parents[joint] >= 0:
            joint, steps = skeleton.parents[joint], steps + 1  # noqa: PLW2901 - walking up the tree
            assert steps <= len(skeleton)

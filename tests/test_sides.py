"""Exchanged left and right are put back, and a person who really turns is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from motionqa.data.schema import Pose3D
from motionqa.data.skeleton import SMPL_22
from motionqa.data.synthetic.drawn_figure import Camera
from motionqa.data.synthetic.motions import arm_raise, concatenate, render, stand, turn, walk
from motionqa.encoders.sides import exchange, exchanged_frames


def in_picture(pose: Pose3D) -> np.ndarray:
    return np.stack([Camera().project(frame)[0] for frame in pose.xyz_m])


@pytest.mark.parametrize("span", [(0, 12), (20, 45), (60, 75)])
def test_a_run_of_exchanged_frames_is_found_and_undone(span: tuple[int, int]) -> None:
    pose = render(concatenate(stand(0.5), arm_raise("right"), walk(4)))
    picture, seen = in_picture(pose), np.ones(len(pose), bool)
    wrong = np.zeros(len(pose), bool)
    wrong[slice(*span)] = True
    bad_xy, bad_xyz, _ = exchange(picture, pose.xyz_m, pose.confidence, wrong, SMPL_22)
    found = exchanged_frames(bad_xy, pose.confidence, seen, SMPL_22)
    assert np.array_equal(found, wrong)
    xy, xyz, _ = exchange(bad_xy, bad_xyz, pose.confidence, found, SMPL_22)
    assert np.allclose(xy, picture)
    assert np.allclose(xyz, pose.xyz_m)


def test_turning_around_exchanges_nothing() -> None:
    pose = render(concatenate(stand(0.4), turn(180), stand(0.4)))
    found = exchanged_frames(in_picture(pose), pose.confidence, np.ones(len(pose), bool), SMPL_22)
    assert not found.any()

"""Drawn people whose every pixel's way is known: pictures, flow, masks and joints agree."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from jaxtyping import Float

from motionqa.data.skeleton import H36M_17, convert
from motionqa.data.synthetic.body import render
from motionqa.data.synthetic.motions import arm_raise
from motionqa.data.synthetic.puppets import FlowPair, SeenBody, puppet_pair

SIZE = (160, 192)
STILL = np.eye(2, 3)


def body(shift: tuple[float, float] = (0.0, 0.0), depth: float = 4.0, gap: int = 6) -> SeenBody:
    pose = render(arm_raise("right"))
    joints, _ = convert(pose.xyz_m, pose.confidence, pose.skeleton, H36M_17)
    scale = 70.0
    px = joints[..., :2] * (scale, -scale) + (96, 150)
    return SeenBody(px[10], px[10 + gap] + np.array(shift), np.full(17, depth) - joints[10, :, 2], (scale, scale))


def pair(*bodies: SeenBody, camera: Float[np.ndarray, "2 3"] = STILL, seed: int = 0) -> FlowPair:
    return puppet_pair(bodies, SIZE, camera, np.random.default_rng(seed))


def flow_of(p: FlowPair) -> Float[np.ndarray, "2 H W"]:
    assert p.flow is not None
    return p.flow


def warped_back(p: FlowPair) -> np.ndarray:
    grid = np.stack(np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0])), axis=-1) + flow_of(p).transpose(1, 2, 0)
    grid = grid.astype(np.float32)
    return cv2.remap(p.second, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_second_picture_taken_back_along_the_flow_is_the_first(seed: int) -> None:
    camera = np.array([[1.01, 0.01, 3.0], [-0.01, 1.01, -2.0]])
    p = pair(body((6.0, 0.0)), camera=camera, seed=seed)
    inside = cv2.erode(p.masks[0].astype(np.uint8), np.ones((3, 3))) > 0
    off = np.abs(warped_back(p).astype(float) - p.first)[inside].mean()
    unwarped = np.abs(p.second.astype(float) - p.first)[inside].mean()
    assert inside.sum() > 300
    assert off < 0.5 * unwarped


def test_flow_at_a_joint_is_the_joint_s_displacement() -> None:
    p = pair(body((6.0, -3.0)))
    for name in ("left_knee", "right_elbow", "left_ankle"):
        j = H36M_17.index(name)
        x, y = p.joints[0, j].round().astype(int)
        assert np.abs(flow_of(p)[:, y, x] - p.moved[0, j]).max() < 1.5


def test_a_camera_alone_moves_everything_alike_and_nothing_moves_without() -> None:
    camera = np.array([[1.0, 0.0, 5.0], [0.0, 1.0, 2.0]])
    moved = pair(body(gap=0), camera=camera)
    assert np.abs(flow_of(moved) - np.array([5.0, 2.0])[:, None, None]).max() < 1e-3
    assert np.allclose(moved.trend, [[5.0, 2.0]], atol=1e-4)
    assert np.abs(flow_of(pair(body(gap=0)))).max() < 1e-3


def test_the_background_knows_nothing_of_the_people() -> None:
    p = pair(body((8.0, 0.0)))
    assert np.abs(flow_of(p)[:, ~p.masks[0]]).max() < 1e-4
    assert np.abs(flow_of(p)[0, p.masks[0]]).mean() > 5


def test_who_is_in_front_hides_who_is_behind() -> None:
    p = pair(body(depth=3.0), body((4.0, 0.0), depth=5.0))
    assert not (p.masks[0] & p.masks[1]).any()
    assert p.masks[0].sum() > 3 * p.masks[1].sum()


def test_joints_outside_the_picture_have_no_confidence() -> None:
    b = body()
    away = SeenBody(b.first_px + np.array([90.0, 0.0]), b.second_px, b.depth_m, b.scale)
    assert 0 < (pair(away).confidence == 0).sum() <= 17
    assert (pair(b).confidence == 1).all()


def test_the_same_seed_draws_the_same_pair() -> None:
    one, same, other = pair(body(), seed=4), pair(body(), seed=4), pair(body(), seed=5)
    assert np.array_equal(one.first, same.first)
    assert np.array_equal(one.second, same.second)
    assert not np.array_equal(one.first, other.first)

"""The chat's joints get the lifter's depth, in the camera's own axes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from motionqa.data.schema import Pose3D, PoseSequence
from motionqa.data.skeleton import BLAZEPOSE_33, H36M_17, convert
from motionqa.encoders.lift import along_the_ray, relift
from motionqa.encoders.lifter import (
    lift,
)
from motionqa.tests.known_lifting import CONFIG, filmed, in_depth
from motionqa.tests.mocap_clips import J

Array = np.ndarray


def people(x_px: float = 0.0) -> tuple[PoseSequence, Pose3D, Array]:
    """A BlazePose person in the picture, a flat guess of it in space, and where `in_depth` lifts its joints."""
    xy, truth = filmed(2.0)
    frames = len(xy)
    confidence = np.ones((frames, 33))
    at = {name: i for i, name in enumerate(BLAZEPOSE_33.joints)}
    points = np.repeat(xy[:, J["nose"], None], 33, axis=1)  # ears and eyes at the nose
    for name in set(H36M_17.joints) & set(BLAZEPOSE_33.joints):
        points[:, at[name]] = xy[:, J[name]]
    for side in ("left", "right"):
        for limb, ends in (("wrist", ("hand", "pinky", "index", "thumb")), ("ankle", ("heel", "toe"))):
            for end in (e for e in ends if f"{side}_{e}" in at):
                points[:, at[f"{side}_{end}"]] = xy[:, J[f"{side}_{limb}"]] + 5
    points = points + np.array([x_px, 0.0])
    times = np.arange(frames) / 15
    image = PoseSequence(0, BLAZEPOSE_33, 15.0, times, points, confidence, 640, 480, "BlazePose")
    flat = np.concatenate([points[..., :1] / 240, -points[..., 1:] / 240, 0 * points[..., :1]], axis=-1)
    return image, Pose3D(0, BLAZEPOSE_33, 15.0, times, flat, confidence, "BlazePose"), truth


def test_the_chat_s_joints_get_the_lifter_s_depth_and_hands_follow_their_wrists() -> None:
    image, world, _ = people()
    deep = relift(image, world, in_depth, CONFIG)
    assert deep.skeleton is BLAZEPOSE_33
    assert "lifted by DSTformer" in deep.source
    h36m, confidence = convert(image.xy_px, image.confidence, BLAZEPOSE_33, H36M_17)
    expected = lift(h36m, confidence, 15.0, in_depth, CONFIG) * (1, -1, -1)
    found, _ = convert(deep.xyz_m, deep.confidence, BLAZEPOSE_33, H36M_17)
    limbs = [J[f"{s}_{j}"] for s in ("left", "right") for j in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")]
    about = found - found[:, :1]
    assert np.abs(about - expected)[2:-2, limbs].max() < 0.03  # smoothed over time
    for end, limb in (("left_hand", "left_wrist"), ("right_toe", "right_ankle")):
        ends, limbs_at = (BLAZEPOSE_33.index(j) for j in (end, limb))
        before, after = (p.xyz_m[:, ends] - p.xyz_m[:, limbs_at] for p in (world, deep))
        assert np.allclose(before, after, atol=1e-6)


def test_a_person_at_the_edge_of_the_picture_is_seen_from_the_side() -> None:
    image, _, _ = people()
    middle = image.xy_px.mean(axis=(0, 1))
    centred = replace(image, xy_px=image.xy_px - middle + (320, 240))
    assert np.degrees(along_the_ray(centred).magnitude()).max() < 8
    at_edge = replace(centred, xy_px=centred.xy_px + (320, 0))
    turns = along_the_ray(at_edge)
    assert np.degrees(turns.magnitude()).mean() == pytest.approx(np.degrees(np.arctan(0.5)), abs=4)
    # Along the ray is away from the camera and to the right.
    ahead = turns.apply([0, 0, -1])
    assert (ahead[:, 0] > 0.3).all()
    assert (ahead[:, 2] < -0.8).all()

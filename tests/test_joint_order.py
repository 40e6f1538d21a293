"""Human3.6M joints pass in every view and through every noise; other skeletons passed for them are refused."""

from __future__ import annotations

import numpy as np
import pytest

from motionqa.data.detector_noise import load
from motionqa.data.schema import InputError
from motionqa.data.skeleton import BLAZEPOSE_33, COCO_17, H36M_17, KINECT_20, KINECT_25, Skeleton, convert
from motionqa.data.virtual_camera import View, normalise_pelvis, project, to_camera
from motionqa.encoders.joint_order import require_h36m_order
from motionqa.encoders.lifter import lift
from motionqa.tests.known_lifting import CONFIG, in_depth, sure
from motionqa.tests.mocap_clips import ACTIONS, J, clip

Array = np.ndarray


def as_skeleton(xyz: Array, skeleton: Skeleton) -> Array:
    """The first 17 joints of a skeleton on a Human3.6M body, eyes, ears, hands and toes put where they would be."""
    at = {name: xyz[:, i] for name, i in J.items()}
    across = at["left_shoulder"] - at["right_shoulder"]
    up = at["head_top"] - at["nose"]
    ahead = np.cross(across, up)
    ahead *= 0.1 / np.linalg.norm(ahead, axis=-1, keepdims=True)
    at |= {"neck": at["thorax"] + 0.2 * up, "head": (at["nose"] + at["head_top"]) / 2}
    for side, sign in (("left", 1), ("right", -1)):
        at[f"{side}_eye"] = at["nose"] + 0.1 * sign * across + 0.2 * up + 0.5 * ahead
        at[f"{side}_ear"] = at["nose"] + 0.2 * sign * across + 0.1 * up - 0.5 * ahead
        at |= {f"{side}_eye_inner": at[f"{side}_eye"], f"{side}_eye_outer": at[f"{side}_eye"]}
        at[f"mouth_{side}"] = at["nose"] - 0.2 * up + 0.07 * sign * across
        at[f"{side}_hand"] = at[f"{side}_wrist"] + 0.3 * (at[f"{side}_wrist"] - at[f"{side}_elbow"])
        at[f"{side}_toe"] = at[f"{side}_ankle"] + ahead
    return np.stack([at[j] for j in skeleton.joints[:17]], axis=1)


VIEWS = [View(20), View(110, 10), View(200, 20), View(-70, 5)]


def test_the_right_order_is_never_refused_whatever_the_detector_and_whatever_is_hidden() -> None:
    rng, noise = np.random.default_rng(0), load()
    for action in ACTIONS:
        xyz = clip(action, frames=40).xyz_m
        for view in VIEWS:
            exact, _ = normalise_pelvis(project(to_camera(xyz, view)), np.ones(xyz.shape[:2], np.float32))
            require_h36m_order(exact, np.ones(exact.shape[:2]))
            noisy, confidence = noise.apply(exact, 30.0, rng, 1.5)
            confidence[rng.random(confidence.shape) < rng.choice([0.0, 0.3, 0.7])] = 0
            require_h36m_order(noisy, confidence)
            require_h36m_order(noisy[:1], confidence[:1])


def wrong_orders(xyz: Array, rng: np.random.Generator) -> dict[str, Array]:
    skeletons = (COCO_17, BLAZEPOSE_33, KINECT_20, KINECT_25)
    return {s.name: as_skeleton(xyz, s) for s in skeletons} | {"shuffled": xyz[:, rng.permutation(17)]}


def test_other_orders_are_refused_nearly_always() -> None:
    rng, refused = np.random.default_rng(0), dict[str, list[bool]]()
    for action in ACTIONS:
        xyz = clip(action, frames=40).xyz_m
        for view in VIEWS:
            for name, wrong in wrong_orders(xyz, rng).items():
                refused.setdefault(name, []).append(is_refused(project(to_camera(wrong, view))))
    assert {name: np.mean(r) >= 0.95 for name, r in refused.items()} == dict.fromkeys(refused, True), refused


def is_refused(xy: Array) -> bool:
    try:
        require_h36m_order(xy, np.ones(xy.shape[:2]))
    except InputError:
        return True
    return False


def test_the_refusal_says_which_joint_is_astray_and_what_to_do() -> None:
    xyz = clip("walk", frames=20).xyz_m
    seen = 100 * project(to_camera(as_skeleton(xyz, COCO_17).astype(np.float32), View(20)))
    says = r"not the joints of h36m_17.*lies \d\.\d body radii from the middle of .*motionqa\.data\.skeleton\.convert"
    with pytest.raises(InputError, match=says):
        lift(seen, sure(seen), 15.0, in_depth, CONFIG)
    right, _ = convert(seen, sure(seen), COCO_17, H36M_17)
    assert np.isfinite(lift(right, sure(right), 15.0, in_depth, CONFIG)).all()


def test_nothing_is_said_of_the_order_where_too_little_is_seen() -> None:
    xyz = clip("walk", frames=20).xyz_m
    seen = project(to_camera(xyz[:, np.random.default_rng(0).permutation(17)], View(20)))
    confidence = np.zeros(seen.shape[:2])
    confidence[:, :8] = 1
    require_h36m_order(seen, confidence)
    with pytest.raises(InputError):
        require_h36m_order(seen, np.ones(seen.shape[:2]))

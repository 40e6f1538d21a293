"""Where a virtual camera sees joints, and what is done to them before a lifter sees them."""

from __future__ import annotations

import numpy as np
import pytest

from motionqa.data.skeleton import H36M_17
from motionqa.data.virtual_camera import (
    View,
    ViewRange,
    mirrored,
    normalise_box,
    normalise_pelvis,
    project,
    to_camera,
    with_other_limbs,
)
from motionqa.tests.mocap_clips import J, clip

Array = np.ndarray
SURE = np.ones((4, 17), np.float32)


def body_with(joint: str, place: tuple[float, float, float]) -> Array:
    """Every joint at the origin but one."""
    xyz = np.zeros((1, 17, 3), np.float32)
    xyz[0, J[joint]] = place
    return xyz


def picture(seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(4, 17, 2)).astype(np.float32)


@pytest.mark.parametrize(
    ("place", "view", "seen"),
    [
        # A camera in front of somebody who faces +Z: their left (+X) is at the image's right, their front is near.
        ((1, 0, 0), View(), (1, 0, 4)),
        ((0, 1, 0), View(), (0, -1, 4)),
        ((0, 0, 1), View(), (0, 0, 3)),
        # From the person's left side: left is near, the front at the image's left.
        ((1, 0, 0), View(90), (0, 0, 3)),
        ((0, 0, 1), View(90), (-1, 0, 4)),
        # From behind.
        ((1, 0, 0), View(180), (-1, 0, 4)),
        # From above: the head is near, and what stands in front of the feet is lower in the picture.
        ((0, 1, 0), View(0, 30), (0, -np.cos(np.pi / 6), 3.5)),
        ((0, 0, 1), View(0, 30), (0, 0.5, 4 - np.cos(np.pi / 6))),
        ((0, 1, 0), View(0, -90), (0, 0, 5)),
        # From another distance, and with the camera rolled: up in the room is left in the picture.
        ((0, 1, 0), View(0, 0, 90, 6), (-1, 0, 6)),
    ],
)
def test_a_joint_is_where_a_camera_at_that_view_sees_it(
    place: tuple[float, float, float], view: View, seen: tuple[float, float, float]
) -> None:
    camera = to_camera(body_with("head_top", place), view)
    assert camera[0, J["head_top"]] == pytest.approx(seen, abs=1e-6)
    assert camera[0, 0] == pytest.approx((0, 0, view.distance_m), abs=1e-6)


def test_the_camera_looks_at_where_the_pelvis_is_on_average_and_keeps_distances() -> None:
    xyz = clip("walk").xyz_m + np.array([3.0, 0.0, -7.0], np.float32)
    camera = to_camera(xyz, View(50, 10, 5, 5))
    assert camera[:, 0].mean(axis=0) == pytest.approx((0, 0, 5), abs=1e-3)
    apart = [np.linalg.norm(x[:, 4] - x[:, 13], axis=-1) for x in (xyz, camera)]
    assert np.allclose(*apart, atol=1e-4)


def test_projection_divides_by_depth_and_holds_what_is_too_near() -> None:
    camera = np.zeros((1, 17, 3), np.float32)
    camera[0, :, 2] = 4
    camera[0, 1] = (1, -0.5, 4)
    camera[0, 2] = (1, -0.5, 2)
    camera[0, 3] = (0.3, 0.6, 0.1)
    camera[0, 4] = (0.3, 0.6, -1)
    seen = project(camera)[0]
    assert seen[1] == pytest.approx((0.25, -0.125))
    assert seen[2] == pytest.approx((0.5, -0.25))
    assert seen[3] == pytest.approx((1, 2))
    assert seen[4] == pytest.approx((1, 2))


def test_a_view_needs_a_distance_and_drawn_views_stay_in_their_range() -> None:
    with pytest.raises(ValueError, match="above 0, got -1"):
        View(distance_m=-1)
    rng = np.random.default_rng(0)
    views = [ViewRange((-10.0, 20.0), 0.0, (3.0, 4.0)).sample(rng) for _ in range(200)]
    assert {v.roll_deg for v in views} == {0.0}
    assert all(-10 <= v.elevation_deg <= 20 and 3 <= v.distance_m <= 4 for v in views)
    assert np.ptp([v.azimuth_deg for v in views]) > 300


# --------------------------------------------------------------------------------------- normalisation


def test_the_pelvis_form_does_not_depend_on_where_and_how_large_the_person_is() -> None:
    xy = picture()
    normal, size = normalise_pelvis(xy, SURE)
    path = np.arange(8, dtype=np.float32).reshape(4, 1, 2) * 50  # the person also walks through the picture
    moved, larger = normalise_pelvis(300 * xy + 500 + path, SURE)
    assert np.allclose(normal, moved, atol=1e-4)
    assert larger == pytest.approx(300 * size, rel=1e-4)
    assert (normal[:, 0] == 0).all()


def test_a_body_size_is_the_median_over_frames_of_the_distance_from_the_pelvis() -> None:
    xy = np.zeros((3, 17, 2), np.float32)
    xy[:, 1:, 0] = np.array([1.0, 2.0, 10.0])[:, None]
    normal, size = normalise_pelvis(xy, np.ones((3, 17), np.float32))
    assert size == pytest.approx(2)
    assert normal[:, 5, 0] == pytest.approx((0.5, 1, 5))


def test_joints_that_are_not_seen_are_zero_and_do_not_count() -> None:
    xy, sure = picture(), SURE.copy()
    sure[1, 7] = 0
    xy[1, 7] = 1e6
    sure[2, 0] = 0  # without the pelvis nothing of a frame can be placed
    normal, size = normalise_pelvis(xy, sure)
    rest, same = normalise_pelvis(np.where(sure[..., None] > 0, xy, -5e6).astype(np.float32), sure)
    assert (normal[1, 7] == 0).all()
    assert (normal[2] == 0).all()
    assert np.array_equal(normal, rest)
    assert size == same


def test_the_box_form_fills_the_box_with_the_window() -> None:
    xy = picture() * (3, 1)
    normal, half = normalise_box(100 * xy + 7, SURE)
    assert normal[..., 0].min() == pytest.approx(-1, abs=1e-5)
    assert normal[..., 0].max() == pytest.approx(1, abs=1e-5)
    assert normal[..., 1].max() == pytest.approx(-normal[..., 1].min(), abs=1e-5)
    assert half == pytest.approx(50 * np.ptp(xy[..., 0]), rel=1e-4)


def test_nobody_and_a_single_point_are_refused() -> None:
    for normalise in (normalise_pelvis, normalise_box):
        with pytest.raises(ValueError, match="every confidence is 0"):
            normalise(picture(), 0 * SURE)
        with pytest.raises(ValueError, match="in one point"):
            normalise(0 * picture() + 4, SURE)


# ------------------------------------------------------------------------------------- other bodies


def test_the_mirror_image_exchanges_sides_and_twice_mirrored_is_the_same() -> None:
    xyz = clip("wave").xyz_m
    assert np.array_equal(mirrored(mirrored(xyz)), xyz)
    other = mirrored(xyz)
    assert np.allclose(other[:, J["right_wrist"]], xyz[:, J["left_wrist"]] * (-1, 1, 1))
    assert np.allclose(other[:, J["head_top"]], xyz[:, J["head_top"]] * (-1, 1, 1))
    moves = [np.ptp(x[:, J["right_wrist"], 1]) for x in (xyz, other)]
    assert moves[1] > 3 * moves[0]  # the left hand waves; in the mirror it is the right one


def test_other_limbs_keep_the_directions_of_bones_and_are_alike_on_both_sides_and_over_time() -> None:
    xyz = clip("walk").xyz_m
    other = with_other_limbs(xyz, np.random.default_rng(3))
    assert np.array_equal(other[:, 0], xyz[:, 0])
    scales = {}
    for parent, child in H36M_17.bones:
        old, new = xyz[:, child] - xyz[:, parent], other[:, child] - other[:, parent]
        scale = (old * new).sum(-1) / (old**2).sum(-1)
        assert np.allclose(new, scale[:, None] * old, atol=1e-5), H36M_17.joints[child]
        assert np.ptp(scale) < 1e-3
        scales[H36M_17.joints[child]] = scale.mean()
    for joint in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist"):
        assert scales[f"left_{joint}"] == pytest.approx(scales[f"right_{joint}"], abs=1e-4)
    assert 0.01 < np.ptp(list(scales.values())) < 0.3


def test_bodies_drawn_without_spread_are_the_same_and_others_differ_from_draw_to_draw() -> None:
    xyz, rng = clip("walk").xyz_m, np.random.default_rng(0)
    assert np.allclose(with_other_limbs(xyz, rng, 0.0, 0.0), xyz, atol=1e-6)
    assert not np.allclose(with_other_limbs(xyz, rng), with_other_limbs(xyz, rng), atol=1e-3)

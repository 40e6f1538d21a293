"""Finding people and following one of them, on drawn people whose every joint is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionqa.data.schema import Clip, InputError, PersonTrack, Pose3D
from motionqa.data.skeleton import BLAZEPOSE_33, H36M_17, convert
from motionqa.data.synthetic.drawn_figure import Camera, figure_frames
from motionqa.data.synthetic.motions import arm_raise, concatenate, render, squats, stand, walk
from motionqa.data.video import read_clip
from motionqa.data.video_writer import write_video
from motionqa.encoders.lift import from_image, place_in_space
from motionqa.encoders.people import PersonChoice, choose_person, find_people
from motionqa.encoders.pose import PersonPose, estimate_pose, smooth

CAMERA = Camera()


def moved(pose: Pose3D, x: float, z: float) -> Pose3D:
    """The same movement somewhere else in the room."""
    return replace(pose, xyz_m=pose.xyz_m + (x, 0, z))


@pytest.fixture(scope="module")
def raising() -> Pose3D:
    return render(concatenate(stand(0.4), arm_raise("right"), stand(0.4)))


@pytest.fixture(scope="module")
def seen(raising: Pose3D, tmp_path_factory: pytest.TempPathFactory) -> tuple[Clip, PersonTrack, PersonPose]:
    path = write_video(figure_frames(raising), tmp_path_factory.mktemp("pose") / "raise.mp4")
    clip = read_clip(path)
    (track,) = find_people(clip)
    return clip, track, estimate_pose(clip, track)


def test_the_drawn_person_is_found_once_and_in_every_frame(seen: tuple[Clip, PersonTrack, PersonPose]) -> None:
    clip, track, pose = seen
    assert track.score.mean() > 0.9
    assert len(pose.image) == len(clip)
    assert pose.image.seen.all()
    assert pose.image.skeleton is BLAZEPOSE_33


def test_joints_lie_where_they_were_drawn(seen: tuple[Clip, PersonTrack, PersonPose], raising: Pose3D) -> None:
    _, _, pose = seen
    truth = np.stack([CAMERA.project(frame)[0] for frame in raising.xyz_m])
    stature_px = np.ptp(truth[0, :, 1])
    for joint in ("left_wrist", "right_wrist", "right_elbow", "left_knee", "right_ankle"):
        found = pose.image.xy_px[:, BLAZEPOSE_33.index(joint)]
        error = np.linalg.norm(found - truth[: len(found), raising.skeleton.index(joint)], axis=1)
        assert np.median(error) < 0.04 * stature_px, joint


def test_the_mask_covers_the_person_and_little_else(seen: tuple[Clip, PersonTrack, PersonPose]) -> None:
    clip, _, pose = seen
    mask = pose.image.mask
    assert mask is not None
    unit = mask.shape[2] / clip.width
    hips = pose.image.xy_px[0, [BLAZEPOSE_33.index("left_hip"), BLAZEPOSE_33.index("right_hip")]].mean(axis=0) * unit
    assert mask[0, round(hips[1]), round(hips[0])]
    assert 0.03 < mask.mean() < 0.25


def test_world_joints_are_metres_with_y_up_and_left_to_the_right_of_a_facing_person(
    seen: tuple[Clip, PersonTrack, PersonPose],
) -> None:
    _, _, pose = seen
    xyz, _ = convert(pose.world.xyz_m, pose.world.confidence, BLAZEPOSE_33, H36M_17)
    first = xyz[3]
    assert 1.2 < np.ptp(first[:, 1]) < 2.0
    assert first[H36M_17.index("head_top"), 1] > first[H36M_17.index("left_ankle"), 1]
    assert first[H36M_17.index("left_shoulder"), 0] > first[H36M_17.index("right_shoulder"), 0]


def test_the_camera_sees_how_far_a_person_walks(tmp_path: Path) -> None:
    person = render(walk(steps=5))
    facing = moved(person, 0, 0)
    turned = replace(facing, xyz_m=facing.xyz_m[..., [2, 1, 0]] * (1, 1, -1))  # walks along +X
    camera = Camera(z_m=6.0, x_m=float(np.mean(turned.xyz_m[..., 0])))
    clip = read_clip(write_video(figure_frames(turned, camera=camera), tmp_path / "walk.mp4"))
    pose = estimate_pose(clip, find_people(clip)[0])
    placed = place_in_space(pose.image, pose.world)
    root = convert(placed.xyz_m, placed.confidence, BLAZEPOSE_33, H36M_17)[0][pose.image.seen, 0]
    travelled = root[-1, 0] - root[0, 0]
    truth = turned.xyz_m[-1, 0, 0] - turned.xyz_m[0, 0, 0]
    assert placed.root_motion == "estimated"
    assert travelled == pytest.approx(truth, rel=0.3)
    assert abs(root[-1, 2] - root[0, 2]) < 0.6


def two_people(tmp_path: Path) -> Clip:
    large = moved(render(squats(1)), -0.9, 0.3)
    small = moved(render(arm_raise("left", hold_s=1.0)), 0.5, -1.2)
    return read_clip(write_video(figure_frames(large, small, camera=Camera(width=960)), tmp_path / "two.mp4"))


def test_two_people_are_told_apart_and_either_can_be_picked(tmp_path: Path) -> None:
    clip = two_people(tmp_path)
    tracks = find_people(clip)
    assert len(tracks) == 2
    assert tracks[0].radius_px.mean() > tracks[1].radius_px.mean()
    assert choose_person(tracks, PersonChoice(), clip).person_id == 0
    assert choose_person(tracks, PersonChoice("central"), clip).person_id == 1
    x, y, _ = tracks[1].circle_at(0.5)
    assert choose_person(tracks, PersonChoice(click_px=(x + 9, y), click_s=0.5), clip).person_id == 1
    assert choose_person(tracks, PersonChoice(person_id=1), clip).person_id == 1
    with pytest.raises(InputError, match="no person 7"):
        choose_person(tracks, PersonChoice(person_id=7), clip)


def test_the_picked_person_is_followed_and_not_the_other(tmp_path: Path) -> None:
    clip = two_people(tmp_path)
    tracks = find_people(clip)
    for track in tracks:
        pose = estimate_pose(clip, track)
        middle = pose.image.xy_px[pose.image.seen][:, 23:25].mean(axis=(0, 1))
        assert np.hypot(*(middle - track.center_px.mean(axis=0))) < track.radius_px.mean()
        assert pose.image.person_id == track.person_id


def test_an_empty_room_has_nobody_and_says_what_to_do(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(90, 110, (120, 160, 3)).astype(np.uint8)
    clip = read_clip(write_video(((k / 10, noise) for k in range(10)), tmp_path / "room.mp4"))
    with pytest.raises(InputError, match=r"No person was found in 'room\.mp4'.*whole body"):
        choose_person(find_people(clip), PersonChoice(), clip)


def test_legs_outside_the_picture_have_no_confidence(tmp_path: Path) -> None:
    camera = Camera(y_m=1.5, z_m=1.9)  # from the waist up
    person = render(concatenate(stand(0.3), arm_raise("left")))
    clip = read_clip(write_video(figure_frames(person, camera=camera), tmp_path / "waist.mp4"))
    pose = estimate_pose(clip, find_people(clip)[0])
    ankles = [BLAZEPOSE_33.index("left_ankle"), BLAZEPOSE_33.index("right_ankle")]
    shoulders = [BLAZEPOSE_33.index("left_shoulder"), BLAZEPOSE_33.index("right_shoulder")]
    assert pose.image.confidence[:, ankles].max() == 0
    assert np.median(pose.image.confidence[:, shoulders]) > 0.8


def test_smoothing_removes_jitter_without_delay() -> None:
    times = np.arange(120) / 30
    clean = np.sin(2 * np.pi * times)[:, None, None]
    noisy = clean + np.random.default_rng(0).normal(0, 0.05, clean.shape)
    smoothed = smooth(noisy, np.ones(120, bool), 30.0, 6.0)
    middle = slice(10, -10)
    assert np.std(smoothed[middle] - clean[middle]) < 0.75 * np.std(noisy[middle] - clean[middle])
    shift = np.correlate(smoothed[:, 0, 0], clean[:, 0, 0], "full").argmax() - 119
    assert shift == 0


def test_keypoints_without_depth_become_a_flat_pose_that_says_so(
    seen: tuple[Clip, PersonTrack, PersonPose],
) -> None:
    flat = from_image(seen[2].image)
    assert flat.planar
    assert not flat.metric
    assert np.ptp(flat.xyz_m[..., 2]) == 0
    assert "depth" in flat.notes[0]
    assert flat.xyz_m[0, BLAZEPOSE_33.index("nose"), 1] > flat.xyz_m[0, BLAZEPOSE_33.index("left_hip"), 1]

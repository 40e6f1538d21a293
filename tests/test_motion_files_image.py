"""Key points in json: every known shape, several people, gaps, and people told apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionqa.data.motion_files.people import Detection, link_people
from motionqa.data.motion_files.read import MotionOverrides, read_motion, sniff_format
from motionqa.data.schema import PoseSequence
from motionqa.data.skeleton import (
    BLAZEPOSE_33,
    COCO_17,
    H36M_17,
    HALPE_26,
    OPENPOSE_18,
    OPENPOSE_25,
    SMPL_22,
    Skeleton,
    convert,
)
from motionqa.tests import motion_writers as write

Array = np.ndarray


def seen_by_camera(skeleton: Skeleton, frames: int = 8, x_px: float = 320.0) -> Array:
    """The walking person's joints [T, J, 2] in a 640 x 480 image, facing the camera; unknown joints at the head."""
    body = write.person(frames)
    at = {j: body[:, i] for i, j in enumerate(SMPL_22.joints)}
    at |= {"thorax": at["neck"], "nose": at["head"]}
    points = np.stack([at.get(j, at["head"] + [0.01 * i, 0, 0]) for i, j in enumerate(skeleton.joints)], axis=1)
    return np.stack([x_px + 200 * points[..., 0], 440 - 230 * points[..., 1]], axis=-1)


def close(pose: PoseSequence, xy_px: Array, within_px: float = 0.01) -> None:
    assert np.abs(pose.xy_px - xy_px).max() < within_px
    assert (pose.confidence > 0).all()


@pytest.mark.parametrize("skeleton", [OPENPOSE_25, OPENPOSE_18])
def test_a_directory_of_openpose_files_is_one_sequence_in_number_order(tmp_path: Path, skeleton: Skeleton) -> None:
    xy = seen_by_camera(skeleton, 12)
    for t in range(12):
        person = {"person_id": [-1], "pose_keypoints_2d": write.flat(xy[t]), "hand_left_keypoints_2d": [0.0] * 63}
        write.write_json(tmp_path / f"clip_{t}_keypoints.json", {"version": 1.3, "people": [person]})
    recording = read_motion(tmp_path)
    assert (recording.info.format, recording.info.skeleton, recording.info.fps) == ("openpose", skeleton.name, 30.0)
    assert any("Frame rate not in the file" in note for note in recording.info.notes)
    close(recording.image_poses[0], xy)


def test_a_list_of_openpose_frames_in_one_file_is_read_too(tmp_path: Path) -> None:
    xy = seen_by_camera(OPENPOSE_25)
    frames = [{"people": [{"pose_keypoints_2d": write.flat(p)}]} for p in xy]
    close(read_motion(write.write_json(tmp_path / "all.json", frames)).image_poses[0], xy)
    one = read_motion(write.write_json(tmp_path / "one.json", frames[0]))
    assert one.info.frames == 1


def coco(xy: Array, **more: Any) -> list[dict[str, Any]]:
    return [
        {"image_id": t, "category_id": 1, "keypoints": write.flat(p), "score": 0.9, **more} for t, p in enumerate(xy)
    ]


def test_coco_results_keep_two_people_apart_even_where_the_list_swaps_them(tmp_path: Path) -> None:
    left, right = seen_by_camera(COCO_17, 10, 150), seen_by_camera(COCO_17, 10, 480)
    entries = []
    for t, (a, b) in enumerate(zip(coco(left), coco(right), strict=True)):
        entries += [a, b] if t % 2 else [b, a]
    recording = read_motion(write.write_json(tmp_path / "results.json", entries))
    assert recording.info.people == 2
    by_x = sorted(recording.image_poses, key=lambda p: p.xy_px[0, 0, 0])
    close(by_x[0], left)
    close(by_x[1], right)
    assert {p.person_id for p in recording.image_poses} == {0, 1}


def test_track_ids_of_the_file_are_kept(tmp_path: Path) -> None:
    entries = coco(seen_by_camera(COCO_17, 6, 150), track_id=7) + coco(seen_by_camera(COCO_17, 6, 480), track_id=3)
    recording = read_motion(write.write_json(tmp_path / "results.json", entries))
    assert {p.person_id for p in recording.image_poses} == {3, 7}
    assert recording.info.detected["people"] == "track ids in the file"


def test_coco_annotations_bring_the_image_size_and_visibility_flags(tmp_path: Path) -> None:
    xy = seen_by_camera(COCO_17, 4)
    annotations = coco(xy)
    for entry in annotations:
        entry["keypoints"][2::3] = [2] * 16 + [1]
    images = [{"id": t, "width": 640, "height": 480} for t in range(4)]
    data = {"images": images, "annotations": annotations}
    recording = read_motion(write.write_json(tmp_path / "person_keypoints.json", data))
    pose = recording.image_poses[0]
    assert (pose.width, pose.height) == (640, 480)
    assert pose.confidence[0, 0] == 1
    assert pose.confidence[0, 16] == 0.5


@pytest.mark.parametrize("skeleton", [COCO_17, HALPE_26])
def test_alphapose_lists_name_images_and_skip_empty_frames(tmp_path: Path, skeleton: Skeleton) -> None:
    xy = seen_by_camera(skeleton, 9)
    keep = [0, 1, 2, 5, 6, 7, 8]
    entries = [
        {"image_id": f"{t}.jpg", "category_id": 1, "keypoints": write.flat(xy[t]), "score": 2.7, "idx": 1} for t in keep
    ]
    path = write.write_json(tmp_path / "alphapose-results.json", entries)
    assert sniff_format(path) == "alphapose"
    pose = read_motion(path).image_poses[0]
    assert len(pose) == 9
    assert (pose.confidence[3:5] == 0).all()
    assert np.abs(pose.xy_px[keep] - xy[keep]).max() < 0.01
    assert np.isfinite(pose.xy_px).all()


@pytest.mark.parametrize(("outer", "inner"), [("people", "pose_keypoints_2d"), ("bodies", "joints")])
def test_alphapose_in_the_open_and_cmu_forms_is_read(tmp_path: Path, outer: str, inner: str) -> None:
    xy = seen_by_camera(OPENPOSE_18, 5)
    data = {f"{t}.jpg": {"version": "AlphaPose v0.3", outer: [{inner: write.flat(xy[t])}]} for t in range(5)}
    close(read_motion(write.write_json(tmp_path / "sep.json", data)).image_poses[0], xy)


def test_mmpose_instances_are_read(tmp_path: Path) -> None:
    xy = seen_by_camera(COCO_17, 5)
    frames = [
        {"frame_id": t, "instances": [{"keypoints": xy[t].tolist(), "keypoint_scores": [0.8] * 17}]} for t in range(5)
    ]
    close(
        read_motion(write.write_json(tmp_path / "mm.json", {"meta_info": {}, "instance_info": frames})).image_poses[0],
        xy,
    )


# ---------------------------------------------------------------------------------------------- mediapipe


def mediapipe_frames(frames: int = 6) -> tuple[list[Array], list[Array]]:
    """(image landmarks in parts of the image, world landmarks with Y down and Z away) per frame, [33, 3] each."""
    body = write.person(frames)
    at = {j: body[:, i] for i, j in enumerate(SMPL_22.joints)} | {"nose": body[:, SMPL_22.index("head")]}
    space = np.stack([at.get(j, at["head"]) for j in BLAZEPOSE_33.joints], axis=1)
    hips = 0.5 * (at["left_hip"] + at["right_hip"])
    world = (space - hips[:, None]) * [1, -1, -1]
    image = np.stack([0.5 + space[..., 0] / 3, 0.9 - space[..., 1] / 2, space[..., 2] * 0], axis=-1)
    return list(image), list(world)


def shapes() -> dict[str, Any]:
    image, _ = mediapipe_frames()
    dicts = [write.landmarks(p) for p in image]
    return {
        "a list of frames of dictionaries": dicts,
        "rows of numbers": [[[*map(float, row), 0.9] for row in p] for p in image],
        "frames with a name": [{"frame": t, "landmarks": p} for t, p in enumerate(dicts)],
        "protobuf's names": [{"poseLandmarks": {"landmark": p}} for p in dicts],
        "a list of people": [{"pose_landmarks": [p]} for p in dicts],
        "a header and frames": {
            "fps": 25,
            "width": 640,
            "height": 480,
            "frames": [{"pose_landmarks": p} for p in dicts],
        },
        "a dictionary of frame numbers": {f"frame_{t}": p for t, p in enumerate(dicts)},
    }


@pytest.mark.parametrize("shape", shapes())
def test_mediapipe_landmarks_are_read_in_every_obvious_shape(tmp_path: Path, shape: str) -> None:
    image, _ = mediapipe_frames()
    path = write.write_json(tmp_path / "pose.json", shapes()[shape])
    recording = read_motion(path, MotionOverrides(image_size=(640, 480)))
    assert recording.info.format == "mediapipe"
    close(recording.image_poses[0], np.stack(image)[..., :2] * [640, 480])
    assert recording.info.fps == (25 if "header" in shape else 30)


def test_mediapipe_world_landmarks_are_upright_metres_without_a_path(tmp_path: Path) -> None:
    image, world = mediapipe_frames()
    frames = [
        {"timestamp_ms": 40 * t, "pose_landmarks": write.landmarks(a), "pose_world_landmarks": write.landmarks(b)}
        for t, (a, b) in enumerate(zip(image, world, strict=True))
    ]
    frames[2]["pose_landmarks"] = frames[2]["pose_world_landmarks"] = None
    recording = read_motion(write.write_json(tmp_path / "pose.json", frames))
    pose = recording.poses[0]
    assert (pose.root_motion, pose.camera, recording.info.fps) == ("none", True, 25.0)
    assert len(recording.image_poses) == 1
    head, toe = (pose.xyz_m[:, pose.skeleton.index(j)] for j in ("nose", "left_toe"))
    assert (head[:, 1] - toe[:, 1]).min() > 1.2
    assert (toe[:, 2] > pose.xyz_m[:, pose.skeleton.index("left_ankle"), 2]).all()  # towards the camera
    assert (pose.confidence[2] == 0).all()
    h36m, _ = convert(pose.xyz_m, pose.confidence, pose.skeleton, H36M_17)
    assert np.isfinite(h36m).all()


def test_two_people_of_mediapipe_are_told_apart_by_their_place_in_the_image(tmp_path: Path) -> None:
    image, world = mediapipe_frames()
    frames = []
    for t, (a, b) in enumerate(zip(image, world, strict=True)):
        people = [(a - np.array([0.3, 0, 0]), b), (a + np.array([0.3, 0, 0]), b * [1, 0.9, 1])]
        people = people if t % 2 else people[::-1]
        frames.append(
            {
                "pose_landmarks": [write.landmarks(p) for p, _ in people],
                "pose_world_landmarks": [write.landmarks(p) for _, p in people],
            }
        )
    recording = read_motion(write.write_json(tmp_path / "pose.json", frames))
    heights = sorted(float(np.ptp(p.xyz_m[..., 1], axis=1).std()) for p in recording.poses)
    assert len(recording.poses) == len(recording.image_poses) == 2
    tall = [np.ptp(p.xyz_m[..., 1], axis=1).mean() for p in recording.poses]
    assert min(tall) / max(tall) == pytest.approx(0.9, abs=0.01)
    assert max(heights) < 0.1


# --------------------------------------------------------------------------------------------- tracking


def test_a_person_who_is_lost_for_long_comes_back_as_somebody_else() -> None:
    xy = seen_by_camera(COCO_17, 1)[0]
    here = [Detection(xy, np.ones(17))]
    short, _ = link_people([here, [], [], here], fps=30)
    long, _ = link_people([here, *([[]] * 40), here], fps=30)
    assert (len(short), len(long)) == (1, 2)


def test_a_far_jump_is_another_person() -> None:
    xy = seen_by_camera(COCO_17, 1)[0]
    tracks, _ = link_people([[Detection(xy, np.ones(17))], [Detection(xy + 900, np.ones(17))]], fps=30)
    assert len(tracks) == 2


def test_the_image_size_is_guessed_and_said_so_unless_given(tmp_path: Path) -> None:
    path = write.write_json(tmp_path / "results.json", coco(seen_by_camera(COCO_17, 3) * 2))
    guessed = read_motion(path)
    assert (guessed.image_poses[0].width, guessed.image_poses[0].height) in {(1280, 720), (720, 1280), (1920, 1080)}
    assert any("Image size" in note for note in guessed.info.notes)
    given = read_motion(path, MotionOverrides(image_size=(1000, 900)))
    assert (given.image_poses[0].width, given.image_poses[0].height) == (1000, 900)

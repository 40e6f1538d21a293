"""UTD-MHAD's depth videos: what is read of them, where the joints fall, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionqa.data.depth_video import DepthVideo, find_depth_videos, load_skeletons, project, read_depth_clip
from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17
from motionqa.data.video_writer import write_video
from motionqa.tests.depth_clips import depth_frames, skeleton, write_depth, write_skeletons

FRAMES = 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A video of action 1 by subject 2, its skeleton beside."""
    body = skeleton(FRAMES, 0.02)
    write_depth(tmp_path / "a1_s2_t3.mp4", depth_frames(body))
    write_skeletons(tmp_path / "utd_mhad.npz", ["a1_s2_t3"], [body])
    return tmp_path


def only(folder: Path) -> DepthVideo:
    (video,) = find_depth_videos(folder)
    return video


def test_a_clip_says_what_its_name_says_and_on_which_side_of_the_protocol_it_is(folder: Path) -> None:
    video = only(folder)
    assert (video.name, video.action, video.subject, video.trial, video.split) == ("a1_s2_t3", 1, 2, 3, "test")
    assert replace(video, subject=7).split == "train"
    clip = read_depth_clip(video, load_skeletons(folder / "utd_mhad.npz"))
    assert (clip.label, clip.fps, len(clip)) == ("swipe left", 30.0, FRAMES)
    assert clip.grey.shape == (FRAMES, 240, 320)
    assert clip.joints_px.shape == (FRAMES, 17, 2)


def test_joints_fall_on_the_person_and_follow_the_hand(folder: Path) -> None:
    clip = read_depth_clip(only(folder), load_skeletons(folder / "utd_mhad.npz"))
    for name in ("thorax", "right_wrist", "pelvis"):
        x, y = clip.joints_px[:, H36M_17.index(name)].round().astype(int).T
        assert clip.mask[np.arange(FRAMES), y, x].all(), name
    wrist = clip.joints_px[:, H36M_17.index("right_wrist"), 0]
    np.testing.assert_allclose(np.diff(wrist), 285.6 * 0.02 / 2.8, atol=0.15)
    assert wrist[0] > 160  # the right hand is at larger x: the picture is mirrored


def test_points_are_projected_by_the_documented_formula() -> None:
    xyz = np.array([[0.0, 0.0, 2.0], [1.0, 0.5, 2.0]])
    np.testing.assert_allclose(project(xyz), [[160, 120], [160 + 142.8, 120 - 71.4]])
    with pytest.raises(ValueError, match="behind the camera"):
        project(np.array([[0.0, 0.0, -1.0]]))


def test_grey_is_depth_and_nothing_is_background(folder: Path) -> None:
    clip = read_depth_clip(only(folder), load_skeletons(folder / "utd_mhad.npz"))
    assert clip.depth_m[0, 5, 5] == 0
    assert not clip.mask[0, 5, 5]
    x, y = clip.joints_px[0, H36M_17.index("pelvis")].round().astype(int)
    assert abs(clip.depth_m[0, y, x] - (1 + (255 - 130) * 3000 / 207 / 1000)) < 0.2
    far = clip.grey.copy()
    far[:] = 48
    np.testing.assert_allclose(replace(clip, grey=far).depth_m, 4.0, atol=1e-5)


def test_a_video_and_a_skeleton_that_do_not_belong_together_are_refused(folder: Path) -> None:
    longer = skeleton(FRAMES + 1, 0.02)
    other = load_skeletons(write_skeletons(folder / "b.npz", ["a1_s2_t3"], [longer]))
    with pytest.raises(InputError, match="has 12 frames and its skeleton 13"):
        read_depth_clip(only(folder), other)
    with pytest.raises(InputError, match="no skeleton a1_s2_t3"):
        read_depth_clip(only(folder), {})
    behind = load_skeletons(write_skeletons(folder / "c.npz", ["a1_s2_t3"], [skeleton(FRAMES, 0.02, -2.0)]))
    with pytest.raises(InputError, match="not before the camera"):
        read_depth_clip(only(folder), behind)


def test_pictures_that_are_no_depth_are_refused(folder: Path) -> None:
    known = load_skeletons(folder / "utd_mhad.npz")
    path = only(folder).path
    frames = depth_frames(skeleton(FRAMES, 0.02))

    def rewritten(pictures: np.ndarray) -> DepthVideo:
        write_depth(path, pictures)
        return only(folder)

    coloured = frames.copy()
    coloured[:, 50:150, 50:150] = (250, 20, 20)
    with pytest.raises(InputError, match="in colour"):
        read_depth_clip(rewritten(coloured), known)
    with pytest.raises(InputError, match="160 x 120 pixels, expected 320 x 240"):
        read_depth_clip(rewritten(np.ascontiguousarray(frames[:, ::2, ::2])), known)
    with pytest.raises(InputError, match="shows nobody"):
        read_depth_clip(rewritten(np.zeros_like(frames)), known)


def test_a_folder_of_something_else_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(InputError, match=r"no .mp4 files"):
        find_depth_videos(empty)
    with pytest.raises(InputError, match=r"no .mp4 files"):
        find_depth_videos(empty / "missing")
    write_video([(0.0, np.zeros((240, 320, 3), np.uint8))], folder / "holiday.mp4")
    with pytest.raises(InputError, match=r"1 videos with other names than a1_s1_t1.mp4, such as holiday.mp4"):
        find_depth_videos(folder)

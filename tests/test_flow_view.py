"""The painted video: hue is direction, strength is speed, and what is not known stays as it was filmed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from motionqa.assistant.flow_view import (
    colour_wheel,
    draw_flow,
    flow_colours,
    flow_note,
    paint,
    top_speed,
)
from motionqa.data.flow_field import FlowField
from motionqa.data.schema import Clip, PoseSequence
from motionqa.data.video import frame_at
from motionqa.encoders.flow.clip import FlowClipConfig, flow_field, flow_fields
from motionqa.tests.flow_clips import HEIGHT, WIDTH, Classical, Says, made_field, patch_film, walk_of

Array = np.ndarray
SMALL = FlowClipConfig(window_px=128, grid=32)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clip, PoseSequence, FlowField]:
    clip, (pose,) = patch_film(tmp_path_factory.mktemp("film") / "walk.mp4", [walk_of(24)])
    return clip, pose, flow_field(clip, pose, Classical(), SMALL)


def frames_of(path: Path) -> list[Array]:
    with av.open(str(path)) as container:
        return [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]


def body_at(pose: PoseSequence, k: int) -> Array:
    """The inside of the person in frame k, a little away from the outline."""
    assert pose.mask is not None
    large = np.kron(pose.mask[k], np.ones((2, 2))) > 0
    for axis in (0, 1):
        large = large & np.roll(large, 6, axis) & np.roll(large, -6, axis)
    return large


def test_hue_is_the_direction_and_saturation_the_speed() -> None:
    x, y = (np.array([[v]], np.float32) for v in (1.0, 0.0))
    right, strength = flow_colours(x, y, 1.0)
    assert right[0, 0].tolist() == [255, 0, 0]
    assert strength.item() == 1
    left, _ = flow_colours(-x, y, 1.0)
    assert left[0, 0].tolist() == [0, 255, 255]
    slow, strength = flow_colours(0.5 * x, y, 1.0)
    assert 120 < slow[0, 0, 1] < 135
    assert strength.item() == 0.5
    still, _ = flow_colours(0 * x, y, 1.0)
    assert still[0, 0].tolist() == [255, 255, 255]


def test_the_legend_has_the_colours_of_the_flow() -> None:
    wheel = colour_wheel(101)
    for x, y, at in ((1.0, 0.0, (50, 99)), (0.0, -1.0, (1, 50)), (-1.0, 0.0, (50, 1)), (0.0, 1.0, (99, 50))):
        colour, _ = flow_colours(np.full((1, 1), x, np.float32), np.full((1, 1), y, np.float32), 1.0)
        assert np.abs(wheel[at][:3].astype(int) - colour[0, 0]).max() < 25
        assert wheel[at][3] == 255
    assert wheel[0, 0, 3] == 0


def test_the_person_gets_the_colour_of_their_way_and_the_room_stays(
    walk: tuple[Clip, PoseSequence, FlowField],
) -> None:
    clip, pose, field = walk
    plain = frame_at(clip, 4, WIDTH).astype(int)
    image = plain.astype(np.uint8)
    paint(image, pose, field, float(clip.times_s[4]), "world", 0.7)
    changed = image.astype(int) - plain
    inside, (rows, columns) = body_at(pose, 4), np.indices(image.shape[:2])
    assert np.median(changed[inside][:, 0]) > 20  # red: to the right
    assert np.median(changed[inside][:, 1]) < 0
    far = (columns > 140) | (rows < 30)
    assert (changed[far] == 0).all()


def test_the_local_view_of_a_body_that_moves_as_one_is_pale(walk: tuple[Clip, PoseSequence, FlowField]) -> None:
    clip, pose, field = walk
    spread = {}
    for view in ("world", "local"):
        image = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
        paint(image, pose, field, float(clip.times_s[4]), view, 0.7)
        inside = image[body_at(pose, 4)].astype(int)
        spread[view] = np.median(inside.max(axis=1) - inside.min(axis=1))
    assert spread["world"] > 60
    assert spread["local"] < 20


def test_arrows_point_where_joints_go(walk: tuple[Clip, PoseSequence, FlowField]) -> None:
    clip, pose, field = walk
    images = []
    for flow in (field, replace(field, joints_px_s=np.nan * field.joints_px_s)):
        image = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
        paint(image, pose, flow, float(clip.times_s[4]), "world", 0.7)
        images.append(image.astype(int))
    drawn = np.abs(images[0] - images[1]).sum(axis=2) > 30
    rows, columns = np.nonzero(drawn)
    crown = pose.xy_px[4, 10]  # the head's top: an arrow of 0.15 s at 80 px/s to its right
    about = (np.abs(rows - crown[1]) < 6) & (columns > crown[0] - 20) & (columns < crown[0] + 25)
    assert about.sum() > 10
    assert columns[about].mean() > crown[0] + 3
    assert abs(columns[about].max() - (crown[0] + 12)) < 5


def test_the_video_keeps_the_clips_times_and_paints_nothing_across_a_cut(tmp_path: Path) -> None:
    clip, (pose,) = patch_film(tmp_path / "a.mp4", [walk_of(24)], rooms=[0] * 13 + [1] * 11)
    field = flow_field(clip, pose, Classical(), SMALL)
    steps: list[float] = []
    out = draw_flow(clip.path, [(pose, field)], tmp_path / "flow.mp4", "world", progress=steps.append)
    painted = frames_of(out)
    assert len(painted) == len(clip)
    assert steps[-1] == 1.0

    def off(k: int) -> float:
        plain = frame_at(clip, k, WIDTH).astype(int)
        return float(np.abs(painted[k].astype(int) - plain)[body_at(pose, k)].mean())

    unpainted = off(13)  # between the frames of the pair across the cut; what compression does is left
    assert unpainted < 12
    assert min(off(6), off(18)) > 2 * unpainted


def test_two_people_are_painted_in_one_video(tmp_path: Path) -> None:
    clip, poses = patch_film(tmp_path / "a.mp4", [walk_of(12, (50, 50)), walk_of(12, (250, 60), (-4, 0))])
    fields = flow_fields(clip, poses, Classical(), SMALL)
    out = draw_flow(clip.path, list(zip(poses, fields, strict=True)), tmp_path / "flow.mp4")
    image = frames_of(out)[4].astype(int)
    plain = frame_at(clip, 4, WIDTH).astype(int)
    right, left = ((image - plain)[body_at(pose, 4)].mean(axis=0) for pose in poses)
    assert right[0] > right[2]
    assert left[2] > left[0]


def test_top_speed_is_no_less_than_half_a_body_height_and_says_its_unit() -> None:
    assert top_speed(made_field(np.zeros((10, 2))), "world") == (0.5, True)
    fast = made_field(np.tile([2.0, 0.0], (10, 1)))
    assert top_speed(fast, "world")[0] == pytest.approx(2.0, abs=0.05)
    assert top_speed(fast, "local")[0] == 0.5
    assert not top_speed(replace(fast, body_px=np.full(10, np.nan)), "world")[1]


def test_how_much_was_measured_is_said() -> None:
    shot = np.array([0] * 4 + [-1] + [1] * 5)
    said = flow_note(made_field(np.zeros((10, 2)), shot=shot))
    assert said == "Flow by H-MoRe in 9 of 10 pairs of frames. 1 cut found; nothing is measured across."


def test_another_view_and_poses_without_masks_are_refused(walk: tuple[Clip, PoseSequence, FlowField]) -> None:
    clip, pose, field = walk
    with pytest.raises(ValueError, match="has no masks"):
        draw_flow(clip.path, [(replace(pose, mask=None), field)], Path("x.mp4"))


def test_tiny_pictures_have_room_for_the_legend(tmp_path: Path) -> None:
    clip, (pose,) = patch_film(tmp_path / "a.mp4", [walk_of(6)])
    field = flow_field(clip, pose, Says(1, 0), SMALL)
    out = draw_flow(clip.path, [(pose, field)], tmp_path / "flow.mp4", max_side=64)
    assert frames_of(out)[0].shape[1] == 64

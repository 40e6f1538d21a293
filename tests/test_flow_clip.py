"""Flow of a clip: what the network is shown, in which unit its answer comes back, and what is refused or left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from motionqa.data.flow_field import FlowField, angle_deg
from motionqa.data.schema import Clip, InputError, PoseSequence
from motionqa.data.skeleton import H36M_17
from motionqa.data.synthetic.drawn_figure import Camera, figure_frames
from motionqa.data.synthetic.motions import render, run
from motionqa.data.video import iter_frames, read_clip
from motionqa.data.video_writer import write_video
from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.encoders.flow import clip as flow_clip
from motionqa.encoders.flow.clip import FlowClipConfig, flow_field, flow_fields, flow_frames
from motionqa.encoders.flow.cuts import CutWatch
from motionqa.encoders.flow.hmore import FlowConfig, HMoRe
from motionqa.encoders.flow.network import load_flow, torch_flow
from motionqa.encoders.model_dir import save_model_dir
from motionqa.tests.flow_clips import HEIGHT, TALL, WIDTH, Classical, Says, patch_film, walk_of

Array = np.ndarray
SMALL = FlowClipConfig(window_px=128, grid=32)
TINY = FlowConfig(updates=1, trend_width=32, attention_blocks=1, trend_layers=1)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clip, PoseSequence]:
    """Two seconds at 20 frames/s, four pixels to the right a frame: 80 px/s."""
    clip, poses = patch_film(tmp_path_factory.mktemp("film") / "walk.mp4", [walk_of(40)])
    return clip, poses[0]


def in_mask(field: FlowField, flow: Array) -> Array:
    """[N, 2] median flow inside the person's cells of each pair."""
    pairs = zip(flow.astype(float), field.mask, strict=True)
    return np.array([np.median(f[:, m], axis=1) if m.any() else [np.nan] * 2 for f, m in pairs])


# --------------------------------------------------------------------------------------------- measured


def test_the_flow_of_a_moving_person_is_their_speed_in_source_pixels(walk: tuple[Clip, PoseSequence]) -> None:
    field = flow_field(*walk, Classical(), SMALL)
    assert len(field) == 19  # every second of 40 frames is looked at
    assert field.known.all()
    assert np.allclose(field.gap_s, 0.1)
    assert np.allclose(in_mask(field, field.world_px_s), [80, 0], atol=6)
    assert np.allclose(field.trend_px_s, [80, 0], atol=10)
    assert np.nanmax(np.abs(in_mask(field, field.local_px_s))) < 12
    assert np.allclose(field.camera_px_s, 0, atol=4)
    outside = field.world_px_s.astype(float)[:, :, 0]  # the window's upper edge is background
    assert np.abs(np.median(outside, axis=2)).max() < 4


def test_joints_carry_the_flow_about_them_and_the_body_its_height(walk: tuple[Clip, PoseSequence]) -> None:
    field = flow_field(*walk, Classical(), SMALL)
    assert np.allclose(field.joints_px[0, H36M_17.index("head_top")], (60, 60))
    known = np.isfinite(field.joints_px_s[..., 0])
    assert known.all()
    assert np.abs(np.median(field.joints_px_s, axis=0) - [80, 0]).max() < 12
    assert np.allclose(field.body_px, TALL, rtol=0.02)


def test_both_frames_of_a_pair_show_the_same_window_with_the_person_in_the_middle(
    walk: tuple[Clip, PoseSequence],
) -> None:
    network = Classical()
    field = flow_field(*walk, network, SMALL)
    for first, second, mask in network.shown:
        away = ~np.roll(mask, 6, axis=1) & ~mask
        away[:, 40:100] = False
        assert np.abs(first[away].astype(int) - second[away].astype(int)).mean() < 4  # the room did not move
        rows, columns = np.nonzero(mask)
        assert abs(columns.mean() - 64) < 12
        assert abs(rows.mean() - 64) < 12
    assert len(network.shown) == len(field)


@pytest.mark.parametrize("pairs_per_s", [10.0, 5.0, 3.0])
def test_what_the_network_says_in_its_pixels_comes_back_in_source_pixels_a_second(
    walk: tuple[Clip, PoseSequence], pairs_per_s: float
) -> None:
    field = flow_field(*walk, Says(2.0, -1.0), replace(SMALL, pairs_per_s=pairs_per_s))
    expected = np.array([2.0, -1.0]) * field.window_px[:, 2:] / 128 / 0.1
    assert np.allclose(field.trend_px_s, expected)
    assert np.allclose(field.world_px_s[:, :, 3, 3], expected, rtol=1e-3)
    assert np.allclose(field.joints_px_s[:, 0], expected)
    assert len(field) == {10.0: 19, 5.0: 10, 3.0: 7}[pairs_per_s]


def test_uneven_frame_times_are_taken_as_they_are(tmp_path: Path) -> None:
    times = np.cumsum([0, *([0.05] * 10), 0.2, *([0.05] * 10)])
    clip, (pose,) = patch_film(tmp_path / "a.mp4", [walk_of(len(times))], times_s=times)
    assert clip.variable_rate
    field = flow_field(clip, pose, Says(1.0, 0.0), SMALL)
    assert np.allclose(field.trend_px_s[:, 0] * field.gap_s, field.window_px[:, 2] / 128)
    assert field.gap_s.max() > 0.15
    assert np.allclose(field.gap_s[:3], 0.1, atol=0.051)


def test_two_people_have_windows_courses_and_local_flow_of_their_own(tmp_path: Path) -> None:
    clip, poses = patch_film(tmp_path / "a.mp4", [walk_of(24, (60, 50)), walk_of(24, (250, 60), (-3, 0))])
    right, left = flow_fields(clip, poses, Classical(), SMALL)
    assert (right.person_id, left.person_id) == (0, 1)
    assert np.allclose(np.median(right.trend_px_s, axis=0), [80, 0], atol=12)
    assert np.allclose(np.median(left.trend_px_s, axis=0), [-60, 0], atol=12)
    for field in (right, left):
        assert np.abs(np.nanmedian(in_mask(field, field.local_px_s), axis=0)).max() < 12


def test_pairs_come_while_the_clip_is_still_being_read(
    walk: tuple[Clip, PoseSequence], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, pose = walk
    read: list[int] = []

    def counted(*args: Any) -> Any:
        for k, frame in enumerate(iter_frames(*args)):
            read.append(k)
            yield frame

    monkeypatch.setattr(flow_clip, "iter_frames", counted)
    frames = flow_frames(clip, [pose], Says(0, 0), replace(SMALL, batch=2))
    first = next(frames)
    assert len(read) == 3
    assert first.world_px_s is not None
    assert first.world_px_s.shape == (2, 128, 128)
    assert first.local_px_s is not None
    assert np.allclose(first.local_px_s, 0)


def test_batches_change_nothing(walk: tuple[Clip, PoseSequence]) -> None:
    one, many = (flow_field(*walk, Classical(), replace(SMALL, batch=b)) for b in (1, 7))
    assert np.array_equal(one.world_px_s, many.world_px_s)
    assert np.array_equal(one.joints_px_s, many.joints_px_s)


def test_ten_seconds_take_two_megabytes() -> None:
    pairs, grid = 100, FlowClipConfig().grid
    none, pairs_of = np.zeros(pairs), np.zeros((pairs, 2))
    field = FlowField(
        person_id=0, width=4000, height=3000, looked_px=256, times_s=none, gap_s=none, shot=np.zeros(pairs, int),
        window_px=np.zeros((pairs, 4)), world_px_s=np.zeros((pairs, 2, grid, grid), np.float16), trend_px_s=pairs_of,
        mask=np.zeros((pairs, grid, grid), bool), joints_px=np.zeros((pairs, 17, 2)),
        joints_px_s=np.zeros((pairs, 17, 2)), body_px=none, camera_px_s=pairs_of,
    )  # fmt: skip
    assert 2.0e6 < field.nbytes < 2.2e6


# ------------------------------------------------------------------------------------------ not measured


def test_a_still_clip_has_no_flow_and_no_angles(tmp_path: Path) -> None:
    clip, (pose,) = patch_film(tmp_path / "a.mp4", [walk_of(16, step=(0, 0))])
    field = flow_field(clip, pose, Classical(), SMALL)
    assert np.nanmax(np.abs(field.trend_px_s)) < 2
    assert np.isnan(angle_deg(field.trend_px_s, field.still_px_s)).all()
    assert np.isnan(angle_deg(field.joints_px_s, field.still_px_s[:, None])).all()


def test_angles_are_those_of_the_picture_and_nan_below_the_threshold() -> None:
    flow = np.array([[10.0, 0], [0, -10], [-10, 0], [0.1, 0.1]])
    assert np.array_equal(angle_deg(flow, 1.0), [0, 90, 180, np.nan], equal_nan=True)


def test_nothing_is_measured_across_a_cut_and_everything_beside_it(tmp_path: Path) -> None:
    rooms = [0] * 13 + [1] * 11
    clip, (pose,) = patch_film(tmp_path / "a.mp4", [walk_of(24)], rooms=rooms)
    field = flow_field(clip, pose, Classical(), SMALL)
    assert field.cut.tolist() == [k == 6 for k in range(11)]  # frames 12 and 14
    assert np.array_equal(field.known, ~field.cut)
    assert np.isnan(field.world_px_s[6]).all()
    assert np.isnan(field.joints_px_s[6]).all()
    assert field.shot.tolist() == [0] * 6 + [-1] + [1] * 4
    assert np.abs(field.trend_px_s[[5, 7]] - [80, 0]).max() < 12
    sparse = flow_field(clip, pose, Classical(), replace(SMALL, pairs_per_s=5))
    assert sparse.shot.tolist() in ([0, 0, 0, -1, 1, 1], [0, 0, 0, 1, 1, 1])


def test_a_drawn_person_who_runs_through_the_picture_is_no_cut(tmp_path: Path) -> None:
    camera = Camera(320, 240)
    body = render(run(10))
    running = replace(body, xyz_m=body.xyz_m[:, :, [2, 1, 0]] * [1, 1, -1] - [2.0, 0, 0])  # across the picture
    path = write_video(list(figure_frames(running, camera=camera)), tmp_path / "run.mp4")
    clip, watch = read_clip(path), CutWatch()
    changes = [c for c in map(watch, iter_frames(clip, 1280, 3)) if c is not None]
    assert len(changes) > 5
    assert not any(c.cut for c in changes)
    assert min(c.shapes for c in changes) > 0.6


def test_light_that_goes_on_is_no_cut_and_another_room_is_one() -> None:
    from motionqa.tests.flow_clips import texture

    room, other = texture(1, 320, 180, 90), texture(2, 320, 180, 160)
    watch = CutWatch()
    assert watch(room) is None
    lit = watch(np.clip(room * 1.4, 0, 255).astype(np.uint8))
    assert lit is not None
    assert not lit.cut
    cut = watch(other)
    assert cut is not None
    assert cut.cut
    shaken = watch(np.roll(other, 12, axis=1))
    assert shaken is not None
    assert not shaken.cut
    assert abs(np.median(shaken.flow[0]) - 6) < 0.5  # half the size


def test_joints_outside_the_picture_are_left_out_and_do_not_move_the_window(tmp_path: Path) -> None:
    clip, (pose,) = patch_film(tmp_path / "a.mp4", [walk_of(12)])
    wrist = H36M_17.index("left_wrist")
    wild = pose.xy_px.copy()
    wild[:, wrist] = (9000, -50)
    plain, field = (flow_field(clip, p, Classical(), SMALL) for p in (pose, replace(pose, xy_px=wild)))
    assert np.isnan(field.joints_px_s[:, wrist]).all()
    assert np.isfinite(np.delete(field.joints_px_s, wrist, axis=1)).all()
    assert np.allclose(field.window_px, plain.window_px, atol=3)  # the wrist was a corner of the box


def test_an_outline_without_joints_is_followed_but_has_neither_joints_nor_height(tmp_path: Path) -> None:
    clip, (pose,) = patch_film(tmp_path / "a.mp4", [walk_of(12)])
    field = flow_field(clip, replace(pose, confidence=0 * pose.confidence), Classical(), SMALL)
    assert np.abs(field.trend_px_s - [80, 0]).max() < 15
    assert np.isnan(field.joints_px_s).all()
    assert np.isnan(field.body_px).all()


def test_a_person_who_leaves_has_no_flow_from_then_on(tmp_path: Path) -> None:
    clip, (pose,) = patch_film(tmp_path / "a.mp4", [walk_of(24)])
    assert pose.mask is not None
    mask, confidence = pose.mask.copy(), pose.confidence.copy()
    mask[13:], confidence[13:] = False, 0
    field = flow_field(clip, replace(pose, mask=mask, confidence=confidence), Says(1, 0), SMALL)
    assert field.known.tolist() == [True] * 6 + [False] * 5
    assert np.isnan(field.window_px[6:]).all()
    assert field.at(0.2) == 2
    assert field.at(0.75) is None
    assert field.at(5.0) is None


# -------------------------------------------------------------------------------------------- bad input


def test_a_single_frame_has_no_flow(tmp_path: Path) -> None:
    clip, (pose,) = patch_film(tmp_path / "a.mp4", [walk_of(1)])
    with pytest.raises(InputError, match="single frame to look at; flow needs two"):
        flow_field(clip, pose, Says(0, 0), SMALL)


def test_nobody_and_somebody_never_seen_are_refused(walk: tuple[Clip, PoseSequence]) -> None:
    clip, pose = walk
    assert pose.mask is not None
    with pytest.raises(InputError, match="nobody to follow"):
        flow_fields(clip, (), Says(0, 0), SMALL)
    unseen = replace(pose, confidence=0 * pose.confidence, mask=np.zeros_like(pose.mask))
    with pytest.raises(InputError, match="never seen: neither joints nor an outline"):
        flow_field(clip, unseen, Says(0, 0), SMALL)


def test_poses_without_masks_or_of_another_picture_are_refused(walk: tuple[Clip, PoseSequence]) -> None:
    clip, pose = walk
    with pytest.raises(ValueError, match="has no masks"):
        flow_field(clip, replace(pose, mask=None), Says(0, 0), SMALL)
    with pytest.raises(ValueError, match=f"320 x 200, the clip has {WIDTH} x {HEIGHT}"):
        flow_field(clip, replace(pose, height=200), Says(0, 0), SMALL)


def test_frames_of_different_size_are_refused(walk: tuple[Clip, PoseSequence], monkeypatch: pytest.MonkeyPatch) -> None:
    def growing(*_: Any) -> Any:
        yield np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        yield np.zeros((HEIGHT + 2, WIDTH, 3), np.uint8)

    monkeypatch.setattr(flow_clip, "iter_frames", growing)
    with pytest.raises(InputError, match=r"differ in size \(\(240, 320\) and \(242, 320\)\)"):
        flow_field(*walk, Says(0, 0), SMALL)


def test_a_clip_that_can_not_be_decoded_is_refused(
    walk: tuple[Clip, PoseSequence], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_clip, "iter_frames", lambda *_: iter([np.zeros((HEIGHT, WIDTH, 3), np.uint8)]))
    with pytest.raises(InputError, match="Fewer than two frames"):
        flow_field(*walk, Says(0, 0), SMALL)


def test_a_configuration_that_can_not_work_is_refused() -> None:
    with pytest.raises(ValueError, match="that 48 divides, got 256"):
        FlowClipConfig(grid=48)
    with pytest.raises(ValueError, match="above 0, got 0"):
        FlowClipConfig(pairs_per_s=0)


# ------------------------------------------------------------------------------------------- the network


def test_a_saved_hmore_runs_on_a_clip(walk: tuple[Clip, PoseSequence], tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = save_model_dir(tmp_path / "flow", HMoRe(TINY))
    network = load_flow(folder, "one")
    field = flow_field(*walk, network, FlowClipConfig(window_px=64, grid=32, pairs_per_s=5))
    assert field.known.all()
    # An untrained course is the mean world flow inside the mask.
    mean = [f.astype(float)[:, m].mean(axis=1) for f, m in zip(field.world_px_s, field.mask, strict=True)]
    assert np.allclose(field.trend_px_s, mean, rtol=0.2, atol=0.1 * np.abs(field.trend_px_s).max())
    assert load_flow(folder, "one") is network
    assert load_flow(folder, "two") is not network


def test_the_network_refuses_pictures_that_do_not_belong_together() -> None:
    network = torch_flow(HMoRe(TINY))
    picture = np.zeros((1, 64, 64, 3), np.uint8)
    with pytest.raises(ValueError, match="pairs and masks of one size"):
        network(picture, np.zeros((1, 72, 64, 3), np.uint8), np.ones((1, 64, 64), bool))


def test_a_folder_with_another_network_is_no_flow_network(tmp_path: Path) -> None:
    folder = save_model_dir(tmp_path / "m", DSTformer(SIZES["debug"]))
    with pytest.raises(InputError, match="holds a DSTformer, no flow network"):
        load_flow(folder, "")

"""Clips packed for small networks: the right flow in the right unit, windows, and runs that go on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motionqa.data.packed_flow import (
    FLOWS,
    PackedName,
    channel_count,
    hmore_path,
    packed_channels,
    packed_names,
    sight_path,
)
from motionqa.data.schema import InputError
from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.encoders.flow.hmore import FlowConfig, HMoRe
from motionqa.encoders.model_dir import save_model_dir
from motionqa.finetune import depth_flow
from motionqa.finetune.depth_flow import DepthFlowConfig, chosen, main
from motionqa.finetune.flow_channels import ChannelConfig, SeenPerson, cut_pairs, hmore_flow, sight
from motionqa.tests.depth_clips import depth_frames, skeleton, write_depth, write_packed, write_skeletons

SMALL = ChannelConfig(steps=3, size=64, flow_side=64)


def walker(frames: int = 12, speed_px: float = 3.0, height: int = 120, width: int = 320) -> SeenPerson:
    """A textured block of 40 x 80 pixels that crosses the picture to the right."""
    rng = np.random.default_rng(1)
    skin = np.kron(rng.uniform(60, 250, (20, 10)), np.ones((4, 4))).astype(np.uint8)
    pictures, mask = np.zeros((frames, height, width, 3), np.uint8), np.zeros((frames, height, width), bool)
    for k in range(frames):
        x = 60 + round(speed_px * k)
        pictures[k, 20:100, x : x + 40] = skin[..., None]
        mask[k, 20:100, x : x + 40] = True
    return SeenPerson(pictures, mask, mask.astype(np.float32), fps=30.0)


@pytest.mark.parametrize("follow", [False, True])
def test_flow_is_in_body_heights_per_second_whether_the_window_follows_or_not(follow: bool) -> None:
    pairs = cut_pairs(walker(), ChannelConfig(steps=4, flow_side=128, follow=follow))
    seen = sight(pairs, 64)
    inside = seen.seen > 0
    assert np.median(seen.dis[:, 0][inside]) == pytest.approx(3.0 * 30 / 80, rel=0.1)
    assert abs(np.median(seen.dis[:, 1][inside])) < 0.05
    assert not seen.dis[np.broadcast_to(~inside[:, None], seen.dis.shape)].any()


def test_a_window_that_follows_keeps_the_person_in_its_middle() -> None:
    columns = np.arange(64)
    for follow, spread in ((True, 2.0), (False, 12.0)):
        seen = sight(cut_pairs(walker(), ChannelConfig(steps=4, flow_side=128, follow=follow)), 64).seen
        middle = [(s.sum(axis=0) @ columns) / s.sum() for s in seen]
        assert (np.ptp(middle) < spread) == follow
        assert seen.max() == pytest.approx(1.0, abs=1e-3)


def test_the_windows_of_a_clip_hold_the_person_also_at_the_edge_of_the_picture() -> None:
    person = walker()
    shifted = SeenPerson(person.pictures[:, :, 60:], person.mask[:, :, 60:], person.seen[:, :, 60:], 30.0)
    whole, cut = (sight(cut_pairs(p, SMALL), 64).seen.sum() for p in (person, shifted))
    assert cut == pytest.approx(whole, rel=0.05)


def test_clips_without_anybody_or_of_too_few_frames_are_refused() -> None:
    person = walker()
    with pytest.raises(InputError, match="nobody is in the clip"):
        cut_pairs(replace(person, mask=np.zeros_like(person.mask)))
    with pytest.raises(InputError, match="has 2 frames, expected more than 2"):
        cut_pairs(walker(frames=2))
    with pytest.raises(ValueError, match="must be of one size"):
        replace(person, mask=person.mask[:, 1:])
    with pytest.raises(ValueError, match="8 <= size <= flow_side"):
        ChannelConfig(size=64, flow_side=32)


def test_world_and_local_flow_differ_by_the_persons_course_inside_the_person_alone(tmp_path: Path) -> None:
    write_packed(tmp_path, [PackedName("a1_s1_t1", "swipe right", "s1", "1", "", "train")])
    world, local = (packed_channels(tmp_path, "a1_s1_t1", c) for c in ("world", "local"))
    inside = world[:, 0] > 0
    assert inside.any()
    np.testing.assert_allclose((world - local)[:, 1:].transpose(0, 2, 3, 1)[inside], 0.25)
    assert not local[:, 1:].transpose(0, 2, 3, 1)[~inside].any()
    both = packed_channels(tmp_path, "a1_s1_t1", "both")
    np.testing.assert_array_equal(both, np.concatenate([world, local[:, 1:]], axis=1))
    for condition in FLOWS:
        assert packed_channels(tmp_path, "a1_s1_t1", condition).shape == (6, channel_count(condition), 64, 64)


def test_an_untrained_hmore_gives_the_mean_flow_as_the_course() -> None:
    torch.manual_seed(0)
    model = HMoRe(FlowConfig(updates=1, trend_width=32)).eval()
    pairs = cut_pairs(walker(), SMALL)
    flow = hmore_flow(model, pairs, 64, batch=2)
    assert flow.world.shape == (3, 2, 64, 64)
    inside = sight(pairs, 64).seen > 0
    assert not flow.world[np.broadcast_to(~inside[:, None], flow.world.shape)].any()
    mean = np.array([[w[c][m].mean() for c in (0, 1)] for w, m in zip(flow.world, inside, strict=True)])
    np.testing.assert_allclose(flow.trend, mean, atol=0.1 * np.abs(mean).max())


@pytest.fixture
def config(tmp_path: Path) -> DepthFlowConfig:
    """Two depth videos, an untrained H-MoRe, and where to pack to."""
    bodies = {"a1_s1_t1": skeleton(10, 0.02), "a23_s2_t1": skeleton(11, 0.0)}
    (tmp_path / "videos").mkdir()
    for name, body in bodies.items():
        write_depth(tmp_path / "videos" / f"{name}.mp4", depth_frames(body))
    skeletons = write_skeletons(tmp_path / "utd_mhad.npz", list(bodies), list(bodies.values()))
    torch.manual_seed(1)
    flow = save_model_dir(tmp_path / "flow", HMoRe(FlowConfig(updates=1, trend_width=32)))
    return DepthFlowConfig(tmp_path / "videos", skeletons, tmp_path / "packed", flow, channels=SMALL)


def test_depth_videos_are_packed_with_their_labels_and_sides(config: DepthFlowConfig) -> None:
    main(config)
    assert packed_names(config.out) == [
        PackedName("a1_s1_t1", "swipe left", "s1", "1", "", "train"),
        PackedName("a23_s2_t1", "walk", "s2", "1", "", "test"),
    ]
    both = packed_channels(config.out, "a1_s1_t1", "both")
    assert both.dtype == np.float16
    assert np.isfinite(both).all()
    assert np.abs(both[:, 1:]).max() > 0
    dis = packed_channels(config.out, "a1_s1_t1", "dis")[:, 1]
    # 0.02 m a frame at 30 frames a second are 0.4 heights of what is drawn; a hand of four pixels blurs with the body.
    fastest = np.array([step.flat[np.abs(step).argmax()] for step in dis])
    assert (fastest > 0.1).all()
    assert (fastest < 0.6).all()


def test_packing_goes_on_where_it_stopped_and_adds_flow_later(
    config: DepthFlowConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    main(replace(config, flow=None))
    assert not hmore_path(config.out, "a1_s1_t1").exists()
    with pytest.raises(InputError, match="holds no H-MoRe flow of a1_s1_t1; pack it with --flow"):
        packed_channels(config.out, "a1_s1_t1", "world")
    first = sight_path(config.out, "a1_s1_t1").stat().st_mtime_ns
    main(config)
    assert sight_path(config.out, "a1_s1_t1").stat().st_mtime_ns == first
    flow = hmore_path(config.out, "a1_s1_t1").read_bytes()
    hmore_path(config.out, "a23_s2_t1").unlink()
    read: list[str] = []
    original = depth_flow.read_depth_clip
    monkeypatch.setattr(depth_flow, "read_depth_clip", lambda v, s: read.append(v.name) or original(v, s))
    main(config)
    assert read == ["a23_s2_t1"]
    assert hmore_path(config.out, "a1_s1_t1").read_bytes() == flow


def test_clips_of_two_makings_do_not_share_a_folder(config: DepthFlowConfig, tmp_path: Path) -> None:
    main(config)
    with pytest.raises(InputError, match=r"about.json says that what is there was made otherwise"):
        main(replace(config, channels=replace(SMALL, gap=1)))
    torch.manual_seed(2)
    other = save_model_dir(tmp_path / "other", HMoRe(FlowConfig(updates=1, trend_width=32)))
    with pytest.raises(InputError, match=r"hmore.json says"):
        main(replace(config, flow=other))
    lifter = save_model_dir(tmp_path / "lifter", DSTformer(SIZES["debug"]))
    with pytest.raises(InputError, match="holds a DSTformer, expected H-MoRe"):
        main(replace(config, flow=lifter))


def test_two_processes_share_the_videos_between_them(config: DepthFlowConfig) -> None:
    videos = depth_flow.find_depth_videos(config.videos)
    parts = [chosen(videos, replace(config, part=(k, 2))) for k in (0, 1)]
    assert sorted(v.name for p in parts for v in p) == ["a1_s1_t1", "a23_s2_t1"]
    assert all(len(p) == 1 for p in parts)
    assert [v.action for v in chosen(videos, replace(config, actions=(23,)))] == [23]
    with pytest.raises(InputError, match=r"no videos of actions \[5\]"):
        chosen(videos, replace(config, actions=(5,)))
    with pytest.raises(InputError, match="expected a number from 0 to 1"):
        replace(config, part=(2, 2))


def test_a_torn_packed_file_is_named(config: DepthFlowConfig) -> None:
    main(replace(config, flow=None))
    path = sight_path(config.out, "a1_s1_t1")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"a1_s1_t1.npz is no whole packed clip"):
        packed_channels(config.out, "a1_s1_t1", "none")
    with pytest.raises(InputError, match="holds no packed clips"):
        packed_names(config.videos)

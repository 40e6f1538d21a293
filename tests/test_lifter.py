"""Lifting: any length and frame rate, no seams, both sides alike, and clear refusals; on networks known beforehand."""

from __future__ import annotations

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch

from motionqa.data.schema import InputError
from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.encoders.lifter import (
    LifterConfig,
    lift,
    torch_network,
    window_starts,
)
from motionqa.encoders.mlp_lifter import MLPLifter
from motionqa.tests.known_lifting import CONFIG, filmed, in_depth, sure
from motionqa.tests.mocap_clips import J

Array = np.ndarray
# Under test every signature checks its shapes first; users get the function without the checks.
UNCHECKED_LIFT = inspect.unwrap(lift)


# ----------------------------------------------------------------------------------- lengths and rates


@pytest.mark.parametrize("frames", [1, 2, 8, 26, 27, 28, 45, 60])
def test_every_length_is_lifted_to_the_known_depth(frames: int) -> None:
    xy, truth = (x[:frames] for x in filmed(4.0))
    found = lift(xy, sure(xy), 15.0, in_depth, CONFIG)
    assert found.shape == (frames, 17, 3)
    assert found.dtype == np.float32
    assert np.abs(found - truth).max() < 1e-4


@pytest.mark.parametrize("fps", [15.0, 25.0, 30.0, 60.0, 120.0])
@pytest.mark.parametrize("phases", [1, 2])
def test_faster_cameras_are_lifted_at_the_network_s_rate_and_brought_back(fps: float, phases: int) -> None:
    shown: list[int] = []

    def network(joints: Array) -> Array:
        shown.append(joints.shape[1])
        return in_depth(joints)

    xy, truth = filmed(3.0, fps)
    found = lift(xy, sure(xy), fps, network, replace(CONFIG, phases=phases, window=243, stride=81, flip=False))
    every = round(fps / 15)
    assert found.shape == truth.shape
    assert len(shown) == min(phases, every)
    assert all(abs(n - len(xy) / every) <= 1 for n in shown)
    inside = slice(every, len(xy) - every)
    assert np.abs(found - truth)[inside].max() < 0.006
    assert np.abs(found - truth).max() < 0.03  # the first and last frames are held


def test_a_few_frames_of_a_fast_camera_are_enough() -> None:
    xy, truth = (x[:5] for x in filmed(1.0, 120.0))
    assert np.abs(lift(xy, sure(xy), 120.0, in_depth, CONFIG) - truth).max() < 0.01


def test_windows_cover_every_frame_and_the_last_ends_with_the_clip() -> None:
    assert window_starts(1, 27, 9) == [0]
    assert window_starts(27, 27, 9) == [0]
    assert window_starts(28, 27, 9) == [0, 1]
    for frames in (30, 53, 100):
        starts = window_starts(frames, 27, 9)
        assert set().union(*(range(s, s + 27) for s in starts)) == set(range(frames))
        assert starts == sorted(set(starts))
    with pytest.raises(ValueError, match="stride 30 must be between 1 and the window's 27"):
        LifterConfig(stride=30)


def test_windows_that_disagree_are_blended_without_seams() -> None:
    def drifting(joints: Array) -> Array:
        out = in_depth(joints)
        out[:, :, J["left_wrist"], 2] += 0.1 * np.linspace(0, 1, joints.shape[1])  # 10 cm over each window
        return out

    xy, truth = filmed(4.0)
    jump = {}
    for stride in (9, 27):
        found = lift(xy, sure(xy), 15.0, drifting, replace(CONFIG, stride=stride, flip=False))
        jump[stride] = np.abs(np.diff(found - truth, axis=0)).max()
    assert jump[27] > 0.05
    assert jump[9] < 0.02


# ----------------------------------------------------------------------------------------------- sides


def test_a_symmetric_network_does_not_mind_being_asked_for_the_mirror_image() -> None:
    xy, _ = filmed()
    once, twice = (lift(xy, sure(xy), 15.0, in_depth, replace(CONFIG, flip=f)) for f in (False, True))
    assert np.allclose(once, twice, atol=1e-6)


def test_a_network_that_leans_to_one_side_is_straightened() -> None:
    def leaning(joints: Array) -> Array:
        out = in_depth(joints)
        out[:, :, 1:, 0] += 0.1
        return out

    xy, truth = filmed()
    assert np.abs(lift(xy, sure(xy), 15.0, leaning, replace(CONFIG, flip=False)) - truth).max() > 0.09
    assert np.abs(lift(xy, sure(xy), 15.0, leaning, CONFIG) - truth).max() < 1e-4


def test_the_mirrored_window_has_its_sides_exchanged() -> None:
    shown: list[Array] = []

    def network(joints: Array) -> Array:
        shown.append(joints)
        return in_depth(joints)

    xy, _ = filmed(1.0)
    confidence = sure(xy)
    confidence[:, J["left_wrist"]] = 0.5
    lift(xy, confidence, 15.0, network, CONFIG)
    plain, mirrored = shown
    assert (mirrored[..., J["right_wrist"], 2] == 0.5).all()
    assert np.allclose(mirrored[..., J["right_wrist"], 0], -plain[..., J["left_wrist"], 0])
    assert np.allclose(mirrored[..., J["right_wrist"], 1], plain[..., J["left_wrist"], 1])


# ------------------------------------------------------------------------------------- units and input


def test_official_checkpoints_get_their_box_and_their_unit_becomes_metres() -> None:
    shown: list[Array] = []

    def network(joints: Array) -> Array:
        shown.append(joints)
        return np.concatenate([joints[..., :2], 0 * joints[..., :1]], axis=-1)

    config = LifterConfig(normalisation="box", output="input", flip=False)
    xy, _ = filmed(1.0)
    small = lift(xy, sure(xy), 15.0, network, config)
    large = lift(7 * xy - 200, sure(xy), 15.0, network, config)
    assert np.abs(shown[0][..., :2]).max() == pytest.approx(1, abs=1e-5)
    assert np.allclose(small, large, atol=1e-5)
    # One body size is half a metre for a person of 1.7 m.
    sizes = np.sqrt((small[:, 1:, :2] ** 2).sum(axis=-1).mean(axis=1))
    assert np.median(sizes) == pytest.approx(0.5, rel=0.01)


def test_what_is_not_seen_does_not_matter_even_where_it_is_no_number() -> None:
    xy, truth = filmed(2.0)
    confidence = sure(xy)
    confidence[3:9, J["left_wrist"]] = 0
    plain = lift(xy, confidence, 15.0, in_depth, CONFIG)
    xy[3:9, J["left_wrist"]] = np.nan
    assert np.array_equal(lift(xy, confidence, 15.0, in_depth, CONFIG), plain)
    seen = confidence > 0
    assert np.abs(plain - truth)[seen].max() < 0.01  # the body size is measured on fewer joints in these frames


def test_a_frame_without_its_pelvis_is_shown_to_the_network_as_unseen() -> None:
    shown: list[Array] = []

    def network(joints: Array) -> Array:
        shown.append(joints)
        return in_depth(joints)

    xy, _ = filmed(1.0)
    confidence = sure(xy)
    confidence[4, 0] = 0
    lift(xy, confidence, 15.0, network, replace(CONFIG, flip=False))
    assert (shown[0][0, 4] == 0).all()  # positions about a pelvis that is not there would all be zero, and sure
    assert (shown[0][0, 5, :, 2] == 1).all()


def test_stretches_in_which_nobody_is_seen_hold_the_nearest_pose() -> None:
    def numbered(joints: Array) -> Array:
        out = np.zeros_like(joints)
        out[:, :, J["nose"], 1] = 0.01 * np.arange(joints.shape[1])
        return out

    xy, _ = filmed(4.0)
    xy = np.concatenate([xy, xy, xy])[:160]
    confidence = sure(xy)
    confidence[40:121] = 0
    found = lift(xy, confidence, 15.0, numbered, replace(CONFIG, flip=False))
    assert np.isfinite(found).all()
    # Windows of 27 frames, every 9: the last to show somebody before the gap ends at 62, the next begins at 99.
    nose = found[:, J["nose"], 1]
    assert nose[62] == pytest.approx(0.26, abs=1e-5)
    assert (nose[62:81] == nose[62]).all()
    assert (nose[81:100] == nose[99]).all()
    assert nose[99] == 0
    assert np.ptp(nose[100:]) > 0.1


def test_a_slow_sampling_that_would_see_nobody_takes_every_frame() -> None:
    xy, truth = filmed(2.0, 30.0)
    confidence = np.zeros(xy.shape[:2])
    confidence[1::2] = 1  # every other frame is missing: the even ones show nothing at all
    found = lift(xy, confidence, 30.0, in_depth, replace(CONFIG, phases=1))
    assert np.abs(found - truth)[1::2].max() < 1e-3


# -------------------------------------------------------------------------------------------- refusals


def broken(xy: Array, confidence: Array) -> dict[str, tuple[Array, Array]]:
    unsure, infinite, no_pelvis = confidence.copy(), xy.copy(), confidence.copy()
    unsure[2, 3] = np.nan
    infinite[2, 3] = np.nan
    no_pelvis[:, 0] = 0
    return {
        "16 joints": (xy[:, :16], confidence[:, :16]),
        "33 joints": (np.concatenate([xy, xy], axis=1)[:, :33], np.concatenate([confidence] * 2, axis=1)[:, :33]),
        "three numbers a joint": (np.concatenate([xy, xy[..., :1]], axis=-1), confidence),
        "one frame without its axis": (xy[0], confidence[0]),
        "fewer confidences": (xy, confidence[:-1]),
        "no frames": (xy[:0], confidence[:0]),
        "nobody": (xy, 0 * confidence),
        "nan at a seen joint": (infinite, confidence),
        "nan confidence": (xy, unsure),
        "no pelvis": (xy, no_pelvis),
    }


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("16 joints", r"expected the 17 joints of h36m_17.*got \(15, 16, 2\) and \(15, 16\); convert the skeleton"),
        ("33 joints", r"got \(15, 33, 2\)"),
        ("three numbers a joint", r"got \(15, 17, 3\)"),
        ("one frame without its axis", r"got \(17, 2\) and \(17,\)"),
        ("fewer confidences", r"\(15, 17, 2\) and \(14, 17\)"),
        ("no frames", "no frames to lift"),
        ("nobody", "every confidence is 0"),
        ("nan at a seen joint", "set its confidence to 0 instead"),
        ("nan confidence", "no finite position|confidence"),
        ("no pelvis", "both hips are needed"),
    ],
)
def test_bad_input_says_what_was_expected(what: str, says: str) -> None:
    xy, _ = filmed(1.0)
    with pytest.raises(InputError, match=says):
        UNCHECKED_LIFT(*broken(xy, sure(xy))[what], 15.0, in_depth, CONFIG)


# -------------------------------------------------------------------------------------------- networks


def test_networks_are_run_as_they_are_without_gradients() -> None:
    torch.manual_seed(0)
    xy, _ = filmed(2.0)
    for model in (DSTformer(SIZES["debug"]), MLPLifter(width=16)):
        network = torch_network(model.train())
        joints = np.random.default_rng(0).normal(size=(2, 9, 17, 3)).astype(np.float32)
        found = network(joints)
        assert not model.training
        with torch.no_grad():
            exact = model(torch.from_numpy(joints)).numpy()
        assert found.dtype == np.float32
        assert np.abs(found - exact).max() < 0.03 * np.abs(exact).max()  # bfloat16 where that is native
        lifted = lift(xy, sure(xy), 15.0, network, CONFIG)
        assert np.isfinite(lifted).all()
        assert (lifted[:, 0] == 0).all()


def test_the_per_frame_baseline_sees_one_frame_at_a_time_and_dstformer_sees_the_others() -> None:
    torch.manual_seed(0)
    joints = torch.randn(1, 6, 17, 3)
    with torch.no_grad():
        for model, alone in ((MLPLifter(width=16).eval(), True), (DSTformer(SIZES["debug"]).eval(), False)):
            last = model(joints)[:, -1:]
            assert torch.allclose(model(joints[:, -1:]), last, atol=1e-6) == alone

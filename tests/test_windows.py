"""Windows that lifters are trained on and scored by: repeatable, about the pelvis, and honest about what is unseen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from motionqa.data.detector_noise import load
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.windows import (
    SOURCE_SHARES,
    Augmentation,
    LiftingWindow,
    WindowSampler,
    flat_window,
    scored_clips,
    window_of,
)
from motionqa.data.virtual_camera import View
from motionqa.tests.mocap_clips import J, clip

Array = np.ndarray
CLIPS = [clip("walk", "1"), clip("wave", "2"), clip("squat", "3")]
PLAIN = Augmentation(mirror=0.0, other_limbs=0.0, noise_strength=(0.0, 0.0))
FIELDS = ("joints2d", "target_m", "weight")


def same(a: list[LiftingWindow], b: list[LiftingWindow]) -> bool:
    pairs = zip(a, b, strict=True)
    return all(np.array_equal(getattr(x, n), getattr(y, n)) for x, y in pairs for n in FIELDS)


def without(joint: str, given: MocapClip) -> MocapClip:
    confidence = given.confidence.copy()
    confidence[:, J[joint]] = 0
    return replace(given, confidence=confidence)


def test_a_batch_is_known_by_its_seed_and_its_number() -> None:
    sampler, again = (WindowSampler(CLIPS, load(), seed=5) for _ in range(2))
    first = sampler.batch(3, 4, 9)
    sampler.batch(4, 4, 9)
    assert same(first, sampler.batch(3, 4, 9))  # whatever was drawn between
    assert same(first, again.batch(3, 4, 9))
    assert not same(first, sampler.batch(4, 4, 9))
    assert not same(first, WindowSampler(CLIPS, load(), seed=6).batch(3, 4, 9))


def test_windows_are_about_the_pelvis_and_of_the_asked_size() -> None:
    for window in WindowSampler(CLIPS, load()).batch(0, 6, 9):
        assert window.joints2d.shape == window.target_m.shape == (9, 17, 3)
        assert (window.target_m[:, 0] == 0).all()
        assert (window.weight == 1).all()
        assert 0.3 < np.linalg.norm(window.target_m, axis=-1).max() < 2.5
        seen = window.joints2d[..., 2] > 0
        assert (window.joints2d[~seen] == 0).all()
        assert all(getattr(window, n).dtype == np.float32 for n in FIELDS)


def test_joints_that_were_not_measured_are_neither_shown_nor_scored() -> None:
    clips = [without("left_wrist", CLIPS[0])]
    for mirror, side in ((0.0, "left"), (1.0, "right")):
        (window,) = WindowSampler(clips, load(), Augmentation(mirror=mirror)).batch(0, 1, 9)
        missing = J[f"{side}_wrist"]
        assert (window.weight[:, missing] == 0).all()
        assert (window.joints2d[:, missing] == 0).all()
        assert (np.delete(window.weight, missing, axis=1) == 1).all()
        assert np.delete(window.joints2d, missing, axis=1)[..., 2].mean() > 0.3


def test_without_noise_the_picture_is_exactly_what_the_camera_sees() -> None:
    given, view = CLIPS[0], View(70, 15, 3, 5)
    window = window_of(given.xyz_m, given.confidence, 30.0, view, None, np.random.default_rng(0))
    depth = window.target_m[..., 2] + 5
    travelled = given.xyz_m[:, 0] - given.xyz_m[:, 0].mean(axis=0)
    assert (window.joints2d[..., 2] == 1).all()
    # One frame, in which the body stands where the camera looks: the picture is the target over its depth.
    middle = int(np.linalg.norm(travelled[:, [0, 2]], axis=1).argmin())
    flat = window.target_m[middle, :, :2] / depth[middle, :, None]
    assert np.corrcoef(flat.ravel(), window.joints2d[middle, :, :2].ravel())[0, 1] > 0.999


def test_faster_clips_are_taken_every_so_many_frames() -> None:
    for fps, every in ((60.0, 4), (30.0, 2), (12.0, 1)):
        xyz = np.repeat(CLIPS[0].xyz_m[:1], 60, axis=0)
        xyz[:, J["left_wrist"], 2] += 0.01 * np.arange(60)  # one centimetre a frame
        given = replace(CLIPS[0], xyz_m=xyz, confidence=np.ones((60, 17), np.float32), fps=fps)
        (window,) = WindowSampler([given], None, PLAIN).batch(0, 1, 9)
        moved = np.linalg.norm(np.diff(window.target_m[:, J["left_wrist"]], axis=0), axis=-1)
        assert moved == pytest.approx(0.01 * every, abs=1e-5)


def test_windows_longer_than_every_clip_are_refused_and_shorter_clips_passed_over() -> None:
    longest = max(len(c) for c in CLIPS)
    with pytest.raises(ValueError, match=f"no clip has 500 frames; the longest has {longest}"):
        WindowSampler(CLIPS, None).batch(0, 1, 500)
    with pytest.raises(ValueError, match="no clips to draw windows from"):
        WindowSampler([], None)
    short = without("left_wrist", replace(CLIPS[1], xyz_m=CLIPS[1].xyz_m[:20], confidence=CLIPS[1].confidence[:20]))
    windows = WindowSampler([short, CLIPS[0]], None, PLAIN).batch(0, 30, 12)  # 12 at 15 a second are 23 at 30
    assert all((w.weight == 1).all() for w in windows)


def shares(*named: tuple[str, str]) -> list[float]:
    """How often each of some clips of one length is drawn; a clip is known by the joint that it lacks."""
    walk = replace(CLIPS[0], xyz_m=CLIPS[0].xyz_m[:40], confidence=CLIPS[0].confidence[:40])
    clips = [without(joint, replace(walk, source=source)) for source, joint in named]
    windows = WindowSampler(clips, None, PLAIN).batch(0, 800, 3)
    return [float(np.mean([w.weight[0, J[joint]] == 0 for w in windows])) for _, joint in named]


def test_each_collection_has_its_share_of_the_windows_however_long_it_is() -> None:
    found = shares(("bandai_namco", "nose"), ("cmu", "left_wrist"), ("cmu", "right_wrist"), ("cmu", "left_knee"))
    total = SOURCE_SHARES["bandai_namco"] + SOURCE_SHARES["cmu"]
    each = SOURCE_SHARES["cmu"] / total / 3
    assert found == pytest.approx([SOURCE_SHARES["bandai_namco"] / total, each, each, each], abs=0.05)


def test_collections_without_a_fixed_share_have_the_share_of_their_length() -> None:
    found = shares(("bandai_namco", "nose"), ("mine", "left_wrist"), ("yours", "right_wrist"), ("yours", "left_knee"))
    total = SOURCE_SHARES["bandai_namco"] + 1 / 4 + 2 / 4
    assert found == pytest.approx([SOURCE_SHARES["bandai_namco"] / total, *[0.25 / total] * 3], abs=0.05)


def test_scored_clips_are_the_same_every_time_whole_and_from_several_views() -> None:
    first, again, other = (list(scored_clips(CLIPS, load(), seed)) for seed in (0, 0, 1))
    windows = [w for _, w in first]
    assert [c for c, _ in first] == CLIPS
    assert [len(w.target_m) for w in windows] == [len(c) for c in CLIPS]
    assert same(windows, [w for _, w in again])
    assert not same(windows, [w for _, w in other])
    exact = [w for _, w in scored_clips([CLIPS[0]] * 2, None)]
    assert (exact[0].joints2d[..., 2] == 1).all()
    assert np.abs(exact[0].target_m - exact[1].target_m).max() > 0.1  # the same clip from two sides
    # A clip's noise goes by its place in the list, not by what came before it.
    (alone,) = scored_clips(CLIPS[:1], load())
    assert same([alone[1]], windows[:1])


def test_a_clip_that_is_not_to_scale_shows_its_picture_and_asks_for_it_back() -> None:
    given = without("left_wrist", replace(CLIPS[0], metric=False))
    window = flat_window(given, 9, np.random.default_rng(0))
    assert window.target_m[..., :2] == pytest.approx(window.joints2d[..., :2])
    assert (window.target_m[..., 2] == 0).all()
    assert np.array_equal(window.weight, window.joints2d[..., 2])
    assert (window.weight[:, J["left_wrist"]] == 0).all()
    assert (window.weight[:, 0] == 1).all()
    head, ankle = (window.joints2d[:, J[j], 1] for j in ("head_top", "left_ankle"))
    assert (head < 0).all()  # y grows downwards in a picture
    assert (ankle > 0).all()

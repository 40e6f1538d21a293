"""The noise that training adds to joints in the picture is what its parameters say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionqa.data.detector_noise import PAPER, DetectorNoise, load
from motionqa.data.skeleton import H36M_17

FPS = 30.0
STILL = np.zeros((81, 17, 2))
WALKING = np.random.default_rng(5).normal(size=(81, 17, 2))
CALM = replace(load(), burst_rate_hz=0.0, swap_rate_hz=0.0, dropout_rate_hz=0.0)


def draws(noise: DetectorNoise, count: int, xy: np.ndarray = STILL) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    xys, confidences = zip(*(noise.apply(xy, FPS, rng) for _ in range(count)), strict=True)
    return np.stack(xys), np.stack(confidences)


def only(**parts: tuple[float, ...]) -> DetectorNoise:
    nothing = (0.0,) * 17
    return replace(CALM, **{"bias_std": nothing, "slow_std": nothing, "fast_std": nothing, **parts})


def test_at_strength_0_the_joints_come_back_with_confidence_1() -> None:
    for noise in (load(), PAPER):
        xy, confidence = noise.apply(WALKING, FPS, np.random.default_rng(0), strength=0.0)
        assert np.array_equal(xy, WALKING)
        assert xy is not WALKING
        assert (confidence == 1).all()


@pytest.mark.parametrize("part", ["bias_std", "slow_std", "fast_std"])
def test_each_part_has_its_std_at_every_joint(part: str) -> None:
    wanted = np.asarray(getattr(load(), part))
    found = np.sqrt((draws(only(**{part: tuple(wanted)}), 600)[0] ** 2).mean(axis=(0, 1, 3)))
    # Left and right share one std, and the spine's can not exceed what pelvis and thorax allow.
    assert found == pytest.approx(wanted, rel=0.15, abs=1e-3)


def test_the_bias_is_constant_and_the_slow_part_keeps_its_time() -> None:
    std = (0.04,) * 17
    bias = draws(only(bias_std=std), 5)[0]
    assert np.ptp(bias, axis=1).max() == pytest.approx(0, abs=1e-12)
    noise = replace(only(slow_std=std), slow_s=0.2)
    slow = draws(noise, 600)[0]
    wrist = slow[:, :, H36M_17.index("left_wrist")]
    for k in (2, 6, 12):
        t = k / FPS / 0.2
        correlation = (wrist[:, k:] * wrist[:, :-k]).mean() / (wrist**2).mean()
        assert correlation == pytest.approx((1 + t) * np.exp(-t), abs=0.06)


def test_midline_joints_keep_to_the_middle_as_the_detectors_do() -> None:
    noisy = draws(replace(load(), swap_rate_hz=0.0, dropout_rate_hz=0.0), 3)[0]
    at = H36M_17.index
    assert np.allclose(noisy[:, :, at("pelvis")], noisy[:, :, [at("left_hip"), at("right_hip")]].mean(axis=2))
    assert np.allclose(noisy[:, :, at("spine")], noisy[:, :, [at("pelvis"), at("thorax")]].mean(axis=2))


def test_confidence_has_its_means_and_its_std() -> None:
    confidence = draws(CALM, 600)[1]
    assert confidence.mean(axis=(0, 1)) == pytest.approx(CALM.confidence_mean, abs=0.04)
    assert np.sqrt(confidence.var(axis=(0, 1)).mean()) == pytest.approx(CALM.confidence_std, rel=0.1)


def test_bursts_come_at_their_rate_and_size_and_lower_confidence() -> None:
    noise = replace(only(), burst_rate_hz=0.2, burst_s=0.3, burst_std=0.1, confidence_drop=2.0)
    noise = replace(noise, confidence_mean=(0.9,) * 17, confidence_std=0.001)
    xy, confidence = draws(noise, 300)
    limb = [H36M_17.index(f"{side}_{j}") for side in ("left", "right") for j in ("wrist", "ankle", "elbow", "knee")]
    hit = np.abs(xy[:, :, limb]).max(axis=-1) > 0
    assert hit.mean() == pytest.approx(0.2 * 0.3, rel=0.2)
    assert np.sqrt((xy[:, :, limb][hit] ** 2).mean()) == pytest.approx(0.1, rel=0.15)
    assert confidence[:, :, limb][hit].mean() < confidence[:, :, limb][~hit].mean() - 0.1


def test_exchanges_swap_one_limb_pair_for_their_share_of_the_time() -> None:
    noise = replace(only(), swap_rate_hz=0.5, swap_s=0.2)
    xy = draws(noise, 300, WALKING)[0]
    moved = (xy != WALKING).any(axis=-1)
    wrists, knees = ([H36M_17.index(f"{side}_{j}") for side in ("left", "right")] for j in ("wrist", "knee"))
    both = moved[..., wrists].all(axis=-1)
    assert np.array_equal(both, moved[..., wrists].any(axis=-1))
    assert np.allclose(xy[both][:, wrists], np.broadcast_to(WALKING, xy.shape)[both][:, wrists[::-1]])
    share = both.mean() + moved[..., knees].all(axis=-1).mean()
    assert share == pytest.approx(0.5 * 0.2, rel=0.3)


def test_missing_frames_have_confidence_0_and_a_straight_line() -> None:
    noise = replace(only(), dropout_rate_hz=0.3, dropout_s=0.3)
    xy, confidence = draws(noise, 300, WALKING)
    gone = (confidence == 0).all(axis=-1)
    assert gone.mean() == pytest.approx(0.3 * 0.3, rel=0.25)
    alone = gone[:, 1:-1] & ~gone[:, :-2] & ~gone[:, 2:]
    clip, frame = (int(x[0]) for x in np.nonzero(alone))
    assert np.allclose(xy[clip, frame + 1], (xy[clip, frame] + xy[clip, frame + 2]) / 2)


def test_strength_scales_the_error() -> None:
    weak, strong = (CALM.apply(STILL, FPS, np.random.default_rng(1), strength=s)[0] for s in (0.5, 2.0))
    assert np.allclose(strong, 4 * weak)


def test_the_same_generator_gives_the_same_noise() -> None:
    for noise in (load(), PAPER):
        one, two, other = (noise.apply(WALKING, FPS, np.random.default_rng(seed)) for seed in (3, 3, 4))
        assert np.array_equal(one[0], two[0])
        assert np.array_equal(one[1], two[1])
        assert not np.array_equal(one[0], other[0])


def test_nan_is_refused_with_the_frame() -> None:
    bad = WALKING.copy()
    bad[7, 3, 0] = np.nan
    for noise in (load(), PAPER):
        with pytest.raises(ValueError, match=r"1 of 81 frames .first: 7"):
            noise.apply(bad, FPS, np.random.default_rng(0))


def test_the_dtype_is_kept_and_any_length_works() -> None:
    for frames in (1, 2, 200):
        xy, confidence = load().apply(np.zeros((frames, 17, 2), np.float32), FPS, np.random.default_rng(0))
        assert xy.dtype == np.float32
        assert confidence.shape == (frames, 17)
        assert ((confidence >= 0) & (confidence <= 1)).all()


def test_a_written_file_loads_as_it_was(tmp_path: Path) -> None:
    load().to_json(tmp_path / "n.json", "nothing", {"rows": 3})
    assert load(tmp_path / "n.json") == load()


def test_bad_parameters_name_the_field() -> None:
    with pytest.raises(ValueError, match="fast_std"):
        replace(load(), fast_std=(0.1,) * 16)
    with pytest.raises(ValueError, match="burst_s"):
        replace(load(), burst_s=-1.0)


def test_the_papers_noise_is_straight_between_key_frames() -> None:
    noise = replace(PAPER, white_std=0.0)
    xy = noise.apply(STILL, FPS, np.random.default_rng(0))[0]
    bend = np.abs(np.diff(xy, 2, axis=0)).max(axis=(1, 2))
    corners = np.flatnonzero(bend > 1e-9) + 1
    assert len(corners)
    assert (corners % PAPER.key_frame_every == 0).all()

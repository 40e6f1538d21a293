"""Scores of lifters: nothing wrong gives nothing, a known error gives itself, and cameras agree up to one placement."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motionqa.data.detector_noise import load
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.windows import scored_clips
from motionqa.encoders.lifter import LifterConfig, Network
from motionqa.eval.lifting import LiftingScores, disagreement_mm, score
from motionqa.tests.mocap_clips import J, clip

Array = np.ndarray
CLIPS = [clip("walk", fps=15.0), clip("wave", fps=15.0), clip("squat", fps=15.0, source="cmu")]
WHOLE = LifterConfig(window=100, stride=100, flip=False, fps=15.0, phases=1)


def knowing(clips: list[MocapClip], wrist_off_m: float = 0.0) -> Network:
    """A lifter that knows what it will be asked: one window a clip, in order."""
    truths = iter([seen.target_m for _, seen in scored_clips(clips, load())])

    def network(joints: Array) -> Array:
        out = next(truths)[None].copy()
        assert out.shape == joints.shape
        out[:, :, J["left_wrist"], 1] += wrist_off_m
        return out

    return network


def test_a_lifter_without_error_scores_nothing_and_a_known_error_scores_itself() -> None:
    perfect = score(CLIPS, load(), knowing(CLIPS), WHOLE)
    for metric in ("mpjpe", "pa_mpjpe", "acceleration"):
        assert perfect.mean(metric) == pytest.approx(0, abs=0.01)
    assert perfect.sources == ("utd_mhad", "utd_mhad", "cmu")
    assert [len(v) for v in perfect.mpjpe] == [len(c) for c in CLIPS]
    shifted = score(CLIPS, load(), knowing(CLIPS, 0.017), WHOLE)  # one joint of 17, always alike
    assert shifted.mean("mpjpe") == pytest.approx(1, abs=0.01)
    assert 0.5 < shifted.mean("pa_mpjpe") < 3  # least squares spread one joint's error over the others
    assert shifted.mean("acceleration") == pytest.approx(0, abs=0.01)
    assert shifted.interval("mpjpe") == pytest.approx((1, 1), abs=0.01)


def made_up(seed: int = 0) -> LiftingScores:
    rng = np.random.default_rng(seed)
    values = tuple(rng.normal(m, 3, n) for m, n in ((40, 10), (50, 200), (60, 30), (44, 80)))
    return LiftingScores(("a", "b", "a", "b"), values, values, values)


def test_every_frame_counts_the_same_and_collections_can_be_looked_at_alone() -> None:
    scores = made_up()
    assert scores.mean("mpjpe") == pytest.approx(np.concatenate(scores.mpjpe).mean())
    assert scores.mean("mpjpe", "a") == pytest.approx(np.concatenate([scores.mpjpe[0], scores.mpjpe[2]]).mean())
    assert scores.mean("mpjpe", "b") != pytest.approx(scores.mean("mpjpe", "a"), abs=1)


def test_the_interval_holds_the_mean_is_the_same_each_time_and_narrows_with_more_clips() -> None:
    few = made_up()
    low, high = few.interval("mpjpe")
    assert low < few.mean("mpjpe") < high
    assert few.interval("mpjpe") == (low, high)
    many = LiftingScores(few.sources * 16, few.mpjpe * 16, few.mpjpe * 16, few.mpjpe * 16)
    closer = many.interval("mpjpe")
    assert closer[1] - closer[0] < 0.5 * (high - low)
    one = LiftingScores(("a",), few.mpjpe[:1], few.mpjpe[:1], few.mpjpe[:1])
    assert one.interval("mpjpe") == pytest.approx((one.mean("mpjpe"),) * 2, abs=0.006)


# --------------------------------------------------------------------------------------- several cameras


def turned(xyz: Array, angle_deg: float, scale: float) -> Array:
    turn = Rotation.from_euler("yx", [angle_deg, 20], degrees=True)
    return scale * turn.apply(xyz.reshape(-1, 3)).reshape(xyz.shape)


def test_cameras_that_see_the_same_body_agree_whatever_side_and_size_they_see() -> None:
    truth = CLIPS[0].xyz_m.astype(np.float64)
    seen = [np.ones(len(truth), bool)] * 3
    views = [truth, turned(truth, 70, 1.3) + 2, turned(truth, -140, 0.6)]
    assert disagreement_mm(views, [s.astype(np.float64) for s in seen]) == pytest.approx([0, 0, 0], abs=1e-3)
    off = truth.copy()
    off[:, J["left_wrist"], 0] += 0.17
    found = disagreement_mm([truth, turned(off, 70, 1.0)], [s.astype(np.float64) for s in seen[:2]])
    assert 5 < found[0] < 25  # about 10 mm, most of it in one joint of 17


def test_only_frames_that_both_cameras_see_are_compared_and_a_flip_between_them_shows() -> None:
    truth = CLIPS[0].xyz_m.astype(np.float64)
    other, seen = turned(truth, 50, 1.0), np.ones((2, len(truth)))
    other[5:9] += np.random.default_rng(0).normal(size=other[5:9].shape)
    assert disagreement_mm([truth, other], list(seen))[0] > 20
    seen[1, 5:9] = 0
    assert disagreement_mm([truth, other], list(seen)) == pytest.approx([0], abs=1e-3)
    # One placement must do for all frames: a body that turns in one camera only does not agree.
    spinning = np.stack([turned(frame[None], 5.0 * i, 1.0)[0] for i, frame in enumerate(truth)])
    assert disagreement_mm([truth, spinning], list(np.ones((2, len(truth)))))[0] > 100

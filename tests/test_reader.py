"""The reader: features independent of place and heading, a network that reads any length alike, decoding, words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from motionqa.data.reading import ClipTokens, MotionReading, ReadAction
from motionqa.data.schema import InputError, Pose3D
from motionqa.data.skeleton import H36M_17
from motionqa.data.synthetic.body import render
from motionqa.data.synthetic.motions import squats, wave
from motionqa.encoders.kinematics.analyse import analyse
from motionqa.encoders.model_dir import load_model_dir, save_model_dir
from motionqa.encoders.reader.decode import DecodeConfig, decode
from motionqa.encoders.reader.features import FEATURES, STRIDE, body_features
from motionqa.encoders.reader.network import MotionReader, ReaderConfig
from motionqa.encoders.reader.read import load_reader, read_pose, reader_of
from motionqa.encoders.reader.words import read_clip, worded
from motionqa.eval.reader_scores import mostly

SMALL = ReaderConfig(("squat", "wave right hand"), width=32, heads=2)


def pose() -> Pose3D:
    return render(squats(3))


def moved(p: Pose3D, degrees: float) -> Pose3D:
    turn = Rotation.from_euler("y", degrees, degrees=True).as_matrix()
    return replace(p, xyz_m=(p.xyz_m @ turn.T + np.array([3.0, 0.0, -2.0])).astype(p.xyz_m.dtype))


def test_features_do_not_depend_on_place_heading_or_size() -> None:
    here = body_features(pose()).values
    there = body_features(moved(pose(), 137)).values
    np.testing.assert_allclose(here, there, atol=1e-3)
    taller = replace(pose(), xyz_m=1.3 * pose().xyz_m)
    np.testing.assert_allclose(here, body_features(taller).values, atol=1e-3)


def test_left_is_positive_and_forward_is_the_last_axis() -> None:
    values = body_features(moved(pose(), 60)).values[:, :51].reshape(-1, 17, 3)
    left, right = (H36M_17.index(f"{s}_shoulder") for s in ("left", "right"))
    assert (values[:, left, 0] > 0.1).all()
    assert (values[:, right, 0] < -0.1).all()
    knees = [H36M_17.index(f"{s}_knee") for s in ("left", "right")]
    assert values[:, knees, 2].max() > 0.3  # knees come forward in a squat


def test_a_planar_pose_and_an_unseen_trunk_are_refused() -> None:
    with pytest.raises(InputError, match="plane"):
        body_features(replace(pose(), planar=True))
    with pytest.raises(InputError, match="never seen"):
        body_features(replace(pose(), confidence=np.zeros_like(pose().confidence)))


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    model = MotionReader(SMALL).eval()
    x = torch.randn(1, 41, FEATURES)
    alone, keep = model(x, torch.ones(1, 41, dtype=torch.bool))
    padded = torch.cat([x, torch.full((1, 30, FEATURES), 9.0)], dim=1)
    real = torch.arange(71)[None] < 41
    beside, kept = model(padded, real)
    count = int(keep.sum())
    assert int(kept.sum()) == count == -(-41 // STRIDE)
    torch.testing.assert_close(alone, beside[:, :count], atol=1e-4, rtol=1e-4)


def test_what_is_out_of_reach_changes_nothing() -> None:
    torch.manual_seed(0)
    model = MotionReader(replace(SMALL, reach=2, layers=1)).eval()
    x = torch.randn(1, 160, FEATURES)
    other = x.clone()
    other[:, 120:] = 0
    real = torch.ones(1, 160, dtype=torch.bool)
    a, b = model(x, real)[0], model(other, real)[0]
    torch.testing.assert_close(a[:, :20], b[:, :20])
    assert (a[:, 35:] - b[:, 35:]).abs().max() > 1e-3


def scores(path: list[int], classes: int = 3, height: float = 6.0) -> np.ndarray:
    return height * np.eye(classes)[path]


def test_actions_come_in_order_without_gaps() -> None:
    times = np.arange(13) * 0.5
    found = decode(scores([0] * 6 + [1] * 6), times, ("squat", "wave"), DecodeConfig())
    assert [(a.name, a.start_s, a.end_s) for a in found] == [("squat", 0.0, 3.0), ("wave", 3.0, 6.0)]


def test_a_flicker_is_no_action_and_a_short_stretch_joins_its_neighbour() -> None:
    times = np.arange(13) * 0.25
    flicker = scores([0] * 6 + [1] + [0] * 5, height=2.0)
    assert [a.name for a in decode(flicker, times, ("squat", "wave"), DecodeConfig())] == ["squat"]
    short = scores([0] * 6 + [1] + [0] * 5, height=20.0)
    assert [a.name for a in decode(short, times, ("squat", "wave"), DecodeConfig(shortest_s=0.5))] == ["squat"]
    assert len(decode(short, times, ("squat", "wave"), DecodeConfig(shortest_s=0.1))) == 3


def test_a_doubtful_action_is_none_of_the_known_ones_and_is_named_as_an_alternative() -> None:
    flat = np.tile(np.log([0.3, 0.28, 0.22, 0.2]), (6, 1))
    (only,) = decode(flat, np.arange(7.0), ("squat", "wave", "clap"), DecodeConfig())
    assert only.name == ""
    assert only.alternatives[0][0] == "squat"
    unknown = scores([3] * 6, classes=4)
    assert decode(unknown, np.arange(7.0), ("squat", "wave", "clap"), DecodeConfig())[0].name == ""


def test_scores_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="names"):
        decode(np.zeros((4, 3)), np.arange(5.0), ("squat",), DecodeConfig())


def test_a_saved_reader_reads_the_same(tmp_path) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    model = MotionReader(SMALL).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    save_model_dir(tmp_path, model, usage={"decoding": {"doubt": 0.01}})
    loaded = load_reader(tmp_path)
    assert loaded.names == SMALL.names
    assert loaded.decoding.doubt == 0.01
    assert load_model_dir(tmp_path).weights_sha256[:12] in loaded.source
    here, there = read_pose(pose(), reader_of(model, "it", loaded.decoding)), read_pose(pose(), loaded)
    assert here.actions == there.actions
    np.testing.assert_allclose(here.tokens.motion, there.tokens.motion, atol=1e-5)  # type: ignore[arg-type]


def test_tokens_cover_the_clip_four_frames_each() -> None:
    found = read_pose(pose(), reader_of(MotionReader(SMALL), "random"))
    frames = len(body_features(pose()).values)
    assert found.tokens.motion is not None
    assert found.tokens.motion.shape == (-(-frames // STRIDE), 32)
    assert found.actions[0].start_s == pytest.approx(float(pose().times_s[0]))
    assert found.actions[-1].end_s == pytest.approx(float(pose().times_s[-1]), abs=0.3)


def test_words_name_actions_with_times_limbs_and_doubt() -> None:
    p = render(wave("right", 4))
    middle = float(p.times_s[len(p) // 2])
    actions = (
        ReadAction("wave right hand", 0.0, middle, 0.95),
        ReadAction("wave right hand", middle, float(p.times_s[-1]), 0.5, (("knock", 0.3),)),
    )
    words = worded(MotionReading(actions, ClipTokens()), analyse(p), p).words
    assert f"wave right hand 0.0 to {middle:.1f} s ({middle:.1f} s), right arm" in words
    assert f"wave right hand (or knock) {middle:.1f}" in words
    assert "on the spot" in words


@pytest.mark.parametrize(
    ("name", "limb"),
    [
        ("squat", "both legs"),  # its name says so, though the arms swing along
        ("throw", "right arm"),  # its name says an arm, measuring says which
        ("kick", ""),  # its name says a leg, and none moves
        ("", "right arm"),
    ],
)
def test_the_limb_is_what_the_name_says_and_its_side_what_was_measured(name: str, limb: str) -> None:
    p = render(wave("right", 4))
    only = ReadAction(name, 0.0, float(p.times_s[-1]), 0.9)
    found = worded(MotionReading((only,), ClipTokens()), analyse(p), p)
    assert [f.text.partition(": ")[2] for f in found.facts if f.topic == "limb"] == ([f"{limb}."] if limb else [])


def test_an_unknown_movement_is_described_and_not_named() -> None:
    p = pose()
    only = ReadAction("", 0.0, float(p.times_s[-1]), 0.3, (("wave right hand", 0.25),))
    words = worded(MotionReading((only,), ClipTokens()), analyse(p), p).words
    assert "unnamed movement (squats 3 times)" in words
    assert "perhaps wave right hand" in words


def test_a_clip_is_mostly_called_what_takes_most_of_its_time() -> None:
    spans = (("clap", 0.0, 1.0), ("", 1.0, 2.4), ("clap", 2.4, 3.0))
    reading = MotionReading(tuple(ReadAction(n, a, b, 0.9) for n, a, b in spans), ClipTokens())
    assert mostly(reading) == "clap"
    assert mostly(replace(reading, actions=reading.actions[:2])) == ""
    assert mostly(replace(reading, actions=())) == ""


def test_without_a_reader_the_measurements_speak() -> None:
    found = read_clip(pose(), analyse(pose()), None)
    assert found.actions == ()
    assert found.tokens.motion is None
    assert "squats 3 times" in found.words

"""The whole way from a file to facts, for ordinary and awkward files, on a drawn person whose movement is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from motionqa.data.schema import ClipEncoding, InputError, Pose3D
from motionqa.data.synthetic.drawn_figure import Camera, figure_frames
from motionqa.data.synthetic.motions import arm_raise, concatenate, render, squats, stand
from motionqa.data.video_writer import Frame, write_video
from motionqa.encoders.clip_encoder import ClipEncoder
from motionqa.tests.video_files import cut_off, turn_in_header


@pytest.fixture(scope="module")
def raising() -> Pose3D:
    return render(concatenate(stand(0.4), arm_raise("left"), stand(0.4)))


def encode(frames: Iterator[Frame], path: Path) -> ClipEncoding:
    return ClipEncoder().encode(write_video(frames, path))


def texts(encoding: ClipEncoding) -> str:
    return " ".join(f.text for f in encoding.report.facts)


def test_squats_in_a_video_are_counted_with_their_times(squat_video: Path) -> None:
    encoding = ClipEncoder().encode(squat_video)
    (squatting,) = [r for r in encoding.report.repetitions if r.name == "squat"]
    turns = [r.turn_s for r in squatting.repetitions]
    assert turns == pytest.approx([1.5, 3.5, 5.5], abs=0.45)  # the drawn legs leave the lowest moment open
    assert "squats 3 times" in encoding.report.facts[0].text


@pytest.mark.parametrize("clockwise", [90, 180])
def test_a_phone_video_filmed_turned_is_measured_upright(raising: Pose3D, tmp_path: Path, clockwise: int) -> None:
    lying = ((t, np.ascontiguousarray(np.rot90(f, clockwise // 90))) for t, f in figure_frames(raising))
    path = turn_in_header(write_video(lying, tmp_path / "phone.mp4"), clockwise)
    assert "left hand is above the head" in texts(ClipEncoder().encode(path))


def test_a_grey_picture_is_enough(raising: Pose3D, tmp_path: Path) -> None:
    frames = figure_frames(raising)
    grey = ((t, np.repeat(f.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)) for t, f in frames)
    assert "The person raises the left arm" in texts(encode(grey, tmp_path / "grey.mp4"))


@pytest.mark.parametrize("fps", [5, 240])
def test_slow_and_fast_cameras_tell_the_same_story(tmp_path: Path, fps: int) -> None:
    person = render(concatenate(stand(0.4, fps=fps), arm_raise("left", fps=fps), stand(0.4, fps=fps)))
    encoding = encode(figure_frames(person, camera=Camera(320, 240)), tmp_path / "rate.mp4")
    assert "left hand is above the head" in texts(encoding)
    assert encoding.pose3d.fps == pytest.approx(min(fps, 30), abs=0.2)
    assert encoding.notes


def test_a_varying_frame_rate_keeps_the_times_of_events(raising: Pose3D, tmp_path: Path) -> None:
    frames = [(t, f) for k, (t, f) in enumerate(figure_frames(raising)) if k % 5]
    encoding = encode(iter(frames), tmp_path / "vfr.mp4")
    above = next(f for f in encoding.report.facts if "left hand is above the head" in f.text)
    height = raising.xyz_m[:, [raising.skeleton.index(j) for j in ("left_wrist", "head")], 1]
    truth = raising.times_s[height[:, 0] > height[:, 1] + 0.15]
    assert above.start_s == pytest.approx(float(truth[0]), abs=0.25)


def test_one_frame_gives_a_posture_and_says_that_movement_cannot_be_judged(raising: Pose3D, tmp_path: Path) -> None:
    encoding = encode(iter([next(iter(figure_frames(raising)))]), tmp_path / "one.mp4")
    assert "stands" in texts(encoding)
    assert any("too few frames" in w for w in encoding.report.warnings)


def test_a_person_cut_off_at_the_waist_is_said_to_have_no_feet_in_view(tmp_path: Path) -> None:
    person = render(concatenate(stand(0.4), arm_raise("left"), stand(0.4)))
    encoding = encode(figure_frames(person, camera=Camera(y_m=1.5, z_m=1.9)), tmp_path / "waist.mp4")
    assert any("feet are out of view" in w for w in encoding.report.warnings)
    assert "walk" not in texts(encoding)
    assert "left arm" in texts(encoding)


def test_a_clip_without_a_person_is_refused_kindly(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No person was found"):
        encode(((k / 10, np.full((120, 160, 3), 99, np.uint8)) for k in range(8)), tmp_path / "empty.mp4")


def test_a_truncated_video_is_analysed_up_to_the_cut(raising: Pose3D, tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    write_video(figure_frames(raising, camera=Camera(640, 480)), path)
    encoding = ClipEncoder().encode(cut_off(path, 0.6))
    assert any("damaged" in note for note in encoding.notes)
    assert encoding.pose3d.times_s[-1] < raising.times_s[-1] - 0.3


def test_two_people_are_mentioned_and_the_person_answered_about_is_named(tmp_path: Path) -> None:
    near = render(squats(1))
    far = render(arm_raise("left"))
    people = [replace(p, xyz_m=p.xyz_m + offset) for p, offset in ((near, (-0.9, 0, 0.3)), (far, (0.6, 0, -1.0)))]
    encoding = encode(figure_frames(*people, camera=Camera(960, 480)), tmp_path / "two.mp4")
    assert len(encoding.people) == 2
    assert any("2 people were seen" in note for note in encoding.notes)


def test_a_recording_without_sound_track_or_with_one_is_the_same(raising: Pose3D, tmp_path: Path) -> None:
    silent = tmp_path / "silent.mp4"
    write_video(figure_frames(raising, camera=Camera(320, 240)), silent)
    with_sound = tmp_path / "sound.mkv"
    with av.open(str(silent)) as source, av.open(str(with_sound), "w") as target:
        copy = target.add_stream_from_template(source.streams.video[0])
        sound = target.add_stream("aac", rate=16000)
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        target.mux(sound.encode(frame))
        target.mux(sound.encode(None))
    assert "left hand is above the head" in texts(ClipEncoder().encode(with_sound))


def test_the_clip_itself_has_facts_and_who_left_the_picture_is_said(tmp_path: Path) -> None:
    person = render(concatenate(stand(1.0), arm_raise("left")))
    frames = [*figure_frames(person)]
    empty = np.full_like(frames[0][1], 150)
    frames += [(frames[-1][0] + (k + 1) / 30, empty) for k in range(75)]
    encoding = encode(iter(frames), tmp_path / "leaves.mp4")
    told = texts(encoding)
    assert f"The clip lasts {encoding.duration_s:.1f} s." in told
    assert encoding.duration_s > encoding.pose3d.times_s[-1] + 1.5
    assert "The person is in view from 0.0 to" in told
    assert "Only one person is seen" in told

"""Reading videos: which frames, when, which way up; and what every kind of bad file gets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionqa.data import video
from motionqa.data.schema import Clip, InputError
from motionqa.data.video import DecodeConfig, frame_at, iter_frames, read_clip
from motionqa.tests.video_files import cut_off, grey_video, numbered_video, sound_only, turn_in_header


def level(frame: np.ndarray) -> int:
    """Which numbered frame this is, read from its brightness."""
    return round((float(frame[-4:, -4:].mean()) - 10) / 10)


def levels(clip: Clip) -> list[int]:
    """Which numbered frames the clip decodes to."""
    return [level(frame) for frame in iter_frames(clip)]


def test_every_frame_of_an_ordinary_video_is_analysed_at_its_own_time(tmp_path: Path) -> None:
    clip = read_clip(numbered_video(tmp_path / "a.mp4", [k / 25 for k in range(20)]))
    assert (clip.width, clip.height, len(clip), clip.source_frames) == (64, 48, 20, 20)
    assert clip.fps == pytest.approx(25, abs=0.1)
    assert np.allclose(clip.times_s, np.arange(20) / 25, atol=1e-3)
    assert levels(clip) == list(range(20))
    assert not clip.variable_rate
    assert clip.notes == ()


@pytest.mark.parametrize("every", [1, 3, 6])
@pytest.mark.parametrize("with_decord", [True, False])
def test_decord_and_pyav_give_the_same_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_decord: bool, every: int
) -> None:
    if not with_decord:
        monkeypatch.setattr(video, "_decord_reader", lambda clip, size: None)
    clip = read_clip(numbered_video(tmp_path / "a.mp4", [k / 60 for k in range(24)]))
    assert [level(f) for f in iter_frames(clip, every=every)] == list(range(0, 24, 2 * every))
    assert level(frame_at(clip, 5)) == 10


def test_a_fast_camera_is_thinned_to_thirty_frames_and_says_so(tmp_path: Path) -> None:
    clip = read_clip(numbered_video(tmp_path / "fast.mp4", [k / 240 for k in range(48)]))
    assert clip.fps == 30
    assert levels(clip) == [0, 8, 16, 0, 8, 16]  # grey levels repeat every 24 frames
    assert any("240" in note for note in clip.notes)


def test_five_frames_a_second_are_read_with_a_warning(tmp_path: Path) -> None:
    clip = read_clip(numbered_video(tmp_path / "slow.mp4", [k / 5 for k in range(10)]))
    assert clip.fps == pytest.approx(5)
    assert any("quick movements" in note for note in clip.notes)


def test_a_varying_frame_rate_keeps_real_times(tmp_path: Path) -> None:
    times = list(np.cumsum([0, *([0.03, 0.03, 0.09] * 6)]))
    clip = read_clip(numbered_video(tmp_path / "vfr.mp4", times))
    assert clip.variable_rate
    assert np.abs(clip.times_s[:, None] - np.array(times)[None]).min(axis=1).max() < 1e-3


@pytest.mark.parametrize(
    ("clockwise", "corner"), [(0, "top left"), (90, "top right"), (180, "bottom right"), (270, "bottom left")]
)
def test_phone_videos_come_out_upright(tmp_path: Path, clockwise: int, corner: str) -> None:
    path = turn_in_header(numbered_video(tmp_path / "phone.mp4", [k / 25 for k in range(3)]), clockwise)
    clip = read_clip(path)
    frame = next(iter_frames(clip))
    assert frame.shape[:2] == ((48, 64) if clockwise in (0, 180) else (64, 48)) == (clip.height, clip.width)
    row, column = corner.split()
    y = 4 if row == "top" else frame.shape[0] - 5
    x = 4 if column == "left" else frame.shape[1] - 5
    red = (frame[..., 0].astype(int) - frame[..., 1]) > 100
    assert red[y, x]
    assert red.mean() < 0.3


def test_a_large_picture_is_reduced_while_decoding(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "4k.mp4", [0, 1 / 30, 2 / 30], size=(3840, 2160))
    clip = read_clip(path)
    assert (clip.width, clip.height) == (3840, 2160)
    assert [f.shape for f in iter_frames(clip)] == [(720, 1280, 3)] * 3


def test_a_long_video_is_bounded_and_says_what_was_left_out(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "long.mp4", [float(k) for k in range(1800)])  # half an hour
    clip = read_clip(path)
    assert clip.duration_s == pytest.approx(1800)
    assert len(clip) <= 60 * 30
    assert clip.times_s[-1] < 60
    assert any("1800 s" in note for note in clip.notes)
    later = read_clip(path, DecodeConfig(start_s=1000))
    assert 1000 <= later.times_s[0] < 1001


def test_a_single_frame_and_a_still_picture_can_be_read_as_posture(tmp_path: Path) -> None:
    from PIL import Image

    clip = read_clip(numbered_video(tmp_path / "one.mp4", [0.0]))
    assert len(clip) == 1
    assert any("single frame" in note for note in clip.notes)
    Image.new("RGB", (64, 48), (9, 9, 9)).save(tmp_path / "still.png")
    assert len(read_clip(tmp_path / "still.png")) == 1


def test_grey_pictures_become_rgb(tmp_path: Path) -> None:
    clip = read_clip(grey_video(tmp_path / "grey.mkv"))
    frames = list(iter_frames(clip))
    assert len(frames) == 10
    assert frames[5].shape == (48, 64, 3)
    assert np.ptp(frames[5].reshape(-1, 3), axis=1).max() <= 2


@pytest.mark.parametrize("name", ["../a b.mp4", "spaced name.mp4", "🏃 Läufer.mp4"])
def test_awkward_file_names_are_only_names(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    path = numbered_video(folder / name, [k / 25 for k in range(4)])
    assert len(list(iter_frames(read_clip(path)))) == 4


def test_an_html_page_named_mp4_is_refused_with_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "page.mp4").write_text("<html>404</html>" * 50)
    with pytest.raises(InputError, match=r"page\.mp4.*Expected mp4"):
        read_clip(tmp_path / "page.mp4")


def test_sound_without_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only sound"):
        read_clip(sound_only(tmp_path / "talk.mp4"))


def test_empty_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing.mp4").touch()
    with pytest.raises(InputError, match="empty"):
        read_clip(tmp_path / "nothing.mp4")
    with pytest.raises(InputError, match="no file"):
        read_clip(tmp_path / "absent.mp4")


def test_a_video_cut_off_in_its_header_is_refused(tmp_path: Path) -> None:
    path = cut_off(numbered_video(tmp_path / "a.mp4", [k / 25 for k in range(50)]), 0.02)
    with pytest.raises(InputError, match=r"could not be opened|cut off|no picture"):
        read_clip(path)


def test_a_video_cut_off_in_the_middle_yields_the_frames_before_the_cut(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "a.mp4", [k / 25 for k in range(100)], size=(256, 192))
    clip = read_clip(cut_off(path, 0.7))
    frames = list(iter_frames(clip))
    assert 5 < len(frames) < 100


def test_a_track_without_frames_is_refused(tmp_path: Path) -> None:
    write = video.av.open(str(tmp_path / "none.mkv"), "w")
    stream = write.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    write.start_encoding()
    write.close()
    with pytest.raises(InputError, match=r"could not be opened|No frame|without a single frame"):
        read_clip(tmp_path / "none.mkv")


@pytest.mark.parametrize("text", ["#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "ffconcat version 1.0\nfile /etc/passwd\n"])
def test_playlists_that_name_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.mp4").write_text(text)
    with pytest.raises(InputError):
        read_clip(tmp_path / "list.mp4")


def test_a_start_after_the_end_is_refused_with_both_times(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "a.mp4", [k / 25 for k in range(25)])
    with pytest.raises(InputError, match=r"lasts 1\.0 s.*start at 9\.0 s"):
        read_clip(path, DecodeConfig(start_s=9))
    with pytest.raises(ValueError, match="max_side must be positive"):
        DecodeConfig(max_side=0)

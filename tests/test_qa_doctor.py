"""The doctor finds what is missing, miscounted and damaged, all of it in one go."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from motionqa.data.schema import InputError
from motionqa.eval.qa.clip_health import clip_fault
from motionqa.eval.qa.doctor import Health, check_data
from motionqa.tests import benchmark_trees as trees
from motionqa.tests.video_files import cut_off, numbered_video, sound_only


def lines(health: Health, level: str) -> str:
    return "\n".join(f.text() for f in health.findings if f.level == level)


def test_a_whole_babel_tree_has_no_errors_and_says_what_is_not_official(tmp_path: Path) -> None:
    health = check_data(trees.babel_qa(tmp_path), deep=True)
    assert health.ok, health.text()
    assert "babel_qa test: 10 questions on 2 clips" in lines(health, "ok")
    assert "babel_qa test: all 2 clips there" in lines(health, "ok")
    assert "the official test split has 393 on 171" in lines(health, "warning")
    assert health.text().endswith("(every frame decoded)")


def test_missing_and_truncated_motions_are_counted_together(tmp_path: Path) -> None:
    data = trees.babel_qa(tmp_path)
    cut_off(data / "amass/CMU/91/91_48_poses.npz", 0.6)
    (data / "amass/KIT/3/kick_poses.npz").unlink()
    health = check_data(data)
    assert not health.ok
    errors = lines(health, "error")
    assert "babel_qa test: 1 of 2 clips missing, 5 of 10 questions lost (12)" in errors
    assert "babel_qa test: 1 clips damaged (91_48_poses.npz: is no complete npz archive" in errors
    assert "amass/KIT: 1 of 1 sequences of BABEL missing" in lines(health, "warning")


def test_motions_of_another_length_than_babel_states_are_found(tmp_path: Path) -> None:
    data = trees.babel_qa(tmp_path)
    assert "BABEL's dur: that of 1 motions is the length of their AMASS file" in lines(check_data(data), "ok")
    trees.amass_npz(data / "amass/CMU/91/91_48_poses.npz", 361, 100.0)  # recorded at 120: every moment would be late
    found = lines(check_data(data), "warning")
    assert "BABEL's dur: 1 of 1 motions are not as long as BABEL says" in found
    assert "7644: 3.61 s in 91_48_poses.npz, 3.00 s in BABEL" in found
    babel = json.loads((data / "train.json").read_text())
    del babel["7644"]["dur"]
    (data / "train.json").write_text(json.dumps(babel))
    assert "motion 7644: no dur in seconds" in lines(check_data(data), "error")


def test_a_broken_question_file_does_not_stop_the_check_of_the_others(tmp_path: Path) -> None:
    data = trees.babel_qa(tmp_path)
    path = data / "BABELQA_val.json"
    path.write_text(path.read_text()[:-40])
    entries = json.loads((data / "BABELQA_test.json").read_text())
    (data / "BABELQA_test.json").write_text(json.dumps([*entries, entries[0]]))
    health = check_data(data)
    assert len(health.errors) == 2
    assert "BABELQA_val.json is no complete json" in lines(health, "error")
    assert "1 question id (000020) is there more than once" in lines(health, "error")
    assert "babel_qa train: 5 questions on 1 clips" in lines(health, "ok")


def test_missing_body_model_and_mapping_are_said(tmp_path: Path) -> None:
    data = trees.babel_qa(tmp_path)
    (data / "body_models/smplh/SMPLH_NEUTRAL.npz").unlink()
    for folder in ("body_models/smplh", "body_models"):
        (data / folder).rmdir()
    assert "no body model" in lines(check_data(data), "error")
    (data / "amass_to_babel.json").unlink()
    health = check_data(data)
    assert "2 of 2 clips missing" in lines(health, "error")
    assert "amass_to_babel.json: not there" in lines(health, "warning")


def test_videos_that_do_not_open_are_found_and_the_others_still_checked(tmp_path: Path) -> None:
    data = trees.activitynet_qa(tmp_path, ("aaa.mp4", "bbb.mkv"))
    assert check_data(data).ok
    (data / "videos/test/v_aaa.mp4").write_bytes(b"<html>404</html>" * 40)
    (data / "videos/test/v_ccc.mp4").write_bytes(b"")
    health = check_data(data)
    assert "activitynet_qa test: 1 clips damaged (v_aaa.mp4:" in lines(health, "error")
    assert "other videos: 1 of 1 damaged (videos/test/v_ccc.mp4: empty (0 bytes))" in lines(health, "warning")
    (data / "videos/test/v_bbb.mkv").unlink()
    assert "1 of 2 clips missing, 9 of 18 questions lost (bbb)" in lines(check_data(data), "error")


def test_a_bare_tree_of_motions_and_videos_is_checked_without_questions(tmp_path: Path) -> None:
    trees.amass_npz(tmp_path / "ACCAD/s1/a_poses.npz", 30, 60.0)
    np.savez(tmp_path / "ACCAD/s1/shape.npz", betas=np.zeros(16))
    assert "motion files: 1 can be opened" in lines(check_data(tmp_path), "ok")
    trees.amass_npz(tmp_path / "ACCAD/s1/b_poses.npz", 1, 60.0)
    assert "1 of 2 damaged (ACCAD/s1/b_poses.npz: 1 frames, expected at least 2)" in lines(
        check_data(tmp_path), "error"
    )


def test_an_empty_or_absent_folder_is_an_error(tmp_path: Path) -> None:
    assert "neither a benchmark's question files nor motion files" in check_data(tmp_path).text()
    with pytest.raises(InputError, match="is no folder"):
        check_data(tmp_path / "x")


def test_progress_names_what_is_being_checked(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    check_data(trees.activitynet_qa(tmp_path), progress=lambda where, done, total: seen.append((where, done, total)))
    assert ("activitynet_qa test", 1, 2) in seen


def test_each_kind_of_damage_is_told_in_words(tmp_path: Path) -> None:
    good = trees.amass_npz(tmp_path / "good.npz", 20, 60.0)
    assert clip_fault(good, deep=True) == ""
    np.savez(tmp_path / "odd.npz", poses=np.zeros((5, 10)), trans=np.zeros((5, 3)), mocap_framerate=30)
    assert "expected [T, 72]" in clip_fault(tmp_path / "odd.npz")
    np.savez(tmp_path / "short.npz", poses=np.zeros((5, 156)), trans=np.zeros((4, 3)), mocap_framerate=30)
    assert clip_fault(tmp_path / "short.npz") == "trans has shape [4, 3] for 5 frames of poses"
    np.savez(tmp_path / "rate.npz", poses=np.zeros((5, 156)), trans=np.zeros((5, 3)))
    assert "no frame rate" in clip_fault(tmp_path / "rate.npz")
    np.savez(tmp_path / "nan.npz", poses=np.full((5, 156), np.nan), trans=np.zeros((5, 3)), mocap_framerate=30)
    assert clip_fault(tmp_path / "nan.npz") == ""
    assert clip_fault(tmp_path / "nan.npz", deep=True) == "poses hold values that are no numbers"
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    assert clip_fault(tmp_path / "other.npz").startswith("no SMPL parameters")
    np.save(tmp_path / "cut.npy", np.zeros((50, 22, 3)))
    cut_off(tmp_path / "cut.npy", 0.5)
    assert clip_fault(tmp_path / "cut.npy").startswith("cut off: ")
    assert clip_fault(tmp_path / "gone.mp4").startswith("cannot be read")


def test_flipped_bytes_in_the_middle_of_a_file_need_the_deep_check(tmp_path: Path) -> None:
    path = trees.amass_npz(tmp_path / "a.npz", 200, 60.0)
    raw = bytearray(path.read_bytes())
    raw[3000:3010] = b"\xff" * 10
    path.write_bytes(raw)
    assert clip_fault(path) == ""
    assert "damaged" in clip_fault(path, deep=True)


def test_videos_cut_off_silent_or_with_sound_only_are_told_apart(tmp_path: Path) -> None:
    video = numbered_video(tmp_path / "a.mp4", [k / 10 for k in range(30)])
    assert clip_fault(video, deep=True) == ""
    cut_off(video, 0.7)
    assert clip_fault(video).startswith("cut off: ")
    assert clip_fault(sound_only(tmp_path / "b.mp4")) == "no picture in it"
    (tmp_path / "c.webm").write_bytes(b"not a video at all" * 50)
    assert "does not open as a video" in clip_fault(tmp_path / "c.webm")

"""Motion-X in its published layouts: what the 322 numbers are, which video and sentence belong, which side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionqa.data.mocap.motion_x import LAYOUT, find_motion_x, load_motion_x, parameters, read_motion_x
from motionqa.data.mocap.read_report import ReadReport
from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17
from motionqa.tests import motion_writers as write
from motionqa.tests.mocap_checks import left_is_left
from motionqa.tests.motion_x_files import motion, write_motion

Array = np.ndarray


@pytest.fixture
def smplx(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "smplx"
    folder.mkdir(parents=True)
    np.savez(folder / "SMPLX_NEUTRAL.npz", allow_pickle=False, **write.body_model())
    return tmp_path / "models"


def test_the_parts_of_a_frame_are_where_the_release_has_them(tmp_path: Path) -> None:
    data = np.arange(2 * 322, dtype=np.float32).reshape(2, 322)
    np.save(tmp_path / "a.npy", data)
    found = parameters(tmp_path / "a.npy")
    edges = {"root_orient": (0, 3), "pose_body": (3, 66), "pose_hand": (66, 156), "pose_jaw": (156, 159),
             "face_expr": (159, 209), "face_shape": (209, 309), "trans": (309, 312), "betas": (312, 322)}  # fmt: skip
    assert sum(LAYOUT.values()) == 322
    for part, (a, b) in edges.items():
        assert np.array_equal(found[part], data[:, a:b]), part


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (np.zeros((5, 263)), r"\[5, 263\], expected \[frames, 322\]"),
        (np.zeros((0, 322)), r"expected \[frames, 322\]"),
        (np.full((5, 322), np.nan), "NaN"),
        (np.full((5, 322), "a"), r"expected \[frames, 322\]"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path: Path, data: Array, said: str) -> None:
    np.save(tmp_path / "a.npy", data)
    with pytest.raises(InputError, match=said):
        parameters(tmp_path / "a.npy")


def test_motions_come_with_their_sentence_video_and_side(tmp_path: Path) -> None:
    root = tmp_path / "mx"
    write_motion(root, "fitness/subset_0033/Quad_Stretch_clip_3", text="a person stretches a leg", video=True)
    write_motion(root, "humanml/M012640")
    for side, name in (
        ("train", "fitness/subset_0033/Quad_Stretch_clip_3"),
        ("test", "humanml/M012640"),
        ("val", "x/y"),
    ):
        (root / f"{side}.txt").write_text(f"{name}\n")
    one, other = find_motion_x(root)
    assert (one.subset, one.label, one.text, one.split) == (
        "fitness", "Quad Stretch", "a person stretches a leg", "train",
    )  # fmt: skip
    assert one.video == root / "video/fitness/subset_0033/Quad_Stretch_clip_3.mp4"
    assert (other.video, other.text, other.label, other.split) == (None, "", "", "test")
    (root / "val.txt").write_text("humanml/M012640\n")
    with pytest.raises(InputError, match="one side only"):
        find_motion_x(root)


def test_the_first_release_is_laid_out_otherwise(tmp_path: Path) -> None:
    place = tmp_path / "motion_data/smplx_322/kungfu"
    place.mkdir(parents=True)
    np.save(place / "Kick_clip1.npy", motion())
    (tmp_path / "texts/semantic_labels/kungfu").mkdir(parents=True)
    (tmp_path / "texts/semantic_labels/kungfu/Kick_clip1.txt").write_text("kicks")
    (found,) = find_motion_x(tmp_path)
    assert (found.name, found.text, found.label) == ("kungfu/Kick_clip1", "kicks", "Kick")
    with pytest.raises(InputError, match="no motions of Motion-X"):
        find_motion_x(tmp_path / "texts")


def test_clips_of_one_film_and_mirror_images_stay_on_one_side(tmp_path: Path) -> None:
    names = [f"fitness/subset_{k:04d}/Squat_{k // 4}_clip_{k}" for k in range(48)]
    names += [f"humanml/{m}{n:06d}" for n in range(6) for m in ("", "M")]
    for name in names:
        write_motion(tmp_path, name, motion(2))
    found = find_motion_x(tmp_path)
    sides: dict[str, set[str]] = {}
    for file in found:
        sides.setdefault(file.recording, set()).add(file.split)
    assert len(sides) == 12 + 6
    assert all(len(s) == 1 for s in sides.values())
    assert {file.split for file in found} == {"train", "test"}


def test_joints_are_those_of_the_body_model_upright_and_at_thirty_frames_a_second(tmp_path: Path, smplx: Path) -> None:
    root = tmp_path / "mx"
    write_motion(root, "idea400/Wave")
    write_motion(root, "idea400/Short", motion(4))
    write_motion(root, "idea400/Torn", np.zeros((9, 300)))
    report = ReadReport("motion_x")
    (clip,) = load_motion_x(root, smplx, report)
    assert (clip.source, clip.clip_id, clip.fps, len(clip), clip.label) == (
        "motion_x",
        "idea400/Wave",
        30.0,
        30,
        "Wave",
    )
    left_is_left(clip)
    speed = np.diff(clip.xyz_m[:, 0], axis=0) * clip.fps
    assert np.allclose(speed, (0, 0, 1), atol=0.01)
    head, ankle = (clip.xyz_m[:, H36M_17.index(j), 1] for j in ("head_top", "left_ankle"))
    assert (head - ankle > 1.2).all()
    assert set(report.skipped) == {"idea400/Short", "idea400/Torn"}
    with pytest.warns(UserWarning, match="motion_x: 1 clips"):
        list(load_motion_x(root, smplx))
    other = motion()
    other[:, 66:309] = 7  # neither hands nor face move a joint
    write_motion(root, "idea400/Wave", other)
    file = next(f for f in find_motion_x(root) if f.name.endswith("Wave"))
    assert np.allclose(read_motion_x(file, smplx).xyz_m, clip.xyz_m, atol=1e-6)


def test_without_the_licensed_body_model_it_is_said_which_one_is_needed(tmp_path: Path) -> None:
    write_motion(tmp_path, "idea400/Wave")
    for model in (None, tmp_path / "absent"):
        with pytest.raises(InputError, match=r"SMPLX_NEUTRAL\.npz"):
            load_motion_x(tmp_path, model)
    (file,) = find_motion_x(tmp_path)
    with pytest.raises(InputError, match="SMPLX"):
        read_motion_x(file, None)

"""AMASS and Human3.6M in their official layouts."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionqa.data.mocap.amass import amass_split, load_amass
from motionqa.data.mocap.human36m import load_human36m
from motionqa.data.mocap.read_report import ReadReport
from motionqa.data.mocap.splits import split_of
from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17
from motionqa.tests import motion_writers as write
from motionqa.tests.mocap_checks import h36m, left_is_left

Array = np.ndarray

# ----------------------------------------------------------------------------------------------- amass


def amass_file(path: Path, frames: int = 48, fps: float = 120.0, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    poses = np.cumsum(rng.normal(size=(frames, 156)) * 0.002, axis=0)
    poses[:, :3] = (np.pi / 2, 0, 0)  # stands upright in Z-up axes, facing -Y
    trans = np.stack([np.zeros(frames), -np.arange(frames) / fps, np.full(frames, 0.95)], axis=1)
    arrays = {"poses": poses, "trans": trans, "betas": np.zeros(16), "gender": "neutral", "mocap_framerate": fps}
    np.savez(path, allow_pickle=False, **(arrays | more))
    return path


@pytest.fixture
def smplh(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "smplh"
    folder.mkdir(parents=True)
    np.savez(folder / "SMPLH_NEUTRAL.npz", allow_pickle=False, **write.body_model())
    return tmp_path / "models"


def test_amass_sequences_come_at_thirty_frames_a_second_upright_and_on_the_official_side(
    tmp_path: Path, smplh: Path
) -> None:
    root = tmp_path / "amass"
    amass_file(root / "ACCAD" / "Female1Walking_c3d" / "B3_poses.npz", 48, 120.0)
    amass_file(root / "SFU" / "0005" / "walk_poses.npz", 40, 100.0)
    amass_file(root / "SSM" / "s1" / "a_stageii.npz", 240, 250.0)
    amass_file(root / "ACCAD" / "Female1Walking_c3d" / "shape.npz")  # beside every subject's sequences
    report = ReadReport("amass")
    clips = {c.clip_id: c for c in load_amass(root, smplh, report)}
    assert [(i, c.split, len(c), round(c.fps, 3)) for i, c in clips.items()] == [
        ("ACCAD/Female1Walking_c3d/B3_poses", "train", 12, 30.0),
        ("SFU/0005/walk_poses", "val", 20 // 2, 25.0),
        ("SSM/s1/a_stageii", "test", 24, 25.0),
    ]
    assert (report.clips, report.skipped) == (3, {})
    for clip in clips.values():
        left_is_left(clip)
        speed = np.linalg.norm(np.diff(clip.xyz_m[:, 0], axis=0), axis=1) * clip.fps
        assert np.allclose(speed, 1.0, atol=0.01)  # walks at 1 m/s, so no frame is missing and none is twice there
        hips = clip.xyz_m[:, H36M_17.index("left_hip")] - clip.xyz_m[:, H36M_17.index("right_hip")]
        assert np.allclose(np.linalg.norm(hips, axis=1), 0.18, atol=0.01)
    assert [c.split for c in load_amass(root, smplh, report, splits=("val",))] == ["val"]


def test_amass_sequences_that_can_not_be_read_are_counted_and_never_silent(tmp_path: Path, smplh: Path) -> None:
    root = tmp_path / "amass"
    amass_file(root / "KIT" / "3" / "good_poses.npz")
    amass_file(root / "KIT" / "3" / "short_poses.npz", 12)
    amass_file(root / "KIT" / "3" / "odd_poses.npz", poses=np.zeros((48, 7)))
    (root / "KIT" / "3" / "cut_poses.npz").write_bytes(b"PK\3\4 and no more")
    report = ReadReport("amass")
    assert len(list(load_amass(root, smplh, report))) == report.clips == 1
    assert set(report.skipped) == {f"KIT/3/{n}_poses" for n in ("short", "odd", "cut")}
    assert "1 left out: fewer than 8 frames" in str(report)
    with pytest.warns(UserWarning, match="amass: 1 clips"):
        list(load_amass(root, smplh))


def test_amass_without_sequences_or_body_model_says_so_at_once(tmp_path: Path, smplh: Path) -> None:
    with pytest.raises(InputError, match="no AMASS sequences"):
        load_amass(tmp_path / "nothing", smplh)
    amass_file(tmp_path / "KIT" / "3" / "a_poses.npz")
    for model in (None, tmp_path / "absent"):
        with pytest.raises(InputError, match="SMPL-H"):
            load_amass(tmp_path, model)


def test_amass_recordings_that_the_packed_cmu_collection_tests_on_are_not_trained_on() -> None:
    assert split_of("cmu", "x", "", "", "002") == "test"
    assert [amass_split("CMU", s) for s in ("02", "2", "20", "35")] == ["test", "test", "train", "train"]
    sides = {d: amass_split(d, "1") for d in ("MPI_HDM05", "HDM05", "MPI_mosh", "Transitions_mocap", "BMLrub", "KIT")}
    assert list(sides.values()) == ["val", "val", "val", "test", "train", "train"]


# ------------------------------------------------------------------------------------------- human3.6m


OFFICIAL_ROWS = {
    "pelvis": 0, "right_hip": 1, "right_knee": 2, "right_ankle": 3, "left_hip": 6, "left_knee": 7, "left_ankle": 8,
    "spine": 12, "thorax": 13, "nose": 14, "head_top": 15, "left_shoulder": 17, "left_elbow": 18, "left_wrist": 19,
    "right_shoulder": 25, "right_elbow": 26, "right_wrist": 27,
}  # fmt: skip


def official_32(body: Array) -> Array:
    """The 32 joints of the official files, Z up, metres: the 17 in their rows and a far away point in all others."""
    joints = h36m(body)
    rows = np.full((len(body), 32, 3), 7.0)
    for joint, row in OFFICIAL_ROWS.items():
        x, y, z = joints[:, H36M_17.index(joint)].T
        rows[:, row] = np.stack([x, -z, y], axis=-1)
    return rows


def write_cdf(path: Path, millimetres: Array) -> None:
    cdfwrite = pytest.importorskip("cdflib", reason="cdflib is optional").cdfwrite
    path.parent.mkdir(parents=True, exist_ok=True)
    with cdfwrite.CDF(path, cdf_spec={"Compressed": 0}) as cdf:
        spec = {"Variable": "Pose", "Data_Type": cdfwrite.CDF.CDF_FLOAT, "Num_Elements": 1, "Rec_Vary": True}
        # As the official files have it: one record of [T, 96].
        cdf.write_var(spec | {"Dim_Sizes": list(millimetres.shape)}, var_data=millimetres[None].astype(np.float32))


def positions_npz(path: Path, content: Any) -> Path:
    np.savez_compressed(path, positions_3d=content)
    return path


def test_official_human36m_files_give_the_seventeen_joints_in_metres_and_the_protocol_s_sides(tmp_path: Path) -> None:
    body = write.person(20)
    values = official_32(body).reshape(20, 96) * 1000
    for subject, action in (("S1", "Walking 1"), ("S9", "TakingPhoto"), ("S11", "Directions"), ("S5", "Sitting")):
        write_cdf(tmp_path / subject / "MyPoseFeatures" / "D3_Positions" / f"{action}.cdf", values)
    short = tmp_path / "S5" / "MyPoseFeatures" / "D3_Positions"
    write_cdf(short / "Eating.cdf", values[:3])
    (short / "Posing.cdf").write_bytes(b"\xcd\xf3\0\1 and no more")
    report = ReadReport("human36m")
    clips = list(load_human36m(tmp_path, report))
    assert [(c.clip_id, c.label, c.split, c.subject, c.fps) for c in clips] == [
        ("S1/Walking 1", "Walking", "train", "S1", 50.0),
        ("S5/Sitting", "Sitting", "train", "S5", 50.0),
        ("S9/Photo", "Photo", "test", "S9", 50.0),
    ]
    assert set(report.skipped) == {"S11/Directions", "S5/Eating", "S5/Posing"}
    assert np.abs(clips[0].xyz_m - h36m(body)).max() < 1e-4
    left_is_left(clips[0])


def test_the_packed_human36m_file_gives_the_same(tmp_path: Path) -> None:
    body = write.person(20)
    values = official_32(body).astype(np.float32)
    tree = {"S9": {"Walking": values}, "S1": {"Walking 1": values, "Broken": values[:, :4], "Gone": values * np.nan}}
    report = ReadReport("human36m")
    clips = list(load_human36m(positions_npz(tmp_path / "data_3d_h36m.npz", tree), report, every=2))
    assert [(c.clip_id, c.split, len(c), c.fps) for c in clips] == [
        ("S1/Walking 1", "train", 10, 25.0),
        ("S9/Walking", "test", 10, 25.0),
    ]
    assert np.abs(clips[0].xyz_m - h36m(body)[::2]).max() < 1e-5
    assert set(report.skipped) == {"S1/Broken", "S1/Gone"}
    left_is_left(clips[0])


class _Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def test_a_packed_human36m_file_runs_no_code_and_holds_what_it_should(tmp_path: Path) -> None:
    mark = tmp_path / "was_here"
    with pytest.raises(InputError, match=r"refused: it asks for posix\.system"):
        load_human36m(positions_npz(tmp_path / "a.npz", {"S1": _Evil(mark)}))
    assert not mark.exists()
    with pytest.raises(InputError, match=r"subjects \['Bob'\]"):
        load_human36m(positions_npz(tmp_path / "b.npz", {"Bob": {}}))
    with pytest.raises(InputError, match="S1 holds no actions"):
        load_human36m(positions_npz(tmp_path / "c.npz", {"S1": np.zeros(3)}))
    with pytest.raises(InputError, match="expected one dictionary"):
        load_human36m(positions_npz(tmp_path / "d.npz", np.zeros((3, 32, 3))))
    (tmp_path / "e.npz").write_text("no zip")
    with pytest.raises(InputError, match="is no data_3d_h36m"):
        load_human36m(tmp_path / "e.npz")


def test_human36m_without_files_or_without_cdflib_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"D3_Positions/\*\.cdf"):
        load_human36m(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        load_human36m(tmp_path / "absent")
    place = tmp_path / "S1" / "MyPoseFeatures" / "D3_Positions"
    place.mkdir(parents=True)
    (place / "Eating.cdf").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "cdflib", None)
    with pytest.raises(InputError, match="pip install cdflib"):
        load_human36m(tmp_path)

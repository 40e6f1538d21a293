"""Packed collections and their splits, and the readers of AMASS and Human3.6M in their official layouts."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionqa.data.mocap.amass import amass_split, load_amass
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.human36m import load_human36m
from motionqa.data.mocap.packed import load_collections, load_packed
from motionqa.data.mocap.read_report import ReadReport
from motionqa.data.mocap.splits import BANDAI_TEST_STYLES, split_of
from motionqa.data.motion_files.kinect import MSR_JOINTS
from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17, SMPL_22, convert
from motionqa.tests import motion_writers as write

Array = np.ndarray


def h36m(body: Array) -> Array:
    """SMPL joints as Human3.6M's."""
    return convert(body, np.ones(body.shape[:2]), SMPL_22, H36M_17)[0]


def left_is_left(clip: MocapClip) -> None:
    """The writers' person walks along +Z with the left side at +X, whatever axes the file had."""
    at = {j: clip.xyz_m[:, i] for i, j in enumerate(H36M_17.joints)}
    forward = np.cross(at["left_hip"] - at["right_hip"], at["thorax"] - at["pelvis"])
    travelled = at["pelvis"][-1] - at["pelvis"][0]
    assert (forward @ travelled > 0).all()
    assert (at["head_top"][:, 1] > at["pelvis"][:, 1]).all()


# ------------------------------------------------------------------------------------------------- packed


def packed(path: Path, bodies: list[Array], key: str = "positions_mm", **words: Any) -> Path:
    stacked = np.concatenate(bodies)
    arrays: dict[str, Any] = {
        "offsets": np.cumsum([0, *(len(b) for b in bodies)]),
        "fps": np.full(len(bodies), 30.0, np.float32),
        "clip_id": np.array([f"clip_{i}" for i in range(len(bodies))]),
        "joint_names": np.array(SMPL_22.joints),
        "parents": np.array(SMPL_22.parents, np.int16),
        key: np.round(stacked * 1000).astype(np.int16) if key == "positions_mm" else stacked.astype(np.float32),
    }
    np.savez(path, allow_pickle=False, **(arrays | words))
    return path


def test_a_metric_collection_gives_its_clips_with_labels_in_order(tmp_path: Path) -> None:
    bodies = [write.person(20, seed=1), write.person(4, seed=2), write.person(9, seed=3)]
    words: dict[str, Any] = {"label": np.array(["walk", "x", "run"]), "subject": np.array(["a", "b", "c"])}
    clips = load_packed(packed(tmp_path / "mine.npz", bodies, **words))
    assert [(c.source, c.clip_id, c.label, c.subject, c.style, len(c)) for c in clips] == [
        ("mine", "clip_0", "walk", "a", "", 20),
        ("mine", "clip_2", "run", "c", "", 9),  # the one between is shorter than 8 frames
    ]
    assert np.abs(clips[0].xyz_m - h36m(bodies[0])).max() < 0.002
    assert np.abs(clips[1].xyz_m - h36m(bodies[2])).max() < 0.002
    assert clips[0].metric
    assert clips[0].fps == 30
    assert (clips[0].confidence == 1).all()
    left_is_left(clips[0])


def test_a_clip_in_which_nobody_was_seen_is_left_out(tmp_path: Path) -> None:
    confidence = np.ones((20, 22), np.float32)
    confidence[:10] = 0
    path = packed(tmp_path / "a.npz", [write.person(10), write.person(10)], confidence=confidence)
    assert [c.clip_id for c in load_packed(path)] == ["clip_1"]


def test_a_pixel_collection_is_put_into_space_and_marked_as_not_metric(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    at = {"head": (160, 40), "hip_center": (160, 120), "left_ankle": (175, 200), "right_ankle": (145, 200)}
    frame = np.array([(*at.get(j, (160, 100)), 750.0) for j in MSR_JOINTS])
    video = frame + rng.uniform(-1, 1, (12, 20, 3))
    knee = MSR_JOINTS.index("left_knee")
    video[5, knee] = 0  # not seen in one frame
    confidence = np.ones((12, 20), np.float32)
    words = {"joint_names": np.array(MSR_JOINTS), "parents": np.full(20, -1, np.int16), "confidence": confidence}
    clip = load_packed(packed(tmp_path / "msr_action3d.npz", [video], "positions_px", **words))[0]
    assert not clip.metric
    assert np.isfinite(clip.xyz_m).all()
    pelvis, head = (clip.xyz_m[:, H36M_17.index(j)] for j in ("pelvis", "nose"))
    assert ((head - pelvis)[:, 1] > 0.5).all()
    assert ((head - pelvis)[:, 1] < 1.2).all()
    seen = clip.confidence[:, H36M_17.index("left_knee")]
    assert seen[5] == 0
    assert (np.delete(seen, 5) > 0).all()


def test_files_that_are_no_collection_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", allow_pickle=False, offsets=np.arange(2))
    with pytest.raises(InputError, match="no array fps, clip_id"):
        load_packed(tmp_path / "a.npz")
    with pytest.raises(InputError, match="neither positions_mm nor positions_px"):
        load_packed(packed(tmp_path / "b.npz", [write.person(9)], "positions_furlongs"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no packed collections"):
        load_collections([tmp_path / "empty"])


def test_a_folder_stands_for_its_collections(tmp_path: Path) -> None:
    for name in ("b", "a"):
        packed(tmp_path / f"{name}.npz", [write.person(9)])
    assert [c.source for c in load_collections([tmp_path])] == ["a", "b"]


# ------------------------------------------------------------------------------------------------- splits


def collection(source: str) -> list[tuple[str, str, str, str, str]]:
    """(clip_id, label, style, subject, official) of an imagined collection with many takes of everything."""
    labels = [f"action {i}" for i in range(12)]
    match source:
        case "bandai_namco":
            styles = [*sorted(BANDAI_TEST_STYLES), "active", "angry", "old", "normal", "happy", "feminine", "masculine"]
            return [(f"{a}_{s}_{t}", a, s, "", "") for a in labels for s in styles for t in range(4)]
        case "cmu":
            return [(f"{s:03d}_{t}", a, "", f"{s:03d}", "") for a in labels for s in range(9) for t in range(4)]
        case "deepmimic":
            return [(f"{a}{end}", a, "", "", "") for a in labels for end in ("_1.txt", "_2.txt", "_1_mirror.txt")]
    parts = [(a, s, t) for a in labels for s in range(1, 9) for t in range(4)]
    return [(f"{a}{s}{t}", a, "", str(s), "train" if s % 2 else "test") for a, s, t in parts]


@pytest.mark.parametrize("source", ["bandai_namco", "cmu", "deepmimic", "utd_mhad"])
def test_all_takes_of_a_group_are_on_one_side(source: str) -> None:
    sides: dict[tuple[str, str], set[str]] = {}
    for clip_id, label, style, subject, official in collection(source):
        group = style or subject or clip_id.replace("_mirror", "")
        sides.setdefault((label, group), set()).add(split_of(source, clip_id, label, style, subject, official))
    assert all(len(s) == 1 for s in sides.values())
    found = set().union(*sides.values())
    assert {"train", "test"} <= found
    if source != "deepmimic":  # too few groups for one in twenty
        assert "val" in found


@pytest.mark.parametrize(("source", "who"), [("bandai_namco", 2), ("cmu", 3), ("utd_mhad", 3)])
def test_no_tested_style_or_performer_is_trained_or_validated_on(source: str, who: int) -> None:
    sides: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    for clip in collection(source):
        sides[split_of(source, *clip)].add(clip[who])
    assert sides["test"]
    assert not sides["test"] & (sides["train"] | sides["val"])


def test_both_data_sets_names_of_a_bandai_style_are_on_one_side() -> None:
    for one, other in (("youthful", "childish"), ("exhausted", "tired"), ("musical", "proud")):
        words = [split_of("bandai_namco", "x", "walk", style, "") == "test" for style in (one, other)]
        assert words[0] == words[1]


def test_a_clip_and_its_mirror_image_stay_together() -> None:
    sides = [split_of("deepmimic", f"humanoid3d_{i}.txt", "", "", "") for i in range(60)]
    mirrored = [split_of("deepmimic", f"humanoid3d_{i}_mirror.txt", "", "", "") for i in range(60)]
    assert sides == mirrored
    assert {"train", "test"} <= set(sides)


def test_the_official_word_decides_and_splits_do_not_change_from_run_to_run() -> None:
    assert split_of("bandai_namco", "x", "walk", "youthful", "", "train") != "test"
    assert split_of("anything", "x", "walk", "", "1", "test") == "test"
    # Written down, so that a change of the rule, which would make old scores incomparable, is noticed.
    labels = [f"action {i}" for i in range(200)]
    val = [a for a in labels if split_of("utd_mhad", "x", a, "", "1", "train") == "val"]
    assert 3 <= len(val) <= 20


# -------------------------------------------------------------------------------------------------- amass


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


# ----------------------------------------------------------------------------------------------- human3.6m


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

"""NTU RGB+D's skeleton files: who is in them, and which sample is on which side."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from motionqa.data.mocap.ntu60 import ACTIONS, TRAIN_PERFORMERS, load_ntu60, parse_name
from motionqa.data.mocap.ntu_bodies import NtuBody, choose_people
from motionqa.data.mocap.read_report import ReadReport
from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17, KINECT_25

Array = np.ndarray


def kinect(frames: int, at_x: float = 0.0, sway: float = 0.3, width: float = 1.0) -> Array:
    """Someone facing the sensor from 3 m away [T, 25, 3]: the left side at -X; moves sideways by `sway`."""
    place = {
        "pelvis": (0, 0), "spine": (0, 0.3), "thorax": (0, 0.5), "neck": (0, 0.58), "head": (0, 0.72),
        "shoulder": (0.18, 0.45), "elbow": (0.22, 0.2), "wrist": (0.24, -0.02), "hand": (0.25, -0.08),
        "hand_tip": (0.25, -0.15), "thumb": (0.22, -0.08), "hip": (0.09, -0.02), "knee": (0.1, -0.42),
        "ankle": (0.1, -0.8), "toe": (0.11, -0.85),
    }  # fmt: skip
    rows = []
    for joint in KINECT_25.joints:
        x, y = place[joint.removeprefix("left_").removeprefix("right_")]
        rows.append((-x if joint.startswith("left") else x, y, 3.0))
    body = np.array(rows) * [width, 1, 1]
    path = at_x + sway * np.sin(np.linspace(0, 3, frames))
    return body + np.stack([path, np.zeros(frames), np.zeros(frames)], axis=1)[:, None]


def skeleton_text(frames: int, *bodies: tuple[int, int, Array], state: int = 2) -> str:
    """A .skeleton file; each body is (tracking id, first frame, positions)."""
    lines = [str(frames)]
    for t in range(frames):
        there = [(i, xyz[t - start]) for i, start, xyz in bodies if start <= t < start + len(xyz)]
        lines.append(str(len(there)))
        for number, joints in there:
            lines += [f"{number} 0 1 1 1 1 0 0.02 0.05 2", "25"]
            lines += [
                f"{x:.6f} {y:.6f} {z:.6f} 277.4 191.8 -1.#INF 519.2 -0.2 0.05 0.97 -0.1 {state}" for x, y, z in joints
            ]
    return "\r\n".join(lines) + "\r\n"


ID = 72057594037931101


def ntu(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.skeleton").write_text(text, newline="")
    return folder


def test_ntu_samples_give_the_person_with_label_and_the_side_of_both_protocols(tmp_path: Path) -> None:
    body = kinect(20)
    for name in ("S001C001P001R001A001", "S001C002P003R002A060", "S017C003P038R001A007"):
        ntu(tmp_path / "nturgb", name, skeleton_text(20, (ID, 0, body)))
    clips = list(load_ntu60(tmp_path))
    assert [(c.clip_id, c.label, c.subject, c.split) for c in clips] == [
        ("S001C001P001R001A001", "drink water", "P001", "train"),
        ("S001C002P003R002A060", "walk apart", "P003", "test"),
        ("S017C003P038R001A007", "throw", "P038", "train"),
    ]
    assert [c.split for c in load_ntu60(tmp_path, "cross_view")] == ["test", "train", "train"]
    clip = clips[0]
    assert (clip.fps, clip.metric, len(clip)) == (30.0, True, 20)
    for joint in ("pelvis", "left_wrist", "right_ankle", "thorax", "spine", "left_hip"):
        there = body[:, KINECT_25.index(joint)]
        assert np.abs(clip.xyz_m[:, H36M_17.index(joint)] - there).max() < 1e-5
    crown = clip.xyz_m[:, H36M_17.index("head_top"), 1] - clip.xyz_m[:, H36M_17.index("nose"), 1]
    assert ((crown > 0.05) & (crown < 0.2)).all()
    forward = np.cross(
        clip.xyz_m[:, H36M_17.index("left_hip")] - clip.xyz_m[:, H36M_17.index("right_hip")], [0.0, 1.0, 0.0]
    )
    assert (forward[:, 2] < 0).all()  # faces the sensor, which is at smaller Z


def test_the_official_ntu_lists_are_whole() -> None:
    assert len(ACTIONS) == len(set(ACTIONS)) == 60
    assert len(TRAIN_PERFORMERS) == 20
    assert parse_name("S001C001P001R001A061") is None
    assert parse_name("S001C001P001R001A001_rgb") is None
    assert [ACTIONS[n - 1] for n in (9, 27, 33, 43, 50, 58)] == [
        *("stand up", "jump up", "check time", "fall", "punch other person", "shake hands"),
    ]


def test_the_main_person_is_the_one_who_moves_and_no_furniture(tmp_path: Path) -> None:
    mover, still = kinect(30, sway=0.5), kinect(30, at_x=1.0, sway=0.0)
    sofa = kinect(30, at_x=-1.0, sway=3.0, width=4.0)
    glimpse = kinect(6, at_x=2.0, sway=5.0)
    bodies = ((5, 0, sofa), (ID, 0, still), (ID + 1, 0, mover), (7, 3, glimpse))
    ntu(tmp_path / "n", "S001C001P001R001A050", skeleton_text(30, *bodies))
    pelvis = [c.xyz_m[:, 0] for c in load_ntu60(tmp_path / "n", people=2)]
    assert len(pelvis) == 2
    assert np.abs(pelvis[0] - mover[:, 0]).max() < 1e-5
    assert np.abs(pelvis[1] - still[:, 0]).max() < 1e-5
    assert [c.clip_id for c in load_ntu60(tmp_path / "n", people=2)] == [
        "S001C001P001R001A050",
        "S001C001P001R001A050#2",
    ]
    assert len(list(load_ntu60(tmp_path / "n"))) == 1


def test_a_person_lost_and_found_under_a_new_id_is_one_person(tmp_path: Path) -> None:
    body = kinect(40)
    parts = ((ID, 0, body[:18]), (ID + 1, 22, body[22:]))  # ids that a float can not tell apart
    assert float(ID) == float(ID + 1)
    ntu(tmp_path / "n", "S001C001P001R001A001", skeleton_text(40, *parts))
    clip = next(load_ntu60(tmp_path / "n"))
    assert len(clip) == 40
    assert np.abs(clip.xyz_m[:, 0] - body[:, 0]).max() < 0.02
    assert (clip.confidence[18:22] == 0).all()
    assert (clip.confidence[:18] == 1).all()


def test_inferred_joints_count_half_and_untracked_ones_nothing(tmp_path: Path) -> None:
    for state, sure in ((2, 1.0), (1, 0.5), (0, 0.0)):
        ntu(tmp_path / "n", "S001C001P001R001A001", skeleton_text(10, (1, 0, kinect(10)), state=state))
        assert (next(load_ntu60(tmp_path / "n")).confidence == sure).all()


def test_someone_wide_who_is_alone_is_still_the_person() -> None:
    wide = kinect(20, width=4.0).astype(np.float32)
    body = NtuBody(wide, np.ones(wide.shape[:2], np.float32))
    assert body.flat_share == 1
    assert choose_people([body], 1) == [body]
    assert choose_people([], 1) == []


def test_ntu_samples_without_a_skeleton_are_counted_by_reason(tmp_path: Path) -> None:
    whole = skeleton_text(12, (ID, 0, kinect(12)))
    folder = tmp_path / "n"
    texts = {
        "S001C001P001R001A001": whole,
        "S001C001P001R001A002": "",
        "S001C001P001R001A003": "0\r\n",
        "S001C001P001R001A004": skeleton_text(12),
        "S001C001P001R001A005": whole[: len(whole) // 2],
        "S001C001P001R001A006": skeleton_text(5, (ID, 0, kinect(5))),
        "S001C001P001R001A007": whole.replace(" 2\r\n", " 9\r\n"),
        "S018C001P041R001A061": whole,
        "readme": whole,
    }
    for name, text in texts.items():
        ntu(folder, name, text)
    report = ReadReport("ntu60")
    assert [c.clip_id for c in load_ntu60(folder, report=report)] == ["S001C001P001R001A001"]
    assert report.clips == 1
    assert set(report.skipped) == set(texts) - {"S001C001P001R001A001"}
    assert report.reasons["nobody was tracked"] == 2
    assert report.reasons["not named like one of the 60 actions' samples"] == 2
    with pytest.warns(UserWarning, match="2 left out: nobody was tracked"):
        list(load_ntu60(folder))


def test_ntu_without_samples_or_with_an_unknown_protocol_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \.skeleton files"):
        load_ntu60(tmp_path)
    with pytest.raises(ValueError, match="people must be 1 or 2"):
        load_ntu60(tmp_path, people=3)


def test_nothing_left_out_means_no_warning(tmp_path: Path) -> None:
    folder = ntu(tmp_path / "n", "S001C001P001R001A001", skeleton_text(10, (1, 0, kinect(10))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(load_ntu60(folder))) == 1

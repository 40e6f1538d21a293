"""Damaged, hostile and ambiguous motion files: always an InputError in plain words, never a traceback."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionqa.data.motion_files.read import MotionOverrides, read_motion
from motionqa.data.motion_files.smpl_pickle import load_model_pickle
from motionqa.data.schema import InputError
from motionqa.data.skeleton import SMPL_22
from motionqa.tests import marker_writers as markers
from motionqa.tests import motion_writers as write

Array = np.ndarray


def refused(path: Path, overrides: MotionOverrides | None = None) -> str:
    """The message of the InputError; fails where the file is read, or only the safety net caught it."""
    with pytest.raises(InputError) as caught:
        read_motion(path, overrides)
    message = str(caught.value)
    assert path.name in message
    assert "could not be read (" not in message, "only the safety net caught this"
    return message


BVH = write.person_bvh(6)


def _replace(old: str, new: str) -> Callable[[], str]:
    assert old in BVH
    return lambda: BVH.replace(old, new, 1)


BAD_BVH: dict[str, tuple[Callable[[], str], str]] = {
    "cut off in the hierarchy": (lambda: BVH[:900], "no MOTION section"),
    "cut off in the motion": (lambda: "\n".join(BVH.splitlines()[:-3]), r"follow \(3.0 frames\); the file is cut off"),
    "cut off in a row": (lambda: BVH[:-199].rstrip("-. "), "the last frame has"),
    "a missing channel": (_replace("CHANNELS 3 ZXY"[:10], "CHANNELS 2"), "expected|numbers|channel"),
    "nine channels": (_replace("CHANNELS 3", "CHANNELS 9"), "claims 9 CHANNELS"),
    "a channel of another name": (_replace("Zrotation", "Wrotation"), "'Wrotation'"),
    "zero frames": (_replace("Frames: 6", "Frames: 0"), "0 frames"),
    "a billion frames": (_replace("Frames: 6", "Frames: 1000000000"), "1000000000 frames"),
    "frames in words": (_replace("Frames: 6", "Frames: six"), "'six'"),
    "no frame time": (_replace("Frame Time", "Time"), "Frame Time"),
    "a word among the numbers": (lambda: BVH.rsplit(" ", 1)[0] + " oops", "'oops'"),
    "a brace too many": (_replace("MOTION", "}\nMOTION"), "more braces"),
    "a brace too few": (lambda: BVH.replace("}\nMOTION", "\nMOTION"), "not closed"),
    "an offset in words": (_replace("OFFSET 0.000000", "OFFSET here"), "'here'"),
    "joints of a table": (lambda: BVH.replace("Left", "Leg").replace("Right", "Top"), "cannot find"),
    "no skeleton at all": (lambda: "HIERARCHY\nMOTION\nFrames: 1\nFrame Time: 0.1\n1 2 3\n", "names no joint"),
}  # fmt: skip


@pytest.mark.parametrize("damage", BAD_BVH)
def test_a_damaged_bvh_says_what_is_wrong(tmp_path: Path, damage: str) -> None:
    make, expected = BAD_BVH[damage]
    (tmp_path / "bad.bvh").write_text(make())
    with pytest.raises(InputError, match=expected):
        read_motion(tmp_path / "bad.bvh")
    refused(tmp_path / "bad.bvh")


@pytest.mark.parametrize("suffix", [".bvh", ".npy", ".npz", ".c3d", ".json", ".trc", ".mat", ".amc", ".txt", ".pkl"])
@pytest.mark.parametrize("content", [b"", b"\0" * 64, os.urandom(3000), b"just a few words\n", b"[]", b"{}", b"null"])
def test_empty_files_junk_and_other_peoples_files_are_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"junk{suffix}").write_bytes(content)
    message = refused(tmp_path / f"junk{suffix}")
    assert len(message) < 700


def test_a_missing_file_and_an_empty_directory_are_refused(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "nothing.bvh")
    assert "no .json files" in refused(tmp_path)


def test_nan_rows_are_bridged_and_marked_and_only_nan_is_refused(tmp_path: Path) -> None:
    lines = write.person_bvh(20).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Frame Time")) + 1
    for i in (start + 5, start + 6):
        lines[i] = " ".join(["nan"] * len(lines[i].split()))
    (tmp_path / "a.bvh").write_text("\n".join(lines))
    pose = read_motion(tmp_path / "a.bvh").poses[0]
    assert np.isfinite(pose.xyz_m).all()
    assert (pose.confidence[5:7] == 0).all()
    assert (pose.confidence[[4, 7]] == 1).all()
    for i in range(start, len(lines)):
        lines[i] = " ".join(["nan"] * len(lines[i].split()))
    (tmp_path / "b.bvh").write_text("\n".join(lines))
    assert "no joint is ever seen" in refused(tmp_path / "b.bvh")


def test_infinite_and_absurd_positions_do_not_get_through(tmp_path: Path) -> None:
    body = write.person(30)
    body[3, 5] = np.inf
    body[4, 6] = 1e20
    body[5, 7] = [40.0, 0, 0]
    np.save(tmp_path / "a.npy", body)
    recording = read_motion(tmp_path / "a.npy")
    assert np.abs(recording.poses[0].xyz_m).max() < 10
    for t, j in ((3, 5), (4, 6), (5, 7)):
        assert recording.poses[0].confidence[t, j] == 0
    np.save(tmp_path / "b.npy", np.random.default_rng(0).normal(size=(30, 22, 3)) * 1e9)
    assert not read_motion(tmp_path / "b.npy").poses[0].metric  # a small person in unknown units, for all one can tell


# ------------------------------------------------------------------------------------------- arrays


def test_pickled_objects_in_numpy_files_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"motion": 1}], dtype=object), allow_pickle=True)
    assert "pickled Python objects" in refused(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npz", poses=np.array([{"x": 1}], dtype=object), trans=np.zeros((1, 3)))
    assert "pickled Python objects" in refused(tmp_path / "b.npz")


def test_headers_that_claim_more_than_the_file_holds_are_refused_unread(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", write.person(5))
    raw = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(raw.replace(b"(5, 22, 3)", b"(5555555, 22, 3)"[:16]).replace(b"      ", b"", 1))
    assert "claims" in refused(tmp_path / "a.npy")
    points = write.person(5)[:, [SMPL_22.index(j) for j in markers.JOINT_MARKERS]] * 1000
    path = markers.write_c3d(tmp_path / "a.c3d", list(markers.JOINT_MARKERS.values()), points)
    c3d = bytearray(path.read_bytes())
    c3d[8:10] = struct.pack("<H", 65535)  # the header's last frame
    at = c3d.find(b"ACTUAL_END_FIELD")
    if at > 0:
        c3d[at + 16 + 6 : at + 16 + 10] = struct.pack("<I", 500_000_000)
    path.write_bytes(bytes(c3d))
    assert "claims" in refused(path)


@pytest.mark.parametrize("shape", [(5, 22), (5, 22, 2), (0, 22, 3), (5, 19, 3), (5, 264), (3, 4, 22, 3), ()])
def test_arrays_of_another_shape_say_which_shapes_are_known(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape))
    assert "expected" in refused(tmp_path / "a.npy")


def test_normalised_features_are_noticed(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(40, 263)))
    assert "normalised" in refused(tmp_path / "a.npy")


def test_a_cut_off_npz_and_a_damaged_packed_file_are_refused(tmp_path: Path) -> None:
    path = write.write_packed(tmp_path / "p.npz", [write.person(5)], SMPL_22.joints, SMPL_22.parents)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    assert "no complete npz" in refused(path)
    data = {"positions_mm": np.zeros((5, 22, 3), np.int16), "offsets": np.array([0, 500]), "fps": np.array([30.0])}
    np.savez(path, clip_id=np.array(["a"]), joint_names=np.array(SMPL_22.joints), parents=np.zeros(22, int), **data)
    assert "rows 0 to 500 of 5" in refused(path)


class _Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/motionqa_was_here",)


class _Nested:
    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize(
    "payload", [_Hostile(), {"v_template": _Hostile()}, _Nested(eval, "1+1"), _Nested(getattr, "", "format")]
)
def test_a_hostile_body_model_is_refused_and_runs_nothing(tmp_path: Path, payload: object) -> None:
    (tmp_path / "SMPL_NEUTRAL.pkl").write_bytes(pickle.dumps(payload, protocol=2))
    with pytest.raises(InputError, match="refused"):
        load_model_pickle(tmp_path / "SMPL_NEUTRAL.pkl")
    np.savez(tmp_path / "walk.npz", poses=np.zeros((3, 72)), trans=np.zeros((3, 3)))
    with pytest.raises(InputError, match="refused"):
        read_motion(tmp_path / "walk.npz", MotionOverrides(body_model=tmp_path))
    assert not Path("/tmp/motionqa_was_here").exists()


def test_a_pickled_sparse_regressor_and_chumpy_arrays_are_read_as_plain_numbers(tmp_path: Path) -> None:
    from scipy.sparse import csc_matrix

    model = write.body_model()
    raw = pickle.dumps({**model, "J_regressor": csc_matrix(model["J_regressor"])}, protocol=2)
    # A chumpy object as its pickles hold it: copy_reg._reconstructor(chumpy.ch.Ch, object, None), state {'x': …}.
    chumpy = b"\x80\x02}U\x09shapedirsccopy_reg\n_reconstructor\ncchumpy.ch\nCh\nc__builtin__\nobject\nN\x87R}U\x01x"
    chumpy += pickle.dumps(model["shapedirs"], protocol=2)[2:-1] + b"sbs."
    (tmp_path / "a.pkl").write_bytes(raw)
    (tmp_path / "b.pkl").write_bytes(chumpy)
    assert np.array_equal(load_model_pickle(tmp_path / "a.pkl")["J_regressor"], model["J_regressor"])
    assert np.array_equal(load_model_pickle(tmp_path / "b.pkl")["shapedirs"], model["shapedirs"])


# ------------------------------------------------------------------------------------- other formats


def test_an_amc_without_or_with_a_foreign_skeleton_says_which_file_it_needs(tmp_path: Path) -> None:
    path, _ = write.write_asf_amc(tmp_path)
    assert "without movement" in refused(tmp_path / "02.asf")
    text = path.read_text()
    (tmp_path / "02_04.amc").write_text(text.replace("lfemur", "lwing"))
    assert "'lwing'" in refused(tmp_path / "02_04.amc")
    (tmp_path / "02_05.amc").write_text(text[: int(len(text) * 0.97)])
    assert "cut off" in refused(tmp_path / "02_05.amc")
    (tmp_path / "02_06.amc").write_text(":FULLY-SPECIFIED\n:DEGREES\n")
    assert "no frames" in refused(tmp_path / "02_06.amc")
    (tmp_path / "02.asf").unlink()
    assert "02.asf" in refused(path)


def test_a_trc_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    names = list(markers.JOINT_MARKERS.values())
    text = markers.trc_text(names, write.person(5)[:, [SMPL_22.index(j) for j in markers.JOINT_MARKERS]])
    for old, new, expected in (
        ("\t17\tm", "\t18\tm", "18 markers but names 17"),
        ("50\t50\t5\t", "50\t50\t50\t", "50 frames but 5 follow"),
        ("5\t0.0800", "5\t0.0800\tx", "damaged|'x'"),
    ):
        assert old in text
        (tmp_path / "a.trc").write_text(text.replace(old, new, 1))
        with pytest.raises(InputError, match=expected):
            read_motion(tmp_path / "a.trc")
    (tmp_path / "a.trc").write_text("\n".join(text.splitlines()[:5]))
    assert "header" in refused(tmp_path / "a.trc") or "no frames" in refused(tmp_path / "a.trc")


def test_unknown_markers_are_listed_in_the_refusal(tmp_path: Path) -> None:
    names = [f"M{i:02d}" for i in range(20)]
    (tmp_path / "a.trc").write_text(markers.trc_text(names, np.random.default_rng(0).normal(size=(4, 20, 3))))
    message = refused(tmp_path / "a.trc")
    assert "M07" in message
    assert "Plug-in-Gait" in message


BAD_JSON = {
    "cut off": '[{"image_id": 1, "keyp',
    "a number": "3",
    "nested": "[" * 2000 + "]" * 2000,
    "no people": json.dumps([{"people": []}, {"people": []}]),
    "people in words": json.dumps({"people": ["Anna"]}),
    "wrong count": json.dumps([{"image_id": 0, "keypoints": [1.0] * 50}]),
    "letters": json.dumps([{"image_id": 0, "keypoints": ["a"] * 51}]),
    "mixed counts": json.dumps([{"image_id": i, "keypoints": [1.0] * n} for i, n in enumerate((51, 48))]),
    "image ids of lists": json.dumps([{"image_id": [0], "keypoints": [1.0] * 51}]),
    "nothing seen": json.dumps([{"image_id": 0, "keypoints": [0.0] * 51}]),
    "32 landmarks": json.dumps([write.landmarks(np.zeros((32, 3)))]),
    "no landmarks": json.dumps({"frames": [None, None]}),
    "an annotation without points": json.dumps({"annotations": [{"image_id": 3, "bbox": [1, 2, 3, 4]}]}),
    "broken instances": json.dumps(
        {"instance_info": [{"instances": [{"keypoints": [[1, 2]], "keypoint_scores": []}]}]}
    ),
}


@pytest.mark.parametrize("kind", BAD_JSON)
def test_json_of_another_shape_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.json").write_text(BAD_JSON[kind])
    refused(tmp_path / "a.json")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_files_with_flipped_or_missing_bytes_are_read_or_refused_but_never_crash(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fuzz", numbered=True)
    body = write.person(4)
    points = body[:, [SMPL_22.index(j) for j in markers.JOINT_MARKERS]]
    names = list(markers.JOINT_MARKERS.values())
    kind = data.draw(st.sampled_from(["a.bvh", "a.npy", "a.npz", "a.trc", "a.c3d", "02_03.amc"]))
    path = folder / kind
    match kind:
        case "a.bvh":
            path.write_text(write.person_bvh(4))
        case "a.npy":
            np.save(path, body)
        case "a.npz":
            write.write_packed(path, [body], SMPL_22.joints, SMPL_22.parents)
        case "a.trc":
            path.write_text(markers.trc_text(names, points))
        case "a.c3d":
            markers.write_c3d(path, names, points * 1000)
        case _:
            write.write_asf_amc(folder, frames=3)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(1, len(raw)))]
    path.write_bytes(bytes(raw))
    try:
        recording = read_motion(path)
    except InputError as error:
        assert "TypeCheckError" not in str(error)  # noqa: PT017 - any message but this one will do
        return
    assert all(np.isfinite(p.xyz_m).all() for p in recording.poses)

"""The benchmarks' official files become questions and clips, and damaged or foreign files say what is wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionqa.data.motion_files.read import read_motion
from motionqa.data.schema import InputError
from motionqa.eval.qa.clip_files import prepared, read_clip_motion
from motionqa.eval.qa.nspose_files import read_program, type_and_relation
from motionqa.eval.qa.question import Prediction, Question
from motionqa.eval.qa.registry import READERS, read_benchmark
from motionqa.eval.qa.scoring import score_predictions
from motionqa.tests import benchmark_trees as trees


@pytest.fixture(scope="module")
def babel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trees.babel_qa(tmp_path_factory.mktemp("babel"))


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


# --------------------------------------------------------------------------------------------------- BABEL-QA


def test_babel_questions_have_type_relation_options_and_the_moment_asked_about(babel: Path) -> None:
    benchmark = read_benchmark("babel_qa", babel, "test")
    assert [(q.type, q.relation, q.answer, q.span_s) for q in benchmark.questions[:5]] == [
        ("direction", "none", "forward", (0.0, 1.0)),
        ("action", "before", "walk", (0.0, 1.0)),  # the transition between is passed over
        ("action", "after", "sit", (1.2, 2.0)),
        ("body part", "after", "right leg", (2.0, 3.0)),
        ("action", "in-between", "sit", (1.2, 2.0)),
    ]
    assert benchmark.questions[0].options == tuple(trees.VOCABULARIES["direction"])
    assert benchmark.questions[3].options == tuple(trees.VOCABULARIES["body_part"])
    assert all(q.span_s is None for q in benchmark.questions[5:])  # BABEL's files here do not have motion 12
    assert "known for 5 of 10 questions" in benchmark.notes[-1]
    assert [q.id for q in benchmark.training] == ["000000", "000001", "000002", "000003", "000004"]
    assert {p.name for p in benchmark.protocols} >= {"closed set", "exact string", "normalised string", "10-option"}


@pytest.mark.parametrize(("position", "frames"), [(0, 91), (5, 91)])
def test_amass_motions_come_as_22_joints_at_30_frames_a_second(babel: Path, position: int, frames: int) -> None:
    benchmark = read_benchmark("babel_qa", babel, "test")
    clip = benchmark.clip_file(benchmark.questions[position])  # 120 fps, then 100 fps, 3 s each
    pose = read_clip_motion(clip).poses[0]
    assert (len(pose), pose.fps, pose.skeleton.name) == (frames, 30.0, "smpl_22")
    assert np.allclose(np.diff(pose.times_s), 1 / 30)
    speed = np.linalg.norm(np.diff(pose.xyz_m[:, 0], axis=0), axis=1) * 30
    assert np.allclose(speed, 1.0, atol=1e-6)  # uneven steps through the file would show here
    assert pose.xyz_m[0, pose.skeleton.index("head"), 1] > pose.xyz_m[0, 0, 1]


def test_a_prepared_clip_is_written_once_and_read_by_the_ordinary_reader(babel: Path, tmp_path: Path) -> None:
    benchmark = read_benchmark("babel_qa", babel, "test")
    clip = benchmark.clip_file(benchmark.questions[0])
    truth = read_clip_motion(clip).poses[0]
    first = prepared(clip, tmp_path)
    changed = first.path.stat().st_mtime_ns
    again = prepared(clip, tmp_path)
    pose = read_motion(again.path, again.overrides).poses[0]
    assert (again, again.path.stat().st_mtime_ns) == (first, changed)
    assert (pose.fps, len(pose), pose.skeleton) == (30.0, 91, truth.skeleton)
    assert np.abs(pose.xyz_m - truth.xyz_m).max() < 1e-5
    part = prepared(replace(clip, span_s=(1.0, 2.0)), tmp_path)
    assert len(read_motion(part.path, part.overrides).poses[0]) == 31
    with pytest.raises(InputError, match=r"ends at 3\.00 s: no frame in 7\.00 to 9\.00"):
        prepared(replace(clip, span_s=(7.0, 9.0)), tmp_path)


def test_nsposes_prepared_joints_are_taken_before_amass(tmp_path: Path) -> None:
    data = trees.babel_qa(tmp_path)
    (data / "motion_sequences/7644").mkdir(parents=True)
    z_up = np.stack([trees.write.person(40)[..., i] * s for i, s in ((0, 1), (2, -1), (1, 1))], axis=-1)
    np.save(data / "motion_sequences/7644/joints.npy", z_up)
    benchmark = read_benchmark("babel_qa", data, "test")
    clip = benchmark.clip_file(benchmark.questions[0])
    assert clip.path.name == "joints.npy"
    pose = read_clip_motion(clip).poses[0]
    assert (pose.fps, pose.skeleton.name, len(pose)) == (30.0, "smpl_22", 40)
    assert np.abs(pose.xyz_m - trees.write.person(40)).max() < 1e-6


def test_a_missing_motion_says_which_file_was_looked_for(tmp_path: Path) -> None:
    data = trees.babel_qa(tmp_path, motions=False)
    benchmark = read_benchmark("babel_qa", data, "test")
    with pytest.raises(InputError, match=r"motion 7644 \(CMU/91/91_48_poses\) is not there.*Download AMASS"):
        benchmark.clip_file(benchmark.questions[0])
    with pytest.raises(InputError, match=r"motion 999 is not in amass_to_babel"):
        benchmark.clip_file(replace(benchmark.questions[0], clip="999"))
    (data / "amass/CMU/CMU/91").mkdir(parents=True)
    trees.amass_npz(data / "amass/CMU/CMU/91/91_48_poses.npz", 10, 60.0)  # as AMASS's archives unpack
    assert benchmark.clip_file(benchmark.questions[0]).path.parts[-4:-1] == ("CMU", "CMU", "91")


BAD_BABEL: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "an id twice": ("BABELQA_test.json", lambda d: [*d, d[0]], r"1 question id \(000020\) is there more than once"),
    "a foreign answer": (
        "BABELQA_test.json",
        lambda d: [[*d[0][:4], "fly"], *d[1:]],
        r"1 answer \(000020: fly\) is not in the vocabulary",
    ),
    "a question too few": ("BABELQA_test.json", lambda d: d[1:], r"1 question \(000020\) is in split_question_ids"),
    "a question too many": (
        "BABELQA_test.json",
        lambda d: [*d, ["999999", *d[0][1:]]],
        r"999999\) is in the split's file but not",
    ),
    "a short entry": ("BABELQA_test.json", lambda d: [d[0][:4]], r"entry 0: expected \[question id"),
    "a program without query": (
        "BABELQA_test.json",
        lambda d: [[*d[0][:2], ["[0]=scene([0])"], *d[0][3:]]],
        r"question 000020: the program ends in 'scene'",
    ),
    "a vocabulary with gaps": (
        "BABELQA_action_answer_vocab.json",
        lambda d: d | {"walk": 99},
        r"number its 6 answers from 0 without gaps",
    ),
    "no list": ("BABELQA_test.json", lambda d: {"a": 1}, r"holds a dict, expected a list"),
    "one motion given to two files": (
        "amass_to_babel.json",
        lambda d: d | {"x": "7644"},
        r"1 BABEL id \(7644\) is given to two",
    ),
    "no BABEL annotation": ("train.json", lambda d: {"7644": {"dur": 3}}, r"motion 7644: no BABEL annotation"),
}


@pytest.mark.parametrize("case", BAD_BABEL)
def test_damaged_babel_files_are_refused_with_what_is_wrong(tmp_path: Path, case: str) -> None:
    data = trees.babel_qa(tmp_path)
    name, change, message = BAD_BABEL[case]
    edit(data / name, change)
    with pytest.raises(InputError, match=message):
        read_benchmark("babel_qa", data, "test")


def test_a_json_file_that_is_cut_off_or_missing_is_named(tmp_path: Path) -> None:
    data = trees.babel_qa(tmp_path, motions=False)
    path = data / "BABELQA_test.json"
    path.write_text(path.read_text()[:200])
    with pytest.raises(InputError, match=r"BABELQA_test\.json is no complete json"):
        read_benchmark("babel_qa", data, "test")
    path.unlink()
    with pytest.raises(InputError, match=r"BABELQA_test\.json does not exist"):
        read_benchmark("babel_qa", data, "test")


def test_programs_with_commas_in_a_concept_and_both_scene_forms_are_read() -> None:
    lines = ["[0]=scene(motion_seq)", "[1]=filter_action([0], take/pick something up, twice)",
             "[2]=relate([1], after)", "[3]=intersect([2, 2])", "?=query_body_part([3])"]  # fmt: skip
    steps = read_program(lines)
    assert [(s.function, s.concept) for s in steps] == [
        ("scene", ""), ("filter_action", "take/pick something up, twice"), ("relate", "after"), ("intersect", ""),
        ("query_body_part", ""),
    ]  # fmt: skip
    assert type_and_relation(steps) == ("body part", "after")
    with pytest.raises(ValueError, match="not of the form"):
        read_program(["scene"])


# ---------------------------------------------------------------------------------------------------- others


def test_humman_shares_the_form_and_finds_its_motion_anywhere_below(tmp_path: Path) -> None:
    benchmark = read_benchmark("humman_qa", trees.humman_qa(tmp_path), "val")
    assert Counter(q.relation for q in benchmark.questions) == {"after": 2, "none": 1, "before": 1, "in-between": 1}
    assert benchmark.clip_file(benchmark.questions[0]).path == tmp_path / "motions/p000517_a000197.npz"
    with pytest.raises(InputError, match="motion p1_a1 is nowhere below"):
        benchmark.clip_file(replace(benchmark.questions[0], clip="p1_a1_updated_bodypart"))


def test_activitynet_questions_keep_the_answers_order_and_find_their_video(tmp_path: Path) -> None:
    benchmark = read_benchmark("activitynet_qa", trees.activitynet_qa(tmp_path, ("aaa.mp4",)), "test")
    assert [q.type for q in benchmark.questions[:3]] == ["yes/no", "other", "location"]
    assert benchmark.questions[0].text == "question of type 3"
    assert benchmark.questions[0].answer == "yes"
    assert len(benchmark.training) == 18
    assert benchmark.clip_file(benchmark.questions[0]).path == tmp_path / "videos/test/v_aaa.mp4"
    with pytest.raises(InputError, match=r"video bbb is nowhere below .*expected v_bbb\.mp4"):
        benchmark.clip_file(benchmark.questions[-1])
    assert "18 questions on 2 videos; the official test split has 8000 on 800" in benchmark.notes[0]


BAD_ACTIVITYNET: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "no answer": ("test_a.json", lambda d: d[1:], r"1 question \(v_aaa_4\) is without an answer"),
    "no question": ("test_q.json", lambda d: d[1:], r"1 answer \(v_bbb_2\) is without a question"),
    "an id twice": ("test_a.json", lambda d: [*d, d[0], d[1]], r"2 question ids \(v_aaa_4, v_aaa_9\) are there more"),
    "a tenth type": ("test_a.json", lambda d: [d[0] | {"type": 9}, *d[1:]], r"v_aaa_4\) is of a type that is none"),
    "a field missing": ("test_q.json", lambda d: [{"question_id": "x"}, *d[1:]], r"1 entry \(0\) is without all of"),
    "no objects": ("test_q.json", lambda d: ["x"], r"no json objects"),
}


@pytest.mark.parametrize("case", BAD_ACTIVITYNET)
def test_damaged_activitynet_files_are_refused_with_what_is_wrong(tmp_path: Path, case: str) -> None:
    data = trees.activitynet_qa(tmp_path, ())
    name, change, message = BAD_ACTIVITYNET[case]
    edit(data / name, change)
    with pytest.raises(InputError, match=message):
        read_benchmark("activitynet_qa", data, "test")


def test_mvbench_reads_the_seven_human_tasks_with_spans_where_they_are_bounded(tmp_path: Path) -> None:
    data = trees.mvbench(tmp_path)
    benchmark = read_benchmark("mvbench_human", data)
    assert len({q.type for q in benchmark.questions}) == 7
    bounded = {q.type for q in benchmark.questions if q.span_s}
    assert bounded == {"action localization", "action prediction", "action sequence"}
    first = benchmark.questions[0]
    assert (first.id, first.options, first.answer) == ("action_localization/000", ("run", "jump", "sit"), "run")
    assert benchmark.clip_file(first).span_s == (0.1, 0.6)
    moved = data / "video/star/Charades_v1_480/a.mp4"
    (data / "video/star/star/Charades_v1_480").mkdir(parents=True)
    moved.rename(data / "video/star/star/Charades_v1_480/a.mp4")  # as the archives unpack
    fresh = read_benchmark("mvbench_human", data)
    found = fresh.clip_file(next(q for q in fresh.questions if q.type == "action sequence")).path
    assert found == data / "video/star/star/Charades_v1_480/a.mp4"
    truth = [
        Prediction(q.id, "A" if q.answer == "run" or q.type == "action sequence" else "C") for q in fresh.questions
    ]
    table = score_predictions(fresh, truth[:-1], partial=True).table
    assert table.figure("multiple choice").value == 12 / 13
    assert table.figure("multiple choice", "mean of the sub-tasks").value == 6.5 / 7
    with pytest.raises(InputError, match=r"action_antonym\.json does not exist"):
        read_benchmark("mvbench_human_plus", data)
    edit(data / "json/fine_grained_pose.json", lambda d: [d[0] | {"answer": "fly"}])
    with pytest.raises(InputError, match=r"entry 0: the answer 'fly' is not among its candidates"):
        read_benchmark("mvbench_human", data)


def test_movid_bench_takes_both_namings_and_says_that_its_format_is_a_guess(tmp_path: Path) -> None:
    entries = [
        {"video": "dance/x.mp4", "question": "Which leg?", "answer": "left", "type": "Body-part"},
        {"motion": "y.npy", "Q": "Where to?", "A": "back", "category": "Direction"},
    ]
    trees.dump(tmp_path / "movid_bench_motion.json", entries)
    benchmark = read_benchmark("movid_bench", tmp_path, "motion")
    assert [(q.clip, q.text, q.answer, q.type) for q in benchmark.questions] == [
        ("dance/x.mp4", "Which leg?", "left", "body-part"),
        ("y.npy", "Where to?", "back", "direction"),
    ]
    assert "guess" in benchmark.notes[0]
    with pytest.raises(InputError, match="published in two parts"):
        read_benchmark("movid_bench", tmp_path, "test")
    trees.dump(tmp_path / "movid_bench_motion.json", [entries[0] | {"type": "mood"}])
    with pytest.raises(InputError, match="type 'mood' is none of body-part"):
        read_benchmark("movid_bench", tmp_path, "motion")


def test_unknown_benchmarks_splits_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no benchmark 'babel', expected one of babel_qa"):
        read_benchmark("babel", tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        read_benchmark("babel_qa", tmp_path / "nowhere")
    for name in READERS:
        with pytest.raises(InputError, match="split"):
            read_benchmark(name, tmp_path, "training")


def test_a_question_of_a_benchmark_can_be_told_apart_by_its_id(babel: Path) -> None:
    questions: list[Question] = [
        q for s in ("train", "val", "test") for q in read_benchmark("babel_qa", babel, s).questions
    ]
    assert len({q.id for q in questions}) == len(questions) == 20

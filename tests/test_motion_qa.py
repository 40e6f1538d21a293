"""The project's own benchmark: how it is built, read, scored, and what its table says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionqa.data.detector_noise import load
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.motion_files.read import read_motion
from motionqa.data.schema import InputError
from motionqa.data.virtual_camera import View
from motionqa.encoders.filmed import Film, filmed, random_film
from motionqa.encoders.kinematics.analyse import analyse
from motionqa.eval.bench_motion_qa import Arm, balanced, off_by, refusing, rows_of
from motionqa.eval.build_motion_qa import BuildConfig, chosen, motions, questions, save_clip
from motionqa.eval.measured_counts import asks_for_steps, measured_count
from motionqa.eval.qa.motion_qa import TOLERANT, read_motion_qa
from motionqa.eval.qa.predictors import UNMEASURED, WRITTEN
from motionqa.eval.qa.question import Prediction, Question
from motionqa.tests.instruct_motions import motion
from motionqa.tests.known_lifting import CONFIG, in_depth
from motionqa.tests.mocap_clips import clip


def ask(kind: str, answer: str, **more: object) -> Question:
    return Question("q", "c", "?", answer, kind, **more)  # type: ignore[arg-type]


def right(question: Question, said: str) -> bool:
    return TOLERANT.score(question, Prediction("q", said)) == 1.0


def test_names_count_with_their_synonyms() -> None:
    question = ask("action", "wave right hand", accepted=("wave",))
    assert right(question, "Wave.")
    assert right(question, "wave right hand")
    assert not right(question, "wave left hand")


def test_spans_count_by_overlap_and_moments_within_half_a_second() -> None:
    when = ask("when", "2.0 to 4.0 s", span_s=(2.0, 4.0))
    assert right(when, "from 1.8 to 3.9 s")
    assert not right(when, "0.0 to 2.5 s")
    assert not right(when, "at 3 s")
    start = ask("start", "2.0 s")
    assert right(start, "2.5 s")
    assert not right(start, "2.6 s")


def test_speeds_and_angles_count_within_a_tenth() -> None:
    assert right(ask("angle", "100 degrees"), "91 degrees")
    assert not right(ask("angle", "100 degrees"), "89 degrees")
    assert not right(ask("angle", "100 degrees"), "deep")


def test_a_missing_or_damaged_file_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="build_motion_qa"):
        read_motion_qa(tmp_path)
    (tmp_path / "motion_qa_test.json").write_text("[{}]")
    with pytest.raises(InputError, match="build it again"):
        read_motion_qa(tmp_path)


def test_a_built_clip_is_read_back_as_it_was(tmp_path: Path) -> None:
    known = motion("squats")
    save_clip(tmp_path / "clips" / "a.npz", known.pose, "a")
    entries = list(questions(known, "a", BuildConfig((tmp_path,), tmp_path), np.random.default_rng(0), "held_out"))
    (tmp_path / "motion_qa_test.json").write_text(json.dumps(entries))
    benchmark = read_motion_qa(tmp_path)
    assert len(benchmark.questions) == len(entries) == 8
    (pose,) = read_motion(benchmark.clip_file(benchmark.questions[0]).path).poses
    np.testing.assert_allclose(pose.xyz_m, known.pose.xyz_m, atol=6e-4)
    counted = [r for s in analyse(pose).repetitions if s.name == "squat" for r in s.repetitions]
    assert len(counted) == 4


def test_a_clip_brings_so_many_questions_each_once_in_held_out_words() -> None:
    from motionqa.data.instruct.questions import questions_of

    known = motion("walk")
    found = questions_of(known, analyse(known.pose), np.random.default_rng(0), "held_out")
    some = chosen(found, 8, np.random.default_rng(1))
    assert len({id(e) for e in some}) == len(some) == 8
    assert all(e.held_out for e in some)
    assert chosen(found[:3], 8, np.random.default_rng(1)) != []
    assert some != chosen(found, 8, np.random.default_rng(2))


def test_only_the_asked_side_of_the_split_is_taken() -> None:
    def labelled(action: str, subject: int) -> MocapClip:
        return clip(action, str(subject), split="train" if subject % 2 else "test")

    clips = [labelled(a, s) for a in ("squat", "walk") for s in (1, 2, 3, 4)]
    found = motions(clips, "test", 2, 3, seed=0)
    assert {m.split for m in found} == {"test"}
    assert sum(len(m.actions) > 1 for m in found) == 3


# ------------------------------------------------------------------------------------------------- filming


def test_a_film_keeps_the_camera_out_of_the_persons_way() -> None:
    walk = motion("walk").pose
    reach = np.linalg.norm(walk.xyz_m[:, 0] - walk.xyz_m[:, 0].mean(axis=0), axis=1).max()
    for seed in range(20):
        film = random_film(walk, 0.0, np.random.default_rng(seed), load())
        assert film.view.distance_m >= reach + 3


def test_a_filmed_body_is_in_camera_axes_with_an_estimated_path() -> None:
    pose = motion("squats").pose
    seen = filmed(pose, Film(View(0.0, 0.0, 0.0, 4.0)), in_depth, CONFIG)
    assert seen.camera
    assert seen.root_motion == "estimated"
    assert seen.xyz_m.shape == pose.xyz_m.shape
    head, pelvis = seen.skeleton.index("head_top"), 0
    assert (seen.xyz_m[:, head, 1] > seen.xyz_m[:, pelvis, 1]).all()
    # Seen from the front, the person's left is at the picture's right.
    assert (seen.xyz_m[:, seen.skeleton.index("left_shoulder"), 0] > seen.xyz_m[:, pelvis, 0]).all()


# --------------------------------------------------------------------------------------------------- table


def arm(answers: list[str], questions: list[Question]) -> Arm:
    given = {q.id: a for q, a in zip(questions, answers, strict=True)}
    return Arm(questions, given, {q.id: TOLERANT.score(q, Prediction(q.id, given[q.id])) for q in questions})


def asked() -> list[Question]:
    refusal = ("refusal", "cannot be judged from motion")
    truths = [
        ("count", "4"), ("true_action", "yes"), ("true_action", "no"), refusal, ("side", "left"), ("action", "squat")
    ]  # fmt: skip
    return [Question(f"c{i}/0", f"{i:04d}-exact-single", "?", a, k) for i, (k, a) in enumerate(truths)]


def test_the_table_tells_what_was_right() -> None:
    questions = asked()
    good = arm(["four", "yes", "no", "cannot be judged from motion", "left", "squat"], questions)
    yes = arm(["yes"] * 6, questions)
    counts = arm(["3"], questions[:1])
    rows = {r.id: r for r in rows_of({"both": good, "majority": yes, "kinematics alone": counts}, "here")}
    assert rows["counting, exact"].baselines == {"majority": 0.0, "kinematics alone": 0.0}
    assert rows["counting, off by at most one"].baselines["kinematics alone"] == 1.0
    assert rows["overall"].value == 1.0
    assert rows["overall"].baselines == {"majority": round(1 / 6, 4)}
    assert rows["above the best blind baseline"].value == pytest.approx(5 / 6, abs=1e-3)
    assert rows["true/false, balanced accuracy"].baselines["majority"] == 0.5
    assert rows["refusals where nothing can be judged"].value == 1.0
    assert rows["false refusals"].value == 0.0


def test_bounds_over_wordings_are_wider_where_one_wording_is_always_wrong() -> None:
    questions = [replace(asked()[4], id=f"c{i}/0", clip=f"{i:04d}-exact-single") for i in range(60)]
    some = arm(["right" if i % 4 == 0 else "left" for i in range(60)], questions)
    wordings = {q.id: f"side/{i % 4}" for i, q in enumerate(questions)}
    rows = {r.id: r for r in rows_of({"both": some}, "here", wordings)}
    over_clips, over_wordings = rows["overall"], rows["overall, drawing wordings"]
    assert over_clips.value == over_wordings.value == 0.75
    assert over_clips.interval is not None
    assert over_wordings.interval is not None
    assert over_wordings.interval[0] < over_clips.interval[0] < 0.75 < over_clips.interval[1]


def test_the_table_tells_how_many_answers_were_not_measured_or_gave_way() -> None:
    questions = asked()
    some = replace(
        arm(["4"] * 6, questions), about={"c0/0": {UNMEASURED: ["4"]}, "c1/0": {WRITTEN: "5", UNMEASURED: []}}
    )
    rows = {r.id: r for r in rows_of({"both": some, "majority": arm(["4"] * 6, questions)}, "here")}
    assert rows["answers with an unmeasured number or side"].value == pytest.approx(1 / 6, abs=1e-3)
    assert rows["answers that gave way to the measured one"].value == pytest.approx(1 / 6, abs=1e-3)
    assert rows["answers that gave way to the measured one"].baselines == {"majority": 0.0}


def test_counts_are_read_from_digits_and_words() -> None:
    questions = [Question(f"q{i}", "0-exact-single", "?", "4", "count") for i in range(4)]
    off = off_by(arm(["4", "five times", "I do not know", "about 2"], questions), lambda q: True)
    assert off.tolist() == [0, 1, np.inf, 2]


def test_what_is_measured_counts_steps_or_the_named_repetitions() -> None:
    walked, squatted = (analyse(motion(name).pose) for name in ("walk", "squats"))
    assert measured_count(walked, "Paces, all told?", steps=True) == 8
    assert measured_count(walked, "How many squats?", steps=False) == 0
    assert measured_count(squatted, "How many squats?", steps=False) == 4
    assert measured_count(squatted, "How many steps?", steps=True) == 0


def test_the_kind_of_count_is_read_off_the_phrasings(tmp_path: Path) -> None:
    entries = [{"id": "a", "phrasing": "steps/3"}, {"id": "b", "phrasing": "count/1"}]
    (tmp_path / "motion_qa_test.json").write_text(json.dumps(entries))
    assert asks_for_steps(tmp_path) == {"a"}
    (tmp_path / "motion_qa_test.json").write_text('[{"id": "a"}]')
    with pytest.raises(InputError, match="build it again"):
        asks_for_steps(tmp_path)


def test_saying_yes_to_everything_is_half_right() -> None:
    questions = asked()
    assert balanced(arm(["yes"] * 6, questions)) == 0.5
    assert refusing(False, arm(["cannot be judged"] * 6, questions)) == 1.0

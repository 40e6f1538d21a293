"""Joining by id, every protocol's score, intervals and the paired test, and agreement with the official arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionqa.data.schema import InputError
from motionqa.eval.qa.activitynet_qa import faulty_free
from motionqa.eval.qa.joining import join
from motionqa.eval.qa.official import FAULTY_FREE, parity
from motionqa.eval.qa.protocols import (
    CHOICE,
    CLOSED_SET,
    EXACT,
    GROUNDING_HIT,
    GROUNDING_IOU,
    NORMALISED,
    TEN_OPTIONS,
    best_option,
    chosen_option,
    normalise,
    temporal_iou,
    ten_options,
)
from motionqa.eval.qa.question import Anchor, Benchmark, ClipFile, Prediction, Protocol, Question
from motionqa.eval.qa.registry import read_benchmark
from motionqa.eval.qa.scoring import Scored, beats, restricted, score_predictions, worst
from motionqa.eval.qa.statistics import interval
from motionqa.tests import benchmark_trees as trees


def question(number: int, clip: str = "", **more: Any) -> Question:
    fields: dict[str, Any] = {
        "id": f"q{number}",
        "clip": clip or f"c{number}",
        "text": "?",
        "answer": "yes",
        "type": "t",
    }
    return Question(**(fields | more))


def benchmark(questions: Sequence[Question], *protocols: Protocol) -> Benchmark:
    def nowhere(_: Question) -> ClipFile:
        raise InputError("no clips here")

    return Benchmark(
        "mine", "test", tuple(questions), (), protocols or (EXACT,), (Anchor("x", 0.5, "e", "s"),), nowhere
    )


def answers(questions: Sequence[Question], right: Sequence[bool]) -> list[Prediction]:
    return [Prediction(q.id, q.answer if r else "no") for q, r in zip(questions, right, strict=True)]


# ---------------------------------------------------------------------------------------------------- joining


def test_joining_is_by_id_whatever_the_order() -> None:
    questions = [question(i, answer=f"a{i}") for i in range(6)]
    shuffled = [Prediction(f"q{i}", f"a{i}") for i in (3, 1, 5, 0, 2, 4)]
    assert score_predictions(benchmark(questions), shuffled).table.figure("exact string").value == 1.0


def test_duplicate_unknown_and_missing_ids_are_errors_with_counts_and_examples() -> None:
    questions = [question(i) for i in range(9)]
    given = [Prediction("q0"), Prediction("q0"), Prediction("x"), Prediction("y")]
    with pytest.raises(InputError) as caught:
        join(questions, given)
    message = str(caught.value)
    assert "4 predictions for 9 questions" in message
    assert "1 id (q0) is there more than once" in message
    assert "2 ids (x, y) are of no question" in message
    assert "8 questions (q1, q2, q3, q4, q5, …) are without a prediction" in message
    with pytest.raises(InputError, match="more than once"):
        join(questions, given, partial=True)


def test_a_partial_file_is_scored_only_when_asked_and_says_what_is_missing() -> None:
    questions = [question(i) for i in range(4)]
    given = answers(questions[:3], [True, True, False])
    with pytest.raises(
        InputError, match=r"1 question \(q3\) is without a prediction\. Finish the run, or ask for a partial"
    ):
        score_predictions(benchmark(questions), given)
    table = score_predictions(benchmark(questions), given, partial=True).table
    assert (table.missing, table.figure("exact string").n) == (("q3",), 3)
    assert "PARTIAL: 1 question (q3) is without a prediction" in table.text()


def test_failed_predictions_are_counted_apart_and_never_as_wrong_answers() -> None:
    questions = [question(i) for i in range(4)]
    given = [*answers(questions[:3], [True, True, False]), Prediction("q3", error="the clip does not open")]
    table = score_predictions(benchmark(questions), given).table
    figure = table.figure("exact string")
    assert (figure.value, figure.n, table.failed, table.answered) == (2 / 3, 3, ("q3",), 3)
    assert any("if all 1 failed questions were wrong answers: exact string 0.500" in n for n in table.notes)
    nothing = score_predictions(benchmark(questions), [Prediction(q.id, error="x") for q in questions]).table
    assert nothing.figures == ()
    assert "no question was answered" in nothing.skipped[0]


# --------------------------------------------------------------------------------------------------- protocols


def test_exact_is_exact_and_normalised_is_forgiving() -> None:
    asked = question(0, answer="Two steps", accepted=("a pair",))
    cases = {
        "Two steps": (1, 1),
        "two steps": (0, 1),
        "the 2 steps.": (0, 1),
        "a pair": (1, 1),
        "Pair": (0, 1),
        "": (0, 0),
    }
    for text, (exact, normalised) in cases.items():
        assert EXACT.score(asked, Prediction("q0", text)) == exact, text
        assert NORMALISED.score(asked, Prediction("q0", text)) == normalised, text
    assert normalise("  The left_hand, (Twenty)! ") == "left hand 20"


def test_closed_set_takes_the_likeliest_option_and_the_first_of_equal_ones() -> None:
    asked = question(0, options=("no", "yes", "maybe"))
    assert CLOSED_SET.score(asked, Prediction("q0", scores={"no": -3, "yes": -1, "maybe": -2, "cat": 5})) == 1
    assert CLOSED_SET.score(asked, Prediction("q0", "yes", {"no": -1, "yes": -1, "maybe": -2})) == 0
    with pytest.raises(ValueError, match=r"1 of 3 options have no score, e\.g\. 'maybe'"):
        best_option(asked.options, {"no": 0.0, "yes": 1.0})


def test_ten_options_hold_the_answer_and_are_the_same_everywhere() -> None:
    words = tuple(f"w{i}" for i in range(42))
    asked = question(7, answer="w30", options=words)
    chosen = ten_options(asked)
    assert chosen == ("w3", "w5", "w8", "w11", "w23", "w25", "w30", "w33", "w36", "w38")
    assert "w30" in chosen
    assert list(chosen) == sorted(chosen, key=words.index)
    assert chosen != ten_options(replace(asked, id="q8"))
    few = question(0, answer="b", options=("a", "b", "c"))
    assert ten_options(few) == few.options
    scores = dict.fromkeys(words, -1.0) | {"w30": 0.0} | {w: 1.0 for w in words if w not in chosen}
    assert TEN_OPTIONS.score(asked, Prediction("q7", scores=scores)) == 1
    assert CLOSED_SET.score(asked, Prediction("q7", scores=scores)) == 0


def test_a_choice_is_read_from_its_letter_or_its_text() -> None:
    options = ("run", "Jump high", "sit")
    texts = {"B": "Jump high", "(b)": "Jump high", "C.": "sit", "Answer: A": "run", "jump high.": "Jump high",
             "B) Jump high": "Jump high", "Best option: (C) sit": "sit", "a person sits": None, "D": None, "": None,
             "A person": None}  # fmt: skip
    assert {t: chosen_option(options, t) for t in texts} == texts
    assert CHOICE.score(question(0, answer="sit", options=options), Prediction("q0", "nothing")) == 0


def test_grounding_is_the_overlap_in_time_of_all_evidence_together() -> None:
    assert temporal_iou([(1, 3)], (2, 4)) == pytest.approx(1 / 3)
    assert temporal_iou([(1, 3), (2, 3), (3, 4)], (1, 4)) == 1.0  # overlapping evidence counts once
    assert temporal_iou([(5, 4)], (4, 5)) == 1.0
    assert temporal_iou([], (0, 1)) == 0.0
    assert temporal_iou([(2, 2)], (2, 2)) == 0.0
    questions = [question(0, span_s=(0.0, 2.0)), question(1, span_s=(0.0, 2.0)), question(2)]
    given = [Prediction("q0", evidence_s=((0.0, 1.0),)), Prediction("q1"), Prediction("q2")]
    table = score_predictions(benchmark(questions, GROUNDING_IOU, GROUNDING_HIT), given).table
    assert (table.figure(GROUNDING_IOU.name).value, table.figure(GROUNDING_IOU.name).n) == (0.25, 2)
    assert table.figure(GROUNDING_HIT.name).value == 0.5
    none = score_predictions(benchmark(questions, GROUNDING_IOU), [Prediction(q.id) for q in questions]).table
    assert none.skipped == ("temporal grounding IoU: the predictions point to no moments",)


def test_scores_in_some_predictions_only_are_an_error_not_a_smaller_n() -> None:
    questions = [question(i, options=("yes", "no")) for i in range(3)]
    given = [Prediction("q0", scores={"yes": 0, "no": -1}), Prediction("q1", "no"), Prediction("q2", "no")]
    with pytest.raises(InputError, match=r"closed set: 2 predictions \(q1, q2\) are without scores"):
        score_predictions(benchmark(questions, CLOSED_SET), given)
    half = [Prediction(q.id, scores={"yes": 0}) for q in questions]
    with pytest.raises(InputError, match=r"closed set, question q0: 1 of 2 options have no score, e\.g\. 'no'"):
        score_predictions(benchmark(questions, CLOSED_SET), half)
    odd = [Prediction(q.id, scores={"yes": 0, "no": float("nan")}) for q in questions]
    with pytest.raises(InputError, match="the score of 'no' is nan"):
        score_predictions(benchmark(questions, CLOSED_SET), odd)
    table = score_predictions(benchmark(questions, CLOSED_SET, EXACT), answers(questions, [True] * 3)).table
    assert table.skipped == ("closed set: the predictions have no scores of the options",)
    assert table.figure("exact string").value == 1


def test_scores_without_answers_are_no_wrong_answers() -> None:
    questions = [question(i, options=("yes", "no")) for i in range(2)]
    scores = {"yes": 0.0, "no": -1.0}
    scored_only = [Prediction(q.id, scores=scores) for q in questions]
    table = score_predictions(benchmark(questions, EXACT, CLOSED_SET), scored_only).table
    assert table.skipped == ("exact string: the predictions have scores of the options only, no answers",)
    assert {f.protocol for f in table.figures} == {"closed set"}
    with pytest.raises(InputError, match=r"exact string: 1 prediction \(q1\) is without an answer but with scores"):
        score_predictions(benchmark(questions, EXACT), [Prediction("q0", "yes", scores), scored_only[1]])
    silent = score_predictions(benchmark(questions, EXACT), [Prediction(q.id, "") for q in questions]).table
    assert silent.figure("exact string").value == 0  # nothing said is a wrong answer


# ------------------------------------------------------------------------------------------------ statistics


def test_questions_of_one_clip_widen_the_interval() -> None:
    right = [i % 2 == 0 for i in range(200)]
    alone = interval([f"c{i}" for i in range(200)], [float(r) for r in right])
    together = interval([f"c{i % 2}{i // 20}" for i in range(200)], [float(r) for r in right])
    assert alone is not None
    assert together is not None
    assert alone == pytest.approx((0.43, 0.57), abs=0.02)
    assert together[1] - together[0] > 2.5 * (alone[1] - alone[0])
    assert interval(["c"] * 5, [1.0] * 5) is None
    assert interval(["a", "b"], [1.0, 1.0]) == (1.0, 1.0)


def scored(questions: Sequence[Question], right: Sequence[bool]) -> Scored:
    return score_predictions(benchmark(questions), answers(questions, right), resamples=0)


def test_the_paired_test_sees_a_real_gain_and_no_gain_and_the_clips() -> None:
    rng = np.random.default_rng(0)
    questions = [question(i, f"c{i}") for i in range(300)]
    base = rng.random(300) < 0.5
    better = base | (rng.random(300) < 0.2)
    gain = beats(scored(questions, list(better)), scored(questions, list(base)), "exact string")
    assert gain.p_value < 0.001
    assert gain.interval is not None
    assert gain.interval[0] > 0
    assert gain.difference == pytest.approx(np.mean(better) - np.mean(base))
    assert (gain.only_b, gain.only_a) == (0, int((better & ~base).sum()))
    assert "p = " in gain.text()
    same = beats(scored(questions, list(base)), scored(questions, list(base)), "exact string")
    assert (same.difference, same.p_value) == (0, 1)
    # The same gain, but all of it on 3 of 20 clips: no evidence for a better system.
    few = [question(i, f"c{i // 15}") for i in range(300)]
    lucky = np.arange(300) // 15 < 3
    clustered = beats(scored(few, list(base | lucky)), scored(few, list(base)), "exact string")
    assert clustered.p_value > 0.05


def test_a_paired_test_needs_the_same_questions() -> None:
    questions = [question(i) for i in range(4)]
    a = scored(questions, [True] * 4)
    given = [*answers(questions[:3], [False] * 3), Prediction("q3", error="x")]
    b = score_predictions(benchmark(questions), given)
    with pytest.raises(InputError, match=r"1 question \(q3\) is scored in only one"):
        beats(a, b, "exact string")
    assert beats(restricted(a, b.clips), b, "exact string").questions == 3
    with pytest.raises(InputError, match="run A has no scores for 'closed set'"):
        beats(a, b, "closed set")


def test_the_worst_come_first_one_of_each_clip() -> None:
    questions = [question(i, f"c{i // 2}") for i in range(6)]
    run = scored(questions, [False, False, True, False, True, True])
    ids = worst(run, "exact string", 4)
    assert {ids[0], ids[1]} <= {"q0", "q1", "q3"}
    assert {run.clips[i] for i in ids[:3]} == {"c0", "c1", "c2"}


# ----------------------------------------------------------------------------------------------- official figures


def test_free_is_right_in_one_row_and_faulty_in_the_one_that_says_so(tmp_path: Path) -> None:
    data = read_benchmark("activitynet_qa", trees.activitynet_qa(tmp_path, ()), "test")
    truth = [Prediction(q.id, q.answer) for q in data.questions]
    table = score_predictions(data, truth).table
    assert table.figure("exact string", "Free").value == 1.0
    assert table.figure("exact string", FAULTY_FREE).value == 1.0  # 2 x 6 questions over 2 x 6: by chance here
    unequal = [q for i, q in enumerate(data.questions) if not (q.type == "motion" and i > 9)]
    assert faulty_free(unequal, [1.0] * len(unequal)) == pytest.approx(12 / 11)
    assert sum(f.kind == "type" for f in table.figures if f.protocol == "exact string") == 9


@pytest.mark.parametrize("name", ["activitynet_qa", "babel_qa"])
def test_every_figure_equals_the_official_arithmetic(tmp_path: Path, name: str) -> None:
    data = trees.activitynet_qa(tmp_path, ()) if name == "activitynet_qa" else trees.babel_qa(tmp_path, motions=False)
    rows = parity(data, name, runs=40)
    assert [(r.value, r.baselines) for r in rows] == [(0.0, {"largest difference": 0.0})] * 3
    assert "40 files" in rows[2].split


def test_the_parity_check_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = replace(EXACT, score=lambda q, p: float(p.answer.lower() == q.answer or q.id.endswith("_4")))
    monkeypatch.setattr("motionqa.eval.qa.official.EXACT", broken)
    rows = parity(trees.activitynet_qa(tmp_path, ()), "activitynet_qa", runs=3)
    assert rows[0].value == 0  # the ground truth hides it
    assert (rows[2].value or 0) > 0

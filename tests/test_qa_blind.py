"""Blind baselines: what the questions alone give away."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from motionqa.data.schema import InputError
from motionqa.eval.qa.blind import BLIND, majority_by_type, question_lookup
from motionqa.eval.qa.protocols import CLOSED_SET, best_option
from motionqa.eval.qa.question import Question
from motionqa.eval.qa.registry import read_benchmark
from motionqa.eval.qa.scoring import score_predictions
from motionqa.tests import benchmark_trees as trees

WORDS = ("sit", "walk", "run", "hop")


def asked(number: int, text: str, answer: str, kind: str = "action") -> Question:
    return Question(f"{number}", "c", text, answer, kind, "", WORDS)


TRAINING = [
    asked(0, "what after sitting?", "walk"),
    asked(1, "what after sitting? ", "run"),
    asked(2, "what before?", "run"),
    asked(3, "what before?", "run"),
    asked(4, "which side?", "hop", "direction"),
]


def test_the_majority_is_that_of_the_questions_type() -> None:
    predict = majority_by_type(TRAINING)
    assert predict(asked(9, "anything", "sit")).answer == "run"
    assert predict(asked(9, "anything", "sit", "direction")).answer == "hop"
    with pytest.raises(InputError, match="of the type 'colour'; the training questions have action, direction"):
        predict(asked(9, "anything", "sit", "colour"))


def test_the_look_up_takes_the_first_of_equal_answers_and_falls_back_on_the_type() -> None:
    predict = question_lookup(TRAINING)
    tied = predict(asked(9, "  what after sitting?", "sit"))
    assert (tied.answer, tied.about["seen"]) == ("walk", 2)  # "run" is commoner in the type, "walk" comes first
    assert predict(asked(9, "never asked", "sit")).answer == "run"
    assert predict(asked(9, "never asked", "sit", "direction")).answer == "hop"


@pytest.mark.parametrize("name", BLIND)
def test_option_scores_are_log_likelihoods_that_agree_with_the_answer(name: str) -> None:
    predict = BLIND[name](TRAINING)
    for question in (asked(9, "what after sitting?", "sit"), asked(9, "new", "sit"), asked(9, "x", "sit", "direction")):
        found = predict(question)
        assert set(found.scores) == set(WORDS)
        assert sum(math.exp(s) for s in found.scores.values()) == pytest.approx(1)
        assert best_option(WORDS, found.scores) == found.answer


def test_both_run_through_the_ordinary_scorer_and_never_see_the_clip(tmp_path: Path) -> None:
    benchmark = read_benchmark("babel_qa", trees.babel_qa(tmp_path, motions=False), "test")
    values = {}
    for name, fit in BLIND.items():
        predict = fit(benchmark.training)
        table = score_predictions(benchmark, [predict(q) for q in benchmark.questions]).table
        values[name] = table.figure("exact string").value
        assert table.figure(CLOSED_SET.name).value == values[name]
    assert values == {"majority": 0.8, "lookup": 1.0}  # the test questions are those of the training motion

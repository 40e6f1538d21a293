"""Telling what a question asks for, and which facts may answer it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.question_kinds import (
    RELEASED,
    load_question_kinds,
    question_kinds,
    topic_of,
    topics_of_kinds,
)
from motionqa.data.instruct.example import InstructExample
from motionqa.data.instruct.phrasings import wordings
from motionqa.data.schema import Fact, InputError
from motionqa.finetune.train_question_kinds import kind_of, regression, scores

HANDS = Fact("The left hand is above the head from 1.0 to 2.0 s.", "posture", 1.0, 2.0, ("left_wrist",))
BACK = Fact("The back stays upright.", "posture", 0.0, 2.0, ("thorax", "pelvis"))


def test_every_wording_has_its_topics() -> None:
    kinds = {k.removesuffix("/after").removesuffix("/before") if "/order/" in k else k for k in topics_of_kinds()}
    assert {k for k in kinds if not k.startswith("topic/")} == set(wordings())


def test_hands_are_a_topic_of_their_own_among_postures() -> None:
    assert topic_of(HANDS) == "hands"
    assert topic_of(BACK) == "posture"


@pytest.mark.parametrize(
    ("question", "topics"),
    [
        # None of these is a wording of the project, held out or not.
        ("Once the clapping stops, what do we get to see?", "after, order"),
        ("How many elbow bends did you see?", "count"),
        ("Are the palms lifted past the hair at some point?", "hands"),
        ("Does the guy end up in another spot of the hall?", "travel"),
        ("How strongly do the knees flex?", "angle"),
    ],
)
def test_questions_in_new_words_find_their_topic(question: str, topics: str) -> None:
    found = question_kinds().topics(SentenceEmbedder()([question])[0])
    likeliest = sorted(found, key=found.__getitem__, reverse=True)[:3]
    assert set(likeliest) & set(topics.split(", ")), likeliest


def test_probabilities_add_up_to_one() -> None:
    assert sum(question_kinds().probabilities(np.full(384, 0.05, np.float32)).values()) == pytest.approx(1)


def test_a_classifier_of_other_kinds_is_refused_with_their_names(tmp_path: Path) -> None:
    about = json.loads((RELEASED / "config.json").read_text())
    about["kinds"][0] = "shoe size"
    (tmp_path / "config.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="shoe size"):
        load_question_kinds(tmp_path)


def test_the_regression_learns_what_separates_the_kinds_and_scores_what_it_does_not_know() -> None:
    rng = np.random.default_rng(0)
    kinds = tuple(topics_of_kinds())
    y = rng.integers(0, 6, 300)
    centres = rng.normal(size=(len(kinds), 20))
    x = (centres[y] + 0.3 * rng.normal(size=(300, 20))).astype(np.float32)
    weights, bias = regression(x, y, len(kinds), 1e-4)
    kind, topic = scores(weights, bias, x, y, kinds)
    assert kind > 0.97
    assert topic > 0.97
    wrong, _ = scores(weights, bias, x, (y + 1) % 6, kinds)
    assert wrong < 0.05


def test_a_relation_is_part_of_the_kind_where_one_wording_asks_for_either() -> None:
    asked = InstructExample("c", "?", "a", "A.", "body_part", "label", relation="after", phrasing="body_part/order/3")
    assert kind_of(asked) == "body_part/order/after"

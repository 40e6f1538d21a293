"""Telling what a question asks for, and which facts may answer it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.question_kinds import (
    LIKELY,
    RELEASED,
    QuestionKinds,
    load_question_kinds,
    meanings,
    question_kinds,
    topic_of,
    topics_of_kinds,
)
from motionqa.assistant.retrieval import RetrievalConfig
from motionqa.data.instruct.example import InstructExample
from motionqa.data.instruct.phrasings import wordings
from motionqa.data.schema import Fact, InputError
from motionqa.finetune.train_question_kinds import (
    AskedKind,
    KindsConfig,
    KindScores,
    kind_of,
    later_first,
    regression,
    save,
    scores,
    tuned,
)

HANDS = Fact("The left hand is above the head from 1.0 to 2.0 s.", "posture", 1.0, 2.0, ("left_wrist",))
BACK = Fact("The back stays upright.", "posture", 0.0, 2.0, ("thorax", "pelvis"))


def test_every_wording_has_its_topics() -> None:
    kinds = {re.sub("(?<=order)/(after|before|reversed)$", "", k) for k in topics_of_kinds()}
    assert {k for k in kinds if not k.startswith("topic/")} == set(wordings())


def test_every_kind_that_is_no_topic_has_a_meaning() -> None:
    assert {k for k in topics_of_kinds() if not k.startswith("topic/")} - set(meanings()) == {"absent"}
    assert set(meanings()) <= set(topics_of_kinds())


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
    found = question_kinds().topics(question)
    likeliest = sorted(found, key=found.__getitem__, reverse=True)[:3]
    assert set(likeliest) & set(topics.split(", ")), likeliest


@pytest.mark.parametrize(
    ("question", "previous", "meaning"),
    [
        ("Does one of the hands ever come up over his head?", "", "whether a hand goes above the head; yes or no"),
        ("And which one follows that?", "What does he do first?", "what comes after that; an action"),
        ("Has he got a beard?", "", "the looks of the person; no movement"),
    ],
)
def test_what_a_question_asks_for_is_said_in_plain_words(question: str, previous: str, meaning: str) -> None:
    assert question_kinds().meaning(question, previous) == meaning


def test_where_several_kinds_are_likely_only_the_form_is_said() -> None:
    kinds = tuple(topics_of_kinds())

    def found(**probabilities: float) -> str:
        bias = np.log(np.array([probabilities.get(k, 1e-9) for k in kinds]))
        embedder = SentenceEmbedder()
        return QuestionKinds(kinds, np.zeros((len(kinds), 384)), bias, embedder).meaning("Which?")

    assert found(longest=0.9, when=0.1) == "which action is the longest; an action"
    assert found(longest=0.36, at=0.32, when=0.32) == "an action"
    assert found(longest=0.36, steps=0.32, when=0.32) == ""
    assert found(true_action=0.4, **{"topic/absence": 0.3, "when": 0.3}) == "whether it is done; yes or no"
    assert found(longest=0.3, absent=0.6, when=0.1) == "which action is the longest; an action"
    assert found(**{"topic/travel": 0.9, "direction": 0.1}) == ""


def test_a_question_that_is_clear_alone_does_not_lean_on_the_one_before() -> None:
    alone = question_kinds().probabilities("What colour is her coat?")
    assert question_kinds().probabilities("What colour is her coat?", "How many steps does she take?") == alone
    wave = question_kinds().probabilities("Does she wave?")
    assert question_kinds().probabilities("Does she wave?", "What colour is her coat?") == wave
    vague = question_kinds().probabilities("And the left one?")
    assert question_kinds().probabilities("And the left one?", "Which knee bends more?") != vague


def test_questions_that_name_an_action_are_told_from_those_that_do_not() -> None:
    assert question_kinds().likelihood_of("named", "For how many seconds is he boxing?") > LIKELY
    assert question_kinds().likelihood_of("named", "Is he standing up or sitting down when the clip starts?") < LIKELY
    assert question_kinds().likelihood_of("named", "Are both arms moved alike?") < LIKELY


def test_the_order_that_a_question_asserts_is_said_as_it_is_in_time() -> None:
    kinds = tuple(topics_of_kinds())

    def meaning(kind: str, question: str) -> str:
        bias = np.log(np.array([1.0 if k == kind else 1e-9 for k in kinds]))
        return QuestionKinds(kinds, np.zeros((len(kinds), 384)), bias, SentenceEmbedder()).meaning(question)

    asked = "Does she wave with both hands after walking and turning left?"
    waves_first = "whether waving with both hands comes before walking and turning left; yes or no"
    walks_first = "whether walking and turning left comes before waving with both hands; yes or no"
    assert meaning("true_order", asked) == waves_first
    assert meaning("true_order/reversed", asked) == walks_first
    unclear = "whether what is named second comes before what is named first; yes or no"
    assert meaning("true_order/reversed", "Is that later than the jump?") == unclear
    squats_later = "Is squatting something he gets to only when the clapping is over?"
    assert question_kinds().likelihood_of("order", squats_later) > RetrievalConfig().order_likely
    assert question_kinds().likelihood_of("order", "Does she clap or squat?") < RetrievalConfig().order_likely
    assert question_kinds().meaning(squats_later).startswith("whether clapping the hands comes before squatting")


def test_wordings_are_told_apart_by_which_action_they_name_first() -> None:
    assert later_first("Does {act_noun2} come after {act_noun}?")
    assert not later_first("First {acting}, then {acting2}?")
    assert later_first("{They_act2} once {act_noun} is over?")
    with pytest.raises(ValueError, match="names no action"):
        later_first("Which one is earlier?")
    example = InstructExample("c", "q?", "yes", "Yes.", "true_order", "boundaries", phrasing="true_order/0")
    assert kind_of(example) == "true_order"
    reversed_one = next(p.name for p in wordings()["true_order"].patterns if later_first(p.text))
    assert kind_of(replace(example, phrasing=reversed_one)) == "true_order/reversed"


def test_a_classifier_of_other_kinds_is_refused_with_their_names(tmp_path: Path) -> None:
    about = json.loads((RELEASED / "config.json").read_text())
    about["kinds"][0] = "shoe size"
    (tmp_path / "config.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="shoe size"):
        load_question_kinds(tmp_path)


def test_missing_adapters_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((RELEASED / "config.json").read_bytes())
    tensors = load_file(RELEASED / "model.safetensors")
    dropped = next(name for name in tensors if "lora_A" in name)
    save_file({name: x for name, x in tensors.items() if name != dropped}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="missing"):
        load_question_kinds(tmp_path)


def test_the_regression_learns_what_separates_the_kinds() -> None:
    torch.manual_seed(0)
    y = torch.randint(0, 6, (300,))
    x = torch.randn(6, 20)[y] + 0.3 * torch.randn(300, 20)
    found = regression(x, y, len(topics_of_kinds()), 1e-4)(x).argmax(1)
    assert (found == y).float().mean() > 0.97


def test_scores_count_the_kind_its_topic_and_the_form_of_its_answer() -> None:
    none = dict.fromkeys(topics_of_kinds(), 0.0)
    found = [none | {"when": 1.0}, none | {"longest": 1.0}, none | {"steps": 1.0}, none | {"duration": 1.0}]
    assert scores(found, ["when", "at", "lasts", "duration"]) == KindScores(0.5, 1 / 3, 0.75)


def test_a_tuned_classifier_tells_new_wordings_apart_and_is_the_same_once_saved(tmp_path: Path) -> None:
    steps = ["How many steps?", "Count the steps.", "What number of strides is taken?", "How often do the feet step?"]
    hands = ["Is a hand up?", "Does a hand go above the head?", "Are the hands raised?", "Do the hands go up high?"]
    asked = [AskedKind(q, k, q) for k, qs in (("steps", steps), ("hand_above_head", hands)) for q in qs]
    config = KindsConfig((), tmp_path, epochs=3, batch=4)
    classifier = tuned(asked, tuple(topics_of_kinds()), config)
    questions = ("How many strides does she take?", "Is either hand lifted over the head?")
    before = [classifier.probabilities(q) for q in questions]
    assert [max(p, key=p.__getitem__) for p in before] == ["steps", "hand_above_head"]
    save(classifier, tmp_path, {"questions": len(asked)})
    again = load_question_kinds(tmp_path)
    for question, p in zip(questions, before, strict=True):
        assert again.probabilities(question) == pytest.approx(p, abs=2e-3)  # kept in half precision


def test_a_relation_is_part_of_the_kind_where_one_wording_asks_for_either() -> None:
    asked = InstructExample("c", "?", "a", "A.", "body_part", "label", relation="after", phrasing="body_part/order/3")
    assert kind_of(asked) == "body_part/order/after"

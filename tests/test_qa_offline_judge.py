"""The offline judge: exact where that is possible, deaf to nothing it claims to hear, measured on labelled pairs."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from motionqa.eval.qa.offline_judge import (
    THRESHOLD,
    OfflineJudge,
    agreement,
    by_rule,
    choose_threshold,
    labelled_pairs,
    offline_protocol,
)
from motionqa.eval.qa.question import Prediction, Question


def letters(sentences: list[str]) -> np.ndarray:
    """Unit vectors of letter counts: alike for alike words."""
    counts = np.array([[s.count(chr(97 + k)) + 1e-3 for k in range(26)] for s in sentences], float)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("reference", "answer", "right", "how"),
    [
        ("yes", "Yes, he does.", True, "yes/no"),
        ("yes", "no", False, "yes/no"),
        ("no", "He doesn't fall.", True, "yes/no"),
        ("no", "Yes, no doubt", False, "yes/no"),
        ("3", "three times", True, "number"),
        ("three", "3", True, "same words"),
        ("12", "a dozen", True, "number"),
        ("2", "two or three", False, "number"),
        ("7", "17", False, "number"),
        ("0", "none", True, "number"),
        ("grey", "a gray one", True, "colour"),
        ("black and white", "white and black", True, "colour"),
        ("black and white", "black", False, "colour"),
        ("red", "not red", False, "colour"),
        ("walk", "Walk.", True, "same words"),
        ("walk", "", False, "empty"),
        ("left hand", "right hand", False, "opposite"),
        ("turn left", "turns counter-clockwise", None, ""),
        ("walk forwards", "goes backward", False, "opposite"),
        ("with shoes", "without shoes", False, "negation"),
        ("sofa", "couch", None, ""),
    ],
)
def test_what_can_be_exact_is_decided_by_rule(reference: str, answer: str, right: bool | None, how: str) -> None:
    found = by_rule(reference, answer)
    assert ((None, "") if found is None else (found.right, found.how)) == (right, how)


def test_the_rest_is_decided_by_similarity_to_the_answer_or_a_stretch_of_it() -> None:
    judge = OfflineJudge(letters, threshold=0.95)
    assert judge.verdict("stretching", "stretchings").right
    assert not judge.verdict("stretching", "cooking food").right
    long = judge.verdict("acoustic guitar", "The man with a hat sits and plays an acoustic guitars in the room")
    assert long.right
    assert long.how == "similarity"


def test_the_labelled_pairs_are_many_diverse_and_split_without_overlap() -> None:
    tuning, reported = labelled_pairs("tuning"), labelled_pairs("reported")
    assert len(tuning) + len(reported) >= 300
    assert not {(p.question, p.reference, p.answer) for p in tuning} & {
        (p.question, p.reference, p.answer) for p in reported
    }
    assert 0.4 < np.mean([p.right for p in reported]) < 0.65
    kinds = Counter(p.kind for p in reported)
    assert len(kinds) >= 12
    assert max(kinds.values()) < 0.2 * len(reported)
    with pytest.raises(ValueError, match="tuning"):
        labelled_pairs("test")


def test_the_threshold_is_the_one_that_agrees_most_and_agreement_is_counted_by_kind() -> None:
    pairs = labelled_pairs("tuning")
    best = choose_threshold(letters, pairs)
    found = {t: agreement(OfflineJudge(letters, t), pairs) for t in (0.3, best, 0.99)}
    assert found[best].value == max(a.value for a in found.values())
    at_best = found[best]
    assert sum(asked for _, asked in at_best.by_kind.values()) == at_best.n == len(pairs)
    assert at_best.interval[0] < at_best.value < at_best.interval[1]
    assert at_best.by_kind["number"][0] / at_best.by_kind["number"][1] > 0.85  # needs no vectors


def test_a_judge_that_says_yes_to_everything_is_seen_through() -> None:
    def same(sentences: list[str]) -> np.ndarray:
        return np.ones((len(sentences), 1))

    wrong = [p for p in labelled_pairs("reported") if p.kind == "sibling"]
    pairs = [p for p in wrong if by_rule(p.reference, p.answer) is None]
    assert len(pairs) >= 20
    found = agreement(OfflineJudge(same), pairs)
    assert found.value == 0
    assert found.wrongly_right == len(pairs)


def test_its_protocol_takes_any_accepted_reference_and_says_that_it_is_not_comparable() -> None:
    protocol = offline_protocol(OfflineJudge(letters))
    question = Question("a", "clip", "what?", "walk", "t", accepted=("stroll",))
    assert protocol.score(question, Prediction("a", "Stroll")) == 1.0
    assert protocol.score(question, Prediction("a", "")) == 0.0
    assert "not comparable" in protocol.about


@pytest.mark.slow
def test_the_released_threshold_is_the_chosen_one_and_agrees_with_people_on_the_other_half() -> None:
    from motionqa.assistant.embedder import SentenceEmbedder

    embedder = SentenceEmbedder()
    assert choose_threshold(embedder, labelled_pairs("tuning")) == THRESHOLD
    assert agreement(OfflineJudge(embedder), labelled_pairs("reported")).value > 0.7

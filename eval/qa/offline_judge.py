"""A judge that needs no server: exact where exact is possible, MiniLM's similarity elsewhere.

Its figures are comparable with nobody else's. Sentence vectors hear neither "not" nor left from right and find "yes"
and "no" alike (0.73), so yes/no, numbers and colours are compared as such, and opposites and negations by rule. How
often it agrees with people is measured on `judge_pairs.json`, which we wrote: half of each kind chose the threshold
and the rules, the other half is reported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from motionqa.eval.qa.protocols import normalise
from motionqa.eval.qa.question import Prediction, Protocol, Question

Embedder = Callable[[list[str]], np.ndarray]
"""Unit vectors of sentences, as `motionqa.assistant.embedder.SentenceEmbedder` gives them."""

PAIRS = Path(__file__).parent / "judge_pairs.json"
THRESHOLD = 0.58
"""Chosen on the first half of the pairs by `choose_threshold`."""

_YES = frozenset(["yes", "yeah", "yep", "yup", "correct", "certainly", "sure", "indeed", "true", "right"])
_NO = frozenset(["no", "nope", "not", "never", "none", "nobody", "nothing", "without", "false", "cannot"])
_NEGATIONS = _NO - {"false"} | {"fails", "fail", "failed", "unable"}
_COLOURS = {
    word: name
    for name, words in {
        "red": "red crimson scarlet", "blue": "blue navy bluish", "green": "green greenish", "pink": "pink",
        "yellow": "yellow blonde blond", "black": "black", "white": "white", "grey": "grey gray greyish grayish",
        "brown": "brown", "orange": "orange", "purple": "purple violet", "gold": "gold golden", "silver": "silver",
        "beige": "beige", "multicolour": "multicolor multicolour multicolored colorful colourful",
    }.items()
    for word in words.split()
}  # fmt: skip
_TENS = {
    w: 10 * (i + 2)
    for i, w in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"])
}
_COUNTS = {"once": 1, "twice": 2, "thrice": 3, "dozen": 12, "both": 2, "couple": 2, "none": 0, "no": 0, **_TENS}
_OPPOSITES = tuple(
    tuple(frozenset(side.split()) for side in pair.split("/"))
    for pair in (
        "left/right", "up upwards upward upstairs/down downwards downward downstairs", "day/night", "young/old",
        "forward forwards/backward backwards back", "before/after", "indoor indoors inside/outdoor outdoors outside",
        "man boy men/woman girl women lady", "fast quickly/slow slowly", "open opens/close closes closed", "hot/cold",
        "push pushes/pull pulls", "over/under", "front/behind", "beginning start first/end last", "big large/small",
        "long/short", "morning/evening", "clockwise/counterclockwise", "sit sits/stand stands",
    )
)  # fmt: skip


@dataclass(frozen=True)
class OfflineVerdict:
    """Whether an answer means the reference, and how that was found."""

    right: bool
    how: str
    """yes/no, number, colour, same words, empty, opposite, negation, or similarity."""
    similarity: float | None = None


@dataclass(frozen=True)
class Pair:
    """An answer that a person judged."""

    question: str
    reference: str
    answer: str
    right: bool
    kind: str


class OfflineJudge:
    """Says whether answers mean their references. The same pair always gets the same verdict."""

    def __init__(self, embedder: Embedder, threshold: float = THRESHOLD) -> None:
        self.embedder, self.threshold = embedder, threshold

    def verdict(self, reference: str, answer: str) -> OfflineVerdict:
        """The verdict on one answer."""
        known = by_rule(reference, answer)
        if known is not None:
            return known
        similarity = self.similarity(reference, answer)
        return OfflineVerdict(similarity >= self.threshold, "similarity", similarity)

    def similarity(self, reference: str, answer: str) -> float:
        """Largest cosine of the reference with the answer, or with a stretch of it as long as the reference."""
        words, length = normalise(answer).split(), len(normalise(reference).split())
        pieces = {" ".join(words)}
        if len(words) > length + 1:  # a sentence that holds the answer is an answer
            pieces |= {" ".join(words[i : i + length]) for i in range(len(words) - length + 1)}
        vectors = self.embedder([normalise(reference), *sorted(pieces)])
        return float((vectors[1:] @ vectors[0]).max())


def by_rule(reference: str, answer: str) -> OfflineVerdict | None:
    """The verdict where one can be reached without vectors, else None."""
    wanted, given = _words(reference), _words(answer)
    if not given:
        return OfflineVerdict(False, "empty")
    if normalise(reference) == normalise(answer):
        return OfflineVerdict(True, "same words")
    return _exact(wanted, given) or _conflict(wanted, given)


def _exact(wanted: list[str], given: list[str]) -> OfflineVerdict | None:
    """Yes/no, numbers and colours, which are right or wrong."""
    if wanted in (["yes"], ["no"]):
        return OfflineVerdict(_yes_or_no(given) == wanted[0], "yes/no")
    number = _numbers(wanted)
    if len(wanted) == 1 and number:
        return OfflineVerdict(_numbers(given) == number, "number")
    if wanted and all(w in _COLOURS or w in ("and", "with", "dark", "light") for w in wanted):
        same = {_COLOURS[w] for w in given if w in _COLOURS} == {_COLOURS[w] for w in wanted if w in _COLOURS}
        return OfflineVerdict(same and not _negated(given), "colour")
    return None


def _conflict(wanted: list[str], given: list[str]) -> OfflineVerdict | None:
    """An answer that says the opposite, or denies what the reference affirms."""
    for one, other in _OPPOSITES:
        for a, b in ((one, other), (other, one)):
            if a & set(wanted) and not b & set(wanted) and b & set(given) and not a & set(given):
                return OfflineVerdict(False, "opposite")
    if _negated(wanted) != _negated(given):
        return OfflineVerdict(False, "negation")
    return None


def _words(text: str) -> list[str]:
    plain = re.sub(r"n['’]t\b", " not", text.lower())
    return re.findall(r"[^\W_]+", re.sub(r"counter-?\s?clockwise", "counterclockwise", plain))


def _yes_or_no(words: Sequence[str]) -> str:
    """The first word that decides; a sentence without any, "she smiles", affirms."""
    for word in words:
        if word in _YES or word in _NO:
            return "yes" if word in _YES else "no"
    return "yes"


def _negated(words: Sequence[str]) -> bool:
    return bool(set(words) & _NEGATIONS)


def _numbers(words: Sequence[str]) -> set[float]:
    """The numbers among the words, in digits or words; "one" and "no" count as numbers here."""
    digits = normalise(" ".join(words)).split()
    return {float(w) for w in digits if w.isdecimal()} | {float(_COUNTS[w]) for w in words if w in _COUNTS}


# ------------------------------------------------------------------------------------------- agreement


@dataclass(frozen=True)
class Agreement:
    """How often the judge says what a person said."""

    value: float
    n: int
    interval: tuple[float, float]
    """95 %, Wilson."""
    wrongly_right: int
    """Answers accepted that a person rejects."""
    by_kind: dict[str, tuple[int, int]]
    """Agreed and asked, by kind."""


def labelled_pairs(half: str) -> tuple[Pair, ...]:
    """The pairs of a half: `tuning` (threshold and rules were chosen on it) or `reported`. Every other one of a kind.

    ValueError for another name.
    """
    if half not in ("tuning", "reported"):
        raise ValueError(f"half is {half!r}, expected 'tuning' or 'reported'")
    seen: dict[tuple[str, bool], int] = {}
    kept = []
    for record in json.loads(PAIRS.read_text()):
        pair = Pair(**record)
        place = seen.get((pair.kind, pair.right), 0)
        seen[pair.kind, pair.right] = place + 1
        if (place % 2 == 0) == (half == "tuning"):
            kept.append(pair)
    return tuple(kept)


def agreement(judge: OfflineJudge, pairs: Sequence[Pair]) -> Agreement:
    """How often the judge agrees with the labels. ValueError without pairs."""
    if not pairs:
        raise ValueError("there are no pairs to agree on")
    said = [judge.verdict(p.reference, p.answer).right for p in pairs]
    by_kind: dict[str, tuple[int, int]] = {}
    for pair, right in zip(pairs, said, strict=True):
        agreed, asked = by_kind.get(pair.kind, (0, 0))
        by_kind[pair.kind] = (agreed + (right == pair.right), asked + 1)
    agreed = sum(a for a, _ in by_kind.values())
    spread = binomtest(agreed, len(pairs)).proportion_ci(method="wilson")
    too_kind = sum(right and not p.right for p, right in zip(pairs, said, strict=True))
    return Agreement(agreed / len(pairs), len(pairs), (float(spread.low), float(spread.high)), too_kind, by_kind)


def choose_threshold(embedder: Embedder, pairs: Sequence[Pair]) -> float:
    """The threshold that agrees most often with the labels, to two digits; of equal ones the middle."""
    judge = OfflineJudge(embedder)
    decided = [(judge.verdict(p.reference, p.answer), p.right) for p in pairs]
    open_ones = [(v.similarity, right) for v, right in decided if v.similarity is not None]
    candidates = [round(0.01 * k, 2) for k in range(20, 100)]
    hits = [sum((s >= c) == right for s, right in open_ones) for c in candidates]
    best = [c for c, h in zip(candidates, hits, strict=True) if h == max(hits)]
    return best[len(best) // 2]


def offline_protocol(judge: OfflineJudge) -> Protocol:
    """Scoring by this judge, named so that nobody takes it for another's figure."""

    def score(question: Question, prediction: Prediction) -> float:
        references = (question.answer, *question.accepted)
        return float(any(judge.verdict(r, prediction.answer).right for r in references))

    about = (
        "Yes/no, numbers and colours exactly, the rest by MiniLM similarity of at least "
        f"{judge.threshold:.2f}. Ours; not comparable with any published figure."
    )
    return Protocol("offline judge", about, score)


if __name__ == "__main__":
    from motionqa.assistant.embedder import SentenceEmbedder

    shared = SentenceEmbedder()
    best = choose_threshold(shared, labelled_pairs("tuning"))
    print(f"threshold chosen on the tuning half: {best}")
    for half in ("tuning", "reported"):
        print(half, agreement(OfflineJudge(shared, best), labelled_pairs(half)))

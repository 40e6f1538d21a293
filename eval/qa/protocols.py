"""The published ways of scoring an answer, each with a name: figures of different protocols are not comparable.

BABEL-QA has four in use (closed set, exact string, normalised string, ten options); which one a published figure used
is stated with each anchor. How others draw the ten options is not public, so `ten_options` is ours.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence

from motionqa.eval.qa.question import Prediction, Protocol, Question

# fmt: off
NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)
# fmt: on
DIGITS = {word: str(i) for i, word in enumerate(NUMBER_WORDS)}
ARTICLES = frozenset({"a", "an", "the"})
TEN = 10


def normalise(text: str) -> str:
    """The text in lower case without punctuation, articles and double spaces, number words to twenty as digits."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = re.sub(r"[^\w\s]|_", " ", plain).split()
    return " ".join(DIGITS.get(w, w) for w in words if w not in ARTICLES)


# ------------------------------------------------------------------------------------------------- strings


def _exact(question: Question, prediction: Prediction) -> float:
    return float(prediction.answer == question.answer or prediction.answer in question.accepted)


def _normalised(question: Question, prediction: Prediction) -> float:
    answer = normalise(prediction.answer)
    return float(any(answer == normalise(right) for right in (question.answer, *question.accepted)))


EXACT = Protocol(
    "exact string",
    "The answer is the reference, character by character (ActivityNet-QA's own script; MotionLLM on BABEL-QA).",
    _exact,
)
NORMALISED = Protocol(
    "normalised string",
    "As exact string, after lower-casing and dropping punctuation and articles; number words become digits. Ours.",
    _normalised,
)

# ----------------------------------------------------------------------------------------------- closed sets


def best_option(options: Sequence[str], scores: Mapping[str, float]) -> str:
    """The option of the highest score; of equal ones the first in the official order, as argmax takes it.

    ValueError where options have no score (an option left out could not win) or one that is no number.
    """
    missing = [o for o in options if o not in scores]
    if missing:
        raise ValueError(f"{len(missing)} of {len(options)} options have no score, e.g. {missing[0]!r}; score them all")
    odd = [o for o in options if not math.isfinite(scores[o])]
    if odd:
        raise ValueError(f"the score of {odd[0]!r} is {scores[odd[0]]}, expected a finite log-likelihood")
    return max(options, key=lambda o: scores[o])


def ten_options(question: Question) -> tuple[str, ...]:
    """The answer and nine other options in the official order; all of them where there are no more than ten.

    Ours: the nine are those whose SHA-256 with the question's id is smallest, so they are the same on every machine.
    """
    if len(question.options) <= TEN:
        return question.options
    others = sorted((o for o in question.options if o != question.answer), key=lambda o: _draw(question.id, o))
    kept = {question.answer, *others[: TEN - 1]}
    return tuple(o for o in question.options if o in kept)


def _draw(question_id: str, option: str) -> bytes:
    return hashlib.sha256(f"{question_id}\n{option}".encode()).digest()


def _closed_set(question: Question, prediction: Prediction) -> float:
    return float(best_option(question.options, prediction.scores) == question.answer)


def _ten_options(question: Question, prediction: Prediction) -> float:
    return float(best_option(ten_options(question), prediction.scores) == question.answer)


CLOSED_SET = Protocol(
    "closed set",
    "The likeliest answer of the queried attribute's vocabulary is the reference (NSPose, BABEL-QA's own script).",
    _closed_set,
    needs="scores",
)
TEN_OPTIONS = Protocol(
    "10-option",
    "The likeliest of the reference and nine other answers of the vocabulary is the reference (as MotionGPT3 and IMoRe "
    "report; which nine is ours: the smallest SHA-256 with the question's id).",
    _ten_options,
    needs="scores",
)

# ------------------------------------------------------------------------------------------- multiple choice


def chosen_option(options: Sequence[str], answer: str) -> str | None:
    """The option that an answer names by letter ('B', '(b)', 'B. jumps', 'Answer: B') or by its text; else None."""
    plain = normalise(answer)
    for option in options:
        if plain == normalise(option):
            return option
    found = re.match(r"\s*(?:best option|option|answer)?\s*[:\s]*\(?([A-Za-z])(?:[).:]|\s*$)", answer, re.IGNORECASE)
    position = ord(found.group(1).upper()) - ord("A") if found else -1
    return options[position] if 0 <= position < len(options) else None


def _choice(question: Question, prediction: Prediction) -> float:
    return float(chosen_option(question.options, prediction.answer) == question.answer)


CHOICE = Protocol(
    "multiple choice",
    "The option named by letter or text is the reference; an answer that names none is wrong (MVBench).",
    _choice,
)

# ---------------------------------------------------------------------------------------------- grounding


def temporal_iou(evidence_s: Sequence[tuple[float, float]], span_s: tuple[float, float]) -> float:
    """Seconds in both the evidence's union and the span, over seconds in either; 0 without evidence."""
    merged: list[list[float]] = []
    for start, end in sorted((min(a, b), max(a, b)) for a, b in evidence_s):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    both = sum(max(0.0, min(end, span_s[1]) - max(start, span_s[0])) for start, end in merged)
    either = sum(end - start for start, end in merged) + (span_s[1] - span_s[0]) - both
    return both / either if either > 0 else 0.0


def _iou(question: Question, prediction: Prediction) -> float:
    assert question.span_s is not None
    return temporal_iou(prediction.evidence_s, question.span_s)


def _hit(question: Question, prediction: Prediction) -> float:
    return float(_iou(question, prediction) >= 0.5)


GROUNDING_IOU = Protocol(
    "temporal grounding IoU",
    "Overlap in time of the answer's evidence with BABEL's segment that the question asks about. Ours.",
    _iou,
    needs="evidence_s",
)
GROUNDING_HIT = Protocol(
    "temporal grounding hit@0.5",
    "Share of questions whose evidence overlaps that segment by an IoU of at least 0.5. Ours.",
    _hit,
    needs="evidence_s",
)

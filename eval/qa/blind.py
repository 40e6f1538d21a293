"""Answers without looking at the clip: what a benchmark gives away by its questions alone.

`majority_by_type` answers the commonest training answer of the question's type; `question_lookup` the commonest
training answer to the very same question text, and falls back on the type. Of equally common answers the one that the
training file has first wins. Texts are compared without white space around them: ActivityNet-QA has both forms of some.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from motionqa.data.schema import InputError
from motionqa.eval.qa.question import Prediction, Question

Predictor = Callable[[Question], Prediction]

# In `scores`, equal counts must be ordered as in `answer`: first seen wins, then the type's commoner answer.
_ORDER = 1e-6
_TYPE = 1e-9


def majority_by_type(training: Sequence[Question]) -> Predictor:
    """The predictor fitted on training questions. It raises InputError for a type that they do not have."""
    by_type = _count(training, lambda q: q.type)

    def predict(question: Question) -> Prediction:
        counts = _of_type(by_type, question)
        scores = _scores(question, counts, Counter())
        return Prediction(question.id, _commonest(counts), scores, about={"blind": "majority by type"})

    return predict


def question_lookup(training: Sequence[Question]) -> Predictor:
    """The predictor fitted on training questions. `about["seen"]` is how often the text was there."""
    by_type = _count(training, lambda q: q.type)
    by_text = _count(training, lambda q: q.text.strip())

    def predict(question: Question) -> Prediction:
        of_type = _of_type(by_type, question)
        counts = by_text.get(question.text.strip())
        about = {"blind": "question look-up", "seen": counts.total() if counts else 0}
        answer = _commonest(counts or of_type)
        return Prediction(question.id, answer, _scores(question, counts or of_type, of_type), about=about)

    return predict


BLIND: dict[str, Callable[[Sequence[Question]], Predictor]] = {
    "majority": majority_by_type,
    "lookup": question_lookup,
}
"""Blind predictors by name; the language model without the clip needs a model and is in its own module."""


def _count(training: Sequence[Question], key: Callable[[Question], str]) -> dict[str, Counter[str]]:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for question in training:
        counts[key(question)][question.answer] += 1
    return dict(counts)


def _of_type(by_type: dict[str, Counter[str]], question: Question) -> Counter[str]:
    if question.type not in by_type:
        raise InputError(
            f"question {question.id} is of the type {question.type!r}; the training questions have "
            f"{', '.join(by_type) or 'none'}. Put the benchmark's training file beside the others"
        )
    return by_type[question.type]


def _commonest(counts: Counter[str]) -> str:
    return counts.most_common(1)[0][0]


def _scores(question: Question, counts: Counter[str], of_type: Counter[str]) -> dict[str, float]:
    """Log-likelihood of each option by its count; options never seen get the share of their type, however little."""
    if not question.options:
        return {}
    order = {answer: i for i, answer in enumerate(counts)}
    whole = of_type.total() or 1
    weights = {
        o: (counts[o] - _ORDER * order[o] if o in order else 0.0) + _TYPE * (of_type[o] + 1e-3) / whole
        for o in question.options
    }
    total = sum(weights.values())
    return {o: math.log(w / total) for o, w in weights.items()}

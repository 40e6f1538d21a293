"""Predictions joined with their questions, strictly by id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from motionqa.data.schema import InputError
from motionqa.eval.qa.official_files import some
from motionqa.eval.qa.question import Prediction, Question


@dataclass(frozen=True)
class Joined:
    """Questions with their predictions, in the order of the official file."""

    answered: tuple[tuple[Question, Prediction], ...]
    failed: tuple[tuple[Question, Prediction], ...]
    """Those whose prediction says why there is no answer: never counted as wrong answers."""
    missing: tuple[str, ...] = ()
    """Ids without a line; only ever filled where a partial file was allowed."""


def join(questions: Sequence[Question], predictions: Iterable[Prediction], partial: bool = False) -> Joined:
    """Every question with its one prediction.

    InputError, with counts and examples of each, where ids are there twice, are unknown, or are missing. `partial`
    lets ids be missing and says which.
    """
    given = list(predictions)
    known = {q.id for q in questions}
    counts = Counter(p.id for p in given)
    twice = [i for i, count in counts.items() if count > 1]
    unknown = [i for i in counts if i not in known]
    missing = [q.id for q in questions if q.id not in counts]
    faults = []
    if twice:
        faults.append(f"{some(twice, 'id', 'ids')} there more than once")
    if unknown:
        faults.append(f"{some(unknown, 'id', 'ids')} of no question of this split")
    if missing and not partial:
        faults.append(f"{some(missing, 'question', 'questions')} without a prediction")
    if faults:
        hint = (
            ". Finish the run, or ask for a partial score" if missing and not partial and not (twice or unknown) else ""
        )
        raise InputError(f"{len(given)} predictions for {len(questions)} questions: {'; '.join(faults)}{hint}")
    by_id = {p.id: p for p in given}
    pairs = [(q, by_id[q.id]) for q in questions if q.id in by_id]
    return Joined(tuple(p for p in pairs if not p[1].error), tuple(p for p in pairs if p[1].error), tuple(missing))

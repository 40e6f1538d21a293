"""The score of a run: every protocol's figures, overall and by type and relation, with intervals.

Failed predictions are counted apart and never as wrong answers; a protocol that the predictions carry nothing for is
listed as skipped, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from motionqa.data.schema import InputError
from motionqa.eval.qa.joining import Joined, join
from motionqa.eval.qa.official_files import some
from motionqa.eval.qa.question import Benchmark, Prediction, Protocol, Question
from motionqa.eval.qa.statistics import PERMUTATIONS, RESAMPLES, Comparison, compare, interval

Pair = tuple[Question, Prediction]


@dataclass(frozen=True)
class Figure:
    """One number of the table."""

    protocol: str
    kind: str
    """overall, type, relation, group, or aggregate (a published figure that is no mean over questions)."""
    row: str
    value: float
    n: int
    """Questions that it is computed from."""
    interval: tuple[float, float] | None = None
    """95 %, bootstrap over clips."""


@dataclass(frozen=True)
class Table:
    """All figures of one run on one split, and what they do not include."""

    benchmark: str
    split: str
    figures: tuple[Figure, ...]
    questions: int
    answered: int
    failed: tuple[str, ...] = ()
    """Ids whose prediction is an error."""
    missing: tuple[str, ...] = ()
    """Ids without a prediction, where a partial file was allowed."""
    skipped: tuple[str, ...] = ()
    """Protocols that were not scored, and why."""
    notes: tuple[str, ...] = ()

    def figure(self, protocol: str, row: str = "all") -> Figure:
        """The figure of a protocol and row. ValueError naming what is there."""
        found = next((f for f in self.figures if f.protocol == protocol and f.row == row), None)
        if found is None:
            there = sorted({f"{f.protocol} / {f.row}" for f in self.figures})
            raise ValueError(f"no figure {protocol} / {row}; there are {', '.join(there)}")
        return found

    def text(self) -> str:
        """The table for a terminal."""
        lines = [f"{self.benchmark} {self.split}: {self.answered} of {self.questions} questions answered"]
        lines += [f"  failed: {some(self.failed, 'question', 'questions')} not scored"] if self.failed else []
        lines += (
            [f"  PARTIAL: {some(self.missing, 'question', 'questions')} without a prediction"] if self.missing else []
        )
        names = [f"{f.row} ({f.kind})" if f.kind in ("relation", "group") else f.row for f in self.figures]
        width = max(map(len, names), default=0)
        for name, f in zip(names, self.figures, strict=True):
            title = [f.protocol] if f.kind == "overall" else []
            spread = "" if f.interval is None else f"  [{f.interval[0]:.3f}, {f.interval[1]:.3f}]"
            lines += [*title, f"  {name:{width}}  {f.value:.4f}  n = {f.n}{spread}"]
        return "\n".join([*lines, *(f"not scored: {s}" for s in self.skipped), *(f"note: {n}" for n in self.notes)])


@dataclass(frozen=True)
class Scored:
    """A run's table and each question's score."""

    table: Table
    scores: Mapping[str, Mapping[str, float]]
    """By protocol, then by question id."""
    clips: Mapping[str, str]
    """The clip of each scored question."""


def score_predictions(
    benchmark: Benchmark,
    predictions: Iterable[Prediction],
    *,
    partial: bool = False,
    protocols: Sequence[Protocol] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Scored:
    """The table of a run; `protocols` chooses or adds some, `resamples=0` leaves the intervals out.

    InputError for duplicate, unknown and, unless `partial`, missing ids.
    """
    joined = join(benchmark.questions, predictions, partial)
    figures: list[Figure] = []
    skipped: list[str] = []
    scores: dict[str, dict[str, float]] = {}
    for protocol in benchmark.protocols if protocols is None else protocols:
        pairs, reason = scorable(protocol, joined)
        if reason:
            skipped.append(f"{protocol.name}: {reason}")
            continue
        values = [_score(protocol, q, p) for q, p in pairs]
        asked = [q for q, _ in pairs]
        scores[protocol.name] = {q.id: v for q, v in zip(asked, values, strict=True)}
        figures += _figures(benchmark, protocol.name, asked, values, resamples, seed)
    table = Table(
        benchmark.name,
        benchmark.split,
        tuple(figures),
        len(benchmark.questions),
        len(joined.answered),
        tuple(q.id for q, _ in joined.failed),
        joined.missing,
        tuple(skipped),
        (*benchmark.notes, *_failure_notes(figures, len(joined.failed))),
    )
    return Scored(table, scores, {q.id: q.clip for q, _ in joined.answered})


def scorable(protocol: Protocol, joined: Joined) -> tuple[tuple[Pair, ...], str]:
    """The pairs that a protocol can score, and why there are none.

    Answers without evidence score 0 in grounding once any answer has some. InputError where only some predictions
    carry option scores: the others would silently leave the figure.
    """
    pairs = joined.answered
    if not pairs:
        return (), "no question was answered"
    if protocol.needs == "answer":
        without = [q.id for q, p in pairs if not p.answer and p.scores]
        if len(without) == len(pairs):
            return (), "the predictions have scores of the options only, no answers"
        if without:
            raise InputError(
                f"{protocol.name}: {some(without, 'prediction', 'predictions')} without an answer but with scores of "
                "the options, others have answers; give an answer in every line, or in none"
            )
    if protocol.needs == "scores":
        pairs = tuple(p for p in pairs if p[0].options)
        without = [q.id for q, p in pairs if not p.scores]
        if len(without) == len(pairs):
            return (), "the predictions have no scores of the options"
        if without:
            raise InputError(
                f"{protocol.name}: {some(without, 'prediction', 'predictions')} without scores of the options, others "
                "have them; predict those again, or choose protocols that need the answer only"
            )
    if protocol.needs == "evidence_s":
        pairs = tuple(p for p in pairs if p[0].span_s is not None)
        if not pairs:
            return (), "the benchmark's files do not say which moment is asked about"
        if not any(p.evidence_s for _, p in pairs):
            return (), "the predictions point to no moments"
    return pairs, ""


def _score(protocol: Protocol, question: Question, prediction: Prediction) -> float:
    try:
        return protocol.score(question, prediction)
    except ValueError as error:
        raise InputError(f"{protocol.name}, question {question.id}: {error}") from error


def _figures(
    benchmark: Benchmark, protocol: str, asked: Sequence[Question], values: Sequence[float], resamples: int, seed: int
) -> Iterator[Figure]:
    for kind, row, chosen in _rows(benchmark, asked):
        kept = [values[i] for i in chosen]
        clips = [asked[i].clip for i in chosen]
        value = sum(kept) / len(kept)
        yield Figure(protocol, kind, row, value, len(kept), interval(clips, kept, resamples, seed))
    for aggregate in benchmark.aggregates:
        if aggregate.protocol == protocol:
            yield Figure(protocol, "aggregate", aggregate.name, aggregate.value(asked, values), len(asked))


def _rows(benchmark: Benchmark, asked: Sequence[Question]) -> Iterator[tuple[str, str, list[int]]]:
    yield "overall", "all", list(range(len(asked)))
    for kind in ("type", "relation"):
        # In the order of the benchmark's file, so that a partial run's table has the rows in the same places.
        for row in dict.fromkeys(getattr(q, kind) for q in benchmark.questions):
            chosen = [i for i, q in enumerate(asked) if getattr(q, kind) == row]
            if row and chosen:
                yield kind, row, chosen
    for group, types in benchmark.groups.items():
        chosen = [i for i, q in enumerate(asked) if q.type in types]
        if chosen:
            yield "group", group, chosen


def _failure_notes(figures: Sequence[Figure], failed: int) -> list[str]:
    if not failed:
        return []
    worst = [f"{f.protocol} {f.value * f.n / (f.n + failed):.3f}" for f in figures if f.kind == "overall"]
    return [f"if all {failed} failed questions were wrong answers: {', '.join(worst)}."]


def beats(a: Scored, b: Scored, protocol: str, resamples: int = PERMUTATIONS, seed: int = 0) -> Comparison:
    """Whether run A is better than run B: difference, interval and one-sided p over clips.

    InputError where they were not scored on the same questions by that protocol.
    """
    for name, run in (("A", a), ("B", b)):
        if protocol not in run.scores:
            raise InputError(f"run {name} has no scores for {protocol!r}; it has {', '.join(run.scores) or 'none'}")
    of_a, of_b = a.scores[protocol], b.scores[protocol]
    differ = sorted(set(of_a) ^ set(of_b))
    if differ or (a.table.benchmark, a.table.split) != (b.table.benchmark, b.table.split):
        raise InputError(
            f"A is {a.table.benchmark} {a.table.split}, B is {b.table.benchmark} {b.table.split}: "
            f"{some(differ, 'question', 'questions')} scored in only one; a paired test needs the same questions"
        )
    ids = list(of_a)
    return compare(protocol, [a.clips[i] for i in ids], [of_a[i] for i in ids], [of_b[i] for i in ids], resamples, seed)


def restricted(scored: Scored, ids: Iterable[str]) -> Scored:
    """The scores of some questions only, for a paired test of two runs that failed on different ones."""
    kept = set(ids)
    chosen = {name: {i: v for i, v in s.items() if i in kept} for name, s in scored.scores.items()}
    table = replace(scored.table, figures=(), notes=("restricted to the questions that both runs answered",))
    return Scored(table, chosen, {i: c for i, c in scored.clips.items() if i in kept})


def worst(scored: Scored, protocol: str, count: int, seed: int = 0) -> tuple[str, ...]:
    """Ids of the lowest scores, equal ones in a fixed random order, at most one a clip while clips last."""
    ids = list(scored.scores[protocol])
    order = np.random.default_rng(seed).permutation(len(ids))
    ranked = sorted((ids[i] for i in order), key=lambda i: scored.scores[protocol][i])
    first = {scored.clips[i]: i for i in reversed(ranked)}
    fresh = [i for i in ranked if first[scored.clips[i]] == i]
    return tuple([*fresh, *(i for i in ranked if first[scored.clips[i]] != i)][:count])

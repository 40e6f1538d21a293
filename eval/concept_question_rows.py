"""The paper's ablation on questions: what a small reader gets right from each variant's concepts, and without any.

HuMoCon (arXiv 2505.20920) reports .711 on BABEL-QA, and .637 without the velocity terms, of a language model tuned on
each variant. Ours trains a small reader of the frozen tokens instead (`question_reader.py`): only the order of variants
may be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from motionqa.eval.benchmark import Row
from motionqa.eval.concept_questions import (
    Points,
    QuestionSet,
    asks_how,
    concept_tracks,
    feature_tracks,
    is_closed,
    majority,
    no_tracks,
    reading,
)
from motionqa.eval.concept_runs import Runs
from motionqa.eval.qa.question import Question
from motionqa.eval.qa.statistics import compare, interval
from motionqa.eval.question_reader import ReaderConfig, TokenTrack

Array = np.ndarray

ABLATIONS = ("full", "no_velocity", "no_discriminative", "no_actionable", "no_alignment")
READERS = 2
"""Of each trained model."""
PUBLISHED = {"full": 0.711, "no_velocity": 0.637}
"""The paper's figures on BABEL-QA, with a language model that reads the concepts."""
SETS: dict[str, Callable[[Question], bool]] = {"questions": is_closed, "questions_motion": asks_how}


def not_measured(command: str) -> Iterator[Row]:
    """The rows without values, where there are no questions to ask."""
    for name in SETS:
        for ablation in ABLATIONS:
            yield _row(name, ablation, None, None, {}, "not measured yet: needs --questions", command)


def question_rows(asked: QuestionSet, runs: Runs, command: str, config: ReaderConfig = ReaderConfig()) -> Iterator[Row]:
    """What each variant's concepts are worth over its seeds, for all questions and for those how the body moves."""
    beside = {
        "majority by kind": majority(asked),
        "no motion": _read(asked, no_tracks(asked.clips), config, 0),
        "DSTformer features": _read(asked, feature_tracks(asked.clips), config, 0),
    }
    found = {
        ablation: [_read(asked, concept_tracks(r.model, asked.clips), config, k) for k, r in enumerate(of)]
        for ablation, of in runs.items()
        if ablation in ABLATIONS
    }
    for name, belongs in SETS.items():
        kept = np.array([belongs(q) for q in asked.test])
        baselines = {k: round(float(p[kept].mean()), 4) for k, p in beside.items()} if kept.any() else {}
        for ablation in ABLATIONS:
            values = [float(p[kept].mean()) for p in found.get(ablation, ())] if kept.any() else []
            split = _split(asked, kept, found, ablation)
            value = round(float(np.mean(values)), 4) if values else None
            between = (round(min(values), 4), round(max(values), 4)) if len(values) > 1 else None
            yield _row(name, ablation, value, between, baselines, split, command)


def _read(asked: QuestionSet, tracks: Mapping[str, TokenTrack], config: ReaderConfig, seed: int) -> Points:
    """The mean of a few readers of the same tokens: how a reader starts matters too."""
    return np.mean([reading(asked, tracks, config, READERS * seed + k) for k in range(READERS)], axis=0)


def _row(
    name: str, ablation: str, value: float | None, between: tuple[float, float] | None, beside: dict[str, float],
    split: str, command: str,
) -> Row:  # fmt: skip
    published = {"paper (BABEL-QA)": PUBLISHED[ablation]} if name == "questions" and ablation in PUBLISHED else {}
    return Row(f"{name}_{ablation}", value, "correct", between, beside | published, "the paper's order", split, command)


def _split(asked: QuestionSet, kept: Array, found: Mapping[str, Sequence[Points]], ablation: str) -> str:
    """What a row was measured on, how sure it is over clips, and how far the full recipe lies ahead of it."""
    clips = [q.clip for q, k in zip(asked.test, kept, strict=True) if k]
    learned = len(asked.train)
    said = [
        f"{len(clips)} closed questions on {len(set(clips))} clips of held-out people, held-out wordings",
        f"{READERS} small readers of each model's frozen tokens, trained on {learned} questions (our choice: the paper "
        "tunes a language model)",
        f"{asked.left_out:.0%} of the questions left out, {asked.out_of_reach:.0%} out of their reach",
    ]
    own, full = found.get(ablation, ()), found.get("full", ())
    if own and clips:
        mean = np.mean(own, axis=0)[kept]
        spread = _between(interval(clips, mean.tolist()))
        said.append(f"runs: {len(own)}, interval: their range where there are several; over clips {spread}")
        if full and ablation != "full":
            ahead = compare("exact", clips, np.mean(full, axis=0)[kept].tolist(), mean.tolist())
            said.append(
                f"all terms less this {ahead.difference:+.4f} {_between(ahead.interval)}, p = {ahead.p_value:.3f} "
                "(one-sided, over clips)"
            )
    return "; ".join(said)


def _between(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"[{ends[0]:.3f}, {ends[1]:.3f}]"

"""What the official scripts compute, stated again from the raw files, to compare our scorer with.

Nothing of the reading, joining and scoring modules is used here and no code is taken over; only the arithmetic is the
scripts': ActivityNet-QA's `eval.py` counts equal strings by type and gets "Free" wrong; BABEL-QA's (and IMoRe's)
validation compares the position of the highest score in the queried attribute's vocabulary with the answer's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from motionqa.eval.benchmark import Row
from motionqa.eval.qa.activitynet_qa import TYPES
from motionqa.eval.qa.protocols import CLOSED_SET, EXACT
from motionqa.eval.qa.question import Benchmark, Prediction
from motionqa.eval.qa.registry import read_benchmark
from motionqa.eval.qa.scoring import Table, score_predictions

Array = np.ndarray

Figures = dict[str, float]
"""Accuracy by row: `all`, types, relations, and ActivityNet-QA's faulty Free."""

FAULTY_FREE = "Free, as the official script has it (faulty)"
RUNS = 1000


def activitynet_official(answers: Sequence[Mapping[str, Any]], predicted: Sequence[Mapping[str, Any]]) -> Figures:
    """The figures of the official script from the answers file's entries and a predictions file's."""
    truth = {entry["question_id"]: (entry["type"], entry["answer"]) for entry in answers}
    asked: dict[int, int] = {}
    for entry in answers:
        asked[entry["type"]] = asked.get(entry["type"], 0) + 1
    right = dict.fromkeys(range(9), 0)
    for entry in predicted:
        kind, answer = truth[entry["question_id"]]
        right[kind] += entry["answer"] == answer
    figures = {TYPES[t]: right[t] / count for t, count in asked.items()}
    figures["all"] = sum(right.values()) / len(answers)
    # The fault: the divisor skips the three types seen first in the file, whichever they are.
    if skipped := list(asked.values())[3:]:
        figures[FAULTY_FREE] = sum(right[t] for t in range(3, 9)) / sum(skipped)
    return figures


def babelqa_official(
    entries: Sequence[Sequence[Any]],
    vocabularies: Mapping[str, Mapping[str, int]],
    scores: Mapping[str, Float[Array, "V"]],
) -> Figures:
    """Accuracy by query and relation from a split's entries and each question's scores in the vocabulary's order."""
    hits: dict[str, list[bool]] = {"all": []}
    for question_id, _, program, _, answer in entries:
        attribute = program[-1].split("=query_")[1].split("(")[0]
        related = "".join(line for line in program if "=relate(" in line)
        sides = [side for side in ("before", "after") if f", {side})" in related]
        relation = "in-between" if len(sides) == 2 else sides[0] if sides else "none"
        hit = int(np.argmax(scores[question_id])) == vocabularies[attribute][answer]
        for row in ("all", attribute.replace("_", " "), relation):
            hits.setdefault(row, []).append(hit)
    return {row: sum(values) / len(values) for row, values in hits.items()}


# --------------------------------------------------------------------------------------------------- parity


def parity(data: Path, name: str, split: str = "test", runs: int = RUNS, seed: int = 0) -> tuple[Row, ...]:
    """How many figures of our scorer differ from the official script's, for three kinds of input; the goal is 0.

    `name` is activitynet_qa or babel_qa, `data` its folder. Fed with the ground truth, the answers shuffled among the
    questions, and `runs` random prediction files. Differences are counted over all files and rows, exactly, without a
    tolerance.
    """
    benchmark = read_benchmark(name, data, split)
    both = {"activitynet_qa": _activitynet, "babel_qa": _babelqa}[name](data, split, benchmark)
    rng = np.random.default_rng(seed)
    rows = []
    for feed, times in (("ground truth", 1), ("shuffled answers", 1), ("random predictions", runs)):
        differ = compared = 0
        widest = 0.0
        for _ in range(times):
            ours, official = both(feed, rng)
            shared = official.keys() & {f.row for f in ours.figures}
            gaps = [abs(ours.figure(ours.figures[0].protocol, row).value - official[row]) for row in shared]
            # A row that only one side has counts as a difference too.
            differ += sum(gap != 0 for gap in gaps) + len(official.keys() - shared)
            compared += len(official)
            widest = max([widest, *gaps])
        about = f"{name} {split}, {times} file{'s' if times > 1 else ''}, {compared} figures"
        rows.append(
            Row(f"{name} parity: {feed}", float(differ), "differ", None, {"largest difference": widest}, "= 0", about)
        )
    return tuple(rows)


Both = Callable[[str, np.random.Generator], tuple[Table, Figures]]


def _activitynet(data: Path, split: str, benchmark: Benchmark) -> Both:
    answers = json.loads((data / f"{split}_a.json").read_text())
    texts = [entry["answer"] for entry in answers]
    pool = sorted(set(texts))

    def both(feed: str, rng: np.random.Generator) -> tuple[Table, Figures]:
        given = _fed(feed, rng, texts, [pool] * len(texts))
        predicted = [{"question_id": e["question_id"], "answer": a} for e, a in zip(answers, given, strict=True)]
        mine = [Prediction(e["question_id"], e["answer"]) for e in predicted]
        table = score_predictions(benchmark, mine, protocols=(EXACT,), resamples=0).table
        return table, activitynet_official(answers, predicted)

    return both


def _babelqa(data: Path, split: str, benchmark: Benchmark) -> Both:
    entries = json.loads((data / f"BABELQA_{split}.json").read_text())
    attributes = ("action", "direction", "body_part")
    vocabularies = {a: json.loads((data / f"BABELQA_{a}_answer_vocab.json").read_text()) for a in attributes}
    words = {a: sorted(v, key=v.__getitem__) for a, v in vocabularies.items()}
    own = [words[e[2][-1].split("=query_")[1].split("(")[0]] for e in entries]

    def both(feed: str, rng: np.random.Generator) -> tuple[Table, Figures]:
        given = _fed(feed, rng, [e[4] for e in entries], own)
        scores, mine = {}, []
        for entry, answer, options in zip(entries, given, own, strict=True):
            likely = rng.normal(size=len(options)) - 5.0
            if answer in options:  # a shuffled answer may be of another attribute: then the highest noise wins
                likely[options.index(answer)] = 5.0
            scores[entry[0]] = likely
            mine.append(Prediction(entry[0], answer, dict(zip(options, map(float, likely), strict=True))))
        table = score_predictions(benchmark, mine, protocols=(CLOSED_SET,), resamples=0).table
        return table, babelqa_official(entries, vocabularies, scores)

    return both


def _fed(feed: str, rng: np.random.Generator, truth: Sequence[str], pools: Sequence[Sequence[str]]) -> list[str]:
    if feed == "ground truth":
        return list(truth)
    if feed == "shuffled answers":
        return [truth[int(i)] for i in rng.permutation(len(truth))]
    return [str(pool[int(i * len(pool))]) for pool, i in zip(pools, rng.random(len(pools)), strict=True)]

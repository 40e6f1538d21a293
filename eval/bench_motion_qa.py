"""`make bench-motion_qa`: the assistant on the project's own benchmark, its blind baselines and its ablations.

    python -m motionqa.eval.build_motion_qa --mocap MOCAP_FOLDER --out DATA
    python -m motionqa.eval.bench_motion_qa --data DATA --out RUNS

Predictions go through the steps of `motionqa eval motion_qa` and are kept in RUNS, one folder an arm, so that a second
run answers only what is open. Captions and speed have their own modules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from motionqa.assistant.llm import EMBEDDED_NAME
from motionqa.assistant.session import Engine, load_engine
from motionqa.eval.benchmark import Row, publish, published
from motionqa.eval.measured_counts import KinematicsPredictor, asks_for_steps
from motionqa.eval.qa.blind import BLIND
from motionqa.eval.qa.motion_qa import TOLERANT, numbers, read_motion_qa, wordings_of
from motionqa.eval.qa.predict import Predictor, predict
from motionqa.eval.qa.predictions import MERGED, read_predictions
from motionqa.eval.qa.predictors import (
    UNMEASURED,
    WRITTEN,
    AnswerConfig,
    AssistantPredictor,
    RulePredictor,
    blind_model_predictor,
)
from motionqa.eval.qa.question import Benchmark, Prediction, Question
from motionqa.eval.qa.statistics import compare, interval

COMMAND = "make bench-motion_qa MOTION_QA=DATA"
SAME = "both, on the questions of the other models"
KINEMATICS = "kinematics alone"
ARMS = ("both", "words", "tokens", "untuned", "blind model", *BLIND, KINEMATICS)
SIDED = ("side", "direction", "turn", "which_hand_above", "true_side", "true_direction")
REFUSED = ("refusal", "not_visible")
MARKS = {
    "answers with an unmeasured number or side": UNMEASURED,
    "answers that gave way to the measured one": WRITTEN,
}
NO_ANSWER = ("cannot be judged", "not visible", "cannot tell", "can not be judged")


@dataclass(frozen=True)
class BenchConfig:
    """Where the benchmark is, and which arms are run."""

    data: Path
    out: Path
    llm: str | None = None
    """The assistant's directory; the released one by default."""
    arms: tuple[str, ...] = ARMS
    ablated: int | None = None
    """Arms that run a language model beside the assistant answer so many questions, evenly drawn; all by default."""
    limit: int | None = None
    """Only so many questions, evenly drawn: for trying out."""


@dataclass(frozen=True, eq=False)
class Arm:
    """What one arm answered, and how right it was."""

    questions: Sequence[Question]
    answers: Mapping[str, str]
    scores: Mapping[str, float]
    about: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What else is known of an answer, by the question's id."""

    def mean(self, keep: Callable[[Question], bool] = lambda q: True) -> float:
        """Mean score over some questions; NaN without any."""
        kept = [self.scores[q.id] for q in self.questions if keep(q) and q.id in self.scores]
        return float(np.mean(kept)) if kept else float("nan")

    def interval(self, keep: Callable[[Question], bool] = lambda q: True) -> tuple[float, float] | None:
        """95 % of that mean, drawing clips."""
        some = [q for q in self.questions if keep(q) and q.id in self.scores]
        return interval([q.clip for q in some], [self.scores[q.id] for q in some]) if some else None


def run_arms(benchmark: Benchmark, config: BenchConfig) -> dict[str, Arm]:
    """Every arm's answers, from its folder or newly predicted."""

    @cache
    def engine(llm: str | None) -> Engine:
        return load_engine(llm)

    def predictor(name: str) -> Predictor:
        if name in BLIND:
            return RulePredictor(name, benchmark)
        if name == "blind model":
            return blind_model_predictor(engine(EMBEDDED_NAME).llm)
        if name == KINEMATICS:
            return KinematicsPredictor(engine(config.llm).encoder, asks_for_steps(config.data))
        work = config.out / "work"
        if name == "untuned":
            return AssistantPredictor(engine(EMBEDDED_NAME), work)
        return AssistantPredictor(engine(config.llm), work, AnswerConfig(max_new_tokens=40, clip=name))  # type: ignore[arg-type]

    arms = {}
    for name in config.arms:
        asked = _asked(benchmark, name, config)
        folder = config.out / name.replace(" ", "_")
        predict(asked, predictor(name), folder, progress=_progress(name))
        arms[name] = scored(asked, read_predictions(folder / MERGED))
        print(f"{name}: {arms[name].mean():.3f} of {len(asked.questions)}", flush=True)
    if config.ablated and "both" in arms:
        some = evenly(benchmark, config.ablated).questions
        arms[SAME] = replace(arms["both"], questions=some)
    return arms


def _asked(benchmark: Benchmark, arm: str, config: BenchConfig) -> Benchmark:
    """The questions that an arm answers."""
    if arm == KINEMATICS:
        return replace(benchmark, questions=tuple(q for q in benchmark.questions if q.type == "count"))
    return benchmark if arm == "both" or arm in BLIND else evenly(benchmark, config.ablated)


def _progress(name: str) -> Callable[[int, int, float], None]:
    def told(done: int, of: int, seconds: float) -> None:
        if done % 200 == 0:
            print(f"{name}: {done}/{of} after {seconds:.0f} s", flush=True)

    return told


def scored(benchmark: Benchmark, given: Sequence[Prediction]) -> Arm:
    """Answers and scores by question; a failed prediction has no score."""
    by_id = {p.id: p for p in given}
    right = {q.id: TOLERANT.score(q, by_id[q.id]) for q in benchmark.questions if not by_id[q.id].error}
    return Arm(benchmark.questions, {p.id: p.answer for p in given}, right, {p.id: p.about for p in given})


# --------------------------------------------------------------------------------------------------- rows


def row(
    name: str, arms: Mapping[str, Arm], value: Callable[[Arm], float], goal: str, split: str, unit: str = "exact",
    between: tuple[float, float] | None = None,
) -> Row:  # fmt: skip
    """One figure of the assistant with every other arm's beside it."""
    beside = {k: round(value(a), 4) for k, a in arms.items() if k != "both"}
    return Row(name, round(value(arms["both"]), 4), unit, between, beside, goal, split, COMMAND)


def rows_of(arms: Mapping[str, Arm], split: str, wordings: Mapping[str, str] | None = None) -> list[Row]:
    """The table from what the arms answered; `wordings` of the questions by id."""
    both, counting = arms["both"], arms
    arms = {k: v for k, v in arms.items() if k != KINEMATICS}  # it only counts

    def mean(name: str, keep: Callable[[Question], bool], goal: str = "", unit: str = "exact") -> Row:
        return row(name, arms, lambda a: a.mean(keep), goal, split, unit, both.interval(keep))

    out = [mean("overall", _closed, ">= 0.85"), *_above_blind(arms, split)]
    out += [mean(f"overall, {part} clips", _in_part(part)) for part in ("exact", "filmed", "single", "joined")]
    if wordings:
        out.append(_by_wording(arms, split, wordings))
    out += _counting(counting, split)
    out.append(mean("left/right and direction", _of_kind(*SIDED), ">= 0.90"))
    out.append(row("true/false, balanced accuracy", arms, balanced, ">= 0.85", split, "share"))
    out.append(row("refusals where nothing can be judged", arms, partial(refusing, True), ">= 0.90", split, "share"))
    out.append(row("false refusals", arms, partial(refusing, False), "<= 0.03", split, "share"))
    out.append(
        row("answers with an unmeasured number or side", arms, partial(share_with, UNMEASURED), "", split, "share")
    )
    out.append(row("answers that gave way to the measured one", arms, partial(share_with, WRITTEN), "", split, "share"))
    for kind in sorted({q.type for q in both.questions if _closed(q)}):
        keep = _of_kind(kind)
        out.append(mean(f"kind {kind}", keep, unit=f"exact, n={sum(map(keep, both.questions))}"))
    return out


def _by_wording(arms: Mapping[str, Arm], split: str, wordings: Mapping[str, str]) -> Row:
    """The overall score again: between which bounds it would lie with other wordings of the same kinds."""
    both = arms["both"]
    some = [q for q in both.questions if _closed(q) and q.id in both.scores]
    between = interval([wordings[q.id] for q in some], [both.scores[q.id] for q in some])
    split = f"{split}; this interval: over {len({wordings[q.id] for q in some})} wordings"
    return row("overall, drawing wordings", arms, lambda a: a.mean(_closed), "", split, between=between)


def _above_blind(arms: Mapping[str, Arm], split: str) -> list[Row]:
    both, blind = arms["both"], {k: v for k, v in arms.items() if k in (*BLIND, "blind model")}
    if not blind:
        return []
    best = max(blind, key=lambda k: blind[k].mean(_closed))
    shared = [q for q in both.questions if _closed(q) and q.id in both.scores and q.id in blind[best].scores]
    a, b = ([arm.scores[q.id] for q in shared] for arm in (both, blind[best]))
    against = compare("exact", [q.clip for q in shared], a, b)
    beside = {best: round(blind[best].mean(_closed), 4)}
    name = "above the best blind baseline"
    return [Row(name, round(against.difference, 4), "exact", against.interval, beside, ">= 0.35", split, COMMAND)]


def _closed(question: Question) -> bool:
    """Captions have no one right wording; `motion_captions` scores them."""
    return question.type != "caption"


def _in_part(part: str) -> Callable[[Question], bool]:
    return lambda q: part in q.clip.split("-") and _closed(q)


def _of_kind(*kinds: str) -> Callable[[Question], bool]:
    return lambda q: q.type in kinds


def off_by(arm: Arm, keep: Callable[[Question], bool]) -> np.ndarray:
    """How far each count is from the truth; infinity where no number was said."""
    out = []
    for q in arm.questions:
        if keep(q) and q.id in arm.scores:
            said, right = numbers(_digits(arm.answers[q.id])), numbers(_digits(q.answer))
            out.append(abs(said[0] - right[0]) if said and right else np.inf)
    return np.array(out)


def _digits(text: str) -> str:
    from motionqa.eval.qa.protocols import normalise

    return text if any(c.isdigit() for c in text) else normalise(text)


def _counting(arms: Mapping[str, Arm], split: str) -> list[Row]:
    keep = _of_kind("count")
    count = len(off_by(arms["both"], keep))
    if not count:
        return []
    unit = f"share, n={count}"
    return [
        row("counting, off by at most one", arms, lambda a: _within(off_by(a, keep), 1), ">= 0.95", split, unit),
        row("counting, exact", arms, lambda a: _within(off_by(a, keep), 0), ">= 0.85", split, unit),
    ]


def _within(off: np.ndarray, most: int) -> float:
    return float((off <= most).mean())


def balanced(arm: Arm) -> float:
    """Mean of the accuracies on questions whose answer is yes and whose answer is no."""
    return float(np.mean([arm.mean(lambda q, a=a: q.answer == a) for a in ("yes", "no")]))


def refusing(where: bool, arm: Arm) -> float:
    """Share of refusals among questions that must be refused, or among all others."""
    asked = _of_kind(*REFUSED)
    kept = [q for q in arm.questions if asked(q) == where and q.id in arm.scores]
    return float(np.mean([any(w in arm.answers[q.id] for w in NO_ANSWER) for q in kept])) if kept else float("nan")


def share_with(mark: str, arm: Arm) -> float:
    """Share of the answers that have something under this name in `Prediction.about`."""
    return float(np.mean([bool(arm.about.get(q.id, {}).get(mark)) for q in arm.questions if q.id in arm.scores]))


def evenly(benchmark: Benchmark, limit: int | None) -> Benchmark:
    """So many questions, evenly spread over the file."""
    if limit is None or limit >= len(benchmark.questions):
        return benchmark
    chosen = np.linspace(0, len(benchmark.questions) - 1, limit).astype(int)
    return replace(benchmark, questions=tuple(benchmark.questions[i] for i in chosen))


def main(config: BenchConfig) -> None:
    """Runs the arms, prints the table and writes `docs/benchmarks/motion_qa.json`."""
    benchmark = evenly(read_motion_qa(config.data), config.limit)
    arms = run_arms(benchmark, config)
    clips = len({q.clip for q in benchmark.questions})
    split = (
        f"{len(benchmark.questions)} questions on {clips} clips of held-out people and styles, half of them filmed "
        "virtually, held-out phrasings; intervals: 95 % bootstrap over clips"
    )
    if config.ablated:
        split += f"; words, tokens, untuned and blind model on {config.ablated} of them, evenly drawn"
    kept = {} if config.limit else published("motion_qa")
    rows = {**kept, **{r.id: r for r in rows_of(arms, split, wordings_of(config.data))}}
    if config.limit:
        for r in rows.values():
            print(f"{r.id:40} {r.value:.3f} {r.baselines}")
        return
    publish("motion_qa", list(rows.values()))


if __name__ == "__main__":
    main(tyro.cli(BenchConfig))

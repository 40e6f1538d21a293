"""The steps of `motionqa eval` after predicting; each reads what the one before left in the folder.

Score joins predictions with questions, report adds blind baselines and published figures; a judge's verdicts are used
by both where they are there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from motionqa.data.schema import InputError
from motionqa.eval.qa.blind import BLIND
from motionqa.eval.qa.judge import Judged, answer_sha256, judged_protocol, load_judged
from motionqa.eval.qa.manifest import questions_sha256, read_manifest
from motionqa.eval.qa.official_files import some
from motionqa.eval.qa.offline_judge import Agreement, OfflineJudge, agreement, labelled_pairs, offline_protocol
from motionqa.eval.qa.predictions import MERGED, read_predictions, write_whole
from motionqa.eval.qa.question import Benchmark, ClipFile, Prediction, Protocol
from motionqa.eval.qa.report import Failure, Run, write_report
from motionqa.eval.qa.scoring import Scored, beats, restricted, score_predictions, worst

Strip = Callable[[ClipFile], str]
"""Draws a clip's strip of skeletons as a `data:` address; InputError where it can not."""


def cut_to(benchmark: Benchmark, limit: int | None) -> Benchmark:
    """The first `limit` questions, with a note that says so; all of them for None. InputError for less than one."""
    if limit is None or limit >= len(benchmark.questions):
        return benchmark
    if limit < 1:
        raise InputError(f"The limit is {limit}, expected at least 1 question.")
    note = f"only the first {limit} of {len(benchmark.questions)} questions: no figure of the benchmark"
    return replace(benchmark, questions=benchmark.questions[:limit], notes=(*benchmark.notes, note))


def check_run(out: Path, benchmark: Benchmark) -> Mapping[str, Any]:
    """The run's manifest. InputError where the folder holds answers to other questions."""
    manifest = read_manifest(out)
    run = manifest["run"]
    asked = (benchmark.name, benchmark.split, len(benchmark.questions), questions_sha256(benchmark.questions))
    there = tuple(run.get(k) for k in ("benchmark", "split", "questions", "questions_sha256"))
    if there != asked:
        raise InputError(
            f"{out} holds answers to {there[2]} questions of {there[0]} {there[1]} ({str(there[3])[:12]}), this "
            f"command is about {asked[2]} of {asked[0]} {asked[1]} ({asked[3][:12]}). "
            "Give the same --data, --split and --limit."
        )
    return manifest


@dataclass(frozen=True)
class ScoreConfig:
    """What is scored beside the benchmark's own protocols."""

    partial: bool = False
    """Score although questions have no prediction."""
    offline: OfflineJudge | None = None
    """For questions with free answers."""
    protocols: tuple[Protocol, ...] = ()


def score_run(benchmark: Benchmark, out: Path, config: ScoreConfig, predictions: Path | None = None) -> Scored:
    """Scores the run in a folder, or somebody's predictions file, and keeps `scores.json`.

    InputError for ids that do not fit, and where the folder is another benchmark's.
    """
    if predictions is None:
        check_run(out, benchmark)
    given = read_predictions(predictions or out / MERGED)
    scored = score_given(benchmark, given, config)
    for judged in judged_in(out):
        scored = _joined(scored, _by_judge(benchmark, given, judged))
    write_whole(out / "scores.json", json.dumps(asdict(scored), indent=1, ensure_ascii=False) + "\n")
    return scored


def score_given(benchmark: Benchmark, given: Sequence[Prediction], config: ScoreConfig) -> Scored:
    """The benchmark's protocols and, for free answers, the offline judge."""
    protocols = list(benchmark.protocols)
    if config.offline and any(not q.options for q in benchmark.questions):
        protocols.append(offline_protocol(config.offline))
    return score_predictions(benchmark, given, partial=config.partial, protocols=protocols)


def judged_in(out: Path) -> tuple[Judged, ...]:
    """Verdicts of every judge that the run was before."""
    return tuple(load_judged(path) for path in sorted(out.glob("judged-*.json")))


def _by_judge(benchmark: Benchmark, given: Iterable[Prediction], judged: Judged) -> Scored:
    """Scored on the questions that this judge gave a verdict on, and on no others."""
    protocol, ids = judged_protocol(judged)
    other = [p.id for p in given if p.id in ids and judged.answers_sha256.get(p.id) != answer_sha256(p)]
    if other:
        raise InputError(
            f"{judged.judge} judged other answers than these: {some(other, 'question', 'questions')} changed. Run the "
            "judge step again (replies it has are not paid for twice), or delete its file"
        )
    asked = replace(benchmark, questions=tuple(q for q in benchmark.questions if q.id in ids), aggregates=(), notes=())
    return score_predictions(asked, [p for p in given if p.id in ids], partial=True, protocols=[protocol])


def _joined(a: Scored, b: Scored) -> Scored:
    """The table of `a` with the figures of `b` below."""
    table = replace(a.table, figures=(*a.table.figures, *b.table.figures), skipped=(*a.table.skipped, *b.table.skipped))
    return Scored(table, {**a.scores, **b.scores}, {**a.clips, **b.clips})


# -------------------------------------------------------------------------------------------- report


def blind_runs(benchmark: Benchmark, config: ScoreConfig, others: Sequence[Path] = ()) -> dict[str, Scored]:
    """Majority and look-up, learned from the training questions, and other runs' folders, by name."""
    found: dict[str, Scored] = {}
    for name, learn in BLIND.items() if benchmark.training else ():
        rule = learn(benchmark.training)
        given = [_or_error(rule, question) for question in benchmark.questions]
        found[f"blind: {name}"] = score_given(benchmark, given, config)
    for folder in others:
        manifest = check_run(folder, benchmark)
        predictor = manifest["run"]["predictor"]
        name = ", ".join(str(predictor[k]) for k in ("kind", "llm") if k in predictor)
        found[name if name not in found else f"{name} ({folder})"] = score_given(
            benchmark, read_predictions(folder / MERGED), config
        )
    return found


def _or_error(rule: Callable[..., Prediction], question: Any) -> Prediction:
    try:
        return rule(question)
    except InputError as error:
        return Prediction(question.id, error=str(error))


def report_run(
    benchmark: Benchmark,
    out: Path,
    config: ScoreConfig,
    *,
    predictions: Path | None = None,
    others: Sequence[Path] = (),
    strip: Strip | None = None,
    worst_answers: int = 8,
) -> tuple[Path, Path, Path]:
    """Scores and writes report.html, report.md and report.json; returns their paths. InputError as for `score_run`."""
    scored = score_run(benchmark, out, config, predictions)
    manifest = read_manifest(out) if predictions is None else {"run": {"predictor": {"kind": str(predictions)}}}
    kind = str(manifest["run"]["predictor"].get("kind", ""))
    blind = {n: s for n, s in blind_runs(benchmark, config, others).items() if n != kind}
    protocol = next(iter(scored.scores), None)
    comparisons, notes = {}, []
    for name, other in blind.items():
        if protocol in other.scores and protocol is not None:
            shared = set(scored.scores[protocol]) & set(other.scores[protocol])
            comparisons[name] = beats(restricted(scored, shared), restricted(other, shared), protocol)
    if protocol is None:
        notes.append("no protocol could be scored")
    given = read_predictions(predictions or out / MERGED)
    failures = _failures(benchmark, scored, protocol, given, strip, worst_answers) if protocol else ()
    used = _offline_agreement(config) if "offline judge" in scored.scores else None
    run = Run(benchmark, scored, manifest, blind, comparisons, judged_in(out), used, failures, tuple(notes))
    return write_report(run, out)


def _offline_agreement(config: ScoreConfig) -> Agreement | None:
    return agreement(config.offline, labelled_pairs("reported")) if config.offline else None


def _failures(
    benchmark: Benchmark, scored: Scored, protocol: str, given: Iterable[Prediction], strip: Strip | None, count: int
) -> tuple[Failure, ...]:
    """The worst answers with their clips' strips; a clip that can not be drawn says why."""
    questions = {q.id: q for q in benchmark.questions}
    answers = {p.id: p for p in given}
    found = []
    for id in worst(scored, protocol, count):
        score = scored.scores[protocol][id]
        if score >= 1:
            break
        picture, why = "", ""
        if strip is not None:
            try:
                picture = strip(benchmark.clip_file(questions[id]))
            except Exception as error:  # a picture must not cost the report; why it is missing stands in its place
                why = str(error)
        found.append(Failure(questions[id], answers[id], score, picture, why))
    return tuple(found)

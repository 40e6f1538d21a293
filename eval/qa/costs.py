"""What one clip costs at each step of a run: seconds of one processor and bytes, for planning larger runs.

Seconds are the process's own (`time.process_time`), so that what else the machine does is not counted; waiting for a
disk or a server is not either.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from motionqa.eval.benchmark import Row, median_row
from motionqa.eval.qa.predict import GroupPredictor, predict
from motionqa.eval.qa.predictors import AssistantPredictor, blind_model_predictor
from motionqa.eval.qa.question import Benchmark
from motionqa.eval.qa.steps import ScoreConfig, report_run, score_run
from motionqa.eval.qa.workers import CACHE_BYTES

COMMAND = "make bench-eval ARGS='--rows costs'"


def cost_rows(clips: Benchmark, benchmark: Benchmark, questions: int = 4) -> list[Row]:
    """Encoding, answering and storing for each of `clips` (videos), and scoring all of `benchmark`'s questions."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_clip_rows(clips, Path(folder), questions), *_score_rows(benchmark, Path(folder) / "run")]


def _clip_rows(clips: Benchmark, folder: Path, questions: int) -> list[Row]:
    from motionqa.assistant.llm import EMBEDDED_NAME, load_llm
    from motionqa.assistant.released import clip_encoder
    from motionqa.assistant.session import load_engine
    from motionqa.data.cache import EncodingCache

    engine = load_engine()
    cache = EncodingCache(folder / "cache", CACHE_BYTES)
    engine = replace(engine, encoder=clip_encoder(engine.encoder.config, cache))
    predictor, plain = AssistantPredictor(engine, folder / "clips"), load_llm(EMBEDDED_NAME)
    blind = blind_model_predictor(plain)
    assert isinstance(blind, GroupPredictor)  # the embedded model runs on this machine
    encoding, again, answering, side_by_side = [], [], [], []
    for k, question in enumerate(clips.questions):
        file = clips.clip_file(question)
        first = _seconds(lambda file=file: predictor.look_at(file))
        again.append(_seconds(lambda file=file: predictor.look_at(file)))
        answer = predictor.look_at(file)
        asked = [replace(question, id=f"{question.id}-{i}", text=f"{question.text} {i}?") for i in range(questions)]
        spent = [_seconds(lambda q=q, answer=answer: answer(q)) for q in asked]
        together = _seconds(lambda asked=asked: blind.answer_together(asked)) / questions
        if k:  # the first clip also loads the libraries
            encoding.append(first)
            answering += spent
            side_by_side.append(together)
    size = [p.stat().st_size / 1000 for p in (folder / "cache").glob("*.safetensors")]
    seconds = "s of one core"
    models = f"{engine.llm.name}, blind {plain.name}"
    split = f"{len(clips.questions) - 1} drawn videos, 640 x 480, 30 fps, about 4 s each; {models}"
    return [
        median_row("a clip: encoding", encoding, seconds, split=split, command=COMMAND),
        median_row("a clip: found in the cache", again[1:], seconds, split=split, command=COMMAND),
        median_row("a clip: its encoding on disk", size, "kB", split=split, command=COMMAND),
        median_row("a question: answered about the clip", answering, seconds, split=split, command=COMMAND),
        median_row("a question: answered blind, side by side", side_by_side, seconds, split=split, command=COMMAND),
    ]


def _score_rows(benchmark: Benchmark, out: Path) -> list[Row]:
    from motionqa.eval.qa.predictors import RulePredictor

    predicting = _seconds(lambda: predict(benchmark, RulePredictor("lookup", benchmark), out))
    size = (out / "predictions.jsonl").stat().st_size / len(benchmark.questions)
    scoring = _seconds(lambda: score_run(benchmark, out, ScoreConfig()))
    reporting = _seconds(lambda: report_run(benchmark, out, ScoreConfig()))
    split = f"{benchmark.name} {benchmark.split}, {len(benchmark.questions)} questions, look-up"
    thousand = 1000 / len(benchmark.questions)
    return [
        Row("1,000 questions: written, merged", round(predicting * thousand, 4), "s of one core", split=split,
            command=COMMAND),
        Row("1,000 questions: scored with intervals", round(scoring * thousand, 4), "s of one core", split=split,
            command=COMMAND),
        Row("1,000 questions: report with baselines", round(reporting * thousand, 4), "s of one core", split=split,
            command=COMMAND),
        Row("a question: its line", round(size, 1), "bytes", split=split, command=COMMAND),
    ]  # fmt: skip


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started

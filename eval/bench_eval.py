"""What the evaluator is trusted for, measured: parity with official scripts, blind baselines, kills, workers, overhead.

`make bench-eval DATA=...` runs the rows asked for (all but the hours-long language-only run by default) and keeps the
others from the run before. DATA holds the official files in `babel_qa/` and `activitynet_qa/`.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from motionqa.assistant.llm import LanguageModel
from motionqa.eval.benchmark import Row, median_row, publish, published
from motionqa.eval.qa.predict import predict
from motionqa.eval.qa.predictors import BlindModelPredictor, RulePredictor, blind_model_predictor
from motionqa.eval.qa.question import Benchmark, Question
from motionqa.eval.qa.registry import read_benchmark
from motionqa.eval.qa.steps import ScoreConfig, cut_to, score_given, score_run
from motionqa.eval.qa.workers import Encoded, encode_clips

COMMAND = "make bench-eval"
Part = Literal["parity", "blind", "language", "kills", "workers", "overhead", "costs"]
DEFAULT: tuple[Part, ...] = ("parity", "blind", "kills", "workers", "overhead")
PUBLISHED_BLIND = {
    ("babel_qa", "majority"): (0.341, "0.341"),
    ("babel_qa", "lookup"): (0.440, "0.440"),
    ("activitynet_qa", "majority"): (0.243, "0.243"),
    ("activitynet_qa", "lookup"): (0.269, "0.269"),
}


def parity_rows(data: Path) -> list[Row]:
    """Figures of our scorer that differ from the official scripts' on truth, shuffled and random answers; goal 0."""
    from motionqa.eval.qa.official import parity

    return [
        replace(row, command=COMMAND) for name in ("babel_qa", "activitynet_qa") for row in parity(data / name, name)
    ]


def blind_rows(data: Path) -> list[Row]:
    """Majority by type and question look-up by exact string, with intervals, beside the published figures."""
    rows = []
    for (name, rule), (value, goal) in PUBLISHED_BLIND.items():
        benchmark = read_benchmark(name, data / name)
        with tempfile.TemporaryDirectory() as folder:
            account = predict(benchmark, RulePredictor(rule, benchmark), Path(folder))
            figure = score_given(benchmark, account.merged.predictions, ScoreConfig()).table.figure("exact string")
        rows.append(
            Row(f"blind {rule}, {name}", round(figure.value, 4), "exact", figure.interval, {"published": value}, goal,
                f"{name} test, {figure.n} questions", COMMAND)
        )  # fmt: skip
    return rows


def language_rows(data: Path, runs: Path) -> list[Row]:
    """A language model without the video on all of ActivityNet-QA's test questions; resumed where it was stopped.

    The embedded model as it came, and tuned on the training questions where the folder `blind` of `runs` is a run of
    `motionqa.finetune.train_blind`.
    """
    from motionqa.assistant.embedder import SentenceEmbedder
    from motionqa.assistant.llm import EMBEDDED_NAME, LocalModel, load_llm
    from motionqa.eval.qa.offline_judge import OfflineJudge

    benchmark = read_benchmark("activitynet_qa", data / "activitynet_qa")
    models: dict[str, LanguageModel] = {"untuned": load_llm(EMBEDDED_NAME)}
    tuned = runs / "blind" / "model"
    if tuned.is_dir():
        weights = hashlib.sha256((tuned / "model.safetensors").read_bytes()).hexdigest()[:12]
        models["tuned"] = LocalModel(tuned, name=f"{EMBEDDED_NAME}, tuned blind ({weights})")
    rows = []
    for how, model in models.items():
        out = runs / f"activitynet_qa-blind-lm-{how}"
        account = predict(benchmark, blind_model_predictor(model), out, progress=_progress)
        print(account)
        if account.merged.missing:
            continue
        scored = score_run(benchmark, out, ScoreConfig(offline=OfflineJudge(SentenceEmbedder())))
        split = f"activitynet_qa test, {scored.table.answered} questions, {EMBEDDED_NAME} {how}, no video"
        rows += [
            Row(f"language only, {how}, {f.protocol}", round(f.value, 4), "share right", f.interval, {},
                "reported as blind", split, COMMAND)
            for f in scored.table.figures if f.kind == "overall"
        ]  # fmt: skip
    return rows


def _progress(done: int, total: int, seconds: float) -> None:
    if done % 100 == 0 or done == total:
        print(f"{done} of {total}, {seconds / done * (total - done):.0f} s left", flush=True)


# --------------------------------------------------------------------------------------------- kills


def kill_rows(data: Path, kills: int = 20, questions: int = 60, seed: int = 0) -> list[Row]:
    """The real command with the language model, killed at random moments; 1 where the bytes are those of one run.

    A run that ends before its next kill is compared and begun anew, until there were so many kills.
    """
    with tempfile.TemporaryDirectory() as folder:
        whole, broken = Path(folder) / "whole", Path(folder) / "broken"
        started = time.perf_counter()
        _command(data, whole, questions).wait()
        seconds = time.perf_counter() - started
        rng, runs, same = random.Random(seed), 0, True
        left = kills
        while left:
            run = _command(data, broken, questions)
            try:
                # Most of the time is loading; a run that gets further each time should still be there at the end.
                run.wait(rng.uniform(0.2, 0.95) * seconds * (1 - (left - 1) / kills))
            except subprocess.TimeoutExpired:
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()
                left -= 1
            else:
                same, runs = same and _same_predictions(whole, broken), runs + 1
                shutil.rmtree(broken)
        _command(data, broken, questions).wait()
        same, runs = same and _same_predictions(whole, broken), runs + 1
    split = f"babel_qa test, first {questions} questions, language model without the clip; {runs} runs, {kills} kills"
    return [Row("killed at random moments, byte-equal", float(same), "1 = equal", None, {}, "1", split, COMMAND)]


def _same_predictions(one: Path, other: Path) -> bool:
    return (one / "predictions.jsonl").read_bytes() == (other / "predictions.jsonl").read_bytes()


def _command(data: Path, out: Path, questions: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "motionqa.cli.main", "eval", "babel_qa", "predict", "--data",
               str(data / "babel_qa"), "--out", str(out), "--blind", "lm", "--limit", str(questions)]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)


# ------------------------------------------------------------------------------------------- workers


def worker_rows(clips: int = 40, repetitions: int = 3) -> list[Row]:
    """Seconds of one worker on one core over those of two Ray workers on two, and whether both encode the same."""
    ratios, per_clip, same, cores = [], [], True, sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        benchmark = _drawn_benchmark(Path(folder) / "clips", clips)
        for k in range(repetitions):
            one, two = Path(folder) / f"cache-{k}-1", Path(folder) / f"cache-{k}-2"
            os.sched_setaffinity(0, cores[:1])
            alone_s, done = _encode(benchmark, one, 1)
            os.sched_setaffinity(0, cores)
            together_s, _ = _encode(benchmark, two, 2)
            per_clip += [e.seconds for e in done]
            ratios.append(alone_s / together_s)
            same &= _same_encodings(one, two)
    split = f"{clips} drawn videos, 640 x 480, 30 fps, about 4 s each; one core a worker; Ray's start not counted"
    if len(cores) < 2:
        split += "; MEASURED ON ONE CORE, so it says nothing"
    return [
        median_row("2 workers against 1", ratios, "x faster", goal=">= 1.7", split=split, command=COMMAND),
        Row("2 workers encode the same", float(same), "1 = equal", None, {}, "1", split, COMMAND),
        median_row("encoding a clip, one worker", per_clip, "s", split=split, command=COMMAND),
    ]


def _encode(benchmark: Benchmark, cache: Path, workers: int) -> tuple[float, tuple[Encoded, ...]]:
    """Seconds from the first clip's beginning to the last one's end, and what came of encoding.

    Ray's workers load their libraries within that time, the one in this process before it: two are not flattered.
    """
    from motionqa.encoders.clip_encoder import EncoderConfig

    if workers == 1:
        encode_clips(cut_to(benchmark, 1), EncoderConfig(), cache, cache / "warm")
    done = encode_clips(benchmark, EncoderConfig(), cache, cache, workers)
    failed = [e for e in done if e.error]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(done)} clips failed: {failed[0].error}")
    return max(e.ended_s for e in done) - min(e.ended_s - e.seconds for e in done), done


def clip_cost_rows(data: Path, clips: int = 6) -> list[Row]:
    """What a clip and a question cost at each step; docs/scale.md reckons with these."""
    from motionqa.eval.qa.costs import cost_rows

    with tempfile.TemporaryDirectory() as folder:
        asked = read_benchmark("activitynet_qa", data / "activitynet_qa")
        return cost_rows(_drawn_benchmark(Path(folder) / "clips", clips), asked)


def _drawn_benchmark(folder: Path, clips: int) -> Benchmark:
    """Videos of the drawn person, each different, as a benchmark with one question each."""
    from motionqa.data.synthetic.drawn_figure import figure_frames
    from motionqa.data.synthetic.motions import arm_raise, concatenate, render, squats, stand
    from motionqa.data.video_writer import write_video
    from motionqa.eval.qa.question import ClipFile

    folder.mkdir(parents=True)
    for k in range(clips):
        person = render(concatenate(stand(0.3 + 0.05 * k), squats(2), arm_raise("right" if k % 2 else "left")))
        write_video(figure_frames(person), folder / f"{k}.mp4")
    questions = tuple(Question(str(k), str(k), "What is done?", "squat", "action") for k in range(clips))
    return Benchmark("drawn", "test", questions, (), (), (), lambda q: ClipFile(folder / f"{q.clip}.mp4"))


def _same_encodings(one: Path, other: Path) -> bool:
    """Whether two caches hold the same encodings, their timings aside."""
    from safetensors.numpy import load_file

    names = sorted(p.name for p in one.glob("*.safetensors"))
    if not names or names != sorted(p.name for p in other.glob("*.safetensors")):
        return False
    for name in names:
        a, b = load_file(one / name), load_file(other / name)
        if a.keys() != b.keys() or any(not np.array_equal(a[k], b[k]) for k in a):
            return False
    return True


# ------------------------------------------------------------------------------------------ overhead


def overhead_rows(data: Path, questions: int = 5, repetitions: int = 15) -> list[Row]:
    """Extra time of predicting through the harness beside calling the language model in a bare loop, in percent.

    Both take the same few questions in turn, the first of them changing, so that what else the machine does meets
    both. The interval is that of the median: 95 %, bootstrap over repetitions.
    """
    from scipy.stats import bootstrap

    from motionqa.assistant.llm import EMBEDDED_NAME, load_llm

    predictor = BlindModelPredictor(load_llm(EMBEDDED_NAME))
    whole = read_benchmark("activitynet_qa", data / "activitynet_qa")
    _bare_s(predictor, whole.questions[:2])  # the first question of a process is slower
    percent = []
    for k in range(repetitions):
        some = replace(whole, questions=whole.questions[k * questions : (k + 1) * questions])
        runs = [lambda some=some: _bare_s(predictor, some.questions), lambda some=some: _harness_s(predictor, some)]
        first, second = (run() for run in (runs if k % 2 else runs[::-1]))
        bare_s, harness_s = (first, second) if k % 2 else (second, first)
        percent.append(100 * (harness_s / bare_s - 1))
    found = bootstrap((percent,), np.median, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    split = (f"activitynet_qa test, {repetitions} times {questions} questions, {predictor.llm.name} without the video, "
             "one by one; median with its 95 % interval")  # fmt: skip
    return [
        Row("harness beside bare generation", round(float(np.median(percent)), 2), "% more",
            (round(float(found.low), 2), round(float(found.high), 2)), {}, "<= 5", split, COMMAND)
    ]  # fmt: skip


def _bare_s(predictor: BlindModelPredictor, questions: Sequence[Question]) -> float:
    from motionqa.assistant.llm import GenerationConfig
    from motionqa.assistant.prompt import blind_question

    started = time.perf_counter()
    for q in questions:
        config = GenerationConfig(predictor.config.max_new_tokens)
        "".join(predictor.llm.stream(blind_question(q.text), config, threading.Event()))
    return time.perf_counter() - started


def _harness_s(predictor: BlindModelPredictor, benchmark: Benchmark) -> float:
    """A whole run in a new folder: manifest, working file with its syncs, merging."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        account = predict(benchmark, predictor, Path(folder))
        seconds = time.perf_counter() - started
    if account.merged.failed or account.merged.missing:
        raise RuntimeError(f"the run is not complete: {account}")
    return seconds


# ---------------------------------------------------------------------------------------------- main


def main(data: Path, rows: tuple[Part, ...] = DEFAULT, runs: Path = Path("runs/eval")) -> None:
    """Prints the table and writes docs/benchmarks/eval.json; rows not asked for are kept from the run before.

    Args:
        data: folder with babel_qa/ and activitynet_qa/, each with its official files
        rows: which to measure; `language` takes hours on a CPU and goes on where it was stopped
        runs: where long runs keep their predictions
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    measure: dict[Part, Callable[[], Sequence[Row]]] = {
        "parity": lambda: parity_rows(data),
        "blind": lambda: blind_rows(data),
        "language": lambda: language_rows(data, runs),
        "kills": lambda: kill_rows(data),
        "workers": worker_rows,
        "overhead": lambda: overhead_rows(data),
        "costs": lambda: clip_cost_rows(data),
    }
    kept = published("eval")
    for part in rows:
        kept |= {row.id: row for row in measure[part]()}
        publish("eval", list(kept.values()))


if __name__ == "__main__":
    tyro.cli(main)

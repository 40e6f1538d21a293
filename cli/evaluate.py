"""`motionqa eval` and `motionqa doctor`: benchmarks from the shell."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import tyro

from motionqa.data.schema import InputError
from motionqa.eval.qa.predict import Account, Predictor
from motionqa.eval.qa.question import Benchmark, ClipFile, Question

Step = Literal["encode", "predict", "score", "judge", "report"]
DEFAULT: tuple[Step, ...] = ("predict", "score", "report")


@dataclass(frozen=True)
class Answering:
    """Who answers, and how."""

    blind: Literal["majority", "lookup", "lm"] | None = None
    """Answer without the clip: by type, by look-up of the question, or the language model alone."""
    llm: str | None = None
    """Directory, hub id or OpenAI-compatible server's URL instead of the released assistant."""
    llm_model: str | None = None
    """Which of the server's models."""
    lifter: str = "dstformer"
    """What puts a video's joints into space: dstformer, blazepose, or a folder of weights."""
    max_seconds: float = 60.0
    """Longer videos are analysed for this long."""
    max_new_tokens: int = 16
    per_token: bool = False
    """Score options by log-likelihood per token instead of its sum."""


@dataclass(frozen=True)
class Judging:
    """Which server judges free answers."""

    url: str | None = None
    """Base address of an OpenAI-compatible server; the key comes from $OPENAI_API_KEY."""
    model: str | None = None
    prompt: Path | None = None
    """A json file with `system` and `question` in place of our wording; published figures need the published one."""
    concurrency: int = 8


def evaluate(
    bench: tyro.conf.Positional[str],
    steps: tyro.conf.Positional[tuple[Step, ...]] = (),
    /,
    *,
    data: Path,
    out: Path,
    split: str = "test",
    limit: int | None = None,
    shard: str | None = None,
    workers: int = 1,
    partial: bool = False,
    retry_failed: bool = False,
    predictions: Path | None = None,
    against: tuple[Path, ...] = (),
    offline_judge: bool = True,
    answering: tyro.conf.OmitArgPrefixes[Answering] = Answering(),
    judge: Judging = Judging(),
) -> int:
    """Answers a benchmark's questions, scores the answers, and reports. Run again to go on after an interruption.

    Args:
        bench: babel_qa, humman_qa, activitynet_qa, movid_bench, mvbench_human or mvbench_human_plus
        steps: any of encode, predict, score, judge, report; predict, score and report where none is named
        data: folder with the benchmark's official files, and its clips anywhere below
        out: folder of this run: predictions, scores, report
        split: train, val or test
        limit: only the first so many questions
        shard: this process's part, i/n with i from 0; torchrun and accelerate set it by themselves
        workers: processes that encode and answer, on Ray
        partial: score although questions have no prediction
        retry_failed: ask questions again that failed before
        predictions: score somebody's predictions file instead of this run's
        against: folders of other runs on the same questions, to compare with
        offline_judge: also score free answers by the offline judge
        answering: who answers
        judge: which server judges
    """
    from motionqa.eval.qa import steps as after
    from motionqa.eval.qa.registry import read_benchmark

    benchmark = after.cut_to(read_benchmark(bench, data, split), limit)
    chosen = steps or DEFAULT
    status = 0
    if "encode" in chosen:
        status |= _encode(benchmark, out, workers, answering)
    if "predict" in chosen:
        account = _predict(benchmark, out, shard, workers, retry_failed, answering)
        print(f"{out}: {account}")
        status |= int(bool(account.stopped))
        if account.merged.missing and not partial:
            rest = [s for s in chosen if s not in ("encode", "predict")]
            if rest:
                print(f"{len(account.merged.missing)} questions are open; for later: {', '.join(rest)}")
            return status or int(shard is None and "RANK" not in os.environ)
    config = after.ScoreConfig(
        partial, _offline(benchmark) if offline_judge and {"score", "report"} & {*chosen} else None
    )
    if "judge" in chosen:
        status |= _judge(benchmark, out, judge, predictions, partial)
    if "score" in chosen:
        print(after.score_run(benchmark, out, config, predictions).table.text())
    if "report" in chosen:
        strip = None if answering.blind else _strip(out, answering)
        for path in after.report_run(benchmark, out, config, predictions=predictions, others=against, strip=strip):
            print(path)
    return status


def doctor(data: tyro.conf.Positional[Path], /, deep: bool = False) -> int:
    """Checks a benchmark's folder for what is missing, miscounted or damaged. Status 1 where something is.

    Args:
        data: folder with official files, an AMASS tree, or a folder of videos
        deep: decode every array and frame instead of headers only
    """
    from motionqa.eval.qa.doctor import check_data

    health = check_data(data, deep)
    print(health.text())
    return int(bool(health.errors))


# ---------------------------------------------------------------------------------------------- steps


def _predict(
    benchmark: Benchmark, out: Path, shard: str | None, workers: int, retry_failed: bool, answering: Answering
) -> Account:
    from motionqa.eval.qa.predict import predict
    from motionqa.eval.qa.shard import Shard
    from motionqa.eval.qa.workers import predict_on_ray

    part = Shard.parse(shard) if shard else Shard.of_this_process()
    predictor = _predictor(benchmark, out, answering)
    if workers == 1:
        return predict(benchmark, predictor, out, part, retry_failed=retry_failed, progress=_progress())
    if part.count > 1:
        raise InputError(f"--workers {workers} and shard {part}: give one of them; Ray divides the work by itself.")
    training = replace(benchmark, questions=(), clip_file=_nowhere, protocols=(), aggregates=())
    return predict_on_ray(
        benchmark, lambda: _predictor(training, out, answering), predictor.settings, predictor.needs_clips, out,
        workers, retry_failed=retry_failed, progress=_progress(),
    )  # fmt: skip


def _nowhere(question: Question) -> ClipFile:
    raise InputError(f"a worker is told where the clip of {question.id} is; it does not look for it")


def _predictor(benchmark: Benchmark, out: Path, answering: Answering) -> Predictor:
    from motionqa.assistant.llm import load_llm
    from motionqa.assistant.released import clip_encoder
    from motionqa.assistant.session import load_engine
    from motionqa.data.cache import EncodingCache
    from motionqa.eval.qa.predictors import AnswerConfig, AssistantPredictor, RulePredictor, blind_model_predictor
    from motionqa.eval.qa.workers import CACHE_BYTES

    if answering.blind in ("majority", "lookup"):
        return RulePredictor(answering.blind, benchmark)
    config = AnswerConfig(answering.max_new_tokens, answering.per_token)
    if answering.blind == "lm":
        return blind_model_predictor(load_llm(answering.llm, server_model=answering.llm_model), config)
    encoder = _encoder(answering)
    engine = load_engine(answering.llm, llm_model=answering.llm_model, encoder=encoder)
    engine = replace(engine, encoder=clip_encoder(encoder, EncodingCache(max_bytes=CACHE_BYTES)))
    return AssistantPredictor(engine, out / "clips", config)


def _encoder(answering: Answering):  # heavy imports are kept inside
    from motionqa.assistant.released import lifting
    from motionqa.data.video import DecodeConfig
    from motionqa.encoders.clip_encoder import EncoderConfig

    return EncoderConfig(decode=DecodeConfig(max_seconds=answering.max_seconds), lifting=lifting(answering.lifter))


def _encode(benchmark: Benchmark, out: Path, workers: int, answering: Answering) -> int:
    from motionqa.eval.qa.workers import encode_clips

    done = encode_clips(benchmark, _encoder(answering), out / "clips", workers=workers)
    failed = [e for e in done if e.error]
    seconds = [e.seconds for e in done if not e.error]
    mean = f", {sum(seconds) / len(seconds):.2f} s a clip" if seconds else ""
    print(f"encoded {len(seconds)} of {len(done)} clips{mean}; {len(failed)} failed")
    for found in failed[:20]:
        print(f"  ! {found.clip}: {found.error}")
    return int(bool(failed))


def _judge(benchmark: Benchmark, out: Path, judging: Judging, predictions: Path | None, partial: bool) -> int:
    from motionqa.eval.qa.judge import judge, save_judged
    from motionqa.eval.qa.judge_prompt import OURS, read_prompt
    from motionqa.eval.qa.judge_server import JudgeConfig, JudgeServer
    from motionqa.eval.qa.predictions import MERGED, read_predictions
    from motionqa.eval.qa.steps import check_run

    if not judging.url or not judging.model:
        raise InputError("The judge step needs --judge.url (it usually ends in /v1) and --judge.model.")
    if predictions is None:
        check_run(out, benchmark)
    given = read_predictions(predictions or out / MERGED)
    prompt = read_prompt(judging.prompt) if judging.prompt else OURS
    server = JudgeServer(JudgeConfig(judging.url, judging.model, prompt, concurrency=judging.concurrency))
    try:
        judged = judge(benchmark, given, server, partial=partial)
    finally:
        server.close()
    print(f"{save_judged(judged, out)}\n{judged.text()}")
    return int(bool(judged.stopped))


def _offline(benchmark: Benchmark):  # heavy imports are kept inside
    if all(q.options for q in benchmark.questions):
        return None
    from motionqa.assistant.embedder import SentenceEmbedder
    from motionqa.eval.qa.offline_judge import OfflineJudge

    return OfflineJudge(SentenceEmbedder())


def _strip(out: Path, answering: Answering):  # heavy imports are kept inside
    from motionqa.assistant.skeleton_strip import as_data_uri, skeleton_strip
    from motionqa.data.cache import EncodingCache
    from motionqa.encoders.clip_encoder import ClipEncoder
    from motionqa.eval.qa.predictors import how_to_read
    from motionqa.eval.qa.workers import CACHE_BYTES

    encoder = ClipEncoder(_encoder(answering), EncodingCache(max_bytes=CACHE_BYTES))

    def draw(file: ClipFile) -> str:
        path, config, _ = how_to_read(file, encoder.config, out / "clips")
        return as_data_uri(skeleton_strip(encoder.encode(path, config=config)))

    return draw


def _progress():
    """Questions done and seconds left on standard error, on one line; silent where that is not a terminal."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int, seconds: float) -> None:
        left = seconds / done * (total - done)
        print(
            f"\r{done} of {total}, {left:.0f} s left   ", end="\n" if done == total else "", file=sys.stderr, flush=True
        )

    return show

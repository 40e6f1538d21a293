"""The same run over many workers: Ray Data from one driver, or processes that `torchrun`/`accelerate launch` starts.

Ray: workers encode and answer, the driver alone writes, so a killed worker's clips are simply answered by another and a
killed driver resumes like any run. torchrun: each process is a shard by RANK and WORLD_SIZE with its own working file;
whoever ends last merges. Either way the merged predictions are those of one process.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from motionqa.data.cache import EncodingCache
from motionqa.data.schema import InputError
from motionqa.encoders.clip_encoder import ClipEncoder, EncoderConfig
from motionqa.eval.qa.predict import Account, ClipTask, Predictor, Progress, answer, collect
from motionqa.eval.qa.predictions import from_line, to_line
from motionqa.eval.qa.predictors import how_to_read
from motionqa.eval.qa.question import Benchmark, ClipFile, Prediction

CACHE_BYTES = 100_000_000_000
"""A benchmark's encodings must all stay: the chat's own limit would drop the first before the last is read."""

MakePredictor = Callable[[], Predictor]
"""Builds the predictor inside a worker; sent there by pickling."""


def predict_on_ray(
    benchmark: Benchmark,
    make: MakePredictor,
    settings: Mapping[str, Any],
    needs_clips: bool,
    out: Path,
    workers: int,
    *,
    retry_failed: bool = False,
    give_up_after: int = 20,
    progress: Progress | None = None,
) -> Account:
    """As `predict`, answered by `workers` Ray actors. InputError where Ray is not installed."""

    def answers(tasks: tuple[ClipTask, ...]) -> Iterator[Prediction]:
        for line in _on_actors([pickle.dumps(t) for t in tasks], _Answering, (make,), workers):
            yield from_line(line)

    return collect(benchmark, settings, needs_clips, answers, out,
                   retry_failed=retry_failed, give_up_after=give_up_after, progress=progress)  # fmt: skip


class _Answering:
    """What a Ray actor runs: one predictor, clip after clip."""

    def __init__(self, make: MakePredictor) -> None:
        self.predictor = make()

    def __call__(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"line": to_line(p)} for p in answer(self.predictor, pickle.loads(row["task"]))]


def _on_actors(items: list[bytes], actor: type, arguments: tuple[Any, ...], workers: int) -> Iterator[str]:
    """The `line`s that actors make of the items, in whatever order they come."""
    if not items:
        return
    with ray_running(workers) as ray_data:
        dataset = ray_data.from_items([{"task": item} for item in items], override_num_blocks=min(len(items), 1000))
        # Ray Data starts a killed actor again and gives its rows to another, without limit, unless told otherwise.
        compute = ray_data.ActorPoolStrategy(size=workers)
        found = dataset.flat_map(actor, fn_constructor_args=arguments, compute=compute, num_cpus=1)
        for row in found.iter_rows():
            yield row["line"]


@contextmanager
def ray_running(workers: int) -> Iterator[Any]:
    """`ray.data` with room for so many workers: the cluster that is there, or one of this machine until the end.

    Actors that were killed and started again were seen (Ray 2.60) to keep their processors after their step, so that
    the next one waited for them without end: whoever starts Ray here also ends it. InputError where it is not there.
    """
    try:
        import ray  # pyright: ignore[reportMissingImports]
        import ray.data  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError("More than one worker needs Ray: pip install 'motionqa[ray]'.") from error
    ours = not ray.is_initialized()
    if ours:
        _start(ray, workers)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        yield ray.data
    finally:
        if ours:
            ray.shutdown()


def _start(ray: Any, workers: int) -> None:
    with suppress(ConnectionError):  # a cluster, where there is one
        ray.init(address="auto", log_to_driver=False)
        return
    # Actors would wait for ever where there are fewer processors than actors.
    processors = max(workers, len(os.sched_getaffinity(0)))
    ray.init(address="local", num_cpus=processors, log_to_driver=False, include_dashboard=False)


# ------------------------------------------------------------------------------------------- encoding


@dataclass(frozen=True)
class Encoded:
    """What came of encoding one clip."""

    clip: str
    seconds: float = 0.0
    """Of this worker's time; near 0 where the cache had it."""
    error: str = ""
    ended_s: float = 0.0
    """When it was done, in seconds since 1970."""


@dataclass(frozen=True)
class EncodeTask:
    """A clip to encode: its name, its file, and how to read it."""

    clip: str
    file: ClipFile
    config: EncoderConfig
    cache: Path | None
    work: Path


def encode_clips(
    benchmark: Benchmark, config: EncoderConfig, work: Path, cache: Path | None = None, workers: int = 1
) -> tuple[Encoded, ...]:
    """Encodes every clip of a benchmark into the cache ahead of answering; one outcome a clip, in the file's order.

    A clip that can not be read is an outcome with its `error`. InputError where Ray is wanted and not installed.
    """
    tasks, failed = _encode_tasks(benchmark, config, work, cache)
    if workers == 1:
        done = [encode_one(t) for t in tasks]
    else:
        lines = _on_actors([pickle.dumps(t) for t in tasks], _Encoding, (), workers)
        done = [Encoded(*pickle.loads(bytes.fromhex(line))) for line in lines]
    order = {clip: i for i, clip in enumerate(dict.fromkeys(q.clip for q in benchmark.questions))}
    return tuple(sorted([*done, *failed], key=lambda e: order[e.clip]))


def _encode_tasks(
    benchmark: Benchmark, config: EncoderConfig, work: Path, cache: Path | None
) -> tuple[list[EncodeTask], list[Encoded]]:
    tasks: dict[tuple[str, ClipFile], EncodeTask] = {}
    failed: dict[str, Encoded] = {}
    for question in benchmark.questions:
        try:
            file = benchmark.clip_file(question)
        except InputError as error:
            failed.setdefault(question.clip, Encoded(question.clip, error=str(error)))
        else:
            tasks.setdefault((question.clip, file), EncodeTask(question.clip, file, config, cache, work))
    return list(tasks.values()), list(failed.values())


def encode_one(task: EncodeTask) -> Encoded:
    """Encodes one clip into the cache."""
    started = time.perf_counter()
    try:
        path, config, _ = how_to_read(task.file, task.config, task.work)
        ClipEncoder(config, EncodingCache(task.cache, CACHE_BYTES)).encode(path)
    except Exception as error:  # one bad file must not end the run; it is in the outcome
        return Encoded(task.clip, time.perf_counter() - started, f"{type(error).__name__}: {error}", time.time())
    return Encoded(task.clip, time.perf_counter() - started, ended_s=time.time())


class _Encoding:
    """What a Ray actor runs to encode."""

    def __call__(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        found = encode_one(pickle.loads(row["task"]))
        return [{"line": pickle.dumps(astuple(found)).hex()}]

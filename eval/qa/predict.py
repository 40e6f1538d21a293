"""Answers a benchmark's questions, clip by clip, into a folder that can be resumed after a kill at any moment."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from filelock import FileLock, Timeout

from motionqa.data.schema import InputError
from motionqa.eval.qa.manifest import check_manifest
from motionqa.eval.qa.predictions import MERGED, Merged, PredictionsFile, answered, merge, part_path
from motionqa.eval.qa.question import Benchmark, ClipFile, Prediction, Question
from motionqa.eval.qa.shard import Shard

Answerer = Callable[[Question], Prediction]
"""Answers questions about one clip; its encoding is inside."""
Progress = Callable[[int, int, float], object]
"""Called with questions done, questions in all, and seconds since the start."""


@runtime_checkable
class Predictor(Protocol):
    """Something that answers questions. Exceptions are failures of that clip or question, never of the run."""

    @property
    def needs_clips(self) -> bool:
        """False for blind baselines, which are never shown where the clip is."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """Everything its answers depend on, for the manifest."""
        ...

    def look_at(self, clip: ClipFile | None) -> Answerer:
        """What answers the questions about one clip; encodes it. `clip` is None for blind baselines."""
        ...


@runtime_checkable
class GroupPredictor(Predictor, Protocol):
    """A blind predictor that answers all questions of a clip side by side."""

    def answer_together(self, questions: Sequence[Question]) -> Sequence[Prediction]:
        """One prediction a question, in their order."""
        ...


@dataclass(frozen=True)
class ClipTask:
    """The open questions about one clip, and where it is."""

    questions: tuple[Question, ...]
    files: tuple[ClipFile | str | None, ...]
    """One a question: the file, why it can not be had, or None where no clip is needed."""
    group: tuple[Question, ...] = ()
    """All questions about the clip, answered ones too: what is answered side by side must not depend on kills."""


@dataclass(frozen=True)
class Account:
    """What a run did: complete even where it ended early."""

    merged: Merged
    answered: int
    """Questions answered by this call."""
    known: int
    """Questions that earlier calls had answered."""
    failures: Mapping[str, int]
    """Why questions have no answer, with counts."""
    seconds: float
    notes: tuple[str, ...] = ()
    stopped: str = ""
    """Why the run ended before its last question, where it did."""

    def __str__(self) -> str:
        parts = [f"{self.answered} answered now, {self.known} before, {sum(self.failures.values())} failed, "
                 f"{len(self.merged.missing)} open, {self.seconds:.1f} s"]  # fmt: skip
        parts += [f"  {count} x {why}" for why, count in list(self.failures.items())[:20]]
        parts += [f"  and {len(self.failures) - 20} other reasons"] if len(self.failures) > 20 else []
        parts += [f"  ! {note}" for note in self.notes]
        return "\n".join(parts + ([f"  ! stopped early: {self.stopped}"] if self.stopped else []))


def predict(
    benchmark: Benchmark,
    predictor: Predictor,
    out: Path,
    shard: Shard = Shard(),
    *,
    retry_failed: bool = False,
    give_up_after: int = 20,
    progress: Progress | None = None,
) -> Account:
    """Answers what is still open in this shard, merges, and says what was done.

    `retry_failed` asks questions again that failed before. After `give_up_after` questions in a row that failed for
    one and the same reason other than their clip, the run stops: a server that is gone will not answer the rest.
    InputError where the folder holds another run or a damaged file.
    """

    def answers(tasks: tuple[ClipTask, ...]) -> Iterator[Prediction]:
        for task in tasks:
            yield from answer(predictor, task)

    return collect(benchmark, predictor.settings, predictor.needs_clips, answers, out, shard,
                   retry_failed=retry_failed, give_up_after=give_up_after, progress=progress)  # fmt: skip


def collect(
    benchmark: Benchmark,
    settings: Mapping[str, Any],
    needs_clips: bool,
    answers: Callable[[tuple[ClipTask, ...]], Iterator[Prediction]],
    out: Path,
    shard: Shard = Shard(),
    *,
    retry_failed: bool = False,
    give_up_after: int = 20,
    progress: Progress | None = None,
) -> Account:
    """`predict` for answers that come from anywhere, in any order: this process only writes them down."""
    started = time.perf_counter()
    ids = tuple(q.id for q in benchmark.questions)
    notes = list(check_manifest(out, benchmark, settings))
    stopped, now = "", 0
    check_layout(out, shard)
    with PredictionsFile(part_path(out, shard), set(ids)) as file:
        notes += [file.repaired] if file.repaired else []
        known = answered(out, set(ids))
        tasks = open_tasks(benchmark, shard, known, needs_clips, retry_failed)
        total = sum(len(t.questions) for t in tasks)
        guard = _Guard(give_up_after)
        try:
            for prediction in answers(tasks):
                file.append(prediction)
                now += 1
                if progress:
                    progress(now, total, time.perf_counter() - started)
                guard.check(prediction)
            file.sync()
        except OSError as error:
            stopped = f"{file.path} can not be written ({error}); make room and run the same command again"
        except _GiveUp as error:
            stopped = str(error)
        except KeyboardInterrupt:
            stopped = "interrupted; run the same command again to go on"
    merged, full = _merge(out, ids)
    failures = Counter(_reason(p.error) for p in merged.failed)
    return Account(merged, now, len(known), dict(failures.most_common()), time.perf_counter() - started,
                   tuple(notes), stopped or full)  # fmt: skip


def open_tasks(
    benchmark: Benchmark, shard: Shard, known: Mapping[str, Prediction], needs_clips: bool, retry_failed: bool = False
) -> tuple[ClipTask, ...]:
    """The shard's clips with the questions that have no answer yet (with `retry_failed`: nor a mere failure)."""

    def is_open(question: Question) -> bool:
        before = known.get(question.id)
        return before is None or (retry_failed and bool(before.error))

    tasks = []
    for group in shard.of(benchmark.questions):
        questions = tuple(q for q in group if is_open(q))
        if questions:
            files = tuple(_file(benchmark, q) if needs_clips else None for q in questions)
            tasks.append(ClipTask(questions, files, group))
    return tuple(tasks)


def _file(benchmark: Benchmark, question: Question) -> ClipFile | str:
    try:
        return benchmark.clip_file(question)
    except InputError as error:
        return str(error)


def answer(predictor: Predictor, task: ClipTask) -> Iterator[Prediction]:
    """One prediction for each question of a task; whatever goes wrong becomes its `error`."""
    if isinstance(predictor, GroupPredictor):
        yield from _together(predictor, task)
        return
    looked: tuple[ClipFile | str | None, Answerer | str] | None = None
    for question, file in zip(task.questions, task.files, strict=True):
        started = time.perf_counter()
        if looked is None or looked[0] != file:  # questions about one clip share one look at it
            looked = (file, _look(predictor, file))
        answerer = looked[1]
        if isinstance(answerer, str):
            yield Prediction(question.id, error=answerer)
            continue
        try:
            prediction = answerer(question)
            if prediction.id != question.id:
                raise ValueError(f"the predictor answered {prediction.id!r} when asked {question.id!r}")
        except Exception as error:  # counted and shown in the account
            prediction = Prediction(question.id, error=_words(error))
        yield replace(prediction, seconds=time.perf_counter() - started)


def _together(predictor: GroupPredictor, task: ClipTask) -> Iterator[Prediction]:
    """Answers the whole group and keeps what was open; each is given its share of the time."""
    started = time.perf_counter()
    group = task.group or task.questions
    try:
        found = {p.id: p for p in predictor.answer_together(group)}
        strange = sorted({q.id for q in group} ^ found.keys())
        if strange:
            raise ValueError(f"the predictor was asked and answered different questions, such as {strange[0]!r}")
    except Exception as error:  # counted and shown in the account
        found = {q.id: Prediction(q.id, error=_words(error)) for q in group}
    share_s = (time.perf_counter() - started) / len(group)
    for question in task.questions:
        yield replace(found[question.id], seconds=share_s)


def _look(predictor: Predictor, file: ClipFile | str | None) -> Answerer | str:
    if isinstance(file, str):
        return CLIP + file
    try:
        return predictor.look_at(file)
    except Exception as error:  # one bad file must not end a run of hours; counted in the account
        return CLIP + _words(error)


CLIP = "clip: "
"""How the error of a question begins whose clip is at fault."""


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, InputError) and text else f"{type(error).__name__}: {text}"


def _reason(error: str) -> str:
    """An error without the names and numbers that differ from clip to clip, for counting."""
    return re.sub(r"'[^']*'|\S*/\S+|\d+", "…", error)[:160]


def check_layout(out: Path, shard: Shard) -> None:
    """InputError while a run with another number of shards writes into the folder: both would answer the same."""
    for path in sorted((out / "parts").glob("*-of-*.lock")):
        if path.stem.endswith(f"-of-{shard.count}"):
            continue
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout as error:
            raise InputError(
                f"A run with shard {path.stem.replace('-of-', '/')} is writing into {out}; this one is shard {shard}. "
                "All shards running at the same time must have the same count."
            ) from error


def _merge(out: Path, ids: tuple[str, ...]) -> tuple[Merged, str]:
    try:
        return merge(out, ids), ""
    except OSError as error:
        known = answered(out, set(ids))
        merged = Merged(
            out / MERGED, tuple(known[i] for i in ids if i in known), tuple(i for i in ids if i not in known)
        )
        return merged, f"{out / MERGED} can not be written ({error}); make room and run the same command again"


class _GiveUp(Exception):
    pass


class _Guard:
    """Notices when every question fails for the same reason."""

    def __init__(self, most: int) -> None:
        self.most, self.count, self.reason = most, 0, ""

    def check(self, prediction: Prediction) -> None:
        if not prediction.error or prediction.error.startswith(CLIP):
            self.count = 0 if not prediction.error else self.count
            return
        reason = _reason(prediction.error)
        self.count = self.count + 1 if reason == self.reason else 1
        self.reason = reason
        if self.count >= self.most:
            raise _GiveUp(
                f"{self.count} questions in a row failed for the same reason ({reason}); mend it and run the same "
                "command again with --retry-failed"
            )

"""The predictions file: JSON lines, one per question id, appended while answering and merged at the end.

Working files (`parts/0-of-1.jsonl`) are appended to as answers come, in any order, and carry what differs from run to
run (seconds). The merged file (`predictions.jsonl`) has the official order and only what the answer depends on, so
that it is byte-equal however often the run was interrupted and over however many shards it went.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from motionqa.data.schema import InputError
from motionqa.eval.qa.question import Prediction
from motionqa.eval.qa.shard import Shard

MERGED = "predictions.jsonl"
SYNC_EVERY_S = 1.0
"""Every line reaches the system at once (a killed process loses none); the disk itself once in this time."""


def to_line(prediction: Prediction, *, seconds: bool = True) -> str:
    """One prediction as a line of JSON; empty fields are left out, and `seconds` where the bytes must repeat."""
    record: dict[str, Any] = {"id": prediction.id, "answer": prediction.answer}
    if prediction.scores:
        record["scores"] = {option: round(float(score), 6) for option, score in prediction.scores.items()}
    if prediction.evidence_s:
        record["evidence_s"] = [[round(float(t), 4) for t in span] for span in prediction.evidence_s]
    if prediction.error:
        record["error"] = prediction.error
    if seconds and prediction.seconds:
        record["seconds"] = round(prediction.seconds, 6)
    if prediction.about:
        record["about"] = dict(prediction.about)
    return json.dumps(record, ensure_ascii=False, allow_nan=False)


def from_line(line: str) -> Prediction:
    """The prediction in one line; ValueError, saying what is wrong, where it is none."""
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from error
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    if not isinstance(record.get("id"), str) or not record["id"]:
        raise ValueError('no "id" that is a text')
    for name, kind in (("answer", str), ("error", str), ("scores", dict), ("evidence_s", list), ("about", dict)):
        if name in record and not isinstance(record[name], kind):
            raise ValueError(f'"{name}" is {type(record[name]).__name__}, expected {kind.__name__}')
    if "answer" not in record and not record.get("error") and not record.get("scores"):
        raise ValueError('neither "answer" nor "scores" nor "error"')
    try:
        spans = tuple((float(a), float(b)) for a, b in record.get("evidence_s", ()))
        scores = {str(option): float(score) for option, score in record.get("scores", {}).items()}
        seconds = float(record.get("seconds", 0.0))
    except (TypeError, ValueError) as error:
        raise ValueError(f"a number is missing or no number ({error})") from error
    if not all(map(math.isfinite, (*scores.values(), *(t for span in spans for t in span), seconds))):
        raise ValueError("a number is not finite")
    return Prediction(
        record["id"], record.get("answer", ""), scores, spans, record.get("error", ""), seconds, record.get("about", {})
    )


def read_predictions(path: Path) -> tuple[Prediction, ...]:
    """Every line of a predictions file, in its order; ids are not checked here (joining does).

    InputError naming the lines that are malformed (the first ten, and how many there are).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"The predictions {path} can not be read ({error}). Run the predict step first.") from error
    return _parse(data, path)


def _parse(data: bytes, path: Path) -> tuple[Prediction, ...]:
    found, bad = [], []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            found.append(from_line(line.decode()))
        except ValueError as error:  # also UnicodeDecodeError
            bad.append(f"line {number}: {error}")
    if bad:
        shown = "; ".join(bad[:10]) + ("; …" if len(bad) > 10 else "")
        raise InputError(
            f"{len(bad)} of {len(bad) + len(found)} lines of {path} are no predictions: {shown}. "
            "Mend or delete them; questions without a line are answered again."
        )
    return tuple(found)


# ------------------------------------------------------------------------------------- working files


def part_path(out: Path, shard: Shard) -> Path:
    """The working file of a shard."""
    return out / "parts" / f"{shard.index}-of-{shard.count}.jsonl"


class PredictionsFile:
    """One shard's working file, open for appending and locked against every other process.

    On opening, a line torn off by a kill is removed (`repaired` says so) and known answers are in `done`.
    InputError where another process has the file, a line is malformed, an id is unknown or answered twice.
    """

    def __init__(self, path: Path, known_ids: Collection[str]) -> None:
        self.path = path
        self.done: dict[str, Prediction] = {}
        self.repaired = ""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(path.with_suffix(".lock"))
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                f"Another run is writing {path}. Wait for it, or answer another shard (--shard i/n)."
            ) from error
        try:
            self.repaired = repair(path)
            self.done = latest(read_predictions(path) if path.exists() else (), known_ids, path)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except BaseException:
            self._lock.release()
            raise
        self._size = os.fstat(self._file).st_size
        self._synced = time.monotonic()

    def append(self, prediction: Prediction) -> None:
        """Adds one line; after an OSError (a full disk) the file ends with the last whole line.

        ValueError where the question has an answer already.
        """
        before = self.done.get(prediction.id)
        if before is not None and not before.error:
            raise ValueError(f"{prediction.id} has been answered already")
        rest = (to_line(prediction) + "\n").encode()
        size = self._size + len(rest)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
            if time.monotonic() - self._synced > SYNC_EVERY_S:
                self.sync()
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size = size
        self.done[prediction.id] = prediction

    def sync(self) -> None:
        """Brings everything to the disk. OSError where it is full: some file systems notice only now."""
        os.fsync(self._file)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Brings everything to the disk and lets others write."""
        try:
            self.sync()
        finally:
            os.close(self._file)
            self._lock.release()

    def __enter__(self) -> PredictionsFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def repair(path: Path) -> str:
    """Mends a last line without its end: completes a whole one, removes a torn one. What was done, in words."""
    data = path.read_bytes() if path.exists() else b""
    if not data or data.endswith(b"\n"):
        return ""
    start = data.rfind(b"\n") + 1
    try:
        from_line(data[start:].decode())
    except ValueError:
        with path.open("r+b") as file:
            file.truncate(start)
        return f"a line torn off by an interruption was removed from {path.name} ({len(data) - start} bytes)"
    with path.open("ab") as file:
        file.write(b"\n")
    return f"the end of the last line of {path.name} was put back"


def latest(predictions: Iterable[Prediction], known_ids: Collection[str], path: Path) -> dict[str, Prediction]:
    """By id: the answer, or the last failure where there is none.

    InputError, with counts, for ids the benchmark does not have and for questions answered twice.
    """
    kept: dict[str, Prediction] = {}
    twice: set[str] = set()
    unknown: set[str] = set()
    known = known_ids if isinstance(known_ids, (set, frozenset, Mapping)) else set(known_ids)
    for prediction in predictions:
        before = kept.get(prediction.id)
        if prediction.id not in known:
            unknown.add(prediction.id)
        elif before is not None and not before.error:
            twice.add(prediction.id)
        else:
            kept[prediction.id] = prediction
    for ids, what in ((unknown, "are of no question of this benchmark and split"), (twice, "are answered twice")):
        if ids:
            raise InputError(
                f"{len(ids)} ids in {path} {what}, for example {min(ids)!r}. "
                "Give the folder of this benchmark's own run, or start a new one."
            )
    return kept


# -------------------------------------------------------------------------------------------- merging


@dataclass(frozen=True)
class Merged:
    """What came of merging: the file, and how many questions it answers."""

    path: Path
    predictions: tuple[Prediction, ...]
    missing: tuple[str, ...]
    """Ids without any line, in official order."""

    @property
    def failed(self) -> tuple[Prediction, ...]:
        """Questions that have an error instead of an answer."""
        return tuple(p for p in self.predictions if p.error)


def answered(out: Path, known_ids: Collection[str]) -> dict[str, Prediction]:
    """What all working files of a run hold, by id; lines being written at this moment are left out.

    InputError as in `PredictionsFile`, also where two shards answered the same question.
    """
    lines: list[Prediction] = []
    for path in sorted((out / "parts").glob("*-of-*.jsonl")):
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        lines += latest(_parse(whole, path), known_ids, path).values()
    # A failure noted by one shard may have been answered by another since.
    return latest(sorted(lines, key=lambda p: not p.error), known_ids, out / "parts")


def merge(out: Path, ids: tuple[str, ...]) -> Merged:
    """Writes `predictions.jsonl` in the order of `ids` in one step, and says what is missing."""
    known = answered(out, ids)
    predictions = tuple(replace(known[i], seconds=0.0) for i in ids if i in known)
    text = "".join(to_line(p, seconds=False) + "\n" for p in predictions)
    path = out / MERGED
    with FileLock(out / "merge.lock"):
        write_whole(path, text)
    return Merged(path, predictions, tuple(i for i in ids if i not in known))


def write_whole(path: Path, text: str) -> None:
    """Writes a file so that no reader ever sees half of it. OSError where the folder is full or read-only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise

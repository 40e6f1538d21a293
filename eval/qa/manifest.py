"""What a run is: benchmark, questions, predictor and versions, kept beside its predictions and compared on resuming."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock

from motionqa.data.schema import InputError
from motionqa.eval.qa.predictions import write_whole
from motionqa.eval.qa.question import Benchmark, Question

MANIFEST = "manifest.json"
_LIBRARIES = ("motionqa", "torch", "transformers", "numpy", "mediapipe")


def questions_sha256(questions: tuple[Question, ...]) -> str:
    """Hex SHA-256 over everything the questions say, in their order."""
    text = json.dumps([asdict(q) for q in questions], sort_keys=True, ensure_ascii=False)
    return sha256(text.encode()).hexdigest()


def versions() -> dict[str, str]:
    """Of the interpreter and the libraries that answers can depend on."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def check_manifest(out: Path, benchmark: Benchmark, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Writes the manifest of a new run or compares an old one; notes on what differs but does no harm.

    InputError, with both values, where the folder holds another run.
    """
    run = {
        "benchmark": benchmark.name,
        "split": benchmark.split,
        "questions": len(benchmark.questions),
        "questions_sha256": questions_sha256(benchmark.questions),
        "predictor": json.loads(json.dumps(settings, default=str)),
    }
    path = out / MANIFEST
    out.mkdir(parents=True, exist_ok=True)
    with FileLock(out / "manifest.lock"):
        if not path.exists():
            write_whole(path, json.dumps({"run": run, "versions": versions()}, indent=1, ensure_ascii=False) + "\n")
            return ()
        before = read_manifest(out)
    changed = _differences(before["run"], run)
    if changed:
        raise InputError(
            f"{out} holds another run: {'; '.join(changed)}. Give these settings again to go on with it, "
            "or another folder with --out to start anew."
        )
    newer = _differences(before.get("versions", {}), versions())
    return (f"resumed with other versions than the run began with: {'; '.join(newer)}",) if newer else ()


def read_manifest(out: Path) -> dict[str, Any]:
    """The manifest in a run's folder. InputError where there is none or it can not be read."""
    try:
        found = json.loads((out / MANIFEST).read_text())
        found["run"]["benchmark"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{out} is no run of this command: {MANIFEST} can not be read ({error}).") from error
    return found


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], name: str = "") -> list[str]:
    found = []
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differences(old, new, f"{name}{key}.")
        elif old != new:
            found.append(f"{name}{key} was {old!r} and is now {new!r}")
    return found

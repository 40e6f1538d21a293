"""motion_qa, the project's own benchmark: questions on held-out motion capture, natural and joined, in held-out words.

`--data` holds what `python -m motionqa.eval.build_motion_qa` writes: `motion_qa_test.json`, `motion_qa_train.json` (for
blind rules), and the clips as packed npz files. Half of the clips are the exact motion; half are as read off a virtual
film of it, with the measured errors of the detector and the released lifter.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

from motionqa.data.schema import InputError
from motionqa.eval.qa.protocols import NORMALISED, temporal_iou
from motionqa.eval.qa.question import Benchmark, ClipFile, Prediction, Protocol, Question

NAME = "motion_qa"
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
LEAST_OVERLAP = 0.5
CLOSE_SHARE = 0.1
"""Speeds and angles count as right within so much of the truth."""
CLOSE_S = 0.5
"""Moments and durations count as right within so many seconds."""
SPANS, MOMENTS, MEASURED = ("when",), ("start", "end", "lasts", "duration"), ("angle", "speed")
"""Kinds whose answers are measured: no two measurements agree to the last digit."""


def _tolerant(question: Question, prediction: Prediction) -> float:
    said, right = numbers(prediction.answer), numbers(question.answer)
    if question.type in SPANS and question.span_s is not None and right:
        if len(said) < 2:
            return 0.0
        return float(temporal_iou([(said[0], said[1])], question.span_s) >= LEAST_OVERLAP)
    if question.type in (*MOMENTS, *MEASURED) and right:
        close = CLOSE_S if question.type in MOMENTS else CLOSE_SHARE * abs(right[0])
        return float(bool(said) and abs(said[0] - right[0]) <= close + 1e-9)
    return NORMALISED.score(question, prediction)


def numbers(text: str) -> list[float]:
    """The numbers of a text, in order."""
    return [float(n) for n in _NUMBER.findall(text)]


TOLERANT = Protocol(
    "exact",
    "The normalised answer is the reference or an accepted synonym; spans overlap it by an IoU of at least 0.5; "
    "moments and durations lie within 0.5 s, angles and speeds within 10 %. Ours.",
    _tolerant,
)


def read_motion_qa(data: Path, split: str = "test") -> Benchmark:
    """The questions of a split with where their clips are. InputError where the files are missing or damaged."""
    questions = _read(data / f"{NAME}_{split}.json")
    training = data / f"{NAME}_train.json"
    return Benchmark(
        NAME,
        split,
        questions,
        _read(training) if training.is_file() and split != "train" else (),
        (TOLERANT, NORMALISED),
        (),
        partial(_clip_file, data),
        (f"{len({q.clip for q in questions})} clips of held-out people and styles; held-out phrasings.",),
    )


def wordings_of(data: Path, split: str = "test") -> dict[str, str]:
    """The wording of each question by its id, as `kind/number`. InputError where the file tells none."""
    path = data / f"{NAME}_{split}.json"
    try:
        return {e["id"]: e["phrasing"] for e in json.loads(path.read_text())}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is no motion_qa with its phrasings ({error!r}); build it again") from error


def _clip_file(data: Path, question: Question) -> ClipFile:
    path = data / "clips" / f"{question.clip}.npz"
    if not path.is_file():
        raise InputError(f"there is no {path}; build the benchmark again with motionqa.eval.build_motion_qa")
    return ClipFile(path)


def _read(path: Path) -> tuple[Question, ...]:
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_text())
        return tuple(_question(e) for e in entries)
    except OSError as error:
        raise InputError(
            f"{path} can not be read ({error.strerror}); build it with python -m motionqa.eval.build_motion_qa"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no list of motion_qa questions ({error!r}); build it again") from error


def _question(entry: dict[str, Any]) -> Question:
    span = entry.get("span_s")
    return Question(
        entry["id"], entry["clip"], entry["question"], entry["answer"], entry["kind"], entry.get("relation", ""),
        (), tuple(entry.get("accepted", ())), tuple(span) if span else None,
    )  # fmt: skip

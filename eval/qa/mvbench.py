"""MVBench's human sub-tasks (Li et al., CVPR 2024), from the published json files and video folders.

`--data` holds `json/TASK.json` (or `TASK.json`), lists of objects with `video`, `question`, `candidates` and `answer`,
some with `start` and `end` in seconds; and `video/` with the source sets' folders. There is one split, `test`.

`mvbench_human` are the seven sub-tasks that MotionLLM (arXiv 2405.20340, section 4.1) calls human behaviour, so its
average can stand beside theirs. `mvbench_human_plus` adds Action Antonym (which of two opposite actions) and Action
Count (how often), which need the movement too. Left out: object and scene tasks, CLEVRER's moving solids (Moving
Direction, Count and Attribute, Counterfactual Inference), and Character Order and State Change, whose answers are
letters and things. The questions have no ids: theirs here are the task and the position in its file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from motionqa.data.schema import InputError
from motionqa.data.video import VIDEO_SUFFIXES
from motionqa.eval.qa.official_files import FileIndex, load_records
from motionqa.eval.qa.protocols import CHOICE, CLOSED_SET
from motionqa.eval.qa.question import Aggregate, Anchor, Benchmark, ClipFile, Question

QUESTIONS_PER_TASK = 200


@dataclass(frozen=True)
class Task:
    """A sub-task: its file, and where its source set's videos are below `video/`."""

    name: str
    file: str
    folder: str
    bounded: bool = False
    """Whether the question is about `start` to `end` of the video only."""


SEVEN = (
    Task("action localization", "action_localization.json", "sta/sta_video", True),
    Task("action prediction", "action_prediction.json", "star/Charades_v1_480", True),
    Task("action sequence", "action_sequence.json", "star/Charades_v1_480", True),
    Task("egocentric navigation", "egocentric_navigation.json", "vlnqa"),
    Task("fine-grained action", "fine_grained_action.json", "Moments_in_Time_Raw/videos"),
    Task("fine-grained pose", "fine_grained_pose.json", "nturgbd"),
    Task("unexpected action", "unexpected_action.json", "FunQA_test/test"),
)
PLUS = (
    Task("action antonym", "action_antonym.json", "ssv2_video"),
    Task("action count", "action_count.json", "perception/videos"),
)

_TABLE = "arXiv 2405.20340, table 6, mean of the seven sub-tasks"
ANCHORS = (
    Anchor("VideoChatGPT", 0.252, CHOICE.name, _TABLE),
    Anchor("VideoLLaMA", 0.294, CHOICE.name, _TABLE),
    Anchor("VideoChat", 0.301, CHOICE.name, _TABLE),
    Anchor("Video-LLaVA", 0.263, CHOICE.name, _TABLE),
    Anchor("MotionLLM", 0.316, CHOICE.name, _TABLE),
)


def read_mvbench(data: Path, split: str = "test", tasks: tuple[Task, ...] = SEVEN) -> Benchmark:
    """The questions of the sub-tasks with where their videos are. InputError for whatever is wrong with the files."""
    if split != "test":
        raise InputError(f"MVBench has the split test only, not {split!r}")
    folder = data / "json" if (data / "json").is_dir() else data
    questions: list[Question] = []
    notes: list[str] = []
    for task in tasks:
        found = _read_task(folder / task.file, task)
        if len(found) != QUESTIONS_PER_TASK:
            notes.append(f"{task.name}: {len(found)} questions, {QUESTIONS_PER_TASK} published.")
        questions += found
    return Benchmark(
        "mvbench_human" if tasks == SEVEN else "mvbench_human_plus",
        split,
        tuple(questions),
        (),
        (CHOICE, CLOSED_SET),
        ANCHORS if tasks == SEVEN else (),
        partial(_find_video, FileIndex(data, VIDEO_SUFFIXES), {t.name: t for t in tasks}),
        tuple(notes),
        aggregates=(
            Aggregate(
                "mean of the sub-tasks",
                "Each sub-task counts the same: the published average, also where questions are missing.",
                CHOICE.name,
                _mean_of_types,
            ),
        ),
    )


def _mean_of_types(questions: Sequence[Question], scores: Sequence[float]) -> float:
    by_type: dict[str, list[float]] = {}
    for question, score in zip(questions, scores, strict=True):
        by_type.setdefault(question.type, []).append(score)
    return sum(sum(s) / len(s) for s in by_type.values()) / len(by_type)


def _read_task(path: Path, task: Task) -> list[Question]:
    questions = []
    for position, entry in enumerate(load_records(path)):
        where = f"{path}, entry {position}"
        span = _span(entry, where) if task.bounded else None
        options = entry.get("candidates")
        if not isinstance(options, list) or len(options) < 2:
            raise InputError(f"{where}: candidates should be a list of answers, found {str(options)[:80]}")
        missing = [f for f in ("video", "question", "answer") if f not in entry]
        if missing:
            raise InputError(f"{where} has no {', '.join(missing)}; use the published file")
        texts = tuple(map(str, options))
        answer = str(entry["answer"])
        if answer not in texts:
            raise InputError(f"{where}: the answer {answer!r} is not among its candidates; use the published file")
        identity = f"{Path(task.file).stem}/{position:03d}"
        questions.append(
            Question(identity, str(entry["video"]), str(entry["question"]), answer, task.name, "", texts, (), span)
        )
    return questions


def _span(entry: dict[str, Any], where: str) -> tuple[float, float]:
    try:
        start, end = float(entry["start"]), float(entry["end"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{where}: start and end should be seconds ({error!r}); use the published file") from error
    if not 0 <= start < end:
        raise InputError(f"{where}: start {start} and end {end} are no span of time")
    return start, end


def _find_video(files: FileIndex, tasks: dict[str, Task], question: Question) -> ClipFile:
    task = tasks[question.type]
    name = Path(question.clip)
    source = task.folder.split("/", maxsplit=1)[0]
    places = (files.folder / root / task.folder / name for root in ("video", "."))
    # Archives unpack to star/star/… or nturgbd_convert/…, and some clips were converted to another container.
    file = next((p for p in places if p.is_file()), None) or files.find(name.stem, source)
    if file is None:
        raise InputError(
            f"video {name} is not in {files.folder / 'video' / task.folder}"
            + (" (NTU RGB+D must be asked for separately)" if source == "nturgbd" else "")
            + "; unpack MVBench's video archives there"
        )
    return ClipFile(file, span_s=question.span_s)

"""ActivityNet-QA (Yu et al., AAAI 2019), from its official files.

`--data` holds `{train,val,test}_{q,a}.json`, and anywhere below it the videos as ActivityNet names them
(`v_1QIUV7WYKXg.mp4`, .mkv or .webm). Questions have no question mark and are lower case; they are kept as they are.

The official script counts equal strings. Its "Free" figure divides the right answers of types 3 to 8 by the number of
questions of all types except the three that happen to come first in the answers file; the ground truth scored against
itself gets 1.39. Both that figure, under a name that says so, and the right one are given here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from motionqa.data.schema import InputError
from motionqa.data.video import VIDEO_SUFFIXES
from motionqa.eval.qa.official_files import FileIndex, check_unique, load_records, some
from motionqa.eval.qa.protocols import EXACT, NORMALISED
from motionqa.eval.qa.question import Aggregate, Anchor, Benchmark, ClipFile, Question

SPLITS = ("train", "val", "test")
TYPES = ("motion", "spatial", "temporal", "yes/no", "color", "object", "location", "number", "other")
"""Names of the types 0 to 8."""
FREE = TYPES[3:]
OFFICIAL_COUNTS: dict[str, tuple[int, int]] = {"train": (32000, 3200), "val": (18000, 1800), "test": (8000, 800)}
"""Questions and videos of each split."""

_JUDGE = "GPT judge"
_JUDGED = "as reported by its authors; moves by up to 10 points with the judge's version"
ANCHORS = (
    Anchor("Video-ChatGPT", 0.352, _JUDGE, _JUDGED),
    Anchor("Video-LLaVA", 0.453, _JUDGE, _JUDGED),
    Anchor("VideoChat2", 0.491, _JUDGE, _JUDGED),
    Anchor("MotionLLM", 0.533, _JUDGE, _JUDGED),
    Anchor("LLaVA-OneVision-7B", 0.566, _JUDGE, _JUDGED),
    Anchor("LLaVA-OneVision-72B", 0.623, _JUDGE, _JUDGED),
    Anchor("majority by type (blind)", 0.243, "exact string", "computed from the questions alone"),
    Anchor("question look-up (blind)", 0.269, "exact string", "computed from the questions alone"),
)


def read_activitynet_qa(data: Path, split: str = "test") -> Benchmark:
    """The questions of a split with where their videos are. InputError for whatever is wrong with the files."""
    if split not in SPLITS:
        raise InputError(f"ActivityNet-QA has the splits {', '.join(SPLITS)}, not {split!r}")
    questions = _read_split(data, split)
    counts = len(questions), len({q.clip for q in questions})
    official = OFFICIAL_COUNTS[split]
    published = f"the official {split} split has {official[0]} on {official[1]}"
    notes = () if counts == official else (f"{counts[0]} questions on {counts[1]} videos; {published}.",)
    there = (data / "train_q.json").is_file() and (data / "train_a.json").is_file()
    return Benchmark(
        "activitynet_qa",
        split,
        questions,
        (questions if split == "train" else _read_split(data, "train")) if there else (),
        (EXACT, NORMALISED),
        ANCHORS,
        partial(_find_video, FileIndex(data, VIDEO_SUFFIXES)),
        notes,
        groups={"Free": FREE},
        aggregates=(
            Aggregate(
                "Free, as the official script has it (faulty)",
                "Right answers of types 3 to 8 over the questions of all but the three types seen first in the file.",
                EXACT.name,
                faulty_free,
            ),
        ),
    )


def faulty_free(questions: Sequence[Question], scores: Sequence[float]) -> float:
    """The official script's "Free" figure: above 1 for good systems. Needs the official order of the answers file."""
    counts = Counter(q.type for q in questions)  # keeps the order of first appearance
    divisor = sum(list(counts.values())[3:])
    right = sum(score for q, score in zip(questions, scores, strict=True) if q.type in FREE)
    return right / divisor if divisor else float("nan")


def _read_split(data: Path, split: str) -> tuple[Question, ...]:
    """The questions in the order of the answers file, joined by id."""
    q_path, a_path = data / f"{split}_q.json", data / f"{split}_a.json"
    asked, answers = load_records(q_path), load_records(a_path)
    _check_fields(asked, ("question_id", "question", "video_name"), q_path)
    _check_fields(answers, ("question_id", "answer", "type"), a_path)
    check_unique([str(e["question_id"]) for e in asked], q_path)
    check_unique([str(e["question_id"]) for e in answers], a_path)
    by_id = {str(e["question_id"]): e for e in asked}
    answered = {str(e["question_id"]) for e in answers}
    without, unasked = [i for i in by_id if i not in answered], [i for i in answered if i not in by_id]
    if without:
        raise InputError(f"{q_path}: {some(without, 'question', 'questions')} without an answer in {a_path.name}")
    if unasked:
        raise InputError(f"{a_path}: {some(sorted(unasked), 'answer', 'answers')} without a question in {q_path.name}")
    strange = [str(e["question_id"]) for e in answers if e["type"] not in range(len(TYPES))]
    if strange:
        raise InputError(f"{a_path}: {some(strange, 'question', 'questions')} of a type that is none of 0 to 8")
    return tuple(
        Question(
            str(e["question_id"]),
            str(by_id[str(e["question_id"])]["video_name"]),
            str(by_id[str(e["question_id"])]["question"]),
            str(e["answer"]),
            TYPES[e["type"]],
        )
        for e in answers
    )


def _check_fields(records: Sequence[dict], fields: tuple[str, ...], path: Path) -> None:
    wrong = [i for i, entry in enumerate(records) if any(f not in entry for f in fields)]
    if wrong:
        raise InputError(f"{path}: {some(wrong, 'entry', 'entries')} without all of {', '.join(fields)}")


def _find_video(files: FileIndex, question: Question) -> ClipFile:
    file = files.find(f"v_{question.clip}") or files.find(question.clip)
    if file is None:
        raise InputError(
            f"video {question.clip} is nowhere below {files.folder}; expected v_{question.clip}.mp4 (.mkv, .webm). "
            "Download it from ActivityNet, or ask the data set's authors for videos that are gone"
        )
    return ClipFile(file)

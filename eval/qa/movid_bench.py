"""MoVid-Bench (Chen et al., MotionLLM, arXiv 2405.20340, section 3.4): 700 questions on motions, 650 on videos.

The authors list the benchmark's release as still to do, so its file format is not public. This reader takes
what their paper and their public MoVid set describe: `movid_bench_motion.json` and `movid_bench_video.json` in
`--data`, each a list of objects with a question (`question` or `Q`), an answer (`answer` or `A`), a clip (`video`,
`motion` or `clip`: a path, or a name below `--data`) and one of five kinds (`type` or `category`). The two parts are
the splits `motion` and `video`. Published figures are GPT-3.5's judgements; the string protocols are here for
completeness only.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from motionqa.data.schema import InputError
from motionqa.data.video import VIDEO_SUFFIXES
from motionqa.eval.qa.official_files import FileIndex, check_unique, load_records
from motionqa.eval.qa.protocols import EXACT, NORMALISED
from motionqa.eval.qa.question import Anchor, Benchmark, ClipFile, Question

SPLITS = ("motion", "video")
OFFICIAL_COUNTS: dict[str, dict[str, int]] = {
    "motion": {"body-part": 205, "sequence": 171, "direction": 140, "reasoning": 148, "hallucination": 36},
    "video": {"body-part": 167, "sequence": 216, "direction": 43, "reasoning": 185, "hallucination": 39},
}
KINDS = {"body": "body-part", "seq": "sequence", "dir": "direction", "rea": "reasoning", "hal": "hallucination"}
"""How a kind's name begins, in lower case, and its row."""
SUFFIXES = (*VIDEO_SUFFIXES, ".npy", ".npz")
FIELDS = {
    "question": ("question", "Q"),
    "answer": ("answer", "A"),
    "clip": ("video", "motion", "clip"),
    "type": ("type", "category"),
}

_TABLE = "arXiv 2405.20340, table 4"
ANCHORS: dict[str, tuple[Anchor, ...]] = {
    "motion": (
        Anchor("GPT-3.5 without the clip", 0.3133, "GPT-3.5 judge", _TABLE),
        Anchor("MotionGPT", 0.3686, "GPT-3.5 judge", _TABLE),
        Anchor("MotionLLM", 0.4950, "GPT-3.5 judge", _TABLE),
    ),
    "video": (
        Anchor("GPT-3.5 without the clip", 0.0303, "GPT-3.5 judge", _TABLE),
        Anchor("Video-LLaVA", 0.4253, "GPT-3.5 judge", _TABLE),
        Anchor("MotionLLM", 0.4900, "GPT-3.5 judge", _TABLE),
    ),
}


def read_movid_bench(data: Path, split: str = "motion") -> Benchmark:
    """The questions on motions or on videos. InputError for whatever is wrong with the file."""
    if split == "test":
        raise InputError("MoVid-Bench is published in two parts: choose the split motion or video")
    if split not in SPLITS:
        raise InputError(f"MoVid-Bench has the splits {', '.join(SPLITS)}, not {split!r}")
    path = data / f"movid_bench_{split}.json"
    questions = tuple(_question(e, i, path) for i, e in enumerate(load_records(path)))
    check_unique([q.id for q in questions], path)
    counts = dict(Counter(q.type for q in questions))
    notes = ["The file format is not public; this reader's is a guess from the paper."]
    if counts != OFFICIAL_COUNTS[split]:
        notes.append(f"questions per kind are {counts}; the paper has {OFFICIAL_COUNTS[split]}.")
    find = partial(_find_clip, data, FileIndex(data, SUFFIXES))
    return Benchmark("movid_bench", split, questions, (), (EXACT, NORMALISED), ANCHORS[split], find, tuple(notes))


def _question(entry: dict[str, Any], position: int, path: Path) -> Question:
    found = {}
    for field, names in FIELDS.items():
        name = next((n for n in names if n in entry), None)
        if name is None:
            raise InputError(
                f"{path}, entry {position} has no {' or '.join(names)}; it has {', '.join(entry) or 'nothing'}"
            )
        found[field] = str(entry[name])
    kind = next((row for start, row in KINDS.items() if found["type"].lower().startswith(start)), None)
    if kind is None:
        raise InputError(f"{path}, entry {position}: type {found['type']!r} is none of {', '.join(KINDS.values())}")
    identity = str(entry.get("id", entry.get("question_id", f"{path.stem}/{position:04d}")))
    return Question(identity, found["clip"], found["question"], found["answer"], kind)


def _find_clip(data: Path, files: FileIndex, question: Question) -> ClipFile:
    direct = data / question.clip
    file = direct if direct.is_file() else files.find(Path(question.clip).stem)
    if file is None:
        raise InputError(f"clip {question.clip} is nowhere below {data}; unpack the Motion-X and HumanML3D clips there")
    return ClipFile(file)

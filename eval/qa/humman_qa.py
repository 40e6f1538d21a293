"""HuMMan-QA (Li et al., IMoRe, ICCV 2025): questions on HuMMan-MoGen motions, in NSPose's form.

`--data` holds `HuMMan_{train,val,test}.json` and the vocabularies. A motion is named like
`p000517_a000197_updated_bodypart`; its file, `p000517_a000197` with the suffix npz (SMPL parameters) or npy (joints),
may lie anywhere below `--data`, or prepared as `motion_sequences/NAME/joints.npy`. The release states no frame rate
with the questions, so the file's own is kept.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from motionqa.data.motion_files.raw_motion import MotionOverrides
from motionqa.data.schema import InputError
from motionqa.eval.qa.nspose_files import SPLITS, read_split, read_vocabularies
from motionqa.eval.qa.official_files import FileIndex
from motionqa.eval.qa.protocols import CLOSED_SET, EXACT, NORMALISED, TEN_OPTIONS
from motionqa.eval.qa.question import Benchmark, ClipFile, Question

OFFICIAL_COUNTS: dict[str, tuple[int, int]] = {"train": (2066, 636), "val": (524, 144), "test": (533, 150)}
"""Questions and motions of each split."""
MODEL_FOLDERS = ("body_models", "body_model", "smpl", "models")


def read_humman_qa(data: Path, split: str = "test", body_model: Path | None = None) -> Benchmark:
    """The questions of a split with where their motions are. InputError for whatever is wrong with the files."""
    if split not in SPLITS:
        raise InputError(f"HuMMan-QA has the splits {', '.join(SPLITS)}, not {split!r}")
    vocabularies = read_vocabularies(data, "HuMMan")
    questions, _ = read_split(data / f"HuMMan_{split}.json", vocabularies)
    counts = len(questions), len({q.clip for q in questions})
    official = OFFICIAL_COUNTS[split]
    published = f"the published {split} split has {official[0]} on {official[1]}"
    notes = () if counts == official else (f"{counts[0]} questions on {counts[1]} motions; {published}.",)
    training = data / "HuMMan_train.json"
    model = body_model or next((data / name for name in MODEL_FOLDERS if (data / name).is_dir()), None)
    return Benchmark(
        "humman_qa",
        split,
        questions,
        read_split(training, vocabularies)[0] if training.is_file() else (),
        (CLOSED_SET, EXACT, NORMALISED, TEN_OPTIONS),
        (),
        partial(_find_motion, data, FileIndex(data, (".npz", ".npy")), model),
        notes,
    )


def _find_motion(data: Path, files: FileIndex, body_model: Path | None, question: Question) -> ClipFile:
    name = question.clip.removesuffix("_updated_bodypart")
    prepared = (data / "motion_sequences" / n / "joints.npy" for n in (question.clip, name))
    file = next((p for p in prepared if p.is_file()), None) or files.find(name) or files.find(question.clip)
    if file is None:
        raise InputError(
            f"motion {name} is nowhere below {data}; expected {name}.npz (HuMMan-MoGen) or motion_sequences/{name}/"
            "joints.npy. Download the motion generation subset of HuMMan"
        )
    return ClipFile(file, MotionOverrides(body_model=body_model, max_frames=10_000_000))

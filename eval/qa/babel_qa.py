"""BABEL-QA (Endo et al., *Motion Question Answering via Modular Motion Programs*, ICML 2023), from its official files.

`--data` holds `BABELQA_{train,val,test}.json`, the vocabularies, `split_question_ids.json` and `amass_to_babel.json`,
and the motions either as NSPose prepares them (`motion_sequences/ID/joints.npy`: 22 joints, 30 fps, Z up) or as the
AMASS tree (`amass/CMU/91/91_48_poses.npz`) with the SMPL-H body model in `body_models/`. BABEL's own `train.json` and
`val.json` (v1.0) add the moments for temporal grounding.

Where this differs from NSPose's preparation: joints are interpolated to 30 fps instead of taking the frame before, and
neither is the floor set to 0 nor the first pose turned to one heading; the measurements downstream need neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from motionqa.data.motion_files.raw_motion import MotionOverrides
from motionqa.data.schema import InputError
from motionqa.eval.qa.babel_segments import Segment, read_segments, span_of
from motionqa.eval.qa.nspose_files import SPLITS, Step, check_split_ids, read_split, read_vocabularies
from motionqa.eval.qa.official_files import load_dictionary, some
from motionqa.eval.qa.protocols import CLOSED_SET, EXACT, GROUNDING_HIT, GROUNDING_IOU, NORMALISED, TEN_OPTIONS
from motionqa.eval.qa.question import Anchor, Benchmark, ClipFile, Question

FPS = 30.0
OFFICIAL_COUNTS: dict[str, tuple[int, int]] = {"train": (1800, 771), "val": (384, 167), "test": (393, 171)}
"""Questions and motions of each split."""

ANCHORS = (
    Anchor("2s-AGCN", 0.357, "closed set", "Endo et al., ICML 2023"),
    Anchor("MotionCLIP", 0.430, "closed set", "Endo et al., ICML 2023"),
    Anchor("MotionLLM", 0.372, "exact string", "arXiv 2405.20340, table 5"),
    Anchor("MotionLLM tuned on BABEL-QA", 0.436, "exact string", "arXiv 2405.20340, table 5"),
    Anchor("MotionGPT3 + Qwen2.5-7B", 0.501, "10-option", "as reported by its authors"),
    Anchor("IMoRe", 0.601, "10-option", "ICCV 2025"),
    Anchor("SMD, Qwen2.5-7B", 0.667, "10-option", "arXiv 2604.21668"),
    Anchor("HuMoCon", 0.711, "generative", "arXiv 2505.20920, table 3"),
    Anchor("FiGMo", 0.758, "own", "as reported by its authors"),
    Anchor("majority by type (blind)", 0.341, "exact string", "computed from the questions alone"),
    Anchor("question look-up (blind)", 0.440, "exact string", "computed from the questions alone"),
)

# NSPose corrects the frame rates that these AMASS files state.
CORRECTED_FPS: tuple[tuple[str, float], ...] = (
    ("BMLhandball", 240.0),
    ("20160930_50032", 59.0),
    ("20161014_50033", 59.0),
)
MODEL_FOLDERS = ("body_models", "body_model", "smplh", "models")


def read_babel_qa(data: Path, split: str = "test", body_model: Path | None = None) -> Benchmark:
    """The questions of a split with where their motions are. InputError for whatever is wrong with the files."""
    if split not in SPLITS:
        raise InputError(f"BABEL-QA has the splits {', '.join(SPLITS)}, not {split!r}")
    vocabularies = read_vocabularies(data, "BABELQA")
    questions, programs = read_split(data / f"BABELQA_{split}.json", vocabularies)
    notes: list[str] = []
    ids = data / "split_question_ids.json"
    if ids.is_file():
        check_split_ids(questions, split, ids)
    else:
        notes.append(f"{ids.name} is not there: the official split was not checked.")
    questions, grounding = _with_spans(questions, programs, read_segments(data))
    counts = len(questions), len({q.clip for q in questions})
    if counts != OFFICIAL_COUNTS[split]:
        official = OFFICIAL_COUNTS[split]
        published = f"the official {split} split has {official[0]} on {official[1]}"
        notes.append(f"{counts[0]} questions on {counts[1]} motions; {published}.")
    training = data / "BABELQA_train.json"
    return Benchmark(
        "babel_qa",
        split,
        questions,
        read_split(training, vocabularies)[0] if training.is_file() else (),
        (CLOSED_SET, EXACT, NORMALISED, TEN_OPTIONS, GROUNDING_IOU, GROUNDING_HIT),
        ANCHORS,
        partial(find_motion, data, read_mapping(data), body_model or _body_model(data)),
        (*notes, grounding),
    )


def read_mapping(data: Path) -> dict[str, str]:
    """The AMASS path of each BABEL id, without suffix: `{"7644": "CMU/91/91_48_poses"}`."""
    path = data / "amass_to_babel.json"
    paths: dict[str, str] = {}
    twice: list[str] = []
    for amass, babel in (load_dictionary(path) if path.is_file() else {}).items():
        if str(babel) in paths:
            twice.append(str(babel))
        paths[str(babel)] = amass.removesuffix(".npz")
    if twice:
        raise InputError(
            f"{path}: {some(twice, 'BABEL id', 'BABEL ids')} given to two AMASS files; use the official file"
        )
    return paths


def find_motion(data: Path, paths: Mapping[str, str], body_model: Path | None, question: Question) -> ClipFile:
    """The motion's file: NSPose's prepared joints where they are, else the AMASS parameters. InputError for neither."""
    joints = data / "motion_sequences" / question.clip / "joints.npy"
    if joints.is_file():
        # NSPose's own steps wrote it, so nothing about it needs to be guessed.
        known = MotionOverrides("npy", "smpl_22", FPS, "m", "z", "right", max_frames=10_000_000)
        return ClipFile(joints, known, fps=FPS)
    amass = paths.get(question.clip)
    if amass is None:
        raise InputError(
            f"motion {question.clip} is not in amass_to_babel.json and there is no {joints}; put the mapping "
            "(AMASS path to BABEL id) beside the questions"
        )
    tried = amass_places(data / "amass", amass)
    file = next((p for p in tried if p.is_file()), None)
    if file is None:
        raise InputError(
            f"motion {question.clip} ({amass}) is not there: no {joints} and no {tried[0]}. Download AMASS (SMPL+H) "
            "into the folder amass"
        )
    rate = next((fps for mark, fps in CORRECTED_FPS if mark in amass), None)
    overrides = MotionOverrides(
        "smpl", fps=rate, up_axis="z", handedness="right", body_model=body_model, max_frames=10_000_000
    )
    return ClipFile(file, overrides, fps=FPS)


def amass_places(root: Path, amass: str) -> tuple[Path, ...]:
    """Where a sequence may be: by its path, below its data set's archive name, and in the SMPL-X release."""
    first, _, _ = amass.partition("/")
    newer = amass.removesuffix("_poses") + "_stageii"
    return tuple(root / f"{p}.npz" for p in (amass, f"{first}/{amass}", newer, f"{first}/{newer}"))


def _body_model(data: Path) -> Path | None:
    return next((data / name for name in MODEL_FOLDERS if (data / name).is_dir()), None)


def _with_spans(
    questions: Sequence[Question], programs: Mapping[str, tuple[Step, ...]], segments: Mapping[str, tuple[Segment, ...]]
) -> tuple[tuple[Question, ...], str]:
    if not segments:
        return tuple(questions), "BABEL's train.json and val.json are not there: no temporal grounding is scored."
    found = tuple(replace(q, span_s=span_of(programs[q.id], segments.get(q.clip, ()))) for q in questions)
    without = [q.id for q in found if q.span_s is None]
    note = f"The moment asked about is known for {len(found) - len(without)} of {len(found)} questions"
    return (
        found,
        f"{note}; not for {', '.join(without[:5])}{', …' if len(without) > 5 else ''}." if without else f"{note}.",
    )

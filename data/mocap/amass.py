"""AMASS (Mahmood et al., ICCV 2019): every sequence of the official tree, posed with the user's own body model.

Layout: `DATASET/SUBJECT/*_poses.npz` (SMPL-H release) or `*_stageii.npz` (SMPL-X release), Z up, 60 to 250 fps.

Splits go by data set and are the ones AMASS recommends: HumanEva, HDM05, SFU and MoSh for validation, Transitions and
SSM for testing, everything else for training. Ours: the CMU subjects that `motionqa.data.mocap.splits` tests on are
tested on here too, since the same recordings are in the packed CMU collection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from motionqa.data.mocap.clip import MocapClip, Split
from motionqa.data.mocap.packed import MIN_FRAMES
from motionqa.data.mocap.read_report import ReadReport, warn_of_skipped
from motionqa.data.mocap.splits import CMU_TEST_SUBJECTS
from motionqa.data.motion_files.raw_motion import MotionOverrides
from motionqa.data.motion_files.read import read_motion
from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17, convert

TARGET_FPS = 30.0
SUFFIXES = ("_poses.npz", "_stageii.npz")
VALIDATION_SETS = frozenset({"humaneva", "mpihdm05", "hdm05", "sfu", "mpimosh", "mosh"})
TEST_SETS = frozenset({"transitionsmocap", "transitions", "ssmsynced", "ssm"})
"""Names of both releases, lower case and without underscores."""
NO_LIMIT = 10_000_000


def load_amass(
    folder: Path,
    body_model: Path | None,
    report: ReadReport | None = None,
    splits: tuple[Split, ...] = ("train", "val", "test"),
) -> Iterator[MocapClip]:
    """The sequences below `folder` in the order of their names, at about 30 fps; only those of `splits`.

    `body_model` is the file or folder of the licensed SMPL-H (or SMPL-X) model. Every n-th frame is kept, n the
    nearest whole number. Unreadable and too short sequences are recorded in `report`, or in a warning at the end.
    InputError at once where there are no sequences, or no body model.
    """
    if body_model is None or not body_model.exists():
        raise InputError(
            f"body_model is {body_model}: AMASS holds SMPL-H parameters, so posing it needs that model, a file such as "
            "SMPLH_NEUTRAL.npz or the folder with all genders (its licence is yours to accept)"
        )
    files = sorted(p for suffix in SUFFIXES for p in folder.rglob(f"*{suffix}"))
    if not files:
        raise InputError(
            f"{folder} has no AMASS sequences; expected DATASET/SUBJECT/*_poses.npz or *_stageii.npz in it"
        )
    overrides = MotionOverrides(
        format="smpl", up_axis="z", handedness="right", body_model=body_model, max_frames=NO_LIMIT
    )
    return _clips(files, overrides, report, splits)


def _clips(
    files: list[Path], overrides: MotionOverrides, report: ReadReport | None, splits: tuple[Split, ...]
) -> Iterator[MocapClip]:
    record = report or ReadReport("amass")
    for file in files:
        dataset, subject = file.parent.parent.name, file.parent.name
        split = amass_split(dataset, subject)
        if split not in splits:
            continue
        clip_id = f"{dataset}/{subject}/{file.stem}"
        try:
            clip = _read(file, overrides, clip_id, split)
        except InputError as error:
            record.skip(clip_id, str(error).replace(file.name, "the file"))
            continue
        if len(clip) < MIN_FRAMES:
            record.skip(clip_id, f"fewer than {MIN_FRAMES} frames at about {TARGET_FPS:g} fps")
            continue
        record.clips += 1
        yield clip
    if report is None:
        warn_of_skipped(record)


def _read(file: Path, overrides: MotionOverrides, clip_id: str, split: Split) -> MocapClip:
    pose = read_motion(file, overrides).poses[0]
    every = max(1, round(pose.fps / TARGET_FPS))
    xyz, confidence = convert(pose.xyz_m[::every], pose.confidence[::every], pose.skeleton, H36M_17)
    return MocapClip(
        "amass",
        clip_id,
        pose.fps / every,
        xyz.astype(np.float32),
        confidence.astype(np.float32),
        split,
        subject="/".join(clip_id.split("/")[:2]),
    )


def amass_split(dataset: str, subject: str) -> Split:
    """The side of a sequence, from its data set's and its subject's folder names."""
    name = re.sub(r"[_\- ]", "", dataset).lower()
    if name in VALIDATION_SETS:
        return "val"
    tested_elsewhere = name == "cmu" and subject.isdigit() and f"{int(subject):03d}" in CMU_TEST_SUBJECTS
    return "test" if name in TEST_SETS or tested_elsewhere else "train"

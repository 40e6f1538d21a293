"""Human3.6M (Ionescu et al., TPAMI 2014), from its official files or from the widely used `data_3d_h36m.npz`.

Official layout: `S1/MyPoseFeatures/D3_Positions/*.cdf`, world coordinates in millimetres, right-handed, Z up, 32
joints at 50 fps (`D3_Positions_mono` holds the same seen from each camera and is not read). The npz (VideoPose3D's)
holds them in metres, subject → action → [T, 32, 3].

Protocol 1: subjects 1, 5, 6, 7, 8 train, 9 and 11 test; there is no official validation side. Directions of S11 is
left out, as everyone does: one of its videos is damaged. Kept, though some are known to stand beside the person in the
images (which matters to cameras, not to poses): Greeting, SittingDown and Waiting of S9.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from motionqa.data.mocap.clip import MocapClip, Split
from motionqa.data.mocap.packed import MIN_FRAMES
from motionqa.data.mocap.read_report import ReadReport, warn_of_skipped
from motionqa.data.motion_files.raw_motion import MAX_ARRAY_BYTES
from motionqa.data.motion_files.smpl_pickle import InertUnpickler
from motionqa.data.schema import InputError

Array = np.ndarray

FPS = 50.0
TRAIN, TEST = ("S1", "S5", "S6", "S7", "S8"), ("S9", "S11")
KEPT = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""Rows of the 32 official joints that are `H36M_17`, in its order; the others are doubles, fingers and toes."""
DAMAGED = ("S11", "Directions")
ACTION_NAMES = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}
"""The official files name two actions differently from one subject to the next."""
TO_Y_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=np.float32)


def load_human36m(source: Path, report: ReadReport | None = None, every: int = 1) -> Iterator[MocapClip]:
    """The sequences of the official folder or of `data_3d_h36m.npz`, in the order of subject and action.

    `every` keeps one frame in so many (2 gives 25 fps). What is left out is recorded in `report`, or in a warning at
    the end. InputError at once where `source` is neither, or cdflib is needed and not installed.
    """
    if every < 1:
        raise ValueError(f"every must be at least 1, got {every}")
    if source.is_dir():
        sequences = _official(source)
    elif source.is_file():
        sequences = _packed(source)
    else:
        raise InputError(f"{source} does not exist; give the folder with S1, S5, … or data_3d_h36m.npz")
    return _clips(sequences, report, every)


def _clips(sequences: Iterator[tuple[str, str, Any]], report: ReadReport | None, every: int) -> Iterator[MocapClip]:
    record = report or ReadReport("human36m")
    for subject, action, positions in sequences:
        name = f"{subject}/{action}"
        label = re.sub(r"\s*\d+$", "", action)
        if (subject, action) == DAMAGED:
            record.skip(name, "its video is damaged; left out by all")
        elif isinstance(positions, InputError):
            record.skip(name, str(positions))
        elif len(positions) < MIN_FRAMES * every:
            record.skip(name, f"fewer than {MIN_FRAMES} frames")
        else:
            record.clips += 1
            xyz = np.ascontiguousarray(positions[::every][:, list(KEPT)] @ TO_Y_UP.T)
            split: Split = "test" if subject in TEST else "train"
            sure = np.ones(xyz.shape[:2], dtype=np.float32)
            yield MocapClip("human36m", name, FPS / every, xyz, sure, split, label, subject=subject)
    if report is None:
        warn_of_skipped(record)


def _checked(positions: Any, metres_per_unit: float) -> Float[Array, "T 32 3"]:
    """Official joints in metres, still Z up. InputError for other shapes and for numbers that are no places."""
    values = np.asarray(positions)
    if values.ndim == 3 and values.shape[0] == 1:  # the CDF variable has a record axis of one
        values = values[0]
    if values.dtype.kind not in "fiu" or values.ndim < 2 or int(np.prod(values.shape[1:])) != 96:
        raise InputError(f"positions are {values.dtype}{list(values.shape)}, expected 32 joints of 3 numbers a frame")
    metres = values.reshape(len(values), 32, 3).astype(np.float32) * metres_per_unit
    if not np.isfinite(metres).all() or np.abs(metres).max(initial=0.0) > 100:
        raise InputError("positions are not finite or farther than 100 m: damaged, or of another unit")
    return metres.astype(np.float32)


# ------------------------------------------------------------------------------------------- official files


def _official(folder: Path) -> Iterator[tuple[str, str, Any]]:
    files = [
        (subject, path)
        for subject in (*TRAIN, *TEST)
        for path in sorted((folder / subject / "MyPoseFeatures" / "D3_Positions").glob("*.cdf"))
    ]
    if not files:
        raise InputError(f"{folder} has no S*/MyPoseFeatures/D3_Positions/*.cdf; unpack the official archives there")
    try:
        import cdflib
    except ImportError as error:
        raise InputError("reading Human3.6M's .cdf files needs cdflib: pip install cdflib") from error
    return ((subject, _canonical(path.stem), _read_cdf(cdflib, path)) for subject, path in files)


def _read_cdf(cdflib: Any, path: Path) -> Float[Array, "T 32 3"] | InputError:
    try:
        return _checked(cdflib.CDF(path).varget("Pose"), 0.001)
    except InputError as error:
        return error
    except Exception as error:  # cdflib's parser raises whatever the damage leads to
        return InputError(f"no readable CDF file with a variable Pose ({type(error).__name__})")


def _canonical(action: str) -> str:
    for official, usual in ACTION_NAMES.items():
        action = action.replace(official, usual)
    return action


# ---------------------------------------------------------------------------------------------------- npz


def _packed(path: Path) -> Iterator[tuple[str, str, Any]]:
    subjects = _plain_dictionary(path)
    unknown = [s for s in subjects if s not in (*TRAIN, *TEST)]
    if unknown or not subjects:
        raise InputError(
            f"{path.name} has the subjects {list(subjects)}, expected some of {', '.join((*TRAIN, *TEST))}"
        )
    wrong = [s for s, actions in subjects.items() if not isinstance(actions, Mapping)]
    if wrong:
        raise InputError(f"{path.name}: {', '.join(wrong)} holds no actions; expected subject, action, positions")
    order = [s for s in (*TRAIN, *TEST) if s in subjects]
    return ((s, _canonical(str(a)), _checked_or_why(p)) for s in order for a, p in sorted(subjects[s].items()))


def _checked_or_why(positions: Any) -> Float[Array, "T 32 3"] | InputError:
    try:
        return _checked(positions, 1.0)
    except InputError as error:
        return error


def _plain_dictionary(path: Path) -> dict[str, Any]:
    """`positions_3d` of the npz, which is a pickled dictionary: numbers are let through and nothing else."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("positions_3d.npy") as member:
            if archive.getinfo("positions_3d.npy").file_size > MAX_ARRAY_BYTES:
                raise InputError(f"{path.name}: positions_3d claims more than 1 GB")
            content = io.BytesIO(member.read())
        version = np.lib.format.read_magic(content)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(content)
        if shape != () or not dtype.hasobject:
            raise InputError(f"{path.name}: positions_3d is {dtype}{list(shape)}, expected one dictionary")
        held = InertUnpickler(content, encoding="latin1").load()
    except InputError:
        raise
    except pickle.UnpicklingError as error:
        raise InputError(f"{path.name} is refused: it {error}, which positions do not need") from error
    except Exception as error:  # damage can show anywhere
        raise InputError(f"{path.name} is no data_3d_h36m.npz with positions_3d ({error!r:.100})") from error
    found = held.item() if isinstance(held, np.ndarray) and held.shape == () else held
    if not isinstance(found, dict):
        raise InputError(f"{path.name}: positions_3d holds a {type(found).__name__}, expected a dictionary of subjects")
    return found

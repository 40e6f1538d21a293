"""Packed npz collections: many clips' joint positions in one file, read one clip at a time.

Keys: `positions_mm` int16 [sum_T, J, 3] (millimetres, Y up) or `positions_px` [sum_T, J, 3] (Kinect image x, y and
raw depth), `offsets` [N+1], `fps` [N], `clip_id` [N], `joint_names` [J], `parents` [J], optional `confidence`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from motionqa.data.motion_files.array_files import load_npz, npz_keys
from motionqa.data.motion_files.kinect import DepthImageFrames, back_project
from motionqa.data.motion_files.raw_motion import MotionOverrides, RawMotion, choose_frames
from motionqa.data.schema import InputError

Array = np.ndarray

KEYS = ("offsets", "fps", "clip_id", "joint_names", "parents")


def packed_clip_ids(path: Path) -> tuple[str, ...]:
    """The names of a packed file's clips, in order."""
    return tuple(str(c) for c in load_npz(path, ("clip_id",))["clip_id"].ravel())


def read_packed(path: Path, overrides: MotionOverrides) -> list[RawMotion]:
    """One clip of a packed npz, chosen by `overrides.clip`; InputError where the choice is open or not there."""
    keys = npz_keys(path)
    pixels = "positions_px" in keys and "positions_mm" not in keys
    key = "positions_px" if pixels else "positions_mm"
    data = load_npz(path, (*KEYS, key), optional=("confidence",))
    positions, names = data[key], [str(n) for n in data["joint_names"].ravel()]
    if positions.ndim != 3 or positions.shape[1:] != (len(names), 3) or positions.dtype.kind not in "fiu":
        raise InputError(f"{path.name}: {key} has shape {positions.shape}, expected [T, {len(names)}, 3] numbers")
    clip = _clip_number([str(c) for c in data["clip_id"].ravel()], overrides, path.name)
    offsets = data["offsets"].ravel()
    if offsets.dtype.kind not in "iu" or len(offsets) < clip + 2:
        raise InputError(f"{path.name}: offsets {offsets.dtype}[{len(offsets)}] do not reach clip {clip}")
    start, stop = int(offsets[clip]), int(offsets[clip + 1])
    if not 0 <= start <= stop <= len(positions):
        raise InputError(f"{path.name}: clip {clip} claims rows {start} to {stop} of {len(positions)}; it is damaged")
    rates = np.asarray(data["fps"], dtype=np.float64).ravel()
    frames = choose_frames(stop - start, float(rates[clip]) if clip < len(rates) else None, overrides)
    values = np.asarray(positions[start:stop][frames.keep], dtype=np.float64)
    confidence = data.get("confidence")
    if confidence is not None:
        confidence = np.asarray(confidence[start:stop][frames.keep], dtype=np.float64)
        if confidence.shape != values.shape[:2]:
            raise InputError(f"{path.name}: confidence does not match the positions; the file is damaged")
    label = str(data["clip_id"].ravel()[clip])
    if pixels:
        return [back_project(DepthImageFrames(values, confidence, tuple(names), frames, "packed"), label)]
    parents = tuple(int(p) for p in data["parents"].ravel())
    raw = RawMotion(
        "packed",
        tuple(names),
        values,
        frames,
        units="mm",
        up_axis="y",
        parents=parents,
        confidence=confidence,
        detected={"clip": label},
    )
    return [raw]


def _clip_number(ids: list[str], overrides: MotionOverrides, name: str) -> int:
    choice = overrides.clip
    if not ids:
        raise InputError(f"{name} holds no clips")
    if choice is None:
        if len(ids) == 1:
            return 0
        raise InputError(
            f"{name} holds {len(ids)} clips; choose one with clip, a number from 0 to {len(ids) - 1} or a clip_id "
            f"such as {ids[0]!r}"
        )
    if isinstance(choice, int) or (choice not in ids and choice.lstrip("-").isdigit()):
        number = int(choice)
        if not 0 <= number < len(ids):
            raise InputError(f"clip {number} is not in {name}, which has clips 0 to {len(ids) - 1}")
        return number
    matches = [i for i, clip_id in enumerate(ids) if clip_id == choice] or [
        i for i, clip_id in enumerate(ids) if choice in (Path(clip_id).name, Path(clip_id).stem)
    ]
    if len(matches) != 1:
        raise InputError(
            f"{name} has {len(matches)} clips called {choice!r} among its {len(ids)}; use a clip_id as stored"
        )
    return matches[0]

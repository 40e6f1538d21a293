"""Every clip of a packed npz collection (see `motionqa.data.motion_files.packed` for the format), labels included."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.splits import split_of
from motionqa.data.motion_files.array_files import load_npz
from motionqa.data.motion_files.gaps import fill_gaps
from motionqa.data.motion_files.joint_names import build_skeleton, match_names
from motionqa.data.motion_files.kinect import MSR_FPS, DepthImageFrames, back_project
from motionqa.data.motion_files.raw_motion import MotionOverrides, choose_frames
from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17, convert

Array = np.ndarray

MIN_FRAMES = 8


def load_packed(path: Path) -> list[MocapClip]:
    """The clips of one collection, in order; those shorter than 8 frames or never seen are left out.

    InputError where the file lacks a key, or its joints do not give the Human3.6M set.
    """
    source = path.stem
    data = load_npz(
        path,
        ("offsets", "fps", "clip_id", "joint_names", "parents"),
        optional=("positions_mm", "positions_px", "confidence", "label", "style", "subject", "split"),
    )
    if "positions_mm" not in data and "positions_px" not in data:
        raise InputError(f"{path.name} holds neither positions_mm nor positions_px; it is not a packed collection")
    metric = "positions_mm" in data
    names = [str(n) for n in data["joint_names"].ravel()]
    positions, confidence = (_millimetres if metric else _depth_image)(data, names)
    found = match_names(names, tuple(int(p) for p in data["parents"].ravel()))
    skeleton = build_skeleton(list(found), "packed")
    order = [found[j] for j in skeleton.joints]
    xyz, sure = convert(positions[:, order], confidence[:, order], skeleton, H36M_17)
    clips = []
    keys = ("clip_id", "label", "style", "subject", "split")
    words = {key: [str(v) for v in data[key].ravel()] for key in keys if key in data}
    for i, (start, stop) in enumerate(zip(data["offsets"], data["offsets"][1:], strict=False)):
        clip_id, label, style, subject, official = (words[k][i] if k in words else "" for k in keys)
        rows = slice(int(start), int(stop))
        if stop - start < MIN_FRAMES or not (sure[rows] > 0).any():
            continue
        split = split_of(source, clip_id, label, style, subject, official)
        clips.append(
            MocapClip(
                source, clip_id, float(data["fps"][i]), xyz[rows], sure[rows], split, label, style, subject, metric
            )
        )
    return clips


def load_collections(paths: Iterable[Path]) -> list[MocapClip]:
    """The clips of several collections, or of every `.npz` in a folder."""
    files = [f for p in paths for f in (sorted(p.glob("*.npz")) if p.is_dir() else [p])]
    if not files:
        raise InputError("no packed collections (.npz) were found; give their paths or their folder")
    return [clip for f in files for clip in load_packed(f)]


def _millimetres(data: dict[str, Array], names: list[str]) -> tuple[Array, Array]:
    """Positions in metres, and confidences."""
    positions = np.asarray(data["positions_mm"], dtype=np.float32) / 1000
    return positions, np.asarray(data.get("confidence", np.ones((len(positions), len(names)))), dtype=np.float32)


def _depth_image(data: dict[str, Array], names: list[str]) -> tuple[Array, Array]:
    """Kinect image positions put into space (guessed metres), unseen joints at confidence 0 and bridged in time."""
    xyd = np.asarray(data["positions_px"], dtype=np.float64)
    frames = choose_frames(len(xyd), MSR_FPS, MotionOverrides(), MSR_FPS)
    raw = back_project(DepthImageFrames(xyd, data.get("confidence"), tuple(names), frames, "packed"), "")
    assert raw.confidence is not None
    positions, confidence = raw.positions.copy(), raw.confidence.copy()
    for start, stop in zip(data["offsets"], data["offsets"][1:], strict=False):
        rows = slice(int(start), int(stop))
        if (confidence[rows] > 0).any():
            positions[rows], confidence[rows] = fill_gaps(positions[rows], confidence[rows], MSR_FPS)
    return np.nan_to_num(positions).astype(np.float32), confidence.astype(np.float32)

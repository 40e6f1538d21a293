"""What is wrong with one motion file or video, found without decoding it, or with."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from motionqa.data.motion_files.array_files import load_npy, load_npz, npz_keys
from motionqa.data.motion_files.smpl_files import FPS_KEYS, WIDTHS, is_smpl_npz
from motionqa.data.schema import InputError

MOTION_SUFFIXES = (".npz", ".npy")

_SHORTEST_FRAMES = 2


def clip_fault(path: Path, deep: bool = False) -> str:
    """What is wrong with a file, in words; '' for nothing. Never raises for what is in the file."""
    look = {".npz": _npz_fault, ".npy": _npy_fault}.get(path.suffix.lower(), _video_fault)
    try:
        return look(path, deep) if path.stat().st_size else "empty (0 bytes)"
    except InputError as error:
        return str(error).replace(f"{path.name} ", "", 1)
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    except Exception as error:  # what damaged files raise has no common base, and the check must go on
        return f"damaged ({type(error).__name__}: {str(error)[:80]})"


def stated_seconds(path: Path) -> float | None:
    """Length of an AMASS file by its frames and the rate it states, from headers alone; None where it does not say.

    Raises for damaged files, of which `clip_fault` says what is wrong.
    """
    keys = npz_keys(path)
    rate = next((k for k in FPS_KEYS if k in keys), None)
    shapes = _headers(path)
    frames = next((shapes[k][0] for k in ("poses", "trans", "pose_body") if shapes.get(k)), 0)
    fps = float(load_npz(path, (rate,))[rate]) if rate else 0.0
    return frames / fps if frames and fps > 0 else None


def _npz_fault(path: Path, deep: bool) -> str:
    keys = npz_keys(path)
    if "v_template" in keys or "offsets" in keys or "joints" in keys:
        return ""  # a body model, a packed collection, NSPose's pose.npz: no clip
    if not is_smpl_npz(keys):
        return f"no SMPL parameters in it: arrays {', '.join(keys[:8]) or 'none'}"
    fault = _shape_fault(_headers(path))
    if not fault and not any(k in keys for k in FPS_KEYS):
        fault = "no frame rate in it (mocap_framerate)"
    if deep and not fault:
        arrays = load_npz(path, tuple(k for k in keys if k in ("poses", "trans", "root_orient", "pose_body", "betas")))
        wrong = [k for k, a in arrays.items() if a.dtype.kind == "f" and not np.isfinite(a).all()]
        fault = f"{', '.join(wrong)} hold values that are no numbers" if wrong else ""
    return fault


def _shape_fault(shapes: dict[str, tuple[int, ...]]) -> str:
    poses = shapes.get("poses")
    if poses is None:
        return ""
    if len(poses) != 2 or poses[1] not in WIDTHS:
        return f"poses has shape {list(poses)}, expected [T, 72], [T, 156] or [T, 165]"
    if poses[0] < _SHORTEST_FRAMES:
        return f"{poses[0]} frames, expected at least {_SHORTEST_FRAMES}"
    if shapes.get("trans", (poses[0], 3)) != (poses[0], 3):
        return f"trans has shape {list(shapes['trans'])} for {poses[0]} frames of poses"
    return ""


def _headers(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays in an npz, from their headers alone."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            with archive.open(info) as member:
                version = np.lib.format.read_magic(member)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(member)
            if not dtype.hasobject and info.file_size < int(np.prod(shape)) * dtype.itemsize:
                raise InputError(
                    f"{path.name} is cut off: {info.filename} claims more than is there; download it again"
                )
            found[info.filename.removesuffix(".npy")] = shape
    return found


def _npy_fault(path: Path, deep: bool) -> str:
    if deep:
        joints = load_npy(path)
        if joints.dtype.kind == "f" and not np.isfinite(joints).all():
            return "holds values that are no numbers"
        return ""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        there = path.stat().st_size - file.tell()
    claimed = int(np.prod(shape)) * dtype.itemsize
    return f"cut off: {there:,} of {claimed:,} bytes of data are there" if there < claimed else ""


def _video_fault(path: Path, deep: bool) -> str:
    import av

    if path.suffix.lower() in (".mp4", ".mov") and (fault := _box_fault(path)):
        return fault
    stated = decoded = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                return "no picture in it"
            stream = container.streams.video[0]
            stated = stream.frames
            for _ in container.decode(stream):
                decoded += 1
                if not deep:
                    break  # the first frame shows that header and data are there
    except av.FFmpegError as error:
        return f"does not open as a video ({str(error).split(':')[0].strip()})"
    if decoded == 0:
        return "no frame can be decoded"
    return f"cut off: {decoded} of {stated} frames can be decoded" if deep and decoded < 0.98 * stated else ""


def _box_fault(path: Path) -> str:
    """Whether an ISO file (mp4, mov) ends before its last box does; players open such files up to the break."""
    size = path.stat().st_size
    at = 0
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4])
            if length == 1:
                length = int.from_bytes(head[8:16])
            if length == 0:  # the box reaches to the end of the file
                return ""
            if length < 8 or not head[4:8].isascii():
                return "no mp4 in it" if at == 0 else ""
            at += length
    return f"cut off: {at - size:,} of {at:,} bytes are missing" if at > size else ""

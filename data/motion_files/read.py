"""The door for motion files: what is this file, and the recording in it.

A file is known by its content; the suffix only speaks in error messages. `READERS` lists the formats.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from motionqa.data.motion_files.array_files import npz_keys
from motionqa.data.motion_files.asf_amc import read_amc
from motionqa.data.motion_files.bvh import read_bvh
from motionqa.data.motion_files.humanml3d import read_npy
from motionqa.data.motion_files.keypoints_json import (
    load_json,
    read_alphapose_frames,
    read_coco,
    read_mmpose,
    read_openpose,
    read_openpose_directory,
)
from motionqa.data.motion_files.kinect import read_msr_text, read_utd_mat
from motionqa.data.motion_files.markers import read_c3d, read_trc
from motionqa.data.motion_files.mediapipe_json import looks_like_mediapipe, read_mediapipe
from motionqa.data.motion_files.packed import packed_clip_ids, read_packed
from motionqa.data.motion_files.people import image_recording
from motionqa.data.motion_files.raw_motion import MotionOverrides, RawMotion
from motionqa.data.motion_files.recording import recording_from
from motionqa.data.motion_files.smpl_files import is_smpl_npz, read_smpl_npz
from motionqa.data.schema import InputError, MotionRecording

__all__ = [
    "MOTION_SUFFIXES",
    "READERS",
    "MotionOverrides",
    "looks_like_motion_file",
    "packed_clip_ids",
    "read_motion",
    "sniff_format",
]

MOTION_SUFFIXES = (".bvh", ".amc", ".npz", ".npy", ".trc", ".c3d", ".json", ".mat", ".txt")
"""What a file dialog should offer; a directory of OpenPose json is a motion file too."""

SPACE_READERS: dict[str, Callable[[Path, MotionOverrides], list[RawMotion]]] = {
    "bvh": read_bvh,
    "amc": read_amc,
    "smpl": read_smpl_npz,
    "npy": read_npy,
    "trc": read_trc,
    "c3d": read_c3d,
    "packed": read_packed,
    "utd_mhad": read_utd_mat,
    "msr_action3d": read_msr_text,
}
JSON_FORMATS = ("openpose", "coco", "alphapose", "mmpose", "mediapipe")
READERS: tuple[str, ...] = (*SPACE_READERS, *JSON_FORMATS)
"""Names of all formats, as `MotionOverrides.format` takes them."""


def read_motion(path: Path | str, overrides: MotionOverrides | None = None) -> MotionRecording:
    """The recording in a motion file: people in space (`poses`, metres, Y up) or in an image (`image_poses`).

    InputError for whatever is wrong with the file, in words for its owner; `info.detected` says how the frame rate,
    the units and the axes were found, and each can be set with `overrides`.
    """
    path = Path(path)
    overrides = overrides or MotionOverrides()
    if overrides.format is not None and overrides.format not in READERS:
        raise InputError(f"format is {overrides.format!r}, expected one of {', '.join(READERS)}")
    if not path.exists():
        raise InputError(f"{path} does not exist. Check the path")
    try:
        kind = overrides.format or sniff_format(path)
        if kind in SPACE_READERS:
            return recording_from(SPACE_READERS[kind](path, overrides), overrides, path.name)
        return _read_json(path, kind, overrides)
    except InputError as error:
        message = str(error)
        raise error if path.name in message else InputError(f"{path.name}: {message}") from error
    except _DAMAGE as error:
        # The readers check what they can; this keeps what slipped through from reaching the user as a traceback.
        raise InputError(
            f"{path.name} could not be read ({type(error).__name__}: {error}). It is damaged or of another format "
            "than its content suggests; set format, or export it again"
        ) from error


_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def looks_like_motion_file(path: Path) -> bool:
    """Whether a file should be read here rather than as a video: by its suffix, else by its content."""
    if path.is_dir() or path.suffix.lower() in MOTION_SUFFIXES:
        return True
    try:
        return bool(sniff_format(path))
    except InputError:
        return False


def sniff_format(path: Path) -> str:
    """The format's name in `READERS`, from the file's content. InputError where it is none of them."""
    if path.is_dir():
        return "openpose"
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise InputError(f"{path.name} is empty (0 bytes). Export or download it again")
    if head.startswith(b"PK"):
        return _npz_format(path)
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head.startswith(b"MATLAB 5.0"):
        return "utd_mhad"
    if len(head) > 3 and head[1] == 0x50 and head[0] in range(1, 64) and b"\0" in head:
        return "c3d"
    if b"\0" in head and head[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        pickled = head[:1] == b"\x80" or path.suffix.lower() in (".pkl", ".pickle")
        hint = " Pickles are not read; save npz or npy." if pickled else ""
        raise InputError(f"{path.name} holds binary data of no known motion format.{hint} {_expected()}")
    return _text_format(path, head)


def _text_format(path: Path, head: bytes) -> str:
    start = head.decode("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", errors="replace").lstrip()
    if start[:9].upper() == "HIERARCHY":
        return "bvh"
    if start.startswith("PathFileType"):
        return "trc"
    if start[:1] in ("{", "["):
        return json_format(load_json(path))
    upper = start.upper()
    if ":BONEDATA" in upper or ":HIERARCHY" in upper or upper.startswith(":VERSION"):
        raise InputError(f"{path.name} is an ASF skeleton without movement; give the .amc file that belongs to it")
    if ":FULLY-SPECIFIED" in upper or ":DEGREES" in upper or "#!OML:ASF" in upper:
        return "amc"
    lines = [line.split() for line in start.split("\n")[:21] if line.strip()]
    if len(lines) >= 20 and all(len(words) == 4 for words in lines[:20]):
        return "msr_action3d"
    raise InputError(f"{path.name} is of no known motion format (it begins with {start[:40]!r}). {_expected()}")


def _expected() -> str:
    return (
        "Expected BVH, AMC, AMASS or SMPL npz, HumanML3D or KIT-ML npy, TRC, C3D, a packed npz, UTD-MHAD mat, "
        "MSR Action3D text, or key points in json (OpenPose, COCO, AlphaPose, MMPose, MediaPipe)"
    )


def _npz_format(path: Path) -> str:
    keys = npz_keys(path)
    if "offsets" in keys and ("positions_mm" in keys or "positions_px" in keys):
        return "packed"
    if is_smpl_npz(keys):
        return "smpl"
    raise InputError(
        f"{path.name} holds the arrays {', '.join(keys[:20]) or 'none'}; expected SMPL parameters (poses, trans, betas)"
        " or a packed collection (positions_mm, offsets, fps, clip_id, joint_names, parents)"
    )


def json_format(data: Any) -> str:
    """Which key-point format parsed json is; InputError naming what was found where it is none."""
    top = data if isinstance(data, dict) else {}
    items = data if isinstance(data, list) else list(top.values())
    first = next((v for v in items if v), None)
    inner = first if isinstance(first, dict) else {}
    listed = isinstance(data, list)
    per_image = listed and {"keypoints", "image_id"} <= inner.keys()
    tests = {
        "openpose": isinstance(top.get("people"), list) or (listed and "people" in inner and not per_image),
        "mmpose": isinstance(top.get("instance_info"), list),
        "alphapose": (per_image and ("idx" in inner or isinstance(inner["image_id"], str)))
        or (not listed and bool({"people", "bodies"} & inner.keys())),
        "coco": isinstance(top.get("annotations"), list) or per_image,
        "mediapipe": looks_like_mediapipe(data),
    }
    found = next((name for name, fits in tests.items() if fits), None)
    if found is not None:
        return found
    if listed and not data:
        raise InputError("the json is an empty list: no frame and no person in it")
    shape = f"a list of {len(data)}" if listed else f"a dictionary with {list(top)[:12]}" if top else repr(data)[:60]
    raise InputError(
        f"the json is {shape}, which is none of OpenPose (people), COCO or AlphaPose (image_id, keypoints), MMPose "
        "(instance_info) or MediaPipe (33 landmarks per frame)"
    )


def _read_json(path: Path, kind: str, overrides: MotionOverrides) -> MotionRecording:
    if path.is_dir():
        return image_recording(read_openpose_directory(path, overrides), overrides, path.name)
    data = load_json(path)
    match kind:
        case "mediapipe":
            return read_mediapipe(data, overrides, path.name)
        case "openpose":
            keypoints = read_openpose(data, overrides)
        case "mmpose":
            keypoints = read_mmpose(data, overrides)
        case "alphapose" if isinstance(data, dict) and "annotations" not in data:
            keypoints = read_alphapose_frames(data, overrides)
        case _:
            keypoints = read_coco(data, overrides)
    return image_recording(keypoints, overrides, path.name)

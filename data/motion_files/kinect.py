"""Kinect v1 skeletons: UTD-MHAD's .mat files and MSR Action3D's text files.

UTD-MHAD (Chen, Jafari, Kehtarnavaz, ICIP 2015): metres, right-handed, Y up, Z away from the camera, 30 Hz.
MSR Action3D (Li, Zhang, Liu, CVPR4HB 2010): image x and y (down) in pixels of a mirrored 320 x 240 image and raw depth,
about 15 Hz. It is not metric; joints are put back into space with the Kinect's nominal focal length (285.6 px) and
depth steps of 4 mm, which gives people of plausible height, and marked as a guess.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from motionqa.data.motion_files.raw_motion import (
    FrameChoice,
    MotionOverrides,
    RawMotion,
    choose_frames,
    parse_numbers,
    read_bytes,
    read_text,
)
from motionqa.data.schema import InputError
from motionqa.data.skeleton import KINECT_20

Array = np.ndarray

FOCAL_PX = 285.6
CENTER_PX = (160.0, 120.0)
DEPTH_UNIT_M = 0.004
MSR_FPS = 15.0
_MSR_NAMES = """left_shoulder right_shoulder shoulder_center spine left_hip right_hip hip_center left_elbow right_elbow
    left_wrist right_wrist left_hand right_hand left_knee right_knee left_ankle right_ankle left_foot right_foot head"""
MSR_JOINTS = tuple(_MSR_NAMES.split())
INFERRED = 0.25
"""Least confidence of a joint that has a position: the files say 0 for nearly every joint on the midline."""
MAX_MAT_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class DepthImageFrames:
    """Kinect joints as image x, y in pixels and raw depth."""

    xyd: Float[Array, "T 20 3"]
    confidence: Float[Array, "T 20"] | None
    names: tuple[str, ...]
    frames: FrameChoice
    format: str


def read_utd_mat(path: Path, overrides: MotionOverrides) -> list[RawMotion]:
    """The person of a UTD-MHAD skeleton .mat (`d_skel` [20, 3, T], metres)."""
    from scipy.io import loadmat, whosmat

    raw = read_bytes(path, MAX_MAT_BYTES)
    try:
        shapes = {name: shape for name, shape, _ in whosmat(io.BytesIO(raw))}
        if "d_skel" not in shapes:
            raise InputError(f"{path.name} has no d_skel; it has {', '.join(shapes) or 'nothing'}. Expected UTD-MHAD's")
        shape = shapes["d_skel"]
        if len(shape) not in (2, 3) or shape[:2] != (20, 3) or np.prod(shape, dtype=float) > 1e8:
            raise InputError(f"{path.name}: d_skel has shape {shape}, expected (20, 3, T)")
        data = loadmat(io.BytesIO(raw), variable_names=["d_skel"])["d_skel"]
    except InputError:
        raise
    except Exception as error:  # scipy's parser raises whatever the damage leads to
        raise InputError(f"{path.name} is no readable MATLAB 5 file ({error})") from error
    if data.dtype.kind not in "fiu":
        raise InputError(f"{path.name}: d_skel holds {data.dtype} values, expected numbers")
    positions = np.asarray(data, dtype=np.float64).reshape(20, 3, -1).transpose(2, 0, 1)
    frames = choose_frames(len(positions), None, overrides, 30.0, "UTD-MHAD's rate")
    positions = positions[frames.keep]
    raw_motion = RawMotion("utd_mhad", KINECT_20.joints, positions, frames, skeleton=KINECT_20, units="m", up_axis="y")
    return [raw_motion]


def read_msr_text(path: Path, overrides: MotionOverrides) -> list[RawMotion]:
    """The person of an MSR Action3D skeleton text: 20 rows `x y depth confidence` per frame."""
    rows = [line for line in read_text(path).split("\n") if line.strip()]
    if any(len(r.split()) != 4 for r in rows) or len(rows) % 20:
        raise InputError(
            f"{path.name} has {len(rows)} rows, expected a multiple of 20 with 4 numbers each (x y depth c)"
        )
    table = parse_numbers("\n".join(rows)).reshape(-1, 20, 4)
    frames = choose_frames(len(table), None, overrides, MSR_FPS, "MSR Action3D's rate, approximately")
    table = table[frames.keep]
    return [
        back_project(DepthImageFrames(table[..., :3], table[..., 3], MSR_JOINTS, frames, "msr_action3d"), path.name)
    ]


def back_project(image: DepthImageFrames, label: str) -> RawMotion:
    """Image joints put into space, guessed metres: X to the scene's right (the image is mirrored), Y up, Z to the
    camera. Joints at (0, 0) or with an overflowed y were not seen."""
    u, v, depth = image.xyd[..., 0], image.xyd[..., 1], image.xyd[..., 2]
    seen = np.isfinite(image.xyd).all(axis=2) & (depth > 0) & ((u != 0) | (v != 0)) & (np.abs(v) < 1e6)
    if image.confidence is not None:
        seen &= ~((v == 0) & (image.confidence == 0))
    z = depth * DEPTH_UNIT_M
    xyz = np.stack([-(u - CENTER_PX[0]) * z / FOCAL_PX, -(v - CENTER_PX[1]) * z / FOCAL_PX, -z], axis=-1)
    given = np.ones(seen.shape) if image.confidence is None else np.clip(image.confidence, 0.0, 1.0)
    return RawMotion(
        image.format,
        image.names,
        np.where(seen[..., None], xyz, np.nan),
        image.frames,
        units="m",
        up_axis="y",
        confidence=np.where(seen, INFERRED + (1 - INFERRED) * given, 0.0),
        metric=False,
        camera=True,
        detected={"units": "image pixels and raw depth, put into space with a nominal Kinect camera", "clip": label},
        notes=("Not metric: depth steps of 4 mm and a nominal Kinect lens are assumed, so lengths are a guess.",),
    )

"""Joint positions in .npy files, and the HumanML3D and KIT-ML motion features.

Features: Guo et al., *Generating Diverse and Natural 3D Human Motions from Text*, CVPR 2022, section 3; their public
`recover_from_ric`. Per frame: root turn about Y (1), root velocity in X and Z (2), root height (1), joint positions
relative to the root and its heading (J-1)·3, rotations (J-1)·6, velocities J·3, foot contacts 4. The turn is half the
angle (it goes into a quaternion as it is), and turn and velocity of a frame lead to the next one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from motionqa.data.motion_files.array_files import load_npy
from motionqa.data.motion_files.raw_motion import MotionOverrides, RawMotion, choose_frames
from motionqa.data.schema import InputError
from motionqa.data.skeleton import BLAZEPOSE_33, H36M_17, KINECT_20, KITML_21, SKELETONS, SMPL_22, SMPL_24, Skeleton

Array = np.ndarray

FEATURES: dict[int, tuple[Skeleton, float, str]] = {
    263: (SMPL_22, 20.0, "HumanML3D's rate"),
    251: (KITML_21, 12.5, "KIT-ML's rate"),
}
JOINT_COUNTS: dict[int, tuple[Skeleton, float, str]] = {
    22: (SMPL_22, 20.0, "HumanML3D's rate"),
    21: (KITML_21, 12.5, "KIT-ML's rate"),
    24: (SMPL_24, 30.0, ""),
    20: (KINECT_20, 30.0, ""),
    17: (H36M_17, 30.0, ""),
    33: (BLAZEPOSE_33, 30.0, ""),
}


def read_npy(path: Path, overrides: MotionOverrides) -> list[RawMotion]:
    """Joints of an .npy file: [T, J, 3] positions, [T, J·3] the same flattened, or [T, 263] / [T, 251] features."""
    data = load_npy(path)
    if data.dtype.kind not in "fiu":
        raise InputError(f"{path.name} holds {data.dtype} values, expected numbers")
    data = np.asarray(data, dtype=np.float64)
    if data.ndim == 3 and data.shape[0] == 1 and data.shape[2] in FEATURES:
        data = data[0]
    if data.ndim == 2 and data.shape[1] in FEATURES:
        skeleton, fps, why = FEATURES[data.shape[1]]
        frames = choose_frames(len(data), None, overrides, fps, why)
        positions = recover_joints(data, len(skeleton))
        _check_not_normalised(positions, skeleton)
        kind, notes = f"{'HumanML3D' if len(skeleton) == 22 else 'KIT-ML'} features", ()
    else:
        if data.ndim == 2 and data.shape[1] % 3 == 0:
            data = data.reshape(len(data), -1, 3)
        skeleton, fps, why = _joint_set(data.shape, overrides)
        frames = choose_frames(len(data), None, overrides, fps, why)
        positions, kind, notes = data, "joint positions", ()
    raw = RawMotion(
        "npy",
        skeleton.joints,
        positions[frames.keep],
        frames,
        skeleton=skeleton,
        detected={"format": kind, "skeleton": f"{data.shape[1:]} values per frame"},
        notes=notes,
    )
    return [raw]


def _joint_set(shape: tuple[int, ...], overrides: MotionOverrides) -> tuple[Skeleton, float, str]:
    counts = {n: s.name for n, (s, _, _) in JOINT_COUNTS.items()}
    expected = f"[T, J, 3] positions with J one of {counts}, [T, 263] or [T, 251] features"
    if len(shape) != 3 or shape[2] != 3:
        raise InputError(f"the array has shape {list(shape)}, expected {expected}")
    if overrides.skeleton is not None:
        skeleton = SKELETONS[overrides.skeleton]
        if len(skeleton) != shape[1]:
            raise InputError(f"skeleton {skeleton.name} has {len(skeleton)} joints but the array has {shape[1]}")
        return skeleton, 30.0, ""
    if shape[1] not in JOINT_COUNTS:
        raise InputError(f"the array has {shape[1]} joints, expected {expected}; or set skeleton")
    return JOINT_COUNTS[shape[1]]


def recover_joints(features: Float[Array, "T D"], joints: int) -> Float[Array, "T J 3"]:
    """Global joint positions (units of the features, Y up) from HumanML3D-style features."""
    half_turn = np.concatenate([[0.0], np.cumsum(features[:-1, 0])])
    step = np.zeros((len(features), 3))
    step[1:, [0, 2]] = features[:-1, 1:3]
    root = np.cumsum(_turn_back(step[:, None], half_turn)[:, 0], axis=0)
    root[:, 1] = features[:, 3]
    local = features[:, 4 : 4 + (joints - 1) * 3].reshape(len(features), joints - 1, 3)
    others = _turn_back(local, half_turn)
    others[..., [0, 2]] += root[:, None, [0, 2]]
    return np.concatenate([root[:, None], others], axis=1)


def _turn_back(vectors: Float[Array, "T N 3"], half_turn: Float[Array, "T"]) -> Float[Array, "T N 3"]:
    """Vectors turned by the inverse of the quaternion (cos h, 0, sin h, 0): by −2h about Y."""
    angle = -2.0 * half_turn[:, None]
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.stack([np.cos(angle) * x + np.sin(angle) * z, y, np.cos(angle) * z - np.sin(angle) * x], axis=-1)


def _check_not_normalised(positions: Float[Array, "T J 3"], skeleton: Skeleton) -> None:
    """Features minus their mean, divided by their deviation, look like features; their bones give them away."""
    bones = np.array(skeleton.bones)
    lengths = np.linalg.norm(positions[:, bones[:, 0]] - positions[:, bones[:, 1]], axis=2)
    thigh = [skeleton.bones.index((skeleton.index(f"{s}_hip"), skeleton.index(f"{s}_knee"))) for s in ("left", "right")]
    lengths = lengths[np.isfinite(lengths).all(axis=1)][:, thigh]
    if len(lengths) and (lengths.std() > 0.3 * lengths.mean() or lengths[:, 0].mean() > 1.5 * lengths[:, 1].mean()):
        raise InputError(
            "the features give thighs that change their length, so they are probably normalised. "
            "Multiply by the data set's Std.npy and add its Mean.npy, then try again"
        )

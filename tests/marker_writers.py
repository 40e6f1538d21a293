"""Writers of marker files (TRC, C3D), for tests of their readers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from motionqa.data.skeleton import SMPL_22

Array = np.ndarray

JOINT_MARKERS = {
    "pelvis": "Hip", "left_hip": "LHip", "right_hip": "RHip", "left_knee": "LKnee", "right_knee": "RKnee",
    "left_ankle": "LAnkle", "right_ankle": "RAnkle", "left_toe": "LBigToe", "right_toe": "RBigToe", "neck": "Neck",
    "head": "Nose", "left_shoulder": "LShoulder", "right_shoulder": "RShoulder", "left_elbow": "LElbow",
    "right_elbow": "RElbow", "left_wrist": "LWrist", "right_wrist": "RWrist",
}  # fmt: skip


def trc_text(names: Sequence[str], points: Array, fps: float = 50.0, units: str = "m") -> str:
    """A TRC file of points [T, M, 3] in the file's own units; NaN becomes an empty cell."""
    frames, count = points.shape[:2]
    lines = [
        "PathFileType\t4\t(X/Y/Z)\ttest.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{fps:g}\t{fps:g}\t{frames}\t{count}\t{units}\t{fps:g}\t1\t{frames}",
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        "\t\t" + "\t".join(f"X{i + 1}\tY{i + 1}\tZ{i + 1}" for i in range(count)),
    ]
    for t in range(frames):
        cells = ["" if np.isnan(v) else f"{v:.6f}" for v in points[t].ravel()]
        lines.append(f"{t + 1}\t{t / fps:.4f}\t" + "\t".join(cells))
    return "\n".join(lines) + "\n"


def write_c3d(path: Path, names: Sequence[str], points: Array, fps: float = 50.0, units: str = "mm") -> Path:
    """A C3D file of points [T, M, 3] in the file's own units; NaN becomes an invalid sample."""
    import c3d

    writer = c3d.Writer(point_rate=fps, analog_rate=fps, point_units=f"{units:4}")
    writer.set_point_labels(list(names))
    writer.set_analog_labels(["none"])
    for row in points:
        frame = np.zeros((len(names), 5), dtype=np.float32)
        known = np.isfinite(row).all(axis=1)
        frame[known, :3] = row[known]
        frame[~known, 3] = -1
        writer.add_frames([(frame, np.zeros((1, 1), dtype=np.float32))])
    with path.open("wb") as file:
        writer.write(file)
    return path


def plug_in_gait(positions: Array) -> tuple[list[str], Array]:
    """(names, points [T, M, 3] in metres): Plug-in-Gait markers around a person who stands upright facing +Z."""
    at = {j: positions[:, i] for i, j in enumerate(SMPL_22.joints)}
    left, forward, up = np.eye(3)[0], np.eye(3)[2], np.eye(3)[1]
    points: dict[str, Array] = {}
    hips = 0.5 * (at["left_hip"] + at["right_hip"])
    for s, side, sign in (("L", "left", 1), ("R", "right", -1)):
        points[f"{s}ASI"] = hips + sign * 0.12 * left + 0.05 * forward + 0.08 * up
        points[f"{s}PSI"] = hips + sign * 0.05 * left - 0.11 * forward + 0.08 * up
        points[f"{s}KNE"] = at[f"{side}_knee"] + sign * 0.057 * left
        points[f"{s}ANK"] = at[f"{side}_ankle"] + sign * 0.042 * left
        points[f"{s}TOE"], points[f"{s}HEE"] = at[f"{side}_toe"], at[f"{side}_ankle"] - 0.05 * forward
        points[f"{s}SHO"] = at[f"{side}_shoulder"] + 0.06 * up
        points[f"{s}ELB"] = at[f"{side}_elbow"]
        points[f"{s}WRA"], points[f"{s}WRB"] = (
            at[f"{side}_wrist"] + 0.03 * forward,
            at[f"{side}_wrist"] - 0.03 * forward,
        )
        points[f"{s}FHD"] = at["head"] + sign * 0.07 * left + 0.09 * forward
        points[f"{s}BHD"] = at["head"] + sign * 0.07 * left - 0.09 * forward
    points["C7"], points["CLAV"] = at["neck"] - 0.06 * forward, at["neck"] + 0.06 * forward
    return list(points), np.stack(list(points.values()), axis=1)

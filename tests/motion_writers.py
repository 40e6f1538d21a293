"""A small moving person, and tiny writers of every motion format, so that tests know what they should read back.

Positions are metres, Y up, right-handed, the person facing +Z with the left side at +X, in SMPL's 22 joints.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from motionqa.data.schema import MotionRecording
from motionqa.data.skeleton import SMPL_22, Skeleton

Array = np.ndarray
MM = 0.001

REST = {
    "pelvis": (0, 0, 0),
    "left_hip": (0.09, -0.07, 0),
    "right_hip": (-0.09, -0.07, 0),
    "spine1": (0, 0.11, -0.01),
    "left_knee": (0.01, -0.40, 0.01),
    "right_knee": (-0.01, -0.40, 0.01),
    "spine2": (0, 0.13, 0.01),
    "left_ankle": (0, -0.41, -0.03),
    "right_ankle": (0, -0.41, -0.03),
    "spine3": (0, 0.06, 0.02),
    "left_toe": (0.02, -0.06, 0.13),
    "right_toe": (-0.02, -0.06, 0.13),
    "neck": (0, 0.21, -0.03),
    "left_clavicle": (0.07, 0.12, -0.02),
    "right_clavicle": (-0.07, 0.12, -0.02),
    "head": (0, 0.09, 0.05),
    "left_shoulder": (0.11, 0.03, -0.01),
    "right_shoulder": (-0.11, 0.03, -0.01),
    "left_elbow": (0.26, 0, -0.01),
    "right_elbow": (-0.26, 0, -0.01),
    "left_wrist": (0.25, 0, 0),
    "right_wrist": (-0.25, 0, 0),
}
OFFSETS = np.array([REST[j] for j in SMPL_22.joints], dtype=np.float64)
_MIXAMO_NAMES = """Hips LeftUpLeg RightUpLeg Spine LeftLeg RightLeg Spine1 LeftFoot RightFoot Spine2 LeftToeBase
    RightToeBase Neck LeftShoulder RightShoulder Head LeftArm RightArm LeftForeArm RightForeArm LeftHand RightHand"""
MIXAMO = dict(zip(SMPL_22.joints, _MIXAMO_NAMES.split(), strict=True))


def angles(frames: int = 12, seed: int = 0) -> Array:
    """Euler angles [T, 22, 3] in degrees: arms down and swinging, legs stepping, everything else moving a little."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, None, None] / 30
    small = rng.uniform(2, 8, (1, 22, 3)) * np.sin(2 * np.pi * time + rng.uniform(0, 6, (1, 22, 3)))
    for side, sign in (("left", 1), ("right", -1)):
        small[:, SMPL_22.index(f"{side}_shoulder")] += np.array([0, 0, -70 * sign])  # about Z whatever the order is
        small[:, SMPL_22.index(f"{side}_hip"), 0] += 20 * sign * np.sin(2 * np.pi * time[:, 0, 0])
    return small


def root_path(frames: int = 12) -> Array:
    """Pelvis positions [T, 3]: walking along +Z with the feet near the floor."""
    return np.stack([np.zeros(frames), np.full(frames, 0.95), np.arange(frames) / 30], axis=1)


def pose(offsets: Array, parents: Sequence[int], root: Array, xyz_deg: Array, order: str = "XYZ") -> Array:
    """Joint positions [T, J, 3] by plain recursion, frame by frame; `order` names the axes of the angle columns in
    the order in which they are applied, each about the axes already turned."""
    out = np.zeros((len(root), len(parents), 3))
    for t in range(len(root)):
        turns: list[Rotation] = []
        for j, parent in enumerate(parents):
            columns = [xyz_deg[t, j]["XYZ".index(axis)] for axis in order]
            own = Rotation.from_euler(order, columns, degrees=True)
            if parent < 0:
                out[t, j] = root[t]
                turns.append(own)
            else:
                out[t, j] = out[t, parent] + turns[parent].apply(offsets[j])
                turns.append(turns[parent] * own)
    return out


def person(frames: int = 12, seed: int = 0) -> Array:
    """Positions [T, 22, 3] of the walking person."""
    return pose(OFFSETS, SMPL_22.parents, root_path(frames), angles(frames, seed))


def same_place(recording: MotionRecording, truth: Array, skeleton: Skeleton = SMPL_22) -> None:
    """Every joint that the recording shares with the truth is where it should be."""
    found = recording.poses[0]
    shared = [j for j in skeleton.joints if j in found.skeleton]
    assert len(shared) >= 14
    assert len(found) == len(truth)
    there = found.xyz_m[:, [found.skeleton.index(j) for j in shared]]
    assert np.abs(there - truth[:, [skeleton.index(j) for j in shared]]).max() < MM


# ------------------------------------------------------------------------------------------------- bvh


def bvh_text(
    names: Sequence[str],
    parents: Sequence[int],
    offsets: Array,
    root: Array,
    xyz_deg: Array,
    *,
    order: str = "ZXY",
    fps: float = 30.0,
    scale: float = 100.0,
    all_positions: bool = False,
) -> str:
    """A BVH file; with `all_positions` every joint has position channels and a misleading OFFSET."""
    lines = ["HIERARCHY"]
    children = {j: [c for c, p in enumerate(parents) if p == j] for j in range(len(names))}
    walk: list[int] = []

    def joint(j: int, depth: int) -> None:
        pad = "\t" * depth
        walk.append(j)
        offset = offsets[j] * scale * (7 if all_positions else 1)
        lines.append(f"{pad}{'ROOT' if depth == 0 else 'JOINT'} {names[j]}")
        lines.append(pad + "{")
        lines.append(f"{pad}\tOFFSET " + " ".join(f"{v:.6f}" for v in offset))
        spin = " ".join(f"{a}rotation" for a in order)
        moves = depth == 0 or all_positions
        lines.append(f"{pad}\tCHANNELS " + (f"6 Xposition Yposition Zposition {spin}" if moves else f"3 {spin}"))
        for child in children[j]:
            joint(child, depth + 1)
        if not children[j]:
            lines.extend([f"{pad}\tEnd Site", pad + "\t{", f"{pad}\t\tOFFSET 0 0 0", pad + "\t}"])
        lines.append(pad + "}")

    for start in [j for j, p in enumerate(parents) if p < 0]:
        joint(start, 0)
    lines += ["MOTION", f"Frames: {len(root)}", f"Frame Time: {1 / fps:.7f}"]
    for t in range(len(root)):
        row: list[float] = []
        for j in walk:
            if parents[j] < 0:
                row += list(root[t] * scale)
            elif all_positions:
                row += list(offsets[j] * scale)
            row += [xyz_deg[t, j]["XYZ".index(a)] for a in order]
        lines.append(" ".join(f"{v:.6f}" for v in row))
    return "\n".join(lines) + "\n"


def person_bvh(frames: int = 12, names: dict[str, str] | None = None, **options: Any) -> str:
    """The walking person as BVH, on Mixamo's names by default."""
    named = [(names or MIXAMO)[j] for j in SMPL_22.joints]
    return bvh_text(named, SMPL_22.parents, OFFSETS, root_path(frames), angles(frames), **options)


# --------------------------------------------------------------------------------------------- asf, amc

ASF_TREE = {
    "lhipjoint": "root", "lfemur": "lhipjoint", "ltibia": "lfemur", "lfoot": "ltibia",
    "rhipjoint": "root", "rfemur": "rhipjoint", "rtibia": "rfemur", "rfoot": "rtibia",
    "lowerback": "root", "upperback": "lowerback", "thorax": "upperback", "lowerneck": "thorax",
    "upperneck": "lowerneck", "head": "upperneck",
    "lclavicle": "thorax", "lhumerus": "lclavicle", "lradius": "lhumerus", "lwrist": "lradius",
    "rclavicle": "thorax", "rhumerus": "rclavicle", "rradius": "rhumerus", "rwrist": "rradius",
}  # fmt: skip
ASF_ENDS = {
    "lhipjoint": (0.09, -0.07, 0), "lfemur": (0.1, -0.4, 0), "ltibia": (0, -0.41, -0.03), "lfoot": (0, -0.06, 0.13),
    "rhipjoint": (-0.09, -0.07, 0), "rfemur": (-0.1, -0.4, 0), "rtibia": (0, -0.41, -0.03), "rfoot": (0, -0.06, 0.13),
    "lowerback": (0, 0.12, 0), "upperback": (0, 0.12, 0.01), "thorax": (0, 0.16, 0), "lowerneck": (0, 0.07, 0),
    "upperneck": (0, 0.07, 0.02), "head": (0, 0.1, 0),
    "lclavicle": (0.17, 0.04, 0), "lhumerus": (0.27, 0, 0), "lradius": (0.13, 0, 0), "lwrist": (0.12, 0, 0),
    "rclavicle": (-0.17, 0.04, 0), "rhumerus": (-0.27, 0, 0), "rradius": (-0.13, 0, 0), "rwrist": (-0.12, 0, 0),
}  # fmt: skip
CMU_UNIT_M = 0.0254 / 0.45


def write_asf_amc(folder: Path, frames: int = 8) -> tuple[Path, dict[str, Array]]:
    """(the .amc path, end position of every bone in metres [T, 3]); the skeleton is 02.asf beside 02_03.amc."""
    rng = np.random.default_rng(3)
    axes = {b: rng.uniform(-40, 40, 3) for b in ASF_TREE}
    turns = {b: rng.uniform(-15, 15, (frames, 3)) for b in ASF_TREE}
    root_turn = rng.uniform(-15, 15, (frames, 3))
    root = root_path(frames)
    bones = []
    for number, bone in enumerate(ASF_TREE, start=1):
        end = np.array(ASF_ENDS[bone]) / CMU_UNIT_M
        length = np.linalg.norm(end)
        lines = (
            f"id {number}", f"name {bone}", "direction " + " ".join(f"{v:.8f}" for v in end / length),
            f"length {length:.8f}", "axis " + " ".join(f"{v:.6f}" for v in axes[bone]) + "  XYZ", "dof rx ry rz",
        )  # fmt: skip
        bones.append("\n".join(["  begin", *(f"     {line}" for line in lines), "  end"]))
    kids = {p: [b for b in ASF_TREE if ASF_TREE[b] == p] for p in dict.fromkeys(ASF_TREE.values())}
    text = [
        "# made by a test", ":version 1.10", ":name VICON", ":units", "  mass 1.0", "  length 0.45", "  angle deg",
        ":root", "   order TX TY TZ RX RY RZ", "   axis XYZ", "   position 0 0 0", "   orientation 0 0 0",
        ":bonedata", *bones, ":hierarchy", "  begin", *(f"    {p} {' '.join(c)}" for p, c in kids.items()), "  end",
    ]  # fmt: skip
    (folder / "02.asf").write_text("\r\n".join("\r\n".join(text).splitlines()))
    rows = ["#!OML:ASF", ":FULLY-SPECIFIED", ":DEGREES"]
    ends: dict[str, Array] = {b: np.zeros((frames, 3)) for b in ("root", *ASF_TREE)}
    for t in range(frames):
        rows.append(str(t + 1))
        rows.append("root " + " ".join(f"{v:.6f}" for v in [*(root[t] / CMU_UNIT_M), *root_turn[t]]))
        total = {"root": Rotation.from_euler("xyz", root_turn[t], degrees=True)}
        ends["root"][t] = root[t]
        for bone, parent in ASF_TREE.items():
            rows.append(f"{bone} " + " ".join(f"{v:.6f}" for v in turns[bone][t]))
            frame = Rotation.from_euler("xyz", axes[bone], degrees=True)
            own = frame * Rotation.from_euler("xyz", turns[bone][t], degrees=True) * frame.inv()
            total[bone] = total[parent] * own
            ends[bone][t] = ends[parent][t] + total[bone].apply(ASF_ENDS[bone])
    path = folder / "02_03.amc"
    path.write_text("\r\n".join(rows) + "\r\n")
    return path, ends


# --------------------------------------------------------------------------------------- arrays, kinect


def humanml3d_features(positions: Array, half_turn: Array) -> Array:
    """HumanML3D's features of known positions, for a person whose heading angle is twice `half_turn`."""
    count, joints = positions.shape[:2]
    features = np.zeros((count, 4 + (joints - 1) * 3 + joints * 3 + (joints - 1) * 6 + 4))
    forth = Rotation.from_euler("Y", 2 * half_turn[:, None])
    features[:-1, 0] = np.diff(half_turn)
    root = positions[:, 0]
    # The velocity of a frame is said in the heading of the next one, which is how it is read back.
    features[:-1, 1:3] = forth[1:].apply(np.diff(root, axis=0) * [1, 0, 1])[:, [0, 2]]
    features[:, 3] = root[:, 1]
    local = positions[:, 1:] - root[:, None] * [1, 0, 1]
    turned = np.stack([forth.apply(local[:, j]) for j in range(joints - 1)], axis=1)
    features[:, 4 : 4 + (joints - 1) * 3] = turned.reshape(count, -1)
    return features


def write_packed(path: Path, clips: Sequence[Array], names: Sequence[str], parents: Sequence[int]) -> Path:
    """A packed npz of clips in metres, named a/clip_0.bvh, a/clip_1.bvh and so on, at 30 fps."""
    np.savez_compressed(
        path,
        positions_mm=np.concatenate([np.round(c * 1000).astype(np.int16) for c in clips]),
        offsets=np.cumsum([0, *(len(c) for c in clips)]).astype(np.int64),
        fps=np.full(len(clips), 30, dtype=np.float32),
        clip_id=np.array([f"a/clip_{i}.bvh" for i in range(len(clips))]),
        joint_names=np.array(names),
        parents=np.array(parents, dtype=np.int16),
    )
    return path


def body_model(seed: int = 0, vertices: int = 60) -> dict[str, Array]:
    """A synthetic SMPL file's arrays: the rest pose above, carried by random vertices."""
    rng = np.random.default_rng(seed)
    rest = np.zeros((24, 3))
    parents = [*SMPL_22.parents, 20, 21]
    for j, parent in enumerate(parents):
        offset = OFFSETS[j] if j < 22 else np.array([0.08 if j == 22 else -0.08, 0, 0])
        rest[j] = offset + (rest[parent] if parent >= 0 else 0)
    template = rng.normal(size=(vertices, 3))
    template[:24] = rest
    return {
        "v_template": template,
        "f": rng.integers(0, vertices, (20, 3)).astype(np.uint32),
        "shapedirs": rng.normal(size=(vertices, 3, 10)) * 0.01,
        "posedirs": rng.normal(size=(vertices, 3, 207)) * 0.01,
        "J_regressor": np.eye(24, vertices),
        "weights": rng.dirichlet(np.ones(24), vertices),
        "kintree_table": np.array([[2**32 - 1, *parents[1:]], range(24)], dtype=np.uint32),
    }


# ---------------------------------------------------------------------------------------- key points


def flat(xy_px: Array, confidence: float = 0.9) -> list[float]:
    """x, y, c, x, y, c, … of one person."""
    return np.column_stack([xy_px, np.full(len(xy_px), confidence)]).ravel().tolist()


def write_json(path: Path, data: Any) -> Path:
    """The data as json."""
    path.write_text(json.dumps(data))
    return path


def landmarks(xyz: Array, visibility: float = 0.9) -> list[dict[str, float]]:
    """MediaPipe's landmarks as dictionaries."""
    return [{"x": float(x), "y": float(y), "z": float(z), "visibility": visibility} for x, y, z in xyz]

"""Acclaim skeleton and motion files (ASF/AMC), as in the CMU and HDM05 databases.

Format: Meredith and Maddock, *Motion Capture File Formats Explained*, 2001, chapter 3. A bone has its position at its
END; a bone's rotation is C · M · C⁻¹ with C from its `axis` and M from the motion, in the order of its `dof`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from motionqa.data.motion_files.joint_names import ASF_BONE_ENDS, build_skeleton
from motionqa.data.motion_files.raw_motion import FrameChoice, MotionOverrides, RawMotion, choose_frames, read_text
from motionqa.data.schema import InputError

Array = np.ndarray

AMC_FPS = 120.0


@dataclass(frozen=True, eq=False)
class _Bone:
    offset: Float[Array, "3"]
    axis: Rotation
    dof: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Acclaim:
    bones: dict[str, _Bone]
    """Root first, each parent before its children."""
    parent: dict[str, str]
    length_unit: float
    degrees: bool


def read_amc(path: Path, overrides: MotionOverrides) -> list[RawMotion]:
    """The person of an .amc file, posed on the .asf beside it (or the one given). InputError for damage."""
    asf = _find_asf(path, overrides)
    skeleton = _parse_asf(read_text(asf), asf.name)
    frames, motion = _parse_amc(read_text(path), skeleton, overrides)
    positions = _forward_kinematics(skeleton, motion, len(motion["root"]))
    found = {ASF_BONE_ENDS[b.lower()]: i for i, b in enumerate(skeleton.bones) if b.lower() in ASF_BONE_ENDS}
    named = build_skeleton(list(found), "asf")
    unit = 0.0254 / skeleton.length_unit
    raw = RawMotion(
        "amc",
        named.joints if found else tuple(skeleton.bones),
        positions[:, [found[j] for j in named.joints]] if found else positions,
        frames,
        # CMU's `length 0.45` means inches times 0.45; files with length 1 state no unit at all.
        metres_per_unit=unit if skeleton.length_unit != 1 else None,
        detected={
            "skeleton": f"{len(found)} of {len(skeleton.bones)} bone ends of {asf.name} used",
        },
    )
    return [raw]


def _find_asf(path: Path, overrides: MotionOverrides) -> Path:
    """The skeleton file: given, or of the same name, or CMU's (`02_03.amc` → `02.asf`), or the only one there."""
    if overrides.asf is not None:
        if not overrides.asf.is_file():
            raise InputError(f"the skeleton file {overrides.asf} given as asf does not exist")
        return overrides.asf
    beside = {p.stem.lower(): p for p in path.parent.iterdir() if p.suffix.lower() == ".asf"}
    stem = path.stem.lower()
    for name in (stem, re.split(r"[_\-. ]", stem)[0], "_".join(stem.split("_")[:2])):
        if name in beside:
            return beside[name]
    if len(beside) == 1:
        return next(iter(beside.values()))
    there = ", ".join(sorted(p.name for p in beside.values())) or "none"
    raise InputError(
        f"{path.name} needs its skeleton, an .asf file such as {stem.split('_')[0]}.asf beside it (there: {there}). "
        "Put it there or name it with asf"
    )


# ---------------------------------------------------------------------------------------------- parsing


def _parse_asf(text: str, name: str) -> _Acclaim:
    """The skeleton; InputError naming the section that is missing or damaged."""
    text = re.sub(r"#.*", "", text)
    sections = {s.split(None, 1)[0].lower(): s for s in re.split(r"^\s*:", text, flags=re.MULTILINE) if s.strip()}
    for needed in ("bonedata", "hierarchy"):
        if needed not in sections:
            raise InputError(f"{name} has no :{needed} section, so it is no complete ASF skeleton")
    units = dict(re.findall(r"^\s*(length|angle)\s+(\S+)", sections.get("units", ""), re.MULTILINE))
    degrees = not units.get("angle", "deg").lower().startswith("rad")
    length = _numbers([units.get("length", "1")], 1, f"{name}, :units length")[0]
    if not np.isfinite(length) or length <= 0:
        raise InputError(f"{name}: :units length is {length:g}, expected a positive number")
    bones: dict[str, _Bone] = {"root": _parse_root(sections.get("root", ""), degrees, name)}
    for block in re.findall(r"\bbegin\b(.*?)\bend\b", sections["bonedata"], re.DOTALL):
        bone_name, bone = _parse_bone(block, degrees, name)
        bones[bone_name] = bone
    parent: dict[str, str] = {}
    ordered = ["root"]
    for line in sections["hierarchy"].split("\n"):
        words = line.split()
        if len(words) < 2 or words[0] in ("begin", "end", "hierarchy"):
            continue
        if words[0] not in ordered:
            raise InputError(f"{name}: the hierarchy uses bone {words[0]!r} before it has a parent")
        for child in words[1:]:
            if child not in bones or child in ordered:
                raise InputError(f"{name}: the hierarchy names bone {child!r}, which is unknown or already placed")
            parent[child] = words[0]
            ordered.append(child)
    return _Acclaim({b: bones[b] for b in ordered}, parent, length, degrees)


def _parse_root(text: str, degrees: bool, name: str) -> _Bone:
    order = re.search(r"^\s*order\s+(.+)$", text, re.MULTILINE)
    axis = re.search(r"^\s*axis\s+([XYZxyz]+)", text, re.MULTILINE)
    turn = re.search(r"^\s*orientation\s+(.+)$", text, re.MULTILINE)
    angles = _numbers(turn[1].split()[:3], 3, f"{name}, root orientation") if turn else np.zeros(3)
    dof = tuple((order[1] if order else "TX TY TZ RX RY RZ").lower().split())
    return _Bone(np.zeros(3), _euler(axis[1] if axis else "XYZ", angles, degrees), _checked_dof(dof, "root", name))


def _parse_bone(block: str, degrees: bool, name: str) -> tuple[str, _Bone]:
    fields = {line.split()[0].lower(): line.split()[1:] for line in block.split("\n") if line.split()}
    bone = (fields.get("name") or [""])[0]
    for needed, count in (("name", 1), ("direction", 3), ("length", 1), ("axis", 4)):
        if len(fields.get(needed, [])) < count:
            raise InputError(f"{name}: bone {bone or '?'} has no complete {needed!r} line; the file is damaged")
    direction = _numbers(fields["direction"][:3], 3, f"{name}, direction of {bone}")
    length = _numbers(fields["length"][:1], 1, f"{name}, length of {bone}")[0]
    angles = _numbers(fields["axis"][:3], 3, f"{name}, axis of {bone}")
    dof = _checked_dof(tuple(d.lower() for d in fields.get("dof", [])), bone, name)
    return bone, _Bone(direction * length, _euler(fields["axis"][3], angles, degrees), dof)


def _checked_dof(dof: tuple[str, ...], bone: str, name: str) -> tuple[str, ...]:
    unknown = [d for d in dof if d not in ("tx", "ty", "tz", "rx", "ry", "rz", "l")]
    if unknown:
        raise InputError(f"{name}: bone {bone!r} has degrees of freedom {unknown}, expected tx … rz")
    return dof


def _numbers(words: list[str], count: int, what: str) -> Float[Array, "N"]:
    try:
        values = np.array(words, dtype=np.float64)
    except ValueError:
        values = np.empty(0)
    if len(values) != count:
        raise InputError(f"{what}: expected {count} numbers but found {' '.join(words)[:60]!r}")
    return values


def _euler(order: str, angles: Float[Array, "... 3"], degrees: bool) -> Rotation:
    """Rotation about fixed axes in the given order, which is what Acclaim files mean by "axis … XYZ"."""
    order = order.lower()
    if not order or set(order) - set("xyz") or len(order) > 3:
        raise InputError(f"axis order is {order[:20]!r}, expected letters of XYZ")
    return Rotation.from_euler(order, angles[..., : len(order)], degrees=degrees)


def _parse_amc(
    text: str, skeleton: _Acclaim, overrides: MotionOverrides
) -> tuple[FrameChoice, dict[str, Float[Array, "T D"]]]:
    """(kept frames, values per bone); InputError where a frame lacks values or names unknown bones."""
    degrees = ":RADIANS" not in text[:2000].upper()
    blocks = re.split(r"^\s*\d+\s*$", re.sub(r"^[#:].*$", "", text, flags=re.MULTILINE), flags=re.MULTILINE)[1:]
    frames = choose_frames(
        len(blocks), None, overrides, AMC_FPS, "AMC files do not say; the CMU and HDM05 databases use 120"
    )
    moving = {b: len(bone.dof) for b, bone in skeleton.bones.items() if bone.dof}
    numbers = range(len(blocks))[frames.keep]
    motion = {b: np.zeros((len(numbers), n)) for b, n in moving.items()}
    lost = sorted(_amc_frame(blocks, 0, skeleton).keys() - _amc_frame(blocks, len(blocks) - 1, skeleton).keys())
    if lost:
        raise InputError(f"the last frame ({len(blocks)}) lacks {lost[0]!r}; the file is cut off. Download it again")
    for row, number in enumerate(numbers):
        lines = _amc_frame(blocks, number, skeleton)
        for bone in lines.keys() & moving.keys():
            motion[bone][row] = _numbers(lines[bone], moving[bone], f"frame {number + 1}, bone {bone}")
    if not degrees:
        for bone, width in moving.items():
            turning = [i for i in range(width) if skeleton.bones[bone].dof[i][0] == "r"]
            motion[bone][:, turning] = np.rad2deg(motion[bone][:, turning])
    return frames, motion


def _amc_frame(blocks: list[str], number: int, skeleton: _Acclaim) -> dict[str, list[str]]:
    """Words of one frame by bone; InputError for a bone that is unknown, or a frame without the root."""
    lines = {words[0]: words[1:] for line in blocks[number].split("\n") if (words := line.split())}
    unknown = sorted(lines.keys() - skeleton.bones.keys())
    if unknown:
        raise InputError(f"frame {number + 1} moves {unknown[0][:40]!r}, which the .asf skeleton does not have")
    if "root" not in lines:
        raise InputError(f"frame {number + 1} has no root line; the file is cut off or damaged")
    return lines


# ------------------------------------------------------------------------------------------- kinematics


def _forward_kinematics(
    skeleton: _Acclaim, motion: dict[str, Float[Array, "T D"]], count: int
) -> Float[Array, "T J 3"]:
    """End position of every bone, file units."""
    ends: dict[str, Float[Array, "T 3"]] = {}
    turns: dict[str, Float[Array, "T 3 3"]] = {}
    for name, bone in skeleton.bones.items():
        values = motion.get(name, np.zeros((count, 0)))
        shift, turn = np.zeros((count, 3)), np.broadcast_to(np.eye(3), (count, 3, 3))
        for column, dof in enumerate(bone.dof):
            if dof[0] == "t":
                shift[:, "xyz".index(dof[1])] = values[:, column]
            elif dof[0] == "r":
                # Fixed axes: a later turn is applied after an earlier one, so it stands to the left.
                known = np.isfinite(values[:, column])
                one = np.full((count, 3, 3), np.nan)
                one[known] = Rotation.from_euler(dof[1], values[known, column][:, None], degrees=True).as_matrix()
                turn = one @ turn
        frame = bone.axis.as_matrix()
        local = frame @ turn @ frame.T
        if name == "root":
            ends[name], turns[name] = shift, local
            continue
        above = skeleton.parent[name]
        turns[name] = turns[above] @ local
        ends[name] = ends[above] + np.einsum("tij,tj->ti", turns[name], bone.offset + shift)
    return np.stack(list(ends.values()), axis=1)

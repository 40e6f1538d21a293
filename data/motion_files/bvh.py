"""Biovision hierarchy (BVH) files: any rig, any channel order, position channels on any joint.

Format: Meredith and Maddock, *Motion Capture File Formats Explained*, 2001. Rotations are intrinsic, in the order of
the channels. Position channels replace a joint's OFFSET; for a root with a non-zero OFFSET some exporters (iClone)
mean them relative to it, which the floor decides (`_root_is_relative`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from motionqa.data.motion_files.axes import detect_up, unit_vector
from motionqa.data.motion_files.joint_names import END_SITE, build_skeleton, match_names
from motionqa.data.motion_files.raw_motion import (
    FrameChoice,
    MotionOverrides,
    RawMotion,
    choose_frames,
    parse_numbers,
    read_text,
)
from motionqa.data.schema import InputError

Array = np.ndarray

MAX_JOINTS = 2_000


@dataclass
class _Joint:
    name: str
    parent: int
    offset: Float[Array, "3"] = field(default_factory=lambda: np.zeros(3))
    channels: list[str] = field(default_factory=list)
    first_channel: int = 0


def read_bvh(path: Path, overrides: MotionOverrides) -> list[RawMotion]:
    """The people of a BVH file (one per ROOT), positions by forward kinematics. InputError for damage."""
    head, separator, motion = read_text(path).partition("MOTION")
    if not separator:
        raise InputError(f"{path.name} has no MOTION section; the file seems cut off. Export or download it again")
    joints = _parse_hierarchy(head)
    frames, values, used = _parse_motion(motion, joints, overrides)
    positions = _forward_kinematics(joints, values)
    raws = []
    roots = [i for i, j in enumerate(joints) if j.parent < 0]
    for person, (start, stop) in enumerate(zip(roots, [*roots[1:], len(joints)], strict=True)):
        keep = [i for i in range(start, stop) if not _is_empty_end(joints[i])]
        names = tuple(joints[i].name for i in keep)
        parents = tuple(keep.index(p) if (p := joints[i].parent) in keep else -1 for i in keep)
        own, notes = positions[:, keep], list(used)
        if _root_is_relative(joints[start], own, names, parents):
            own = own + joints[start].offset
            notes.append("The root's positions are relative to its OFFSET (else the person would be under the floor).")
        raws.append(RawMotion("bvh", names, own, frames, parents=parents, person_id=person, notes=tuple(notes)))
    return raws


def _is_empty_end(joint: _Joint) -> bool:
    return joint.name.endswith(END_SITE) and not np.any(np.abs(joint.offset) > 1e-6)


# ------------------------------------------------------------------------------------------------ parsing


def _parse_hierarchy(text: str) -> list[_Joint]:
    """Joints in file order; InputError where the tree is not closed or a keyword lacks its values."""
    lines = [line.strip() for line in text.split("\n")]
    words = iter([word for line in lines for word in _tokens(line)])
    joints: list[_Joint] = []
    stack: list[int] = []
    channels = 0
    for word in words:
        match word.upper():
            case "HIERARCHY" | "{":
                continue
            case "ROOT" | "JOINT" | "END":
                _open_joint(word.upper(), _next(words, word).strip(), joints, stack)
            case "}":
                if not stack:
                    raise InputError("the hierarchy closes more braces than it opens")
                stack.pop()
            case "OFFSET":
                _current(joints, stack, word).offset = np.array([_float(_next(words, word), word) for _ in range(3)])
            case "CHANNELS":
                joint = _current(joints, stack, word)
                count = _float(_next(words, word), word)
                if not (0 <= count <= 6 and count == int(count)):
                    raise InputError(f"joint {joint.name!r} claims {count:g} CHANNELS, expected 0 to 6")
                joint.channels = [_channel(_next(words, word), joint.name) for _ in range(int(count))]
                joint.first_channel = channels
                channels += len(joint.channels)
            case _:
                raise InputError(f"expected ROOT, JOINT, OFFSET, CHANNELS or a brace, but found {word[:40]!r}")
    if stack:
        raise InputError(f"{len(stack)} braces are not closed before MOTION; the file seems cut off or damaged")
    if not joints:
        raise InputError("the HIERARCHY section names no joint")
    return joints


def _open_joint(kind: str, name: str, joints: list[_Joint], stack: list[int]) -> None:
    parent = stack[-1] if stack else -1
    if kind == "ROOT" and stack:
        raise InputError(f"a second ROOT starts inside joint {joints[parent].name!r}; a }} is missing")
    if kind != "ROOT" and not stack:
        raise InputError(f"{kind} {name!r} stands outside of any ROOT; the braces do not match")
    if len(joints) >= MAX_JOINTS:
        raise InputError(f"the hierarchy has more than {MAX_JOINTS} joints; is this a motion file?")
    joints.append(_Joint(f"{joints[parent].name}{END_SITE}" if kind == "END" else name, parent))
    stack.append(len(joints) - 1)


def _tokens(line: str) -> list[str]:
    """Words of a line; a joint's name is one word even where it holds spaces (3ds Max: `ROOT Bip01 Pelvis`)."""
    named = re.match(r"(ROOT|JOINT|End)\s+([^{}]+?)\s*(\{?)\s*$", line, re.IGNORECASE)
    if named:
        return [w for w in named.groups() if w]
    return line.replace("{", " { ").replace("}", " } ").split()


def _next(words: Iterator[str], after: str) -> str:
    word = next(words, None)
    if word is None:
        raise InputError(f"the hierarchy ends in the middle of {after}; the file seems cut off")
    return word


def _float(word: str, what: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise InputError(f"{what} needs numbers, but found {word[:40]!r}") from None
    if not np.isfinite(value):
        raise InputError(f"{what} needs finite numbers, but found {word[:40]!r}")
    return value


def _channel(word: str, joint: str) -> str:
    found = re.fullmatch(r"([XYZ])(position|rotation)", word, re.IGNORECASE)
    if not found:
        raise InputError(f"joint {joint!r} has a channel {word[:40]!r}, expected Xposition … Zrotation")
    return found[1].upper() + found[2].lower()


def _current(joints: list[_Joint], stack: list[int], word: str) -> _Joint:
    if not stack:
        raise InputError(f"{word} stands outside of any joint; the braces do not match")
    return joints[stack[-1]]


def _parse_motion(
    text: str, joints: list[_Joint], overrides: MotionOverrides
) -> tuple[FrameChoice, Float[Array, "T C"], list[str]]:
    """(kept frames, channel values, notes); InputError where numbers and header disagree."""
    header = re.match(r"\s*Frames\s*:\s*(\S+)\s+Frame\s+Time\s*:\s*(\S+)[ \t]*\n?", text, re.IGNORECASE)
    if not header:
        raise InputError(
            "MOTION is not followed by 'Frames:' and 'Frame Time:' with their numbers; the file is damaged"
        )
    claimed, frame_time = _float(header[1], "Frames"), _float(header[2].replace(",", "."), "Frame Time")
    width = sum(len(j.channels) for j in joints)
    if width == 0:
        raise InputError("no joint has CHANNELS, so the file holds no movement")
    if claimed < 1 or claimed != int(claimed):
        raise InputError(f"the header says {header[1]} frames, expected at least 1. Export with the animation included")
    rows = [line for line in text[header.end() :].split("\n") if line.strip()]
    fps = 1.0 / frame_time if frame_time > 0 else float("nan")
    # Frame times are rounded to few digits, e.g. 0.0333333 or 0.016667.
    fps = round(fps) if np.isfinite(fps) and abs(fps - round(fps)) < 0.02 else fps
    frames = choose_frames(int(claimed), float(fps), overrides)
    if len(rows) < frames.count:
        return frames, _flowing_numbers(rows, frames.count, width)[frames.keep], []
    more = len(rows) - frames.count
    notes = [f"{more} more frames follow than the header says; they are not used."] if more else []
    return frames, _row_numbers(rows[: frames.count], frames.keep, width), notes


def _row_numbers(rows: list[str], keep: slice, width: int) -> Float[Array, "T C"]:
    """The kept rows of a motion table with one line per frame, which is usual."""
    for name, row in (("first", rows[0]), ("last", rows[-1])):
        if (found := len(row.split())) != width:
            raise InputError(
                f"the hierarchy has {width} channels but the {name} frame has {found} numbers; "
                "the file is cut off or damaged"
            )
    try:
        values = parse_numbers("\n".join(rows[keep]))
    except InputError as error:
        raise InputError(f"in the motion data, {error}") from None
    kept = len(rows[keep])
    if len(values) != kept * width:
        at, words = next((i + 1, len(r.split())) for i, r in enumerate(rows) if len(r.split()) != width)
        raise InputError(f"frame {at} has {words} numbers but the hierarchy has {width} channels; the file is damaged")
    return values.reshape(kept, width)


def _flowing_numbers(rows: list[str], count: int, width: int) -> Float[Array, "N C"]:
    """A motion table whose frames flow over several lines, or which was cut off."""
    try:
        numbers = parse_numbers("\n".join(rows))
    except InputError as error:
        raise InputError(f"in the motion data, {error}") from None
    if len(numbers) != count * width:
        raise InputError(
            f"{count} frames of {width} channels need {count * width} numbers but {len(numbers)} follow "
            f"({len(numbers) / width:.1f} frames); the file is cut off, or the CHANNELS do not match the data"
        )
    return numbers.reshape(count, width)


# ------------------------------------------------------------------------------------------- kinematics


def _forward_kinematics(joints: list[_Joint], values: Float[Array, "T C"]) -> Float[Array, "T J 3"]:
    """Global joint positions in file units and axes; frames with damaged numbers come out as NaN."""
    positions = np.empty((len(values), len(joints), 3))
    turns: list[Float[Array, "T 3 3"]] = []
    for i, joint in enumerate(joints):
        own = values[:, joint.first_channel : joint.first_channel + len(joint.channels)]
        local = np.broadcast_to(joint.offset, (len(values), 3)).copy()
        for c, name in enumerate(joint.channels):
            if name.endswith("position"):
                local[:, "XYZ".index(name[0])] = own[:, c]
        spin = [c for c, name in enumerate(joint.channels) if name.endswith("rotation")]
        turn = _rotation("".join(joint.channels[c][0] for c in spin), own[:, spin])
        if joint.parent < 0:
            positions[:, i], all_turn = local, turn
        else:
            positions[:, i] = positions[:, joint.parent] + np.einsum("tij,tj->ti", turns[joint.parent], local)
            all_turn = turns[joint.parent] @ turn
        turns.append(all_turn)
    return positions


def _rotation(order: str, degrees: Float[Array, "T R"]) -> Float[Array, "T 3 3"]:
    if not order:
        return np.broadcast_to(np.eye(3), (len(degrees), 3, 3))
    matrices = np.broadcast_to(np.eye(3), (len(degrees), 3, 3)).copy()
    for axis, column in zip(order, degrees.T, strict=True):
        known = np.isfinite(column) & (np.abs(column) < 1e9)
        one = np.full((len(column), 3, 3), np.nan)
        one[known] = Rotation.from_euler(axis, column[known][:, None], degrees=True).as_matrix()
        matrices = matrices @ one
    return matrices


def _root_is_relative(
    root: _Joint, positions: Float[Array, "T J 3"], names: tuple[str, ...], parents: tuple[int, ...]
) -> bool:
    """Whether the root's position channels must be added to its OFFSET, for the feet to be near the floor at 0."""
    moves = any(c.endswith("position") for c in root.channels)
    size = float(np.linalg.norm(root.offset))
    found = match_names(names, parents)
    if not moves or size < 1e-6 or not {"left_ankle", "right_ankle", "left_hip"} <= found.keys():
        return False
    skeleton = build_skeleton(list(found), "bvh")
    own = positions[:, [found[j] for j in skeleton.joints]]
    own = own[np.isfinite(own).all(axis=(1, 2))]
    if not len(own):
        return False
    up, _, _ = detect_up(own - own[:, :1], skeleton, "y")  # centred on the body: the floor is what is asked here
    rise = float(unit_vector(up) @ root.offset)
    leg = float(
        np.median(np.linalg.norm(own[:, skeleton.index("left_hip")] - own[:, skeleton.index("left_ankle")], axis=1))
    )
    floor = float(np.percentile((own @ unit_vector(up)).min(axis=1), 5))
    return 0.5 * leg < rise and abs(floor + rise) < abs(floor) - 0.3 * leg

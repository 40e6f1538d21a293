"""From a file's raw joints to `Pose3D`: named, upright, in metres, right-handed, without holes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from motionqa.data.motion_files import axes
from motionqa.data.motion_files.gaps import drop_absurd, fill_gaps
from motionqa.data.motion_files.joint_names import build_skeleton, match_names, missing_joints
from motionqa.data.motion_files.raw_motion import MotionOverrides, RawMotion
from motionqa.data.schema import InputError, MotionFileInfo, MotionRecording, Pose3D
from motionqa.data.skeleton import Skeleton

Array = np.ndarray

MAX_PEOPLE = 32


def recording_from(raws: Sequence[RawMotion], overrides: MotionOverrides, source: str) -> MotionRecording:
    """The recording of one or more people read from one file; scale and axes are judged once, on the first.

    InputError when the Human3.6M joints can not be built from what the file names, or nothing was ever seen.
    """
    if len(raws) > MAX_PEOPLE:
        raise InputError(f"{source} holds {len(raws)} people, more than the limit of {MAX_PEOPLE}; split the file")
    named = [_name(raw) for raw in raws]
    first, skeleton = named[0]
    frame = _judge_frame(first, skeleton, overrides)
    poses = tuple(_pose(raw, s, frame, source) for raw, s in named)
    shared = (*first.frames.notes, *frame.notes)
    own = tuple(dict.fromkeys(n for raw, _ in named for n in raw.notes))
    detected = {"fps": first.frames.how} | frame.how | first.detected
    info = MotionFileInfo(
        format=first.format,
        skeleton=poses[0].skeleton.name,
        joints=len(poses[0].skeleton),
        frames=len(poses[0]),
        fps=poses[0].fps,
        units=frame.units,
        up_axis=frame.up,
        people=len(poses),
        detected=detected,
        notes=tuple(dict.fromkeys((*own, *shared, *(n for p in poses for n in p.notes)))),
    )
    return MotionRecording(info, poses=poses)


# ------------------------------------------------------------------------------------------------ names


def _name(raw: RawMotion) -> tuple[RawMotion, Skeleton]:
    """The raw motion reduced to joints we have names for, in the skeleton's order."""
    positions = np.where(np.isfinite(raw.positions), raw.positions, np.nan)
    seen = np.any(np.all(np.isfinite(positions), axis=2), axis=0)
    if not seen.any():
        raise InputError(f"the {raw.format} file has {len(positions)} frames but no joint is ever seen in them")
    confidence = np.ones(positions.shape[:2]) if raw.confidence is None else raw.confidence
    if raw.skeleton is not None:
        return replace(raw, positions=positions, confidence=confidence), raw.skeleton
    found = match_names(raw.names, raw.parents, markers=raw.parents is None)
    found = {joint: i for joint, i in found.items() if seen[i]}
    skeleton = build_skeleton(list(found), raw.format)
    notes: tuple[str, ...] = ()
    missing = missing_joints(skeleton) if found else ["every joint"]
    head_only = {"head", "nose", "head_top"}
    if set(missing) <= head_only and missing:
        found["head"] = -1
        skeleton = build_skeleton(list(found), raw.format)
        notes = ("The file has no head: it is assumed to be above the trunk, and counted as not seen.",)
    elif missing:
        raise InputError(
            f"cannot find {', '.join(missing)} among the {len(raw.names)} joints of the {raw.format} file: "
            f"{_some(raw.names)}. Rename its joints to common names (e.g. LeftUpLeg, LeftLeg, LeftFoot) and try again"
        )
    order = [found[j] for j in skeleton.joints]
    positions, confidence = positions[:, order], confidence[:, order].copy()
    if notes:
        at = skeleton.index("head")
        positions[:, at] = _head_above_trunk(positions, skeleton)
        confidence[:, at] = 0.0
    unused = sum(1 for i in range(len(raw.names)) if i not in order)
    how = f"by joint names: {len(raw.names) - unused} of {len(raw.names)} used"
    kept = replace(
        raw,
        names=skeleton.joints,
        positions=positions,
        confidence=confidence,
        notes=(*raw.notes, *notes),
        detected={"skeleton": how} | raw.detected,
    )
    return kept, skeleton


def _some(names: Sequence[str], limit: int = 40) -> str:
    shown = ", ".join(n[:40] for n in names[:limit])
    return shown + (f", … ({len(names) - limit} more)" if len(names) > limit else "")


def _head_above_trunk(positions: Float[Array, "T J 3"], skeleton: Skeleton) -> Float[Array, "T 3"]:
    # Ours: the ears lie about half a trunk length (hips to shoulders) above the shoulders.
    thorax = axes.joint_path(positions, skeleton, "thorax")
    hips = 0.5 * (axes.joint_path(positions, skeleton, "left_hip") + axes.joint_path(positions, skeleton, "right_hip"))
    return thorax + 0.4 * (thorax - hips)


# ------------------------------------------------------------------------------------------------- frame


@dataclass(frozen=True, eq=False)
class _Frame:
    """The file's scale and axes, as judged on its first person."""

    scale: float
    turn: Float[Array, "3 3"]
    metric: bool
    units: str
    up: str
    how: dict[str, str]
    notes: tuple[str, ...]


def _judge_frame(raw: RawMotion, skeleton: Skeleton, overrides: MotionOverrides) -> _Frame:
    """Scale, up axis and handedness of a raw motion, with how each was found."""
    height = axes.stature(raw.positions, skeleton)
    scale, units, how_units, metric = axes.scale_to_metres(height, raw.units, raw.metres_per_unit, overrides.units)
    positions_m, _ = drop_absurd(raw.positions * scale)
    notes: tuple[str, ...] = ()
    if not metric or "the header says" in how_units:
        notes += (f"Units: {how_units}; set units if that is wrong.",)
    if overrides.up_axis is not None:
        up, how_up = overrides.up_axis, "given by the user"
    elif raw.up_axis is not None:
        up, how_up = raw.up_axis, "fixed by the format"
    else:
        up, how_up, up_notes = axes.detect_up(positions_m, skeleton, raw.usual_up)
        notes += up_notes
    turn = axes.TO_Y_UP[up]
    if overrides.handedness is not None:
        left_handed, how_hand = overrides.handedness == "left", "given by the user"
    elif raw.up_axis is not None:
        left_handed, how_hand = False, "right: fixed by the format"
    else:
        left_handed = axes.is_mirrored(positions_m @ turn.T, skeleton)
        how_hand = "left: feet would point backwards" if left_handed else "right: no sign of the contrary"
    if left_handed:
        turn = np.diag([-1.0, 1.0, 1.0]) @ turn
        notes += ("The file's axes are left-handed; X was negated so that left stays left.",)
    how = {"units": how_units, "up_axis": how_up, "handedness": how_hand}
    return _Frame(scale, turn, metric and raw.metric, units, up, how, notes)


def _pose(raw: RawMotion, skeleton: Skeleton, frame: _Frame, source: str) -> Pose3D:
    xyz_m, impossible = drop_absurd(raw.positions * frame.scale)
    xyz_m = xyz_m @ frame.turn.T
    spread = np.nanmax(np.where(np.isfinite(xyz_m), xyz_m, np.nan), axis=1) - np.nanmin(xyz_m, axis=1)
    if not np.nanmax(spread, initial=0.0) > 0.05:
        raise InputError("all joints lie in one point: the file holds no body. Check the export, or the units")
    notes = [f"{impossible} impossible joint positions were treated as not seen."] if impossible else []
    assert raw.confidence is not None
    holes = int((~np.isfinite(xyz_m).all(axis=2)).sum())
    if holes:
        notes.append(f"{holes} of {xyz_m.shape[0] * xyz_m.shape[1]} joint positions are missing; filled, confidence 0.")
    confidence = np.where(np.isfinite(raw.confidence), np.clip(raw.confidence, 0.0, 1.0), 0.0)
    xyz_m, confidence = fill_gaps(xyz_m, confidence, raw.frames.fps)
    times_s = raw.frames.times_s
    if raw.format in ("bvh", "amc") and is_leading_t_pose(xyz_m, skeleton):
        xyz_m, confidence, times_s = xyz_m[1:], confidence[1:], times_s[1:]
        notes.append("The first frame is a T-pose that the movement jumps away from; it was left out.")
    return Pose3D(
        person_id=raw.person_id,
        skeleton=skeleton,
        fps=raw.frames.fps,
        times_s=times_s,
        xyz_m=xyz_m,
        confidence=confidence,
        source=f"{raw.format}: {source}",
        root_motion=raw.root_motion,
        metric=frame.metric,
        camera=raw.camera,
        notes=tuple(notes),
    )


def is_leading_t_pose(xyz_m: Float[Array, "T J 3"], skeleton: Skeleton) -> bool:
    """Whether frame 0 is a T-pose and frame 1 is somewhere else, by far more than the movement that follows."""
    if len(xyz_m) < 4:
        return False
    body = xyz_m[:, [i for i, joint in enumerate(skeleton.joints) if joint != "pelvis"]]
    body = body - axes.joint_path(xyz_m, skeleton, "pelvis")[:, None]
    steps = np.linalg.norm(np.diff(body[:60], axis=0), axis=2).mean(axis=1)
    if steps[0] < 0.03 or steps[0] < 5 * np.median(steps[1:]) or steps[0] < 2 * steps[1:].max():
        return False

    def bone(a: str, b: str) -> Float[Array, "3"]:
        gap = axes.joint_path(xyz_m[:1], skeleton, b)[0] - axes.joint_path(xyz_m[:1], skeleton, a)[0]
        return gap / max(float(np.linalg.norm(gap)), 1e-9)

    trunk = bone("pelvis", "thorax")
    arms = [bone(f"{s}_shoulder", f"{s}_wrist") for s in ("left", "right")]
    upper = [bone(f"{s}_shoulder", f"{s}_elbow") for s in ("left", "right")]
    legs = [bone(f"{s}_hip", f"{s}_ankle") for s in ("left", "right")]
    straight = all(a @ u > 0.95 for a, u in zip(arms, upper, strict=True))
    sideways = arms[0] @ arms[1] < -0.9 and all(abs(a @ trunk) < 0.35 for a in arms)
    return bool(straight and sideways and all(leg @ trunk < -0.9 for leg in legs))

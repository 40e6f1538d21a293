"""Marker files: TRC (Motion Analysis, OpenSim, OpenCap, Pose2Sim) and C3D (through the `c3d` package).

C3D: c3d.org, *The C3D File Format User Guide*, 2008. TRC: OpenSim documentation, "Marker (.trc) Files".
"""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from motionqa.data.motion_files.joint_names import build_skeleton, match_names, missing_joints
from motionqa.data.motion_files.marker_sets import joint_centres
from motionqa.data.motion_files.raw_motion import (
    Axis,
    FrameChoice,
    MotionOverrides,
    RawMotion,
    choose_frames,
    read_bytes,
    read_text,
)
from motionqa.data.schema import InputError

Array = np.ndarray

UNIT_NAMES = {
    "m": "m", "meter": "m", "meters": "m", "metres": "m",
    "cm": "cm", "centimeters": "cm", "centimetres": "cm",
    "mm": "mm", "millimeters": "mm", "millimetres": "mm",
    "in": "in", "inch": "in", "inches": "in",
}  # fmt: skip
MAX_C3D_BYTES = 512 * 2**20
MAX_MARKERS = 5_000


def read_trc(path: Path, overrides: MotionOverrides) -> list[RawMotion]:
    """The person of a TRC file. InputError where header and table disagree or no joints can be had."""
    lines = read_text(path).split("\n")
    if len(lines) < 6 or not lines[0].lstrip().startswith("PathFileType"):
        raise InputError(f"{path.name} has no complete TRC header (5 lines, the first starting with PathFileType)")
    header = dict(zip(lines[1].split(), lines[2].split(), strict=False))
    names = [n.strip() for n in lines[3].split("\t")[2:] if n.strip()] if "\t" in lines[3] else lines[3].split()[2:]
    claimed = header.get("NumMarkers", "")
    if not names or (claimed.isdigit() and int(claimed) != len(names)):
        raise InputError(f"{path.name}: the header says {claimed or 'no number of'} markers but names {len(names)}")
    table = [line for line in lines[5:] if line.strip()]
    promised = header.get("NumFrames", "")
    if promised.isdigit() and len(table) < int(promised):
        raise InputError(
            f"{path.name}: the header promises {promised} frames but {len(table)} follow; the file is cut off"
        )
    frames = choose_frames(len(table), _rate(header), overrides)
    positions = np.stack([_trc_row(table[i], len(names), i, path.name) for i in range(len(table))[frames.keep]])
    units = UNIT_NAMES.get(header.get("Units", "").lower())
    return [_raw("trc", names, positions, frames, units=units, usual_up="y")]


def _rate(header: dict[str, str]) -> float | None:
    try:
        return float(header["DataRate"])
    except (KeyError, ValueError):
        return None


def _trc_row(line: str, markers: int, number: int, name: str) -> Float[Array, "M 3"]:
    """One frame; empty cells are markers not seen. Rows may end early where the last markers are not seen."""
    cells = line.split("\t") if "\t" in line else line.split()
    cells = cells[2 : 2 + 3 * markers]
    if any(c.strip() for c in line.split("\t")[2 + 3 * markers :]) or not cells:
        found = len(line.split())
        raise InputError(f"{name}: frame {number + 1} has {found} numbers, expected {2 + 3 * markers}; it is damaged")
    try:
        values = [float(c) if c.strip() else np.nan for c in cells]
    except ValueError:
        bad = next(c for c in cells if c.strip() and not _is_float(c))
        raise InputError(f"{name}: frame {number + 1} holds {bad[:30]!r} where a number was expected") from None
    values += [np.nan] * (3 * markers - len(values))
    return np.array(values).reshape(markers, 3)


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# --------------------------------------------------------------------------------------------------- c3d


def read_c3d(path: Path, overrides: MotionOverrides) -> list[RawMotion]:
    """The people of a C3D file (one per `Subject:` prefix of the labels)."""
    import c3d

    raw = read_bytes(path, MAX_C3D_BYTES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # c3d warns about header oddities; what matters is checked here
        try:
            reader = c3d.Reader(io.BytesIO(raw))
            labels = [str(label).strip() for label in reader.point_labels]
            labels += _more_labels(reader)
            count = int(reader.last_frame) - int(reader.first_frame) + 1
            used, is_float = int(reader.point_used), float(reader.point_scale) < 0
            units, fps = reader.get("POINT:UNITS"), float(reader.point_rate)
            unit = UNIT_NAMES.get(units.string_value.strip().lower()) if units else None
        except Exception as error:  # the package raises whatever the damage leads to
            raise InputError(f"{path.name} is no readable C3D file ({error!r:.100})") from error
        if not 0 < used <= MAX_MARKERS:
            raise InputError(f"{path.name}: the C3D header says {used} points, expected 1 to {MAX_MARKERS}")
        if count * used * (16 if is_float else 8) > len(raw):
            raise InputError(
                f"{path.name}: the header claims {count} frames of {used} points, more than its {len(raw):,} bytes can "
                "hold; the file is cut off"
            )
        frames = choose_frames(count, fps, overrides)
        wanted = range(count)[frames.keep]
        positions = np.full((len(wanted), used, 3), np.nan)
        try:
            for number, (_, points, _) in enumerate(reader.read_frames(copy=False)):
                if number >= wanted.stop:
                    break
                if number % wanted.step == 0:
                    seen = points[:, 3] >= 0
                    positions[number // wanted.step, seen] = points[seen, :3]
        except Exception as error:
            raise InputError(f"{path.name}: the C3D frames cannot be read ({error!r:.100}); it is damaged") from error
    labels = (labels + [f"*{i}" for i in range(len(labels), used)])[:used]
    groups: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        groups.setdefault(label.rpartition(":")[0], []).append(i)
    people = [g for prefix, g in groups.items() if prefix] or [list(range(used))]
    names = [[labels[i].rpartition(":")[2] for i in g] for g in people]
    # A prefix may be a segment cluster and not a person: then all markers are one person's.
    if len(people) > 1 and not all(_enough(n) for n in names):
        people, names = [list(range(used))], [[label.rpartition(":")[2] for label in labels]]
    return [
        _raw("c3d", n, positions[:, g], frames, units=unit, usual_up="z", person=person)
        for person, (g, n) in enumerate(zip(people, names, strict=True))
    ]


def _more_labels(reader) -> list[str]:
    """Labels beyond the 255th are kept in LABELS2, LABELS3, …"""
    more: list[str] = []
    for number in range(2, 10):
        parameter = reader.get(f"POINT:LABELS{number}")
        if parameter is None:
            break
        more += [str(label).strip() for label in parameter.string_array]
    return more


def _enough(names: list[str]) -> bool:
    return len(names) >= 12


# ---------------------------------------------------------------------------------------------- joints


def _raw(
    format_name: str,
    names: list[str],
    positions: Float[Array, "T M 3"],
    frames: FrameChoice,
    *,
    units: str | None,
    usual_up: Axis,
    person: int = 0,
) -> RawMotion:
    """Joints of one person: taken as they are where the names are joints, else worked out from the marker set."""
    found = match_names(names, markers=True)
    gaps = set(missing_joints(build_skeleton(list(found), format_name))) if found else {"pelvis"}
    raw = RawMotion(format_name, tuple(names), positions, frames, usual_up=usual_up, units=units, person_id=person)
    if gaps <= {"head", "nose", "head_top"}:
        return raw
    joints, centres, notes = joint_centres(names, positions, units)
    how = {"skeleton": f"joint centres from {len(names)} markers"}
    return replace(raw, names=joints, positions=centres, notes=notes, detected=how)

"""Two-dimensional key points in json: OpenPose, COCO results and annotations, AlphaPose, MMPose.

OpenPose: its documentation, "Output Format" (`pose_keypoints_2d`, BODY_25 or COCO-18; hands and face are ignored).
COCO: cocodataset.org, "Results Format", 17 key points. AlphaPose: its `docs/output.md` (17 COCO or 26 Halpe points,
list form and the `-cmu` and `-open` forms). MMPose: `instance_info` of its inferencer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from motionqa.data.motion_files.people import Detection, KeypointFrames
from motionqa.data.motion_files.raw_motion import MotionOverrides, read_text
from motionqa.data.schema import InputError
from motionqa.data.skeleton import COCO_17, HALPE_26, OPENPOSE_18, OPENPOSE_25, SKELETONS, Skeleton

POINT_SETS: dict[int, Skeleton] = {17: COCO_17, 18: OPENPOSE_18, 25: OPENPOSE_25, 26: HALPE_26}
# Whole-body sets begin with a body set; the rest (face, hands) is not used.
BEGINS_WITH: dict[int, Skeleton] = {133: COCO_17, 136: HALPE_26}
MAX_JSON_FILES = 200_000
MAX_FRAME_NUMBER = 1_000_000


def load_json(path: Path) -> Any:
    """The parsed file; InputError with the line where it is no json."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path.name} is no valid json (line {error.lineno}: {error.msg}); it is cut off or damaged"
        ) from error
    except RecursionError as error:
        raise InputError(f"{path.name} is nested too deeply to be key points") from error


def read_openpose_directory(path: Path, overrides: MotionOverrides) -> KeypointFrames:
    """A directory with one OpenPose json per frame, in the order of the numbers in their names."""
    files = sorted((p for p in path.iterdir() if p.suffix.lower() == ".json"), key=_natural)
    if not files:
        raise InputError(f"the directory {path.name} has no .json files; expected OpenPose output, one file per frame")
    if len(files) > MAX_JSON_FILES:
        raise InputError(f"the directory {path.name} has {len(files)} json files, at most {MAX_JSON_FILES} are read")
    frames = [load_json(file) for file in files]
    for file, frame in zip(files, frames, strict=True):
        if not (isinstance(frame, dict) and isinstance(frame.get("people"), list)):
            raise InputError(
                f"{path.name}/{file.name} has no 'people' list; expected OpenPose output, one file per frame"
            )
    return read_openpose(frames, overrides)


def _natural(path: Path) -> tuple[int | str, ...]:
    parts = re.split(r"(\d+)", path.stem)
    return tuple(int(p) if i % 2 else p for i, p in enumerate(parts))


def read_openpose(data: Any, overrides: MotionOverrides) -> KeypointFrames:
    """OpenPose frames: one dictionary, or a list of them, each with `people`."""
    frames = data if isinstance(data, list) else [data]
    found = []
    for number, frame in enumerate(frames):
        people = frame.get("people") if isinstance(frame, dict) else None
        if not isinstance(people, list):
            raise InputError(f"frame {number} of the OpenPose json has no 'people' list")
        found.append([_openpose_person(p, number) for p in people])
    return _keypoints("openpose", [[p for p in people if p] for people in found], overrides)


def _openpose_person(person: Any, number: int) -> tuple[Any, int | None]:
    points = person.get("pose_keypoints_2d", person.get("pose_keypoints")) if isinstance(person, dict) else None
    if not isinstance(points, list):
        raise InputError(f"frame {number} has a person without 'pose_keypoints_2d'")
    ids = person.get("person_id")
    track = ids[0] if isinstance(ids, list) and ids and isinstance(ids[0], int) and ids[0] >= 0 else None
    return points, track


def read_coco(data: Any, overrides: MotionOverrides) -> KeypointFrames:
    """COCO results (a list) or annotations (a dictionary with `annotations` and `images`), AlphaPose's too."""
    images = data.get("images", []) if isinstance(data, dict) else []
    entries = data.get("annotations") if isinstance(data, dict) else data
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise InputError("expected a list of {image_id, keypoints, score}, one per person and image")
    alphapose = any("idx" in e or isinstance(e.get("image_id"), str) for e in entries)
    size = _shared_size(images)
    people: dict[Any, list[tuple[Any, int | None]]] = {}
    for entry in entries:
        if "image_id" not in entry or not isinstance(entry.get("keypoints"), list):
            raise InputError(f"an entry has the keys {list(entry)[:12]}; expected image_id and keypoints")
        track = next((entry[k] for k in ("track_id", "idx") if isinstance(entry.get(k), int)), None)
        people.setdefault(_hashable(entry["image_id"]), []).append((entry["keypoints"], track))
    numbers, notes = _frame_numbers([*people, *(_hashable(i.get("id")) for i in images if isinstance(i, dict))])
    frames: list[list[tuple[Any, int | None]]] = [[] for _ in range(max(numbers.values(), default=-1) + 1)]
    for image, found in people.items():
        frames[numbers[image]] += found
    return _keypoints("alphapose" if alphapose else "coco", frames, overrides, size, notes)


def _shared_size(images: list[Any]) -> tuple[int, int] | None:
    """Width and height that all images agree on, else None."""
    sizes = {(i.get("width"), i.get("height")) for i in images if isinstance(i, dict)}
    width, height = sizes.pop() if len(sizes) == 1 else (None, None)
    return (width, height) if isinstance(width, int) and isinstance(height, int) and min(width, height) > 0 else None


def read_alphapose_frames(data: dict[str, Any], overrides: MotionOverrides) -> KeypointFrames:
    """AlphaPose's `-open` and `-cmu` forms: image name → {people: [...]} or {bodies: [...]}."""
    numbers, notes = _frame_numbers(list(data))
    frames: list[list[tuple[Any, int | None]]] = [[] for _ in range(max(numbers.values(), default=-1) + 1)]
    for image, frame in data.items():
        people = frame.get("people", frame.get("bodies")) if isinstance(frame, dict) else None
        if not isinstance(people, list):
            raise InputError(f"image {image!r} has neither 'people' nor 'bodies'")
        for person in people:
            points = None
            if isinstance(person, dict):
                points = person.get("pose_keypoints_2d", person.get("joints"))
            if not isinstance(points, list):
                raise InputError(f"image {image!r} has a person without key points")
            frames[numbers[image]].append((points, None))
    return _keypoints("alphapose", frames, overrides, notes=notes)


def read_mmpose(data: dict[str, Any], overrides: MotionOverrides) -> KeypointFrames:
    """MMPose: `instance_info` (or the list itself) of {frame_id, instances: [{keypoints, keypoint_scores}]}."""
    frames: list[list[tuple[Any, int | None]]] = []
    for frame in data["instance_info"]:
        instances = frame.get("instances") if isinstance(frame, dict) else None
        if not isinstance(instances, list):
            raise InputError("a frame of instance_info has no 'instances' list")
        people = []
        for person in instances:
            try:
                points = np.column_stack([person["keypoints"], person["keypoint_scores"]]).ravel().tolist()
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise InputError("an instance has no matching 'keypoints' and 'keypoint_scores'") from error
            track = person.get("track_id", person.get("instance_id"))
            people.append((points, track if isinstance(track, int) else None))
        frames.append(people)
    return _keypoints("mmpose", frames, overrides)


# ---------------------------------------------------------------------------------------------- shared


def _hashable(value: Any) -> Any:
    if not isinstance(value, (int, str)):
        raise InputError(f"image_id is {str(value)[:40]!r}, expected a number or a file name")
    return value


def _frame_numbers(images: Iterable[Any]) -> tuple[dict[Any, int], tuple[str, ...]]:
    """Frame number of each image id or name: the number in it where these run on like a video's, else its rank.

    Frames in which nobody was found are missing from such files; the numbers bring the gaps back.
    """
    unique = list(dict.fromkeys(images))
    parsed = {}
    for image in unique:
        digits = [str(image)] if isinstance(image, int) else re.findall(r"\d+", Path(image).stem)
        parsed[image] = int(digits[-1]) if digits and len(digits[-1]) < 10 and digits[-1].isdigit() else None
    numbers = [n for n in parsed.values() if n is not None]
    runs_on = len(numbers) == len(unique) == len(set(numbers)) and len(numbers) > 0
    if runs_on and max(numbers) - min(numbers) < min(10 * len(numbers) + 10, MAX_FRAME_NUMBER):
        first = min(numbers)
        # A video's first frames may be empty too, but a count that starts late is more likely a cut.
        first = 0 if first <= 1 and 0 in numbers else first
        return {image: int(n) - first for image, n in parsed.items() if n is not None}, ()
    ordered = sorted(unique, key=lambda i: (parsed[i] is None, parsed[i] or 0, str(i))) if runs_on else unique
    note = "The images' numbers do not run on like a video's frames, so they are taken one after the other."
    return {image: i for i, image in enumerate(ordered)}, (note,) if len(unique) > 1 else ()


def _keypoints(
    format_name: str,
    frames: list[list[tuple[Any, int | None]]],
    overrides: MotionOverrides,
    image_size: tuple[int, int] | None = None,
    notes: tuple[str, ...] = (),
) -> KeypointFrames:
    """Detections from flat lists x, y, c, x, y, c, …; InputError where lengths or values do not fit."""
    first = next((points for people in frames for points, _ in people if points), None)
    if first is None:
        raise InputError(f"the {format_name} json has {len(frames)} frames but no person in any of them")
    count = len(first) // 3
    skeleton = SKELETONS[overrides.skeleton] if overrides.skeleton else POINT_SETS.get(count) or BEGINS_WITH.get(count)
    if skeleton is None or len(first) % 3 or count < len(skeleton):
        known = ", ".join(f"{n} ({s.name})" for n, s in POINT_SETS.items())
        raise InputError(f"{len(first)} numbers per person, expected three for each of {known} key points")
    table = [[(_flat(p, len(first)), t) for p, t in people if p] for people in frames]
    thirds = np.concatenate([p[2::3] for people in table for p, _ in people])
    flags = bool(np.isin(thirds, (0, 1, 2)).all() and (thirds == 2).any())
    detections = []
    for people in table:
        row = []
        for values, track in people:
            points = values.reshape(-1, 3)[: len(skeleton)]
            confidence = points[:, 2] / 2 if flags else np.clip(points[:, 2], 0.0, 1.0)
            known = np.isfinite(points).all(axis=1) & (points[:, :2] != 0).any(axis=1)
            row.append(Detection(points[:, :2], np.where(known, confidence, 0.0), track))
        detections.append(row)
    how = f"{count} key points" + (", visibility flags read as confidence" if flags else "")
    return KeypointFrames(format_name, skeleton, detections, None, image_size, {"skeleton": how}, notes)


def _flat(points: Any, length: int) -> np.ndarray:
    try:
        values = np.array([np.nan if v is None else v for v in points], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"key points hold {str(points)[:60]!r}, expected a flat list of numbers") from error
    if values.shape != (length,):
        raise InputError(f"a person has {values.size} numbers where others have {length}; the file is mixed or damaged")
    return values

"""MediaPipe Pose landmarks saved as json, in the shapes people save them.

MediaPipe itself writes no files, so any of these is read: a list of frames, or a dictionary with `frames`, or one
dictionary per frame number; a frame is a list of 33 landmarks, a list of people, or a dictionary with image landmarks
(`landmarks`, `pose_landmarks`, …) and/or world landmarks (`world_landmarks`, …). A landmark is {x, y, z, visibility}
or [x, y, z, visibility]. World landmarks (Bazarevsky et al., *BlazePose GHUM*, 2022) are metres about the hips' middle,
X right, Y down, Z away from the camera.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from motionqa.data.motion_files.people import Detection, KeypointFrames, image_recording, link_people
from motionqa.data.motion_files.raw_motion import MotionOverrides, RawMotion, choose_frames
from motionqa.data.motion_files.recording import recording_from
from motionqa.data.schema import InputError, MotionRecording
from motionqa.data.skeleton import BLAZEPOSE_33

Array = np.ndarray

FRAMES = ("frames", "results", "data", "poses", "sequence")
TIMES_S = ("time_s", "timestamp_s", "time", "t")
TIMES_MS = ("timestamp_ms", "timestampms", "time_ms", "ms")
WIDTHS, HEIGHTS = ("width", "image_width", "frame_width", "w"), ("height", "image_height", "frame_height", "h")


@dataclass(frozen=True, eq=False)
class _Frame:
    image: list[Float[Array, "33 4"]]
    """People's x, y, z, visibility; x and y are parts of the image's width and height, or pixels."""
    world: list[Float[Array, "33 4"]]
    time_s: float | None


def looks_like_mediapipe(data: Any, depth: int = 0) -> bool:
    """Whether a list of 33 landmarks with x and y is found within the first frames."""
    if depth > 6:
        return False
    if isinstance(data, dict):
        return any(looks_like_mediapipe(v, depth + 1) for v in list(data.values())[:50])
    if isinstance(data, list):
        return _landmarks(data) is not None or any(looks_like_mediapipe(v, depth + 1) for v in data[:50])
    return False


def read_mediapipe(data: Any, overrides: MotionOverrides, source: str) -> MotionRecording:
    """World landmarks as `poses`, image landmarks as `image_poses`, whichever are there (both where both are)."""
    frames = [_frame(item) for item in _frame_list(data)]
    if not any(f.image or f.world for f in frames):
        raise InputError(f"{source} has {len(frames)} frames but no 33 landmarks with x and y in any of them")
    header = data if isinstance(data, dict) else {}
    fps = _number(header, ("fps", "frame_rate", "framerate"))
    times = [f.time_s for f in frames if f.time_s is not None]
    if fps is None and len(times) == len(frames) > 1 and times[-1] > times[0]:
        fps = (len(times) - 1) / (times[-1] - times[0])
    size = _number(header, WIDTHS), _number(header, HEIGHTS)
    image_size = (int(size[0]), int(size[1])) if size[0] and size[1] else None
    parts: list[MotionRecording] = []
    if any(f.world for f in frames):
        parts.append(_world_recording(frames, fps, overrides, source))
    if any(f.image for f in frames):
        parts.append(_image_recording(frames, fps, image_size, overrides, source))
    first = parts[0]
    if len(parts) == 1:
        return first
    return replace(first, image_poses=parts[1].image_poses)


# ----------------------------------------------------------------------------------------------- shapes


def _frame_list(data: Any) -> list[Any]:
    """The frames in order, None for those in which nobody was found."""
    if isinstance(data, dict):
        inner = next((v for k, v in data.items() if k.lower() in FRAMES and isinstance(v, (list, dict))), None)
        if inner is not None:
            return _frame_list(inner)
        numbers = [re.search(r"(\d+)\D*$", str(k)) for k in data]
        if data and all(numbers):
            order = sorted(data, key=lambda k: int(re.findall(r"\d+", k)[-1]))
            return [data[k] for k in order]
        return [data]
    if isinstance(data, list):
        return [data] if _landmarks(data) is not None else data
    raise InputError(f"expected a list or dictionary of frames, found {type(data).__name__}")


def _frame(item: Any) -> _Frame:
    image: list[Float[Array, "33 4"]] = []
    world: list[Float[Array, "33 4"]] = []
    time_s = None
    if isinstance(item, dict):
        time_s = _number(item, TIMES_S)
        if time_s is None and (ms := _number(item, TIMES_MS)) is not None:
            time_s = ms / 1000
        for key, value in item.items():
            name = key.lower().replace("_", "")
            if "landmark" in name or name in ("keypoints", "pose", "people", "persons"):
                (world if "world" in name else image).extend(_people(value))
    else:
        image = _people(item)
    return _Frame(image, world, time_s)


def _people(value: Any) -> list[Float[Array, "33 4"]]:
    if value is None:
        return []
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))  # protobuf's {"landmark": [...]}
    one = _landmarks(value)
    if one is not None:
        return [one]
    if isinstance(value, list):
        return [p for entry in value for p in _people(entry)] if len(value) <= 64 else []
    return []


def _landmarks(value: Any) -> Float[Array, "33 4"] | None:
    """33 landmarks as x, y, z, visibility (1 where none is given), or None for anything else."""
    if not isinstance(value, list) or len(value) != 33:
        return None
    rows = []
    for point in value:
        if isinstance(point, dict) and "x" in point and "y" in point:
            row = [point["x"], point["y"], point.get("z", 0.0), point.get("visibility", point.get("score", 1.0))]
        elif isinstance(point, list) and 2 <= len(point) <= 5 and not isinstance(point[0], (list, dict)):
            row = [*point[:3], *([0.0] if len(point) == 2 else []), point[3] if len(point) > 3 else 1.0]
        else:
            return None
        rows.append([np.nan if v is None else v for v in row])
    try:
        return np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):
        return None


def _number(holder: dict[str, Any], keys: tuple[str, ...]) -> float | None:
    found = next((holder[k] for k in holder if k.lower() in keys), None)
    return float(found) if isinstance(found, (int, float)) and np.isfinite(found) else None


# ------------------------------------------------------------------------------------------- recordings


def _image_recording(
    frames: list[_Frame], fps: float | None, size: tuple[int, int] | None, overrides: MotionOverrides, source: str
) -> MotionRecording:
    points = np.concatenate([p[:, :2] for f in frames for p in f.image])
    fractions = bool(np.nanmax(np.abs(points)) <= 4.0)
    size = overrides.image_size or size
    notes: tuple[str, ...] = ()
    detected = {"skeleton": "33 landmarks"}
    if fractions and size is None:
        size = (1920, 1080)
        notes = ("Landmarks are parts of an image of unknown size; 1920 x 1080 is assumed. Set image_size.",)
        detected["image_size"] = "not in the file: 1920 x 1080 assumed"
    scale = np.array(size, dtype=np.float64) if fractions and size else np.ones(2)
    people = [[Detection(p[:, :2] * scale, _visibility(p)) for p in f.image] for f in frames]
    keypoints = KeypointFrames("mediapipe", BLAZEPOSE_33, people, fps, size, detected, notes)
    return image_recording(keypoints, overrides, source)


def _visibility(points: Float[Array, "33 4"]) -> Float[Array, "33"]:
    known = np.isfinite(points[:, :3]).all(axis=1)
    return np.where(known, np.clip(np.nan_to_num(points[:, 3], nan=0.0), 0.0, 1.0), 0.0)


def _world_recording(
    frames: list[_Frame], fps: float | None, overrides: MotionOverrides, source: str
) -> MotionRecording:
    chosen = choose_frames(len(frames), fps, overrides)
    # World landmarks are all about the hips, so people are told apart by their place in the image.
    both = all(len(f.image) == len(f.world) for f in frames)
    people = [
        [Detection((f.image if both else f.world)[i][:, :2], _visibility(p)) for i, p in enumerate(f.world)]
        for f in frames
    ]
    index = {id(d): (t, i) for t, row in enumerate(people) for i, d in enumerate(row)}
    tracks, _ = link_people(people, chosen.source_fps)
    raws = []
    for person, track in tracks.items():
        xyz = np.full((len(frames), 33, 3), np.nan)
        confidence = np.zeros((len(frames), 33))
        for t, detection in track.items():
            xyz[t] = frames[t].world[index[id(detection)][1]][:, :3] * [1.0, -1.0, -1.0]
            confidence[t] = detection.confidence
        if not np.isfinite(xyz[chosen.keep]).any():
            continue
        raws.append(
            RawMotion(
                "mediapipe",
                BLAZEPOSE_33.joints,
                xyz[chosen.keep],
                chosen,
                units="m",
                up_axis="y",
                skeleton=BLAZEPOSE_33,
                confidence=confidence[chosen.keep],
                camera=True,
                root_motion="none",
                person_id=person,
                detected={"skeleton": "33 world landmarks"},
                notes=("World landmarks are about the hips: where the person goes is not known.",),
            )
        )
    if not raws:
        raise InputError(f"{source}: no world landmarks in the frames that are kept")
    return recording_from(raws, overrides, source)

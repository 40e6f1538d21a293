"""Key points of several people, frame by frame, joined into one pose sequence per person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from motionqa.data.motion_files.gaps import fill_gaps
from motionqa.data.motion_files.raw_motion import MotionOverrides, choose_frames
from motionqa.data.schema import InputError, MotionFileInfo, MotionRecording, PoseSequence
from motionqa.data.skeleton import Skeleton

Array = np.ndarray

MAX_PEOPLE = 64
MAX_LOST_S = 1.0
"""A person out of sight for longer comes back as somebody else."""
GATE = 0.6
"""Farthest mean joint distance between two frames, in body sizes, for two detections to be one person."""
COMMON_SIZES = ((640, 480), (1280, 720), (1920, 1080), (2560, 1440), (3840, 2160), (7680, 4320))


@dataclass(frozen=True, eq=False)
class Detection:
    """One person in one image."""

    xy_px: Float[Array, "J 2"]
    confidence: Float[Array, "J"]
    """0 where a joint was not found; its position then means nothing."""
    track_id: int | None = None

    @property
    def size_px(self) -> float:
        """Diagonal of the box around the joints that were found."""
        seen = self.xy_px[self.confidence > 0]
        return float(np.linalg.norm(seen.max(axis=0) - seen.min(axis=0))) if len(seen) > 1 else 0.0


@dataclass(frozen=True, eq=False)
class KeypointFrames:
    """What a key-point file holds: for each frame, the people in it."""

    format: str
    skeleton: Skeleton
    frames: Sequence[Sequence[Detection]]
    fps: float | None = None
    image_size: tuple[int, int] | None = None
    detected: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def image_recording(keypoints: KeypointFrames, overrides: MotionOverrides, source: str) -> MotionRecording:
    """The recording of image key points: a `PoseSequence` over all kept frames for every person.

    InputError when nobody is in any frame, or when there are implausibly many people.
    """
    frames = choose_frames(len(keypoints.frames), keypoints.fps, overrides)
    people, how_people = link_people(keypoints.frames, frames.source_fps)
    if not people:
        raise InputError(f"{source} has {len(keypoints.frames)} frames but no person with key points in any of them")
    notes = [*keypoints.notes, *frames.notes]
    if len(people) > MAX_PEOPLE:
        notes.append(f"{len(people)} people were found; the {MAX_PEOPLE} seen best are kept.")
        people = dict(list(people.items())[:MAX_PEOPLE])
    (width, height), how_size = _image_size(keypoints, overrides)
    if "assumed" in how_size:
        notes.append(f"Image size {how_size}; set image_size if that is wrong.")
    poses = []
    for person, track in people.items():
        xy = np.full((len(keypoints.frames), len(keypoints.skeleton), 2), np.nan)
        confidence = np.zeros(xy.shape[:2])
        for number, detection in track.items():
            xy[number], confidence[number] = detection.xy_px, detection.confidence
        known = np.isfinite(xy).all(axis=2) & (confidence > 0) & (np.abs(xy) < 1e6).all(axis=2)
        xy, confidence = (
            np.where(known[..., None], xy, np.nan)[frames.keep],
            np.where(known, confidence, 0.0)[frames.keep],
        )
        if not confidence.any():
            continue  # seen only in frames that were thinned out
        xy, confidence = fill_gaps(xy, confidence, frames.fps)
        poses.append(
            PoseSequence(
                person, keypoints.skeleton, frames.fps, frames.times_s, xy, confidence, width, height,
                f"{keypoints.format}: {source}",
            )
        )  # fmt: skip
    if not poses:
        raise InputError(f"{source}: no key point has a confidence above 0 in the frames that are kept")
    detected = {"fps": frames.how, "people": how_people, "image_size": how_size} | keypoints.detected
    info = MotionFileInfo(
        format=keypoints.format,
        skeleton=keypoints.skeleton.name,
        joints=len(keypoints.skeleton),
        frames=len(poses[0]),
        fps=frames.fps,
        units="px",
        up_axis="-y",
        people=len(poses),
        detected=detected,
        notes=tuple(notes),
    )
    return MotionRecording(info, image_poses=tuple(poses))


def _image_size(keypoints: KeypointFrames, overrides: MotionOverrides) -> tuple[tuple[int, int], str]:
    if overrides.image_size is not None:
        return overrides.image_size, "given by the user"
    if keypoints.image_size is not None:
        return keypoints.image_size, "in the file"
    found = [d.xy_px[d.confidence > 0] for frame in keypoints.frames for d in frame]
    points = np.concatenate([p[np.isfinite(p).all(axis=1) & (np.abs(p) < 1e6).all(axis=1)] for p in found])
    right, bottom = np.percentile(points, 99.5, axis=0) if len(points) else (1.0, 1.0)
    sizes = [s for wide in COMMON_SIZES for s in (wide, wide[::-1]) if right <= s[0] and bottom <= s[1]]
    width, height = sizes[0] if sizes else (int(np.ceil(right)), int(np.ceil(bottom)))
    return (
        width,
        height,
    ), f"not in the file: {width} x {height} assumed, the smallest common size that holds all points"


# --------------------------------------------------------------------------------------------- tracking


def link_people(frames: Sequence[Sequence[Detection]], fps: float) -> tuple[dict[int, dict[int, Detection]], str]:
    """(person id → frame number → detection, how): by the file's track ids, else from frame to frame by distance.

    Ids found here count from 0, the person seen longest and largest first.
    """
    if _ids_are_tracks(frames):
        tracks: dict[int, dict[int, Detection]] = {}
        for number, people in enumerate(frames):
            for detection in people:
                assert detection.track_id is not None
                tracks.setdefault(detection.track_id, {})[number] = detection
        order = sorted(tracks, key=lambda i: -_prominence(tracks[i]))
        return {i: tracks[i] for i in order}, "track ids in the file"
    found = _link_by_distance(frames, max(1, round(MAX_LOST_S * fps)))
    found.sort(key=_prominence, reverse=True)
    how = "one person per frame" if len(found) == 1 else "joined from frame to frame by joint distance"
    return dict(enumerate(found)), how


def _ids_are_tracks(frames: Sequence[Sequence[Detection]]) -> bool:
    """Whether every detection has an id and none occurs twice in a frame; a lone constant id is no harm."""
    ids = [[d.track_id for d in people] for people in frames if people]
    return bool(ids) and all(None not in row and len(set(row)) == len(row) for row in ids)


def _prominence(track: dict[int, Detection]) -> float:
    return sum(d.size_px * float(d.confidence.mean()) for d in track.values())


def _link_by_distance(frames: Sequence[Sequence[Detection]], patience: int) -> list[dict[int, Detection]]:
    tracks: list[dict[int, Detection]] = []
    last_seen: list[int] = []
    for number, people in enumerate(frames):
        people = [d for d in people if (d.confidence > 0).any()]  # noqa: PLW2901
        alive = [i for i, seen in enumerate(last_seen) if number - seen <= patience]
        matched: set[int] = set()
        if alive and people:
            cost = np.array([[_distance(tracks[i][last_seen[i]], d) for d in people] for i in alive])
            # Beyond the gate all costs are alike, so that no far pair pushes a near one apart.
            for row, column in zip(*linear_sum_assignment(np.minimum(cost, 10.0)), strict=True):
                if cost[row, column] <= GATE * min(3.0, number - last_seen[alive[row]]):
                    tracks[alive[row]][number] = people[column]
                    last_seen[alive[row]] = number
                    matched.add(int(column))
        for column, detection in enumerate(people):
            if column not in matched:
                tracks.append({number: detection})
                last_seen.append(number)
    return tracks


def _distance(a: Detection, b: Detection) -> float:
    """Mean distance of the joints both show, in body sizes; of the centres where they share none."""
    size = max(a.size_px, b.size_px, 1.0)
    both = (a.confidence > 0) & (b.confidence > 0)
    if both.any():
        return float(np.linalg.norm(a.xy_px[both] - b.xy_px[both], axis=1).mean()) / size
    centres = [d.xy_px[d.confidence > 0].mean(axis=0) for d in (a, b)]
    return float(np.linalg.norm(centres[0] - centres[1])) / size

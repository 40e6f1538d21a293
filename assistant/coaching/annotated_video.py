"""The clip with its faults shown: the joints of a fault turn red at its moments, with the finding's title below."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from motionqa.assistant.coaching.coach import Assessment
from motionqa.assistant.coaching.findings import Finding
from motionqa.assistant.overlay import camera_of, draw_skeleton, drawn_bones
from motionqa.data.schema import ClipEncoding
from motionqa.data.skeleton import Skeleton
from motionqa.data.video import DecodeConfig, iter_frames, read_clip
from motionqa.data.video_writer import Frame, write_video

Array = np.ndarray
RED = (230, 40, 40)
SHOWN_S = 0.35
"""A fault is shown from this long before its moment to this long after it."""


def draw_faults(
    path: Path,
    found: Assessment,
    target: Path,
    decode: DecodeConfig = DecodeConfig(),
    max_side: int = 854,
    progress: Callable[[float], object] | None = None,
) -> Path:
    """Writes the annotated video of an assessed file to `target` (mp4) and returns it. Time 0 is its first frame."""
    return write_video(_frames(path, found, decode, max_side), target, len(found.encoding.pose3d), progress)


def stills(path: Path, found: Assessment, decode: DecodeConfig = DecodeConfig(), max_side: int = 480) -> dict[str, str]:
    """The worst moment of each fault as a JPEG data URI, by check id; empty for motion files."""
    wanted = {f.id: f.worst.at_s for f in found.of_kind("fault") if f.worst is not None}
    if found.encoding.kind != "video" or not wanted:
        return {}
    times = {i: float(t) for i, t in wanted.items()}
    best: dict[str, tuple[float, Array]] = {}
    for time_s, image in _frames(path, found, decode, max_side):
        for i, t in times.items():
            if abs(time_s - t) < best.get(i, (0.5, image))[0]:
                best[i] = (abs(time_s - t), image)
    return {i: _jpeg(image) for i, (_, image) in best.items()}


def faults_at(found: Assessment, time_s: float) -> tuple[Finding, ...]:
    """The faults to show at a moment; those about timing are shown through their whole repetition."""
    out = []
    for finding in found.of_kind("fault"):
        for m in finding.moments:
            timed = finding.check is not None and finding.check.measured.measure is None
            low, high = (m.start_s, m.end_s) if timed else (m.at_s - SHOWN_S, m.at_s + SHOWN_S)
            if low <= time_s <= high:
                out.append(finding)
                break
    return tuple(out)


def _frames(path: Path, found: Assessment, decode: DecodeConfig, max_side: int) -> Iterator[Frame]:
    if found.encoding.kind == "video" and found.encoding.pose is not None:
        yield from _filmed(path, found, decode, max_side)
    else:
        yield from _figure(found.encoding, found)


def _filmed(path: Path, found: Assessment, decode: DecodeConfig, max_side: int) -> Iterator[Frame]:
    pose = found.encoding.pose
    assert pose is not None
    clip = read_clip(path, decode)
    for time_s, frame in zip(clip.times_s, iter_frames(clip, max_side), strict=False):
        image = frame.copy()
        k = int(np.abs(pose.times_s - time_s).argmin())
        if pose.seen[k]:
            points = pose.xy_px[k] * (image.shape[1] / clip.width)
            draw_skeleton(image, points, pose.confidence[k], pose.skeleton)
            _mark(image, points, pose.confidence[k], pose.skeleton, faults_at(found, float(time_s)))
        _caption(image, found, float(time_s))
        yield float(time_s), image


def _figure(encoding: ClipEncoding, found: Assessment, size: tuple[int, int] = (640, 480)) -> Iterator[Frame]:
    pose = encoding.pose3d
    project, _ = camera_of(pose, size)
    for k, time_s in enumerate(pose.times_s):
        image = np.full((size[1], size[0], 3), (34, 37, 46), np.uint8)
        points = project(pose.xyz_m[k], encoding.report.trajectory.root_m[k])
        draw_skeleton(image, points, pose.confidence[k], pose.skeleton)
        _mark(image, points, pose.confidence[k], pose.skeleton, faults_at(found, float(time_s)))
        _caption(image, found, float(time_s))
        yield float(time_s), image


def _mark(
    image: UInt8[Array, "H W 3"],
    points: Float[Array, "J 2"],
    confidence: Float[Array, "J"],
    skeleton: Skeleton,
    faults: tuple[Finding, ...],
) -> None:
    """The joints of the faults and the bones between them in red."""
    import cv2

    marked = {skeleton.index(j) for f in faults for j in f.joints if j in skeleton}
    thick = max(3, round(max(image.shape[:2]) / 200))
    at = [tuple(int(v) for v in np.clip(np.nan_to_num(p), -4000, 4000)) for p in points]
    for a, b in drawn_bones(skeleton):
        if {a, b} <= marked and min(confidence[a], confidence[b]) > 0.15:
            cv2.line(image, at[a], at[b], RED, thick, cv2.LINE_AA)
    for j in marked:
        if confidence[j] > 0.15:
            cv2.circle(image, at[j], 2 * thick, RED, -1, cv2.LINE_AA)


def _caption(image: UInt8[Array, "H W 3"], found: Assessment, time_s: float) -> None:
    """Time and repetitions so far above, faults of the moment below."""
    import cv2

    done = sum(row.end_s <= time_s for row in found.table)
    noun = found.exercise.plural if found.exercise else "repetitions"
    lines = [(f"{time_s:5.2f} s   {done} of {len(found.table)} {noun}", 22)]
    lines += [(f.title, image.shape[0] - 14 - 22 * i) for i, f in enumerate(faults_at(found, time_s)[:3])]
    for text, y in lines:
        colour = (255, 255, 255) if y == 22 else (255, 150, 140)
        for dx, dy in ((-1, -1), (1, 1)):
            cv2.putText(image, text, (10 + dx, y + dy), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
        cv2.putText(image, text, (10, y), cv2.FONT_HERSHEY_SIMPLEX, 0.55, colour, 1, cv2.LINE_AA)


def _jpeg(image: UInt8[Array, "H W 3"]) -> str:
    import cv2

    good, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode() if good else ""

"""The clip with its faults shown: the joints of a fault turn red at its moments, with the finding's title below."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from motionqa.assistant.coaching.coach import Assessment
from motionqa.assistant.coaching.findings import Finding
from motionqa.assistant.overlay import camera_of, draw_skeleton, drawn_bones, time_offset_s
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
    return write_video(annotated_frames(path, found, decode, max_side), target, len(found.encoding.pose3d), progress)


def mark_faults(
    drawn: Path, found: Assessment, target: Path, progress: Callable[[float], object] | None = None
) -> Path:
    """Writes a clip that `draw_clip` drew, with the faults marked on top of it, to `target` and returns it."""
    return write_video(marked_frames(drawn, found), target, len(found.encoding.pose3d), progress)


def stills(frames: Iterator[Frame], found: Assessment, max_side: int = 480) -> dict[str, str]:
    """The worst moment of each fault as a JPEG data URI, by check id, out of annotated frames; none for motion."""
    import cv2

    if found.encoding.kind != "video":
        return {}
    times = {f.id: float(f.worst.at_s) for f in found.of_kind("fault") if f.worst is not None}
    best: dict[str, tuple[float, Array]] = {}
    for time_s, image in frames if times else ():
        for i, t in times.items():
            if abs(time_s - t) < best.get(i, (0.5, image))[0]:
                best[i] = (abs(time_s - t), image)
    out = {}
    for i, (_, image) in best.items():
        unit = min(1.0, max_side / max(image.shape[:2]))
        small = cv2.resize(image, None, fx=unit, fy=unit, interpolation=cv2.INTER_AREA)
        out[i] = _jpeg(small)
    return out


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


def annotated_frames(
    path: Path, found: Assessment, decode: DecodeConfig = DecodeConfig(), max_side: int = 854
) -> Iterator[Frame]:
    """Frames of an assessed file at their own times: skeleton, faults of the moment, repetitions so far."""
    if found.encoding.kind == "video" and found.encoding.pose is not None:
        yield from _filmed(path, found, decode, max_side)
    else:
        yield from _figure(found.encoding, found)


def marked_frames(drawn: Path, found: Assessment) -> Iterator[Frame]:
    """Frames of a clip that `draw_clip` drew, with the faults of the moment on top; times are the source's."""
    clip, offset = read_clip(drawn, DecodeConfig()), time_offset_s(found.encoding)
    for drawn_s, frame in zip(clip.times_s, iter_frames(clip), strict=False):
        image, time_s = frame.copy(), float(drawn_s) + offset
        faults = faults_at(found, time_s)
        if faults:
            points, confidence, skeleton = _points_at(found.encoding, time_s, (image.shape[1], image.shape[0]))
            _mark(image, points, confidence, skeleton, faults)
            _name(image, faults)
        yield time_s, image


def _points_at(
    encoding: ClipEncoding, time_s: float, size: tuple[int, int]
) -> tuple[Float[Array, "J 2"], Float[Array, "J"], Skeleton]:
    """Where `draw_clip` puts the joints at a moment in a picture of (width, height), and how sure they are."""
    pose = encoding.pose
    if encoding.kind == "video" and pose is not None:
        k = int(np.abs(pose.times_s - time_s).argmin())
        return pose.xy_px[k] * (size[0] / pose.width), pose.confidence[k] * pose.seen[k], pose.skeleton
    flat = encoding.pose3d
    k = int(np.abs(flat.times_s - time_s).argmin())
    project, _ = camera_of(flat, size)
    return project(flat.xyz_m[k], encoding.report.trajectory.root_m[k]), flat.confidence[k], flat.skeleton


def _filmed(path: Path, found: Assessment, decode: DecodeConfig, max_side: int) -> Iterator[Frame]:
    pose = found.encoding.pose
    assert pose is not None
    clip = read_clip(path, decode)
    for time_s, frame in zip(clip.times_s, iter_frames(clip, max_side), strict=False):
        image = frame.copy()
        points, confidence, skeleton = _points_at(found.encoding, float(time_s), (image.shape[1], image.shape[0]))
        draw_skeleton(image, points, confidence, skeleton)
        _annotate(image, points, confidence, skeleton, found, float(time_s))
        yield float(time_s), image


def _figure(encoding: ClipEncoding, found: Assessment, size: tuple[int, int] = (640, 480)) -> Iterator[Frame]:
    for time_s in encoding.pose3d.times_s:
        image = np.full((size[1], size[0], 3), (34, 37, 46), np.uint8)
        points, confidence, skeleton = _points_at(encoding, float(time_s), size)
        draw_skeleton(image, points, confidence, skeleton)
        _annotate(image, points, confidence, skeleton, found, float(time_s))
        yield float(time_s), image


def _annotate(
    image: UInt8[Array, "H W 3"],
    points: Float[Array, "J 2"],
    confidence: Float[Array, "J"],
    skeleton: Skeleton,
    found: Assessment,
    time_s: float,
) -> None:
    """Faults of the moment, and above them time and repetitions so far."""
    faults = faults_at(found, time_s)
    _mark(image, points, confidence, skeleton, faults)
    _name(image, faults)
    done = sum(row.end_s <= time_s for row in found.table)
    noun = found.exercise.plural if found.exercise else "repetitions"
    _write(image, f"{time_s:5.2f} s   {done} of {len(found.table)} {noun}", 22, (255, 255, 255))


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


def _name(image: UInt8[Array, "H W 3"], faults: tuple[Finding, ...]) -> None:
    """The titles of up to three faults at the foot of the picture."""
    for i, fault in enumerate(faults[:3]):
        _write(image, fault.title, image.shape[0] - 14 - 22 * i, (255, 150, 140))


def _write(image: UInt8[Array, "H W 3"], text: str, y: int, colour: tuple[int, int, int]) -> None:
    import cv2

    for dx, dy in ((-1, -1), (1, 1)):
        cv2.putText(image, text, (10 + dx, y + dy), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.putText(image, text, (10, y), cv2.FONT_HERSHEY_SIMPLEX, 0.55, colour, 1, cv2.LINE_AA)


def _jpeg(image: UInt8[Array, "H W 3"]) -> str:
    import cv2

    good, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode() if good else ""

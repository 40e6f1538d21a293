"""The clip with what was measured drawn into it, as an H.264 file that browsers can seek in.

Videos get the skeleton over their own frames; motion files are drawn from their joints, seen from the front left.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from motionqa.data.schema import Array, ClipEncoding, PersonTrack, Pose3D, PoseSequence
from motionqa.data.skeleton import Skeleton
from motionqa.data.video import DecodeConfig, iter_frames, read_clip
from motionqa.data.video_writer import Frame, write_video

LEFT, RIGHT, MIDDLE = (255, 159, 64), (76, 175, 255), (235, 235, 235)
"""RGB of the person's left, right and midline, the same in every picture and plot."""


def draw_clip(
    path: Path,
    encoding: ClipEncoding,
    target: Path,
    decode: DecodeConfig = DecodeConfig(),
    max_side: int = 854,
    progress: Callable[[float], object] | None = None,
) -> Path:
    """Writes the annotated video of an encoded file to `target` (mp4) and returns it.

    Its time 0 is the first analysed frame. ValueError where a video encoding has no image joints.
    """
    if encoding.kind == "video":
        if encoding.pose is None:
            raise ValueError(f"{encoding.name} has no joints in the image to draw")
        frames = _video_frames(path, encoding, encoding.pose, decode, max_side)
        count = len(encoding.pose)
    else:
        frames = _figure_frames(encoding)
        count = len(encoding.pose3d)
    return write_video(frames, target, count, progress)


def time_offset_s(encoding: ClipEncoding) -> float:
    """Source time of the annotated video's first frame."""
    times = encoding.pose.times_s if encoding.kind == "video" and encoding.pose else encoding.pose3d.times_s
    return float(times[0])


# --------------------------------------------------------------------------------------------- video


def _video_frames(
    path: Path, encoding: ClipEncoding, pose: PoseSequence, decode: DecodeConfig, max_side: int
) -> Iterator[Frame]:
    clip = read_clip(path, decode)
    for time_s, image in zip(clip.times_s, iter_frames(clip, max_side), strict=False):
        image = image.copy()  # noqa: PLW2901 - decoders may reuse their buffer
        k = int(np.abs(pose.times_s - time_s).argmin())
        unit = image.shape[1] / clip.width
        if pose.seen[k]:
            if pose.mask is not None:
                _outline(image, pose.mask[k])
            points = np.concatenate([pose.xy_px[k] * unit, np.zeros((len(pose.skeleton), 1))], axis=1)
            draw_skeleton(image, points[:, :2], pose.confidence[k], pose.skeleton)
        _caption(image, encoding, float(time_s))
        for track in encoding.people:
            if track.person_id != encoding.person_id and track.times_s[0] <= time_s <= track.times_s[-1]:
                mark_person(image, track, float(time_s), unit, (170, 170, 170), 1)
        yield float(time_s), image


def mark_person(
    image: UInt8[Array, "H W 3"],
    track: PersonTrack,
    time_s: float,
    unit: float,
    colour: tuple[int, int, int],
    width: int,
) -> None:
    """An upright ellipse about a tracked person, with their number; `unit` is image pixels per source pixel."""
    import cv2

    x, y, radius = (v * unit for v in track.circle_at(time_s))
    cv2.ellipse(
        image, (round(x), round(y)), (round(0.5 * radius), round(radius)), 0, 0, 360, colour, width, cv2.LINE_AA
    )
    _text(image, f"person {track.person_id}", (round(x - 0.5 * radius), max(16, round(y - 1.05 * radius))), 0.5)


def _outline(image: UInt8[Array, "H W 3"], mask: Array) -> None:
    import cv2

    large = cv2.resize(mask.astype(np.float32), (image.shape[1], image.shape[0]), interpolation=cv2.INTER_CUBIC)
    contours, _ = cv2.findContours((large > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, contours, -1, (120, 230, 140), 1, cv2.LINE_AA)


_FACE = {"eye", "ear", "mouth", "inner", "outer", "nose"}


def draw_skeleton(
    image: UInt8[Array, "H W 3"], xy: Float[Array, "J 2"], confidence: Float[Array, "J"], skeleton: Skeleton
) -> None:
    """Bones and joints into the image; unsure ones thin, unseen ones not at all. Face details are left out."""
    import cv2

    thick = max(2, round(max(image.shape[:2]) / 300))
    points = [tuple(int(v) for v in np.clip(np.nan_to_num(p), -4000, 4000)) for p in xy]
    for parent, child in drawn_bones(skeleton):
        sure = min(confidence[parent], confidence[child])
        if sure > 0.15:
            width = thick if sure > 0.5 else 1
            cv2.line(image, points[parent], points[child], side_colour(skeleton.joints[child]), width, cv2.LINE_AA)
    for joint, point in enumerate(points):
        if confidence[joint] > 0.5 and not _of_face(skeleton.joints[joint]):
            cv2.circle(image, point, thick + 1, side_colour(skeleton.joints[joint]), -1, cv2.LINE_AA)


def _of_face(joint: str) -> bool:
    return bool(_FACE & set(joint.split("_")))


def drawn_bones(skeleton: Skeleton) -> tuple[tuple[int, int], ...]:
    """(parent, child) pairs worth drawing: no face details, and a closed trunk where the set has no spine."""
    bones = [(p, c) for p, c in skeleton.bones if not _of_face(skeleton.joints[p]) and not _of_face(skeleton.joints[c])]
    if "left_hip" in skeleton and "pelvis" not in skeleton:
        pairs = (("left_hip", "right_hip"), ("left_shoulder", "right_shoulder"))
        bones += [(skeleton.index(a), skeleton.index(b)) for a, b in pairs]
    return tuple(bones)


def side_colour(joint: str) -> tuple[int, int, int]:
    """Colour of a joint by its side of the body."""
    return LEFT if "left" in joint else RIGHT if "right" in joint else MIDDLE


def _caption(image: UInt8[Array, "H W 3"], encoding: ClipEncoding, time_s: float) -> None:
    """Time, what is being done, and the repetition count so far, in the upper left corner."""
    report = encoding.report
    doing = next((s.name for s in report.segments if s.start_s <= time_s < s.end_s), "")
    lines = [f"{time_s:5.2f} s  {doing}"]
    for counted in report.repetitions:
        done = sum(r.turn_s <= time_s for r in counted.repetitions)
        lines.append(f"{counted.name or counted.signal.replace('_', ' ')}: {done} of {len(counted.repetitions)}")
    for row, line in enumerate(lines[:3]):
        _text(image, line, (10, 22 + 22 * row), 0.55)


def _text(image: UInt8[Array, "H W 3"], text: str, at: tuple[int, int], size: float) -> None:
    import cv2

    # The outline is drawn by shifting: OpenCV 5 spaces thick letters wider than thin ones.
    for dx, dy in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        cv2.putText(image, text, (at[0] + dx, at[1] + dy), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 1, cv2.LINE_AA)


# ------------------------------------------------------------------------------------------- figures


def _figure_frames(encoding: ClipEncoding, size: tuple[int, int] = (640, 480)) -> Iterator[Frame]:
    """A motion file drawn as a figure on a floor grid, the camera following the pelvis sideways."""
    import cv2

    pose = encoding.pose3d
    project, floor = camera_of(pose, size)
    background = tuple(round(255 * c) for c in colorsys.hls_to_rgb(0.6, 0.13, 0.15))
    for k, time_s in enumerate(pose.times_s):
        image = np.full((size[1], size[0], 3), background, np.uint8)
        centre = encoding.report.trajectory.root_m[k]
        for line in _grid(floor, centre):
            a, b = (tuple(int(v) for v in p) for p in project(line, centre))
            cv2.line(image, a, b, (70, 76, 92), 1, cv2.LINE_AA)
        draw_skeleton(image, project(pose.xyz_m[k], centre), pose.confidence[k], pose.skeleton)
        _caption(image, encoding, float(time_s))
        yield float(time_s), image


def camera_of(
    pose: Pose3D, size: tuple[int, int]
) -> tuple[Callable[[Float[Array, "N 3"], Float[Array, "3"]], Float[Array, "N 2"]], float]:
    """Parallel projection from the front left and slightly above, wide enough for the whole movement."""
    finite = np.where(pose.confidence[..., None] > 0, pose.xyz_m, np.nan)
    low, high = np.nanmin(finite[..., 1]), np.nanmax(finite[..., 1])
    if not np.isfinite(low):
        low, high = 0.0, 1.0
    pixels_per_m = 0.8 * size[1] / max(high - low, 0.8)
    turn, tilt = (0.0, 0.0) if pose.planar or pose.camera else (np.deg2rad(30), np.deg2rad(12))
    middle = (low + high) / 2

    def project(points: Float[Array, "N 3"], centre: Float[Array, "3"]) -> Float[Array, "N 2"]:
        x, z = points[:, 0] - np.nan_to_num(centre[0]), points[:, 2] - np.nan_to_num(centre[2])
        across = x * np.cos(turn) - z * np.sin(turn)
        depth = x * np.sin(turn) + z * np.cos(turn)
        up = (points[:, 1] - middle) * np.cos(tilt) - depth * np.sin(tilt)
        return np.stack([size[0] / 2 + across * pixels_per_m, size[1] / 2 - up * pixels_per_m], axis=1)

    return project, float(low)


def _grid(floor: float, centre: Float[Array, "3"], reach_m: int = 3) -> Iterator[Float[Array, "2 3"]]:
    """Floor lines a metre apart that stay in place while the camera follows."""
    x0, z0 = (round(float(np.nan_to_num(centre[i]))) for i in (0, 2))
    for k in range(-reach_m, reach_m + 1):
        yield np.array([[x0 + k, floor, z0 - reach_m], [x0 + k, floor, z0 + reach_m]], float)
        yield np.array([[x0 - reach_m, floor, z0 + k], [x0 + reach_m, floor, z0 + k]], float)

"""The clip with a person's flow painted over them, as an H.264 file that browsers can seek in.

Hue tells the direction and strength the speed, as the colour wheel in the corner shows; arrows at the joints reach as
far as the joint goes in 0.15 s. Pictures are decoded one by one, and the flow comes from the reduced `FlowField`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.ndimage import distance_transform_edt

from motionqa.data.flow_field import FlowField
from motionqa.data.schema import Array, Fact, PoseSequence
from motionqa.data.skeleton import H36M_17, convert
from motionqa.data.video import DecodeConfig, iter_frames, read_clip
from motionqa.data.video_writer import Frame, write_video

View = Literal["world", "local"]
VIEWS: tuple[View, ...] = get_args(View)
TITLES = {"world": "flow in the picture", "local": "flow relative to the body"}
ARROW_S = 0.15
LEAST_ARROW_PX = 6
LEAST_TOP = 0.5
"""Body heights a second at full strength, at least: a still clip is not blown up."""
ARROW_JOINTS = tuple(j for j in H36M_17.joints if j not in ("spine", "nose"))


@dataclass(frozen=True)
class ShownFlow:
    """The flow of one clip, ready to be shown: a video for each view, what it says, and how much it covers."""

    videos: dict[View, Path]
    facts: tuple[Fact, ...]
    note: str


def flow_note(field: FlowField) -> str:
    """How much of the clip the flow covers, in words."""
    known, cuts = int(field.known.sum()), int(field.shot.max(initial=0))
    text = f"Flow by {field.source} in {known} of {len(field)} pairs of frames."
    return text + (f" {cuts} cut{'s' if cuts > 1 else ''} found; nothing is measured across." if cuts else "")


def draw_flow(
    path: Path,
    people: Sequence[tuple[PoseSequence, FlowField]],
    target: Path,
    view: View = "world",
    decode: DecodeConfig = DecodeConfig(),
    max_side: int = 854,
    progress: Callable[[float], object] | None = None,
) -> Path:
    """Writes the video with the flow of each person to `target` (mp4) and returns it.

    Its time 0 is the first analysed frame; `decode` must be what the poses were made with. ValueError for another
    view, or for a pose without masks.
    """
    if view not in VIEWS:
        raise ValueError(f"view is {view!r}, expected {' or '.join(VIEWS)}")
    if any(pose.mask is None for pose, _ in people):
        raise ValueError("a pose has no masks to paint")
    clip = read_clip(path, decode)
    frames = iter_frames(clip, max_side)
    return write_video(_painted(frames, clip.times_s, people, view), target, len(clip), progress)


def _painted(
    frames: Iterator[UInt8[Array, "H W 3"]],
    times_s: Float[Array, "T"],
    people: Sequence[tuple[PoseSequence, FlowField]],
    view: View,
) -> Iterator[Frame]:
    tops = [top_speed(field, view) for _, field in people]
    top = max((t for t, _ in tops), default=LEAST_TOP)
    in_bodies = all(known for _, known in tops)
    legend: UInt8[Array, "S S 4"] | None = None
    for time_s, picture in zip(times_s, frames, strict=False):
        image = picture.copy()  # decoders may reuse their buffer
        if legend is None:
            legend = colour_wheel(max(48, round(0.18 * min(image.shape[:2]))))
        cut = False
        for pose, field in people:
            paint(image, pose, field, float(time_s), view, top)
            cut |= _inside_cut(field, float(time_s))
        _add_legend(image, legend, f"{top:.1f} {'body heights/s' if in_bodies else 'picture heights/s'}")
        _text(image, f"{time_s:5.2f} s  {TITLES[view]}{'  (cut)' if cut else ''}", (10, 22))
        yield float(time_s), image


def top_speed(field: FlowField, view: View) -> tuple[float, bool]:
    """The speed painted at full strength, and whether it is in body heights a second.

    The 98th percentile of the person's cells, at least 0.5. Where the body's height is not known its unit is the
    picture's height.
    """
    flow = field.world_px_s if view == "world" else field.local_px_s
    pairs = np.flatnonzero(field.known)
    speeds = [_speeds(flow[k], _ruler(field, int(k)))[field.mask[k]] for k in pairs]
    speeds = [s for s in speeds if len(s)]
    top = float(np.percentile(np.concatenate(speeds), 98)) if speeds else 0.0
    return max(LEAST_TOP, round(top, 1)), bool(np.isfinite(field.body_px).all())


def _ruler(field: FlowField, pair: int) -> float:
    """Pixels that a speed is counted in."""
    body = float(field.body_px[pair])
    return body if np.isfinite(body) else float(field.height)


def _speeds(flow: Float[Array, "2 G G"], ruler: float) -> Float[Array, "G G"]:
    return np.hypot(*flow.astype(np.float32)) / ruler


def _inside_cut(field: FlowField, time_s: float) -> bool:
    later = int(np.searchsorted(field.times_s, time_s + 1e-6)) - 1
    return bool(later >= 0 and field.cut[later] and time_s <= field.times_s[later] + field.gap_s[later])


# ------------------------------------------------------------------------------------------------ painting


def paint(
    image: UInt8[Array, "H W 3"], pose: PoseSequence, field: FlowField, time_s: float, view: View, top: float
) -> None:
    """One person's flow at a moment into the image; nothing where it is not known."""
    pair = field.at(time_s)
    if pair is None:
        return
    k = int(np.abs(pose.times_s - time_s).argmin())
    unit = np.array([image.shape[1] / field.width, image.shape[0] / field.height])
    flow = (field.world_px_s if view == "world" else field.local_px_s)[pair].astype(np.float32)
    assert pose.mask is not None
    _tint(image, _spread(flow, field.mask[pair]), pose.mask[k], field.window_px[pair], unit, top * _ruler(field, pair))
    _arrows(image, pose, k, field, pair, view, unit)


def _spread(flow: Float[Array, "2 G G"], mask: Bool[Array, "G G"]) -> Float[Array, "2 G G"]:
    """The flow of the person's nearest cell in every cell: a frame may be a little later than its pair's first."""
    rows, columns = np.asarray(distance_transform_edt(~mask, return_distances=False, return_indices=True))
    return flow[:, rows, columns]


def _tint(
    image: UInt8[Array, "H W 3"],
    flow: Float[Array, "2 G G"],
    outline: Bool[Array, "h w"],
    window_px: Float[Array, "4"],
    unit: Float[Array, "2"],
    top_px_s: float,
) -> None:
    """Colours the person's pixels inside the window, more the faster they are."""
    import cv2

    height, width = image.shape[:2]
    left, top, right, bottom = np.round(np.concatenate([window_px[:2], window_px[:2] + window_px[2:]]) * [*unit, *unit])
    x0, y0, x1, y1 = int(max(left, 0)), int(max(top, 0)), int(min(right, width)), int(min(bottom, height))
    if x1 <= x0 or y1 <= y0:
        return
    body = cv2.resize(outline.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)[y0:y1, x0:x1] > 0.5
    size = (max(1, int(right - left)), max(1, int(bottom - top)))
    part = slice(y0 - int(top), y1 - int(top)), slice(x0 - int(left), x1 - int(left))
    x, y = (cv2.resize(v, size, interpolation=cv2.INTER_LINEAR)[part] for v in flow)
    colour, strength = flow_colours(x, y, top_px_s)
    share = np.where(body, 0.25 + 0.5 * strength, 0.0)[..., None]
    shown = image[y0:y1, x0:x1]
    shown[:] = np.round(shown * (1 - share) + colour * share).astype(np.uint8)


def flow_colours(
    x: Float[Array, "h w"], y: Float[Array, "h w"], top: float
) -> tuple[UInt8[Array, "h w 3"], Float[Array, "h w"]]:
    """RGB of a flow, hue by direction and saturation by speed, and the share of the top speed, at most 1."""
    import cv2

    strength = np.clip(np.hypot(x, y) / top, 0, 1).astype(np.float32)
    # OpenCV counts hue in steps of two degrees; y grows downwards, and the wheel runs the way of the clock.
    hue = np.degrees(np.arctan2(y, x)) % 360 / 2
    hsv = np.stack([hue, 255 * strength, np.full_like(hue, 255)], axis=-1)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), strength


def _arrows(
    image: UInt8[Array, "H W 3"],
    pose: PoseSequence,
    k: int,
    field: FlowField,
    pair: int,
    view: View,
    unit: Float[Array, "2"],
) -> None:
    """Where each joint goes in 0.15 s, from where it is now; none for what is still."""
    import cv2

    flow = (field.joints_px_s if view == "world" else field.joints_local_px_s)[pair]
    now, sure = convert(pose.xy_px[k : k + 1], pose.confidence[k : k + 1], pose.skeleton, H36M_17)
    for joint in (H36M_17.index(name) for name in ARROW_JOINTS):
        moves = np.hypot(*flow[joint]) >= 2 * field.still_px_s[pair]  # false for NaN
        start, end = now[0, joint] * unit, (now[0, joint] + ARROW_S * flow[joint]) * unit
        if not moves or sure[0, joint] <= 0 or np.hypot(*(end - start)) < LEAST_ARROW_PX:
            continue
        a, b = (tuple(int(v) for v in np.clip(np.round(p), -4000, 4000)) for p in (start, end))
        for colour, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.arrowedLine(image, a, b, colour, thick, cv2.LINE_AA, tipLength=0.3)


# -------------------------------------------------------------------------------------------------- legend


def colour_wheel(side: int) -> UInt8[Array, "S S 4"]:
    """The colours of all directions and speeds in a disc, right is right and up is up; RGB and where the disc is."""
    x, y = np.meshgrid(*[np.linspace(-1, 1, side, dtype=np.float32)] * 2)
    colour, _ = flow_colours(x, y, 1.0)
    inside = np.where(np.hypot(x, y) <= 1, 255, 0).astype(np.uint8)
    return np.concatenate([colour, inside[..., None]], axis=-1)


def _add_legend(image: UInt8[Array, "H W 3"], wheel: UInt8[Array, "S S 4"], most: str) -> None:
    """The wheel in the lower right corner, and the speed of its rim above it."""
    import cv2

    side = min(len(wheel), *(s - 8 for s in image.shape[:2]))
    if side < 16:
        return
    wheel = wheel[:side, :side]
    top, left = image.shape[0] - side - 6, image.shape[1] - side - 6
    corner = image[top : top + side, left : left + side]
    corner[wheel[..., 3] > 0] = wheel[wheel[..., 3] > 0, :3]
    (wide, _), _ = cv2.getTextSize(most, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    _text(image, most, (max(4, image.shape[1] - wide - 8), max(14, top - 8)), 0.45)


def _text(image: UInt8[Array, "H W 3"], text: str, at: tuple[int, int], size: float = 0.55) -> None:
    import cv2

    black, white = (0, 0, 0), (255, 255, 255)
    for dx, dy, colour in ((-1, -1, black), (-1, 1, black), (1, -1, black), (1, 1, black), (0, 0, white)):
        cv2.putText(image, text, (at[0] + dx, at[1] + dy), cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)

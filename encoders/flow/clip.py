"""A clip and the people in it to their flow: pair after pair at full size, or collected as a `FlowField`.

For each pair of frames and each person a square window around the person in both frames is cut out of both and shown
to H-MoRe (arXiv 2504.10676) at 256 x 256 pixels; its flow is turned into pixels of the source a second. The window,
the pairs and how joints read the flow are our choices. One decoding pass; memory does not grow with the clip's length
but for the collected fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from motionqa.data.flow_field import FlowField
from motionqa.data.schema import Array, Clip, ClipEncoding, InputError, PoseSequence
from motionqa.data.video import DecodeConfig, iter_frames, read_clip
from motionqa.encoders.flow.cuts import Change, CutConfig, CutWatch, background_shift
from motionqa.encoders.flow.frame import FlowFrame, Kept, collected, reduced
from motionqa.encoders.flow.network import Network
from motionqa.encoders.flow.windows import Followed, cut_out, follow, mask_in, stretched


@dataclass(frozen=True)
class FlowClipConfig:
    """Which pairs are looked at, and how."""

    pairs_per_s: float = 10.0
    """Fewer are quicker. Slow cameras give fewer."""
    gap_s: float = 0.1
    """Between the frames of a pair, at most; training saw gaps of up to 0.1 s."""
    window_px: int = 256
    """Side of the picture that the network is shown."""
    margin: float = 1.35
    """Side of the window in longer sides of the box around the joints."""
    hold_s: float = 0.5
    """A window is as large as any needed so soon before or after, so that its size does not tremble."""
    min_confidence: float = 0.3
    """Joints below are not looked at."""
    max_side: int = 1280
    """Frames are decoded to this, pixels of the longer side."""
    batch: int = 4
    grid: int = 64
    """Cells along a side of the kept field."""
    cuts: CutConfig = field(default_factory=CutConfig)

    def __post_init__(self) -> None:
        if self.pairs_per_s <= 0 or self.gap_s <= 0 or self.batch < 1:
            raise ValueError(
                f"expected rates, gaps and batches above 0, got {self.pairs_per_s}, {self.gap_s}, {self.batch}"
            )
        if self.window_px < 64 or self.window_px % self.grid:
            raise ValueError(f"expected a window of 64 pixels or more that {self.grid} divides, got {self.window_px}")


# ------------------------------------------------------------------------------------------ pair after pair


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A pair whose flow is not known yet, and its two pictures where it will have one."""

    frame: FlowFrame
    pictures: tuple[UInt8[Array, "S S 3"], UInt8[Array, "S S 3"]] | None


def flow_frames(
    clip: Clip, poses: Sequence[PoseSequence], network: Network, config: FlowClipConfig = FlowClipConfig()
) -> Iterator[FlowFrame]:
    """The flow of every person in every pair of frames, pair after pair, people in the order of `poses`.

    InputError for a clip of one frame, for nobody to follow, for a person without joints and outline, and for frames
    that cannot be decoded; ValueError for a pose without masks or of another picture size.
    """
    every, stride = _steps(clip, config)
    times_s = clip.times_s[::every]
    if len(times_s) < 2:
        raise InputError(f"{clip.path.name!r} gives a single frame to look at; flow needs two. Use a longer video.")
    if not poses:
        raise InputError(f"There is nobody to follow in {clip.path.name!r}: flow is measured on people.")
    people = [follow(pose, clip, times_s, config.margin, config.hold_s, config.min_confidence) for pose in poses]
    frames = iter_frames(clip, config.max_side, every)
    return _answered(_pairs(frames, times_s, stride, people, config, clip.path.name), network, config.batch)


def _steps(clip: Clip, config: FlowClipConfig) -> tuple[int, int]:
    """Every how many analysed frames one is looked at, and every how many of those a pair begins."""
    every = max(1, int(clip.fps * config.gap_s + 0.05))
    return every, max(1, round(clip.fps / every / config.pairs_per_s))


def _pairs(
    frames: Iterator[UInt8[Array, "H W 3"]],
    times_s: Float[Array, "K"],
    stride: int,
    people: list[Followed],
    config: FlowClipConfig,
    name: str,
) -> Iterator[_Waiting]:
    watch, shot, k = CutWatch(config.cuts), 0, -1
    before: UInt8[Array, "H W 3"] | None = None
    for k, image in enumerate(frames):
        if before is not None and before.shape != image.shape:
            raise InputError(
                f"Frames of {name!r} differ in size ({before.shape[:2]} and {image.shape[:2]}); export it again."
            )
        change = watch(image)
        if change is not None and before is not None:
            shot += change.cut
            if (k - 1) % stride == 0:
                for person in people:
                    yield _wait(before, image, change, shot, k - 1, times_s, person, people, config)
        before = image
    if k < 1:
        raise InputError(f"Fewer than two frames of {name!r} can be decoded; copy or export it again.")


def _wait(
    first: UInt8[Array, "H W 3"],
    second: UInt8[Array, "H W 3"],
    change: Change,
    shot: int,
    k: int,
    times_s: Float[Array, "K"],
    person: Followed,
    people: list[Followed],
    config: FlowClipConfig,
) -> _Waiting:
    """Person and pair as far as they are known without the network."""
    pose, side, gap_s = person.pose, config.window_px, float(times_s[k + 1] - times_s[k])
    size = np.array([pose.width, pose.height])
    unit = size / first.shape[1::-1]
    window = person.window(k, unit)
    mask = np.zeros((side, side), bool)
    if window is not None:
        mask = mask_in(person.outline(k), window, (pose.width, pose.height), side)
    shown = window is not None and not change.cut and gap_s > 0 and bool(mask.any())
    frame = FlowFrame(
        person_id=pose.person_id,
        time_s=float(times_s[k]),
        gap_s=gap_s,
        shot=-1 if change.cut else shot,
        window_px=np.full(4, np.nan) if window is None else window,
        mask=mask,
        camera_px_s=_camera(change, [p.outline(k) for p in people], size, gap_s),
        joints_px=person.joints_px[k],
        body_px=float(person.body_px[k]),
    )
    if not shown:
        return _Waiting(frame, None)
    assert window is not None
    return _Waiting(frame, (cut_out(first, window, unit, side), cut_out(second, window, unit, side)))


def _camera(change: Change, outlines: list[Bool[Array, "_ _"]], size_px: Array, gap_s: float) -> Float[Array, "2"]:
    """How the background moves, source pixels a second; NaN across a cut."""
    if change.cut or gap_s <= 0:
        return np.full(2, np.nan)
    height, width = change.flow.shape[1:]
    everyone = np.any([stretched(o, width, height) for o in outlines], axis=0)
    return background_shift(change.flow, everyone) * size_px / (width, height) / gap_s


def _answered(pairs: Iterator[_Waiting], network: Network, batch: int) -> Iterator[FlowFrame]:
    """The pairs with their flow, asked for in batches."""
    waiting: list[_Waiting] = []
    for pair in pairs:
        waiting.append(pair)
        if sum(w.pictures is not None for w in waiting) >= batch or len(waiting) >= 8 * batch:
            yield from _asked(waiting, network)
            waiting = []
    yield from _asked(waiting, network)


def _asked(waiting: list[_Waiting], network: Network) -> Iterator[FlowFrame]:
    shown = [(w.frame.mask, *w.pictures) for w in waiting if w.pictures is not None]
    found: Iterator[tuple[Array, Array]] = iter(())
    if shown:
        masks, first, second = (np.stack(x) for x in zip(*shown, strict=True))
        found = zip(*network(first, second, masks), strict=True)
    for w in waiting:
        if w.pictures is None:
            yield w.frame
            continue
        world, trend = next(found)
        # Pixels of the window a pair, to pixels of the source a second.
        scale = w.frame.window_px[2:] / w.frame.mask.shape[0] / w.frame.gap_s
        yield replace(w.frame, world_px_s=world * scale[:, None, None], trend_px_s=trend * scale)


# --------------------------------------------------------------------------------------------- collected


def flow_fields(
    clip: Clip,
    poses: Sequence[PoseSequence],
    network: Network,
    config: FlowClipConfig = FlowClipConfig(),
    progress: Callable[[float], object] | None = None,
    source: str = "H-MoRe",
) -> tuple[FlowField, ...]:
    """The flow of each person through the clip at reduced size, in the order of `poses`; errors as `flow_frames`.

    `progress` is called with the share done after each pair; raise `Cancelled` from it to stop.
    """
    every, stride = _steps(clip, config)
    pairs = len(range(0, len(clip.times_s[::every]) - 1, stride)) * len(poses)
    kept: list[list[Kept]] = [[] for _ in poses]
    for n, frame in enumerate(flow_frames(clip, poses, network, config)):
        kept[n % len(poses)].append(reduced(frame, config.grid))
        if progress:
            progress((n + 1) / pairs)
    return tuple(collected(rows, pose, config.window_px, source) for rows, pose in zip(kept, poses, strict=True))


def flow_field(
    clip: Clip,
    pose: PoseSequence,
    network: Network,
    config: FlowClipConfig = FlowClipConfig(),
    progress: Callable[[float], object] | None = None,
    source: str = "H-MoRe",
) -> FlowField:
    """The flow of one person: see `flow_fields`."""
    return flow_fields(clip, (pose,), network, config, progress, source)[0]


def encoded_flow(
    path: Path,
    encoding: ClipEncoding,
    decode: DecodeConfig,
    network: Network,
    config: FlowClipConfig = FlowClipConfig(),
    progress: Callable[[float], object] | None = None,
) -> FlowField:
    """The flow of the person an encoding is about, read as it was encoded (`decode`). InputError for a motion file."""
    if encoding.kind != "video" or encoding.pose is None:
        raise InputError(f"{encoding.name} is a motion file: flow is measured in pictures. Upload a video.")
    return flow_field(read_clip(path, decode), encoding.pose, network, config, progress)

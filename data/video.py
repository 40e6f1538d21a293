"""Video files: what they hold, and their frames in one pass of bounded memory.

`read_clip` probes with PyAV and chooses which frames are analysed; `iter_frames` and `frame_at` decode them with
decord or PyAV, upright and already resized.
"""

from __future__ import annotations

import importlib.util
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from jaxtyping import Float, Int, UInt8

from motionqa.data.cache import content_sha256
from motionqa.data.schema import Array, Clip, InputError

# Demuxers that hold one self-contained recording. Anything else is refused before it is opened: playlists and
# concatenation scripts (hls, concat, …) could name other files of this machine, and `tty` opens any text as video.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,gif,h264,hevc,mjpeg,m4v,"
    "png_pipe,jpeg_pipe,webp_pipe,mp3,wav,aac,flac"
)
ACCEPTED = "mp4, mov, mkv, webm, avi, mpeg, wmv, flv or gif"


VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".gif")
"""What files of films end in, where a folder is looked through; a file that is named may end in anything."""


@dataclass(frozen=True)
class DecodeConfig:
    """What part of a video is analysed, how densely and at what size."""

    start_s: float = 0.0
    max_seconds: float = 60.0
    """Longer videos are analysed from `start_s` for this long."""
    max_fps: float = 30.0
    """Faster cameras are thinned to this rate: BlazePose costs the same for every frame."""
    max_side: int = 1280
    """The longer side frames are decoded to, in pixels; smaller videos keep their size."""

    def __post_init__(self) -> None:
        for name in ("max_seconds", "max_fps", "max_side"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not (np.isfinite(self.start_s) and self.start_s >= 0):
            raise InputError(f"The start must be a time of 0 s or later, got {self.start_s}.")


def read_clip(path: str | Path, config: DecodeConfig = DecodeConfig()) -> Clip:
    """The window of a video that will be analysed: frame indices, times and upright size; no pixels yet.

    InputError, naming what was expected and what to do, for a file that is missing, empty, not a video, audio only,
    truncated before its first frame, or that ends before `config.start_s`.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no file {path.name!r}. Give the path of a video ({ACCEPTED}) or a motion file.")
    if path.stat().st_size == 0:
        raise InputError(f"{path.name!r} is empty (0 bytes). Upload the video again; the transfer may have broken off.")
    with _open(path) as container:
        if not container.streams.video:
            what = "only sound" if container.streams.audio else "no picture"
            raise InputError(f"{path.name!r} holds {what}. A video with a visible person is needed ({ACCEPTED}).")
        stream = container.streams.video[0]
        codec = stream.codec_context.name
        average_fps = float(stream.average_rate or 0)
        size, rotation = _upright_size(path)
        pts = sorted(p.pts for p in container.demux(stream) if p.pts is not None and p.size)
        all_times = np.array([float(t * (stream.time_base or 1)) for t in pts])
    if not len(all_times):
        raise InputError(f"{path.name!r} has a video track without a single frame. Record or export it again.")
    all_times -= all_times[0]
    return _window(path, all_times, average_fps, size, rotation, codec, config)


def _open(path: Path) -> InputContainer:
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    try:
        return av.open(str(path), options=options)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise InputError(
            f"{path.name!r} could not be opened as a video ({str(error).split(':')[0].strip()}). Expected {ACCEPTED}; "
            "if it plays elsewhere, it may be incomplete: copy or export it again."
        ) from error


def _upright_size(path: Path) -> tuple[tuple[int, int], int]:
    """(width, height) after rotation, and the rotation, from the first frame that decodes."""
    with _open(path) as container:
        try:
            frame = next(container.decode(video=0))
        except (StopIteration, av.FFmpegError) as error:
            raise InputError(
                f"No frame of {path.name!r} can be decoded: the file is cut off or damaged. Copy or export it again."
            ) from error
        rotation = int(frame.rotation) % 360
        width, height = frame.width, frame.height
        return ((height, width) if rotation in (90, 270) else (width, height)), rotation


def _window(
    path: Path,
    all_times: Float[Array, "N"],
    average_fps: float,
    size: tuple[int, int],
    rotation: int,
    codec: str,
    config: DecodeConfig,
) -> Clip:
    steps = np.diff(all_times)
    steps = steps[steps > 0]
    source_fps = float(1 / np.median(steps)) if len(steps) else (average_fps or 1.0)
    variable = bool(len(steps) > 2 and np.std(steps) > 0.1 * np.median(steps))
    if variable and len(steps):
        source_fps = float(1 / steps.mean())
    duration = float(all_times[-1]) + 1 / source_fps
    if config.start_s >= duration:
        raise InputError(
            f"{path.name!r} lasts {duration:.1f} s, but the analysis was asked to start at {config.start_s:.1f} s."
        )
    notes: list[str] = []
    fps = min(source_fps, config.max_fps)
    end = min(duration, config.start_s + config.max_seconds)
    if end < duration - 0.05:
        notes.append(
            f"The video lasts {duration:.0f} s; {config.start_s:.0f} s to {end:.0f} s were analysed. Choose another "
            "start to see the rest."
        )
    index = _sample(all_times, config.start_s, end, fps, source_fps)
    if fps < source_fps * 0.98:
        notes.append(f"{source_fps:.0f} frames per second were thinned to {fps:.0f} for the analysis.")
    if source_fps < 12 and len(all_times) > 1:
        notes.append(f"Only {source_fps:.0f} frames per second: quick movements fall between frames.")
    if variable:
        notes.append("The frame rate varies; the real time of every frame is used.")
    if len(index) == 1:
        notes.append("A single frame: posture can be described, movement can not.")
    return Clip(
        path=path,
        content_sha256=content_sha256(path),
        frame_index=index,
        times_s=all_times[index],
        fps=fps,
        width=size[0],
        height=size[1],
        rotation_deg=rotation,
        source_fps=source_fps,
        source_frames=len(all_times),
        duration_s=duration,
        variable_rate=variable,
        codec=codec,
        notes=tuple(notes),
    )


def _sample(times: Float[Array, "N"], start: float, end: float, fps: float, source_fps: float) -> Int[Array, "T"]:
    """Indices of the frames nearest to an even grid of `fps`, each at most once; every frame at the source's rate."""
    inside = np.flatnonzero((times >= start - 1e-6) & (times < end - 1e-6))
    if not len(inside):
        return np.array([int(np.abs(times - start).argmin())])
    if fps >= source_fps * 0.98:
        return inside
    grid = np.arange(float(times[inside[0]]), float(times[inside[-1]]) + 1e-6, 1 / fps)
    right = np.clip(np.searchsorted(times, grid), 1, len(times) - 1) if len(times) > 1 else np.zeros(1, int)
    nearest = np.where(grid - times[right - 1] <= times[right] - grid, right - 1, right)
    return np.unique(np.clip(nearest, inside[0], inside[-1]))


# ------------------------------------------------------------------------------------------- decoding


def decoded_size(clip: Clip, max_side: int) -> tuple[int, int]:
    """(width, height) of the frames that `iter_frames` yields: even numbers, longer side at most `max_side`."""
    scale = min(1.0, max_side / max(clip.width, clip.height))
    return tuple(max(2, round(side * scale / 2) * 2) for side in (clip.width, clip.height))  # type: ignore[return-value]


def iter_frames(clip: Clip, max_side: int = 1280, every: int = 1) -> Iterator[UInt8[Array, "H W 3"]]:
    """RGB frames of the clip in order, upright, at `decoded_size`; every n-th of the analysed frames.

    decord serves sparse passes and PyAV dense ones and whatever decord can not open: decord decodes ahead of a slow
    reader without limit (1.3 GB after 250 frames of 720p, measured), which a sparse pass never lets happen.
    A damaged file yields the frames before the damage and then stops: count them. Decoding runs up to four frames
    ahead in a thread of its own.
    """
    return _ahead(_decoded(clip, max_side, every))


SPARSE = 6
"""Every so many frames is sparse: with every third, decord still held 2.8 MB a frame of 720p ahead of a slow reader."""


def _decoded(clip: Clip, max_side: int, every: int) -> Iterator[UInt8[Array, "H W 3"]]:
    wanted = clip.frame_index[::every]
    size = decoded_size(clip, max_side)
    done = 0
    reader = _decord_reader(clip, size) if every >= SPARSE else None
    if reader is not None:
        for frame in _decord_frames(reader, wanted):
            done += 1
            yield frame
    if done < len(wanted):
        yield from _pyav_frames(clip, wanted[done:], size)


def _ahead(frames: Iterator[UInt8[Array, "H W 3"]], most: int = 4) -> Iterator[UInt8[Array, "H W 3"]]:
    """The same frames, decoded in a thread while the reader works; it ends when the reader does."""
    waiting: queue.Queue[UInt8[Array, "H W 3"] | BaseException | None] = queue.Queue(most)
    left = threading.Event()

    def put(item: UInt8[Array, "H W 3"] | BaseException | None) -> bool:
        while not left.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for frame in frames:
                if not put(frame):
                    return
            put(None)
        except BaseException as error:  # raised again where the frames are read
            put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        left.set()
        thread.join()


def frame_at(clip: Clip, position: int, max_side: int = 1280) -> UInt8[Array, "H W 3"]:
    """One of the analysed frames by its position in the clip. InputError where it can not be decoded."""
    wanted = clip.frame_index[position : position + 1]
    size = decoded_size(clip, max_side)
    reader = _decord_reader(clip, size)
    frame = next(_decord_frames(reader, wanted) if reader is not None else iter(()), None)
    if frame is None:
        frame = next(_pyav_frames(clip, wanted, size), None)
    if frame is None:
        raise InputError(f"Frame {int(wanted[0])} of {clip.path.name!r} can not be decoded: the file is damaged there.")
    return frame


def _decord_reader(clip: Clip, size: tuple[int, int]):
    """A decord reader that counts frames as PyAV does, or None: rotated files and others it misreads go to PyAV."""
    if clip.rotation_deg or importlib.util.find_spec("decord") is None:
        return None
    import decord

    try:
        reader = decord.VideoReader(str(clip.path), ctx=decord.cpu(0), width=size[0], height=size[1])
    except (decord.DECORDError, RuntimeError):
        return None
    return reader if len(reader) == clip.source_frames else None


def _decord_frames(reader, wanted: Int[Array, "T"]) -> Iterator[UInt8[Array, "H W 3"]]:
    import decord

    position = 0
    for index in wanted:
        try:
            if index > position + 300:
                reader.seek_accurate(int(index))
            elif index > position:
                reader.skip_frames(int(index) - position)
            frame = reader.next().asnumpy()
        except (decord.DECORDError, StopIteration, RuntimeError):
            return
        position = int(index) + 1
        yield frame


def _pyav_frames(clip: Clip, wanted: Int[Array, "T"], size: tuple[int, int]) -> Iterator[UInt8[Array, "H W 3"]]:
    turned = clip.rotation_deg in (90, 270)
    width, height = (size[1], size[0]) if turned else size
    targets = iter(wanted)
    target = next(targets, None)
    with _open(clip.path) as container:
        container.streams.video[0].thread_type = "AUTO"
        try:
            for index, frame in enumerate(container.decode(video=0)):
                if target is None:
                    return
                if index < target:
                    continue
                rgb = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
                yield np.ascontiguousarray(np.rot90(rgb, clip.rotation_deg // 90)) if clip.rotation_deg else rgb
                target = next(targets, None)
        except av.FFmpegError:
            return

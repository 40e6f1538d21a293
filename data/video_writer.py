"""Frames into an H.264 file that browsers play and seek in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

from motionqa.data.schema import Array

Frame = tuple[float, UInt8[Array, "H W 3"]]
"""Time in seconds and an RGB image."""

_TIME_BASE = Fraction(1, 90_000)


def write_video(
    frames: Iterable[Frame], target: Path, count: int = 0, progress: Callable[[float], object] | None = None
) -> Path:
    """Writes RGB frames at their own times (the first is time 0) and returns the path.

    Odd sizes lose their last row or column, which 4:2:0 colour can not hold. `progress` gets the share of `count`.
    """
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = None
        first = 0.0
        for k, (time_s, full) in enumerate(frames):
            image = np.ascontiguousarray(full[: full.shape[0] // 2 * 2, : full.shape[1] // 2 * 2])
            if stream is None:
                first = time_s
                # A key frame every half second or so, so that seeking to a moment is quick and exact.
                stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast", "g": "15"})
                stream.width, stream.height, stream.pix_fmt = image.shape[1], image.shape[0], "yuv420p"
                stream.codec_context.time_base = _TIME_BASE
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round((time_s - first) / _TIME_BASE), _TIME_BASE
            container.mux(stream.encode(frame))
            if progress and count:
                progress((k + 1) / count)
        if stream is not None:
            container.mux(stream.encode(None))
    return target

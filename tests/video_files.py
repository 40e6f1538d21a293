"""Small videos of every awkward kind, written on the spot."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np

from motionqa.data.video_writer import write_video


def numbered_video(path: Path, times_s: list[float], size: tuple[int, int] = (64, 48)) -> Path:
    """Frame k is uniformly grey at level 10 + 10·k (modulo 240), shown at times_s[k]; its top left quarter is red."""
    width, height = size

    def image(k: int) -> np.ndarray:
        picture = np.full((height, width, 3), 10 + 10 * k % 240, np.uint8)
        picture[: height // 2, : width // 2] = (220, 20, 20)
        return picture

    return write_video(((t, image(k)) for k, t in enumerate(times_s)), path)


def turn_in_header(path: Path, clockwise_deg: int) -> Path:
    """Rewrites the display matrix of an mp4, as phones do: players then turn the picture clockwise."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    version = data[at]
    matrix_at = at + (40 if version == 0 else 52)
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[clockwise_deg]
    fixed = [cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30]
    data[matrix_at : matrix_at + 36] = struct.pack(">9i", *fixed)
    path.write_bytes(data)
    return path


def sound_only(path: Path) -> Path:
    """An mp4 with one second of silence and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def grey_video(path: Path, frames: int = 10) -> Path:
    """A video with brightness only (pixel format gray), lossless."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
        for k in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64), 10 * k, np.uint8), format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut_off(path: Path, share: float) -> Path:
    """The first share of a file's bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path

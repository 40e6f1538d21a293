"""Peak memory of the flow of a clip, measured in a process of its own: what is read, kept and computed pair by pair.

python -m motionqa.eval.flow_memory --seconds 10 [--weights MODEL_FOLDER]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from motionqa.data.schema import Pose3D, PoseSequence
from motionqa.data.synthetic.body import render
from motionqa.data.synthetic.drawn_figure import Camera, figure_frames
from motionqa.data.synthetic.motions import walk
from motionqa.eval.benchmark import Row

FPS = 30
SHRUNK = 4
"""Masks are kept at a quarter of the picture's size, as the pose stage does."""


@dataclass(frozen=True)
class Config:
    """One measurement."""

    seconds: float = 10.0
    width: int = 1280
    height: int = 720
    weights: Path | None = None
    """The network; one of the usual size without."""


@dataclass(frozen=True)
class Peak:
    """Memory of a process, MB, before the first and after the last pair."""

    before_mb: float
    peak_mb: float
    pairs: int


def treadmill(seconds: float) -> Pose3D:
    """Somebody who walks on the spot for so long."""
    pose = render(walk(4, fps=FPS))
    about = pose.xyz_m - pose.xyz_m[:, :1] * (1, 0, 1)
    chosen = np.arange(round(seconds * FPS)) % len(about)
    return replace(pose, times_s=np.arange(len(chosen)) / FPS, xyz_m=about[chosen], confidence=pose.confidence[chosen])


def seen(person: Pose3D, camera: Camera) -> PoseSequence:
    """The joints where the drawing shows them, and their convex hull as mask."""
    import cv2

    xy = np.stack([camera.project(joints)[0] for joints in person.xyz_m])
    masks = np.zeros((len(xy), camera.height // SHRUNK, camera.width // SHRUNK), np.uint8)
    for mask, joints in zip(masks, xy, strict=True):
        cv2.fillConvexPoly(mask, cv2.convexHull((joints / SHRUNK).round().astype(np.int32)), (1,))
    return PoseSequence(
        0, person.skeleton, FPS, person.times_s, xy, person.confidence, camera.width, camera.height, "drawn",
        masks.astype(bool),
    )  # fmt: skip


def measure(config: Config) -> Peak:
    """The memory of this process; call it in one that did nothing else."""
    from motionqa.data.video import read_clip
    from motionqa.data.video_writer import write_video
    from motionqa.encoders.flow.clip import flow_frames
    from motionqa.encoders.flow.network import torch_flow
    from motionqa.eval.flow_costs import the_network

    person = treadmill(config.seconds)
    camera = Camera(config.width, config.height)
    pose = seen(person, camera)
    with tempfile.TemporaryDirectory() as folder:
        clip = read_clip(write_video(figure_frames(person, camera=camera), Path(folder) / "walk.mp4"))
        network = torch_flow(the_network(config.weights or Path(folder) / "none"))
        before, pairs = peak_mb(), 0
        for _ in flow_frames(clip, [pose], network):
            pairs += 1
    return Peak(before, peak_mb(), pairs)


def peak_mb() -> float:
    """The most memory this process has held so far, MB; the parent's share before it began does not count."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def in_own_process(seconds: float, weights: Path | None) -> Peak:
    """The measurement of a fresh process. RuntimeError with its last words where it fails."""
    command = [sys.executable, "-m", "motionqa.eval.flow_memory", "--seconds", str(seconds)]
    command += ["--weights", str(weights)] if weights else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"measuring the memory of {seconds} s failed: {done.stderr.strip()[-500:]}")
    return Peak(**json.loads(done.stdout.splitlines()[-1]))


def memory_rows(command: str, weights: Path | None) -> Iterator[Row]:
    """Peak memory of a 10-second clip, beside what is held before the first pair and a clip of half the length."""
    short, long = (in_own_process(s, weights) for s in (5, 10))
    yield Row(
        "memory_10s", round(long.peak_mb), "MB", None,
        {"before the first pair": round(long.before_mb), "5-second clip": round(short.peak_mb)}, "bounded, stated",
        f"peak of a process of its own, one person at 1280 x 720 and {FPS} fps, {long.pairs} pairs; torch, the "
        "network and the pose's masks are held before the first pair", command,
    )  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(vars(measure(tyro.cli(Config)))))

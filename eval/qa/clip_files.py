"""A benchmark's clip as motion: read with the project's own readers, cut to its span, at the benchmark's frame rate.

`prepared` writes it once as a plain .npy, so that whatever opens files (the chat's session) needs no knowledge of
benchmarks. BABEL-QA asks for 22 joints at 30 frames a second; AMASS is recorded at 60 to 250. NSPose's preparation
takes the frame before each moment; here joints are interpolated linearly between the two frames around it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from motionqa.data.motion_files.read import MotionOverrides, read_motion
from motionqa.data.schema import InputError, MotionRecording, Pose3D
from motionqa.eval.qa.question import ClipFile

Array = np.ndarray


def read_clip_motion(clip: ClipFile) -> MotionRecording:
    """The people in a motion file's span at the rate asked for. InputError for bad files and empty spans."""
    recording = read_motion(clip.path, clip.overrides)
    if not recording.poses:
        raise InputError(f"{clip.path.name} holds key points of an image, expected joints in space")
    poses = tuple(at_rate(cut(p, clip.span_s, clip.path), clip.fps) for p in recording.poses)
    info = replace(recording.info, frames=len(poses[0]), fps=poses[0].fps)
    return MotionRecording(info, poses=poses)


def cut(pose: Pose3D, span_s: tuple[float, float] | None, path: Path) -> Pose3D:
    """The frames within a span of seconds, times still counted from the start of the file."""
    if span_s is None:
        return pose
    inside = (pose.times_s >= span_s[0] - 1e-6) & (pose.times_s <= span_s[1] + 1e-6)
    if not inside.any():
        last = float(pose.times_s[-1])
        raise InputError(f"{path.name} ends at {last:.2f} s: no frame in {span_s[0]:.2f} to {span_s[1]:.2f} s")
    return replace(pose, times_s=pose.times_s[inside], xyz_m=pose.xyz_m[inside], confidence=pose.confidence[inside])


def at_rate(pose: Pose3D, fps: float | None) -> Pose3D:
    """The pose at `fps` frames a second, joints interpolated linearly; as it is where it is no faster than that."""
    if fps is None or pose.fps <= fps * 1.01 or len(pose) < 2:
        return pose
    start, stop = float(pose.times_s[0]), float(pose.times_s[-1])
    times = start + np.arange(int(np.floor((stop - start) * fps + 1e-6)) + 1) / fps
    place = np.interp(times, pose.times_s, np.arange(len(pose)))
    before = np.minimum(place.astype(int), len(pose) - 2)
    share = place - before
    mixed = [a[before] * (1 - w) + a[before + 1] * w for a, w in _weights(pose, share)]
    return replace(pose, fps=float(fps), times_s=times, xyz_m=mixed[0], confidence=mixed[1])


def _weights(pose: Pose3D, share: Array) -> list[tuple[Array, Array]]:
    return [(pose.xyz_m, share[:, None, None]), (pose.confidence, share[:, None])]


def prepared(clip: ClipFile, folder: Path) -> ClipFile:
    """The clip as a .npy of joints in metres, Y up, written to `folder` on the first call; cheap on later ones."""
    source = clip.path.stat()
    text = repr((str(clip.path.resolve()), source.st_size, source.st_mtime_ns, clip.overrides, clip.span_s, clip.fps))
    name = f"{clip.path.stem}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    # The skeleton and the rate are in the name: they are not known before the file was read.
    done = next(iter(sorted(folder.glob(f"{name}.*.npy"))), None)
    if done is None:
        pose = read_clip_motion(clip).poses[0]
        folder.mkdir(parents=True, exist_ok=True)
        done = folder / f"{name}.{pose.skeleton.name}.{round(pose.fps * 1000)}.npy"
        half = done.with_suffix(f".{os.getpid()}.tmp")  # a killed run must leave no half file under the final name
        with half.open("wb") as file:
            np.save(file, pose.xyz_m.astype(np.float32))
        half.replace(done)
    _, skeleton, millifps, _ = done.name.rsplit(".", 3)
    overrides = MotionOverrides(
        format="npy", skeleton=skeleton, fps=int(millifps) / 1000, units="m", up_axis="y", handedness="right",
        max_frames=clip.overrides.max_frames,
    )  # fmt: skip
    return ClipFile(done, overrides)

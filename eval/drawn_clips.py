"""Held-out motion capture drawn as films: a pose detector, and what is built on it, scored against the truth."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from motionqa.data.mocap.clip import MocapClip
from motionqa.data.motion_files.read import MotionOverrides, read_motion
from motionqa.data.schema import Pose3D
from motionqa.data.skeleton import H36M_17, convert
from motionqa.eval.lifting import SeenPerson, see

Array = np.ndarray

AZIMUTHS_DEG = (0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0)
"""The view changes from clip to clip, once around."""
MAX_FRAMES = 75


def drawn_people(
    clips: Sequence[MocapClip], mocap: Path
) -> Iterator[tuple[MocapClip, SeenPerson, Float[Array, "T 17 3"]]]:
    """Each clip with what the chat's pose stage sees of its drawing, and the truth about the pelvis in its axes.

    `mocap` is the folder of the packed collections that the clips come from. Axes: x right, y up, z to the camera.
    Clips in which nobody is found are passed over.
    """
    from motionqa.data.synthetic.drawn_figure import figure_frames
    from motionqa.data.video_writer import write_video

    for i, clip in enumerate(clips):
        person = turned(_body(clip, mocap), AZIMUTHS_DEG[i % len(AZIMUTHS_DEG)])
        with tempfile.TemporaryDirectory() as folder:
            video = write_video(islice(figure_frames(person), MAX_FRAMES), Path(folder) / "drawn.mp4")
            try:
                seen = see(video)
            except LookupError:
                continue
        truth, _ = convert(person.xyz_m, person.confidence, person.skeleton, H36M_17)
        yield clip, seen, (truth - truth[:, :1])[: len(seen.world_m)]


def _body(clip: MocapClip, mocap: Path) -> Pose3D:
    return read_motion(mocap / f"{clip.source}.npz", MotionOverrides(clip=clip.clip_id)).poses[0]


def turned(person: Pose3D, azimuth_deg: float) -> Pose3D:
    """The person turned about the vertical, in the middle of the picture, feet on the floor."""
    turn = Rotation.from_euler("y", azimuth_deg, degrees=True).as_matrix()
    pelvis = person.xyz_m[:, person.skeleton.index("pelvis")].mean(axis=0)
    centre = np.array([pelvis[0], person.xyz_m[..., 1].min(), pelvis[2]])
    return replace(person, xyz_m=(person.xyz_m - centre) @ turn.T)

"""A clip's movement in one picture: the skeleton at a few moments, side by side."""

from __future__ import annotations

import base64

import numpy as np
from jaxtyping import UInt8

from motionqa.assistant.overlay import camera_of, draw_skeleton
from motionqa.data.schema import Array, ClipEncoding, InputError

BACKGROUND = (25, 30, 44)


def skeleton_strip(encoding: ClipEncoding, moments: int = 7, side: int = 150) -> UInt8[Array, "H W 3"]:
    """The figure at evenly spaced moments, `side` pixels square each, with the time below. RGB.

    InputError where the encoding holds no frame; ValueError for fewer than one moment.
    """
    import cv2

    if moments < 1:
        raise ValueError(f"moments must be at least 1, got {moments}")
    pose = encoding.pose3d
    if not len(pose):
        raise InputError(f"{encoding.name} has no frame to draw")
    project, _ = camera_of(pose, (side, side))
    panels = []
    for k in np.linspace(0, len(pose) - 1, moments).round().astype(int):
        panel = np.full((side, side, 3), BACKGROUND, np.uint8)
        centre = encoding.report.trajectory.root_m[k]
        draw_skeleton(panel, project(pose.xyz_m[k], centre), pose.confidence[k], pose.skeleton)
        label = f"{pose.times_s[k]:.1f} s"
        cv2.putText(panel, label, (5, side - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (230, 230, 230), 1, cv2.LINE_AA)
        panels.append(panel)
    return np.concatenate(panels, axis=1)


def as_data_uri(image: UInt8[Array, "H W 3"]) -> str:
    """The picture as a PNG inside a `data:` address, for a page that stands alone."""
    import cv2

    done, data = cv2.imencode(".png", image[..., ::-1])
    assert done
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()

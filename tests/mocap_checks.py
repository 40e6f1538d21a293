"""What every reader of motion capture is checked with."""

from __future__ import annotations

import numpy as np

from motionqa.data.mocap.clip import MocapClip
from motionqa.data.skeleton import H36M_17, SMPL_22, convert

Array = np.ndarray


def h36m(body: Array) -> Array:
    """SMPL joints as Human3.6M's."""
    return convert(body, np.ones(body.shape[:2]), SMPL_22, H36M_17)[0]


def left_is_left(clip: MocapClip) -> None:
    """The writers' person walks along +Z with the left side at +X, whatever axes the file had."""
    at = {j: clip.xyz_m[:, i] for i, j in enumerate(H36M_17.joints)}
    forward = np.cross(at["left_hip"] - at["right_hip"], at["thorax"] - at["pelvis"])
    travelled = at["pelvis"][-1] - at["pelvis"][0]
    assert (forward @ travelled > 0).all()
    assert (at["head_top"][:, 1] > at["pelvis"][:, 1]).all()

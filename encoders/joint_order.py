"""Whether 17 joints in a picture can be Human3.6M's in their order: another skeleton's would be lifted to
nonsense. Ours."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17

Array = np.ndarray

_MIDDLES = {
    "pelvis": ("left_hip", "right_hip"),
    "thorax": ("left_shoulder", "right_shoulder"),
    "spine": ("left_hip", "right_hip", "left_shoulder", "right_shoulder"),
}
MISPLACED = {"pelvis": 0.6, "thorax": 0.4, "spine": 0.6}
"""How far a midline joint may lie from the middle of its pairs, over the RMS distance of joints from their centre.

Ours, from five collections seen from two views each, exactly and through 1.5 times the detector's noise: pelvis and
spine lie up to 0.54 off (single frames of a Kinect, whose pelvis is above the hips), the thorax up to 0.05.
"""
_ENOUGH_JOINTS = 9


def require_h36m_order(xy: Float[Array, "T 17 2"], confidence: Float[Array, "T 17"]) -> None:
    """Nothing, or InputError where the joints cannot be Human3.6M's: pelvis, thorax or spine lie far off the middle.

    The pelvis lies between the hips, the thorax between the shoulders and the spine between all four, from wherever a
    body is seen; 17 joints in another order break that. Left and right exchanged look alike and pass, and so does
    what shows too little to judge.
    """
    for middle, off in misplacement(xy, confidence).items():
        if off > MISPLACED[middle]:
            raise InputError(
                f"these are not the joints of {H36M_17.name} in its order: the {middle} (number "
                f"{H36M_17.index(middle)}) lies {off:.1f} body radii from the middle of {', '.join(_MIDDLES[middle])}, "
                f"expected at most {MISPLACED[middle]}; convert them first with motionqa.data.skeleton.convert"
            )


def misplacement(xy: Float[Array, "T 17 2"], confidence: Float[Array, "T 17"]) -> dict[str, float]:
    """For pelvis, thorax and spine, the distance from the middle of their pairs, over the body's RMS radius.

    Medians over the frames that show the joints in question and at least half of the body; joints that no such frame
    shows are left out.
    """
    seen = confidence > 0
    count = seen.sum(axis=1)
    shown = count >= _ENOUGH_JOINTS
    centre = np.where(seen[..., None], xy, 0.0).sum(axis=1) / np.maximum(count, 1)[:, None]
    square = np.where(seen, ((xy - centre[:, None]) ** 2).sum(axis=-1), 0.0).sum(axis=1)
    radius = np.sqrt(square / np.maximum(count, 1))
    out = {}
    for middle, around in _MIDDLES.items():
        at, others = H36M_17.index(middle), [H36M_17.index(j) for j in around]
        rows = shown & seen[:, [at, *others]].all(axis=1)
        if rows.any() and (size := np.median(radius[shown])) > 0:
            off = np.linalg.norm(xy[rows, at] - xy[rows][:, others].mean(axis=1), axis=-1)
            out[middle] = float(np.median(off) / size)
    return out

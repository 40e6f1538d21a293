"""DSTformer's representation of a clip of any length: the frozen features that motion concepts stand on.

Windows overlap and are blended with weights that fall off towards their ends, as the lifter does with joints
(`motionqa.encoders.lifter`); inputs are normalised as that network's are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from motionqa.data.schema import InputError
from motionqa.data.virtual_camera import normalise_box, normalise_pelvis
from motionqa.encoders.device import best_device
from motionqa.encoders.joint_order import require_h36m_order
from motionqa.encoders.lifter import LifterConfig, window_starts

if TYPE_CHECKING:
    from motionqa.encoders.dstformer import DSTformer

Array = np.ndarray

Representation = Callable[[Float[Array, "B T 17 3"]], Float[Array, "B T 17 R"]]


@dataclass(frozen=True, eq=False)
class MotionFeatures:
    """What DSTformer makes of a clip, at the rate it was trained at."""

    features: Float[Array, "K 17 R"]
    """Values between -1 and 1."""
    frames: Int[Array, "K"]
    """Which frames of the clip these are."""
    fps: float
    """Rate of the features, not of the clip."""


def torch_representation(model: DSTformer) -> Representation:
    """A DSTformer's representation as a function on arrays, without gradients, in the device's own precision."""
    import torch

    device, precision = best_device()
    model.eval().to(device)

    def run(joints: Float[Array, "B T 17 3"]) -> Float[Array, "B T 17 R"]:
        mixed = torch.autocast(device, precision, enabled=precision != torch.float32)
        with torch.inference_mode(), mixed:
            return model.represent(torch.from_numpy(joints).to(device)).float().cpu().numpy()

    return run


def motion_features(
    xy: Float[Array, "..."],
    confidence: Float[Array, "..."],
    fps: float,
    represent: Representation,
    config: LifterConfig = LifterConfig(),
) -> MotionFeatures:
    """Features of Human3.6M joints [T 17 2], in any image unit, with confidences [T 17].

    Faster clips are taken every so many frames. Stretches in which nobody is seen hold the nearest features. InputError
    for another number or order of joints, for NaN at a joint said to be seen, and where the pelvis and another joint
    are never seen together.
    """
    if xy.ndim != 3 or xy.shape[1:] != (17, 2) or confidence.shape != xy.shape[:2] or len(xy) == 0:
        raise InputError(
            f"expected joints as [frames, 17, 2] with [frames, 17] confidences, got {xy.shape} and {confidence.shape}; "
            "convert the skeleton first"
        )
    if not np.isfinite(xy[confidence > 0]).all() or not np.isfinite(confidence).all():
        raise InputError("a joint that is said to be seen has no finite position; set its confidence to 0 instead")
    xy = np.where((confidence > 0)[..., None], xy, 0.0)
    require_h36m_order(xy, confidence)
    every = max(1, round(fps / config.fps))
    frames = np.arange(0, len(xy), every)
    return MotionFeatures(_blended(xy[frames], confidence[frames], represent, config), frames, fps / every)


def _blended(xy: Array, confidence: Array, represent: Representation, config: LifterConfig) -> Float[Array, "K 17 R"]:
    count = len(xy)
    length = min(count, config.window)
    shown = (confidence[:, 0] > 0) & (confidence[:, 1:] > 0).any(axis=1)
    starts = [s for s in window_starts(count, config.window, config.stride) if shown[s : s + length].any()]
    if not starts:
        raise InputError("no frame shows the pelvis and another joint; both hips are needed to read a body's movement")
    ramp = np.minimum(np.arange(length) + 1, np.arange(length)[::-1] + 1).astype(np.float32)
    total: Array | None = None
    weight = np.zeros(count, np.float32)
    for first in range(0, len(starts), config.batch):
        some = starts[first : first + config.batch]
        batch = np.stack([_input(xy[s : s + length], confidence[s : s + length], config) for s in some])
        for s, window in zip(some, represent(batch), strict=True):
            total = np.zeros((count, *window.shape[1:]), np.float32) if total is None else total
            total[s : s + length] += ramp[:, None, None] * window
            weight[s : s + length] += ramp
    assert total is not None
    known = np.flatnonzero(weight > 0)
    out = total[known] / weight[known, None, None]
    return out[np.abs(np.arange(count)[:, None] - known[None]).argmin(axis=1)] if len(known) < count else out


def _input(xy: Array, confidence: Array, config: LifterConfig) -> Float[Array, "T 17 3"]:
    """A window as the lifter's network is given it."""
    if config.normalisation == "box":
        return np.concatenate([normalise_box(xy, confidence)[0], confidence[..., None]], axis=-1).astype(np.float32)
    normal, _ = normalise_pelvis(xy, confidence)
    shown = np.where(confidence[:, :1] > 0, confidence, 0.0)
    return np.concatenate([normal, shown[..., None]], axis=-1).astype(np.float32)

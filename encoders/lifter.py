"""Joints in an image over time to joints in space: DSTformer over sliding windows (MotionBERT, sections 3.2 and 4.3).

Windows overlap and are blended with weights that fall off towards their ends; the mirrored window is lifted as well
and the two averaged (flip test-time augmentation). Any length works. Cameras faster than the training data are lifted
at a whole fraction of their rate, once for every way of taking each k-th frame, and the results are joined by cubic
splines and averaged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float, Int
from scipy.interpolate import CubicSpline

from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17
from motionqa.data.virtual_camera import mirrored, normalise_box, normalise_pelvis
from motionqa.encoders.device import best_device
from motionqa.encoders.joint_order import require_h36m_order

if TYPE_CHECKING:
    from torch import nn

Array = np.ndarray


@dataclass(frozen=True)
class LifterConfig:
    """How a lifter's network is fed and read; stored with its weights."""

    window: int = 27
    stride: int = 9
    normalisation: Literal["pelvis", "box"] = "pelvis"
    """`pelvis`: body sizes about the pelvis (ours). `box`: the window's bounding box (official checkpoints)."""
    output: Literal["metres", "input"] = "metres"
    """Unit of the network's output: metres, or the normalised unit of its input (official checkpoints)."""
    flip: bool = True
    fps: float = 15.0
    """Rate the network was trained at; faster clips are taken every k-th frame."""
    phases: int = 2
    """Ways of taking each k-th frame that are averaged, at most; 1 is fastest."""
    batch: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.window:
            raise ValueError(f"stride {self.stride} must be between 1 and the window's {self.window} frames")


OFFICIAL = LifterConfig(window=243, stride=81, normalisation="box", output="input", fps=30.0, batch=1)
"""How MotionBERT's own checkpoints are fed (arXiv 2210.06551, section 4.3)."""

ASSUMED_STATURE_M = 1.7
_STATURE_BODY_SIZES = 3.4
"""Ours: a standing adult is about this many body sizes (RMS joint distance from the pelvis) tall."""

Network = Callable[[Float[Array, "B T 17 3"]], Float[Array, "B T 17 3"]]


def torch_network(model: nn.Module) -> Network:
    """A DSTformer (or any module of the same signature) as a function on arrays, without gradients.

    It runs in bfloat16 where the processor computes it natively; the network keeps its ends exact.
    """
    import torch

    device, precision = best_device()
    model.eval().to(device)

    def run(joints: Float[Array, "B T 17 3"]) -> Float[Array, "B T 17 3"]:
        mixed = torch.autocast(device, precision, enabled=precision != torch.float32)
        with torch.inference_mode(), mixed:
            return model(torch.from_numpy(joints).to(device)).float().cpu().numpy()

    return run


def lift(
    xy: Float[Array, "T 17 2"],
    confidence: Float[Array, "T 17"],
    fps: float,
    network: Network,
    config: LifterConfig = LifterConfig(),
) -> Float[Array, "T 17 3"]:
    """Human3.6M joints about the pelvis, metres: x to the image's right, y down, z away along the line of sight.

    `xy` in any image unit. Joints at confidence 0 count as not seen, and may be NaN. InputError for another number of
    joints or another order of them, for NaN at a joint said to be seen, or where nothing is seen at all.
    """
    xy, confidence = _checked(xy, confidence)
    require_h36m_order(xy, confidence)
    every = max(1, round(fps / config.fps))
    phases = min(every, config.phases, len(xy))
    total = np.zeros((len(xy), 17, 3))
    for phase in range(phases):
        kept = np.arange(phase * every // phases, len(xy), every)
        if not _usable(confidence[kept]):
            kept = np.arange(len(xy))
        total += _at_every_frame(_blend(xy[kept], confidence[kept], network, config), kept, len(xy))
    return (total / phases).astype(np.float32)


def _at_every_frame(lifted: Float[Array, "K 17 3"], kept: Int[Array, "K"], frames: int) -> Float[Array, "T 17 3"]:
    """Cubic splines through the kept frames; before the first and after the last, held."""
    if len(kept) == frames:
        return lifted
    if len(kept) < 4:
        nearest = np.abs(np.arange(frames)[:, None] - kept[None]).argmin(axis=1)
        return lifted[nearest]
    return CubicSpline(kept, lifted)(np.clip(np.arange(frames), kept[0], kept[-1]))


def _checked(xy: Array, confidence: Array) -> tuple[Array, Array]:
    if xy.ndim != 3 or xy.shape[1:] != (17, 2) or confidence.shape != xy.shape[:2]:
        raise InputError(
            f"expected the {len(H36M_17)} joints of {H36M_17.name} as [frames, 17, 2] with [frames, 17] confidences, "
            f"got {xy.shape} and {confidence.shape}; convert the skeleton first"
        )
    if len(xy) == 0:
        raise InputError("there are no frames to lift")
    seen = confidence > 0
    if not seen.any():
        raise InputError("no joint is seen in any frame: every confidence is 0, so there is nothing to lift")
    if not np.isfinite(xy[seen]).all() or not np.isfinite(confidence).all():
        raise InputError("a joint that is said to be seen has no finite position; set its confidence to 0 instead")
    return np.where(seen[..., None], xy, 0.0), np.where(seen, confidence, 0.0)


def window_starts(frames: int, window: int, stride: int) -> list[int]:
    """First frames of windows that cover a clip; the last one ends with the clip."""
    if frames <= window:
        return [0]
    starts = list(range(0, frames - window, stride))
    return [*starts, frames - window]


def _blend(xy: Array, confidence: Array, network: Network, config: LifterConfig) -> Float[Array, "T 17 3"]:
    frames = len(xy)
    length = min(frames, config.window)
    starts = [s for s in window_starts(frames, config.window, config.stride) if _usable(confidence[s : s + length])]
    if not starts:
        raise InputError("no frame shows the pelvis and another joint; both hips are needed to lift a body into space")
    # A window's first and last frames have context on one side only: they count less.
    ramp = np.minimum(np.arange(length) + 1, np.arange(length)[::-1] + 1).astype(np.float64)
    total, weight = np.zeros((frames, 17, 3)), np.zeros(frames)
    for first in range(0, len(starts), config.batch):
        some = starts[first : first + config.batch]
        rows = [slice(s, s + length) for s in some]
        lifted = _lift_windows([xy[r] for r in rows], [confidence[r] for r in rows], network, config)
        for s, window in zip(some, lifted, strict=True):
            total[s : s + length] += ramp[:, None, None] * window
            weight[s : s + length] += ramp
    known = np.flatnonzero(weight > 0)
    out = total[known] / weight[known, None, None]
    if len(known) < frames:  # stretches in which nobody was seen hold the nearest pose; their confidence is 0
        nearest = np.abs(np.arange(frames)[:, None] - known[None]).argmin(axis=1)
        out = out[nearest]
    return (out - out[:, :1]).astype(np.float32)


def _usable(confidence: Float[Array, "T 17"]) -> bool:
    """Whether a window shows the pelvis and another joint in one frame at least."""
    return bool(((confidence[:, 0] > 0) & (confidence[:, 1:] > 0).any(axis=1)).any())


def _lift_windows(xy: list[Array], confidence: list[Array], network: Network, config: LifterConfig) -> Array:
    normalise = normalise_pelvis if config.normalisation == "pelvis" else normalise_box
    inputs, sizes = [], []
    for x, c in zip(xy, confidence, strict=True):
        normal, _ = normalise(x, c)
        # A frame without its pelvis has no positions about it: the network is told that nothing is seen.
        shown = np.where(c[:, :1] > 0, c, 0.0) if config.normalisation == "pelvis" else c
        inputs.append(np.concatenate([normal, shown[..., None]], axis=-1).astype(np.float32))
        sizes.append(normalise_pelvis(normal, c)[1])
    batch = np.stack(inputs)
    out = network(batch)
    if config.flip:
        flipped = np.stack([mirrored(x) for x in batch])
        out = (out + np.stack([mirrored(x) for x in network(flipped)])) / 2
    if config.output == "input":
        metres = ASSUMED_STATURE_M / _STATURE_BODY_SIZES / np.array(sizes)
        out = out * metres[:, None, None, None]
    return out

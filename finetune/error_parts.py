"""A joint's error over time taken apart: constant bias, slow and fast random parts, and bursts.

The two-process fit to the autocovariance and its correction for short clips are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from motionqa.data.schema import Array


def runs(flags: Bool[Array, "T"]) -> list[int]:
    """Lengths of the unbroken runs of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return [int(n) for n in edges[1::2] - edges[::2]]


@dataclass(frozen=True, eq=False)
class Split:
    """A joint error's parts: stds per joint, and correlation times."""

    bias_std: Float[Array, "J"]
    slow_std: Float[Array, "J"]
    fast_std: Float[Array, "J"]
    slow_s: float
    fast_s: float


def split_in_time(error: Float[Array, "V T J 2"], fps: float) -> Split:
    """Bias per clip, slow and fast parts of errors, from the autocovariance up to 0.8 s.

    The sample autocovariance of a short clip without its mean is biased; the model's is computed with the same bias.
    """
    from scipy.optimize import nnls

    frames, joints = error.shape[1:3]
    mean = error.mean(axis=1, keepdims=True)
    rest = error - mean
    lags = range(min(frames // 2, round(0.8 * fps)))
    measured = np.stack([(rest[:, k:] * rest[:, : frames - k]).mean(axis=(0, 1, 3)) for k in lags])
    scale = np.maximum(measured[0], 1e-12)
    best = (np.inf, 1.0, 0.1, np.zeros((joints, 2)))
    for fast_s in np.geomspace(0.02, 0.15, 12):
        for slow_s in np.geomspace(2.5 * fast_s, 1.0, 12):
            basis = np.stack([_expected_autocovariance(frames, s, fps, lags) for s in (slow_s, fast_s)], axis=1)
            fits = [nnls(basis, measured[:, j] / scale[j]) for j in range(joints)]
            cost = float(sum(misfit**2 for _, misfit in fits))
            if cost < best[0]:
                best = (cost, float(slow_s), float(fast_s), np.stack([x for x, _ in fits]) * scale[:, None])
    _, slow_s, fast_s, variance = best
    of_means = variance @ [_correlation(frames, s, fps).mean() for s in (slow_s, fast_s)]
    bias = np.maximum((mean**2).mean(axis=(0, 1, 3)) - of_means, 0)
    return Split(np.sqrt(bias), np.sqrt(variance[:, 0]), np.sqrt(variance[:, 1]), slow_s, fast_s)


def _correlation(frames: int, time_s: float, fps: float) -> Float[Array, "T T"]:
    """Of an AR(1) process driven by an AR(1) process of the same time constant, as `DetectorNoise` draws it."""
    t = np.arange(frames)
    apart, keep = np.abs(t[:, None] - t), np.exp(-1 / (fps * time_s))
    return keep**apart * (1 + apart * (1 - keep**2) / (1 + keep**2))


def _expected_autocovariance(frames: int, time_s: float, fps: float, lags: range) -> Float[Array, "K"]:
    """Of a unit process over a clip whose mean was taken off."""
    r = _correlation(frames, time_s, fps)
    r = r - r.mean(axis=0) - r.mean(axis=1, keepdims=True) + r.mean()
    return np.array([np.diagonal(r, k).mean() for k in lags])


def bursts(error: Float[Array, "V T J 2"], fps: float) -> tuple[Float[Array, "V T J 2"], dict[str, float]]:
    """Errors cut off at three robust sigmas, and the share, rate, duration and size of what lies beyond."""
    centred = error - np.median(error, axis=1, keepdims=True)
    sigma = 1.4826 * np.median(np.abs(centred), axis=(0, 1, 3))[:, None]
    beyond = np.asarray((np.abs(centred) > 3 * sigma).any(axis=-1))
    lengths = [n for v, j in np.ndindex(beyond[:, 0].shape) for n in runs(beyond[v, :, j])]
    excess = (centred**2 - sigma**2)[beyond].mean() if beyond.any() else 0.0
    stats = {
        "share": float(beyond.mean()),
        "rate_hz": len(lengths) * fps / beyond.size,
        "duration_s": float(np.mean(lengths)) / fps if lengths else 0.0,
        "std": float(np.sqrt(max(excess, 0.0))),
    }
    return error - centred + np.clip(centred, -3 * sigma, 3 * sigma), stats

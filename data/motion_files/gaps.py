"""Missing and impossible joint positions: found, filled, and marked with confidence 0."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from motionqa.data.schema import InputError

Array = np.ndarray

MAX_GAP_S = 0.5
"""Longer gaps are not bridged by a straight line: the joint rests where it was last or is next seen."""
FARTHEST_M = 10_000.0
"""From the origin: beyond this a number is damage, not a place."""
REACH_M = 5.0
"""From the middle of the body."""


def drop_absurd(xyz_m: Float[Array, "T J 3"]) -> tuple[Float[Array, "T J 3"], int]:
    """Positions with impossible joints replaced by NaN, and how many: infinite, kilometres away, off the body.

    InputError when more than half of what was there is impossible.
    """
    known: Array = np.all(np.isfinite(xyz_m), axis=2)
    safe = np.where(known[..., None], np.clip(xyz_m, -1e12, 1e12), np.nan)
    with np.errstate(all="ignore"):
        some = known.any(axis=1)
        middle = np.full((len(safe), 1, 3), np.nan)
        middle[some, 0] = np.nanmedian(safe[some], axis=1)
        wrong = known & ((np.abs(safe).max(axis=2) > FARTHEST_M) | (np.linalg.norm(safe - middle, axis=2) > REACH_M))
    if wrong.sum() > 0.5 * max(known.sum(), 1):
        raise InputError(
            f"{wrong.sum()} of {known.sum()} joint positions are impossible (farther than {REACH_M:g} m from the body "
            f"or {FARTHEST_M / 1000:g} km from the origin). Check the file, or set units if they were misjudged"
        )
    return np.where((known & ~wrong)[..., None], xyz_m, np.nan), int(wrong.sum())


def fill_gaps(
    positions: Float[Array, "T J D"], confidence: Float[Array, "T J"], fps: float
) -> tuple[Float[Array, "T J D"], Float[Array, "T J"]]:
    """Positions without NaN: gaps up to `MAX_GAP_S` bridged linearly, longer ones held at the nearest seen place.

    Confidence is 0 wherever a position was filled. A joint never seen stays at the frame's mean joint.
    """
    seen: Array = np.all(np.isfinite(positions), axis=2)
    if seen.all():
        return positions, confidence
    filled = np.where(seen[..., None], positions, np.nan)
    frames = np.arange(len(positions))
    longest = max(1, round(MAX_GAP_S * fps))
    for j in np.flatnonzero(~seen.all(axis=0)):
        known = np.flatnonzero(seen[:, j])
        if not len(known):
            continue
        missing = np.flatnonzero(~seen[:, j])
        after = np.searchsorted(known, missing)
        left, right = known[np.maximum(after - 1, 0)], known[np.minimum(after, len(known) - 1)]
        inside = (right - left - 1 <= longest) & (left < missing) & (missing < right)
        nearest = np.where((np.abs(missing - left) <= np.abs(right - missing)), left, right)
        for d in range(positions.shape[2]):
            bridged = np.interp(missing, frames[known], positions[known, j, d])
            filled[missing, j, d] = np.where(inside, bridged, positions[nearest, j, d])
    never = ~seen.any(axis=0)
    if never.any():
        middle = filled[:, ~never].mean(axis=1, keepdims=True) if (~never).any() else np.zeros((1, 1, 1))
        filled[:, never] = middle
    return filled, np.where(seen, confidence, 0.0)

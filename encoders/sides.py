"""Left and right kept apart over time.

Seen from the front or back without a clear face, a pose network sometimes exchanges a person's sides for a few frames.
Joints do not jump across the body, so the labelling with the least movement wins. The method is ours: a two-state
Viterbi path, "as detected" against "exchanged", over the whole clip.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from motionqa.data.schema import Array
from motionqa.data.skeleton import Skeleton

EXCHANGE_COST = 0.02
"""What a frame's exchange costs, in trunk lengths of mean joint movement: a run of up to about 40 frames whose ends
jump by 0.4 trunk lengths is exchanged, a longer one is believed."""

_LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def exchanged_frames(
    xy_px: Float[Array, "T J 2"], confidence: Float[Array, "T J"], seen: Bool[Array, "T"], skeleton: Skeleton
) -> Bool[Array, "T"]:
    """Frames in which left and right should change places. Needs both shoulders and hips; else none."""
    names = [f"{side}_{limb}" for side in ("left", "right") for limb in _LIMBS]
    frames = np.flatnonzero(seen)
    if any(name not in skeleton for name in names) or len(frames) < 3:
        return np.zeros(len(seen), bool)
    columns = [skeleton.index(name) for name in names]
    points = xy_px[frames][:, columns].reshape(len(frames), 2, len(_LIMBS), 2)
    sure = confidence[frames][:, columns].reshape(len(frames), 2, len(_LIMBS))
    trunk = np.linalg.norm(points[:, :, 0].mean(axis=1) - points[:, :, 3].mean(axis=1), axis=-1)
    trunk_px = max(float(np.median(trunk)), 1.0)
    # Both labellings keep both sides, so one weight per limb makes their costs comparable.
    weight = np.minimum(sure[1:], sure[:-1]).min(axis=1)
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-6)
    same = _movement(points[1:] - points[:-1], weight) / trunk_px
    crossed = _movement(points[1:] - points[:-1, ::-1], weight) / trunk_px
    path = _cheapest_path(same, crossed)
    exchanged = np.zeros(len(seen), bool)
    exchanged[frames] = path
    return exchanged


def _movement(step: Float[Array, "T 2 L 2"], weight: Float[Array, "T L"]) -> Float[Array, "T"]:
    """Weighted mean distance moved by the limbs of both sides."""
    return (np.linalg.norm(step, axis=-1).mean(axis=1) * weight).sum(axis=1)


def _cheapest_path(same: Float[Array, "T"], crossed: Float[Array, "T"]) -> Bool[Array, "N"]:
    """Two-state Viterbi: staying in a state costs `same`, changing it costs `crossed`, being exchanged a little."""
    costs = np.array([0.0, EXCHANGE_COST])
    came_from = []
    for stay, change in zip(same, crossed, strict=True):
        options = np.array([[costs[0] + stay, costs[1] + change], [costs[0] + change, costs[1] + stay]])
        came_from.append(options.argmin(axis=1))
        costs = options.min(axis=1) + (0.0, EXCHANGE_COST)
    state = int(costs.argmin())
    path = [state]
    for back in reversed(came_from):
        state = int(back[state])
        path.append(state)
    return np.array(path[::-1], bool)


def exchange(
    xy_px: Float[Array, "T J 2"],
    world_m: Float[Array, "T J 3"],
    confidence: Float[Array, "T J"],
    frames: Bool[Array, "T"],
    skeleton: Skeleton,
) -> tuple[Float[Array, "T J 2"], Float[Array, "T J 3"], Float[Array, "T J"]]:
    """Joints with left and right exchanged in the given frames.

    In space the body is mirrored in depth as well: that is the pose which, with its sides the other way round, gives
    the same picture.
    """
    mirror = list(skeleton.mirror)
    xy_px, world_m, confidence = xy_px.copy(), world_m.copy(), confidence.copy()
    xy_px[frames] = xy_px[frames][:, mirror]
    confidence[frames] = confidence[frames][:, mirror]
    world_m[frames] = world_m[frames][:, mirror] * (1, 1, -1)
    return xy_px, world_m, confidence

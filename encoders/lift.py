"""From joints in an image to joints in space.

`place_in_space` turns BlazePose's hip-centred landmarks into a path through the room; `from_image` is the fallback
for keypoint files, which know only the picture.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.ndimage import median_filter

from motionqa.data.schema import Array, Pose3D, PoseSequence
from motionqa.data.skeleton import H36M_17, convert
from motionqa.encoders.pose import smooth

FOCAL_SIDES = 1.0
"""Assumed focal length in longer image sides: a 53° field of view. Ours; phones lie between 0.75 and 1.2."""


def place_in_space(image: PoseSequence, world: Pose3D) -> Pose3D:
    """Hip-centred joints moved along an estimated path of the pelvis, metres, X right, Y up, Z towards the camera.

    Weak perspective: per frame, the scale (pixels per metre) that best lays the joints on their image positions
    gives the distance, and the hips' image position gives the rest. The camera is taken to be still and level, and
    the size to be BlazePose's guess: distances are estimates (`root_motion="estimated"`, `metric=False`).
    """
    frames = image.seen
    if frames.sum() < 2:
        return world
    weight = np.where(image.confidence > 0.5, image.confidence, 0.0)
    flat_world = world.xyz_m[..., :2] * (1, -1)
    scale = _pixels_per_metre(image.xy_px, flat_world, weight)
    usable = frames & np.isfinite(scale) & (scale > 1)
    if usable.sum() < 2:
        return world
    times = image.times_s
    scale = np.interp(times, times[usable], scale[usable])
    # Distance changes slowly and its estimate is the noisiest of all: half a second of median, then 0.7 Hz.
    scale = median_filter(scale, size=max(1, int(image.fps / 2) | 1), mode="nearest")
    scale = smooth(scale[:, None, None], frames, image.fps, 0.7)[:, 0, 0]
    hips = convert(image.xy_px, image.confidence, image.skeleton, H36M_17)[0][:, 0]
    focal = FOCAL_SIDES * max(image.width, image.height)
    root = np.stack(
        [
            (hips[:, 0] - image.width / 2) / scale,
            -(hips[:, 1] - image.height / 2) / scale,
            -focal / scale,
        ],
        axis=1,
    )
    return replace(
        world,
        xyz_m=world.xyz_m + root[:, None],
        source=world.source + ", placed by weak perspective",
        root_motion="estimated",
    )


def _pixels_per_metre(
    image_px: Float[Array, "T J 2"], body_m: Float[Array, "T J 2"], weight: Float[Array, "T J"]
) -> Float[Array, "T"]:
    """Least-squares scale between image and body positions, each about its weighted mean; NaN without weights."""
    total = weight.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (weight / total[:, None])[..., None]
        centred_image = image_px - (share * image_px).sum(axis=1, keepdims=True)
        centred_body = body_m - (share * body_m).sum(axis=1, keepdims=True)
        return (share * centred_image * centred_body).sum((1, 2)) / (share * centred_body**2).sum((1, 2))


ASSUMED_TRUNK_M = 0.50
"""Hip centre to shoulder centre of a 1.7 m adult: the only scale a picture without depth can borrow."""


def from_image(image: PoseSequence) -> Pose3D:
    """Joints in the picture's plane: X right, Y up, Z = 0, scaled so that the longest trunk seen is 0.5 m.

    Angles are as the camera sees them (`planar=True`). ValueError where the skeleton has no trunk.
    """
    h36m, confidence = convert(image.xy_px, image.confidence, image.skeleton, H36M_17)
    trunk = np.linalg.norm(h36m[:, H36M_17.index("thorax")] - h36m[:, 0], axis=-1)
    sure = confidence[:, [0, H36M_17.index("thorax")]].min(axis=1) > 0.3
    length_px = float(np.percentile(trunk[sure], 95)) if sure.any() else float("nan")
    if not np.isfinite(length_px) or length_px <= 0:
        length_px = 0.3 * image.height
    metres = image.xy_px * (ASSUMED_TRUNK_M / length_px)
    xyz = np.concatenate([metres[..., :1], -metres[..., 1:], np.zeros_like(metres[..., :1])], axis=-1)
    return Pose3D(
        image.person_id,
        image.skeleton,
        image.fps,
        image.times_s,
        xyz,
        image.confidence,
        image.source + ", picture plane only",
        "estimated",
        metric=False,
        planar=True,
        camera=True,
        notes=("Only the picture's plane is known: depth, and turning towards or away, cannot be judged.",),
    )

"""From joints in an image to joints in space.

`relift` replaces the depth that BlazePose guesses frame by frame with DSTformer's, which sees the movement;
`place_in_space` turns hip-centred joints into a path through the room; `from_image` is the fallback for keypoint
files without a lifter, which know only the picture.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.spatial.transform import Rotation

from motionqa.data.schema import Array, Pose3D, PoseSequence
from motionqa.data.skeleton import H36M_17, Skeleton, convert
from motionqa.encoders.lifter import LifterConfig, Network, lift
from motionqa.encoders.pose import smooth

FOCAL_SIDES = 1.0
"""Assumed focal length in longer image sides: a 53° field of view. Ours; phones lie between 0.75 and 1.2."""


def relift(image: PoseSequence, world: Pose3D, network: Network, config: LifterConfig) -> Pose3D:
    """`world` with its limbs, trunk and nose where the lifter puts them, about the pelvis, in the world's own axes.

    Joints the lifter does not know (hands, feet, face) keep their place beside the joint they hang on. InputError
    where nothing is seen.
    """
    h36m, confidence = convert(image.xy_px, image.confidence, image.skeleton, H36M_17)
    lifted = lift(h36m, confidence, image.fps, network, config) * (1, -1, -1)
    lifted = smooth(lifted, image.seen, image.fps, SMOOTHING_HZ)
    return replace(
        world,
        xyz_m=_dressed(lifted, world.xyz_m, world.skeleton),
        source=f"{image.source}, lifted by DSTformer",
    )


SMOOTHING_HZ = 6.0
"""As for the joints in the picture (`PoseConfig.smoothing_hz`)."""


def _dressed(
    lifted: Float[Array, "T 17 3"], guessed: Float[Array, "T J 3"], skeleton: Skeleton
) -> Float[Array, "T J 3"]:
    """The skeleton's joints: lifted where the lifter has them, else moved along with the nearest one it has."""
    old, _ = convert(guessed, np.ones(guessed.shape[:2]), skeleton, H36M_17)
    shift = lifted - old
    out = guessed.copy()
    for j, name in enumerate(skeleton.joints):
        out[:, j] += shift[:, H36M_17.index(_carrier(name, skeleton))]
    return out


def _carrier(joint: str, skeleton: Skeleton) -> str:
    """The nearest joint up the tree that Human3.6M has too; the pelvis where there is none."""
    while joint not in H36M_17:
        parent = skeleton.parents[skeleton.index(joint)]
        if parent < 0:
            return "pelvis"
        joint = skeleton.joints[parent]
    return joint


def along_the_ray(image: PoseSequence) -> Rotation:
    """Per frame, the turn from axes along the line of sight to the person to the camera's own axes.

    A lifter sees a crop, so it works along the line of sight; a person at the edge of a wide picture is seen up to
    30° from the side. The pelvis' path is averaged over 2.7 s, a lifter's window.
    """
    hips = convert(image.xy_px, image.confidence, image.skeleton, H36M_17)[0][:, 0]
    path = uniform_filter1d(hips, size=max(1, round(2.7 * image.fps)), axis=0, mode="nearest")
    focal = FOCAL_SIDES * max(image.width, image.height)
    right, up = (path[:, 0] - image.width / 2) / focal, (image.height / 2 - path[:, 1]) / focal
    ray = np.stack([right, up, -np.ones_like(right)], axis=1)
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    axis = np.cross(np.array([0.0, 0.0, -1.0]), ray)
    sine = np.linalg.norm(axis, axis=1, keepdims=True)
    angle = np.arcsin(np.clip(sine, 0, 1))
    return Rotation.from_rotvec(axis / np.maximum(sine, 1e-9) * angle)


def place_in_space(image: PoseSequence, world: Pose3D, turn: Rotation | None = None) -> Pose3D:
    """Hip-centred joints moved along an estimated path of the pelvis, metres, X right, Y up, Z towards the camera.

    Weak perspective: per frame, the scale (pixels per metre) that best lays the joints on their image positions
    gives the distance, and the hips' image position gives the rest; `turn` then turns each frame's body about its hips
    (`along_the_ray`). The camera is taken to be still and level, and
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
    body = world.xyz_m
    if turn is not None:
        body = np.einsum("tij,tkj->tki", turn.as_matrix(), body)
    return replace(
        world,
        xyz_m=body + root[:, None],
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

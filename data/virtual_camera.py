"""Motion capture as a camera would see it: views, projection, and the normalisation every lifter input goes through.

Camera axes: x to the image's right, y down, z away from the camera, metres, with the z axis through the person (the
mean pelvis of the window): a crop cannot tell where in the picture the person stood. The paper (MotionBERT, section
3.3) projects orthographically; a pinhole at a person's distance is ours, since that is what films people.

Inputs are in body sizes about the pelvis: image positions minus the frame's pelvis, over the window's median RMS
distance of joints from it. The paper scales the window's bounding box to [-1, 1] instead (`normalise_box`), which
official checkpoints expect; ours does not depend on how far the person travels through the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from motionqa.data.skeleton import H36M_17

Array = np.ndarray


@dataclass(frozen=True)
class View:
    """Where a camera stands: angles in degrees, distance in metres."""

    azimuth_deg: float = 0.0
    """About the vertical; 0 looks along -Z, as a camera in front of somebody who faces +Z."""
    elevation_deg: float = 0.0
    """Above the horizon, looking down."""
    roll_deg: float = 0.0
    distance_m: float = 4.0

    def __post_init__(self) -> None:
        if self.distance_m <= 0:
            raise ValueError(f"distance_m must be above 0, got {self.distance_m}")


@dataclass(frozen=True)
class ViewRange:
    """From where people are filmed. Ours: hand-held to tripod, a little above or below the hips, rarely from above."""

    elevation_deg: tuple[float, float] = (-15.0, 35.0)
    roll_deg: float = 5.0
    """Standard deviation."""
    distance_m: tuple[float, float] = (2.5, 8.0)

    def sample(self, rng: np.random.Generator) -> View:
        """A view: any azimuth; elevation most often near the level."""
        low, high = self.elevation_deg
        elevation = rng.triangular(low, 5.0, high)
        return View(rng.uniform(-180, 180), elevation, rng.normal(0, self.roll_deg), rng.uniform(*self.distance_m))


def to_camera(xyz_m: Float[Array, "T 17 3"], view: View) -> Float[Array, "T 17 3"]:
    """World joints (Y up) in camera axes: x right, y down, z away; the mean pelvis at (0, 0, distance)."""
    azimuth = Rotation.from_euler("y", -view.azimuth_deg, degrees=True)
    tilt = Rotation.from_euler("xz", [view.elevation_deg, view.roll_deg], degrees=True)
    turn = (tilt * azimuth).as_matrix()
    centred = xyz_m - xyz_m[:, 0].mean(axis=0)
    seen = centred @ turn.T * np.array([1.0, -1.0, -1.0])
    seen[..., 2] += view.distance_m
    return seen.astype(np.float32)


def project(camera_m: Float[Array, "T 17 3"]) -> Float[Array, "T 17 2"]:
    """Image positions at focal length 1; joints nearer than 0.3 m are held there."""
    return camera_m[..., :2] / np.maximum(camera_m[..., 2:], 0.3)


def normalise_pelvis(
    xy: Float[Array, "T 17 2"], confidence: Float[Array, "T 17"]
) -> tuple[Float[Array, "T 17 2"], float]:
    """Positions about each frame's pelvis in body sizes, and the body size in the input's unit.

    The body size is the median over frames of the RMS distance of seen joints (confidence above 0) from the pelvis.
    ValueError where no frame shows the pelvis and another joint.
    """
    about = xy - xy[:, :1]
    seen = (confidence > 0) & (confidence[:, :1] > 0)
    count = seen[:, 1:].sum(axis=1)
    square = np.where(seen, (about**2).sum(axis=-1), 0.0).sum(axis=1)
    if not (count > 0).any():
        raise ValueError("no frame shows the pelvis and another joint: every confidence is 0")
    size = float(np.median(np.sqrt(square[count > 0] / count[count > 0])))
    if size <= 0:
        raise ValueError("all joints lie in one point")
    return np.where(seen[..., None], about / size, 0.0).astype(np.float32), size


def normalise_box(xy: Float[Array, "T 17 2"], confidence: Float[Array, "T 17"]) -> tuple[Float[Array, "T 17 2"], float]:
    """Positions with the window's bounding box of seen joints scaled to [-1, 1], and half its longer side."""
    seen = confidence > 0
    if not seen.any():
        raise ValueError("no joint is seen: every confidence is 0")
    low, high = xy[seen].min(axis=0), xy[seen].max(axis=0)
    half = float((high - low).max() / 2)
    if half <= 0:
        raise ValueError("all joints lie in one point")
    return np.where(seen[..., None], (xy - (low + high) / 2) / half, 0.0).astype(np.float32), half


MIRROR = np.array(H36M_17.mirror)


def mirrored(xyz: Float[Array, "T 17 D"]) -> Float[Array, "T 17 D"]:
    """The mirror image: x negated, left and right joints exchanged."""
    return xyz[:, MIRROR] * np.array([-1.0] + [1.0] * (xyz.shape[-1] - 1), dtype=xyz.dtype)


BONES = H36M_17.bones


def _pair(parent: int, child: int) -> tuple[int, int]:
    """A bone and its counterpart on the other side under one name."""
    return min((parent, child), (int(MIRROR[parent]), int(MIRROR[child])))


def with_other_limbs(
    xyz_m: Float[Array, "T 17 3"], rng: np.random.Generator, limb_std: float = 0.05, size_std: float = 0.03
) -> Float[Array, "T 17 3"]:
    """The same movement on a body of other proportions: each left/right pair of bones scaled alike, then the whole.

    The packed collections hold few bodies; without this a lifter learns theirs by heart. The amounts are ours.
    """
    factor = {pair: 1 + limb_std * float(np.clip(rng.normal(), -2, 2)) for pair in sorted({_pair(*b) for b in BONES})}
    whole = 1 + size_std * float(np.clip(rng.normal(), -2, 2))
    out = np.empty_like(xyz_m)
    out[:, 0] = xyz_m[:, 0]
    for p, c in BONES:  # parents come before children in H36M_17
        scale = whole * factor[_pair(p, c)]
        out[:, c] = out[:, p] + scale * (xyz_m[:, c] - xyz_m[:, p])
    return out

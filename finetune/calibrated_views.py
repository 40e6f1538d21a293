"""Joints in space from several calibrated views, and what the other views say about one of them.

Triangulation is the weighted direct linear transform (Hartley & Zisserman 2004, section 12.2). Leaving a view out, the
alignment of the cameras and the inflation of the error's variance are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float

from motionqa.data.schema import Array, InputError


@dataclass(frozen=True, eq=False)
class Camera:
    """A calibrated camera in OpenCV's axes: X right, Y down, Z away from it."""

    name: str
    rotation: Float[Array, "3 3"]
    centre_m: Float[Array, "3"]
    matrix: Float[Array, "3 3"]
    distortion: Float[Array, "5"]
    """k1, k2, p1, p2, k3, as OpenCV orders them."""
    size: tuple[int, int]

    @property
    def projection(self) -> Float[Array, "3 4"]:
        return self.matrix @ np.column_stack([self.rotation, -self.rotation @ self.centre_m])

    def project(self, xyz_m: Float[Array, "*N 3"]) -> Float[Array, "*N 2"]:
        """Pixels of the ideal (undistorted) picture."""
        h = xyz_m @ self.projection[:, :3].T + self.projection[:, 3]
        return h[..., :2] / h[..., 2:]

    def ideal(self, xy_px: Float[Array, "*N 2"], width: int, height: int) -> Float[Array, "*N 2"]:
        """A video's pixels as ideal ones; a video of another size was fitted into its frame with even bars."""
        import cv2

        scale = min(width / self.size[0], height / self.size[1])
        bars = (np.array([width, height]) - scale * np.array(self.size)) / 2
        full = ((xy_px - bars) / scale).reshape(-1, 1, 2)
        return cv2.undistortPoints(full, self.matrix, self.distortion, P=self.matrix).reshape(xy_px.shape)


def read_qualisys(path: Path) -> tuple[Camera, ...]:
    """Cameras of a Qualisys calibration file, in its order. InputError where it is not one.

    Lengths there are millimetres and focal lengths 1/64 pixels; its cameras look along -Z with Y up.
    """
    try:
        nodes = list(ElementTree.parse(path).getroot().iter("camera"))
        cameras = tuple(_camera(node) for node in nodes)
    except (ElementTree.ParseError, OSError, AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path.name!r} is not a Qualisys camera calibration ({error}). Export it again.") from error
    if len(cameras) < 3:
        raise InputError(f"{path.name!r} has {len(cameras)} cameras; at least 3 are needed to judge one by the others.")
    return cameras


def _camera(node: ElementTree.Element) -> Camera:
    def numbers(tag: str, *names: str) -> Array:
        found = node.find(tag)
        if found is None:
            raise ValueError(f"a camera has no <{tag}>")
        return np.array([float(found.attrib.get(name, "nan")) for name in names])

    turn = numbers("transform", *(f"r{i}{j}" for i in (1, 2, 3) for j in (1, 2, 3))).reshape(3, 3)
    inner = "focalLengthU", "focalLengthV", "centerPointU", "centerPointV"
    fx, fy, cx, cy = numbers("intrinsic", *inner) / 64
    bends = (f"{kind}Distortion{n}" for kind, n in (("radial", 1), ("radial", 2), ("tangental", 1), ("tangental", 2)))
    edges = numbers("fov_video", "left", "right", "top", "bottom")
    camera = Camera(
        node.attrib.get("serial", "?"), np.diag([1.0, -1.0, -1.0]) @ turn, numbers("transform", "x", "y", "z") / 1000,
        np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
        np.append(numbers("intrinsic", *bends), numbers("intrinsic", "radialDistortion3")),
        (round(edges[1] - edges[0]) + 1, round(edges[3] - edges[2]) + 1),
    )  # fmt: skip
    if not all(np.isfinite(v).all() for v in (camera.projection, camera.distortion)):
        raise ValueError(f"camera {camera.name} lacks a number")
    return camera


def triangulate(
    cameras: Sequence[Camera], xy_px: Float[Array, "V T J 2"], weight: Float[Array, "V T J"]
) -> Float[Array, "T J 3"]:
    """Points in metres that fit the weighted ideal pixels of all views best."""
    rows = []
    for camera, xy, w in zip(cameras, xy_px, weight, strict=True):
        p = camera.projection / camera.matrix[0, 0]
        rows.append(w[..., None, None] * (xy[..., None] * p[2] - p[:2]))
    solution = np.linalg.svd(np.concatenate(rows, axis=-2))[2][..., -1, :]
    return solution[..., :3] / solution[..., 3:]


def aligned(
    cameras: Sequence[Camera], xy_px: Float[Array, "V T J 2"], weight: Float[Array, "V T J"]
) -> tuple[Camera, ...]:
    """The cameras turned so that their views agree best: calibrations drift, and a turn shifts all joints alike.

    What a view's error has in common over all joints and frames is thereby taken out.
    """
    from scipy.optimize import least_squares
    from scipy.spatial.transform import Rotation

    some = slice(None, None, max(1, xy_px.shape[1] // 12))

    def turned(angles: Array) -> tuple[Camera, ...]:
        turns = Rotation.from_rotvec(angles.reshape(-1, 3)).as_matrix()
        return tuple(replace(c, rotation=turn @ c.rotation) for c, turn in zip(cameras, turns, strict=True))

    def misfit(angles: Array) -> Array:
        now = turned(angles)
        xyz = triangulate(now, xy_px[:, some], weight[:, some])
        off = np.stack([c.project(xyz) for c in now]) - xy_px[:, some]
        return (off * weight[:, some, :, None]).ravel()

    return turned(least_squares(misfit, np.zeros(3 * len(cameras)), loss="soft_l1", f_scale=5.0, x_scale=0.01).x)


def judged_by_others(
    cameras: Sequence[Camera], xy_px: Float[Array, "V T J 2"], weight: Float[Array, "V T J"], far_px: float
) -> tuple[Float[Array, "V T J 2"], Float[Array, "V T J"]]:
    """Where each view's joints should be by the other views, and by how much that guess inflates the error's variance.

    Of four views or more, the worst of the others is left out of joints whose misfit exceeds `far_px`.
    """
    expected, inflation = np.empty_like(xy_px), np.empty(xy_px.shape[:3])
    for v in range(len(cameras)):
        rest = [i for i in range(len(cameras)) if i != v]
        others, xy, w = [cameras[i] for i in rest], xy_px[rest], weight[rest].copy()
        xyz = triangulate(others, xy, w)
        if len(rest) > 2:
            off = np.linalg.norm(np.stack([c.project(xyz) for c in others]) - xy, axis=-1)
            worst = off == off.max(axis=0)
            w[worst & (off > far_px)] = 1e-6
            xyz = triangulate(others, xy, w)
        expected[v] = cameras[v].project(xyz)
        # If every view errs alike, the guess adds J H⁻¹ Jᵀ, J and H the views' derivatives in space.
        slopes = np.stack([_slope(c, xyz) for c in others])
        used = (w > 1e-3)[..., None, None]
        spread = np.linalg.inv((np.swapaxes(slopes, -1, -2) @ slopes * used).sum(axis=0))
        own = _slope(cameras[v], xyz)
        inflation[v] = 1 + np.trace(own @ spread @ np.swapaxes(own, -1, -2), axis1=-2, axis2=-1) / 2
    return expected, inflation


def _slope(camera: Camera, xyz_m: Float[Array, "T J 3"]) -> Float[Array, "T J 2 3"]:
    """Pixels per metre along each axis."""
    step = 1e-4
    return np.stack(
        [(camera.project(xyz_m + step * e) - camera.project(xyz_m - step * e)) / (2 * step) for e in np.eye(3)], axis=-1
    )

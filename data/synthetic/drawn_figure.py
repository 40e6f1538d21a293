"""A drawn person, moved by any `Pose3D`: videos whose every joint is known, made without filming anybody.

BlazePose takes the figure for a person (score 0.98), so tests, examples and benchmarks run on pixels with an exact
truth behind them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from motionqa.data.schema import Array, Pose3D
from motionqa.data.skeleton import Skeleton
from motionqa.data.video_writer import Frame

Colour = tuple[int, int, int]
SKIN, HAIR, SHIRT, TROUSERS, SHOES = (222, 178, 150), (60, 40, 30), (60, 90, 160), (50, 50, 60), (230, 230, 230)
WALL, FLOOR = (178, 186, 190), (120, 110, 100)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks along -Z, level: the person at the origin faces it when facing +Z."""

    width: int = 640
    height: int = 480
    x_m: float = 0.0
    y_m: float = 0.95
    z_m: float = 3.6
    focal_sides: float = 0.85
    """Focal length in longer image sides."""

    def project(self, points_m: Float[Array, "N 3"]) -> tuple[Float[Array, "N 2"], Float[Array, "N"]]:
        """Pixels (x right, y down) and pixels per metre at each point's distance."""
        distance = np.maximum(self.z_m - points_m[:, 2], 0.2)
        scale = self.focal_sides * max(self.width, self.height) / distance
        x = self.width / 2 + scale * (points_m[:, 0] - self.x_m)
        y = self.height / 2 - scale * (points_m[:, 1] - self.y_m)
        return np.stack([x, y], axis=1), scale


@dataclass(frozen=True)
class _Capsule:
    start: Float[Array, "3"]
    end: Float[Array, "3"]
    radius_m: tuple[float, float]
    colour: Colour


def figure_frames(*people: Pose3D, camera: Camera = Camera(), shirt: Colour = SHIRT) -> Iterator[Frame]:
    """Frames of one or more people (SMPL joint names needed) in a plain room, the nearest drawn last.

    The clip is as long as the first person's motion; a person whose motion has ended is no longer there.
    """
    for k, time_s in enumerate(people[0].times_s):
        image = _room(camera)
        present = [p for p in people if k < len(p)]
        for person in sorted(present, key=lambda p: float(p.xyz_m[k, :, 2].mean())):
            draw_figure(image, person.xyz_m[k], person.skeleton, camera, shirt)
        yield float(time_s), image


def _room(camera: Camera) -> UInt8[Array, "H W 3"]:
    image = np.full((camera.height, camera.width, 3), WALL, np.uint8)
    far = camera.project(np.array([[0.0, 0.0, -2.5]]))[0][0, 1]
    image[min(max(0, round(far)), camera.height) :] = FLOOR
    return image


def draw_figure(
    image: UInt8[Array, "H W 3"],
    joints_m: Float[Array, "J 3"],
    skeleton: Skeleton,
    camera: Camera = Camera(),
    shirt: Colour = SHIRT,
) -> None:
    """One person into the image, far limbs first. ValueError where the skeleton lacks a limb."""
    at = {name: joints_m[i] for i, name in enumerate(skeleton.joints)}
    missing = [n for n in ("neck", "head", "left_shoulder", "left_hip", "left_wrist", "left_toe") if n not in at]
    if missing:
        raise ValueError(f"skeleton {skeleton.name} has no {', '.join(missing)} to draw")
    parts = _limbs(at, shirt)
    trunk = (at["left_shoulder"] + at["right_hip"]) / 2
    before = [p for p in parts if (p.start + p.end)[2] / 2 > trunk[2]]
    behind = [p for p in parts if (p.start + p.end)[2] / 2 <= trunk[2]]
    for part in sorted(behind, key=lambda p: float((p.start + p.end)[2])):
        _draw_capsule(image, part, camera)
    _draw_trunk(image, at, camera, shirt)
    _draw_head(image, at, camera)
    for part in sorted(before, key=lambda p: float((p.start + p.end)[2])):
        _draw_capsule(image, part, camera)


def _limbs(at: dict[str, Float[Array, "3"]], shirt: Colour) -> list[_Capsule]:
    parts = []
    for side in ("left", "right"):
        hip, knee, ankle, toe = (at[f"{side}_{j}"] for j in ("hip", "knee", "ankle", "toe"))
        shoulder, elbow, wrist = (at[f"{side}_{j}"] for j in ("shoulder", "elbow", "wrist"))
        hand = wrist + (wrist - elbow) / (np.linalg.norm(wrist - elbow) + 1e-9) * 0.12
        dark: Colour = tuple(int(c * 0.85) for c in shirt)  # type: ignore[assignment]
        parts += [
            _Capsule(hip, knee, (0.085, 0.06), TROUSERS),
            _Capsule(knee, ankle, (0.06, 0.04), tuple(c + 14 for c in TROUSERS)),  # type: ignore[arg-type]
            _Capsule(ankle, toe, (0.045, 0.04), SHOES),
            _Capsule(shoulder, elbow, (0.058, 0.046), dark),
            _Capsule(elbow, wrist, (0.042, 0.033), SKIN),
            _Capsule(wrist, hand, (0.033, 0.042), tuple(c - 12 for c in SKIN)),  # type: ignore[arg-type]
        ]
    return parts


def _draw_capsule(image: UInt8[Array, "H W 3"], part: _Capsule, camera: Camera) -> None:
    import cv2

    steps = np.linspace(0, 1, 24)[:, None]
    points, scale = camera.project(part.start + (part.end - part.start) * steps)
    radii = scale * (part.radius_m[0] + (part.radius_m[1] - part.radius_m[0]) * steps[:, 0])
    for point, radius in zip(points, radii, strict=True):
        cv2.circle(image, _pixel(point), max(1, round(float(radius))), part.colour, -1, cv2.LINE_AA)


def _draw_trunk(image: UInt8[Array, "H W 3"], at: dict[str, Float[Array, "3"]], camera: Camera, shirt: Colour) -> None:
    import cv2

    names = ("left_shoulder", "right_shoulder", "right_hip", "left_hip")
    corners, _ = camera.project(np.stack([at[n] for n in names]))
    shoulders = (at["left_shoulder"] + at["right_shoulder"]) / 2
    hips = (at["left_hip"] + at["right_hip"]) / 2
    cv2.fillConvexPoly(image, corners.round().astype(np.int32), shirt, cv2.LINE_AA)
    _draw_capsule(image, _Capsule(shoulders, hips, (0.12, 0.11), shirt), camera)
    _draw_capsule(image, _Capsule(at["left_shoulder"], at["right_shoulder"], (0.06, 0.06), shirt), camera)
    _draw_capsule(image, _Capsule(at["left_hip"], at["right_hip"], (0.09, 0.09), TROUSERS), camera)


def _draw_head(image: UInt8[Array, "H W 3"], at: dict[str, Float[Array, "3"]], camera: Camera) -> None:
    """Skull with hair, and a face on the side the body looks to."""
    import cv2

    neck, head = at["neck"], at["head"]
    up = (head - neck) / (np.linalg.norm(head - neck) + 1e-9)
    across = at["left_shoulder"] - at["right_shoulder"]
    forward = np.cross(across, up)
    forward /= np.linalg.norm(forward) + 1e-9
    _draw_capsule(image, _Capsule(neck, head, (0.05, 0.05), SKIN), camera)
    centre = head + 0.08 * up
    (middle,), (scale,) = camera.project(centre[None])
    axes = (round(0.085 * scale), round(0.115 * scale))
    tilt = float(np.rad2deg(np.arctan2(up[0], up[1])))
    facing = forward[2]
    cv2.ellipse(image, _pixel(middle), axes, tilt, 0, 360, SKIN if facing > -0.3 else HAIR, -1, cv2.LINE_AA)
    if facing > -0.3:
        (crown,), _ = camera.project((centre + 0.05 * up - 0.02 * forward)[None])
        cv2.ellipse(image, _pixel(crown), (axes[0], round(0.08 * scale)), tilt, 180, 360, HAIR, -1, cv2.LINE_AA)
        side = across / (np.linalg.norm(across) + 1e-9)
        for offset in (-0.03, 0.03):
            (eye,), _ = camera.project((centre + 0.085 * forward + offset * side + 0.005 * up)[None])
            cv2.circle(image, _pixel(eye), max(1, round(0.012 * scale)), (40, 30, 30), -1, cv2.LINE_AA)
        (nose,), _ = camera.project((centre + 0.1 * forward - 0.025 * up)[None])
        cv2.circle(image, _pixel(nose), max(1, round(0.012 * scale)), (190, 140, 115), -1, cv2.LINE_AA)
        (left, right), _ = camera.project(
            np.stack([centre + 0.085 * forward - 0.06 * up + s * 0.025 * side for s in (-1, 1)])
        )
        cv2.line(image, _pixel(left), _pixel(right), (150, 70, 70), max(1, round(0.01 * scale)), cv2.LINE_AA)


def _pixel(point: Float[Array, "2"]) -> tuple[int, int]:
    x, y = np.clip(point, -8000, 8000)
    return round(float(x)), round(float(y))

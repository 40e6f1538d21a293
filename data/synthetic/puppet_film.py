"""A drawn person through a whole clip: pairs of neighbouring pictures of one body, in one dress, before one camera.

Every pair is `motionqa.data.synthetic.puppets`' and so knows its exact flow. The person looks the same in all of them;
the background moves within a pair as the camera does, but every pair begins at the same place of it, which cannot be
told once it is taken away. Ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from motionqa.data.synthetic.puppets import FlowPair, SeenBody, puppet_pair
from motionqa.data.virtual_camera import View, project, to_camera

Array = np.ndarray


@dataclass(frozen=True)
class PuppetFilmConfig:
    """How a clip is filmed; ours."""

    side: int = 160
    """Of the pictures, pixels."""
    height: tuple[float, float] = (0.6, 0.9)
    """Largest extent of the body, as a share of the picture."""
    held_by_hand: float = 0.6
    """Share of the films whose camera is not on a tripod."""
    shift: float = 0.03
    """Standard deviation of such a camera's shift, in sides of the picture."""
    turn_deg: float = 1.0
    zoom: float = 0.02
    sway_s: float = 0.4
    """Time over which such a camera's motion is smooth."""
    pan_over: float = 1.5
    """People whose way is so many times longer than they are large are followed by the camera."""
    pan_s: float = 1.0


def puppet_film(
    xyz_m: Float[Array, "T 17 3"],
    fps: float,
    view: View,
    rng: np.random.Generator,
    config: PuppetFilmConfig = PuppetFilmConfig(),
) -> Iterator[FlowPair]:
    """Pairs of pictures of frames k and k + 1, one fewer than frames; joints in the world (Y up), as `to_camera` takes.

    The camera stands at `view`, as it does for `motionqa.data.mocap.windows.window_of` of the same joints.
    ValueError for fewer than two frames.
    """
    if len(xyz_m) < 2:
        raise ValueError(f"a film needs two frames at least, got {len(xyz_m)}")
    camera_m = to_camera(xyz_m, view)
    room, focal, path = _in_the_room(project(camera_m), fps, rng, config)
    cameras = _cameras(path, fps, rng, config)
    depth = camera_m[..., 2]
    per_metre = focal / depth[:, 0]
    looks = int(rng.integers(2**31))
    size = (config.side, config.side)
    for k, (here, there) in enumerate(zip(cameras, cameras[1:], strict=False)):
        zoom = float(np.sqrt(abs(np.linalg.det(here[:2, :2]))))
        first, second = (room[i] @ here[:2, :2].T + here[:2, 2] for i in (k, k + 1))
        body = SeenBody(first, second, depth[k], (float(zoom * per_metre[k]), float(zoom * per_metre[k + 1])))
        step = there @ np.linalg.inv(here)
        yield puppet_pair([body], size, step[:2], np.random.default_rng(looks))  # the same clothes in every pair


def _in_the_room(
    flat: Float[Array, "T 17 2"], fps: float, rng: np.random.Generator, config: PuppetFilmConfig
) -> tuple[Float[Array, "T 17 2"], float, Float[Array, "T 2"]]:
    """Joints in pixels of a picture without end, pixels at focal length 1, and what the camera looks at."""
    low, high = flat.min(axis=1), flat.max(axis=1)
    own = float((high - low).max())
    whole = float((high.max(axis=0) - low.min(axis=0)).max())
    pans = whole > config.pan_over * own
    focal = rng.uniform(*config.height) * config.side / max(own if pans else whole, 1e-3)
    middle = (low + high) / 2
    if pans:
        path = uniform_filter1d(middle, max(1, round(config.pan_s * fps)), axis=0, mode="nearest")
    else:
        path = np.broadcast_to((low.min(axis=0) + high.max(axis=0)) / 2, middle.shape)
    return flat * focal, focal, path * focal


def _cameras(
    path: Float[Array, "T 2"], fps: float, rng: np.random.Generator, config: PuppetFilmConfig
) -> list[Float[Array, "3 3"]]:
    """From the room's pixels to each frame's picture: what is looked at in the middle, and a hand's sway about it."""
    sway = np.zeros((len(path), 4))
    if rng.random() < config.held_by_hand:
        white = rng.normal(size=(len(path) + 2 * round(4 * config.sway_s * fps), 4))
        smooth = gaussian_filter1d(white, config.sway_s * fps, axis=0)
        spare = (len(white) - len(path)) // 2
        # A Gaussian filter of standard deviation s leaves noise of variance 1 / (2 s √π).
        sway = smooth[spare : spare + len(path)] * np.sqrt(2 * config.sway_s * fps * np.sqrt(np.pi))
        sway = sway * (config.shift * config.side, config.shift * config.side, np.deg2rad(config.turn_deg), config.zoom)
    out = []
    for at, (x, y, turn, zoom) in zip(path, sway, strict=True):
        c, s = (1 + zoom) * np.cos(turn), (1 + zoom) * np.sin(turn)
        linear = np.array([[c, -s], [s, c]])
        matrix = np.eye(3)
        matrix[:2, :2] = linear
        matrix[:2, 2] = config.side / 2 + np.array([x, y]) - linear @ at
        out.append(matrix)
    return out

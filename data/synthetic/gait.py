"""Stepping motions of the synthetic body: walking, running and turning on the spot, on planned foot falls."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d, minimum_filter1d

from motionqa.data.synthetic.body import LEFT, OUTWARD, RIGHT, BodyMotion, BodyShape, labelled, neutral

Array = np.ndarray
SHAPE = BodyShape()


def _foot_places(foot: int, places_m: Float[Array, "K 2"], headings_deg: Float[Array, "K"]) -> Float[Array, "K 3"]:
    """Where a foot's ankle stands at each place of the pelvis: half a hip's width to its side."""
    rad = np.radians(headings_deg)
    side = OUTWARD[foot] * SHAPE.hip_half_width
    height = np.full(len(rad), SHAPE.ankle_height)
    return np.stack([places_m[:, 0] + side * np.cos(rad), height, places_m[:, 1] - side * np.sin(rad)], axis=1)


def _foot_track(
    t: Float[Array, "T"], falls: list[int], spots: Float[Array, "K 3"], contact: float, lift_m: float
) -> Float[Array, "T 3"]:
    """One ankle over time (in step periods): still on its spots, swung between them in half-cosine arcs."""
    last = len(spots) - 1
    track = np.tile(spots[0], (len(t), 1))
    for before, after in zip([0, *falls[:-1]], falls, strict=True):
        landing = after - contact / 2
        # The closing step of an even count starts from the stance before the last.
        lift_off = landing - (2.0 - contact)
        x = 0.5 - 0.5 * np.cos(np.pi * np.clip((t - lift_off) / (landing - lift_off), 0, 1))
        a, b = spots[min(before, last)], spots[min(after, last)]
        now = t > lift_off
        track[now] = a + x[now, None] * (b - a)
        track[now, 1] += lift_m * np.sin(np.pi * x[now]) ** 2
    return track


def _step_along(
    places_m: Float[Array, "K 2"],
    headings_deg: Float[Array, "K"],
    steps_per_s: float,
    *,
    contact: float,
    lift_m: float,
    fps: float,
    first: int = RIGHT,
) -> BodyMotion:
    """Stepping over given pelvis places (x, z) and headings: place 0 is the start, foot falls alternate from 1 on.

    `contact` is how long a foot stays down, in step periods: above 1 is walking (both feet down at times), below 1
    running (neither). The last place gets both feet. Standing feet do not move at all.
    """
    period = 1.0 / steps_per_s
    count = len(places_m) - 1
    frames = round((count + 1.9) * period * fps)
    m = neutral(frames, fps)
    t = np.arange(frames) / fps / period - 0.9  # in step periods; foot fall k is loaded at t = k
    ankle = m.ankle_m.copy()
    for foot in (LEFT, RIGHT):
        falls = [k for k in range(1, count + 1) if (k % 2 == 1) == (foot == first)]
        if not falls or falls[-1] != count:
            falls.append(count + 1)  # the closing step beside the other foot
        ankle[:, foot] = _foot_track(t, falls, _foot_places(foot, places_m, headings_deg), contact, lift_m)
    root = m.root_m.copy()
    blur = 0.35 * period * fps
    # The body passes place k as foot fall k is loaded.
    k_at = gaussian_filter1d(np.clip(t, 0.0, count), blur, mode="nearest")
    index = np.arange(count + 1)
    root[:, 0] = np.interp(k_at, index, places_m[:, 0])
    root[:, 2] = np.interp(k_at, index, places_m[:, 1])
    heading = np.interp(k_at, index, headings_deg)
    return replace(m, root_m=_reachable(root, ankle, heading, blur), heading_deg=heading, ankle_m=ankle)


def _reachable(
    root: Float[Array, "T 3"], ankle: Float[Array, "T 2 3"], heading_deg: Float[Array, "T"], blur: float
) -> Float[Array, "T 3"]:
    """The pelvis lowered so that each grounded leg reaches its foot; gives walking its natural bob."""
    rad = np.radians(heading_deg)
    height = np.full(len(root), np.inf)
    for foot in (LEFT, RIGHT):
        hip = root[:, [0, 2]] + OUTWARD[foot] * SHAPE.hip_half_width * np.stack([np.cos(rad), -np.sin(rad)], 1)
        away = np.minimum(np.linalg.norm(ankle[:, foot][:, [0, 2]] - hip, axis=1), 0.6 * SHAPE.leg)
        reach = np.sqrt((0.995 * SHAPE.leg) ** 2 - away**2) + SHAPE.ankle_height + SHAPE.hip_drop
        grounded = ankle[:, foot, 1] < SHAPE.ankle_height + 0.01
        height = np.minimum(height, np.where(grounded, reach, np.inf))
    height = np.where(np.isfinite(height), height, SHAPE.pelvis_height)
    out = root.copy()
    # Lowest of the neighbourhood first, so that the smoothing does not lift the pelvis out of reach again.
    height = minimum_filter1d(height, 2 * round(blur) + 1, mode="nearest")
    out[:, 1] = gaussian_filter1d(height, max(blur / 2, 0.1), mode="nearest")
    return out


def _swing_arms(m: BodyMotion, swing_deg: float, elbow_deg: float) -> BodyMotion:
    """Arms swinging against the legs: each arm goes forward with the opposite foot."""
    rad = np.radians(m.heading_deg)
    fore = [(m.ankle_m[:, i, 0] - m.root_m[:, 0]) * np.sin(rad) for i in (LEFT, RIGHT)]
    fore = [f + (m.ankle_m[:, i, 2] - m.root_m[:, 2]) * np.cos(rad) for i, f in enumerate(fore)]
    difference = gaussian_filter1d(fore[RIGHT] - fore[LEFT], 0.05 * m.fps, mode="nearest")
    largest = max(float(np.abs(difference).max()), 1e-6)
    started = np.clip(np.abs(np.gradient(m.root_m[:, 2], 1 / m.fps)), 0, 0.3) / 0.3
    started = gaussian_filter1d(started, 0.15 * m.fps, mode="nearest")
    arms = m.arm_deg.copy()
    arms[:, LEFT, 0] += swing_deg * difference / largest
    arms[:, RIGHT, 0] -= swing_deg * difference / largest
    arms[:, :, 2] += elbow_deg * started[:, None]
    return replace(m, arm_deg=arms)


def walk(
    steps: int = 8,
    *,
    step_m: float = 0.65,
    steps_per_s: float = 1.8,
    direction: Literal["forwards", "backwards", "left", "right", "in place"] = "forwards",
    turn_deg: float = 0.0,
    fps: float = 30.0,
) -> BodyMotion:
    """`steps` steps of `step_m` in a direction of the body's own, plus a closing step; travels steps x step_m.

    With `turn_deg` the path bends by that much in all, to the left where positive.
    """
    ahead, aside = {"forwards": (1, 0), "backwards": (-1, 0), "left": (0, 1), "right": (0, -1), "in place": (0, 0)}[
        direction
    ]
    headings = np.linspace(0.0, turn_deg, steps + 1)
    rad = np.radians(headings[:-1] + np.diff(headings) / 2)
    stride = step_m * np.stack(
        [ahead * np.sin(rad) + aside * np.cos(rad), ahead * np.cos(rad) - aside * np.sin(rad)], 1
    )
    places = np.concatenate([np.zeros((1, 2)), np.cumsum(stride, axis=0)])
    lift = 0.18 if direction == "in place" else 0.10
    m = _step_along(places, headings, steps_per_s, contact=1.25, lift_m=lift, fps=fps)
    name = {"left": "sideways to the left", "right": "sideways to the right"}.get(direction, direction)
    return labelled(_swing_arms(m, 22.0, 5.0), f"walking {name}", "left_ankle", "right_ankle")


def run(steps: int = 10, *, step_m: float = 1.1, steps_per_s: float = 2.8, fps: float = 30.0) -> BodyMotion:
    """`steps` running steps with a flight phase in each; travels steps x step_m forwards."""
    places = np.stack([np.zeros(steps + 1), step_m * np.arange(steps + 1)], 1)
    m = _step_along(places, np.zeros(steps + 1), steps_per_s, contact=0.7, lift_m=0.32, fps=fps)
    return labelled(_swing_arms(m, 35.0, 75.0), "running", "left_ankle", "right_ankle")


def turn(angle_deg: float = 90.0, *, duration_s: float = 1.5, fps: float = 30.0) -> BodyMotion:
    """Turning on the spot in small steps; positive is to the left."""
    steps = max(2, round(duration_s * 2) - 2)
    headings = np.linspace(0.0, angle_deg, steps + 1)
    m = _step_along(np.zeros((steps + 1, 2)), headings, (steps + 2) / duration_s, contact=1.2, lift_m=0.06, fps=fps)
    return labelled(m, f"turning {'left' if angle_deg > 0 else 'right'}")

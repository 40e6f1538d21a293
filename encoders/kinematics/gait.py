"""Steps, walking and running, feet on the floor, and jumps.

A step is one extreme of the fore-aft (or sideways) distance between the two ankles, or, for stepping on the spot, of
the difference between the knee angles: one knee bends in each swing. Three or more that alternate between left and
right at a walker's rhythm are a bout of gait; a lunge or a kick goes out and back on one side and is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import percentile_filter
from scipy.signal import find_peaks

from motionqa.data.schema import Segment
from motionqa.encoders.kinematics.body import Body, filled, runs
from motionqa.encoders.kinematics.trajectory import body_velocity

Array = np.ndarray
SIDES = ("left", "right")


@dataclass(frozen=True)
class Bout:
    """A stretch of stepping."""

    first: int
    last: int
    steps: tuple[int, ...]
    """Frames of the steps."""
    steps_per_s: float
    speed: float
    """Mean horizontal speed, leg lengths a second; 0 where travel is unknown."""
    swing_knee_deg: float
    """How far the knees bend in swing."""
    running: bool


@dataclass(frozen=True, eq=False)
class Feet:
    """Heights of both feet above the floor and when they stand on it."""

    height: Float[Array, "2 T"]
    """Lowest point of each foot above the local floor, leg lengths; NaN where not seen."""
    down: Bool[Array, "2 T"]
    judged: bool
    """False where the feet were mostly out of view."""

    @cached_property
    def lowest(self) -> Float[Array, "T"]:
        """Height of the lower foot."""
        return np.fmin(self.height[0], self.height[1])


def _alternations(body: Body, knees_deg: Float[Array, "2 T"]) -> dict[str, tuple[Array, float]]:
    """Left-minus-right signals and the least change between steps: ankles forwards and sideways, knee angles."""
    left, _, fore = (filled(x) / body.leg_m for x in body.relative("left_ankle", "right_ankle").T)
    knees = filled(knees_deg[0]) - filled(knees_deg[1])
    config = body.config
    return {
        "fore": (fore, config.step_fore),
        "knees": (knees, config.step_knee_deg),
        "side": (left - np.median(left), config.step_fore),
    }


def _on_the_spot(body: Body, steps: list[int], travel: float) -> bool:
    """Whether knees bending in turn are stepping on the spot, not a lunge: at least four, standing tall, no travel."""
    during = slice(steps[0], steps[-1] + 1)
    drop = np.nanmedian(np.append(pelvis_drop(body)[during], 0.0))
    return len(steps) >= 4 and travel < 1.6 * body.config.travel_speed and bool(drop < body.config.low_drop)


def pelvis_drop(body: Body) -> Float[Array, "T"]:
    """How much lower the hips are over the supporting ankle than with a straight leg, in leg lengths; 0 standing."""
    heights = [(body[f"{s}_hip"] - body[f"{s}_ankle"])[:, 1] for s in SIDES]
    return 1.0 - np.fmax(*heights) / body.leg_m


def _extremes(x: Float[Array, "T"], prominence: float, closest: int) -> list[int]:
    """Frames of alternating highs and lows, each standing out by `prominence`; of equal kinds the strongest."""
    kinds: list[tuple[int, int]] = []
    for sign in (1, -1):
        kinds += [(int(i), sign) for i in find_peaks(sign * x, prominence=prominence, distance=max(closest, 1))[0]]
    out: list[tuple[int, int]] = []
    for frame, sign in sorted(kinds):
        if out and out[-1][1] == sign:
            if sign * x[frame] > sign * x[out[-1][0]]:
                out[-1] = (frame, sign)
        else:
            out.append((frame, sign))
    return [frame for frame, _ in out]


def _rhythms(x: Float[Array, "T"], least: float, body: Body) -> list[list[int]]:
    """Groups of steps that follow each other at a walker's rhythm, on the left and right in turn."""
    groups: list[list[int]] = []
    for frame in _extremes(x, least, round(body.config.step_min_s * body.fps)):
        gap = (frame - groups[-1][-1]) / body.fps if groups else np.inf
        other_side = bool(groups) and x[frame] * x[groups[-1][-1]] < 0
        if gap <= body.config.step_max_s and other_side:
            groups[-1].append(frame)
        else:
            groups.append([frame])
    steady = []
    for group in groups:
        gaps = np.diff(group) / body.fps
        reach = [np.median(np.abs(x[group[i::2]])) for i in (0, 1)] if len(group) > 1 else [0.0, 1.0]
        balanced = min(reach) >= 0.3 * max(reach)
        if len(group) >= body.config.min_steps and np.median(gaps) >= body.config.step_min_s and balanced:
            steady.append(group)
    return steady


def bouts(body: Body, knees_deg: Float[Array, "2 T"]) -> tuple[Bout, ...]:
    """Every stretch of walking or running, in order; none where the ankles were not seen half the time."""
    if min(body.seen("left_ankle"), body.seen("right_ankle")) < 0.5 or len(body) < 5:
        return ()
    groups: list[list[int]] = []
    velocity = np.hypot(*body_velocity(body).T) / body.leg_m
    for name, (signal, least) in _alternations(body, knees_deg).items():
        for group in _rhythms(signal, least, body):
            travel = float(np.mean(velocity[group[0] : group[-1] + 1]))
            # Feet that go apart and together on the spot are jumping jacks, not steps.
            if (name == "knees" and not _on_the_spot(body, group, travel)) or (
                name == "side" and travel < body.config.travel_speed
            ):
                continue
            if not any(group[0] <= g[-1] and g[0] <= group[-1] for g in groups):
                groups.append(group)
    return tuple(_bout(body, sorted(g), knees_deg, velocity) for g in sorted(groups))


def _bout(body: Body, steps: list[int], knees_deg: Array, velocity: Array) -> Bout:
    """One bout from its steps, reaching most of a step beyond the first and last."""
    interval = (steps[-1] - steps[0]) / (len(steps) - 1)
    first = max(0, round(steps[0] - 0.8 * interval))
    last = min(len(body) - 1, round(steps[-1] + 0.8 * interval))
    speed = float(velocity[steps[0] : steps[-1] + 1].mean())
    rate = body.fps / interval
    swing = float(np.nanpercentile(np.append(knees_deg[:, first : last + 1], 0.0), 95))
    config = body.config
    quick = rate > config.run_steps_per_s and swing > config.run_knee_deg
    running = speed > config.run_speed or quick or rate > config.jog_steps_per_s
    return Bout(first, last, tuple(steps), float(rate), speed, swing, running)


def feet(body: Body) -> Feet:
    """Foot heights above the floor nearby and contacts.

    The floor is taken from the lowest foot within two seconds, so that stairs, sloping cameras and floating captures
    do no harm. Heel, ankle and toe are each compared with their own standing height.
    """
    config = body.config
    frames = len(body)
    judged = min(body.seen("left_ankle"), body.seen("right_ankle")) >= 0.5
    heights = np.full((2, frames), np.nan)
    window = min(frames, body.frames(4.0) | 1)
    for point in ("ankle", "heel", "toe"):
        names = [f"{s}_{point}" for s in SIDES]
        if not all(n in body.joints and body.seen(n) > 0.3 for n in names):
            continue
        y = np.stack([filled(body[n][:, 1]) for n in names]) / body.leg_m
        y = y - _floor_slope(body, names, y)
        floor = percentile_filter(y.min(axis=0), 8, size=window, mode="nearest") if frames > 2 else y.min(axis=0)
        heights = np.fmin(heights, y - floor)
    slow = np.zeros((2, frames), dtype=bool)
    for i, side in enumerate(SIDES):
        speeds = [
            body.speed(body[f"{side}_{p}"]) / body.leg_m for p in ("ankle", "toe") if f"{side}_{p}" in body.joints
        ]
        slow[i] = np.nan_to_num(np.minimum.reduce(speeds), nan=np.inf) < config.contact_speed
    down = (heights < config.contact_height) & (slow | (body.pose.root_motion == "none"))
    return Feet(heights, down & judged, judged)


def _floor_slope(body: Body, names: list[str], y: Float[Array, "2 T"]) -> Float[Array, "2 T"]:
    """Rise of the floor at each foot's place as a tilted camera sees it, leg lengths; 0 for motion capture.

    A plane through the places where feet rest, drawn towards level where they rest in one place only.
    """
    if not body.pose.camera or body.pose.planar:
        return np.zeros_like(y)
    places = np.stack([np.stack([filled(body[n][:, i]) for n in names]) for i in (0, 2)], axis=-1) / body.leg_m
    resting = np.stack([body.speed(body[n]) / body.leg_m < 0.35 for n in names])
    if resting.sum() < 5:
        return np.zeros_like(y)
    center = places[resting].mean(axis=0)
    away = places[resting] - center
    rise = y[resting] - y[resting].mean()
    # Ridge term: resting places must spread by about 0.15 leg before they say anything about the slope.
    slope = np.linalg.solve(away.T @ away + 0.02 * len(away) * np.eye(2), away.T @ rise)
    return (places - center) @ np.clip(slope, -0.35, 0.35)


def contacts(body: Body, standing: Feet) -> tuple[Segment, ...]:
    """When each foot stands on the floor; blips shorter than 0.08 s are dropped."""
    if not standing.judged:
        return ()
    out = []
    for i, side in enumerate(SIDES):
        for a, b in runs(_closed(standing.down[i], body.frames(0.07))):
            if (b - a + 1) / body.fps >= 0.08 or len(body) < 4:
                out.append(
                    Segment(
                        f"{side} foot on the floor", float(body.times_s[a]), float(body.times_s[b]), (f"{side}_ankle",)
                    )
                )
    return tuple(sorted(out, key=lambda s: s.start_s))


def _closed(mask: Bool[Array, "T"], frames: int) -> Bool[Array, "T"]:
    """The mask with holes of up to `frames` filled."""
    out = mask.copy()
    for a, b in runs(~mask):
        if a > 0 and b < len(mask) - 1 and b - a + 1 <= frames:
            out[a : b + 1] = True
    return out


def flights(body: Body, standing: Feet, gait: tuple[Bout, ...]) -> tuple[tuple[int, int], ...]:
    """First and last frame of each jump's flight: both feet up together and the pelvis thrown up with them.

    Running flight is left out by its rhythm. Needs a pelvis whose height is known.
    """
    if body.pose.root_motion == "none" or not standing.judged or len(body) < 5:
        return ()
    config = body.config
    noisy = 1.6 if body.pose.root_motion == "estimated" or body.pose.camera else 1.0
    pelvis = filled(body["pelvis"][:, 1]) / body.leg_m
    grounded = standing.down.any(axis=0)
    if not grounded.any():
        return ()
    standing_height = float(np.percentile(pelvis[grounded], 75))
    fore = filled(body.relative("left_ankle", "right_ankle")[:, 2]) / body.leg_m
    speed = np.hypot(*body_velocity(body).T) / body.leg_m
    found = []
    for a, b in runs(standing.lowest > config.flight_height * noisy):
        seconds = (b - a + 1) / body.fps
        in_gait = any(g.first <= a and b <= g.last and g.speed > config.travel_speed for g in gait)
        top = pelvis[a : b + 1].max()
        # Thrown up and falling again: above standing height, and above where the flight begins and ends.
        thrown = top - standing_height > config.flight_height * noisy and top - max(pelvis[a], pelvis[b]) > 0.025
        whole = a > 0 and b < len(body) - 1
        # In a running stride the legs are split and the body travels; in a jump the feet fly together.
        split = abs(fore[(a + b) // 2]) > 0.35 and speed[(a + b) // 2] > 1.5
        upright = body.trunk[(a + b) // 2, 1] > 0.5 or body.trunk[a, 1] > 0.5
        striding = in_gait or split
        if config.flight_min_s <= seconds <= 1.2 and thrown and whole and upright and not striding:
            found.append((a, b))
    return tuple(found)

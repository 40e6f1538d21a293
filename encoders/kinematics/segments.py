"""The movement in words over time: an honest first recogniser of documented rules on measured quantities.

`recognise` returns plain lower-case names such as "walking forwards", "squatting", "raising the right arm", with the
joints that show them. Whole-body segments come from here, arms from `arm_segments`. Where no rule fits, movement is
named by body part ("moving the right arm"). Segments of different body parts may overlap in time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.signal import find_peaks

from motionqa.data.schema import Segment
from motionqa.encoders.kinematics.arm_segments import arm_segments
from motionqa.encoders.kinematics.body import low_pass, runs
from motionqa.encoders.kinematics.measures import SIDES, Measures, segment
from motionqa.encoders.kinematics.posture_segments import floor, low_postures, on_floor, widened
from motionqa.encoders.kinematics.trajectory import body_velocity

Array = np.ndarray
ANKLES = ("left_ankle", "right_ankle")
WRISTS = ("left_wrist", "right_wrist")


def recognise(m: Measures) -> tuple[Segment, ...]:
    """Every named stretch of movement, ordered by start; empty where nothing could be judged."""
    if not m.moving:
        return ()
    found = [*_locomotion(m), *_turning(m), *_jumping(m), *low_postures(m), *floor(m), *_leaning(m), *_legs(m)]
    found += arm_segments(m)
    found = _without_parts(found, list(_jumping_jacks(m)))
    found += _still(m, found)
    return tuple(sorted(found, key=lambda s: (s.start_s, -s.end_s)))


def _jumping_jacks(m: Measures) -> Iterator[Segment]:
    """Feet going apart and together at least twice, the arms going up and down with them."""
    if not m.feet.judged:
        return
    apart = low_pass(m.apart[1], m.fps, 4.0)
    arms = (m.wrist_height("left") + m.wrist_height("right")) / 2
    wide = find_peaks(apart, prominence=0.3)[0]
    if len(wide) < 2 or np.ptp(arms) < 1.0 or np.ptp(apart) < 0.3 or m.trajectory.path_m > 1.5 * m.body.leg_m:
        return
    if float(np.corrcoef(apart, arms)[0, 1]) < 0.6:
        return
    half = max(1, int(np.median(np.diff(wide))) // 2)
    yield segment(m, "doing jumping jacks", int(wide[0]) - half, int(wide[-1]) + half, *WRISTS, *ANKLES)


def _without_parts(found: list[Segment], wholes: list[Segment]) -> list[Segment]:
    """The segments with those left out that are only part of a larger named exercise."""
    part_of = ("raising", "lowering", "holding", "jumping", "waving", "moving", "walking in", "running in", "bringing")
    inside = [
        s
        for s in found
        if s.name.startswith((*part_of, "clapping", "punching", "pushing", "straightening", "standing on"))
        and any(min(s.end_s, w.end_s) - max(s.start_s, w.start_s) > 0.5 * (s.end_s - s.start_s) for w in wholes)
    ]
    return [s for s in found if s not in inside] + wholes


def _locomotion(m: Measures) -> Iterator[Segment]:
    """Walking and running, split where the direction in the body's own frame changes for a second or more."""
    covered = m.in_gait.copy()
    for bout in m.gait:
        verb = "running" if bout.running else "walking"
        start, end = bout.first, bout.last
        # The first and last half steps show no extreme of their own, but they carry the person along.
        reach = m.body.frames(1.0 / bout.steps_per_s)
        while start > max(0, bout.first - reach) and m.travelling[start - 1]:
            start -= 1
        while end < min(len(m.body) - 1, bout.last + reach) and m.travelling[end + 1]:
            end += 1
        covered[start : end + 1] = True
        if m.body.pose.root_motion == "none" or m.body.pose.planar:
            yield segment(m, verb, start, end, *ANKLES)
        elif bout.speed < m.config.travel_speed:
            yield segment(m, f"{verb} in place", start, end, *ANKLES)
        else:
            for first, last, direction in _directions(m, start, end):
                yield segment(m, f"{verb} {direction}", first, last, *ANKLES)
    for a, b in runs(m.travelling & ~covered):
        if (b - a + 1) / m.fps < 0.5:
            continue
        # No steps were seen (feet out of view, or a clip of one step): only the travel is certain.
        fast = float(np.mean(m.trajectory.speed_m_s[a : b + 1])) / m.body.leg_m > m.config.run_speed
        for first, last, direction in _directions(m, a, b):
            yield segment(m, f"{'running' if fast else 'moving'} {direction}", first, last, "pelvis")


DIRECTIONS = ("forwards", "sideways to the left", "backwards", "sideways to the right")


def _directions(m: Measures, start: int, end: int) -> list[tuple[int, int, str]]:
    """Frames and direction of travel between two frames; quarters of the compass around the heading."""
    velocity = low_pass(body_velocity(m.body), m.fps, 0.6)[start : end + 1]
    quarter = np.round(np.degrees(np.arctan2(velocity[:, 1], velocity[:, 0])) / 90).astype(int) % 4
    overall = velocity.mean(axis=0)
    main = int(np.round(np.degrees(np.arctan2(overall[1], overall[0])) / 90)) % 4
    # Slow moments (starting, turning on the spot) have no direction of their own.
    quarter[np.hypot(*velocity.T) < 0.6 * m.config.travel_speed * m.body.leg_m] = main
    for a, b in [r for q in range(4) for r in runs(quarter == q)]:
        if (b - a + 1) / m.fps < 1.0:
            quarter[a : b + 1] = main
    pieces = [(a, b, q) for q in range(4) for a, b in runs(quarter == q)]
    return [(start + a, start + b, DIRECTIONS[q]) for a, b, q in sorted(pieces)]


def _turning(m: Measures) -> Iterator[Segment]:
    for turn in m.turns:
        side = "left" if turn.degrees > 0 else "right"
        name = f"turning {side}" if turn.steps else f"twisting the body to the {side}"
        yield segment(m, name, turn.first, turn.last, "pelvis", "thorax")


def _jumping(m: Measures) -> Iterator[Segment]:
    """Jumps from the crouch before to the landing after; jumps close together are one segment."""
    margin = m.body.frames(0.3)
    spans: list[list[int]] = []
    for a, b in m.flights:
        if spans and a - spans[-1][1] <= 3 * margin:
            spans[-1][1] = b + margin
        else:
            spans.append([a - margin, b + margin])
    for first, last in spans:
        yield segment(m, "jumping", first, last, *ANKLES)


def _leaning(m: Measures) -> Iterator[Segment]:
    """Bending forward, backward and sideways by the trunk's lean against the vertical."""
    grounded = on_floor(m)
    lean, aside = m.angle("trunk_lean_forward"), m.angle("trunk_lean_left")
    upright = float(np.percentile(lean, 20)) if len(lean) else 0.0
    limit = np.where(m.drop > m.config.low_drop, 55.0, max(m.config.lean_deg, upright + 20))
    rules = (
        ("bending forward", lean, (lean > limit) & (lean < 160)),
        ("leaning backward", -lean, (lean < -m.config.side_lean_deg) & (lean > -100) & (m.drop < m.config.low_drop)),
        ("leaning to the left", aside, aside > m.config.side_lean_deg),
        ("leaning to the right", -aside, aside < -m.config.side_lean_deg),
    )
    for name, signal, mask in rules:
        for a, b in runs(mask & ~grounded & (m.trunk_up > -30)):
            if (b - a + 1) / m.fps >= 0.2:
                yield segment(m, name, *widened(signal, a, b), "thorax", "pelvis")


def _legs(m: Measures) -> Iterator[Segment]:
    """Kicks, raised legs and standing on one leg, outside gait and jumps."""
    if not m.feet.judged:
        return
    grounded = on_floor(m)
    free = ~m.in_gait & ~m.in_flight & ~grounded
    for i, side in enumerate(SIDES):
        height, other = m.feet.height[i], m.feet.height[1 - i]
        standing = np.nan_to_num(other, nan=9.0) < m.config.contact_height + 0.03
        least = np.where(m.travelling | m.in_long_run, 0.8, 0.5)
        kicked = (np.nan_to_num(height, nan=0.0) > least) & (m.angle(f"{side}_knee_flexion") < 60) & ~grounded
        # Heels swing up behind a runner; a kick goes forwards or sideways.
        kicked &= np.nan_to_num(m.body.relative(f"{side}_ankle", "pelvis")[:, 2]) > -0.1 * m.body.leg_m
        up = (np.nan_to_num(height, nan=0.0) > m.config.stance_lift) & ((standing & free) | kicked)
        speed = m.body.speed(m.body[f"{side}_ankle"]) / m.body.leg_m
        for a, b in runs(up):
            peak = float(np.nanmax(height[a : b + 1]))
            fast = float(np.nan_to_num(speed[a : b + 1]).max())
            tall = float(np.median(m.drop[a : b + 1])) < m.config.low_drop
            cut_off = a == 0 or b == len(m.body) - 1  # at the edge of the clip a stride looks like a kick
            if peak > m.config.leg_raise and (b - a + 1) / m.fps >= 0.12 and tall and not cut_off:
                verb = "kicking with" if fast > m.config.kick_speed else "raising"
                yield segment(m, f"{verb} the {side} leg", a, b, f"{side}_ankle", f"{side}_knee")
            if (b - a + 1) / m.fps >= m.config.stance_min_s and tall and standing[a : b + 1].mean() > 0.8:
                yield segment(m, f"standing on the {SIDES[1 - i]} leg", a, b, f"{SIDES[1 - i]}_ankle")


def _still(m: Measures, found: list[Segment]) -> Iterator[Segment]:
    """Stretches without movement that no posture already names."""
    busy = np.zeros(len(m.body), dtype=bool)
    for s in found:
        busy |= (m.body.times_s >= s.start_s) & (m.body.times_s <= s.end_s)
    still = (m.joint_speed < m.config.still_speed) & ~busy
    whole = m.feet.judged and all(m.body.seen(w) >= 0.5 for w in WRISTS)
    name = "standing still" if whole else "keeping still"
    for a, b in runs(still):
        if (b - a + 1) / m.fps >= m.config.still_min_s:
            yield segment(m, name, a, b, "pelvis")

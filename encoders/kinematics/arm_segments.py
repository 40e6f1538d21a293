"""What the arms do, in words: raising, lowering, holding up, waving, bending, punching, clapping, crossing.

Rules work on the wrist's height relative to the shoulder in arm lengths (hanging -1, level 0, overhead 1) and on the
hand's place relative to the shoulder in the body's own left, up and forward directions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float
from scipy.signal import find_peaks

from motionqa.data.schema import Segment
from motionqa.encoders.kinematics.body import filled, low_pass, runs
from motionqa.encoders.kinematics.measures import SIDES, Measures, segment

Array = np.ndarray
TOUCH = 0.28
"""Wrists this close, in arm lengths (15 cm), have brought the hands together."""


def turning_points(x: Float[Array, "T"], prominence: float) -> list[int]:
    """Both ends and every high and low that stands out by `prominence`, in order."""
    peaks = [find_peaks(sign * x, prominence=prominence)[0] for sign in (1, -1)]
    return sorted({0, len(x) - 1, *(int(i) for p in peaks for i in p)})


def strokes(x: Float[Array, "T"], least: float) -> list[tuple[int, int]]:
    """Frames of each one-way change by `least` or more, trimmed to its middle 90 percent."""
    out = []
    points = turning_points(x, least)
    for a, b in pairwise(points):
        change = x[b] - x[a]
        if abs(change) < least:
            continue
        part = (x[a : b + 1] - x[a]) / change
        # Last moment before leaving and first after arriving, so that waiting is not part of the stroke.
        leave = a + int(np.flatnonzero(part <= 0.05)[-1]) if (part <= 0.05).any() else a
        later = np.flatnonzero((part >= 0.95) & (np.arange(a, b + 1) > leave))
        arrive = a + int(later[0]) if len(later) else b
        out.append((leave, arrive))
    return out


def arm_segments(m: Measures) -> list[Segment]:
    """Segments of both arms, with the same thing done by both at once said once."""
    both_seen = [s for s in SIDES if m.body.seen(f"{s}_wrist") >= 0.5 and m.body.seen(f"{s}_shoulder") >= 0.5]
    hands = _hands_together(m) if len(both_seen) == 2 else []
    per_side: dict[str, list[Segment]] = {}
    for side in both_seen:
        waves = list(_waving(m, side))
        punches = list(_punching(m, side))
        lifts = [s for s in _lifting(m, side) if not _mostly_inside(s, waves + punches)]
        found = [*waves, *punches, *_collapsed(lifts, side)]
        found += [s for s in [*_overhead(m, side), *_held(m, side, lifts)] if not _mostly_inside(s, waves)]
        per_side[side] = [*found, *_unnamed(m, side, [*found, *hands])]
    # Hands waved side by side over the shoulders come close as well; claps are made below.
    claps = [s for s in hands if s.name == "clapping"]
    for side, found in per_side.items():
        per_side[side] = [s for s in found if not (s.name.startswith("waving") and _mostly_inside(s, claps))]
    return _boxed(_paired(per_side)) + hands


def _boxed(found: list[Segment]) -> list[Segment]:
    """Three or more quick pushes of single hands, close together, said as punching."""
    single = [s for s in found if s.name in ("pushing the left hand forward", "pushing the right hand forward")]
    single.sort(key=lambda s: s.start_s)
    close = all(b.start_s - a.end_s < 1.5 for a, b in pairwise(single))
    sides = {s.name.split()[2] for s in single}
    if not close or len(single) < 2 or (len(single) < 3 and len(sides) < 2):
        return found
    renamed = {id(s): replace(s, name=f"punching with the {s.name.split()[2]} hand") for s in single}
    return [renamed.get(id(s), s) for s in found]


def _mostly_inside(s: Segment, others: list[Segment], part: float = 0.6) -> bool:
    shared = sum(max(0.0, min(s.end_s, o.end_s) - max(s.start_s, o.start_s)) for o in others)
    return shared > part * (s.end_s - s.start_s)


def _lifting(m: Measures, side: str) -> Iterator[Segment]:
    """Raising and lowering the arm, and bending and straightening the elbow under a still upper arm."""
    height = m.wrist_height(side)
    upper, elbow = m.angle(f"{side}_shoulder_elevation"), m.angle(f"{side}_elbow_flexion")
    for a, b in strokes(height, m.config.stroke):
        top = max(height[a], height[b])
        # Arms swing in walking and running; only a hand near the shoulder is raised on purpose.
        if top < (-0.1 if m.stepping[a : b + 1].mean() > 0.5 else m.config.raised):
            continue
        rises = height[b] > height[a]
        lifted, bent = np.ptp(upper[a : b + 1]), np.ptp(elbow[a : b + 1])
        if lifted < 25 and bent < 35:
            continue  # the trunk tips under a still arm
        if lifted < 35 and bent > 45:
            # A bent arm that then stays up is a raised hand; one that comes straight back has bent the elbow.
            stay = slice(b, b + m.body.frames(0.5)) if rises else slice(max(0, a - m.body.frames(0.5)), a + 1)
            held = np.ptp(height[stay]) < 0.15 and len(height[stay]) >= m.body.frames(0.4)
            if held:
                name = f"{'raising' if rises else 'lowering'} the {side} hand"
            else:
                name = f"{'bending' if rises else 'straightening'} the {side} elbow"
        else:
            name = f"{'raising' if rises else 'lowering'} the {side} arm"
        yield segment(m, name, a, b, f"{side}_wrist", f"{side}_elbow")


def _collapsed(lifts: list[Segment], side: str) -> list[Segment]:
    """Four or more strokes close together as one segment, so that repetitions do not flood the timeline."""
    groups: list[list[Segment]] = []
    for s in lifts:
        if groups and s.start_s - groups[-1][-1].end_s < 0.8:
            groups[-1].append(s)
        else:
            groups.append([s])
    out: list[Segment] = []
    for group in groups:
        if len(group) < 4:
            out += group
            continue
        elbow = sum("elbow" in s.name for s in group) > len(group) / 2
        name = f"bending and straightening the {side} elbow" if elbow else f"raising and lowering the {side} arm"
        out.append(replace(group[0], name=name, end_s=group[-1].end_s))
    return out


def _hand(m: Measures, side: str) -> Float[Array, "T 3"]:
    """Hand from shoulder: left, up, forward in arm lengths, gaps bridged."""
    v = m.body.relative(f"{side}_wrist", f"{side}_shoulder") / m.body.arm_m
    return np.stack([filled(v[:, i]) for i in range(3)], axis=1)


def _waving(m: Measures, side: str) -> Iterator[Segment]:
    for points in wave_points(m, side):
        half = (points[-1] - points[0]) // (2 * (len(points) - 1))
        yield segment(m, f"waving with the {side} hand", points[0] - half, points[-1] + half, f"{side}_wrist")


def wave_points(m: Measures, side: str) -> list[list[int]]:
    """Turning points of each wave: the raised hand going to and fro sideways, at most 0.8 s between them."""
    if m.body.seen(f"{side}_wrist") < 0.5:
        return []
    hand = _hand(m, side)
    above_elbow = filled((m.body[f"{side}_wrist"] - m.body[f"{side}_elbow"])[:, 1]) > 0
    up = above_elbow & (m.wrist_height(side) > -0.45)
    x = hand[:, 0]
    # A hand on its way up or down is not waving yet.
    climbing = np.abs(np.gradient(m.wrist_height(side), 1 / m.fps)) > 1.5
    points = [p for p in turning_points(x, m.config.wave_part)[1:-1] if not climbing[p]]
    groups: list[list[int]] = []
    for p in points:
        if not up[p]:
            continue
        if groups and (p - groups[-1][-1]) / m.fps <= 0.8 and up[groups[-1][-1] : p + 1].all():
            groups[-1].append(p)
        else:
            groups.append([p])
    return [g for g in groups if len(g) >= m.config.wave_min_halves]


def _punching(m: Measures, side: str) -> Iterator[Segment]:
    """The hand shooting forward, level or nearly, to almost arm's length: a push, punch, throw or quick reach."""
    hand = _hand(m, side)
    reach = low_pass(np.linalg.norm(hand, axis=1), m.fps, 6.0)
    rate = np.gradient(reach, 1 / m.fps)
    for a, b in runs(rate > 0.35 * m.config.reach_speed):
        end = hand[min(b, len(hand) - 1)]
        ahead = end[2] > 0.55 and end[1] > -0.55
        if rate[a : b + 1].max() > m.config.reach_speed and reach[b] > 0.85 and reach[b] - reach[a] > 0.25 and ahead:
            yield segment(m, f"pushing the {side} hand forward", a, b, f"{side}_wrist")


def _overhead(m: Measures, side: str) -> Iterator[Segment]:
    """The hand above the head for a third of a second or more."""
    over = np.nan_to_num(m.hand_over_head(side), nan=-1.0) > 0
    for a, b in runs(over & (m.trunk_up > 30)):
        if (b - a + 1) / m.fps >= 0.3:
            yield segment(m, f"holding the {side} hand above the head", a, b, f"{side}_wrist")


def _held(m: Measures, side: str, lifts: list[Segment]) -> Iterator[Segment]:
    """The raised arm kept still, below the head, between going up and coming down (or the end of the clip)."""
    for i, up in enumerate(lifts):
        if not up.name.startswith(("raising the", "raising both")) or " and " in up.name:
            continue
        until = lifts[i + 1].start_s if i + 1 < len(lifts) else float(m.body.times_s[-1])
        during = (m.body.times_s >= up.end_s) & (m.body.times_s <= until)
        over = np.nan_to_num(m.hand_over_head(side)[during], nan=-1.0) > 0
        calm = m.arm_speed(side)[during] < m.config.arm_moves_speed
        if until - up.end_s >= 0.5 and over.mean() < 0.3 and calm.mean() > 0.7:
            noun = "hand" if up.name.endswith("hand") else "arm"
            yield Segment(f"holding up the {side} {noun}", up.end_s, until, up.joints)


def _hands_together(m: Measures) -> list[Segment]:
    """Clapping (hands meet twice or more), bringing the hands together once, crossing the arms."""
    apart = np.stack([filled(x) for x in (m.body["left_wrist"] - m.body["right_wrist"]).T], axis=1)
    distance = low_pass(np.linalg.norm(apart, axis=1), m.fps, 6.0) / m.body.arm_m
    lateral = low_pass(filled(m.body.relative("left_wrist", "right_wrist")[:, 0]), m.fps, 6.0) / m.body.arm_m
    front = np.minimum(_hand(m, "left")[:, 2], _hand(m, "right")[:, 2]) > 0.15
    low = np.minimum(m.wrist_height("left"), m.wrist_height("right")) < 0.15
    out = []
    joints = ("left_wrist", "right_wrist")
    for a, b in runs((lateral < -0.22) & front):
        if (b - a + 1) / m.fps >= 0.15:
            out.append(segment(m, "crossing the arms", a, b, *joints))
    meets = [int(i) for i in find_peaks(-distance, prominence=0.3)[0] if distance[i] < TOUCH and front[i] and low[i]]
    meets = [i for i in meets if not any(s.start_s <= m.body.times_s[i] <= s.end_s for s in out)]
    groups: list[list[int]] = []
    for i in meets:
        if groups and (i - groups[-1][-1]) / m.fps < 1.5:
            groups[-1].append(i)
        else:
            groups.append([i])
    for group in groups:
        margin = m.body.frames(0.2)
        name = "clapping" if len(group) > 1 else "bringing the hands together"
        out.append(segment(m, name, group[0] - margin, group[-1] + margin, *joints))
    return out


def _unnamed(m: Measures, side: str, named: list[Segment]) -> Iterator[Segment]:
    """Clear arm movement that no rule names, outside gait, where arms swing anyway."""
    covered: Bool[Array, "T"] = m.stepping.copy()
    for s in named:
        if "holding" not in s.name:
            covered |= (m.body.times_s >= s.start_s - 0.15) & (m.body.times_s <= s.end_s + 0.15)
    moving = (m.arm_speed(side) > m.config.arm_moves_speed) & ~covered
    spans: list[tuple[int, int]] = []
    for a, b in runs(moving):
        if spans and a - spans[-1][1] <= m.body.frames(0.3):
            spans[-1] = (spans[-1][0], b)
        else:
            spans.append((a, b))
    hand = _hand(m, side)
    for a, b in spans:
        # A hand that only trembles or sways along goes nowhere.
        if (b - a + 1) / m.fps >= 0.3 and np.ptp(hand[a : b + 1], axis=0).max() > 0.4:
            yield segment(m, f"moving the {side} arm", a, b, f"{side}_wrist", f"{side}_elbow")


BOTH = {"arm": "both arms", "hand": "both hands", "elbow": "both elbows"}


def _paired(per_side: dict[str, list[Segment]]) -> list[Segment]:
    """Left and right doing the same for most of the time said as both; the rest as it is."""
    left, right = list(per_side.get("left", [])), list(per_side.get("right", []))
    out: list[Segment] = []
    for a in left:
        same = [b for b in right if _kind(b) == _kind(a) and _alike(a, b)]
        if not same:
            out.append(a)
            continue
        b = min(same, key=lambda s: abs(s.start_s - a.start_s))
        right.remove(b)
        # One arm lifted, the other only bent: said as of the one that does more.
        said = max(a, b, key=lambda s: ("arm" in s.name, "elbow" in s.name, s is a))
        side = "left" if said is a else "right"
        noun = next(n for n in BOTH if f"the {side} {n}" in said.name)
        name = said.name.replace(f"the {side} {noun}", BOTH[noun])
        out.append(Segment(name, min(a.start_s, b.start_s), max(a.end_s, b.end_s), a.joints + b.joints))
    return out + right


UPWARD = ("raising the", "bending the")
DOWNWARD = ("lowering the", "straightening the")


def _kind(s: Segment) -> str:
    """What a segment does, whichever side does it; lifting arm, hand or elbow are one kind."""
    for kind, names in (("up", UPWARD), ("down", DOWNWARD)):
        if s.name.startswith(names):
            return kind
    return s.name.replace("the left", "the").replace("the right", "the")


def _alike(a: Segment, b: Segment) -> bool:
    shared = min(a.end_s, b.end_s) - max(a.start_s, b.start_s)
    return shared > 0.5 * min(a.end_s - a.start_s, b.end_s - b.start_s) and abs(a.start_s - b.start_s) < 0.6

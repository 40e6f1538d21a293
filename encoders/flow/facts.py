"""What a person's flow says in words: where they go, what swings against it, and what moves while they stay.

The person's course and the parts' movement about it come from H-MoRe's split into world and local flow (arXiv
2504.10676, "World-Local Flow Estimation"); thresholds and wording are ours. Directions are those of the picture, left
and right of limbs the person's own. Nothing is said across a cut, nor where the body's height is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import median_filter

from motionqa.data.flow_field import FlowField
from motionqa.data.schema import Array, Fact
from motionqa.data.skeleton import H36M_17
from motionqa.encoders.kinematics.phrases import person, seconds, sentence, span, spans, times

UNIT = "body heights/s"


@dataclass(frozen=True)
class FlowFactConfig:
    """From when something is worth a sentence. Speeds in body heights a second; all ours."""

    course: float = 0.2
    """Slower courses are standing."""
    least_s: float = 0.3
    least_way: float = 0.15
    """Shorter ways, in body heights, are swaying."""
    swing: float = 0.3
    """Slower limbs are carried along."""
    swing_s: float = 0.6
    """In shorter courses swinging cannot be told."""
    opposed: float = -0.3
    """Correlation of the two sides below which they swing against each other."""
    part: float = 0.3
    """Below this no part is said to move most."""
    camera: float = 0.08
    """The background moving faster than this is a camera that moves."""
    seen: float = 0.6
    """Share of the pairs in which a joint's flow must be known."""


WAYS = {"right": (1.0, 0.0), "left": (-1.0, 0.0), "down": (0.0, 1.0), "up": (0.0, -1.0)}
WORDS = {"right": "to the right", "left": "to the left", "down": "down", "up": "up"}
LIMBS = {"arm": "wrist", "leg": "ankle"}
SWINGS = "swings to and fro"
PARTS = {
    "left hand": "left_wrist",
    "right hand": "right_wrist",
    "left foot": "left_ankle",
    "right foot": "right_ankle",
    "head": "head_top",
}


@dataclass(frozen=True, eq=False)
class _Course:
    """A stretch in which the person keeps going one way."""

    way: str
    pairs: Int[Array, "n"]
    start_s: float
    end_s: float
    speed: float
    camera_moves: bool

    @property
    def said(self) -> str:
        """The direction in words; before a moving camera it is the background that it is seen against."""
        word = WORDS[self.way]
        if self.camera_moves:
            return f"{word} against the background"
        return f"{word} of the picture" if word.startswith("to") else f"{word} in the picture"


def flow_facts(field: FlowField, config: FlowFactConfig = FlowFactConfig()) -> tuple[Fact, ...]:
    """Sentences from world and local flow, most salient first; none where there is nothing to say."""
    found = [*_cuts(field)]
    if np.isfinite(field.body_px).all() and field.known.any():
        courses = [c for stretch in _stretches(field) for c in _courses(field, stretch, config)]
        found += [*_going(courses), *_swinging(field, courses, config), *_parts(field, courses, config)]
    return tuple(sorted(found, key=lambda f: -f.salience))


def _stretches(field: FlowField) -> list[Int[Array, "n"]]:
    """Pairs with flow that follow one another within a shot."""
    known = np.flatnonzero(field.known)
    breaks = np.flatnonzero((np.diff(known) > 1) | (np.diff(field.shot[known]) != 0)) + 1
    return [part for part in np.split(known, breaks) if len(part)]


# ---------------------------------------------------------------------------------------------- courses


def _camera(field: FlowField, config: FlowFactConfig) -> Float[Array, "N 2"]:
    """How the background moves, body heights a second; 0 where the camera stands."""
    moved = field.camera_px_s / field.body_px[:, None]
    # A single pair may be a flash or a door; a camera moves for longer.
    speed = np.nan_to_num(np.linalg.norm(moved, axis=1))
    padded = np.pad(speed, 1, mode="edge")
    lasting = np.minimum(speed, np.maximum(padded[:-2], padded[2:]))
    return np.where((lasting >= config.camera)[:, None], np.nan_to_num(moved), 0.0)


def _courses(field: FlowField, stretch: Int[Array, "n"], config: FlowFactConfig) -> Iterator[_Course]:
    camera = _camera(field, config)[stretch]
    velocity = field.trend_px_s[stretch] / field.body_px[stretch, None] - camera
    velocity = median_filter(velocity, (3, 1), mode="nearest")  # keeps the ends of a course where they are
    speed = np.linalg.norm(velocity, axis=1)
    least = np.maximum(config.course, 2 * field.still_px_s[stretch] / field.body_px[stretch])
    across = np.abs(velocity[:, 0]) >= np.abs(velocity[:, 1])
    way = np.where(across, np.where(velocity[:, 0] > 0, "right", "left"), np.where(velocity[:, 1] > 0, "down", "up"))
    way = np.where(speed >= least, way, "")
    for k in range(1, len(way) - 1):  # one slow pair does not end a course
        if way[k] != way[k - 1] == way[k + 1]:
            way[k] = way[k - 1]
    edges = np.flatnonzero(np.concatenate([[True], way[1:] != way[:-1], [True]]))
    for a, b in zip(edges, edges[1:], strict=False):
        name = str(way[a])
        if not name:
            continue
        pairs = stretch[a:b]
        start_s, end_s = _ends(field, pairs)
        pace = float((velocity[a:b] @ np.array(WAYS[name])).mean())
        if end_s - start_s >= config.least_s and pace * (end_s - start_s) >= config.least_way:
            moving = bool((np.abs(camera[a:b]).sum(axis=1) > 0).mean() > 0.5)
            yield _Course(name, pairs, start_s, end_s, pace, moving)


def _ends(field: FlowField, pairs: Int[Array, "n"]) -> tuple[float, float]:
    return float(field.times_s[pairs[0]]), float(field.times_s[pairs[-1]] + field.gap_s[pairs[-1]])


def _going(courses: list[_Course]) -> Iterator[Fact]:
    """Where the person goes, one sentence a direction."""
    by_way: dict[str, list[_Course]] = {}
    for course in courses:
        by_way.setdefault(course.said, []).append(course)
    for said, group in by_way.items():
        lasting = np.array([c.end_s - c.start_s for c in group])
        pace = float(np.average([c.speed for c in group], weights=lasting))
        first, last = group[0].start_s, group[-1].end_s
        if len(group) == 1:
            text = f"moves {said} at {pace:.1f} {UNIT} {span(first, last)}"
        else:
            when = spans([(c.start_s, c.end_s) for c in group])
            text = f"moves {said} {times(len(group))} ({when}), at {pace:.1f} {UNIT} on average"
        if group[0].camera_moves:
            text += "; the camera moves too"
        way = float(sum(c.speed * s for c, s in zip(group, lasting, strict=True)))
        yield Fact(person(text), "travel", first, last, ("pelvis",), round(pace, 2), UNIT, 0.4 + 0.2 * min(way, 1.0))


# ---------------------------------------------------------------------------------------------- swinging


def _swinging(field: FlowField, courses: list[_Course], config: FlowFactConfig) -> Iterator[Fact]:
    """What arms and legs do relative to the course, each told for the longest course that shows it."""
    told: dict[str, Fact] = {}
    for course in sorted(courses, key=lambda c: c.start_s - c.end_s):
        if course.end_s - course.start_s < config.swing_s or len(course.pairs) < 4:
            continue
        for limb, joint in LIMBS.items():
            for what, peak, joints in _limb(field, course, limb, joint, config):
                told.setdefault(what, _swing_fact(course, what, peak, joints))
    yield from told.values()


def _limb(
    field: FlowField, course: _Course, limb: str, joint: str, config: FlowFactConfig
) -> Iterator[tuple[str, float, tuple[str, ...]]]:
    """What one kind of limb does, with its speed and joints: both sides together where they swing together."""
    along = {side: _along(field, course, f"{side}_{joint}", config) for side in ("left", "right")}
    doing = {side: _said_of(a, config) for side, a in along.items()}
    peaks = {side: 0.0 if a is None else _peak(a) for side, a in along.items()}
    left, right = along["left"], along["right"]
    if left is not None and right is not None and doing["left"] == doing["right"] == SWINGS:
        both = np.isfinite(left) & np.isfinite(right)
        alike = float(np.corrcoef(left[both], right[both])[0, 1]) if both.sum() >= 4 else 0.0
        how = "swing against each other" if alike < config.opposed else "swing to and fro"
        yield f"the {limb}s {how}", max(peaks.values()), (f"left_{joint}", f"right_{joint}")
        return
    for side, what in doing.items():
        if what:
            yield f"the {side} {limb} {what}", peaks[side], (f"{side}_{joint}",)


def _along(field: FlowField, course: _Course, joint: str, config: FlowFactConfig) -> Float[Array, "n"] | None:
    """A joint's local flow along the course, body heights a second; None where it is too often unknown."""
    local = field.joints_local_px_s[course.pairs, H36M_17.index(joint)] / field.body_px[course.pairs, None]
    along = local @ np.array(WAYS[course.way])
    return along if np.isfinite(along).mean() >= config.seen else None


def _said_of(along: Float[Array, "n"] | None, config: FlowFactConfig) -> str:
    if along is None:
        return ""
    back, ahead = -np.nanpercentile(along, 15), np.nanpercentile(along, 85)
    if back >= config.swing and ahead >= config.swing:
        return SWINGS
    if back >= config.swing:
        return "swings against it"
    return "moves ahead of it" if ahead >= config.swing else ""


def _peak(along: Float[Array, "n"]) -> float:
    return float(np.nanpercentile(np.abs(along), 90))


def _swing_fact(course: _Course, what: str, peak: float, joints: tuple[str, ...]) -> Fact:
    when = f"({seconds(course.start_s)}-{seconds(course.end_s)} s)"
    text = f"while moving {course.said} {when}, {what} ({peak:.1f} {UNIT} relative to the body)"
    return Fact(sentence(text), "part", course.start_s, course.end_s, joints, round(peak, 2), UNIT, 0.45)


# ------------------------------------------------------------------------------------------------- parts


def _parts(field: FlowField, courses: list[_Course], config: FlowFactConfig) -> Iterator[Fact]:
    """Which part moves most about the person's own course, and whether the body as a whole stays."""
    known = np.flatnonzero(field.known)
    speeds = {name: _speed(field, known, joint) for name, joint in PARTS.items()}
    speeds = {name: s for name, s in speeds.items() if np.isfinite(s).mean() >= config.seen}
    if not speeds or not len(known):
        return
    mean = {name: float(np.nanmean(s)) for name, s in speeds.items()}
    most = max(mean, key=lambda name: mean[name])
    peak = float(np.nanpercentile(speeds[most], 95))
    floor = 3 * float(np.median(field.still_px_s[known] / field.body_px[known]))
    if peak < max(config.part, floor):
        return
    who, verb, joints = _most(most, mean)
    start_s, end_s = _ends(field, known)
    at_s = float(field.times_s[known[int(np.nanargmax(speeds[most]))]])
    size = f"up to {peak:.1f} {UNIT}, fastest at {seconds(at_s)} s"
    if _stays(field, courses, config):
        text = f"The body as a whole stays in place; the {who} {verb} most ({size})."
        yield Fact(text, "travel", start_s, end_s, joints, round(peak, 2), UNIT, 0.5)
    else:
        text = f"Relative to the body, the {who} {verb} most ({size})."
        yield Fact(text, "part", start_s, end_s, joints, round(peak, 2), UNIT, 0.35)


def _speed(field: FlowField, known: Int[Array, "n"], joint: str) -> Float[Array, "n"]:
    local = field.joints_local_px_s[known, H36M_17.index(joint)]
    return np.linalg.norm(local, axis=1) / field.body_px[known]


def _most(most: str, mean: dict[str, float]) -> tuple[str, str, tuple[str, ...]]:
    """The part, or both sides of it where they move about equally."""
    side, _, part = most.rpartition(" ")
    other = f"{'left' if side == 'right' else 'right'} {part}"
    if side and mean.get(other, 0.0) >= 0.75 * mean[most]:
        return {"hand": "hands", "foot": "feet"}[part], "move", (PARTS[f"left {part}"], PARTS[f"right {part}"])
    return most, "moves", (PARTS[most],)


def _stays(field: FlowField, courses: list[_Course], config: FlowFactConfig) -> bool:
    """No course, before a camera that stands, without drifting slowly away."""
    known = field.known
    if courses or _camera(field, config)[known].any() or (field.gap_s[known]).sum() < 1.0:
        return False
    for stretch in _stretches(field):
        step = np.diff(np.append(field.times_s[stretch], _ends(field, stretch)[1]))
        way = np.cumsum(field.trend_px_s[stretch] / field.body_px[stretch, None] * step[:, None], axis=0)
        if np.linalg.norm(way, axis=1).max() >= config.least_way:
            return False
    return True


# -------------------------------------------------------------------------------------------------- cuts


def _cuts(field: FlowField) -> Iterator[Fact]:
    """That the film is cut, and where; flow is never taken across."""
    inside = field.cut
    moments = [float(t + g) for t, g in zip(field.times_s[inside], field.gap_s[inside], strict=True)]
    whole = np.flatnonzero(~inside)
    moments += [
        float(field.times_s[b])
        for a, b in zip(whole, whole[1:], strict=False)
        if field.shot[b] != field.shot[a] and b == a + 1
    ]
    if moments:
        moments.sort()
        when = ", ".join(seconds(t) for t in moments[:6]) + (" and later" if len(moments) > 6 else "")
        text = f"The film is cut {times(len(moments))}, at {when} s; flow is not taken across a cut."
        yield Fact(text, "view", moments[0], moments[-1], (), len(moments), "cuts", 0.4)

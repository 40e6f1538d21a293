"""Facts about sides, posture and angles: which part moves most, how far joints bend, how upright, how alike."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from motionqa.data.schema import Activity, Asymmetry, Fact, Segment
from motionqa.encoders.kinematics.body import runs
from motionqa.encoders.kinematics.measures import SIDES, Measures
from motionqa.encoders.kinematics.phrases import seconds, sentence, span, spans
from motionqa.encoders.kinematics.posture_segments import on_floor

Array = np.ndarray


def posture_facts(
    m: Measures, segments: tuple[Segment, ...], activity: tuple[Activity, ...], asymmetry: tuple[Asymmetry, ...]
) -> list[Fact]:
    """All of them, unordered."""
    found = [*_posture(m, segments), *_bends(m), *_trunk(m)]
    if m.moving:
        found += [*_busiest(m, segments, activity), *_overhead(m), *_alike(m, asymmetry)]
    return found


def _whole(m: Measures) -> tuple[float, float]:
    return float(m.body.times_s[0]), float(m.body.times_s[-1])


def _busiest(m: Measures, segments: tuple[Segment, ...], activity: tuple[Activity, ...]) -> Iterator[Fact]:
    """Which part moves most, which hardly, and when the fastest moment is."""
    if not activity:
        return
    ranked = list(activity)
    first, last = _whole(m)
    share = {a.part: a.share for a in activity}
    moving = [s for s in segments if not s.name.startswith(("standing still", "keeping still", "sitting", "lying"))]
    quiet = max(a.peak_speed_m_s for a in activity) < 0.5 * m.body.leg_m
    if not moving and quiet and float(np.median(m.joint_speed)) < m.config.still_speed:
        yield Fact("The person hardly moves at all.", "part", first, last, salience=0.7)
        return
    if max(a.peak_speed_m_s for a in activity) < 0.4 * m.body.leg_m:
        return  # too little to say which part moves more: noise would decide
    groups = {g: share.get(f"left {g}", 0) + share.get(f"right {g}", 0) for g in ("arm", "leg")}
    # The head goes along with a leaning trunk; it leads only where it clearly does.
    head_leads = ranked[0].part == "head" and len(ranked) > 1
    top = ranked[1] if head_leads and ranked[1].share > 0.6 * ranked[0].share else ranked[0]
    limb = top.part.split()[-1]
    other = share.get(top.part.replace("left", "\0").replace("right", "left").replace("\0", "right"), 0.0)
    if limb in groups and other > 0.6 * top.share:
        text = f"both {limb}s move most, the left and the right about equally"
        part_joints = tuple(f"{s}_{'wrist' if limb == 'arm' else 'ankle'}" for s in SIDES)
    else:
        text = f"the {top.part} moves most"
        if limb in groups and other < 0.3 * top.share:
            away = "left" if top.part.startswith("right") else "right"
            text += f"; the {away} {limb} {'hardly moves' if other < 0.15 * top.share else 'moves much less'}"
        part_joints = (_joint_of(top.part),)
    topic = "part" if len(part_joints) > 1 or limb not in groups else "side"
    yield Fact(sentence(text), topic, first, last, part_joints, round(top.share, 2), "share", 0.74)
    fastest = max(activity, key=lambda a: a.peak_speed_m_s)
    speed = f", {fastest.peak_speed_m_s:.1f} m/s" if m.body.pose.metric else ""
    text = f"the fastest movement is that of the {fastest.part}, at {seconds(fastest.peak_s)} s{speed}"
    joint = (_joint_of(fastest.part),)
    yield Fact(
        sentence(text), "speed", fastest.peak_s, fastest.peak_s, joint, round(fastest.peak_speed_m_s, 2), "m/s", 0.45
    )
    if all(f"{s} {p}" in share for s in SIDES for p in ("arm", "leg")):
        more, less = ("arms", "legs") if groups["arm"] > groups["leg"] else ("legs", "arms")
        ratio = min(groups.values()) / max(*groups.values(), 1e-9)
        text = f"the {more} move more than the {less}" if ratio < 0.7 else "arms and legs move about equally much"
        yield Fact(sentence(text), "part", first, last, salience=0.36)


def _joint_of(part: str) -> str:
    side, _, limb = part.rpartition(" ")
    return {"arm": f"{side}_wrist", "leg": f"{side}_ankle", "trunk": "thorax"}.get(limb, "head_top")


def _overhead(m: Measures) -> Iterator[Fact]:
    """When each hand is above the head, or that neither is."""
    first, last = _whole(m)
    ever = False
    seen = [s for s in SIDES if m.body.seen(f"{s}_wrist") > 0.5]
    least_s = 0.2 if m.body.pose.camera else 0.1  # a frame or two of one camera are noise
    for side in seen:
        over = (np.nan_to_num(m.hand_over_head(side), nan=-1.0) > 0) & (m.trunk_up > 30)
        t = m.body.times_s
        when = [(float(t[a]), float(t[b])) for a, b in runs(over) if (b - a + 1) / m.fps >= least_s - 1e-6]
        if when:
            ever = True
            place = span(*when[0]) if len(when) == 1 else f"at {spans(when, 4)}"
            text = f"The {side} hand is above the head {place}."
            yield Fact(text, "posture", when[0][0], when[-1][1], (f"{side}_wrist",), salience=0.55)
    if not ever and len(seen) == 2:
        yield Fact(
            "Neither hand goes above the head.", "posture", first, last, ("left_wrist", "right_wrist"), salience=0.3
        )


# Angle, what it does in words, least largest value worth a sentence, salience.
BENDS = (
    ("knee_flexion", "knee bends", 35.0, 0.44),
    ("elbow_flexion", "elbow bends", 60.0, 0.36),
    ("hip_flexion", "hip bends", 50.0, 0.34),
    ("shoulder_elevation", "shoulder opens", 50.0, 0.42),
)
ALIKE_DEG = 8.0
"""Bends that differ by less are said to be the same."""
FROM = {"shoulder_elevation": " from hanging"}


def _bends(m: Measures) -> Iterator[Fact]:
    """The largest bend of each joint and when; both sides in one sentence where alike; straight knees said."""
    for name, verb, least, salience in BENDS:
        top: dict[str, tuple[float, float]] = {}
        for side in SIDES:
            series = m.angles.get(f"{side}_{name}")
            if series is not None and np.isfinite(series.degrees).mean() >= 0.5:
                at = int(np.nanargmax(series.degrees))
                top[side] = float(series.degrees[at]), float(m.body.times_s[at])
        moved = {s: v for s, v in top.items() if v[0] >= least}
        joint = {"knee": "knee", "elbow": "elbow", "hip": "hip", "shoulder": "shoulder"}[name.partition("_")[0]]
        if len(moved) == 2 and abs(moved["left"][0] - moved["right"][0]) <= ALIKE_DEG:
            value, when = max(moved.values())
            plural = verb.replace(" bends", "s bend").replace(" opens", "s open")
            text = f"both {plural} up to {value:.0f} degrees{FROM.get(name, '')}, at {seconds(when)} s"
            joints = (f"left_{joint}", f"right_{joint}")
            yield Fact(sentence(text), "angle", when, when, joints, round(value, 1), "degrees", salience)
            continue
        for side, (value, when) in moved.items():
            text = f"the {side} {verb} up to {value:.0f} degrees{FROM.get(name, '')}, at {seconds(when)} s"
            yield Fact(sentence(text), "angle", when, when, (f"{side}_{joint}",), round(value, 1), "degrees", salience)
        if verb.endswith("bends") and moved and len(top) == 2 and abs(top["left"][0] - top["right"][0]) > ALIKE_DEG:
            yield _bends_more(joint, top, salience - 0.1)
        if name == "knee_flexion" and len(top) == 2 and not moved:
            value = max(v for v, _ in top.values())
            text = f"The knees stay nearly straight (at most {value:.0f} degrees)."
            yield Fact(text, "angle", *_whole(m), ("left_knee", "right_knee"), round(value, 1), "degrees", 0.34)


def _bends_more(joint: str, top: dict[str, tuple[float, float]], salience: float) -> Fact:
    """Which side bends further: small models do not compare two numbers in two sentences."""
    more, less = sorted(top, key=lambda side: -top[side][0])
    (degrees, when), (other, _) = top[more], top[less]
    text = f"The {more} {joint} bends more than the {less} one: {degrees:.0f} against {other:.0f} degrees."
    joints = (f"{more}_{joint}", f"{less}_{joint}")
    return Fact(text, "angle", when, when, joints, round(degrees, 1), "degrees", salience)


def _trunk(m: Measures) -> Iterator[Fact]:
    """How far the trunk leans and twists, or that it stays upright."""
    first, last = _whole(m)
    lean = m.angles.get("trunk_lean_forward")
    if lean is not None and np.isfinite(lean.degrees).any() and not on_floor(m).any():
        at = int(np.nanargmax(np.abs(lean.degrees)))
        value, when = float(lean.degrees[at]), float(m.body.times_s[at])
        if abs(value) <= 20:
            text = f"The back stays upright (leans at most {abs(value):.0f} degrees)."
            yield Fact(text, "posture", first, last, ("thorax", "pelvis"), round(value, 1), "degrees", 0.33)
        elif abs(value) < 120:
            way = "forwards" if value > 0 else "backwards"
            text = f"the back leans up to {abs(value):.0f} degrees {way}, at {seconds(when)} s"
            yield Fact(sentence(text), "angle", when, when, ("thorax", "pelvis"), round(value, 1), "degrees", 0.43)
    for name, verb, least in (("trunk_lean_left", "back leans", 15.0), ("trunk_twist_left", "upper body twists", 30.0)):
        series = m.angles.get(name)
        if series is None or not np.isfinite(series.degrees).any():
            continue
        at = int(np.nanargmax(np.abs(series.degrees)))
        value, when = float(series.degrees[at]), float(m.body.times_s[at])
        if least < abs(value) < 110:
            side = "left" if value > 0 else "right"
            text = f"the {verb} up to {abs(value):.0f} degrees to the {side}, at {seconds(when)} s"
            yield Fact(sentence(text), "angle", when, when, ("thorax",), round(value, 1), "degrees", 0.32)


def _posture(m: Measures, segments: tuple[Segment, ...]) -> Iterator[Fact]:
    """Standing, low or lying, over the clip."""
    first, last = _whole(m)
    if m.body.seen("pelvis") < 0.5 or m.body.seen("thorax") < 0.5:
        return
    upright = float(np.mean(m.trunk_up > 60))
    low = ("squatting", "lunging", "kneeling", "sitting", "lying", "on hands", "in a push-up", "upside down")
    low_seen = any(s.name.startswith(low) for s in segments)
    if (
        m.moving
        and m.feet.judged
        and upright > 0.95
        and not low_seen
        and not m.gait
        and not m.flights
        and float(np.mean(m.drop)) < 0.15
    ):
        yield Fact(
            "The person stays standing, upright, the whole time.", "posture", first, last, ("pelvis",), salience=0.38
        )
    elif not m.moving:
        yield from _frozen(m)


def _frozen(m: Measures) -> Iterator[Fact]:
    """Posture of one or two frames, in which movement cannot be judged."""
    first, last = _whole(m)
    trunk, low = float(np.median(m.trunk_up)), float(np.median(m.drop))
    if trunk < m.config.lying_deg:
        text = "The body is level or bent far over."
    elif m.feet.judged:
        text = "The person stands." if low < m.config.low_drop else "The person is in a low position, knees bent."
    else:
        text = "The back is upright."
    yield Fact(text, "posture", first, last, ("pelvis",), salience=0.9)


def _alike(m: Measures, asymmetry: tuple[Asymmetry, ...]) -> Iterator[Fact]:
    """Where left and right differ clearly, or that they do not."""
    first, last = _whole(m)
    words = {"knee bend": ("knee", "bends"), "hip bend": ("hip", "bends"), "elbow bend": ("elbow", "bends")}
    words["arm raise"] = ("arm", "is raised")
    different = []
    least = 8.0
    if m.body.pose.camera:
        # From the side one half hides the other, and obliquely the far one is seen shorter.
        if float(np.mean(m.body.faces_camera)) < 0.5:
            text = "Left and right cannot be compared from this angle of view."
            yield Fact(text, "symmetry", first, last, salience=0.25)
            return
        least = 20.0
    for a in asymmetry:
        if a.name not in words:
            continue
        noun, verb = words[a.name]
        gap = abs(a.left - a.right)
        if gap >= least and max(a.left, a.right) > 25:
            more, less = ("left", "right") if a.left > a.right else ("right", "left")
            different.append(noun)
            high, small = max(a.left, a.right), min(a.left, a.right)
            text = f"the {more} {noun} {verb} {gap:.0f} degrees more than the {less} ({high:.0f} and {small:.0f})"
            joint = {"arm": "shoulder"}.get(noun, noun)
            joints = (f"{more}_{joint}", f"{less}_{joint}")
            salience = 0.32 + min(gap, 60) / 600
            yield Fact(sentence(text), "symmetry", first, last, joints, round(a.left - a.right, 1), "degrees", salience)
    for group, nouns in (("arms", ("elbow", "arm")), ("legs", ("knee", "hip"))):
        known = [a for a in asymmetry if a.name in words and words[a.name][0] in nouns]
        if len(known) == 2 and not any(n in different for n in nouns):
            yield Fact(f"The left and right {group} move alike.", "symmetry", first, last, salience=0.27)

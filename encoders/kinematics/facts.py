"""The report's facts: each one plain English sentence that states a derived thing outright.

Written for a small language model that reads but does not derive: counts, orders, sides and yes/no matters are said in
words. Body measurements (angles, sides, posture) are in `posture_facts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from motionqa.data.schema import Activity, Asymmetry, Fact, RepetitionSet, Segment
from motionqa.encoders.kinematics.absences import absences
from motionqa.encoders.kinematics.gait import Bout
from motionqa.encoders.kinematics.measures import Measures
from motionqa.encoders.kinematics.phrases import does, doing, in_order, person, seconds, sentence, span, spans, times
from motionqa.encoders.kinematics.posture_facts import posture_facts
from motionqa.encoders.kinematics.posture_segments import on_floor
from motionqa.encoders.kinematics.repetition_names import repeated_verb
from motionqa.encoders.kinematics.timeline import beside, joined, main_line, repeats, summary, weight

Array = np.ndarray


def facts(
    m: Measures,
    *,
    segments: tuple[Segment, ...],
    sets: tuple[RepetitionSet, ...],
    activity: tuple[Activity, ...],
    asymmetry: tuple[Asymmetry, ...],
    warnings: tuple[str, ...],
) -> tuple[Fact, ...]:
    """Every fact, most salient first; never empty."""
    found = [*_overall(m, segments, sets), *_segment_facts(segments, sets), *_repetition_facts(sets)]
    found += [*_gait_facts(m), *_turn_facts(m), *_travel_facts(m), *_floor_facts(m, segments)]
    found += posture_facts(m, segments, activity, asymmetry)
    found += absences(m, segments, sets)
    first, last = whole(m)
    nothing = not m.body.native
    found += [Fact(sentence(w), "view", first, last, salience=1.0 if nothing else 0.45) for w in warnings]
    return tuple(sorted(found, key=lambda f: -f.salience))


def whole(m: Measures) -> tuple[float, float]:
    """First and last time of the clip."""
    return float(m.body.times_s[0]), float(m.body.times_s[-1])


def _overall(m: Measures, segments: tuple[Segment, ...], sets: tuple[RepetitionSet, ...]) -> Iterator[Fact]:
    """The one-sentence summary, the order of events, and the length."""
    first, last = whole(m)
    told = summary(segments, sets)
    if told:
        yield Fact(told, "summary", first, last, _joints(main_line(segments)), salience=1.0)
    line = main_line(segments, most=8)
    during = beside(line)
    if during.count(False) > 1:
        yield Fact(sentence(f"in order: {in_order(line, during)}"), "order", first, last, _joints(line), salience=0.92)
    yield from _neighbours([s for s, beside_it in zip(line, during, strict=True) if not beside_it], first, last)


def _neighbours(line: list[Segment], first: float, last: float) -> Iterator[Fact]:
    """What comes first, last, after and before, each said outright; they answer questions rather than describe."""
    if len(line) < 2:
        return
    start, end = line[0], line[-1]
    said = f"The first thing is that the person {does(start.name)}."
    yield Fact(said, "order", first, start.end_s, start.joints, salience=0.2)
    said = f"The last thing is that the person {does(end.name)}."
    yield Fact(said, "order", end.start_s, last, end.joints, salience=0.2)
    for before, after in pairwise(line):
        span_s = (before.start_s, after.end_s)
        joints = _joints([before, after])
        yield Fact(
            f"After {doing(before.name)}, the person {does(after.name)}.", "order", *span_s, joints, salience=0.2
        )
        yield Fact(f"Before {doing(after.name)}, the person {does(before.name)}.", "order", *span_s, joints,
                   salience=0.2)  # fmt: skip


def _joints(segments: list[Segment]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(j for s in segments for j in s.joints))


def _segment_facts(segments: tuple[Segment, ...], sets: tuple[RepetitionSet, ...]) -> Iterator[Fact]:
    """One sentence per segment, neighbours of the same name together."""
    all_joined = joined(segments)
    heaviest = max((weight(s) for s in all_joined), default=1.0)
    by_name: dict[str, list[Segment]] = {}
    for s in all_joined:
        by_name.setdefault(s.name, []).append(s)
    for name, group in by_name.items():
        if name.startswith(("walking", "running", "turning", "jumping")) or "above the head" in name:
            continue  # their own facts say more
        salience = 0.35 + 0.4 * min(1.0, sum(weight(s) for s in group) / heaviest)
        first, last = group[0].start_s, group[-1].end_s
        if len(group) == 1:
            text = f"{does(name)} {span(first, last)}"
        else:
            text = f"{does(name)} {times(len(group))}: {spans([(s.start_s, s.end_s) for s in group])}"
        if any(repeats(reps, s) for s in group for reps in sets):
            salience *= 0.4  # the repetition fact says it with the count
        duration = sum(s.end_s - s.start_s for s in group)
        yield Fact(person(text), "time", first, last, group[0].joints, round(duration, 2), "s", salience)


# ------------------------------------------------------------------------------------ repetitions


def _repetition_facts(sets: tuple[RepetitionSet, ...]) -> Iterator[Fact]:
    """How often, when, how deep and how fast each repeated movement is done."""
    for rank, reps in enumerate(r for r in sets if r.name != "jump"):
        done, count = reps.repetitions, len(reps.repetitions)
        verb = repeated_verb(reps)
        start, end = done[0].start_s, done[-1].end_s
        text = f"{verb} {times(count)} ({spans([(r.start_s, r.end_s) for r in done])})"
        if reps.name == "wave":
            text = f"{verb} {times(count)} to and fro, {span(start, end)}"
        elif reps.unit == "degrees" and reps.name:
            deep = max(done, key=lambda r: r.depth)
            text += f"; largest {reps.signal} change {deep.depth:.0f} degrees, at {seconds(deep.turn_s)} s"
        salience = (0.95 if count > 1 else 0.62) - 0.12 * min(rank, 3) - (0.0 if reps.name else 0.12)
        yield Fact(person(text), "count", start, end, reps.joints, count, "repetitions", salience)
        if count < 2:
            continue
        out, back = (float(np.mean([r.tempo_s[i] for r in done])) for i in (0, 1))
        text = (
            f"one repetition takes {seconds(out + back)} s on average, {seconds(out)} s out and {seconds(back)} s back"
        )
        yield Fact(
            person(f"{verb}: {text}"), "time", start, end, reps.joints, round(out + back, 2), "s", 0.5 - 0.1 * rank
        )
        depths = [r.depth for r in done]
        if reps.unit == "degrees" and max(depths) - min(depths) > 5:
            deep, small = int(np.argmax(depths)), int(np.argmin(depths))
            text = (
                f"repetition {deep + 1} of {count} is the largest ({depths[deep]:.0f} degrees of {reps.signal}, "
                f"{seconds(done[deep].turn_s)} s), repetition {small + 1} the smallest ({depths[small]:.0f} degrees)"
            )
            yield Fact(sentence(text), "count", start, end, reps.joints, round(depths[deep], 1), "degrees", 0.4)


# --------------------------------------------------------------------------- steps, turns, travel


def _gait_name(m: Measures, bout: Bout) -> str:
    verb = "runs" if bout.running else "walks"
    known = m.body.pose.root_motion != "none" and not m.body.pose.planar
    return f"{verb} in place" if known and bout.speed < m.config.travel_speed else verb


def _gait_facts(m: Measures) -> Iterator[Fact]:
    """Steps, their rate and the speed of each bout, or that no step is taken."""
    first, last = whole(m)
    t = m.body.times_s
    about = _about(m)
    for bout in m.gait:
        a, b, count = float(t[bout.first]), float(t[bout.last]), len(bout.steps)
        ankles = ("left_ankle", "right_ankle")
        salience = 0.6 + 0.25 * min((b - a) / max(last - first, 1e-6), 1)
        gait = _gait_name(m, bout)
        yield Fact(person(f"takes {count} steps {span(a, b)}"), "count", a, b, ankles, count, "steps", salience)
        text = f"{gait} at {bout.steps_per_s:.1f} steps per second {span(a, b)}"
        yield Fact(person(text), "speed", a, b, ankles, round(bout.steps_per_s, 2), "1/s", 0.45)
        speed = bout.speed * m.body.leg_m
        if bout.speed >= m.config.travel_speed and m.body.pose.root_motion != "none" and not m.body.pose.planar:
            text = f"{'runs' if bout.running else 'walks'} at a speed of {about}{speed:.1f} m/s {span(a, b)}"
            yield Fact(person(text), "speed", a, b, ("pelvis",), round(speed, 2), "m/s", 0.7)
    if not m.gait and m.feet.judged and m.moving and not m.travelling.any():
        yield Fact(
            "The person takes no walking steps.", "count", first, last, ("left_ankle", "right_ankle"), 0, "steps", 0.26
        )


def _about(m: Measures) -> str:
    return "about " if m.body.pose.root_motion == "estimated" or not m.body.pose.metric else ""


TURN_DENIED_DEG = 20.0
"""With a larger net turn than this it is not said that the person does not turn."""


def _turn_facts(m: Measures) -> Iterator[Fact]:
    first, last = whole(m)
    for turn in m.turns:
        a, b = float(m.body.times_s[turn.first]), float(m.body.times_s[turn.last])
        side = "left" if turn.degrees > 0 else "right"
        size = _round_angle(abs(turn.degrees))
        text = f"turns about {size} degrees to the {side} {span(a, b)}"
        if not turn.steps:
            text = f"twists the body about {size} degrees to the {side} {span(a, b)}, the feet stay put"
        salience = 0.85 if turn.steps else 0.4
        yield Fact(person(text), "turn", a, b, ("pelvis",), round(turn.degrees, 1), "degrees", salience)
    if m.body.pose.planar or any(t.steps for t in m.turns):
        return
    net = m.trajectory.turn_deg
    pelvis = ("pelvis",)
    if abs(net) >= m.config.turn_min_deg and m.stepping.any():
        text = f"turns gradually, about {_round_angle(abs(net))} degrees to the {'left' if net > 0 else 'right'} in all"
        yield Fact(person(text), "turn", first, last, pelvis, round(net, 1), "degrees", 0.6)
    elif abs(net) < TURN_DENIED_DEG and m.moving and m.body.seen("pelvis") > 0.5:
        text = "does not turn and faces the same way throughout"
        yield Fact(person(text), "turn", first, last, pelvis, 0, "degrees", 0.28)


def _round_angle(degrees: float) -> int:
    """To 10 degrees, and to the quarter turns within 8 of one."""
    quarter = round(degrees / 90) * 90
    return int(quarter if quarter and abs(degrees - quarter) <= 8 else round(degrees / 10) * 10)


def _travel_facts(m: Measures) -> Iterator[Fact]:
    """How far and where the person went, in their own directions; in the picture's where the axes are a camera's."""
    pose = m.body.pose
    if pose.root_motion == "none" or not m.moving or m.body.seen("pelvis") < 0.5:
        return
    first, last = whole(m)
    path = m.trajectory
    least = 0.45 if pose.root_motion == "estimated" else 0.35
    scale = m.body.leg_m / 0.83
    if not pose.planar:
        parts = []
        for value, ahead, behind in (
            (path.forward_m, "forwards", "backwards"),
            (path.left_m, "to the left", "to the right"),
        ):
            if abs(value) > least * scale and abs(value) > 0.35 * max(abs(path.forward_m), abs(path.left_m)):
                parts.append((abs(value), ahead if value > 0 else behind))
        if parts:
            size = " and ".join(f"about {v:.1f} m {way}" for v, way in parts)
            yield Fact(person(f"travels {size}"), "travel", first, last, ("pelvis",), round(parts[0][0], 2), "m", 0.68)
        elif path.path_m < 3 * least * scale:
            yield Fact(
                "The person stays on the spot and does not travel.", "travel", first, last, ("pelvis",), 0, "m", 0.42
            )
    if pose.camera:
        yield from _picture_facts(m)


def _picture_facts(m: Measures) -> Iterator[Fact]:
    """Net travel across the picture and, where depth is known, towards or away from the camera."""
    first, last = whole(m)
    root = m.trajectory.root_m
    edge = max(1, len(root) // 10)
    moved = np.median(root[-edge:], axis=0) - np.median(root[:edge], axis=0)
    least = 0.35 * m.body.leg_m / 0.83
    if abs(moved[0]) > least:
        text = f"moves to the {'right' if moved[0] > 0 else 'left'} of the picture"
        yield Fact(person(text), "travel", first, last, ("pelvis",), round(abs(moved[0]), 2), "m", 0.5)
    if not m.body.pose.planar and abs(moved[2]) > 1.5 * least:
        text = f"moves {'towards' if moved[2] > 0 else 'away from'} the camera"
        yield Fact(person(text), "travel", first, last, ("pelvis",), round(abs(moved[2]), 2), "m", 0.5)


def _lifts_feet(m: Measures, segments: tuple[Segment, ...]) -> bool:
    """Whether something else shows that the feet do not stay where they are."""
    return any(t.steps for t in m.turns) or any(s.name.startswith("doing jumping") for s in segments)


def _floor_facts(m: Measures, segments: tuple[Segment, ...]) -> Iterator[Fact]:
    """Whether the feet leave the floor."""
    if not m.feet.judged or not m.moving:
        return
    first, last = whole(m)
    ankles = ("left_ankle", "right_ankle")
    if m.flights:
        when = [(float(m.body.times_s[a]), float(m.body.times_s[b])) for a, b in m.flights]
        text = f"jumps {times(len(when))} ({spans(when)})"
        yield Fact(person(text), "count", when[0][0], when[-1][1], ankles, len(when), "jumps", 0.93)
        text = f"both feet leave the floor {times(len(when))}, at {spans(when)}"
        yield Fact(sentence(text), "contact", when[0][0], when[-1][1], ankles, len(when), "jumps", 0.3)
    elif not m.stepping.any() and not on_floor(m).any() and not _lifts_feet(m, segments):
        raised = [float(np.nanpercentile(h, 96)) if np.isfinite(h).any() else 0.0 for h in m.feet.height]
        least = 0.12 if m.body.pose.camera else 0.05
        if max(raised) < least:
            yield Fact("Both feet stay on the floor.", "contact", first, last, ankles, salience=0.4)
        else:
            side = "left" if raised[0] > raised[1] else "right"
            other = "right" if side == "left" else "left"
            text = f"The {side} foot is lifted off the floor, the {other} foot stays down."
            if min(raised) >= least:
                text = "Both feet are lifted off the floor at some time, one after the other."
            yield Fact(text, "contact", first, last, ankles, salience=0.35)

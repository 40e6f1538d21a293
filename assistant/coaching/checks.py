"""An exercise's checks held against what was measured: every check becomes a fault, a good point, or is not judged."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from motionqa.assistant.coaching.exercise import Check, Exercise
from motionqa.assistant.coaching.findings import RANK, Finding, Moment, Severity, fault_text, good_text
from motionqa.assistant.coaching.observed import Observed
from motionqa.assistant.coaching.repetitions import Counted, Cycle, statistic
from motionqa.assistant.coaching.view import PARTS
from motionqa.assistant.coaching.wording import capital, goal, listed

Array = np.ndarray
SIDES = ("left", "right")
OFTEN = 1 / 3
"""A fault in fewer repetitions than this part counts one step less."""
LOWER: dict[str, Severity] = {"major": "moderate", "moderate": "minor", "minor": "minor"}


def judge(seen: Observed, exercise: Exercise, counted: Counted) -> tuple[Finding, ...]:
    """One finding per check, in the order of the rule file."""
    return tuple(_judge(seen, exercise, check, counted.cycles) for check in exercise.checks)


def moments_of(seen: Observed, exercise: Exercise, check: Check, cycles: tuple[Cycle, ...]) -> tuple[Moment, ...]:
    """The check's value in every repetition in which it was seen; for holds a slice is a repetition."""
    found = []
    for number, cycle in enumerate(cycles, 1):
        moment = _moment(seen, exercise, check, cycle, number)
        if moment is not None:
            found.append(moment)
    return tuple(found)


def _judge(seen: Observed, exercise: Exercise, check: Check, cycles: tuple[Cycle, ...]) -> Finding:
    if reason := _unjudged_reason(seen, exercise, check):
        return _not_judged(seen, check, reason)
    moments = moments_of(seen, exercise, check, cycles)
    if not moments:
        joints = listed([j.replace("_", " ") for j in check.measured.joints_of("")[:2]] or ["body"])
        return _not_judged(seen, check, f"the {joints} are not seen well enough at that moment")
    unit = check.measured.unit
    aim = goal(check.goal, check.at_least, check.at_most, unit)
    middle = float(np.median([m.value for m in moments]))
    bad = tuple(m for m in moments if m.missed_by > check.tolerance)
    if exercise.kind == "gait" and check.missed_by(middle) <= check.tolerance:
        bad = ()  # single strides are too noisy to be held against anyone
    sure = _confidence(seen, check, moments)
    off = seen.uncertainty(unit, sure)
    span = bad or moments
    base = {
        "start_s": span[0].start_s, "end_s": span[-1].end_s, "part": check.part, "joints": _joints(check, span),
        "unit": unit, "target": aim, "uncertainty": off, "judged": len(moments), "check": check,
    }  # fmt: skip
    if not bad:
        return Finding("good", check.title, good_text(check, middle, aim), value=middle, moments=moments,
                       confidence=sure, **base)  # fmt: skip
    worst = max(bad, key=lambda m: m.missed_by)
    likely = worst.missed_by < off
    severity: Severity = check.severity if len(bad) >= OFTEN * len(moments) else LOWER[check.severity]  # type: ignore[assignment]
    text = fault_text(check, exercise, bad, len(cycles), aim, likely)
    return Finding("fault", check.title, text, severity=severity, value=worst.value, moments=bad,
                   confidence=sure * (0.6 if likely else 1.0), **base)  # fmt: skip


def _not_judged(seen: Observed, check: Check, reason: str) -> Finding:
    times = seen.m.body.times_s
    text = f"{capital(check.title)} can not be judged: {reason}."
    return Finding("unjudged", check.title, text, float(times[0]), float(times[-1]), part=check.part, check=check,
                   joints=check.measured.joints_of(""), confidence=seen.sight.confidence)  # fmt: skip


def _unjudged_reason(seen: Observed, exercise: Exercise, check: Check) -> str:
    """Why a check can not be judged in this clip; empty where it can."""
    view = seen.sight.view
    if view != "space" and view not in check.views:
        words = {"side": "from the side", "front": "from the front", "back": "from behind", "oblique": "at an angle"}
        needed = listed([words[v] for v in check.views]).replace(" and ", " or ")
        return f"it needs a view {needed}, and this clip is filmed {words[view]}"
    hidden = [part for part in seen.sight.unseen if set(PARTS[part]) & set(check.measured.joints_of(""))]
    if hidden:
        return f"the {listed(hidden)} are out of view"
    if check.quantity == "foot_pitch" and "left_heel" not in seen.m.body.joints:
        return "this recording has no heels"
    if check.side == "difference" and view in ("side", "oblique"):
        return "the far side is hidden from this view"
    del exercise
    return ""


# -------------------------------------------------------------------------------------------- values


def _moment(seen: Observed, exercise: Exercise, check: Check, cycle: Cycle, number: int) -> Moment | None:
    times = seen.m.body.times_s
    if _begins_or_ends_unseen(check, cycle, len(times)):
        return None
    start, end = float(times[cycle.start]), float(times[cycle.end])
    if check.measured.measure is None:
        value = _timed(check.quantity, times, cycle)
        return Moment(number, start, end, float(times[cycle.turn]), value, check.missed_by(value), cycle.side)
    first, last = cycle.frames(check.phase, exercise.kind)
    best: Moment | None = None
    for side in sides_of(seen, check, cycle):
        x = _values(seen, check, side)
        part = x[first : last + 1]
        if np.isfinite(part).mean() < 0.5:
            continue
        value = statistic(part, check.statistic)
        missed = check.missed_by(value)
        if best is None or missed > best.missed_by:
            at = first + _where(part, value, check.statistic, (last - first) // 2)
            best = Moment(number, start, end, float(times[at]), value, missed, side if side in SIDES else "")
    return best


def _begins_or_ends_unseen(check: Check, cycle: Cycle, frames: int) -> bool:
    """Whether the check needs the rest before or after a repetition with which the clip begins or ends."""
    at_start, at_end = cycle.start == 0, cycle.end == frames - 1
    if at_start and (check.phase == "start" or check.quantity in ("out_time", "total_time")):
        return True
    return at_end and check.quantity in ("back_time", "total_time")


def _values(seen: Observed, check: Check, side: str) -> Float[Array, "T"]:
    if side in SIDES or not check.measured.sided:
        return seen.values(check.quantity, side)
    left, right = (seen.values(check.quantity, s) for s in SIDES)
    if side == "difference":
        return np.abs(left - right)
    both = np.stack([left, right])
    count = np.isfinite(both).sum(axis=0)
    return np.where(count > 0, np.nansum(both, axis=0) / np.maximum(count, 1), np.nan)


def sides_of(seen: Observed, check: Check, cycle: Cycle) -> tuple[str, ...]:
    """Which side's values to take: the one asked for, and from the side only the one towards the camera."""
    if not check.measured.sided:
        return ("",)
    if check.side in ("left", "right", "difference"):
        return (check.side,)
    if check.side in ("lead", "rear"):
        ahead = "left" if np.nan_to_num(seen.lead[cycle.turn]) > 0 else "right"
        return (ahead if check.side == "lead" else SIDES[ahead == "left"],)
    if check.side == "working" and cycle.side:
        return (cycle.side,)
    if seen.sight.view == "side" and seen.sight.near_side:
        return (seen.sight.near_side,)
    return SIDES if check.side in ("worst", "working") else ("both",)


def _where(part: Float[Array, "N"], value: float, kind: str, middle: int) -> int:
    """The frame that shows a statistic: the extreme itself, else the middle of the phase."""
    if kind in ("max", "min"):
        return int(np.nanargmin(np.abs(part - value)))
    return middle


def _timed(quantity: str, times: Float[Array, "T"], c: Cycle) -> float:
    """Values that a repetition has as a whole; seconds, steps a minute or percent."""
    total = float(times[c.end] - times[c.start])
    out, back = float(times[c.turn] - times[c.start]), float(times[c.end] - times[c.turn])
    if quantity == "steps_a_minute":
        return 120.0 / max(total, 1e-6)
    if quantity == "step_time_difference":
        return 100 * abs(out - back) / max(total, 1e-6)
    pause = float(times[c.turn_to] - times[c.turn_from])
    return {"total_time": total, "out_time": out, "back_time": back, "pause_time": pause}[quantity]


def _joints(check: Check, moments: tuple[Moment, ...]) -> tuple[str, ...]:
    sides = {m.side for m in moments if m.side}
    return check.measured.joints_of(sides.pop() if len(sides) == 1 else "")


def _confidence(seen: Observed, check: Check, moments: tuple[Moment, ...]) -> float:
    """How sure the joints and the view are, 0 to 1."""
    times = seen.m.body.times_s
    first, last = (int(np.searchsorted(times, t)) for t in (moments[0].start_s, moments[-1].end_s))
    sides = {m.side for m in moments}
    joints = seen.confidence(check.quantity, sides.pop() if len(sides) == 1 else "", first, min(last, len(times) - 1))
    return round(joints * (0.7 + 0.3 * seen.sight.confidence), 2)


def order(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Faults first, the most important one leading; then good points, notes, and what was not judged."""
    rank = {"fault": 0, "good": 1, "note": 2, "unjudged": 3}
    return tuple(sorted(findings, key=lambda f: (rank[f.kind], -f.weight, -RANK[f.severity])))

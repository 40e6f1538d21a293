"""The set as a whole: a row per repetition, tempo, range, left against right, and what changes from first to last."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import theilslopes

from motionqa.assistant.coaching.checks import moments_of
from motionqa.assistant.coaching.exercise import Exercise
from motionqa.assistant.coaching.findings import Finding, RepetitionRow
from motionqa.assistant.coaching.observed import Observed
from motionqa.assistant.coaching.quantities import QUANTITIES, Unit
from motionqa.assistant.coaching.repetitions import Counted, Cycle
from motionqa.assistant.coaching.wording import capital, shown

Array = np.ndarray
SIDES = ("left", "right")
FEWEST_FOR_DRIFT = 4
RANGE_FALLS = 0.12
TIME_GROWS = 0.25
"""Changes from the first to the last repetition, as a part of the median, that are told. Ours."""
MOSTLY_SEEN = 0.8
"""A side's range is told where it is seen in this part of a repetition."""
UNEVEN_DEG = 12.0
"""Left and right ranges that differ by more than this are told. Ours; two view uncertainties."""


def rows(
    seen: Observed, exercise: Exercise, counted: Counted, findings: tuple[Finding, ...]
) -> tuple[RepetitionRow, ...]:
    """One row per complete repetition, stride or slice of a hold."""
    times = seen.m.body.times_s
    values: dict[int, dict[str, float]] = {}
    for finding in findings:
        if finding.check is None or finding.kind == "unjudged":
            continue
        for moment in moments_of(seen, exercise, finding.check, counted.cycles):
            values.setdefault(moment.repetition, {})[finding.check.id] = moment.value
    out = []
    for number, c in enumerate(counted.cycles, 1):
        start, turn, end = (float(times[i]) for i in (c.start, c.turn, c.end))
        faults = tuple(f.id for f in findings if f.kind == "fault" and number in f.repetitions)
        unit = QUANTITIES[counted.quantity].unit if counted.quantity else ""
        out.append(
            RepetitionRow(number, start, end, turn - start, end - turn, _range_of(seen, counted, c), unit, c.side,
                          values.get(number, {}), faults)
        )  # fmt: skip
    return tuple(out)


def _range_of(seen: Observed, counted: Counted, c: Cycle) -> float:
    """How far a repetition goes, from the picture where the checks are read there, so that both agree."""
    if not counted.quantity:
        return c.depth
    near = seen.sight.near_side if seen.sight.view == "side" else None
    sides = (c.side or near,) if c.side or near else SIDES
    if not QUANTITIES[counted.quantity].sided:
        sides = ("",)
    parts = [seen.values(counted.quantity, s or "")[c.start : c.end + 1] for s in sides]
    ranges = [float(np.ptp(x[np.isfinite(x)])) for x in parts if np.isfinite(x).mean() > MOSTLY_SEEN]
    return float(np.mean(ranges)) if ranges else c.depth


def notes(
    seen: Observed, exercise: Exercise, counted: Counted, table: tuple[RepetitionRow, ...]
) -> tuple[Finding, ...]:
    """What is told about the set: count, tempo, range, symmetry, drift, and what was broken or cut off."""
    if not table:
        return ()
    found = [_count(exercise, table)]
    found += _left_out(seen, exercise, counted)
    if exercise.kind == "repetitions":
        found += [_tempo(exercise, table), _range(counted, table), *_drift(counted, table), *_symmetry(seen, counted)]
    return tuple(found)


def _note(title: str, text: str, table: tuple[RepetitionRow, ...], value: float, unit: Unit | None) -> Finding:
    return Finding("note", title, capital(text), table[0].start_s, table[-1].end_s, value=value, unit=unit)


def _count(exercise: Exercise, table: tuple[RepetitionRow, ...]) -> Finding:
    first, last = table[0].start_s, table[-1].end_s
    if exercise.kind == "hold":
        text = f"the {exercise.noun} is held for {shown(last - first, 'seconds')}, from {first:.1f} to {last:.1f} s."
        return _note("Hold", text, table, last - first, "seconds")
    noun = exercise.noun if len(table) == 1 else exercise.plural
    text = f"{len(table)} {noun} from {first:.1f} to {last:.1f} s."
    return _note("Count", text, table, len(table), None)


def _left_out(seen: Observed, exercise: Exercise, counted: Counted) -> list[Finding]:
    """Broken off or cut off repetitions, each kind in one sentence."""
    times = seen.m.body.times_s
    out = []
    for state, words in (("partial", "broken off part of the way"), ("cut", "cut off by the start or end of the clip")):
        group = [c for c in counted.broken if c.state == state]
        if group:
            one = len(group) == 1
            when = ", ".join(f"{float(times[c.turn]):.1f}" for c in group)
            noun = exercise.noun if one else exercise.plural
            text = f"{len(group)} {noun} {'is' if one else 'are'} {words} (at {when} s) and not counted."
            out.append(Finding("note", "Not counted", capital(text), float(times[group[0].start]),
                               float(times[group[-1].end]), value=len(group)))  # fmt: skip
    return out


def _tempo(exercise: Exercise, table: tuple[RepetitionRow, ...]) -> Finding:
    out, back = (float(np.median([getattr(r, n) for r in table])) for n in ("out_s", "back_s"))
    text = f"the usual tempo is {shown(out, 'seconds')} for the {exercise.phase('out')} and "
    text += f"{shown(back, 'seconds')} for the {exercise.phase('back')}."
    return _note("Tempo", text, table, out + back, "seconds")


def _unit(counted: Counted) -> Unit:
    return QUANTITIES[counted.quantity].unit


def _range(counted: Counted, table: tuple[RepetitionRow, ...]) -> Finding:
    unit, ranges = _unit(counted), [r.range for r in table]
    what = counted.quantity.replace("_", " ")
    text = f"range of movement ({what}): {shown(float(np.median(ranges)), unit)}"
    text += "." if len(table) == 1 else f", {min(ranges):.0f} to {max(ranges):.0f} over the repetitions."
    return _note("Range", text, table, float(np.median(ranges)), unit)


def _drift(counted: Counted, table: tuple[RepetitionRow, ...]) -> list[Finding]:
    """Range that shrinks and time that grows from the first to the last repetition (Theil-Sen slope)."""
    if len(table) < FEWEST_FOR_DRIFT:
        return []
    ranges = np.array([r.range for r in table])
    seconds = np.array([r.end_s - r.start_s for r in table])
    out = []
    change = _slope(ranges) * (len(table) - 1)
    if change < -RANGE_FALLS * np.median(ranges):
        unit = _unit(counted)
        text = f"the range shrinks from {shown(ranges[0], unit)} in the first to {shown(ranges[-1], unit)} in the last "
        text += "repetition: a sign of tiring."
        out.append(_note("Fatigue", text, table, change, unit))
    slower = _slope(seconds) * (len(table) - 1)
    if abs(slower) > TIME_GROWS * np.median(seconds):
        what = "slower: a sign of tiring" if slower > 0 else "quicker: the set is being hurried"
        text = f"repetitions get {what}, from {shown(seconds[0], 'seconds')} to {shown(seconds[-1], 'seconds')}."
        out.append(_note("Pace", text, table, slower, "seconds"))
    return out


def _slope(values: Float[Array, "N"]) -> float:
    """Change from one repetition to the next: the median over all pairs (Theil-Sen)."""
    return float(np.asarray(theilslopes(values)[0]).item())


def _symmetry(seen: Observed, counted: Counted) -> list[Finding]:
    """Left against right range of the counted quantity, where both sides are seen alike."""
    quantity = QUANTITIES[counted.quantity]
    alike = all(c.side == "" for c in counted.cycles)
    if not quantity.sided or not alike or seen.sight.view in ("side", "oblique"):
        return []
    first, last = counted.cycles[0].start, counted.cycles[-1].end
    ranges = [float(np.ptp(x[np.isfinite(x)])) if np.isfinite(x).any() else np.nan
              for x in (seen.values(quantity.name, s)[first : last + 1] for s in SIDES)]  # fmt: skip
    if not np.isfinite(ranges).all():
        return []
    left, right = ranges
    what = quantity.name.replace("_", " ")
    text = f"left and right {what} move through {shown(left, quantity.unit)} and {shown(right, quantity.unit)}"
    text += ": uneven." if abs(left - right) > UNEVEN_DEG else ": even."
    times = seen.m.body.times_s
    return [Finding("note", "Symmetry", capital(text), float(times[first]), float(times[last]), value=left - right,
                    unit=quantity.unit, uncertainty=seen.uncertainty(quantity.unit, 1.0))]  # fmt: skip

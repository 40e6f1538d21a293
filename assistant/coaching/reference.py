"""Two clips of one exercise against each other: aligned by repetition and by dynamic time warping within it.

Warping is `dtaidistance` (Apache-2.0), over the joint angles of both bodies, so that a slower repetition is compared
phase by phase and not second by second. Differences are told in degrees by phase and in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from motionqa.assistant.coaching.exercise import Exercise, Rules
from motionqa.assistant.coaching.observed import Observed, observe
from motionqa.assistant.coaching.quantities import QUANTITIES
from motionqa.assistant.coaching.recognition import recognise
from motionqa.assistant.coaching.repetitions import Counted, Cycle, count
from motionqa.assistant.coaching.wording import capital, shown
from motionqa.data.schema import ClipEncoding, InputError

Array = np.ndarray
COMPARED = ("knee_flexion", "hip_flexion", "elbow_flexion", "shoulder_elevation", "trunk_lean_forward")
STILL_DEG = 8.0
"""Before warping each angle is centred and divided by its own spread, so that a shallow repetition is laid on a deep
one phase by phase; an angle with less spread than this counts less."""
TOLD_DEG = 8.0
TOLD_S = 0.25
"""Smaller differences are not told: about what a camera can not tell."""
MOST_TOLD = 4
MOMENTS = 5
SIDES = ("left", "right")


@dataclass(frozen=True)
class Difference:
    """One quantity in one phase, own minus reference, over all paired repetitions."""

    quantity: str
    phase: str
    degrees: float
    """Median over repetitions of the mean over the phase."""
    spread: float
    """Largest minus smallest over repetitions."""
    at_s: float
    """Where it is largest, in the own clip."""
    reference_at_s: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a clip does differently from a reference."""

    reference: ClipEncoding
    pairs: tuple[tuple[int, int], ...]
    """Numbers of the repetitions laid side by side."""
    differences: tuple[Difference, ...]
    """Largest first, small ones included."""
    out_s: float
    back_s: float
    """How much longer the way out and the way back take, median seconds; negative is quicker."""
    moments: tuple[tuple[int, int], ...]
    """Frames of the same moment in both clips, for pictures side by side."""
    text: str
    notes: tuple[str, ...] = ()


def compare(own: Observed, exercise: Exercise | None, reference: ClipEncoding, rules: Rules) -> Comparison:
    """The clip against a reference of the same exercise.

    InputError where the exercise is not known, the reference shows another one, or either has no repetition.
    """
    if exercise is None:
        raise InputError("A reference needs a known exercise. Name the exercise, then compare again.")
    other = observe(reference)
    _same_exercise(other, exercise, rules, reference.name)
    mine, theirs = count(own.m, exercise), count(other.m, exercise)
    for counted, name in ((mine, own.encoding.name), (theirs, reference.name)):
        if not counted.cycles:
            raise InputError(f"{name!r} holds no whole {exercise.noun} to compare. {counted.missing}".strip())
    pairs = _pairs(mine, theirs)
    paths = [_warped(own, other, a, b) for a, b in pairs]
    differences = _differences(own, other, exercise, pairs, paths)
    out_s, back_s = (
        float(np.median([_duration(own, a, i) - _duration(other, b, i) for a, b in pairs])) for i in (0, 1)
    )
    notes = ()
    if own.sight.view != other.sight.view:
        views = f"{own.sight.view} and {other.sight.view}"
        notes = (f"The clips are filmed from different places ({views}): small differences may come from that.",)
    numbers = tuple((mine.cycles.index(a) + 1, theirs.cycles.index(b) + 1) for a, b in pairs)
    text = _text(exercise, differences, out_s, back_s, len(pairs), notes)
    return Comparison(reference, numbers, differences, out_s, back_s, _moments(paths[len(paths) // 2]), text, notes)


def _same_exercise(other: Observed, exercise: Exercise, rules: Rules, name: str) -> None:
    guesses = recognise(other.m, rules, other.encoding.reading)
    own = next((g.confidence for g in guesses if g.name == exercise.name), 0.0)
    best = guesses[0] if guesses else None
    if best is not None and best.name != exercise.name and best.confidence > own + 0.25:
        raise InputError(
            f"The reference {name!r} shows {rules.exercises[best.name].title.lower()}, this clip "
            f"{exercise.title.lower()}: they are not compared. Give a reference of the same exercise."
        )


def _pairs(mine: Counted, theirs: Counted) -> list[tuple[Cycle, Cycle]]:
    """Repetition by repetition, on the same side where sides take turns; a shorter reference starts over."""
    out = []
    for i, cycle in enumerate(mine.cycles):
        same = [c for c in theirs.cycles if c.side == cycle.side] or list(theirs.cycles)
        out.append((cycle, same[i % len(same)]))
    return out


def _angles(seen: Observed, cycle: Cycle) -> dict[str, Float[Array, "_"]]:
    """The compared angles over a repetition, both sides' mean (from the side the near one), gaps bridged."""
    out = {}
    for name in COMPARED:
        if not QUANTITIES[name].sided:
            x = seen.values(name)
        elif seen.sight.view == "side" and seen.sight.near_side:
            x = seen.values(name, seen.sight.near_side)
        else:
            both = np.stack([seen.values(name, s) for s in SIDES])
            seen_sides = np.isfinite(both).sum(axis=0)
            x = np.where(seen_sides > 0, np.nansum(both, axis=0) / np.maximum(seen_sides, 1), np.nan)
        part = x[cycle.start : cycle.end + 1]
        if np.isfinite(part).mean() > 0.7:
            good = np.flatnonzero(np.isfinite(part))
            out[name] = np.interp(np.arange(len(part)), good, part[good])
    return out


def _warped(own: Observed, other: Observed, a: Cycle, b: Cycle) -> Float[Array, "N 2"]:
    """Frames of both clips that belong together, [N, 2]."""
    from dtaidistance import dtw_ndim

    mine, theirs = _angles(own, a), _angles(other, b)
    shared = [n for n in COMPARED if n in mine and n in theirs]
    if not shared:
        raise InputError("The two clips share no joint angle that is seen in both.")
    x, y = (np.stack([_shape(angles[n]) for n in shared], axis=1) for angles in (mine, theirs))
    path = dtw_ndim.warping_path(np.ascontiguousarray(x), np.ascontiguousarray(y))
    return np.asarray(path, dtype=float) + np.array([a.start, b.start], dtype=float)


def _shape(angle: Float[Array, "N"]) -> Float[Array, "N"]:
    """An angle's course without its size."""
    return (angle - angle.mean()) / max(float(angle.std()), STILL_DEG)


def _differences(
    own: Observed,
    other: Observed,
    exercise: Exercise,
    pairs: list[tuple[Cycle, Cycle]],
    paths: list[Float[Array, "_ 2"]],
) -> tuple[Difference, ...]:
    found = []
    phases = ("out", "turn", "back") if exercise.kind == "repetitions" else ("whole",)
    for name in COMPARED:
        for phase in phases:
            rows = []
            for (a, b), path in zip(pairs, paths, strict=True):
                mine, theirs = _angles(own, a), _angles(other, b)
                if name not in mine or name not in theirs:
                    continue
                first, last = a.frames(phase, exercise.kind)
                i, j = path.astype(int).T
                inside = (i >= first) & (i <= last)
                gap = mine[name][i[inside] - a.start] - theirs[name][j[inside] - b.start]
                most = int(np.abs(gap).argmax())
                rows.append((float(gap.mean()), int(i[inside][most]), int(j[inside][most])))
            if rows:
                values = [r[0] for r in rows]
                _, at, there = max(rows, key=lambda r: abs(r[0]))
                found.append(
                    Difference(name, phase, float(np.median(values)), float(np.ptp(values)),
                               float(own.m.body.times_s[at]), float(other.m.body.times_s[there]))
                )  # fmt: skip
    return tuple(sorted(found, key=lambda d: -abs(d.degrees)))


def _duration(seen: Observed, c: Cycle, way: int) -> float:
    t = seen.m.body.times_s
    return float(t[c.turn] - t[c.start]) if way == 0 else float(t[c.end] - t[c.turn])


def _moments(path: Float[Array, "N 2"]) -> tuple[tuple[int, int], ...]:
    """Frames in step with each other, from start to end of one repetition."""
    steps = np.linspace(0, len(path) - 1, MOMENTS).round().astype(int)
    return tuple((int(path[k, 0]), int(path[k, 1])) for k in steps)


def _text(
    exercise: Exercise,
    differences: tuple[Difference, ...],
    out_s: float,
    back_s: float,
    pairs: int,
    notes: tuple[str, ...],
) -> str:
    told = []
    for d in differences:
        if abs(d.degrees) >= TOLD_DEG and not any(t.quantity == d.quantity for t in told):
            told.append(d)
    sentences = [f"Against the reference, over {pairs} {exercise.noun if pairs == 1 else exercise.plural}:"]
    for d in told[:MOST_TOLD]:
        more = "more" if d.degrees > 0 else "less"
        word = "at" if d.phase == "turn" else "during"
        where = "" if d.phase == "whole" else f" {word} the {exercise.phase(d.phase)}"
        sentences.append(
            f"{capital(d.quantity.replace('_', ' '))} is {shown(abs(d.degrees), 'degrees')} {more}{where} "
            f"(at {d.at_s:.1f} s; reference {d.reference_at_s:.1f} s)."
        )
    for phase, seconds in (("out", out_s), ("back", back_s)):
        if exercise.kind == "repetitions" and abs(seconds) >= TOLD_S:
            slow = "longer" if seconds > 0 else "shorter"
            sentences.append(f"The {exercise.phase(phase)} is {shown(abs(seconds), 'seconds')} {slow}.")
    if len(sentences) == 1:
        sentences.append("no difference that this recording could tell.")
    return " ".join((*sentences, *notes))

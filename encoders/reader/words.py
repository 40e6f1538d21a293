"""A clip in a hundred words: recognised actions with times and doubts, what each of them is like, and derived facts.

A small language model reads but does not derive (`docs/design.md`), so sides, directions, counts and what a movement
is not are said outright, action by action and for the whole. Movements that the reader does not know are told by what
was measured.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from motionqa.data.instruct.action_words import PARTS, action_words
from motionqa.data.reading import ClipTokens, MotionReading, ReadAction
from motionqa.data.schema import Fact, InputError, MotionReport, Pose3D, RepetitionSet
from motionqa.encoders.kinematics.analyse import analyse
from motionqa.encoders.reader.action_facts import ToldAction, action_facts
from motionqa.encoders.reader.read import Reader, read_pose

NOTHING = ClipTokens()
_MOVES_MOST = re.compile(r"(?:The ((?:left|right) (?:arm|leg)|trunk|head)|(Both (?:arms|legs))) moves? most")
SURE = 0.8
KNEES = ((36.0, "hardly"), (78.0, "a little"), (np.inf, "deeply"))
"""Degrees below which a bend is called so."""
MOST_ACTIONS = 8
"""More are told by the first and last ones."""
OVERALL = (
    ("count", 2), ("travel", 1), ("turn", 1), ("posture", 2), ("contact", 1), ("view", 2),

)  # fmt: skip
"""Which topics are told about the whole clip, and how many facts of each at most."""


def read_clip(
    pose: Pose3D,
    report: MotionReport,
    reader: Reader | None,
    measure: Callable[[Pose3D], MotionReport] = analyse,
    exercise: RepetitionSet | None = None,
) -> MotionReading:
    """What is read in a pose, in words and tokens; `measure` gives the report of a part of it.

    Without a reader, or where it can not read, by measurements alone. An `exercise` that is known takes the place of
    what its parts were read as.
    """
    try:
        found = read_pose(pose, reader) if reader else MotionReading((), NOTHING)
    except InputError:
        found = MotionReading((), NOTHING)
    if exercise is not None:
        found = replace(found, actions=_without(found.actions, exercise))
    return worded(found, report, pose, measure)


def _without(actions: Sequence[ReadAction], exercise: RepetitionSet) -> tuple[ReadAction, ...]:
    """The actions with those an exercise was mostly taken for as one without a name: the report names it."""
    start, end = exercise.repetitions[0].start_s, exercise.repetitions[-1].end_s

    def apart(a: ReadAction) -> bool:
        return min(a.end_s, end) - max(a.start_s, start) <= 0.5 * (a.end_s - a.start_s)

    inside = [a for a in actions if not apart(a)]
    if not inside:
        return tuple(actions)
    one = ReadAction("", inside[0].start_s, inside[-1].end_s, max(a.probability for a in inside))
    return tuple(sorted((one, *filter(apart, actions)), key=lambda a: a.start_s))


def worded(
    reading: MotionReading,
    report: MotionReport,
    pose: Pose3D,
    measure: Callable[[Pose3D], MotionReport] = analyse,
) -> MotionReading:
    """The reading with its words and facts, from its actions and a report of the whole."""
    actions = reading.actions
    reports = [report] if len(actions) == 1 else [measure(between(pose, a.start_s, a.end_s)) for a in actions]
    told = [_told(a, r) for a, r in zip(actions, reports, strict=True)]
    return replace(reading, words=_words(told, report, pose), facts=action_facts(told))


def _words(told: Sequence[ToldAction], report: MotionReport, pose: Pose3D) -> str:
    start, end = float(pose.times_s[0]), float(pose.times_s[-1])
    many, length = len(told) > 1, f"{end - start:.1f} s"
    parts = [f"{len(told)} actions in {length}." if many else f"{length} of movement."]
    kept = list(told)
    if len(kept) > MOST_ACTIONS:
        kept = [*kept[: MOST_ACTIONS - 1], kept[-1]]
        parts.append(f"The first {MOST_ACTIONS - 1} and the last:")
    seen = "; then ".join(map(_phrase, kept)) if kept else _summary(report)
    parts += [f"Seen: {seen}.", *(_short(f) for f in overall(report))]
    return " ".join([*parts, *_knees(report)])


def told_actions(reading: MotionReading, report: MotionReport | None = None) -> tuple[Fact, ...]:
    """The actions as facts with their moments, for people: name, how surely, and what else it may be.

    A movement without a name that the report takes for an exercise is called that.
    """
    exercises = [s for s in (report.segments if report else ()) if s.name.startswith("doing ")]
    out = []
    for action in reading.actions:
        others = "".join(f", or {n} ({p:.0%})" for n, p in action.alternatives)
        how = f"{action.probability:.0%}{others}"
        name = action.name or "none of the known actions"
        within = [s for s in exercises if min(s.end_s, action.end_s) - max(s.start_s, action.start_s) > 0]
        if within and not action.name:
            name, how = within[0].name.removeprefix("doing "), "by rule"
        text = f"{name[:1].upper()}{name[1:]} ({how})."
        out.append(Fact(text, "order", action.start_s, action.end_s, value=action.probability))
    return tuple(out)


def overall(report: MotionReport) -> list[Fact]:
    """The facts about the whole clip that are always told: the most salient ones of each topic."""
    out = []
    for topic, most in OVERALL:
        of_topic = [f for f in report.facts if f.topic == topic and len(f.text) <= 130]
        out += of_topic[:most]
    return out


def between(pose: Pose3D, start_s: float, end_s: float) -> Pose3D:
    """The part of a pose within two times, at least two frames of it."""
    first = int((pose.times_s < start_s - 1e-6).sum())
    last = max(int((pose.times_s <= end_s + 1e-6).sum()), first + 2)
    first = min(first, max(0, len(pose) - 2))
    span = slice(first, last)
    return replace(
        pose, times_s=pose.times_s[span], xyz_m=pose.xyz_m[span], confidence=pose.confidence[span]
    )  # fmt: skip


def _told(action: ReadAction, report: MotionReport) -> ToldAction:
    others = " or ".join(n for n, _ in action.alternatives)
    if not action.name:
        doubt = f", perhaps {others}" if others else ""
    else:
        doubt = f" or {others}" if others and action.probability < SURE else ""
    limb = _limb(action.name, report)
    return ToldAction(action, _summary(report), limb, ", ".join(filter(None, [limb, *_manner(report)])), doubt)


def _phrase(told: ToldAction) -> str:
    """One action: its name or what it looks like, when, how surely, and how it is done."""
    if not told.action.name:
        return f"an unnamed movement ({told.seen}) {told.when}{told.doubt}, {told.manner}"
    doubt = f" ({told.doubt.strip()})" if told.doubt else ""
    return f"{told.action.name}{doubt} {told.when}, {told.manner}"


def _manner(report: MotionReport) -> tuple[str, ...]:
    """Direction, turn and height of the hands, each in a few words or empty."""
    return _travel(report), _turn(report), _hands(report)


def _limb(name: str, report: MotionReport) -> str:
    """What an action is done with: by its name where that says it, else what moves most of what the name allows."""
    words = action_words().get(name)
    if words and words.part in PARTS:
        return words.part
    found = next(filter(None, (_MOVES_MOST.match(fact.text) for fact in report.facts)), None)
    moves = (found[1] or found[2]).lower() if found else ""
    return moves if not words or (words.part and words.part in moves) else ""


def _travel(report: MotionReport) -> str:
    ways = [f.text for f in report.facts if f.topic == "travel"]
    for text in ways:
        found = re.match(r"The person travels about [\d.]+ m (forwards|backwards|to the left|to the right)", text)
        if found:
            return found[1]
    return "on the spot" if any("on the spot" in t for t in ways) else ""


def _turn(report: MotionReport) -> str:
    for fact in report.facts:
        if fact.topic == "turn" and fact.value and "twists" not in fact.text:
            return f"turns {'left' if fact.value > 0 else 'right'}"
    return ""


def _hands(report: MotionReport) -> str:
    over = [s for s in ("left", "right") if any(f.text.startswith(f"The {s} hand is above") for f in report.facts)]
    if len(over) == 2:
        return "both hands above head"
    if over:
        return f"{over[0]} hand above head"
    return "hands below head" if any(f.text.startswith("Neither hand") for f in report.facts) else ""


def _knees(report: MotionReport) -> Iterator[str]:
    """How deeply the knees bend, in the words that questions use."""
    bent = [series for name, series in report.angles.items() if name.endswith("knee_flexion")]
    most = [float(np.nanmax(s.degrees)) for s in bent if np.isfinite(s.degrees).mean() > 0.5]
    if most:
        depth = next(word for limit, word in KNEES if max(most) < limit)
        yield f"The knees bend {depth}, {max(most):.0f} degrees."


def _summary(report: MotionReport) -> str:
    first = next((f.text for f in report.facts if f.topic == "summary"), "hardly any movement")
    return first.removeprefix("The person ").rstrip(".")


def _short(fact: Fact) -> str:
    """The fact without its subject, which every fact shares."""
    text = fact.text.removeprefix("The person ")
    return text[:1].upper() + text[1:]

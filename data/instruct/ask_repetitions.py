"""Questions about repeated movements: how many, how long, which one stands out, and what a coach would say.

The truth of a count is the generator's where a synthetic body did it. Of recordings it is the report's, and only where
the label names the very thing that was counted (`COUNTED`) and the repetitions fill the action's time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from motionqa.data.instruct.action_words import action_words
from motionqa.data.instruct.asked import YES_NO, Asked, Known, act_slots, seconds
from motionqa.data.instruct.example import Truth
from motionqa.data.schema import RepetitionSet, Segment

COUNTED = {
    "squat": ("squat",),
    "lunge": ("lunge",),
    "jump": ("jump",),
    "jumping jacks": ("jumping jack",),
    "push-up": ("push-up",),
    "kick forward": ("kick",),
    "kick sideways": ("kick",),
    "bend forward": ("forward bend",),
    "bow": ("forward bend",),
    "arm curl": ("elbow flexion",),
    "raise left hand": ("left shoulder elevation",),
    "raise right hand": ("right shoulder elevation",),
    "raise both hands": ("shoulder elevation",),
}
"""By action: the name, or the signal, of the set of repetitions that counts it. Waves go to and fro as often as one
likes to call it and are not counted."""
EVEN, UNEVEN = 0.12, 0.25
"""The smallest repetition falls short of the largest by less than this: even; by more: clearly uneven."""


def repetition_questions(k: Known) -> Iterator[Asked]:
    """Of every action that was counted."""
    for i, action in enumerate(k.actions):
        known = k.motion.counts[i] if k.motion.counts else 0
        found = _counting(k, action, known)
        if known or found:
            yield from _counts(k, action, known or len(found.repetitions if found else ()), bool(known))
        if found and len(found.repetitions) > 1:
            yield from _times(action, found)
        if found and len(found.repetitions) > 2 and found.unit == "degrees":
            yield from _sizes(action, found)
            yield from _advice(action, found)


def _counting(k: Known, action: Segment, known: int) -> RepetitionSet | None:
    """The one set that counts an action and, where the count is known, counts it rightly."""
    if not k.motion.pose.metric:
        return None
    wanted = COUNTED.get(action.name, ())
    found = [s for s in k.report.repetitions if (s.name or s.signal) in wanted and _within(s, action)]
    if len(found) != 1 or (known and len(found[0].repetitions) != known):
        return None
    reps = found[0].repetitions
    others = sum(a.name == action.name for a in k.actions)
    rest = action.end_s - action.start_s - (reps[-1].end_s - reps[0].start_s)
    typical = float(np.median([r.end_s - r.start_s for r in reps]))
    # Room for one more repetition that was not counted: then the count is not sure enough to be a truth.
    return found[0] if others == 1 and (known or rest < max(0.9 * typical, 0.8)) else None


def _within(found: RepetitionSet, action: Segment) -> bool:
    return found.repetitions[0].start_s >= action.start_s - 0.2 and found.repetitions[-1].end_s <= action.end_s + 0.2


def _base(action: Segment, count: int) -> dict[str, str]:
    words = action_words()[action.name]
    return act_slots(action.name) | {"nouns": words.nouns or "repetitions", "count": str(count)}


def _counts(k: Known, action: Segment, count: int, generated: bool) -> Iterator[Asked]:
    truth: Truth = "generator" if generated else "kinematics"
    slots = _base(action, count)
    span = (action.start_s, action.end_s)
    yield Asked("count", str(count), truth, accepted=_in_words(count), slots=slots, span_s=span)
    if count > 1:
        step = int(k.rng.choice([-2, -1, 1, 2]))
        wrong = count + step if count + step > 1 else count + abs(step)
        for answer, guess in (("yes", count), ("no", wrong)):
            said = slots | {"guess": str(guess)}
            yield Asked("true_count", answer, truth, options=YES_NO, slots=said, span_s=span)


_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def _in_words(count: int) -> tuple[str, ...]:
    return (_WORDS[count],) if count < len(_WORDS) else ()


def _times(action: Segment, found: RepetitionSet) -> Iterator[Asked]:
    """Seconds a repetition on average, and whether the tempo changes."""
    lengths = [r.end_s - r.start_s for r in found.repetitions]
    mean = seconds(float(np.mean(lengths)))
    slots = _base(action, len(lengths)) | {"seconds": mean}
    yield Asked("repetition_time", f"{mean} s", "kinematics", kind="speed", slots=slots)
    if len(lengths) > 3:
        change, early, late = _tempo(lengths)
        if change:
            slots = slots | {"early": seconds(early), "late": seconds(late)}
            options = ("faster", "slower", "steady")
            yield Asked("tempo", change, "kinematics", kind="coaching", options=options, slots=slots)


def _tempo(lengths: list[float]) -> tuple[str, float, float]:
    """faster, slower or steady, with the mean time in the first and the last half; "" where it is not clear."""
    half = len(lengths) // 2
    early, late = float(np.mean(lengths[:half])), float(np.mean(lengths[-half:]))
    ratio = late / early
    name = "slower" if ratio > 1.25 else "faster" if ratio < 0.8 else "steady" if 0.92 < ratio < 1.08 else ""
    return name, early, late


def _sizes(action: Segment, found: RepetitionSet) -> Iterator[Asked]:
    """Which repetition is the largest and the smallest, how first and last compare, and whether all are even."""
    depths = np.array([r.depth for r in found.repetitions])
    order = np.argsort(depths)
    slots = _base(action, len(depths))
    largest, smallest = int(order[-1]) + 1, int(order[0]) + 1
    ranked = depths[order] / depths.max()
    if 1 - ranked[-2] > 0.06:
        accepted = _in_words(largest) + (_ordinal(largest),)
        said = slots | {"number": str(largest)}
        yield Asked("deepest", str(largest), "kinematics", kind="coaching", accepted=accepted, slots=said)
    if ranked[1] - ranked[0] > 0.06:
        accepted = _in_words(smallest) + (_ordinal(smallest),)
        said = slots | {"number": str(smallest)}
        yield Asked("smallest", str(smallest), "kinematics", kind="coaching", accepted=accepted, slots=said)
    first, last = float(depths[0]), float(depths[-1])
    change = abs(first - last) / max(first, last)
    answer = "about the same" if change < 0.06 else ("first" if first > last else "last") if change > 0.15 else ""
    if answer:
        said = slots | {"percent": f"{100 * change:.0f}"}
        options = ("first", "last", "about the same")
        yield Asked("first_last", answer, "kinematics", kind="compare", options=options, slots=said)
    even = "yes" if 1 - ranked[0] < EVEN else "no" if 1 - ranked[0] > UNEVEN else ""
    if even:
        said = slots | {"number": str(smallest)}
        yield Asked("even", even, "kinematics", kind="coaching", options=YES_NO, slots=said)


def _ordinal(n: int) -> str:
    names = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
    return names[n] if n < len(names) else f"{n}th"


def _advice(action: Segment, found: RepetitionSet) -> Iterator[Asked]:
    """The one thing to change, by fixed rules: first the range, then the tempo, else nothing."""
    depths = np.array([r.depth for r in found.repetitions])
    short = 1 - depths.min() / depths.max()
    change, early, late = _tempo([r.end_s - r.start_s for r in found.repetitions])
    if short > UNEVEN:
        answer = "same depth"
    elif change in ("faster", "slower"):
        answer = "keep the tempo"
    elif short < EVEN and change == "steady":
        answer = "keep going"
    else:
        return
    slots = _base(action, len(depths)) | {
        "number": str(int(depths.argmin()) + 1),
        "best": str(int(depths.argmax()) + 1),
        "change": change,
        "early": seconds(early),
        "late": seconds(late),
    }
    yield Asked("advice", answer, "kinematics", kind="coaching", slots=slots)

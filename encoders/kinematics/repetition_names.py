"""What a set of repetitions repeats, in a word: squat, lunge, wave, ... read off the segments at its turning points."""

from __future__ import annotations

from dataclasses import replace

from motionqa.data.schema import RepetitionSet, Segment

# Segment names that say what a set repeats, and the signals such a set can be counted on.
NAMES = (
    ("squatting", "squat", ("knee", "hip")),
    ("lunging", "lunge", ("knee", "hip")),
    ("kneeling", "kneel", ("knee", "hip")),
    ("bending forward", "forward bend", ("trunk lean forward", "hip")),
    ("kicking", "kick", ("knee", "hip")),
    ("in a push-up position", "push-up", ("elbow",)),
    ("doing jumping jacks", "jumping jack", ("shoulder",)),
)


def named(sets: tuple[RepetitionSet, ...], segments: tuple[Segment, ...]) -> tuple[RepetitionSet, ...]:
    """The sets with names from the segments at their turning points; lone cycles that say nothing new left out.

    A single cycle of an angle is kept where it has a name or lifts an arm: one squat is a squat, but one bend of the
    elbow on the way to somewhere is no repetition.
    """
    out = []
    for reps in sets:
        name = reps.name or _name(reps, segments)
        if name and any(r.name == name and _together_in_time(r, reps) for r in out):
            continue  # the other leg of the same movement
        lifts_arm = "shoulder elevation" in reps.signal and any(s.name.startswith("raising") for s in segments)
        if len(reps.repetitions) > 1 or name or lifts_arm:
            out.append(replace(reps, name=name))
    waving = [s for s in segments if s.name.startswith("waving")]
    return tuple(r for r in out if (bool(waving) if r.name == "wave" else not _part_of(r, waving)))


SETTLING_S = 0.5
"""What is named just before and after an exercise is getting into it and out."""


def with_exercise(
    exercise: RepetitionSet, segments: tuple[Segment, ...], sets: tuple[RepetitionSet, ...]
) -> tuple[tuple[Segment, ...], tuple[RepetitionSet, ...]]:
    """Segments and sets with a known exercise in the place of what its parts were taken for."""
    done = exercise.repetitions
    whole = Segment(f"doing {exercise.name}s", done[0].start_s, done[-1].end_s, exercise.joints)

    def same(s: Segment) -> bool:
        shared = min(s.end_s, whole.end_s + SETTLING_S) - max(s.start_s, whole.start_s - SETTLING_S)
        return shared > 0.5 * min(s.end_s - s.start_s, whole.end_s - whole.start_s)

    others = tuple(r for r in sets if not _together_in_time(r, exercise))
    kept = (*(s for s in segments if not same(s)), whole)
    return tuple(sorted(kept, key=lambda s: (s.start_s, -s.end_s))), (exercise, *others)


def _together_in_time(a: RepetitionSet, b: RepetitionSet) -> bool:
    first, last = a.repetitions[0].start_s, a.repetitions[-1].end_s
    return b.repetitions[0].start_s < last and first < b.repetitions[-1].end_s


def _name(reps: RepetitionSet, segments: tuple[Segment, ...]) -> str:
    turns = [r.turn_s for r in reps.repetitions]
    for start, name, signals in NAMES:
        within = [any(s.start_s <= t <= s.end_s for s in segments if s.name.startswith(start)) for t in turns]
        if any(w in reps.signal for w in signals) and sum(within) >= 0.5 * len(turns):
            return name
    seats = sum(s.name in ("sitting down", "standing up") for s in segments)
    return "sit" if "knee" in reps.signal and seats >= 2 * len(turns) else ""


def _part_of(reps: RepetitionSet, waving: list[Segment]) -> bool:
    """Whether an arm's cycles are the to and fro of a wave, counted already."""
    inside = [
        any(s.start_s - 0.4 <= r.turn_s <= s.end_s + 0.4 and set(s.joints) & _arm(reps) for s in waving)
        for r in reps.repetitions
    ]
    return all(inside)


def _arm(reps: RepetitionSet) -> set[str]:
    return {f"{j.partition('_')[0]}_wrist" for j in reps.joints if j.endswith(("wrist", "elbow"))}


NAMED = {
    "squat": "squats",
    "lunge": "lunges",
    "kneel": "kneels",
    "sit": "sits down and stands up",
    "forward bend": "bends forward and comes up",
    "kick": "kicks",
    "jumping jack": "does jumping jacks: out and in",
    "push-up": "does push-ups: down and up",
    "sit-up": "does sit-ups: up and down",
    "pull-up": "does pull-ups: up and down",
}
MOVED = {
    "shoulder": "raises and lowers {arms}",
    "elbow": "bends and straightens {elbows}",
    "knee": "bends and straightens {knees}",
    "hip": "lifts and lowers {legs}",
    "trunk lean forward": "bends the trunk forward and back up",
    "trunk lean left": "leans the trunk sideways and back",
    "trunk twist left": "twists the trunk and comes back",
}
"""What a repeated signal is in words, where the movement has no name; braces take "the left arm", "both arms"."""


def repeated_verb(reps: RepetitionSet) -> str:
    """What is repeated, as what the person does."""
    if reps.name in NAMED:
        return NAMED[reps.name]
    if reps.name and reps.name != "wave":
        return f"does {reps.name}s"
    first = reps.signal.split()[0]
    side = first if first in ("left", "right") else "both"
    if reps.name == "wave":
        return "waves both hands" if side == "both" else f"waves the {side} hand"
    nouns = {n: f"both {n}" if side == "both" else f"the {side} {n[:-1]}" for n in ("arms", "elbows", "knees", "legs")}
    words = next((w for part, w in MOVED.items() if part in reps.signal), f"repeats {reps.signal}")
    return words.format(**nouns)

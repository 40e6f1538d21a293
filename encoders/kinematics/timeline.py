"""The main line of a movement: which segments carry it, and one sentence that tells it in order."""

from __future__ import annotations

from dataclasses import replace

from motionqa.data.schema import RepetitionSet, Segment
from motionqa.encoders.kinematics.phrases import PLACES, does, doing, times
from motionqa.encoders.kinematics.repetition_names import repeated_verb

MOST = 6
"""Clauses in the summary; more is a list nobody reads."""

# How much a second of each kind tells about the movement. Movements of the whole body come before single limbs,
# movements before postures, named actions before "moves the arm".
WEIGHTS = (
    (("walking", "running", "jumping", "doing", "squatting", "lunging", "kicking", "waving", "clapping"), 1.0),
    (
        (
            "sitting down",
            "standing up",
            "turning",
            "punching",
            "pushing",
            "kneeling",
            "lying",
            "on hands",
            "in a push-up",
        ),
        1.0,
    ),
    (("upside down", "crossing", "raising", "bending", "bringing", "standing on"), 0.9),
    (("sitting", "leaning", "twisting"), 0.7),
    (("lowering", "straightening"), 0.6),
    (("moving",), 0.4),
    (("holding", "standing still", "keeping"), 0.3),
)
GAIT = ("walking", "running")
MOMENTS = ("jumping", "kicking", "turning", "sitting down", "standing up", "punching", "pushing", "upside down")
"""Short by nature; counted as lasting at least a second."""


def weight(segment: Segment) -> float:
    """How much of the movement's character a segment carries: its kind times its length."""
    kind = next((w for names, w in WEIGHTS if segment.name.startswith(names)), 0.5)
    length = segment.end_s - segment.start_s
    return kind * (max(length, 1.0) if segment.name.startswith(MOMENTS) else min(length, 4.0))


def joined(segments: tuple[Segment, ...], gap_s: float = 0.7) -> list[Segment]:
    """Neighbouring segments of the same name as one."""
    out: list[Segment] = []
    for s in segments:
        same = next((i for i in range(len(out) - 1, -1, -1) if out[i].name == s.name), None)
        if same is not None and s.start_s - out[same].end_s <= gap_s:
            out[same] = replace(out[same], end_s=max(out[same].end_s, s.end_s))
        else:
            out.append(s)
    return out


WHOLE = ("squatting", "lunging", "jumping", "sitting down", "standing up", "kicking", "bending forward", "upside down")
ARMS = (
    "raising",
    "lowering",
    "bending the",
    "bending both",
    "straightening",
    "bringing",
    "moving",
    "twisting",
    "leaning",
    "holding up",
)


def _accompanies(segment: Segment, segments: list[Segment]) -> bool:
    """Whether an arm or trunk movement only goes along with one of the whole body, as arms do in a squat."""
    if not segment.name.startswith(ARMS):
        return False
    margin = 0.5
    during = sum(
        max(0.0, min(segment.end_s, s.end_s + margin) - max(segment.start_s, s.start_s - margin))
        for s in segments
        if s.name.startswith(WHOLE)
    )
    return during > 0.6 * (segment.end_s - segment.start_s)


def main_line(segments: tuple[Segment, ...], most: int = MOST) -> list[Segment]:
    """The segments worth telling, in order of time: heaviest kept, stillness only where it lasts or is all there is."""
    candidates = joined(segments)
    if not candidates:
        return []
    candidates = [s for s in candidates if not _accompanies(s, candidates)] or candidates
    whole = max(s.end_s for s in candidates) - min(s.start_s for s in candidates)
    top = max(weight(s) for s in candidates)
    kept = [s for s in candidates if weight(s) >= 0.2 * top]
    # A lighter one is told all the same where it fills a time that nothing else tells of.
    idle = ("standing still", "keeping still", "moving", "holding")
    alone = [s for s in candidates if not s.name.startswith(idle) and not any(_at_once(s, k) for k in kept)]
    kept += [s for s in alone if weight(s) >= 0.06 * top]
    still = ("standing still", "keeping still")
    kept = [s for s in kept if not s.name.startswith(still) or s.end_s - s.start_s >= max(0.8, 0.2 * whole)]
    kept = _without_pauses(kept)
    named = [s for s in kept if not s.name.startswith(("moving", "holding"))]
    held = [s for s in kept if s.name.startswith("holding")]
    kept = (named + held if len(named) < 3 else named) or kept
    kept = sorted(sorted(kept or candidates[:1], key=lambda s: -weight(s))[:most], key=lambda s: s.start_s)
    return _told_once(kept)


def summary(segments: tuple[Segment, ...], sets: tuple[RepetitionSet, ...]) -> str:
    """One sentence: "The person walks forwards, then turns left, then squats 3 times."; "" where nothing was seen."""
    clauses: list[str] = []
    line = main_line(segments)
    marks = beside(line)
    for i, s in enumerate(line):
        if marks[i]:
            continue
        during: list[Segment] = []
        for later, along in zip(line[i + 1 :], marks[i + 1 :], strict=True):
            if not along:
                break
            during.append(later)
        clauses.append(_done(s, sets) + _meanwhile(during, sets))
    told = f"The person {', then '.join(clauses)}." if clauses else ""
    vague = all(s.name.startswith(("moving", "holding", "standing still", "keeping")) for s in line)
    repeated = next((r for r in sets if len(r.repetitions) > 1), None)
    if vague and repeated:
        told = f"The person {repeated_verb(repeated)} {times(len(repeated.repetitions))}."
    return told


def _meanwhile(during: list[Segment], sets: tuple[RepetitionSet, ...]) -> str:
    """ " and turns left while waving with the right hand": turns first, then the weightiest other."""
    turns = [s.name for s in during if s.name.startswith("turning")]
    others = sorted((s for s in during if s.name not in turns), key=lambda s: -weight(s))[:2]
    text = f" and turns {times(len(turns))}" if len(turns) > 2 else "".join(f" and {does(t)}" for t in turns)
    names = [_doing(s, sets) for s in sorted(others, key=lambda s: s.start_s)]
    return text + (f" while {' and '.join(dict.fromkeys(names))}" if names else "")


def beside(line: list[Segment]) -> list[bool]:
    """For each segment of a line in order of time, whether it happens during the last one that is not beside."""
    out: list[bool] = []
    carrier: Segment | None = None
    for s in line:
        out.append(carrier is not None and overlaps(s, carrier))
        carrier = carrier if out[-1] else s
    return out


def _told_once(line: list[Segment]) -> list[Segment]:
    """The same thing again with nothing else told in between, or again beside the same segment, said once."""
    out: list[Segment] = []
    carrier = 0
    for s in line:
        during = bool(out) and overlaps(s, out[carrier])
        same = [i for i in range(carrier, len(out)) if out[i].name == s.name]
        if same and (during or same[-1] == len(out) - 1):
            out[same[-1]] = replace(out[same[-1]], end_s=max(out[same[-1]].end_s, s.end_s))
            continue
        if not during:
            carrier = len(out)
        out.append(s)
    return out


def _without_pauses(kept: list[Segment]) -> list[Segment]:
    """Raising, holding up and lowering said as such; a hold shorter than its raise adds nothing."""
    return [s for s in kept if not (s.name.startswith("holding") and s.end_s - s.start_s < 0.6)]


def _at_once(a: Segment, b: Segment) -> bool:
    """Whether two segments share a moment; with the same joints, also whether one leads into the other."""
    margin = 0.3 if set(a.joints) & set(b.joints) else 0.0
    return min(a.end_s, b.end_s) + margin > max(a.start_s, b.start_s)


def overlaps(later: Segment, earlier: Segment) -> bool:
    """Whether the later segment lies mostly within the earlier one."""
    return min(later.end_s, earlier.end_s) - later.start_s > 0.6 * (later.end_s - later.start_s)


def _done(segment: Segment, sets: tuple[RepetitionSet, ...]) -> str:
    """What the person does and how often."""
    exercise = _exercise(segment, sets)
    return f"does {exercise}" if exercise else does(segment.name) + _count(segment, sets)


def _doing(segment: Segment, sets: tuple[RepetitionSet, ...]) -> str:
    """The same as what goes on during something else."""
    exercise = _exercise(segment, sets)
    return f"doing {exercise}" if exercise else doing(segment.name) + _count(segment, sets)


def _exercise(segment: Segment, sets: tuple[RepetitionSet, ...]) -> str:
    """As in "3 push-ups": an exercise, and the place that one is done in, is named by what is counted."""
    for reps in sets if segment.name.startswith((*PLACES, "doing")) else ():
        if reps.name and reps.name in segment.name and (count := _counted(segment, reps)):
            return f"{count} {reps.name}{'s' if count > 1 else ''}"
    return ""


def _counted(segment: Segment, reps: RepetitionSet) -> int:
    """How many repetitions turn within a segment."""
    return sum(segment.start_s - 0.1 <= r.turn_s <= segment.end_s + 0.1 for r in reps.repetitions)


def _count(segment: Segment, sets: tuple[RepetitionSet, ...]) -> str:
    """ " 3 times" where a set of repetitions fills the segment and says what it does."""
    for reps in sets:
        if _counted(segment, reps) > 1 and repeats(reps, segment):
            return f" {times(_counted(segment, reps))}"
    return ""


def repeats(reps: RepetitionSet, segment: Segment) -> bool:
    """Whether a set counts what a segment names."""
    if reps.name:
        return reps.name[:3] in segment.name
    cyclic = " and " in segment.name and segment.name.split()[0] in ("raising", "bending")
    return cyclic and bool(set(reps.joints) & set(segment.joints))

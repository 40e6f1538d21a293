"""Wording: verb forms, numbers, times and lists, so that every sentence says the same thing the same way."""

from __future__ import annotations

from collections.abc import Sequence

from motionqa.data.schema import Segment

VERBS = {
    "bending": "bends",
    "bringing": "brings",
    "clapping": "claps",
    "crossing": "crosses",
    "doing": "does",
    "holding": "holds",
    "jumping": "jumps",
    "keeping": "keeps",
    "kicking": "kicks",
    "kneeling": "kneels",
    "leaning": "leans",
    "lowering": "lowers",
    "lunging": "lunges",
    "lying": "lies",
    "moving": "moves",
    "punching": "punches",
    "pushing": "pushes",
    "raising": "raises",
    "running": "runs",
    "sitting": "sits",
    "squatting": "squats",
    "standing": "stands",
    "straightening": "straightens",
    "turning": "turns",
    "twisting": "twists",
    "walking": "walks",
    "waving": "waves",
}
PLACES = ("on hands", "in a push-up", "upside down")
"""Segment names that are places, not actions: they take "is"."""


def does(name: str) -> str:
    """A segment's name as what the person does: "walking forwards" becomes "walks forwards"."""
    if name.startswith(PLACES):
        return f"is {name}"
    words = name.split()
    # Only verbs: "doing jumping jacks" does jumping jacks.
    verb = [i == 0 or words[i - 1] == "and" for i in range(len(words))]
    return " ".join(VERBS.get(word, word) if v else word for word, v in zip(words, verb, strict=True))


def doing(name: str) -> str:
    """A segment's name as it stands after "while": places get "being"."""
    return f"being {name}" if name.startswith(PLACES) else name


def sentence(text: str) -> str:
    """First letter large, full stop at the end."""
    return text[:1].upper() + text[1:].rstrip(".") + "."


def person(text: str) -> str:
    """A sentence about what the person does: "walks" becomes "The person walks."."""
    return sentence(f"the person {text}")


def seconds(value: float) -> str:
    """Seconds with one decimal, never minus zero."""
    return f"{abs(value) if abs(value) < 0.05 else value:.1f}"


def span(start_s: float, end_s: float) -> str:
    """ "from 0.4 to 2.1 s"; "at 1.2 s" where both read the same."""
    a, b = seconds(start_s), seconds(end_s)
    return f"at {a} s" if a == b else f"from {a} to {b} s"


def spans(items: Sequence[tuple[float, float]], most: int = 6) -> str:
    """Several stretches of time in brackets' style: "0.4-2.1 s, 2.3-4.0 s"; the rest counted."""
    shown = ", ".join(f"{seconds(a)}-{seconds(b)} s" for a, b in items[:most])
    return shown + (f" and {len(items) - most} more" if len(items) > most else "")


def times(count: int) -> str:
    """ "once", "twice", "3 times"."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def in_order(segments: Sequence[Segment], beside: Sequence[bool]) -> str:
    """ "first stands still (0.0-0.8 s), then raises the right arm (0.8-1.6 s), finally ...".

    `beside` marks segments that happen during the one before instead of after it: "meanwhile".
    """
    after = [i for i, b in enumerate(beside) if not b]
    parts = []
    for i, s in enumerate(segments):
        word = "meanwhile" if beside[i] else "first" if i == after[0] else "finally" if i == after[-1] else "then"
        parts.append(f"{word} {does(s.name)} ({seconds(s.start_s)}-{seconds(s.end_s)} s)")
    return ", ".join(parts)

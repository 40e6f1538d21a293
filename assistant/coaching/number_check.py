"""Whether a text says only what was measured: every number, with its unit, and every side must be one of the findings'.

Builds on `motionqa.assistant.grounding`; stricter, since a critique is trusted more than an answer: numbers in words up
to twenty and ordinals count, and a right number with a wrong unit is wrong.
"""

from __future__ import annotations

import re

from motionqa.assistant.grounding import numbers_in

_WORDS = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred",
)
_VALUES = [*range(21), *range(30, 101, 10)]
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_MORE = {"twice": 2.0, "double": 2.0, "half": 0.5, "thrice": 3.0, "dozen": 12.0}
_PRONOUN_ONE = re.compile(
    r"\bone (of|and|leg|side|arm|hand|piece|line|another|by one|foot|more|thing)\b|\b(each|this|that|no) one\b"
)
_UNITS = (
    ("degrees", r"degrees?|°"), ("percent", r"percent|%|per cent"), ("steps a minute", r"steps (?:a|per) minute|spm"),
    ("seconds", r"seconds?|secs?|s\b"), ("length", r"centimet\w+|cm\b|met(?:er|re)s?|inch\w*|mm\b|feet high"),
    ("repetitions", r"repetitions?|reps?\b|times\b|sets?\b"), ("load", r"kg\b|kilo\w*|pounds?\b|lbs?\b"),
    ("minutes", r"minutes?\b|hours?\b|days?\b|weeks?\b"),
)  # fmt: skip
_PAIR = re.compile(r"(minus )?(\d+(?:\.\d+)?)\s*-?\s*(" + "|".join(f"(?:{p})" for _, p in _UNITS) + ")", re.IGNORECASE)


def numbers_said(text: str) -> set[float]:
    """Every number of a text: digits, words up to a hundred, ordinals; "one of" and its like are no number."""
    lowered = _PRONOUN_ONE.sub(" ", text.lower())
    said = numbers_in(lowered)
    for word, value in zip(_WORDS, _VALUES, strict=True):
        if re.search(rf"\b{word}\b", lowered):
            said.add(float(value))
    for value, word in enumerate(_ORDINALS, 1):
        if re.search(rf"\b{word}\b", lowered) and word != "second":
            said.add(float(value))
    return said | {v for w, v in _MORE.items() if re.search(rf"\b{w}\b", lowered)}


def values_said(text: str) -> set[tuple[float, str]]:
    """(number, unit) wherever a number stands before a unit; minus signs in words are kept."""
    found = set()
    for minus, number, unit in _PAIR.findall(text):
        kind = next(k for k, p in _UNITS if re.fullmatch(p, unit, re.IGNORECASE))
        found.add((-float(number) if minus else float(number), kind))
    return found


def unfounded(text: str, *sources: str) -> tuple[str, ...]:
    """What a text says that its sources do not: numbers, numbers with another unit, and the other side of the body."""
    known = set[float]().union(*(numbers_said(s) for s in sources))
    pairs = set[tuple[float, str]]().union(*(values_said(s) for s in sources))
    out = [f"{n:g}" for n in sorted(numbers_said(text) - known)]
    out += [f"{n:g} {unit}" for n, unit in sorted(values_said(text) - pairs) if f"{n:g}" not in out]
    told = " ".join(sources).lower()
    out += [s for s in ("left", "right") if re.search(rf"\b{s}\b", text.lower()) and not re.search(rf"\b{s}\b", told)]
    return tuple(out)

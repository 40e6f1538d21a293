"""Does the answer say what was measured? Which facts it speaks of, and which of its numbers nobody measured."""

from __future__ import annotations

import re

from motionqa.data.reading import MotionReading
from motionqa.data.schema import Evidence, Fact

_SIDES = ("left", "right")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)?")
_WORD = re.compile(r"[a-z]{3,}")
_FILLER = frozenset(
    re.findall(
        r"\w+",
        """the person and from with that this are is was does did has have for not but their they his her its about
        into then than what which when where while there both measurements say says doing movement clip""",
    )
)
_SPELT = {word: str(i) for i, word in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven"))}


_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*(m/s|degrees?|°|steps per second|steps?|seconds?|s|m)(?![\w/])")
_UNITS = {"degree": "degrees", "°": "degrees", "step": "steps", "second": "s", "seconds": "s"}


def quantities_in(text: str) -> set[tuple[float, str]]:
    """Numbers with the unit that follows them."""
    return {(float(n), _UNITS.get(unit) or unit) for n, unit in _QUANTITY.findall(text.lower())}


def numbers_in(text: str) -> set[float]:
    """The numbers a text mentions, digits or small ones in words."""
    lowered = text.lower()
    lowered = re.sub(r"\btwice\b", "2 times", re.sub(r"\bonce\b", "1 time", lowered))
    spelt = {float(digit) for word, digit in _SPELT.items() if re.search(rf"\b{word}\b", lowered) and word != "one"}
    return {float(n.replace(",", ".")) for n in _NUMBER.findall(lowered)} | spelt


def _content(text: str) -> set[str]:
    return {w.rstrip("s") for w in _WORD.findall(text.lower())} - _FILLER


def cite(answer: str, facts: tuple[Fact, ...]) -> tuple[Evidence, ...]:
    """The facts the answer was given, each with whether the answer speaks of it.

    A fact counts as spoken of when the answer repeats one of its numbers together with one of its words, or at least
    half of its content words.
    """
    said_numbers, said_words = numbers_in(answer), _content(answer)
    evidence = []
    for fact in facts:
        words = _content(fact.text)
        shared = words & said_words
        same_number = bool(numbers_in(fact.text) & said_numbers)
        evidence.append(Evidence(fact, cited=bool(shared) and (same_number or 2 * len(shared) >= len(words))))
    return tuple(evidence)


def cite_actions(answer: str, reading: MotionReading) -> tuple[Evidence, ...]:
    """The recognised actions that the answer names, each with its moment."""
    said = f" {answer.lower()} "
    found = []
    for action in reading.actions:
        stems = [word[: max(3, len(word) - 1)] for word in action.name.split() if len(word) > 2]
        if stems and all(re.search(rf"\b{re.escape(stem)}", said) for stem in stems):
            text = f"{action.name} from {action.start_s:.1f} to {action.end_s:.1f} s, as recognised."
            fact = Fact(text[:1].upper() + text[1:], "order", action.start_s, action.end_s, value=action.probability)
            found.append(Evidence(fact, cited=True))
    return tuple(found)


def unmeasured_sides(answer: str, facts: tuple[Fact, ...]) -> tuple[str, ...]:
    """ "left" or "right" where the answer says it and the facts only ever say the other."""
    told = {side for fact in facts for side in _SIDES if re.search(rf"\b{side}\b", fact.text.lower())}
    said = {side for side in _SIDES if re.search(rf"\b{side}\b", answer.lower())}
    return tuple(sorted(said - told)) if told else ()


def unmeasured_numbers(answer: str, question: str, facts: tuple[Fact, ...], shown: str = "") -> tuple[str, ...]:
    """Numbers of the answer that stand neither in the question nor in any fact, or there with another unit.

    `shown` is whatever else the model was shown of the measurements, in words.
    """
    told = " ".join((question, shown, *(fact.text for fact in facts)))
    known, measured = numbers_in(told), quantities_in(told)
    strange = [f"{n:g}" for n in sorted(numbers_in(answer) - known)]
    taken_for = [
        f"{n:g} {unit}"
        for n, unit in sorted(quantities_in(answer))
        if unit in _CONFUSED and (n, unit) not in measured and any(n == other for other, _ in measured)
    ]
    return (*strange, *taken_for)


_CONFUSED = ("m", "m/s", "steps", "steps per second")
"""Units that a small model takes for one another; seconds and degrees are often told without theirs."""

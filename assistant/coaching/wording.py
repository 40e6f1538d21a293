"""Values, repetitions and moments in words, so that text, table and check of numbers agree to the digit."""

from __future__ import annotations

from collections.abc import Sequence

from motionqa.assistant.coaching.quantities import Unit


def shown(value: float, unit: Unit) -> str:
    """A value with its unit, rounded as it is measured: whole degrees and percent, tenths of seconds."""
    if unit == "seconds":
        return f"{value:.1f} seconds"
    number = f"{value:.0f}"
    number = "0" if number == "-0" else number.replace("-", "minus ")
    words = {"degrees": "degrees", "percent": "percent", "a minute": "steps a minute", "times": "times"}[unit]
    if number == "1" and words in ("degrees", "times"):
        words = words[:-1]
    return f"{number} {words}"


def target(at_least: float | None, at_most: float | None, unit: Unit) -> str:
    """The target in words: "at least 90 degrees", "minus 8 to 14 degrees"."""
    if at_least is not None and at_most is not None:
        return f"{shown(at_least, unit).rsplit(' ', 1)[0]} to {shown(at_most, unit)}" if unit != "a minute" else (
            f"{at_least:.0f} to {shown(at_most, unit)}")  # fmt: skip
    if at_least is not None:
        return f"at least {shown(at_least, unit)}"
    return f"at most {shown(at_most or 0.0, unit)}"


def goal(words: str, at_least: float | None, at_most: float | None, unit: Unit) -> str:
    """The target in a rule file's words where it has some, else the plain one."""
    if not words:
        return target(at_least, at_most, unit)
    return words.format(least=shown(abs(at_least or 0.0), unit), most=shown(abs(at_most or 0.0), unit))


def listed(items: Sequence[str]) -> str:
    """ "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def capital(text: str) -> str:
    """The text with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]


def which(numbers: Sequence[int], total: int, kind: str, noun: str) -> str:
    """Which of all repetitions: "in repetition 2", "in all 3 repetitions"; for strides and holds their count."""
    if kind == "hold":
        return "during the hold" if len(numbers) == total else f"in part of the {noun}"
    word = "repetition" if kind == "repetitions" else "stride"
    if total == 1:
        return f"in the only {word}"
    if len(numbers) == total:
        return f"in both {word}s" if total == 2 else f"in all {total} {word}s"
    if len(numbers) == 1:
        return f"in {word} {numbers[0]} of {total}"
    if len(numbers) > 5:
        return f"in {len(numbers)} of {total} {word}s"
    return f"in {word}s {listed([str(n) for n in numbers])} of {total}"

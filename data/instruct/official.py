"""Official layouts of captions and questions as examples: what a reader gives, and how an error names its entry.

Each reader of `official_captions` and `official_questions` gives an `OfficialSet`: the examples, and how many entries
were skipped and why. Motions and videos stay where they are; an example's `clip` is the layout's own name for them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motionqa.data.instruct.example import InstructExample
from motionqa.data.schema import InputError


@dataclass(frozen=True)
class OfficialSet:
    """The examples of one official file or folder, in its own order."""

    name: str
    examples: tuple[InstructExample, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)
    """How many entries were left out, by reason."""

    def summary(self) -> str:
        """ "12 examples of KIT-ML, 3 left out (empty text)."."""
        left = ", ".join(f"{n} left out ({why})" for why, n in self.skipped.items())
        return f"{len(self.examples)} examples of {self.name}{', ' + left if left else ''}."


class Reader:
    """Collects the examples of a layout and counts what is left out."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.examples: list[InstructExample] = []
        self.skipped: Counter[str] = Counter()

    def add(self, example: InstructExample) -> None:
        """Keeps an example."""
        self.examples.append(example)

    def skip(self, reason: str, count: int = 1) -> None:
        """Counts an entry that is left out."""
        self.skipped[reason] += count

    def done(self, where: Path) -> OfficialSet:
        """Everything read; InputError where nothing was."""
        if not self.examples:
            why = ", ".join(f"{n} × {r}" for r, n in self.skipped.items()) or "no entry was found"
            raise InputError(f"{where} gives no example of {self.name}: {why}")
        return OfficialSet(self.name, tuple(self.examples), dict(self.skipped))


def load_json(path: Path, kind: type) -> Any:
    """The content of a json file; InputError where it is missing, broken, or not the list or object expected."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected an official json file")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as e:
        raise InputError(f"{path} is no json: {e}") from e
    if not isinstance(content, kind):
        wanted = {list: "a list", dict: "an object"}[kind]
        raise InputError(f"{path} holds {type(content).__name__}, expected {wanted}")
    return content


def text_of(entry: object, key: str, where: str) -> str:
    """A text of an entry; InputError where it is missing or no text."""
    value = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(value, str):
        raise InputError(f"{where} has no text {key!r}, got {value!r}")
    return value.strip()


def number_of(entry: object, key: str, where: str) -> float:
    """A number of an entry; InputError where it is missing or none."""
    value = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise InputError(f"{where} has no number {key!r}, got {value!r}")
    return float(value)

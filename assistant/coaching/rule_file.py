"""A TOML file whose every error names file, line and field, so that a coach can mend it without a programmer."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionqa.data.schema import InputError

_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.\-\s\"']+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"\s*([\w\-\"']+)\s*=")


@dataclass(frozen=True)
class Table:
    """One table of a rule file: its values, and where each stands."""

    path: Path
    name: str
    """As in its header, e.g. `check` or `repetition`; empty for the top of the file."""
    values: dict[str, Any]
    line: int
    lines: dict[str, int]

    def wrong(self, field: str, problem: str) -> InputError:
        """The error about a field: file, line, field, what was expected."""
        where = f"{self.name}.{field}" if self.name else field
        return InputError(f"{self.path.name}, line {self.lines.get(field, self.line)}, {where}: {problem}")

    def only(self, *known: str) -> None:
        """Refuses fields that mean nothing, so that a misspelt one is not silently ignored."""
        for field in self.values:
            if field not in known:
                raise self.wrong(field, f"there is no such field; expected one of {', '.join(sorted(known))}")

    def text(self, field: str, default: str | None = None, *, choices: tuple[str, ...] = ()) -> str:
        """A piece of text, one of the choices where there are any."""
        value = self.values.get(field, default)
        if value is None:
            raise self.wrong(field, "is missing; write some text in quotes")
        if not isinstance(value, str) or (not value.strip() and default != ""):
            raise self.wrong(field, f"expected text in quotes, got {value!r}")
        if choices and value not in choices:
            raise self.wrong(field, f"expected one of {', '.join(choices)}, got {value!r}")
        return value.strip()

    def texts(self, field: str) -> tuple[str, ...]:
        """A list of pieces of text; empty where the field is not there."""
        value = self.values.get(field, [])
        if not isinstance(value, list) or any(not isinstance(v, str) or not v.strip() for v in value):
            raise self.wrong(field, f'expected a list of texts like ["walk", "run"], got {value!r}')
        return tuple(v.strip() for v in value)

    def number(self, field: str, default: float | None = None) -> float:
        """A finite number."""
        value = self.values.get(field, default)
        if value is None:
            raise self.wrong(field, "is missing; write a number without quotes")
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
            raise self.wrong(field, f"expected a number without quotes, got {value!r}")
        return float(value)

    def flag(self, field: str, default: bool) -> bool:
        """true or false."""
        value = self.values.get(field, default)
        if not isinstance(value, bool):
            raise self.wrong(field, f"expected true or false, got {value!r}")
        return value

    def numbers(self, field: str, count: int) -> tuple[float, ...]:
        """A list of so many numbers that do not fall."""
        value = self.values.get(field)
        good = isinstance(value, list) and len(value) == count
        good = good and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)  # type: ignore[union-attr]
        if not good or list(value) != sorted(value):  # type: ignore[arg-type]
            raise self.wrong(field, f"expected {count} numbers in rising order, like [0, 10, 20, 30], got {value!r}")
        return tuple(float(v) for v in value)  # type: ignore[union-attr]

    def words(self, field: str, choices: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
        """A list of words out of the choices."""
        value = self.values.get(field, list(default))
        if not isinstance(value, list) or not value or any(v not in choices for v in value):
            raise self.wrong(field, f"expected a list out of {', '.join(choices)}, got {value!r}")
        return tuple(value)


def read_tables(path: Path) -> tuple[Table, dict[str, list[Table]]]:
    """The top of a TOML file, and its tables by name, each with the lines of its fields.

    InputError with the line where the file is not TOML or not text.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path.name}: the file can not be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: not a text file in UTF-8") from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = found.group(1) if found else str(text.count("\n") + 1)
        reason = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise InputError(f"{path.name}, line {line}, {_field_at(text, int(line))}: not valid TOML: {reason}") from error
    places = _places(text)
    top = {k: v for k, v in content.items() if not _is_table(v)}
    tables = {name: _tables(path, name, value, places) for name, value in content.items() if _is_table(value)}
    return Table(path, "", top, 1, places.get(("", 0), (1, {}))[1]), tables


def _field_at(text: str, line: int) -> str:
    """The field that a line sets, or the nearest one before it."""
    for candidate in reversed(text.splitlines()[:line]):
        if found := _KEY.match(candidate):
            return found.group(1).strip("\"'")
    return "the start of the file"


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)
    )


_Places = dict[tuple[str, int], tuple[int, dict[str, int]]]


def _tables(path: Path, name: str, value: Any, places: _Places) -> list[Table]:
    items = value if isinstance(value, list) else [value]
    out = []
    for i, item in enumerate(items):
        line, lines = places.get((name, i), (1, {}))
        out.append(Table(path, name, item, line, lines))
    return out


def _places(text: str) -> _Places:
    """Line of each table's header and of each of its fields, by name and which of that name it is."""
    found: _Places = {("", 0): (1, {})}
    count: dict[str, int] = {}
    now = ("", 0)
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if not inside and (header := _HEADER.match(line)):
            name = header.group(2).strip().strip("\"'")
            now = (name, count.get(name, 0))
            count[name] = now[1] + 1
            found[now] = (number, {})
        elif not inside and (key := _KEY.match(line)):
            found[now][1][key.group(1).strip("\"'")] = number
        if (line.count('"""') + line.count("'''")) % 2:
            inside = not inside
    return found

"""Reading a benchmark's folder: json files, and clips that lie somewhere below it under a known name."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from motionqa.data.schema import InputError

EXAMPLES = 5
"""How many names an error message or a report shows of many."""


def load_json(path: Path) -> Any:
    """The parsed file. InputError where it is missing, cut off or no json."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist. Put the official file there, or give another --data") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}. Check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text ({error.reason} at byte {error.start}); download it again") from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path} is no complete json (line {error.lineno}, column {error.colno}: {error.msg}); download it again"
        ) from error


def load_records(path: Path) -> list[dict[str, Any]]:
    """A json list of objects. InputError where it holds anything else."""
    data = load_json(path)
    if not isinstance(data, list):
        raise InputError(f"{path} holds a {type(data).__name__}, expected a list of objects")
    wrong = [i for i, entry in enumerate(data) if not isinstance(entry, dict)]
    if wrong:
        raise InputError(
            f"{path}: {some(wrong, 'entry', 'entries')} no json objects, expected objects with named fields"
        )
    return data


def load_dictionary(path: Path) -> dict[str, Any]:
    """A json object. InputError where it holds anything else."""
    data = load_json(path)
    if not isinstance(data, dict):
        raise InputError(f"{path} holds a {type(data).__name__}, expected an object with named fields")
    return data


def some(names: Iterable[object], one: str, many: str) -> str:
    """'1 id (a) is' or '7 ids (a, b, c, d, e, …) are', for messages."""
    listed = [str(n) for n in names]
    shown = ", ".join(listed[:EXAMPLES]) + (", …" if len(listed) > EXAMPLES else "")
    return f"{len(listed)} {one if len(listed) == 1 else many} ({shown}) {'is' if len(listed) == 1 else 'are'}"


def check_unique(ids: Sequence[str], path: Path) -> None:
    """InputError with the ids that occur more than once."""
    twice = [i for i, count in Counter(ids).items() if count > 1]
    if twice:
        raise InputError(
            f"{path}: {some(twice, 'question id', 'question ids')} there more than once; use the official file"
        )


class FileIndex:
    """Files below a folder by name without suffix, found in one walk when first asked."""

    def __init__(self, folder: Path, suffixes: tuple[str, ...]) -> None:
        self.folder = folder
        self.suffixes = suffixes
        self._found: dict[str, list[Path]] | None = None

    @property
    def found(self) -> dict[str, list[Path]]:
        """Every file with one of the suffixes, by its name without suffix."""
        if self._found is None:
            self._found = {}
            for place, folders, names in os.walk(self.folder):
                folders.sort()
                for name in sorted(names):
                    stem, suffix = os.path.splitext(name)
                    if suffix.lower() in self.suffixes:
                        self._found.setdefault(stem, []).append(Path(place, name))
        return self._found

    def find(self, stem: str, within: str = "") -> Path | None:
        """The first file of that name, below a folder called `within` or `within_…` if given; None for none."""
        found = self.found.get(stem, ())
        return next((p for p in found if not within or self._is_below(p, within)), None)

    def _is_below(self, path: Path, folder: str) -> bool:
        parts = path.relative_to(self.folder).parts[:-1]
        return any(part == folder or part.startswith(f"{folder}_") for part in parts)

"""A person's assessments over time, in one small SQLite file on this machine: add, list, plot, export, delete.

Only numbers and sentences are kept, no picture and no joint. The file lies in the user's cache folder unless another
is named, and is readable by its owner alone.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from motionqa.assistant.coaching.coach import Critique
from motionqa.data.cache import cache_root
from motionqa.data.schema import InputError

_SCHEMA = """
create table if not exists assessment (
  id integer primary key, person text not null, taken_at text not null, exercise text not null, clip text not null,
  content_sha256 text not null, view text not null, repetitions integer not null, faults text not null,
  text text not null
);
create table if not exists measured (
  assessment integer not null references assessment(id) on delete cascade,
  name text not null, title text not null, value real not null, unit text not null, target text not null,
  kind text not null, primary key (assessment, name)
);
create index if not exists by_person on assessment (person, exercise, taken_at);
"""
_KEPT = "id, person, taken_at, exercise, clip, view, repetitions, faults, text"
_VALUES = "select name, title, value, unit, target, kind from measured where assessment=? order by rowid"


@dataclass(frozen=True)
class Measured:
    """One check's value in one assessment."""

    name: str
    title: str
    value: float
    unit: str
    target: str
    kind: str


@dataclass(frozen=True)
class PastAssessment:
    """What was kept of one assessment."""

    id: int
    person: str
    taken_at: str
    """ISO 8601 in UTC."""
    exercise: str
    clip: str
    view: str
    repetitions: int
    faults: tuple[str, ...]
    text: str
    measured: tuple[Measured, ...]


class History:
    """The file of all people's assessments. Every method opens and closes it, so that several may use it."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or cache_root() / "coach_history.sqlite"

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = not self.path.exists()
            connection = sqlite3.connect(self.path, timeout=10)
            if new:
                os.chmod(self.path, 0o600)
            connection.execute("pragma foreign_keys = on")
            connection.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise InputError(
                f"The history {str(self.path)!r} can not be used ({error}). Name another file, or remove it."
            ) from error
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def add(self, person: str, critique: Critique, when: datetime | None = None) -> int:
        """Keeps a critique for a person and returns its number. The same clip of the same day replaces its earlier one.

        InputError for an empty name, or a critique without a known exercise.
        """
        found = critique.assessment
        if not person.strip():
            raise InputError("A name is needed to keep an assessment. Give any name or sign.")
        if found.exercise is None:
            raise InputError("Only assessments of a known exercise are kept. Name the exercise.")
        taken = (when or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")
        sha = found.encoding.content_sha256
        faults = [f.id for f in found.of_kind("fault")]
        row = (person.strip(), taken, found.exercise.name, found.encoding.name, sha, found.sight.view, len(found.table),
               json.dumps(faults), critique.text)  # fmt: skip
        with self._open() as db:
            db.execute(
                "delete from assessment where person=? and exercise=? and content_sha256=? and substr(taken_at,1,10)=?",
                (person.strip(), found.exercise.name, sha, taken[:10]),
            )
            number = db.execute(
                "insert into assessment"
                " (person, taken_at, exercise, clip, content_sha256, view, repetitions, faults, text)"
                " values (?,?,?,?,?,?,?,?,?)",
                row,
            ).lastrowid
            db.executemany(
                "insert into measured values (?,?,?,?,?,?,?)",
                [(number, m.name, m.title, m.value, m.unit, m.target, m.kind) for m in measured(critique)],
            )
        assert number is not None
        return number

    def people(self) -> tuple[str, ...]:
        """Everybody with an assessment, in order of the alphabet."""
        with self._open() as db:
            return tuple(r[0] for r in db.execute("select distinct person from assessment order by person"))

    def of(self, person: str, exercise: str | None = None) -> tuple[PastAssessment, ...]:
        """A person's assessments, oldest first, of one exercise where it is named."""
        query = f"select {_KEPT} from assessment where person=?"
        arguments: tuple[str, ...] = (person.strip(),)
        if exercise:
            query, arguments = query + " and exercise=?", (*arguments, exercise)
        with self._open() as db:
            rows = db.execute(query + " order by taken_at, id", arguments).fetchall()
            values = {r[0]: tuple(Measured(*v) for v in db.execute(_VALUES, (r[0],))) for r in rows}
        return tuple(
            PastAssessment(
                number, name, taken, done, clip, view, count, tuple(json.loads(faults)), text, values[number]
            )
            for number, name, taken, done, clip, view, count, faults, text in rows
        )

    def export(self, person: str, target: Path) -> Path:
        """Writes all that is kept about a person as JSON and returns the path. InputError where nothing is."""
        kept = self.of(person)
        if not kept:
            raise InputError(f"Nothing is kept about {person!r}. Known are: {', '.join(self.people()) or 'nobody'}.")
        try:
            target.write_text(json.dumps([asdict(a) for a in kept], indent=1) + "\n")
        except OSError as error:
            raise InputError(f"{str(target)!r} can not be written ({error.strerror}).") from error
        return target

    def delete(self, person: str) -> int:
        """Removes all that is kept about a person, for good; returns how many assessments that were."""
        with self._open() as db:
            count = db.execute("delete from assessment where person=?", (person.strip(),)).rowcount
        with self._open() as db:
            db.isolation_level = None
            db.execute("vacuum")  # deleted rows leave the file as well
        return count


def measured(critique: Critique) -> tuple[Measured, ...]:
    """The values worth following: each judged check's median over all repetitions."""
    found = critique.assessment
    out = []
    for finding in (*found.of_kind("fault"), *found.of_kind("good")):
        values = [row.values[finding.id] for row in found.table if finding.id in row.values]
        if values and finding.unit:
            value = float(np.median(values))
            out.append(Measured(finding.id, finding.title, value, finding.unit, finding.target, finding.kind))
    return tuple(sorted(out, key=lambda m: m.name))

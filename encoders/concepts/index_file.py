"""The SQLite file of a concept index: whose weights it is of, which files are in it, and one transaction a change.

`ConceptIndex` (`index.py`) is such a file with vectors beside it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from motionqa.data.schema import InputError
from motionqa.encoders.concepts import vector_rows
from motionqa.encoders.concepts.indexed import Holdings, KnownFile

FORMAT = "1"
"""Raised when an index on disk no longer means what it did."""
FILE = "index.sqlite"

_SCHEMA = """
create table if not exists about (key text primary key, value text not null);
create table if not exists file (
  path blob primary key, sha text not null, size integer not null, mtime_ns integer not null, reason text
);
create index if not exists file_of on file (sha);
create table if not exists clip (
  id integer primary key, sha text not null, part text not null, modality text not null, name blob not null,
  words text not null, start_s real not null, end_s real not null, clip_first integer not null,
  moment_first integer not null, moment_count integer not null, spans blob not null, unique (sha, part, modality)
);
create index if not exists clip_at on clip (clip_first);
create index if not exists moment_at on clip (moment_first);
"""


class IndexFile:
    """An index's file, and the paths known in it."""

    def __init__(self, folder: Path, weights: str, create: bool = False) -> None:
        """Opens an index, or makes an empty one with `create` where there is none.

        `weights` names the model by its SHA-256 (`ModelDir.weights_sha256`). InputError where there is no index, for
        one of other weights, or a damaged one.
        """
        if not weights:
            raise InputError("an index belongs to the weights that encoded its clips; give their SHA-256")
        self.folder, self.weights = Path(folder), weights
        if create:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"{self.folder} can not be an index's folder ({error.strerror})") from error
        elif not (self.folder / FILE).is_file():
            raise InputError(f"there is no concept index in {self.folder}; build one with motionqa concepts index")
        with self._open() as db:
            if create:
                db.execute("begin immediate")
                for statement in (*_SCHEMA.split(";"), *vector_rows.SCHEMA.split(";")):
                    db.execute(statement)
                start = {"format": FORMAT, "weights": weights, "change": "0"}
                db.executemany("insert or ignore into about values (?,?)", start.items())
            found = dict(db.execute("select key, value from about"))
        if found.get("format") != FORMAT:
            raise InputError(
                f"the index in {self.folder} has format {found.get('format')}, expected {FORMAT}; build it again"
            )
        if found["weights"] != weights:
            raise InputError(
                f"the index in {self.folder} was built with the weights {found['weights'][:12]}, not {weights[:12]}; "
                "open it with those, or build another one"
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """One transaction, kept where nothing is raised within."""
        try:
            with closing(sqlite3.connect(self.folder / FILE, timeout=60, isolation_level=None)) as db:
                try:
                    yield db
                    if db.in_transaction:
                        db.execute("commit")
                except BaseException:
                    if db.in_transaction:
                        db.execute("rollback")
                    raise
        except (sqlite3.Error, OSError) as error:
            raise InputError(
                f"the index in {self.folder} can not be used ({error}); if it is damaged, delete it and build it again"
            ) from error

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._open() as db:
            db.execute("begin immediate")
            yield db
            db.execute("update about set value = cast(value as integer) + 1 where key = 'change'")

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        with self._open() as db:
            db.execute("begin")
            yield db

    def _enter(
        self, db: sqlite3.Connection, path: Path, sha: str, stamp: os.stat_result | None, reason: str | None = None
    ) -> None:
        key = os.fsencode(path.as_posix())
        before = db.execute("select sha from file where path=?", (key,)).fetchone()
        size, mtime_ns = (stamp.st_size, stamp.st_mtime_ns) if stamp else (-1, -1)
        db.execute("insert or replace into file values (?,?,?,?,?)", (key, sha, size, mtime_ns, reason))
        if before:
            self._drop_unnamed(db, before[0])

    @staticmethod
    def _drop_unnamed(db: sqlite3.Connection, sha: str) -> None:
        named = "select 1 from file where sha=:sha and reason is null"
        db.execute(f"delete from clip where sha=:sha and not exists ({named})", {"sha": sha})

    def name(self, path: Path, sha: str, stamp: os.stat_result | None = None) -> bool:
        """Whether the content is known already; if so, it is known under this path too."""
        with self._change() as db:
            known = db.execute("select 1 from clip where sha=?", (sha,)).fetchone() is not None
            if known:
                self._enter(db, path, sha, stamp)
        return known

    def fail(self, path: Path, sha: str, reason: str, stamp: os.stat_result | None = None) -> None:
        """Keeps why a file could not be read; what was known of its path is taken out."""
        with self._change() as db:
            self._enter(db, path, sha, stamp, reason.encode(errors="backslashreplace").decode())

    def known(self, path: Path) -> KnownFile | None:
        """What is known of a path; None where nothing is."""
        with self._read() as db:
            row = db.execute("select * from file where path=?", (os.fsencode(path.as_posix()),)).fetchone()
        return _known(row) if row else None

    def files(self) -> Iterator[KnownFile]:
        """All files that are indexed or failed, one at a time, in order of their paths."""
        last = b""
        while True:
            with self._read() as db:
                rows = db.execute("select * from file where path>? order by path limit 1000", (last,)).fetchall()
            if not rows:
                return
            yield from map(_known, rows)
            last = rows[-1][0]

    def remove(self, path: Path) -> None:
        """Takes a path out, and its content where it lies under no other path."""
        key = os.fsencode(path.as_posix())
        with self._change() as db:
            found = db.execute("select sha from file where path=?", (key,)).fetchone()
            db.execute("delete from file where path=?", (key,))
            if found:
                self._drop_unnamed(db, found[0])

    def prune(self, folder: Path) -> int:
        """Takes out every path that is no longer there, those from `folder` on and absolute ones; returns how many."""
        gone = 0
        for known in self.files():
            try:
                (folder / known.path).stat()
            except (FileNotFoundError, NotADirectoryError):
                self.remove(known.path)
                gone += 1
            except OSError:  # out of reach, perhaps for now
                continue
        return gone

    def holdings(self) -> Holdings:
        """Numbers of files, clips and moments."""
        with self._read() as db:
            return Holdings(
                db.execute("select count(*) from file where reason is null").fetchone()[0],
                db.execute("select count(*) from file where reason is not null").fetchone()[0],
                *db.execute("select count(*), coalesce(sum(moment_count), 0) from clip").fetchone(),
            )

    @property
    def indexed(self) -> Path | None:
        """The folder that paths begin at, where the index is one of a folder."""
        with self._read() as db:
            return self._folder(db)

    @indexed.setter
    def indexed(self, folder: Path) -> None:
        with self._change() as db:
            db.execute("insert or replace into about values ('folder', ?)", (os.fsencode(folder),))

    @staticmethod
    def _folder(db: sqlite3.Connection) -> Path | None:
        found = db.execute("select value from about where key='folder'").fetchone()
        return Path(os.fsdecode(found[0])) if found else None

    @staticmethod
    def _width(db: sqlite3.Connection) -> int:
        found = db.execute("select value from about where key='width'").fetchone()
        return int(found[0]) if found else 0


def _known(row: tuple[bytes, str, int, int, str | None]) -> KnownFile:
    return KnownFile(Path(os.fsdecode(row[0])), *row[1:])

"""An index of clips and their moments in a folder: which are like this one, across motion and video.

`ConceptIndex.add` takes clips as concept tracks (`track.py`), `search_clips` and `search_moments` find the nearest by
cosine; to find videos of a motion, search with the motion's embedding for the modality "video". `index_folder.py`
fills an index from a folder of files. What is known of clips is in `index.sqlite`, vectors are in blocks beside it
(`vector_rows.py`). Every change is one transaction: a process that is killed leaves the index as it was before the
clip it was at. One file's content is kept once, under however many paths it lies.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
from jaxtyping import Float

from motionqa.data.schema import Array, InputError
from motionqa.encoders.concepts import vector_rows
from motionqa.encoders.concepts.index_file import IndexFile
from motionqa.encoders.concepts.indexed import Hit, IndexedClip
from motionqa.encoders.concepts.moments import Modality, Moments, Project, moments_of, unit_rows
from motionqa.encoders.concepts.vector_rows import Kind, Rows

KINDS: tuple[Kind, ...] = ("clip", "moment")


@dataclass(frozen=True, eq=False)
class _View:
    """Vectors as of one change of the index, and which of them are whose."""

    change: int
    rows: dict[Kind, Rows]
    among: dict[tuple[Kind, Modality], Array]


class ConceptIndex(IndexFile):
    """The index in a folder. Any number of threads and processes may search it while one at a time changes it."""

    def __init__(self, folder: Path, weights: str, project: Project | None = None, create: bool = False) -> None:
        """Opens an index, or makes an empty one with `create` where there is none.

        `weights` names the model by its SHA-256 (`ModelDir.weights_sha256`); `project` is needed to add clips
        (`moments.projection_of`). InputError where there is no index, for one of other weights, or a damaged one.
        """
        super().__init__(folder, weights, create)
        self.project = project
        self._view: _View | None = None

    def add(self, *clips: IndexedClip, stamp: os.stat_result | None = None) -> int:
        """Adds the clips, all or none, and returns how many were new. A path with new content loses its old.

        `stamp` is kept for `known`, to tell by size and time whether a file has changed. InputError for an embedding
        that is NaN, zero or of another width than the index's.
        """
        if self.project is None:
            raise ValueError("an index opened without a projection can only be searched; open it with one")
        with self._read() as db:
            fresh = [clip for clip in clips if not _has(db, clip)]
        found = [moments_of(clip.track, clip.modality, self.project, clip.seen) for clip in fresh]
        with self._change() as db:
            for clip in clips:
                self._enter(db, clip.path, clip.sha, stamp)
            return sum(self._insert(db, clip, moments) for clip, moments in zip(fresh, found, strict=True))

    def _insert(self, db: sqlite3.Connection, clip: IndexedClip, moments: Moments) -> bool:
        if _has(db, clip):  # given twice, or by another process meanwhile
            return False
        whole = unit_rows(clip.track.embedding, "the clip's embedding")
        width = self._width(db) or whole.shape[1]
        for vectors in (whole, moments.embeddings):
            if vectors.shape[1] != width:
                raise InputError(f"an embedding of {clip.name} has {vectors.shape[1]} numbers, expected {width}")
        db.execute("insert or ignore into about values ('width', ?)", (str(width),))
        clip_first = vector_rows.append(db, self.folder, "clip", whole)
        moment_first = vector_rows.append(db, self.folder, "moment", moments.embeddings)
        edges, spans = clip.track.edges_s, moments.spans_s.astype("<f4")
        db.execute(
            "insert into clip (sha, part, modality, name, words, start_s, end_s, clip_first, moment_first,"
            " moment_count, spans) values (?,?,?,?,?,?,?,?,?,?,?)",
            (clip.sha, clip.part, clip.modality, os.fsencode(clip.name), json.dumps(clip.words), float(edges[0]),
             float(edges[-1]), clip_first, moment_first, len(spans), spans.tobytes()),
        )  # fmt: skip
        return True

    def tidy(self) -> None:
        """Removes what killed processes left, and writes all rows anew where over half of them are taken out."""
        with self._change() as db:
            width = self._width(db)
            for kind in KINDS if width else ():
                rows = vector_rows.rows_of(db, self.folder, kind, width)
                live = db.execute(f"select coalesce(sum({_COUNT[kind]}), 0) from clip").fetchone()[0]
                if rows.count > 2 * live:
                    self._rewrite(db, kind, width)
        with self._change() as db:  # after the rows' new places are kept, or a kill would leave rows without a file
            for path in vector_rows.unused(db, self.folder):
                path.unlink(missing_ok=True)

    def _rewrite(self, db: sqlite3.Connection, kind: Kind, width: int) -> None:
        vector_rows.seal(db, self.folder, kind, width)  # what waits would go into one block with new rows
        rows = vector_rows.rows_of(db, self.folder, kind, width)
        before = vector_rows.end_of(db, kind)
        at = f"select id, {kind}_first, {_COUNT[kind]} from clip where {kind}_first<? order by {kind}_first limit 1"
        while found := db.execute(at, (before,)).fetchone():
            number, first, count = found
            vectors = vector_rows.read_rows(rows, first, count) if count else np.zeros((0, width), np.float32)
            new = vector_rows.append(db, self.folder, kind, vectors)
            db.execute(f"update clip set {kind}_first=? where id=?", (new, number))
        vector_rows.forget(db, kind, before)

    def search_clips(
        self, embedding: Float[Array, "E"], k: int = 10, modality: Modality | None = None, besides: str | None = None
    ) -> tuple[Hit, ...]:
        """The k nearest clips, nearest first; a clip in two modalities is given once, in the nearer.

        `besides` leaves out one content, by its SHA-256. InputError for k below 1, or an embedding that is NaN, zero
        or of another width than the index's.
        """
        return self._search("clip", embedding, k, modality, besides)

    def search_moments(
        self, embedding: Float[Array, "E"], k: int = 10, modality: Modality | None = None, besides: str | None = None
    ) -> tuple[Hit, ...]:
        """The k nearest moments, nearest first; of those of a clip that overlap, only the nearest.

        `besides` and errors are as in `search_clips`.
        """
        return self._search("moment", embedding, k, modality, besides)

    def _search(
        self, kind: Kind, embedding: Float[Array, "E"], k: int, modality: Modality | None, besides: str | None
    ) -> tuple[Hit, ...]:
        if k < 1:
            raise InputError(f"the number of hits is {k}; ask for at least 1")
        query = unit_rows(embedding, "the embedding to search for")[0]
        with self._read() as db:
            view = self._viewed(db)
            if view is None:
                return ()
            width = self._width(db)
            if len(query) != width:
                raise InputError(f"the embedding has {len(query)} numbers, the index's have {width}; use its weights")
            rows = view.rows[kind]
            chosen = [view.among[kind, m] for m in get_args(Modality) if modality in (None, m)]
            among = np.logical_or.reduce(chosen)
            own = f"select {kind}_first, {_COUNT[kind]} from clip where sha=?"
            for first, count in db.execute(own, (besides,)):
                among[first - rows.first :][:count] = False
            limit, live = 8 * k, int(among.sum())  # beside a moment lie two that overlap it, in each modality
            while True:
                found, cosines = rows.nearest(query, among, limit)
                hits = _distinct((_hit(db, kind, int(r), float(c)) for r, c in zip(found, cosines, strict=True)), k)
                if len(hits) == k or limit >= live:
                    break
                limit *= 4
            folder = self._folder(db) or Path()
        return tuple(replace(hit, path=folder / hit.path) for hit in hits)

    def _viewed(self, db: sqlite3.Connection) -> _View | None:
        """Rows as they are now, kept until the index changes; None for an empty index."""
        change = int(db.execute("select value from about where key='change'").fetchone()[0])
        width = self._width(db)
        view = self._view
        if width and (view is None or view.change != change):
            rows: dict[Kind, Rows] = {kind: vector_rows.rows_of(db, self.folder, kind, width) for kind in KINDS}
            among: dict[tuple[Kind, Modality], Array] = {
                (kind, m): np.zeros(rows[kind].count, bool) for kind in KINDS for m in get_args(Modality)
            }
            places = "select modality, clip_first, moment_first, moment_count from clip"
            for modality, clip, moment, count in db.execute(places):
                among["clip", modality][clip - rows["clip"].first] = True
                among["moment", modality][moment - rows["moment"].first :][:count] = True
            self._view = view = _View(change, rows, among)
        return view


_COUNT: dict[Kind, str] = {"clip": "1", "moment": "moment_count"}


def _has(db: sqlite3.Connection, clip: IndexedClip) -> bool:
    key = (clip.sha, clip.part, clip.modality)
    return db.execute("select 1 from clip where sha=? and part=? and modality=?", key).fetchone() is not None


def _hit(db: sqlite3.Connection, kind: Kind, row: int, cosine: float) -> Hit:
    """The clip that a row belongs to."""
    sha, part, modality, name, words, start, end, first, spans = db.execute(
        f"select sha, part, modality, name, words, start_s, end_s, {kind}_first, spans from clip"
        f" where {kind}_first<=? and {_COUNT[kind]}>0 order by {kind}_first desc limit 1",
        (row,),
    ).fetchone()
    path = db.execute("select path from file where sha=? and reason is null order by path limit 1", (sha,)).fetchone()[
        0
    ]
    if kind == "moment":
        start, end = np.frombuffer(spans, "<f4").reshape(-1, 2)[row - first].astype(float).tolist()
    path, name = Path(os.fsdecode(path)), os.fsdecode(name)
    return Hit(path, name, start, end, cosine, modality, tuple(json.loads(words)), sha, part)


def _distinct(hits: Iterator[Hit], k: int) -> list[Hit]:
    """The first k that share no time of the same clip with one before."""
    kept: list[Hit] = []
    for hit in hits:
        same = (other for other in kept if (other.sha, other.part) == (hit.sha, hit.part))
        if not any(hit.start_s < other.end_s and other.start_s < hit.end_s for other in same):
            kept.append(hit)
            if len(kept) == k:
                break
    return kept

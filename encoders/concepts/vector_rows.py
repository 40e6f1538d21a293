"""Unit vectors in numbered rows on disk, and the rows nearest to a vector: blocks of faiss that are mapped, not read.

A vector is kept in half precision (2 bytes a number; a cosine is then right to about 0.001), and looked for by going
through all rows of the blocks, so nothing is missed and any subset of rows can be searched. The rows that do not fill
a block yet wait in the SQLite file beside; a block is written whole, then put in its place and named in the file in
one transaction. Rows are never changed: what is taken out is left out of a search, until all are written anew.
Axis legend: `M` rows, `E` width.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from motionqa.data.schema import Array, InputError

BLOCK_ROWS = 16_384
"""Rows that wait before they are written as a block: 3 MB at 96 numbers each."""

Kind = Literal["clip", "moment"]

SCHEMA = """
create table if not exists waiting (
  kind text not null, first integer not null, count integer not null, vectors blob not null, primary key (kind, first)
);
create table if not exists block (
  kind text not null, first integer not null, count integer not null, file text not null, primary key (kind, first)
);
"""


@dataclass(frozen=True)
class Block:
    """Rows `first` to `first + count`, searched together."""

    first: int
    count: int
    vectors: Any
    """A faiss index."""


@dataclass(frozen=True)
class Rows:
    """All rows of a kind as they were at one moment; searching reads nothing but the blocks' mapped files."""

    blocks: tuple[Block, ...]

    @property
    def first(self) -> int:
        """The first row's number; they follow each other without a gap."""
        return self.blocks[0].first if self.blocks else 0

    @property
    def count(self) -> int:
        """Rows, those taken out among them."""
        return sum(block.count for block in self.blocks)

    def nearest(
        self, query: Float[Array, "E"], among: Bool[Array, "M"], limit: int
    ) -> tuple[Int[Array, "K"], Float[Array, "K"]]:
        """Numbers and cosines of the nearest rows for which `among` holds (one for every row), the nearest first."""
        import faiss

        rows, cosines = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for block in self.blocks:
            chosen = among[block.first - self.first :][: block.count]
            wanted = min(limit, int(chosen.sum()))
            if not wanted:
                continue
            bits = np.packbits(chosen, bitorder="little")
            select = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))  # pyright: ignore[reportCallIssue]
            found, places = block.vectors.search(query[None], wanted, params=select)
            rows.append(block.first + places[0])
            cosines.append(found[0])
        every, near = np.concatenate(rows), np.concatenate(cosines)
        order = np.lexsort((every, -near))[:limit]
        return every[order], np.clip(near[order], -1.0, 1.0)


def end_of(db: sqlite3.Connection, kind: Kind) -> int:
    """The number that the next row gets."""
    return max(_past(db, "block", kind), _past(db, "waiting", kind))


def _past(db: sqlite3.Connection, table: str, kind: Kind) -> int:
    last = f"select first + count from {table} where kind=? order by first desc limit 1"
    return (db.execute(last, (kind,)).fetchone() or (0,))[0]


def append(db: sqlite3.Connection, folder: Path, kind: Kind, vectors: Float[Array, "M E"]) -> int:
    """Adds unit vectors as rows and returns the first one's number; writes a block where enough of them wait."""
    first = end_of(db, kind)
    if len(vectors):
        db.execute("insert into waiting values (?,?,?,?)", (kind, first, len(vectors), vectors.astype("<f2").tobytes()))
        if first + len(vectors) - _past(db, "block", kind) >= BLOCK_ROWS:
            seal(db, folder, kind, vectors.shape[1])
    return first


def seal(db: sqlite3.Connection, folder: Path, kind: Kind, width: int) -> None:
    """Writes what waits as one block; if the transaction never ends, the rows still wait and the file is unused."""
    import faiss

    first, vectors = _waiting(db, kind, width)
    if not vectors.ntotal:
        return
    name = f"{kind}s-{first:012d}.faiss"
    part = folder / f"{name}.part"
    try:
        faiss.write_index(vectors, str(part))
    except RuntimeError as error:  # of faiss, for a full disk or a folder that may not be written
        raise InputError(f"{part} can not be written; make room, or index into another folder") from error
    _to_disk(part)
    os.replace(part, folder / name)
    _to_disk(folder)
    db.execute("delete from waiting where kind=?", (kind,))
    db.execute("insert into block values (?,?,?,?)", (kind, first, vectors.ntotal, name))


def _to_disk(path: Path) -> None:
    """Waits until a file, or a folder's names, would outlast a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _waiting(db: sqlite3.Connection, kind: Kind, width: int) -> tuple[int, Any]:
    """The first row that waits, and a faiss index in memory of all that do."""
    import faiss

    vectors = faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    first = -1
    for start, blob in db.execute("select first, vectors from waiting where kind=? order by first", (kind,)):
        first = start if first < 0 else first
        vectors.add(np.frombuffer(blob, "<f2").reshape(-1, width).astype(np.float32))
    return first, vectors


def rows_of(db: sqlite3.Connection, folder: Path, kind: Kind, width: int) -> Rows:
    """All rows of a kind. InputError where a block is missing or damaged."""
    import faiss

    blocks = []
    for first, count, name in db.execute("select first, count, file from block where kind=? order by first", (kind,)):
        try:
            vectors = faiss.read_index(str(folder / name), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:  # of faiss, for whatever is wrong with a file
            raise InputError(f"{folder / name} is missing or damaged; delete the index and build it again") from error
        if (vectors.ntotal, vectors.d) != (count, width):
            raise InputError(f"{folder / name} is of another index; delete this index and build it again")
        blocks.append(Block(first, count, vectors))
    first, vectors = _waiting(db, kind, width)
    if vectors.ntotal:
        blocks.append(Block(first, vectors.ntotal, vectors))
    return Rows(tuple(blocks))


def read_rows(rows: Rows, first: int, count: int) -> Float[Array, "M E"]:
    """The vectors of rows that follow each other."""
    for block in rows.blocks:
        if block.first <= first < block.first + block.count:
            return block.vectors.reconstruct_n(first - block.first, count)
    raise AssertionError(f"no block has row {first}")


def forget(db: sqlite3.Connection, kind: Kind, before: int) -> None:
    """Takes out all blocks that begin before a row; their files are `unused` from then on."""
    db.execute("delete from block where kind=? and first<?", (kind, before))


def unused(db: sqlite3.Connection, folder: Path) -> Iterator[Path]:
    """Files of blocks that the index does not name: left by a process that was killed, or written anew since."""
    named = {name for (name,) in db.execute("select file from block")}
    for path in folder.glob("*s-*.faiss*"):
        if path.name not in named:
            yield path

"""What goes into a concept index (`index.py`) and what comes out: clips, hits, files and their numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jaxtyping import Bool

from motionqa.data.schema import Array, InputError
from motionqa.encoders.concepts.moments import Modality, check_track

if TYPE_CHECKING:
    from motionqa.encoders.concepts.track import ConceptTrack


@dataclass(frozen=True, eq=False)
class IndexedClip:
    """A clip in one modality, as it goes into the index."""

    sha: str
    """Hex SHA-256 of the file's content."""
    path: Path
    """Of the file, from the indexed folder or absolute."""
    name: str
    modality: Modality
    track: ConceptTrack
    words: tuple[str, ...] = ()
    """What is known or was recognised to be in it."""
    part: str = ""
    """Which recording it is, of a file that holds several."""
    seen: Bool[Array, "N"] | None = None
    """Tokens in which the person is seen, where not in all."""

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.sha):
            raise InputError(f"a clip's content is named by its SHA-256 in 64 hex digits, got {self.sha!r}")
        check_track(self.track)


@dataclass(frozen=True)
class Hit:
    """A clip, or a moment of one, that was found."""

    path: Path
    name: str
    start_s: float
    end_s: float
    similarity: float
    """Cosine with what was searched for."""
    modality: Modality
    words: tuple[str, ...]
    sha: str
    part: str


@dataclass(frozen=True)
class KnownFile:
    """A file as it was when it went into the index, or failed to."""

    path: Path
    sha: str
    size: int
    mtime_ns: int
    reason: str | None
    """Why it could not be read; None where it could."""


@dataclass(frozen=True)
class Holdings:
    """What is in an index."""

    files: int
    failed: int
    clips: int
    """A clip in motion and in video counts twice."""
    moments: int

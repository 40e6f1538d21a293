"""A folder of videos and motion files into a concept index, one file at a time, again and again.

A file that is as it was (by size and time of change, else by content) is not encoded again; one that is gone is taken
out. Each file's clips go in together, so a walk that was stopped goes on with what is missing. What can not be read
is kept with its reason and tried again when it changes; where something other than the file was wrong, next time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from motionqa.data.cache import content_sha256
from motionqa.data.motion_files.read import MOTION_SUFFIXES
from motionqa.data.schema import InputError
from motionqa.data.video import VIDEO_SUFFIXES
from motionqa.encoders.clip_encoder import Cancelled
from motionqa.encoders.concepts.index import ConceptIndex
from motionqa.encoders.concepts.indexed import IndexedClip
from motionqa.encoders.concepts.moments import Project

SUFFIXES = (*VIDEO_SUFFIXES, *MOTION_SUFFIXES)
FRAME_FILES = "_keypoints.json"
"""How OpenPose's files of single frames end; a folder with such is one clip."""
REASONS = 1000
"""Failures that a summary lists; `ConceptIndex.files` knows all."""

Encode = Callable[[Path], Sequence[IndexedClip]]
"""A file's clips; their paths need not be set. InputError where the file is to blame."""
Progress = Callable[[Path, int, int], object]
"""Called with a file before it is looked at, how many were before it, and how many there are."""


@dataclass(frozen=True)
class Failed:
    """A file that could not be indexed."""

    path: Path
    """From the indexed folder."""
    reason: str


@dataclass(frozen=True)
class Built:
    """What became of a folder's files."""

    added: int
    """Files that are new, or have new content."""
    kept: int
    """Files that were known."""
    removed: int
    """Files that are gone."""
    failed: int
    failures: tuple[Failed, ...]
    """The first thousand of them."""


def build_index(
    folder: Path,
    out: Path,
    encode: Encode,
    progress: Progress = lambda path, done, total: None,
    *,
    weights: str,
    project: Project,
    again: bool = False,
) -> Built:
    """Brings the index in `out` up to date with the folder's videos and motion files, those in folders below too.

    Files are known by their suffix; hidden ones are left out. `again` tries those once more that failed before.
    InputError for a folder that is not there, or an index of another folder or of other weights.
    """
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give one with videos or motion files")
    index = ConceptIndex(out, weights, project, create=True)
    _settle(index, folder)
    total = sum(1 for _ in clip_files(folder, index.folder.resolve()))
    added = kept = failed = 0
    failures: list[Failed] = []
    for done, path in enumerate(clip_files(folder, index.folder.resolve())):
        progress(path, done, total)
        new, reason = _bring_in(index, folder, path, encode, again)
        added, kept = added + (new and not reason), kept + (not new and not reason)
        if reason:
            failed += 1
            if len(failures) < REASONS:
                failures.append(Failed(path.relative_to(folder), reason))
    removed = index.prune(folder)  # last, so that a file that was moved is known by its content
    index.tidy()
    return Built(added, kept, removed, failed, tuple(failures))


def _settle(index: ConceptIndex, folder: Path) -> None:
    """The index is one of this folder from now on; of a folder that was moved, it stays that folder's."""
    before = index.indexed
    if before is not None and before != folder and before.is_dir():
        raise InputError(f"the index in {index.folder} is of {before}; give another folder for the index of {folder}")
    if before != folder:
        index.indexed = folder


def _bring_in(index: ConceptIndex, folder: Path, path: Path, encode: Encode, again: bool) -> tuple[bool, str]:
    """Whether the file is new, and why it could not be read ("" where it could)."""
    relative = path.relative_to(folder)
    known = index.known(relative)
    sha, stamp = "", None
    try:
        stamp = path.stat()
        same = known is not None and (known.size, known.mtime_ns) == (stamp.st_size, stamp.st_mtime_ns)
        if known and same and path.is_file() and not (known.reason and again):
            return False, known.reason or ""
        sha = content_sha256(path)
        if known and known.sha == sha and known.reason and known.size >= 0 and not again:
            return False, known.reason
        if index.name(relative, sha, stamp):
            return False, ""
        clips = [replace(clip, path=relative) for clip in encode(path)]
        if not clips:
            raise InputError("nothing in it could be encoded")
        if any(clip.sha != sha for clip in clips):
            raise OSError("it changed while it was read; build the index again")
        index.add(*clips, stamp=stamp)
    except Cancelled:
        raise
    except InputError as error:
        index.fail(relative, sha, str(error), stamp)
        return True, str(error)
    except Exception as error:  # what damaged files raise has no common base, and the other files must go on
        reason = f"{type(error).__name__}: {error}"
        index.fail(relative, sha, reason)  # without a stamp: it is tried again
        return True, reason
    return True, ""


def clip_files(folder: Path, besides: Path | None = None) -> Iterator[Path]:
    """Videos and motion files in and below a folder, in no order; a folder of OpenPose frames as one.

    A folder that can not be listed is given as if it were a file: whoever reads it learns why. `besides` is left out.
    """
    places = [folder]
    while places:
        place = places.pop()
        frames = False
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    path = Path(entry.path)
                    if entry.name.startswith(".") or path == besides:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        places.append(path)
                    elif entry.name.endswith(FRAME_FILES):
                        frames = True
                    elif path.suffix.lower() in SUFFIXES:
                        yield path
        except OSError:
            frames = True
        if frames:
            yield place

"""Clips for a concept index, and what was found in one: files to tracks with words, hits to words.

A clip goes in by its motion, the person's who would be chosen where several are in view. Words are the actions that
the reader recognised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from motionqa.data.cache import encoding_key
from motionqa.data.schema import ClipEncoding
from motionqa.encoders.clip_encoder import ClipEncoder, measure
from motionqa.encoders.concepts.index import ConceptIndex
from motionqa.encoders.concepts.indexed import Hit, IndexedClip
from motionqa.encoders.concepts.moments import projection_of
from motionqa.encoders.concepts.of_clip import Concepts, clip_motion


def motion_clip(encoding: ClipEncoding, concepts: Concepts) -> IndexedClip:
    """An encoded clip's motion, as it goes into an index. InputError where nobody is seen."""
    found = clip_motion(encoding, concepts)
    words = dict.fromkeys(a.name for a in encoding.reading.actions if a.name) if encoding.reading else {}
    return IndexedClip(
        encoding.content_sha256, Path(encoding.name), encoding.name, "motion", found.track, tuple(words),
        seen=found.seen,
    )  # fmt: skip


def motion_clips(encoder: ClipEncoder, concepts: Concepts) -> Callable[[Path], list[IndexedClip]]:
    """What an index is built with: a file to its clips. InputError where the file is to blame."""
    return lambda path: [motion_clip(encoder.encode(path), concepts)]


def open_index(folder: Path, concepts: Concepts) -> ConceptIndex:
    """The index in a folder. InputError where there is none, or it was built with other weights."""
    return ConceptIndex(folder, concepts.weights_sha256, projection_of(concepts.model))


def kept_encoding(encoder: ClipEncoder, hit: Hit) -> ClipEncoding | None:
    """The encoding of a clip that was found, where it is still kept: nothing is encoded for it."""
    config = encoder.config
    if encoder.cache is None:
        return None
    found = encoder.cache.load(encoding_key(hit.sha, config), lambda pose: measure(pose, config))
    return replace(found, name=hit.name) if found else None


def hit_text(hit: Hit) -> str:
    """What was recognised in the clip that was found; "" where nothing was."""
    return ", ".join(hit.words[:4])

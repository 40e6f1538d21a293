"""`motionqa concepts`: what a clip's movement is made of, what the concepts are, and where else they occur."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from motionqa.cli.encoding import encoder_config, progress_line
from motionqa.data.motion_files.raw_motion import MotionOverrides
from motionqa.data.schema import InputError

if TYPE_CHECKING:
    from motionqa.assistant.concept_timeline import ShownConcepts
    from motionqa.encoders.concepts.indexed import Hit

Clip = Annotated[Path, tyro.conf.Positional]
AsJson = Annotated[bool, tyro.conf.arg(name="json")]


@dataclass(frozen=True)
class Reading:
    """How the clip is read, and with which concepts."""

    weights: str = "concepts"
    """Folder of trained concepts instead of the released ones."""
    person: int | None = None
    """Number of the person, where several are in view."""
    start_s: float = 0.0
    """Analyse a long video from here."""
    lifter: str = "dstformer"
    """What puts a video's joints into space, as for the other commands; concepts themselves do not need it."""
    cache: bool = True
    """Keep the clip's encoding."""
    motion: MotionOverrides = MotionOverrides()
    """What a motion file really holds, where it was detected wrongly."""


Read = tyro.conf.OmitArgPrefixes[Reading]


def show(clip: Clip, /, json_output: AsJson = False, reading: Read = Reading()) -> int:
    """Prints the clip's concepts: from when to when, how surely, and the actions each is typical of.

    Args:
        clip: video or motion file
        json_output: print them as JSON
        reading: how the clip is read
    """
    shown = _find(clip, reading)
    concepts = shown.concepts.book.concepts
    if json_output:
        found = [
            {
                "start_s": round(s.start_s, 3), "end_s": round(s.end_s, 3), "concept": s.code,
                "sureness": round(s.sureness, 3), "words": [w.text for w in concepts[s.code].words],
            }
            for s in shown.segments
        ]  # fmt: skip
        weights = shown.concepts.weights_sha256
        print(json.dumps({"clip": clip.name, "weights_sha256": weights, "segments": found}, indent=2))
        return 0
    for s in shown.segments:
        print(f"{s.start_s:7.2f}-{s.end_s:.2f} s  {s.sureness:.0%}  concept {s.code:3}: {concepts[s.code].words_text}")
    for note in shown.encoding.notes:
        print(f" ! {note}")
    return 0


def pages(out: Path = Path("concepts"), weights: str = "concepts") -> int:
    """Writes a folder of pages: a map of all concepts, and a page for each with its skeleton strips and words.

    Args:
        out: the folder
        weights: folder of trained concepts instead of the released ones
    """
    from motionqa.assistant.concept_pages import write_pages
    from motionqa.assistant.released import concepts as released_concepts
    from motionqa.encoders.concepts.of_clip import load_concepts

    found = load_concepts(released_concepts(weights))
    show = progress_line()
    print(write_pages(found.book, found.model, out, (lambda share: show("writing", share)) if show else None))
    return 0


def index(folder: Clip, /, *, out: Path, again: bool = False, reading: Read = Reading()) -> int:
    """Indexes the movement of a folder's videos and motion files, so that moments and clips are found in it.

    Run it again after files came, changed or went: only those are read. Status 1 where a file could not be read.

    Args:
        folder: videos and motion files, in folders below it too
        out: the index's folder
        again: try files once more that could not be read
        reading: how the clips are read
    """
    from motionqa.assistant.concept_index import motion_clips
    from motionqa.assistant.released import concepts as released_concepts
    from motionqa.encoders.concepts.index_folder import build_index
    from motionqa.encoders.concepts.moments import projection_of
    from motionqa.encoders.concepts.of_clip import load_concepts

    concepts = load_concepts(released_concepts(reading.weights))
    show = progress_line()

    def shown(path: Path, done: int, total: int) -> None:
        if show:
            show(path.name, done / max(1, total))

    built = build_index(
        folder, out, motion_clips(_encoder(reading), concepts), shown, weights=concepts.weights_sha256,
        project=projection_of(concepts.model), again=again,
    )  # fmt: skip
    print(f"{out}: {built.added} added, {built.kept} kept, {built.removed} removed, {built.failed} failed")
    for failed in built.failures:
        print(f" ! {failed.path}: {failed.reason}")
    return int(bool(built.failed))


def like(
    clip: Clip, /, *, at: float, index: Path | None = None, k: int = 5, json_output: AsJson = False,
    reading: Read = Reading(),
) -> int:  # fmt: skip
    """Prints moments like the one at a time: of the clip itself, and of a folder that was indexed.

    Args:
        clip: video or motion file
        at: seconds
        index: what `motionqa concepts index` wrote
        k: how many, of the clip and of the folder each
        json_output: print them as JSON
        reading: how the clip is read
    """
    from motionqa.encoders.concepts.like import like_moments
    from motionqa.encoders.concepts.moments import moment_at, projection_of

    _check_k(k)
    shown = _find(clip, reading)
    project = projection_of(shown.concepts.model)
    found = [_Found(clip, m.start_s, m.end_s, m.similarity) for m in like_moments(shown.motion, at, project, k)]
    if index is not None:
        moment = moment_at(shown.motion.track, at, "motion", project)
        besides = shown.encoding.content_sha256
        found += _hits(_open(index, shown).search_moments(moment.embeddings[0], k, besides=besides))
    _print_found(found, json_output)
    return 0


def search(
    clip: Clip, /, *, index: Path, modality: Literal["motion", "video"] | None = None, k: int = 10,
    json_output: AsJson = False, reading: Read = Reading(),
) -> int:  # fmt: skip
    """Prints the clips of an indexed folder that move most like this one.

    Args:
        clip: video or motion file
        index: what `motionqa concepts index` wrote
        modality: look for clips by their motion, or by their video alone, where the index holds it
        k: how many
        json_output: print them as JSON
        reading: how the clip is read
    """
    _check_k(k)
    shown = _find(clip, reading)
    besides = shown.encoding.content_sha256
    found = _open(index, shown).search_clips(shown.motion.track.embedding, k, modality, besides)
    _print_found(_hits(found), json_output)
    return 0


def concepts(
    done: Annotated[
        Annotated[int, tyro.conf.subcommand("show", constructor=show)]
        | Annotated[int, tyro.conf.subcommand("pages", constructor=pages)]
        | Annotated[int, tyro.conf.subcommand("index", constructor=index)]
        | Annotated[int, tyro.conf.subcommand("like", constructor=like)]
        | Annotated[int, tyro.conf.subcommand("search", constructor=search)],
        tyro.conf.arg(name=""),
    ],
) -> int:
    """Concepts of movement: a clip's timeline, pages about all of them, and moments that are alike."""
    return done


# ---------------------------------------------------------------------------------------------- steps


@dataclass(frozen=True)
class _Found:
    """A moment or clip that was found."""

    path: Path
    start_s: float
    end_s: float
    similarity: float
    modality: str = "motion"
    words: tuple[str, ...] = ()


def _encoder(reading: Reading):
    """What encodes clips; heavy imports are kept inside."""
    from motionqa.assistant.released import clip_encoder
    from motionqa.data.cache import EncodingCache

    config = encoder_config(reading.start_s, reading.lifter, reading.motion)
    return clip_encoder(config, EncodingCache() if reading.cache else None)


def _find(clip: Path, reading: Reading):
    """The clip's concepts; heavy imports are kept inside."""
    from motionqa.assistant.concept_timeline import find_concepts
    from motionqa.assistant.released import concepts as released_concepts
    from motionqa.encoders.people import PersonChoice

    weights = released_concepts(reading.weights)
    choice = PersonChoice(person_id=reading.person) if reading.person is not None else None
    return find_concepts(_encoder(reading).encode(clip, progress_line(), choice), weights)


def _open(index: Path, shown: ShownConcepts):
    from motionqa.assistant.concept_index import open_index

    return open_index(index, shown.concepts)


def _hits(found: Iterable[Hit]) -> list[_Found]:
    return [_Found(h.path, h.start_s, h.end_s, h.similarity, h.modality, h.words) for h in found]


def _check_k(k: int) -> None:
    if k < 1:
        raise InputError(f"k must be at least 1, got {k}")


def _print_found(found: list[_Found], json_output: bool) -> None:
    if json_output:
        print(json.dumps([asdict(hit) | {"path": str(hit.path)} for hit in found], indent=2))
        return
    for hit in found:
        words = f"  ({', '.join(hit.words)})" if hit.words else ""
        print(f"{hit.similarity:6.3f}  {hit.start_s:6.1f}-{hit.end_s:.1f} s  {hit.path}{words}")
    if not found:
        print("Nothing like it is there.")

"""Captions from official layouts: HumanML3D and Motion-X texts, KIT-ML annotations, and BABEL's labels over time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from motionqa.data.instruct.asked import Asked, example
from motionqa.data.instruct.example import InstructExample
from motionqa.data.instruct.official import OfficialSet, Reader, load_json, number_of, text_of
from motionqa.data.instruct.phrasings import PERSON, Which
from motionqa.data.schema import InputError, Segment


def captioned(
    clip: str, caption: str, others: Iterable[str], rng: np.random.Generator, which: Which = "train",
    span_s: tuple[float, float] | None = None,
) -> InstructExample:  # fmt: skip
    """A request for a description, answered with somebody's caption; other captions of the clip count as well."""
    caption = caption.strip()
    sentence = caption[:1].upper() + caption[1:]
    sentence = sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
    asked = Asked("caption", caption, "caption", accepted=tuple(others), slots={"caption": sentence}, span_s=span_s)
    return example(asked, clip, rng, which, PERSON)


def humanml3d(texts: Path, rng: np.random.Generator, names: Iterable[str] | None = None) -> OfficialSet:
    """Captions of HumanML3D's `texts/*.txt`: lines of caption#tagged words#start#end, in seconds, 0 to 0 for the whole.

    `names` keeps those of a split (`train.txt`). KIT-ML's `texts/` in the same layout is read too. InputError names
    file and line.
    """
    reader = Reader("HumanML3D")
    for path in _text_files(texts, names, reader):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        parsed = [_line(line, f"{path}, line {n}") for n, line in enumerate(lines, start=1)]
        for i, (caption, span) in enumerate(parsed):
            if not caption:
                reader.skip("empty caption")
                continue
            same = [c for j, (c, s) in enumerate(parsed) if j != i and s == span and c]
            reader.add(captioned(path.stem, caption, same, rng, span_s=span))
    return reader.done(texts)


def _line(line: str, where: str) -> tuple[str, tuple[float, float] | None]:
    parts = line.split("#")
    if len(parts) != 4:
        raise InputError(f"{where} has {len(parts)} parts between '#', expected caption#tokens#start#end")
    try:
        start, end = (float(p) for p in parts[2:])
    except ValueError as e:
        raise InputError(f"{where}: start and end must be numbers, got {parts[2]!r} and {parts[3]!r}") from e
    whole = not np.isfinite([start, end]).all() or start == end == 0.0
    if not whole and end <= start:
        raise InputError(f"{where} ends at {end} s, before it starts at {start} s")
    return parts[0].strip(), None if whole else (start, end)


def _text_files(folder: Path, names: Iterable[str] | None, reader: Reader) -> list[Path]:
    """The text files of a folder and its subfolders, or those of the names given; missing ones are counted."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; expected the official texts")
    if names is None:
        return sorted(folder.rglob("*.txt"))
    wanted = [folder / f"{n}.txt" for n in names]
    missing = sum(not p.is_file() for p in wanted)
    if missing:
        reader.skip("no text file for a name of the split", missing)
    return [p for p in wanted if p.is_file()]


def motion_x(texts: Path, rng: np.random.Generator) -> OfficialSet:
    """Captions of Motion-X's semantic texts: one file a clip under `<set>/.../<clip>.txt`, one caption a line.

    The clip's name is its path below the folder without the ending.
    """
    reader = Reader("Motion-X")
    for path in _text_files(texts, None, reader):
        captions = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        if not captions:
            reader.skip("empty file")
        name = path.relative_to(texts).with_suffix("").as_posix()
        for i, caption in enumerate(captions):
            reader.add(captioned(name, caption, captions[:i] + captions[i + 1 :], rng))
    return reader.done(texts)


def kit_ml(path: Path, rng: np.random.Generator, mirrored: bool = False) -> OfficialSet:
    """Captions of KIT-ML in TMR's json: id → `path`, `duration` and `annotations` of `text`, `start` and `end`.

    Mirrored motions (`path` begins with `M/`) are left out unless asked for. The clip's name is its AMASS path.
    """
    reader = Reader("KIT-ML")
    for key, entry in load_json(path, dict).items():
        where = f"{path.name}, motion {key}"
        name, length = text_of(entry, "path", where), number_of(entry, "duration", where)
        listed = entry.get("annotations")
        if not isinstance(listed, list):
            raise InputError(f"{where} has no list of annotations")
        if name.startswith("M/") and not mirrored:
            reader.skip("mirrored motion", max(1, len(listed)))
            continue
        if not listed:
            reader.skip("no annotation")
        texts = [text_of(a, "text", f"{where}, annotation {i}") for i, a in enumerate(listed)]
        for i, (text, note) in enumerate(zip(texts, listed, strict=True)):
            at = f"{where}, annotation {i}"
            start, end = number_of(note, "start", at), number_of(note, "end", at)
            whole = start <= 0.0 and end >= length - 0.05
            if not text:
                reader.skip("empty text")
                continue
            others = [t for j, t in enumerate(texts) if j != i and t]
            reader.add(captioned(name, text, others, rng, span_s=None if whole else (start, end)))
    return reader.done(path)


def babel(path: Path) -> tuple[dict[str, tuple[Segment, ...]], dict[str, int]]:
    """The labelled segments of BABEL's `train.json` or `val.json` by motion (`feat_p`), and how many were left out.

    A motion is described by `frame_ann` (labels with times) or, where that is null, by `seq_ann` over all of it. Names
    are BABEL's `proc_label`; transitions are left out. Segments may overlap, as BABEL's do. InputError names the entry.
    """
    out: dict[str, tuple[Segment, ...]] = {}
    skipped = {"no label": 0, "transition": 0}
    for key, entry in load_json(path, dict).items():
        where = f"{path.name}, entry {key}"
        name, length = text_of(entry, "feat_p", where), number_of(entry, "dur", where)
        timed = entry.get("frame_ann")
        notes = timed if timed is not None else entry.get("seq_ann")
        if notes is None:
            skipped["no label"] += 1
            continue
        if not isinstance(notes, dict) or not isinstance(notes.get("labels"), list):
            raise InputError(f"{where} has annotations without a list of labels")
        found = []
        for i, label in enumerate(notes["labels"]):
            at = f"{where}, label {i}"
            words = text_of(label, "proc_label", at)
            if words == "transition":
                skipped["transition"] += 1
                continue
            start = number_of(label, "start_t", at) if timed is not None else 0.0
            end = number_of(label, "end_t", at) if timed is not None else length
            found.append(Segment(words, start, end))
        out[name] = tuple(sorted(found, key=lambda s: (s.start_s, s.end_s)))
    return out, {why: n for why, n in skipped.items() if n}

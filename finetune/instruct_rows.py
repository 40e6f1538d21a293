"""The instruction set on disk as training reads it: clips with their words, tokens and questions, compact and in parts.

A folder holds `rows.json` (how it was built, which encoders made its tokens), and for each part a `part-00000.jsonl`
with a clip a line and a `part-00000.safetensors` with all rows of features one after the other as float16. `rows.json`
is written last: a folder without it is not whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from motionqa.data.reading import MODALITIES, ClipTokens
from motionqa.data.schema import InputError

Array = np.ndarray
HEADER, UNFINISHED, FORMAT = "rows.json", "unfinished.json", 1


@dataclass(frozen=True)
class Span:
    """A named action and the rows of features that it covers, in the first modality that the clip has."""

    name: str
    start: int
    end: int
    """The row after its last; rows beyond the clip's end do not count."""


@dataclass(frozen=True, eq=False)
class TrainClip:
    """A clip with everything that training may show of it and ask about it."""

    clip: str
    """The builder's own name for it."""
    words: tuple[str, ...]
    """The clip in words: alternative readings, of which each draw shows one."""
    tokens: tuple[ClipTokens, ...] = ()
    """Its learned tokens: one for each reading, or one for all, or none."""
    spans: tuple[Span, ...] = ()
    dialogues: tuple[tuple[tuple[str, str], ...], ...] = ()
    """Conversations about it: the user's turns with their answers, in order."""

    def __post_init__(self) -> None:
        if len(self.tokens) not in (0, 1, len(self.words)):
            raise ValueError(
                f"{self.clip} has {len(self.words)} readings in words and {len(self.tokens)} in tokens; expected one "
                "of tokens for all or one for each"
            )
        for dialogue in self.dialogues:
            if not dialogue or not all(asked.strip() and said.strip() for asked, said in dialogue):
                raise ValueError(f"{self.clip}: a dialogue needs questions with answers, got {dialogue!r}")

    def tokens_of(self, reading: int) -> ClipTokens | None:
        """The learned tokens that belong to a reading."""
        return self.tokens[reading if len(self.tokens) > 1 else 0] if self.tokens else None


class RowWriter:
    """Writes a folder of training clips part by part; a build that was cut off goes on behind its last whole part.

    with RowWriter(folder, config) as writer:
        for clip in clips[writer.done:]:
            writer.add(clip)
    """

    def __init__(
        self, folder: Path, about: Any = None, sources: str | Mapping[str, str] | None = None, part_clips: int = 100
    ) -> None:
        """`about` (a dataclass or mapping) says how it is built; `sources` are the encoders, a string the motion's.

        Without `sources` they are those of the clips' tokens. InputError where the folder holds another build.
        """
        self.folder, self.part_clips = folder, part_clips
        given = asdict(cast(Any, about)) if is_dataclass(about) else dict(cast("Mapping[str, Any]", about or {}))
        self._about = json.loads(json.dumps(given, default=str))
        self._sources: dict[str, str] = {"motion": sources} if isinstance(sources, str) else dict(sources or {})
        self._waiting: list[TrainClip] = []
        self.done = self._parts = self._dialogues = 0
        """Clips that are on disk."""
        self._widths: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for name in (HEADER, UNFINISHED):
            if (folder / name).exists():
                self._go_on(json.loads((folder / name).read_text()))
                break

    def _go_on(self, header: dict[str, Any]) -> None:
        if header.get("format") != FORMAT or header["about"] != self._about:
            raise InputError(f"{self.folder} holds rows of another build; remove the folder or write to another one")
        self.done, self._parts, self._dialogues = header["clips"], header["parts"], header["dialogues"]
        self._widths, self._sources = header["widths"], header["sources"]

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None:
            return
        if self._waiting:
            self._flush()
        if not self._dialogues:
            raise ValueError(f"{self.done} clips came without a single dialogue; there is nothing to learn")
        if (self.folder / UNFINISHED).exists():
            (self.folder / UNFINISHED).replace(self.folder / HEADER)

    def add(self, clip: TrainClip) -> None:
        """Takes one clip. ValueError for features of another width or another encoder than before."""
        for tokens in clip.tokens:
            for modality in MODALITIES:
                rows = tokens.of(modality)
                if rows is None:
                    continue
                width, source = rows.shape[1], tokens.sources.get(modality, "")
                if self._widths.setdefault(modality, width) != width:
                    raise ValueError(f"{clip.clip}: {modality} has width {width}, before {self._widths[modality]}")
                if self._sources.setdefault(modality, source) != source:
                    raise ValueError(f"{clip.clip}: {modality} is from {source!r}, before {self._sources[modality]!r}")
        self._waiting.append(clip)
        if len(self._waiting) == self.part_clips:
            self._flush()

    def _flush(self) -> None:
        _write_part(self.folder, self._parts, self._waiting)
        self._parts, self.done = self._parts + 1, self.done + len(self._waiting)
        self._dialogues += sum(len(c.dialogues) for c in self._waiting)
        self._waiting = []
        header = {"format": FORMAT, "clips": self.done, "dialogues": self._dialogues, "parts": self._parts}
        header |= {"widths": self._widths, "sources": self._sources, "about": self._about}
        part = self.folder / f"{UNFINISHED}.part"
        part.write_text(json.dumps(header, indent=2) + "\n")
        part.replace(self.folder / UNFINISHED)
        (self.folder / HEADER).unlink(missing_ok=True)


def _write_part(folder: Path, number: int, clips: Iterable[TrainClip]) -> None:
    held: dict[str, list[Array]] = {}
    filled: dict[str, int] = {}
    lines = []
    for clip in clips:
        places = []
        for tokens in clip.tokens:
            place = {}
            for modality in MODALITIES:
                rows = tokens.of(modality)
                if rows is None:
                    continue
                start = filled.get(modality, 0)
                filled[modality] = start + len(rows)
                held.setdefault(modality, []).append(np.asarray(rows, np.float16))
                place[modality] = [start, start + len(rows)]
            places.append(place)
        spans = [[s.name, s.start, s.end] for s in clip.spans]
        line = {"clip": clip.clip, "words": clip.words, "tokens": places, "spans": spans, "dialogues": clip.dialogues}
        lines.append(json.dumps(line, ensure_ascii=False))
    save_file({m: np.concatenate(x) for m, x in held.items()}, _part(folder, number, "safetensors"))
    _part(folder, number, "jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _part(folder: Path, number: int, kind: str) -> Path:
    return folder / f"part-{number:05d}.{kind}"


class InstructRows:
    """A folder of training clips: `rows[k]` is the k-th, its features read when asked for."""

    def __init__(self, folder: Path) -> None:
        """InputError where the folder is not whole."""
        try:
            header = json.loads((folder / HEADER).read_text())
            if header["format"] != FORMAT:
                raise InputError(f"{folder} has format {header['format']}, expected {FORMAT}; build it again")
            self.widths: dict[str, int] = header["widths"]
            self.sources: dict[str, str] = header["sources"]
            self.about: dict[str, Any] = header["about"]
            self._lines = [
                (part, line)
                for part in range(header["parts"])
                for line in _part(folder, part, "jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
            ]
            self._files = [safe_open(_part(folder, p, "safetensors"), "numpy") for p in range(header["parts"])]
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise InputError(
                f"{folder} is no whole set of training rows ({type(error).__name__}: {error}). Build it with "
                "motionqa.finetune.instruct_build."
            ) from error
        if len(self._lines) != header["clips"]:
            raise InputError(f"{folder} has {len(self._lines)} clips and should have {header['clips']}; build it again")
        self.folder = folder

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index: int) -> TrainClip:
        part, line = self._lines[index]
        held = json.loads(line)
        return TrainClip(
            held["clip"],
            tuple(held["words"]),
            tuple(self._tokens(part, place) for place in held["tokens"]),
            tuple(Span(*span) for span in held["spans"]),
            tuple(tuple((asked, said) for asked, said in turns) for turns in held["dialogues"]),
        )

    def _tokens(self, part: int, place: Mapping[str, list[int]]) -> ClipTokens:
        rows: dict[str, Float[Array, "N D"]] = {
            m: self._files[part].get_slice(m)[start:stop] for m, (start, stop) in place.items()
        }
        return ClipTokens(**rows, sources=self.sources)

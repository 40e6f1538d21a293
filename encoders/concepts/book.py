"""What a codebook's concepts are, for people: how often each is used, its words, moments, neighbours, place on a map.

`motionqa.finetune.concept_book` makes `book.npz` beside the weights; one version's codes mean nothing in another, so
the book names the weights that it was made for, and the DSTformer whose features they read. Its pictures are of
collections whose terms let excerpts be passed on. A concept without any is shown as the decoder draws it: the code
with the codes that most often lead to it and follow it (`neighbourhood`).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float16

from motionqa.data.motion_files.array_files import load_npz
from motionqa.data.schema import InputError
from motionqa.encoders.device import computed

if TYPE_CHECKING:
    from motionqa.encoders.concepts.humocon import HuMoCon

Array = np.ndarray

BOOK = "book.npz"
FORMAT = 1
EXCERPT = 7
"""Moments of an excerpt, evenly spaced."""
EXCERPT_S = 1.8
"""From its first moment to its last; the concept is in the middle."""
AROUND = 3
"""Tokens before and after a code that are decoded with it: 1.9 s together."""


@dataclass(frozen=True)
class ConceptWeights:
    """Where a trained HuMoCon with its book is, the DSTformer it reads, and which versions these are."""

    weights: Path
    dstformer: Path
    version: str


@dataclass(frozen=True)
class Word:
    """An action that a concept occurs in."""

    text: str
    share: float
    """Of the clips with this concept, smoothed."""
    lift: float
    """How many times more often than among all concepts."""


@dataclass(frozen=True)
class TypicalMoment:
    """A moment of a training clip that is plainly this concept."""

    source: str
    """The collection."""
    clip: str
    words: str
    mirrored: bool
    at_s: float
    excerpt: int | None = None
    """Row of the book's excerpts; None where its collection's terms do not let one be passed on."""


@dataclass(frozen=True)
class Neighbour:
    """A concept that often comes directly before or after another."""

    code: int
    share: float
    """Of the changes to or from the other."""


@dataclass(frozen=True)
class Concept:
    """One code as a page shows it."""

    code: int
    share: float
    """Of all tokens of the training clips."""
    clips: int
    """Different training clips it occurs in."""
    words: tuple[Word, ...] = ()
    typical: tuple[TypicalMoment, ...] = ()
    before: tuple[Neighbour, ...] = ()
    after: tuple[Neighbour, ...] = ()
    place: tuple[float, float] = (0.0, 0.0)
    """On the map; the farthest code lies at distance 1."""

    @property
    def words_text(self) -> str:
        """Its words in a row; says so where it has none."""
        return ", ".join(w.text for w in self.words) or "no action stands out"

    @property
    def title(self) -> str:
        """What it is called: its number and foremost words."""
        return f"Concept {self.code}: " + (", ".join(w.text for w in self.words[:2]) or "no action stands out")


@dataclass(frozen=True, eq=False)
class ConceptBook:
    """All codes of a codebook, in order."""

    concepts: tuple[Concept, ...]
    excerpts: Float16[Array, "E M 17 3"]
    """About the pelvis, camera axes, metres."""
    weights_sha256: str
    dstformer_sha256: str
    map_share: float
    """Of the codes' variance that the map keeps: a projection on their two principal axes."""
    tokens: int
    clips: int

    def __len__(self) -> int:
        return len(self.concepts)

    @property
    def used(self) -> tuple[Concept, ...]:
        """Concepts that occur in training clips, most used first."""
        return tuple(sorted((c for c in self.concepts if c.share > 0), key=lambda c: -c.share))

    def neighbourhood(self, code: int, around: int = AROUND) -> list[int]:
        """The code in the middle of what most often leads to it and follows it; nothing comes twice in a row there.

        A code that has no neighbours stays.
        """
        before, after = [code], [code]
        for _ in range(around):
            first, last = self.concepts[before[0]].before, self.concepts[after[-1]].after
            before.insert(0, first[0].code if first else before[0])
            after.append(last[0].code if last else after[-1])
        return [*before, *after[1:]]


def save_book(path: Path, book: ConceptBook) -> Path:
    """The file, exchanged whole."""
    about = asdict(book) | {"format": FORMAT}
    del about["excerpts"]
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as part:
        np.savez_compressed(part, about=np.array(json.dumps(about)), excerpts=book.excerpts)
    os.chmod(part.name, 0o644)  # temporary files are private, a released book is not
    os.replace(part.name, path)
    return path


def load_book(path: Path) -> ConceptBook:
    """The book of a file written by `save_book`. InputError where it is missing, damaged or of another format."""
    if not path.exists():
        raise InputError(f"{path} is not there; make the concepts' book with motionqa.finetune.concept_book")
    found = load_npz(path, ("about", "excerpts"))
    try:
        about: dict[str, Any] = json.loads(str(found["about"]))
        if about.pop("format") != FORMAT:
            raise ValueError("another format")
        concepts = tuple(_concept(c) for c in about.pop("concepts"))
        book = ConceptBook(concepts, found["excerpts"].astype(np.float16), **about)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path.name} is no book of concepts of this version ({error}); make it anew with "
            "motionqa.finetune.concept_book"
        ) from error
    return book


def require_book_of(book: ConceptBook, weights_sha256: str, codes: int) -> None:
    """InputError where the book was made for other weights."""
    if book.weights_sha256 != weights_sha256 or len(book) != codes:
        raise InputError(
            f"the book describes {len(book)} concepts of weights {book.weights_sha256[:12]}, these are {codes} of "
            f"{weights_sha256[:12]}; make the book anew with motionqa.finetune.concept_book"
        )


def _concept(kept: dict[str, Any]) -> Concept:
    parts: dict[str, Any] = dict(kept)
    for name, kind in (("words", Word), ("typical", TypicalMoment), ("before", Neighbour), ("after", Neighbour)):
        parts[name] = tuple(kind(**one) for one in parts[name])
    x, y = parts.pop("place")
    return Concept(**parts, place=(float(x), float(y)))


def decoded(model: HuMoCon, codes: Sequence[int]) -> Float[Array, "M 17 3"]:
    """What the decoder makes of codes in a row, at `EXCERPT` even moments; about the pelvis, camera axes, metres."""
    from motionqa.encoders.concepts.track import decode_motion

    vectors = model.motion.quantizer.vectors.detach().float().cpu().numpy()
    joints = computed(decode_motion)(model, vectors[np.asarray(codes)])
    return joints[np.linspace(0, len(joints) - 1, EXCERPT).round().astype(int)]

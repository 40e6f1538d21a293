"""What the concepts of trained weights are, for people: words, typical moments, neighbours and a map, as `book.npz`.

    python -m motionqa.finetune.concept_book --features FEATURES --model RUNS/full-0/model --out RUNS/full-0/model

Every training clip is encoded. Then, for each code:

- **words**: the actions of the clips it occurs in (different clips, however often it occurs in them), ranked by
  p log(p / q). p is the action's share of these clips, smoothed by `smoothing` clips of the usual mixture; q is that
  mixture, the action's share of all pairs of a clip and a code in it. So a word is told for being frequent as well as
  for being special. Words at less than 1.5 times q, in less than a tenth of the clips, or of a single clip among
  several, are left out. Words of mirrored clips are mirrored.
- **moments**: the tokens that are most plainly this code, by their margin over the next one, each from another clip.
  Joints are kept for collections in `excerpts_of` alone, whose terms let excerpts be passed on, where the moment is
  plainer than the half of the code's clips; of the others, the clip's name.
- **neighbours**: which codes it changes from and to, repetitions left out.
- **map**: the codes of the codebook that are used, on their two principal axes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Float, Float16

from motionqa.data.concept_pairs import FPS, ConceptClip, load_part
from motionqa.data.instruct.action_words import canonical
from motionqa.data.instruct.known import mirrored_words
from motionqa.data.schema import InputError
from motionqa.encoders.concepts.book import (
    BOOK,
    EXCERPT,
    EXCERPT_S,
    Concept,
    ConceptBook,
    Neighbour,
    TypicalMoment,
    Word,
    save_book,
)
from motionqa.encoders.concepts.frame_tokens import TOKEN_FRAMES
from motionqa.encoders.concepts.humocon import HuMoCon
from motionqa.encoders.concepts.track import encode_motion, motion_of
from motionqa.encoders.model_dir import load_model_dir
from motionqa.finetune.concept_features import MOTION

Array = np.ndarray

LEAST_LIFT, LEAST_SHARE = 1.5, 0.1


@dataclass(frozen=True)
class BookConfig:
    """What the book is made of, and how much it holds."""

    features: Path
    """Folder that `motionqa.finetune.concept_features` wrote."""
    model: Path
    """Model directory of a trained HuMoCon."""
    out: Path
    """The folder that gets `book.npz`: beside the weights."""
    part: str = "train"
    excerpts_of: tuple[str, ...] = ("deepmimic",)
    """Collections whose joints may be passed on: DeepMimic's are under MIT terms."""
    excerpts: int = 2
    """Of a code, at most."""
    typical: int = 4
    """Nearest moments that are named, beside those with an excerpt."""
    words: int = 4
    neighbours: int = 4
    smoothing: float = 5.0
    """Clips of the usual mixture that are added to a code's own."""

    def __post_init__(self) -> None:
        if self.smoothing < 0:
            raise ValueError(f"smoothing must be at least 0, got {self.smoothing}")


@dataclass
class _Seen:
    """What is gathered of one code."""

    tokens: int = 0
    clips: dict[str, str | None] = field(default_factory=dict)
    """Names of different clips, a mirror image apart, and their action."""
    nearest: dict[str, tuple[float, int, int]] = field(default_factory=dict)
    """By clip name: 1 - margin, number of the clip, token."""
    before: Counter[int] = field(default_factory=Counter)
    after: Counter[int] = field(default_factory=Counter)


def action_of(clip: ConceptClip) -> str | None:
    """The clip's action as the project names it, mirrored with the clip; None where its label names none."""
    name = canonical(clip.source, clip.label)
    return mirrored_words(name) if name and clip.mirrored else name


def make_book(model: HuMoCon, clips: Sequence[ConceptClip], config: BookConfig, weights_sha256: str) -> ConceptBook:
    """The book of trained weights over kept clips. InputError where there are none."""
    if not clips:
        raise InputError(f"{config.features} has no clips in {config.part!r}; make it with concept_features")
    seen = [_Seen() for _ in range(model.motion.quantizer.config.codes)]
    for number, clip in enumerate(clips):
        _gather(model, number, clip, seen)
    usual = _usual(seen)
    total = sum(s.tokens for s in seen)
    places, kept_share = code_map(model, np.array([s.tokens > 0 for s in seen]))
    excerpts: list[Array] = []
    concepts = []
    for code, found in enumerate(seen):
        typical = _typical(found, clips, config, excerpts)
        place = (round(float(places[code, 0]), 4), round(float(places[code, 1]), 4))
        concepts.append(
            Concept(
                code, found.tokens / total, len(found.clips), words_of(found.clips.values(), usual, config), typical,
                _neighbours(found.before, config), _neighbours(found.after, config), place,
            )
        )  # fmt: skip
    shown = np.stack(excerpts) if excerpts else np.zeros((0, EXCERPT, 17, 3))
    dstformer = json.loads((config.features / MOTION).read_text())["weights_sha256"]
    different = len({c.name for c in clips})
    return ConceptBook(
        tuple(concepts), shown.astype(np.float16), weights_sha256, dstformer, kept_share, total, different
    )


def _gather(model: HuMoCon, number: int, clip: ConceptClip, seen: list[_Seen]) -> None:
    """One clip's codes into what is known of each."""
    track = encode_motion(model, motion_of(clip))
    name = f"{clip.source}/{clip.name}" + (" mirrored" if clip.mirrored else "")
    action = action_of(clip)
    for k, code in enumerate(track.codes.tolist()):
        found = seen[code]
        found.tokens += 1
        found.clips[name] = action
        near = (1 - float(track.margin[k]), number, k)
        found.nearest[name] = min(found.nearest.get(name, near), near)
    runs = track.codes[np.append(True, np.diff(track.codes) != 0)].tolist()
    for one, other in zip(runs, runs[1:], strict=False):
        seen[one].after[other] += 1
        seen[other].before[one] += 1


# ---------------------------------------------------------------------------------------------- words


def _usual(seen: Sequence[_Seen]) -> dict[str, float]:
    """Each action's share of all pairs of a clip and a code in it; clips without an action count in none."""
    counts = Counter(a for s in seen for a in s.clips.values() if a)
    total = sum(counts.values())
    return {action: n / total for action, n in counts.items()}


def words_of(actions: Iterable[str | None], usual: dict[str, float], config: BookConfig) -> tuple[Word, ...]:
    """The most characteristic of a code's actions, one for each clip (see above); best first."""
    named = Counter(a for a in actions if a)
    total = sum(named.values())
    ranked: list[tuple[float, Word]] = []
    for action, count in named.items():
        share = (count + config.smoothing * usual[action]) / (total + config.smoothing)
        lift = share / usual[action]
        if lift >= LEAST_LIFT and share >= LEAST_SHARE and (count > 1 or total == 1):
            ranked.append((share * float(np.log(lift)), Word(action, round(share, 3), round(lift, 2))))
    return tuple(w for _, w in sorted(ranked, key=lambda pair: -pair[0])[: config.words])


# ------------------------------------------------------------------------------------------ moments


def _typical(
    found: _Seen, clips: Sequence[ConceptClip], config: BookConfig, excerpts: list[Array]
) -> tuple[TypicalMoment, ...]:
    """The plainest moments of different clips: those with an excerpt, then others by name."""
    ranked = sorted(found.nearest.values())
    plain = ranked[: -(-len(ranked) // 2)]
    shown = [r for r in plain if clips[r[1]].source in config.excerpts_of][: config.excerpts]
    named = [r for r in ranked if clips[r[1]].source not in config.excerpts_of][: config.typical]
    out = []
    for _, number, token in [*shown, *named]:
        clip = clips[number]
        excerpt = len(excerpts) if clip.source in config.excerpts_of else None
        if excerpt is not None:
            excerpts.append(excerpt_of(clip, token))
        at_s = round((token + 0.5) * TOKEN_FRAMES / FPS, 2)
        words = action_of(clip) or clip.label
        out.append(TypicalMoment(clip.source, clip.name, words, clip.mirrored, at_s, excerpt))
    return tuple(out)


def excerpt_of(clip: ConceptClip, token: int) -> Float16[Array, "M 17 3"]:
    """The joints around a token; beyond the clip's ends they are held."""
    middle = (token + 0.5) * TOKEN_FRAMES
    rows = middle + np.linspace(-0.5, 0.5, EXCERPT) * EXCERPT_S * FPS
    return clip.joints_m[np.clip(rows.round().astype(int), 0, len(clip) - 1)].astype(np.float16)


def _neighbours(counts: Counter[int], config: BookConfig) -> tuple[Neighbour, ...]:
    total = sum(counts.values())
    return tuple(Neighbour(code, round(n / total, 3)) for code, n in counts.most_common(config.neighbours))


# ---------------------------------------------------------------------------------------------- map


def code_map(model: HuMoCon, used: Array) -> tuple[Float[Array, "K 2"], float]:
    """Places of all codes on the two principal axes of the used ones, and the share of variance these keep."""
    vectors = model.motion.quantizer.vectors.detach().float().cpu()
    chosen = vectors[torch.from_numpy(used)]
    middle = chosen.mean(dim=0)
    _, spread, axes = torch.linalg.svd(chosen - middle, full_matrices=False)
    axes = axes[:2] * torch.sign(axes[:2].sum(dim=1, keepdim=True))  # the sign of an axis is arbitrary
    flat = (vectors - middle) @ axes.T
    if flat.shape[1] < 2:
        flat = torch.cat([flat, torch.zeros(len(flat), 2 - flat.shape[1])], dim=1)
    reach = flat[torch.from_numpy(used)].norm(dim=1).max().clamp(min=1e-9)
    kept = float(spread[:2].square().sum() / spread.square().sum().clamp(min=1e-12))
    return (flat / reach).numpy(), round(kept, 4)


def main(config: BookConfig) -> None:
    """Writes the book and says what is in it."""
    saved = load_model_dir(config.model)
    if not isinstance(saved.model, HuMoCon):
        raise InputError(f"{config.model} holds a {type(saved.model).__name__}, expected a HuMoCon")
    book = make_book(saved.model, load_part(config.features, config.part), config, saved.weights_sha256)
    path = save_book(config.out / BOOK, book)
    told = sum(bool(c.words) for c in book.concepts)
    shown = sum(any(t.excerpt is not None for t in c.typical) for c in book.concepts)
    print(
        f"{path}: {path.stat().st_size / 1000:.0f} kB, {len(book.used)} of {len(book)} concepts used, {told} with "
        f"words, {shown} with an excerpt, the map keeps {book.map_share:.0%} of the variance"
    )


if __name__ == "__main__":
    main(tyro.cli(BookConfig))

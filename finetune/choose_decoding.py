"""How the reader's scores become actions: chosen on joined training clips read by readers that have not seen them.

    python -m motionqa.finetune.choose_decoding --mocap MOCAP_FOLDER --readers FOLD_0 FOLD_1 --model FULL

Temperature is fitted by likelihood, the cost of a change by how many actions are found where they are. The doubt is
where naming pays: a wrong name costs as much as a right one is worth. Written into the full reader's directory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import tyro
from jaxtyping import Float

from motionqa.data.instruct.known import KnownMotion, known_motion
from motionqa.data.instruct.stitch import stitched
from motionqa.data.mocap.packed import load_collections
from motionqa.data.mocap.splits import half_of
from motionqa.data.reading import ReadAction
from motionqa.data.schema import Segment
from motionqa.encoders.model_dir import load_model_dir, save_model_dir
from motionqa.encoders.reader.decode import DecodeConfig, decode
from motionqa.encoders.reader.features import FPS, STRIDE, body_features
from motionqa.encoders.reader.read import load_reader

Array = np.ndarray

TEMPERATURES, CHANGES = (0.7, 1.0, 1.4, 2.0, 2.8), (1.0, 2.0, 4.0, 6.0, 9.0)
DOUBTS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6)


@dataclass(frozen=True)
class ChoiceConfig:
    """What is read by what."""

    mocap: tuple[Path, ...]
    readers: tuple[Path, Path]
    """Readers that left out half 0 and half 1."""
    model: Path
    joined: int = 120
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Read:
    """Scores of one sequence with what is true of it."""

    scores: Float[Array, "N K"]
    borders: Float[Array, "N+1"]
    truth: tuple[Segment, ...]
    names: tuple[str, ...]
    """What the reader calls the columns."""


def found_share(read: Sequence[ReadAction], truth: Sequence[Segment], least: float = 0.5) -> tuple[int, int, int]:
    """Actions found (right name, IoU of at least `least`), actions named, actions there are."""
    left, right = list(truth), 0
    for action in read:
        for true in left:
            both = min(action.end_s, true.end_s) - max(action.start_s, true.start_s)
            either = max(action.end_s, true.end_s) - min(action.start_s, true.start_s)
            if action.name == true.name and both / either >= least:
                left.remove(true)
                right += 1
                break
    return right, sum(bool(a.name) for a in read), len(truth)


def read_sequences(motions: Sequence[KnownMotion], folder: Path) -> list[Read]:
    """Every sequence through one reader."""
    reader = load_reader(folder)
    out = []
    for motion in motions:
        found = body_features(motion.pose)
        _, scores = reader.run(found.values)
        borders = np.append(np.arange(len(scores)) * STRIDE / FPS, max(found.times_s[-1], 1e-3))
        out.append(Read(scores, borders, motion.actions, reader.names))
    return out


def likelihood(reads: Sequence[Read], temperature: float) -> float:
    """Mean log-probability of the true action at every moment."""
    total, count = 0.0, 0
    for read in reads:
        x = read.scores / temperature
        x = x - x.max(axis=1, keepdims=True)
        log_p = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
        for i, at in enumerate((read.borders[1:] + read.borders[:-1]) / 2):
            true = next((s.name for s in read.truth if s.start_s <= at < s.end_s), "")
            if true in read.names:
                total, count = total + float(log_p[i, read.names.index(true)]), count + 1
    return total / max(count, 1)


def f1(reads: Sequence[Read], config: DecodeConfig) -> float:
    """Harmonic mean of the shares of named actions that are right and of true actions that are found."""
    sums = np.sum([found_share(decode(r.scores, r.borders, r.names, config), r.truth) for r in reads], axis=0)
    return float(2 * sums[0] / (sums[1] + sums[2]))


def pays(reads: Sequence[Read], config: DecodeConfig) -> float:
    """Right names minus wrong ones, a true action."""
    sums = np.sum([found_share(decode(r.scores, r.borders, r.names, config), r.truth) for r in reads], axis=0)
    return float((2 * sums[0] - sums[1]) / sums[2])


def choose(reads: Sequence[Read]) -> tuple[DecodeConfig, dict[str, float]]:
    """The decoding that reads best, and how well it does."""
    temperature = max(TEMPERATURES, key=lambda t: likelihood(reads, t))
    plain = DecodeConfig(temperature=temperature, doubt=0.0)
    tried = [replace(plain, change=c, shortest_s=s) for c, s in product(CHANGES, (0.3, 0.5, 0.8))]
    best = max(tried, key=lambda c: f1(reads, c))
    best = max((replace(best, doubt=d) for d in DOUBTS), key=lambda c: pays(reads, c))
    return best, {"cross_fitted_f1": round(f1(reads, best), 4)}


def main(config: ChoiceConfig) -> None:
    """Writes the chosen decoding into the full reader's directory."""
    rng = np.random.default_rng(config.seed)
    clips = [c for c in load_collections(config.mocap) if c.split == "train" and c.metric]
    reads: list[Read] = []
    for half, folder in enumerate(config.readers):
        known = [m for m in (known_motion(c) for c in clips if half_of(c) == half) if m.actions]
        reads += read_sequences(stitched(known, rng, config.joined), folder)
    saved = load_model_dir(config.model)
    chosen, scores = choose(reads)
    print(chosen, scores)
    usage = {**saved.usage, "decoding": asdict(chosen)}
    save_model_dir(
        config.model, saved.model, usage=usage, recipe=saved.recipe, data=saved.data, scores={**saved.scores, **scores}
    )


if __name__ == "__main__":
    main(tyro.cli(ChoiceConfig))

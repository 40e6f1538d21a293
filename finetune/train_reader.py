"""The reader: actions at every moment of a movement, learned from labelled motion capture and films of it.

    python -m motionqa.finetune.film_bank --mocap MOCAP_FOLDER --out BANK
    python -m motionqa.finetune.train_reader cpu --mocap MOCAP_FOLDER --films BANK --out RUN

Sequences of one to four clips are joined and cut anew at every step. `--fold 0` and `--fold 1` leave half of the
training people and styles out, so that the other half can be read by a network that has not seen it: what the
language model is tuned on must be as doubtful as what it will meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn

from motionqa.data.instruct.action_words import canonical
from motionqa.data.instruct.known import mirrored_words
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.films import load_bank
from motionqa.data.mocap.packed import load_collections
from motionqa.data.mocap.sources import collections_of
from motionqa.data.mocap.splits import half_of
from motionqa.data.schema import InputError
from motionqa.data.virtual_camera import MIRROR, mirrored, with_other_limbs
from motionqa.encoders.model_dir import load_model_dir, save_model_dir
from motionqa.encoders.reader.decode import DecodeConfig
from motionqa.encoders.reader.features import FPS, SEEN, STRIDE, at_moments, features_of
from motionqa.encoders.reader.network import MotionReader, ReaderConfig
from motionqa.finetune.training import LoopConfig, fit, recipe_of

Array = np.ndarray

STAND = "stand"
"""Standing still, which no collection labels: a clip's first posture, held."""


@dataclass(frozen=True)
class ReaderTraining:
    """The recipe. Ours throughout."""

    mocap: tuple[Path, ...]
    out: Path
    films: Path | None = None
    """Folder of films; exact motion alone without."""
    start: Path | None = None
    """Folder of a reader to go on from."""
    fold: int | None = None
    """0 or 1 leaves that half of the training groups out."""
    least: int = 8
    """Actions with fewer training clips are "none of these"."""
    longest_s: float = 6.0
    """Of one clip in a sequence."""
    clips: int = 4
    """In a sequence, at most."""
    batch: int = 24
    width: int = 192
    stand_share: float = 0.06
    label_smoothing: float = 0.05
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(1500))


SHARES = {"bandai_namco": 0.36, "utd_mhad": 0.46, "msr_action3d": 0.12}
"""How often a clip comes from a collection; the others share the rest."""


def trunk_seen(confidence: Array) -> float:
    """Share of the frames in which hips and shoulders are seen."""
    return float((confidence[:, [1, 4, 11, 14]] >= SEEN).all(axis=1).mean())


class Sequences:
    """Random sequences of labelled movements: the same seed and step give the same batch."""

    def __init__(self, config: ReaderTraining, clips: Sequence[MocapClip], films: Sequence[MocapClip]) -> None:
        self.config = config
        train = [c for c in (*clips, *films) if c.split == "train" and c.label and trunk_seen(c.confidence) > 0.9]
        # Halves know the names of the whole, so that their scores can stand for the full reader's.
        exact = [n for c in train if (n := canonical(c.source, c.label))]
        counts = {n: exact.count(n) for n in sorted(set(exact))}
        self.names = (*(n for n, k in counts.items() if k >= config.least), STAND)
        if config.fold is not None:
            train = [c for c in train if half_of(c) != config.fold]
        if not train:
            raise InputError("there are no labelled training clips")
        names = [canonical(c.source, c.label) for c in train]
        self.clips = train
        self.labels = [n if n in self.names else "" for n in names]
        self.share = self._shares()

    def _shares(self) -> Array:
        """Collections by `SHARES`, actions within one by the root of how many clips they have."""
        sources = np.array([c.source for c in self.clips])
        labels = np.array([f"{c.source}/{n}" for c, n in zip(self.clips, self.labels, strict=True)])
        weight = np.empty(len(self.clips))
        for name in set(labels.tolist()):
            of = labels == name
            weight[of] = 1 / np.sqrt(of.sum())
        rest = 1 - sum(SHARES.get(s, 0.0) for s in set(sources.tolist()))
        others = ~np.isin(sources, list(SHARES))
        for source in set(sources.tolist()) & set(SHARES):
            of = sources == source
            weight[of] *= SHARES[source] / weight[of].sum()
        if others.any():
            weight[others] *= max(rest, 0.02) / weight[others].sum()
        return weight / weight.sum()

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Features [B, T, F], which frames are real [B, T], and the class of every frame [B, T] (-1: any)."""
        rng = np.random.default_rng((self.config.loop.seed, step))
        rows = [self.sequence(rng) for _ in range(self.config.batch)]
        longest = max(len(x) for x, _ in rows)
        features = np.zeros((len(rows), longest, rows[0][0].shape[1]), np.float32)
        real, labels = np.zeros((len(rows), longest), bool), np.full((len(rows), longest), -1)
        for i, (x, y) in enumerate(rows):
            features[i, : len(x)], real[i, : len(x)], labels[i, : len(x)] = x, True, y
        return torch.from_numpy(features), torch.from_numpy(real), torch.from_numpy(labels)

    def sequence(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Features and classes of a few clips, one after the other."""
        first = int(rng.choice(len(self.clips), p=self.share))
        chosen = [first]
        source = self.clips[first].source
        same = self.share * np.array([c.source == source for c in self.clips])
        for _ in range(int(rng.integers(0, self.config.clips))):
            share = same / same.sum() if rng.random() < 0.8 else self.share
            chosen.append(int(rng.choice(len(self.clips), p=share)))
        parts = [self.part(i, rng) for i in chosen]
        return joined([x for x, _ in parts], [y for _, y in parts], rng)

    def part(self, i: int, rng: np.random.Generator) -> tuple[Array, int]:
        """One clip as seen once, and its class."""
        clip, name = self.clips[i], self.labels[i]
        xyz, confidence = clip.xyz_m, clip.confidence
        if rng.random() < 0.5:
            xyz, confidence, name = mirrored(xyz), confidence[:, MIRROR], mirrored_words(name) if name else ""
        number = self.names.index(name) if name in self.names else len(self.names)
        times = np.arange(len(clip)) / clip.fps
        if rng.random() < self.config.stand_share and clip.source == "utd_mhad" and clip.label != "sit to stand":
            held = np.zeros(int(rng.uniform(1, 3) * FPS))
            xyz, confidence = at_moments(xyz, confidence, times, held)
            xyz = xyz + 0.004 * rng.normal(size=xyz.shape).cumsum(axis=0) / np.sqrt(len(held))
            number = self.names.index(STAND)
        else:
            speed = np.exp(rng.uniform(-0.22, 0.22))
            length = min(times[-1], self.config.longest_s * speed) * rng.uniform(0.8, 1.0)
            start = rng.uniform(0, times[-1] - length)
            moments = start + np.arange(max(4, int(length / speed * FPS))) * speed / FPS
            xyz, confidence = at_moments(xyz, confidence, times, moments)
        if trunk_seen(confidence) == 0:  # a short gap: the joints are bridged
            confidence = np.ones_like(confidence)
        if rng.random() < 0.5:
            xyz = with_other_limbs(xyz.astype(np.float32), rng)
        xyz = with_errors(xyz, rng)
        confidence = hidden(confidence, rng)
        return features_of(xyz, confidence, bool(rng.random() < 0.8)), number


def with_errors(xyz: Array, rng: np.random.Generator) -> Array:
    """Joints off by a few centimetres, slowly changing, and the body tilted a little: what a camera's view leaves."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.spatial.transform import Rotation

    white = rng.normal(size=xyz.shape)
    slow = gaussian_filter1d(white, rng.uniform(1, 8), axis=0, mode="nearest")
    slow /= max(float(slow.std()), 1e-9)
    tilt = Rotation.from_euler("xz", rng.normal(0, 4, 2), degrees=True).as_matrix()
    size = float(np.median(np.linalg.norm(xyz[:, 8] - xyz[:, 0], axis=-1))) / 0.5
    return (xyz - xyz[:1, :1]) @ tilt.T + rng.uniform(0, 0.02) * size * slow


def hidden(confidence: Array, rng: np.random.Generator) -> Array:
    """Now and then the legs, one arm or the face are out of view."""
    confidence = confidence.copy()
    chance = rng.random()
    if chance < 0.05:
        confidence[:, [2, 3, 5, 6]] = 0
    elif chance < 0.08:
        confidence[:, [3, 6]] = 0
    elif chance < 0.09:
        confidence[:, [12, 13] if rng.random() < 0.5 else [15, 16]] = 0
    return confidence


def joined(parts: Sequence[Array], classes: Sequence[int], rng: np.random.Generator) -> tuple[Array, Array]:
    """Features of clips one after the other, blended over 0 to 0.4 s, the class changing in the middle of the seam."""
    x, y = parts[0], np.full(len(parts[0]), classes[0])
    for following, number in zip(parts[1:], classes[1:], strict=True):
        blend = int(min(rng.integers(0, 7), len(x) - 1, len(following) - 1))
        ramp = (np.arange(1, blend + 1) / (blend + 1))[:, None].astype(np.float32)
        seam = (1 - ramp) * x[len(x) - blend :] + ramp * following[:blend]
        labels = np.where(ramp[:, 0] < 0.5, y[-1], number)
        x = np.concatenate([x[: len(x) - blend], seam, following[blend:]])
        y = np.concatenate([y[: len(y) - blend], labels, np.full(len(following) - blend, number)])
    return x, y


def losses(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor], smoothing: float) -> dict[str, Tensor]:
    """Cross-entropy at every token, and of each action's mean score: one moment may look like any action."""
    features, real, labels = batch
    scores, keep = model(features, real)
    at = labels[:, ::STRIDE]
    known = keep & (at >= 0)
    per_token = F.cross_entropy(scores[known], at[known], label_smoothing=smoothing)
    change = F.pad(at[:, 1:] != at[:, :-1], (1, 0))
    number = change.cumsum(dim=1) + 1000 * torch.arange(len(at))[:, None]
    _, which = number[known].unique(return_inverse=True)
    count = int(which.max()) + 1
    sums = torch.zeros(count, scores.shape[-1]).index_add(0, which, scores[known])
    sizes = torch.zeros(count).index_add(0, which, torch.ones(len(which)))
    target = torch.zeros(count, dtype=torch.long).scatter(0, which, at[known])
    mean = sums / sizes[:, None]
    right = (mean.argmax(dim=1) == target).float().mean().detach()
    loss = per_token + F.cross_entropy(mean, target, label_smoothing=smoothing)
    return {"loss": loss, "per_token": per_token.detach(), "accuracy": right}


def measured_scale(sequences: Sequences, model: MotionReader, rows: int = 200) -> None:
    """Sets the features' mean and spread from training sequences."""
    rng = np.random.default_rng(1)
    values = np.concatenate([sequences.sequence(rng)[0] for _ in range(rows)])
    model.mean.copy_(torch.from_numpy(values.mean(axis=0)))
    model.spread.copy_(torch.from_numpy(np.maximum(values.std(axis=0), 0.05)))


def train(config: ReaderTraining) -> MotionReader:
    """The trained reader, also written to `config.out/model`."""
    torch.manual_seed(config.loop.seed)
    clips = load_collections(config.mocap)
    films = load_bank(config.films, clips) if config.films else []
    sequences = Sequences(config, clips, films)
    model = MotionReader(ReaderConfig(sequences.names, width=config.width))
    if config.start:
        model.load_state_dict(_started(config.start, sequences.names).state_dict())
    else:
        measured_scale(sequences, model)
    fitted = fit(model, sequences.batch, lambda m, b, _: losses(m, b, config.label_smoothing), config.loop, config.out)
    assert isinstance(fitted, MotionReader)
    about = {"decoding": asdict(DecodeConfig()), "fold": config.fold}
    save_model_dir(config.out / "model", fitted, usage=about, recipe=recipe_of(config), data=collections_of(clips))
    return fitted


def _started(folder: Path, names: tuple[str, ...]) -> MotionReader:
    """The reader to go on from; InputError where it knows other names."""
    model = load_model_dir(folder).model
    if not isinstance(model, MotionReader) or model.config.names != names:
        raise InputError(f"{folder} holds no reader of these {len(names)} names; start from one trained on the same")
    return model


_SHARED = {"mocap": (Path("mocap"),), "out": Path("runs/reader")}
PRESETS = {
    "debug": (
        "seconds, to see that everything runs",
        ReaderTraining(**_SHARED, least=1, batch=2, width=32, loop=LoopConfig(4, warmup=1, save_every=2, log_every=1)),
    ),
    "cpu": (
        "ten minutes on one core: the released reader",
        ReaderTraining(
            **_SHARED, loop=LoopConfig(1800, learning_rate=1.5e-3, weight_decay=0.05, warmup=60, save_every=300)
        ),
    ),
    "gpu": (
        "minutes on a card",
        ReaderTraining(**_SHARED, batch=128, width=384, loop=LoopConfig(6000, learning_rate=1e-3, weight_decay=0.05)),
    ),
}

if __name__ == "__main__":
    train(tyro.extras.overridable_config_cli(PRESETS))

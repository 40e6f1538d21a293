"""How well the reader reads: actions named on held-out people and styles, from exact motion and from films of it.

    python -m motionqa.eval.reader_scores --mocap MOCAP_FOLDER --reader MODEL_FOLDER [--films BANK] [--strangers VIDEOS]

`--strangers` is a folder of mp4 videos of movements that the reader has no name for: how often does one get a name?
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from motionqa.assistant.released import lifting
from motionqa.data.cache import EncodingCache
from motionqa.data.instruct.action_words import canonical, names_of
from motionqa.data.instruct.known import known_motion
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.packed import load_collections
from motionqa.data.reading import MotionReading
from motionqa.data.schema import InputError
from motionqa.encoders.clip_encoder import ClipEncoder, EncoderConfig
from motionqa.encoders.reader.features import body_features
from motionqa.encoders.reader.read import Reader, load_reader, read_pose
from motionqa.eval.recognition import wilson

Array = np.ndarray


@dataclass(frozen=True)
class ReaderScoring:
    """What is scored on what."""

    mocap: tuple[Path, ...]
    reader: Path
    films: Path | None = None
    strangers: Path | None = None
    encodings: Path = Path("runs/reader/encodings")
    """Where encoded videos are kept between runs."""
    split: str = "test"


@dataclass(frozen=True, eq=False)
class Named:
    """One clip's true name and how likely the reader finds every name, over the whole clip."""

    source: str
    truth: str
    mean_scores: Array


def named(clips: Sequence[MocapClip], reader: Reader) -> list[Named]:
    """Every clip whose action the reader can know, with the mean of its scores over the clip."""
    out = []
    for clip in clips:
        name = canonical(clip.source, clip.label)
        if name not in reader.names:
            continue
        try:
            features = body_features(known_motion(clip).pose)
        except InputError:  # never seen: it counts as not recognised
            out.append(Named(clip.source, name, np.zeros(len(reader.names) + 1)))
            continue
        _, scores = reader.run(features.values)
        shifted = scores - scores.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        out.append(Named(clip.source, name, log_p.mean(axis=0)))
    return out


def accuracy(found: Sequence[Named], names: Sequence[str], own_names: bool) -> np.ndarray:
    """Which clips are named rightly: among all names, or among the names of the clip's own collection."""
    right = []
    for one in found:
        allowed = np.ones(len(names) + 1, bool)
        if own_names:
            own = set(names_of(one.source))
            allowed = np.array([n in own for n in names] + [False])
        scores = np.where(allowed, one.mean_scores, -np.inf)
        best = int(scores.argmax())
        right.append(best < len(names) and names[best] == one.truth)
    return np.array(right)


def mostly(reading: MotionReading) -> str:
    """The name that takes up most of a clip; empty where that is no name."""
    lengths: dict[str, float] = {}
    for action in reading.actions:
        lengths[action.name] = lengths.get(action.name, 0.0) + action.end_s - action.start_s
    return max(lengths, key=lengths.__getitem__, default="")


def strangers(videos: Sequence[Path], reader: Reader, encoder: ClipEncoder) -> list[str]:
    """What each video of an unknown movement is mostly called; empty for none of the names, or where nobody is read."""
    out = []
    for video in videos:
        try:
            out.append(mostly(read_pose(encoder.encode(video).pose3d, reader)))
        except InputError:
            out.append("")
    return out


def main(config: ReaderScoring) -> None:
    """Prints accuracy for each collection, exact and filmed, among all names and among the collection's own."""
    reader = load_reader(config.reader)
    clips = [c for c in load_collections(config.mocap) if c.split == config.split]
    kinds = {"exact": clips}
    if config.films:
        from motionqa.data.mocap.films import load_bank

        kinds["filmed"] = load_bank(config.films, clips)
    for kind, some in kinds.items():
        found = named(some, reader)
        for source in dict.fromkeys(f.source for f in found):
            of = [f for f in found if f.source == source]
            every, own = accuracy(of, reader.names, False), accuracy(of, reader.names, True)
            print(
                f"{kind} {source}: {100 * every.mean():.1f} % {wilson(every)} among all {len(reader.names)} names, "
                f"{100 * own.mean():.1f} % among its own; {len(of)} clips",
                flush=True,
            )
    if config.strangers:
        videos = sorted(config.strangers.rglob("*.mp4"))
        if not videos:
            raise InputError(f"there is no mp4 file in {config.strangers}")
        encoder = ClipEncoder(EncoderConfig(lifting=lifting()), EncodingCache(config.encodings, 4_000_000_000))
        called = strangers(videos, reader, encoder)
        wrong = np.array([bool(name) for name in called])
        print(f"strange movements named all the same: {100 * wrong.mean():.1f} % {wilson(wrong)}; {len(called)} clips")
        print("most often as:", ", ".join(f"{n} ({k})" for n, k in Counter(filter(None, called)).most_common(5)))


if __name__ == "__main__":
    main(tyro.cli(ReaderScoring))

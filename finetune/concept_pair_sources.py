"""Pairs of motion and video beside UTD-MHAD's, written into a folder of concept features as parts of their own.

`motionqa.finetune.concept_features` calls this. Of each source a file `videos/SOURCE.json` says how its videos were
made, and `SOURCE.left_out.json`, written last, which films gave no pair and why.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motionqa.data.cache import EncodingCache
from motionqa.data.concept_pairs import FPS, ConceptClip, save_part
from motionqa.data.detector_noise import load
from motionqa.data.kept_films import held_out, usual_group
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.motion_x import SOURCE as MOTION_X
from motionqa.data.mocap.motion_x import MotionXFile, check_body_model, find_motion_x, read_motion_x
from motionqa.data.packed_flow import HMORE, claim, hmore_path
from motionqa.data.schema import InputError
from motionqa.data.video import VIDEO_SUFFIXES, read_clip
from motionqa.encoders.clip_encoder import ClipEncoder
from motionqa.encoders.flow.hmore import HMoRe
from motionqa.finetune.depth_flow import is_packed
from motionqa.finetune.film_pairs import FilmPairConfig, FilmWords, film_pairs
from motionqa.finetune.flow_pairs import read_groups
from motionqa.finetune.paired_clips import FrozenNetworks, PairedClip, PictureSize, keep_video
from motionqa.finetune.rendered_pairs import RENDERED, RenderConfig, rendered_pair, to_draw

Array = np.ndarray

PAIRED = "utd_mhad"
TAKEN = (PAIRED, RENDERED, MOTION_X, "about", "hmore")
"""What films can not be called: other sources, and files that say something else."""


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """Which pairs are added, and where they are written."""

    out: Path
    rendered: int = 0
    """How many pairs are drawn over motion capture of the training split."""
    films: tuple[Path, ...] = ()
    """Videos of people, or folders of them."""
    groups: Path | None = None
    """A CSV with columns `file` and `group`: films of one person or session, which are held out together."""
    film_source: str = "films"
    """What the films are called where sources are counted."""
    motion_x: Path | None = None
    """Motion-X, with its videos."""
    body_model: Path | None = None
    """File or folder of the SMPL-X model that Motion-X is posed with."""
    size: int = 64
    """Side of the pictures."""
    flow_side: int = 128
    """Side at which flow is estimated."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rendered < 0:
            raise InputError(f"--rendered is {self.rendered}, expected a number of pairs of at least 0")
        if not self.film_source.replace("_", "").isalnum() or self.film_source in TAKEN:
            raise InputError(
                f"--film-source is {self.film_source!r}, expected letters, digits and _, and none of {', '.join(TAKEN)}"
            )
        if self.motion_x is not None:
            check_body_model(self.body_model)


def write_pairs(config: PairConfig, clips: Sequence[MocapClip], networks: FrozenNetworks, model: HMoRe | None) -> None:
    """Every source of pairs that was asked for and is not there yet.

    InputError where the folder's videos have H-MoRe's flow and there is no model to give it to new ones.
    """
    asked = config.rendered or config.films or config.motion_x is not None
    if asked and model is None and (config.out / "videos" / HMORE).exists():
        raise InputError(f"the videos in {config.out} have H-MoRe's flow, which new ones need too; give --flow")
    if config.rendered:
        draw_people(config, clips, networks, model)
    if config.films:
        read_films(config, networks, model)
    if config.motion_x is not None:
        read_motion_x_films(config, networks, model)


def finish_flow(config: PairConfig, weights_sha256: str) -> None:
    """Says that every video has H-MoRe's flow, after which readers take it; nothing without a model's hash.

    InputError where some have none, since readers could not read those.
    """
    videos = config.out / "videos"
    if not weights_sha256:
        return
    names = [f.stem for f in sorted(videos.glob("*.npz")) if not f.name.endswith(".hmore.npz")]
    if not names:
        return
    missing = [n for n in names if not hmore_path(videos, n).exists()]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(names)} videos in {videos} have no H-MoRe flow, such as {missing[0]}; name their "
            "sources again (--videos, --rendered, --films, --motion-x) together with --flow"
        )
    claim(videos, HMORE, {"weights_sha256": weights_sha256})


def draw_people(config: PairConfig, clips: Sequence[MocapClip], networks: FrozenNetworks, model: HMoRe | None) -> None:
    """The part `train-rendered` and its videos; those that are packed are not drawn again once the part is there."""
    how = RenderConfig(config.rendered, sides=PictureSize(config.size, config.flow_side), seed=config.seed)
    drawn = to_draw(clips, how)
    _claim_pairs(config, RENDERED, {"count": config.rendered, "seed": config.seed, "noise": "measured"})
    there = (config.out / f"train-{RENDERED}.npz").exists()
    videos, noise = config.out / "videos", load()
    waiting = [d for d in drawn if not (there and is_packed(videos, d.name, model is not None))]

    def pairs() -> Iterator[PairedClip]:
        for i, one in enumerate(waiting):
            try:
                yield rendered_pair(one, noise, networks, how)
            except InputError as error:
                print(f"{one.name} is left out: {error}", flush=True)
            if (i + 1) % 50 == 0:
                print(f"{RENDERED} {i + 1}/{len(waiting)}", flush=True)

    _keep(config, RENDERED, pairs(), model)


def read_films(config: PairConfig, networks: FrozenNetworks, model: HMoRe | None) -> None:
    """The parts `train-films` and `test-films` (or as the films are called) and their videos."""
    files = [f for p in config.films for f in (_videos_in(p) if p.is_dir() else [p])]
    if not files:
        raise InputError(f"{' '.join(map(str, config.films))} holds no video; give videos or folders of them")
    groups = read_groups(config.groups) if config.groups else {}
    jobs = []
    for file in files:
        group = groups.get(file.stem) or usual_group(file.stem)
        words = FilmWords(config.film_source, "test" if held_out(group) else "train", "", group)
        jobs.append(_Film(file, words))
    _film_parts(config, config.film_source, jobs, networks, model)


def read_motion_x_films(config: PairConfig, networks: FrozenNetworks, model: HMoRe | None) -> None:
    """The parts of Motion-X's films and their videos; motions without a video are none."""
    assert config.motion_x is not None
    jobs = []
    for file in find_motion_x(config.motion_x):
        if file.video is not None:
            words = FilmWords(MOTION_X, file.split, file.label, file.recording)
            jobs.append(_Film(file.video, words, file))
    if not jobs:
        raise InputError(f"no motion of {config.motion_x} has a video; expected video/SUBSET/…/NAME.mp4 beside motions")
    _film_parts(config, MOTION_X, jobs, networks, model)


@dataclass(frozen=True)
class _Film:
    """A film that pairs are read off."""

    video: Path
    words: FilmWords
    motion: MotionXFile | None = None
    """Where its motion was measured."""


def _videos_in(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.suffix.lower() in VIDEO_SUFFIXES)


def _film_parts(
    config: PairConfig, source: str, films: Sequence[_Film], networks: FrozenNetworks, model: HMoRe | None
) -> None:
    """A part for each side of the split. Films without a usable person are counted, and listed beside the parts."""
    named = "\n".join(f"{f.video.name} {f.words.split} {f.words.subject}" for f in films)
    _claim_pairs(config, source, {"films": len(films), "names_sha256": hashlib.sha256(named.encode()).hexdigest()})
    done = config.out / f"{source}.left_out.json"
    if done.exists() and model is None:
        return
    encoder = ClipEncoder(cache=EncodingCache(config.out / "encodings", max_bytes=20_000_000_000))
    how = FilmPairConfig(sides=PictureSize(config.size, config.flow_side))
    left_out: dict[str, str] = {}

    def pairs() -> Iterator[PairedClip]:
        for i, film in enumerate(films):
            try:
                clip = read_clip(film.video, encoder.config.decode)
                pose = encoder.encode(film.video).pose
                assert pose is not None
                measured = read_motion_x(film.motion, config.body_model) if film.motion else None
                yield from film_pairs(clip, pose, film.words, networks, how, measured)
            except InputError as error:
                left_out[film.video.name] = str(error)
                print(f"{film.video.name} is left out: {error}", flush=True)
            if (i + 1) % 20 == 0:
                print(f"{source} {i + 1}/{len(films)}", flush=True)

    _keep(config, source, pairs(), model)
    done.write_text(json.dumps(left_out, indent=1) + "\n")
    if left_out:
        print(f"{len(left_out)} of {len(films)} films were left out; {done.name} lists them", flush=True)


def _claim_pairs(config: PairConfig, source: str, how: dict[str, object]) -> None:
    sides = {"fps": FPS, "size": config.size, "flow_side": config.flow_side}
    claim(config.out / "videos", f"{source}.json", {"source": source, "seen": "brightness", **sides, **how})


def _keep(config: PairConfig, source: str, pairs: Iterable[PairedClip], model: HMoRe | None) -> None:
    """Packs the videos of pairs, then writes the parts that are not there yet. InputError where there is no pair."""
    found: dict[str, list[ConceptClip]] = {}
    for paired in pairs:
        keep_video(paired, config.out / "videos", config.size, model)
        for take in paired.takes:
            found.setdefault(take.split, []).append(take)
    for split, takes in found.items():
        if not (config.out / f"{split}-{source}.npz").exists():
            save_part(config.out, f"{split}-{source}", [np.asarray(t.features) for t in takes], takes)
    if not found and not any(config.out.glob(f"*-{source}.npz")):
        raise InputError(f"{source} gave no pair of motion and video; the reasons are above")

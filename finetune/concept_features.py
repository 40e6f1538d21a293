"""What is frozen while concepts are learned, computed once: DSTformer's features, and what videos show.

    python -m motionqa.finetune.concept_features --mocap MOCAP_FOLDER --videos DEPTH_FOLDER --out FEATURES
    python -m motionqa.finetune.concept_features --mocap MOCAP_FOLDER --rendered 400 --films FOLDER --out FEATURES

Three parts are written: `train` (clips with video from several views and mirrored in half of them, other collections
from one), `val` and `test` (from the front, exact joints, not mirrored). More pairs of motion and video are parts of
their own: people drawn over motion capture of the training split (`--rendered`), films with the motion that the pose
stage reads off them (`--films`), and Motion-X for those who have it (`--motion-x`, `--body-model`). What is there
already is kept. With `--flow` a trained H-MoRe's flow is packed beside the classical one and used instead of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from motionqa.assistant.released import lifting
from motionqa.data.concept_pairs import FPS, save_part
from motionqa.data.depth_video import find_depth_videos, load_skeletons, read_depth_clip
from motionqa.data.detector_noise import DetectorNoise, load
from motionqa.data.mocap.actions import FRONT
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.packed import load_collections
from motionqa.data.packed_flow import ABOUT, PackedName, claim
from motionqa.data.schema import InputError
from motionqa.data.virtual_camera import View, ViewRange
from motionqa.encoders.concepts.motion_features import torch_representation
from motionqa.encoders.concepts.shown_clip import Shown, features_of, front
from motionqa.encoders.dstformer import DSTformer
from motionqa.encoders.flow.hmore import HMoRe
from motionqa.encoders.lifter import LifterConfig, torch_network
from motionqa.encoders.model_dir import load_model_dir
from motionqa.finetune.concept_pair_sources import PAIRED, PairConfig, finish_flow, write_pairs
from motionqa.finetune.depth_flow import is_packed, load_flow, pack_clip, relative_depth, stretched
from motionqa.finetune.flow_channels import ChannelConfig, SeenPerson, cut_pairs
from motionqa.finetune.paired_clips import FrozenNetworks

Array = np.ndarray

MOTION = "motion.json"
GAP = 2
"""Depth frames a step: 30 a second become 15."""


@dataclass(frozen=True)
class FeatureConfig(PairConfig):
    """What is computed, and from what."""

    mocap: tuple[Path, ...]
    """Packed collections, or folders of them."""
    videos: Path | None = None
    """UTD-MHAD's depth videos."""
    flow: Path | None = None
    """Folder of a trained H-MoRe."""
    weights: str = "dstformer"
    """The frozen DSTformer: a released name, or a folder."""
    views: int = 3
    """From how many sides clips with a video are seen in training."""
    other_frames: int = 150_000
    """About how many training frames of collections without video are kept."""
    held_out_every: int = 8
    """Of other collections' held-out clips, every so many are kept."""
    stride: int = 18
    """Frames from one of DSTformer's windows to the next."""


def parts(clips: Sequence[MocapClip], config: FeatureConfig, noise: DetectorNoise) -> dict[str, list[Shown]]:
    """Which clips each part holds, and how they are seen."""
    rng = np.random.default_rng(config.seed)
    metric = [c for c in clips if c.metric]
    out: dict[str, list[Shown]] = {"train": [], "val": [], "test": []}
    for split in ("val", "test"):
        for c in (c for c in metric if c.split == split and c.source == PAIRED):
            out[split].append(Shown(c, front(c.source)))
        others = [c for c in metric if c.split == split and c.source != PAIRED]
        out[split] += [Shown(c, front(c.source)) for c in others[:: config.held_out_every]]
    train = [c for c in metric if c.split == "train"]
    for clip in (c for c in train if c.source == PAIRED):
        out["train"] += [_side(clip, view, noise, rng) for view in range(config.views)]
    others = [c for c in train if c.source != PAIRED]
    kept = 0
    for i in rng.permutation(len(others)):
        if kept >= config.other_frames:
            break
        kept += round(len(others[i]) * FPS / others[i].fps)
        view = ViewRange().sample(rng)
        out["train"].append(Shown(others[i], view, bool(rng.random() < 0.5), noise, int(rng.integers(2**31))))
    return out


def _side(clip: MocapClip, number: int, noise: DetectorNoise, rng: np.random.Generator) -> Shown:
    """The clip as its own camera saw it first, then from about there, mirrored every second time."""
    seed = int(rng.integers(2**31))
    if number == 0:
        return Shown(clip, front(clip.source), False, None, seed)
    turn, tilt = rng.uniform(-45, 45), rng.uniform(-10, 20)
    return Shown(clip, View(FRONT.get(clip.source, 0.0) + turn, tilt), number % 2 == 1, noise, seed)


def _short(clip: MocapClip) -> str:
    """UTD-MHAD's clips by the name that their videos have (`a1_s1_t1`); others by their own."""
    stem = Path(clip.clip_id).stem
    return "_".join(stem.split("_")[:3]) if clip.source == PAIRED else clip.clip_id


def pack_videos(config: FeatureConfig, skeletons: Path, model: HMoRe | None) -> None:
    """Every depth video at 15 moments a second, turned the way its skeleton is: the pictures come mirrored.

    Without the turning it is `motionqa.finetune.depth_flow` at another rate. InputError for a folder of videos that
    were packed otherwise.
    """
    assert config.videos is not None
    out = config.out / "videos"
    about = {"source": "utd_mhad_depth", "fps": FPS, "size": config.size, "flow_side": config.flow_side}
    claim(out, ABOUT, {**about, "turned": True})
    named = load_skeletons(skeletons)
    waiting = [v for v in find_depth_videos(config.videos) if not is_packed(out, v.name, model is not None)]
    for i, video in enumerate(waiting):
        clip = read_depth_clip(video, named)
        steps = (len(clip) - 1) // GAP
        whole = slice(0, GAP * steps + 1)  # even moments of these are every second frame exactly
        pictures, mask, depth = (x[whole, :, ::-1].copy() for x in (stretched(clip), clip.mask, relative_depth(clip)))
        person = SeenPerson(pictures, mask, depth, clip.fps)
        how = ChannelConfig(steps=steps, size=config.size, flow_side=config.flow_side, gap=GAP)
        name = PackedName(video.name, clip.label, f"s{video.subject}", str(video.trial), "", video.split)
        pack_clip(cut_pairs(person, how), name, out, config.size, model)
        if (i + 1) % 50 == 0:
            print(f"videos {i + 1}/{len(waiting)}", flush=True)


def main(config: FeatureConfig) -> None:
    """Writes the parts and packs the videos that are not there yet."""
    chosen = lifting(config.weights).weights
    if chosen is None:
        raise InputError(f"{config.weights!r} is no DSTformer; give dstformer or a folder of weights")
    saved = load_model_dir(chosen)
    if not isinstance(saved.model, DSTformer):
        raise InputError(f"{chosen} holds a {type(saved.model).__name__}, expected a DSTformer without a head")
    lifter = LifterConfig(**{**saved.lifter, "stride": min(config.stride, saved.lifter["window"]), "batch": 32})
    how = {"weights_sha256": json.loads((chosen / "config.json").read_text())["weights_sha256"], "fps": FPS}
    how |= {k: getattr(config, k) for k in ("views", "other_frames", "held_out_every", "stride", "seed")}
    claim(config.out, MOTION, how)
    clips = load_collections(config.mocap)
    represent = torch_representation(saved.model)
    for part, shown in parts(clips, config, load()).items():
        if (config.out / f"{part}.npz").exists() or not shown:
            continue
        found = []
        for i, one in enumerate(shown):
            found.append(replace(features_of(one, represent, lifter), name=_short(one.clip)))
            if (i + 1) % 200 == 0:
                print(f"{part} {i + 1}/{len(shown)}", flush=True)
        save_part(config.out, part, [np.asarray(c.features) for c in found], found)
    model, sha = load_flow(config.flow) if config.flow else (None, "")
    if config.videos is not None:
        files = [f for p in config.mocap for f in ([p] if p.is_file() else sorted(p.glob(f"{PAIRED}.npz")))]
        named = [f for f in files if f.stem == PAIRED]
        if not named:
            raise InputError(f"videos need the skeletons of {PAIRED}.npz among the packed collections")
        pack_videos(config, named[0], model)
    networks = FrozenNetworks(represent, lifter, torch_network(saved.model), LifterConfig(**saved.lifter))
    write_pairs(config, clips, networks, model)
    finish_flow(config, sha)


if __name__ == "__main__":
    main(tyro.cli(FeatureConfig))

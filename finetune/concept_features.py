"""What is frozen while concepts are learned, computed once: DSTformer's features, and what depth videos show.

    python -m motionqa.finetune.concept_features --mocap MOCAP_FOLDER --videos DEPTH_FOLDER --out FEATURES

Three parts are written: `train` (clips with video from several views and mirrored in half of them, other collections
from one), `val` and `test` (from the front, exact joints, not mirrored). What is there already is kept. With `--flow`
a trained H-MoRe's flow is packed beside the classical one and used instead of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from jaxtyping import Int8

from motionqa.assistant.released import lifting
from motionqa.data.concept_pairs import BYTE, FPS, ConceptClip, save_part
from motionqa.data.depth_video import find_depth_videos, load_skeletons, read_depth_clip
from motionqa.data.detector_noise import DetectorNoise, load
from motionqa.data.mocap.actions import FRONT
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.packed import load_collections
from motionqa.data.mocap.windows import Augmentation, window_of
from motionqa.data.packed_flow import ABOUT, HMORE, PackedName, claim
from motionqa.data.schema import InputError
from motionqa.data.virtual_camera import MIRROR, View, ViewRange, mirrored, with_other_limbs
from motionqa.encoders.concepts.motion_features import Representation, motion_features, torch_representation
from motionqa.encoders.dstformer import DSTformer
from motionqa.encoders.lifter import LifterConfig
from motionqa.encoders.model_dir import load_model_dir
from motionqa.finetune.depth_flow import is_packed, load_flow, pack_clip, relative_depth, stretched
from motionqa.finetune.flow_channels import ChannelConfig, SeenPerson, cut_pairs

Array = np.ndarray

MOTION = "motion.json"
PAIRED = "utd_mhad"
GAP = 2
"""Depth frames a step: 30 a second become 15."""


@dataclass(frozen=True)
class FeatureConfig:
    """What is computed, and from what."""

    mocap: tuple[Path, ...]
    """Packed collections, or folders of them."""
    out: Path
    videos: Path | None = None
    """UTD-MHAD's depth videos; motion alone without."""
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
    size: int = 64
    """Side of the pictures."""
    flow_side: int = 128
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Shown:
    """A clip as it is to be seen."""

    clip: MocapClip
    view: View
    mirrored: bool = False
    noise: DetectorNoise | None = None
    seed: int = 0


def front(source: str) -> View:
    """From where a collection's people are seen from the front."""
    return View(FRONT.get(source, 0.0), 5.0)


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


def features_of(
    shown: Shown, represent: Representation, lifter: LifterConfig
) -> tuple[Int8[Array, "T 17 R"], ConceptClip]:
    """A clip's features in 127ths, and the clip at the features' rate."""
    clip, rng = shown.clip, np.random.default_rng(shown.seed)
    every = max(1, round(clip.fps / lifter.fps))
    xyz, measured = clip.xyz_m[::every], clip.confidence[::every]
    if shown.mirrored:
        xyz, measured = mirrored(xyz), measured[:, MIRROR]
    if shown.noise is not None:
        xyz = with_other_limbs(xyz, rng)
    strength = rng.uniform(*Augmentation().noise_strength)
    seen = window_of(xyz, measured, clip.fps / every, shown.view, shown.noise, rng, strength)
    found = motion_features(seen.joints2d[..., :2], seen.joints2d[..., 2], clip.fps / every, represent, lifter)
    kept = np.clip(np.round(found.features * BYTE), -BYTE, BYTE).astype(np.int8)
    words = (_short(clip), clip.source, clip.split, clip.label, clip.subject)
    return kept, ConceptClip(*words, shown.mirrored, kept, seen.target_m, seen.weight)


def _short(clip: MocapClip) -> str:
    """UTD-MHAD's clips by the name that their videos have (`a1_s1_t1`); others by their own."""
    stem = Path(clip.clip_id).stem
    return "_".join(stem.split("_")[:3]) if clip.source == PAIRED else clip.clip_id


def pack_videos(config: FeatureConfig, skeletons: Path) -> None:
    """Every depth video at 15 moments a second: `motionqa.finetune.depth_flow` at another rate."""
    assert config.videos is not None
    out = config.out / "videos"
    model, sha = load_flow(config.flow) if config.flow else (None, "")
    claim(out, ABOUT, {"source": "utd_mhad_depth", "fps": FPS, "size": config.size, "flow_side": config.flow_side})
    named = load_skeletons(skeletons)
    waiting = [v for v in find_depth_videos(config.videos) if not is_packed(out, v.name, model is not None)]
    for i, video in enumerate(waiting):
        clip = read_depth_clip(video, named)
        steps = (len(clip) - 1) // GAP
        whole = slice(0, GAP * steps + 1)  # even moments of these are every second frame exactly
        person = SeenPerson(stretched(clip)[whole], clip.mask[whole], relative_depth(clip)[whole], clip.fps)
        how = ChannelConfig(steps=steps, size=config.size, flow_side=config.flow_side, gap=GAP)
        about = PackedName(video.name, clip.label, f"s{video.subject}", str(video.trial), "", video.split)
        pack_clip(cut_pairs(person, how), about, out, config.size, model)
        if (i + 1) % 50 == 0:
            print(f"videos {i + 1}/{len(waiting)}", flush=True)
    if model is not None:
        claim(out, HMORE, {"weights_sha256": sha})  # last: readers take H-MoRe's flow only where every clip has it


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
            found.append(features_of(one, represent, lifter))
            if (i + 1) % 200 == 0:
                print(f"{part} {i + 1}/{len(shown)}", flush=True)
        save_part(config.out, part, [f for f, _ in found], [c for _, c in found])
    if config.videos is not None:
        files = [f for p in config.mocap for f in ([p] if p.is_file() else sorted(p.glob(f"{PAIRED}.npz")))]
        named = [f for f in files if f.stem == PAIRED]
        if not named:
            raise InputError(f"videos need the skeletons of {PAIRED}.npz among the packed collections")
        pack_videos(config, named[0])


if __name__ == "__main__":
    main(tyro.cli(FeatureConfig))

"""Packs UTD-MHAD's depth videos for the action networks, once: what is seen, DIS flow, and H-MoRe's flow.

    python -m motionqa.finetune.depth_flow --videos FOLDER --skeletons utd_mhad.npz --out PACKED
    python -m motionqa.finetune.depth_flow --videos FOLDER --skeletons utd_mhad.npz --out PACKED --flow MODEL_FOLDER

What is there already is kept, so a run that was stopped goes on; `--part 0 2` and `--part 1 2` share the work between
two processes. H-MoRe learned on coloured film: it is given the depth picture as three equal channels, the person's
grey stretched to the upper two thirds of the range over a black background. That is our choice, and DIS gets the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro
from jaxtyping import Float, UInt8

from motionqa.data.depth_video import (
    METRES_PER_GREY,
    NO_DEPTH,
    DepthClip,
    DepthVideo,
    find_depth_videos,
    load_skeletons,
    read_depth_clip,
)
from motionqa.data.packed_flow import ABOUT, HMORE, PackedName, claim, hmore_path, save_hmore, save_sight, sight_path
from motionqa.data.schema import InputError
from motionqa.encoders.flow.hmore import HMoRe
from motionqa.encoders.model_dir import WEIGHTS, load_model_dir
from motionqa.finetune.flow_channels import ChannelConfig, Pairs, SeenPerson, cut_pairs, hmore_flow, sight

Array = np.ndarray


@dataclass(frozen=True)
class DepthFlowConfig:
    """What is packed, and where to."""

    videos: Path
    skeletons: Path
    """The packed skeleton collection of UTD-MHAD."""
    out: Path
    flow: Path | None = None
    """Folder of a trained H-MoRe; DIS alone without."""
    channels: ChannelConfig = ChannelConfig()
    actions: tuple[int, ...] = ()
    """Numbers of the actions wanted; all without."""
    part: tuple[int, int] = (0, 1)
    """This process' number and the count of processes."""

    def __post_init__(self) -> None:
        number, count = self.part
        if not 0 <= number < count:
            raise InputError(f"--part {number} {count}: expected a number from 0 to {count - 1} and the count")


def stretched(clip: DepthClip) -> UInt8[Array, "T H W 3"]:
    """The clip's depth as pictures: the person's greys (2nd to 98th percentile) over 85 to 255, background black."""
    low, high = np.percentile(clip.grey[clip.mask], [2, 98])
    levels = np.arange(256)
    stretch = np.clip(85 + 170 * (levels - low) / max(float(high - low), 8.0), 85, 255)
    table = np.where(levels > NO_DEPTH, stretch, 0).astype(np.uint8)
    return np.broadcast_to(table[clip.grey][..., None], (*clip.grey.shape, 3))


def relative_depth(clip: DepthClip) -> Float[Array, "T H W"]:
    """Nearness inside the person: 0.55 at the clip's middle depth, 0.9 more for each metre nearer, kept in 0.1 to 1."""
    levels = np.arange(256)
    nearer_m = (levels - float(np.median(clip.grey[clip.mask]))) * METRES_PER_GREY
    table = np.where(levels > NO_DEPTH, np.clip(0.55 + 0.9 * nearer_m, 0.1, 1.0), 0.0).astype(np.float32)
    return table[clip.grey]


def load_flow(folder: Path) -> tuple[HMoRe, str]:
    """A trained H-MoRe on the best device, and its weights' hash. InputError where the folder holds something else."""
    from motionqa.encoders.device import best_device

    model = load_model_dir(folder).model
    if not isinstance(model, HMoRe):
        raise InputError(f"{folder} holds a {type(model).__name__}, expected H-MoRe; give the folder of its training")
    sha = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    return model.to(best_device()[0]), sha


def pack_clip(pairs: Pairs, about: PackedName, out: Path, size: int, model: HMoRe | None) -> None:
    """Keeps what is missing of one clip."""
    if not sight_path(out, about.name).exists():
        save_sight(out, about, sight(pairs, size))
    if model is not None and not hmore_path(out, about.name).exists():
        save_hmore(out, about.name, hmore_flow(model, pairs, size))


def is_packed(out: Path, name: str, flow: bool) -> bool:
    """Whether nothing of the clip is missing."""
    return sight_path(out, name).exists() and (not flow or hmore_path(out, name).exists())


def chosen(videos: Sequence[DepthVideo], config: DepthFlowConfig) -> list[DepthVideo]:
    """The videos that this process packs. InputError where an action has none."""
    if missing := set(config.actions) - {v.action for v in videos}:
        raise InputError(f"{config.videos} holds no videos of actions {sorted(missing)}")
    wanted = [v for v in videos if not config.actions or v.action in config.actions]
    return wanted[config.part[0] :: config.part[1]]


def main(config: DepthFlowConfig) -> None:
    """Packs every clip that is not packed yet."""
    torch.set_num_threads(max(1, torch.get_num_threads() // config.part[1]))
    cv2.setNumThreads(1)  # frames are small; threads cost more than they bring
    model, sha = load_flow(config.flow) if config.flow else (None, "")
    claim(config.out, ABOUT, {"source": "utd_mhad_depth", **asdict(config.channels)})
    if model is not None:
        claim(config.out, HMORE, {"weights_sha256": sha})
    videos = chosen(find_depth_videos(config.videos), config)
    skeletons = load_skeletons(config.skeletons)
    waiting = [v for v in videos if not is_packed(config.out, v.name, model is not None)]
    print(f"{len(videos) - len(waiting)} of {len(videos)} clips are packed already", flush=True)
    for i, video in enumerate(waiting):
        clip = read_depth_clip(video, skeletons)
        person = SeenPerson(stretched(clip), clip.mask, relative_depth(clip), clip.fps)
        about = PackedName(video.name, clip.label, f"s{video.subject}", str(video.trial), "", video.split)
        pack_clip(cut_pairs(person, config.channels), about, config.out, config.channels.size, model)
        if (i + 1) % 20 == 0 or i + 1 == len(waiting):
            print(f"{i + 1}/{len(waiting)} {video.name}", flush=True)


if __name__ == "__main__":
    main(tyro.cli(DepthFlowConfig))

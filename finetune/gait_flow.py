"""Packs CASIA-B for the gait networks, once: outlines, DIS flow, and H-MoRe's flow, in windows that follow the person.

    python -m motionqa.finetune.gait_flow --silhouettes FOLDER --videos FOLDER --out PACKED --flow MODEL_FOLDER

Without videos flow is estimated on the silhouettes themselves, white on black, which `about.json` says. Sequences
that cannot be read are counted and listed in `left_out.json`. What is there already is kept.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro

from motionqa.data.casia_b import GaitSequence, find_casia_b, read_gait_clip
from motionqa.data.packed_flow import ABOUT, HMORE, PackedName, claim
from motionqa.data.schema import InputError
from motionqa.finetune.depth_flow import is_packed, load_flow, pack_clip
from motionqa.finetune.flow_channels import ChannelConfig, SeenPerson, cut_pairs


@dataclass(frozen=True)
class GaitFlowConfig:
    """What is packed, and where to."""

    silhouettes: Path
    """Holds SUBJECT/CONDITION/VIEW/*.png."""
    out: Path
    videos: Path | None = None
    """Holds SUBJECT-CONDITION-VIEW.avi."""
    flow: Path | None = None
    """Folder of a trained H-MoRe; DIS alone without."""
    channels: ChannelConfig = ChannelConfig(follow=True)
    part: tuple[int, int] = (0, 1)
    """This process' number and the count of processes."""


def packed_name(sequence: GaitSequence) -> PackedName:
    """What the packed file says of a sequence."""
    kind, take = sequence.walk.split("-")
    return PackedName(sequence.name, kind, sequence.subject, take, f"{sequence.view_deg:03d}", sequence.role)


def main(config: GaitFlowConfig) -> None:
    """Packs every sequence that is not packed yet. InputError where not one can be."""
    number, count = config.part
    if not 0 <= number < count:
        raise InputError(f"--part {number} {count}: expected a number from 0 to {count - 1} and the count")
    torch.set_num_threads(max(1, torch.get_num_threads() // count))
    cv2.setNumThreads(1)
    there = find_casia_b(config.silhouettes, config.videos)
    print(there.report, flush=True)
    sequences = there.sequences
    if config.videos is not None:
        sequences = tuple(s for s in sequences if s.video is not None)
        print(f"{len(there.sequences) - len(sequences)} sequences without video are left out", flush=True)
    model, sha = load_flow(config.flow) if config.flow else (None, "")
    pictures = "silhouettes" if config.videos is None else "videos"
    claim(config.out, ABOUT, {"source": "casia_b", "pictures": pictures, **asdict(config.channels)})
    if model is not None:
        claim(config.out, HMORE, {"weights_sha256": sha})
    mine = sequences[number::count]
    left_out: dict[str, str] = {}
    for i, sequence in enumerate(s for s in mine if not is_packed(config.out, s.name, model is not None)):
        try:
            clip = read_gait_clip(sequence)
            person = SeenPerson(clip.pictures, clip.mask, clip.mask.astype(np.float32), clip.fps)
            pairs = cut_pairs(person, replace(config.channels, follow=True))
        except InputError as error:
            left_out[sequence.name] = str(error)
            continue
        pack_clip(pairs, packed_name(sequence), config.out, config.channels.size, model)
        if (i + 1) % 100 == 0:
            print(f"{i + 1} sequences packed", flush=True)
    (config.out / "left_out.json").write_text(json.dumps(left_out, indent=1) + "\n")
    if left_out:
        name, why = next(iter(left_out.items()))
        print(f"{len(left_out)} of {len(mine)} sequences were left out, such as {name}: {why}", flush=True)
        if len(left_out) == len(mine):
            raise InputError(f"none of {len(mine)} sequences could be packed; the first: {why}")


if __name__ == "__main__":
    main(tyro.cli(GaitFlowConfig))

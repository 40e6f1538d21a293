"""Clips whose motion and video belong together, of sources other than UTD-MHAD: how their video is cut and kept.

Flow is estimated in them as in depth videos, by DIS and, with a model, H-MoRe, also where it is known exactly (drawn
people): with exact flow, which has no rim of errors about the outline, drawn clips would be told from filmed ones by
their flow, and what is learned from it would not hold for films.

A body height is the stature that the joints give (`motionqa.encoders.flow.windows.body_height_px`), since people in
these clips also lie, crawl and sit; depth videos, whose people stand, take the outline's height.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int8, UInt8

from motionqa.data.concept_pairs import FPS, ConceptClip, as_bytes
from motionqa.data.packed_flow import PackedName, hmore_path, save_hmore, save_sight, sight_path
from motionqa.data.person_brightness import relative_brightness
from motionqa.data.schema import InputError
from motionqa.encoders.concepts.motion_features import Representation, motion_features
from motionqa.encoders.flow.hmore import HMoRe
from motionqa.encoders.flow.windows import body_height_px
from motionqa.encoders.lifter import LifterConfig, Network
from motionqa.finetune.flow_channels import ChannelConfig, Pairs, SeenPerson, cut_pairs, hmore_flow, sight

Array = np.ndarray

FOLLOW_OVER = 1.5
"""People whose way through the picture is so many times longer than they are large are followed by the window."""


@dataclass(frozen=True, eq=False)
class FrozenNetworks:
    """What makes features of joints, and joints in space of joints in a picture."""

    represent: Representation
    features: LifterConfig
    network: Network
    lift: LifterConfig


@dataclass(frozen=True)
class PictureSize:
    """Sides in pixels, as of `ChannelConfig`."""

    size: int = 64
    flow_side: int = 128


@dataclass(frozen=True, eq=False)
class SeenPairs:
    """Moments at 15 a second, each with the picture of the next, of one person."""

    first: UInt8[Array, "N H W 3"]
    second: UInt8[Array, "N H W 3"]
    mask: Bool[Array, "N H W"]
    """Of the first pictures."""
    joints_px: Float[Array, "N 17 2"]
    """In the first pictures; NaN where unsure."""
    gap_s: Float[Array, "N"]
    """Between the two pictures; 0 where they are the same one."""


@dataclass(frozen=True, eq=False)
class PairedClip:
    """A clip, the views of it that are learned from, and the pictures of its video."""

    takes: tuple[ConceptClip, ...]
    pictures: Pairs
    pace: Float[Array, "N"]
    """What the flow of each pair is multiplied with: 1 / 15 s over the time between its pictures."""


def joint_features(
    xy: Float[Array, "T 17 2"], confidence: Float[Array, "T 17"], networks: FrozenNetworks
) -> Int8[Array, "T 17 R"]:
    """DSTformer's features of joints in a picture at 15 frames a second, in 127ths. Errors as `motion_features`."""
    return as_bytes(motion_features(xy, confidence, FPS, networks.represent, networks.features).features)


def cut_person(seen: SeenPairs, sides: PictureSize) -> tuple[Pairs, Float[Array, "N"]]:
    """The person cut out of the pairs, brightness as what is seen, and the pace of each pair (`PairedClip`).

    InputError where nobody is to be seen, or too few joints to tell how tall the person is.
    """
    brightness = relative_brightness(seen.first, seen.mask)
    tall = body_height_px(seen.joints_px, np.arange(len(seen.mask)) / FPS)
    if not np.isfinite(tall).any():
        raise InputError("too little of the body is in view to tell how tall the person is; film the whole body")
    boxes = _outline_boxes(seen.mask)
    own, whole = (boxes[:, 2:] - boxes[:, :2]).max(), (boxes[:, 2:].max(axis=0) - boxes[:, :2].min(axis=0)).max()
    # Both pictures of a pair in a row: with a gap of one, every second frame begins a pair.
    pictures = np.stack([seen.first, seen.second], axis=1).reshape(-1, *seen.first.shape[1:])
    person = SeenPerson(pictures, seen.mask.repeat(2, axis=0), brightness.repeat(2, axis=0), FPS)
    how = ChannelConfig(
        steps=len(seen.mask), size=sides.size, flow_side=sides.flow_side, gap=1, follow=bool(whole > FOLLOW_OVER * own)
    )
    pairs = cut_pairs(person, how)
    outline_px = max(2.0, float(np.quantile(boxes[:, 3] - boxes[:, 1], 0.75)))  # cut_pairs' body height
    pairs = replace(pairs, to_heights_per_s=pairs.to_heights_per_s * outline_px / float(np.median(tall)))
    pace = np.divide(1 / FPS, seen.gap_s, out=np.zeros(len(seen.gap_s)), where=seen.gap_s > 0)
    return pairs, pace.astype(np.float32)


def _outline_boxes(mask: Bool[Array, "N H W"]) -> Float[Array, "K 4"]:
    """Left, top, right and bottom of the outlines that are not empty, pixels."""
    found = []
    for frame in mask:
        columns, rows = (np.flatnonzero(frame.any(axis=a)) for a in (0, 1))
        if len(columns):
            found.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    return np.array(found, np.float64)


def keep_video(paired: PairedClip, videos: Path, size: int, model: HMoRe | None) -> None:
    """Packs what is missing of a clip's video: what is seen, DIS' flow and, with a model, H-MoRe's."""
    clip, pace = paired.takes[0], paired.pace
    videos.mkdir(parents=True, exist_ok=True)
    if not sight_path(videos, clip.name).exists():
        found = sight(paired.pictures, size)
        about = PackedName(clip.name, clip.label, clip.subject, split=clip.split)
        save_sight(videos, about, replace(found, dis=found.dis * pace[:, None, None, None]))
    if model is not None and not hmore_path(videos, clip.name).exists():
        flow = hmore_flow(model, paired.pictures, size)
        scaled = replace(flow, world=flow.world * pace[:, None, None, None], trend=flow.trend * pace[:, None])
        save_hmore(videos, clip.name, scaled)

"""The concepts of a clip of any length: which code, from when to when, how surely, and the clip's place among others.

Long clips are encoded in windows that overlap by half; their latents are blended, with weights that fall off towards a
window's ends, **before** they are quantised, so a code never depends on where a window happened to begin. A clip that
is shorter than a window, or no whole number of tokens, holds its last frame until it is; tokens that would begin
after the clip's end are dropped again. Without one of the two modalities the other is encoded alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from motionqa.data.concept_pairs import BYTE, FPS, ConceptClip, load_video, mirrored_video
from motionqa.data.schema import InputError
from motionqa.encoders.concepts.frame_tokens import TOKEN_FRAMES
from motionqa.encoders.concepts.humocon import HuMoCon
from motionqa.encoders.concepts.informativeness import ConceptClassifier
from motionqa.encoders.concepts.motion_features import MotionFeatures
from motionqa.encoders.concepts.motion_vq import MotionVQ
from motionqa.encoders.concepts.video_vq import FLOW_CHANNELS, VideoVQ, arriving

Array = np.ndarray

BATCH = 16
"""Windows that go through an encoder together."""


@dataclass(frozen=True, eq=False)
class ConceptTrack:
    """One modality of a clip as concepts, one for every four frames."""

    codes: Int[Array, "N"]
    vectors: Float[Array, "N D"]
    """The codes' vectors."""
    margin: Float[Array, "N"]
    """How much nearer the code is than the next one: 0 as near, 1 right on it (1 - d² / d₂²)."""
    match: Float[Array, "N"]
    """How well the frames fit the concept, by its own classifier (1 - r, mean over frames); means something after
    training with the discriminative term."""
    edges_s: Float[Array, "N+1"]
    """Where tokens begin, and where the last one ends."""
    embedding: Float[Array, "E"]
    """Unit vector in the space that motion and video share."""


@dataclass(frozen=True, eq=False)
class ClipConcepts:
    """What of a clip could be encoded; None where it has no motion, or no video."""

    motion: ConceptTrack | None
    video: ConceptTrack | None


@dataclass(frozen=True, eq=False)
class VideoFrames:
    """A person in a clip as the video encoder sees it (`motionqa.encoders.concepts.video_vq`)."""

    seen: Float[Array, "T C H W"]
    flow: Float[Array, "_ _ _ _"] | None
    """World and local flow from each frame to the next; as if nothing had moved where None."""
    fps: float


def motion_of(clip: ConceptClip) -> MotionFeatures:
    """A kept clip's features as the encoder takes them."""
    features = np.asarray(clip.features, dtype=np.float32) / BYTE
    return MotionFeatures(features, np.arange(len(features)), FPS)


def video_of(folder: Path, clip: ConceptClip) -> VideoFrames:
    """A kept clip's frames and flow; InputError where it has none."""
    video = load_video(folder, clip.name).astype(np.float32)
    video = mirrored_video(video) if clip.mirrored else video
    return VideoFrames(video[:, :1], video[:, 1:], FPS)


def encode_clip(model: HuMoCon, motion: MotionFeatures | None = None, video: VideoFrames | None = None) -> ClipConcepts:
    """The concepts of whichever is given. InputError where neither is, and as `encode_motion` and `encode_video`."""
    if motion is None and video is None:
        raise InputError("there is neither motion nor video to encode; give one of them at least")
    return ClipConcepts(
        encode_motion(model, motion) if motion is not None else None,
        encode_video(model, video) if video is not None else None,
    )


def encode_motion(model: HuMoCon, motion: MotionFeatures) -> ConceptTrack:
    """The motion's concepts. InputError for another frame rate, another DSTformer's features, or NaN."""
    part = model.motion
    expected = (part.config.joints, part.config.representation)
    if tuple(motion.features.shape[1:]) != expected:
        raise InputError(
            f"the motion has features of {motion.features.shape[1]} joints x {motion.features.shape[2]}, these weights "
            f"expect {expected[0]} x {expected[1]}; use the DSTformer they were trained on"
        )
    frames = _checked(motion.features, motion.fps, model, "motion")
    with torch.inference_mode():
        states = torch.cat([part.states(some[None])[0] for some in frames.split(256)])
        return _track(model, part, model.motion_concepts, states, motion.fps, model.align.motion)


def encode_video(model: HuMoCon, video: VideoFrames) -> ConceptTrack:
    """The video's concepts. InputError for another frame rate or size of picture, or NaN."""
    part = model.video
    expected = (part.config.channels, part.config.side, part.config.side)
    if tuple(video.seen.shape[1:]) != expected:
        raise InputError(
            f"the video's frames are [channels, side, side] {tuple(video.seen.shape[1:])}, these weights expect "
            f"{expected}; cut the person out at that size"
        )
    if video.flow is not None and video.flow.shape != (len(video.seen), FLOW_CHANNELS, *expected[1:]):
        raise InputError(f"the flow is {video.flow.shape}, expected {(len(video.seen), FLOW_CHANNELS, *expected[1:])}")
    seen = _checked(video.seen, video.fps, model, "video")
    flow = None if video.flow is None else _checked(video.flow, video.fps, model, "flow")
    with torch.inference_mode():
        states = torch.cat(list(_video_states(part, seen, flow)))
        return _track(model, part, model.video_concepts, states, video.fps, model.align.video)


def _video_states(part: VideoVQ, seen: Tensor, flow: Tensor | None, size: int = 64) -> list[Tensor]:
    """States of frames, some at a time; the flow that arrives at each is looked up over the whole clip."""
    came = None if flow is None else arriving(flow[None])[0]
    out = []
    for at in range(0, len(seen), size):
        some = None if came is None else came[at : at + size]
        out.append(part.frame_states(seen[None, at : at + size], None if some is None else some[None])[0])
    return out


def _checked(frames: Array, fps: float, model: HuMoCon, what: str) -> Tensor:
    wanted = model.config.fps
    if len(frames) == 0:
        raise InputError(f"the {what} has no frames")
    if not 0.9 * wanted <= fps <= 1.1 * wanted:
        raise InputError(f"the {what} comes at {fps:g} frames a second, expected about {wanted:g}; resample it first")
    if not np.isfinite(frames).all():
        raise InputError(f"the {what} holds NaN or infinity")
    return torch.from_numpy(np.ascontiguousarray(frames, dtype=np.float32)).to(device_of(model))


def device_of(model: nn.Module) -> torch.device:
    """Where the model's weights are."""
    return next(model.parameters()).device


def _track(
    model: HuMoCon,
    part: MotionVQ | VideoVQ,
    classifier: ConceptClassifier,
    states: Float[Tensor, "T S"],
    fps: float,
    project: Callable[[Tensor], Tensor],
) -> ConceptTrack:
    was_training = model.training
    model.eval()  # nobody's codebook learns from being looked at
    try:
        latents = stitched(part.latents, states, model.config.window)
        found = part.quantise(latents[None])
        nearest = part.quantizer.distances(latents[None])[0].topk(2, largest=False).values
        margin = 1 - nearest[:, 0] / nearest[:, 1].clamp(min=1e-12)
        left = classifier.left(held(states, len(latents) * TOKEN_FRAMES)[None], found.vectors)[0]
        embedding = project(found.vectors)[0]
    finally:
        model.train(was_training)
    edges = np.append(np.arange(len(latents)) * TOKEN_FRAMES, len(states)) / fps
    return ConceptTrack(
        found.codes[0].cpu().numpy(),
        found.vectors[0].float().cpu().numpy(),
        margin.float().cpu().numpy(),
        1 - left.unflatten(0, (-1, TOKEN_FRAMES)).mean(dim=1).float().cpu().numpy(),
        edges,
        embedding.float().cpu().numpy(),
    )


def held(frames: Float[Tensor, "T S"], length: int) -> Float[Tensor, "_ S"]:
    """The frames, the last one held until there are `length`."""
    missing = max(0, length - len(frames))
    return torch.cat([frames, frames[-1:].expand(missing, -1)])


def stitched(latents_of: Callable[[Tensor], Tensor], states: Float[Tensor, "T S"], window: int) -> Float[Tensor, "N D"]:
    """Latents of a clip of any length, one for every four frames begun: overlapping windows, blended."""
    tokens = -(-len(states) // TOKEN_FRAMES)
    size = window // TOKEN_FRAMES
    padded = held(states, max(tokens, size) * TOKEN_FRAMES)
    count = len(padded) // TOKEN_FRAMES
    stride = max(1, size // 2)
    starts = [*range(0, count - size, stride), count - size]
    ramp = _ramp(size, padded)
    total: Tensor | None = None
    weight = padded.new_zeros(count)
    for first in range(0, len(starts), BATCH):
        some = starts[first : first + BATCH]
        cut = torch.stack([padded[s * TOKEN_FRAMES : (s + size) * TOKEN_FRAMES] for s in some])
        for s, latents in zip(some, latents_of(cut), strict=True):
            total = latents.new_zeros(count, latents.shape[-1]) if total is None else total
            total[s : s + size] += ramp[:, None] * latents
            weight[s : s + size] += ramp
    assert total is not None
    return (total / weight[:, None])[:tokens]


def decode_motion(model: HuMoCon, vectors: Float[Array, "N D"]) -> Float[Array, "T 17 3"]:
    """Joints about the pelvis, metres, of codes in a row: four frames each, windows blended as in encoding."""
    size = model.config.window // TOKEN_FRAMES
    device = device_of(model)
    given = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32)).to(device)
    padded = held(given, size)
    starts = [*range(0, len(padded) - size, max(1, size // 2)), len(padded) - size]
    frames = size * TOKEN_FRAMES
    ramp = _ramp(frames, given)
    total = given.new_zeros(len(padded) * TOKEN_FRAMES, model.motion.config.joints, 3)
    weight = given.new_zeros(len(total))
    with torch.inference_mode():
        for s in starts:
            rows = slice(s * TOKEN_FRAMES, (s + size) * TOKEN_FRAMES)
            total[rows] += ramp[:, None, None] * model.motion.decode(padded[None, s : s + size])[0].float()
            weight[rows] += ramp
    return (total / weight[:, None, None])[: len(given) * TOKEN_FRAMES].cpu().numpy()


def _ramp(length: int, like: Tensor) -> Float[Tensor, "M"]:
    """Weights of a window's moments: its ends have context on one side only."""
    return (torch.minimum(torch.arange(length), torch.arange(length - 1, -1, -1)) + 1).to(like)

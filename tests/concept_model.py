"""A small untrained HuMoCon over a small untrained DSTformer, with a book, as if they were released; clips for it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from motionqa.data.schema import ClipEncoding, Pose3D, PoseSequence
from motionqa.data.skeleton import H36M_17
from motionqa.data.synthetic.motions import arm_raise, concatenate, render, squats
from motionqa.encoders.clip_encoder import EncoderConfig, measure
from motionqa.encoders.concepts.book import (
    BOOK,
    EXCERPT,
    Concept,
    ConceptBook,
    ConceptWeights,
    Neighbour,
    TypicalMoment,
    Word,
    save_book,
)
from motionqa.encoders.concepts.humocon import HuMoCon
from motionqa.encoders.concepts.motion_features import motion_features, torch_representation
from motionqa.encoders.concepts.of_clip import Concepts, front_view, load_concepts
from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.encoders.lifter import LifterConfig
from motionqa.encoders.model_dir import load_model_dir, save_model_dir
from motionqa.finetune.pretrain_concepts import SMALL


def encoded(pose: Pose3D, name: str = "made up") -> ClipEncoding:
    """A pose as the encoder would hand over a motion file."""
    seen = replace(pose, confidence=np.where(pose.confidence.max() > 0, pose.confidence, 1.0))
    report = measure(seen, EncoderConfig())
    return ClipEncoding("0" * 64, name, "motion", float(pose.times_s[-1]), (), 0, None, pose, report)


def in_picture(pose: Pose3D) -> PoseSequence:
    """The joints in a picture of the person from the front."""
    xy, confidence = front_view(pose)
    return PoseSequence(0, H36M_17, pose.fps, pose.times_s, 900 * xy + 500, confidence, 1000, 1000, "made up")


def small_book(model: HuMoCon, weights_sha256: str = "w" * 64, dstformer_sha256: str = "d" * 64) -> ConceptBook:
    """A book with words, neighbours and one excerpt; the last code is never used."""
    count = model.config.motion.quantizer.codes
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    words = (Word("wave <left> hand", 0.6, 4.0), Word("squat", 0.2, 2.0))
    concepts = [
        Concept(
            k, 1 / (count - 1) if k < count - 1 else 0.0, 9 if k < count - 1 else 0, words if k % 2 == 0 else (),
            (TypicalMoment("deepmimic", "a/walk.txt", "walk", True, 1.2, 0),) if k == 0 else (),
            (Neighbour((k - 1) % (count - 1), 0.5),), (Neighbour((k + 1) % (count - 1), 0.4),),
            (float(np.cos(angles[k])), float(np.sin(angles[k]))),
        )
        for k in range(count)
    ]  # fmt: skip
    pose = render(squats(1))
    joints = (pose.xyz_m[:, :17] - pose.xyz_m[:, :1])[:EXCERPT] * (1, -1, -1)
    return ConceptBook(tuple(concepts), joints[None].astype(np.float16), weights_sha256, dstformer_sha256, 0.5, 90, 9)


def write_weights(root: Path) -> Path:
    """The folder, now holding `dstformer` and `concepts` as a folder of released weights does."""
    torch.manual_seed(0)
    below = DSTformer(replace(SIZES["debug"], initial_std=0.5))  # with the usual one every pose looks alike
    lifter = LifterConfig(window=27)
    dstformer = load_model_dir(save_model_dir(root / "dstformer", below, lifter=lifter))
    model = HuMoCon(replace(SMALL, motion=replace(SMALL.motion, representation=SIZES["debug"].representation)))
    assert isinstance(dstformer.model, DSTformer)
    _start(model, dstformer.model, lifter)
    folder = save_model_dir(root / "concepts", model)
    book = small_book(model, load_model_dir(folder).weights_sha256, dstformer.weights_sha256)
    save_book(folder / BOOK, book)
    return root


def _start(model: HuMoCon, below: DSTformer, lifter: LifterConfig) -> None:
    """Places the codes where a movement's latents are, so that its parts differ."""
    xy, confidence = front_view(render(concatenate(squats(4), arm_raise("right"), squats(2))))
    found = motion_features(xy, confidence, 30.0, torch_representation(below), lifter)
    features = torch.from_numpy(found.features)
    model.eval()
    model.motion.centre(features, torch.zeros(len(features), 17, 3))
    with torch.no_grad():
        rows = len(features) // 4 * 4
        latents = model.motion.latents(model.motion.states(features[None, :rows]))[0]
    model.motion.quantizer.start(latents)
    model.video.quantizer.start(torch.randn(64, model.config.video.quantizer.width))


@cache
def small_concepts() -> Concepts:
    """The small model, loaded."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        root = write_weights(Path(folder))
        return load_concepts(ConceptWeights(root / "concepts", root / "dstformer", "small"))

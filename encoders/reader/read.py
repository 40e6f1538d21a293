"""A pose in space to what the reader sees in it: actions with times, and tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from motionqa.data.reading import ClipTokens, MotionReading
from motionqa.data.schema import InputError, Pose3D
from motionqa.encoders.device import computed
from motionqa.encoders.reader.decode import DecodeConfig, decode
from motionqa.encoders.reader.features import FPS, STRIDE, body_features

if TYPE_CHECKING:
    from motionqa.encoders.reader.network import MotionReader

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Reader:
    """A loaded reader as a function on arrays."""

    run: Callable[[Float[Array, "T F"]], tuple[Float[Array, "N D"], Float[Array, "N K"]]]
    """Features of one clip to tokens and class scores."""
    names: tuple[str, ...]
    decoding: DecodeConfig
    source: str
    """Name and version of the weights."""


@computed
def load_reader(folder: Path) -> Reader:
    """The reader of a model directory. InputError where it holds another network or is damaged."""
    from motionqa.encoders.model_dir import load_model_dir
    from motionqa.encoders.reader.network import MotionReader

    found = load_model_dir(folder)
    if not isinstance(found.model, MotionReader):
        raise InputError(f"{folder} holds a {type(found.model).__name__}, expected a MotionReader")
    decoding = DecodeConfig(**found.usage.get("decoding", {}))
    reader = reader_of(found.model, f"reader {found.weights_sha256[:12]}", decoding)
    return replace(reader, run=computed(reader.run))


def reader_of(model: MotionReader, source: str, decoding: DecodeConfig = DecodeConfig()) -> Reader:
    """A torch reader as a function on arrays, without gradients, on the processor: it is small."""
    import torch

    model = model.eval()

    def run(features: Float[Array, "T F"]) -> tuple[Float[Array, "N D"], Float[Array, "N K"]]:
        with torch.inference_mode():
            x = torch.from_numpy(features)[None]
            tokens, _ = model.tokens(x, torch.ones(x.shape[:2], dtype=torch.bool))
            return tokens[0].numpy(), model.classify(tokens)[0].numpy()

    return Reader(run, model.config.names, decoding, source)


def read_pose(pose: Pose3D, reader: Reader) -> MotionReading:
    """What the reader sees in a pose. InputError where the trunk is never seen or only the picture's plane is known."""
    found = body_features(pose)
    tokens, scores = reader.run(found.values)
    borders = found.times_s[0] + np.arange(len(scores) + 1) * STRIDE / FPS
    borders[-1] = max(found.times_s[-1], borders[-2] + 1e-3)
    actions = decode(scores, borders, reader.names, reader.decoding)
    return MotionReading(actions, ClipTokens(motion=tokens, sources={"motion": reader.source}))

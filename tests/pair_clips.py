"""Stand-ins for the frozen networks that make features and joints, quick and told by their input alone."""

from __future__ import annotations

import numpy as np

from motionqa.encoders.lifter import LifterConfig
from motionqa.finetune.paired_clips import FrozenNetworks

Array = np.ndarray

REPRESENTATION = 8


def represent(joints: Array) -> Array:
    """Features that are the joints' own numbers, so that a shift in time or a side exchanged is seen."""
    look = np.random.default_rng(0).normal(size=(3, REPRESENTATION))
    return np.tanh(joints @ look).astype(np.float32)


def lifted(joints: Array) -> Array:
    """Joints of a body without depth."""
    return np.concatenate([0.5 * joints[..., :2], np.zeros_like(joints[..., :1])], axis=-1).astype(np.float32)


def networks() -> FrozenNetworks:
    """Both, in windows as the released network takes them."""
    how = LifterConfig(flip=False, phases=1)
    return FrozenNetworks(represent, how, lifted, how)

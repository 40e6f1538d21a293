"""H-MoRe as a function on arrays: pictures of one person in, flow and course out. Torch is loaded when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, UInt8

from motionqa.data.schema import InputError
from motionqa.encoders.device import best_device, computed

if TYPE_CHECKING:
    import torch
    from torch import nn

Array = np.ndarray


@dataclass(frozen=True)
class FlowWeights:
    """Where a released H-MoRe is, and which one."""

    weights: Path
    version: str


Network = Callable[
    [UInt8[Array, "B S S 3"], UInt8[Array, "B S S 3"], Bool[Array, "B S S"]],
    tuple[Float[Array, "B 2 S S"], Float[Array, "B 2"]],
]
"""World flow and course for pairs of pictures of one person each and their masks, in pixels of the pictures."""


def torch_flow(model: nn.Module, updates: int | None = None) -> Network:
    """An `HMoRe` as a function on arrays, without gradients, on the best device and in its precision.

    The network keeps its ends exact. ValueError where the pictures of a pair or their masks differ in size.
    """
    import torch

    device, precision = best_device()
    model.eval().to(device)

    def tensor(pictures: UInt8[Array, "B S S 3"]) -> torch.Tensor:
        return torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).float() / 255

    def run(first, second, masks):
        if not first.shape[:3] == second.shape[:3] == masks.shape:
            sizes = f"{first.shape[:3]}, {second.shape[:3]} and {masks.shape}"
            raise ValueError(f"expected pairs and masks of one size, got {sizes}")
        mixed = torch.autocast(device, precision, enabled=precision != torch.float32)
        with torch.inference_mode(), mixed:
            shown = torch.from_numpy(masks).to(device).float()[:, None]
            found = model(tensor(first), tensor(second), shown, updates)
            return found.world.float().cpu().numpy(), found.trend[:, 0].float().cpu().numpy()

    return run


@cache
@computed
def load_flow(weights: Path, version: str) -> Network:
    """The network of a released folder, loaded once a version. InputError where it holds another network."""
    del version  # the cache tells new weights in an old place by it
    from motionqa.encoders.flow.hmore import HMoRe
    from motionqa.encoders.model_dir import load_model_dir

    model = load_model_dir(weights).model
    if not isinstance(model, HMoRe):
        raise InputError(f"{weights} holds a {type(model).__name__}, no flow network; give a folder with an HMoRe")
    return computed(torch_flow(model))

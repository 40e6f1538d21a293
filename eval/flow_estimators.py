"""Everything that gives flow for a pair of pictures, under one signature: our networks, and classical flow of OpenCV.

Classical flow holds the camera's motion too. `background_motion` estimates it from the flow outside the people, so that
it can be taken out: a stronger baseline, since it is told where the people are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from motionqa.data.schema import InputError
from motionqa.data.synthetic.puppets import FlowPair
from motionqa.encoders.flow.classical import dis_flow
from motionqa.encoders.flow.hmore import HMoRe
from motionqa.encoders.model_dir import load_model_dir

Array = np.ndarray

Estimator = Callable[[FlowPair], Float[Array, "2 H W"]]
"""Flow of every pixel of the first picture, pixels."""


def dis(pair: FlowPair) -> Float[Array, "2 H W"]:
    """OpenCV's dense inverse search, medium preset (Kroeger et al., ECCV 2016)."""
    return dis_flow(pair.first, pair.second).transpose(2, 0, 1)


def farneback(pair: FlowPair) -> Float[Array, "2 H W"]:
    """Farneback's polynomial expansion (SCIA 2003) with the parameters of OpenCV's manual."""
    start = np.zeros((*pair.first.shape[:2], 2), np.float32)
    flow = cv2.calcOpticalFlowFarneback(_grey(pair.first), _grey(pair.second), start, 0.5, 3, 15, 3, 5, 1.2, 0)
    return flow.transpose(2, 0, 1)


CLASSICAL: dict[str, Estimator] = {"DIS": dis, "Farneback": farneback}


def _grey(picture: UInt8[Array, "H W 3"]) -> UInt8[Array, "H W"]:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def as_tensors(
    pair: FlowPair,
) -> tuple[Float[Tensor, "1 3 H W"], Float[Tensor, "1 3 H W"], Float[Tensor, "1 P H W"]]:
    """Both pictures, 0 to 1, and the masks."""
    first, second = (torch.from_numpy(x).permute(2, 0, 1)[None].float() / 255 for x in (pair.first, pair.second))
    return first, second, torch.from_numpy(pair.masks)[None].float()


def world_flow(model: HMoRe) -> Estimator:
    """The world flow of a network, with the number of updates that it was released with."""

    def estimate(pair: FlowPair) -> Float[Array, "2 H W"]:
        with torch.inference_mode():
            return model(*as_tensors(pair)).world[0].numpy()

    return estimate


def saved_flow(folder: Path) -> HMoRe:
    """The network of a model directory. InputError where it holds another kind."""
    model = load_model_dir(folder).model
    if not isinstance(model, HMoRe):
        raise InputError(f"{folder} holds a {type(model).__name__}, expected a flow network (HMoRe)")
    return model


def near(masks: Bool[Array, "P H W"], margin: int) -> Bool[Array, "H W"]:
    """Pixels of people, and those within `margin` pixels of them along rows and columns."""
    body = np.asarray(masks.any(axis=0), np.uint8)
    return cv2.dilate(body, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)) > 0


def outside(masks: Bool[Array, "P H W"], margin: int = 2) -> Bool[Array, "H W"]:
    """The background: pixels that are not near people."""
    return ~near(masks, margin)


def background_motion(flow: Float[Array, "2 H W"], masks: Bool[Array, "P H W"]) -> Float[Array, "2 H W"]:
    """The flow of a still world under the camera motion that the flow outside the people speaks of.

    An affine motion by random sample consensus (within 1 px); 0 where too little background is seen.
    """
    y, x = np.nonzero(outside(masks))
    if len(x) < 100:
        return np.zeros_like(flow)
    chosen = np.linspace(0, len(x) - 1, min(len(x), 2000)).astype(int)
    here = np.stack([x, y], axis=1)[chosen].astype(np.float32)
    there = here + flow[:, y[chosen], x[chosen]].T
    cv2.setRNGSeed(0)
    matrix, _ = cv2.estimateAffine2D(here, there, ransacReprojThreshold=1.0)
    return np.zeros_like(flow) if matrix is None else affine_flow(matrix, flow.shape[1:])


def affine_flow(matrix: Float[Array, "2 3"], size: tuple[int, ...]) -> Float[Array, "2 H W"]:
    """Where an affine motion takes every pixel, less its place."""
    grid = np.stack(np.meshgrid(np.arange(size[1]), np.arange(size[0])), axis=-1).astype(np.float32)
    return (grid @ matrix[:, :2].T + matrix[:, 2] - grid).transpose(2, 0, 1).astype(np.float32)

"""Dense inverse search (Kroeger et al., ECCV 2016), OpenCV's: classical flow, as a start for ours and beside it."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

Array = np.ndarray


def dis_flow(first: UInt8[Array, "H W 3"], second: UInt8[Array, "H W 3"]) -> Float[Array, "H W 2"]:
    """Where each pixel of the first picture is in the second, less its place, pixels; the medium preset."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = (cv2.cvtColor(np.ascontiguousarray(x), cv2.COLOR_RGB2GRAY) for x in (first, second))
    return np.asarray(method.calc(*grey, None), np.float32)  # type: ignore[call-overload]


def dis_flows(first: Float[Tensor, "B 3 H W"], second: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 2 H W"]:
    """The same for pictures of values 0 to 1; without gradient, and by the processor wherever they are."""
    pictures = ((255 * x).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy() for x in (first, second))
    flows = np.stack([dis_flow(a, b) for a, b in zip(*pictures, strict=True)])
    return torch.from_numpy(flows).permute(0, 3, 1, 2).to(first.device)

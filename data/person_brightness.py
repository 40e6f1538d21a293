"""What a network that sees one channel is shown of a person in a coloured film: brightness inside the outline.

Depth videos show how near the person is, 0 outside (`motionqa.finetune.depth_flow.relative_depth`). Films have no depth
that is good enough, so the channel holds their brightness on the same scale: 0 outside, 0.55 at the clip's middle
value, 0.1 to 1 inside, and most of it in a narrow band. Either way it is the person's picture with the background taken
away. Ours.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, UInt8

from motionqa.data.schema import InputError

Array = np.ndarray

MIDDLE, LEAST = 0.55, 0.1
SPAN = 0.3
"""Of the channel, that the clip's 5th to 95th percentile takes up; depth takes up about 0.2. What people wear is not to
speak louder than their shape."""
MIN_RANGE = 48.0
"""Greys: somebody all in black is not stretched until compression shows."""


def relative_brightness(pictures: UInt8[Array, "T H W 3"], mask: Bool[Array, "T H W"]) -> Float[Array, "T H W"]:
    """Brightness inside the mask, 0.1 to 1, and 0 outside; one scale for the whole clip, so that it does not flicker.

    Rec. 601 luma, its median over the person at 0.55 and its 5th and 95th percentile 0.3 apart.
    InputError where the mask is empty throughout.
    """
    if not mask.any():
        raise InputError("nobody is in the clip: the mask is empty in every frame")
    grey = pictures @ np.array([0.299, 0.587, 0.114], np.float32)
    low, middle, high = np.percentile(grey[mask], [5, 50, 95])
    shown = MIDDLE + SPAN * (grey - middle) / max(float(high - low), MIN_RANGE)
    return np.where(mask, np.clip(shown, LEAST, 1.0), 0.0).astype(np.float32)

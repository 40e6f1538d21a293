"""One labelled clip of motion capture, in the joint set and axes that training uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

Array = np.ndarray

Split = Literal["train", "val", "test"]


@dataclass(frozen=True, eq=False)
class MocapClip:
    """Human3.6M joints over time: metres, right-handed, Y up (`motionqa.data.skeleton.H36M_17`)."""

    source: str
    """The collection: bandai_namco, cmu, deepmimic, utd_mhad, msr_action3d, amass, human36m, ntu60, …"""
    clip_id: str
    fps: float
    xyz_m: Float[Array, "T 17 3"]
    confidence: Float[Array, "T 17"]
    """1 where measured, 0 where the joint was not seen; in between as the source says."""
    split: Split = "train"
    label: str = ""
    """The action; empty where the source names none."""
    style: str = ""
    subject: str = ""
    metric: bool = True
    """False where lengths are not to scale (image pixels and raw depth)."""

    def __len__(self) -> int:
        return len(self.xyz_m)

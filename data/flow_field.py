"""How one person moves through a clip, point by point: the reduced flow that is kept after the pictures are gone.

Axis legend: `N` pairs of frames, `G` cells along a side of the grid; 17 joints in the order of `H36M_17`. Speeds are
pixels of the upright source picture a second, so that pairs of unlike distance in time compare.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

Array = np.ndarray

STILL_PX = 0.5
"""What moves less between two looked-at pictures, in their pixels, counts as still; ours."""


@dataclass(frozen=True, eq=False)
class FlowField:
    """World and local flow of one person on a grid that follows them (H-MoRe, arXiv 2504.10676).

    Cell (row, column) of a pair covers a G-th of `window_px` each way; it holds the mean over the person's pixels in
    it, or over all its pixels where it shows none. A pair across a cut, or without the person, has no flow: NaN.
    10 s at 10 pairs a second and 64 cells take 2.1 MB, whatever the size of the picture.
    """

    person_id: int
    width: int
    height: int
    """Of the upright source picture."""
    looked_px: int
    """Side of the square picture that the network was shown of each window."""
    times_s: Float[Array, "N"]
    """Of the first frame of each pair."""
    gap_s: Float[Array, "N"]
    """From the first frame of each pair to the second."""
    shot: Int[Array, "N"]
    """Which shot of the film the pair belongs to, from 0; -1 where a cut lies between its frames."""
    window_px: Float[Array, "N 4"]
    """Left, top, width and height of what was looked at, the same in both frames; may reach beyond the picture."""
    world_px_s: Float[Array, "N 2 G G"]
    """Flow in the picture, x right and y down; float16."""
    trend_px_s: Float[Array, "N 2"]
    """v_s, the person's own course."""
    mask: Bool[Array, "N G G"]
    """Cells that show the person in the first frame."""
    joints_px: Float[Array, "N 17 2"]
    """In the first frame; NaN where not seen."""
    joints_px_s: Float[Array, "N 17 2"]
    """World flow about each joint; NaN where the joint is unsure, outside the picture or off the mask."""
    body_px: Float[Array, "N"]
    """Body height from the joints, as if standing upright; NaN where too little of the body is seen."""
    camera_px_s: Float[Array, "N 2"]
    """How the picture moves around the people: the median flow of the background, by a classical method."""
    source: str = "H-MoRe"

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def local_px_s(self) -> Float[Array, "N 2 G G"]:
        """World flow less the person's course; it means something inside the mask. float16."""
        return self.world_px_s - self.trend_px_s[..., None, None].astype(self.world_px_s.dtype)

    @property
    def joints_local_px_s(self) -> Float[Array, "N 17 2"]:
        """Flow about each joint relative to the person's course."""
        return self.joints_px_s - self.trend_px_s[:, None]

    @property
    def known(self) -> Bool[Array, "N"]:
        """Pairs that have a flow."""
        return np.asarray(np.isfinite(self.trend_px_s).all(axis=1))

    @property
    def cut(self) -> Bool[Array, "N"]:
        """Pairs whose frames lie on two sides of a cut."""
        return self.shot < 0

    @property
    def still_px_s(self) -> Float[Array, "N"]:
        """Slower than this counts as still: half a pixel of what the network was shown."""
        return STILL_PX * self.window_px[:, 2] / self.looked_px / self.gap_s

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays together."""
        return sum(v.nbytes for v in vars(self).values() if isinstance(v, np.ndarray))

    def at(self, time_s: float) -> int | None:
        """The pair whose time a moment belongs to; None before, after and inside gaps and cuts."""
        later = int(np.searchsorted(self.times_s, time_s + 1e-6)) - 1
        if later < 0 or not self.known[later]:
            return None
        follows = self.times_s[later + 1] if later + 1 < len(self) else self.times_s[later] + self.gap_s[later]
        near = max(float(self.gap_s[later]), min(float(follows - self.times_s[later]), 2 * float(self.gap_s[later])))
        return later if time_s <= self.times_s[later] + near + 1e-6 else None


def angle_deg(px_s: Float[Array, "*S 2"], still_px_s: Float[Array, "..."] | float) -> Float[Array, "*S"]:
    """Direction of flow in degrees, 0 to the right and 90 up in the picture; NaN for what is still, never counted.

    `still_px_s` is the speed from which something moves, for all or for each.
    """
    x, y = px_s[..., 0].astype(np.float64), px_s[..., 1].astype(np.float64)
    moves = np.hypot(x, y) >= still_px_s
    return np.where(moves, np.degrees(np.arctan2(0.0 - y, x)), np.nan)  # not -y: -0.0 would turn 180 into -180

"""One pair's flow of one person at full size, and what is kept of it; see `motionqa.encoders.flow.clip`.

Axis legend: `S` pixels along a side of the shown window, `G` cells along a side of the kept grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from motionqa.data.flow_field import FlowField
from motionqa.data.schema import Array, PoseSequence
from motionqa.data.skeleton import H36M_17


@dataclass(frozen=True, eq=False)
class FlowFrame:
    """One person in one pair of frames, at the size the network works at; speeds in source pixels a second."""

    person_id: int
    time_s: float
    gap_s: float
    shot: int
    """-1 where a cut lies between the two frames."""
    window_px: Float[Array, "4"]
    """Left, top, width and height of what both frames show; NaN where the person is not seen in both."""
    mask: Bool[Array, "S S"]
    """The person in the first frame."""
    camera_px_s: Float[Array, "2"]
    """Median flow of what is no person."""
    joints_px: Float[Array, "17 2"]
    body_px: float
    world_px_s: Float[Array, "2 S S"] | None = None
    """None across a cut and where the person is not seen in both frames."""
    trend_px_s: Float[Array, "2"] | None = None

    @property
    def local_px_s(self) -> Float[Array, "2 S S"] | None:
        """World flow less the person's course."""
        if self.world_px_s is None or self.trend_px_s is None:
            return None
        return self.world_px_s - self.trend_px_s[:, None, None]

    def joints_px_s(self, reach: int = 3, least: int = 4) -> Float[Array, "17 2"]:
        """World flow about each joint: the mean over the person's pixels in a square of `reach` pixels around it.

        NaN where the joint is not known or fewer than `least` pixels of the person are near it.
        """
        found = np.full((len(H36M_17), 2), np.nan)
        if self.world_px_s is None:
            return found
        side = self.mask.shape[0]
        at = (self.joints_px - self.window_px[:2]) / self.window_px[2:] * side
        for joint in np.flatnonzero(np.isfinite(at[:, 0])):
            x, y = np.floor(at[joint]).astype(int)
            box = slice(max(0, y - reach), max(0, y + reach + 1)), slice(max(0, x - reach), max(0, x + reach + 1))
            near = self.mask[box]
            if near.sum() >= least:
                found[joint] = self.world_px_s[:, *box][:, near].mean(axis=1)
        return found


@dataclass(frozen=True, eq=False)
class Kept:
    """What stays of a `FlowFrame`; its large arrays are not held."""

    scalars: tuple[float, float, int, float]
    """Time, gap, shot and body height."""
    window_px: Float[Array, "4"]
    world_px_s: Float[Array, "2 G G"]
    trend_px_s: Float[Array, "2"]
    mask: Bool[Array, "G G"]
    joints_px: Float[Array, "17 2"]
    joints_px_s: Float[Array, "17 2"]
    camera_px_s: Float[Array, "2"]


LARGEST_PX_S = 60_000.0
"""What float16 still holds; 4K pictures crossed in a fifteenth of a second."""


def reduced(frame: FlowFrame, grid: int) -> Kept:
    """The pair on the grid: the mean over the person's pixels in each cell; over all its pixels where it has none."""
    share = _cells(frame.mask.astype(np.float32), grid)
    world = np.full((2, grid, grid), np.nan, np.float16)
    if frame.world_px_s is not None:
        flow = frame.world_px_s.astype(np.float32)
        inside = np.stack([_cells(part * frame.mask, grid) for part in flow]) / np.maximum(share, 1e-6)
        everywhere = np.stack([_cells(part, grid) for part in flow])
        mean = np.where(share > 0, inside, everywhere)
        world = np.clip(mean, -LARGEST_PX_S, LARGEST_PX_S).astype(np.float16)
    return Kept(
        scalars=(frame.time_s, frame.gap_s, frame.shot, frame.body_px),
        window_px=frame.window_px,
        world_px_s=world,
        trend_px_s=np.full(2, np.nan) if frame.trend_px_s is None else frame.trend_px_s.astype(np.float64),
        mask=share >= 0.25,
        joints_px=frame.joints_px,
        joints_px_s=frame.joints_px_s(),
        camera_px_s=frame.camera_px_s,
    )


def _cells(values: Float[Array, "S S"], grid: int) -> Float[Array, "G G"]:
    """Means over the cells of a grid."""
    cell = len(values) // grid
    return values.reshape(grid, cell, grid, cell).mean(axis=(1, 3))


def collected(rows: Sequence[Kept], pose: PoseSequence, looked_px: int, source: str) -> FlowField:
    """The field of one person from all their pairs."""
    times_s, gap_s, shot, body_px = (np.array(x) for x in zip(*(row.scalars for row in rows), strict=True))
    stacked = {
        name: np.stack([getattr(row, name) for row in rows])
        for name in ("window_px", "world_px_s", "trend_px_s", "mask", "joints_px", "joints_px_s", "camera_px_s")
    }
    return FlowField(
        person_id=pose.person_id,
        width=pose.width,
        height=pose.height,
        looked_px=looked_px,
        times_s=times_s,
        gap_s=gap_s,
        shot=shot.astype(np.int64),
        body_px=body_px,
        source=source,
        **stacked,
    )

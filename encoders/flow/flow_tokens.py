"""A person's flow as rows for a language model: how each part of the window moves, moment by moment.

The papers do not say how flow enters a language model: HuMoCon's (arXiv 2505.20920) reads motion and video, and H-MoRe
(arXiv 2504.10676) gives its world and local flow to networks of its tasks. This is our choice: a coarse grid over the
window about the person, in each cell the share of it that shows the person, and the mean of world and of local flow
over what it shows. Nothing is learned here. Axis legend: `T` moments, `G` cells or pixels along a side of what comes
in, `D` values of a row.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from einops import rearrange
from jaxtyping import Bool, Float

from motionqa.data.concept_pairs import mirrored_video
from motionqa.data.flow_field import FlowField
from motionqa.data.packed_flow import ABOUT, packed_channels, packing

Array = np.ndarray

CELLS = 4
"""Along a side of the grid."""
VALUES = ("share", "world_x", "world_y", "local_x", "local_y")
"""Of each cell: a share from 0 to 1, then flow in body heights a second, x to the right of the picture and y down."""
WIDTH = CELLS * CELLS * len(VALUES)


def flow_rows(
    world: Float[Array, "T 2 G G"], local: Float[Array, "T 2 G G"], inside: Bool[Array, "T G G"]
) -> Float[Array, "T D"]:
    """A row for each moment: cells from left to right and from the top down, the `VALUES` of each side by side.

    Flow is 0 in cells that do not show the person. ValueError for a side that `CELLS` does not divide.
    """
    side = inside.shape[-1]
    if side % CELLS or side != inside.shape[-2]:
        raise ValueError(f"flow of {inside.shape[-2]} x {side} has no grid of {CELLS} x {CELLS}; expected a multiple")
    shown = inside.astype(np.float32)[:, None]
    moved = np.concatenate([world, local], axis=1).astype(np.float32)
    parts = np.concatenate([shown, np.where(inside[:, None], moved, 0)], axis=1)
    cells = rearrange(parts, "t v (r a) (c b) -> t r c v (a b)", r=CELLS, c=CELLS).mean(axis=-1)
    share = cells[..., :1]
    cells[..., 1:] = np.divide(cells[..., 1:], share, out=np.zeros_like(cells[..., 1:]), where=share > 0)
    return rearrange(cells, "t r c v -> t (r c v)")


def field_rows(field: FlowField) -> Float[Array, "T D"]:
    """The rows of a clip's flow; pairs across a cut, without the person or of an unknown body height have none."""
    known = field.known & np.isfinite(field.body_px)
    heights = field.body_px[known, None, None, None]
    world, local = (flow[known].astype(np.float32) / heights for flow in (field.world_px_s, field.local_px_s))
    return flow_rows(world, local, field.mask[known])


def packed_rows(folder: Path, name: str) -> Float[Array, "T D"]:
    """The rows of a packed clip (`motionqa.data.packed_flow`). InputError where H-MoRe's flow was not packed.

    UTD-MHAD's depth pictures come mirrored; those that were packed so are turned the way the skeletons are.
    """
    channels = packed_channels(folder, name, "both").astype(np.float32)
    about = packing(folder, "both").get(ABOUT, {})
    if about.get("source") == "utd_mhad_depth" and not about.get("turned", False):
        channels = mirrored_video(channels)
    return flow_rows(channels[:, 1:3], channels[:, 3:5], channels[:, 0] > 0)


def packed_source(folder: Path) -> str:
    """Which rows `packed_rows` gives: their grid, and the hash of how the folder was packed, weights included."""
    how = json.dumps(packing(folder, "both"), sort_keys=True)
    return f"flow {CELLS} x {CELLS} {hashlib.sha256(how.encode()).hexdigest()[:12]}"

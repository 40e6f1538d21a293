"""Flow as rows for a language model: which cell moves where, in which units, and when there is nothing to say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionqa.data.packed_flow import ABOUT, PackedHMoRe, PackedName, PackedSight, save_hmore, save_sight
from motionqa.data.schema import InputError
from motionqa.encoders.flow.flow_tokens import (
    CELLS,
    VALUES,
    WIDTH,
    field_rows,
    flow_rows,
    packed_rows,
    packed_source,
)
from motionqa.tests.flow_clips import made_field

Array = np.ndarray


def cells(rows: Array) -> dict[str, Array]:
    """Each value of the rows as a grid [T, row, column]."""
    grid = rows.reshape(len(rows), CELLS, CELLS, len(VALUES))
    return {name: grid[..., k] for k, name in enumerate(VALUES)}


def hand_and_body(side: int = 16) -> tuple[Array, Array, Array]:
    """A still body in the two middle columns, and a hand in the top right cell that goes right at 2 and up at 1."""
    inside = np.zeros((3, side, side), bool)
    inside[:, :, 4:12] = True
    inside[:, :2, 12:] = True  # half of the cell
    world = np.zeros((3, 2, side, side), np.float32)
    world[:, :, :2, 12:] = np.array([2, -1])[:, None, None]
    return world, world - np.array([0.5, 0])[:, None, None], inside


def test_each_cell_says_how_much_of_the_person_it_shows_and_how_that_moves() -> None:
    world, local, inside = hand_and_body()
    rows = flow_rows(world, local, inside)
    assert rows.shape == (3, WIDTH)
    found = {k: v[1] for k, v in cells(rows).items()}
    assert found["share"].tolist() == [[0, 1, 1, 0.5]] + [[0, 1, 1, 0]] * 3
    assert (found["world_x"][0, 3], found["world_y"][0, 3]) == pytest.approx((2, -1))
    assert (found["local_x"][0, 3], found["local_x"][2, 1]) == pytest.approx((1.5, -0.5))
    assert np.count_nonzero(found["world_x"]) == 1
    assert not any(found[k][:, 0].any() for k in VALUES)


def test_flow_beside_the_person_does_not_count() -> None:
    world, local, inside = hand_and_body()
    noise = np.where(inside[:, None], 0, 7).astype(np.float32)
    np.testing.assert_array_equal(flow_rows(world + noise, local + noise, inside), flow_rows(world, local, inside))


def test_a_grid_that_does_not_fit_is_refused() -> None:
    world, local, inside = hand_and_body(18)
    with pytest.raises(ValueError, match="flow of 18 x 18 has no grid of 4 x 4"):
        flow_rows(world, local, inside)


def test_a_field_comes_in_body_heights_and_without_pairs_that_have_no_flow() -> None:
    trend = np.array([[0.3, 0.0], [0.5, -0.2], [0.4, 0.0]])
    field = made_field(trend, shot=np.array([0, -1, 1]))
    found = cells(field_rows(field))
    shown = found["share"] > 0
    assert len(shown) == 2
    assert found["world_x"][shown] == pytest.approx(np.repeat([0.3, 0.4], shown[0].sum()), abs=1e-3)
    assert found["local_x"][shown] == pytest.approx(0, abs=1e-3)
    unknown = replace(field, body_px=np.array([200.0, 200.0, np.nan]))
    assert len(field_rows(unknown)) == 1


def packed(folder: Path, **about: object) -> Array:
    """The rows of somebody at the left of the picture who goes right, from a folder packed so."""
    folder.mkdir(exist_ok=True)
    seen = np.zeros((2, 64, 64))
    seen[:, :, :16] = 1
    save_sight(folder, PackedName("a1_s1_t1"), PackedSight(seen, np.zeros((2, 2, 64, 64))))
    world = np.zeros((2, 2, 64, 64))
    world[:, 0] = seen
    save_hmore(folder, "a1_s1_t1", PackedHMoRe(world, np.tile([0.25, 0.0], (2, 1))))
    (folder / ABOUT).write_text(json.dumps(about))
    return packed_rows(folder, "a1_s1_t1")


def test_depth_pictures_that_were_packed_mirrored_are_turned(tmp_path: Path) -> None:
    plain = cells(packed(tmp_path, source="utd_mhad_depth", turned=True))
    mirrored = cells(packed(tmp_path, source="utd_mhad_depth"))
    assert plain["world_x"][0, 0].tolist() == [1, 0, 0, 0]
    assert plain["local_x"][0, 0].tolist() == [0.75, 0, 0, 0]
    assert mirrored["share"][0, 0].tolist() == [0, 0, 0, 1]
    assert mirrored["world_x"][0, 0].tolist() == [0, 0, 0, -1]
    assert cells(packed(tmp_path, source="film"))["share"][0, 0].tolist() == [1, 0, 0, 0]


def test_another_packing_is_another_source_and_missing_flow_is_said(tmp_path: Path) -> None:
    packed(tmp_path, steps=24)
    first = packed_source(tmp_path)
    packed(tmp_path, steps=12)
    assert first != packed_source(tmp_path)
    (tmp_path / "a1_s1_t1.hmore.npz").unlink()
    with pytest.raises(InputError, match="no H-MoRe flow of a1_s1_t1"):
        packed_rows(tmp_path, "a1_s1_t1")

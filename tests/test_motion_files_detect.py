"""What is found out about a file and what is filled in: units, axes, handedness, gaps, for anybody anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionqa.data.motion_files import axes
from motionqa.data.motion_files.gaps import drop_absurd, fill_gaps
from motionqa.data.motion_files.read import read_motion
from motionqa.data.schema import InputError
from motionqa.data.skeleton import SMPL_22
from motionqa.tests import motion_writers as write

Array = np.ndarray

SCALES = {"m": 1.0, "cm": 100.0, "mm": 1000.0, "in": 1 / 0.0254}


@settings(max_examples=40, deadline=None)
@given(
    stature=st.floats(1.2, 2.0),
    unit=st.sampled_from(sorted(SCALES)),
    up=st.sampled_from(sorted(axes.TO_Y_UP)),
    heading=st.floats(0, 6.28),
    mirrored=st.booleans(),
)
def test_units_up_axis_and_handedness_are_found_for_anybody_standing_anywhere(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    stature: float,
    unit: str,
    up: axes.Axis,
    heading: float,
    mirrored: bool,
) -> None:
    truth = write.person(6)
    truth = truth * (stature / axes.stature(truth, SMPL_22))
    turn = np.array([[np.cos(heading), 0, np.sin(heading)], [0, 1, 0], [-np.sin(heading), 0, np.cos(heading)]])
    truth = (truth + np.array([0.3, 0, 0.5])) @ turn.T
    stored = (truth * [-1, 1, 1] if mirrored else truth) @ axes.TO_Y_UP[up] * SCALES[unit]
    path = tmp_path_factory.mktemp("anybody", numbered=True) / "a.npy"
    np.save(path, stored)
    recording = read_motion(path)
    assert (recording.info.units, recording.info.up_axis) == (unit, up)
    found = recording.poses[0].xyz_m
    bones = np.array(SMPL_22.bones)

    def lengths(xyz: Array) -> Array:
        return np.linalg.norm(xyz[:, bones[:, 0]] - xyz[:, bones[:, 1]], axis=2)

    assert np.allclose(lengths(found), lengths(truth), atol=1e-6)
    assert np.allclose(found[..., 1], truth[..., 1], atol=1e-6)
    # Left must really be left: the chirality of hips, head and toes is that of the truth.
    across = found[:, SMPL_22.index("left_hip")] - found[:, SMPL_22.index("right_hip")]
    foot = found[:, SMPL_22.index("left_toe")] - found[:, SMPL_22.index("left_ankle")]
    assert (np.sum(np.cross(across, [0, 1, 0]) * foot, axis=1) > 0).mean() > 0.5


def test_somebody_lying_on_the_floor_is_not_stood_up(tmp_path: Path) -> None:
    lying = write.person(10) - [0, 0.95, 0]
    lying = lying[..., [0, 2, 1]] * [1, -1, 1]  # the head along +Z, the face down
    lying[..., 1] -= lying[..., 1].min()
    np.save(tmp_path / "a.npy", lying)
    info = read_motion(tmp_path / "a.npy").info
    assert info.up_axis == "y"
    assert any("set up_axis" in note for note in info.notes)


def test_a_body_of_no_common_unit_is_scaled_and_marked_not_metric(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", write.person(5) * 7.3)
    recording = read_motion(tmp_path / "a.npy")
    assert not recording.poses[0].metric
    assert axes.stature(recording.poses[0].xyz_m, SMPL_22) == pytest.approx(axes.ASSUMED_STATURE_M)
    assert any("scaled to a stature" in note for note in recording.info.notes)


@settings(max_examples=40, deadline=None)
@given(start=st.integers(0, 30), length=st.integers(1, 30))
def test_gaps_are_bridged_up_to_half_a_second_and_held_beyond(start: int, length: int) -> None:
    line = np.linspace(0, 1, 60)[:, None, None] * np.ones((60, 2, 3))
    holed = line.copy()
    holed[start : start + length, 0] = np.nan
    filled, confidence = fill_gaps(holed, np.ones((60, 2)), fps=30.0)
    assert np.isfinite(filled).all()
    assert (confidence[start : start + length, 0] == 0).all()
    assert confidence.sum() == 120 - length
    if length <= 15 and start > 0:
        assert np.allclose(filled, line)
    else:
        assert filled[:, 0].min() >= 0
        assert filled[:, 0].max() <= 1


def test_a_file_of_mostly_impossible_positions_is_refused() -> None:
    with pytest.raises(InputError, match="impossible"):
        drop_absurd(np.random.default_rng(0).normal(size=(10, 22, 3)) * 1e6)

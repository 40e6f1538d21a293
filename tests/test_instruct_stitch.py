"""Movements joined into longer ones: boundaries, seams, bones, and what is never joined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from motionqa.data.instruct.known import KnownMotion
from motionqa.data.instruct.stitch import cut, heading_rad, leg_m, stitch, stitched
from motionqa.data.skeleton import H36M_17
from motionqa.tests.instruct_motions import motion, sequence

Array = np.ndarray
PELVIS = H36M_17.index("pelvis")


def speeds(known: KnownMotion) -> Array:
    """The fastest joint between two frames, metres a second."""
    x = known.pose.xyz_m
    return np.linalg.norm(np.diff(x, axis=0), axis=2).max(axis=1) * known.pose.fps


def test_actions_follow_one_another_and_fill_the_sequence() -> None:
    known = sequence("wave right", "squats", "walk")
    assert [a.name for a in known.actions] == ["wave right hand", "squat", "walk"]
    assert known.actions[0].start_s == 0
    assert known.actions[-1].end_s == pytest.approx(known.duration_s)
    for before, after in zip(known.actions, known.actions[1:], strict=False):
        assert before.end_s == pytest.approx(after.start_s)
    assert known.counts == (0, 4, 0)
    assert known.captions[0] == "A person waves with the right hand, then squats, then walks."


def test_the_boundary_is_where_one_movement_has_become_the_other() -> None:
    first, second = motion("wave right"), motion("squats")
    known = stitch([first, second], blend_s=0.4)
    boundary = known.actions[1].start_s
    length = first.duration_s + second.duration_s
    assert length - 0.45 < known.duration_s <= length
    assert boundary == pytest.approx(first.duration_s - 0.2, abs=0.05)
    # Before and after the blend the poses are the clips' own, placed anew.
    early = round((boundary - 0.3) * 30)
    assert np.abs(known.pose.xyz_m[:early] - first.pose.xyz_m[:early]).max() < 1e-5
    late = known.pose.xyz_m[-20:] - known.pose.xyz_m[-20:, [PELVIS]]
    own = second.pose.xyz_m[-20:] - second.pose.xyz_m[-20:, [PELVIS]]
    assert np.abs(np.linalg.norm(late, axis=2) - np.linalg.norm(own, axis=2)).max() < 1e-3


def test_no_joint_jumps_at_a_seam_even_between_poses_far_apart() -> None:
    high = cut(motion("raise both"), 0.3, 1.4)  # ends with the arms up
    low = cut(motion("bow"), 1.0, 2.2)  # begins bent over
    known = stitch([high, low])
    assert speeds(known).max() < 6.5
    longer = known.duration_s - high.duration_s - low.duration_s
    assert longer > -0.3 + 0.05  # the blend was lengthened
    assert speeds(stitch([motion("walk"), motion("wave left")])).max() < 6.5


def test_place_heading_and_floor_go_on_at_the_seam() -> None:
    walk = motion("walk")
    turned = replace(
        walk, pose=replace(walk.pose, xyz_m=walk.pose.xyz_m @ _turn(2.1) + np.array([3, 0.4, -2], np.float32))
    )
    known = stitch([motion("squats"), turned])
    at = round(known.actions[1].start_s * 30)
    x = known.pose.xyz_m
    assert np.linalg.norm(np.diff(x[:, PELVIS], axis=0), axis=1).max() < 0.1
    turns = np.unwrap([heading_rad(f) for f in x])
    assert np.abs(np.diff(turns)).max() < 0.2
    ankles = [H36M_17.index("left_ankle"), H36M_17.index("right_ankle")]
    floors = [np.percentile(part[:, ankles, 1].min(axis=1), 10) for part in (x[:at], x[at:])]
    assert abs(floors[0] - floors[1]) < 0.03


def _turn(angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]], dtype=np.float32)


def test_bones_keep_their_length_through_a_blend() -> None:
    known = sequence("raise both", "bow", "sit down")
    for child, parent in enumerate(H36M_17.parents):
        if parent >= 0:
            bone = np.linalg.norm(known.pose.xyz_m[:, child] - known.pose.xyz_m[:, parent], axis=1)
            own = np.linalg.norm(motion("bow").pose.xyz_m[:, child] - motion("bow").pose.xyz_m[:, parent], axis=1)
            assert bone.max() < own.max() + 0.03
            assert bone.min() > own.min() - 0.03


def test_a_body_of_another_size_is_sized_to_the_first_and_a_giant_is_refused() -> None:
    small = motion("squats")
    big = replace(motion("walk"), pose=replace(motion("walk").pose, xyz_m=motion("walk").pose.xyz_m * np.float32(1.3)))
    known = stitch([small, big])
    assert leg_m(known.pose) == pytest.approx(leg_m(small.pose), rel=0.02)
    giant = replace(big, pose=replace(big.pose, xyz_m=big.pose.xyz_m * np.float32(1.5)))
    with pytest.raises(ValueError, match="too unlike"):
        stitch([small, giant])


def test_clips_of_different_splits_rates_or_scales_are_never_joined() -> None:
    a, b = motion("squats"), motion("walk")
    with pytest.raises(ValueError, match="split"):
        stitch([a, replace(b, split="test")])
    with pytest.raises(ValueError, match="frame rate"):
        stitch([a, replace(b, pose=replace(b.pose, fps=15.0))])
    with pytest.raises(ValueError, match="scale"):
        stitch([a, replace(b, pose=replace(b.pose, metric=False))])
    with pytest.raises(ValueError, match="two movements at least"):
        stitch([a])
    with pytest.raises(ValueError, match="too short"):
        stitch([a, cut(b, 0.0, 0.5)])


def test_sampled_sequences_have_one_source_and_split_and_different_actions() -> None:
    names = ("squats", "walk", "wave left", "bow", "raise both", "jump")
    pool = [replace(motion(n), source=s, split=t) for n in names for s in ("a", "b") for t in ("train", "test")]
    found = stitched(pool, np.random.default_rng(0), 12)
    assert len(found) == 12
    assert {(f.source, f.split) for f in found} == {(s, t) for s in ("a", "b") for t in ("train", "test")}
    assert {len(f.actions) for f in found} == {2, 3, 4}
    assert all(len({a.name for a in f.actions}) == len(f.actions) for f in found)
    again = stitched(pool, np.random.default_rng(0), 12)
    assert all(
        (a.pose.xyz_m == b.pose.xyz_m).all() and a.actions == b.actions for a, b in zip(found, again, strict=True)
    )
    with pytest.raises(ValueError, match="two different actions"):
        stitched([motion("squats")], np.random.default_rng(0), 1)


def test_a_cut_keeps_the_actions_that_lie_in_it_with_new_times() -> None:
    known = sequence("wave right", "squats", "walk")
    middle = known.actions[1]
    part = cut(known, middle.start_s - 0.1, middle.end_s + 1.0)
    assert [a.name for a in part.actions] == ["squat", "walk"]
    assert part.actions[0].start_s == pytest.approx(0.1, abs=0.05)
    assert part.duration_s == pytest.approx(middle.end_s - middle.start_s + 1.1, abs=0.05)
    with pytest.raises(ValueError, match="at least 8"):
        cut(known, 1.0, 1.1)

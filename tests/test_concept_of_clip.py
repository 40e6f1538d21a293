"""A clip to its concepts: the same movement gives the same codes from film and from space; timelines; like moments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionqa.assistant import released
from motionqa.data.schema import InputError, Pose3D
from motionqa.data.skeleton import H36M_17
from motionqa.data.synthetic.motions import render, squats
from motionqa.encoders.concepts.book import BOOK, ConceptWeights, save_book
from motionqa.encoders.concepts.like import like_moments
from motionqa.encoders.concepts.of_clip import (
    ClipMotion,
    Concepts,
    clip_motion,
    front_view,
    load_concepts,
    seen_joints,
    sureness,
    timeline,
)
from motionqa.encoders.concepts.track import ConceptTrack
from motionqa.tests.concept_model import encoded, in_picture, small_concepts, write_weights

Array = np.ndarray


@pytest.fixture(scope="module")
def concepts() -> Concepts:
    return small_concepts()


def track_of(codes: list[int], margin: list[float] | None = None) -> ConceptTrack:
    """A track whose vectors tell their code alone."""
    count = len(codes)
    vectors = np.eye(8, dtype=np.float32)[np.array(codes) % 8]
    kept = np.array(margin if margin is not None else [0.5] * count, np.float32)
    edges = np.arange(count + 1) * 4 / 15
    return ConceptTrack(np.array(codes), vectors, kept, np.ones(count, np.float32), edges, np.ones(1, np.float32))


def all_seen(track: ConceptTrack) -> ClipMotion:
    return ClipMotion(track, np.ones(len(track.codes), bool))


# ---------------------------------------------------------------------------------------------- joints


def turned(pose: Pose3D, degrees: float) -> Pose3D:
    """The same movement facing elsewhere."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return replace(pose, xyz_m=pose.xyz_m @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]))


@pytest.mark.parametrize("degrees", [0.0, 90.0, -130.0])
def test_motion_in_space_is_seen_from_where_the_person_faces_at_first(degrees: float) -> None:
    pose = turned(render(squats(1)), degrees)
    xy, _ = front_view(pose)
    left, right = (xy[0, H36M_17.index(f"{side}_shoulder")] for side in ("left", "right"))
    assert left[0] - right[0] > 0.03  # the person's left is at the picture's right
    assert abs(left[1] - right[1]) < 0.01
    assert xy[0, H36M_17.index("nose"), 1] < xy[0, 0, 1]  # y is down
    assert np.allclose(xy, front_view(render(squats(1)))[0], atol=2e-3)


def test_a_long_walk_never_comes_nearer_than_the_camera_stands() -> None:
    pose = render(squats(4))
    gone = replace(pose, xyz_m=pose.xyz_m + pose.times_s[:, None, None] * (0, 0, 1.5))
    assert np.ptp(gone.xyz_m[:, 0, 2]) > 8
    xy, _ = front_view(gone)
    assert np.abs(xy).max() < 1.0


def test_film_and_motion_file_of_one_movement_have_the_same_concepts(concepts: Concepts) -> None:
    pose = render(squats(2))
    space = clip_motion(encoded(pose), concepts)
    film = clip_motion(replace(encoded(pose), pose=in_picture(pose)), concepts)
    assert (space.track.codes == film.track.codes).mean() > 0.95
    assert len(set(space.track.codes.tolist())) > 4


def test_any_frame_rate_is_brought_to_fifteen_a_second(concepts: Concepts) -> None:
    pose = render(squats(2))
    at_30 = clip_motion(encoded(pose), concepts).track
    times = np.arange(0, pose.times_s[-1], 1 / 25)
    flat = pose.xyz_m.reshape(len(pose), -1)
    slower = np.stack([np.interp(times, pose.times_s, c) for c in flat.T], axis=1).reshape(len(times), -1, 3)
    at_25 = replace(pose, fps=25.0, times_s=times, xyz_m=slower, confidence=np.ones(slower.shape[:2]))
    track = clip_motion(encoded(at_25), concepts).track
    assert abs(len(track.codes) - len(at_30.codes)) <= 1
    assert (track.codes[:-1] == at_30.codes[: len(track.codes) - 1]).mean() > 0.9


def test_times_are_the_clip_s_and_unseen_stretches_are_left_out(concepts: Concepts) -> None:
    pose = render(squats(3))
    confidence = pose.confidence.copy()
    confidence[pose.times_s < 1.0] = 0
    confidence[(pose.times_s > 3.0) & (pose.times_s < 5.0)] = 0
    hidden = replace(pose, confidence=confidence)
    motion = clip_motion(encoded(hidden), concepts)
    assert motion.track.edges_s[0] == pytest.approx(1.0, abs=0.05)
    assert not motion.seen.all()
    found = timeline(motion)
    assert found[0].start_s == pytest.approx(1.0, abs=0.05)
    assert not any(s.start_s < 4.7 and s.end_s > 3.3 for s in found)
    assert any(s.start_s > 4.7 for s in found)


def test_nobody_seen_and_half_a_body_get_a_reason_and_one_frame_gets_a_code(concepts: Concepts) -> None:
    pose = render(squats(1))
    with pytest.raises(InputError, match="nobody is seen in 'made up'"):
        clip_motion(encoded(replace(pose, confidence=0 * pose.confidence)), concepts)
    half = replace(pose, confidence=np.where(np.arange(len(pose.skeleton)) == 0, 0.0, pose.confidence))
    with pytest.raises(InputError, match="both hips are needed"):
        clip_motion(encoded(half), concepts)
    one = replace(pose, times_s=pose.times_s[:1], xyz_m=pose.xyz_m[:1], confidence=pose.confidence[:1])
    assert len(timeline(clip_motion(encoded(one), concepts))) == 1


def test_joints_that_are_not_seen_may_be_nan() -> None:
    image = in_picture(render(squats(1)))
    xy, confidence = image.xy_px.copy(), image.confidence.copy()
    xy[:, 16], confidence[:, 16] = np.nan, 0.0
    joints = seen_joints(replace(encoded(render(squats(1))), pose=replace(image, xy_px=xy, confidence=confidence)))
    assert np.isfinite(joints.xy).all()
    assert (joints.confidence[:, 16] == 0).all()


# -------------------------------------------------------------------------------------------- timeline


def test_neighbours_of_one_code_become_one_segment_with_their_mean_sureness() -> None:
    track = track_of([3, 3, 5, 3], [0.0, 1.0, 0.5, 0.2])
    found = timeline(all_seen(track))
    assert [s.code for s in found] == [3, 5, 3]
    assert (found[0].start_s, found[0].end_s, found[0].sureness) == pytest.approx((0.0, 8 / 15, 0.75))
    assert [s.end_s for s in found[:-1]] == [s.start_s for s in found[1:]]
    unseen = ClipMotion(track, np.array([True, False, True, True]))
    assert [(s.code, round(s.start_s, 2)) for s in timeline(unseen)] == [(3, 0.0), (5, 0.53), (3, 0.8)]


def test_sureness_is_a_half_where_another_code_is_as_near_and_one_right_on_it() -> None:
    assert sureness(np.array([0.0, 1.0])).tolist() == [0.5, 1.0]
    assert (np.diff(sureness(np.linspace(0, 1, 9))) > 0).all()


# ---------------------------------------------------------------------------------------- like moments


def mean_code(_modality: str, windows: Array) -> Array:
    """In the place of a learned projection: which codes a window has, as a unit vector."""
    found = windows.mean(axis=1)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_moments_like_one_are_those_with_its_codes_and_do_not_overlap() -> None:
    codes = [1] * 8 + [2] * 8 + [1] * 8 + [3] * 8
    found = like_moments(all_seen(track_of(codes)), 1.0, mean_code, 3)
    assert (round(found[0].start_s, 2), round(found[0].end_s, 2)) == (4.27, 6.4)
    assert found[0].similarity == pytest.approx(1.0)
    spans = sorted((m.start_s, m.end_s) for m in found)
    assert all(a[1] <= b[0] + 1e-6 for a, b in zip(spans, spans[1:], strict=False))
    assert all(m.start_s >= 8 * 4 / 15 - 1e-6 for m in found)
    assert [m.similarity for m in found] == sorted((m.similarity for m in found), reverse=True)


def test_a_short_clip_has_no_other_moment_and_times_outside_are_refused() -> None:
    short = all_seen(track_of([1, 2, 3]))
    assert like_moments(short, 0.3, mean_code) == []
    with pytest.raises(InputError, match="outside the clip"):
        like_moments(short, 4.0, mean_code)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        like_moments(short, 0.3, mean_code, 0)


# -------------------------------------------------------------------------------------------- weights


def test_weights_are_found_by_name_or_folder_and_must_belong_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_weights(tmp_path / "m")
    monkeypatch.setattr(released, "WEIGHTS", folder)
    found = released.concepts(str(folder / "concepts"))
    assert found == released.concepts()
    loaded = load_concepts(found)
    assert loaded.book.weights_sha256 == loaded.weights_sha256
    with pytest.raises(InputError, match="There are no concepts 'nothing'"):
        released.concepts("nothing")
    with pytest.raises(InputError, match="holds a DSTformer; give a folder with a HuMoCon"):
        load_concepts(ConceptWeights(folder / "dstformer", folder / "dstformer", "1"))
    other = replace(loaded.book, dstformer_sha256="0" * 64)
    save_book(folder / "concepts" / BOOK, other)
    with pytest.raises(InputError, match="read features of the DSTformer 000000000000"):
        load_concepts(released.concepts())
    save_book(folder / "concepts" / BOOK, replace(loaded.book, weights_sha256="f" * 64))
    with pytest.raises(InputError, match="make the book anew"):
        load_concepts(released.concepts())
    (folder / "concepts" / BOOK).unlink()
    with pytest.raises(InputError, match="No concepts are released yet"):
        released.concepts()

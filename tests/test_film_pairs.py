"""Pairs of films: the same moments in picture and motion, whatever the film's rate; cuts, gaps and absent people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motionqa.data.mocap.clip import MocapClip
from motionqa.data.packed_flow import packed_channels, packed_names
from motionqa.data.schema import Clip, InputError, PoseSequence
from motionqa.data.virtual_camera import MIRROR
from motionqa.finetune.film_pairs import FilmPairConfig, FilmWords, film_pairs
from motionqa.finetune.flow_channels import sight
from motionqa.finetune.paired_clips import PairedClip, PictureSize, keep_video
from motionqa.tests.flow_clips import TALL, patch_film, walk_of
from motionqa.tests.pair_clips import networks

Array = np.ndarray

CONFIG = FilmPairConfig(longest_s=2.0, sides=PictureSize(32, 128))
TRAIN = FilmWords("films", "train", "", "somebody")


def film(
    path: Path, seconds: float = 1.6, fps: float = 30.0, speed: float = 45.0, **more: object
) -> tuple[Clip, PoseSequence]:
    """Somebody who slides to the right at `speed` pixels a second."""
    count = round(seconds * fps)
    clip, poses = patch_film(path, [walk_of(count, step=(speed / fps, 0.0))], fps, **more)  # type: ignore[arg-type]
    return clip, poses[0]


def pairs_of(clip: Clip, pose: PoseSequence, words: FilmWords = TRAIN, **more: object) -> list[PairedClip]:
    return list(film_pairs(clip, pose, words, networks(), CONFIG, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("fps", [15.0, 25.0, 30.0])
def test_flow_is_in_statures_a_second_at_any_rate_of_the_film(tmp_path: Path, fps: float) -> None:
    clip, pose = film(tmp_path / "a.mp4", fps=fps)
    (paired,) = pairs_of(clip, pose)
    assert len(paired.takes[0]) == len(paired.pictures.first) + 1
    found = sight(paired.pictures, 32)
    speed = found.dis[:, 0] * paired.pace[:, None, None]
    inside = found.seen > 0
    each = np.array([np.median(s[i]) for s, i in zip(speed, inside, strict=True)])
    assert np.median(each) == pytest.approx(45 / TALL, rel=0.15)
    assert each.std() < 0.15 * each.mean()  # neighbouring frames of 25 a second lie 40 or 80 ms apart


def test_training_films_are_taken_mirrored_too_and_others_are_not(tmp_path: Path) -> None:
    clip, pose = film(tmp_path / "a b.mp4")
    plain, turned = pairs_of(clip, pose)[0].takes
    assert plain.name == turned.name == f"a_b_{clip.content_sha256[:8]}_00"
    assert (plain.mirrored, turned.mirrored) == (False, True)
    assert np.allclose(turned.joints_m, plain.joints_m[:, MIRROR] * (-1, 1, 1), atol=1e-5)
    assert not np.array_equal(turned.features, plain.features)
    assert (plain.source, plain.split, plain.subject) == ("films", "train", "somebody")
    (paired,) = pairs_of(clip, pose, replace(TRAIN, split="test"))
    assert len(paired.takes) == 1


def test_a_film_is_cut_at_cuts_and_after_a_while(tmp_path: Path) -> None:
    rooms = [0] * 40 + [1] * 40
    clip, pose = film(tmp_path / "a.mp4", 80 / 30, speed=20.0, rooms=rooms)
    lengths = [len(p.takes[0]) for p in pairs_of(clip, pose)]
    assert lengths == [20, 20]
    long, pose = film(tmp_path / "b.mp4", 3.2, fps=15.0, speed=10.0)
    assert [len(p.takes[0]) for p in pairs_of(long, pose)] == [31, 18]


def test_stretches_without_the_person_are_left_out_and_a_film_of_nothing_else_says_why(tmp_path: Path) -> None:
    clip, pose = film(tmp_path / "a.mp4", 2.0)
    some = pose.confidence.copy()
    some[8:40] = 0
    with pytest.raises(InputError, match=r"no pair of 1 s or more: the person is seen in \d+%"):
        pairs_of(clip, replace(pose, confidence=some))
    with pytest.raises(InputError, match="too short"):
        pairs_of(clip, replace(pose, confidence=np.where(np.arange(60)[:, None] < 20, pose.confidence, 0)))
    with pytest.raises(InputError, match="no outline"):
        pairs_of(clip, replace(pose, mask=None))
    slow, still = film(tmp_path / "b.mp4", 3.0, fps=10.0)
    with pytest.raises(InputError, match=r"10 frames a second, expected 13\.5"):
        pairs_of(slow, still)


def test_measured_motion_is_turned_into_the_camera_s_axes(tmp_path: Path) -> None:
    clip, pose = film(tmp_path / "a.mp4")
    (plain,) = pairs_of(clip, pose)
    camera = plain.takes[0].joints_m
    world = Rotation.from_euler("yx", [70, 180], degrees=True)
    given = world.apply(camera.reshape(-1, 3)).reshape(camera.shape).repeat(2, axis=0) + (1, 2, 3)
    measured = MocapClip("motion_x", "a", 30.0, given.astype(np.float32), np.ones(given.shape[:2], np.float32))
    (paired,) = pairs_of(clip, pose, measured=measured)
    take = paired.takes[0]
    assert np.allclose(take.joints_m, camera[: len(take)], atol=0.02)
    assert np.array_equal(take.features, plain.takes[0].features[: len(take)])
    short = replace(measured, xyz_m=measured.xyz_m[:32], confidence=measured.confidence[:32])
    (cut,) = pairs_of(clip, pose, measured=short)
    assert len(cut.takes[0]) == 16


def test_a_kept_video_has_the_flow_at_the_pace_of_its_film(tmp_path: Path) -> None:
    clip, pose = film(tmp_path / "a.mp4", fps=25.0)
    (paired,) = pairs_of(clip, pose)
    keep_video(paired, tmp_path / "videos", 32, None)
    (about,) = packed_names(tmp_path / "videos")
    assert (about.name, about.subject, about.split) == (paired.takes[0].name, "somebody", "train")
    kept = packed_channels(tmp_path / "videos", about.name, "dis").astype(np.float32)
    expected = sight(paired.pictures, 32)
    assert np.allclose(kept[:, 1:], expected.dis * paired.pace[:, None, None, None], atol=2e-3)
    assert len(set(np.round(paired.pace, 2))) > 1

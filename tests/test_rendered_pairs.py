"""Drawn pairs: training motion alone, one body through the film, and features of the very joints that are drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from motionqa.data.mocap.clip import MocapClip
from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17
from motionqa.data.synthetic.puppet_film import PuppetFilmConfig, puppet_film
from motionqa.data.virtual_camera import View, ViewRange, with_other_limbs
from motionqa.finetune.flow_channels import sight
from motionqa.finetune.paired_clips import PictureSize
from motionqa.finetune.rendered_pairs import Drawn, RenderConfig, rendered_pair, to_draw
from motionqa.tests.mocap_clips import clip
from motionqa.tests.pair_clips import REPRESENTATION, networks

TRIPOD = PuppetFilmConfig(side=96, held_by_hand=0.0)
CONFIG = RenderConfig(3, longest_s=1.2, sides=PictureSize(32, 48), film=TRIPOD)


def mocap(action: str = "squat", source: str = "cmu", split: str = "train", frames: int = 60) -> MocapClip:
    return clip(action, "1", source=source, split=split, fps=30.0, frames=frames)


# ------------------------------------------------------------------------------------------------- films


def test_a_film_shows_one_body_from_frame_to_frame() -> None:
    xyz = mocap("wave").xyz_m[::2][:6]
    for how in (TRIPOD, replace(TRIPOD, held_by_hand=1.0)):
        pairs = list(puppet_film(xyz, 15.0, View(20, 5), np.random.default_rng(1), how))
        assert len(pairs) == 5
        for one, other in zip(pairs, pairs[1:], strict=False):
            assert np.allclose(one.joints[0] + one.moved[0], other.joints[0], atol=1e-3)
            inside = other.masks[0]
            same = np.abs(one.second.astype(float) - other.first)[inside].mean()
            assert same < 12  # noise, light and the rim


def test_a_tripod_s_background_stands_still_and_a_hand_s_moves() -> None:
    xyz = mocap("wave").xyz_m[::2][:5]
    still = next(puppet_film(xyz, 15.0, View(), np.random.default_rng(1), TRIPOD))
    swaying = list(puppet_film(xyz, 15.0, View(), np.random.default_rng(1), replace(TRIPOD, held_by_hand=1.0)))
    assert still.flow is not None
    assert np.abs(still.flow[:, ~still.masks[0]]).max() < 1e-3
    moved = [np.abs(p.flow[:, ~p.masks[0]]).mean() for p in swaying if p.flow is not None]
    assert 0.05 < np.mean(moved) < 6


def test_a_person_who_crosses_the_picture_is_followed() -> None:
    xyz = mocap("walk").xyz_m[::2][:16]
    xyz = xyz - xyz[:, :1] + np.linspace(0, 3, len(xyz))[:, None, None] * (1.0, 0, 0)
    pairs = list(puppet_film(xyz.astype(np.float32), 15.0, View(distance_m=8), np.random.default_rng(0), TRIPOD))
    pelvis = np.array([p.joints[0, 0] for p in pairs])
    assert (np.abs(pelvis - 48) < 40).all()
    assert min(p.masks[0].sum() for p in pairs) > 200
    with pytest.raises(ValueError, match="two frames"):
        list(puppet_film(xyz[:1].astype(np.float32), 15.0, View(), np.random.default_rng(0)))


# -------------------------------------------------------------------------------------------------- pairs


def test_only_training_clips_of_collections_without_videos_are_drawn() -> None:
    clips = [
        mocap(), mocap("bend", "deepmimic"), mocap("wave", "cmu", "test"), replace(mocap("jump"), split="val"),
        mocap("walk", "utd_mhad"), replace(mocap("curl"), metric=False), mocap("jump", frames=20),
    ]  # fmt: skip
    drawn = to_draw(clips, replace(CONFIG, count=40))
    assert {(d.clip.source, d.clip.label) for d in drawn} == {("cmu", "squat"), ("deepmimic", "bend")}
    assert len({d.name for d in drawn}) == 40
    fewer = to_draw(clips, replace(CONFIG, count=5))
    assert [(d.name, d.seed) for d in fewer] == [(d.name, d.seed) for d in drawn[:5]]
    with pytest.raises(InputError, match="no training motion capture"):
        to_draw(clips[2:], CONFIG)


def test_a_pair_s_video_and_features_are_of_the_same_moments() -> None:
    drawn = Drawn("rendered_00000", mocap("squat", frames=90), 5)
    paired = rendered_pair(drawn, None, networks(), CONFIG)
    (take,) = paired.takes
    assert (take.name, take.source, take.split, take.label) == ("rendered_00000", "rendered/cmu", "train", "squat")
    assert take.has_video
    assert not take.mirrored
    assert np.asarray(take.features).shape == (18, 17, REPRESENTATION)
    assert np.asarray(take.features).dtype == np.int8
    assert paired.pictures.first.shape == (17, 48, 48, 3)
    assert np.allclose(paired.pace, 1)
    # In the picture the head is above the pelvis by as much as in space, in every frame alike.
    seen = sight(paired.pictures, 32)
    tops = np.array([np.flatnonzero(f.any(axis=1))[0] for f in seen.seen])
    highest = take.joints_m[:-1, :, 1].min(axis=1) - take.joints_m[:-1, H36M_17.index("left_ankle"), 1]
    assert np.corrcoef(tops, highest)[0, 1] > 0.9
    again = rendered_pair(drawn, None, networks(), CONFIG)
    assert np.array_equal(again.pictures.first, paired.pictures.first)
    assert np.array_equal(again.takes[0].features, take.features)


def test_flow_is_in_body_heights_a_second_also_of_somebody_who_crouches() -> None:
    xyz = np.repeat(mocap("squat", frames=90).xyz_m[44:45], 8, axis=0)  # at the bottom
    moving = xyz + np.arange(8)[:, None, None] * np.array([0.02, 0, 0])  # 0.3 m a second
    still = replace(
        mocap(), xyz_m=moving.repeat(2, axis=0).astype(np.float32), confidence=np.ones((16, 17), np.float32)
    )
    config = replace(CONFIG, shortest_s=0.2, film=replace(TRIPOD, height=(0.9, 0.9)))
    drawn = next(Drawn("a", still, s) for s in range(50) if abs(_facing(s, config)) < 20)
    paired = rendered_pair(drawn, None, networks(), config)
    found = sight(paired.pictures, 32)
    speed = np.median(np.linalg.norm(found.dis, axis=1)[found.seen > 0])
    assert speed == pytest.approx(0.3 / 1.7, rel=0.35)


def _facing(seed: int, config: RenderConfig) -> float:
    """The camera's azimuth of a drawn clip, degrees: the same draws as `rendered_pair` makes."""
    rng = np.random.default_rng(seed)
    length = round(config.longest_s * 15)
    rng.integers(0, max(0, 8 - length) + 1)
    with_other_limbs(np.zeros((1, 17, 3), np.float32), rng)
    return ViewRange().sample(rng).azimuth_deg

"""Kept films: what was seen is read back whole, pairs are cut alike, and held-out groups stay apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionqa.data.kept_films import FilmSampler, film_files, film_pair, group_of, held_out, load_film, usual_group
from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17
from motionqa.tests.known_flow import SIZE, write_film


def groups(test: bool) -> list[str]:
    return [g for g in (f"group {i}" for i in range(40)) if held_out(g) == test]


def test_every_group_is_on_one_side_and_both_sides_have_some() -> None:
    assert 4 <= len(groups(test=True)) <= 18
    assert len(groups(test=True)) + len(groups(test=False)) == 40


def test_training_and_test_films_of_a_folder_share_no_group(tmp_path: Path) -> None:
    for i, group in enumerate([*groups(test=True)[:2], *groups(test=False)[:2]]):
        write_film(tmp_path / f"a{i}-0.npz", group, frames=2)
        write_film(tmp_path / f"b{i}-0.npz", group, frames=2)
    train, test = (film_files(tmp_path, test=t) for t in (False, True))
    assert len(train) == len(test) == 4
    assert not {group_of(f) for f in train} & {group_of(f) for f in test}
    with pytest.raises(InputError, match="flow_pairs"):
        film_files(tmp_path / "none", test=True)


def test_cameras_of_one_recording_are_one_group_and_other_names_are_their_own() -> None:
    assert {usual_group(n) for n in ("cam01", "cam_2", "Cam10".lower())} == {"cam"}
    assert usual_group("session3_cam02") == "session3_cam"
    assert usual_group("run7") == "run7"


def test_a_film_is_read_back_as_it_was_kept(tmp_path: Path) -> None:
    path = write_film(tmp_path / "walk-ab12.npz", "somebody")
    film = load_film(path)
    assert film.frames.shape == (6, *SIZE, 3)
    assert film.masks.dtype == bool
    assert film.group == group_of(path) == "somebody"
    assert list(tmp_path.iterdir()) == [path]


def test_a_film_without_a_group_goes_by_its_video_s_name(tmp_path: Path) -> None:
    arrays = dict(np.load(write_film(tmp_path / "cam03-ab12.npz", "x")))
    del arrays["group"]
    np.savez(tmp_path / "cam03-ab12.npz", allow_pickle=False, **arrays)
    assert group_of(tmp_path / "cam03-ab12.npz") == load_film(tmp_path / "cam03-ab12.npz").group == "cam"


def test_films_whose_parts_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a-0.npz", "x")
    arrays = dict(np.load(path))
    np.savez(path, allow_pickle=False, **{**arrays, "masks": arrays["masks"][:, :-1]})
    with pytest.raises(InputError, match="expected joints, confidence and masks"):
        load_film(path)
    np.savez(path, allow_pickle=False, frames=arrays["frames"])
    with pytest.raises(InputError, match="has no array"):
        load_film(path)


@pytest.mark.parametrize("size", [(64, 64), (96, 64), (128, 160)])
def test_a_pair_is_cut_or_padded_with_its_joints(size: tuple[int, int], tmp_path: Path) -> None:
    film = load_film(write_film(tmp_path / "a-0.npz", "x"))
    pair = film_pair(film, 1, 3, size)
    assert pair.first.shape == pair.second.shape == (*size, 3)
    assert pair.masks.shape == (1, *size)
    assert np.allclose(pair.moved, (4.0, 0.0))
    assert np.allclose(pair.trend, (4.0, 0.0))
    pelvis = pair.joints[0, H36M_17.index("pelvis")].round().astype(int)
    assert pair.masks[0, pelvis[1], pelvis[0]]


def test_the_same_step_draws_the_same_pairs(tmp_path: Path) -> None:
    sampler = FilmSampler([write_film(tmp_path / "a-0.npz", "x")], (64, 64))
    one, again, other = sampler.pairs(3, 2), sampler.pairs(3, 2), sampler.pairs(4, 2)
    assert all(np.array_equal(a.first, b.first) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a.first, b.first) for a, b in zip(one, other, strict=True))
    with pytest.raises(InputError, match="no kept films"):
        FilmSampler([])

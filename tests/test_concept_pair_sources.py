"""Pairs as parts of their own: an old folder is read as ever, new ones follow its training clips, sides stay apart."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionqa.data.concept_pairs import ConceptSampler, load_part, load_video
from motionqa.data.kept_films import held_out
from motionqa.data.packed_flow import PackedHMoRe, hmore_path, save_hmore
from motionqa.data.schema import ClipEncoding, InputError, PoseSequence
from motionqa.data.synthetic.puppet_film import PuppetFilmConfig
from motionqa.encoders.clip_encoder import ClipEncoder
from motionqa.finetune import concept_pair_sources as sources
from motionqa.finetune.concept_features import FeatureConfig
from motionqa.finetune.concept_pair_sources import PairConfig, finish_flow, write_pairs
from motionqa.finetune.pretrain_concepts import data_of
from motionqa.finetune.rendered_pairs import RenderConfig
from motionqa.tests.concept_clips import write_features
from motionqa.tests.flow_clips import patch_film, walk_of
from motionqa.tests.mocap_clips import clip
from motionqa.tests.motion_writers import body_model
from motionqa.tests.motion_x_files import motion, write_motion
from motionqa.tests.pair_clips import networks, represent

HELD_OUT, TRAINED_ON = (next(g for g in map(str, range(99)) if held_out(g) == t) for t in (True, False))


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as it was written before there were other pairs."""
    return write_features(tmp_path_factory.mktemp("old"))


@pytest.fixture
def folder(old: Path, tmp_path: Path) -> Path:
    return shutil.copytree(old, tmp_path / "features")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short drawn films, features as wide as the old folder's."""
    short = PuppetFilmConfig(side=64)
    monkeypatch.setattr(
        sources, "RenderConfig", lambda count, **more: RenderConfig(count, longest_s=1.0, film=short, **more)
    )


def config(folder: Path, **more: object) -> PairConfig:
    return PairConfig(out=folder, flow_side=64, **more)  # type: ignore[arg-type]


def wide() -> sources.FrozenNetworks:
    """The stand-ins, with as many features as the old folder has."""
    many = lambda joints: np.concatenate([represent(joints)] * 32, axis=-1)  # noqa: E731
    return replace(networks(), represent=many)


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[Path]]:
    """Three films, their groups, and a pose stage that knows who is in two of them."""
    poses: dict[str, PoseSequence] = {}
    for name, start in (("a", 40.0), ("b", 60.0), ("nobody", 80.0)):
        _, found = patch_film(tmp_path / f"{name}.mp4", [walk_of(36, (start, 60.0), (1.5, 0.0))], 30.0)
        poses[name] = found[0]

    class Encoded:
        def __init__(self, pose: PoseSequence) -> None:
            self.pose = pose

    def encode(self: ClipEncoder, path: Path) -> ClipEncoding:
        del self
        if path.stem == "nobody":
            raise InputError("No person was found in 'nobody.mp4'.")
        return Encoded(poses[path.stem])  # type: ignore[return-value]

    monkeypatch.setattr(ClipEncoder, "encode", encode)
    table = tmp_path / "groups.csv"
    table.write_text(f"file,group\na.mp4,{TRAINED_ON}\nb.mp4,{HELD_OUT}\n")
    return table, [tmp_path / f"{n}.mp4" for n in ("a", "b", "nobody")]


def test_an_old_folder_is_read_as_ever_and_drawn_pairs_follow_its_training_clips(folder: Path) -> None:
    before = load_part(folder, "train")
    clips = [
        clip("squat", "1", source="cmu"),
        clip("bend", "1", source="deepmimic"),
        clip("wave", source="cmu", split="test"),
    ]
    write_pairs(config(folder, rendered=3), clips, wide(), None)
    after = load_part(folder, "train")
    assert [c.name for c in after[: len(before)]] == [c.name for c in before]
    drawn = after[len(before) :]
    assert len(drawn) == 3
    assert all(c.has_video and c.split == "train" and c.source.startswith("rendered/") for c in drawn)
    assert "wave" not in {c.label for c in drawn}
    assert load_video(folder, drawn[0].name).shape == (14, 5, 64, 64)
    counted = data_of(after)
    assert sum(int(str(v["with_video"])) for k, v in counted.items() if k.startswith("rendered/")) == 3
    batch = ConceptSampler(folder, after, 8).batch(0, 15, 2)
    assert batch.pairs == 15
    assert batch.seen is not None
    assert len(load_part(folder, "val")) == 12
    with pytest.raises(InputError, match=r"rendered\.json.*made otherwise"):
        write_pairs(config(folder, rendered=4), clips, wide(), None)


def test_drawn_pairs_that_are_there_are_not_drawn_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = [clip("squat", "1", source="cmu")]
    write_pairs(config(folder, rendered=2), clips, wide(), None)
    monkeypatch.setattr(sources, "rendered_pair", lambda *_: pytest.fail("drawn again"))
    write_pairs(config(folder, rendered=2), clips, wide(), None)
    videos = sorted((folder / "videos").glob("rendered_*.npz"))
    videos[0].unlink()
    with pytest.raises(pytest.fail.Exception, match="drawn again"):
        write_pairs(config(folder, rendered=2), clips, wide(), None)


def test_films_of_held_out_groups_are_a_part_of_their_own(folder: Path, films: tuple[Path, list[Path]]) -> None:
    before = len(load_part(folder, "train"))
    groups, files = films
    write_pairs(config(folder, films=tuple(files), groups=groups, film_source="own_films"), [], wide(), None)
    trained = load_part(folder, "train")[before:]
    tested = load_part(folder, "test-own_films")
    assert [(c.source, c.subject, c.mirrored) for c in trained] == [
        ("own_films", TRAINED_ON, False), ("own_films", TRAINED_ON, True),
    ]  # fmt: skip
    assert [(c.split, c.subject, c.has_video) for c in tested] == [("test", HELD_OUT, True)]
    assert not {c.name for c in trained} & {c.name for c in tested}
    left_out = json.loads((folder / "own_films.left_out.json").read_text())
    assert list(left_out) == ["nobody.mp4"]
    assert data_of(trained)["own_films"]["with_video"] == 1
    with pytest.raises(InputError, match="made otherwise"):
        write_pairs(config(folder, films=(files[0],), film_source="own_films"), [], wide(), None)


def test_films_of_motion_x_have_its_motion_and_its_sides(
    folder: Path, films: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    root, model = tmp_path / "mx", tmp_path / "SMPLX_NEUTRAL.npz"
    np.savez(model, allow_pickle=False, **body_model())
    for name in ("a", "b", "silent"):
        write_motion(root, f"idea400/{name}", motion(40))
    for film in films[1][:2]:
        shutil.copy(film, root / "video/idea400" / film.name)
    for side, names in (("train", "idea400/a\nidea400/silent\n"), ("test", "idea400/b\n")):
        (root / f"{side}.txt").write_text(names)
    before = len(load_part(folder, "train"))
    write_pairs(config(folder, motion_x=root, body_model=model), [], wide(), None)
    trained, tested = load_part(folder, "train")[before:], load_part(folder, "test-motion_x")
    assert [(c.source, c.label, c.subject) for c in tested] == [("motion_x", "b", "idea400/b")]
    assert [c.mirrored for c in trained] == [False, True]
    stature = np.ptp(tested[0].joints_m[..., 1], axis=1)  # the lifter's stand-in makes bodies of no depth
    assert np.abs(tested[0].joints_m[..., 2]).max() > 0.05
    assert (stature > 1).all()
    assert "motion_x" in data_of(trained)


def test_a_source_without_any_pair_says_so(folder: Path, films: tuple[Path, list[Path]], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pair"):
        write_pairs(config(folder, films=(films[1][2],)), [], wide(), None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no video"):
        write_pairs(config(folder, films=(tmp_path / "empty",), film_source="more"), [], wide(), None)
    with pytest.raises(InputError, match="no training motion capture"):
        write_pairs(config(folder, rendered=1), [clip("wave", source="cmu", split="test")], wide(), None)


def test_flow_that_some_videos_lack_is_never_said_to_be_there(folder: Path) -> None:
    finish_flow(config(folder), "")
    with pytest.raises(InputError, match=r"18 of 18 videos.*no H-MoRe flow"):
        finish_flow(config(folder), "abc")
    for name in _names(folder):
        save_hmore(folder / "videos", name, PackedHMoRe(np.zeros((1, 2, 4, 4)), np.zeros((1, 2))))
    assert hmore_path(folder / "videos", next(_names(folder))).exists()
    finish_flow(config(folder), "abc")
    with pytest.raises(InputError, match="give --flow"):
        write_pairs(config(folder, rendered=1), [clip("squat", source="cmu")], wide(), None)


def _names(folder: Path) -> Iterator[str]:
    return (f.stem for f in sorted((folder / "videos").glob("*.npz")) if not f.name.endswith(".hmore.npz"))


def test_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for more, said in (
        ({"rendered": -1}, "at least 0"),
        ({"film_source": "utd_mhad"}, "none of utd_mhad"),
        ({"film_source": "my films"}, "letters, digits"),
        ({"film_source": "hmore"}, "none of"),
        ({"motion_x": tmp_path}, "SMPLX_NEUTRAL"),
    ):
        with pytest.raises(InputError, match=said):
            FeatureConfig(out=tmp_path, mocap=(tmp_path,), **more)  # type: ignore[arg-type]

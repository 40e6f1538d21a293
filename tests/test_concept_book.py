"""What a book of concepts says: words by what is special, moments that may be shown, neighbours, a map; its file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motionqa.data.concept_pairs import ConceptClip, load_part
from motionqa.data.schema import InputError
from motionqa.encoders.concepts.book import BOOK, EXCERPT, ConceptBook, decoded, load_book, require_book_of, save_book
from motionqa.encoders.concepts.humocon import HuMoCon
from motionqa.encoders.concepts.track import encode_motion, motion_of
from motionqa.encoders.model_dir import save_model_dir
from motionqa.finetune.concept_book import (
    BookConfig,
    action_of,
    code_map,
    excerpt_of,
    main,
    make_book,
    words_of,
)
from motionqa.finetune.concept_features import MOTION
from motionqa.finetune.pretrain_concepts import SMALL
from motionqa.tests.concept_clips import write_features
from motionqa.tests.concept_model import small_book


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_features(tmp_path_factory.mktemp("features"), videos=False)
    (folder / MOTION).write_text(json.dumps({"weights_sha256": "d" * 64}))
    return folder


@pytest.fixture(scope="module")
def model(features: Path) -> HuMoCon:
    torch.manual_seed(0)
    found = HuMoCon(SMALL).eval()
    with torch.no_grad():
        clips = [torch.from_numpy(motion_of(c).features)[None, : len(c) // 4 * 4] for c in load_part(features, "train")]
        latents = torch.cat([found.motion.latents(found.motion.states(c))[0] for c in clips])
    found.motion.quantizer.start(latents)
    found.video.quantizer.start(torch.randn(64, 8))
    return found


@pytest.fixture(scope="module")
def config(features: Path) -> BookConfig:
    return BookConfig(features, features / "model", features / "model", excerpts_of=("cmu",))


@pytest.fixture(scope="module")
def book(model: HuMoCon, features: Path, config: BookConfig) -> ConceptBook:
    return make_book(model, load_part(features, "train"), config, "w" * 64)


def test_use_and_neighbours_are_those_of_the_clips(book: ConceptBook, model: HuMoCon, features: Path) -> None:
    clips = load_part(features, "train")
    codes = [encode_motion(model, motion_of(c)).codes for c in clips]
    total = sum(len(c) for c in codes)
    assert book.tokens == total
    assert sum(c.share for c in book.concepts) == pytest.approx(1.0)
    most = book.used[0]
    assert most.share == pytest.approx(sum((c == most.code).sum() for c in codes) / total)
    assert most.clips == sum((c == most.code).any() for c in codes)
    followed = [b for c in codes for a, b in zip(c, c[1:], strict=False) if a == most.code and b != most.code]
    assert most.after
    assert most.after[0].share == pytest.approx(followed.count(most.after[0].code) / len(followed), abs=1e-3)
    assert all(n.code != c.code for c in book.concepts for n in (*c.before, *c.after))
    row = book.neighbourhood(most.code)
    assert len(row) == 7
    assert row[3] == most.code


def test_moments_are_of_different_clips_and_shown_only_where_terms_allow(
    book: ConceptBook, features: Path, config: BookConfig
) -> None:
    typical = [m for c in book.concepts for m in c.typical]
    assert {m.source for m in typical} == {"cmu", "utd_mhad"}
    assert all((m.excerpt is not None) == (m.source == "cmu") for m in typical)
    assert sorted(m.excerpt for m in typical if m.excerpt is not None) == list(range(len(book.excerpts)))
    for concept in book.concepts:
        names = [(m.source, m.clip) for m in concept.typical]
        assert len(names) == len(set(names))
        assert sum(m.excerpt is not None for m in concept.typical) <= config.excerpts
    one = next(m for m in typical if m.excerpt is not None)
    clip = next(c for c in load_part(features, "train") if c.name == one.clip)
    middle = round(one.at_s * 15)
    shown = book.excerpts[one.excerpt].astype(float)
    assert shown.shape == (EXCERPT, 17, 3)
    assert np.abs(shown[EXCERPT // 2] - clip.joints_m[min(middle, len(clip) - 1)]).max() < 0.02


def test_an_excerpt_is_held_at_the_clip_s_ends(features: Path) -> None:
    clip = load_part(features, "train")[0]
    first = excerpt_of(clip, 0)
    assert np.array_equal(first[0], clip.joints_m[0].astype(np.float16))
    assert np.array_equal(first[1], first[0])


def test_words_are_special_and_frequent_and_rare_ones_are_smoothed(config: BookConfig) -> None:
    usual = {"walk": 0.5, "wave": 0.1, "squat": 0.1, "roll": 0.001}
    found = words_of(["wave"] * 8 + ["walk"] * 10 + ["squat"] * 2 + ["roll"] + [None] * 4, usual, config)
    assert [w.text for w in found] == ["wave"]  # walk is usual, squat below its usual share, roll of a single clip
    assert found[0].share == pytest.approx((8 + 5 * 0.1) / (21 + 5), abs=1e-3)
    assert found[0].lift == pytest.approx(found[0].share / 0.1, abs=0.02)
    assert words_of(["wave"], usual, config)[0].lift < words_of(["wave"] * 9, usual, config)[0].lift
    assert words_of([None], usual, config) == ()


def test_the_words_of_a_mirrored_clip_are_mirrored(features: Path) -> None:
    clip = load_part(features, "train")[0]
    of = lambda label, mirrored: action_of(replace(clip, source="bandai_namco", label=label, mirrored=mirrored))  # noqa: E731
    assert of("raise-up-left-hand", False) == "raise left hand"
    assert of("raise-up-left-hand", True) == "raise right hand"
    assert of("call", False) is None


def test_the_map_keeps_the_two_widest_directions(model: HuMoCon) -> None:
    other = HuMoCon(SMALL)
    vectors = torch.zeros(16, 8)
    vectors[:, 2] = torch.linspace(-3, 3, 16)
    vectors[::2, 5] = 1.0
    vectors[:, 7] = 0.01 * torch.arange(16)
    other.motion.quantizer.place(vectors, torch.zeros(8), torch.ones(8))
    places, kept = code_map(other, np.ones(16, bool))
    assert kept > 0.99
    assert np.abs(np.corrcoef(places[:, 0], vectors[:, 2])[0, 1]) > 0.999
    assert np.linalg.norm(places, axis=1).max() == pytest.approx(1.0, abs=1e-5)
    assert code_map(model, np.ones(16, bool))[0].shape == (16, 2)


def test_a_book_comes_back_as_it_was_saved(book: ConceptBook, tmp_path: Path) -> None:
    path = save_book(tmp_path / BOOK, book)
    again = load_book(path)
    assert again.concepts == book.concepts
    assert np.array_equal(again.excerpts, book.excerpts)
    assert (again.weights_sha256, again.tokens, again.map_share) == (book.weights_sha256, book.tokens, book.map_share)
    assert not list(tmp_path.glob("*.part"))
    require_book_of(again, "w" * 64, 16)
    with pytest.raises(InputError, match="16 concepts of weights wwwwwwwwwwww, these are 16 of xxxxxxxxxxxx"):
        require_book_of(again, "x" * 64, 16)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _other_format(path: Path) -> None:
    found = dict(np.load(path, allow_pickle=False))
    about = json.loads(str(found["about"])) | {"format": 99}
    np.savez(path, about=np.array(json.dumps(about)), excerpts=found["excerpts"])


@pytest.mark.parametrize(("harm", "words"), [
    (_cut, "no complete npz"), (_other_format, "another format"), (Path.unlink, "is not there; make the"),
])  # fmt: skip
def test_a_damaged_book_is_refused(book: ConceptBook, tmp_path: Path, harm: Callable[[Path], None], words: str) -> None:
    path = save_book(tmp_path / BOOK, book)
    harm(path)
    with pytest.raises(InputError, match=words):
        load_book(path)


def test_a_code_is_decoded_with_its_neighbours(model: HuMoCon) -> None:
    joints = decoded(model, [1, 2, 3, 4, 5, 6, 7])
    assert joints.shape == (EXCERPT, 17, 3)
    assert np.allclose(joints[:, 0], 0)
    assert not np.allclose(joints, decoded(model, [7, 6, 5, 4, 3, 2, 1]))
    assert small_book(model).neighbourhood(3) == [0, 1, 2, 3, 4, 5, 6]


def test_the_command_writes_the_book_beside_the_weights(
    model: HuMoCon, config: BookConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model_dir(config.model, model)
    main(config)
    said = capsys.readouterr().out
    assert "of 16 concepts used" in said
    book = load_book(config.out / BOOK)
    assert book.dstformer_sha256 == "d" * 64
    require_book_of(book, json.loads((config.model / "config.json").read_text())["weights_sha256"], 16)


def test_a_book_needs_clips(model: HuMoCon, config: BookConfig) -> None:
    none: list[ConceptClip] = []
    with pytest.raises(InputError, match="has no clips in 'train'"):
        make_book(model, none, config, "w")
    with pytest.raises(ValueError, match="smoothing must be at least 0, got -1"):
        replace(config, smoothing=-1.0)

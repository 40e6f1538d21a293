"""An index kept in step with a folder of files: what is new, changed, gone or broken there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from motionqa.data.schema import InputError
from motionqa.encoders.clip_encoder import Cancelled
from motionqa.encoders.concepts.index import ConceptIndex, IndexedClip
from motionqa.encoders.concepts.index_folder import build_index, clip_files
from motionqa.tests.concept_tracks import (
    WEIGHTS,
    project,
    some_sha,
    track,
)


def encode(path: Path) -> list[IndexedClip]:
    """Files hold a number, which is their clip's seed."""
    text = path.read_text()
    if not text.isdigit():
        raise InputError(f"{path.name} holds no movement")
    made = track(int(text))
    return [IndexedClip(some_sha(text), path, path.name, "motion", made)]


def filled(folder: Path) -> Path:
    (folder / "below" / ".hidden").mkdir(parents=True)
    for number in range(6):
        (folder / ("below" if number % 2 else ".") / f"{number}.BVH").write_text(str(number))
    (folder / "film.mp4").write_text("100")
    (folder / "notes.md").write_text("no clip")
    (folder / "below" / ".hidden" / "x.bvh").write_text("7")
    return folder


def built(folder: Path, out: Path, seen: list[Path] | None = None, again: bool = False):
    def looked(path: Path) -> list[IndexedClip]:
        if seen is not None:
            seen.append(path)
        return encode(path)

    return build_index(folder, out, looked, weights=WEIGHTS, project=project, again=again)


def test_a_folder_is_indexed_once_and_kept_in_step(tmp_path: Path) -> None:
    folder = filled(tmp_path / "clips")
    (folder / "bad.bvh").write_text("not a number")
    out = folder / "index"  # inside the folder, and not taken for a clip's
    first = built(folder, out)
    assert (first.added, first.kept, first.removed, first.failed) == (7, 0, 0, 1)
    assert [(f.path.name, f.reason) for f in first.failures] == [("bad.bvh", "bad.bvh holds no movement")]
    seen: list[Path] = []
    second = built(folder, out, seen)
    assert (second.added, second.kept, second.removed, second.failed, seen) == (0, 7, 0, 1, [])
    (folder / "0.BVH").unlink()
    (folder / "2.BVH").write_text("202")
    (folder / "below" / "1.BVH").rename(folder / "renamed.bvh")
    (folder / "bad.bvh").write_text("303")
    third = built(folder, out, seen)
    assert (third.added, third.removed, third.failed) == (2, 2, 0)
    assert sorted(p.name for p in seen) == ["2.BVH", "bad.bvh"]
    index = ConceptIndex(out, WEIGHTS)
    assert index.search_clips(track(1).embedding, 1)[0].path == folder.resolve() / "renamed.bvh"
    assert index.search_clips(track(202).embedding, 1)[0].similarity > 0.99
    assert max(h.similarity for seed in (0, 2) for h in index.search_clips(track(seed).embedding, 1)) < 0.99


def test_a_stopped_walk_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    folder, seen = filled(tmp_path / "clips"), []

    def stopped(path: Path) -> list[IndexedClip]:
        if len(seen) == 4:
            raise Cancelled
        seen.append(path)
        return encode(path)

    with pytest.raises(Cancelled):
        build_index(folder, tmp_path / "index", stopped, weights=WEIGHTS, project=project)
    assert ConceptIndex(tmp_path / "index", WEIGHTS).holdings().files == 4
    rest: list[Path] = []
    assert (built(folder, tmp_path / "index", rest).added, len(rest)) == (3, 3)
    assert not set(rest) & set(seen)


def test_failures_of_the_file_wait_for_a_change_and_others_for_the_next_walk(tmp_path: Path) -> None:
    folder, out = tmp_path / "clips", tmp_path / "index"
    folder.mkdir()
    (folder / "a.bvh").write_text("no")
    (folder / "b.bvh").write_text("1")
    tried: list[str] = []

    def broken(path: Path) -> list[IndexedClip]:
        tried.append(path.name)
        if path.name == "b.bvh":
            raise RuntimeError("out of memory")
        return encode(path)

    result = build_index(folder, out, broken, weights=WEIGHTS, project=project)
    assert {f.reason for f in result.failures} == {"a.bvh holds no movement", "RuntimeError: out of memory"}
    assert sorted(tried) == ["a.bvh", "b.bvh"]
    seen: list[Path] = []
    assert built(folder, out, seen).added == 1
    assert [p.name for p in seen] == ["b.bvh"]
    assert built(folder, out, seen, again=True).failed == 1
    assert [p.name for p in seen] == ["b.bvh", "a.bvh"]


def test_an_index_is_of_one_folder_wherever_it_is_moved(tmp_path: Path) -> None:
    folder = filled(tmp_path / "clips")
    built(folder, tmp_path / "index")
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="give another folder"):
        built(tmp_path / "other", tmp_path / "index")
    with pytest.raises(InputError, match="not a folder"):
        built(tmp_path / "nowhere", tmp_path / "index")
    folder.rename(tmp_path / "moved")
    seen: list[Path] = []
    assert built(tmp_path / "moved", tmp_path / "index", seen).kept == 7
    assert not seen
    hit = ConceptIndex(tmp_path / "index", WEIGHTS).search_clips(track(100).embedding, 1)[0]
    assert hit.path == (tmp_path / "moved" / "film.mp4").resolve()


def test_a_folder_of_frames_is_one_clip(tmp_path: Path) -> None:
    frames = tmp_path / "walk"
    frames.mkdir()
    for number in range(3):
        (frames / f"{number:012d}_keypoints.json").write_text("{}")
    (frames / "film.mov").touch()
    os.mkfifo(tmp_path / "pipe")
    assert set(clip_files(tmp_path)) == {frames, frames / "film.mov"}

"""The index of clips and moments: found as by comparing all, kept in step with files, never torn, of little memory."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from motionqa.data.schema import InputError
from motionqa.encoders.concepts import vector_rows
from motionqa.encoders.concepts.align import Alignment
from motionqa.encoders.concepts.index import ConceptIndex, IndexedClip
from motionqa.encoders.concepts.moments import moment_at, moments_of, projection_of, unit_rows
from motionqa.tests.concept_tracks import (
    TOKEN_S,
    WEIGHTS,
    WIDTH,
    clip,
    opened,
    project,
    some_sha,
    track,
    tracked,
)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_rows, "BLOCK_ROWS", 64)


@pytest.mark.usefixtures("small_blocks")
def test_hits_are_those_of_comparing_with_every_vector(tmp_path: Path) -> None:
    index = opened(tmp_path)
    clips = [clip(seed, "motion" if seed % 3 else "video") for seed in range(400)]
    for some in range(0, 400, 100):
        index.add(*clips[some : some + 100])
    every = np.stack([c.track.embedding for c in clips])
    recalled = []
    for query in unit_rows(np.random.default_rng(1000).normal(size=(20, WIDTH)), "queries"):
        expected = {clips[i].name for i in np.argsort(-(every @ query))[:10]}
        hits = index.search_clips(query, 10)
        recalled.append(len(expected & {h.name for h in hits}) / 10)
        assert [h.similarity for h in hits] == sorted((h.similarity for h in hits), reverse=True)
        assert hits[0].similarity == pytest.approx(float((every @ query).max()), abs=2e-3)
    assert np.mean(recalled) >= 0.95
    assert len(list(tmp_path.glob("clips-*.faiss"))) == 6  # and 16 rows wait


def test_a_motion_finds_its_video_and_a_video_its_motion(tmp_path: Path) -> None:
    index = opened(tmp_path)
    index.add(*[clip(seed, modality) for seed in range(30) for modality in ("motion", "video")])
    for wanted in ("motion", "video"):
        (first, *_) = index.search_clips(track(7).embedding, 3, wanted)
        assert (first.name, first.modality, first.words) == ("clip7.bvh", wanted, ("walk",))
        assert first.similarity == pytest.approx(1, abs=2e-3)
        assert {h.modality for h in index.search_moments(track(7).embedding, 50, wanted)} == {wanted}
    both = index.search_clips(track(7).embedding, 30)
    assert sorted(h.name for h in both) == sorted(f"clip{seed}.bvh" for seed in range(30))
    others = index.search_clips(track(7).embedding, 30, besides=some_sha("7"))
    assert {h.name for h in both} - {h.name for h in others} == {"clip7.bvh"}


def test_moments_have_their_times_and_overlapping_ones_are_told_once(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(40, WIDTH)).astype(np.float32)
    sought = np.zeros(WIDTH, np.float32)
    sought[0] = 1
    vectors[8:16] = vectors[28:36] = 20 * sought
    index = opened(tmp_path)
    index.add(IndexedClip(some_sha("x"), Path("x.bvh"), "x", "motion", tracked(vectors)))
    index.add(IndexedClip(some_sha("x"), Path("x.bvh"), "x", "video", tracked(vectors)))
    hits = index.search_moments(sought, 100)
    assert [(h.start_s, h.end_s) for h in sorted(hits[:2], key=lambda h: h.start_s)] == [
        (pytest.approx(8 * TOKEN_S), pytest.approx(16 * TOKEN_S)),
        (pytest.approx(28 * TOKEN_S), pytest.approx(36 * TOKEN_S)),
    ]
    ordered = sorted(hits, key=lambda h: h.start_s)
    assert all(a.end_s <= b.start_s + 1e-5 for a, b in zip(ordered, ordered[1:], strict=False))
    assert len(hits) >= 4


def test_windows_reach_the_clips_end_and_leave_out_what_is_not_seen() -> None:
    moments = moments_of(track(0, 21), "motion", project)
    assert (moments.spans_s[:, 0] / TOKEN_S).round().astype(int).tolist() == [0, 4, 8, 12, 13]
    assert (moments.spans_s[-1, 1] / TOKEN_S).round() == 21
    assert moments_of(track(0, 3), "motion", project).spans_s.tolist() == [[0, pytest.approx(3 * TOKEN_S)]]
    seen = np.arange(21) < 6
    assert (moments_of(track(0, 21), "motion", project, seen).spans_s[:, 0] / TOKEN_S).tolist() == [0]
    assert len(moments_of(track(0, 21), "motion", project, np.zeros(21, bool)).spans_s) == 0
    one = moment_at(track(0, 21), 2.0, "motion", project)
    assert one.spans_s[0, 0] < 2.0 < one.spans_s[0, 1]
    with pytest.raises(InputError, match="outside the clip"):
        moment_at(track(0, 21), 60.0, "motion", project)


def test_the_models_own_projections_serve() -> None:
    torch.manual_seed(0)

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.align = Alignment(WIDTH, 12)

    model = Model()
    found = moments_of(track(0, 8), "motion", projection_of(model)).embeddings  # type: ignore[arg-type]
    expected = model.align.motion(torch.from_numpy(track(0, 8).vectors)[None])
    assert np.allclose(found, expected.detach().numpy(), atol=1e-6)
    assert moments_of(track(0, 8, 12), "video", projection_of(model)).embeddings.shape == (1, 96)  # type: ignore[arg-type]


def test_the_same_content_is_kept_once_and_changed_content_replaced(tmp_path: Path) -> None:
    index = opened(tmp_path)
    assert index.add(clip(1, name="a.bvh")) == 1
    assert index.add(clip(1, name="a.bvh"), clip(1, name="copy.bvh")) == 0
    assert (index.holdings().files, index.holdings().clips, index.holdings().moments) == (2, 1, 1)
    index.add(clip(2, name="a.bvh"))
    assert index.search_clips(track(1).embedding, 1)[0].path == Path("copy.bvh")
    index.remove(Path("copy.bvh"))
    assert [h.sha for h in index.search_clips(track(1).embedding, 5)] == [some_sha("2")]
    assert index.holdings().moments == 1


@pytest.mark.usefixtures("small_blocks")
def test_rows_taken_out_leave_the_disk_and_what_stays_is_still_found(tmp_path: Path) -> None:
    index = opened(tmp_path)
    index.add(*[clip(seed, tokens=20) for seed in range(24)])
    before = sum(p.stat().st_size for p in tmp_path.glob("*.faiss"))
    for seed in range(18):
        index.remove(Path(f"clip{seed}.bvh"))
    (tmp_path / "moments-000000009999.faiss.part").write_bytes(b"left by a killed process")
    index.tidy()
    assert sum(p.stat().st_size for p in tmp_path.glob("*.faiss*")) < 0.6 * before
    for around in (opened(tmp_path), index):
        for seed in (18, 20, 23):
            assert around.search_clips(track(seed, 20).embedding, 1)[0].name == f"clip{seed}.bvh"
            moment = moments_of(track(seed, 20), "motion", project)
            hit = around.search_moments(moment.embeddings[2], 1)[0]
            assert (hit.name, hit.start_s) == (f"clip{seed}.bvh", pytest.approx(moment.spans_s[2, 0]))
    index.add(clip(77))
    assert index.search_clips(track(77).embedding, 1)[0].name == "clip77.bvh"


def test_an_index_is_of_its_weights(tmp_path: Path) -> None:
    opened(tmp_path)
    for create in (False, True):
        with pytest.raises(InputError, match="weights aaaaaaaaaaaa, not bbbbbbbbbbbb"):
            ConceptIndex(tmp_path, "b" * 64, project, create=create)
    with pytest.raises(InputError, match="no concept index"):
        ConceptIndex(tmp_path / "none", WEIGHTS)
    (tmp_path / "index.sqlite").write_bytes(b"something else, and long enough to be no database" * 20)
    with pytest.raises(InputError, match="build it again"):
        ConceptIndex(tmp_path, WEIGHTS)


@pytest.mark.usefixtures("small_blocks")
def test_a_damaged_block_is_named(tmp_path: Path) -> None:
    index = opened(tmp_path)
    index.add(*[clip(seed) for seed in range(70)])
    next(tmp_path.glob("clips-*.faiss")).write_bytes(b"")
    with pytest.raises(InputError, match=r"clips-\d+\.faiss is missing or damaged"):
        opened(tmp_path).search_clips(track(0).embedding)


def test_bad_input_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    index = opened(tmp_path)
    index.add(clip(0))
    query = track(0).embedding
    for bad, match in ((query * np.nan, "NaN"), (query * 0, "zeros"), (query[:5], "5 numbers")):
        with pytest.raises(InputError, match=match):
            index.search_moments(bad)
    with pytest.raises(InputError, match="at least 1"):
        index.search_clips(query, 0)
    with pytest.raises(InputError, match="64 hex digits"):
        IndexedClip("abc", Path("x"), "x", "motion", track(1))
    with pytest.raises(InputError, match="NaN"):
        IndexedClip(some_sha("x"), Path("x"), "x", "motion", tracked(np.full((4, WIDTH), np.nan, np.float32)))
    wide = IndexedClip(some_sha("w"), Path("w"), "w", "motion", track(1, width=WIDTH + 1))
    with pytest.raises(InputError, match=f"expected {WIDTH}"):
        index.add(clip(1), wide)
    assert index.holdings().clips == index.holdings().files == 1
    assert opened(tmp_path / "empty").search_clips(query) == ()


KILLED = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
import numpy as np
from motionqa.encoders.concepts import vector_rows
from motionqa.encoders.concepts.index import ConceptIndex, IndexedClip
def clip(seed):
    vectors = np.random.default_rng(seed).normal(size=(8, 24)).astype(np.float32)
    track = SimpleNamespace(vectors=vectors, edges_s=np.arange(9.0), embedding=vectors.mean(axis=0))
    return IndexedClip(f"{seed:064x}", Path(f"clip{seed}.bvh"), f"clip{seed}.bvh", "motion", track)
vector_rows.BLOCK_ROWS = 16
whole = os.replace
for when in ("before", "after"):
    def die(part, to):
        if when == "after":
            whole(part, to)
        os._exit(9)
    child = os.fork()
    if not child:
        index = ConceptIndex(Path(sys.argv[1]) / when, "a" * 64, lambda modality, windows: windows.mean(axis=1), True)
        index.add(*[clip(seed) for seed in range(28)])
        vector_rows.os.replace = die
        for seed in range(28, 40):
            index.add(clip(seed))
    os.waitpid(child, 0)
"""


def test_killed_while_a_block_is_put_in_its_place_it_opens_and_goes_on(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=True)
    for when in ("before", "after"):
        index = opened(tmp_path / when)
        assert index.holdings().clips == 31  # the 32nd filled a block
        left = {p.name for p in index.folder.glob("*.faiss*")}
        assert len(left) == 3
        index.tidy()
        assert len({p.name for p in index.folder.glob("*.faiss*")}) == 2
        index.add(*[clip(seed) for seed in range(31, 40)])
        assert index.holdings().clips == 40
        for seed in (0, 15, 16, 30, 31, 39):
            assert index.search_clips(track(seed).embedding, 1)[0].name == f"clip{seed}.bvh"


def test_many_moments_pass_through_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_rows, "BLOCK_ROWS", 1024)
    index = opened(tmp_path)
    added = early = 0
    tracemalloc.start()
    for seed in range(20):
        index.add(clip(seed, tokens=4004))
        added += 1000
        if seed == 2:
            tracemalloc.reset_peak()
            early = tracemalloc.get_traced_memory()[0]
    peak = tracemalloc.get_traced_memory()[1] - early
    tracemalloc.stop()
    assert index.holdings().moments == added == 20_000
    sizes = [p.stat().st_size for p in tmp_path.glob("moments-*.faiss")]
    assert sum(sizes) > 0.8 * added * 2 * WIDTH
    assert max(sizes) < 2100 * 2 * WIDTH
    assert peak < 0.8 * added * 4 * WIDTH  # what one clip's windows take, not all vectors
    assert index.search_moments(project("motion", track(3, 4004).vectors[None, :8])[0], 1)[0].name == "clip3.bvh"

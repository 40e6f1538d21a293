"""Rank-1 by hand-made cases, and the way from packed walks over a trained network to figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionqa.data.packed_flow import PackedName
from motionqa.data.schema import InputError
from motionqa.encoders.flow.heads import FlowActionNet, FlowGaitNet
from motionqa.encoders.model_dir import load_model_dir, save_model_dir
from motionqa.eval import gait
from motionqa.eval.gait import GaitEvalConfig, casia_b_scores, rank1, utd_scores
from motionqa.finetune.train_gait import PRESETS, GaitConfig, GaitTraining, train_one, training_clips
from motionqa.tests.depth_clips import write_packed

DEBUG: GaitConfig = PRESETS["debug"][1]


def points(*x: float) -> np.ndarray:
    """Embeddings on a line."""
    return np.array(x, np.float32)[:, None]


# -------------------------------------------------------------------------------------------------- rank-1


def test_a_probe_is_right_where_the_nearest_of_the_gallery_is_the_same_person() -> None:
    score = rank1(points(0, 10), ["ann", "bob"], points(1, 9, 4, 6), ["ann", "bob", "bob", "bob"])
    assert score.share == 0.75
    assert (score.probes, score.pairs, score.unmatched) == (4, 1, 0)


def test_pairs_of_the_same_view_are_left_out() -> None:
    # From the same side ann is at 0; from the other, bob is where ann's probe is.
    gallery, people, views = points(0, 10, 20, 1), ["ann", "bob", "ann", "bob"], ["000", "000", "090", "090"]
    probe = (points(0.5), ["ann"])
    assert rank1(gallery, people, *probe, views, ["000"]).share == 0.0
    assert rank1(gallery, people, *probe, views, ["000"], leave_out_same_view=False).share == 0.5
    assert rank1(gallery, people, *probe, views, ["090"]).share == 1.0


def test_views_count_alike_however_many_probes_they_have() -> None:
    gallery, people, views = points(0, 10), ["ann", "bob"], ["090", "090"]
    probes = points(1, 1, 1, 9)
    score = rank1(gallery, people, probes, ["ann", "ann", "ann", "ann"], views, ["000", "000", "000", "018"])
    assert score.by_view == {"000": 1.0, "018": 0.0}
    assert score.share == 0.5
    assert score.pairs == 2


def test_the_nearest_is_looked_for_within_each_gallery_view_by_itself() -> None:
    # Over all views together bob's 1.0 would win; by views ann is right in 036 and wrong in 054.
    gallery, people, views = points(2.0, 9.0, 1.0, 5.0), ["ann", "bob", "bob", "ann"], ["036", "036", "054", "054"]
    assert rank1(gallery, people, points(0), ["ann"], views, ["000"]).share == 0.5


def test_probes_of_strangers_count_as_wrong_and_are_counted() -> None:
    score = rank1(points(0, 10), ["ann", "bob"], points(0, 0), ["ann", "eve"])
    assert score.share == 0.5
    assert score.unmatched == 1


def test_lists_that_do_not_fit_and_views_without_a_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="the numbers must agree"):
        rank1(points(0, 1), ["ann"], points(0), ["ann"])
    with pytest.raises(ValueError, match="or of neither"):
        rank1(points(0), ["ann"], points(0), ["ann"], ["000"])
    with pytest.raises(ValueError, match="nothing to compare"):
        rank1(points(0), ["ann"], points(0), ["ann"], ["000"], ["000"])


def test_casia_b_is_scored_for_each_way_of_walking() -> None:
    names = [PackedName(f"{s}-nm-01-{v}", "nm", s, "01", v, "gallery") for s in ("075", "076") for v in ("000", "090")]
    held = points(0, 0, 10, 10)
    asked = [("nm", "05", "075", 1.0), ("bg", "01", "075", 9.0), ("cl", "01", "076", 9.0), ("cl", "02", "075", 9.0)]
    probes = [PackedName(f"p{i}", k, s, t, "000", "probe") for i, (k, t, s, _) in enumerate(asked)]
    scores = casia_b_scores([*names, *probes], np.concatenate([held, points(*(x for *_, x in asked))]))
    assert {k: s.share for k, s in scores.items()} == {"nm": 1.0, "bg": 0.0, "cl": 0.5}
    assert scores["cl"].probes == 2
    with pytest.raises(InputError, match="no packed sequences of cl"):
        casia_b_scores([*names, *probes[:2]], np.concatenate([held, points(1, 9)]))
    with pytest.raises(InputError, match="no packed sequences of gallery"):
        casia_b_scores(probes, points(1, 9, 9, 9))


def test_trials_1_and_2_are_the_gallery_of_trials_3_and_4_within_and_across_actions() -> None:
    rows = [
        ("walk", "s1", "1", 0.0), ("jog", "s1", "2", 1.0), ("walk", "s2", "1", 10.0), ("jog", "s2", "2", -5.0),
        ("walk", "s1", "3", 0.2), ("jog", "s2", "4", -4.0),
    ]  # fmt: skip
    names = [PackedName(f"c{i}", a, s, t) for i, (a, s, t, _) in enumerate(rows)]
    scores = utd_scores(names, points(*(x for *_, x in rows)))
    assert scores["all"].share == 1.0
    assert scores["all"].probes == 2
    assert scores["jog among jog"].share == 1.0
    assert scores["jog among walk"].share == 0.0
    with pytest.raises(InputError, match="4 are of trials 1 and 2 and 0 of 3 and 4"):
        utd_scores(names[:4], points(0, 1, 10, -5))


# ------------------------------------------------------------------------------------------------ training


WALKS = [
    PackedName(f"{a}_{s}_{t}", a, s, str(t), "", "train")
    for a in ("walk", "jog")
    for s in ("s1", "s2", "s3")
    for t in (1, 2, 3, 4)
]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    other = [PackedName("wave", "wave", "s1", "1", "", "train")]
    return write_packed(tmp_path_factory.mktemp("walks"), [*WALKS, *other])


@pytest.fixture
def config(packed: Path, tmp_path: Path) -> GaitConfig:
    return replace(DEBUG, packed=packed, out=tmp_path / "runs")


def test_the_first_trials_of_walk_and_jog_train_and_no_others() -> None:
    task, mine = training_clips([*WALKS, PackedName("wave", "wave", "s1", "1")])
    assert task == "utd_mhad_walks"
    assert {n.take for n in mine} == {"1", "2"}
    assert {n.label for n in mine} == {"walk", "jog"}
    casia = [
        PackedName(f"{s}{i}", "nm", s, "01", "090", r) for s, r in (("001", "train"), ("002", "train")) for i in "ab"
    ]
    task, mine = training_clips([*casia, PackedName("x", "nm", "075", "01", "090", "gallery")])
    assert task == "casia_b"
    assert mine == tuple(casia)
    with pytest.raises(InputError, match="4 clips of 1 people"):
        training_clips(WALKS[:4] + WALKS[12:16])


def test_every_clip_of_a_batch_has_a_partner_of_the_same_person(config: GaitConfig) -> None:
    stage = GaitTraining(config, "none", 0)
    for step in range(3):
        clips, labels = stage.batch(step)
        assert clips.shape == (4, 4, 1, 64, 64)
        assert sorted(labels.unique(return_counts=True)[1].tolist()) == [2, 2]


def test_people_are_told_apart_on_trials_that_were_not_seen(
    config: GaitConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = replace(config.loop, steps=40, warmup=4, learning_rate=3e-3, log_every=40, save_every=40)
    config = replace(config, people=3, width=32, first=8, loop=loop)
    train_one(config, "world", 0)
    folder = config.out / "world-0" / "model"
    found = load_model_dir(folder)
    assert isinstance(found.model, FlowGaitNet)
    assert found.usage == {"task": "utd_mhad_walks", "condition": "world", "steps": 4}
    assert found.data == {"clips": 12, "people": 3}
    gait.main(GaitEvalConfig(config.packed, (folder,), config.out / "scores"))
    scores = json.loads((config.out / "scores" / "world-0.json").read_text())
    assert scores["all"] == {"rank1": 1.0, "n": 12, "unmatched": 0}
    assert scores["walk among jog"]["n"] == 6
    assert "all                  100.00 % of 12" in capsys.readouterr().out


def test_models_that_do_not_tell_people_are_refused(packed: Path, tmp_path: Path) -> None:
    folder = save_model_dir(tmp_path / "m", FlowActionNet(1, 2, 16, 4), usage={"condition": "none", "steps": 4})
    with pytest.raises(InputError, match=r"holds a FlowActionNet; give one of motionqa.finetune.train_gait"):
        gait.main(GaitEvalConfig(packed, (folder,)))

"""The flow benchmark: every method on the same pairs, held-out data alone, None where a model is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from motionqa.data.kept_films import held_out
from motionqa.data.schema import InputError
from motionqa.data.synthetic.drawn_figure import Camera
from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.encoders.flow.hmore import FlowConfig, HMoRe
from motionqa.encoders.flow.losses import outline
from motionqa.encoders.lifter import LifterConfig
from motionqa.encoders.model_dir import save_model_dir
from motionqa.eval.bench_flow import (
    Accuracy,
    Config,
    Measure,
    action_rows,
    drawn_rows,
    film_rows,
    gait_rows,
    main,
    read_accuracies,
)
from motionqa.eval.flow_costs import approximation_rows, centroid_distance, flops_g, size_rows
from motionqa.eval.flow_memory import in_own_process, seen, treadmill
from motionqa.eval.flow_pictures import PICTURES, walker
from motionqa.tests.known_flow import write_film
from motionqa.tests.mocap_clips import write_actions

HELD_OUT, TRAINED_ON = (next(g for g in map(str, range(99)) if held_out(g) == t) for t in (True, False))


def small_run(folder: Path, name: str) -> None:
    torch.manual_seed(len(name))
    save_model_dir(folder / name / "model", HMoRe(FlowConfig(updates=1, trend_width=32)))


def test_drawn_rows_have_every_method_on_the_same_pairs(tmp_path: Path) -> None:
    write_actions(tmp_path / "utd_mhad.npz")
    for name in ("hmore", "photometric", "skeleton", "both"):
        small_run(tmp_path, name)
    rows = {r.id: r for r in drawn_rows(Config(tmp_path, tmp_path, pairs=2))}
    assert set(rows["epe_body"].baselines) == {"DIS", "Farneback", "photometric"}
    assert {"DIS, camera taken out", "Farneback, camera taken out"} < set(rows["leak"].baselines)
    assert set(rows["ablation_leak"].baselines) == {"skeleton only", "before, exact flow in drawn pairs"}
    for row in rows.values():
        assert row.value is not None
        assert row.goal
        assert "2 drawn pairs" in row.split
        assert row.interval is not None
        assert row.interval[0] <= row.value <= row.interval[1]
    # Before a camera that moves by pixels, classical flow leaks until the camera is taken out.
    leaks = rows["leak"].baselines
    assert leaks["DIS, camera taken out"] < leaks["DIS"]


def test_without_models_the_baselines_are_still_measured(tmp_path: Path) -> None:
    write_actions(tmp_path / "utd_mhad.npz")
    rows = {r.id: r for r in drawn_rows(Config(tmp_path, tmp_path / "none", pairs=2))}
    assert rows["epe_body"].value is None
    assert set(rows["epe_body"].baselines) == {"DIS", "Farneback"}
    with pytest.raises(InputError, match="no model directory"):
        next(drawn_rows(Config(tmp_path, tmp_path, weights=tmp_path / "gone", pairs=1)))


def test_a_model_of_another_kind_is_named(tmp_path: Path) -> None:
    write_actions(tmp_path / "utd_mhad.npz")
    save_model_dir(tmp_path / "hmore" / "model", DSTformer(SIZES["debug"]), LifterConfig(window=9, stride=3))
    with pytest.raises(InputError, match="DSTformer, expected a flow network"):
        next(drawn_rows(Config(tmp_path, tmp_path, pairs=1)))


def test_film_rows_look_at_held_out_films_alone(tmp_path: Path) -> None:
    write_film(tmp_path / "films" / "a-0.npz", HELD_OUT, frames=9)
    write_film(tmp_path / "films" / "b-0.npz", TRAINED_ON, frames=9)
    small_run(tmp_path, "hmore")
    rows = {r.id: r for r in film_rows(Config(tmp_path, tmp_path, tmp_path / "films"))}
    angle, rim = rows["film_angle"], rows["film_outline"]
    assert "1 held-out films in 1 groups" in angle.split
    assert angle.value is not None
    assert rim.value is not None
    assert angle.baselines["DIS"] < 30  # the film moves straight to the right
    assert 0 <= rim.baselines["DIS"] < 10


def test_without_films_their_rows_are_none(tmp_path: Path) -> None:
    rows = list(film_rows(Config(tmp_path, tmp_path)))
    assert [r.id for r in rows if not r.id.startswith("ablation")] == ["film_angle", "film_outline"]
    assert all(r.value is None and not r.baselines for r in rows)


def test_means_are_over_values_and_intervals_over_clusters() -> None:
    measure = Measure("x", "px", "lowest", "here")
    measure.add("hmore", "a", 1.0, 1.0, 1.0)
    measure.add("hmore", "b", 5.0)
    assert measure.mean("hmore") == 2.0
    assert measure.spread("hmore") == (1.0, 5.0)
    assert measure.mean("DIS") is None
    measure.add("DIS", "a", 3.0)
    assert next(measure.rows()).baselines == {"DIS": 3.0}
    assert measure.spread("DIS") is None  # one cluster says nothing of the spread


def test_accuracies_of_the_depth_task_are_read_and_bad_files_named(tmp_path: Path) -> None:
    folder = tmp_path / "depth_actions"
    folder.mkdir()
    assert next(action_rows(Config(tmp_path, tmp_path))).value is None
    (folder / "none.json").write_text(json.dumps({"none": {"accuracy": 0.5, "n": 100}}))
    (folder / "both.json").write_text(json.dumps({"both": {"accuracy": 0.75, "n": 100}, "seed": 0}))
    assert read_accuracies([folder / "both.json"]) == {"both": Accuracy(0.75, 100)}
    row = next(action_rows(Config(tmp_path, tmp_path)))
    assert row.value == 75
    assert row.baselines == {"none": 50.0}
    assert row.interval is not None
    assert 64 < row.interval[0] < 75 < row.interval[1] < 85
    for bad in ("[]", '{"both": {"accuracy": 75, "n": 3}}', '{"both": {"n": 3}}', "{"):
        (folder / "both.json").write_text(bad)
        if bad == "[]":
            assert read_accuracies([folder / "both.json"]) == {}
            continue
        with pytest.raises(InputError, match=r"both\.json: expected"):
            read_accuracies([folder / "both.json"])


def test_people_are_told_by_walk_and_jog_together_over_runs(tmp_path: Path) -> None:
    (tmp_path / "gait").mkdir()
    assert next(gait_rows(Config(tmp_path, tmp_path))).value is None
    for name, share in (("none-0", 0.5), ("both-0", 0.6), ("both-1", 0.8)):
        scored = {"condition": name[:-2], "task": "utd_mhad", "all": {"rank1": share, "n": 32, "unmatched": 0},
                  "a22 among a23": {"rank1": 0.1, "n": 16, "unmatched": 0}}  # fmt: skip
        (tmp_path / "gait" / f"{name}.json").write_text(json.dumps(scored))
    row = next(gait_rows(Config(tmp_path, tmp_path)))
    assert (row.value, row.interval, row.baselines) == (70, (60, 80), {"none": 50})


def box(x0: int, y0: int, x1: int, y1: int) -> torch.Tensor:
    out = torch.zeros(96, 96)
    out[y0:y1, x0:x1] = 1
    return outline(out[None])[0]


def test_centroids_of_patches_come_near_the_exact_distance() -> None:
    curves = [(box(20, 20, 70, 80), box(28, 20, 78, 80)), (box(10, 10, 80, 80), box(10, 22, 80, 92))]
    assert centroid_distance(curves[0][0], curves[0][0], 8) == 0
    rows = {r.id: r for r in approximation_rows("make x", curves)}
    for side in (8, 16):
        off = rows[f"chamfer_error_96_{side}"].value
        assert off is not None
        assert off <= side / 2
    speedup = rows["chamfer_speedup_96_16"].value
    assert speedup is not None
    assert speedup > 0


def test_sizes_are_counted_beside_the_paper_s(tmp_path: Path) -> None:
    small_run(tmp_path, "hmore")
    rows = {r.id: r for r in size_rows("make x", tmp_path / "hmore" / "model")}
    assert rows["parameters"].baselines == {"paper": 5.57, "RAFT-small": 0.99}
    assert rows["parameters"].value is not None
    assert 0.99 < rows["parameters"].value < 3.9
    assert rows["flops"].value is not None
    assert rows["flops"].value > rows["flops"].baselines["RAFT-small"] > 1
    assert flops_g(lambda: torch.zeros(10, 20) @ torch.zeros(20, 30)) == pytest.approx(2 * 10 * 20 * 30 / 1e9)


def test_the_drawn_walker_and_its_pose_agree() -> None:
    camera = Camera(320, 180)
    person = treadmill(0.2)
    pose = seen(person, camera)
    assert len(person) == len(pose) == 6
    assert pose.mask is not None
    assert pose.mask.shape == (6, 45, 80)
    x, y = (pose.xy_px[0].mean(axis=0) / 4).round().astype(int)
    assert pose.mask[0, y, x]
    assert 0.02 < pose.mask.mean() < 0.5


def test_a_failed_measurement_of_memory_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no model directory"):
        in_own_process(0.5, tmp_path)


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own() -> None:
    peak = in_own_process(0.5, None)
    assert peak.pairs >= 3
    assert 100 < peak.before_mb <= peak.peak_mb < 4000


@pytest.mark.parametrize("name", list(PICTURES))
def test_each_term_has_a_small_picture(name: str, tmp_path: Path) -> None:
    import cv2

    path = PICTURES[name](walker(), tmp_path / "picture.png")
    assert path.stat().st_size < 150_000
    picture = cv2.imread(str(path))
    assert picture is not None
    assert picture.std() > 10


def test_unknown_parts_are_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no part film.*choose from drawn, films"):
        main(Config(tmp_path, only=("film",)))

"""The concepts' benchmark: every row of the table is there, with a value where a run is and none where it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionqa.data.concept_pairs import save_part
from motionqa.data.packed_flow import PackedName, save_sight
from motionqa.data.schema import InputError
from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.encoders.model_dir import save_model_dir
from motionqa.eval import bench_concepts
from motionqa.eval.bench_concepts import PARTS, Config, main
from motionqa.eval.benchmark import Row, published
from motionqa.eval.concept_runs import Kept, find_runs, over_seeds
from motionqa.finetune.pretrain_concepts import PRESETS, train
from motionqa.tests.concept_clips import blob_video, kept_clip, write_features
from motionqa.tests.mocap_clips import ACTIONS


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, dict[str, Row]]:
    """Two seeds of the full recipe and one plain one, and every row about them."""
    folder = tmp_path_factory.mktemp("bench")
    features = write_features(folder / "features")
    clips = [kept_clip(a, s, source="utd_mhad", split="test") for a in ACTIONS for s in ("2", "4")]
    alone = [kept_clip("walk", "2", source="cmu", split="test", frames=45)]
    save_part(features, "test", [np.asarray(c.features) for c in (*clips, *alone)], [*clips, *alone])
    for c in clips:
        save_sight(features / "videos", PackedName(c.name, c.label, c.subject, split="test"), blob_video(c))
    debug = replace(PRESETS["debug"][1], features=features)
    for name, seed in (("full", 0), ("full", 1), ("plain", 0)):
        loop = replace(debug.loop, seed=seed, steps=2)
        train(replace(debug, ablation=name, out=folder / "runs" / f"{name}-{seed}", loop=loop))  # type: ignore[arg-type]
    config = Config(features, folder / "runs", released=folder / "runs" / "full-1" / "model")
    kept = Kept(features)
    runs = find_runs(config.runs, kept)
    rows = {r.id: r for name, part in PARTS.items() if name != "speed" for r in part(config, kept, runs)}
    return config, rows


def test_every_measure_of_the_table_has_a_value(measured: tuple[Config, dict[str, Row]]) -> None:
    rows = measured[1]
    expected = {
        "motion_mpjpe", "velocity_error", "energy_above_4hz", "energy_over_plain", "energy_explained",
        "energy_above_4hz_mocap", "energy_over_plain_mocap", "energy_explained_mocap", "motion_codes_used",
        "motion_perplexity", "video_codes_used", "video_perplexity", "codes_nmi",
        "codes_nmi_above_chance", "codes_probe", "motion_to_video_r1",
        "motion_to_video_r5", "video_to_motion_r1", "video_to_motion_r5",
    }  # fmt: skip
    released = {f"released: {k}" for k in expected if not k.startswith("energy_over_plain")}
    assert expected | released == {k for k, r in rows.items() if r.value is not None}
    assert {k for k, r in rows.items() if r.value is None} == {
        f"{asked}_{a}"
        for asked in ("questions", "questions_motion")
        for a in ("full", "no_velocity", "no_discriminative", "no_actionable", "no_alignment")
    }
    for row in rows.values():
        if row.value is not None and row.interval is not None:
            assert row.interval[0] <= row.value <= row.interval[1], row.id


def test_the_released_weights_are_measured_as_one_run_is(measured: tuple[Config, dict[str, Row]]) -> None:
    _, rows = measured
    row, mean = rows["released: motion_mpjpe"], rows["motion_mpjpe"]
    assert mean.interval is not None
    assert row.value in mean.interval
    assert row.interval is None
    assert row.split.endswith("one model")
    assert not row.baselines


def test_baselines_stand_beside_the_mean_over_seeds(measured: tuple[Config, dict[str, Row]]) -> None:
    config, rows = measured
    assert "plain VQ-VAE" in rows["motion_mpjpe"].baselines
    assert "runs: full 2, plain VQ-VAE 1 [" in rows["motion_mpjpe"].split
    assert set(rows["codes_nmi"].baselines) == {"plain VQ-VAE", "k-means on DSTformer features"}
    assert rows["motion_to_video_r5"].baselines["chance"] == pytest.approx(100 * 5 / 12, abs=0.01)
    assert rows["motion_to_video_r5"].goal == ">= 60"
    assert 0 <= rows["motion_codes_used"].value <= 1  # type: ignore[operator]
    found = find_runs(config.runs, Kept(config.features))
    assert {k: len(v) for k, v in found.items()} == {"full": 2, "plain": 1}


def test_without_runs_rows_have_no_value_but_keep_what_stands_beside_them() -> None:
    row = over_seeds("some", {}, lambda r: 1.0, "mm", more={"k-means": 0.3}, split="clips")
    assert row.value is None
    assert row.interval is None
    assert row.baselines == {"k-means": 0.3}


def test_a_run_without_models_keeps_what_was_published(
    measured: tuple[Config, dict[str, Row]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = measured[0]
    bare = replace(config, runs=tmp_path / "none", only=("reconstruction", "questions"))
    main(bare)
    assert published("concepts")["motion_mpjpe"].value is None
    main(replace(config, only=("reconstruction",)))
    value = published("concepts")["motion_mpjpe"].value
    assert value is not None
    main(bare)
    assert published("concepts")["motion_mpjpe"].value == value
    assert published("concepts")["questions_full"].value is None


def test_another_network_among_the_runs_and_unknown_parts_are_named(
    measured: tuple[Config, dict[str, Row]], tmp_path: Path
) -> None:
    config = measured[0]
    save_model_dir(tmp_path / "full-0" / "model", DSTformer(SIZES["debug"]))
    with pytest.raises(InputError, match="holds a DSTformer, expected HuMoCon"):
        find_runs(tmp_path, Kept(config.features))
    with pytest.raises(SystemExit, match="no part retrieve; choose from reconstruction"):
        main(replace(config, only=("retrieve",)))


def test_speed_is_measured_from_joints_in_the_picture(measured: tuple[Config, dict[str, Row]]) -> None:
    config = measured[0]
    runs = find_runs(config.runs, Kept(config.features))
    (row,) = bench_concepts.speed_rows(config, Kept(config.features), runs)
    assert row.id == "encode_10s"
    assert row.goal == "<= 1"
    assert row.value is not None
    assert row.value > 0

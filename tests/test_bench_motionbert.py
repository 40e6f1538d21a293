"""The MotionBERT benchmark: what it compares is comparable, and a partial run keeps the rest of the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.encoders.lifter import LifterConfig
from motionqa.encoders.mlp_lifter import MLPLifter
from motionqa.encoders.model_dir import save_model_dir
from motionqa.eval.bench_motionbert import Config, pose_rows, written_out
from motionqa.eval.benchmark import Row, publish, published
from motionqa.tests.mocap_clips import clip


def test_attention_written_out_computes_the_same() -> None:
    torch.manual_seed(0)
    model = DSTformer(SIZES["debug"]).eval()
    joints = torch.randn(2, 9, 17, 3)
    with torch.inference_mode():
        fused = model(joints)
        with written_out():
            naive = model(joints)
        again = model(joints)
    assert torch.allclose(fused, naive, atol=1e-5)
    assert torch.equal(fused, again)  # the fused path is back


def test_pose_rows_stand_beside_the_baselines_on_the_same_clips(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ours = save_model_dir(tmp_path / "ours", DSTformer(SIZES["debug"]), LifterConfig(window=9, stride=3))
    save_model_dir(tmp_path / "mlp" / "model", MLPLifter(width=16), LifterConfig(window=1, stride=1))
    clips = [clip(split=s, frames=20) for s in ("test", "train", "test")]
    rows = {r.id: r for r in pose_rows(Config(tmp_path, tmp_path, weights=str(ours)), clips)}
    row = rows["mpjpe_noisy"]
    assert set(row.baselines) == {"one frame at a time", "MLP (per frame)"}
    assert row.goal
    assert row.value is not None
    assert row.interval is not None
    assert row.interval[0] <= row.value <= row.interval[1]
    assert {"mpjpe_exact", "acceleration_noisy", "acceleration_exact"} <= set(rows)
    assert all(np.isfinite(r.value or 0) for r in rows.values())


def test_a_partial_run_keeps_the_other_rows(tmp_path: Path) -> None:
    publish("some", [Row("a", 1.0, "mm", (0.5, 1.5), {"x": 2.0}), Row("b", None, "mm")], tmp_path)
    rows = published("some", tmp_path)
    assert rows["a"] == Row("a", 1.0, "mm", (0.5, 1.5), {"x": 2.0})
    publish("some", list((rows | {"b": Row("b", 3.0, "mm")}).values()), tmp_path)
    assert [(r.id, r.value) for r in published("some", tmp_path).values()] == [("a", 1.0), ("b", 3.0)]
    assert published("none", tmp_path) == {}


@pytest.mark.parametrize("part", ["poses", ""])
def test_unknown_parts_are_named(part: str, tmp_path: Path) -> None:
    from motionqa.eval.bench_motionbert import main

    with pytest.raises(SystemExit, match=r"no part .*choose from pose, drawn"):
        main(Config(tmp_path, only=(part,)))

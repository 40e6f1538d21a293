"""Our own model directories: what is written comes back, and half a model is no model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from motionqa.data.schema import InputError
from motionqa.encoders.dstformer import DSTformer
from motionqa.encoders.flow.hmore import FlowConfig, HMoRe, WorldFlow
from motionqa.encoders.mlp_lifter import MLPLifter
from motionqa.encoders.model_dir import load_model_dir, save_model_dir
from motionqa.tests.known_checkpoints import CONFIG, model

FLOW = FlowConfig(updates=2, trend_width=32)


@dataclass(frozen=True)
class _Recipe:
    out: Path
    steps: int = 5


def test_a_model_directory_gives_back_the_model_and_all_it_says_about_itself(tmp_path: Path) -> None:
    true = model()
    scores = {"mpjpe_mm": np.float32(41.5), "per_action": {"walk": torch.tensor(40)}}
    folder = save_model_dir(
        tmp_path / "a" / "m", true, lifter={"window": 81}, recipe=_Recipe(Path("/x")), data={"n": 3}, scores=scores
    )
    found = load_model_dir(folder)
    assert isinstance(found.model, DSTformer)
    assert found.model.config == CONFIG
    assert not found.model.training
    for name, weight in true.state_dict().items():
        assert found.model.state_dict()[name].dtype == torch.float32
        assert torch.equal(found.model.state_dict()[name], weight.half().float())
    assert found.lifter == {"window": 81}
    assert found.recipe == {"out": "/x", "steps": 5}
    assert found.data == {"n": 3}
    assert found.scores == {"mpjpe_mm": 41.5, "per_action": {"walk": 40}}
    nested = save_model_dir(tmp_path / "n", true, recipe={"loop": _Recipe(Path("/x"))})
    assert load_model_dir(nested).recipe == {"loop": {"out": "/x", "steps": 5}}
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_saving_again_changes_nothing_and_saving_over_replaces_the_model_only(tmp_path: Path) -> None:
    first = save_model_dir(tmp_path / "m", model())
    (first / "README.md").write_text("a card")
    weights = (first / "model.safetensors").read_bytes()
    save_model_dir(first, load_model_dir(first).model)
    assert (first / "model.safetensors").read_bytes() == weights
    save_model_dir(first, model(seed=9))
    assert (first / "model.safetensors").read_bytes() != weights
    load_model_dir(first)
    assert (first / "README.md").read_text() == "a card"


def test_the_per_frame_baseline_is_saved_with_its_running_statistics(tmp_path: Path) -> None:
    true = MLPLifter(width=32)
    for _ in range(3):
        true(torch.randn(2, 5, 17, 3))
    found = load_model_dir(save_model_dir(tmp_path / "m", true)).model
    x = torch.randn(1, 4, 17, 3)
    assert isinstance(found, MLPLifter)
    assert torch.allclose(found(x), true.eval()(x), atol=1e-2)
    assert int(found.state_dict()["enter.1.num_batches_tracked"]) == 3


def test_what_can_not_be_stored_is_not(tmp_path: Path) -> None:
    huge = model()
    huge.head.bias.data[0] = 1e6
    with pytest.raises(ValueError, match=r"head\.bias is not finite in float16"):
        save_model_dir(tmp_path / "m", huge)
    assert not (tmp_path / "m").exists()
    with pytest.raises(ValueError, match="not a Linear"):
        save_model_dir(tmp_path / "m", nn.Linear(2, 2))


def _edit(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def test_half_a_model_is_no_model(tmp_path: Path) -> None:
    def fresh(name: str) -> Path:
        return save_model_dir(tmp_path / name, model())

    with pytest.raises(InputError, match="no model directory"):
        load_model_dir(tmp_path / "nothing")
    folder = fresh("a")
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"no readable model\.safetensors"):
        load_model_dir(folder)
    folder = fresh("b")
    (folder / "model.safetensors").write_bytes((fresh("c") / "model.safetensors").read_bytes()[:-4])
    with pytest.raises(InputError, match="is not the file"):
        load_model_dir(folder)
    folder = fresh("d")
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match="no whole json"):
        load_model_dir(folder)
    (folder / "config.json").write_text('{"network": "dstformer"}')
    with pytest.raises(InputError, match="lacks config, weights_sha256"):
        load_model_dir(folder)
    folder = fresh("e")
    _edit(folder, config=dict(json.loads((folder / "config.json").read_text())["config"], depth=4))
    with pytest.raises(InputError, match="do not fit the network"):
        load_model_dir(folder)
    folder = fresh("f")
    _edit(folder, network="transformer9000")
    with pytest.raises(InputError, match="expected dstformer, action, embedding, mlp or transformer"):
        load_model_dir(folder)


def test_a_write_that_fails_leaves_the_old_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_model_dir(tmp_path / "m", model())
    before = load_model_dir(folder).model.state_dict()

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("motionqa.encoders.model_dir.os.replace", full)
    with pytest.raises(OSError, match="no space left"):
        save_model_dir(folder, model(seed=9))
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert torch.equal(load_model_dir(folder).model.state_dict()["norm.weight"], before["norm.weight"])


def test_hmore_is_given_back_by_its_directory(tmp_path: Path) -> None:
    torch.manual_seed(1)
    true = HMoRe(FLOW)
    torch.nn.init.normal_(true.trend.leave.weight, std=0.1)
    found = load_model_dir(save_model_dir(tmp_path / "flow", true, scores={"epe_px": 1.5}))
    assert isinstance(found.model, HMoRe)
    assert isinstance(found.model.world, WorldFlow)
    assert found.model.config == FLOW
    assert found.scores == {"epe_px": 1.5}
    pictures = torch.rand(2, 1, 3, 64, 64)
    half = HMoRe(FLOW)
    half.load_state_dict({k: v.half().float() for k, v in true.state_dict().items()})
    with torch.inference_mode():
        one, other = (m.eval()(*pictures, torch.ones(1, 1, 64, 64)) for m in (found.model, half))
    assert torch.equal(one.world, other.world)
    assert torch.equal(one.trend, other.trend)

"""Official checkpoints in every layout they come in, our own model directories, and what is refused."""

from __future__ import annotations

import json
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from motionqa.data.schema import InputError
from motionqa.encoders.dstformer import DSTformer, DSTformerConfig
from motionqa.encoders.flow.hmore import FlowConfig, HMoRe, WorldFlow
from motionqa.encoders.flow.raft import RAFTSmall
from motionqa.encoders.mlp_lifter import MLPLifter
from motionqa.encoders.pretrained import (
    infer_config,
    load_dstformer,
    load_model_dir,
    load_raft_small,
    read_state,
    save_model_dir,
)

CONFIG = DSTformerConfig(
    joints=6, in_channels=2, out_channels=4, width=16, depth=3, heads=8, mlp_ratio=1.5, representation=10, max_frames=11
)


def model(config: DSTformerConfig = CONFIG, seed: int = 3) -> DSTformer:
    torch.manual_seed(seed)
    made = DSTformer(config).eval()
    for parameter in made.parameters():
        parameter.data = torch.randn_like(parameter) * 0.3
    return made


def pose_checkpoint(path: Path, state: dict[str, Tensor], **more: Any) -> Path:
    """As MotionBERT's training scripts write it: optimizer state, and the best loss as a numpy number."""
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(2))])
    content = {
        "epoch": 59,
        "lr": 1e-4,
        "optimizer": optimizer.state_dict(),
        "model_pos": state,
        "min_loss": np.mean([37.2]),
    }
    torch.save(content | more, path)
    return path


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + k: v for k, v in state.items()}


def same(loaded: DSTformer, true: DSTformer) -> None:
    x = torch.randn(2, 7, 6, 2)
    assert not loaded.training
    assert torch.equal(loaded(x), true(x))


@pytest.mark.parametrize("prefix", ["", "module."])
def test_an_official_pose_checkpoint_loads_key_by_key(tmp_path: Path, prefix: str) -> None:
    true = model()
    path = pose_checkpoint(tmp_path / "best_epoch.bin", prefixed(true.state_dict(), prefix))
    loaded, report = load_dstformer(path)
    assert loaded.config == CONFIG
    assert report.complete
    assert set(report.loaded) == set(true.state_dict())
    assert str(report) == f"{len(true.state_dict())} tensors loaded"
    same(loaded, true)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_an_official_mesh_or_action_checkpoint_gives_its_backbone(tmp_path: Path, prefix: str) -> None:
    true = model()
    state = prefixed(true.state_dict(), "backbone.") | {
        "head.fc1.weight": torch.zeros(3, 4),
        "head.bn.bias": torch.ones(3),
    }
    torch.save({"epoch": 3, "model": prefixed(state, prefix)}, tmp_path / "action.bin")
    loaded, report = load_dstformer(tmp_path / "action.bin")
    assert report.complete
    assert report.set_aside == ("head.fc1.weight", "head.bn.bias")
    assert "2 set aside: head.fc1.weight, head.bn.bias" in str(report)
    same(loaded, true)


def test_a_checkpoint_written_with_an_older_numpy_is_read(tmp_path: Path) -> None:
    path = pose_checkpoint(tmp_path / "new.bin", model().state_dict())
    with zipfile.ZipFile(path) as new, zipfile.ZipFile(tmp_path / "old.bin", "w") as old:
        contents = {name: new.read(name) for name in new.namelist()}
        assert any(b"numpy._core.multiarray" in c for c in contents.values())
        for name, content in contents.items():
            old.writestr(name, content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    same(load_dstformer(tmp_path / "old.bin")[0], model())


def test_averaged_weights_come_before_the_last_step_s(tmp_path: Path) -> None:
    true, last = model(seed=1), model(seed=2)
    path = pose_checkpoint(tmp_path / "a.bin", last.state_dict(), model_ema=prefixed(true.state_dict(), "module."))
    same(load_dstformer(path)[0], true)
    averaged = torch.optim.swa_utils.AveragedModel(true)
    torch.save({"state_dict": averaged.state_dict()}, tmp_path / "b.pth")
    with pytest.raises(InputError, match="1 unexpected: n_averaged"):
        load_dstformer(tmp_path / "b.pth")
    same(load_dstformer(tmp_path / "b.pth", allow_partial=True)[0], true)


def test_a_bare_state_dict_and_safetensors_are_read_too(tmp_path: Path) -> None:
    true = model()
    torch.save(true.state_dict(), tmp_path / "bare.pt")
    save_file(true.state_dict(), tmp_path / "a.safetensors")
    torch.save(true.state_dict(), tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    for name in ("bare.pt", "a.safetensors", "old.bin"):
        same(load_dstformer(tmp_path / name)[0], true)


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    torch.save({"model_pos": model().half().state_dict()}, tmp_path / "a.bin")
    loaded, _ = load_dstformer(tmp_path / "a.bin")
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}


def test_the_number_of_heads_is_the_caller_s_to_say() -> None:
    state = model().state_dict()
    assert infer_config(state) == CONFIG
    assert infer_config(state, heads=4) == replace(CONFIG, heads=4)
    with pytest.raises(ValueError, match="multiple of heads 5"):
        infer_config(state, heads=5)


def test_every_key_that_does_not_fit_is_named_and_refused(tmp_path: Path) -> None:
    true = model()
    state = dict(true.state_dict())
    del state["blocks_ts.1.attn_t.qkv.bias"]
    state["extra.weight"] = torch.zeros(1)
    state["ts_attn.0.weight"] = torch.zeros(3, 32)
    path = pose_checkpoint(tmp_path / "a.bin", state)
    with pytest.raises(InputError, match=r"1 missing: blocks_ts\.1\.attn_t\.qkv\.bias") as caught:
        load_dstformer(path)
    assert "1 unexpected: extra.weight" in str(caught.value)
    assert "1 wrong shape: ts_attn.0.weight: (3, 32) instead of (2, 32)" in str(caught.value)
    loaded, report = load_dstformer(path, allow_partial=True)
    assert not report.complete
    assert len(report.loaded) + len(report.unexpected) + len(report.wrong_shape) == len(state)
    assert len(report.loaded) + len(report.missing) + len(report.wrong_shape) == len(true.state_dict())
    assert torch.equal(loaded.head.weight, true.head.weight)


def test_weights_of_a_diverged_run_are_refused_even_in_part(tmp_path: Path) -> None:
    state = model().state_dict()
    state["norm.bias"][2] = torch.nan
    torch.save(state, tmp_path / "a.bin")
    with pytest.raises(InputError, match=r"NaN or infinity in norm\.bias"):
        load_dstformer(tmp_path / "a.bin", allow_partial=True)


class _Evil:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch /tmp/motionqa_test_was_here",)


BAD: dict[str, Callable[[Path], object]] = {
    "empty": lambda p: p.write_bytes(b""),
    "a page": lambda p: p.write_text("<!doctype html><html>sign in</html>"),
    "a folder": lambda p: p.mkdir(),
    "absent": lambda p: None,
    "cut off": lambda p: p.write_bytes(_saved(model().state_dict(), p)[:3000]),
    "code": lambda p: p.write_bytes(pickle.dumps({"model_pos": _Evil()})),
    "code in torch": lambda p: torch.save({"model_pos": _Evil()}, p),
    "a list": lambda p: torch.save([torch.zeros(2)], p),
    "no tensors": lambda p: torch.save({"epoch": 3, "model_pos": {}}, p),
    "another network": lambda p: torch.save(nn.Linear(3, 3).state_dict(), p),
}


def _saved(state: dict[str, Tensor], path: Path) -> bytes:
    torch.save(state, path)
    return path.read_bytes()


@pytest.mark.parametrize("kind", BAD)
def test_files_that_are_no_checkpoint_say_so_and_run_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "latest_epoch.bin"
    BAD[kind](path)
    with pytest.raises(InputError):
        load_dstformer(path, allow_partial=True)
    assert not Path("/tmp/motionqa_test_was_here").exists()


def test_damaged_safetensors_say_so(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(InputError, match="no whole safetensors file"):
        read_state(tmp_path / "a.safetensors")


# ---------------------------------------------------------------------------------------------- RAFT-small

FLOW = FlowConfig(updates=2, trend_width=32)


def raft_checkpoint(path: Path, prefix: str = "", more: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
    """As princeton-vl publishes it: a bare state dict, its names behind DataParallel's prefix."""
    torch.manual_seed(5)
    state = RAFTSmall().state_dict()
    torch.save(prefixed(state | (more or {}), prefix), path)
    return state


@pytest.mark.parametrize("prefix", ["", "module."])
def test_raft_small_loads_key_by_key_and_what_is_ours_keeps_its_start(tmp_path: Path, prefix: str) -> None:
    true = raft_checkpoint(tmp_path / "raft-small.pth", prefix)
    world, report = load_raft_small(tmp_path / "raft-small.pth", config=FLOW)
    assert report.complete
    assert set(report.loaded) == set(true)
    assert not world.training
    for name, weight in true.items():
        assert torch.equal(world.state_dict()[name], weight)
    assert set(report.by_design) == set(world.state_dict()) - set(true)
    assert any(k.startswith("attention.0.") for k in report.by_design)
    assert f"{len(report.by_design)} missing by design: attention.0." in str(report)
    plain = RAFTSmall()
    plain.load_state_dict(true)
    picture = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():  # attention starts as the identity
        assert torch.equal(world.features(picture), plain.features(picture))


def test_a_raft_checkpoint_that_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "raft.pth"
    state = raft_checkpoint(path)
    state["fnet.conv2.weight"] = torch.zeros(256, 96, 1, 1)
    del state["cnet.conv1.bias"]
    torch.save(state | {"update_block.mask.0.weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="does not fit WorldFlow") as refused:
        load_raft_small(path, config=FLOW)
    for said in (
        r"1 missing: cnet\.conv1\.bias", r"1 unexpected: update_block\.mask\.0\.weight",
        r"fnet\.conv2\.weight: \(256, 96, 1, 1\) instead of \(128, 96, 1, 1\)",
    ):  # fmt: skip
        assert re.search(said, str(refused.value))
    world, report = load_raft_small(path, allow_partial=True, config=FLOW)
    assert not report.complete
    assert torch.equal(world.state_dict()["cnet.conv1.weight"], state["cnet.conv1.weight"])


def test_another_network_and_weights_that_diverged_are_no_raft_small(tmp_path: Path) -> None:
    path = pose_checkpoint(tmp_path / "best_epoch.bin", model().state_dict())
    with pytest.raises(InputError, match="does not fit WorldFlow"):
        load_raft_small(path, config=FLOW)
    with pytest.raises(InputError, match="not a single name and shape fits"):
        load_raft_small(path, allow_partial=True, config=FLOW)
    raft_checkpoint(tmp_path / "bad.pth", more={"cnet.conv1.bias": torch.full((32,), float("nan"))})
    with pytest.raises(InputError, match=r"NaN or infinity in cnet\.conv1\.bias"):
        load_raft_small(tmp_path / "bad.pth", config=FLOW)


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


# -------------------------------------------------------------------------------------------- model directories


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

"""Official MotionBERT checkpoints in every layout they come in, and what is refused."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from motionqa.data.schema import InputError
from motionqa.encoders.dstformer import DSTformer
from motionqa.encoders.pretrained import infer_config, load_dstformer, read_state
from motionqa.tests.known_checkpoints import CONFIG, model, pose_checkpoint, prefixed


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

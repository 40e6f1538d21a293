"""Lifters by name: BlazePose's own, the released one, a folder of one's own; and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from motionqa.assistant import released
from motionqa.assistant.released import lifting
from motionqa.data.schema import InputError
from motionqa.encoders.clip_encoder import LiftingConfig, load_lifter
from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.encoders.lifter import OFFICIAL, LifterConfig
from motionqa.encoders.model_dir import save_model_dir


def saved(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    return save_model_dir(folder, DSTformer(SIZES["debug"]), LifterConfig(window=9, stride=3))


def test_blazepose_s_own_depth_needs_no_weights() -> None:
    assert lifting("blazepose") == LiftingConfig(None, "")


def test_a_folder_of_weights_is_a_lifter_that_runs_as_its_configuration_says(tmp_path: Path) -> None:
    folder = saved(tmp_path / "mine")
    config = lifting(str(folder))
    assert config.weights == folder
    network, how = load_lifter(folder, config.version)
    assert (how.window, how.stride, how.output) == (9, 3, "metres")
    assert network(np.zeros((1, 9, 17, 3), np.float32)).shape == (1, 9, 17, 3)


def test_other_weights_in_the_same_folder_are_another_version(tmp_path: Path) -> None:
    first, same, other = (lifting(str(saved(tmp_path / "mine", seed))) for seed in (0, 0, 1))
    assert first == same
    assert len(first.version) == 16
    assert first.weights == other.weights
    assert first.version != other.version  # else the chat would answer from encodings of the old weights


def test_an_official_checkpoint_is_a_lifter_that_is_fed_as_its_authors_do(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, other = tmp_path / "best_epoch.bin", tmp_path / "latest_epoch.bin"
    for path in (first, other):
        torch.save({"model_pos": DSTformer(SIZES["debug"]).state_dict()}, path)
    config = lifting(str(first))
    assert config.weights == first
    assert len(config.version) == 16
    assert lifting(str(other)).version != config.version
    network, how = load_lifter(first, lifting(str(first)).version)
    assert how == OFFICIAL
    assert (how.normalisation, how.output) == ("box", "input")
    assert network(np.zeros((1, 9, 17, 3), np.float32)).shape == (1, 9, 17, 3)


def test_the_default_is_the_released_lifter_and_its_absence_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(released, "WEIGHTS", tmp_path)
    with pytest.raises(InputError, match="no lifter 'dstformer': expected dstformer or blazepose, a folder"):
        lifting()
    folder = saved(tmp_path / "dstformer")
    assert lifting() == lifting("dstformer") == lifting(str(folder))


def test_a_place_without_a_model_is_explained(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    for place in (tmp_path, tmp_path / "nothing", "motionbert"):
        with pytest.raises(InputError, match=r"config\.json and model\.safetensors as written by pretraining"):
            lifting(str(place))

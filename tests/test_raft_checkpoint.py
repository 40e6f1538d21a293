"""Public RAFT-small weights: every key accounted for, and nothing else taken for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from motionqa.data.schema import InputError
from motionqa.encoders.flow.hmore import FlowConfig
from motionqa.encoders.flow.raft import RAFTSmall
from motionqa.encoders.pretrained import load_raft_small
from motionqa.tests.known_checkpoints import model, pose_checkpoint, prefixed

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

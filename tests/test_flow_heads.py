"""Networks with flow as extra channels, the views they learn from, and how conditions are trained and scored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from motionqa.data.packed_flow import FLOWS, PackedName, channel_count
from motionqa.data.schema import InputError
from motionqa.encoders.flow.heads import FlowActionNet, FlowGaitNet, widened, with_flow
from motionqa.encoders.model_dir import load_model_dir, save_model_dir
from motionqa.finetune import train_flow_actions
from motionqa.finetune.flow_views import STILL, ViewConfig, load_clips, shown, viewed
from motionqa.finetune.train_flow_actions import PRESETS, FlowActionConfig, FlowActionTraining, hits, main, sides
from motionqa.tests.depth_clips import write_packed

DEBUG: FlowActionConfig = PRESETS["debug"][1]
NAMES = [
    PackedName(f"a{a}_s{s}_t{t}", label, f"s{s}", str(t), "", "train" if s % 2 else "test")
    for a, label in ((1, "swipe left"), (2, "swipe right"))
    for s in (1, 2, 3)
    for t in (1, 2)
]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_packed(tmp_path_factory.mktemp("packed"), NAMES)


@pytest.fixture
def config(packed: Path, tmp_path: Path) -> FlowActionConfig:
    return replace(DEBUG, packed=packed, out=tmp_path / "runs", conditions=("none", "both"))


# ----------------------------------------------------------------------------------------------- networks


def test_conditions_differ_by_the_first_layer_alone_and_stay_below_a_million_parameters() -> None:
    plain = {k: v.shape for k, v in FlowActionNet(1, 27).state_dict().items()}
    first = "trunk.frame.0.conv.weight"
    for condition, flows in FLOWS.items():
        net = FlowActionNet(channel_count(condition), 27)
        assert {k for k, v in net.state_dict().items() if v.shape != plain[k]} <= {first}
        assert net.state_dict()[first].shape[1] == 1 + 2 * len(flows)
        assert sum(p.numel() for p in net.parameters()) < 1_000_000
    assert sum(p.numel() for p in FlowGaitNet(5).parameters()) < 1_000_000


def test_an_action_network_learns_one_batch_and_a_gait_network_gives_unit_vectors() -> None:
    torch.manual_seed(0)
    net = FlowActionNet(3, 4, width=32, first=8)
    x, labels = torch.randn(4, 5, 3, 64, 64), torch.arange(4)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        assert F.cross_entropy(net(x), labels) < 0.5
        norms = FlowGaitNet(3, 8, 16, 4).eval()(x).norm(dim=-1)
    torch.testing.assert_close(norms, torch.ones(4))


def test_the_network_tells_left_from_right_and_first_from_last() -> None:
    torch.manual_seed(0)
    net = FlowActionNet(1, 3, width=16, first=4).eval()
    x = torch.zeros(1, 6, 1, 64, 64)
    for t in range(6):
        x[:, t, :, 20:30, 10 * t : 10 * t + 10] = 1.0
    with torch.no_grad():
        again, mirrored, backwards = ((net(x) - net(y)).abs().max() for y in (x.clone(), x.flip(-1), x.flip(1)))
    assert again < 1e-6
    assert mirrored > 1e-4
    assert backwards > 1e-5
    with pytest.raises(ValueError, match="at most 64 frames a clip, got 65"):
        net(torch.zeros(1, 65, 1, 64, 64))


@pytest.mark.parametrize("network", [FlowActionNet(5, 3, 16, 4), FlowGaitNet(1, 8, 16, 4)])
def test_networks_come_back_from_disk(network: nn.Module, tmp_path: Path) -> None:
    network.eval()
    save_model_dir(tmp_path, network, usage={"condition": "both"})
    found = load_model_dir(tmp_path)
    assert type(found.model) is type(network)
    x = torch.randn(2, 4, network.sizes["channels"], 64, 64)  # type: ignore[index]
    with torch.no_grad():
        torch.testing.assert_close(found.model(x), network(x), atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.Conv3d])
def test_any_model_takes_flow_without_changing_its_answers_until_it_learns(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    axes = 2 if kind is nn.Conv2d else 3
    model = nn.Sequential(kind(3, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    pictures = torch.randn(2, 3, *(4,) * axes)
    before = model(pictures)
    assert widened(model, 4) is model
    flow = torch.randn(2, 4, *(4,) * axes, requires_grad=True)
    after = model(torch.cat([pictures, flow], dim=1))
    torch.testing.assert_close(after, before)
    after.square().sum().backward()
    first = model[0]
    assert first.weight.grad[:, 3:].abs().max() > 0  # type: ignore[index, union-attr]


def test_models_that_cannot_take_more_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="no convolution over pictures"):
        widened(nn.Linear(3, 2), 2)
    with pytest.raises(ValueError, match="works on groups"):
        widened(nn.Conv2d(4, 4, 3, groups=4), 2)
    with pytest.raises(ValueError, match="at least one more channel"):
        widened(nn.Conv2d(4, 4, 3), 0)


def test_flow_joins_pictures_of_another_size() -> None:
    pictures, flow = torch.rand(2, 3, 3, 64, 64), torch.full((2, 3, 2, 16, 16), 0.5)
    joined = with_flow(pictures, flow, flow, scale=2.0)
    assert joined.shape == (2, 3, 7, 64, 64)
    assert torch.equal(joined[:, :, :3], pictures)
    torch.testing.assert_close(joined[:, :, 3:], torch.ones(2, 3, 4, 64, 64))
    with pytest.raises(ValueError, match="2 clips of 3 frames cannot take the flow of 2 of 4"):
        with_flow(pictures, torch.zeros(2, 4, 2, 64, 64))


# -------------------------------------------------------------------------------------------------- views


def test_a_still_view_is_the_clip_and_random_views_repeat(packed: Path) -> None:
    clips = load_clips(packed, [n.name for n in NAMES[:2]], "both")
    rng = np.random.default_rng
    torch.testing.assert_close(viewed(clips, replace(STILL, steps=6), rng(0)), clips.float())
    torch.testing.assert_close(shown(clips, 6), clips.float())
    config = ViewConfig(steps=5)
    first, again, other = (viewed(clips, config, rng(s)) for s in (1, 1, 2))
    assert first.shape == (2, 5, 5, 64, 64)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_views_are_never_mirrored_and_time_never_runs_backwards(packed: Path) -> None:
    names = [n for n in NAMES if n.label == "swipe right"]
    clips = load_clips(packed, [n.name for n in names], "world")
    columns = torch.arange(64.0)
    for seed in range(20):
        views = viewed(clips, ViewConfig(steps=6), np.random.default_rng(seed))
        hand = (views[:, :, 0] > 0.72).float()
        place = (hand.sum(2) * columns).sum(-1) / hand.sum((2, 3)).clamp(min=1)
        assert (place[:, -1] > place[:, 0]).all()
        assert views[:, :, 1].amax() > 0.5  # flow to the right stays flow to the right
        assert views[:, :, 1].amin() > -0.1


def test_flow_grows_with_the_person_and_stays_where_the_person_is(packed: Path) -> None:
    clips = load_clips(packed, [NAMES[-1].name] * 8, "dis")
    config = replace(STILL, steps=6, zoom=0.3)
    views = viewed(clips, config, np.random.default_rng(3))
    size = (views[:, :, 0] > 0.2).float().sum((1, 2, 3)) / (clips[:, :, 0] > 0.2).float().sum((1, 2, 3))
    speed = views[:, :, 1].amax((1, 2, 3)) / clips[:, :, 1].float().amax((1, 2, 3))
    assert torch.corrcoef(torch.stack([size.sqrt(), speed]))[0, 1] > 0.95
    assert size.max() > 1.2 * size.min()
    moved = viewed(clips, replace(STILL, steps=6, shift=0.2), np.random.default_rng(4))
    outside = (moved[:, :, 0] < 0.01) & (moved[:, :, 1].abs() > 0.05)
    assert outside.float().mean() < 1e-3


def test_clips_of_several_lengths_are_refused(tmp_path: Path) -> None:
    write_packed(tmp_path, NAMES[:1], steps=4)
    write_packed(tmp_path, NAMES[1:2], steps=5)
    with pytest.raises(InputError, match="clips of several shapes"):
        load_clips(tmp_path, [n.name for n in NAMES[:2]], "none")


# ------------------------------------------------------------------------------------------------ training


def test_odd_subjects_train_and_even_ones_are_scored() -> None:
    found = sides(NAMES)
    assert {n.subject for n in found.train} == {"s1", "s3"}
    assert {n.subject for n in found.test} == {"s2"}
    held = sides(NAMES, hold_out=("s3",))
    assert {n.subject for n in held.train} == {"s1"}
    assert {n.subject for n in held.test} == {"s3"}
    with pytest.raises(InputError, match="hold out subjects of the training side alone"):
        sides(NAMES, hold_out=("s2",))
    with pytest.raises(InputError, match="6 are for training"):
        sides([replace(n, split="train") for n in NAMES[:6]])


def test_conditions_are_trained_scored_and_summed_up_over_seeds(config: FlowActionConfig) -> None:
    main(config)
    main(replace(config, seeds=(1,)))
    for condition in ("none", "both"):
        summary = json.loads((config.out / f"{condition}.json").read_text())
        scores = [json.loads((config.out / f"{condition}-{s}" / "score.json").read_text()) for s in (0, 1)]
        assert summary["seeds"] == [s["accuracy"] for s in scores]
        assert summary["accuracy"] == pytest.approx(np.mean(summary["seeds"]))
        assert summary["n"] == 4  # two takes of two actions by the one test subject
        found = load_model_dir(config.out / f"{condition}-1" / "model")
        assert isinstance(found.model, FlowActionNet)
        assert found.model.sizes["channels"] == channel_count(condition)
        assert found.usage["condition"] == condition
        assert found.usage["classes"] == ["swipe left", "swipe right"]


def test_what_is_done_is_not_done_again_and_what_is_not_packed_is_said(
    config: FlowActionConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    main(config)
    monkeypatch.setattr(train_flow_actions, "fit", lambda *_: pytest.fail("trained again"))
    main(config)
    with pytest.raises(InputError, match=r"run.json says that what is there was made otherwise"):
        main(replace(config, hold_out=("s3",)))
    write_packed(tmp_path / "bare", NAMES, flow=False)
    with pytest.raises(InputError, match="pack it with --flow"):
        main(replace(config, packed=tmp_path / "bare", conditions=("local",), out=tmp_path / "other"))


def test_every_condition_sees_the_same_clips_in_the_same_views(config: FlowActionConfig) -> None:
    (one, labels), (other, again) = (FlowActionTraining(config, c, 0).batch(3) for c in ("none", "both"))
    assert torch.equal(one, other[:, :, :1])
    assert torch.equal(labels, again)


def test_the_recipe_learns_which_way_a_hand_goes(config: FlowActionConfig) -> None:
    loop = replace(config.loop, steps=60, warmup=5, learning_rate=3e-3, log_every=60, save_every=60)
    main(replace(config, conditions=("world",), batch=8, width=32, first=8, loop=loop))
    assert json.loads((config.out / "world.json").read_text())["accuracy"] == 1.0


def test_hits_are_counted_clip_by_clip() -> None:
    class Darkest(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            bright = x.mean((1, 2, 3, 4))
            return torch.stack([-bright, bright - 1.0], dim=1)

    clips = torch.zeros(20, 3, 1, 64, 64, dtype=torch.float16)
    clips[7:] = 1.0
    labels = np.array([0] * 10 + [1] * 10)
    np.testing.assert_array_equal(hits(Darkest(), clips, labels, 3), [*[True] * 7, *[False] * 3, *[True] * 10])

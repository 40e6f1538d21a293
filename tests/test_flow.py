"""H-MoRe's networks: RAFT-small as published, attention that starts as nothing, courses and local flow."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from motionqa.encoders.flow.hmore import ConvexEnlargement, FlowConfig, HMoRe, SubjectTrend, WorldFlow, masked_mean
from motionqa.encoders.flow.raft import LEVELS, RADIUS, Correlation, RAFTSmall, places

SMALL = FlowConfig(updates=2, trend_width=32)


def pictures(height: int = 64, width: int = 80, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.rand(1, 3, height, width), torch.rand(1, 3, height, width)


def test_raft_small_has_the_published_number_of_parameters_under_the_published_names() -> None:
    state = RAFTSmall().state_dict()
    assert sum(v.numel() for v in state.values()) == 990_162
    for name in ("fnet.layer2.0.downsample.0.weight", "cnet.conv2.bias", "update_block.gru.convq.weight"):
        assert name in state
    assert state["update_block.encoder.convc1.weight"].shape == (96, 196, 1, 1)


def test_a_look_around_reads_the_neighbours_of_the_place_it_is_given() -> None:
    torch.manual_seed(1)
    first, second = torch.randn(1, 8, 12, 16), torch.randn(1, 8, 12, 16)
    looked = Correlation(first, second).around(places(first) + torch.tensor([2.0, -1.0])[None, :, None, None])
    side = 2 * RADIUS + 1
    assert looked.shape == (1, LEVELS * side**2, 12, 16)
    y, x = 6, 7
    finest = looked[0, : side**2, y, x].reshape(side, side)
    for dx in range(-RADIUS, RADIUS + 1):
        for dy in range(-RADIUS, RADIUS + 1):
            expected = (first[0, :, y, x] * second[0, :, y - 1 + dy, x + 2 + dx]).sum() / 8**0.5
            assert torch.isclose(finest[dx + RADIUS, dy + RADIUS], expected, atol=1e-4)


def test_what_is_new_leaves_pretrained_flow_as_it_is() -> None:
    plain, ours = RAFTSmall(), WorldFlow(replace(SMALL, classical=False))
    ours.load_state_dict(plain.state_dict(), strict=False)
    first, second = pictures()
    with torch.inference_mode():
        coarse = [F.avg_pool2d(net(first, second, 2)[-1], 8)[..., 2:-2, 2:-2] for net in (plain, ours)]
    assert (coarse[0] - coarse[1]).abs().mean() < 0.1 * coarse[0].abs().mean()


def test_an_untrained_enlargement_is_nearly_bilinear() -> None:
    flow, state = torch.randn(1, 2, 6, 7), torch.randn(1, 5, 6, 7)
    with torch.inference_mode():
        ours = ConvexEnlargement(5)(flow, state)
    bilinear = 8 * F.interpolate(flow, scale_factor=8, mode="bilinear", align_corners=False)
    assert (ours - bilinear).abs().max() < 0.05 * bilinear.abs().max()


def test_classical_flow_is_there_before_any_training() -> None:
    scene = F.interpolate(torch.rand(1, 3, 40, 40), scale_factor=4, mode="bicubic").clamp(0, 1)
    first, second = scene[..., 10:138, 10:138], scene[..., 10:138, 6:134]  # everything moves 4 pixels to the right
    with torch.inference_mode():
        flow = WorldFlow(SMALL)(first, second, 1)[-1]
        none = WorldFlow(replace(SMALL, classical=False))(first, second, 1)[-1]
    assert 1.5 < flow[:, 0].median() < 4.5
    assert none[:, 0].median().abs() < 1.0


def test_attention_carries_what_is_seen_far_away() -> None:
    ours = WorldFlow(SMALL)
    torch.nn.init.normal_(ours.attention[0].proj.weight, std=0.5)  # type: ignore[union-attr]
    first, _ = pictures(64, 256)
    other = first.clone()
    other[..., 200:] = 0.0
    with torch.inference_mode():
        near = ours.features(first)[..., 0] - ours.features(other)[..., 0]
    assert near.abs().max() > 1e-3


def test_an_untrained_course_is_the_mean_flow_inside_the_mask() -> None:
    trend = SubjectTrend(SMALL)
    first, second = pictures(64, 64)
    flow = torch.zeros(1, 2, 64, 64)
    flow[:, 0, :, :32], flow[:, 1, :, 32:] = 3.0, -2.0
    masks = torch.zeros(1, 3, 64, 64)
    masks[0, 0, :, :32], masks[0, 1, 10:20, 40:50] = 1, 1
    found = trend(first, second, flow, masks)
    assert torch.allclose(found[0, 0], torch.tensor([3.0, 0.0]), atol=1e-5)
    assert torch.allclose(found[0, 1], torch.tensor([0.0, -2.0]), atol=1e-5)
    assert torch.allclose(found[0, 2], torch.tensor([1.5, -1.0]), atol=1e-5)  # an empty mask: everything
    assert torch.equal(found, masked_mean(flow, masks))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (97, 131), (65, 200)])
def test_any_size_gives_flow_of_that_size_and_local_is_world_less_course(height: int, width: int) -> None:
    model = HMoRe(SMALL)
    first, second = pictures(height, width)
    with torch.inference_mode():
        found = model(first, second, torch.ones(1, 2, height, width))
    assert found.world.shape == (1, 2, height, width)
    assert found.local.shape == (1, 2, 2, height, width)
    assert len(found.rounds) == 2
    assert torch.equal(found.local[:, 1], found.world - found.trend[:, 1, :, None, None])


def test_pictures_of_different_or_tiny_sizes_are_refused() -> None:
    model = HMoRe(SMALL)
    first, second = pictures()
    with pytest.raises(ValueError, match=r"one size, got \(64, 80\), \(64, 72\)"):
        model(first, second[..., :72], torch.ones(1, 1, 64, 80))
    with pytest.raises(ValueError, match="masks of one size"):
        model(first, second, torch.ones(1, 1, 32, 80))
    with pytest.raises(ValueError, match="at least 64 pixels"):
        model(first[..., :40], second[..., :40], torch.ones(1, 1, 64, 40))
    with pytest.raises(ValueError, match="multiples of 8"):
        RAFTSmall()(first[..., :75], second[..., :75])


def test_the_course_does_not_pull_at_the_world_flow() -> None:
    model = HMoRe(SMALL)
    torch.nn.init.normal_(model.trend.leave.weight)
    first, second = pictures()
    found = model(first, second, torch.ones(1, 1, 64, 80))
    found.trend.sum().backward()
    assert all(p.grad is None for p in model.world.parameters())
    assert model.trend.query.grad is not None

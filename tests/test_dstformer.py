"""DSTformer against the published sizes and against a literal reference."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from motionqa.encoders.dstformer import SIZES, DSTformer, DSTformerConfig
from motionqa.tests import naive_dstformer as naive

TINY = DSTformerConfig(joints=5, width=12, depth=2, heads=3, mlp_ratio=2.0, representation=10, max_frames=9)


def scrambled(config: DSTformerConfig = TINY, seed: int = 0) -> DSTformer:
    """A model with every weight random and large enough to matter, in double precision."""
    torch.manual_seed(seed)
    model = DSTformer(config).double().eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            scale = 0.5 if weight.ndim > 1 else 0.2
            weight.copy_(torch.randn_like(weight) * scale + (1.0 if "norm" in name and "weight" in name else 0.0))
    return model


def clips(frames: int = 7, count: int = 2, seed: int = 1, config: DSTformerConfig = TINY) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, frames, config.joints, config.in_channels, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("size", "parameters"), [("full", 42_466_317), ("lite", 16_001_549)])
def test_the_paper_s_models_have_as_many_parameters_as_the_published_ones(size: str, parameters: int) -> None:
    assert sum(p.numel() for p in DSTformer(SIZES[size]).parameters()) == parameters


@pytest.mark.parametrize("frames", [1, 7, 9])
@pytest.mark.parametrize("training", [False, True])
def test_output_and_representation_are_those_of_the_literal_reference(frames: int, training: bool) -> None:
    model, x = scrambled().train(training), clips(frames)
    weights = dict(model.state_dict())
    assert torch.allclose(model.represent(x), naive.represent(x, weights, TINY.heads), atol=1e-10)
    assert torch.allclose(model(x), naive.joints_in_space(x, weights, TINY.heads), atol=1e-10)
    with torch.inference_mode():  # attention takes the fused kernel here, and the written-out sums above
        assert torch.allclose(model(x), naive.joints_in_space(x, weights, TINY.heads), atol=1e-10)


def test_exchanging_the_streams_or_their_weights_would_be_noticed() -> None:
    model, x = scrambled(), clips()
    weights = dict(model.state_dict())
    right = model.represent(x)
    for orders, fusion in ((("ts", "st"), (0, 1)), (("st", "st"), (0, 1)), (("st", "ts"), (1, 0))):
        assert (right - naive.represent(x, weights, TINY.heads, orders, fusion)).abs().max() > 1e-2
    assert (right - naive.represent(x, weights, 2)).abs().max() > 1e-3  # nor would another number of heads pass


def test_fusion_weighs_each_joint_by_itself_and_starts_even() -> None:
    model, x = DSTformer(TINY).double().eval(), clips()
    halves = naive.represent(x, dict(model.state_dict()), TINY.heads, fusion=(1, 0))
    assert torch.allclose(model.represent(x), halves, atol=1e-10)


def test_gradients_are_those_of_the_literal_reference() -> None:
    model, x = scrambled().train(), clips()
    target = torch.ones_like(x)
    ((model(x) - target) ** 2).sum().backward()
    weights = {k: v.detach().clone().requires_grad_() for k, v in model.state_dict().items()}
    ((naive.joints_in_space(x, weights, TINY.heads) - target) ** 2).sum().backward()
    for name, parameter in model.named_parameters():
        expected = weights[name].grad
        assert parameter.grad is not None
        assert expected is not None
        assert torch.allclose(parameter.grad, expected, atol=1e-8, rtol=1e-6), name
        assert expected.abs().max() > 0, f"{name} has no influence, so the comparison says nothing"


@pytest.mark.parametrize("shape", [(2, 7, 6, 3), (2, 7, 5, 2), (7, 5, 3), (2, 10, 5, 3), (2, 0, 5, 3)])
def test_clips_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        scrambled()(torch.zeros(shape, dtype=torch.float64))
    # Of three axes only, the shape checker of the test run is first to complain.
    assert len(shape) == 3 or "expected" in str(caught.value)
    if shape == (2, 10, 5, 3):
        assert "1 to 9 frames, got 10" in str(caught.value)


def test_one_batch_is_learned_by_heart() -> None:
    torch.manual_seed(0)
    config = replace(TINY, width=24, representation=32, heads=4)
    model, x = DSTformer(config).train(), clips().float()
    target = torch.randn(2, 7, 5, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    losses = []
    for _ in range(300):
        optimizer.zero_grad()
        loss = ((model(x) - target) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.02 * losses[0]


def test_clips_of_a_batch_do_not_see_each_other() -> None:
    model, x = scrambled(), clips()
    assert torch.allclose(model(x)[:1], model(x[:1]), atol=1e-10)
    assert (model(x)[0] - model(x)[1]).abs().max() > 1e-2


@pytest.mark.parametrize("training", [False, True])
def test_a_nan_joint_stays_visible_in_its_own_clip_and_out_of_the_others(training: bool) -> None:
    model, x = scrambled().train(training), clips()
    x[1, 3, 2, 0] = torch.nan
    out = model(x)
    assert torch.isnan(out[1]).all()  # every joint and frame attends to it: none may look sound
    assert torch.isfinite(out[0]).all()


def test_dropout_and_stochastic_depth_act_in_training_only() -> None:
    model = scrambled(replace(TINY, dropout=0.2, drop_path=0.5))
    x = clips(count=8)
    assert torch.equal(model(x), model(x))
    assert torch.allclose(model(x), naive.joints_in_space(x, dict(model.state_dict()), TINY.heads), atol=1e-10)
    model.train()
    assert not torch.equal(model(x), model(x))


def test_sizes_that_can_not_be_are_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match="width 12 must be a multiple of heads 5"):
        replace(TINY, heads=5)
    with pytest.raises(ValueError, match="depth must be at least 1, got 0"):
        replace(TINY, depth=0)


def test_mixed_precision_leaves_the_way_in_and_out_exact() -> None:
    torch.manual_seed(0)
    model = DSTformer(SIZES["debug"]).eval()
    joints = torch.randn(2, 9, 17, 3)
    with torch.inference_mode():
        exact = model(joints)
        with torch.autocast("cpu", torch.bfloat16):
            representation, mixed = model.represent(joints), model(joints)
    for found in (representation, mixed):
        assert found.dtype == torch.float32
        assert not torch.equal(found, found.bfloat16().float())  # more digits than bfloat16 has
    assert (mixed - exact).norm() < 0.01 * exact.norm()

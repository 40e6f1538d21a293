"""Hypernetwork, discriminative and actionable informativeness: gradients of gradients arrive where they must."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from motionqa.encoders.concepts.humocon import ConceptInputs, HuMoCon, Terms
from motionqa.encoders.concepts.informativeness import (
    ConceptClassifier,
    ConceptConfig,
    VelocityTransformer,
    actionable_loss,
    discriminative_loss,
    unit_rms,
)
from motionqa.finetune.pretrain_concepts import SMALL

CONFIG = ConceptConfig(vector=8, width=16, depth=1, heads=2, hide_state=0.0, hide_previous=0.0)
STATE, CONCEPT = 6, 5


def classifier(config: ConceptConfig = CONFIG, seed: int = 0) -> ConceptClassifier:
    torch.manual_seed(seed)
    return ConceptClassifier(STATE, CONCEPT, config)


def slow_logits(model: ConceptClassifier, state: Tensor, concept: Tensor) -> Tensor:
    """InfoCon's formulas for one state and one concept, written out."""
    v = [p(concept) / p(concept).norm() for p in model.vectors]
    h = state
    for level, inner in enumerate(model.inner):
        theta = model.weights(inner(v[level]))
        weight, bias = theta[: STATE * STATE].reshape(STATE, STATE), theta[STATE * STATE :]
        h = h @ weight + bias
        if level < len(model.inner) - 1:
            h = h.relu()
    direction = model.direction(v[-1])
    return (direction @ h) / (direction.norm() * h.norm()) / 0.1


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_the_generated_classifier_is_infocon_s(levels: int) -> None:
    model = classifier(replace(CONFIG, levels=levels))
    states, concepts = torch.randn(3, 4, STATE), torch.randn(3, CONCEPT)
    found = model.logits(states, concepts)
    for k in range(3):
        for f in range(4):
            assert found[k, f].item() == pytest.approx(slow_logits(model, states[k, f], concepts[k]).item(), abs=1e-4)
    shared = model.logits(states[:1], concepts)  # one set of states against every concept
    assert torch.allclose(shared[0], found[0], atol=1e-5)
    assert torch.allclose(shared[2], model.logits(states[:1], concepts[2:])[0], atol=1e-5)
    # Only the direction of a concept's unit vectors counts.
    assert torch.allclose(model.logits(states, 3 * concepts), found, atol=1e-4)


def test_each_state_is_scored_against_the_concept_of_its_own_token() -> None:
    model = classifier()
    states, concepts = torch.randn(2, 8, STATE), torch.randn(2, 2, CONCEPT)
    left = model.left(states, concepts)
    assert left.shape == (2, 8)
    expected = model.logits(states[1, 4:][None], concepts[1, 1:]).sigmoid()[0]
    assert torch.allclose(left[1, 4:], expected, atol=1e-6)


def test_the_gradient_is_that_of_the_score_with_the_concept_held() -> None:
    model = classifier().double()
    states = torch.randn(1, 4, STATE, dtype=torch.float64, requires_grad=True)
    concepts = states.mean(dim=1, keepdim=True)[..., :CONCEPT] * 2  # a concept that itself comes from the states
    g = model.gradient(states, concepts)
    step = 1e-6
    for t, s in ((0, 0), (2, 3), (3, 5)):
        moved = states.detach().clone()
        moved[0, t, s] += step
        with torch.no_grad():
            rise = (model.left(moved, concepts) - model.left(states, concepts)).sum() / step
        assert g[0, t, s].item() == pytest.approx(rise.item(), rel=1e-3, abs=1e-7)


def test_gradients_of_gradients_agree_with_finite_differences() -> None:
    model = classifier().double()
    states = torch.randn(1, 4, STATE, dtype=torch.float64)
    concepts = torch.randn(1, 1, CONCEPT, dtype=torch.float64)

    def of(states: Tensor, concepts: Tensor) -> Tensor:
        return model.gradient(states, concepts)

    assert torch.autograd.gradcheck(of, (states.requires_grad_(), concepts.requires_grad_()), atol=1e-5)


def test_velocity_trains_the_hypernetwork_and_the_encoder_through_the_gradient_alone() -> None:
    model, reader = classifier(), VelocityTransformer(STATE, 3, replace(CONFIG, hide_state=1.0, hide_previous=1.0))
    reader.train()  # everything but the gradient is withheld
    states = torch.randn(2, 8, STATE, requires_grad=True)
    concepts = torch.randn(2, 2, CONCEPT, requires_grad=True)
    actionable_loss(model, reader, states, concepts, torch.randn(2, 7, 3)).backward()
    for name, value in {"states": states, "concepts": concepts, **dict(model.named_parameters())}.items():
        assert value.grad is not None, name
        if name != "weights.bias":
            assert value.grad.abs().sum() > 0, name


def test_without_recording_the_gradient_is_the_same_and_leaves_no_graph() -> None:
    model = classifier()
    states, concepts = torch.randn(1, 4, STATE), torch.randn(1, 1, CONCEPT)
    kept = model.gradient(states.clone().requires_grad_(), concepts)
    with torch.no_grad():
        bare = model.gradient(states, concepts)
    assert kept.requires_grad
    assert not bare.requires_grad
    assert torch.allclose(kept, bare, atol=1e-6)


def test_discrimination_is_learned_where_states_tell_their_concept() -> None:
    torch.manual_seed(0)
    model = classifier()
    book = torch.randn(4, CONCEPT)
    centres = 3 * torch.randn(4, STATE)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)

    def batch(seed: int) -> tuple[Tensor, Tensor, Tensor]:
        g = torch.Generator().manual_seed(seed)
        codes = torch.randint(4, (8, 2), generator=g)
        states = centres[codes].repeat_interleave(4, dim=1) + 0.3 * torch.randn(8, 8, STATE, generator=g)
        return states, book[codes], codes

    first = discriminative_loss(model, *batch(0), sampled=4)
    for step in range(200):
        found = discriminative_loss(model, *batch(step), sampled=3)
        found["loss"].backward()
        optimiser.step()
        optimiser.zero_grad()
    last = discriminative_loss(model, *batch(1000), sampled=4)
    assert last["loss"] < 0.5 * first["loss"]
    assert last["accuracy"] > 0.9
    states, concepts, _ = batch(1001)
    left = model.left(states, concepts)
    assert left.mean() < 0.2  # inside a concept the score is near 0


def test_inside_and_outside_weigh_the_same_however_many_they_are() -> None:
    model = classifier()
    states = torch.randn(1, 40, STATE)
    codes = torch.zeros(1, 10, dtype=torch.long)
    codes[0, 0] = 1
    book = torch.randn(2, CONCEPT)
    found = discriminative_loss(model, states, book[codes], codes, sampled=2)
    logits = model.logits(states, book)
    inside = torch.stack([codes[0].repeat_interleave(4) == k for k in (0, 1)])
    ce = F.binary_cross_entropy_with_logits(logits, (~inside).float(), reduction="none")
    expected = torch.stack([ce[k][inside[k]].mean() + ce[k][~inside[k]].mean() for k in (0, 1)]).mean() / 2
    assert found["loss"].item() == pytest.approx(expected.item(), rel=1e-4)
    alone = discriminative_loss(model, states, book[codes * 0], codes * 0, sampled=2)
    expected = F.softplus(model.logits(states, book[:1])).mean()
    assert alone["loss"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_discrimination_passes_gradients_straight_through_to_the_encoder() -> None:
    model = HuMoCon(SMALL)
    torch.manual_seed(0)
    for part in (model.motion, model.video):
        part.quantizer.start(torch.randn(64, 8))
    inputs = ConceptInputs(torch.randn(4, 8, 17, 256), torch.randn(4, 8, 17, 3), torch.ones(4, 8, 17))
    out = model.train()(inputs, Terms(mask=0.0))
    for term in ("motion_dis", "motion_act"):
        model.zero_grad()
        out[term].backward(retain_graph=True)
        entered = model.motion.to_tokens.leave.weight.grad
        assert entered is not None
        assert entered.abs().sum() > 0, term
        assert model.motion.head.weight.grad is None  # and asks nothing of the decoder


# --------------------------------------------------------------------------------------------- velocity


def test_a_frame_s_velocity_is_predicted_from_nothing_later() -> None:
    torch.manual_seed(0)
    reader = VelocityTransformer(STATE, 3, CONFIG).eval()
    states, gradients, before = (torch.randn(1, 8, n) for n in (STATE, STATE, 3))
    found = reader(states, unit_rms(gradients), before)
    for which in range(3):
        given = [states.clone(), unit_rms(gradients), before.clone()]
        later = given[which].clone()
        sign = -1.0 if which == 1 else 5.0  # gradients are scaled per window: keep their RMS
        later[:, 5:] *= sign
        given[which] = later
        other = reader(*given)
        assert torch.allclose(other[:, :5], found[:, :5], atol=1e-5)
        assert not torch.allclose(other[:, 5:], found[:, 5:], atol=1e-3)


def test_the_velocity_before_is_the_one_that_led_to_the_frame() -> None:
    seen: list[tuple[Tensor, Tensor]] = []
    model, reader = classifier(), VelocityTransformer(STATE, 3, CONFIG).eval()
    reader.register_forward_hook(lambda m, i, o: seen.append((i[2], o)))  # type: ignore[arg-type]
    velocity = torch.randn(2, 7, 3)
    loss = actionable_loss(model, reader, torch.randn(2, 8, STATE), torch.randn(2, 2, CONCEPT), velocity)
    ((before, found),) = seen
    assert (before[:, 0] == 0).all()
    assert torch.equal(before[:, 1:], velocity)
    assert loss.item() == pytest.approx((found[:, :-1] - velocity).square().mean().item(), rel=1e-5)


def test_unmeasured_joints_do_not_count() -> None:
    model, reader = classifier(), VelocityTransformer(STATE, 3, replace(CONFIG, hide_previous=1.0)).train()
    states, concepts, velocity = torch.randn(2, 8, STATE), torch.randn(2, 2, CONCEPT), torch.randn(2, 7, 3)
    weight = torch.ones(2, 7, 3)
    weight[:, :, 1] = 0
    wild = velocity.clone()
    wild[:, :, 1] += 100
    losses = [actionable_loss(model, reader, states, concepts, v, weight).item() for v in (velocity, wild)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_windows_of_unlike_gradients_are_read_at_one_scale() -> None:
    x = torch.randn(2, 8, STATE)
    x[1] *= 1e-4
    scaled = unit_rms(x)
    assert torch.allclose(scaled.square().mean(dim=(1, 2)), torch.ones(2), atol=1e-4)
    assert torch.allclose(unit_rms(torch.zeros(1, 8, STATE)), torch.zeros(1, 8, STATE))


@pytest.mark.parametrize(("settings", "message"), [({"levels": 1}, "levels"), ({"heads": 5}, "multiple of heads")])
def test_impossible_sizes_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConceptConfig(**settings)
    with pytest.raises(ValueError, match="at most 64 frames, got 68"):
        VelocityTransformer(STATE, 3, CONFIG)(
            torch.randn(1, 68, STATE), torch.randn(1, 68, STATE), torch.randn(1, 68, 3)
        )

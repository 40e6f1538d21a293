"""The codebook: codes start, learn, move when nobody uses them, and stay where they are when frozen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from motionqa.data.schema import InputError
from motionqa.encoders.concepts.quantizer import (
    Quantizer,
    QuantizerConfig,
    code_usage,
    load_codebook,
    save_codebook,
)

CONFIG = QuantizerConfig(codes=8, width=4, decay=0.9)


def blobs(seed: int = 0, clips: int = 16, tokens: int = 8, spread: float = 0.01) -> Tensor:
    """Vectors near eight far-apart centres."""
    g = torch.Generator().manual_seed(seed)
    centres = 10 * torch.eye(4).repeat(2, 1) * torch.tensor([1.0] * 4 + [-1.0] * 4)[:, None]
    chosen = torch.randint(8, (clips, tokens), generator=g)
    return centres[chosen] + spread * torch.randn(clips, tokens, 4, generator=g)


def started(config: QuantizerConfig = CONFIG) -> Quantizer:
    torch.manual_seed(0)
    quantizer = Quantizer(config)
    quantizer.start(blobs().flatten(0, 1))
    return quantizer


def buffers(quantizer: Quantizer) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in quantizer.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[k], b[k]) for k in a)


def test_every_vector_becomes_the_nearest_code() -> None:
    quantizer = started().eval()
    x = blobs(3)
    found = quantizer(x)
    far = (quantizer.levelled(x)[:, :, None] - quantizer.vectors).norm(dim=-1)
    assert torch.equal(found.codes, far.argmin(dim=-1))
    assert torch.equal(found.vectors, quantizer.vectors[found.codes])
    assert torch.allclose(quantizer.distances(x), far.square(), atol=1e-4)


def test_gradients_pass_straight_through_and_commitment_pulls_towards_the_code() -> None:
    quantizer = started().freeze().train()
    x = blobs(4).requires_grad_()
    found = quantizer(x)
    (3 * found.vectors).sum().backward()
    assert x.grad is not None
    spread = blobs().flatten(0, 1).std(dim=0)
    assert torch.allclose(x.grad * spread, torch.full_like(x, 3.0), rtol=1e-3)
    x.grad = None
    found = quantizer(x)
    away = quantizer.levelled(x) - found.vectors.detach()
    assert found.commitment.item() == pytest.approx(away.square().mean().item(), rel=1e-4)
    found.commitment.backward()
    assert x.grad is not None
    assert torch.equal(torch.sign(x.grad), torch.sign(away))


def test_codes_move_towards_what_is_assigned_to_them_in_training_only() -> None:
    quantizer = started()
    squeezed = blobs(5) * torch.tensor([1.0, 1.0, 0.2, 0.2])  # other places relative to each other
    squeezed[..., 0] += squeezed[..., 1]
    quantizer.eval()
    before = buffers(quantizer)
    quantizer(squeezed)
    assert same(before, buffers(quantizer))
    quantizer.train()
    gap = quantizer(squeezed).commitment
    for _ in range(60):
        quantizer(squeezed)
    assert quantizer(squeezed).commitment < 0.2 * gap


def test_codes_keep_up_with_an_encoder_that_drifts() -> None:
    quantizer = started().train()
    for step in range(50):  # the codes' averages would lag behind
        assert len(quantizer(blobs(step) * (1 + 0.2 * step) + 3.0 * step).codes.unique()) >= 6
    quantizer.eval()
    assert len(quantizer(blobs(99) * 10.8 + 147.0).codes.unique()) >= 6


def test_a_frozen_codebook_does_not_change_in_training_either_and_still_passes_gradients() -> None:
    quantizer = started().freeze()
    quantizer.train()
    before = buffers(quantizer)
    x = (blobs(6) + 2.0).requires_grad_()
    for _ in range(5):
        found = quantizer(x)
        (found.vectors.sum() + found.commitment).backward()
    assert same(before, buffers(quantizer))
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def send_away(quantizer: Quantizer) -> None:
    """Puts the first code far from everything."""
    state = quantizer.state_dict()
    state["book._codebook.embed"][0, 0] = 1000.0
    state["book._codebook.embed_avg"][0, 0] = 1000.0 * state["book._codebook.cluster_size"][0, 0]
    quantizer.load_state_dict(state)


def test_a_code_that_nobody_uses_is_put_where_vectors_are() -> None:
    quantizer = started().train()
    quantizer(blobs(7))
    send_away(quantizer)
    for _ in range(60):
        quantizer(blobs(7))
    assert quantizer.vectors.abs().max() < 20
    lonely = started(QuantizerConfig(codes=8, width=4, decay=0.9, dead_below=0)).train()
    lonely(blobs(7))
    send_away(lonely)
    for _ in range(60):
        lonely(blobs(7))
    assert lonely.vectors.abs().max() > 100


def test_a_codebook_without_codes_is_an_error_and_not_a_start_in_passing() -> None:
    torch.manual_seed(0)
    quantizer = Quantizer(CONFIG)
    assert not quantizer.started
    with pytest.raises(ValueError, match="no codes yet"):
        quantizer.eval()(blobs())
    with pytest.raises(ValueError, match="7 vectors cannot start 8 codes"):
        quantizer.start(torch.randn(7, 4))
    quantizer.start(blobs().flatten(0, 1))
    assert quantizer.started
    quantizer.eval()
    away = quantizer.levelled(blobs(1)) - quantizer(blobs(1)).vectors
    assert away.square().mean() < 0.6  # of a variance of 1: k-means found most of the eight centres


def test_usage_counts_codes_and_their_evenness() -> None:
    even = code_usage(torch.tensor([5, 5, 5, 5, 0, 0, 0, 0]))
    assert even.used == 0.5
    assert even.perplexity == pytest.approx(4.0)
    assert code_usage(torch.tensor([9, 0, 0, 0])).perplexity == pytest.approx(1.0)
    assert code_usage(torch.tensor([90, 10])).perplexity == pytest.approx(1.3842, abs=1e-3)
    assert code_usage(torch.zeros(4)).used == 0
    quantizer = started()
    assert quantizer.counts([torch.tensor([0, 1, 1]), torch.tensor([[7]])]).tolist() == [1, 2, 0, 0, 0, 0, 0, 1]
    quantizer.train()
    one = blobs(8)[:1, :1].expand(4, 8, 4)
    for _ in range(80):
        quantizer(one)
    assert quantizer.running_usage().perplexity < 4  # codes that were moved to the one place are not counted as used
    for seed in range(80):
        quantizer(blobs(seed))
    assert quantizer.running_usage().perplexity > 4  # and are once they take vectors over


def test_weights_that_were_saved_give_the_same_codes() -> None:
    quantizer = started().eval()
    other = Quantizer(CONFIG).eval()
    other.load_state_dict(quantizer.state_dict())
    assert other.started
    assert torch.equal(other(blobs(9)).codes, quantizer(blobs(9)).codes)


def test_a_codebook_is_exchanged_between_models_of_one_size_only(tmp_path: Path) -> None:
    quantizer = started()
    path = save_codebook(tmp_path / "fine.safetensors", quantizer, "full-0")
    other = Quantizer(CONFIG)
    load_codebook(path, other, "full-1")
    assert torch.equal(other.vectors, quantizer.vectors)
    assert torch.equal(other.eval()(blobs(2)).codes, quantizer.eval()(blobs(2)).codes)
    small = Quantizer(QuantizerConfig(codes=4, width=4))
    with pytest.raises(InputError, match=r"fine.safetensors.*'full-0'.*8 codes of width 4.*'tiny'.*4 codes of width 4"):
        load_codebook(path, small, "tiny")
    assert not small.started
    (tmp_path / "torn.safetensors").write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="no codebook file"):
        load_codebook(tmp_path / "torn.safetensors", other, "full-1")
    with pytest.raises(InputError, match="no codebook file"):
        load_codebook(tmp_path / "nowhere.safetensors", other, "full-1")


@pytest.mark.parametrize(("settings", "message"), [({"codes": 1}, "at least 2 codes"), ({"decay": 1.0}, "decay")])
def test_impossible_codebooks_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QuantizerConfig(**settings)  # type: ignore[arg-type]

"""Heads on the representation: what they compute, the contrastive loss, and their way to disk and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.encoders.heads import ActionHead, EmbeddingHead, MotionModel, TemporalTransformer, supervised_contrastive
from motionqa.encoders.model_dir import load_model_dir, save_model_dir

SIZE = SIZES["debug"]


def model(kind: str) -> nn.Module:
    torch.manual_seed(0)
    match kind:
        case "action":
            return MotionModel(DSTformer(SIZE), ActionHead(17, SIZE.representation, 5, hidden=8))
        case "embedding":
            return MotionModel(DSTformer(SIZE), EmbeddingHead(17, SIZE.representation, width=8))
    return TemporalTransformer(5, width=16)


def joints(frames: int = 6, count: int = 3) -> Tensor:
    return torch.randn(count, frames, 17, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", ["action", "embedding", "transformer"])
def test_a_model_with_its_head_comes_back_from_disk_with_what_it_is_for(tmp_path: Path, kind: str) -> None:
    true = model(kind)
    true.train()(joints())  # moves the running statistics of batch norms
    about = {"task": "utd_mhad", "classes": ["a", "b"], "frames": 6}
    found = load_model_dir(save_model_dir(tmp_path / kind, true, usage=about))
    assert found.usage == about
    assert not found.model.training
    assert type(found.model) is type(true)
    half = {k: v.half().float() if v.is_floating_point() else v for k, v in true.state_dict().items()}
    true.load_state_dict(half)
    with torch.no_grad():
        assert torch.equal(found.model(joints()), true.eval()(joints()))


def test_embeddings_are_unit_vectors_and_class_scores_are_not() -> None:
    with torch.no_grad():
        embedding, scores = (model(k).eval()(joints()) for k in ("embedding", "action"))
    assert embedding.shape == (3, 8)
    assert torch.allclose(embedding.norm(dim=-1), torch.ones(3))
    assert scores.shape == (3, 5)


@pytest.mark.parametrize("kind", ["action", "embedding"])
def test_heads_look_at_the_mean_over_time_joint_by_joint(kind: str) -> None:
    motion = model(kind).eval()
    assert isinstance(motion, MotionModel)
    representation = torch.randn(2, 6, 17, SIZE.representation)
    with torch.no_grad():
        found = motion.head(representation)
        reversed_in_time = motion.head(representation.flip(1))
        other_joints = motion.head(representation.flip(2))
    assert torch.allclose(found, reversed_in_time, atol=1e-5)
    assert (found - other_joints).abs().max() > 1e-3


def test_the_small_baseline_sees_the_order_of_frames() -> None:
    plain = model("transformer").eval()
    with torch.no_grad():
        assert plain(joints(31)).shape == (3, 5)
        assert (plain(joints()) - plain(joints().flip(1))).abs().max() > 1e-4


def test_the_contrastive_loss_is_the_one_written_out() -> None:
    embedding = nn.functional.normalize(torch.randn(7, 4, generator=torch.Generator().manual_seed(2)), dim=-1)
    label = torch.tensor([0, 0, 1, 1, 1, 2, 0])  # nobody shares 2
    z, terms = embedding.double().numpy(), []
    for i in range(7):
        partners = [p for p in range(7) if p != i and label[p] == label[i]]
        if not partners:
            continue
        others = sum(np.exp(z[i] @ z[a] / 0.1) for a in range(7) if a != i)
        terms.append(-np.mean([np.log(np.exp(z[i] @ z[p] / 0.1) / others) for p in partners]))
    assert float(supervised_contrastive(embedding, label)) == pytest.approx(np.mean(terms), rel=1e-4)


def test_clips_of_one_action_side_by_side_cost_nothing_and_a_batch_without_partners_is_refused() -> None:
    together = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    label = torch.tensor([0, 0, 1, 1])
    assert float(supervised_contrastive(together, label)) == pytest.approx(0, abs=1e-4)
    assert float(supervised_contrastive(together, torch.tensor([0, 1, 0, 1]))) > 10
    with pytest.raises(ValueError, match="no action occurs twice"):
        supervised_contrastive(together, torch.arange(4))

"""Motion and video in one space: partners are found, and unpaired clips take no part."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from motionqa.encoders.concepts.align import AlignConfig, Alignment
from motionqa.encoders.concepts.humocon import ConceptInputs, HuMoCon, Terms
from motionqa.finetune.pretrain_concepts import SMALL


def test_the_loss_is_the_cross_entropy_of_finding_the_partner_both_ways() -> None:
    torch.manual_seed(0)
    align = Alignment(5, 7, AlignConfig(width=4, hidden=6, temperature=0.2))
    motion, video = torch.randn(3, 2, 5), torch.randn(3, 6, 7)
    found = align.loss(motion, video)
    a, b = align.motion(motion), align.video(video)
    assert torch.allclose(a.norm(dim=-1), torch.ones(3))
    like = torch.stack([torch.stack([F.cosine_similarity(x, y, dim=0) for y in b]) for x in a]) / 0.2
    expected = -sum(like[i].log_softmax(0)[i] + like[:, i].log_softmax(0)[i] for i in range(3)) / 6
    assert found["loss"].item() == pytest.approx(float(expected), rel=1e-4)
    assert found["accuracy"].item() == pytest.approx(float((like.argmax(dim=1) == torch.arange(3)).float().mean()))


def test_partners_come_together_and_strangers_apart() -> None:
    torch.manual_seed(0)
    align = Alignment(5, 7, AlignConfig(width=8, hidden=16))
    hidden = torch.randn(12, 3)
    look_m, look_v = torch.randn(3, 5), torch.randn(3, 7)
    motion, video = (
        (hidden @ look_m)[:, None] + torch.zeros(12, 2, 5),
        (hidden @ look_v)[:, None] + torch.zeros(12, 2, 7),
    )
    optimiser = torch.optim.Adam(align.parameters(), 1e-2)
    for _ in range(150):
        loss = align.loss(motion, video)["loss"]
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    like = align.motion(motion) @ align.video(video).T
    assert align.loss(motion, video)["accuracy"] > 0.9
    assert like.diagonal().mean() > like.fill_diagonal_(0).sum() / (12 * 11) + 0.5


def test_one_pair_has_nobody_to_be_told_from_and_unequal_numbers_are_no_pairs() -> None:
    align = Alignment(5, 5)
    alone = align.loss(torch.randn(1, 2, 5, requires_grad=True), torch.randn(1, 2, 5))
    assert alone["loss"] == 0
    alone["loss"].backward()  # still in the graph
    with pytest.raises(ValueError, match="3 motions and 2 videos"):
        align.loss(torch.randn(3, 2, 5), torch.randn(2, 2, 5))
    with pytest.raises(ValueError, match="temperature"):
        AlignConfig(temperature=0)


def test_unpaired_motion_trains_the_other_terms_and_not_the_alignment() -> None:
    torch.manual_seed(0)
    model = HuMoCon(SMALL).train()
    for part in (model.motion, model.video):
        part.quantizer.start(torch.randn(64, 8))
        part.quantizer.freeze()  # the same codes in both passes
    motion = torch.randn(6, 8, 17, 256), torch.randn(6, 8, 17, 3), torch.ones(6, 8, 17)
    seen, flow = torch.rand(3, 8, 1, 64, 64), torch.randn(3, 8, 4, 64, 64)
    full = model(ConceptInputs(*motion, seen, flow, pairs=3), Terms(mask=0))
    paired = model(ConceptInputs(*[x[:3] for x in motion], seen=seen, flow=flow, pairs=3), Terms(mask=0))
    assert full["align"].item() == pytest.approx(paired["align"].item(), rel=1e-4)
    assert full["motion_rec"].item() != pytest.approx(paired["motion_rec"].item(), rel=1e-3)
    alone = model(ConceptInputs(*motion), Terms(mask=0))
    assert "align" not in alone
    assert {"motion_rec", "motion_dis", "motion_act"} <= set(alone)
    assert not any(k.startswith("video") for k in alone)
    only_video = model(ConceptInputs(seen=seen, flow=flow), Terms(mask=0))
    assert {"video_rec", "video_dis", "video_act"} <= set(only_video)
    assert not any(k.startswith("motion") for k in only_video)
    assert "video_act" not in model(ConceptInputs(seen=seen), Terms(mask=0))  # without flow there is no velocity

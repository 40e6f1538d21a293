"""Video to concepts and back: which flow is shown, which is asked for, and other frame encoders by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from motionqa.data.schema import InputError
from motionqa.encoders.concepts.humocon import HuMoCon
from motionqa.encoders.concepts.track import VideoFrames, encode_clip, encode_video
from motionqa.encoders.concepts.video_vq import (
    FRAME_ENCODERS,
    VideoVQ,
    VideoVQConfig,
    arriving,
    coarse,
    flow_velocity,
)
from motionqa.finetune.pretrain_concepts import SMALL


def started() -> HuMoCon:
    torch.manual_seed(0)
    model = HuMoCon(SMALL)
    for part in (model.motion, model.video):
        part.quantizer.start(torch.randn(64, 8))
    return model.eval()


def film(frames: int, seed: int = 0, flow: bool = True) -> VideoFrames:
    rng = np.random.default_rng(seed)
    seen = rng.random((frames, 1, 64, 64)).astype(np.float32)
    return VideoFrames(seen, rng.normal(size=(frames, 4, 64, 64)).astype(np.float32) * 0.1 if flow else None, 15.0)


def test_four_frames_become_one_token_and_frames_again() -> None:
    part = started().video
    seen, flow = torch.rand(2, 8, 1, 64, 64), torch.randn(2, 8, 4, 64, 64)
    states = part.states(seen, flow)
    found = part.quantise(part.latents(states))
    assert states.shape == (2, 8, SMALL.video.state)
    assert found.codes.shape == (2, 2)
    assert part.decode(found.vectors).shape == (2, 8, 1, 32, 32)


def test_a_state_knows_the_flow_that_arrived_and_not_the_one_that_leaves() -> None:
    part = started().video
    seen, flow = torch.rand(1, 8, 1, 64, 64), torch.randn(1, 8, 4, 64, 64)
    other = flow.clone()
    other[0, 3] += 1
    changed = (part.states(seen, flow) - part.states(seen, other)).abs().sum(dim=-1)[0] > 0
    assert changed.tolist() == [t == 4 for t in range(8)]
    assert torch.equal(arriving(flow)[:, 1:], flow[:, :-1])
    assert (arriving(flow)[:, 0] == 0).all()


def test_velocity_is_the_mean_flow_of_each_square() -> None:
    flow = torch.randn(1, 5, 4, 64, 64)
    found = flow_velocity(flow)
    assert found.shape == (1, 4, 4, 8, 8)
    assert found[0, 2, 1, 3, 5].item() == pytest.approx(flow[0, 2, 1, 24:32, 40:48].mean().item(), abs=1e-6)
    assert coarse(torch.ones(1, 2, 1, 64, 64), 32).shape == (1, 2, 1, 32, 32)


def test_without_flow_a_video_is_encoded_as_if_nothing_moved() -> None:
    model = started()
    still = replace(film(12), flow=np.zeros((12, 4, 64, 64), np.float32))
    a, b = encode_video(model, still), encode_video(model, replace(still, flow=None))
    assert a.codes.tolist() == b.codes.tolist()
    assert np.allclose(a.embedding, b.embedding, atol=1e-6)


def test_a_long_video_is_encoded_in_parts_that_do_not_show() -> None:
    model = started()
    video = film(70)  # more than is looked at together
    track = encode_video(model, video)
    assert track.codes.shape == (18,)
    with torch.no_grad():
        seen, flow = (torch.from_numpy(x)[None] for x in (video.seen, video.flow))
        states = model.video.states(seen, flow)[0]
        from motionqa.encoders.concepts.track import stitched

        latents = stitched(model.video.latents, states, SMALL.window)
        assert track.codes.tolist() == model.video.quantise(latents[None]).codes[0].tolist()


def test_bad_video_says_what_is_wrong() -> None:
    model = started()
    with pytest.raises(InputError, match=r"\(1, 32, 32\), these weights expect \(1, 64, 64\)"):
        encode_video(model, VideoFrames(np.zeros((4, 1, 32, 32), np.float32), None, 15.0))
    with pytest.raises(InputError, match="the flow is"):
        encode_video(model, replace(film(4), flow=np.zeros((3, 4, 64, 64), np.float32)))
    with pytest.raises(InputError, match="24 frames a second"):
        encode_video(model, replace(film(4), fps=24.0))
    with pytest.raises(ValueError, match=r"expected frames of .*\(1, 64, 64\)"):
        started().video.states(torch.rand(1, 4, 2, 64, 64), None)
    assert encode_clip(model, video=film(4)).motion is None


def test_the_usual_picture_is_taken_away_and_put_back() -> None:
    part = started().video
    seen = torch.rand(6, 1, 64, 64)
    flat = torch.zeros(1, 4, 1, 64, 64)
    before = part.states(flat, None), part.decode(torch.zeros(1, 1, 8))
    part.centre(seen)
    usual = seen.mean(dim=0)
    assert torch.allclose(part.states(flat + usual, None), before[0], atol=1e-5)
    added = part.decode(torch.zeros(1, 1, 8)) - before[1]
    assert torch.allclose(added, coarse(usual[None, None], 32).expand_as(added), atol=1e-5)


class ColumnMeans(nn.Module):
    """Another frame encoder: it only looks at columns."""

    def __init__(self, config: VideoVQConfig) -> None:
        super().__init__()
        self.width = 12
        self.out = nn.Linear(config.side * (config.channels + 4), 12)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.out(pictures.mean(dim=2).flatten(1))


def test_another_frame_encoder_takes_the_place_of_the_compact_one_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FRAME_ENCODERS, "columns", ColumnMeans)
    part = VideoVQ(replace(SMALL.video, frame_encoder="columns"))
    assert isinstance(part.frames, ColumnMeans)
    assert part.states(torch.rand(1, 4, 1, 64, 64), None).shape == (1, 4, SMALL.video.state)
    with pytest.raises(ValueError, match=r"no frame encoder 'siglip', only columns, compact"):
        VideoVQ(replace(SMALL.video, frame_encoder="siglip"))


def test_a_video_can_be_learned_by_heart_through_codes() -> None:
    torch.manual_seed(0)
    model = VideoVQ(replace(SMALL.video, frame_width=32, width=32)).train()
    seen = torch.zeros(2, 8, 1, 64, 64)
    for t in range(8):
        seen[0, t, 0, 4 * t : 4 * t + 24, 8:40] = 1
        seen[1, t, 0, 20:44, 6 * t : 6 * t + 16] = 1
    target = coarse(seen, 32)
    with torch.no_grad():
        model.quantizer.start(model.latents(model.states(seen, None)).flatten(0, 1).repeat(8, 1))
    optimiser = torch.optim.AdamW(model.parameters(), 5e-3)
    errors = []
    for _ in range(80):
        found = model.quantise(model.latents(model.states(seen, None)))
        error = (model.decode(found.vectors) - target).square().mean()
        (error + 0.01 * found.commitment).backward()
        optimiser.step()
        optimiser.zero_grad()
        errors.append(error.item())
    assert errors[-1] < 0.3 * errors[0]


@pytest.mark.parametrize("settings", [{"side": 48}, {"decoded_side": 24}, {"side": 64, "decoded_side": 12}])
def test_sizes_that_do_not_divide_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be a multiple"):
        VideoVQConfig(**settings)  # type: ignore[arg-type]

"""Motion to concepts and back: frames to tokens, masks on quantised features, any length without seams."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from motionqa.data.schema import InputError
from motionqa.encoders.concepts.frame_tokens import TOKEN_FRAMES, ToTokens, hidden_tokens
from motionqa.encoders.concepts.humocon import HuMoCon
from motionqa.encoders.concepts.motion_features import MotionFeatures, motion_features, torch_representation
from motionqa.encoders.concepts.motion_vq import MotionVQ, velocity
from motionqa.encoders.concepts.track import decode_motion, encode_clip, encode_motion, stitched
from motionqa.encoders.dstformer import SIZES, DSTformer
from motionqa.encoders.lifter import LifterConfig
from motionqa.finetune.pretrain_concepts import SMALL
from motionqa.tests.mocap_clips import clip


def started(seed: int = 0) -> HuMoCon:
    torch.manual_seed(seed)
    model = HuMoCon(SMALL)
    for part in (model.motion, model.video):
        part.quantizer.start(torch.randn(64, 8))
    return model.eval()


def smooth_features(frames: int, seed: int = 0) -> np.ndarray:
    """Features that change slowly, as a body's do."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(size=(6, 17, 256))
    times = np.arange(frames)[:, None] / 15
    shape = np.concatenate([np.sin(2 * np.pi * f * times + f) for f in (0.3, 0.7, 1.1, 1.7, 2.3, 3.1)], axis=1)
    return np.tanh(np.einsum("tw,wjr->tjr", shape, waves)).astype(np.float32)


def features(frames: int, seed: int = 0) -> MotionFeatures:
    return MotionFeatures(smooth_features(frames, seed), np.arange(frames), 15.0)


# ---------------------------------------------------------------------------------------------- the parts


def test_four_frames_become_one_token_and_four_frames_again() -> None:
    part = started().motion
    states = part.states(torch.randn(2, 24, 17, 256))
    latents = part.latents(states)
    found = part.quantise(latents)
    decoded = part.decode(found.vectors)
    assert states.shape == (2, 24, SMALL.motion.state)
    assert latents.shape == (2, 6, SMALL.motion.quantizer.width)
    assert found.codes.shape == (2, 6)
    assert decoded.shape == (2, 24, 17, 3)
    assert (decoded[:, :, 0] == 0).all()  # about the pelvis
    assert torch.allclose(velocity(decoded), decoded[:, 1:] - decoded[:, :-1])


def test_a_state_is_of_one_frame_and_a_token_of_the_frames_around_it() -> None:
    part = started().motion
    x = torch.randn(1, 24, 17, 256)
    other = x.clone()
    other[0, 10] += 1
    changed = (part.states(x) - part.states(other)).abs().sum(dim=-1)[0] > 0
    assert changed.tolist() == [t == 10 for t in range(24)]
    far = torch.randn(1, 96, 17, 256)
    moved = far.clone()
    moved[0, :4] += 1
    tokens = (part.latents(part.states(far)) - part.latents(part.states(moved))).abs().sum(dim=-1)[0]
    assert tokens[0] > 0
    assert (tokens[12:] == 0).all()


def test_states_see_what_differs_from_what_is_usual() -> None:
    part = started().motion
    usual = torch.randn(1, 1, 17, 256).sign()
    small = 0.1 * torch.randn(64, 1, 17, 256)
    pose = torch.randn(64, 17, 3)
    pose -= pose[:, :1].clone()
    part.centre((usual + small).flatten(0, 1), pose)
    one, other = part.states(usual + small[:1]), part.states(usual + small[1:2])
    bare = started().motion
    gap = (one - other).norm() / one.norm()
    assert gap > 3 * (bare.states(usual + small[:1]) - bare.states(usual + small[1:2])).norm() / one.norm()
    decoded = part.decode(torch.zeros(1, 2, 8))
    assert (decoded - pose.mean(dim=0)).abs().max() < (decoded.abs().max() + 0.1) * 0.5  # near the mean pose
    constant = torch.ones(8, 17, 256)
    part.centre(constant, pose[:8])
    assert torch.isfinite(part.states(constant[None])).all()


def test_features_of_another_dstformer_and_torn_tokens_are_refused() -> None:
    part = started().motion
    with pytest.raises(ValueError, match=r"17 joints x 256, got \(17, 32\)"):
        part.states(torch.randn(1, 8, 17, 32))
    with pytest.raises(ValueError, match="multiple of 4 frames, got 6"):
        part.latents(torch.randn(1, 6, SMALL.motion.state))


# ------------------------------------------------------------------------------------------------- masks


def test_masks_cover_quantised_features_and_the_decoder_cannot_see_under_them() -> None:
    part = started().motion
    vectors = part.quantise(torch.randn(1, 6, 8)).vectors
    hidden = torch.tensor([[False, True, False, False, True, False]])
    under = vectors.clone()
    under[hidden] += 100.0
    with torch.no_grad():
        part.from_tokens.hidden.normal_()
        assert torch.equal(part.decode(vectors, hidden), part.decode(under, hidden))
        assert not torch.allclose(part.decode(vectors, hidden), part.decode(vectors))
        covered = torch.where(hidden[..., None], part.from_tokens.hidden, vectors)
        assert torch.allclose(part.decode(vectors, hidden), part.decode(covered))


def test_masks_in_training_hit_the_codes_and_not_what_is_encoded() -> None:
    seen: dict[str, Tensor] = {}
    model = started().train()
    part = model.motion
    part.quantizer.register_forward_hook(lambda m, i, o: seen.update(codes=o.vectors))
    part.from_tokens.register_forward_hook(lambda m, i, o: seen.update(given=i[0], hidden=i[1]))
    from motionqa.encoders.concepts.humocon import ConceptInputs, Terms

    inputs = ConceptInputs(torch.randn(8, 8, 17, 256), torch.randn(8, 8, 17, 3), torch.ones(8, 8, 17))
    torch.manual_seed(1)
    model(inputs, Terms(mask=0.5))
    assert torch.equal(seen["given"], seen["codes"])  # whole codes go to the decoder together with the mask
    assert 0.1 < seen["hidden"].float().mean() < 0.9
    model(inputs, Terms(mask=0.0))
    assert seen["hidden"] is None


def test_the_share_of_hidden_tokens_is_what_was_asked_for() -> None:
    torch.manual_seed(0)
    hidden = hidden_tokens(torch.zeros(200, 50, 1), 0.15)
    assert hidden is not None
    assert hidden.float().mean().item() == pytest.approx(0.15, abs=0.01)
    assert hidden_tokens(torch.zeros(2, 2, 1), 0.0) is None


# ------------------------------------------------------------------------------------------- any length


@pytest.mark.parametrize("frames", [1, 3, 4, 7, 8, 9, 30, 61])
def test_a_clip_of_any_length_has_one_code_for_every_four_frames_begun(frames: int) -> None:
    model = started()
    track = encode_motion(model, features(frames))
    tokens = -(-frames // TOKEN_FRAMES)
    assert track.codes.shape == (tokens,)
    assert track.vectors.shape == (tokens, 8)
    assert track.edges_s[0] == 0
    assert track.edges_s[-1] == pytest.approx(frames / 15)
    assert np.linalg.norm(track.embedding) == pytest.approx(1, abs=1e-5)
    assert ((track.margin >= 0) & (track.margin <= 1)).all()
    assert ((track.match >= 0) & (track.match <= 1)).all()
    assert decode_motion(model, track.vectors).shape == (tokens * TOKEN_FRAMES, 17, 3)


def test_a_short_clip_holds_its_last_frame_up_to_a_window() -> None:
    model = started()
    short = features(5)
    whole = np.concatenate([short.features, np.repeat(short.features[-1:], SMALL.window - 5, axis=0)])
    padded = encode_motion(model, MotionFeatures(whole, np.arange(SMALL.window), 15.0))
    found = encode_motion(model, short)
    assert found.codes.tolist() == padded.codes[:2].tolist()


def test_latents_of_a_long_clip_do_not_depend_on_where_its_windows_begin() -> None:
    torch.manual_seed(0)
    to_tokens = ToTokens(8, 16, 8).eval()
    with torch.no_grad():
        states = torch.from_numpy(smooth_features(96)[:, 0, :8].copy())
        for frames in (96, 92, 64):  # ends elsewhere, so do the last windows
            cut = stitched(to_tokens, states[:frames], 24)
            whole = stitched(to_tokens, states, 24)
            inner = frames // TOKEN_FRAMES - 6
            assert torch.allclose(cut[:inner], whole[:inner], atol=1e-5)
        # Windows of 24 frames side by side jump at their borders; blended ones do not.
        blended = stitched(to_tokens, states, 24)
        abrupt = torch.cat([to_tokens(states[None, s : s + 24])[0] for s in range(0, 96, 24)])
        steps = [x.diff(dim=0).norm(dim=-1) for x in (blended, abrupt)]
        borders = torch.tensor([5, 11, 17])
        inside = torch.tensor([i for i in range(23) if i not in (5, 11, 17)])
        jump = [float(s[borders].mean() / s[inside].mean()) for s in steps]
        assert jump[0] < jump[1]
        assert jump[0] < 1.5


def test_stitching_gives_exact_latents_where_every_window_agrees() -> None:
    per_token = nn.Sequential(nn.Flatten(2))

    def latents_of(x: Tensor) -> Tensor:  # a token is its own four frames: windows cannot disagree
        return per_token(x.unflatten(1, (-1, TOKEN_FRAMES)))

    states = torch.randn(50, 3)
    found = stitched(latents_of, states, 16)
    held = torch.cat([states, states[-1:].expand(2, -1)])
    assert torch.allclose(found, latents_of(held[None])[0], atol=1e-6)


# ---------------------------------------------------------------------------------------------- bad input


def test_bad_motion_says_what_is_wrong() -> None:
    model = started()
    good = features(8)
    with pytest.raises(InputError, match="30 frames a second, expected about 15"):
        encode_motion(model, replace(good, fps=30.0))
    with pytest.raises(InputError, match="no frames"):
        encode_motion(model, replace(good, features=good.features[:0], frames=good.frames[:0]))
    broken = good.features.copy()
    broken[3, 2, 1] = np.nan
    with pytest.raises(InputError, match="NaN"):
        encode_motion(model, replace(good, features=broken))
    with pytest.raises(InputError, match=r"17 joints x 32, these weights expect 17 x 256"):
        encode_motion(model, replace(good, features=good.features[..., :32]))
    with pytest.raises(InputError, match="neither motion nor video"):
        encode_clip(model)
    assert encode_clip(model, motion=good).video is None


def test_looking_at_a_clip_teaches_the_codebook_nothing() -> None:
    model = started().train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    encode_motion(model, features(40))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert model.training


# -------------------------------------------------------------------------------------- frozen features


def test_features_of_a_clip_are_blended_over_windows_at_the_trained_rate() -> None:
    torch.manual_seed(0)
    model = DSTformer(replace(SIZES["debug"], initial_std=0.2)).eval()
    config = LifterConfig(window=9, stride=3)
    body = clip("walk", frames=60)
    xy, sure = body.xyz_m[..., :2] * (1, -1), np.ones((60, 17), np.float32)
    found = motion_features(xy, sure, 30.0, torch_representation(model), config)
    assert found.features.shape == (30, 17, 32)
    assert found.frames.tolist() == list(range(0, 60, 2))
    assert found.fps == 15
    assert np.abs(found.features).max() <= 1
    again = motion_features(xy[:40], sure[:40], 30.0, torch_representation(model), config)
    assert np.allclose(found.features[:12], again.features[:12], atol=2e-2)  # later windows do not reach back


def test_features_need_joints_in_order_and_a_pelvis() -> None:
    represent = torch_representation(DSTformer(SIZES["debug"]))
    body = clip("walk", frames=20)
    xy, sure = body.xyz_m[..., :2] * (1, -1), np.ones((20, 17), np.float32)
    with pytest.raises(InputError, match="convert the skeleton first"):
        motion_features(xy[:, :16], sure, 15.0, represent)
    unseen = sure.copy()
    unseen[:, 0] = 0
    with pytest.raises(InputError, match="pelvis"):
        motion_features(xy, unseen, 15.0, represent)
    holes = xy.copy()
    holes[3, 4] = np.nan
    with pytest.raises(InputError, match="no finite position"):
        motion_features(holes, sure, 15.0, represent)


def test_motion_can_be_learned_by_heart_through_codes() -> None:
    torch.manual_seed(0)
    model = MotionVQ(replace(SMALL.motion, width=32, quantizer=replace(SMALL.motion.quantizer, decay=0.8))).train()
    x = torch.from_numpy(np.stack([smooth_features(8, s) for s in range(4)]))
    joints = torch.from_numpy(np.stack([smooth_features(8, s)[..., :3] for s in range(4)])) * 0.3
    joints = joints - joints[:, :, :1]
    with torch.no_grad():
        model.quantizer.start(model.latents(model.states(x)).flatten(0, 1).repeat(4, 1))
    optimiser = torch.optim.AdamW(model.parameters(), 1e-2)
    errors = []
    for _ in range(150):
        found = model.quantise(model.latents(model.states(x)))
        error = (model.decode(found.vectors) - joints).square().mean()
        (error + 0.005 * found.commitment).backward()
        optimiser.step()
        optimiser.zero_grad()
        errors.append(error.item())
    assert errors[-1] < 0.1 * errors[0], errors[::15]

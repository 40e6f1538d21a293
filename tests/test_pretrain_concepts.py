"""HuMoCon's pretraining: terms can be switched off, a stopped run goes on exactly, and what is saved comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from motionqa.data.concept_pairs import ConceptSampler, load_part, load_video, mirrored_video
from motionqa.data.schema import InputError
from motionqa.encoders.concepts.humocon import HuMoCon, HuMoConConfig
from motionqa.encoders.concepts.track import encode_clip, motion_of, video_of
from motionqa.encoders.model_dir import load_model_dir
from motionqa.finetune.pretrain_concepts import (
    ABLATIONS,
    PRESETS,
    SMALL,
    ConceptTrainConfig,
    ConceptTraining,
    train,
    weight_of,
)
from motionqa.finetune.training import LoopConfig, fit
from motionqa.tests.concept_clips import write_features

DEBUG: ConceptTrainConfig = PRESETS["debug"][1]


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_features(tmp_path_factory.mktemp("features"))


@pytest.fixture
def config(features: Path, tmp_path: Path) -> ConceptTrainConfig:
    return replace(DEBUG, features=features, out=tmp_path / "run")


def history(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]


def without_times(out: Path) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history(out)]


ALL = {
    "motion_rec", "motion_speed", "motion_commit", "motion_dis", "motion_act", "video_rec", "video_commit", "video_dis",
    "video_act", "align",
}  # fmt: skip


# ------------------------------------------------------------------------------------------- the recipe


def test_a_run_logs_every_term_and_both_codebooks_use(config: ConceptTrainConfig) -> None:
    train(config)
    steps = [r for r in history(config.out) if "loss" in r]
    watched = {"motion_used", "motion_perplexity", "video_used", "video_perplexity", "align_accuracy"}
    assert len(steps) == config.loop.steps
    assert all(set(r) >= ALL | watched for r in steps)
    assert all(np.isfinite(v) for r in steps for v in r.values())
    for row in steps:
        assert row["loss"] == pytest.approx(sum(weight_of(k, config) * row[k] for k in ALL), rel=1e-4)
    scored = [r for r in history(config.out) if "val_mpjpe_mm" in r]
    assert all({"val_motion_used", "val_motion_perplexity"} <= set(r) for r in scored)


@pytest.mark.parametrize(
    ("ablation", "gone"),
    [
        ("full", set()),
        ("plain", {"motion_dis", "motion_act", "video_dis", "video_act", "align"}),
        ("no_velocity", {"motion_dis", "motion_act", "video_dis", "video_act"}),
        ("no_actionable", {"motion_act", "video_act"}),
        ("no_discriminative", {"motion_dis", "video_dis"}),
        ("no_alignment", {"align"}),
    ],
)
def test_ablations_switch_their_terms_off(config: ConceptTrainConfig, ablation: str, gone: set[str]) -> None:
    stage = ConceptTraining(replace(config, ablation=ablation))  # type: ignore[arg-type]
    torch.manual_seed(0)
    model = HuMoCon(config.network)
    stage.start(model)
    found = stage.losses(model.train(), stage.batch(0), 0)
    assert ALL - set(found) == gone
    total = sum(weight_of(k, stage.config) * found[k] for k in ALL - gone)
    assert found["loss"].item() == pytest.approx(float(total), rel=1e-4)
    if ablation in ("plain", "no_velocity", "no_actionable"):
        assert weight_of("motion_speed", stage.config) == 0
    assert (stage.terms.mask == 0) == (ablation == "plain")


def test_every_ablation_is_a_setting_of_the_recipe(config: ConceptTrainConfig) -> None:
    for name in ABLATIONS:
        assert replace(config, ablation=name).ablated().ablation == name  # type: ignore[arg-type]
    assert replace(config, ablation="no_unpaired").ablated().others == 0
    assert weight_of("motion_dis_accuracy", config) == 0
    assert weight_of("align_accuracy", config) == 0
    with pytest.raises(ValueError, match="mask"):
        replace(config, mask=1.0)
    with pytest.raises(ValueError, match="some windows"):
        replace(config, pairs=0, others=0)


def test_codebooks_start_when_the_encoders_have_learned_a_little(config: ConceptTrainConfig) -> None:
    train(replace(config, continuous=0.5))
    rows = [r for r in history(config.out) if "loss" in r]
    concepts = {"motion_dis", "motion_act", "video_dis", "video_act"}
    assert [concepts <= set(r) for r in rows] == [False, False, True, True]
    assert [r["motion_commit"] > 0 for r in rows] == [False, False, True, True]
    assert all({"motion_rec", "video_rec", "align"} <= set(r) for r in rows)
    with pytest.raises(ValueError, match="continuous"):
        replace(config, continuous=1.0)


def test_every_part_of_the_full_model_is_trained(config: ConceptTrainConfig) -> None:
    stage = ConceptTraining(replace(config, pairs=4, mask=0.5))
    torch.manual_seed(0)
    model = HuMoCon(config.network).train()
    stage.start(model)
    stage.losses(model, stage.batch(0), 0)["loss"].backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert torch.isfinite(p.grad).all(), name


def test_one_batch_is_learned_by_heart(config: ConceptTrainConfig) -> None:
    loop = LoopConfig(160, learning_rate=5e-3, weight_decay=0.0, warmup=10, save_every=1000, validate_every=1000,
                      log_every=20)  # fmt: skip
    quick = replace(SMALL.motion.quantizer, decay=0.8)  # sixteen codes for eight tokens: unused ones move soon
    wide = replace(
        SMALL,
        motion=replace(SMALL.motion, width=32, state=16, quantizer=quick),
        video=replace(SMALL.video, quantizer=quick),
    )
    config = replace(config, network=wide, pairs=4, others=0, mask=0.0, discriminative=0.01, loop=loop)
    stage = ConceptTraining(config)
    torch.manual_seed(0)
    model = HuMoCon(wide)
    stage.start(model)
    batch = stage.batch(3)
    fit(model, lambda _: batch, stage.losses, loop, config.out)
    rows = history(config.out)
    for term, share in {"motion_rec": 0.35, "video_rec": 0.5, "motion_act": 0.9, "align": 0.5}.items():
        assert rows[-1][term] < share * rows[0][term], term


# --------------------------------------------------------------------------------- stopping and saving


@pytest.mark.parametrize("continuous", [0.0, 0.75])  # codes start before the stop, or with the step that is done again
def test_a_run_that_was_stopped_and_resumed_is_the_run_that_was_not(
    config: ConceptTrainConfig, monkeypatch: pytest.MonkeyPatch, continuous: float
) -> None:
    config = replace(config, continuous=continuous)
    through = train(replace(config, out=config.out / "through")).state_dict()
    usual = ConceptTraining.losses

    def stopped(self: ConceptTraining, model: HuMoCon, inputs: object, step: int) -> dict[str, Tensor]:
        if step == 3:  # a step after the checkpoint
            raise KeyboardInterrupt
        return usual(self, model, inputs, step)  # type: ignore[arg-type]

    parts = replace(config, out=config.out / "parts")
    monkeypatch.setattr(ConceptTraining, "losses", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(parts)
    monkeypatch.setattr(ConceptTraining, "losses", usual)
    resumed = train(parts).state_dict()
    for name, value in through.items():
        assert torch.equal(value, resumed[name]), name
    assert without_times(config.out / "through") == without_times(config.out / "parts")
    torch.manual_seed(config.loop.seed)
    fresh = HuMoCon(config.network).state_dict()
    assert not torch.equal(fresh["motion.head.weight"], through["motion.head.weight"])


def test_a_saved_model_gives_the_same_concepts_and_says_what_it_was_trained_on(config: ConceptTrainConfig) -> None:
    trained = train(config).eval()
    found = load_model_dir(config.out / "model")
    assert isinstance(found.model, HuMoCon)
    assert found.model.config == config.network
    assert found.usage == {"ablation": "full", "fps": 15.0, "window": 8}
    assert found.recipe["actionable"] == config.actionable
    assert found.data["utd_mhad"]["with_video"] == 12
    assert "cmu" in found.data
    half = HuMoCon(config.network)
    half.load_state_dict({k: v.half().float() if v.is_floating_point() else v for k, v in trained.state_dict().items()})
    clip = next(c for c in load_part(config.features, "val") if c.has_video)
    a, b = (encode_clip(m, motion_of(clip), video_of(config.features, clip)) for m in (found.model, half.eval()))
    for which in ("motion", "video"):
        one, other = getattr(a, which), getattr(b, which)
        assert one.codes.tolist() == other.codes.tolist()
        assert np.allclose(one.vectors, other.vectors, atol=1e-6)
        assert np.allclose(one.embedding, other.embedding, atol=1e-5)


def test_weights_with_a_codebook_of_another_size_are_refused(config: ConceptTrainConfig) -> None:
    train(config)
    path = config.out / "model" / "config.json"
    said = json.loads(path.read_text())
    said["config"]["motion"]["quantizer"]["codes"] = 32
    path.write_text(json.dumps(said))
    with pytest.raises(InputError, match=r"(?s)do not fit.*motion\.quantizer"):
        load_model_dir(config.out / "model")


def test_sizes_survive_json() -> None:
    from dataclasses import asdict

    assert HuMoConConfig.of(json.loads(json.dumps(asdict(SMALL)))) == SMALL
    with pytest.raises(ValueError, match="window 10 must be a multiple of 4"):
        replace(SMALL, window=10)


# ------------------------------------------------------------------------------------------------ pairs


def test_pairs_show_the_same_moments_of_one_clip(features: Path) -> None:
    clips = load_part(features, "train")
    sampler = ConceptSampler(features, clips, 8, seed=3)
    batch = sampler.batch(5, 4, 3)
    assert batch.pairs == 4
    assert batch.features.shape == (7, 8, 17, 256)
    assert batch.seen is not None
    assert batch.seen.shape == (4, 8, 1, 64, 64)
    assert batch.flow is not None
    for i in range(4):
        home = [
            (c, s) for c in clips if c.has_video for s in range(len(c) - 8)
            if np.allclose(c.joints_m[s : s + 8], batch.joints_m[i])
        ]  # fmt: skip
        assert home
        clip, start = home[0]
        video = load_video(features, clip.name)[start : start + 8].astype(np.float32)
        assert np.allclose(video[:, :1], batch.seen[i])
        assert np.allclose(video[:, 1:], batch.flow[i])
    again = ConceptSampler(features, load_part(features, "train"), 8, seed=3).batch(5, 4, 3)
    assert np.array_equal(again.features, batch.features)
    assert not np.array_equal(sampler.batch(6, 4, 3).features, batch.features)


def test_a_clip_shorter_than_the_window_holds_still_at_its_end(features: Path) -> None:
    clips = [c for c in load_part(features, "train") if c.has_video][:1]
    batch = ConceptSampler(features, clips, 40).batch(0, 1, 0)
    assert batch.seen is not None
    assert batch.flow is not None
    count = len(load_video(features, clips[0].name))
    assert (batch.seen[0, count:] == batch.seen[0, count - 1]).all()
    assert (batch.flow[0, count:] == 0).all()
    assert np.abs(batch.flow[0, : count - 1]).max() > 0
    assert (batch.joints_m[0, len(clips[0]) :] == batch.joints_m[0, len(clips[0]) - 1]).all()


def test_a_mirrored_clip_comes_with_a_mirrored_video(features: Path) -> None:
    clip = next(c for c in load_part(features, "train") if c.has_video)
    plain = ConceptSampler(features, [clip], 8).batch(0, 1, 0)
    turned = ConceptSampler(features, [replace(clip, mirrored=True)], 8).batch(0, 1, 0)
    assert plain.seen is not None
    assert turned.seen is not None
    assert plain.flow is not None
    assert turned.flow is not None
    assert np.array_equal(turned.seen, plain.seen[..., ::-1])
    assert np.allclose(turned.flow[:, :, 0], -plain.flow[:, :, 0, :, ::-1])
    assert np.allclose(turned.flow[:, :, 1], plain.flow[:, :, 1, :, ::-1])
    video = load_video(features, clip.name)
    assert np.array_equal(mirrored_video(mirrored_video(video)), video)


def test_local_flow_is_what_is_left_of_the_person_s_own_course(features: Path) -> None:
    clip = next(c for c in load_part(features, "train") if c.has_video)
    video = load_video(features, clip.name).astype(np.float32)
    inside = video[:, 0] > 0
    assert (video[:, 3:][~np.broadcast_to(inside[:, None], video[:, 3:].shape)] == 0).all()
    for t in (0, 7):
        world, local = video[t, 1:3][:, inside[t]], video[t, 3:][:, inside[t]]
        assert np.allclose(local, world - world.mean(axis=1, keepdims=True), atol=3e-3)


def test_features_that_are_missing_or_torn_are_named(
    features: Path, config: ConceptTrainConfig, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"no part 'test'.*concept_features"):
        load_part(features, "test")
    bare = write_features(tmp_path / "bare", videos=False)
    with pytest.raises(InputError, match=r"no videos.*--pairs 0"):
        ConceptTraining(replace(config, features=bare))
    alone = train(replace(config, features=bare, pairs=0, out=tmp_path / "alone"))
    assert isinstance(alone, HuMoCon)
    assert "video_rec" not in history(tmp_path / "alone")[0]
    kept = np.load(bare / "val.features.npy")
    np.save(bare / "val.features.npy", kept[:-3])
    with pytest.raises(InputError, match="remove both and make the part again"):
        load_part(bare, "val")

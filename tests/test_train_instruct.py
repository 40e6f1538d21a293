"""Instruction tuning: what a step sees, learning by heart, resuming, two processes, the rows on disk."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import tyro
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.commands.launch import launch_command_parser

from motionqa.assistant.model_dir import Assistant, load_assistant
from motionqa.assistant.prompt import TUNED, clip_opening
from motionqa.data.reading import ClipTokens
from motionqa.data.schema import InputError
from motionqa.finetune.instruct_batches import InstructTraining, Mixture, Sampler, held_out_loss, tune_loop
from motionqa.finetune.instruct_rows import InstructRows, RowWriter, Span, TrainClip
from motionqa.finetune.packing import PackedBatch
from motionqa.finetune.shared_prefix import SharedPrefix
from motionqa.finetune.train_instruct import PRESETS, InstructConfig, start, train
from motionqa.tests.assistant_models import SOURCES, tiny_assistant, tiny_base
from motionqa.tests.instruct_clips import row_folder, train_clip

MIXTURE = Mixture(2, 2)
LOOP = tune_loop(6, learning_rate=1e-2, warmup=1, save_every=2, log_every=1)


@pytest.fixture
def rows(tmp_path: Path) -> InstructRows:
    return row_folder(tmp_path / "rows")


def weights(assistant: Assistant) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in assistant.model.named_parameters()}


# ---------------------------------------------------------------------------------------------- rows


def test_what_is_written_is_read(tmp_path: Path) -> None:
    with RowWriter(tmp_path, {"seed": 3}, part_clips=2) as writer:
        for k in range(5):
            writer.add(train_clip(k))
    rows = InstructRows(tmp_path)
    assert (len(rows), rows.widths, rows.sources) == (5, {"motion": 6, "video": 4}, SOURCES)
    assert rows.about == {"seed": 3}
    assert len(list(tmp_path.glob("part-*.jsonl"))) == 3
    for k in range(5):
        expected, found = train_clip(k), rows[k]
        assert (found.clip, found.words, found.spans) == (expected.clip, expected.words, expected.spans)
        assert found.dialogues == expected.dialogues
        np.testing.assert_array_equal(found.tokens[0].motion, expected.tokens[0].motion)
        np.testing.assert_array_equal(found.tokens[0].video, expected.tokens[0].video)
        assert found.tokens[0].flow is None


def test_a_build_that_was_cut_off_goes_on_behind_its_last_whole_part(tmp_path: Path) -> None:
    def build(folder: Path, cut: int | None) -> None:
        with RowWriter(folder, {"seed": 3}, part_clips=2) as writer:
            for k in range(writer.done, 7):
                if k == cut:
                    raise KeyboardInterrupt
                writer.add(train_clip(k))

    build(tmp_path / "through", None)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "parts", 5)
    with pytest.raises(InputError, match="no whole set of training rows"):
        InstructRows(tmp_path / "parts")
    build(tmp_path / "parts", None)
    names = sorted(p.name for p in (tmp_path / "through").iterdir())
    assert names == sorted(p.name for p in (tmp_path / "parts").iterdir())
    for name in names:
        assert (tmp_path / "through" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes(), name
    with pytest.raises(InputError, match="rows of another build"):
        RowWriter(tmp_path / "parts", {"seed": 4})


def test_clips_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    with RowWriter(tmp_path) as writer:
        writer.add(train_clip(0))
        with pytest.raises(ValueError, match="motion has width 3, before 6"):
            writer.add(replace(train_clip(1), tokens=(ClipTokens(np.ones((2, 3), np.float16)),)))
        with pytest.raises(ValueError, match="motion is from 'other', before 'tiny encoder 0a1b'"):
            writer.add(replace(train_clip(1), tokens=(replace(train_clip(1).tokens[0], sources={"motion": "other"}),)))
    with pytest.raises(ValueError, match="needs questions with answers"):
        TrainClip("a", ("x",), dialogues=((("What?", " "),),))
    with pytest.raises(ValueError, match="2 readings in words and 3 in tokens"):
        TrainClip("a", ("x", "y"), train_clip(0).tokens * 3)
    assert Span("walk", 0, 2) == Span("walk", 0, 2)


# ------------------------------------------------------------------------------------------- batches


def test_every_clip_comes_once_an_epoch_whatever_the_step_size(rows: InstructRows) -> None:
    small, large = Sampler(rows, Mixture(2, 2), seed=1), Sampler(rows, Mixture(4, 2), seed=1)
    first = [d.clip for k in range(4) for d in small.draws(k)]
    assert sorted(first) == list(range(8))
    assert [d.clip for k in range(4, 8) for d in small.draws(k)] != first
    for step in range(3):
        halves = [*small.draws(2 * step), *small.draws(2 * step + 1)]
        for a, b in zip(halves, large.draws(step), strict=True):
            assert (a.clip, a.shown, a.words, a.dialogues) == (b.clip, b.shown, b.words, b.dialogues)


def test_clips_are_shown_in_words_in_tokens_or_in_both_by_their_shares(rows: InstructRows) -> None:
    sampler = Sampler(rows, Mixture(4, 2, words_only=0.5, tokens_only=0.2), seed=0)
    shown = [sampler.draw(k).shown for k in range(400)]
    assert shown.count("words") / 400 == pytest.approx(0.5, abs=0.08)
    assert shown.count("tokens") / 400 == pytest.approx(0.2, abs=0.08)
    with pytest.raises(ValueError, match=r"at most 1, got 0.8 and 0.4"):
        Mixture(words_only=0.8, tokens_only=0.4)


@pytest.mark.parametrize(("shown", "has_words", "has_tokens"), [("words", 1, 0), ("tokens", 0, 1), ("both", 1, 1)])
def test_training_shows_a_clip_exactly_as_the_chat_does(
    rows: InstructRows, shown: str, has_words: int, has_tokens: int
) -> None:
    processor = tiny_assistant().processor
    stage = InstructTraining(rows, processor, MIXTURE, 0)
    draw = replace(stage.sampler.draw(0), shown=shown)
    opening, features, blocks = stage.clip(draw)
    settings = replace(TUNED, clip=shown)
    chat = processor(clip_opening(settings, draw.words, draw.tokens).plus("user", draw.dialogues[0][0][0]))
    assert (opening.ids + blocks[0].ids)[: len(chat.input_ids)] == tuple(chat.input_ids.tolist())
    assert ("motion" in features) == bool(has_tokens)
    text = processor.tokenizer.decode([i for i in chat.input_ids if i < len(processor.tokenizer)])
    assert (draw.words in text) == bool(has_words)


def test_the_rate_rises_and_falls_to_zero() -> None:
    linear = tune_loop(110, warmup=10)
    assert [linear.rate(s) for s in (0, 9, 10, 60, 109)] == pytest.approx([0.1, 1.0, 1.0, 0.5, 0.01])
    assert tune_loop(110, warmup=10, schedule="cosine").rate(60) == pytest.approx(0.5)
    assert tune_loop(110, warmup=10, schedule="cosine").rate(35) > linear.rate(35)


# ------------------------------------------------------------------------------------------ training


def test_one_batch_is_learned_by_heart(rows: InstructRows) -> None:
    assistant = tiny_assistant()
    stage = InstructTraining(rows, assistant.processor, Mixture(4, 2, 0.0, 0.0), 0)
    batch = stage.batch(0)
    optimizer = torch.optim.AdamW([p for p in assistant.model.parameters() if p.requires_grad], lr=2e-2)
    losses = []
    for _ in range(60):
        found = stage.losses(assistant.model.train(), batch, 0)
        found["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(found["question"]))
    assert losses[0] > 4
    assert losses[-1] < 0.3


def test_a_run_that_was_stopped_and_resumed_is_the_run_that_was_not(
    tmp_path: Path, rows: InstructRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(out: str) -> dict[str, torch.Tensor]:
        return weights(
            train(
                InstructConfig(rows.folder, tmp_path / out, mixture=MIXTURE, loop=LOOP),
                tiny_assistant(lora_dropout=0.2),
            )
        )

    through = run("through")
    batch: Callable[[InstructTraining, int], Sequence[PackedBatch | SharedPrefix]] = InstructTraining.batch

    def stopped(stage: InstructTraining, step: int) -> Sequence[PackedBatch | SharedPrefix]:
        if step == 5:
            raise KeyboardInterrupt
        return batch(stage, step)

    monkeypatch.setattr(InstructTraining, "batch", stopped)
    with pytest.raises(KeyboardInterrupt):
        run("parts")
    monkeypatch.setattr(InstructTraining, "batch", batch)
    parts = run("parts")
    assert all(torch.equal(through[n], parts[n]) for n in through)
    untrained = weights(tiny_assistant())
    changed = {n for n in through if not torch.equal(through[n], untrained[n])}
    assert changed == {n for n in through if "lora_" in n or n.startswith("projectors.")}


def test_the_result_is_saved_with_its_recipe_and_loads(tmp_path: Path, rows: InstructRows) -> None:
    config = InstructConfig(
        rows.folder,
        tmp_path / "run",
        held_out=rows.folder,
        held_out_steps=1,
        mixture=MIXTURE,
        loop=replace(LOOP, steps=2),
    )
    trained = train(config, tiny_assistant())
    saved = json.loads((tmp_path / "run" / "model" / "recipe.json").read_text())
    assert saved["recipe"]["loop"]["learning_rate"] == 1e-2
    assert saved["recipe"]["mixture"]["questions"] == 2
    assert saved["data"]["clips"] == 8
    assert set(saved["scores"]) == {"held_out_loss_words", "held_out_loss_tokens", "held_out_loss_both"}
    loaded = load_assistant(tmp_path / "run" / "model", tiny_base())
    again = held_out_loss(loaded, rows, MIXTURE, 1)
    assert again == pytest.approx(held_out_loss(trained, rows, MIXTURE, 1), abs=0.02)
    for name, value in again.items():
        assert saved["scores"][f"held_out_loss_{name}"] == pytest.approx(value, abs=0.02)


def test_a_saved_projector_stage_gets_adapters_and_other_rows_are_refused(
    tmp_path: Path, rows: InstructRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("motionqa.finetune.train_instruct.load_base", lambda *_, **__: tiny_base())
    stage = tiny_assistant(lora=False)
    stage.model.save_pretrained(tmp_path / "projector", processor=stage.processor)
    config = InstructConfig(rows.folder, tmp_path / "run", start=tmp_path / "projector", lora_rank=4)
    found = start(config, rows)
    assert {n.split(".")[0] for n, p in found.model.named_parameters() if p.requires_grad} == {
        "projectors", "language_model",
    }  # fmt: skip
    assert found.model.config.lora_rank == 4
    rows.sources = {"motion": "another encoder"}
    with pytest.raises(InputError, match=r"'tiny encoder 0a1b'.*'another encoder'"):
        start(config, rows)


def test_gradient_checkpointing_trains_to_the_same_weights(tmp_path: Path, rows: InstructRows) -> None:
    def trained(recompute: bool) -> dict[str, torch.Tensor]:
        config = InstructConfig(
            rows.folder, tmp_path / str(recompute), mixture=MIXTURE, lora_dropout=0.0, recompute=recompute,
            loop=tune_loop(2, learning_rate=1e-3, warmup=1, log_every=1, save_every=2),
        )  # fmt: skip
        assistant = tiny_assistant(lora_dropout=0.0)
        if recompute:
            assistant.model.gradient_checkpointing_enable({"use_reentrant": False})
        found = train(config, assistant).model
        return {n: p.detach() for n, p in found.named_parameters() if p.requires_grad}

    plain, saved = trained(False), trained(True)
    assert set(plain) == set(saved)
    for name, weights in plain.items():
        assert torch.allclose(weights, saved[name], atol=2e-4), name


def test_qlora_without_a_gpu_says_what_is_missing(tmp_path: Path, rows: InstructRows) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(InputError, match="QLoRA needs an NVIDIA GPU"):
        train(InstructConfig(rows.folder, tmp_path / "run", quantize="4bit"))


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one_with_twice_the_batch(tmp_path: Path) -> None:
    rows = row_folder(tmp_path / "rows").folder
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    module = ["-m", "motionqa.tests.tiny_instruct_run", str(rows)]
    one = [sys.executable, *module, str(tmp_path / "one"), "4", "1"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29513"]
    two = [*torchrun, *module, str(tmp_path / "two"), "2", "2"]
    for command in (one, two):
        subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    states = [load_assistant(tmp_path / n / "model", tiny_base()).model.state_dict() for n in ("one", "two")]
    moved = dict(tiny_assistant().model.state_dict())
    for name, weight in states[0].items():
        assert torch.allclose(weight, states[1][name], atol=2e-3), name
    assert any((states[0][n].float() - moved[n].float()).abs().max() > 0.02 for n in moved if "lora_B" in n)
    curves = [
        [json.loads(x)["loss"] for x in (tmp_path / n / "history.jsonl").read_text().splitlines()]
        for n in ("one", "two")
    ]
    assert len(curves[0]) == len(curves[1]) == 6


def test_the_recipe_of_several_gpus_is_one_that_accelerate_and_the_command_know() -> None:
    recipe = Path(__file__).parents[1] / "finetune" / "recipes" / "fsdp_7b.yaml"
    launched = load_config_from_file(str(recipe))
    assert isinstance(launched, ClusterConfig)
    sharding = launched.fsdp_config or {}
    known = {option for action in launch_command_parser()._actions for option in action.option_strings}
    assert sharding["fsdp_version"] == 2
    assert not {f"--{key}" for key in sharding} - known
    told = re.sub(r"[#\\\n]", " ", recipe.read_text().partition("train_instruct")[2].partition("A step")[0]).split()
    config = tyro.extras.overridable_config_cli(PRESETS, args=told)
    assert (config.recompute, config.loop.precision) == (True, "bf16")
    assert config.base == "meta-llama/Llama-3.1-8B-Instruct"


@pytest.mark.slow
def test_a_model_sharded_by_fsdp2_learns_what_one_process_learns(tmp_path: Path) -> None:
    rows = row_folder(tmp_path / "rows")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29514"]
    module = ["-m", "motionqa.tests.tiny_sharded_run", str(rows.folder), str(tmp_path / "sharded")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*torchrun, *module], check=True, env=environment, capture_output=True, text=True)
    assistant = tiny_assistant()
    stage = InstructTraining(rows, assistant.processor, Mixture(4, 2), 0)
    optimizer = torch.optim.AdamW([p for p in assistant.model.parameters() if p.requires_grad], lr=1e-2)
    for step in range(6):
        stage.losses(assistant.model.train(), stage.batch(step), step)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
    sharded = load_assistant(tmp_path / "sharded", tiny_base()).model.state_dict()
    for name, weight in assistant.model.state_dict().items():
        assert torch.allclose(weight, sharded[name], atol=5e-3), name

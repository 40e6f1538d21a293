"""Learned tokens become word embeddings: of their size, and after alignment near the words of their actions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionqa.assistant.model_dir import load_assistant
from motionqa.assistant.projector import Projector, table_scale
from motionqa.data.schema import InputError
from motionqa.finetune.instruct_batches import Mixture, tune_loop
from motionqa.finetune.instruct_rows import InstructRows, RowWriter
from motionqa.finetune.train_projector import Aligner, AlignTraining, ProjectorConfig, train
from motionqa.tests.assistant_models import tiny_assistant, tiny_base
from motionqa.tests.instruct_clips import ACTIONS, row_folder, train_clip

LOOP = tune_loop(40, learning_rate=5e-3, warmup=2, save_every=20, log_every=10)


def test_projected_rows_begin_as_large_as_word_embeddings() -> None:
    torch.manual_seed(0)
    table = 0.13 * torch.randn(300, 64)
    projector = Projector(192, 64, table_scale(table))
    for size in (0.01, 1.0, 100.0):
        found = projector(size * torch.randn(200, 192)).detach()
        assert float(found.square().mean().sqrt()) == pytest.approx(0.13, rel=0.25)


def test_alignment_brings_each_action_s_rows_nearest_to_its_words(tmp_path: Path) -> None:
    rows = row_folder(tmp_path / "rows", 16)
    assistant = train(ProjectorConfig(tmp_path / "rows", tmp_path, clips=4, align=LOOP), tiny_assistant(lora=False))
    lines = [json.loads(line) for line in (tmp_path / "align" / "history.jsonl").read_text().splitlines()]
    assert lines[-1]["contrast"] < 0.5 * lines[0]["contrast"]
    assert lines[-1]["cosine"] < lines[0]["cosine"]
    training = AlignTraining(rows, assistant, 16, seed=0)
    assert set(training.names) == set(ACTIONS)
    found = Aligner(assistant, training.names, 0.1, 0.1)({"motion": training.batch(0)["motion"]})
    assert found["found"] > 0.9  # 0.25 by chance
    untrained = Aligner(tiny_assistant(lora=False, seed=3), training.names, 0.1, 0.1)
    assert untrained({"motion": training.batch(0)["motion"]})["found"] < 0.7


def test_the_language_model_is_not_touched_and_the_result_loads(tmp_path: Path) -> None:
    row_folder(tmp_path / "rows")
    config = ProjectorConfig(
        tmp_path / "rows", tmp_path, clips=2, align=replace(LOOP, steps=3), answer_steps=2,
        answer=tune_loop(1, learning_rate=1e-2, warmup=0, log_every=1), mixture=Mixture(2, 2, 0.0, 1.0),
    )  # fmt: skip
    before = dict(tiny_base().model.state_dict())
    assistant = train(config, tiny_assistant(lora=False))
    after = assistant.model.base.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)
    loaded = load_assistant(tmp_path / "model", tiny_base())
    for name, weight in assistant.model.projectors.state_dict().items():
        assert torch.allclose(weight, loaded.model.projectors.state_dict()[name], atol=1e-3), name
    assert not (tmp_path / "model" / "adapter").exists()


def test_spans_count_rows_of_the_first_modality_and_are_scaled_to_the_others(tmp_path: Path) -> None:
    rows = row_folder(tmp_path / "rows", 1)
    assistant = tiny_assistant(lora=False)
    batch = AlignTraining(rows, assistant, 1, seed=0).batch(0)
    assert batch["motion"].action.tolist() == [0, 0, 0, 1, 1]
    assert batch["video"].action.tolist() == [0, 1]  # two rows of video beside five of motion
    assert torch.equal(batch["motion"].name, batch["video"].name)


def test_rows_without_named_actions_are_refused(tmp_path: Path) -> None:
    with RowWriter(tmp_path) as writer:
        writer.add(replace(train_clip(0), spans=train_clip(0).spans[:1]))
    with pytest.raises(InputError, match="names 1 actions"):
        AlignTraining(InstructRows(tmp_path), tiny_assistant(lora=False), 1, seed=0)

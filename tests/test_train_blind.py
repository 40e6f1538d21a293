"""Tuning language alone on a benchmark's questions: the baseline learns, and is asked as the evaluator asks it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionqa.assistant.llm import LocalModel
from motionqa.assistant.model_dir import load_base, new_assistant
from motionqa.assistant.prompt import blind_question
from motionqa.data.schema import InputError
from motionqa.eval.qa.predictors import blind_model_predictor
from motionqa.eval.qa.question import Question
from motionqa.finetune.train_blind import BlindConfig, BlindTraining, train
from motionqa.finetune.training import LoopConfig
from motionqa.tests.fake_models import tiny_model_directory

PAIRS = {"a b": "c", "d e": "f", "b b": "g", "h a": "d"}


@pytest.fixture
def config(tmp_path: Path) -> BlindConfig:
    """Four questions with an answer each, asked of eight videos, and a tiny base model."""
    asked = [(f"v_{k}_{n}", q, a) for k in range(8) for n, (q, a) in enumerate(PAIRS.items())]
    files = {
        "train_q.json": [{"question_id": i, "video_name": i[:3], "question": q} for i, q, _ in asked],
        "train_a.json": [{"question_id": i, "answer": a, "type": 0} for i, _, a in asked],
    }
    for name, entries in files.items():
        (tmp_path / name).write_text(json.dumps(entries))
    base = str(tiny_model_directory(tmp_path / "base"))
    model = load_base(base, dtype=torch.float32).model
    for weight in model.parameters():  # as drawn, so small that frozen output weights say nothing
        weight.data *= 20 if weight.ndim > 1 else 1
    model.save_pretrained(base)
    return BlindConfig(tmp_path, tmp_path / "run", base=base, questions=8, loop=LoopConfig(150, 0.02, warmup=5))


def test_it_is_trained_on_what_the_evaluator_will_ask(config: BlindConfig) -> None:
    assistant = new_assistant(load_base(config.base), {})
    part = BlindTraining(config, assistant).batch(0)
    model = LocalModel(str(config.base), "tiny")
    shown = {
        tuple(model.tokenizer(model.rendered(blind_question(q)), add_special_tokens=False).input_ids) for q in PAIRS
    }
    prefix = part.prefix[0].tolist()
    rows = [(ids, labels) for block in part.blocks for ids, labels in zip(block.input_ids, block.labels, strict=True)]
    assert len(rows) == 8
    for ids, labels in rows:
        first = int((labels >= 0).nonzero()[0])
        assert tuple(prefix + ids[:first].tolist()) in shown
        assert str(model.tokenizer.decode(labels[labels >= 0])).endswith("<|im_end|>")


def test_the_tuned_model_answers_what_its_questions_taught(config: BlindConfig) -> None:
    llm = LocalModel(train(config), "tuned")
    predictor = blind_model_predictor(llm)
    said = {q: predictor.look_at(None)(Question(q, "clip", q, a, "t")).answer for q, a in PAIRS.items()}
    assert said == PAIRS
    curve = [json.loads(line)["loss"] for line in (config.out / "history.jsonl").read_text().splitlines()]
    assert curve[-1] < 0.2 < curve[0]
    recipe = json.loads((config.out / "model" / "recipe.json").read_text())
    assert recipe["data"] == "32 examples of ActivityNet-QA."
    assert recipe["loop"]["steps"] == 150


def test_fewer_questions_than_a_step_takes_are_refused(config: BlindConfig) -> None:
    with pytest.raises(InputError, match="has 32 training questions, a step takes 33"):
        train(replace(config, questions=33))


@pytest.mark.parametrize("seed", [0, 1])
def test_every_question_is_asked_before_one_is_asked_twice(seed: int, config: BlindConfig) -> None:
    recipe = replace(config, loop=replace(config.loop, seed=seed))
    stage = BlindTraining(recipe, new_assistant(load_base(config.base), {}))
    asked = sorted(
        tuple(ids[mask.bool()[part.prefix.shape[1] :]].tolist())
        for step in range(4)
        for part in [stage.batch(step)]
        for block in part.blocks
        for ids, mask in zip(block.input_ids, block.attention_mask, strict=True)
    )
    assert len(asked) == 32
    assert all(asked.count(row) == 8 for row in asked)

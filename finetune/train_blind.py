"""How far language alone gets once it is tuned: LoRA on a benchmark's training questions, and no clip anywhere.

    python -m motionqa.finetune.train_blind cpu --benchmark activitynet_qa --data OFFICIAL_FILES --out RUN
    motionqa eval activitynet_qa predict score --data OFFICIAL_FILES --out OUT --blind lm --llm RUN/model

An answerer that sees the clip should beat this one, or it has learned the benchmark's habits. `RUN/model` is a plain
language model, the adapters in its weights. Questions are asked as the evaluator's blind model is asked them. The
baseline is ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from torch import Tensor, nn

from motionqa.assistant.model_dir import Assistant, export_merged, load_base, new_assistant
from motionqa.assistant.prompt import blind_question
from motionqa.data.instruct.official import OfficialSet
from motionqa.data.instruct.official_questions import activitynet_qa, babel_qa
from motionqa.data.schema import InputError, Turn
from motionqa.finetune.instruct_batches import in_base_precision, tune_loop
from motionqa.finetune.shared_prefix import SharedPrefix, shared_prefix
from motionqa.finetune.training import LoopConfig, fit, recipe_of

READERS: dict[str, Callable[[Path], OfficialSet]] = {
    "activitynet_qa": lambda data: activitynet_qa(data / "train_q.json", data / "train_a.json", as_written=True),
    "babel_qa": lambda data: babel_qa(data / "BABELQA_train.json"),
}
"""The training questions of a benchmark's folder."""


@dataclass(frozen=True)
class BlindConfig:
    """The recipe."""

    data: Path
    out: Path
    benchmark: Literal["activitynet_qa", "babel_qa"] = "activitynet_qa"
    base: str | None = None
    """Directory or hub id of the base model; the embedded one where none is given."""
    questions: int = 32
    """Of a step."""
    lora_rank: int = 8
    lora_alpha: int = 16
    lora_dropout: float = 0.0
    loop: LoopConfig = field(default_factory=lambda: tune_loop(1000, learning_rate=1e-3))


class BlindTraining:
    """Batches and losses over a benchmark's training questions, each asked once an epoch."""

    def __init__(self, config: BlindConfig, assistant: Assistant) -> None:
        """InputError where there are fewer questions than a step takes."""
        self.config, self.processor = config, assistant.processor
        read = READERS[config.benchmark](config.data)
        self.examples, self.data = read.examples, read.summary()
        print(self.data, flush=True)
        if len(self.examples) < config.questions:
            raise InputError(
                f"{config.data} has {len(self.examples)} training questions, a step takes {config.questions}; "
                "give a smaller --questions"
            )

    def batch(self, step: int) -> SharedPrefix:
        """A step's questions behind the one system turn that all of them share."""
        size = self.config.questions
        epoch, place = divmod(step, len(self.examples) // size)
        order = np.random.default_rng((self.config.loop.seed, epoch)).permutation(len(self.examples))
        drawn = [self.examples[int(k)] for k in order[place * size : (place + 1) * size]]
        asked = [blind_question(e.question) for e in drawn]
        opening, *_ = self.processor.opening(asked[0].turns[0].text)
        blocks = [
            self.processor.turn(q.turns[1]) + self.processor.turn(Turn("assistant", e.answer))
            for q, e in zip(asked, drawn, strict=True)
        ]
        return shared_prefix(opening, {}, blocks)

    def losses(self, model: nn.Module, batch: SharedPrefix, step: int) -> dict[str, Tensor]:
        """The step's mean loss over its questions."""
        del step
        with in_base_precision(model):
            return {"loss": batch.loss(model, next(model.parameters()).device)}


def train(config: BlindConfig) -> Path:
    """The tuned model's directory, `config.out/model`."""
    torch.manual_seed(config.loop.seed)
    base = load_base(config.base)
    lora = {name: getattr(config, name) for name in ("lora_rank", "lora_alpha", "lora_dropout")}
    assistant = new_assistant(base, {}, **lora)
    assistant.model.add_lora()
    stage = BlindTraining(config, assistant)
    fit(assistant.model, stage.batch, stage.losses, config.loop, config.out)
    folder = export_merged(config.out / "model", assistant)
    recipe = {**recipe_of(config), "base": base.name, "data": stage.data}
    (folder / "recipe.json").write_text(json.dumps(recipe, default=asdict, indent=1) + "\n")
    return folder


_SHARED: dict[str, Any] = {"data": Path("activitynet_qa"), "out": Path("runs/eval/blind")}
PRESETS = {
    "debug": (
        "seconds on a processor, to see that everything runs",
        BlindConfig(
            **_SHARED, questions=2, loop=tune_loop(3, learning_rate=1e-3, warmup=1, save_every=2, log_every=1)
        ),
    ),
    "cpu": (
        "half an hour on one core: 8,000 questions",
        BlindConfig(**_SHARED, loop=tune_loop(250, learning_rate=1e-3, save_every=50, log_every=10)),
    ),
    "gpu": (
        "minutes on one large card: three epochs of ActivityNet-QA",
        BlindConfig(
            **_SHARED, questions=128, loop=tune_loop(750, learning_rate=1e-3, save_every=250, log_every=25)
        ),
    ),
}  # fmt: skip

if __name__ == "__main__":
    train(tyro.extras.overridable_config_cli(PRESETS))

"""Instruction tuning: projectors and LoRA learn to answer questions about clips, many questions behind one clip.

    python -m motionqa.finetune.train_instruct cpu --rows ROWS --start RUN_OF_PROJECTOR/model --out RUN
    torchrun --nproc_per_node 2 -m motionqa.finetune.train_instruct cpu ...

Each clip is shown in words, in learned tokens, or in both, so that the model can do with either. LoRA of rank 8 is
HuMoCon's (arXiv 2505.20920, section 4); the rest of the recipe is ours, the paper's is not public.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from accelerate import PartialState
from peft import PeftModel, prepare_model_for_kbit_training
from torch import nn

from motionqa.assistant.model import MotionQAForConditionalGeneration
from motionqa.assistant.model_dir import Assistant, load_assistant, load_base, new_assistant, save_assistant
from motionqa.assistant.shared_cache import keeps_everything
from motionqa.data.schema import InputError
from motionqa.finetune.instruct_batches import InstructTraining, Mixture, held_out_loss, tune_loop
from motionqa.finetune.instruct_rows import InstructRows
from motionqa.finetune.training import LoopConfig, fit, recipe_of

PRECISIONS = {"auto": None, "float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class InstructConfig:
    """The recipe."""

    rows: Path
    out: Path
    base: str | None = None
    """Directory or hub id of the base model; the embedded one where none is given."""
    start: Path | None = None
    """An assistant to go on from: what the projector stage wrote."""
    held_out: Path | None = None
    """Rows of clips that are not trained on; their loss is printed in words, in tokens and in both."""
    held_out_steps: int = 4
    mixture: Mixture = field(default_factory=Mixture)
    lora_rank: int = 8
    lora_alpha: int = 16
    lora_dropout: float = 0.05
    projector_rate: float = 1.0
    """The projectors' learning rate, as a share of LoRA's."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the frozen base; LoRA and projectors are float32. `auto` is bfloat16 where the machine computes it."""
    quantize: Literal["none", "4bit"] = "none"
    """`4bit` is QLoRA: a GPU and bitsandbytes."""
    recompute: bool = False
    """Gradient checkpointing: less memory, a third more work."""
    loop: LoopConfig = field(default_factory=lambda: tune_loop(1500, learning_rate=2e-3))


def start(config: InstructConfig, rows: InstructRows) -> Assistant:
    """The assistant that tuning begins with: a saved one, or a new one on the base model; LoRA added where missing.

    InputError where rows and assistant are of different encoders.
    """
    torch.manual_seed(config.loop.seed)
    base = load_base(config.base, dtype=PRECISIONS[config.precision], four_bit=config.quantize == "4bit")
    if config.quantize == "4bit":
        base = replace(base, model=prepare_model_for_kbit_training(base.model, use_gradient_checkpointing=False))
    if config.start is not None:
        assistant = load_assistant(config.start, base, trainable=True, sources=rows.sources)
    else:
        assistant = new_assistant(base, rows.widths, rows.sources)
    if assistant.model.config.widths != rows.widths:
        raise InputError(
            f"{config.start} reads {assistant.model.config.widths} (values a row), and {rows.folder} holds "
            f"{rows.widths}; train the projector on these rows"
        )
    if not isinstance(assistant.model.language_model, PeftModel):
        for name in ("lora_rank", "lora_alpha", "lora_dropout"):
            setattr(assistant.model.config, name, getattr(config, name))
        assistant.model.add_lora()
    if config.recompute:
        assistant.model.gradient_checkpointing_enable({"use_reentrant": False})
    return assistant


def train(config: InstructConfig, assistant: Assistant | None = None) -> Assistant:
    """The tuned assistant, also written to `config.out/model`; an own one may be handed in."""
    rows = InstructRows(config.rows)
    assistant = assistant or start(config, rows)
    # Sharded processes must run the model equally often; checkpointing and sliding windows leave no cache to share.
    several = PartialState(cpu=not torch.cuda.is_available()).num_processes > 1
    packed = several or config.recompute or not keeps_everything(assistant.model.base.config)
    stage = InstructTraining(rows, assistant.processor, config.mixture, config.loop.seed, packed)
    validate = _validation(config, assistant)
    groups = trained_parts(assistant.model, config.loop.learning_rate, config.projector_rate)
    trained = fit(assistant.model, stage.batch, stage.losses, config.loop, config.out, validate, groups)
    assert isinstance(trained, MotionQAForConditionalGeneration)
    scores = {f"held_out_loss_{k}": v for k, v in (validate(trained.eval()) if validate else {}).items()}
    data = {"rows": rows.about, "clips": len(rows), "held_out": str(config.held_out or "")}
    main = PartialState().is_main_process
    save_assistant(config.out / "model", trained, assistant.processor, recipe_of(config), data, scores, write=main)
    return Assistant(trained.eval(), assistant.processor)


def trained_parts(model: MotionQAForConditionalGeneration, rate: float, share: float) -> list[dict[str, object]]:
    """AdamW's groups: adapters, and projectors at their share of the learning rate."""
    projectors = list(model.projectors.parameters())
    known = {id(p) for p in projectors}
    adapters = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
    return [{"params": adapters, "lr": rate}, {"params": projectors, "lr": rate * share}]


def _validation(config: InstructConfig, assistant: Assistant) -> Callable[[nn.Module], dict[str, float]] | None:
    if config.held_out is None:
        return None
    rows = InstructRows(config.held_out)

    def validate(model: nn.Module) -> dict[str, float]:
        del model  # it is the assistant's own
        return held_out_loss(assistant, rows, config.mixture, config.held_out_steps)

    return validate


_SHARED: dict[str, Any] = {"rows": Path("rows"), "out": Path("runs/instruct")}
PRESETS = {
    "debug": (
        "a minute on a processor, to see that everything runs",
        InstructConfig(
            **_SHARED, mixture=Mixture(1, 4, row_tokens=300),
            loop=tune_loop(4, learning_rate=2e-3, warmup=1, save_every=2, log_every=1),
        ),
    ),
    "cpu": (
        "one or two hours on two cores: the released assistant",
        # Drawing LoRA's dropout costs a processor 40 % of a step, so here it is left out.
        InstructConfig(
            **_SHARED, lora_dropout=0.0, mixture=Mixture(2, 12, words_only=0.2, tokens_only=0.12),
            loop=tune_loop(600, learning_rate=1.5e-3, save_every=100, log_every=10),
        ),
    ),
    "gpu": (
        "half an hour on one large card",
        InstructConfig(
            **_SHARED, mixture=Mixture(32, 8, row_tokens=600),
            loop=tune_loop(4000, learning_rate=1e-3, warmup=50, save_every=500, log_every=20),
        ),
    ),
}  # fmt: skip

if __name__ == "__main__":
    train(tyro.extras.overridable_config_cli(PRESETS))

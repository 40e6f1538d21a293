"""The projector stage: learned tokens are pulled to the words of their actions, then may learn to answer from them.

    python -m motionqa.finetune.train_projector cpu --rows ROWS --out RUN

The language model is frozen throughout. Alignment comes first: a modality's projected rows, averaged over an action's
span, should point where the mean embedding of the action's words points, be as long, and be nearer to it than to the
other actions of the batch. Fifteen seconds of that were worth 15 points in a small trial before this project's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from accelerate import PartialState
from jaxtyping import Float, Int
from torch import Tensor, nn

from motionqa.assistant.model_dir import Assistant, load_base, new_assistant, save_assistant
from motionqa.assistant.processor import fewer_rows
from motionqa.data.reading import MODALITIES
from motionqa.data.schema import InputError
from motionqa.finetune.instruct_batches import InstructTraining, Mixture, tune_loop
from motionqa.finetune.instruct_rows import InstructRows, TrainClip
from motionqa.finetune.training import LoopConfig, fit, recipe_of


@dataclass(frozen=True)
class ProjectorConfig:
    """The recipe."""

    rows: Path
    out: Path
    base: str | None = None
    """Directory or hub id of the base model; the embedded one where none is given."""
    clips: int = 32
    """Of an alignment step; each brings all its actions."""
    temperature: float = 0.1
    """Of the contrast between the actions of a batch."""
    norm_weight: float = 0.1
    align: LoopConfig = field(default_factory=lambda: tune_loop(400, learning_rate=2e-3, schedule="cosine"))
    answer_steps: int = 0
    """Steps of the second stage, in which the projector learns to answer from tokens alone; 0 leaves it out."""
    answer: LoopConfig = field(default_factory=lambda: tune_loop(1, learning_rate=1e-3))
    mixture: Mixture = field(default_factory=lambda: Mixture(words_only=0.0, tokens_only=1.0))


@dataclass(frozen=True, eq=False)
class Spans:
    """The rows of a batch's actions in one modality."""

    rows: Float[Tensor, "N D"]
    action: Int[Tensor, "N"]
    """Which action of the batch each row belongs to."""
    name: Int[Tensor, "S"]
    """Which name each action has."""


class Aligner(nn.Module):
    """Projectors beside the mean word embedding of every action's name."""

    words: Tensor
    middle: Tensor

    def __init__(self, assistant: Assistant, names: tuple[str, ...], temperature: float, norm_weight: float) -> None:
        super().__init__()
        self.projectors, self.names = assistant.model.projectors, names
        self.temperature, self.norm_weight = temperature, norm_weight
        table = cast(Tensor, assistant.model.get_input_embeddings().weight).detach().float()
        ids = [list(assistant.processor.word_ids(name)) for name in names]
        words = torch.stack([table[torch.tensor(i, device=table.device)].mean(dim=0) for i in ids])
        self.register_buffer("words", words)
        self.register_buffer("middle", words.mean(dim=0))

    def forward(self, batch: Mapping[str, Spans]) -> dict[str, Tensor]:
        """Cosine, length and contrast, averaged over modalities; `found` is how often the right name is nearest."""
        parts = [self._modality(m, batch[m]) for m in self.projectors if m in batch]
        losses = {k: torch.stack([p[k] for p in parts]).mean() for k in parts[0]}
        losses["loss"] = losses["cosine"] + losses["contrast"] + self.norm_weight * losses["length"]
        for weight in self.projectors.parameters():  # DDP waits for a gradient of every parameter
            losses["loss"] = losses["loss"] + 0.0 * weight.sum()
        return {k: v if k == "loss" else v.detach() for k, v in losses.items()}

    def _modality(self, modality: str, spans: Spans) -> dict[str, Tensor]:
        projected = self.projectors[modality](spans.rows.to(self.words.device))
        action, name = spans.action.to(projected.device), spans.name.to(projected.device)
        sums = projected.new_zeros(len(name), projected.shape[1]).index_add(0, action, projected)
        means = sums / torch.bincount(action, minlength=len(name)).clamp(min=1)[:, None]
        target = self.words[name]
        present, place = name.unique(return_inverse=True)
        # What all names have in common says nothing about any: the contrast is between what is left.
        centred = F.normalize(means - self.middle, dim=1)
        near = centred @ F.normalize(self.words - self.middle, dim=1).T
        return {
            "cosine": (1 - F.cosine_similarity(means, target)).mean(),
            "length": (means.norm(dim=1).log() - target.norm(dim=1).log()).square().mean(),
            "contrast": F.cross_entropy(near[:, present] / self.temperature, place),
            "found": (near.argmax(dim=1) == name).float().mean(),
        }


class AlignTraining:
    """Batches of actions with their rows: clips in shuffled epochs, the same for the same step."""

    def __init__(self, rows: InstructRows, assistant: Assistant, clips: int, seed: int) -> None:
        """InputError where no clip has tokens with a named span."""
        self.rows, self.assistant, self.clips, self.seed = rows, assistant, clips, seed
        self.usable = [k for k in range(len(rows)) if rows[k].spans and rows[k].tokens]
        self.names = tuple(sorted({s.name for k in self.usable for s in rows[k].spans if s.name}))
        if len(self.names) < 2:
            raise InputError(f"{rows.folder} names {len(self.names)} actions in its tokens; alignment needs at least 2")

    def batch(self, step: int) -> dict[str, Spans]:
        """The actions of a step's clips, by modality."""
        found: dict[str, list[tuple[np.ndarray, int]]] = {}
        for slot in range(step * self.clips, (step + 1) * self.clips):
            epoch, place = divmod(slot, len(self.usable))
            order = np.random.default_rng((self.seed, 1, epoch)).permutation(len(self.usable))
            clip = self.rows[self.usable[int(order[place])]]
            readings = [k for k, t in enumerate(clip.tokens) if any(t.of(m) is not None for m in MODALITIES)]
            if readings:
                drawn = int(np.random.default_rng((self.seed, 2, slot)).integers(len(readings)))
                self._add(found, clip, readings[drawn])
        return {m: _together(parts) for m, parts in found.items()}

    def _add(self, found: dict[str, list[tuple[np.ndarray, int]]], clip: TrainClip, reading: int) -> None:
        """Each action's rows; spans count rows of the first modality there is and are scaled to the others."""
        tokens, config, counted = clip.tokens[reading], self.assistant.processor.config, 0
        for modality in config.modalities:
            rows = tokens.of(modality)
            if rows is None or not len(rows):
                continue
            counted = counted or len(rows)
            rows = fewer_rows(rows, (config.max_rows or {})[modality])
            for span in clip.spans:
                start, end = (round(min(x, counted) * len(rows) / counted) for x in (span.start, span.end))
                if span.name and start < len(rows) and span.end > span.start:
                    inside = rows[start : max(start + 1, end)]
                    found.setdefault(modality, []).append((inside, self.names.index(span.name)))

    def losses(self, model: nn.Module, batch: Mapping[str, Spans], step: int) -> dict[str, Tensor]:
        """The aligner's losses."""
        del step
        return model(batch)


def _together(parts: list[tuple[np.ndarray, int]]) -> Spans:
    rows = torch.from_numpy(np.concatenate([np.asarray(x, np.float32) for x, _ in parts]))
    action = torch.cat([torch.full((len(x),), k) for k, (x, _) in enumerate(parts)])
    return Spans(rows, action, torch.tensor([name for _, name in parts]))


def train(config: ProjectorConfig, assistant: Assistant | None = None) -> Assistant:
    """The assistant with its projectors trained, also written to `config.out/model`; an own one may be handed in."""
    rows = InstructRows(config.rows)
    if assistant is None:
        torch.manual_seed(config.align.seed)
        assistant = new_assistant(load_base(config.base), rows.widths, rows.sources)
    model = assistant.model
    aligning = AlignTraining(rows, assistant, config.clips, config.align.seed)
    aligner = Aligner(assistant, aligning.names, config.temperature, config.norm_weight)
    fit(aligner, aligning.batch, aligning.losses, config.align, config.out / "align")
    if config.answer_steps:
        stage = InstructTraining(rows, assistant.processor, config.mixture, config.answer.seed)
        loop = replace(config.answer, steps=config.answer_steps)
        groups = [{"params": list(model.projectors.parameters())}]
        fit(model, stage.batch, stage.losses, loop, config.out / "answer", groups=groups)
    recipe = {"projector": recipe_of(config)}
    data = {"rows": rows.about, "clips": len(rows), "actions": len(aligning.names)}
    main = PartialState().is_main_process
    save_assistant(config.out / "model", model, assistant.processor, recipe, data, write=main)
    return assistant


_SHARED: dict[str, Any] = {"rows": Path("rows"), "out": Path("runs/projector")}
PRESETS = {
    "debug": (
        "seconds on a processor, to see that everything runs",
        ProjectorConfig(
            **_SHARED, clips=2, align=tune_loop(4, learning_rate=2e-3, warmup=1, save_every=2, log_every=1),
            answer_steps=1, mixture=Mixture(1, 2, 0.0, 1.0, 200),
        ),
    ),
    "cpu": ("a minute on two cores", ProjectorConfig(**_SHARED)),
    "gpu": (
        "minutes on one card, with the second stage",
        ProjectorConfig(
            **_SHARED, clips=128, align=tune_loop(2000, learning_rate=1e-3, schedule="cosine"), answer_steps=1000,
            mixture=Mixture(16, 8, 0.0, 1.0),
        ),
    ),
}  # fmt: skip

if __name__ == "__main__":
    train(tyro.extras.overridable_config_cli(PRESETS))

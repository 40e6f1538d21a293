"""Batches and losses of the language stages: which clips, readings and questions a step sees, by its number alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from peft.helpers import disable_input_dtype_casting
from torch import Tensor, nn

from motionqa.assistant.model_dir import Assistant
from motionqa.assistant.processor import MotionQAProcessor, Tokens
from motionqa.assistant.prompt import TUNED, clip_opening, without_facts
from motionqa.data.reading import ClipTokens
from motionqa.data.schema import InputError
from motionqa.finetune.instruct_rows import InstructRows
from motionqa.finetune.packing import PackedBatch, collate, pack
from motionqa.finetune.shared_prefix import SharedPrefix, shared_prefix
from motionqa.finetune.training import LoopConfig

Array = np.ndarray


def tune_loop(steps: int, **settings: Any) -> LoopConfig:
    """The training loop of the language stages: no weight decay, a short warm-up, then linearly down to zero."""
    return LoopConfig(steps, **{"weight_decay": 0.0, "warmup": 10, "schedule": "linear", **settings})


@dataclass(frozen=True)
class Mixture:
    """What a step shows: clips, questions about each, and through which of the two ways in."""

    clips: int = 4
    questions: int = 12
    words_only: float = 0.25
    """Share of clips shown in words alone."""
    tokens_only: float = 0.25
    """Share shown in learned tokens alone; the rest is shown in both."""
    row_tokens: int = 800
    """About how long a row is where a step is packed (`packing.py`)."""

    def __post_init__(self) -> None:
        if self.clips < 1 or self.questions < 1:
            raise ValueError(f"a step needs clips and questions, got {self.clips} and {self.questions}")
        if min(self.words_only, self.tokens_only) < 0 or self.words_only + self.tokens_only > 1:
            raise ValueError(
                f"shares of words only and tokens only must add up to at most 1, got {self.words_only} and "
                f"{self.tokens_only}"
            )


@dataclass(frozen=True)
class Draw:
    """One clip of a step: what is shown and what is asked."""

    clip: int
    shown: Literal["words", "tokens", "both"]
    words: str
    tokens: ClipTokens | None
    dialogues: tuple[tuple[tuple[str, str], ...], ...]


class Sampler:
    """The draws of any step: every clip once an epoch, in an order of its own.

    A clip's place in that endless sequence decides what is drawn with it, however the sequence is cut into steps.
    So two processes with two clips a step each see what one process with four sees.
    """

    def __init__(self, rows: InstructRows, mixture: Mixture, seed: int) -> None:
        """InputError where no clip has a dialogue."""
        self.rows, self.mixture, self.seed = rows, mixture, seed
        self.usable = [k for k in range(len(rows)) if rows[k].dialogues]
        if not self.usable:
            raise InputError(f"{rows.folder} has no clip with a dialogue; build it again")

    def draws(self, step: int) -> list[Draw]:
        """What a step shows."""
        start = step * self.mixture.clips
        return [self.draw(slot) for slot in range(start, start + self.mixture.clips)]

    def draw(self, slot: int) -> Draw:
        """The clip of one slot of the endless sequence."""
        epoch, place = divmod(slot, len(self.usable))
        order = np.random.default_rng((self.seed, 1, epoch)).permutation(len(self.usable))
        index = self.usable[int(order[place])]
        clip, rng, mixture = self.rows[index], np.random.default_rng((self.seed, 2, slot)), self.mixture
        reading = int(rng.integers(max(1, len(clip.words))))
        words, tokens, way = clip.words[reading] if clip.words else "", clip.tokens_of(reading), rng.random()
        shown: Literal["words", "tokens", "both"] = "both"
        if tokens is None or (words and way < mixture.words_only):
            shown = "words"
        elif not words or mixture.words_only <= way < mixture.words_only + mixture.tokens_only:
            shown = "tokens"
        chosen = rng.permutation(len(clip.dialogues))[: mixture.questions]
        return Draw(index, shown, words, tokens, tuple(clip.dialogues[int(k)] for k in chosen))


class InstructTraining:
    """Packed batches and their loss for an assistant over training rows."""

    def __init__(
        self, rows: InstructRows, processor: MotionQAProcessor, mixture: Mixture, seed: int, packed: bool = False
    ) -> None:
        """`packed` keeps a step in one batch that runs the model once, without its cache."""
        self.rows, self.processor, self.mixture, self.packed = rows, processor, mixture, packed
        self.sampler = Sampler(rows, mixture, seed)

    def batch(self, step: int) -> Sequence[PackedBatch | SharedPrefix]:
        """A step's clips with their questions, in parts whose losses add up.

        Each question counts the same, one over what a full step has, so that steps on several processes average to
        one step with all their clips.
        """
        full = self.mixture.clips * self.mixture.questions
        clips = [self.clip(draw) for draw in self.sampler.draws(step)]
        if not self.packed:
            return [shared_prefix(*clip, full) for clip in clips]
        return [collate([row for clip in clips for row in pack(*clip, self.mixture.row_tokens)], full)]

    def clip(self, draw: Draw) -> tuple[Tokens, dict[str, Float[Array, "M D"]], list[Tokens]]:
        """What is shown of a clip: its tokens and features, and each conversation about it."""
        start = clip_opening(replace(TUNED, clip=draw.shown), draw.words, draw.tokens)
        opening, features, _ = self.processor.opening(start.turns[0].text, start.clip)
        asked = without_facts if draw.shown == "tokens" else str
        return (
            opening,
            features,
            [sum((self.processor.exchange(asked(q), a) for q, a in d), Tokens()) for d in draw.dialogues],
        )

    def losses(self, model: nn.Module, batch: Sequence[PackedBatch | SharedPrefix], step: int) -> dict[str, Tensor]:
        """The step's loss; beside it the mean over its questions, and how many tokens it had."""
        del step
        device = next(model.parameters()).device
        with in_base_precision(model):
            loss = torch.stack([part.loss(model, device) for part in batch]).sum()
        asked = sum(part.examples for part in batch)
        full = self.mixture.clips * self.mixture.questions
        tokens = torch.tensor(float(sum(part.tokens for part in batch)))
        return {"loss": loss, "question": loss.detach() * full / asked, "tokens": tokens}


@contextmanager
def in_base_precision(model: nn.Module) -> Iterator[None]:
    """Within, float32 adapters of a bfloat16 base compute in bfloat16: a fifth faster on two cores.

    Their weights, gradients and AdamW's moments stay float32.
    """
    half = next((p for p in model.parameters() if p.dtype == torch.bfloat16), None)
    if half is None:
        yield
        return
    with torch.autocast(half.device.type, torch.bfloat16), disable_input_dtype_casting(model):
        yield


def held_out_loss(assistant: Assistant, rows: InstructRows, mixture: Mixture, steps: int) -> dict[str, float]:
    """Mean loss of questions about clips that are not trained on: words only, tokens only, and both."""
    found = {}
    for name, words, tokens in (("words", 1.0, 0.0), ("tokens", 0.0, 1.0), ("both", 0.0, 0.0)):
        shown = replace(mixture, words_only=words, tokens_only=tokens)
        stage = InstructTraining(rows, assistant.processor, shown, seed=0)
        with torch.inference_mode():
            losses = [float(stage.losses(assistant.model, stage.batch(k), k)["question"]) for k in range(steps)]
        found[name] = float(np.mean(losses))
    return found

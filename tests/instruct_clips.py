"""Made-up training clips whose answers can be read off their tokens, and off their words."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from motionqa.data.reading import ClipTokens
from motionqa.finetune.instruct_rows import InstructRows, RowWriter, Span, TrainClip
from motionqa.tests.assistant_models import SOURCES

ACTIONS = ("walks forward", "waves", "squats", "throws a ball")


def train_clip(number: int, dialogues: int = 3) -> TrainClip:
    """A clip of two actions, each with rows of its own direction."""
    rng = np.random.default_rng(number)
    first, second = number % 4, (number // 4 + number + 1) % 4
    motion = np.concatenate([_rows(first, 3, rng), _rows(second, 2, rng)])
    words = f"Seen: {ACTIONS[first]} 0.0-2.1 s, then {ACTIONS[second]} 2.1-4.0 s."
    asked = [
        (("What comes first?", ACTIONS[first]),),
        (("What comes after that?", ACTIONS[second]),),
        (("Tell me what comes first.", f"The person {ACTIONS[first]}."), ("And then?", ACTIONS[second])),
    ]
    tokens = ClipTokens(motion, rng.normal(size=(2, 4)).astype(np.float16), sources=SOURCES)
    spans = (Span(ACTIONS[first], 0, 3), Span(ACTIONS[second], 3, 5))
    return TrainClip(
        f"clip {number}", (words, words.replace("Seen", "It seems")), (tokens,), spans, tuple(asked[:dialogues])
    )


def _rows(action: int, count: int, rng: np.random.Generator) -> np.ndarray:
    return (4 * np.eye(6)[action] + 0.3 * rng.normal(size=(count, 6))).astype(np.float16)


def row_folder(folder: Path, clips: int = 8, dialogues: int = 3) -> InstructRows:
    """A written set of such clips."""
    with RowWriter(folder, {"seed": 0}) as writer:
        for number in range(clips):
            writer.add(train_clip(number, dialogues))
    return InstructRows(folder)

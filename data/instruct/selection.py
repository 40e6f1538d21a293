"""Which of a clip's questions are asked: kinds with one short right answer, and one of each kind before a second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motionqa.data.instruct.example import InstructExample

NOT_CLOSED = ("caption", "when", "start", "end", "lasts", "duration", "angle", "speed")
"""Kinds without an exact answer: free text, and measurements that are right within a tolerance."""
NO_MOTION = ("refusal", "not_visible")
"""Kinds that are answered from the question alone."""
GIVEN_AWAY = ("absent",)
"""Kinds whose wording gives their one answer away where nobody asks when something happens that is there."""


def is_closed_kind(kind: str) -> bool:
    """Whether questions of a kind have an exact answer that takes the motion to know."""
    return kind not in (*NOT_CLOSED, *NO_MOTION)


def telling(examples: Sequence[InstructExample], most: int, rng: np.random.Generator) -> list[InstructExample]:
    """So many questions of one short clip that tell a model which sees it from one that does not."""
    kept = [e for e in examples if is_closed_kind(e.kind) and e.kind not in GIVEN_AWAY]
    return varied(kept, most, rng)


def varied(examples: Sequence[InstructExample], most: int, rng: np.random.Generator) -> list[InstructExample]:
    """So many examples, one of each kind before a second of any."""
    order = [examples[i] for i in rng.permutation(len(examples))]
    seen: dict[str, int] = {}
    ranked = []
    for example in order:
        seen[example.kind] = seen.get(example.kind, 0) + 1
        ranked.append((seen[example.kind], len(ranked), example))
    return [e for _, _, e in sorted(ranked, key=lambda r: r[:2])[:most]]

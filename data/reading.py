"""What is read in a clip beyond measurements: recognised actions, and learned tokens for the language model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from motionqa.data.report import Fact

Array = np.ndarray

MODALITIES = ("motion", "video", "flow")


@dataclass(frozen=True)
class ReadAction:
    """One recognised action with its times, how sure it is, and what else it may be."""

    name: str
    """A name of the reader's vocabulary; empty where the movement is none of them."""
    start_s: float
    end_s: float
    probability: float
    """0 to 1: mean over the action's moments."""
    alternatives: tuple[tuple[str, float], ...] = ()
    """Other names with their probabilities, likeliest first."""


@dataclass(frozen=True, eq=False)
class ClipTokens:
    """Learned features of a clip, in order of time: one row becomes one token. None: not there."""

    motion: Float[Array, "N D"] | None = None
    video: Float[Array, "M E"] | None = None
    flow: Float[Array, "K F"] | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    """By modality: which encoder made the features, its name and the hash of its weights."""

    def of(self, modality: str) -> Float[Array, "N D"] | None:
        """The rows of a modality by its name; ValueError for another name."""
        if modality not in MODALITIES:
            raise ValueError(f"there is no modality {modality!r}, expected one of {', '.join(MODALITIES)}")
        return getattr(self, modality)

    def only(self, modalities: Collection[str]) -> ClipTokens:
        """The same without the rows of other modalities; ValueError for a name that is none."""
        kept = {m: self.of(m) for m in modalities}
        return ClipTokens(**kept, sources={m: s for m, s in self.sources.items() if m in kept})


@dataclass(frozen=True, eq=False)
class MotionReading:
    """A clip as the reader sees it."""

    actions: tuple[ReadAction, ...]
    """In order of time, without gaps."""
    tokens: ClipTokens
    words: str = ""
    """Actions and what was measured, in about a hundred words."""
    facts: tuple[Fact, ...] = ()
    """What is recognised, sentence by sentence, for questions about it."""

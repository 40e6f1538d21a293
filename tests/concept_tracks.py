"""Concept tracks at random, and what an index makes of them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np

from motionqa.encoders.concepts.index import ConceptIndex, IndexedClip
from motionqa.encoders.concepts.moments import Modality
from motionqa.encoders.concepts.track import ConceptTrack

Array = np.ndarray

WEIGHTS = "a" * 64
WIDTH, TOKEN_S = 24, 4 / 15


def project(modality: Modality, windows: Array) -> Array:  # noqa: ARG001 - both modalities alike
    """A window's place is its tokens' mean."""
    mean = windows.mean(axis=1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def some_sha(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def track(seed: int, tokens: int = 8, width: int = WIDTH) -> ConceptTrack:
    """Tokens at random, in every one other."""
    vectors = np.random.default_rng(seed).normal(size=(tokens, width)).astype(np.float32)
    return tracked(vectors)


def tracked(vectors: Array) -> ConceptTrack:
    zeros = np.zeros(len(vectors), np.float32)
    edges = np.arange(len(vectors) + 1) * TOKEN_S
    return ConceptTrack(zeros.astype(int), vectors, zeros, zeros, edges, project("motion", vectors[None])[0])


def clip(seed: int, modality: Modality = "motion", tokens: int = 8, name: str = "") -> IndexedClip:
    name = name or f"clip{seed}.bvh"
    return IndexedClip(some_sha(str(seed)), Path(name), name, modality, track(seed, tokens), ("walk",))


def opened(folder: Path) -> ConceptIndex:
    return ConceptIndex(folder, WEIGHTS, project, create=True)

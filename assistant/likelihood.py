"""How likely a language model finds each of several answers to a prompt: closed-set questions are scored with it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    import transformers

BATCH = 32
"""Answers run side by side; bounds memory, changes nothing else."""


@dataclass(frozen=True)
class AnswerLikelihood:
    """Natural log-likelihood of one answer and its end, given the prompt."""

    answer: str
    total: float
    """Summed over the answer's tokens and the end of the turn."""
    tokens: int

    @property
    def per_token(self) -> float:
        """Length-normalised: the mean over tokens."""
        return self.total / self.tokens


def answer_likelihoods(
    model: transformers.PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerBase,
    prompt: str,
    answers: Sequence[str],
) -> tuple[AnswerLikelihood, ...]:
    """The log-likelihood of each answer as the whole next turn after a rendered prompt, in the order given.

    The prompt is run once; its key-value cache is shared by all answers. The end of the turn counts as a token, so
    that "walk" does not win merely because "walk backwards" begins with it. ValueError for an empty answer.
    """
    import torch

    if not answers or not all(a.strip() for a in answers):
        raise ValueError(f"expected answers that are not empty, got {list(answers)}")
    if not prompt[-1:].isspace():
        prompt += " "
    end = str(tokenizer.eos_token or "")
    prompt_ids = tokenizer(prompt, add_special_tokens=False).input_ids
    whole = [tokenizer(f"{prompt}{a.strip()}{end}", add_special_tokens=False).input_ids for a in answers]
    # Where tokens merge across the seam, scoring starts before it, at the same place for every answer.
    shared = _common_length([prompt_ids, *whole])
    scored: list[AnswerLikelihood] = []
    with torch.inference_mode():
        out = model(input_ids=torch.tensor([prompt_ids[:shared]], device=model.device), use_cache=True)
        first = out.logits[0, -1].float().log_softmax(-1)
        for start in range(0, len(answers), BATCH):
            rests = [ids[shared:] for ids in whole[start : start + BATCH]]
            totals = continuation_totals(model, first, out.past_key_values, rests)
            some = answers[start : start + BATCH]
            scored += [AnswerLikelihood(a, t, len(r)) for a, t, r in zip(some, totals, rests, strict=True)]
    return tuple(scored)


def _common_length(sequences: Sequence[Sequence[int]]) -> int:
    """Tokens that all sequences begin with; at least one is left to score in each but the first."""
    longest = min(len(sequences[0]), *(len(s) - 1 for s in sequences[1:]))
    for k in range(longest):
        if len({s[k] for s in sequences}) > 1:
            return k
    return longest


def continuation_totals(
    model: transformers.PreTrainedModel, first: torch.Tensor, cache: transformers.Cache, rests: Sequence[Sequence[int]]
) -> list[float]:
    """Summed log-probability of each continuation; `first` [V] is that of the token after the prompt in `cache`."""
    import torch

    width = max(map(len, rests))
    tokens = torch.zeros(len(rests), width, dtype=torch.long)
    real = torch.zeros(len(rests), width, dtype=torch.bool)
    for row, rest in enumerate(rests):
        tokens[row, : len(rest)] = torch.tensor(list(rest))
        real[row, : len(rest)] = True
    tokens, real = tokens.to(first.device), real.to(first.device)
    found = torch.zeros(len(rests), width, device=first.device)
    found[:, 0] = first[tokens[:, 0]]
    if width > 1:
        own = copy.deepcopy(cache)  # a run appends to its cache, and the next batch needs the prompt's alone
        own.batch_repeat_interleave(len(rests))
        # Padding stands after what is scored, so the causal mask keeps it out by itself.
        logits = model(input_ids=tokens[:, :-1], past_key_values=own, use_cache=True).logits
        found[:, 1:] = logits.float().log_softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0]
    return torch.where(real, found, 0.0).sum(-1).tolist()

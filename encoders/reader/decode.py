"""From how likely every action is at every moment to a few actions with times: a Viterbi path, then stretches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from motionqa.data.reading import ReadAction

Array = np.ndarray


@dataclass(frozen=True)
class DecodeConfig:
    """How probabilities become actions. Chosen on the validation side (`motionqa.finetune.train_reader`)."""

    change: float = 4.0
    """Cost of going from one action to another, in nats."""
    temperature: float = 1.0
    """Scores are divided by it before they are probabilities."""
    doubt: float = 0.35
    """An action less probable than this on average is called none of the known ones."""
    shortest_s: float = 0.5
    """Shorter stretches join their likelier neighbour."""
    alternatives: int = 2
    mention: float = 0.1
    """Alternatives below this are not worth saying."""


def decode(
    scores: Float[Array, "N K"], times_s: Float[Array, "N+1"], names: tuple[str, ...], config: DecodeConfig
) -> tuple[ReadAction, ...]:
    """Actions in order of time, without gaps. Scores are logits, the last class is "none of these"; `times_s` are the
    borders between the N moments."""
    if scores.shape != (len(times_s) - 1, len(names) + 1):
        raise ValueError(f"{scores.shape} scores for {len(times_s) - 1} moments and {len(names)} names")
    log_p = _log_softmax(scores / config.temperature)
    path = _best_path(log_p, config.change)
    out = []
    for first, last in _stretches(path, log_p, times_s, config.shortest_s):
        mean = np.exp(log_p[first : last + 1]).mean(axis=0)
        best = int(path[first])
        order = [int(k) for k in np.argsort(-mean) if k not in (best, len(names))]
        others = [(names[k], float(mean[k])) for k in order if mean[k] >= config.mention][: config.alternatives]
        known = best < len(names) and mean[best] >= config.doubt
        if best < len(names) and not known:
            others = [(names[best], float(mean[best])), *others][: config.alternatives]
        out.append(
            ReadAction(
                names[best] if known else "",
                float(times_s[first]),
                float(times_s[last + 1]),
                float(mean[best]),
                tuple(others),
            )
        )
    return tuple(out)


def _log_softmax(x: Float[Array, "N K"]) -> Float[Array, "N K"]:
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def _best_path(log_p: Float[Array, "N K"], change: float) -> Int[Array, "N"]:
    """The likeliest sequence of classes where each change costs `change`."""
    count, classes = log_p.shape
    score = log_p[0].copy()
    came = np.zeros((count, classes), dtype=int)
    for i in range(1, count):
        best = int(score.argmax())
        stay = score >= score[best] - change
        came[i] = np.where(stay, np.arange(classes), best)
        score = np.where(stay, score, score[best] - change) + log_p[i]
    path = np.empty(count, dtype=int)
    path[-1] = int(score.argmax())
    for i in range(count - 1, 0, -1):
        path[i - 1] = came[i, path[i]]
    return path


def _stretches(
    path: Int[Array, "N"], log_p: Float[Array, "N K"], times_s: Float[Array, "N+1"], shortest_s: float
) -> list[tuple[int, int]]:
    """First and last moment of each action; `path` is changed where a short stretch joins a neighbour."""
    while True:
        edges = np.flatnonzero(np.diff(path)) + 1
        starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(path)]]) - 1
        lengths = times_s[ends + 1] - times_s[starts]
        if len(starts) == 1 or lengths.min() >= shortest_s:
            return [(int(a), int(b)) for a, b in zip(starts, ends, strict=True)]
        i = int(lengths.argmin())
        a, b = int(starts[i]), int(ends[i])
        beside = [int(path[k]) for k in (a - 1, b + 1) if 0 <= k < len(path)]
        path[a : b + 1] = max(beside, key=lambda k: float(log_p[a : b + 1, k].sum()))

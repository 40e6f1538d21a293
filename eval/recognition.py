"""How well actions are recognised: accuracy on held-out subjects or styles, and one-shot accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from motionqa.data.mocap.actions import ActionTask, OneShotTask, test_inputs
from motionqa.data.mocap.clip import MocapClip

Array = np.ndarray

Scorer = Callable[[Float[Array, "V T 17 3"]], Float[Array, "V K"]]
"""Views of a clip to class log-probabilities, or to embeddings."""


def scorer(model: object, log_softmax: bool) -> Scorer:
    """A torch model as a function on arrays."""
    import torch
    from torch import nn

    assert isinstance(model, nn.Module)
    model.eval()

    def run(views: Float[Array, "V T 17 3"]) -> Float[Array, "V K"]:
        with torch.inference_mode():
            found = model(torch.from_numpy(views)).float()
            return (found.log_softmax(dim=-1) if log_softmax else found).numpy()

    return run


def hits(task: ActionTask, scores: Scorer, frames: int) -> Bool[Array, "N"]:
    """For each test clip, whether the class with the highest mean probability over views is right."""
    right = []
    for clip in task.test:
        probability = np.exp(scores(test_inputs(clip, frames))).mean(axis=0)
        right.append(int(probability.argmax()) == task.index(clip))
    return np.array(right)


def one_shot_accuracy(task: OneShotTask, embed: Callable[[MocapClip], Float[Array, "E"]]) -> Float[Array, "S"]:
    """Share of novel test clips whose nearest exemplar (cosine) is of their action; one figure a set of exemplars."""
    test = _unit(np.stack([embed(c) for c in task.test]))
    truth = [c.label for c in task.test]
    known = {id(c): c for exemplars in task.exemplars for c in exemplars}  # a clip stands in several sets
    embedded = {k: embed(c) for k, c in known.items()}
    shares = []
    for exemplars in task.exemplars:
        given = _unit(np.stack([embedded[id(c)] for c in exemplars]))
        nearest = (test @ given.T).argmax(axis=1)
        shares.append(np.mean([exemplars[k].label == label for k, label in zip(nearest, truth, strict=True)]))
    return np.array(shares)


def joint_embedding(clip: MocapClip, frames: int) -> Float[Array, "E"]:
    """The baseline's embedding: joints of the frontal view at even moments, in body sizes about the pelvis."""
    views = test_inputs(clip, frames)
    flat = views[len(views) // 2][..., :2].ravel()
    return flat - flat.mean()


def wilson(right: Sequence[bool] | Bool[Array, "N"]) -> tuple[float, float]:
    """95 % Wilson interval of a share, per cent."""
    n, p, z = len(right), float(np.mean(right)), 1.96
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return tuple(round(float(100 * v / (1 + z**2 / n)), 2) for v in (middle - half, middle + half))  # type: ignore[return-value]


def _unit(x: Float[Array, "N E"]) -> Float[Array, "N E"]:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)

"""A small classifier for benchmarks: multinomial logistic regression on few features, and honest ways to score it.

Consecutive frames of one video are near copies, so folds are made of whole groups (videos, or contiguous stretches),
never of rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int

Array = np.ndarray


def fit_predict(
    train: Float[Array, "N F"], labels: Int[Array, "N"], test: Float[Array, "M F"], classes: int, decay: float = 0.01
) -> Int[Array, "M"]:
    """Labels of the test rows. Features are standardised on the training rows, holes are means, classes weigh alike."""
    mean = np.nan_to_num(np.nanmean(train, axis=0))
    std = np.nan_to_num(np.nanstd(train, axis=0)) + 1e-6
    x, z = (torch.tensor(np.clip(np.nan_to_num((a - mean) / std), -5, 5), dtype=torch.float64) for a in (train, test))
    y = torch.tensor(labels)
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    weight = torch.tensor(len(labels) / (classes * counts), dtype=torch.float64)
    w = torch.zeros(x.shape[1] + 1, classes, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([w], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(x @ w[:-1] + w[-1], y, weight=weight) + decay * (w[:-1] ** 2).sum()
        value.backward()
        return value

    optimiser.step(loss)
    with torch.no_grad():
        return (z @ w[:-1] + w[-1]).argmax(dim=1).numpy()


def leave_groups_out(
    x: Float[Array, "N F"], labels: Int[Array, "N"], groups: Sequence[object], classes: int, decay: float = 0.01
) -> Int[Array, "N"]:
    """A prediction for every row by a head that saw no row of its group. ValueError for a single group."""
    names = list(dict.fromkeys(groups))
    if len(names) < 2:
        raise ValueError(f"expected two groups or more, got {len(names)}")
    own = np.array([names.index(g) for g in groups])
    out = np.zeros(len(labels), dtype=int)
    for k in range(len(names)):
        held = own == k
        out[held] = fit_predict(x[~held], labels[~held], x[held], classes, decay)
    return out


def confusion(labels: Int[Array, "N"], predicted: Int[Array, "N"], classes: int) -> Int[Array, "K K"]:
    """Rows are the truth, columns what was said."""
    out = np.zeros((classes, classes), dtype=int)
    np.add.at(out, (labels, predicted), 1)
    return out


def macro_f1(labels: Int[Array, "N"], predicted: Int[Array, "N"], classes: int) -> float:
    """Mean over classes of the F1 score; 0 for a class never said."""
    table = confusion(labels, predicted, classes)
    hit, said, true = np.diag(table), table.sum(axis=0), table.sum(axis=1)
    return float(np.mean(2 * hit / np.maximum(said + true, 1)))


def balanced_accuracy(labels: Int[Array, "N"], predicted: Int[Array, "N"], classes: int) -> float:
    """Mean over classes of the part found."""
    table = confusion(labels, predicted, classes)
    return float(np.mean(np.diag(table) / np.maximum(table.sum(axis=1), 1)))

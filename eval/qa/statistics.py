"""How sure a figure is: bootstrap intervals and a paired test, both over clips.

Questions about one clip succeed and fail together, so clips are drawn, not questions (cluster bootstrap: Davison and
Hinkley, *Bootstrap Methods and their Application*, section 3.8). A figure is a ratio: points over questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Array = np.ndarray

RESAMPLES = 2000
PERMUTATIONS = 9999
LEVEL = 0.95
_BATCH = 100


def by_clip(clips: Sequence[str], values: Sequence[float]) -> tuple[Float[Array, "C"], Float[Array, "C"]]:
    """Sum of values and number of questions of each clip, in the order of first appearance."""
    numbers: dict[str, int] = {}
    places = np.array([numbers.setdefault(c, len(numbers)) for c in clips], dtype=np.intp)
    sums = np.bincount(places, weights=np.asarray(values, dtype=np.float64), minlength=len(numbers))
    return sums, np.bincount(places, minlength=len(numbers)).astype(np.float64)


def interval(
    clips: Sequence[str], values: Sequence[float], resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """95 % percentile bootstrap interval of the mean value, drawing clips; None for fewer than two clips.

    An interval without width says that no two clips differed, not that the figure is certain.
    """
    from scipy.stats import bootstrap

    sums, counts = by_clip(clips, values)
    if len(sums) < 2 or resamples < 1:
        return None
    found = bootstrap(
        (sums, counts),
        lambda s, n, axis=-1: s.sum(axis=axis) / n.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        batch=_BATCH,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


@dataclass(frozen=True)
class Comparison:
    """Whether system A is better than system B on the same questions."""

    protocol: str
    value_a: float
    value_b: float
    interval: tuple[float, float] | None
    """95 % of the difference A - B."""
    p_value: float
    """One-sided: how often a difference this large comes out when A and B are swapped clip by clip at random."""
    questions: int
    clips: int
    only_a: int
    """Questions where A scored higher."""
    only_b: int

    @property
    def difference(self) -> float:
        return self.value_a - self.value_b

    def text(self) -> str:
        """One line for a report."""
        spread = "" if self.interval is None else f" [{self.interval[0]:+.3f}, {self.interval[1]:+.3f}]"
        return (
            f"{self.protocol}: {self.value_a:.3f} against {self.value_b:.3f}, "
            f"difference {self.difference:+.3f}{spread}, p = {self.p_value:.4f} (paired permutation over "
            f"{self.clips} clips, {self.questions} questions; better on {self.only_a}, worse on {self.only_b})"
        )


def compare(
    protocol: str,
    clips: Sequence[str],
    a: Sequence[float],
    b: Sequence[float],
    resamples: int = PERMUTATIONS,
    seed: int = 0,
) -> Comparison:
    """A against B on the same questions in the same order, by a paired permutation test over clips."""
    from scipy.stats import permutation_test

    if not len(clips) == len(a) == len(b) > 0:
        raise ValueError(f"{len(clips)} clips, {len(a)} and {len(b)} scores: expected the same number, at least one")
    sums_a, counts = by_clip(clips, a)
    sums_b, _ = by_clip(clips, b)
    p_value = 1.0
    if len(sums_a) > 1 and not np.array_equal(sums_a, sums_b):
        p_value = permutation_test(
            (sums_a, sums_b),
            lambda x, y, axis=-1: (x - y).sum(axis=axis) / counts.sum(),
            permutation_type="samples",
            vectorized=True,
            n_resamples=resamples,
            batch=_BATCH,
            alternative="greater",
            rng=np.random.default_rng(seed),
        ).pvalue
    differences = np.subtract(a, b)
    return Comparison(
        protocol,
        float(np.mean(a)),
        float(np.mean(b)),
        interval(clips, [float(d) for d in differences], seed=seed),
        float(p_value),
        len(clips),
        len(counts),
        int((differences > 0).sum()),
        int((differences < 0).sum()),
    )

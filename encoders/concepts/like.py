"""Other moments of a clip that are like one of its moments, by the space that motion and video share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motionqa.encoders.concepts.moments import Project, moment_at, moments_of
from motionqa.encoders.concepts.of_clip import ClipMotion

Array = np.ndarray


@dataclass(frozen=True)
class LikeMoment:
    """A moment and how alike it is."""

    start_s: float
    end_s: float
    similarity: float
    """Cosine, at most 1."""


def like_moments(motion: ClipMotion, at_s: float, project: Project, k: int = 5) -> list[LikeMoment]:
    """The clip's moments most like the one about a time, best first; none overlaps another or the one given.

    Empty where the clip is too short for a second moment. InputError for a time outside the clip; ValueError for a k
    below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    here = moment_at(motion.track, at_s, "motion", project)
    found = moments_of(motion.track, "motion", project, motion.seen)
    likeness = found.embeddings @ here.embeddings[0]
    taken: list[Array] = [here.spans_s[0]]
    out: list[LikeMoment] = []
    for row in np.argsort(-likeness, kind="stable"):
        start, end = found.spans_s[row]
        if any(start < b - 1e-6 and a + 1e-6 < end for a, b in taken):
            continue
        taken.append(found.spans_s[row])
        out.append(LikeMoment(float(start), float(end), float(likeness[row])))
        if len(out) == k:
            break
    return out

"""Questions that nobody can answer from joints in motion, and questions about parts that were not seen."""

from __future__ import annotations

from collections.abc import Iterator

from motionqa.data.instruct.asked import Asked, Known
from motionqa.data.instruct.movement import J
from motionqa.data.instruct.phrasings import wordings

CANNOT = "cannot be judged from motion"
UNSEEN = "not visible"
PARTS = {
    "legs": ("left_knee", "right_knee", "left_ankle", "right_ankle"),
    "arms": ("left_elbow", "right_elbow", "left_wrist", "right_wrist"),
}
AT_ONCE = 2
"""Of the subjects that cannot be judged, how many a movement is asked about."""


def refusal_questions(k: Known) -> Iterator[Asked]:
    """Two subjects that motion does not show, and one for each part of the body that was never seen."""
    subjects = [kind for kind in wordings() if kind.startswith("cannot/")]
    for i in k.rng.permutation(len(subjects))[:AT_ONCE]:
        subject = subjects[int(i)]
        accepted = ("cannot be judged", "unknown", "cannot tell")
        yield Asked(subject, CANNOT, "none", kind="refusal", relation=subject.partition("/")[2], accepted=accepted)
    for part in unseen_parts(k):
        accepted = ("cannot be judged", "not seen", "out of view")
        yield Asked(f"unseen/{part}", UNSEEN, "none", kind="not_visible", relation=part, accepted=accepted)


def unseen_parts(k: Known) -> tuple[str, ...]:
    """legs, arms: those of which neither side was seen in a tenth of the frames."""
    sure = k.motion.pose.confidence > 0
    return tuple(part for part, joints in PARTS.items() if sure[:, [J[j] for j in joints]].mean(axis=0).max() < 0.1)

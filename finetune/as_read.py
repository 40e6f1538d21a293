"""Training answers with the times that the reader gives, and with what is measured in the film that is shown.

Joined motion gives 9.4 to 11.5 s where the clip as it is seen reads 9.6 to 11.3 s. A model that is shown the second and
taught the first learns to alter numbers; it is to copy them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from motionqa.data.instruct.example import InstructExample
from motionqa.data.reading import ReadAction

TIMED = ("when", "start", "end", "lasts")
"""Kinds of questions that ask for the times of an action."""
LEAST_OVERLAP, CLOSE_S = 0.5, 0.5
"""What motion_qa asks of stretches (IoU) and of moments and lengths (`eval/qa/motion_qa.py`)."""
_TIME = re.compile(r"\d+\.\d")


def timed_as_read(example: InstructExample, actions: Sequence[ReadAction]) -> InstructExample | None:
    """The example with the times of the read action that covers its moment; None where the reading has no such times.

    Other kinds of questions stay as they are.
    """
    if example.kind not in TIMED or example.span_s is None:
        return example
    truth = example.span_s
    read = max(((a.start_s, a.end_s) for a in actions), key=lambda span: _overlap(span, truth), default=None)
    if read is None or _overlap(read, truth) < LEAST_OVERLAP:
        return None
    said, true = _times(read), _times(truth)
    if example.kind != "when" and abs(said[example.kind] - true[example.kind]) > CLOSE_S:
        return None
    parts = [part for part in ("lasts", "end", "start", example.kind) if part in true]
    told = {f"{true[part]:.1f}": f"{said[part]:.1f}" for part in parts}

    def as_said(text: str) -> str:
        return _TIME.sub(lambda found: told.get(found[0], found[0]), text)

    return replace(example, answer=as_said(example.answer), sentence=as_said(example.sentence))


def _times(span: tuple[float, float]) -> dict[str, float]:
    start, end = (round(t, 1) for t in span)
    return {"start": start, "end": end, "lasts": round(end - start, 1)}


def _overlap(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Intersection over union of two stretches of time."""
    union = max(a[1], b[1]) - min(a[0], b[0])
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0])) / union if union > 0 else 0.0


TRAVELLED = ("direction", "true_direction", "turn", "count", "speed", "contact")
"""Kinds of questions that take a measured path through the room, which films do not have: these keep exact truth."""


def measured_as_shown(exact: Sequence[InstructExample], shown: Sequence[InstructExample]) -> list[InstructExample]:
    """Questions about an exact motion; what is measured on the body is what is `shown`, and asked where that is clear.

    A film hides a hand, or bends a knee by ten degrees more: an answer that the sentences before it deny would teach
    the model not to trust them.
    """

    def on_body(example: InstructExample) -> bool:
        return example.truth == "kinematics" and example.kind not in TRAVELLED

    return [*(e for e in exact if not on_body(e)), *(e for e in shown if on_body(e))]

"""Counting without a language model: the measured count of the very thing that a motion_qa question asks for.

The baseline of the benchmark's counting rows: it need not hear the question, for the kind of its phrasing is known, so
it shows what measuring alone is worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from motionqa.data.instruct.action_words import spoken_of
from motionqa.data.schema import MotionReport
from motionqa.encoders.clip_encoder import ClipEncoder
from motionqa.eval.qa.motion_qa import wordings_of
from motionqa.eval.qa.predict import Answerer
from motionqa.eval.qa.question import ClipFile, Prediction, Question


def measured_count(report: MotionReport, question: str, steps: bool) -> int:
    """Steps, or repetitions of the action that the question names, else of the most salient one; 0 where none are."""
    unit = "steps" if steps else "repetitions"
    facts = [f for f in report.facts if f.topic == "count" and f.unit == unit and f.value is not None]
    if steps:
        return sum(int(f.value or 0) for f in facts)
    named = [f for f in facts if spoken_of(question) & spoken_of(f.text)]
    return int((named or facts)[0].value or 0) if facts else 0


def asks_for_steps(data: Path) -> frozenset[str]:
    """Ids of the questions that are worded as of steps. InputError where the file tells no phrasings."""
    return frozenset(id for id, wording in wordings_of(data).items() if wording.startswith("steps/"))


class KinematicsPredictor:
    """Answers questions of kind `count` from the clip's report."""

    needs_clips = True

    def __init__(self, encoder: ClipEncoder, steps: frozenset[str]) -> None:
        self.encoder, self.steps = encoder, steps

    @property
    def settings(self) -> Mapping[str, Any]:
        """What answers depend on beside the clip."""
        return {"kind": "kinematics alone", "thresholds": str(self.encoder.config.kinematics)}

    def look_at(self, clip: ClipFile | None) -> Answerer:
        """What answers questions about one clip, measured here or found in the cache."""
        assert clip is not None
        return partial(self._answer, self.encoder.encode(clip.path).report)

    def _answer(self, report: MotionReport, question: Question) -> Prediction:
        return Prediction(question.id, str(measured_count(report, question.text, question.id in self.steps)))

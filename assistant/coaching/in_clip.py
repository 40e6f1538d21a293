"""The exercise that a clip shows beyond doubt, as often as the coach counts it: what answers about the clip say too.

The coach takes every clip for the exercise that fits best, and most everyday movements fit one (a wave with both hands
fits the overhead press). So only exercises that nothing else looks like are named unasked: `evident` in the rule
files. Ours.
"""

from __future__ import annotations

from functools import cache

from motionqa.assistant.coaching.exercise import Exercise, Rules
from motionqa.assistant.coaching.exercise_file import load_rules
from motionqa.assistant.coaching.observed import observe
from motionqa.assistant.coaching.quantities import QUANTITIES
from motionqa.assistant.coaching.recognition import recognise
from motionqa.assistant.coaching.repetitions import Counted, count
from motionqa.data.schema import ClipEncoding, Repetition, RepetitionSet

CERTAIN = 0.6
"""Confidence from which an exercise is named unasked. Of 700 clips of everyday movements, half of them filmed, one (a
dance) reached it (counted once); figures on test clips and filmed push-ups are in `make bench-coach`."""


@cache
def evident_exercises() -> Rules:
    """The rules of the exercises that are named unasked."""
    return Rules({name: exercise for name, exercise in load_rules().exercises.items() if exercise.evident})


def exercise_in(encoding: ClipEncoding) -> RepetitionSet | None:
    """The exercise and its repetitions; None where none is evident, or no repetition is whole."""
    seen, rules = observe(encoding), evident_exercises()
    guess = next(iter(recognise(seen.m, rules)), None)
    if guess is None or guess.confidence < CERTAIN:
        return None
    exercise = rules.exercises[guess.name]
    counted = count(seen.m, exercise)
    return _repetitions(exercise, counted, encoding) if counted.cycles else None


def _repetitions(exercise: Exercise, counted: Counted, encoding: ClipEncoding) -> RepetitionSet:
    quantity = QUANTITIES[counted.quantity]
    times = encoding.pose3d.times_s.tolist()
    done = [Repetition(times[c.start], times[c.turn], times[c.end], c.depth) for c in counted.cycles]
    signal = quantity.name.replace("_", " ")
    return RepetitionSet(signal, quantity.unit, quantity.joints_of(""), tuple(done), exercise.noun)

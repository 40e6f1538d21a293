"""Bodies whose count is known by construction, and is taught only where it was measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from motionqa.data.instruct.known import KnownMotion
from motionqa.data.instruct.questions import questions_of
from motionqa.data.schema import MotionReport
from motionqa.encoders.kinematics.analyse import analyse
from motionqa.finetune.counted_bodies import EXERCISES, MOST, counted_as_read, counted_bodies


def test_exercises_come_in_turn_and_every_count_occurs() -> None:
    bodies = counted_bodies(np.random.default_rng(0), 10 * len(EXERCISES))
    assert [b.actions[0].name for b in bodies[: len(EXERCISES)]] == list(EXERCISES)
    counts = np.bincount([b.counts[0] for b in bodies], minlength=MOST + 1)
    assert counts[0] == 0
    assert counts[1:].min() >= 4
    assert len({b.clip for b in bodies}) == len(bodies)


@pytest.mark.parametrize("name", EXERCISES)
def test_most_of_them_are_measured_as_they_were_made(name: str) -> None:
    rng = np.random.default_rng(3)
    bodies = [b for b in counted_bodies(rng, 3 * len(EXERCISES)) if b.actions[0].name == name]
    reports = [analyse(b.pose) for b in bodies]
    read = [counted_as_read(b, r) for b, r in zip(bodies, reports, strict=True)]
    assert sum(r.counts == b.counts for r, b in zip(read, bodies, strict=True)) >= 2


def asked(motion: KnownMotion, report: MotionReport) -> set[str]:
    examples = questions_of(motion, report, np.random.default_rng(1), kinds=("count",))
    return {e.answer for e in examples if e.phrasing.startswith("count/")}


def test_only_the_count_that_is_shown_is_taught() -> None:
    (body,) = counted_bodies(np.random.default_rng(0), 1)
    exact = analyse(body.pose)
    (name, count) = body.actions[0].name, str(body.counts[0])
    assert name == "squat"
    assert asked(counted_as_read(body, exact), exact) == {count}
    hidden = replace(exact, repetitions=())
    assert asked(counted_as_read(body, hidden), hidden) == set()
    others = replace(exact, repetitions=tuple(replace(r, name="jump") for r in exact.repetitions))
    assert asked(counted_as_read(body, others), others) == set()  # as many of something else
    wrong = replace(body, counts=(body.counts[0] + 20,))
    assert asked(counted_as_read(wrong, exact), exact) == {count}

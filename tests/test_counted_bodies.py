"""Bodies whose count is known by construction, and is taught only where it was measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from motionqa.data.instruct.known import KnownMotion
from motionqa.data.instruct.questions import questions_of
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


def test_a_count_that_nothing_measured_is_not_asked_for() -> None:
    (body,) = counted_bodies(np.random.default_rng(0), 1)
    report = analyse(body.pose)
    wrong = replace(body, counts=(body.counts[0] + 20,))
    assert counted_as_read(wrong, report).counts == (0,)

    def answers(motion: KnownMotion) -> set[str]:
        examples = questions_of(motion, report, np.random.default_rng(1), kinds=("count",))
        return {e.answer for e in examples if e.truth == "generator"}

    assert answers(counted_as_read(body, report)) == {str(body.counts[0])}
    assert answers(wrong) == {str(wrong.counts[0])}
    assert answers(counted_as_read(wrong, report)) == set()

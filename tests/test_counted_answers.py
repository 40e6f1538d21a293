"""An answer that denies the one count which was measured gives way to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from motionqa.assistant.grounding import as_counted
from motionqa.data.schema import Fact

TIMES, STEPS = "how many times; a number", "how many steps; a number"
SQUATS = Fact(
    "The person squats 3 times (0.3-1.7 s, 2.3-3.7 s); largest change 89 degrees.",
    "count",
    0.3,
    5.7,
    (),
    3,
    "repetitions",
)
NO_SQUAT = Fact("Nowhere does the person squat.", "missing", 0.0, 5.7)
NO_STEPS = Fact("The person takes no walking steps.", "count", 0.0, 5.7, (), 0, "steps")


@pytest.mark.parametrize(
    ("answer", "question", "meaning", "facts", "expected"),
    [
        ("Just one.", "How many squats?", TIMES, (SQUATS,), "The person squats 3 times."),
        ("There are three.", "How many squats?", TIMES, (SQUATS,), "There are three."),
        ("Just one.", "How many lunges?", TIMES, (SQUATS,), "Just one."),  # another action was counted
        ("Just one.", "How many actions?", "how many actions there are; a number", (SQUATS,), "Just one."),
        ("9 steps.", "How many steps?", STEPS, (NO_STEPS,), "The person takes no walking steps."),
        ("None.", "How many steps?", STEPS, (NO_STEPS,), "None."),
        ("Two.", "How many reps?", TIMES, (SQUATS, replace(SQUATS, value=5)), "Two."),  # which of the two is asked?
        ("Two.", "How many reps?", "", (SQUATS,), "Two."),
        ("I count one.", "How many squats?", TIMES, (NO_SQUAT, NO_STEPS), "Nowhere does the person squat."),
        ("None.", "How many squats?", TIMES, (NO_SQUAT,), "None."),
    ],
)
def test_a_count_that_was_measured_is_the_answer(
    answer: str, question: str, meaning: str, facts: tuple[Fact, ...], expected: str
) -> None:
    assert as_counted(answer, question, meaning, facts) == expected


def test_in_brief_the_count_stands_alone() -> None:
    assert as_counted("one", "How many squats?", TIMES, (SQUATS,), brief=True) == "3"

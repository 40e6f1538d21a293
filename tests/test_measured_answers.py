"""An answer that denies the one count, quantity, hand or order which was measured gives way to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from motionqa.assistant.measured_answers import as_measured
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
    assert as_measured(answer, question, meaning, facts) == expected


def test_in_brief_the_count_stands_alone() -> None:
    assert as_measured("one", "How many squats?", TIMES, (SQUATS,), brief=True) == "3"


SPEED = Fact("The person walks at a speed of about 1.2 m/s from 1.3 to 6.7 s.", "speed", 1.3, 6.7)
CADENCE = Fact("The person walks at 1.7 steps per second from 1.3 to 6.7 s.", "speed", 1.3, 6.7)
FAST = "how fast the person moves; m/s"


def test_an_answer_without_the_quantity_asked_for_gives_way_to_it() -> None:
    asked = "How fast does she walk?"
    assert as_measured("The walk takes 1.3 to 6.7 s.", asked, FAST, (SPEED, CADENCE)) == SPEED.text
    assert as_measured("1.3 s", asked, FAST, (SPEED,), brief=True) == "1.2 m/s"
    assert as_measured("About 1.2.", asked, FAST, (SPEED,)) == "About 1.2."
    assert as_measured("0.9 m/s", asked, FAST, (SPEED,)) == "0.9 m/s"  # marked as unmeasured instead
    assert as_measured("Slowly.", asked, FAST, (CADENCE,)) == "Slowly."  # nothing measured in that unit
    assert as_measured("Slowly.", asked, "how long it takes; seconds", (SPEED,)) == "Slowly."
    arm = Fact("The fastest movement is that of the right arm, at 1.3 s, 1.3 m/s.", "speed", 1.3, 1.3)
    assert as_measured("It cannot be judged.", asked, FAST, (arm, SPEED)) == "It cannot be judged."  # not her speed
    knees, elbow = (
        Fact(f"Both {part} bend up to 73 degrees, at 2.6 s.", "angle", 2.6, 2.6) for part in ("knees", "elbows")
    )
    angle = "the angle of the knees; degrees"
    assert as_measured("deeply", "What is the knee angle?", angle, (knees,), brief=True) == "73 degrees"
    assert as_measured("deeply", "What is the knee angle?", angle, (elbow,), brief=True) == "deeply"
    assert as_measured("Slowly.", asked, FAST, ()) == "Slowly."


@pytest.mark.parametrize(
    ("over", "answer", "expected"),
    [
        (("right",), "Both hands go above the head.", "The right hand is above the head from 0.4 to 1.2 s."),
        (("right",), "The right hand goes above the head.", "The right hand goes above the head."),
        (("left", "right"), "Both: the left and the right.", "Both: the left and the right."),
        ((), "The left hand.", "Neither hand goes above the head."),
        ((), "No hand gets that high.", "No hand gets that high."),
    ],
)
def test_hands_above_the_head_are_the_measured_ones(over: tuple[str, ...], answer: str, expected: str) -> None:
    texts = [f"The {side} hand is above the head from 0.4 to 1.2 s." for side in over]
    known = [Fact(text, "posture", 0.4, 1.2) for text in texts or ["Neither hand goes above the head."]]
    meaning = "which hand goes above the head; left, right, both or neither"
    question = "Which hand is above the head?"
    assert as_measured(answer, question, meaning, (), known) == expected
    assert as_measured(answer, question, "which arm; left, right or both", (), known) == answer
    assert as_measured(answer, question, meaning, (), ()) == answer


def test_in_brief_the_hand_alone_is_named() -> None:
    known = [
        Fact(f"The {side} hand is above the head from 0.4 to 1.2 s.", "posture", 0, 2) for side in ("left", "right")
    ]
    meaning = "which hand goes above the head; left, right, both or neither"
    assert as_measured("left", "Which hand?", meaning, (), known, brief=True) == "both"


ORDER = Fact("Waving (0.0 to 2.0 s) comes before clapping the hands (2.5 to 4.0 s).", "named order", 0.0, 4.0)
FIRST_WAVING = "whether waving comes before clapping the hands; yes or no"
FIRST_CLAPPING = "whether clapping the hands comes before waving; yes or no"


@pytest.mark.parametrize(
    ("answer", "meaning", "facts", "expected"),
    [
        ("No, it comes later.", FIRST_WAVING, (ORDER,), "Yes: waving (0.0 to 2.0 s) comes before clapping the hands"),
        ("Yes.", FIRST_CLAPPING, (SQUATS, ORDER), "No: waving (0.0 to 2.0 s) comes before clapping the hands"),
        ("Yes, she waves first.", FIRST_WAVING, (ORDER,), "Yes, she waves first."),
        ("No.", FIRST_WAVING, (SQUATS,), "No."),  # nothing was said of their order
        ("The hands.", FIRST_WAVING, (ORDER,), "The hands."),  # neither yes nor no
        ("No.", "whether it is done; yes or no", (ORDER,), "No."),
        ("No.", "whether bowing comes before waving; yes or no", (ORDER,), "No."),
    ],
)
def test_an_order_that_was_measured_is_the_answer(
    answer: str, meaning: str, facts: tuple[Fact, ...], expected: str
) -> None:
    assert as_measured(answer, "", meaning, facts).startswith(expected)
    brief = as_measured(answer.partition(",")[0].rstrip("."), "", meaning, facts, brief=True)
    assert brief == expected.partition(":")[0].partition(",")[0].rstrip(".").lower() or brief in answer


BENDS = (
    Fact("The left knee bends more than the right one: 75 against 62 degrees.", "angle", 6.0, 6.0),
    Fact("Both elbows bend up to 40 degrees, at 2.0 s.", "angle", 2.0, 2.0),
)


@pytest.mark.parametrize(
    ("answer", "question", "expected"),
    [
        ("The left one.", "Which knee bends more?", "The left one."),
        ("The right knee.", "Which knee bends more?", BENDS[0].text),
        (
            "The left knee bends more than the right.",
            "Which knee bends more?",
            "The left knee bends more than the right.",
        ),
        ("The right knee bends more than the left.", "Which knee bends more?", BENDS[0].text),
        ("Both.", "Is one of the knees bent further?", BENDS[0].text),
        ("The left hand.", "Which elbow bends more?", BENDS[1].text),
        ("Both alike.", "Which elbow bends more?", "Both alike."),
        ("The left hip.", "Which hip bends more?", "The left hip."),
    ],
)
def test_the_side_that_bends_more_is_the_measured_one(answer: str, question: str, expected: str) -> None:
    meaning = "which side bends more; left, right or equal"
    assert as_measured(answer, question, meaning, (), BENDS) == expected
    assert as_measured(answer, question, "which arm; left, right or both", (), BENDS) == answer
    if expected != answer:
        assert as_measured(answer, question, meaning, (), BENDS, brief=True) in ("left", "equal")


HIDDEN = (
    Fact("The right ankle is out of view most of the time: it cannot be judged.", "view", 0.0, 5.0),
    Fact("The hands are out of view: what the hands do cannot be judged.", "view", 0.0, 5.0),
    Fact("Only one person is seen in the clip.", "people", 0.0, 5.0),
)


@pytest.mark.parametrize(
    ("question", "known", "expected"),
    [
        ("Are the feet visible?", (), "Yes, the feet are in view."),
        ("Are the feet visible?", HIDDEN, "The right ankle is out of view most of the time."),
        ("Can you see her legs?", HIDDEN, "The right ankle is out of view most of the time."),
        ("Can I see his hands?", HIDDEN, "The hands are out of view."),
        ("Are both arms in the picture?", HIDDEN, "The hands are out of view."),
        ("Are her knees in view?", HIDDEN, "Yes, the knees are in view."),
        ("Is the whole body in frame?", (), "Yes, the whole body is in view."),
        (
            "Is the whole body in frame?",
            HIDDEN,
            "The right ankle is out of view most of the time. The hands are out of view.",
        ),
        ("Can you see her wrists turning?", HIDDEN, "as written"),
        ("Is the coat visible?", HIDDEN, "as written"),
        ("Are the feet apart?", HIDDEN, "as written"),
    ],
)
def test_whether_a_part_is_in_view_is_said_by_the_report(question: str, known: tuple[Fact, ...], expected: str) -> None:
    assert as_measured("as written", question, "the feet and legs; in view or not", (), known) == expected


def test_whether_a_part_is_in_view_in_a_word() -> None:
    assert as_measured("perhaps", "Are the hands visible?", "", (), HIDDEN, brief=True) == "no"
    assert as_measured("perhaps", "Are the hands visible?", "", (), (), brief=True) == "yes"


SIZES = Fact(
    "Repetition 5 of 5 is the largest (99 degrees of knee flexion, 10.9 s), repetition 4 the smallest (78 degrees).",
    "count", 0.7, 11.7, (), 99.0, "degrees",
)  # fmt: skip


@pytest.mark.parametrize(
    ("size", "answer", "expected"),
    [
        ("largest", "The person squats 5 times.", SIZES.text),
        ("largest", "The fourth one.", SIZES.text),
        ("largest", "The fifth one.", "The fifth one."),
        ("largest", "The last.", "The last."),
        ("largest", "5", "5"),
        ("largest", "It is repetition 5.", "It is repetition 5."),
        ("smallest", "The last.", SIZES.text),
        ("smallest", "Number 4.", "Number 4."),
    ],
)
def test_the_largest_and_smallest_repetitions_are_the_measured_ones(size: str, answer: str, expected: str) -> None:
    meaning = f"which repetition is the {size}; a number"
    assert as_measured(answer, f"Which squat is the {size}?", meaning, (), (SIZES,)) == expected
    brief = as_measured("none", f"Which squat is the {size}?", meaning, (), (SIZES,), brief=True)
    assert brief == ("5" if size == "largest" else "4")


def test_of_several_sets_none_is_taken_for_the_one_asked_about() -> None:
    meaning = "which repetition is the largest; a number"
    assert as_measured("Two.", "Which is the largest?", meaning, (), (SIZES, SIZES)) == "Two."

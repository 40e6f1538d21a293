"""Training answers say the times that the reading of their clip says, and what the film of it shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from motionqa.data.instruct.example import InstructExample
from motionqa.data.reading import ReadAction
from motionqa.finetune.as_read import measured_as_shown, timed_as_read

READ = (ReadAction("clap", 0.0, 2.0, 0.9), ReadAction("run", 2.04, 4.26, 0.9))
RUN = InstructExample(
    "c", "When does she run?", "1.9 to 4.5 s", "She runs from 1.9 to 4.5 s.", "when", "boundaries", span_s=(1.88, 4.52)
)


def test_stretches_moments_and_lengths_are_said_as_read() -> None:
    told = timed_as_read(RUN, READ)
    assert told is not None
    assert (told.answer, told.sentence) == ("2.0 to 4.3 s", "She runs from 2.0 to 4.3 s.")
    start = timed_as_read(replace(RUN, kind="start", answer="1.9 s", sentence="It starts at 1.9 s."), READ)
    assert start is not None
    assert (start.answer, start.sentence) == ("2.0 s", "It starts at 2.0 s.")
    lasts = timed_as_read(replace(RUN, kind="lasts", answer="2.6 s", sentence="It takes 2.6 s."), READ)
    assert lasts is not None
    assert (lasts.answer, lasts.sentence) == ("2.3 s", "It takes 2.3 s.")


@pytest.mark.parametrize(
    ("span", "kind"),
    [((0.9, 1.9), "start"), ((4.0, 9.0), "when"), ((2.0, 4.9), "end"), ((1.5, 4.7), "lasts")],
)
def test_what_the_reading_does_not_say_is_not_taught(span: tuple[float, float], kind: str) -> None:
    assert timed_as_read(replace(RUN, span_s=span, kind=kind), READ) is None
    assert timed_as_read(RUN, ()) is None


def test_other_kinds_and_other_numbers_stay() -> None:
    asked = replace(RUN, kind="at", sentence="At 1.9 s she runs.")
    assert timed_as_read(asked, READ) is asked
    told = timed_as_read(replace(RUN, sentence="She runs from 1.9 to 4.5 s at 7.7 m/s."), READ)
    assert told is not None
    assert told.sentence.endswith("4.3 s at 7.7 m/s.")


def test_what_was_measured_is_taught_as_the_film_shows_it() -> None:
    up = InstructExample("c", "A hand up?", "yes", "Yes.", "hand_above_head", "kinematics")
    bent = replace(up, question="How deep?", answer="deeply", kind="knee_bend")
    way = replace(up, question="Where to?", answer="forwards", kind="direction")
    named = replace(up, question="What is it?", answer="wave", kind="action", truth="label")
    hidden = replace(up, answer="no", sentence="No.")
    told = measured_as_shown(
        [up, bent, way, named], [hidden, replace(way, answer="left"), replace(named, answer="clap")]
    )
    # The film's measurement of the body, nothing where it is unclear; the true name, and the path through the room.
    assert told == [way, named, hidden]

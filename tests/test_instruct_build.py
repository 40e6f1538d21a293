"""Training rows say only what the reading of their clip says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from motionqa.data.instruct.example import InstructExample
from motionqa.data.instruct.known import KnownMotion
from motionqa.data.instruct.selection import varied
from motionqa.data.reading import ClipTokens
from motionqa.data.schema import Segment
from motionqa.data.synthetic import motions as S
from motionqa.encoders.kinematics.analyse import analyse
from motionqa.finetune.instruct_build import answerable, sayable, spans_of, told_as_read

WORDS = "2 actions in 4.0 s. Seen: clap 0.0 to 2.0 s, both arms; then knock (or throw) 2.0 to 4.0 s, right arm."
ASKED = InstructExample("c", "What does she do?", "clap", "The person claps the hands.", "action", "label")


def test_an_answer_may_name_what_is_read_or_suspected_and_deny_anything() -> None:
    assert sayable("The person claps the hands.", WORDS)
    assert sayable("The person throws something.", WORDS)
    assert not sayable("The person walks.", WORDS)
    assert sayable("No, nobody walks here.", WORDS)


def test_nobody_is_asked_when_an_action_was_that_the_reading_does_not_name() -> None:
    timed = replace(ASKED, question="When does she walk?", answer="0.5 to 1.0 s", sentence="At 0.5 s.", kind="when")
    assert not answerable(timed, WORDS)
    assert answerable(replace(timed, question="When does she clap the hands?"), WORDS)
    assert answerable(replace(timed, kind="absent", sentence="No such action is seen."), WORDS)


def test_nobody_knows_that_an_action_is_not_there_which_was_recognised() -> None:
    denied = replace(ASKED, question="Is she clapping the hands?", answer="no", sentence="No.", kind="true_action")
    assert not answerable(denied, WORDS)
    assert answerable(replace(denied, question="Does she throw something?"), WORDS)  # only suspected
    assert answerable(replace(denied, question="Is she walking?"), WORDS)
    assert not answerable(replace(denied, question="When does she knock on a door?", kind="absent"), WORDS)


def test_a_movement_whose_name_was_not_read_is_answered_by_what_it_looks_like() -> None:
    pose = S.render(S.squats(3))
    report = analyse(pose)
    motion = KnownMotion("c", "synthetic", "train", pose, (Segment("clap", 0.0, 3.0),))
    told = told_as_read(ASKED, motion, "Seen: an unnamed movement (squats 3 times) 0.0 to 3.0 s.", report)
    assert "squats 3 times" in told.answer
    assert told.sentence.startswith("The person squats")
    assert told_as_read(ASKED, motion, "Seen: clap 0.0 to 3.0 s.", report) == ASKED
    suspected = "Seen: an unnamed movement (squats) 0.0 to 3.0 s, perhaps clap."
    assert told_as_read(ASKED, motion, suspected, report) == ASKED


def test_every_kind_comes_once_before_any_comes_twice() -> None:
    many = [replace(ASKED, question=str(i), kind=k) for i, k in enumerate("aaaabbc")]
    kept = varied(many, 4, np.random.default_rng(0))
    assert sorted(e.kind for e in kept[:3]) == ["a", "b", "c"]
    assert len(kept) == 4


def test_spans_cover_the_token_rows_of_each_action_and_none_beyond() -> None:
    pose = S.render(S.squats(3))
    motion = KnownMotion("c", "synthetic", "train", pose, (Segment("clap", 0.0, 2.0), Segment("knock", 2.0, 99.0)))
    spans = spans_of(motion, ClipTokens(motion=np.zeros((20, 4), np.float32)))
    assert [(s.name, s.end) for s in spans] == [("clap", spans[1].start), ("knock", 20)]
    assert spans_of(motion, ClipTokens()) == ()

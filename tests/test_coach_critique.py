"""The critique's words: only measured numbers, six indicators, at most three corrections."""

from __future__ import annotations

import pytest

from motionqa.assistant.coaching.coach import (
    DISCLAIMER,
    Assessment,
    Critique,
    assess,
    coach,
    coaching_facts,
    write_critique,
)
from motionqa.assistant.coaching.critique import note, objection
from motionqa.assistant.coaching.indicators import SIX, indicators
from motionqa.assistant.coaching.number_check import unfounded
from motionqa.data.synthetic import exercises as made
from motionqa.tests.coach_clips import encoded
from motionqa.tests.fake_models import ScriptedModel


@pytest.fixture(scope="module")
def sagging() -> Assessment:
    return assess(encoded(made.push_up_set((1, 1, 1), sag_deg=28)))


def test_the_template_has_all_six_indicators(sagging: Assessment) -> None:
    fault = sagging.of_kind("fault")[0]
    assert indicators(note(fault), fault) == set(SIX)
    assert "time" not in indicators("The hips sag because the belly lets go.", fault)
    assert "method" not in indicators("The hips sag.", fault)


def test_the_disclaimer_stands_once(sagging: Assessment) -> None:
    text = write_critique(sagging).text
    assert text.count(DISCLAIMER) == 1
    assert text.lower().count("medical") == 1


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("The knees bend to 62 degrees.", ()),
        ("The knees bend to 63 degrees.", ("63",)),
        ("The knees bend to 62 percent.", ("62 percent",)),
        ("In the third repetition the knees bend to 62 degrees.", ("3",)),
        ("Twelve squats, each to 62 degrees.", ("12",)),
        ("Do it for 62 seconds.", ("62 seconds",)),
        ("The left knee bends to 62 degrees.", ("left",)),
        ("The right knee, at 4.5 s, is one of the good points.", ()),
    ],
)
def test_numbers_units_and_sides_must_be_the_findings(said: str, wrong: tuple[str, ...]) -> None:
    assert (
        unfounded(said, "In repetition 2, at 4.5 s, the right knee bends to 62 degrees; at least 95 degrees.") == wrong
    )


def test_a_model_that_invents_a_number_is_asked_again_and_then_replaced(sagging: Assessment) -> None:
    model = ScriptedModel("The hips sag by 77 degrees in repetition 1 because the belly lets go.")
    critique = write_critique(sagging, model)
    first = critique.corrections[0]
    assert first.source == "template"
    assert first.text == note(first.finding)
    assert len(first.refused) == 2
    assert "77" in first.refused[0]
    assert "77" not in critique.text
    assert "replaced by the template" in critique.wording.sentence


def test_a_model_that_keeps_to_the_note_is_taken(sagging: Assessment) -> None:
    fault = sagging.of_kind("fault")[0]
    model = ScriptedModel(f"Well done so far. {note(fault)}")
    critique = write_critique(sagging, model)
    assert critique.corrections[0].source == "model"
    assert critique.wording.by_model >= 1


def test_what_leaves_out_the_cause_or_breaks_off_is_refused(sagging: Assessment) -> None:
    fault = sagging.of_kind("fault")[0]
    assert "leaves out" in objection(fault.text, fault)
    assert "breaks off" in objection(note(fault).rstrip("."), fault)
    assert "word for word" in objection(note(fault), fault)


def test_at_most_three_corrections_and_the_gravest_first() -> None:
    bad = made.curl_set((1, 1), lean_back_deg=25, swing_deg=60, elbow_deg=85)
    critique = coach(encoded(bad), "biceps_curl")
    severities = [c.finding.severity for c in critique.corrections]
    assert len(severities) <= 3
    assert severities[0] == "major"
    assert len(critique.assessment.of_kind("fault")) >= 3


def test_a_clean_set_is_praised_and_not_corrected() -> None:
    critique = coach(encoded(made.push_up_set((1, 1, 1))))
    assert critique.corrections == ()
    assert "Good:" in critique.praise
    assert "Nothing that could be judged needs correcting." in critique.opening


def test_hips_held_high_are_not_praised_for_not_sagging() -> None:
    critique = coach(encoded(made.push_up_set((1, 1, 1), sag_deg=-38)), "push_up")
    assert "pike" in {f.id for f in critique.assessment.of_kind("fault")}
    assert "sag" in {f.id for f in critique.assessment.of_kind("good")}
    assert "do not sag" not in critique.praise


def test_every_number_of_the_whole_critique_is_measured(sagging: Assessment) -> None:
    critique: Critique = write_critique(sagging)
    sources = [f.text for f in sagging.findings] + [note(f) for f in sagging.of_kind("fault")]
    assert unfounded(critique.praise, *sources) == ()
    assert unfounded(critique.opening, *sources) == ()


def test_the_chat_goes_on_from_the_findings(sagging: Assessment) -> None:
    facts = coaching_facts(write_critique(sagging))
    fault = sagging.of_kind("fault")[0]
    assert fault.check is not None
    texts = " ".join(f.text for f in facts)
    for said in (fault.text, fault.check.cue, fault.check.drill, fault.check.cause, fault.check.why):
        assert said in texts
    assert {f.topic for f in facts} == {"coaching"}

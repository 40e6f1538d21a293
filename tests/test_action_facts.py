"""What was recognised, said so that a question finds its answer in one sentence."""

from __future__ import annotations

from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.retrieval import choose_facts, known_facts
from motionqa.data.reading import ClipTokens, MotionReading, ReadAction
from motionqa.data.synthetic import motions as S
from motionqa.encoders.kinematics.analyse import analyse
from motionqa.encoders.reader.action_facts import ToldAction, action_facts
from motionqa.encoders.reader.words import worded

CLAP = ToldAction(ReadAction("clap", 0.0, 1.9, 0.9), "raises both arms", "both arms", "both arms, on the spot")
KNOCK = ToldAction(
    ReadAction("knock", 1.9, 3.7, 0.5, (("throw", 0.3),)), "waves", "right arm", "right arm", " or throw"
)
STRANGE = ToldAction(ReadAction("", 3.7, 4.5, 0.2), "squats", "", "both legs", ", perhaps sit down")


def said(*told: ToldAction) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for fact in action_facts(told):
        out.setdefault(fact.topic, []).append(fact.text)
    return out


def test_neighbours_say_what_comes_after_and_before_them() -> None:
    found = said(CLAP, KNOCK)
    assert found["after"] == [
        "After clapping the hands, the person knocks on a door (knock or throw), 1.9 to 3.7 s (1.8 s), right arm."
    ]
    assert found["before"][0].startswith("Before knocking on a door, the person claps")
    assert "(clap), 0.0 to 1.9 s (1.9 s), both arms, on the spot" in found["before"][0]
    assert found["first"][0].startswith("The first action: the person claps")
    assert "knock" in found["last"][0]
    assert found["sequence"] == ["In order: clap, then knock."]


def test_a_movement_without_a_name_is_told_by_what_it_looks_like_and_nothing_comes_after_its_name() -> None:
    found = said(CLAP, STRANGE, KNOCK)
    assert any("the person squats (an unnamed movement, perhaps sit down)" in text for text in found["after"])
    assert len(found["after"]) == 1
    assert "an unnamed movement" in found["sequence"][0]


def test_a_limb_that_one_action_alone_uses_speaks_of_it() -> None:
    walk = ToldAction(ReadAction("walk", 3.7, 9.0, 0.9), "walks", "both legs", "both legs, forwards")
    found = said(CLAP, walk)
    assert found["after"][1].startswith("After using both arms, the person walks")
    assert found["before"][1].startswith("Before using both legs, the person claps")
    assert said(KNOCK, walk)["after"][1].startswith("After using the right arm, the person walks")
    assert len(said(CLAP, KNOCK)["after"]) == 1  # the right arm is one of both
    assert not any("using" in text for text in said(CLAP, STRANGE, walk)["after"])  # an unknown limb may be any


def test_only_a_clearly_longer_action_is_the_longest() -> None:
    assert "longest" not in said(CLAP, KNOCK)
    long = ToldAction(ReadAction("walk", 3.7, 9.0, 0.9), "walks", "both legs", "both legs, forwards")
    assert said(CLAP, KNOCK, long)["longest"][0].startswith("The longest action: the person walks")


def test_one_action_is_told_alone() -> None:
    assert set(said(CLAP)) == {"action", "limb"}
    assert said(CLAP)["limb"] == ["Body part used for the clap: both arms."]
    assert action_facts(()) == ()


def test_recognised_actions_take_the_place_of_measured_phases_for_questions_of_order() -> None:
    pose = S.render(S.concatenate(S.stand(0.5), S.wave("right", 4), S.walk(6)))
    report = analyse(pose)
    middle, end = report.times_s[len(report.times_s) // 2], float(report.times_s[-1])
    actions = (ReadAction("wave right hand", 0.0, float(middle), 0.9), ReadAction("walk", float(middle), end, 0.9))
    reading = worded(MotionReading(actions, ClipTokens()), report, pose)
    known = known_facts(report, reading)
    assert not any(f.topic in ("order", "summary") for f in known)
    (best, *_) = choose_facts(known, "What does she do after waving with the right hand?", SentenceEmbedder(), 2)
    assert best.text.startswith("After waving with the right hand, the person walks (walk)")
    assert known_facts(report) == report.facts
    unnamed = worded(MotionReading((ReadAction("", 0.0, end, 0.2),), ClipTokens()), report, pose)
    assert known_facts(report, unnamed) == report.facts

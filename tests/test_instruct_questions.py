"""Questions about known movements: truths, balance, held-out wordings, refusals and conversations."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from motionqa.data.instruct.action_words import action_words, unlike
from motionqa.data.instruct.conversations import conversations_of
from motionqa.data.instruct.example import InstructExample
from motionqa.data.instruct.known import KnownMotion, mirrored_words
from motionqa.data.instruct.phrasings import without_people
from motionqa.data.instruct.questions import kinds_of_questions, questions_of
from motionqa.data.instruct.refusals import CANNOT, UNSEEN
from motionqa.data.skeleton import H36M_17
from motionqa.tests.instruct_motions import BODIES, mirror, motion, report, sequence

LONG = ("wave right", "squats", "walk", "bow")


def asked(known: KnownMotion, seed: int = 0, **settings: object) -> list[InstructExample]:
    return questions_of(known, report(known), np.random.default_rng(seed), **settings)  # type: ignore[arg-type]


def one(examples: list[InstructExample], wording: str) -> InstructExample:
    found = [e for e in examples if e.phrasing.rpartition("/")[0] == wording]
    assert len(found) == 1, f"{len(found)} questions of {wording}, got {sorted({e.phrasing for e in examples})}"
    return found[0]


# ---------------------------------------------------------------------------------------------- wordings


def test_held_out_questions_never_have_the_words_of_training_questions() -> None:
    trained, held = set(), set()
    for name in ("squats", "wave right", "walk"):
        for seed in range(6):
            trained |= {(e.kind, without_people(e.question)) for e in asked(motion(name), seed)}
            held |= {(e.kind, without_people(e.question)) for e in asked(motion(name), seed, phrasings="held_out")}
    assert not trained & held
    assert len(trained) > 150


@pytest.mark.parametrize("name", sorted(BODIES))
def test_every_answer_is_one_of_its_options_and_every_sentence_is_filled(name: str) -> None:
    for e in asked(motion(name)) + asked(motion(name), phrasings="held_out"):
        assert not e.options or e.answer in e.options
        assert not re.search(r"[{}]", e.question + e.sentence)
        assert e.sentence[0].isupper() or not e.sentence[0].isalpha()
        assert e.sentence.endswith((".", "!", "?"))
        assert e.answer == e.answer.lower() or e.kind == "caption"
        assert "  " not in e.question
        assert e.kind in kinds_of_questions()


def test_the_same_seed_gives_the_same_questions_and_another_gives_others() -> None:
    known = sequence(*LONG)
    assert asked(known, 3) == asked(known, 3)
    assert {e.question for e in asked(known, 3)} != {e.question for e in asked(known, 4)}


def test_yes_and_no_are_equally_often_right() -> None:
    examples = [e for seed in range(4) for known in (motion("squats"), motion("wave left"), sequence(*LONG))
                for e in asked(known, seed)]  # fmt: skip
    for kind in ("true_action", "true_order", "true_side", "true_count", "true_direction", "hand_above_head"):
        answers = Counter(e.answer for e in examples if e.kind == kind)
        assert answers["yes"] == answers["no"] > 0, f"{kind}: {answers}"


def test_a_wrong_action_is_clearly_another_one() -> None:
    wave = motion("wave left")
    for seed in range(12):
        no = [e for e in asked(wave, seed, kinds=["true_action"]) if e.answer == "no"]
        assert len(no) == 1
        said = [w for w in action_words().values()
                if any(re.search(rf"\b{v}\b", no[0].question, re.I) for v in (w.do, w.does, w.doing))]  # fmt: skip
        assert any(unlike("wave left hand", w.name) for w in said)
        assert all(w.name != "wave left hand" for w in said)


@pytest.mark.parametrize("name", ["squats", "jump"])
def test_the_truth_of_a_count_is_the_generator_s(name: str) -> None:
    known = motion(name)
    count = one(asked(known), "count")
    assert count.answer == str(known.counts[0])
    assert count.truth == "generator"
    wrong = replace(known, counts=(known.counts[0] + 3,))
    assert one(asked_with_report_of(known, wrong), "count").answer == str(known.counts[0] + 3)
    guesses = {e.answer: e.question for e in asked(known, kinds=["true_count"])}
    assert str(known.counts[0]) in guesses["yes"]
    assert not re.search(rf"\b{known.counts[0]}\b", guesses["no"])


def asked_with_report_of(measured: KnownMotion, known: KnownMotion) -> list[InstructExample]:
    return questions_of(known, report(measured), np.random.default_rng(0))


def test_a_count_that_nobody_set_is_asked_only_where_the_label_names_what_was_counted() -> None:
    squats = replace(motion("squats"), counts=())
    measured = one(asked_with_report_of(motion("squats"), squats), "count")
    assert (measured.answer, measured.truth) == ("4", "kinematics")
    claps = replace(squats, actions=(replace(squats.actions[0], name="clap"),))
    assert not [e for e in asked_with_report_of(motion("squats"), claps) if e.kind in ("count", "true_count")
                and "steps" not in e.phrasing]  # fmt: skip


def test_coaching_names_the_repetition_that_was_cut_short_and_the_slowing_down() -> None:
    uneven = asked(motion("uneven"))
    assert one(uneven, "smallest").answer == "3"
    assert one(uneven, "even").answer == "no"
    assert one(uneven, "advice").answer == "same depth"
    assert one(uneven, "first_last").answer == "about the same"
    tiring = asked(motion("tiring"))
    assert one(tiring, "tempo").answer == "slower"
    assert one(tiring, "advice").answer == "keep the tempo"


def test_sides_are_asked_and_exchange_in_the_mirror() -> None:
    for name in ("wave right", "throw", "raise both"):
        here, there = asked(motion(name)), asked(mirror(name))
        for wording in ("side", "body_part", "action"):
            a, b = one(here, wording), one(there, wording)
            assert b.answer == mirrored_words(a.answer)
    assert one(asked(motion("throw")), "side").answer == "right"
    assert one(asked(motion("raise both")), "side").answer == "both"


def test_every_answer_about_the_mirror_image_is_the_mirrored_answer() -> None:
    names = ("wave right", "walk", "throw")
    here, there = asked(sequence(*names)), asked(mirror(*names))
    fixed = ("action/", "direction/order", "body_part", "turn", "which_hand_above", "actions", "side", "at")
    compared = 0
    for a in here:
        b = next((e for e in there if e.phrasing == a.phrasing and e.span_s == a.span_s), None)
        if b and a.phrasing.startswith(fixed):
            assert b.answer == mirrored_words(a.answer)
            compared += 1
    assert compared >= 4


def test_a_side_that_is_not_clear_is_not_asked() -> None:
    """Labelled one-handed, but both arms move."""
    both = motion("raise both")
    claimed = replace(both, actions=(replace(both.actions[0], name="throw", joints=("right_wrist",)),))
    examples = asked_with_report_of(both, claimed)
    assert not [e for e in examples if e.kind in ("side", "body_part", "true_side")]
    assert [e for e in examples if e.kind == "action"]


def test_hands_knees_and_travel_are_measured() -> None:
    up, squat, walk = asked(motion("raise both")), asked(motion("squats")), asked(motion("walk"))
    assert one(up, "which_hand_above").answer == "both"
    assert one(squat, "knee_bend").answer == "deeply"
    assert abs(int(one(squat, "knee_angle").answer.split()[0]) - 100) <= 4
    assert one(walk, "direction").answer == "forwards"
    assert one(walk, "travels").answer == "yes"
    assert one(squat, "direction").answer == "on the spot"
    assert one(squat, "turn").answer == "no"
    assert one(asked(motion("bow")), "back_upright").answer == "no"
    assert one(asked(motion("jump")), "leaves_floor").answer == "yes"
    ending = [e for e in asked(motion("sit down")) if e.phrasing.startswith("posture/")]
    assert [e.answer for e in ending] == ["standing", "sitting"]


# ---------------------------------------------------------------------------------------- order and time


def test_relations_lead_to_the_neighbour_of_the_anchor() -> None:
    known = sequence(*LONG)
    names = [a.name for a in known.actions]
    spans = {a.name: (a.start_s, a.end_s) for a in known.actions}
    seen = Counter()
    for seed in range(8):
        for e in asked(known, seed, kinds=["action"]):
            relation = e.phrasing.split("/")[1]
            anchors = [n for n in names if _speaks_of(e.question, n)]
            assert e.answer not in anchors
            if relation in ("after", "before") and len(anchors) == 1:
                step = 1 if relation == "after" else -1
                assert e.answer == names[names.index(anchors[0]) + step], e
                seen[relation] += 1
            if relation in ("first", "last"):
                assert e.answer == names[0 if relation == "first" else -1]
            if relation == "between" and len(anchors) == 2:
                assert names.index(anchors[1]) - names.index(anchors[0]) == 2
                assert e.answer == names[names.index(anchors[0]) + 1]
                seen[relation] += 1
            assert e.span_s == spans[e.answer]
            assert e.relation == relation.replace("while", "")
    assert min(seen["after"], seen["before"], seen["between"]) > 0


def _speaks_of(question: str, name: str) -> bool:
    words = action_words()[name]
    return any(re.search(rf"\b{re.escape(v)}\b", question) for v in (words.do, words.does, words.doing))


def test_an_anchor_that_two_segments_share_is_never_used() -> None:
    known = sequence("wave right", "squats", "wave left", "squats")
    for seed in range(8):
        for e in asked(known, seed):
            if e.relation in ("after", "before", "between"):
                assert not re.search(r"squat", e.question), e.question


def test_times_are_the_boundaries_with_one_decimal() -> None:
    known = sequence(*LONG)
    by_name = {a.name: a for a in known.actions}
    for seed in range(6):
        for e in asked(known, seed, kinds=["when", "start", "end", "lasts", "at"]):
            action = next(a for n, a in by_name.items() if e.answer == n or _mentions(e, n))
            numbers = [float(n) for n in re.findall(r"\d+\.\d", e.answer)]
            if e.kind == "when":
                assert numbers == [round(action.start_s, 1), round(action.end_s, 1)]
            if e.kind in ("start", "end"):
                assert numbers == [round(action.start_s if e.kind == "start" else action.end_s, 1)]
            if e.kind == "lasts":
                assert numbers[0] == pytest.approx(action.end_s - action.start_s, abs=0.11)
            if e.kind == "at":
                assert e.span_s is not None
                assert action.start_s < e.span_s[0] < action.end_s


def _mentions(e: InstructExample, name: str) -> bool:
    words = action_words()[name]
    return any(v in e.question.lower() for v in (words.do, words.does, words.doing, words.noun))


# ------------------------------------------------------------------------------------- refusals, turns


def test_what_motion_cannot_show_is_refused_in_every_movement() -> None:
    for name in ("squats", "walk"):
        refused = [e for e in asked(motion(name)) if e.kind == "refusal"]
        assert len(refused) == 2
        assert all(e.answer == CANNOT and e.truth == "none" for e in refused)


def test_parts_that_were_not_seen_are_said_to_be_not_visible_and_asked_nothing_else() -> None:
    known = motion("squats")
    legs = [H36M_17.index(f"{s}_{j}") for s in ("left", "right") for j in ("knee", "ankle")]
    confidence = known.pose.confidence.copy()
    confidence[:, legs] = 0
    hidden = replace(known, pose=replace(known.pose, confidence=confidence))
    examples = asked(hidden)
    assert [e.relation for e in examples if e.answer == UNSEEN] == ["legs"]
    assert not [e for e in examples if e.phrasing.startswith(("knee", "steps", "leaves_floor"))]
    assert not [e for e in asked(known) if e.answer == UNSEEN]


def test_what_does_not_happen_is_not_given_a_time() -> None:
    for seed in range(6):
        e = next(e for e in asked(sequence(*LONG), seed) if e.kind == "absent")
        assert e.answer == "no such action"
        assert not any(_mentions(e, a.name) for a in sequence(*LONG).actions)


def test_conversations_go_on_from_the_answer_before() -> None:
    known = sequence(*LONG)
    names = [a.name for a in known.actions]
    talks = conversations_of(known, report(known), np.random.default_rng(0))
    assert len(talks) == 3
    onwards, back, moment = talks
    assert [e.answer for e in onwards[:3]] == names[:3]
    assert onwards[3].kind == "lasts"
    assert [e.answer for e in back] == names[::-1][: len(back)]
    assert [e.kind for e in moment[:2]] == ["at", "when"]
    assert all(e.phrasing.startswith("follow/") for talk in talks for e in talk[1:])
    single = conversations_of(motion("throw"), report(motion("throw")), np.random.default_rng(0))
    assert [[e.answer for e in talk] for talk in single] == [["throw", "right"], ["throw", "right arm"]]


def test_only_the_kinds_asked_for_come_and_an_unknown_one_is_refused() -> None:
    assert {e.kind for e in asked(sequence(*LONG), kinds=["turn", "when"])} <= {"turn", "when"}
    with pytest.raises(ValueError, match="no questions of kind hats"):
        asked(motion("squats"), kinds=["hats"])
    with pytest.raises(ValueError, match="report of"):
        questions_of(motion("squats"), report(motion("walk")), np.random.default_rng(0))

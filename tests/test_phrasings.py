"""The wordings themselves: enough of each kind, none near a held-out one, none that names an action by the way."""

from __future__ import annotations

import re

import pytest

from motionqa.data.instruct.action_words import spoken_of
from motionqa.data.instruct.phrasings import PERSON, Subject, filled, without_people, wordings


def test_every_kind_has_twenty_patterns_to_train_on_and_three_held_out_and_several_sentences() -> None:
    for wording in wordings().values():
        assert len(wording.chosen("train")) >= 20, wording.kind
        assert len(wording.chosen("held_out")) >= 3, wording.kind
        assert len(wording.patterns) == len({p.text for p in wording.patterns})
        told = wording.sentences.values()
        assert wording.kind == "caption" or all(len(s) >= 3 for s in told), wording.kind


def test_no_held_out_pattern_is_a_training_pattern_with_another_pronoun() -> None:
    trained = {without_people(p.text): p for w in wordings().values() for p in w.chosen("train")}
    for wording in wordings().values():
        for pattern in wording.chosen("held_out"):
            same = trained.get(without_people(pattern.text))
            assert same is None or same.kind != wording.kind, f"{pattern.text!r} is {same and same.text!r}"
    assert without_people("What does she do?") == without_people("What do they do?") == "what"


OPTIONS_NAMED = ("which_hand_above", "posture", "knee_bend", "tempo")
"""Kinds whose wordings list the possible answers, so that all of them share most of their words."""
EMPTY = (
    "a an and any are as at be by did do does for from had has have he her him his how i if in is it me of on one or "
    "please so that the their them there they this to was we were what when which who whose with you"
)


def content_words(text: str) -> set[str]:
    """What a wording is about: its words without slots, endings and those that every question has."""
    text = re.sub(r"\{\w+\}", " ", text.lower()).replace("'s", " is")
    return {w.rstrip("s") for w in re.findall(r"[a-z0-9]+", text)} - set(EMPTY.split())


def test_no_training_wording_comes_near_a_held_out_one() -> None:
    assert content_words("What are its time stamps?") == content_words("time stamps for {acting}?")
    near = []
    for kind, wording in wordings().items():
        for held in wording.chosen("held_out") if kind not in OPTIONS_NAMED else ():
            one = content_words(held.text)
            for trained in wording.chosen("train"):
                other = content_words(trained.text)
                if len(one | other) > 2 and len(one & other) >= 0.6 * len(one | other):
                    near.append((kind, held.text, trained.text))
    assert not near


def test_wordings_name_no_action_in_their_own_words() -> None:
    allowed = ("leaves_floor", "bends_over", "steps", "posture", "true_direction")  # they ask about these very things
    named = []
    for kind, wording in wordings().items():
        if kind.startswith(("unseen/", "cannot/")) or kind in allowed:
            continue
        for pattern in wording.chosen("train"):
            named += [(kind, pattern.text)] if spoken_of(re.sub(r"\{\w+\}", " ", pattern.text)) else []
    assert not named


def test_verbs_and_possessives_agree_with_whom_the_question_is_about() -> None:
    they = Subject("they", "them", "their", plural=True)
    slots = {"acts": "waves", "acts_many": "wave", "acting": "using {their} left arm"}
    pattern = "{Do} {they} {have} it when {they} {acts}, {acting}, and who sees {them}?"
    assert filled(pattern, slots, they) == "Do they have it when they wave, using their left arm, and who sees them?"
    she = Subject("she", "her", "her")
    assert filled(pattern, slots, she) == "Does she has it when she waves, using her left arm, and who sees her?"
    slots = slots | {"plural": "wave"}
    assert filled("What {do} {they} do before {they_act}?", slots) == "What does the person do before they wave?"
    assert filled("What {do} {they} do before {they_act}?", slots, she) == "What does she do before she waves?"
    assert filled("{they} go{es} there", slots, PERSON) == "The person goes there"
    with pytest.raises(ValueError, match="needs 'hat'"):
        filled("a {hat}", slots)


# ---------------------------------------------------------------------------------------------- truths

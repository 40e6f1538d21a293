"""Choosing what a question is about, on movements whose facts are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.retrieval import choose_facts, named_order
from motionqa.data.schema import Fact
from motionqa.data.synthetic import motions as S
from motionqa.encoders.kinematics.analyse import analyse

STORIES = {
    "squat": S.concatenate(S.stand(0.5), S.squats(3), S.arm_raise("right"), S.stand(0.4)),
    "walk": S.concatenate(S.walk(6), S.turn(90), S.walk(4)),
    "wave": S.concatenate(S.stand(0.5), S.wave("left", 4), S.stand(1.0)),
    "jump": S.concatenate(S.stand(0.5), S.jumps(2), S.stand(0.5)),
}
# Story, question, and what the best or second-best fact must say.
ASKED = [
    ("squat", "What is the person doing?", "squats 3 times, then raises"),
    ("squat", "How many squats?", "squats 3 times"),
    ("squat", "how many reps", "squats 3 times"),
    ("squat", "Which arm is raised?", "right arm"),
    ("squat", "What comes after the squats?", "After squatting"),
    ("squat", "What does she do first?", "first"),
    ("squat", "How deep do the knees bend?", "knees bend|knee flexion"),
    ("squat", "Does the person jump?", "does not jump"),
    ("squat", "Is she waving?", "does not wave"),
    ("squat", "Does she raise the left arm?", "right arm and not the left"),
    ("squat", "When is the right hand above the head?", "right hand is above the head|hand above"),
    ("squat", "How long does one squat take?", "one repetition takes"),
    ("walk", "What is the person doing?", "walks forwards, then turns left"),
    ("walk", "How many steps does he take?", "steps"),
    ("walk", "How fast does she walk?", "speed of|m/s"),
    ("walk", "Which way does he turn?", "turns about 90 degrees to the left|turns left"),
    ("walk", "How far do they travel?", "travels about"),
    ("walk", "Is the person running?", "does not run"),
    ("wave", "What is she doing?", "waves"),
    ("wave", "Which hand is he waving with?", "left hand|left arm moves most"),
    ("wave", "Does the person walk?", "does not walk|no walking steps"),
    ("wave", "Which body part moves most?", "left arm moves most"),
    ("jump", "How many jumps?", "jumps twice"),
    ("jump", "Do the feet leave the floor?", "leave the floor"),
    ("jump", "Does he squat?", "does not squat"),
]  # fmt: skip


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    return SentenceEmbedder()


@pytest.fixture(scope="module")
def facts() -> dict[str, tuple[Fact, ...]]:
    return {name: analyse(S.render(motion, noise_m=0.004)).facts for name, motion in STORIES.items()}


@pytest.mark.parametrize(("story", "question", "expected"), ASKED)
def test_a_question_brings_its_fact_to_the_front(
    facts: dict[str, tuple[Fact, ...]], embedder: SentenceEmbedder, story: str, question: str, expected: str
) -> None:
    best = choose_facts(facts[story], question, embedder, 2)
    assert any(part in f.text for f in best for part in expected.split("|")), [f.text for f in best]


def test_a_moment_brings_what_happened_then(facts: dict[str, tuple[Fact, ...]], embedder: SentenceEmbedder) -> None:
    turn = next(f for f in facts["walk"] if f.topic == "turn")
    middle = (turn.start_s + turn.end_s) / 2
    assert turn in choose_facts(facts["walk"], f"What happens at {middle:.1f} s?", embedder, 4)


def test_a_short_follow_up_is_read_with_the_question_before_it(
    facts: dict[str, tuple[Fact, ...]], embedder: SentenceEmbedder
) -> None:
    (best, *_) = choose_facts(facts["squat"], "And the left one?", embedder, 2, "How far is the right arm raised?")
    assert "left" in best.text


def test_a_question_that_names_its_action_is_read_without_the_one_before_it(
    facts: dict[str, tuple[Fact, ...]], embedder: SentenceEmbedder
) -> None:
    alone, after = (choose_facts(facts["walk"], "Does he walk?", embedder, 2, p) for p in ("", "Does he jump?"))
    assert [f.text for f in after] == [f.text for f in alone]
    assert not any("jump" in f.text for f in after)


def test_a_large_model_gets_as_many_facts_as_it_takes(
    facts: dict[str, tuple[Fact, ...]], embedder: SentenceEmbedder
) -> None:
    assert len(choose_facts(facts["squat"], "How many squats?", embedder, 12)) == 12
    assert choose_facts((), "How many squats?", embedder, 2) == ()


def test_an_action_that_is_named_and_not_recognised_is_said_to_be_missing(embedder: SentenceEmbedder) -> None:
    clap = Fact("The person claps the hands (clap or knock), 0.0 to 2.0 s (2.0 s), both arms.", "action", 0.0, 2.0)
    (first, *others) = choose_facts((clap,), "How quick is the lunge?", embedder, 2)
    assert first.text == "Nowhere in the clip does the person lunge, as far as recognised."
    assert (first.start_s, first.end_s) == (0.0, 2.0)
    assert others == [clap]
    assert choose_facts((clap,), "How fast does she clap the hands?", embedder, 2) == (clap,)
    assert choose_facts((clap,), "When does she knock on a door?", embedder, 2) == (clap,)  # suspected
    assert choose_facts((clap,), "What is she doing?", embedder, 2) == (clap,)
    jog = Fact("The person jogs in place (jog in place), 0.0 to 2.0 s (2.0 s), both legs.", "action", 0.0, 2.0)
    assert choose_facts((jog,), "How quickly is he running?", embedder, 2) == (jog,)  # much the same
    assert choose_facts((clap,), "Is she standing up or sitting down at the start?", embedder, 2) == (clap,)
    assert choose_facts((clap,), "How many push-ups are done?", embedder, 1)[0].text.endswith("recognised.")
    still = Fact("The person takes no walking steps.", "count", 0.0, 2.0, (), 0, "steps")
    assert choose_facts((clap, still), "How fast is the walk?", embedder, 1)[0].text.endswith("recognised.")
    bowl = Fact("The person bowls a ball (bowl), 0.0 to 2.0 s.", "action", 0.0, 2.0)
    limb = Fact("Body part used for the bowling throw: right arm.", "limb", 0.0, 2.0)
    assert choose_facts((bowl, limb), "When is the basketball shot?", embedder, 1)[0].text.endswith("recognised.")


def test_an_action_that_goes_left_is_not_the_left_side(embedder: SentenceEmbedder) -> None:
    circle = Fact("Body part used for the drawing of a circle clockwise: left arm.", "limb", 4.0, 6.0)
    swipe = Fact("Body part used for the swipe to the left: right arm.", "limb", 0.0, 2.0)
    question = "He swipes to the left: by means of which part of the body?"
    assert choose_facts((circle, swipe), question, embedder, 1) == (swipe,)
    up = Fact("The left hand is above the head from 1.0 to 2.0 s.", "posture", 1.0, 2.0, ("left_wrist",))
    other = Fact("The right hand is above the head from 3.0 to 4.0 s.", "posture", 3.0, 4.0, ("right_wrist",))
    assert choose_facts((other, up), "When is the left hand up?", embedder, 1) == (up,)


def test_which_of_two_named_actions_comes_first_is_said_where_the_order_is_asked_about() -> None:
    facts = (
        Fact("The person walks (walk), 0.0 to 2.0 s.", "action", 0.0, 2.0),
        Fact("The person claps the hands (clap or knock), 2.0 to 4.0 s.", "action", 2.0, 4.0),
        Fact("The person waves with the left hand (wave left hand), 4.0 to 6.0 s.", "action", 4.0, 6.0),
        Fact("In order: walk, then clap, then wave left hand.", "sequence", 0.0, 6.0),
    )
    (found,) = named_order("Is the wave of the left hand later than the walk?", facts)
    assert found.text == "Walking (0.0 to 2.0 s) comes before waving with the left hand (4.0 to 6.0 s)."
    assert (found.start_s, found.end_s) == (0.0, 6.0)
    assert named_order("Does he walk before waving with the left hand?", facts) == (found,)
    assert not named_order("Does he walk before he jumps?", facts)  # not recognised
    assert not named_order("Does he walk first?", facts)
    again = replace(facts[3], text="In order: walk, then wave left hand, then walk.")
    assert not named_order("Is the walk before the wave of the left hand?", (*facts[:3], again))  # done twice
    assert not named_order("Is the wave of the left hand later than the walk?", facts[:1])


def test_an_order_that_is_asked_about_stands_first(embedder: SentenceEmbedder) -> None:
    facts = (
        Fact("The person walks (walk), 0.0 to 2.0 s.", "action", 0.0, 2.0),
        Fact("The person squats (squat), 2.0 to 4.0 s.", "action", 2.0, 4.0),
        Fact("In order: walk, then squat.", "sequence", 0.0, 4.0),
    )
    for most in (1, 2):
        found = choose_facts(facts, "Does she walk before she squats?", embedder, most)
        assert found[0].text == "Walking (0.0 to 2.0 s) comes before squatting (2.0 to 4.0 s)."
        assert len(found) == most
    assert choose_facts(facts, "Which is longer, the walk or the squat?", embedder, 2)[0] in facts
    (said,) = choose_facts(facts, "Does she walk before she claps?", embedder, 1)
    assert said.text.startswith("Nowhere in the clip does the person clap")


def test_a_name_within_a_name_is_not_denied(embedder: SentenceEmbedder) -> None:
    jacks = Fact("The person does jumping jacks (jumping jacks), 0.0 to 4.0 s.", "action", 0.0, 4.0)
    found = choose_facts((jacks,), "How many jumping jacks are done?", embedder, 2)
    assert found == (jacks,)


def test_measurements_alone_know_no_names_that_could_be_missing(
    facts: dict[str, tuple[Fact, ...]], embedder: SentenceEmbedder
) -> None:
    found = choose_facts(facts["walk"], "When does she serve a tennis ball?", embedder, 2)
    assert not any(f.text.startswith("Nowhere") for f in found)

"""What a model tuned on clips is shown, in training and in the chat alike, and what its answers rest on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.examples import write_trc
from motionqa.assistant.grounding import cite_actions, unmeasured_numbers
from motionqa.assistant.llm import GenerationConfig
from motionqa.assistant.panels import facts_html
from motionqa.assistant.prompt import BRIEFLY, TUNED, clip_opening, clip_question, config_for, without_facts
from motionqa.assistant.session import ChatSession, Engine
from motionqa.data.reading import ClipTokens, MotionReading, ReadAction
from motionqa.data.schema import Conversation, Fact
from motionqa.data.synthetic.motions import render, squats
from motionqa.encoders.clip_encoder import ClipEncoder
from motionqa.encoders.reader.network import MotionReader, ReaderConfig
from motionqa.encoders.reader.read import Reader, reader_of
from motionqa.eval.qa.predictors import AnswerConfig, AssistantPredictor
from motionqa.tests.fake_models import ScriptedModel

TOKENS = ClipTokens(motion=np.ones((3, 4), np.float32), sources={"motion": "it"})
FACT = Fact("The person squats 3 times.", "count", 0.0, 3.0)


class ClipModel(ScriptedModel):
    """A scripted model that says it reads clips."""

    reads_clips = ("motion",)


class RefusingModel(ClipModel):
    """One that refuses whatever it is asked, unless it may not."""

    def stream(self, conversation: Conversation, config: GenerationConfig, stop: threading.Event) -> Iterator[str]:
        self.words = "three" if config.never else "That cannot be judged from motion."
        return super().stream(conversation, config, stop)


@pytest.fixture(scope="module")
def reader() -> Reader:
    torch.manual_seed(0)
    return reader_of(MotionReader(ReaderConfig(("squat", "wave right hand"), width=32, heads=2)), "random")


@pytest.fixture
def session(reader: Reader, tmp_path: Path) -> ChatSession:
    write_trc(render(squats(3)), tmp_path / "squats.trc")
    engine = Engine(ClipEncoder(reader=reader), ClipModel("It squats 3 times"), SentenceEmbedder(), GenerationConfig(9))
    session = ChatSession(engine)
    session.set_clip(tmp_path / "squats.trc")
    return session


def test_the_opening_shows_words_tokens_or_both() -> None:
    both = clip_opening(TUNED, "Seen: squat.", TOKENS)
    assert both.clip is TOKENS
    assert both.turns[0].text == f"{TUNED.system}\nSeen: squat."
    words = clip_opening(replace(TUNED, clip="words"), "Seen: squat.", TOKENS)
    assert words.clip is None
    assert "squat" in words.turns[0].text
    tokens = clip_opening(replace(TUNED, clip="tokens"), "Seen: squat.", TOKENS)
    assert tokens.clip is TOKENS
    assert "squat" not in tokens.turns[0].text


def test_facts_stand_below_the_question_and_can_be_taken_away() -> None:
    turn = clip_question("How many?", (FACT,), BRIEFLY)
    assert turn == f"How many? {BRIEFLY}\nMeasured: The person squats 3 times."
    assert without_facts(turn) == f"How many? {BRIEFLY}"
    assert without_facts("How many?") == "How many?"
    asked = clip_question("How many?", (FACT,), BRIEFLY, "how many times; a number")
    assert asked == f"How many? {BRIEFLY}\nAsked: how many times; a number.\nMeasured: The person squats 3 times."
    assert without_facts(asked).endswith("a number.")


def test_a_model_tuned_on_clips_is_shown_the_reading_and_its_tokens(session: ChatSession) -> None:
    assert session.prompt_config is TUNED
    *_, answer = session.ask("How many squats?")
    llm = session.engine.llm
    assert isinstance(llm, ClipModel)
    shown, encoding = llm.shown[-1], session.encoding
    assert encoding is not None
    assert encoding.reading is not None
    assert shown.clip is encoding.reading.tokens
    assert shown.turns[0].text.endswith(encoding.reading.words)
    assert shown.turns[-1].text.startswith("How many squats?\nAsked: how many times; a number.\nMeasured: ")
    assert answer.unmeasured == ()


def test_earlier_turns_come_without_their_facts(session: ChatSession) -> None:
    *_, _ = session.ask("How many squats?")
    *_, _ = session.ask("And which knee?")
    llm = session.engine.llm
    assert isinstance(llm, ClipModel)
    assert [t.text for t in llm.shown[-1].turns[1:3]] == ["How many squats?", "It squats 3 times"]


def test_a_plain_model_is_shown_no_reading() -> None:
    assert config_for(ScriptedModel()).clip == "none"


def test_an_evaluator_asks_for_brevity_as_training_did(session: ChatSession, tmp_path: Path) -> None:
    assert AssistantPredictor(session.engine, tmp_path).prompt == replace(TUNED, suffix=BRIEFLY)
    tokens = AssistantPredictor(session.engine, tmp_path, AnswerConfig(clip="tokens")).prompt
    assert (tokens.clip, tokens.facts) == ("tokens", 0)


READING = MotionReading(
    (ReadAction("wave right hand", 0.0, 2.0, 0.9), ReadAction("", 2.0, 3.0, 0.4), ReadAction("squat", 3.0, 5.0, 0.7)),
    TOKENS,
    "wave right hand 0.0 to 2.0 s (2.0 s)",
)


def test_actions_that_an_answer_names_come_with_their_moments() -> None:
    found = cite_actions("The person is waving with the right hand.", READING)
    assert [(e.fact.start_s, e.fact.end_s) for e in found] == [(0.0, 2.0)]
    assert [e.fact.start_s for e in cite_actions("She waves her right hand, then squats.", READING)] == [0.0, 3.0]
    assert cite_actions("She claps.", READING) == ()


def test_numbers_of_the_reading_are_not_marked() -> None:
    assert unmeasured_numbers("From 0.0 to 2.0 s, 7 times.", "When?", (FACT,), READING.words) == ("7",)


def test_the_page_lists_what_was_recognised_with_moments(session: ChatSession) -> None:
    assert session.encoding is not None
    shown = facts_html(replace(session.encoding, reading=READING), 0.0)
    assert "Wave right hand (90%)" in shown
    assert "None of the known actions (40%)" in shown
    assert 'href="#t=3.00,5.00"' in shown
    assert "Recognised" not in facts_html(replace(session.encoding, reading=None), 0.0)


def test_a_plain_question_about_movement_may_not_be_refused(session: ChatSession) -> None:
    session.engine = replace(session.engine, llm=RefusingModel())
    *_, answer = session.ask("How many squats does she do?")
    assert (answer.text, answer.written) == ("three", "That cannot be judged from motion.")
    assert "first wrote" in answer.basis
    *_, answer = session.ask("What colour is her coat?")
    assert (answer.text, answer.written) == ("That cannot be judged from motion.", "")

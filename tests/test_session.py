"""The chat engine: clips in, streamed and grounded answers out, one user apart from the other."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.examples import example_files, write_trc
from motionqa.assistant.grounding import cite, numbers_in, unmeasured_numbers, unmeasured_sides
from motionqa.assistant.llm import GenerationConfig
from motionqa.assistant.prompt import LARGE, SMALL, build_prompt, config_for
from motionqa.assistant.session import ChatSession, Engine, _evidence
from motionqa.data.cache import EncodingCache
from motionqa.data.schema import Answer, Fact, InputError
from motionqa.data.synthetic.motions import render, squats, walk
from motionqa.encoders.clip_encoder import Cancelled, ClipEncoder
from motionqa.tests.fake_models import ScriptedModel


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    return SentenceEmbedder()


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel("The person squats 3 times")


@pytest.fixture
def engine(model: ScriptedModel, embedder: SentenceEmbedder, tmp_path: Path) -> Engine:
    return Engine(ClipEncoder(cache=EncodingCache(tmp_path / "cache")), model, embedder, GenerationConfig(40))


@pytest.fixture(scope="module")
def squat_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("motion") / "squats.trc"
    write_trc(render(squats(3)), path)
    return path


@pytest.fixture(scope="module")
def walk_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("motion") / "walk.trc"
    write_trc(render(walk(6)), path)
    return path


def last(session: ChatSession, question: str) -> Answer:
    *_, answer = session.ask(question)
    return answer


def test_an_answer_streams_and_ends_with_evidence_and_timings(engine: Engine, squat_file: Path) -> None:
    session = ChatSession(engine)
    session.set_clip(squat_file)
    answers = list(session.ask("How many squats?"))
    texts = [a.text for a in answers]
    assert all(later.startswith(earlier) for earlier, later in zip(texts, texts[1:], strict=False))
    assert [a.finished for a in answers[:-1]] == ["no"] * (len(answers) - 1)
    assert answers[-1].finished == "end"
    assert answers[-1].text == "The person squats 3 times"
    cited = [e.fact for e in answers[-1].evidence if e.cited]
    assert any(f.topic == "count" and f.value == 3 for f in cited)
    assert all(0 <= f.start_s <= f.end_s <= 7 for f in cited)
    assert {"choosing facts", "first token", "answer"} <= set(answers[-1].timings_s)


def test_the_model_is_shown_the_count_when_it_is_asked_for(
    engine: Engine, model: ScriptedModel, squat_file: Path
) -> None:
    session = ChatSession(engine)
    session.set_clip(squat_file)
    last(session, "How many squats does she do?")
    assert "3 times" in model.shown[-1].turns[-1].text


def test_a_second_question_neither_encodes_again_nor_forgets_the_first(
    engine: Engine, model: ScriptedModel, squat_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ChatSession(engine)
    session.set_clip(squat_file)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(ClipEncoder, "encode", never)
    last(session, "What is the person doing?")
    last(session, "And how many times?")
    roles = [(t.role, t.text) for t in model.shown[-1].turns]
    assert ("user", "What is the person doing?") in roles
    assert ("assistant", "The person squats 3 times") in roles


def test_a_known_clip_comes_from_the_cache_with_the_same_report(engine: Engine, squat_file: Path) -> None:
    first = engine.encoder.encode(squat_file)
    again = engine.encoder.encode(squat_file)
    assert set(again.timings_s) == {"cache"}
    assert [f.text for f in again.report.facts] == [f.text for f in first.report.facts]
    assert abs(again.pose3d.xyz_m - first.pose3d.xyz_m).max() < 1e-5


def test_two_users_share_nothing(engine: Engine, model: ScriptedModel, squat_file: Path, walk_file: Path) -> None:
    anna, ben = ChatSession(engine), ChatSession(engine)
    anna.set_clip(squat_file)
    ben.set_clip(walk_file)
    last(anna, "How many squats?")
    last(ben, "How many steps?")
    assert ben.history[0][0] == "How many steps?"
    assert len(anna.history) == 1
    assert "squat" not in " ".join(t.text for t in model.shown[-1].turns if t.role == "user").lower()


def test_a_new_clip_starts_a_new_conversation(engine: Engine, squat_file: Path, walk_file: Path) -> None:
    session = ChatSession(engine)
    session.set_clip(squat_file)
    last(session, "How many squats?")
    session.set_clip(walk_file)
    assert session.history == ()


def test_a_second_upload_overtakes_the_first(engine: Engine, squat_file: Path, walk_file: Path) -> None:
    session = ChatSession(engine)
    reached, go_on, outcome = threading.Event(), threading.Event(), []

    def slow(_stage: str, _share: float) -> None:
        reached.set()
        go_on.wait(20)

    def first() -> None:
        try:
            session.set_clip(squat_file, slow)
        except Cancelled as cancelled:
            outcome.append(cancelled)

    thread = threading.Thread(target=first)
    thread.start()
    assert reached.wait(20)
    session.set_clip(walk_file)
    go_on.set()
    thread.join(30)
    assert len(outcome) == 1
    assert session.encoding is not None
    assert session.encoding.name == "walk.trc"


def test_the_stop_button_ends_the_answer_and_keeps_what_was_said(engine: Engine, squat_file: Path) -> None:
    assert isinstance(engine.llm, ScriptedModel)
    session = ChatSession(engine)
    session.set_clip(squat_file)
    answers = session.ask("How many squats?")
    next(answers)
    session.stop()
    *_, end = answers
    assert end.finished == "stopped"
    assert end.text == "The"


@pytest.mark.parametrize(
    ("question", "message"), [("", "empty"), ("  \n ", "empty"), ("why " * 2500, "10,000|9,999 characters")]
)
def test_a_bad_question_gets_a_message_and_the_chat_goes_on(
    engine: Engine, squat_file: Path, question: str, message: str
) -> None:
    session = ChatSession(engine)
    session.set_clip(squat_file)
    with pytest.raises(InputError, match=message):
        last(session, question)
    assert last(session, "How many squats?").text


def test_a_question_before_any_clip_says_what_to_do(engine: Engine) -> None:
    with pytest.raises(InputError, match="Upload a video or a motion file first"):
        last(ChatSession(engine), "What is she doing?")


def test_a_bad_file_leaves_the_clip_before_it(engine: Engine, squat_file: Path, tmp_path: Path) -> None:
    session = ChatSession(engine)
    session.set_clip(squat_file)
    (tmp_path / "letter.mp4").write_text("Dear Sir, " * 100)
    with pytest.raises(InputError, match=r"letter\.mp4"):
        session.set_clip(tmp_path / "letter.mp4")
    assert last(session, "How many squats?").text


def test_a_video_goes_the_whole_way(engine: Engine, squat_video: Path) -> None:
    session = ChatSession(engine)
    stages: dict[str, float] = {}
    encoding = session.set_clip(squat_video, stages.__setitem__)
    assert {"reading", "finding people", "following the body", "measuring"} <= set(stages)
    assert stages["following the body"] == 1.0
    assert encoding.kind == "video"
    counts = [f for f in encoding.report.facts if f.topic == "count" and f.unit == "repetitions"]
    assert any("quat" in f.text and f.value == 3 for f in counts)
    above = [f for f in encoding.report.facts if "right hand" in f.text.lower() and "above the head" in f.text]
    assert above
    assert above[0].start_s > 6.5


def test_old_exchanges_are_left_out_when_they_no_longer_fit() -> None:
    model = ScriptedModel(context_tokens=60, parameters=None)
    history = tuple((f"question {k} " + "word " * 8, "answer " * 8) for k in range(5))
    fact = Fact("The person squats 3 times.", "count", 0.0, 1.0)
    prompt = build_prompt(model, LARGE, "How many?", (fact,), history, reply_tokens=0)
    assert prompt.dropped_turns > 0
    assert model.count_tokens(prompt.conversation) <= 60 or len(prompt.conversation.turns) == 2
    model.context_tokens = 5
    with pytest.raises(InputError, match="too long for scripted"):
        build_prompt(model, LARGE, "How many?", (fact,), (), reply_tokens=0)


def test_a_small_model_sees_the_exchange_before_only_when_the_question_goes_on_from_it() -> None:
    model, fact = ScriptedModel(), Fact("The person squats 3 times.", "count", 0.0, 1.0)
    history = (("How many squats?", "Three."),)
    fresh = build_prompt(model, SMALL, "Does she jump?", (fact,), history, 40)
    onward = build_prompt(model, SMALL, "And the left leg?", (fact,), history, 40)
    large = build_prompt(model, LARGE, "Does she jump?", (fact,), history, 40)
    assert [len(p.conversation.turns) for p in (fresh, onward, large)] == [2, 4, 4]
    assert fresh.dropped_turns == 0


def test_small_models_are_shown_little_and_large_ones_the_whole_report() -> None:
    assert config_for(ScriptedModel(parameters=135_000_000)) is SMALL
    assert config_for(ScriptedModel(parameters=7_000_000_000)) is LARGE
    assert config_for(ScriptedModel(parameters=None)) is LARGE


def test_numbers_nobody_measured_are_pointed_out() -> None:
    facts = (
        Fact("The person squats 3 times.", "count", 0.4, 6.0, value=3),
        Fact("The left knee bends up to 112 degrees, at 3.1 s.", "angle", 3.1, 3.1, value=112),
    )
    assert numbers_in("Three squats, 112.5 degrees at 3,1 s") == {3.0, 112.5, 3.1}
    assert unmeasured_numbers("She squats 3 times and jumps 4 times.", "How many?", facts) == ("4",)
    assert unmeasured_numbers("Is it 5? No, three.", "Did she do 5?", facts) == ()
    turn = (Fact("The person turns about 90 degrees to the left.", "turn", 0.0, 1.0),)
    assert unmeasured_sides("He turns right.", turn) == ("right",)
    assert unmeasured_sides("He turns left.", turn) == ()
    evidence = cite("She squats three times.", facts)
    assert [e.cited for e in evidence] == [True, False]


def test_the_example_files_can_be_read(engine: Engine) -> None:
    encoding = engine.encoder.encode(example_files()[0])
    assert any("quat" in f.text for f in encoding.report.facts)


def test_a_number_with_another_unit_is_marked() -> None:
    facts = (Fact("The person walks at a speed of about 1.2 m/s from 1.3 to 6.7 s.", "speed", 1.3, 6.7),
             Fact("The person walks at 1.7 steps per second.", "speed", 1.3, 6.7))  # fmt: skip
    assert unmeasured_numbers("She walks at 1.7 m/s.", "How fast?", facts) == ("1.7 m/s",)
    assert unmeasured_numbers("She walks at 1.2 m/s from 1.3 s.", "How fast?", facts) == ()
    twice = (Fact("The person squats twice.", "count", 0.0, 2.0),)
    assert unmeasured_numbers("She squats 2 times.", "How many?", twice) == ()


def test_an_answer_that_is_a_measurement_shows_what_it_is_made_of() -> None:
    squats, still, deepest = (
        Fact("The person squats 5 times.", "count", 0.0, 9.0),
        Fact("The person stays on the spot.", "travel", 0.0, 9.0),
        Fact("Repetition 5 of 5 is the largest (99 degrees), repetition 4 the smallest.", "count", 7.0, 9.0),
    )
    shown = _evidence(deepest.text, True, (squats, still), (squats, deepest))
    assert (shown[0].fact, shown[0].cited) == (deepest, True)
    assert still not in [e.fact for e in shown]
    assert _evidence("Yes, the feet are in view.", True, (still,), (squats, still)) == ()
    assert [e.fact for e in _evidence("Five.", False, (squats, still), ())] == [squats, still]

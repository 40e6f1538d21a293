"""What answers benchmarks: the chat's own session, the same model blind, and rules; all by the same command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from motionqa.assistant.examples import write_trc
from motionqa.assistant.llm import LocalModel
from motionqa.assistant.session import Engine
from motionqa.data.cache import EncodingCache
from motionqa.data.motion_files.read import MotionOverrides
from motionqa.data.synthetic.motions import render, squats
from motionqa.encoders.clip_encoder import ClipEncoder, EncoderConfig
from motionqa.eval.qa.predict import GroupPredictor, predict
from motionqa.eval.qa.predictors import (
    AnswerConfig,
    AssistantPredictor,
    BlindModelPredictor,
    RulePredictor,
    blind_model_predictor,
    how_to_read,
    short_answer,
)
from motionqa.eval.qa.question import Benchmark, ClipFile, Question
from motionqa.tests.fake_models import ScriptedModel, tiny_model_directory
from motionqa.tests.small_benchmark import LetterEmbedder, WeighingScript, small_benchmark

OPEN = Question("open", "squats", "How many squats does the person do?", "3", "number")
CLOSED = Question("closed", "squats", "What is done?", "squat", "action", options=("walking about", "squat", "run"))


@pytest.fixture(scope="module")
def squat_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("motion") / "squats.trc"
    write_trc(render(squats(3)), path)
    return path


def assistant(model: ScriptedModel, tmp_path: Path, config: AnswerConfig = AnswerConfig()) -> AssistantPredictor:
    encoder = ClipEncoder(cache=EncodingCache(tmp_path / "cache"))
    return AssistantPredictor(Engine(encoder, model, LetterEmbedder()), tmp_path / "clips", config)


def test_free_questions_are_asked_through_the_chat_without_any_history(tmp_path: Path, squat_file: Path) -> None:
    model = ScriptedModel("Three. The person squats 3 times")
    ask = assistant(model, tmp_path).look_at(ClipFile(squat_file))
    first = ask(OPEN)
    again = ask(replace(OPEN, id="again"))
    assert first.answer == again.answer == "three. the person squats 3 times"
    assert first.about["said"] == "Three. The person squats 3 times"
    assert [t.role for t in model.shown[-1].turns] == ["system", "user"]
    assert "one or two words" in model.shown[-1].turns[0].text
    assert "measurements say" in model.shown[-1].turns[1].text
    assert first.evidence_s
    assert all(0 <= a <= b <= 10 for a, b in first.evidence_s)


def test_options_are_weighed_with_the_prompt_that_the_chat_would_show(tmp_path: Path, squat_file: Path) -> None:
    model = WeighingScript()
    found = assistant(model, tmp_path).look_at(ClipFile(squat_file))(CLOSED)
    assert found.answer == "run"  # the largest sum: the fewest letters
    assert set(found.scores) == set(CLOSED.options) == set(found.about["scores_per_token"])
    by_token = assistant(model, tmp_path, AnswerConfig(per_token=True)).look_at(ClipFile(squat_file))(CLOSED)
    assert by_token.answer == "walking about"
    assert by_token.about["scores_total"] == found.scores
    assert "measurements say" in model.shown[-1].turns[-1].text


def test_a_model_that_can_not_weigh_is_told_the_options(tmp_path: Path, squat_file: Path) -> None:
    model = ScriptedModel("Squat.")
    found = assistant(model, tmp_path).look_at(ClipFile(squat_file))(CLOSED)
    assert (found.answer, dict(found.scores)) == ("squat", {})
    assert "Answer with one of: walking about, squat, run." in model.shown[-1].turns[-1].text


def test_a_clip_is_encoded_once_for_all_its_questions(
    tmp_path: Path, squat_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, count = ClipEncoder.encode, []

    def counted(self: ClipEncoder, *args: object, **kwargs: object) -> object:
        count.append(args)
        return encode(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(ClipEncoder, "encode", counted)
    questions = tuple(replace(OPEN, id=f"q{k}") for k in range(4))
    benchmark = Benchmark("one", "test", questions, (), (), (), lambda question: ClipFile(squat_file))
    account = predict(benchmark, assistant(ScriptedModel(), tmp_path), tmp_path / "out")
    assert len(account.merged.predictions) == 4
    assert not account.merged.failed
    assert len(count) == 1


def test_a_part_of_a_motion_file_is_cut_and_its_moments_count_from_the_files_start(
    tmp_path: Path, squat_file: Path
) -> None:
    predictor = assistant(ScriptedModel("3 squats"), tmp_path)
    whole = predictor.look_at(ClipFile(squat_file))(OPEN)
    part = predictor.look_at(ClipFile(squat_file, MotionOverrides(), span_s=(2.0, 4.0)))(OPEN)
    assert max(b for _, b in whole.evidence_s) > 4.2
    assert all(1.9 <= a <= b <= 4.2 for a, b in part.evidence_s)


def test_a_part_of_a_video_is_decoded_from_where_it_starts(tmp_path: Path) -> None:
    video = tmp_path / "x.mp4"
    video.write_bytes(b"\0\0\0\x18ftypmp42")
    path, config, offset_s = how_to_read(ClipFile(video, span_s=(3.0, 7.5)), EncoderConfig(), tmp_path)
    assert (path.name, config.decode.start_s, config.decode.max_seconds, offset_s) == ("x.mp4", 3.0, 4.5, 0.0)


def test_the_blind_model_sees_the_question_and_nothing_else() -> None:
    model = WeighingScript("Yes, he does")
    predictor = BlindModelPredictor(model)
    ask = predictor.look_at(None)
    assert ask(OPEN).answer == "yes"
    assert ask(CLOSED).answer == "run"
    for conversation in model.shown:
        assert "measurement" not in " ".join(t.text for t in conversation.turns)
    assert OPEN.text in model.shown[0].turns[-1].text
    assert not predictor.needs_clips


def test_the_settings_tell_every_predictor_from_every_other(tmp_path: Path) -> None:
    benchmark = small_benchmark()
    model = ScriptedModel()
    all_settings = [
        assistant(model, tmp_path).settings,
        assistant(model, tmp_path, AnswerConfig(per_token=True)).settings,
        BlindModelPredictor(model).settings,
        BlindModelPredictor(model, AnswerConfig(8)).settings,
        RulePredictor("majority", benchmark).settings,
        RulePredictor("lookup", benchmark).settings,
        RulePredictor("lookup", replace(benchmark, training=benchmark.training[:5])).settings,
    ]
    assert len({str(s) for s in all_settings}) == len(all_settings)


def test_rules_run_through_the_same_command(tmp_path: Path) -> None:
    benchmark = small_benchmark()
    account = predict(benchmark, RulePredictor("majority", benchmark), tmp_path)
    assert not account.merged.failed
    assert all(p.answer for p in account.merged.predictions)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Yes, the man is outside.", "yes"), ("No.", "no"), ("  Walk forward.\nBecause it says so", "walk forward"),
        ("Answer: Left", "left"), ("no one", "no one"), ("", ""), ('"Guitar"', "guitar"), ("Yes he is", "yes he is"),
    ],
)  # fmt: skip
def test_a_models_words_become_an_answer_as_benchmarks_write_it(said: str, answer: str) -> None:
    assert short_answer(said) == answer


def test_a_truncated_npz_is_a_failure_of_its_clip_and_the_others_are_answered(tmp_path: Path, squat_file: Path) -> None:
    from motionqa.tests.benchmark_trees import amass_npz
    from motionqa.tests.video_files import cut_off

    broken = amass_npz(tmp_path / "broken.npz", 60, 30.0)
    cut_off(broken, 0.6)
    places = {"squats": squat_file, "broken": broken}
    questions = (replace(OPEN, id="a", clip="broken"), OPEN, replace(OPEN, id="b", clip="broken"))
    benchmark = Benchmark("two", "test", questions, (), (), (), lambda q: ClipFile(places[q.clip]))
    account = predict(benchmark, assistant(ScriptedModel("three"), tmp_path), tmp_path / "out")
    assert [p.id for p in account.merged.failed] == ["a", "b"]
    assert all(p.error.startswith("clip: ") and "broken.npz" in p.error for p in account.merged.failed)
    assert (account.answered, account.merged.missing, account.stopped) == (3, (), "")


def test_a_model_of_this_machine_replies_side_by_side_what_it_replies_one_by_one(tmp_path: Path) -> None:
    import torch

    llm = LocalModel(tiny_model_directory(tmp_path), name="tiny")
    llm.model.to(torch.float32)  # type: ignore[arg-type]  # in bfloat16 nearly equal words may change places
    for weight in llm.model.parameters():  # as drawn, so small that every prompt gets the same reply
        weight.data *= 20 if weight.ndim > 1 else 1
    texts = ("a b c", "d", "e f g h a b c d", *("a " * k + "b" for k in range(1, 18)))
    questions = tuple(Question(f"q{k}", "clip", text, "", "t") for k, text in enumerate(texts))
    quick = blind_model_predictor(llm, AnswerConfig(4))
    assert isinstance(quick, GroupPredictor)
    alone = BlindModelPredictor(llm, AnswerConfig(4)).look_at(None)
    said = [p.answer for p in quick.answer_together(questions)]
    assert said == [alone(q).answer for q in questions]
    assert len(set(said)) > 1
    assert quick.settings["side_by_side"] == 16
    assert not isinstance(blind_model_predictor(ScriptedModel("x")), GroupPredictor)


def test_questions_with_options_are_weighed_also_within_a_group(tmp_path: Path) -> None:
    llm = LocalModel(tiny_model_directory(tmp_path), name="tiny")
    closed = Question("closed", "clip", "a", "b", "t", options=("b", "c d"))
    free = Question("free", "clip", "a", "b", "t")
    predictor = blind_model_predictor(llm)
    assert isinstance(predictor, GroupPredictor)
    first, second = predictor.answer_together((closed, free))
    assert (first.id, second.id) == ("closed", "free")
    assert dict(first.scores) == dict(predictor.look_at(None)(closed).scores)
    assert not second.scores

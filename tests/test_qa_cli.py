"""`motionqa eval` and `motionqa doctor`: the whole way from questions to report, and what is wrong in one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from motionqa.assistant.examples import write_trc
from motionqa.assistant.session import Engine
from motionqa.cli.evaluate import Answering, Judging, doctor, evaluate
from motionqa.cli.main import main
from motionqa.data.schema import InputError
from motionqa.data.synthetic.motions import render, squats
from motionqa.encoders.clip_encoder import ClipEncoder
from motionqa.eval.qa import registry
from motionqa.eval.qa.question import Benchmark, ClipFile
from motionqa.tests.judge_server import Served, judge_server
from motionqa.tests.small_benchmark import LetterEmbedder, ScriptedModel, WeighingScript, small_benchmark

SMALL = small_benchmark()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small benchmark by name, and no model to load."""
    monkeypatch.setitem(registry.READERS, "small", lambda data, split: SMALL)
    monkeypatch.setattr("motionqa.assistant.embedder.SentenceEmbedder", LetterEmbedder)
    monkeypatch.setattr("motionqa.assistant.llm.load_llm", lambda *_, **__: WeighingScript("walk"))


def test_one_command_predicts_scores_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    status = evaluate("small", data=tmp_path, out=out, answering=Answering(blind="majority"))
    told = capsys.readouterr().out
    assert status == 0
    assert "18 answered now" in told
    assert "exact string" in told
    assert {p.name for p in out.iterdir()} >= {
        "manifest.json", "predictions.jsonl", "scores.json", "report.html", "report.md", "report.json",
    }  # fmt: skip
    assert set(json.loads((out / "report.json").read_text())["blind"]) == {"blind: lookup"}  # not against itself


def test_each_step_can_be_run_alone_and_a_second_predict_answers_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blind = Answering(blind="lookup")
    assert evaluate("small", ("predict",), data=tmp_path, out=tmp_path / "a", answering=blind) == 0
    assert not (tmp_path / "a" / "scores.json").exists()
    assert evaluate("small", ("predict",), data=tmp_path, out=tmp_path / "a", answering=blind) == 0
    assert "0 answered now, 18 before" in capsys.readouterr().out
    assert evaluate("small", ("score",), data=tmp_path, out=tmp_path / "a", answering=blind) == 0
    assert evaluate("small", ("report",), data=tmp_path, out=tmp_path / "a", answering=blind) == 0
    assert (tmp_path / "a" / "report.md").exists()


def test_shards_are_scored_once_all_are_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blind = Answering(blind="lm")
    assert evaluate("small", data=tmp_path, out=tmp_path / "a", shard="0/2", answering=blind) == 0
    assert "9 questions are open; for later: score, report" in capsys.readouterr().out
    assert evaluate("small", data=tmp_path, out=tmp_path / "a", shard="1/2", answering=blind) == 0
    assert evaluate("small", data=tmp_path, out=tmp_path / "b", answering=blind) == 0
    assert (tmp_path / "a" / "report.html").exists()
    assert (tmp_path / "a/predictions.jsonl").read_bytes() == (tmp_path / "b/predictions.jsonl").read_bytes()


def test_two_processes_of_torchrun_share_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert evaluate("small", data=tmp_path, out=tmp_path / "a", answering=Answering(blind="majority")) == 0
    assert sorted(p.name for p in (tmp_path / "a/parts").glob("*.jsonl")) == ["0-of-2.jsonl", "1-of-2.jsonl"]
    assert (tmp_path / "a" / "report.md").exists()


def test_a_judge_is_a_step_of_its_own_and_its_verdicts_reach_the_report(tmp_path: Path) -> None:
    blind = Answering(blind="majority")
    evaluate("small", ("predict",), data=tmp_path, out=tmp_path / "a", answering=blind)
    with judge_server(lambda k, _: Served() if k else Served("?", status=500)) as (url, _):
        judging = Judging(url, "gpt-x", concurrency=1)
        status = evaluate(
            "small", ("judge", "report"), data=tmp_path, out=tmp_path / "a", answering=blind, judge=judging
        )
    assert status == 0
    assert "judge: gpt-x" in (tmp_path / "a" / "report.md").read_text()
    with pytest.raises(InputError, match=r"needs --judge\.url"):
        evaluate("small", ("judge",), data=tmp_path, out=tmp_path / "a", answering=blind)


def test_a_foreign_predictions_file_is_scored_and_its_missing_ids_counted(tmp_path: Path) -> None:
    path = tmp_path / "theirs.jsonl"
    path.write_text('{"id": "q000", "answer": "walk"}\n{"id": "q999", "answer": "x"}\n')
    with pytest.raises(InputError, match=r"q999.*17 questions"):
        evaluate("small", ("score",), data=tmp_path, out=tmp_path / "a", predictions=path)
    path.write_text('{"id": "q000", "answer": "walk"}\n')
    assert evaluate("small", ("score",), data=tmp_path, out=tmp_path / "a", predictions=path, partial=True) == 0


def test_a_limit_is_another_run_and_says_that_it_is_no_figure(tmp_path: Path) -> None:
    blind = Answering(blind="majority")
    evaluate("small", data=tmp_path, out=tmp_path / "a", limit=5, answering=blind)
    assert "only the first 5 of 18 questions: no figure of the benchmark" in (tmp_path / "a/report.md").read_text()
    with pytest.raises(InputError, match="holds another run"):
        evaluate("small", data=tmp_path, out=tmp_path / "a", answering=blind)


def test_the_assistant_answers_about_clips_and_a_missing_one_is_in_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_trc(render(squats(2)), tmp_path / "clip0.trc")

    def find(question) -> ClipFile:
        path = tmp_path / f"{question.clip}.trc"
        if not path.exists():
            raise InputError(f"there is no {question.clip}.trc")
        return ClipFile(path)

    benchmark = Benchmark("two", "test", SMALL.questions, SMALL.training, SMALL.protocols, (), find)
    monkeypatch.setitem(registry.READERS, "two", lambda data, split: benchmark)
    engine = Engine(ClipEncoder(), ScriptedModel("run"), LetterEmbedder())
    monkeypatch.setattr("motionqa.assistant.session.load_engine", lambda *_, **__: engine)
    status = evaluate("two", data=tmp_path, out=tmp_path / "a", answering=Answering(lifter="blazepose"))
    told = capsys.readouterr().out
    assert status == 0
    assert "15 x clip: there is no clip….trc" in told or "15 failed" in told
    page = (tmp_path / "a" / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert "15 questions failed and are not scored" in page


def test_bad_input_gets_one_line_and_status_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, words in (
        (["eval", "nothing", "--data", str(tmp_path), "--out", str(tmp_path / "a")], "there is no benchmark 'nothing'"),
        (["eval", "small", "--data", str(tmp_path / "no"), "--out", str(tmp_path / "a")], "is no folder"),
        (["eval", "small", "--data", str(tmp_path), "--out", str(tmp_path / "a"), "--shard", "2/2"], "0/2 and 1/2"),
        (["doctor", str(tmp_path / "no")], "is no folder"),
    ):
        monkeypatch.setattr(sys, "argv", ["motionqa", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        told = capsys.readouterr().err.strip().splitlines()
        assert caught.value.code == 2
        assert told[-1].startswith("motionqa: ")
        assert words in told[-1]


def test_options_of_the_shell_reach_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["eval", "small", "predict", "score", "--data", str(tmp_path), "--out", str(tmp_path / "a"),
                 "--blind", "majority", "--limit", "4", "--no-offline-judge"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["motionqa", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert len((tmp_path / "a/predictions.jsonl").read_text().splitlines()) == 4
    assert not (tmp_path / "a/report.md").exists()
    assert "offline judge" not in (tmp_path / "a/scores.json").read_text()


def test_the_doctor_says_what_is_wrong_and_ends_with_status_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "walk_poses.npz").write_bytes(b"PK\x03\x04 torn")
    assert doctor(tmp_path) == 1
    assert "walk_poses" in capsys.readouterr().out

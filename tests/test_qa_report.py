"""The report: every figure beside its protocol, and nothing left out in silence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionqa.assistant.skeleton_strip import as_data_uri, skeleton_strip
from motionqa.data.schema import InputError
from motionqa.data.synthetic.motions import render, squats
from motionqa.eval.qa.costs import _score_rows
from motionqa.eval.qa.judge import Judged, answer_sha256, save_judged
from motionqa.eval.qa.judge_prompt import OURS
from motionqa.eval.qa.judge_server import Verdict
from motionqa.eval.qa.offline_judge import OfflineJudge
from motionqa.eval.qa.predict import predict
from motionqa.eval.qa.predictions import MERGED, read_predictions, to_line
from motionqa.eval.qa.question import ClipFile, Prediction
from motionqa.eval.qa.steps import ScoreConfig, check_run, cut_to, report_run, score_run
from motionqa.tests.small_benchmark import FakePredictor, small_benchmark

BENCHMARK = small_benchmark()


def flat(sentences: list[str]) -> np.ndarray:
    return np.eye(len(sentences), 8)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    predict(BENCHMARK, FakePredictor(fails=("q004",)), tmp_path)
    return tmp_path


def reported(run: Path, **options: object) -> tuple[str, str, dict]:
    page, table, values = report_run(BENCHMARK, run, ScoreConfig(), **options)  # type: ignore[arg-type]
    return page.read_text(), table.read_text(), json.loads(values.read_text())


def test_figures_stand_beside_published_ones_of_the_same_protocol_only(run: Path) -> None:
    page, table, values = reported(run)
    exact = [line for line in table.splitlines() if line.startswith("| exact string |") and "Published" in line]
    assert exact == ["| exact string | Published | 0.500 |  |  | a paper |"]
    assert "| GPT judge | Other | 0.700 |" in table
    ours = next(line for line in table.splitlines() if line.startswith("| exact string | **fake**"))
    figure = next(f for f in values["table"]["figures"] if f["protocol"] == "exact string" and f["kind"] == "overall")
    assert f"| {figure['value']:.3f} |" in ours
    assert "not comparable" in page


def test_blind_baselines_and_their_paired_tests_are_always_there(run: Path) -> None:
    page, table, values = reported(run)
    assert set(values["blind"]) == {"blind: majority", "blind: lookup"} == set(values["comparisons"])
    assert "against blind: majority" in table
    assert "blind: lookup" in page
    assert 0 <= values["comparisons"]["blind: lookup"]["p_value"] <= 1


def test_what_was_left_out_is_said(run: Path) -> None:
    page, table, values = reported(run)
    assert "1 questions failed and are not scored" in table
    assert "1 questions failed and are not scored" in page
    assert values["table"]["failed"] == ["q004"]
    assert values["scores"]["exact string"].keys().isdisjoint({"q004"})


def test_the_page_stands_alone_and_shows_what_models_said_as_text(run: Path) -> None:
    nasty = "<script>alert(1)</script>"
    path = run / "foreign.jsonl"
    path.write_text("".join(to_line(Prediction(q.id, nasty)) + "\n" for q in BENCHMARK.questions))
    page, table, _ = reported(run, predictions=path)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "src=" not in page
    assert str(path) in table


def test_worst_answers_come_with_a_strip_or_the_reason_why_there_is_none(run: Path) -> None:
    def strip(file: ClipFile) -> str:
        if file.path.stem == "clip2":
            raise InputError("clip2 is broken")
        return "data:image/png;base64,AAAA"

    page, _, values = reported(run, strip=strip)
    assert page.count('<img src="data:image/png;base64,AAAA"') >= 1
    assert "no picture: clip2 is broken" in page
    assert all(w["score"] < 1 for w in values["worst"])
    assert 1 <= len(values["worst"]) <= 8


def test_bars_have_intervals_and_one_row_a_type(run: Path) -> None:
    page, _, values = reported(run)
    assert page.count("<svg") == len(values["scores"])
    types = [f for f in values["table"]["figures"] if f["kind"] == "type" and f["protocol"] == "exact string"]
    assert {f["row"] for f in types} == {"t0", "t1"}
    assert page.count("<rect") == len([f for f in values["table"]["figures"] if f["kind"] == "type"])


def test_a_judges_verdicts_join_the_table_and_its_failures_do_not_lower_it(run: Path) -> None:
    ids = [q.id for q in BENCHMARK.questions if q.id != "q004"]
    verdicts = tuple(Verdict(i, True, 5.0) if k else Verdict(i, error="no reply") for k, i in enumerate(ids))
    answers = {p.id: answer_sha256(p) for p in read_predictions(run / MERGED)}
    save_judged(Judged("gpt-x", ("gpt-x-1",), "p", OURS.sha256, verdicts, 1, answers_sha256=answers), run)
    _, table, values = reported(run)
    figure = next(f for f in values["table"]["figures"] if f["protocol"] == "judge: gpt-x" and f["kind"] == "overall")
    assert (figure["value"], figure["n"]) == (1.0, 16)
    assert "gpt-x gave no verdict on 1 answers and was not asked about 1" in table
    assert OURS.sha256[:12] in table


def test_verdicts_on_other_answers_are_refused(run: Path) -> None:
    given = read_predictions(run / MERGED)
    verdicts = tuple(Verdict(p.id, True, 5.0) for p in given if not p.error)
    answers = {p.id: answer_sha256(p) for p in given}
    save_judged(Judged("gpt-x", (), "p", OURS.sha256, verdicts, 1, answers_sha256=answers), run)
    assert score_run(BENCHMARK, run, ScoreConfig()).table.figure("judge: gpt-x").value == 1.0
    changed = [replace(p, answer="else") if p.id == "q002" else p for p in given]
    others = run / "others.jsonl"
    others.write_text("".join(to_line(p) + "\n" for p in changed))
    with pytest.raises(InputError, match=r"gpt-x judged other answers than these: 1 question \(q002\) is changed"):
        score_run(BENCHMARK, run, ScoreConfig(), others)


def test_the_offline_judge_is_named_as_not_comparable_with_its_agreement(run: Path) -> None:
    config = ScoreConfig(offline=OfflineJudge(flat))
    _, table, values = report_run(BENCHMARK, run, config)
    assert "comparable with nobody else's" in table.read_text()
    found = json.loads(values.read_text())
    assert found["offline_judge_agreement"]["n"] >= 150
    assert "offline judge" in found["scores"]


def test_a_partial_run_is_refused_unless_asked_for_and_then_labelled(tmp_path: Path) -> None:
    from motionqa.eval.qa.shard import Shard

    predict(BENCHMARK, FakePredictor(), tmp_path, Shard(0, 2))
    with pytest.raises(InputError, match="9 questions"):
        score_run(BENCHMARK, tmp_path, ScoreConfig())
    scored = score_run(BENCHMARK, tmp_path, ScoreConfig(partial=True))
    assert len(scored.table.missing) == 9
    _, table, _ = report_run(BENCHMARK, tmp_path, ScoreConfig(partial=True))
    assert "9 questions have no prediction (partial run)" in table.read_text()


def test_scoring_a_folder_of_other_questions_is_refused_with_both(run: Path) -> None:
    with pytest.raises(InputError, match=r"answers to 18 questions of small test.*about 4 of small test"):
        check_run(run, cut_to(BENCHMARK, 4))
    with pytest.raises(InputError, match=r"answers to 18 .*about 18 of small val"):
        check_run(run, replace(BENCHMARK, split="val"))
    assert "no figure of the benchmark" in cut_to(BENCHMARK, 4).notes[-1]


def test_the_cost_of_a_run_is_counted_for_a_thousand_questions(tmp_path: Path) -> None:
    rows = {r.id: r for r in _score_rows(BENCHMARK, tmp_path / "run")}
    assert all(r.value and r.value > 0 and r.command and r.split for r in rows.values())
    line = len(to_line(Prediction("q000", "walk")))
    assert line * 0.5 < (rows["a question: its line"].value or 0) < line * 8


def test_the_strip_shows_the_figure_at_different_moments() -> None:
    from motionqa.data.schema import ClipEncoding
    from motionqa.encoders.kinematics.analyse import analyse

    pose = render(squats(1))
    encoding = ClipEncoding("", "squat", "motion", 3.0, (), 0, None, pose, analyse(pose))
    strip = skeleton_strip(encoding, moments=5, side=80)
    assert strip.shape == (80, 400, 3)
    panels = [strip[:60, 80 * k : 80 * (k + 1)].astype(int) for k in range(5)]
    assert all((p != p[0, 0]).any() for p in panels)
    assert abs(panels[0] - panels[2]).sum() > 0
    assert as_data_uri(strip).startswith("data:image/png;base64,iVBOR")

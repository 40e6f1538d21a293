"""The command line: answers on standard output, problems on standard error, and a status that says which."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from motionqa.assistant.examples import write_trc
from motionqa.cli.main import streamed
from motionqa.data.schema import Answer
from motionqa.data.synthetic.motions import render, squats


@pytest.fixture(scope="module")
def squat_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("motion") / "squats.trc"
    write_trc(render(squats(3)), path)
    return path


def motionqa(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "motionqa.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def test_ask_answers_in_words_and_shows_its_evidence(squat_file: Path) -> None:
    done = motionqa("ask", squat_file, "How many squats does the person do?")
    assert done.returncode == 0
    assert "3" in done.stdout.splitlines()[0]
    assert "The person squats 3 times" in done.stdout


def test_an_answer_that_gave_way_to_a_measurement_is_printed_anew(capsys: pytest.CaptureFixture[str]) -> None:
    texts = ("Both", "Both hands.", "The right hand is above the head.")
    last = streamed(Answer(text, (), {}, "no") for text in texts)
    assert last.text == texts[-1]
    assert capsys.readouterr().out == "Both hands.\n-> The right hand is above the head. (as measured)\n"
    streamed([Answer("Two", (), {}, "no"), Answer("Two squats.", (), {}, "end")])
    assert capsys.readouterr().out == "Two squats.\n"


def test_ask_as_json_carries_times_joints_and_numbers(squat_file: Path) -> None:
    done = motionqa("ask", squat_file, "How many squats?", "--json")
    answer = json.loads(done.stdout)
    fact = next(e["fact"] for e in answer["evidence"] if e["fact"]["value"] == 3)
    assert "left_knee" in fact["joints"]
    assert 0 <= fact["start_s"] < fact["end_s"]
    assert answer["finished"] == "end"


def test_describe_and_info_tell_what_was_measured_and_detected(squat_file: Path) -> None:
    described = motionqa("describe", squat_file).stdout
    assert "\nThe person squats 3 times" in described
    assert described.startswith(" ~ ")  # what was recognised comes first
    told = motionqa("info", squat_file).stdout
    assert "trc" in told
    assert "file header" in told
    slowed = motionqa("info", squat_file, "--motion.fps", "15").stdout
    assert "given by the user" in slowed


def test_bad_input_gets_one_line_and_status_two(tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_text("Dear Sir")
    for arguments in (("describe", tmp_path / "letter.mp4"), ("info", tmp_path / "absent.bvh")):
        done = motionqa(*arguments)
        assert done.returncode == 2
        assert done.stderr.strip().splitlines()[-1].startswith("motionqa: ")
        assert "Traceback" not in done.stderr

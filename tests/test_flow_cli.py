"""`motionqa flow`: a painted video and sentences, or one line that says what is missing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import av
import pytest
import torch

from motionqa.assistant.examples import write_trc
from motionqa.cli import flow as command
from motionqa.data.schema import InputError
from motionqa.data.synthetic.motions import render, squats
from motionqa.encoders.flow import network as flow_network
from motionqa.encoders.flow.hmore import FlowConfig, HMoRe
from motionqa.encoders.model_dir import save_model_dir
from motionqa.tests.flow_clips import Says


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    tiny = FlowConfig(updates=1, trend_width=32, attention_blocks=1, trend_layers=1)
    return save_model_dir(tmp_path_factory.mktemp("flow") / "m", HMoRe(tiny))


def motionqa(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "motionqa.cli.main", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=240, check=False)


def test_flow_writes_the_painted_video(squat_video: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "flow.mp4"
    done = motionqa(
        "flow", squat_video, "--out", out, "--view", "local", "--weights", weights, "--pairs-per-s", "1",
        "--lifter", "blazepose",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(out)
    assert "Flow by H-MoRe in" in done.stdout
    with av.open(str(out)) as painted, av.open(str(squat_video)) as source:
        assert sum(1 for _ in painted.decode(video=0)) == sum(1 for _ in source.decode(video=0))


def test_what_the_flow_says_is_printed_with_its_times(
    squat_video: Path,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(flow_network, "load_flow", lambda *_: Says(-12.0, 0.0))
    assert command.flow(squat_video, out=tmp_path / "a.mp4", weights=str(weights), lifter="blazepose") == 0
    said = capsys.readouterr().out
    assert re.search(r"  0\.0-9\.\d s  The person moves to the left of the picture at \d\.\d body heights/s", said)


def test_missing_weights_and_impossible_wishes_get_one_line(squat_video: Path, weights: Path, tmp_path: Path) -> None:
    done = motionqa("flow", squat_video, "--weights", tmp_path / "nothing")
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("motionqa: There is no flow network")
    assert "Traceback" not in done.stderr
    with pytest.raises(InputError, match=r"an mp4 file; got 'a\.gif'"):
        command.flow(squat_video, out=Path("a.gif"), weights=str(weights))
    with pytest.raises(InputError, match="above 0, got 0"):
        command.flow(squat_video, weights=str(weights), pairs_per_s=0)
    with pytest.raises(InputError, match="There is no person 7"):
        command.flow(squat_video, weights=str(weights), person=7, lifter="blazepose")


def test_a_motion_file_has_no_flow(weights: Path, tmp_path: Path) -> None:
    write_trc(render(squats(1)), tmp_path / "squats.trc")
    with pytest.raises(InputError, match="is a motion file: flow is measured in pictures"):
        command.flow(tmp_path / "squats.trc", weights=str(weights))


def test_the_released_network_is_used_where_no_folder_is_given(
    squat_video: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("motionqa.assistant.released.WEIGHTS", tmp_path)
    with pytest.raises(InputError, match="No flow weights are released yet"):
        command.flow(squat_video, out=tmp_path / "flow.mp4")
    assert not (tmp_path / "flow.mp4").exists()

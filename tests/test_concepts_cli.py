"""`motionqa concepts`: a timeline, pages, an index and what is found in it, or one line that says what is missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from motionqa.assistant import released
from motionqa.assistant.examples import write_trc
from motionqa.cli import concepts as command
from motionqa.cli.concepts import Reading
from motionqa.data.schema import InputError
from motionqa.data.synthetic.motions import arm_raise, render, squats
from motionqa.tests.concept_model import write_weights


@pytest.fixture(autouse=True)
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(released, "WEIGHTS", write_weights(tmp_path / "weights"))
    monkeypatch.setattr(released, "reader", lambda: None)
    return tmp_path / "weights" / "concepts"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    (folder / "below").mkdir(parents=True)
    for name, motion in (("squats", squats(2)), ("below/more squats", squats(3)), ("arm", arm_raise("right"))):
        write_trc(render(motion), folder / f"{name}.trc")
    (folder / "broken.bvh").write_text("HIERARCHY nonsense")
    return folder / "squats.trc"


def reading(weights: Path) -> Reading:
    return Reading(weights=str(weights), lifter="blazepose")


def test_the_timeline_is_printed_and_is_the_same_as_json(
    clip: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.show(clip, reading=reading(weights)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert command.show(clip, json_output=True, reading=reading(weights)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["clip"] == "squats.trc"
    assert len(found["weights_sha256"]) == 64
    first = found["segments"][0]
    assert re.match(rf" +0\.00-{first['end_s']:.2f} s  \d\d%  concept +{first['concept']}: ", lines[0])
    assert all(0.5 <= s["sureness"] <= 1 for s in found["segments"])
    assert found["segments"][-1]["end_s"] == pytest.approx(4.0, abs=0.3)


def test_pages_are_written_where_they_are_asked_for(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.pages(tmp_path / "pages", str(weights)) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "pages" / "index.html")
    assert (tmp_path / "pages" / "index.html").exists()


def test_a_folder_is_indexed_once_and_searched_by_moment_and_by_clip(
    clip: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, how = tmp_path / "index", reading(weights)
    assert command.index(clip.parent, out=out, reading=how) == 1
    said = capsys.readouterr().out
    assert "3 added, 0 kept, 0 removed, 1 failed" in said
    assert "broken.bvh" in said
    assert command.index(clip.parent, out=out, reading=how) == 1
    assert "0 added, 3 kept" in capsys.readouterr().out
    assert command.like(clip, at=1.0, index=out, k=2, json_output=True, reading=how) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found) >= 2
    assert {Path(hit["path"]).name for hit in found[-2:]} <= {"more squats.trc", "arm.trc"}
    assert command.search(clip, index=out, json_output=True, reading=how) == 0
    clips = json.loads(capsys.readouterr().out)
    assert {Path(hit["path"]).name for hit in clips} == {"more squats.trc", "arm.trc"}  # not the clip itself
    assert clips[0]["similarity"] >= clips[1]["similarity"]
    assert command.search(clip, index=out, modality="video", reading=how) == 0
    assert "Nothing like it is there" in capsys.readouterr().out


def test_without_an_index_moments_are_looked_for_in_the_clip(
    clip: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = clip.parent / "below" / "more squats.trc"
    assert command.like(longer, at=1.0, reading=reading(weights)) == 0
    assert all(line.endswith("more squats.trc") for line in capsys.readouterr().out.splitlines())


def test_what_is_missing_gets_one_line(clip: Path, weights: Path, tmp_path: Path) -> None:
    how = reading(weights)
    with pytest.raises(InputError, match="There are no concepts 'nothing'"):
        command.show(clip, reading=Reading(weights="nothing"))
    with pytest.raises(InputError, match="outside the clip"):
        command.like(clip, at=99.0, reading=how)
    with pytest.raises(InputError, match="k must be at least 1, got 0"):
        command.like(clip, at=1.0, k=0, reading=how)
    with pytest.raises(InputError, match="there is no concept index"):
        command.search(clip, index=tmp_path / "none", reading=how)


def test_the_command_has_its_steps_and_says_what_is_missing(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "motionqa.cli.main", "concepts"]
    told = subprocess.run([*line, "--help"], capture_output=True, text=True, check=True).stdout
    assert all(step in told for step in ("show", "pages", "index", "like", "search"))
    done = subprocess.run(
        [*line, "show", str(tmp_path / "a.bvh"), "--weights", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("motionqa: There are no concepts")
    assert "Traceback" not in done.stderr

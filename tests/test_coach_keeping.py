"""Reference, history, report, annotated video and the command."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from motionqa.assistant.coaching.annotated_video import draw_faults, faults_at
from motionqa.assistant.coaching.coach import Critique, coach
from motionqa.assistant.coaching.history import History
from motionqa.assistant.coaching.report import report_html
from motionqa.cli.coach import Keeping
from motionqa.cli.coach import coach as command
from motionqa.data.schema import InputError
from motionqa.data.synthetic import exercises as made
from motionqa.data.video import iter_frames, read_clip
from motionqa.tests.coach_clips import encoded


def shallow(day: int = 1, knee_deg: float = 70.0) -> Critique:
    return coach(encoded(made.squat_set((1, 1), knee_deg=knee_deg), f"day{day}.bvh", sha=str(day) * 64), "squat")


def test_a_slower_reference_is_aligned_and_told_in_degrees_and_seconds() -> None:
    own = encoded(made.squat_set((1, 1), knee_deg=75))
    reference = encoded(made.squat_set((1, 1, 1), out_s=1.8), "reference.bvh")
    comparison = coach(own, "squat", reference=reference).comparison
    assert comparison is not None
    knee = next(d for d in comparison.differences if d.quantity == "knee_flexion" and d.phase == "turn")
    assert knee.degrees == pytest.approx(75 - 105, abs=4)
    assert comparison.out_s == pytest.approx(-0.8, abs=0.25)
    assert "Knee flexion is" in comparison.text
    assert "shorter" in comparison.text
    bottom = [own.pose3d.times_s[a] for a, _ in comparison.moments]
    assert list(bottom) == sorted(bottom)


def test_a_clip_against_itself_differs_in_nothing() -> None:
    clip = encoded(made.squat_set((1, 1)))
    comparison = coach(clip, reference=clip).comparison
    assert comparison is not None
    assert max(abs(d.degrees) for d in comparison.differences) < 0.5
    assert "no difference" in comparison.text


def test_a_reference_of_another_exercise_is_a_stated_limit_and_the_critique_stands() -> None:
    critique = coach(encoded(made.squat_set((1, 1))), reference=encoded(made.curl_set((1, 1)), "curls.bvh"))
    assert critique.comparison is None
    assert any("curls.bvh" in limit and "biceps curl" in limit for limit in critique.assessment.limits)
    assert critique.assessment.table


def test_history_keeps_lists_exports_and_deletes(tmp_path: Path) -> None:
    history = History(tmp_path / "h.sqlite")
    for day, knee in ((1, 70.0), (2, 85.0), (3, 104.0)):
        history.add("Ann", shallow(day, knee), datetime(2026, 1, day, tzinfo=UTC))
    history.add("Bob", shallow(1))
    past = history.of("Ann", "squat")
    depth = [m.value for a in past for m in a.measured if m.name == "depth"]
    assert [a.taken_at[:10] for a in past] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert depth == sorted(depth)
    assert "depth" in past[0].faults
    assert "depth" not in past[2].faults
    exported = json.loads(history.export("Ann", tmp_path / "ann.json").read_text())
    assert len(exported) == 3
    assert history.delete("Ann") == 3
    assert history.people() == ("Bob",)
    assert b"Ann" not in (tmp_path / "h.sqlite").read_bytes()


def test_the_same_clip_twice_a_day_is_kept_once(tmp_path: Path) -> None:
    history = History(tmp_path / "h.sqlite")
    for hour in (8, 9):
        history.add("Ann", shallow(1), datetime(2026, 1, 1, hour, tzinfo=UTC))
    assert len(history.of("Ann")) == 1


def test_a_file_that_is_no_history_is_refused(tmp_path: Path) -> None:
    (tmp_path / "h.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(InputError, match="history"):
        History(tmp_path / "h.sqlite").people()


def test_the_report_holds_everything_and_fetches_nothing(tmp_path: Path) -> None:
    history = History(tmp_path / "h.sqlite")
    for day, knee in ((1, 70.0), (2, 85.0)):
        history.add("Ann", shallow(day, knee), datetime(2026, 1, day, tzinfo=UTC))
    reference = encoded(made.squat_set((1, 1)), "good <b>.bvh")
    critique = coach(encoded(made.squat_set((1, 1), knee_deg=75)), "squat", reference=reference)
    page = report_html(critique, history.of("Ann", "squat"))
    assert critique.corrections[0].finding.text in page
    assert "<b>Drill:</b>" in page
    assert page.count("not medical advice") == 1
    assert "good &lt;b&gt;.bvh" in page
    assert "Over time" in page
    assert page.count("<svg") >= 4
    assert not re.search(r"(src|href)=\"(?!data:)|@import|<script", page)


def test_fault_joints_are_red_at_fault_moments_only(tmp_path: Path) -> None:
    found = coach(encoded(made.curl_set((1, 1), lean_back_deg=25))).assessment
    worst = found.of_kind("fault")[0].worst
    assert worst is not None
    assert faults_at(found, worst.at_s)
    assert not faults_at(found, 0.0)
    video = draw_faults(Path("set.bvh"), found, tmp_path / "out.mp4")
    clip = read_clip(video)
    frames = list(iter_frames(clip))
    red = [int(((f[..., 0] > 200) & (f[..., 1] < 90) & (f[..., 2] < 90)).sum()) for f in frames]
    assert red[int(np.abs(clip.times_s - worst.at_s).argmin())] > 30
    assert red[0] == 0


def test_the_command_writes_a_critique_and_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from motionqa.data.synthetic.body import render
    from motionqa.data.synthetic.drawn_figure import figure_frames
    from motionqa.data.synthetic.motions import placed
    from motionqa.data.video_writer import write_video

    turned = placed(made.squat_set((1,), out_s=0.6, back_s=0.6, knee_deg=70, fps=15.0), np.zeros(3), 90.0)
    clip = write_video(figure_frames(render(turned)), tmp_path / "squat.mp4")
    keeping = Keeping(person_name="Ann", history=tmp_path / "h.sqlite")
    assert command(clip, "squat", report=tmp_path / "out.html", keeping=keeping) == 0
    said = capsys.readouterr().out
    assert "Squat" in said
    assert "stays shallow" in said
    assert "data:image/jpeg" in (tmp_path / "out.html").read_text()
    assert History(tmp_path / "h.sqlite").people() == ("Ann",)


def test_the_command_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Give a clip"):
        command(None)
    with pytest.raises(InputError, match=r"nowhere\.mp4"):
        command(tmp_path / "nowhere.mp4")

"""The coach on the page: judged, corrected, marked in the clip, kept, and asked about in the chat."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from motionqa.assistant.coach_panel import CoachPanel, exercise_choices
from motionqa.assistant.coaching.annotated_video import mark_faults
from motionqa.assistant.coaching.coach import DISCLAIMER, coach
from motionqa.assistant.coaching.history import History
from motionqa.assistant.coaching.on_page import critique_html
from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.examples import write_trc
from motionqa.assistant.llm import GenerationConfig
from motionqa.assistant.overlay import draw_clip
from motionqa.assistant.panels import seek
from motionqa.assistant.session import ChatSession, Engine
from motionqa.assistant.tab import Visit
from motionqa.assistant.ui import launch
from motionqa.assistant.uploads import Uploads
from motionqa.data.synthetic import exercises as made
from motionqa.data.synthetic.body import BodyMotion, render
from motionqa.data.video import iter_frames, read_clip
from motionqa.encoders.clip_encoder import ClipEncoder
from motionqa.tests.browser import opened
from motionqa.tests.coach_clips import encoded
from motionqa.tests.fake_models import ScriptedModel

SHALLOW = made.squat_set((1, 1, 1), knee_deg=70)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(ClipEncoder(), ScriptedModel("Sit between your heels"), SentenceEmbedder(), GenerationConfig(40))


@pytest.fixture
def panel(engine: Engine, tmp_path: Path) -> CoachPanel:
    return CoachPanel(engine, Uploads(), History(tmp_path / "h.sqlite"))


@pytest.fixture
def visit(engine: Engine) -> Iterator[Visit]:
    visit = Visit(ChatSession(engine), Uploads())
    visit.chat.encoding = encoded(SHALLOW)
    yield visit
    visit.close()


def motion_file(folder: Path, motion: BodyMotion, name: str) -> Path:
    write_trc(render(motion), folder / name)
    return folder / name


# -------------------------------------------------------------------------------------------- handlers


def test_a_critique_fills_the_panes_and_goes_into_the_chat(panel: CoachPanel, visit: Visit) -> None:
    exercises, _views, note, page, report, kept, chat = panel.criticise(visit, "", "", None, [])
    assert "as recognised: squat (" in exercises["choices"][0][0]
    assert exercises["value"] == ""
    assert "problem" not in note
    assert "stays shallow" in page
    assert page.count(DISCLAIMER) == 1
    assert "not medical advice" in Path(report["value"]).read_text()
    assert kept["visible"]
    assert "Depth" in chat[-1]["content"]
    assert "#t=" in chat[-1]["content"]


def test_a_follow_up_question_is_answered_from_the_findings(panel: CoachPanel, visit: Visit, engine: Engine) -> None:
    panel.criticise(visit, "", "", None, [])
    assert isinstance(engine.llm, ScriptedModel)
    for question, expected in (
        ("Why does the depth matter?", "it matters because"),
        ("What can I do to correct my depth?", "Sit between your heels"),
    ):
        *_, answer = visit.chat.ask(question)
        shown = " ".join(t.text for t in engine.llm.shown[-1].turns)
        assert expected in shown
        assert any(e.fact.topic == "coaching" for e in answer.evidence)


def test_correcting_the_exercise_replaces_what_the_chat_knew(panel: CoachPanel, visit: Visit) -> None:
    panel.criticise(visit, "", "", None, [])
    page = panel.criticise(visit, "deadlift", "", None, [])[3]
    assert "Hip hinge" in page or "Deadlift" in page
    texts = [f.text for f in visit.chat.learned]
    assert texts
    assert not any("squat" in t.lower() for t in texts)


def test_without_a_clip_or_for_another_reference_the_page_says_why(
    panel: CoachPanel, visit: Visit, tmp_path: Path
) -> None:
    curls = motion_file(tmp_path, made.curl_set((1, 1)), "curls.trc")
    note, page = panel.criticise(visit, "", "", str(curls), [])[2:4]
    assert "curls.trc" in note
    assert "biceps curl" in note
    assert "stays shallow" in page
    (tmp_path / "junk.bvh").write_bytes(bytes(range(256)) * 9)
    assert "junk.bvh" in panel.criticise(visit, "", "", str(tmp_path / "junk.bvh"), [])[2]
    visit.chat.encoding = None
    assert "no clip yet" in panel.criticise(visit, "", "", None, [])[2]
    assert (
        "closed" in panel.criticise(None, "", "", None, [])[2]
        or "no clip"
        in panel.criticise(
            None,
            "",
            "",
            None,
            [],
        )[2]
    )


def test_a_reference_is_read_once_and_laid_beside_the_clip(
    panel: CoachPanel, visit: Visit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    better = motion_file(tmp_path, made.squat_set((1, 1)), "better.trc")
    page = panel.criticise(visit, "", "", str(better), [])[3]
    assert "Against better.trc" in page
    assert "less" in page
    monkeypatch.setattr(ClipEncoder, "encode", lambda *_: pytest.fail("read again"))
    assert "Against better.trc" in panel.criticise(visit, "squat", "", str(better), [])[3]
    assert "Against" not in panel.criticise(visit, "squat", "", None, [])[3]


def test_every_finding_and_repetition_leads_to_its_moment() -> None:
    critique = coach(encoded(SHALLOW))
    page = critique_html(critique, lambda a, b: seek(a, b, 0.0))
    worst = critique.corrections[0].finding.worst
    assert worst is not None
    assert seek(worst.at_s - 0.6, worst.at_s + 0.6, 0.0) in page
    for row in critique.assessment.table:
        assert page.count(seek(row.start_s, row.end_s, 0.0)) >= 2  # timeline and table
    for finding in critique.assessment.findings:
        assert seek(finding.start_s, finding.end_s, 0.0) in page


def test_names_of_files_are_no_markup() -> None:
    own, other = encoded(SHALLOW), encoded(made.squat_set((1, 1)), "<img src=x onerror=alert(1)>.bvh")
    page = critique_html(coach(own, reference=other), lambda a, b: seek(a, b, 0.0))
    assert "<img" not in page


def test_assessments_are_kept_shown_exported_and_deleted(panel: CoachPanel, visit: Visit) -> None:
    assert "no critique yet" in panel.save(visit, "Ann")[0]
    panel.criticise(visit, "", "", None, [])
    assert "name is needed" in panel.save(visit, " ")[0]
    note, _, export, report = panel.save(visit, "Ann")
    assert "1 assessment kept" in note
    assert json.loads(Path(export["value"]).read_text())[0]["person"] == "Ann"
    assert Path(report["value"]).exists()
    visit.chat.encoding = encoded(made.squat_set((1, 1), knee_deg=85), sha="1" * 64)
    panel.criticise(visit, "", "", None, [])
    note, plots, _, report = panel.save(visit, "Ann")
    assert "2 assessments" in note
    assert "<svg" in plots
    assert "Over time" in Path(report["value"]).read_text()
    assert "Nothing is kept" in panel.show(visit, "Bob")[0]
    assert "2 assessments" in panel.delete("Ann")[0]
    assert "Nothing is kept" in panel.show(visit, "Ann")[0]


def test_faults_are_marked_on_the_drawn_clip_at_their_moments(visit: Visit, tmp_path: Path) -> None:
    encoding = visit.chat.encoding
    assert encoding is not None
    found = coach(encoding).assessment
    drawn = draw_clip(tmp_path / "set.bvh", encoding, tmp_path / "drawn.mp4")
    marked = mark_faults(drawn, found, tmp_path / "marked.mp4")
    clip = read_clip(marked)
    frames = np.stack(list(iter_frames(clip))).astype(int)
    red = ((frames[..., 0] > 190) & (frames[..., 1] < 90) & (frames[..., 2] < 90)).sum(axis=(1, 2))
    worst = found.of_kind("fault")[0].worst
    assert worst is not None
    assert red[int(np.abs(clip.times_s - worst.at_s).argmin())] > 30
    assert red[0] < 10
    assert len(frames) == len(list(iter_frames(read_clip(drawn))))


def test_marks_are_drawn_on_the_clip_and_only_where_there_are_faults(panel: CoachPanel, visit: Visit) -> None:
    panel.criticise(visit, "", "", None, [])
    encoding = visit.chat.encoding
    assert encoding is not None
    visit.drawn = draw_clip(visit.folder / "set.bvh", encoding, visit.folder / "drawn.mp4")
    assert Path(panel.mark(visit)["value"]).exists()
    assert panel.illustrate(visit) == gr.skip()  # no pictures of a motion file
    visit.chat.encoding = encoded(made.squat_set((1, 1)))
    panel.criticise(visit, "", "", None, [])
    assert panel.mark(visit)["value"] == str(visit.drawn)  # nothing to mark


def test_the_list_of_exercises_holds_them_all() -> None:
    names = {value for _, value in exercise_choices()}
    assert {"", "squat", "push_up", "walking"} <= names


# --------------------------------------------------------------------------------------------- browser


@pytest.fixture
def tab(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTIONQA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    with opened(launch(engine, port=None, block=False), timeout_s=120) as tab:
        yield tab


def criticised(tab: Any, clip: Path) -> None:
    tab.set_input_files("#upload input[type=file]", str(clip))
    tab.wait_for_selector("#clip video")
    tab.get_by_role("tab", name="Coach").click()
    tab.locator("#coach-button").click()
    tab.wait_for_selector("#coach .coach")


@pytest.mark.browser
def test_a_coach_finds_shows_keeps_and_discusses_a_fault(tab: Any, tmp_path: Path) -> None:
    criticised(tab, motion_file(tmp_path, SHALLOW, "squats.trc"))
    before = tab.evaluate("document.querySelector('#clip video').currentSrc")
    tab.wait_for_function(f"document.querySelector('#clip video').currentSrc !== '{before}'")
    assert "stays shallow" in tab.inner_text("#coach")
    assert tab.inner_text("body").count("not medical advice") == 1
    # A finding, and a repetition of the timeline, move the clip to their moment.
    for place in ("#coach ol.corrections a", "#coach .timeline a"):
        link = tab.locator(place).last
        start = float(link.get_attribute("href").split("#t=")[1].split(",")[0])
        link.click(force=True)
        tab.wait_for_function(f"Math.abs(document.querySelector('#clip video').currentTime - {start}) < 1.5")
    with tab.expect_download() as download:
        tab.locator("#coach-report").click()
    assert "Squat" in Path(download.value.path()).read_text()
    # The conversation goes on from the critique.
    tab.locator("#question textarea").fill("What can I do to correct my depth?")
    tab.locator("#question textarea").press("Enter")
    tab.wait_for_selector("#chat :text('Sit between your heels')")
    # Another exercise is judged when it is named.
    tab.locator("#coach-exercise input").click()
    tab.get_by_role("option", name="Lunge").click()
    tab.wait_for_function("document.querySelector('#coach').innerText.includes('Lunge')")
    tab.get_by_text("Over time").click()
    tab.locator("#coach-person input, #coach-person textarea").fill("Ann")
    tab.locator("#coach-save").click()
    tab.wait_for_selector("#coach-kept-note :text('1 assessment')")
    tab.locator("#coach-delete").click()
    tab.wait_for_selector("#coach-kept-note :text('deleted')")


@pytest.mark.browser
def test_the_coach_fits_a_phone(tab: Any, tmp_path: Path) -> None:
    tab.set_viewport_size({"width": 380, "height": 800})
    criticised(tab, motion_file(tmp_path, SHALLOW, "squats.trc"))
    time.sleep(0.3)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 381

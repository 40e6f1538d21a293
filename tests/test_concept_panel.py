"""Concepts in the chat: found on demand, a timeline to click, cards, like moments here and in an indexed folder."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from motionqa.assistant import released
from motionqa.assistant.concept_index import motion_clip
from motionqa.assistant.concept_panel import ConceptPanel, concepts_offered, fresh
from motionqa.assistant.concept_timeline import timeline_html
from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.examples import write_trc
from motionqa.assistant.llm import GenerationConfig
from motionqa.assistant.session import ChatSession, Engine
from motionqa.assistant.tab import Visit
from motionqa.assistant.ui import launch
from motionqa.assistant.uploads import Uploads
from motionqa.data.cache import EncodingCache
from motionqa.data.synthetic.motions import arm_raise, concatenate, render, squats
from motionqa.encoders.clip_encoder import ClipEncoder
from motionqa.encoders.concepts.index import ConceptIndex
from motionqa.encoders.concepts.moments import projection_of
from motionqa.encoders.concepts.of_clip import Concepts, load_concepts
from motionqa.tests.browser import opened
from motionqa.tests.concept_model import encoded, write_weights
from motionqa.tests.fake_models import ScriptedModel

MOVEMENT = concatenate(squats(2), arm_raise("right"), squats(2))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Small networks in the place of the released ones."""
    root = write_weights(tmp_path_factory.mktemp("weights"))
    patch = pytest.MonkeyPatch()
    patch.setattr(released, "WEIGHTS", root)
    yield root
    patch.undo()


@pytest.fixture
def visit(weights: Path) -> Iterator[Visit]:
    visit = Visit(ChatSession(Engine(ClipEncoder(), ScriptedModel(), SentenceEmbedder())), Uploads())
    visit.chat.encoding = encoded(render(MOVEMENT))
    assert weights
    yield visit
    visit.close()


@pytest.fixture
def panel() -> ConceptPanel:
    return ConceptPanel(ClipEncoder())


def loaded() -> Concepts:
    return load_concepts(released.concepts())


def picked(panel: ConceptPanel, visit: Visit, **chosen: Any) -> tuple[Any, Any]:
    return panel.pick(visit, gr.EventData(None, chosen))


def segments(line: str) -> list[dict[str, str]]:
    """What each segment of the bar says of itself."""
    bar = line.partition("<details>")[0]
    return [dict(re.findall(r'([\w-]+)="([^"]*)"', a)) for a in re.findall(r"<a [^>]*>", bar)]


def test_the_timeline_seeks_and_says_when_what_and_how_surely(visit: Visit, panel: ConceptPanel) -> None:
    note, line, listed, card, page_map = panel.show(visit)
    found = segments(line)
    assert visit.concepts is not None
    assert len(found) == len(visit.concepts.segments)
    assert f"{len(found)} segments" in note
    first, segment = found[0], visit.concepts.segments[0]
    assert first["href"] == f"#t={segment.start_s:.2f},{segment.end_s:.2f}"
    assert first["data-concept"] == str(segment.code)
    assert re.search(r"0\.0–\d\.\d s, Concept \d+: .*, \d\d% sure", first["aria-label"])
    assert first["aria-label"] == first["title"]
    assert line.count("% sure") == 3 * len(found)  # hovered, read out, and in the list
    assert listed["choices"][0][1] == segment.code
    assert len(listed["choices"]) == len(loaded().book.used)
    assert card == ""
    assert "concept-map" in page_map


def test_concepts_are_found_once_and_forgotten_with_the_clip(
    visit: Visit, panel: ConceptPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.show(visit)
    monkeypatch.setattr("motionqa.assistant.concept_panel.find_concepts", lambda *_: pytest.fail("found again"))
    panel.show(visit)
    visit.new_clip()
    assert visit.concepts is None


def test_a_segment_shows_its_card_where_it_is_and_moments_like_it(visit: Visit, panel: ConceptPanel) -> None:
    panel.show(visit)
    assert visit.concepts is not None
    segment = visit.concepts.segments[0]
    card, chosen = picked(panel, visit, code=segment.code, at=(segment.start_s + segment.end_s) / 2)
    assert chosen == segment.code
    assert f"Concept {segment.code}" in card
    assert f'href="#t={segment.start_s:.2f},{segment.end_s:.2f}"' in card
    assert "Moments like the one at" in card
    assert "similarity" in card
    assert "In the folder" not in card
    other = next(c.code for c in loaded().book.used if c.code not in {s.code for s in visit.concepts.segments})
    card, _ = picked(panel, visit, code=other)
    assert "This clip does not have it" in card


@pytest.mark.parametrize("chosen", [{}, {"code": "1"}, {"code": 99999}, {"code": -1}, {"code": None, "at": 1.0}])
def test_what_no_segment_sends_changes_nothing(visit: Visit, panel: ConceptPanel, chosen: dict[str, Any]) -> None:
    panel.show(visit)
    assert picked(panel, visit, **chosen)[0] == gr.skip()


def test_a_time_outside_the_clip_gets_a_reason(visit: Visit, panel: ConceptPanel) -> None:
    panel.show(visit)
    assert visit.concepts is not None
    card, _ = picked(panel, visit, code=visit.concepts.segments[0].code, at=99.0)
    assert "99 s is outside the clip" in card


def test_moments_of_an_indexed_folder_are_found_with_a_picture_where_the_clip_is_kept(
    visit: Visit, tmp_path: Path
) -> None:
    concepts = loaded()
    encoder = ClipEncoder(cache=EncodingCache(tmp_path / "kept"))
    (tmp_path / "clips").mkdir()
    write_trc(render(MOVEMENT), tmp_path / "clips" / "same <b>.trc")
    other = encoder.encode(tmp_path / "clips" / "same <b>.trc")
    index = ConceptIndex(tmp_path / "index", concepts.weights_sha256, projection_of(concepts.model), create=True)
    index.add(motion_clip(other, concepts), motion_clip(encoded(render(squats(1)), "own"), concepts))
    panel = ConceptPanel(encoder, tmp_path / "index")
    panel.show(visit)
    assert visit.concepts is not None
    code = visit.concepts.segments[0].code
    card, _ = picked(panel, visit, code=code, at=1.0)
    found = card.split("In the folder")[1]
    assert "same &lt;b&gt;.trc" in found
    assert "<b>.trc" not in found
    assert "data:image/png" in found
    assert "own" not in re.sub(r"base64,[^\"]*", "", found)  # the clip itself is no other moment
    assert (
        "data:image/png"
        not in picked(ConceptPanel(ClipEncoder(), tmp_path / "index"), visit, code=code, at=1.0)[0].split(
            "In the folder"
        )[1]
    )
    shutil.rmtree(tmp_path / "index")
    assert "there is no concept index" in picked(panel, visit, code=code, at=1.0)[0]


def test_what_has_no_concepts_gets_a_reason(visit: Visit, panel: ConceptPanel) -> None:
    assert "no clip yet" in panel.show(None)[0]
    encoding = visit.chat.encoding
    assert encoding is not None
    unseen = replace(encoding.pose3d, confidence=0 * encoding.pose3d.confidence)
    visit.chat.encoding = replace(encoding, pose3d=unseen)
    assert "nobody is seen" in panel.show(visit)[0]
    assert visit.concepts is None
    assert panel.card(visit, 1) == gr.skip()


@pytest.mark.usefixtures("weights")
def test_the_box_is_hidden_where_no_concepts_are_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert concepts_offered()
    assert fresh()[0]["visible"] is True
    monkeypatch.setattr(released, "WEIGHTS", tmp_path)
    assert not concepts_offered()
    assert fresh()[0]["visible"] is False


def test_a_person_who_is_never_plainly_seen_has_an_empty_timeline(visit: Visit, panel: ConceptPanel) -> None:
    panel.show(visit)
    assert visit.concepts is not None
    assert "hardly ever seen" in timeline_html(replace(visit.concepts, segments=()))


@pytest.mark.browser
@pytest.mark.usefixtures("weights")
def test_a_segment_a_neighbour_and_a_point_of_the_map_choose_a_concept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    write_trc(render(MOVEMENT), tmp_path / "moves.trc")
    engine = Engine(ClipEncoder(), ScriptedModel(), SentenceEmbedder(), GenerationConfig(40))
    with opened(launch(engine, port=None, block=False).rstrip("/")) as page:
        assert not page.locator("#concept-box").is_visible()
        page.set_input_files("#upload input[type=file]", str(tmp_path / "moves.trc"))
        page.wait_for_selector("#clip video")
        page.locator("#concept-box button").first.click()
        page.locator("#show-concepts").click()
        page.wait_for_selector("#concept-line .segments a")
        segment = page.locator("#concept-line .segments a").nth(1)
        code, start = segment.get_attribute("data-concept"), segment.get_attribute("href")[3:].split(",")[0]
        segment.click()
        page.wait_for_selector(f"#concept-card h3:has-text('Concept {code}:')")
        page.wait_for_function(f"Math.abs(document.querySelector('#clip video').currentTime - {start}) < 2")
        assert "chosen" in segment.get_attribute("class")
        neighbour = page.locator("#concept-card .next a").last
        after = neighbour.get_attribute("data-concept")
        neighbour.click()
        page.wait_for_selector(f"#concept-card h3:has-text('Concept {after}:')")
        page.locator("#concept-map-box button").first.click()
        points = page.frame_locator("#concept-map iframe").locator(".scatterlayer .point")
        points.first.wait_for()
        points.nth(7).click(force=True)
        page.wait_for_function(f"!document.querySelector('#concept-card h3').innerText.includes('Concept {after}:')")
        assert page.locator("#concept-list input").input_value().startswith("Concept ")

"""Pages about concepts: every used one has a page with pictures, links lead somewhere, text of a book is no HTML."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from motionqa.assistant.concept_card import PANEL, card_html, colour, draw_strip, map_figure, moment_strip, strips
from motionqa.assistant.concept_pages import write_pages
from motionqa.data.schema import InputError
from motionqa.data.synthetic.motions import arm_raise, render
from motionqa.encoders.concepts.of_clip import Concepts
from motionqa.tests.concept_model import encoded, small_concepts


@pytest.fixture(scope="module")
def concepts() -> Concepts:
    return small_concepts()


def test_every_used_concept_has_a_page_and_no_link_leads_nowhere(concepts: Concepts, tmp_path: Path) -> None:
    index = write_pages(concepts.book, concepts.model, tmp_path / "pages")
    files = {p.name for p in index.parent.iterdir()}
    used = {f"concept-{c.code}.html" for c in concepts.book.used}
    assert files == {"index.html", "plotly.min.js", *used}
    assert len(used) == len(concepts.book) - 1
    for name in ("index.html", *used):
        text = (index.parent / name).read_text()
        assert set(re.findall(r'href="([^"#]+)"', text)) <= files
        assert "http://" not in text
        assert 'name="viewport"' in text
        assert '<html lang="en">' in text
        assert all(re.search(r'alt="[^"]+"', image) for image in re.findall(r"<img[^>]*>", text))
    text = index.read_text()
    assert all(name in text for name in used)  # the table leads to all of them, without a script too
    assert 'src="plotly.min.js"' in text


def test_pages_that_can_not_be_written_get_a_reason(concepts: Concepts, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can not be written to"):
        write_pages(concepts.book, concepts.model, tmp_path / "file")


def test_a_card_shows_strips_words_and_neighbours(concepts: Concepts) -> None:
    card = card_html(concepts.book, concepts.model, 0, lambda code: f'href="to-{code}"')
    assert "wave &lt;left&gt; hand" in card
    assert "<left>" not in card
    assert "60%" in card
    assert "4.0 times" in card
    assert 'href="to-1"' in card
    assert "MIT" in card  # an excerpt names its terms
    assert "decoded from this concept" in card
    images = re.findall(r"data:image/png;base64,([^\"]+)", card)
    assert len(images) == 2
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(images[0]), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (PANEL[1], 7 * PANEL[0], 3)
    bare = card_html(concepts.book, concepts.model, 1, lambda code: f'href="to-{code}"')
    assert "No action stands out" in bare
    assert len(strips(concepts.book, concepts.model, 1)) == 1


def figures(picture: np.ndarray) -> list[np.ndarray]:
    """Where each moment of a strip has something drawn above its time."""
    parts = np.split(picture[: PANEL[1] - 20], 7, axis=1)
    return [(abs(p.astype(int) - p[0, 0].astype(int)).sum(axis=-1) > 60) for p in parts]


def test_a_strip_keeps_the_body_upright_inside_its_panels_and_at_one_scale() -> None:
    pose = render(arm_raise("right"))
    from motionqa.data.skeleton import H36M_17, convert

    xyz, _ = convert(pose.xyz_m, pose.confidence, pose.skeleton, H36M_17)
    joints = (xyz - xyz[:, :1])[np.linspace(0, len(xyz) - 1, 7).astype(int)] * (1, -1, -1)
    picture = draw_strip(joints, np.linspace(-0.9, 0.9, 7).tolist())
    for drawn in figures(picture):
        rows = np.flatnonzero(drawn.any(axis=1))
        assert rows[0] > 0
        assert len(rows) > 0.55 * PANEL[1]
    wide = [int(np.flatnonzero(d.any(axis=0)).size) for d in figures(picture)]
    assert max(wide) > 1.3 * wide[0]  # the arm goes out


def test_a_moment_of_a_motion_file_is_drawn_from_the_front() -> None:
    pose = render(arm_raise("right"))
    strip = moment_strip(encoded(pose, "arm.bvh"), 0.0, 1.5)
    assert strip.image.startswith("data:image/png;base64,")
    assert "0.0–1.5 s of arm.bvh" in strip.alt


def test_concepts_near_by_on_the_map_look_alike(concepts: Concepts) -> None:
    def rgb(code: int) -> np.ndarray:
        text = colour(concepts.book.concepts[code])
        return np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)])

    assert np.abs(rgb(3) - rgb(4)).sum() < np.abs(rgb(3) - rgb(11)).sum()


def test_the_map_holds_every_used_concept_and_rings_those_of_a_clip(concepts: Concepts) -> None:
    points: Any = map_figure(concepts.book, [2, 5]).data[0]
    codes = list(points.customdata)
    assert sorted(codes) == sorted(c.code for c in concepts.book.used)
    ringed = {code for code, width in zip(codes, points.marker.line.width, strict=True) if width}
    assert ringed == {2, 5}
    assert all("<left>" not in text for text in points.text)

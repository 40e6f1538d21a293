"""A clip's concepts as the page and the command line show them: what was found, in words and as a bar to click."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from motionqa.assistant.concept_card import colour, map_figure, map_note, moment_strip
from motionqa.assistant.overlay import time_offset_s
from motionqa.assistant.panels import plotly_js, seek
from motionqa.data.schema import ClipEncoding
from motionqa.encoders.concepts.book import ConceptBook, ConceptWeights
from motionqa.encoders.concepts.of_clip import ClipMotion, Concepts, Segment, clip_motion, load_concepts, timeline

LEAST_WIDTH_PX = 9
"""Of a segment on the timeline; long clips scroll."""


@dataclass(frozen=True)
class ShownConcepts:
    """The concepts of one clip, ready to be asked for."""

    encoding: ClipEncoding
    concepts: Concepts
    motion: ClipMotion
    segments: tuple[Segment, ...]


def find_concepts(encoding: ClipEncoding, weights: ConceptWeights) -> ShownConcepts:
    """The concepts of an encoded clip. InputError where the weights do not fit each other, or nobody is seen."""
    concepts = load_concepts(weights)
    motion = clip_motion(encoding, concepts)
    return ShownConcepts(encoding, concepts, motion, timeline(motion))


# --------------------------------------------------------------------------------------------- words


def note(shown: ShownConcepts) -> str:
    """What the timeline holds, in words."""
    count, different = len(shown.segments), len({s.code for s in shown.segments})
    return (
        f"{count} segments of {different} different concepts. Choose one to see what it is and to find moments like it."
    )


def sureness_text(segment: Segment) -> str:
    """How surely a segment is its concept: its share against the next best alone."""
    return f"{segment.sureness:.0%} sure"


def likeness_text(similarity: float) -> str:
    """How alike a moment is: the cosine."""
    return f"similarity {similarity:.2f}"


def concept_choices(book: ConceptBook, first: Sequence[int]) -> list[tuple[str, int]]:
    """All used concepts for a list, the clip's own first in the order in which they come."""
    own = list(dict.fromkeys(first))
    rest = sorted(c.code for c in book.used if c.code not in set(own))
    return [(book.concepts[code].title, code) for code in (*own, *rest)]


# ---------------------------------------------------------------------------------------------- HTML


def timeline_html(shown: ShownConcepts) -> str:
    """A bar whose segments seek the video and choose their concept, and the same as a list."""
    if not shown.segments:
        return "<p>The person is hardly ever seen, so there is nothing to show.</p>"
    offset, book = time_offset_s(shown.encoding), shown.concepts.book
    start, end = shown.segments[0].start_s, shown.segments[-1].end_s
    bars, rows = [], []
    for s in shown.segments:
        concept = book.concepts[s.code]
        left, width = 100 * (s.start_s - start) / (end - start), 100 * (s.end_s - s.start_s) / (end - start)
        label = html.escape(f"{_when(s)}, {concept.title}, {sureness_text(s)}")
        data = f'href="{seek(s.start_s, s.end_s, offset)}" {picks(s.code, (s.start_s + s.end_s) / 2)}'
        look = f"left:{left:.3f}%;width:{width:.3f}%;background:{colour(concept)};opacity:{_opacity(s):.2f}"
        bars.append(f'<a {data} style="{look}" title="{label}" aria-label="{label}"></a>')
        rows.append(f"<li><a {data}>{_when(s)}</a> {html.escape(concept.title)}, {sureness_text(s)}</li>")
    wide = LEAST_WIDTH_PX * len(bars)
    return (
        f'<div class="concept-line" role="group" aria-label="Concepts over time, {start:.1f} to {end:.1f} seconds">'
        f'<div class="scroll"><div class="segments" style="min-width:{wide}px">{"".join(bars)}</div>'
        f'<div class="ends" style="min-width:{wide}px"><span>{start:.1f} s</span><span>{end:.1f} s</span></div></div>'
        f'<details><summary>As a list</summary><ol class="facts">{"".join(rows)}</ol></details></div>'
    )


def map_html(book: ConceptBook, marked: Sequence[int]) -> str:
    """The map of all concepts in a frame of its own; the clip's have a ring, and a click chooses one."""
    page = map_figure(book, marked).to_html(
        include_plotlyjs=f"/gradio_api/file={plotly_js()}", config={"displayModeBar": False}, div_id="map"
    )
    page = page.replace("</body>", f"<script>{TELL}</script></body>")
    words = html.escape(f"{map_note(book)} Those of this clip have a ring.")
    frame = (
        f'<iframe class="concept-map" title="Map of all concepts" srcdoc="{html.escape(page, quote=True)}"></iframe>'
    )
    return f'<p class="faint">{words}</p>{frame}'


TELL = """
document.getElementById('map').on('plotly_click', (event) =>
  window.parent.postMessage({concept: event.points[0].customdata}, '*'));
"""
"""Tells the page which concept was clicked on; `page.js` hands it to the timeline's component."""


def picks(code: int, at_s: float | None = None) -> str:
    """Attributes by which `page.js` chooses a concept; a link has an address too, so that it can be tabbed to."""
    return f'data-concept="{code}"' + (f' data-at="{at_s:.2f}"' if at_s is not None else ' href="#concepts"')


def _opacity(segment: Segment) -> float:
    return 0.35 + 1.3 * (segment.sureness - 0.5)


def _when(segment: Segment) -> str:
    return f"{segment.start_s:.1f}–{segment.end_s:.1f} s"


def moment_html(shown: ShownConcepts, start_s: float, end_s: float, words: str) -> str:
    """A moment of the clip to click, and words beside it, as HTML."""
    address = seek(start_s, end_s, time_offset_s(shown.encoding))
    return f'<a href="{address}">{start_s:.1f}–{end_s:.1f} s</a> {html.escape(words)}'


def strip_html(encoding: ClipEncoding, start_s: float, end_s: float) -> str:
    """The picture of a moment of a clip, as HTML."""
    strip = moment_strip(encoding, start_s, end_s)
    return f'<figure><img src="{strip.image}" alt="{html.escape(strip.alt)}"></figure>'

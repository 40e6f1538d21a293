"""A folder of pages about a codebook: a map and a table of all concepts, and a page for each that is used.

Plain files that open without a server and without a network; only the map needs a script, which lies beside it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from motionqa.assistant.concept_card import HERE, card_html, colour, map_figure, map_note
from motionqa.assistant.panels import plotly_js
from motionqa.data.schema import InputError
from motionqa.encoders.concepts.book import ConceptBook
from motionqa.encoders.concepts.humocon import HuMoCon

INDEX = "index.html"


def write_pages(
    book: ConceptBook, model: HuMoCon, out: Path, progress: Callable[[float], object] | None = None
) -> Path:
    """The index of the pages in `out`. InputError where they can not be written."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    page = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    template = page.get_template("concept_pages.html")
    used = book.used
    how = _how(book)
    try:
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(plotly_js(), out / "plotly.min.js")
        for k, concept in enumerate(used):
            text = template.render(
                title=concept.title,
                card=card_html(book, model, concept.code, lambda code: f'href="concept-{code}.html"'),
                earlier=used[k - 1].code if k else None,
                later=used[k + 1].code if k + 1 < len(used) else None,
                how=how,
            )
            (out / f"concept-{concept.code}.html").write_text(text, encoding="utf-8")
            if progress:
                progress((k + 1) / len(used))
        figure = map_figure(book)
        text = template.render(
            title="Concepts of movement",
            card="",
            summary=_summary(book),
            note=map_note(book),
            map=figure.to_html(
                include_plotlyjs="plotly.min.js", full_html=False, div_id="map",
                config={"displayModeBar": False, "responsive": True, "scrollZoom": False},
            ),
            concepts=[(c, colour(c)) for c in used],
            how=how,
        )  # fmt: skip
        (out / INDEX).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"The pages can not be written to {str(out)!r} ({error.strerror}). Give a folder.") from error
    return out / INDEX


def _summary(book: ConceptBook) -> str:
    told = sum(bool(c.words) for c in book.used)
    return (
        f"{len(book.used)} of {len(book)} concepts occur in {book.clips} training clips; {told} of them are typical of "
        "some actions. Each stands for about a quarter of a second of movement."
    )


def _how(book: ConceptBook) -> str:
    return (
        f"Concepts are codes that HuMoCon's motion encoder found by itself (weights {book.weights_sha256[:12]}); "
        "nobody named them. Their words are the actions of whole training clips in which they occur more often than "
        "others do, so they say where a concept is found, not what it is."
    )

"""The concepts' box of the page: found when asked for, the chosen one's card, and moments like it.

They come from joints that the clip's encoding holds: about a second for a clip of ten.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import gradio as gr

from motionqa.assistant.concept_card import card_html
from motionqa.assistant.concept_index import hit_text, kept_encoding, open_index
from motionqa.assistant.concept_timeline import (
    ShownConcepts,
    concept_choices,
    find_concepts,
    likeness_text,
    map_html,
    moment_html,
    note,
    picks,
    strip_html,
    sureness_text,
    timeline_html,
)
from motionqa.assistant.released import concepts as released_concepts
from motionqa.assistant.tab import Visit, problem, status
from motionqa.data.schema import InputError
from motionqa.encoders.clip_encoder import ClipEncoder
from motionqa.encoders.concepts.like import like_moments
from motionqa.encoders.concepts.moments import moment_at, projection_of

LIKE = 5
"""Moments like the chosen one that are shown, of the clip and of the indexed folder each."""
NO_CLIP = "There is no clip yet. Upload a video or a motion file first."


def concepts_offered() -> bool:
    """Whether the page can show concepts: weights are released."""
    try:
        return bool(released_concepts())
    except InputError:
        return False


def fresh() -> tuple[Any, ...]:
    """The concepts' panes for a new clip: box, note, timeline, list of concepts, card, map."""
    return (gr.update(visible=concepts_offered()), "", "", gr.update(visible=False, value=None), "", "")


class ConceptPanel:
    """The handlers of the concepts' box. Holds the indexed folder, if there is one; the rest is in the `Visit`."""

    def __init__(self, encoder: ClipEncoder, index: Path | None = None) -> None:
        self.encoder, self.index = encoder, index

    def show(self, visit: Visit | None, progress: gr.Progress = gr.Progress()) -> tuple[Any, ...]:
        """The clip's timeline, the list of all concepts and their map; the reason where there is none."""
        encoding = visit.chat.encoding if visit else None
        if visit is None or encoding is None:
            return self._keep(problem(NO_CLIP))
        if visit.concepts is None:
            progress(0.1, desc="finding concepts")
            try:
                found = find_concepts(encoding, released_concepts())
            except InputError as error:
                return self._keep(problem(str(error)))
            if visit.chat.encoding is not encoding:  # another clip came meanwhile
                return self._keep(gr.skip())
            visit.concepts = found
        shown = visit.concepts
        book = shown.concepts.book
        codes = [s.code for s in shown.segments]
        listed = gr.update(choices=concept_choices(book, codes), value=None, visible=True)
        return status(note(shown)), timeline_html(shown), listed, "", map_html(book, codes)

    @staticmethod
    def _keep(note: Any) -> tuple[Any, ...]:
        return (note, *(gr.skip() for _ in range(4)))

    def pick(self, visit: Visit | None, event: gr.EventData) -> tuple[Any, Any]:
        """The card of what was clicked on: a segment, a point on the map, or another card's neighbour."""
        chosen = event._data or {}
        code, at_s = chosen.get("code"), chosen.get("at")
        if not isinstance(code, int):
            return gr.skip(), gr.skip()
        card = self.card(visit, code, float(at_s) if isinstance(at_s, int | float) else None)
        return card, code if isinstance(card, str) else gr.skip()

    def card(self, visit: Visit | None, code: int | None, at_s: float | None = None) -> Any:
        """What a concept is, where the clip has it, and moments like the one at `at_s`, or like its surest one."""
        shown = visit.concepts if visit else None
        if shown is None or code is None or not 0 <= code < len(shown.concepts.book):
            return gr.skip()
        parts = [card_html(shown.concepts.book, shown.concepts.model, code, picks)]
        own = [s for s in shown.segments if s.code == code]
        if not own:
            parts.append("<p>This clip does not have it.</p>")
        else:
            rows = "".join(f"<li>{moment_html(shown, s.start_s, s.end_s, sureness_text(s))}</li>" for s in own)
            parts.append(f'<h4>In this clip</h4><ul class="facts">{rows}</ul>')
            if at_s is None:
                surest = max(own, key=lambda s: s.sureness)
                at_s = (surest.start_s + surest.end_s) / 2
        if at_s is not None:
            parts.append(self._alike(shown, at_s))
        return "".join(parts)

    def _alike(self, shown: ShownConcepts, at_s: float) -> str:
        """Moments like the one about a time, in the clip itself and in the indexed folder."""
        parts = [f"<h4>Moments like the one at {at_s:.1f} s</h4>"]
        project = projection_of(shown.concepts.model)
        try:
            rows = "".join(
                f"<li>{moment_html(shown, m.start_s, m.end_s, likeness_text(m.similarity))}"
                f"{strip_html(shown.encoding, m.start_s, m.end_s)}</li>"
                for m in like_moments(shown.motion, at_s, project, LIKE)
            )
            parts.append(
                f'<ul class="facts">{rows}</ul>'
                if rows
                else "<p>The clip has no other moment that does not overlap it.</p>"
            )
            if self.index is not None:
                parts.append(self._indexed(shown, at_s, self.index))
        except InputError as error:
            parts.append(problem(str(error)))
        return "".join(parts)

    def _indexed(self, shown: ShownConcepts, at_s: float, folder: Path) -> str:
        """Moments of other clips of the indexed folder, with a picture where their encoding is still kept."""
        index = open_index(folder, shown.concepts)
        moment = moment_at(shown.motion.track, at_s, "motion", projection_of(shown.concepts.model))
        found = index.search_moments(moment.embeddings[0], LIKE, besides=shown.encoding.content_sha256)
        rows = []
        for hit in found:
            where = f"{hit.name}, {hit.start_s:.1f}–{hit.end_s:.1f} s"
            words = ", ".join(w for w in (likeness_text(hit.similarity), hit_text(hit)) if w)
            kept = kept_encoding(self.encoder, hit)
            picture = strip_html(kept, hit.start_s, hit.end_s) if kept else ""
            rows.append(f"<li><b>{html.escape(where)}</b> {html.escape(words)}{picture}</li>")
        name = html.escape(index.indexed.name if index.indexed else folder.name)
        return (
            f'<h4>In the folder {name}</h4><ul class="facts">{"".join(rows)}</ul>'
            if rows
            else (f"<p>The folder {name} holds no other clip.</p>")
        )

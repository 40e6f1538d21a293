"""The concepts' box of the page: layout and wiring; what it does is in `concept_panel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from motionqa.assistant.coach_tab import PRIVATE
from motionqa.assistant.concept_panel import ConceptPanel

CHOSEN = """
document.addEventListener('concept', (event) => { if (element.isConnected) trigger('click', event.detail); });
"""
"""What `page.js` says was chosen becomes an event of the timeline."""


@dataclass(frozen=True)
class ConceptBox:
    """The box's parts that handlers read and fill."""

    box: gr.Accordion
    button: gr.Button
    note: gr.HTML
    line: gr.HTML
    listed: gr.Dropdown
    card: gr.HTML
    map: gr.HTML

    @property
    def panes(self) -> list[Any]:
        """What a new clip empties, in the order of `concept_panel.fresh`."""
        return [self.box, self.note, self.line, self.listed, self.card, self.map]


def concept_box() -> ConceptBox:
    """Lays the box out; call it where the box belongs."""
    with gr.Accordion("Concepts", open=False, visible=False, elem_id="concept-box") as box:
        button = gr.Button("Show concepts", size="sm", elem_id="show-concepts")
        note = gr.HTML("", elem_id="concept-note")
        line = gr.HTML("", elem_id="concept-line", js_on_load=CHOSEN)
        listed = gr.Dropdown(
            [], value=None, label="Any concept", info="those of this clip come first; type to search for an action",
            visible=False, elem_id="concept-list",
        )  # fmt: skip
        card = gr.HTML("", elem_id="concept-card")
        with gr.Accordion("Map of all concepts", open=False, elem_id="concept-map-box"):
            page_map = gr.HTML("Show the clip's concepts first.", elem_id="concept-map")
    return ConceptBox(box, button, note, line, listed, card, page_map)


def wire_concepts(panel: ConceptPanel, visit: gr.State, box: ConceptBox) -> None:
    """The button shows the timeline; a segment, a point of the map or a name in the list shows its card."""
    box.button.click(
        panel.show, visit, [box.note, box.line, box.listed, box.card, box.map], show_progress_on=[box.note],
        concurrency_limit=2, **PRIVATE,
    )  # fmt: skip
    quick: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": 2, **PRIVATE}
    box.line.click(panel.pick, visit, [box.card, box.listed], **quick)
    box.listed.input(panel.card, [visit, box.listed], box.card, **quick)

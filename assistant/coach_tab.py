"""The coach's tab of the page: layout and wiring; what the buttons do is in `coach_panel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from motionqa.assistant.coach_panel import CoachPanel, exercise_choices, view_choices

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
"""The page's own events are no API: they only make sense inside a tab."""


@dataclass(frozen=True)
class CoachTab:
    """The tab's parts that handlers read and fill."""

    exercise: gr.Dropdown
    view: gr.Dropdown
    button: gr.Button
    reference: gr.File
    note: gr.HTML
    critique: gr.HTML
    report: gr.DownloadButton
    kept: gr.Accordion
    person: gr.Textbox
    save: gr.Button
    show: gr.Button
    delete: gr.Button
    export: gr.DownloadButton
    kept_note: gr.HTML
    progress: gr.HTML

    @property
    def panes(self) -> list[Any]:
        """What a new clip empties, in the order of `coach_panel.fresh`."""
        return [self.exercise, self.view, self.note, self.critique, self.report, self.kept]


def coach_tab() -> CoachTab:
    """Lays the tab out; call it where the tab belongs."""
    with gr.Tab("Coach"):
        with gr.Row():
            exercise = gr.Dropdown(exercise_choices(), value="", label="Exercise: correct it if it is wrong",
                                   elem_id="coach-exercise", min_width=220)  # fmt: skip
            view = gr.Dropdown(view_choices(), value="", label="Filmed from", elem_id="coach-view", min_width=150)
        with gr.Accordion("Compare with a reference clip", open=False, elem_id="coach-reference"):
            reference = gr.File(label="The same exercise, done well", height=100)
        button = gr.Button("Critique", variant="primary", elem_id="coach-button")
        note = gr.HTML("", elem_id="coach-note")
        critique = gr.HTML("", elem_id="coach")
        report = gr.DownloadButton("Report", size="sm", visible=False, elem_id="coach-report")
        with gr.Accordion("Over time", open=False, visible=False, elem_id="coach-history") as kept:
            person = gr.Textbox(label="Name", info="any name or sign; kept on the machine that runs this page",
                                max_lines=1, elem_id="coach-person")  # fmt: skip
            with gr.Row():
                save = gr.Button("Keep this assessment", size="sm", elem_id="coach-save", min_width=120)
                show = gr.Button("Show", size="sm", elem_id="coach-show", min_width=70)
                export = gr.DownloadButton("Export", size="sm", visible=False, elem_id="coach-export", min_width=70)
                delete = gr.Button("Delete all", size="sm", variant="stop", elem_id="coach-delete", min_width=90)
            kept_note = gr.HTML("", elem_id="coach-kept-note")
            progress = gr.HTML("", elem_id="coach-progress")
    return CoachTab(
        exercise, view, button, reference, note, critique, report, kept, person, save, show, delete, export, kept_note,
        progress,
    )  # fmt: skip


def wire_coach(panel: CoachPanel, visit: gr.State, tab: CoachTab, video: gr.Video, chat: gr.Chatbot) -> None:
    """A critique comes by the button, or anew when exercise or view is corrected; its marks follow in the clip."""
    busy: dict[str, Any] = {"show_progress_on": [tab.note], "concurrency_limit": 2, **PRIVATE}
    for event in (tab.button.click, tab.exercise.input, tab.view.input):
        event(panel.criticise, [visit, tab.exercise, tab.view, tab.reference, chat], [*tab.panes, chat], **busy).then(
            panel.mark, visit, video, **busy
        ).then(panel.illustrate, visit, tab.report, **busy)
    shown = [tab.kept_note, tab.progress, tab.export]
    quick: dict[str, Any] = {"show_progress": "hidden", **PRIVATE}
    tab.save.click(panel.save, [visit, tab.person], [*shown, tab.report], **quick)
    tab.show.click(panel.show, [visit, tab.person], shown, **quick)
    tab.delete.click(panel.delete, tab.person, shown, **quick)

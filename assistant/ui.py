"""The chat page: upload a clip, ask about it, see the moments the answer speaks of.

Layout and wiring; what the handlers do is in `visit.py`. Gradio keeps one `Visit` per browser tab and forgets it, with
everything written for it, after the tab is closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from motionqa.assistant.coach_panel import CoachPanel
from motionqa.assistant.coach_tab import PRIVATE, CoachTab, coach_tab, wire_coach
from motionqa.assistant.concept_box import ConceptBox, concept_box, wire_concepts
from motionqa.assistant.concept_panel import ConceptPanel
from motionqa.assistant.examples import example_files
from motionqa.assistant.panels import plotly_js
from motionqa.assistant.released import DEFAULT_LIFTER
from motionqa.assistant.session import Engine
from motionqa.assistant.visit import DETECTED, Page

HERE = Path(__file__).parent
MAX_UPLOAD = "500mb"
QUESTIONS = (
    "What is the person doing?",
    "How many times?",
    "Which arm moves more?",
    "How fast do they move?",
    "What happens first, and what after?",
)
WELCOME = "Upload a video of a person moving, or a motion-capture file, and ask about the movement."


@dataclass(frozen=True)
class _Flow:
    """The box with the flow of the clip."""

    box: gr.Accordion
    view: gr.Radio
    button: gr.Button
    stop: gr.Button
    note: gr.HTML
    video: gr.Video
    facts: gr.HTML


@dataclass(frozen=True)
class _Clip:
    """The left column: the file, and what was measured in it."""

    upload: gr.File
    examples: gr.Dataset
    settings: list[Any]
    status: gr.HTML
    video: gr.Video
    panels: gr.Tabs
    facts: gr.HTML
    angles: gr.Plot
    space: gr.HTML
    people_tab: gr.Tab
    people: gr.Radio
    picture: gr.Image
    mesh_box: gr.Accordion
    mesh_button: gr.Button
    mesh_note: gr.HTML
    mesh: gr.HTML
    flow: _Flow
    concepts: ConceptBox
    coach: CoachTab


@dataclass(frozen=True)
class _Talk:
    """The right column: the conversation."""

    chat: gr.Chatbot
    question: gr.Textbox
    suggestions: list[gr.Button]


def build_page(engine: Engine, concept_index: Path | None = None) -> gr.Blocks:
    """The page, ready to launch. `concept_index` is a folder of indexed clips to look for like moments in."""
    page = Page(engine)
    with gr.Blocks(title="motionqa", analytics_enabled=False, delete_cache=(600, 3600), fill_width=True) as blocks:
        _offer_api(page)
        visit = gr.State(None, delete_callback=lambda v: v.close() if v else None)
        gr.HTML(f"<h1>motionqa</h1><p>{WELCOME}</p>", elem_id="head")
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=5, min_width=320):
                clip = _clip_column()
            with gr.Column(scale=5, min_width=320):
                talk = _talk_column()
        blocks.load(page.open, None, visit, show_progress="hidden", **PRIVATE)
        _wire_clip(page, visit, clip, talk)
        _wire_talk(page, visit, talk)
        wire_concepts(ConceptPanel(engine.encoder, concept_index), visit, clip.concepts)
        wire_coach(CoachPanel(engine, page.uploads), visit, clip.coach, clip.video, talk.chat)
    return blocks


def _offer_api(page: Page) -> None:
    """`/ask`, for programs and MCP clients: stateless, so it has components of its own that nobody sees."""
    file, question = gr.File(visible=False, label="clip"), gr.Textbox(visible=False, label="question")
    button, reply = gr.Button(visible=False), gr.JSON(visible=False, label="answer")
    button.click(page.api_ask, [file, question], reply, api_name="ask", concurrency_limit=2)


def _clip_column() -> _Clip:
    examples = [str(path) for path in example_files()]
    upload = gr.File(label="Video or motion file", height=120, elem_id="upload")
    dataset = gr.Dataset(
        components=[gr.Textbox(visible=False)],
        samples=[[path] for path in examples],
        sample_labels=[Path(path).stem.replace("_", " ") for path in examples],
        label="Or try",
        elem_id="examples",
    )
    with gr.Accordion("How to read the file", open=False, elem_id="settings"), gr.Row():
        start = gr.Number(0, label="Start at (s)", minimum=0, info="for videos over a minute", min_width=110)
        fps = gr.Number(None, label="Frames/s", minimum=0, info="of a motion file", min_width=110)
        units = gr.Dropdown([DETECTED, "m", "cm", "mm", "in"], label="Units", info="of a motion file", min_width=110)
        axis = gr.Dropdown([DETECTED, "y", "z", "-y", "-z", "x", "-x"], label="Up axis", info="of a motion file",
                               min_width=110)  # fmt: skip
        lifter = gr.Dropdown([("DSTformer", "dstformer"), ("BlazePose", "blazepose")], value=DEFAULT_LIFTER,
                                 label="3D by", info="for videos", min_width=110)  # fmt: skip
    status = gr.HTML("", elem_id="status")
    video = gr.Video(
        show_label=False, visible=False, interactive=False, elem_id="clip", buttons=["download"], height=360
    )
    with gr.Tabs(visible=False, elem_id="panels") as panels:
        with gr.Tab("Moments"):
            facts = gr.HTML(elem_id="facts")
        coach = coach_tab()
        with gr.Tab("Joint angles"):
            angles = gr.Plot(show_label=False, elem_id="angles")
        with gr.Tab("3D figure"):
            space = gr.HTML(elem_id="space")
        with gr.Tab("People", visible=False) as people_tab:
            people = gr.Radio([], label="Who is meant? Choose here, or click in the picture")
            picture = gr.Image(show_label=False, interactive=False, elem_id="people", buttons=[])
    flow = _flow_box()
    concepts = concept_box()
    with gr.Accordion("Body mesh", open=False, visible=False, elem_id="mesh-box") as mesh_box:
        mesh_button = gr.Button("Show body mesh", size="sm", elem_id="show-mesh")
        mesh_note = gr.HTML("", elem_id="mesh-note")
        mesh = gr.HTML("", elem_id="mesh")
    return _Clip(
        upload,
        dataset,
        [start, fps, units, axis, lifter],
        status,
        video,
        panels,
        facts,
        angles,
        space,
        people_tab,
        people,
        picture,
        mesh_box,
        mesh_button,
        mesh_note,
        mesh,
        flow,
        concepts,
        coach,
    )


def _flow_box() -> _Flow:
    with gr.Accordion("Flow", open=False, visible=False, elem_id="flow-box") as box:
        view = gr.Radio([("in the picture", "world"), ("relative to the body", "local")], value="world",
                        label="Movement of every point of the person", elem_id="flow-view")  # fmt: skip
        with gr.Row():
            button = gr.Button("Show flow", size="sm", elem_id="show-flow")
            stop = gr.Button("Stop", size="sm", elem_id="stop-flow")
        note = gr.HTML("", elem_id="flow-note")
        video = gr.Video(
            show_label=False, visible=False, interactive=False, elem_id="flow", buttons=["download"], height=360
        )
        facts = gr.HTML("", elem_id="flow-facts")
    return _Flow(box, view, button, stop, note, video, facts)


def _talk_column() -> _Talk:
    chat = gr.Chatbot(
        label="Chat", height="62vh", elem_id="chat", placeholder=WELCOME, feedback_options=None, buttons=["copy"]
    )
    question = gr.Textbox(
        placeholder="Ask about the movement",
        show_label=False,
        submit_btn="Ask",
        stop_btn="Stop",
        max_lines=4,
        elem_id="question",
    )
    with gr.Row(elem_id="suggestions"):
        suggestions = [gr.Button(text, size="sm", min_width=120) for text in QUESTIONS]
    return _Talk(chat, question, suggestions)


def _wire_clip(page: Page, visit: gr.State, clip: _Clip, talk: _Talk) -> None:
    """Every way to a new encoding fills the same panes and then draws the video."""
    panes = [
        clip.upload, clip.status, clip.video, clip.facts, clip.angles, clip.space, clip.picture, clip.people,
        clip.people_tab, talk.chat, clip.panels, clip.mesh_box, clip.mesh_note, clip.mesh,
        clip.flow.box, clip.flow.note, clip.flow.video, clip.flow.facts,
        *clip.concepts.panes, *clip.coach.panes,
    ]  # fmt: skip
    busy: dict[str, Any] = {"show_progress_on": [clip.status], "concurrency_limit": 4, **PRIVATE}

    def encode(event: Any, handler: Any, inputs: list[Any]) -> None:
        event(handler, inputs, panes, trigger_mode="multiple", **busy).then(page.draw, visit, clip.video, **busy)

    encode(clip.upload.upload, page.take_clip, [clip.upload, visit, *clip.settings])
    encode(clip.examples.click, page.take_example, [clip.examples, visit])
    encode(clip.picture.select, page.pick_person, [visit])
    encode(clip.people.input, page.name_person, [visit, clip.people])
    clip.mesh_button.click(
        page.show_mesh, visit, [clip.mesh_note, clip.mesh], show_progress_on=[clip.mesh_note], concurrency_limit=1,
        **PRIVATE,
    )  # fmt: skip
    _wire_flow(page, visit, clip.flow)


def _wire_flow(page: Page, visit: gr.State, flow: _Flow) -> None:
    flow.button.click(
        page.show_flow, [visit, flow.view], [flow.note, flow.video, flow.facts], show_progress_on=[flow.note],
        concurrency_limit=1, **PRIVATE,
    )  # fmt: skip
    flow.view.input(page.switch_flow, [visit, flow.view], flow.video, show_progress="hidden", **PRIVATE)
    flow.stop.click(page.stop_flow, visit, None, queue=False, **PRIVATE)


def _wire_talk(page: Page, visit: gr.State, talk: _Talk) -> None:
    said = [talk.question, talk.chat]
    quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": 4, **PRIVATE}
    talk.question.submit(page.ask, [visit, talk.question, talk.chat], said, **quiet)
    for button in talk.suggestions:
        button.click(page.ask, [visit, button, talk.chat], said, **quiet)  # a button's value is its text
    talk.question.stop(page.stop, visit, None, queue=False, **PRIVATE)
    talk.chat.clear(page.forget, visit, None, queue=False, **PRIVATE)


def launch(
    engine: Engine,
    host: str = "127.0.0.1",
    port: int | None = 7860,
    *,
    mcp: bool = False,
    block: bool = True,
    concept_index: Path | None = None,
) -> str:
    """Serves the page and returns its address.

    Beside a tab's own uploads and outputs only plotly's script can be fetched. With `block=False` it returns at once.
    """
    gr.set_static_paths([plotly_js()])
    blocks = build_page(engine, concept_index).queue(default_concurrency_limit=4, max_size=64)
    _, address, _ = blocks.launch(
        server_name=host,
        server_port=port,
        theme=gr.themes.Soft(),
        css_paths=HERE / "page.css",
        head=f"<script>{(HERE / 'page.js').read_text()}</script>",
        max_file_size=MAX_UPLOAD,
        strict_cors=True,
        mcp_server=mcp,
        show_error=True,
        prevent_thread_lock=not block,
        footer_links=["api", "settings"],
        quiet=True,
        ssr_mode=False,
    )
    return address

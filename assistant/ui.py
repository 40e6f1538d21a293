"""The chat page: upload a clip, ask about it, see the moments the answer speaks of.

Gradio keeps one `Visit` per browser tab and forgets it, with everything written for it, after the tab is closed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from motionqa.assistant.examples import example_files
from motionqa.assistant.overlay import draw_clip, time_offset_s
from motionqa.assistant.panels import angle_plot, answer_markdown, facts_html, plotly_js, space_player
from motionqa.assistant.people_picker import PeoplePicture, people_picture
from motionqa.assistant.session import ChatSession, Engine
from motionqa.data.schema import ClipEncoding, InputError
from motionqa.encoders.clip_encoder import Cancelled
from motionqa.encoders.people import PersonChoice

HERE = Path(__file__).parent
MAX_UPLOAD = "500mb"
QUESTIONS = (
    "What is the person doing?",
    "How many times?",
    "Which arm moves more?",
    "How fast do they move?",
    "What happens first, and what after?",
)
WELCOME = "Upload a video of one person moving, or a motion-capture file, and ask about the movement."


@dataclass
class Visit:
    """One browser tab: its conversation, and a private folder for what was made for it."""

    chat: ChatSession
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="motionqa-")))
    source: Path | None = None
    """The uploaded file, until the annotated video is drawn."""
    picture: PeoplePicture | None = None
    """What the user clicks on to pick a person."""

    def forget_source(self) -> None:
        """Deletes the upload; example files, which are not in gradio's upload folder, stay."""
        if self.source and self.source.is_relative_to(upload_folder()):
            self.source.unlink(missing_ok=True)
        self.source = None

    def close(self) -> None:
        """Deletes everything that belongs to the tab."""
        self.chat.stop()
        self.chat.cancel_clip()
        self.forget_source()
        shutil.rmtree(self.folder, ignore_errors=True)


def upload_folder() -> Path:
    """Where gradio puts uploads."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio").resolve()


class Page:
    """The handlers behind the page. Holds the shared engine; everything personal is in the `Visit`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def open(self) -> Visit:
        """A fresh visit for a new tab."""
        return Visit(ChatSession(self.engine))

    # ------------------------------------------------------------------------------------------- clip

    def take_clip(
        self, path: str | None, visit: Visit, progress: gr.Progress = gr.Progress()
    ) -> tuple[Any, ...]:
        """Encodes an upload and fills the panels; on bad input says why and keeps the clip before."""
        if path is None:
            return self._keep("")
        source = Path(path).resolve()
        try:
            encoding = visit.chat.set_clip(source, lambda stage, share: progress(share, desc=stage))
        except Cancelled:
            source.unlink(missing_ok=True) if source.is_relative_to(upload_folder()) else None
            return self._keep()
        except InputError as error:
            source.unlink(missing_ok=True) if source.is_relative_to(upload_folder()) else None
            return self._keep(_problem(str(error)))
        visit.forget_source()
        visit.source = source
        return self._fill(encoding, visit)

    def pick_person(
        self, visit: Visit, event: gr.SelectData, progress: gr.Progress = gr.Progress()
    ) -> tuple[Any, ...]:
        """Encodes the person who was clicked on. Needs the upload, so it is kept while several people are in view."""
        picture = visit.picture
        if visit.source is None or picture is None:
            return self._keep(_problem("The clip is no longer here. Upload it again to pick another person."))
        unit = picture.source_width / picture.image.shape[1]
        choice = PersonChoice(click_px=(event.index[0] * unit, event.index[1] * unit), click_s=picture.time_s)
        try:
            encoding = visit.chat.set_clip(visit.source, lambda stage, share: progress(share, desc=stage), choice)
        except Cancelled:
            return self._keep()
        except InputError as error:
            return self._keep(_problem(str(error)))
        return self._fill(encoding, visit)

    def draw(self, visit: Visit, progress: gr.Progress = gr.Progress()) -> Any:
        """The annotated video of the current clip; deletes the upload where nobody else can be picked from it."""
        encoding, source = visit.chat.encoding, visit.source
        if encoding is None or source is None or not source.exists():
            return gr.skip()
        target = visit.folder / "annotated.mp4"
        draw_clip(
            source, encoding, target, self.engine.encoder.config.decode,
            progress=lambda share: progress(share, desc="drawing"),
        )  # fmt: skip
        if len(encoding.people) < 2 and encoding is visit.chat.encoding:
            visit.forget_source()
        return gr.update(value=str(target), visible=True)

    def _fill(self, encoding: ClipEncoding, visit: Visit) -> tuple[Any, ...]:
        offset = time_offset_s(encoding)
        visit.picture = None
        if len(encoding.people) > 1 and visit.source:
            visit.picture = people_picture(visit.source, encoding, self.engine.encoder.config.decode)
        seconds = sum(encoding.timings_s.values())
        status = f"<b>{_safe(encoding.name)}</b> is ready after {seconds:.1f} s. " + " ".join(
            _safe(note) for note in encoding.notes
        )
        return (
            None,  # the upload box, free for the next file
            f'<div class="status">{status}</div>',
            gr.update(value=None, visible=False),
            facts_html(encoding, offset),
            angle_plot(encoding),
            space_player(encoding, f"/gradio_api/file={plotly_js()}"),
            gr.update(value=visit.picture.image if visit.picture else None, visible=visit.picture is not None),
            [],
            gr.update(visible=True),
        )

    @staticmethod
    def _keep(status: str | None = None) -> tuple[Any, ...]:
        first = (None, gr.skip() if status is None else status)
        return (*first, *(gr.skip() for _ in range(7)))

    # ------------------------------------------------------------------------------------------- chat

    def ask(self, visit: Visit, question: str, messages: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
        """Streams the answer into the chat; the text box empties at once."""
        asked = [*(messages or []), {"role": "user", "content": question.strip() or " "}]
        try:
            for answer in visit.chat.ask(question):
                offset = time_offset_s(visit.chat.encoding) if visit.chat.encoding else 0.0
                yield "", [*asked, {"role": "assistant", "content": answer_markdown(answer, offset)}]
        except InputError as error:
            yield "", [*asked, {"role": "assistant", "content": f"⚠ {error}"}]

    @staticmethod
    def stop(visit: Visit) -> None:
        """Stops whatever is under way in this tab."""
        visit.chat.stop()
        visit.chat.cancel_clip()

    # -------------------------------------------------------------------------------------------- api

    def api_ask(self, clip: gr.FileData, question: str) -> dict[str, Any]:
        """Answers one question about a person's movement in a video or motion file.

        Args:
            clip: a video (mp4, mov, webm, …) or motion file (BVH, TRC, C3D, AMASS npz, …)
            question: what to find out, for example "How many squats?"
        """
        chat = ChatSession(self.engine)
        path = Path(str(getattr(clip, "path", None) or clip["path"])).resolve()  # type: ignore[index]
        try:
            chat.set_clip(path)
            *_, answer = chat.ask(question)
        except InputError as error:
            raise gr.Error(str(error)) from error
        finally:
            if path.is_relative_to(upload_folder()):
                path.unlink(missing_ok=True)
        return answer_json(answer)


def answer_json(answer: Any) -> dict[str, Any]:
    """An answer as plain data: text, evidence with times, what is not measured, timings."""
    from dataclasses import asdict

    return asdict(answer)


def _safe(text: str) -> str:
    import html

    return html.escape(text)


def _problem(text: str) -> str:
    return f'<div class="status problem">⚠ {_safe(text)}</div>'


def build_page(engine: Engine) -> gr.Blocks:
    """The page, ready to launch."""
    page = Page(engine)
    with gr.Blocks(title="motionqa", analytics_enabled=False, delete_cache=(3600, 3600), fill_width=True) as blocks:
        visit = gr.State(None, time_to_live=3600, delete_callback=lambda v: v.close() if v else None)
        gr.HTML(f"<h1>motionqa</h1><p>{WELCOME}</p>", elem_id="head")
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=5, min_width=320):
                upload = gr.File(label="Video or motion file", height=120, elem_id="upload")
                examples = [[str(path)] for path in example_files()]
                status = gr.HTML("", elem_id="status")
                video = gr.Video(label="What was measured", visible=False, interactive=False, elem_id="clip",
                                 autoplay=False, height=360)  # fmt: skip
                picture = gr.Image(label="Several people: click the one you mean", visible=False, interactive=False,
                                   elem_id="people", buttons=[])  # fmt: skip
                with gr.Tabs(visible=False, elem_id="panels") as panels:
                    with gr.Tab("Moments"):
                        facts = gr.HTML(elem_id="facts")
                    with gr.Tab("Joint angles"):
                        angles = gr.Plot(show_label=False, elem_id="angles")
                    with gr.Tab("3D figure"):
                        space = gr.HTML(elem_id="space")
            with gr.Column(scale=5, min_width=320):
                chat = gr.Chatbot(label="Chat", height="62vh", elem_id="chat", placeholder=WELCOME,
                                  feedback_options=None, buttons=["copy"])  # fmt: skip
                question = gr.Textbox(
                    placeholder="Ask about the movement", show_label=False, submit_btn="Ask", stop_btn="Stop",
                    max_lines=4, elem_id="question",
                )  # fmt: skip
                with gr.Row(elem_id="suggestions"):
                    suggestions = [gr.Button(text, size="sm", min_width=120) for text in QUESTIONS]

        panes = [upload, status, video, facts, angles, space, picture, chat, panels]
        hidden: dict[str, Any] = {"api_visibility": "private"}
        blocks.load(page.open, None, visit, show_progress="hidden", **hidden)
        encode: dict[str, Any] = {
            "show_progress_on": [status], "concurrency_limit": 4, "trigger_mode": "multiple", **hidden,
        }  # fmt: skip
        draw: dict[str, Any] = {"show_progress_on": [status], "concurrency_limit": 2, **hidden}
        upload.upload(page.take_clip, [upload, visit], panes, **encode).then(page.draw, visit, video, **draw)
        picture.select(page.pick_person, [visit], panes, **encode).then(page.draw, visit, video, **draw)
        if examples:
            pick = gr.Dataset(components=[gr.File(visible=False)], samples=examples, label="Examples",
                              sample_labels=[Path(e[0]).stem.replace("_", " ") for e in examples],
                              render=False, elem_id="examples")  # fmt: skip
            with upload.parent or blocks:
                pick.render()
            pick.click(lambda row: row[0], pick, upload, show_progress="hidden", **hidden).then(
                page.take_clip, [upload, visit], panes, **encode
            ).then(page.draw, visit, video, **draw)
        talk: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": 4, **hidden}
        running = [question.submit(page.ask, [visit, question, chat], [question, chat], **talk)]
        for button in suggestions:
            running.append(
                button.click(page.ask, [visit, button, chat], [question, chat], **talk)  # a button's value is its text
            )
        question.stop(page.stop, visit, None, queue=False, **hidden)
        gr.api(page.api_ask, api_name="ask", concurrency_limit=2)
    return blocks


def launch(engine: Engine, host: str = "127.0.0.1", port: int | None = 7860, *, mcp: bool = False, block: bool = True):
    """Serves the page; returns (app, local url, share url). Only uploads, outputs and plotly's script are served."""
    gr.set_static_paths([plotly_js()])
    blocks = build_page(engine)
    return blocks.queue(default_concurrency_limit=4, max_size=64).launch(
        server_name=host, server_port=port, theme=gr.themes.Soft(), css_paths=HERE / "page.css",
        head=f"<script>{(HERE / 'page.js').read_text()}</script>", max_file_size=MAX_UPLOAD, strict_cors=True,
        mcp_server=mcp, show_error=True, prevent_thread_lock=not block, footer_links=["api", "settings"], quiet=True,
        enable_monitoring=False, ssr_mode=False,
    )  # fmt: skip

"""What happens when somebody uses the page: its handlers."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr

from motionqa.assistant import coach_panel, concept_panel, flow_panel
from motionqa.assistant.overlay import draw_clip, time_offset_s
from motionqa.assistant.panels import angle_plot, answer_markdown, facts_html, plotly_js, space_player
from motionqa.assistant.people_picker import people_picture, person_label
from motionqa.assistant.prompt import check_question
from motionqa.assistant.released import lifting
from motionqa.assistant.session import ChatSession, Engine
from motionqa.assistant.tab import Visit, problem, status
from motionqa.assistant.uploads import Uploads
from motionqa.data.schema import Answer, ClipEncoding, InputError
from motionqa.encoders.clip_encoder import Cancelled, EncoderConfig
from motionqa.encoders.people import PersonChoice


class Page:
    """The handlers behind the page. Holds the shared engine; everything personal is in the `Visit`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.uploads = Uploads()

    def open(self) -> Visit:
        """A fresh visit for a new tab."""
        return Visit(ChatSession(self.engine), self.uploads)

    # ------------------------------------------------------------------------------------------- clip

    def take_clip(
        self,
        path: str | None,
        visit: Visit,
        start_s: float | None,
        fps: float | None,
        units: str,
        up_axis: str,
        lifter: str,
        progress: gr.Progress = gr.Progress(),
    ) -> tuple[Any, ...]:
        """Encodes an upload and fills the panels; on bad input says why and keeps the clip before."""
        if path is None:
            return self._keep("")
        own = self.engine.encoder.config
        try:
            motion = replace(own.motion_file, fps=fps or None, units=_said(units), up_axis=_said(up_axis))
            decode = replace(own.decode, start_s=float(start_s or 0))
        except ValueError as error:
            return self._keep(problem(str(error)))
        config = replace(own, decode=decode, motion_file=motion, lifting=lifting(lifter))
        return self._encode(Path(path).resolve(), visit, progress, config)

    def take_example(self, sample: list[str], visit: Visit, progress: gr.Progress = gr.Progress()) -> tuple[Any, ...]:
        """Encodes one of the example files."""
        return self._encode(Path(sample[0]).resolve(), visit, progress, self.engine.encoder.config)

    def _encode(
        self,
        source: Path,
        visit: Visit | None,
        progress: gr.Progress,
        config: EncoderConfig,
        person: PersonChoice | None = None,
    ) -> tuple[Any, ...]:
        if visit is None:
            return self._keep(problem("This page was closed for too long. Reload it and upload the clip again."))
        self.uploads.take(source)
        try:
            encoding = visit.chat.set_clip(source, lambda stage, share: progress(share, desc=stage), person, config)
        except (Cancelled, InputError) as error:
            self.uploads.release(source)
            return self._keep(problem(str(error)) if isinstance(error, InputError) else None)
        visit.forget_source()
        visit.source, visit.config = source, config
        visit.new_clip()
        several, flow_too = len(encoding.people) > 1, flow_panel.flow_offered(encoding)
        visit.uses = {"video"} | ({"people"} if several else set()) | ({"flow"} if flow_too else set())
        return self._fill(encoding, visit)

    def pick_person(self, visit: Visit, event: gr.SelectData, progress: gr.Progress = gr.Progress()) -> tuple[Any, ...]:
        """Encodes the person who was clicked on. Needs the upload, so it is kept while several people are in view."""
        picture = visit.picture
        if visit.source is None or picture is None:
            return self._keep(problem("The clip is no longer here. Upload it again to pick another person."))
        unit = picture.source_width / picture.image.shape[1]
        choice = PersonChoice(click_px=(event.index[0] * unit, event.index[1] * unit), click_s=picture.time_s)
        return self._encode(visit.source, visit, progress, visit.config, choice)

    def name_person(self, visit: Visit, label: str, progress: gr.Progress = gr.Progress()) -> tuple[Any, ...]:
        """Encodes the person who was chosen from the list."""
        encoding = visit.chat.encoding
        if visit.source is None or encoding is None:
            return self._keep(problem("The clip is no longer here. Upload it again to pick another person."))
        person_id = next((t.person_id for t in encoding.people if person_label(t) == label), None)
        if person_id is None:
            return self._keep(problem("The list belongs to an earlier clip. Choose again."))
        return self._encode(visit.source, visit, progress, visit.config, PersonChoice(person_id=person_id))

    def draw(self, visit: Visit | None, progress: gr.Progress = gr.Progress()) -> Any:
        """The annotated video of the current clip, unless another one replaces it meanwhile."""
        if visit is None or visit.chat.encoding is None or visit.source is None or not visit.source.exists():
            return gr.skip()
        encoding, source = visit.chat.encoding, visit.source
        target = visit.folder / f"{uuid4().hex}.mp4"

        def step(share: float) -> None:
            if visit.chat.encoding is not encoding:
                raise Cancelled("another clip came")
            progress(share, desc="drawing")

        self.uploads.take(source)
        try:
            draw_clip(source, encoding, target, visit.config.decode, progress=step)
            step(1.0)
        except Cancelled:
            target.unlink(missing_ok=True)
            return gr.skip()
        finally:
            self.uploads.release(source)
        visit.drawn = target
        visit.done("video")
        return gr.update(value=str(target), visible=True)

    def _fill(self, encoding: ClipEncoding, visit: Visit) -> tuple[Any, ...]:
        offset = time_offset_s(encoding)
        visit.picture = None
        if len(encoding.people) > 1 and visit.source:
            visit.picture = people_picture(visit.source, encoding, visit.config.decode)
        seconds = sum(encoding.timings_s.values())
        ready = f"<b>{_safe(encoding.name)}</b> is ready after {seconds:.1f} s. " + " ".join(
            _safe(note) for note in encoding.notes
        )
        return (
            None,  # the upload box, free for the next file
            f'<div class="status">{ready}</div>',
            gr.update(value=None, visible=False),
            facts_html(encoding, offset),
            angle_plot(encoding),
            space_player(encoding, f"/gradio_api/file={plotly_js()}"),
            visit.picture.image if visit.picture else None,
            gr.update(
                choices=[person_label(t) for t in encoding.people],
                value=next((person_label(t) for t in encoding.people if t.person_id == encoding.person_id), None),
            ),
            gr.update(visible=visit.picture is not None),
            [],
            gr.update(visible=True),
            gr.update(visible=True),
            "",
            "",
            gr.update(visible="flow" in visit.uses),
            "",
            gr.update(value=None, visible=False),
            "",
            *concept_panel.fresh(),
            *coach_panel.fresh(),
        )

    @staticmethod
    def show_mesh(visit: Visit | None, progress: gr.Progress = gr.Progress()) -> tuple[Any, Any]:
        """The body mesh of the current clip as a figure, with what it was made from; the reason where there is none."""
        encoding = visit.chat.encoding if visit else None
        if visit is None or encoding is None:
            return problem("There is no clip yet. Upload a video or a motion file first."), gr.skip()
        from motionqa.assistant.mesh_panel import mesh_player
        from motionqa.encoders.body.body_mesh import body_mesh

        progress(0.1, desc="posing the body (the first time on a machine takes about a minute)")
        try:
            mesh = body_mesh(encoding.pose3d)
        except InputError as error:
            return problem(str(error)), ""
        if visit.chat.encoding is not encoding:  # another clip came meanwhile
            return gr.skip(), gr.skip()
        note = status(f"{mesh.source}. {' '.join(mesh.notes)}")
        return note, mesh_player(mesh, f"/gradio_api/file={plotly_js()}")

    @staticmethod
    def show_flow(visit: Visit | None, view: Any, progress: gr.Progress = gr.Progress()) -> tuple[Any, Any, Any]:
        """The flow of the current clip, measured the first time it is asked for."""
        return flow_panel.show_flow(visit, view, lambda stage, share: progress(share, desc=stage))

    @staticmethod
    def switch_flow(visit: Visit | None, view: Any) -> Any:
        """The other view of a flow that was measured."""
        return flow_panel.switched(visit, view)

    @staticmethod
    def stop_flow(visit: Visit | None) -> None:
        """Ends the flow that is under way."""
        if visit is not None:
            visit.stop_flow()

    @staticmethod
    def _keep(status: str | None = None) -> tuple[Any, ...]:
        first = (None, gr.skip() if status is None else status)
        return (*first, *(gr.skip() for _ in range(16 + len(concept_panel.fresh()) + len(coach_panel.fresh()))))

    # ------------------------------------------------------------------------------------------- chat

    def ask(self, visit: Visit | None, question: str, messages: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
        """Streams the answer into the chat; the text box empties at once."""
        asked = [*(messages or []), {"role": "user", "content": question.strip() or " "}]
        if visit is None:
            yield "", [*asked, {"role": "assistant", "content": "⚠ This page was closed for too long. Reload it."}]
            return
        try:
            for answer in visit.chat.ask(question):
                offset = time_offset_s(visit.chat.encoding) if visit.chat.encoding else 0.0
                yield "", [*asked, {"role": "assistant", "content": answer_markdown(answer, offset)}]
        except InputError as error:
            yield "", [*asked, {"role": "assistant", "content": f"⚠ {error}"}]

    @staticmethod
    def forget(visit: Visit | None) -> None:
        """Starts the conversation anew about the same clip."""
        if visit is not None:
            visit.chat.history = ()

    @staticmethod
    def stop(visit: Visit | None) -> None:
        """Stops whatever is under way in this tab."""
        if visit is None:
            return
        visit.chat.stop()
        visit.chat.cancel_clip()
        visit.stop_flow()

    # -------------------------------------------------------------------------------------------- api

    def api_ask(self, clip: str | None, question: str) -> dict[str, Any]:
        """Answers one question about a person's movement in a video or motion file.

        Args:
            clip: a video (mp4, mov, webm, …) or motion file (BVH, TRC, C3D, AMASS npz, …)
            question: what to find out, for example "How many squats?"
        """
        chat = ChatSession(self.engine)
        if not clip:
            raise gr.Error("No file came with the question. Send a video or a motion file as `clip`.")
        path = Path(clip).resolve()
        self.uploads.take(path)
        try:
            check_question(question, chat.prompt_config)
            chat.set_clip(path)
            *_, answer = chat.ask(question)
        except InputError as error:
            raise gr.Error(str(error)) from error
        finally:
            self.uploads.release(path)
        return answer_json(answer)


def answer_json(answer: Answer) -> dict[str, Any]:
    """An answer as plain data: text, evidence with times, what is not measured, timings."""
    return asdict(answer)


DETECTED = "as detected"


def _said(choice: str) -> Any:
    """What was chosen in a list, or None where the file's own is to be used."""
    return None if choice == DETECTED else choice


def _safe(text: str) -> str:
    return html.escape(text)

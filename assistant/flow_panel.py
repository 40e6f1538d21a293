"""The flow box of the page: measured when asked for, both views drawn at once, its facts lent to the chat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr

from motionqa.assistant.flow_view import VIEWS, ShownFlow, View, draw_flow, flow_note
from motionqa.assistant.overlay import time_offset_s
from motionqa.assistant.panels import facts_html
from motionqa.assistant.released import flow as released_flow
from motionqa.assistant.tab import Visit, problem, status
from motionqa.data.schema import ClipEncoding, InputError
from motionqa.encoders.clip_encoder import Cancelled, Progress
from motionqa.encoders.flow.clip import encoded_flow
from motionqa.encoders.flow.facts import flow_facts
from motionqa.encoders.flow.network import load_flow

MEASURING = 0.8
"""Share of the work that is measuring; the rest is drawing."""


def flow_offered(encoding: ClipEncoding) -> bool:
    """Whether the page can measure this clip's flow: a video, and weights to do it with."""
    try:
        return encoding.kind == "video" and bool(released_flow())
    except InputError:
        return False


def show_flow(visit: Visit | None, view: View, progress: Progress) -> tuple[Any, Any, Any]:
    """The flow of the tab's clip: a note, the painted video and what it says; the reason where there is none."""
    encoding = visit.chat.encoding if visit else None
    if visit is None or encoding is None:
        return problem("There is no clip yet. Upload a video first."), gr.skip(), gr.skip()
    if visit.flow is None:
        try:
            shown = _measured(visit, encoding, progress)
        except Cancelled:
            note = status("Stopped.") if visit.chat.encoding is encoding else gr.skip()
            return note, gr.skip(), gr.skip()
        except InputError as error:
            return problem(str(error)), gr.skip(), gr.skip()
        if not visit.chat.learn(encoding, shown.facts):  # another clip came meanwhile
            return gr.skip(), gr.skip(), gr.skip()
        visit.flow = shown
        visit.done("flow")
    return status(visit.flow.note), switched(visit, view), _facts(encoding, visit.flow)


def switched(visit: Visit | None, view: View) -> Any:
    """The video of a view of a flow that was measured already; nothing new before."""
    if visit is None or visit.flow is None:
        return gr.skip()
    return gr.update(value=str(visit.flow.videos[view]), visible=True)


def _measured(visit: Visit, encoding: ClipEncoding, progress: Progress) -> ShownFlow:
    """Flow of the present clip, drawn; `Cancelled` once it is stopped, asked for anew or another clip comes."""
    source = visit.source
    if source is None or not source.exists():
        raise InputError("The clip is no longer here. Upload it again to see its flow.")
    visit.flow_request += 1
    request = visit.flow_request

    def step(stage: str, share: float) -> None:
        if visit.flow_request != request or visit.chat.encoding is not encoding:
            raise Cancelled("flow was stopped, or another clip came")
        progress(stage, share)

    weights = released_flow()
    visit.uploads.take(source)
    try:
        step("loading the flow network", 0.0)
        network = load_flow(weights.weights, weights.version)
        field = encoded_flow(
            source, encoding, visit.config.decode, network, progress=_part(step, "measuring flow", 0.0, MEASURING)
        )
        assert encoding.pose is not None
        videos: dict[View, Path] = {}
        for k, view in enumerate(VIEWS):
            videos[view] = visit.folder / f"{uuid4().hex}.mp4"
            each = (1 - MEASURING) / len(VIEWS)
            drawn = _part(step, "drawing flow", MEASURING + k * each, each)
            draw_flow(source, [(encoding.pose, field)], videos[view], view, visit.config.decode, progress=drawn)
    finally:
        visit.uploads.release(source)
    return ShownFlow(videos, flow_facts(field), flow_note(field))


def _part(step: Progress, stage: str, start: float, length: float) -> Callable[[float], object]:
    """Progress of one stage as progress of the whole."""
    return lambda share: step(stage, start + length * share)


def _facts(encoding: ClipEncoding, shown: ShownFlow) -> str:
    """What the flow says, as moments to click."""
    if not shown.facts:
        return "<p>The flow shows nothing worth a sentence.</p>"
    only = replace(encoding, notes=(), report=replace(encoding.report, facts=shown.facts, warnings=()))
    return facts_html(only, time_offset_s(encoding))

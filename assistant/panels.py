"""What is shown beside an answer: joint angles over time, the moving figure in space, moments to click."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from motionqa.assistant.overlay import LEFT, MIDDLE, RIGHT, drawn_bones, side_colour
from motionqa.data.schema import Answer, ClipEncoding, Fact, Pose3D
from motionqa.encoders.reader.words import told_actions

MAX_ANGLES = 6
_PALETTE = ("#4cafff", "#ff9f40", "#6bd68a", "#c792ea", "#f2777a", "#ffd166")


def angle_plot(encoding: ClipEncoding) -> go.Figure:
    """The joint angles that change most, over time, with every counted repetition shaded."""
    report = encoding.report
    ranked = sorted(report.angles.values(), key=lambda a: -np.nan_to_num(a.range_deg, nan=-1.0))
    figure = go.Figure()
    for series, colour in zip(ranked[:MAX_ANGLES], _PALETTE, strict=False):
        if np.isfinite(series.degrees).any():
            figure.add_scatter(
                x=report.times_s, y=series.degrees, name=series.name.replace("_", " "), mode="lines",
                line={"color": colour, "width": 2}, hovertemplate="%{y:.0f}° at %{x:.2f} s",
            )  # fmt: skip
    for counted in report.repetitions:
        for number, rep in enumerate(counted.repetitions, 1):
            figure.add_vrect(
                x0=rep.start_s, x1=rep.end_s, fillcolor="#8884ff", opacity=0.12 if number % 2 else 0.22, line_width=0,
                annotation_text=str(number), annotation_position="top left",
            )  # fmt: skip
    figure.update_layout(
        xaxis_title="seconds", yaxis_title="degrees", height=330, margin={"l": 50, "r": 10, "t": 10, "b": 40},
        legend={"orientation": "h", "y": -0.25}, hovermode="x unified",
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(128,128,128,0.08)", font={"color": "#888"},
    )  # fmt: skip
    return figure


# ------------------------------------------------------------------------------------- figure in space


def space_player(encoding: ClipEncoding, plotly_js_url: str, max_frames: int = 160) -> str:
    """HTML of a 3D figure that can be turned and played, and follows the video when a moment is clicked."""
    pose = encoding.pose3d
    keep = np.unique(np.linspace(0, len(pose) - 1, min(len(pose), max_frames)).astype(int))
    points = _centred(pose)[keep]
    times = pose.times_s[keep]
    frames = [go.Frame(data=_bones(pose, points[k], pose.confidence[keep[k]]), name=f"{t:.2f}")
              for k, t in enumerate(times)]  # fmt: skip
    figure = go.Figure(data=frames[0].data, frames=frames)
    low, high = np.nanmin(points, axis=(0, 1)), np.nanmax(points, axis=(0, 1))
    pad = 0.1
    axes = {
        f"{name}axis": {"range": [low[i] - pad, high[i] + pad], "showticklabels": False, "title": "",
                        "showbackground": name == "z", "backgroundcolor": "rgba(128,128,128,0.15)",
                        "gridcolor": "rgba(128,128,128,0.35)", "zeroline": False}
        for i, name in enumerate("xyz")
    }  # fmt: skip
    step_ms = 1000 * float(np.median(np.diff(times))) if len(times) > 1 else 40
    play = {"frame": {"duration": step_ms, "redraw": True}, "transition": {"duration": 0}, "fromcurrent": True}
    halt = {"frame": {"duration": 0}, "mode": "immediate"}
    figure.update_layout(
        scene=axes | {"aspectmode": "data", "camera": {"eye": {"x": 0.5, "y": -1.8, "z": 0.5}}},
        margin={"l": 0, "r": 0, "t": 0, "b": 0}, height=380, showlegend=False, paper_bgcolor="rgba(0,0,0,0)",
        updatemenus=[{"type": "buttons", "direction": "left", "x": 0, "y": 0, "buttons": [
            {"label": "▶", "method": "animate", "args": [None, play]},
            {"label": "❚❚", "method": "animate", "args": [[None], halt]}]}],
        sliders=[{"x": 0.2, "len": 0.78, "y": 0.08, "currentvalue": {"suffix": " s", "font": {"color": "#888"}},
                  "ticklen": 0, "minorticklen": 0, "font": {"color": "rgba(0,0,0,0)"}, "steps": [
            {"label": f.name, "method": "animate", "args": [[f.name], halt | {"transition": {"duration": 0}}]}
            for f in frames]}],
    )  # fmt: skip
    page = figure.to_html(include_plotlyjs=plotly_js_url, config={"displayModeBar": False}, div_id="figure")
    page = page.replace("</body>", f"<script>{FOLLOW % json.dumps([f.name for f in frames])}</script></body>")
    return f'<iframe class="space-player" title="3D figure" srcdoc="{html.escape(page, quote=True)}"></iframe>'


FOLLOW = """
const names = %s;
window.addEventListener('message', (event) => {
  if (typeof event.data?.seek_s !== 'number') return;
  const near = names.reduce((a, b) => Math.abs(b - event.data.seek_s) < Math.abs(a - event.data.seek_s) ? b : a);
  Plotly.animate('figure', [near], {mode: 'immediate', frame: {duration: 0, redraw: true}});
});
"""
"""Moves the figure to the moment the page asks for: the frame whose time is nearest. Takes the frames' names."""


def _centred(pose: Pose3D) -> np.ndarray:
    """[T, J, 3] in plotly's axes (x right, y away, z up), the floor position kept in the middle for long walks."""
    points = np.where(pose.confidence[..., None] > 0.1, pose.xyz_m, np.nan)
    middle = np.nan_to_num(np.nanmean(points, axis=1))
    travel = np.ptp(middle[:, [0, 2]], axis=0).max() if len(middle) else 0.0
    centre = middle if travel > 2.0 else np.broadcast_to(middle.mean(axis=0), middle.shape)
    return np.stack(
        [points[..., 0] - centre[:, None, 0], -(points[..., 2] - centre[:, None, 2]), points[..., 1]], axis=-1
    )


def _bones(pose: Pose3D, points: np.ndarray, confidence: np.ndarray) -> list[go.Scatter3d]:
    traces = []
    for colour in (LEFT, RIGHT, MIDDLE):
        line: list[list[float]] = []
        for parent, child in drawn_bones(pose.skeleton):
            sure = min(confidence[parent], confidence[child]) > 0.1
            if sure and side_colour(pose.skeleton.joints[child]) == colour:
                line += [*points[[parent, child]].round(3).tolist(), [np.nan] * 3]
        x, y, z = np.array(line or [[np.nan] * 3]).T
        rgb = f"rgb{colour if colour != MIDDLE else (150, 150, 150)}"
        traces.append(
            go.Scatter3d(x=x, y=y, z=z, mode="lines", line={"color": rgb, "width": 8}, hoverinfo="skip")
        )  # fmt: skip
    return traces


# -------------------------------------------------------------------------------------------- moments


def moment(fact: Fact, offset_s: float) -> str:
    """The address the page's script seeks to: start and end in seconds of the annotated video."""
    return seek(fact.start_s, fact.end_s, offset_s)


def seek(start_s: float, end_s: float, offset_s: float) -> str:
    """The same for a start and an end in seconds of the source."""
    return f"#t={max(0.0, start_s - offset_s):.2f},{max(0.0, end_s - offset_s):.2f}"


def answer_markdown(answer: Answer, offset_s: float) -> str:
    """The answer for the chat, with a chip per fact it speaks of; all it was given where it names none."""
    cited = [e for e in answer.evidence if e.cited] or list(answer.evidence)
    text = _escape_markdown(answer.text) or "*(no answer)*"
    chips = " ".join(
        f"[▶ {e.fact.start_s:.1f}–{e.fact.end_s:.1f} s · {_escape_markdown(_short(e.fact.text))}]"
        f"({moment(e.fact, offset_s)})"
        for e in cited
    )
    parts = [text]
    if chips:
        parts.append(chips)
    if answer.unmeasured:
        parts.append(f"⚠ *Not measured:* {', '.join(answer.unmeasured)}")
    if answer.basis and "estimated" in answer.basis and any(e.fact.unit in ("m", "m/s") for e in cited):
        parts.append("*Distances are estimated from one camera.*")
    if answer.finished == "stopped":
        parts.append("*Stopped.*")
    return "\n\n".join(parts)


def facts_html(encoding: ClipEncoding, offset_s: float, limit: int = 30) -> str:
    """Everything measured as a list of moments to click, most telling first, and what could not be judged."""
    rows = "".join(_item(f, offset_s) for f in encoding.report.facts[:limit])
    warnings = "".join(f"<li>{html.escape(w)}</li>" for w in (*encoding.report.warnings, *encoding.notes))
    measured = f'<ul class="facts">{rows}</ul>' + (f'<ul class="warnings">{warnings}</ul>' if warnings else "")
    return recognised_html(encoding, offset_s) + measured


def recognised_html(encoding: ClipEncoding, offset_s: float) -> str:
    """The recognised actions in order, each with a moment to click; nothing where no reader looked."""
    told = told_actions(encoding.reading, encoding.report) if encoding.reading else ()
    rows = "".join(_item(f, offset_s) for f in told)
    return f'<p>Recognised</p><ul class="facts">{rows}</ul><p>Measured</p>' if rows else ""


def _item(fact: Fact, offset_s: float) -> str:
    when = f"{fact.start_s:.1f}–{fact.end_s:.1f} s"
    return f'<li><a href="{moment(fact, offset_s)}">{when}</a> {html.escape(fact.text)}</li>'


def _short(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1].rsplit(" ", 1)[0] + "…"


def _escape_markdown(text: str) -> str:
    for mark in "\\`*_{}[]()#<>|$~":
        text = text.replace(mark, f"\\{mark}")
    return text


def plotly_js() -> Path:
    """The plotly script that ships with the library, to be served by the app itself."""
    import plotly

    return Path(plotly.__file__).parent / "package_data" / "plotly.min.js"

"""Small charts and figures as inline SVG: no script, nothing fetched, sharp in print."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from motionqa.assistant.coaching.findings import Finding, RepetitionRow
from motionqa.assistant.coaching.history import PastAssessment
from motionqa.data.schema import Pose3D
from motionqa.data.skeleton import H36M_17, convert

Array = np.ndarray
WIDTH = 680
INK, FAINT, FAULT, GOOD, OWN, OTHER = "#333", "#d8dbe2", "#c0392b", "#2e8b57", "#2f6fb3", "#e08a1e"


def signal_chart(
    times_s: Float[Array, "T"],
    values: Float[Array, "T"],
    table: Sequence[RepetitionRow],
    faults: Sequence[Finding],
    unit: str,
) -> str:
    """What the repetitions were counted on, each repetition shaded and numbered, fault moments marked."""
    height, pad = 150, 34
    x = _scale(times_s[0], times_s[-1], pad, WIDTH - 8)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    y = _scale(low, max(high, low + 1), height - 24, 14)
    parts = []
    for row in table:
        a, b = x(row.start_s), x(row.end_s)
        shade = "#f6dedb" if row.faults else "#dff0e5"
        parts.append(f'<rect x="{a:.1f}" y="10" width="{max(b - a, 1):.1f}" height="{height - 34}" fill="{shade}"/>')
        parts.append(_text((a + b) / 2, height - 26, str(row.number), "middle", 10))
    points = " ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in zip(times_s, values, strict=True) if np.isfinite(v))
    parts.append(f'<polyline points="{points}" fill="none" stroke="{OWN}" stroke-width="1.8"/>')
    for finding in faults:
        for moment in finding.moments:
            value = float(np.interp(moment.at_s, times_s, np.nan_to_num(values)))
            title = f"{finding.title}, {moment.at_s:.1f} s"
            parts.append(_dot(x(moment.at_s), y(value), FAULT, title))
    parts += [_text(pad - 5, y(v) + 3, f"{v:.0f}", "end", 10) for v in (low, high)]
    parts += [_text(x(t), height - 8, f"{t:.0f} s", "middle", 10) for t in np.linspace(times_s[0], times_s[-1], 6)]
    return _svg(WIDTH, height, parts, f"{unit} over time")


def progress_chart(past: Sequence[PastAssessment], name: str) -> str:
    """One value over a person's assessments, oldest left; empty where there are fewer than two."""
    points = [(a.taken_at[:10], m) for a in past for m in a.measured if m.name == name]
    if len(points) < 2:
        return ""
    width, height = 330, 110
    values = [m.value for _, m in points]
    x, y = (
        _scale(0, len(points) - 1, 34, width - 16),
        _scale(min(values), max(*values, min(values) + 1), height - 26, 24),
    )
    line = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(values))
    parts = [f'<polyline points="{line}" fill="none" stroke="{OWN}" stroke-width="1.8"/>']
    for i, (day, m) in enumerate(points):
        colour = FAULT if m.kind == "fault" else GOOD
        parts.append(_dot(x(i), y(m.value), colour, f"{day}: {m.value:.0f}"))
    last = points[-1][1]
    parts.append(_text(6, 13, f"{last.title}: {last.value:.0f} {last.unit} ({last.target})", "start", 11))
    parts += [_text(x(i), height - 8, points[i][0][5:], "middle", 10) for i in {0, len(points) - 1}]
    parts += [_text(29, y(v) + 3, f"{v:.0f}", "end", 10) for v in {min(values), max(values)}]
    return _svg(width, height, parts, last.title)


def figures(
    pose: Pose3D,
    frames: Sequence[int],
    captions: Sequence[str],
    marked: Sequence[str] = (),
    other: Pose3D | None = None,
    other_frames: Sequence[int] = (),
) -> str:
    """Skeletons at some frames side by side, marked joints red; a second body laid over each in another colour.

    A filmed body is shown as the camera sees it, motion capture from its own right front.
    """
    size = 128
    parts = []
    for k, (frame, caption) in enumerate(zip(frames, captions, strict=True)):
        centre = (size * (k + 0.5), 62.0)
        if other is not None:
            parts += _body(other, other_frames[k], centre, OTHER, ())
        parts += _body(pose, frame, centre, OWN, marked)
        parts.append(_text(centre[0], 136, caption, "middle", 10))
    return _svg(size * max(len(frames), 1), 142, parts, "skeletons")


def _body(pose: Pose3D, frame: int, centre: tuple[float, float], colour: str, marked: Sequence[str]) -> list[str]:
    part = slice(frame, frame + 1)
    xyz, confidence = convert(pose.xyz_m[part], pose.confidence[part], pose.skeleton, H36M_17)
    points = xyz[0] - xyz[0, 0]
    turn = 0.0 if pose.camera or pose.planar else _facing(points) - np.radians(60)
    flat = np.stack([points[:, 0] * np.cos(turn) - points[:, 2] * np.sin(turn), points[:, 1]], axis=1)
    spread = np.nanmax(np.abs(flat - (np.nanmax(flat, 0) + np.nanmin(flat, 0)) / 2))
    middle = (np.nanmax(flat, 0) + np.nanmin(flat, 0)) / 2
    scale = 56 / max(float(spread), 0.3)
    at = np.stack([centre[0] + (flat[:, 0] - middle[0]) * scale, centre[1] - (flat[:, 1] - middle[1]) * scale], axis=1)
    out = []
    for a, b in H36M_17.bones:
        if min(confidence[0, a], confidence[0, b]) > 0.15:
            hit = {H36M_17.joints[a], H36M_17.joints[b]} <= set(marked)
            out.append(
                f'<line x1="{at[a, 0]:.1f}" y1="{at[a, 1]:.1f}" x2="{at[b, 0]:.1f}" y2="{at[b, 1]:.1f}" '
                f'stroke="{FAULT if hit else colour}" stroke-width="{3.4 if hit else 2.2}" stroke-linecap="round"/>'
            )
    for joint in marked:
        if joint in H36M_17:
            j = H36M_17.index(joint)
            out.append(f'<circle cx="{at[j, 0]:.1f}" cy="{at[j, 1]:.1f}" r="4" fill="{FAULT}"/>')
    return out


def _facing(points: Float[Array, "17 3"]) -> float:
    left = points[H36M_17.index("left_hip")] - points[H36M_17.index("right_hip")]
    return float(np.arctan2(-left[2], left[0]))


def _scale(low: float, high: float, first: float, last: float):
    span = high - low or 1.0
    return lambda v: first + (last - first) * (v - low) / span


def _dot(x: float, y: float, colour: str, title: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.8" fill="{colour}"><title>{html.escape(title)}</title></circle>'


def _text(x: float, y: float, text: str, anchor: str, size: int) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {place} fill="{INK}">{html.escape(text)}</text>'


def _svg(width: int, height: int, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" '
        f'aria-label="{html.escape(title)}" font-family="sans-serif">{"".join(parts)}</svg>'
    )

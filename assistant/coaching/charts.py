"""Small charts and figures as inline SVG: no script, nothing fetched, sharp in print."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from motionqa.assistant.coaching.findings import Finding, RepetitionRow
from motionqa.assistant.coaching.history import PastAssessment
from motionqa.data.schema import Pose3D
from motionqa.data.skeleton import H36M_17, convert

Array = np.ndarray
WIDTH = 680
INK = "currentColor"
"""Text takes the page's colour, so that light, dark and print all work."""
FAULT, GOOD, OWN, OTHER = "#d0483a", "#2e9b5f", "#3d82cc", "#e08a1e"
Link = Callable[[float, float], str]
"""An address that shows the clip from a start to an end, in seconds."""


def timeline(
    times_s: Float[Array, "T"],
    values: Float[Array, "T"] | None,
    table: Sequence[RepetitionRow],
    faults: Sequence[Finding],
    unit: str,
    link: Link | None = None,
) -> str:
    """Every repetition shaded, red where it fails a check, and fault moments as dots, over what was counted.

    Without `values` (strides, holds) there are the repetitions alone. With `link` repetitions and dots lead to their
    moments.
    """
    height, pad = (150, 34) if values is not None else (74, 34)
    x = _scale(times_s[0], times_s[-1], pad, WIDTH - 12)
    parts = []
    for row in table:
        a, b = x(row.start_s), x(row.end_s)
        bar = f'<rect x="{a:.1f}" y="10" width="{max(b - a - 1, 1):.1f}" height="{height - 34}" '
        bar += f'fill="{FAULT if row.faults else GOOD}" fill-opacity="0.2"/>'
        bar += _text((a + b) / 2, height - 28, str(row.number), "middle", 10)
        parts.append(_linked(bar, link, row.start_s, row.end_s, f"repetition {row.number}"))
    dots, level = [], np.full(len(times_s), 0.5) if values is None else np.nan_to_num(values)
    low, high = (0.0, 1.0) if values is None else (float(np.nanmin(values)), float(np.nanmax(values)))
    y = _scale(low, max(high, low + 1), height - 24, 14)
    if values is not None:
        points = " ".join(f"{x(t):.1f},{y(v):.1f}" for t, v in zip(times_s, values, strict=True) if np.isfinite(v))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{OWN}" stroke-width="1.8" '
                     'pointer-events="none"/>')  # fmt: skip
        parts += [_text(pad - 5, y(v) + 3, f"{v:.0f}", "end", 10) for v in (low, high)]
    for finding in faults:
        for m in finding.moments:
            title = f"{finding.title}, {m.at_s:.1f} s"
            dot = _dot(x(m.at_s), y(float(np.interp(m.at_s, times_s, level))), FAULT, title)
            dots.append(_linked(dot, link, m.at_s - 0.5, m.at_s + 0.5, title))
    seconds = np.linspace(times_s[0], times_s[-1], 6)
    digits = 0 if seconds[-1] - seconds[0] > 8 else 1
    parts += [*dots, *(_text(x(t), height - 8, f"{t:.{digits}f} s", "middle", 10) for t in seconds)]
    return _svg(WIDTH, height, parts, f"repetitions: {unit} over time" if unit else "repetitions over time")


def _linked(part: str, link: Link | None, start_s: float, end_s: float, label: str) -> str:
    if link is None:
        return part
    return f'<a href="{link(start_s, end_s)}" aria-label="{html.escape(label)}">{part}</a>'


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

"""A critique as HTML for the chat page: words, a timeline and findings that lead to their moments, table, reference."""

from __future__ import annotations

import html

from motionqa.assistant.coaching.charts import Link
from motionqa.assistant.coaching.coach import DISCLAIMER, Critique
from motionqa.assistant.coaching.critique import Correction
from motionqa.assistant.coaching.findings import Finding
from motionqa.assistant.coaching.parts import (
    certainty,
    correction_lines,
    off_by,
    overlay,
    repetition_chart,
    table_header,
    table_rows,
)

MOST_CHIPS = 6
MOST_ROWS = 60
MARKS = {"fault": "✗", "good": "✓", "note": "•", "unjudged": "?"}
AROUND_S = 0.6
"""A chip plays from this long before its moment to this long after it."""


def critique_html(critique: Critique, link: Link) -> str:
    """The whole critique; `link` gives the address that shows a start and an end of the clip. The disclaimer is at
    the end, once."""
    word = {"hold": "", "gait": "stride"}.get(getattr(critique.assessment.exercise, "kind", ""), "repetition")
    corrections = "".join(_correction(c, link, word) for c in critique.corrections)
    parts = [
        f"<p>{_safe(critique.opening)}</p>",
        f'<ol class="corrections">{corrections}</ol>' if corrections else "",
        f"<p>{_safe(critique.praise)}</p>" if critique.praise else "",
        _repetitions(critique, link),
        _compared(critique),
        _findings(critique, link),
        f'<p class="faint">{_safe(critique.wording.sentence)} {_safe(DISCLAIMER)}</p>',
    ]
    return f'<div class="coach">{"".join(parts)}</div>'


def _correction(correction: Correction, link: Link, word: str) -> str:
    finding = correction.finding
    chips = ""
    for m in finding.moments[:MOST_CHIPS]:
        where = f"{word} {m.repetition}, " if word and finding.judged > 1 else ""
        chips += f'<a href="{link(m.at_s - AROUND_S, m.at_s + AROUND_S)}">▶ {where}{m.at_s:.1f} s</a>'
    more = len(finding.moments) - MOST_CHIPS
    lines = "".join(f"<p>{f'<b>{label}:</b> ' * bool(label)}{_safe(text)}</p>"
                    for label, text in correction_lines(correction))  # fmt: skip
    rest = f' <span class="faint">and {more} more</span>' if more > 0 else ""
    return (
        f'<li class="{finding.severity}"><b>{_safe(correction.title)}</b> '
        f'<span class="faint">{finding.severity} · {_safe(certainty(finding))}</span>'
        f'{lines}<p class="facts">{chips}{rest}</p></li>'
    )


def _repetitions(critique: Critique, link: Link) -> str:
    table = critique.assessment.table[:MOST_ROWS]
    if not table:
        return ""
    head = "".join(f"<th>{_safe(h)}</th>" for h in table_header(critique, table))
    rows = ""
    for row, cells in zip(table, table_rows(critique, table), strict=True):
        first = f'<td class="facts"><a href="{link(row.start_s, row.end_s)}">▶ {_safe(cells[0][0])}</a></td>'
        rest = "".join(f'<td class="{"bad" * bad}">{_safe(text)}</td>' for text, bad in cells[1:])
        rows += f"<tr>{first}{rest}</tr>"
    left_out = len(critique.assessment.table) - len(table)
    more = f'<p class="faint">{left_out} further rows are left out here.</p>' if left_out else ""
    timeline = f'<div class="wide timeline">{repetition_chart(critique, link)}</div>'
    return f'<h3>Repetitions</h3>{timeline}<div class="wide"><table><tr>{head}</tr>{rows}</table></div>{more}'


def _compared(critique: Critique) -> str:
    comparison = critique.comparison
    if comparison is None:
        return ""
    return (
        f"<h3>Against {_safe(comparison.reference.name)}</h3><p>{_safe(comparison.text)}</p>"
        f'<div class="wide">{overlay(critique)}</div>'
        '<p class="faint">Blue: this clip. Orange: the reference, at the same moment of the movement.</p>'
    )


def _findings(critique: Critique, link: Link) -> str:
    found = critique.assessment.findings
    if not found:
        return ""
    rows = "".join(f'<li class="{f.kind}">{MARKS[f.kind]} {_span(f, link)} {_safe(f.text + off_by(f))}</li>'
                   for f in found)  # fmt: skip
    return (
        f'<details><summary>Everything that was judged ({len(found)})</summary><ul class="facts">{rows}</ul></details>'
    )


def _span(finding: Finding, link: Link) -> str:
    address = link(finding.start_s, finding.end_s)
    return f'<a href="{address}">{finding.start_s:.1f}–{finding.end_s:.1f} s</a>'


def _safe(text: str) -> str:
    return html.escape(text)

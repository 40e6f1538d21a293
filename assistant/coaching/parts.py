"""Parts of a critique that the page and the report both show: timeline, table of repetitions, certainty, overlay."""

from __future__ import annotations

from collections.abc import Sequence

from motionqa.assistant.coaching.charts import Link, figures, timeline
from motionqa.assistant.coaching.coach import Critique
from motionqa.assistant.coaching.critique import Correction
from motionqa.assistant.coaching.findings import Finding, RepetitionRow
from motionqa.assistant.coaching.quantities import QUANTITIES
from motionqa.assistant.coaching.wording import shown


def repetition_chart(critique: Critique, link: Link | None = None) -> str:
    """The timeline of repetitions, strides or parts of a hold; empty where none was counted."""
    found = critique.assessment
    if not found.table:
        return ""
    unit = QUANTITIES[found.counted.quantity].unit if found.counted.quantity else ""
    return timeline(found.seen.m.body.times_s, found.counted.signal, found.table, found.of_kind("fault"), unit, link)


def certainty(finding: Finding) -> str:
    """How sure a finding is, in a word, and how far its value may be off."""
    sure = "sure" if finding.confidence >= 0.75 else "likely" if finding.confidence >= 0.5 else "unsure"
    return f"{sure}{off_by(finding)}"


def off_by(finding: Finding) -> str:
    """How far a value may be off, in brackets; empty where nothing is known of it."""
    if finding.uncertainty is None or finding.unit is None or finding.kind not in ("fault", "good"):
        return ""
    if finding.unit == "seconds":
        return f" (± {finding.uncertainty:.2f} seconds)"
    return f" (± {shown(finding.uncertainty, finding.unit)})"


def correction_lines(correction: Correction) -> list[tuple[str, str]]:
    """(label, text) of a correction's paragraphs: the template's with cue and drill apart, a model's words as one."""
    check = correction.finding.check
    if correction.source == "model" or check is None:
        return [("", correction.text)]
    said = correction.text.partition(" Cue: ")[0]
    return [("", said), ("Cue", check.cue), ("Drill", check.drill)]


def _columns(critique: Critique, table: Sequence[RepetitionRow]) -> list[Finding]:
    judged = [f for f in critique.assessment.findings if f.check and f.kind in ("fault", "good")]
    return [f for f in judged if any(f.id in row.values for row in table)]


def table_header(critique: Critique, table: Sequence[RepetitionRow]) -> list[str]:
    """Column names of the table of repetitions."""
    return ["No.", "from s", "to s", "out s", "back s", *(f"{f.title} ({f.unit})" for f in _columns(critique, table))]


def table_rows(critique: Critique, table: Sequence[RepetitionRow]) -> list[list[tuple[str, bool]]]:
    """(text, whether it fails its check) of every cell."""
    columns = _columns(critique, table)
    return [_cells(row, columns) for row in table]


def _cells(row: RepetitionRow, columns: Sequence[Finding]) -> list[tuple[str, bool]]:
    cells = [(f"{row.number}{' ' + row.side if row.side else ''}", False)]
    cells += [(f"{v:.1f}", False) for v in (row.start_s, row.end_s, row.out_s, row.back_s)]
    for f in columns:
        value = row.values.get(f.id)
        digits = 1 if f.unit == "seconds" else 0
        cells.append(("" if value is None else f"{value:.{digits}f}", f.id in row.faults))
    return cells


def overlay(critique: Critique) -> str:
    """Both skeletons at the same moments of the movement, the reference laid over the clip's own."""
    comparison = critique.comparison
    if comparison is None:
        return ""
    own, other = critique.assessment.encoding.pose3d, comparison.reference.pose3d
    mine, theirs = (list(frames) for frames in zip(*comparison.moments, strict=True))
    captions = [f"{own.times_s[a]:.1f} s | {other.times_s[b]:.1f} s" for a, b in comparison.moments]
    return figures(own, mine, captions, (), other, theirs)

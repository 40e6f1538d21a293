"""A critique as one HTML page that prints on one or two sheets: no script, nothing fetched, pictures inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motionqa.assistant.coaching.charts import figures, progress_chart, signal_chart
from motionqa.assistant.coaching.coach import Critique
from motionqa.assistant.coaching.critique import Correction
from motionqa.assistant.coaching.findings import Finding, RepetitionRow
from motionqa.assistant.coaching.history import PastAssessment
from motionqa.assistant.coaching.quantities import QUANTITIES
from motionqa.data.schema import InputError

MOST_ROWS = 20
MOST_PLOTS = 4


@dataclass(frozen=True)
class _Shown:
    """A correction with its pictures."""

    finding: Finding
    title: str
    text: str
    certainty: str
    figure: str
    still: str = ""


def report_html(critique: Critique, past: Sequence[PastAssessment] = (), stills: dict[str, str] | None = None) -> str:
    """The page. `past` are the person's assessments of the exercise; `stills` are data URIs by check id."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = critique.assessment
    page = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    exercise = found.exercise.title if found.exercise else "Movement"
    table = found.table[:MOST_ROWS]
    return page.get_template("report.html").render(
        title=f"{exercise}: {found.encoding.name}",
        subtitle=_subtitle(critique),
        critique=critique,
        corrections=[_shown(critique, c, stills or {}) for c in critique.corrections],
        chart=_chart(critique),
        header=_header(critique, table),
        table=[_row(critique, row) for row in table],
        findings=[f"{f.text}{_off(f)}" for f in found.findings],
        overlay=_overlay(critique),
        progress=[p for p in (progress_chart(past, n) for n in _followed(past)) if p][:MOST_PLOTS],
        basis=_basis(critique),
    )


def write_report(
    critique: Critique, target: Path, past: Sequence[PastAssessment] = (), stills: dict[str, str] | None = None
) -> Path:
    """Writes the page and returns its path. InputError where it can not be written."""
    try:
        target.write_text(report_html(critique, past, stills), encoding="utf-8")
    except OSError as error:
        raise InputError(f"The report {str(target)!r} can not be written ({error.strerror}).") from error
    return target


def _subtitle(critique: Critique) -> str:
    found = critique.assessment
    guess = found.guesses[0] if found.guesses and found.exercise else None
    how = (
        ""
        if guess is None
        else "named by you"
        if guess.named_by_user
        else f"recognised with confidence {guess.confidence:.2f}"
    )
    return " · ".join(x for x in (how, f"view: {found.sight.view}", f"{found.encoding.duration_s:.1f} s") if x)


def _shown(critique: Critique, correction: Correction, stills: dict[str, str]) -> _Shown:
    finding = correction.finding
    pose = critique.assessment.encoding.pose3d
    worst = finding.worst
    figure = ""
    if worst is not None:
        middle = int(np.abs(pose.times_s - worst.at_s).argmin())
        step = max(1, round(0.25 * pose.fps))
        frames = [int(np.clip(middle + d * step, 0, len(pose) - 1)) for d in (-1, 0, 1)]
        figure = figures(pose, frames, [f"{pose.times_s[k]:.1f} s" for k in frames], finding.joints)
    sure = "sure" if finding.confidence >= 0.75 else "likely" if finding.confidence >= 0.5 else "unsure"
    return _Shown(
        finding, correction.title, correction.text, f"{sure}{_off(finding)}", figure, stills.get(finding.id, "")
    )


def _off(finding: Finding) -> str:
    if finding.uncertainty is None or finding.unit is None or finding.kind not in ("fault", "good"):
        return ""
    digits = 2 if finding.unit == "seconds" else 0
    return f" (± {finding.uncertainty:.{digits}f} {finding.unit})"


def _chart(critique: Critique) -> str:
    found = critique.assessment
    if found.counted.signal is None or not found.table:
        return ""
    unit = QUANTITIES[found.counted.quantity].unit
    return signal_chart(found.seen.m.body.times_s, found.counted.signal, found.table, found.of_kind("fault"), unit)


def _columns(critique: Critique, table: Sequence[RepetitionRow]) -> list[Finding]:
    judged = [f for f in critique.assessment.findings if f.check and f.kind in ("fault", "good")]
    return [f for f in judged if any(f.id in row.values for row in table)]


def _header(critique: Critique, table: Sequence[RepetitionRow]) -> list[str]:
    return ["No.", "from s", "to s", "out s", "back s", *(f"{f.title} ({f.unit})" for f in _columns(critique, table))]


def _row(critique: Critique, row: RepetitionRow) -> list[tuple[str, bool]]:
    cells = [(f"{row.number}{' ' + row.side if row.side else ''}", False)]
    cells += [(f"{v:.1f}", False) for v in (row.start_s, row.end_s, row.out_s, row.back_s)]
    for f in _columns(critique, critique.assessment.table[:MOST_ROWS]):
        value = row.values.get(f.id)
        digits = 1 if f.unit == "seconds" else 0
        cells.append(("" if value is None else f"{value:.{digits}f}", f.id in row.faults))
    return cells


def _overlay(critique: Critique) -> str:
    comparison = critique.comparison
    if comparison is None:
        return ""
    own, other = critique.assessment.encoding.pose3d, comparison.reference.pose3d
    mine, theirs = (list(frames) for frames in zip(*comparison.moments, strict=True))
    captions = [f"{own.times_s[a]:.1f} s | {other.times_s[b]:.1f} s" for a, b in comparison.moments]
    return figures(own, mine, captions, (), other, theirs)


def _followed(past: Sequence[PastAssessment]) -> list[str]:
    """Values of the last assessment, faults first."""
    if not past:
        return []
    return [m.name for m in sorted(past[-1].measured, key=lambda m: m.kind != "fault")]


def _basis(critique: Critique) -> str:
    found = critique.assessment
    rules = f"Rules: {found.exercise.path.name}. " if found.exercise else ""
    checks = {f.check.source for f in found.findings if f.check and f.check.source != "our choice"}
    sources = f" Sources of thresholds: {'; '.join(sorted(checks))}. All others are our choice." if checks else ""
    return f"Measured from {found.encoding.pose3d.source}. {rules}{critique.wording.sentence}{sources}"

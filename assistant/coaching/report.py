"""A critique as one HTML page that prints on one or two sheets: no script, nothing fetched, pictures inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motionqa.assistant.coaching.charts import figures, progress_chart
from motionqa.assistant.coaching.coach import Critique
from motionqa.assistant.coaching.critique import Correction
from motionqa.assistant.coaching.findings import Finding
from motionqa.assistant.coaching.history import PastAssessment
from motionqa.assistant.coaching.parts import (
    certainty,
    correction_lines,
    off_by,
    overlay,
    repetition_chart,
    table_header,
    table_rows,
)
from motionqa.data.schema import InputError

MOST_ROWS = 20
MOST_PLOTS = 4


@dataclass(frozen=True)
class _Shown:
    """A correction with its pictures."""

    finding: Finding
    title: str
    lines: list[tuple[str, str]]
    """(label, text) of each paragraph."""
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
        chart=repetition_chart(critique),
        header=table_header(critique, table),
        table=table_rows(critique, table),
        left_out=len(found.table) - len(table),
        findings=[f"{f.text}{off_by(f)}" for f in found.findings],
        overlay=overlay(critique),
        progress=progress_plots(past),
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
    how = guess.how if guess else ""
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
    return _Shown(
        finding, correction.title, correction_lines(correction), certainty(finding), figure, stills.get(finding.id, "")
    )


def progress_plots(past: Sequence[PastAssessment]) -> list[str]:
    """A few plots of a person's values over time, those with faults first; none before the second assessment."""
    return [p for p in (progress_chart(past, n) for n in _followed(past)) if p][:MOST_PLOTS]


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

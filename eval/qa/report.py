"""One page, one table and one JSON file about a run: figures beside published ones, and what they leave out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from motionqa.eval.qa.judge import Judged
from motionqa.eval.qa.offline_judge import Agreement
from motionqa.eval.qa.predictions import write_whole
from motionqa.eval.qa.question import Benchmark, Prediction, Question
from motionqa.eval.qa.scoring import Figure, Scored
from motionqa.eval.qa.statistics import Comparison

TEMPLATE = Path(__file__).parent / "report.html"


@dataclass(frozen=True)
class Failure:
    """One of the worst answers, with the clip's strip of skeletons where it could be drawn."""

    question: Question
    prediction: Prediction
    score: float
    strip: str = ""
    """A `data:` address; empty where there is none."""
    why_no_strip: str = ""


@dataclass(frozen=True)
class Run:
    """Everything that a report is about."""

    benchmark: Benchmark
    scored: Scored
    manifest: Mapping[str, Any]
    blind: Mapping[str, Scored] = field(default_factory=dict)
    """Blind baselines on the same questions, by name."""
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)
    """This run against each blind baseline, by its name."""
    judged: tuple[Judged, ...] = ()
    offline: Agreement | None = None
    """How often the offline judge agrees with people, where it was used."""
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """One system's overall figure under one protocol."""

    system: str
    value: float
    interval: tuple[float, float] | None
    n: int | None
    source: str
    ours: bool = False


def lines_by_protocol(run: Run) -> dict[str, tuple[Line, ...]]:
    """Comparable figures together, best first: this run, its blind baselines and what was published."""
    name = run_name(run)
    found: dict[str, list[Line]] = {}
    for system, scored in ((name, run.scored), *run.blind.items()):
        for f in scored.table.figures:
            if f.kind == "overall":
                ours = scored is run.scored
                line = Line(system, f.value, f.interval, f.n, "this run" if ours else "blind, this command", ours)
                found.setdefault(f.protocol, []).append(line)
    for anchor in run.benchmark.anchors:
        line = Line(anchor.system, anchor.value, None, None, anchor.source)
        found.setdefault(anchor.protocol, []).append(line)
    return {p: tuple(sorted(lines, key=lambda li: -li.value)) for p, lines in found.items()}


def run_name(run: Run) -> str:
    """What the run is called in tables: its predictor and language model."""
    predictor = run.manifest.get("run", {}).get("predictor", {})
    return ", ".join(str(predictor[k]) for k in ("kind", "llm") if k in predictor) or "these predictions"


def rows(scored: Scored, protocol: str) -> tuple[Figure, ...]:
    """A protocol's figures below the overall one, in the table's order."""
    return tuple(f for f in scored.table.figures if f.protocol == protocol and f.kind != "overall")


def left_out(run: Run) -> tuple[str, ...]:
    """What the figures do not include, and why: a report without this list would be a claim."""
    table = run.scored.table
    found = [f"{len(table.missing)} questions have no prediction (partial run)"] if table.missing else []
    found += [f"{len(table.failed)} questions failed and are not scored"] if table.failed else []
    found += [f"not scored: {s}" for s in table.skipped]
    for judged in run.judged:
        if judged.failures or judged.unanswered or judged.stopped:
            found.append(
                f"{judged.judge} gave no verdict on {len(judged.failures)} answers and was not asked about "
                f"{judged.unanswered}" + (f"; stopped: {judged.stopped}" if judged.stopped else "")
            )
    return (*found, *table.notes, *run.notes)


# ------------------------------------------------------------------------------------------- markdown


def markdown(run: Run) -> str:
    """The run as one Markdown document with a table of figures."""
    table = run.scored.table
    out = [
        f"# {table.benchmark}, {table.split}: {run_name(run)}", "",
        f"{table.answered} of {table.questions} questions answered. 95 % intervals by bootstrap over clips. "
        "Figures of different protocols are not comparable.", "",
        "| protocol | system | figure | 95 % | questions | source |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for protocol, lines in lines_by_protocol(run).items():
        for li in lines:
            system = f"**{_cell(li.system)}**" if li.ours else _cell(li.system)
            n = "" if li.n is None else str(li.n)
            out.append(
                f"| {_cell(protocol)} | {system} | {li.value:.3f} | {_span(li.interval)} | {n} | {_cell(li.source)} |"
            )
    out += ["", "| protocol | row | figure | 95 % | questions |", "|---|---|---|---|---|"]
    for protocol in run.scored.scores:
        for f in rows(run.scored, protocol):
            row = f.row if f.kind == "type" else f"{f.row} ({f.kind})"
            out.append(f"| {_cell(protocol)} | {_cell(row)} | {f.value:.3f} | {_span(f.interval)} | {f.n} |")
    out += ["", *(f"- against {name}: {c.text()}" for name, c in run.comparisons.items())]
    out += [f"- {line}" for judged in run.judged for line in judged.text().splitlines()[:1]]
    out += [f"- {agreement_text(run.offline)}"] if run.offline else []
    out += ["", "Left out:", ""] + [f"- {_cell(line)}" for line in left_out(run) or ("nothing",)]
    return "\n".join(out) + "\n"


def agreement_text(found: Agreement) -> str:
    """One sentence about how far the offline judge is to be trusted."""
    return (
        f"The offline judge agrees with our labels on {found.value:.3f} of {found.n} pairs "
        f"[{found.interval[0]:.3f}, {found.interval[1]:.3f}]; its figures are comparable with nobody else's."
    )


def _span(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


# ----------------------------------------------------------------------------------------- page, JSON


def page(run: Run) -> str:
    """The run as one HTML page that needs no other file."""
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    protocols = {p: [f for f in rows(run.scored, p) if f.kind != "aggregate"] for p in run.scored.scores}
    return template.render(
        table=run.scored.table,
        name=run_name(run),
        lines=lines_by_protocol(run),
        protocols=protocols,
        aggregates=[f for f in run.scored.table.figures if f.kind == "aggregate"],
        blind={p: _blind_rows(run, p) for p in protocols},
        about={p.name: p.about for p in run.benchmark.protocols},
        run=run,
        left_out=left_out(run),
        offline=agreement_text(run.offline) if run.offline else "",
        manifest=json.dumps(run.manifest, indent=1, ensure_ascii=False, default=str),
    )


def _blind_rows(run: Run, protocol: str) -> dict[tuple[str, str], list[tuple[str, float]]]:
    """The blind baselines' figures by kind and row."""
    found: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for name, scored in run.blind.items():
        for f in rows(scored, protocol):
            found.setdefault((f.kind, f.row), []).append((name, f.value))
    return found


def machine_readable(run: Run) -> dict[str, Any]:
    """The run as plain values for JSON, pictures left out."""
    return {
        "name": run_name(run),
        "manifest": run.manifest,
        "table": asdict(run.scored.table),
        "blind": {name: asdict(s.table) for name, s in run.blind.items()},
        "comparisons": {name: asdict(c) | {"difference": c.difference} for name, c in run.comparisons.items()},
        "anchors": [asdict(a) for a in run.benchmark.anchors],
        "judged": [_judged(j) for j in run.judged],
        "offline_judge_agreement": asdict(run.offline) if run.offline else None,
        "worst": [
            {"id": f.question.id, "clip": f.question.clip, "question": f.question.text, "reference": f.question.answer,
             "answer": f.prediction.answer, "score": f.score} for f in run.failures
        ],
        "left_out": list(left_out(run)),
        "scores": run.scored.scores,
    }  # fmt: skip


def _judged(judged: Judged) -> dict[str, Any]:
    found = asdict(judged)
    del found["verdicts"]
    return found | {"given": len(judged.given), "failures": len(judged.failures), "mean_score": judged.mean_score}


def write_report(run: Run, out: Path) -> tuple[Path, Path, Path]:
    """Writes report.html, report.md and report.json, each in one step; returns their paths."""
    paths = out / "report.html", out / "report.md", out / "report.json"
    texts: Sequence[str] = (
        page(run),
        markdown(run),
        json.dumps(machine_readable(run), indent=1, ensure_ascii=False, default=str) + "\n",
    )
    for path, text in zip(paths, texts, strict=True):
        write_whole(path, text)
    return paths

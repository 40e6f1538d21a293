"""One row per measured figure: printed as a table, kept as `docs/benchmarks/NAME.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

RESULTS = Path("docs/benchmarks")


@dataclass(frozen=True)
class Row:
    """A figure, what it is measured on and beside, and what it should be."""

    id: str
    value: float | None
    unit: str
    interval: tuple[float, float] | None = None
    """Smallest and largest over repetitions, or a confidence interval where `split` says so."""
    baselines: dict[str, float] = field(default_factory=dict)
    goal: str = ""
    split: str = ""
    """What it was measured on."""
    command: str = ""


def median_row(id: str, values: Sequence[float], unit: str, **rest: object) -> Row:
    """The median of repeated measurements with their range."""
    interval = (round(float(np.min(values)), 4), round(float(np.max(values)), 4))
    return Row(id, round(float(np.median(values)), 4), unit, interval, **rest)  # type: ignore[arg-type]


def publish(name: str, rows: Sequence[Row], folder: Path = RESULTS) -> Path:
    """Prints the table and writes the JSON file; returns its path."""
    width = max(len(r.id) for r in rows)
    for r in rows:
        value = "-" if r.value is None else f"{r.value:,.3g}" if abs(r.value) < 1000 else f"{r.value:,.0f}"
        spread = f"[{r.interval[0]:.3g}, {r.interval[1]:.3g}]" if r.interval else ""
        beside = ", ".join(f"{k} {v:.3g}" for k, v in r.baselines.items())
        print(f"{r.id:{width}}  {value:>9} {r.unit:12} {spread:18} {r.goal:12} {beside}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    return path


def published(name: str, folder: Path = RESULTS) -> dict[str, Row]:
    """The rows of the last run by id, for a run that measures some of them again; empty before the first."""
    path = folder / f"{name}.json"
    if not path.exists():
        return {}
    rows = json.loads(path.read_text())
    return {r["id"]: Row(**{**r, "interval": r["interval"] and tuple(r["interval"])}) for r in rows}

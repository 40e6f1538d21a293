"""Exercises read from TOML files, each mistake named with file, line and field; the other files still work.

`exercises/FORMAT.md` explains the format to coaches.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

from motionqa.assistant.coaching.exercise import Bounds, Check, Exercise, RepetitionRule, Rules
from motionqa.assistant.coaching.quantities import QUANTITIES
from motionqa.assistant.coaching.rule_file import Table, read_tables
from motionqa.assistant.coaching.view import FILMED
from motionqa.data.schema import InputError

FOLDER = Path(__file__).parent.parent / "exercises"
KINDS = ("repetitions", "hold", "gait")
PHASES = ("start", "out", "turn", "back", "whole", "contact")
SIDES = ("both", "worst", "left", "right", "lead", "rear", "difference", "working", "whole")
STATISTICS = ("mean", "max", "min", "range", "median")
SEVERITIES = ("major", "moderate", "minor")
COUNTED = ("both", "most", "each")


def load_rules(*folders: Path) -> Rules:
    """All rule files of the project's folder and of further ones; a later file of the same exercise replaces it.

    InputError where a named folder does not exist. Broken files are listed as problems.
    """
    found: dict[str, Exercise] = dict(_own_rules().exercises)
    problems = list(_own_rules().problems)
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"There is no folder of exercises {str(folder)!r}.")
        rules = _read_folder(folder)
        found |= rules.exercises
        problems += rules.problems
    return Rules(found, tuple(problems))


@cache
def _own_rules() -> Rules:
    return _read_folder(FOLDER)


def _read_folder(folder: Path) -> Rules:
    found: dict[str, Exercise] = {}
    problems = []
    for path in sorted(folder.glob("*.toml")):
        try:
            exercise = read_exercise(path)
            found[exercise.name] = exercise
        except InputError as error:
            problems.append(str(error))
    return Rules(found, tuple(problems))


# ------------------------------------------------------------------------------------------- reading


def read_exercise(path: Path) -> Exercise:
    """The exercise in a rule file. InputError naming file, line and field."""
    top, tables = read_tables(path)
    top.only("name", "title", "noun", "plural", "kind", "film", "actions", "evident")
    for name, group in tables.items():
        if name not in ("repetition", "during", "phases", "recognise", "check"):
            raise group[0].wrong(
                name, "there is no such table; expected repetition, during, phases, recognise or check"
            )
    kind = top.text("kind", choices=KINDS)
    repetition = _repetition(top, tables) if kind == "repetitions" else None
    checks = tuple(_check(t) for t in tables.get("check", []))
    if not checks:
        raise top.wrong("check", "the exercise has no check; add at least one [[check]]")
    ids = [c.id for c in checks]
    for table, i in zip(tables["check"], ids, strict=True):
        if ids.count(i) > 1:
            raise table.wrong("id", f"two checks are called {i!r}")
    recognise = tuple(_bounds(t) for t in tables.get("recognise", []))
    if not recognise:
        raise top.wrong("recognise", "nothing tells the exercise from others; add at least one [[recognise]]")
    phases = tables["phases"][0] if "phases" in tables else Table(path, "phases", {}, 1, {})
    phases.only(*PHASES)
    return Exercise(
        name=top.text("name"), title=top.text("title"), noun=top.text("noun"), plural=top.text("plural"), kind=kind,
        film=top.text("film"), repetition=repetition, phases={p: phases.text(p) for p in phases.values},
        recognise=recognise, checks=checks, path=path, actions=top.texts("actions"),
        evident=top.flag("evident", False),
    )  # fmt: skip


def _repetition(top: Table, tables: dict[str, list[Table]]) -> RepetitionRule:
    if "repetition" not in tables:
        raise top.wrong("repetition", "is missing; add a [repetition] table")
    table = tables["repetition"][0]
    table.only("quantity", "counted", "turn", "least", "steps", "shortest_s", "instead")
    during = tuple(_bounds(t) for t in tables.get("during", []))
    rule = _counting(table, during)
    if "instead" not in table.values:
        return rule
    if not isinstance(table.values["instead"], dict):
        raise table.wrong("instead", 'expected {quantity = "...", turn = "low", least = 10}')
    line = table.lines.get("instead", table.line)
    inner = Table(table.path, "repetition.instead", table.values["instead"], line, {})
    inner.only("quantity", "counted", "turn", "least", "steps", "shortest_s")
    return replace(rule, instead=_counting(inner, during))


def _counting(table: Table, during: tuple[Bounds, ...]) -> RepetitionRule:
    quantity = _quantity(table)
    least = table.number("least")
    if least <= 0:
        raise table.wrong("least", f"expected a number above 0, got {least:g}")
    return RepetitionRule(
        quantity, table.text("counted", "both", choices=COUNTED), table.text("turn", "high", choices=("high", "low")),
        least, table.flag("steps", False), table.number("shortest_s", 0.25), during,
    )  # fmt: skip


def _quantity(table: Table, *, over_time: bool = True) -> str:
    name = table.text("quantity")
    known = tuple(q for q, v in QUANTITIES.items() if v.measure is not None or not over_time)
    if name not in known:
        near = [k for k in known if any(w in k for w in name.split("_"))]
        raise table.wrong("quantity", f"{name!r} can not be measured here; known are {', '.join(near or known)}")
    return name


def _bounds(table: Table) -> Bounds:
    table.only("quantity", "statistic", "side", "range")
    a, b, c, d = table.numbers("range", 4)
    return Bounds(
        _quantity(table), table.text("statistic", "median", choices=STATISTICS),
        table.text("side", "both", choices=("both", "most", "least", "difference", "working")), (a, b, c, d),
    )  # fmt: skip


def _with_places(table: Table, field: str, *places: str) -> str:
    text = table.text(field, "")
    left = re.sub(r"\{(value|least|most)\}", "", text)
    needed = "{value}" in places and text
    if (needed and "{value}" not in text) or "{" in left or "}" in left:
        raise table.wrong(
            field, f"may hold {' and '.join(places)} in braces and no others" + (", and must" * bool(needed))
        )
    return text


_TEXTS = ("title", "part", "reading", "fault", "good", "cause", "why", "cue", "drill", "coordination", "source")


def _check(table: Table) -> Check:
    table.only("id", "quantity", "side", "phase", "statistic", "at_least", "at_most", "tolerance", "severity", "views",
               "reading_minus", "goal", *_TEXTS)  # fmt: skip
    low, high = (table.number(f) if f in table.values else None for f in ("at_least", "at_most"))
    if low is None and high is None:
        raise table.wrong("at_least", "a check needs a target: at_least, at_most or both")
    if low is not None and high is not None and low >= high:
        raise table.wrong("at_most", f"must be above at_least {low:g}, got {high:g}")
    tolerance = table.number("tolerance")
    if tolerance < 0:
        raise table.wrong("tolerance", f"expected 0 or more, got {tolerance:g}")
    texts = {f: table.text(f) for f in _TEXTS}
    _with_places(table, "reading", "{value}")
    if any(c.isdigit() for f in ("fault", "good", "cause", "why", "coordination") for c in texts[f]):
        field = next(f for f in ("fault", "good", "cause", "why", "coordination") if any(c.isdigit() for c in texts[f]))
        raise table.wrong(
            field, "holds a number, which nobody would have measured; say it in words or leave it to reading"
        )
    quantity = _quantity(table, over_time=False)
    side = table.text("side", "both", choices=SIDES)
    if side not in ("both", "whole") and not QUANTITIES[quantity].sided:
        raise table.wrong("side", f"{quantity} has no left and right; leave the side out")
    return Check(
        id=table.text("id"), quantity=quantity, side=side, phase=table.text("phase", "whole", choices=PHASES),
        statistic=table.text("statistic", "mean", choices=STATISTICS), at_least=low, at_most=high, tolerance=tolerance,
        severity=table.text("severity", choices=SEVERITIES), views=table.words("views", FILMED, FILMED),
        reading_minus=_with_places(table, "reading_minus", "{value}"),
        goal=_with_places(table, "goal", "{least}", "{most}"),
        **texts,
    )  # fmt: skip

"""`motionqa doctor`: what is missing, miscounted or damaged in a benchmark's folder, before hours are spent on it.

Fast by default: json files are read, of every clip only the headers. `deep` decodes every array and frame. Nothing
stops the check: each broken file is one more line in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from motionqa.data.schema import InputError
from motionqa.data.video import VIDEO_SUFFIXES
from motionqa.eval.qa import activitynet_qa, babel_qa, humman_qa, movid_bench, mvbench
from motionqa.eval.qa.babel_segments import read_durations
from motionqa.eval.qa.clip_health import MOTION_SUFFIXES, clip_fault, stated_seconds
from motionqa.eval.qa.official_files import EXAMPLES, FileIndex
from motionqa.eval.qa.question import Benchmark
from motionqa.eval.qa.registry import read_benchmark

Level = Literal["ok", "warning", "error"]
Progress = Callable[[str, int, int], object]
"""Called with what is being checked, files done and files in all."""

# A benchmark is taken to be in a folder when one of its question files is.
_SIGNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "babel_qa": (babel_qa.SPLITS, ("BABELQA_{}.json",)),
    "humman_qa": (humman_qa.SPLITS, ("HuMMan_{}.json",)),
    "activitynet_qa": (activitynet_qa.SPLITS, ("{}_q.json", "{}_a.json")),
    "movid_bench": (movid_bench.SPLITS, ("movid_bench_{}.json",)),
    "mvbench_human": (("test",), tuple(f"{p}{t.file}" for t in mvbench.SEVEN for p in ("", "json/"))),
}


DURATION_TOLERANCE_S = 0.1
"""How far an AMASS file may be from BABEL's `dur`: a few frames. Ours."""


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    level: Level
    where: str
    what: str
    count: int = 0
    examples: tuple[str, ...] = ()

    def text(self) -> str:
        """The line, with its examples."""
        shown = "; ".join(self.examples) + ("; …" if self.count > len(self.examples) else "")
        return f"{self.level:8}{self.where}: {self.what}" + (f" ({shown})" if self.examples else "")


@dataclass(frozen=True)
class Health:
    """Everything found in a folder."""

    folder: Path
    findings: tuple[Finding, ...]
    deep: bool

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What keeps a run from being complete."""
        return tuple(f for f in self.findings if f.level == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What differs from the official release, or may matter."""
        return tuple(f for f in self.findings if f.level == "warning")

    @property
    def ok(self) -> bool:
        return not self.errors

    def text(self) -> str:
        """The report for a terminal."""
        how = "every frame decoded" if self.deep else "headers only; --deep decodes everything"
        end = f"{len(self.errors)} errors, {len(self.warnings)} warnings ({how})"
        return "\n".join([f"{self.folder}", *(f.text() for f in self.findings), end])


def check_data(data: Path, deep: bool = False, progress: Progress = lambda *_: None) -> Health:
    """The health of a folder with official files: every benchmark that is found in it, or a bare AMASS or video tree.

    InputError only where the folder itself is not there.
    """
    if not data.is_dir():
        raise InputError(f"{data} is no folder; give the folder that holds the official files")
    findings: list[Finding] = []
    checked: dict[Path, str] = {}
    found = [name for name, (splits, files) in _SIGNS.items() if any(_there(data, splits, files))]
    for name in found:
        findings += _check_benchmark(data, name, deep, progress, checked)
    if "babel_qa" in found:
        findings += [*_check_babel_extras(data), *_check_durations(data)]
    findings += _check_rest(data, deep, progress, checked, bool(found))
    return Health(data, tuple(findings), deep)


def _there(data: Path, splits: tuple[str, ...], files: tuple[str, ...]) -> Iterator[bool]:
    return ((data / f.format(s)).is_file() for s in splits for f in files)


# ------------------------------------------------------------------------------------------------ benchmarks


def _check_benchmark(
    data: Path, name: str, deep: bool, progress: Progress, checked: dict[Path, str]
) -> Iterator[Finding]:
    splits, files = _SIGNS[name]
    for split in splits:
        where = f"{name} {split}"
        if not any(_there(data, (split,), files)):
            yield Finding("warning", where, f"no {' or '.join(f.format(split) for f in files[:2])}")
            continue
        try:
            benchmark = read_benchmark(name, data, split)
        except InputError as error:
            yield Finding("error", where, str(error))
            continue
        yield Finding("ok", where, f"{len(benchmark.questions)} questions on {len(_clips(benchmark))} clips")
        yield from (Finding("warning", where, note) for note in benchmark.notes)
        if not benchmark.training and "train" in splits:
            yield Finding("warning", where, "no training questions there, so no blind baselines")
        yield from _check_clips(benchmark, where, deep, progress, checked)


def _clips(benchmark: Benchmark) -> list[str]:
    return list(dict.fromkeys(q.clip for q in benchmark.questions))


def _check_clips(
    benchmark: Benchmark, where: str, deep: bool, progress: Progress, checked: dict[Path, str]
) -> Iterator[Finding]:
    missing: dict[str, str] = {}
    faults: list[str] = []
    asking = {q.clip: q for q in benchmark.questions}
    for done, (clip, question) in enumerate(asking.items()):
        progress(where, done, len(asking))
        try:
            file = benchmark.clip_file(question)
        except InputError as error:
            missing[clip] = str(error)
            continue
        if file.path not in checked:
            checked[file.path] = clip_fault(file.path, deep)
        if checked[file.path]:
            faults.append(f"{file.path.name}: {checked[file.path]}")
    if missing:
        lost = sum(q.clip in missing for q in benchmark.questions)
        what = f"{len(missing)} of {len(asking)} clips missing, {lost} of {len(benchmark.questions)} questions lost"
        yield Finding("error", where, what, len(missing), tuple(missing)[:EXAMPLES])
        yield Finding("error", where, f"the first: {next(iter(missing.values()))}")
    if faults:
        yield Finding("error", where, f"{len(faults)} clips damaged", len(faults), tuple(faults[:EXAMPLES]))
    if not missing and not faults:
        yield Finding("ok", where, f"all {len(asking)} clips there")


def _check_babel_extras(data: Path) -> Iterator[Finding]:
    """The mapping against the AMASS tree by data set, and the body model."""
    amass = data / "amass"
    try:
        paths = babel_qa.read_mapping(data)
    except InputError as error:
        yield Finding("error", "amass_to_babel.json", str(error))
        return
    if not paths:
        yield Finding("warning", "amass_to_babel.json", "not there: only prepared motion_sequences can be found")
        return
    if not amass.is_dir():
        prepared = (data / "motion_sequences").is_dir()
        yield Finding("warning" if prepared else "error", "amass", "no folder amass with the AMASS tree")
        return
    by_set: dict[str, list[str]] = {}
    absent: dict[str, list[str]] = {}
    for path in paths.values():
        name = path.partition("/")[0]
        by_set.setdefault(name, []).append(path)
        if not any(p.is_file() for p in babel_qa.amass_places(amass, path)):
            absent.setdefault(name, []).append(path)
    for name, lost in sorted(absent.items()):
        what = f"{len(lost)} of {len(by_set[name])} sequences of BABEL missing (not all are asked about)"
        yield Finding("warning", f"amass/{name}", what, len(lost), tuple(lost[:EXAMPLES]))
    if not any((data / folder).is_dir() for folder in babel_qa.MODEL_FOLDERS):
        what = f"no body model: AMASS holds parameters; put SMPL-H into {data / babel_qa.MODEL_FOLDERS[0]}"
        yield Finding("error", "body model", what)


def _check_durations(data: Path) -> Iterator[Finding]:
    """BABEL's `dur` against the length of each AMASS file: another release or a wrong rate shifts every moment."""
    try:
        durations, paths = read_durations(data), babel_qa.read_mapping(data)
    except InputError as error:
        yield Finding("error", "BABEL's dur", str(error))
        return
    checked, differ = 0, []
    for babel_id in durations.keys() & paths.keys():
        file = next((p for p in babel_qa.amass_places(data / "amass", paths[babel_id]) if p.is_file()), None)
        if file is None or clip_fault(file):
            continue  # missing and damaged files are in the report already
        seconds = stated_seconds(file)
        checked += 1
        if seconds is None or abs(seconds - durations[babel_id]) > DURATION_TOLERANCE_S:
            length = "no length" if seconds is None else f"{seconds:.2f} s"
            differ.append(f"{babel_id}: {length} in {file.name}, {durations[babel_id]:.2f} s in BABEL")
    differ.sort()
    if differ:
        what = f"{len(differ)} of {checked} motions are not as long as BABEL says"
        yield Finding("warning", "BABEL's dur", what, len(differ), tuple(differ[:EXAMPLES]))
    elif checked:
        yield Finding("ok", "BABEL's dur", f"that of {checked} motions is the length of their AMASS file")


# ------------------------------------------------------------------------------------------ whatever else is there


def _check_rest(data: Path, deep: bool, progress: Progress, checked: dict[Path, str], known: bool) -> Iterator[Finding]:
    """Clips that no question asks about: all of them in a bare tree."""
    for what, suffixes in (("motion files", MOTION_SUFFIXES), ("videos", VIDEO_SUFFIXES)):
        every = [p for paths in FileIndex(data, suffixes).found.values() for p in paths]
        rest = [p for p in every if p not in checked and p.name != "shape.npz"]  # AMASS has one beside each subject's
        where = f"other {what}" if known else what
        faults = [f"{p.relative_to(data)}: {f}" for p, f in _faults(rest, where, deep, progress)]
        if faults:
            level: Level = "warning" if known else "error"
            summary = f"{len(faults)} of {len(rest)} damaged"
            yield Finding(level, where, summary, len(faults), tuple(faults[:EXAMPLES]))
        elif rest:
            yield Finding("ok", where, f"{len(rest)} can be opened")
        checked.update(dict.fromkeys(rest, ""))
    if not known and not checked:
        yield Finding("error", str(data), "neither a benchmark's question files nor motion files nor videos are here")


def _faults(files: Iterable[Path], where: str, deep: bool, progress: Progress) -> Iterator[tuple[Path, str]]:
    listed = list(files)
    for done, path in enumerate(listed):
        progress(where, done, len(listed))
        if fault := clip_fault(path, deep):
            yield path, fault

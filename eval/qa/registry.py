"""Every benchmark by name, and how its folder is read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from motionqa.data.schema import InputError
from motionqa.eval.qa.activitynet_qa import read_activitynet_qa
from motionqa.eval.qa.babel_qa import read_babel_qa
from motionqa.eval.qa.humman_qa import read_humman_qa
from motionqa.eval.qa.motion_qa import read_motion_qa
from motionqa.eval.qa.movid_bench import read_movid_bench
from motionqa.eval.qa.mvbench import PLUS, SEVEN, read_mvbench
from motionqa.eval.qa.question import Benchmark

READERS: dict[str, Callable[[Path, str], Benchmark]] = {
    "babel_qa": read_babel_qa,
    "humman_qa": read_humman_qa,
    "activitynet_qa": read_activitynet_qa,
    "movid_bench": read_movid_bench,
    "mvbench_human": read_mvbench,
    "mvbench_human_plus": partial(read_mvbench, tasks=SEVEN + PLUS),
    "motion_qa": read_motion_qa,
}


def read_benchmark(name: str, data: Path, split: str = "test") -> Benchmark:
    """A split of a benchmark. InputError for an unknown name, a missing folder, or whatever is wrong with its files."""
    if name not in READERS:
        raise InputError(f"there is no benchmark {name!r}, expected one of {', '.join(READERS)}")
    if not data.is_dir():
        raise InputError(f"{data} is no folder; give the folder that holds the official files of {name} with --data")
    return READERS[name](data, split)

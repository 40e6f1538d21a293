"""How fast the assistant answers beside the bare base model on a prompt of the same length; rows of motion_qa's table.

python -m motionqa.eval.motion_qa_speed
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import tyro

from motionqa.eval.bench_chat import chat, make_clip
from motionqa.eval.benchmark import median_row, publish, published

COMMAND = "python -m motionqa.eval.motion_qa_speed"


def main(repetitions: int = 3) -> None:
    """Prints both ratios, medians over repetitions, and adds them to `docs/benchmarks/motion_qa.json`."""
    with tempfile.TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "clip.mp4")
        runs = [chat(clip) for _ in range(repetitions)]
    first = [r["first token of the follow-up"] / r["bare first token"] for r in runs]
    rate = [r["tokens/s"] / r["bare tokens/s"] for r in runs]
    split = f"drawn person of 10 s, prompt of {runs[0]['prompt tokens']:.0f} tokens; range over {repetitions} runs"
    rows = published("motion_qa")
    for name, values, goal in (
        ("first token of a follow-up / bare generate", first, "<= 1.2"),
        ("tokens per second / bare generate", rate, ">= 0.95"),
    ):
        rows[name] = median_row(name, values, "ratio", goal=goal, split=split, command=COMMAND)
    publish("motion_qa", list(rows.values()))


if __name__ == "__main__":
    tyro.cli(main)

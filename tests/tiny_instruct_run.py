"""A tiny tuning run for `torchrun`: `tiny_instruct_run ROWS OUT CLIPS PROCESSES` trains and checks how many it is."""

from __future__ import annotations

import sys
from pathlib import Path

from accelerate import PartialState

from motionqa.finetune.instruct_batches import Mixture, tune_loop
from motionqa.finetune.train_instruct import InstructConfig, train
from motionqa.tests.assistant_models import tiny_assistant


def main(rows: str, out: str, clips: str, processes: str) -> None:
    """Six steps with nothing dropped out."""
    state = PartialState(cpu=True)
    assert state.num_processes == int(processes), f"{state.num_processes} processes run, expected {processes}"
    loop = tune_loop(6, learning_rate=1e-2, warmup=1, log_every=1, save_every=6)
    train(InstructConfig(Path(rows), Path(out), mixture=Mixture(int(clips), 2), loop=loop), tiny_assistant())


if __name__ == "__main__":
    main(*sys.argv[1:])

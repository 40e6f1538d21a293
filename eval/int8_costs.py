"""What int8 weights bring and cost: sizes and rates beside the usual precision, and how many answers change.

    OMP_NUM_THREADS=1 python -m motionqa.eval.int8_costs --data MOTION_QA

Times are of one core and of the process alone, so that a busy machine changes them little; both take turns.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from jaxtyping import Float
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from motionqa.assistant.int8 import check_int8, to_int8
from motionqa.assistant.llm import load_llm
from motionqa.assistant.session import Engine, load_engine
from motionqa.assistant.tuned import TunedModel
from motionqa.encoders.device import best_device, computed
from motionqa.eval.bench_motion_qa import evenly, scored
from motionqa.eval.qa.motion_qa import read_motion_qa
from motionqa.eval.qa.predictors import AnswerConfig, AssistantPredictor
from motionqa.eval.qa.question import Benchmark, Prediction

PROMPT, REPLY = 200, 24
"""Tokens."""


def wide_base(layers: int = 6) -> PreTrainedModel:
    """A random Llama of 2048 wide layers, as models of 1 B parameters have them; fewer of them."""
    config = LlamaConfig(
        vocab_size=32000, hidden_size=2048, intermediate_size=8192, num_hidden_layers=layers, num_attention_heads=32,
        num_key_value_heads=8, tie_word_embeddings=True,
    )  # fmt: skip
    return LlamaForCausalLM(config).to(dtype=best_device()[1]).eval()  # type: ignore[call-overload]


@computed
def beside(exact: PreTrainedModel, rounded: PreTrainedModel, repetitions: int) -> None:
    """Prints sizes, and medians [range] over repetitions of the int8 model's times beside the other's."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    _times(rounded)
    print(f"  first reply, compiling included: {time.perf_counter() - started:.0f} s")
    _times(exact)
    pairs = np.array([[_times(m) for m in (exact, rounded)] for _ in range(repetitions)])
    print(f"  weights {_mib(exact):.0f} MiB, in int8 {_mib(rounded):.0f} MiB")
    for k, what in enumerate((f"prompt of {PROMPT} tokens, seconds", "a further token, seconds")):
        ratio = pairs[:, 1, k] / pairs[:, 0, k]
        medians = " and in int8 ".join(f"{m:.4f}" for m in np.median(pairs[:, :, k], axis=0))
        print(f"  {what}: {medians}; ratio {np.median(ratio):.2f} [{ratio.min():.2f}, {ratio.max():.2f}]", flush=True)


def _times(model: PreTrainedModel) -> Float[np.ndarray, "2"]:
    """Seconds of one core for the prompt with the first token, and for each further one."""
    ids = torch.arange(PROMPT)[None] + 100
    spent = []
    for length in (1, REPLY):
        started = time.process_time()
        with torch.inference_mode():
            model.generate(  # type: ignore[operator]
                input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=length,
                min_new_tokens=length,
            )  # fmt: skip
        spent.append(time.process_time() - started)
    return np.array([spent[0], (spent[1] - spent[0]) / (REPLY - 1)])


def _mib(model: nn.Module) -> float:
    kept: list[Any] = list(model.parameters())
    parts = [t for p in kept for t in ((p.qdata, p.scale) if hasattr(p, "qdata") else (p,))]
    return sum(t.numel() * t.element_size() for t in parts) / 2**20


def answers(engine: Engine, benchmark: Benchmark, work: Path) -> Sequence[Prediction]:
    """The chat's answers, in the benchmark's order."""
    predictor = AssistantPredictor(engine, work, AnswerConfig(max_new_tokens=40))
    found, clip, ask = [], "", None
    for question in benchmark.questions:
        if ask is None or question.clip != clip:
            ask, clip = predictor.look_at(benchmark.clip_file(question)), question.clip
        found.append(replace(ask(question), id=question.id))
    return found


def agreement(engine: Engine, rounded: TunedModel, benchmark: Benchmark, work: Path) -> None:
    """Prints both scores on a benchmark's questions, and how many answers are the same."""
    before, after = (answers(e, benchmark, work) for e in (engine, replace(engine, llm=rounded)))
    same = np.mean([a.answer == b.answer for a, b in zip(before, after, strict=True)])
    one, two = (scored(benchmark, given) for given in (before, after))
    changed = sum(one.scores[k] != two.scores[k] for k in one.scores)
    print(
        f"  {len(before)} questions: exact {one.mean():.3f}, in int8 {two.mean():.3f}; the same answer {same:.3f}; "
        f"{changed} became right or wrong"
    )


def main(data: Path | None = None, questions: int = 200, repetitions: int = 7, work: Path = Path("runs/int8")) -> None:
    """Prints the comparison.

    Args:
        data: the motion_qa folder; without it no answers are compared
        questions: how many of them, evenly drawn
        repetitions: of the times
        work: folder for clips cut to what a benchmark asks about
    """
    check_int8(best_device()[0])
    engine, rounded = load_engine(), load_llm(precision="int8")
    assert isinstance(engine.llm, TunedModel)
    assert isinstance(rounded, TunedModel)
    print(f"{engine.llm.name}:")
    beside(engine.llm.model.base, rounded.model.base, repetitions)
    if data is not None:
        agreement(engine, rounded, evenly(read_motion_qa(data), questions), work)
    wide = wide_base()
    small = copy.deepcopy(wide)
    computed(to_int8)(small)
    print(f"a random Llama, 2048 wide, {sum(p.numel() for p in wide.parameters()) / 1e6:.0f} M parameters:")
    beside(wide, small, repetitions)


if __name__ == "__main__":
    tyro.cli(main)

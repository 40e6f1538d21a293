"""Where networks run, in which precision, and in which thread."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    import torch

P = ParamSpec("P")
T = TypeVar("T")


def best_device() -> tuple[str, torch.dtype]:
    """("cuda", bfloat16) where there is one; else the CPU, in bfloat16 where its processor computes it natively."""
    import torch

    if torch.cuda.is_available():
        return "cuda", torch.bfloat16
    native = "avx512_bf16" in _cpu_flags() or "amx_bf16" in _cpu_flags()
    return "cpu", torch.bfloat16 if native else torch.float32


def begin(work: Callable[[], T]) -> Future[T]:
    """Starts some computing beside the caller: on a processor in the one thread that computes there.

    libgomp keeps a team for every thread that has ever computed, and once the teams have more threads than there are
    cores, all of them sleep at barriers instead of waiting: generation then ran at 24 tokens a second instead of 35
    (two cores). So whatever answers people computes in one thread, loading included. Training does without.
    """
    if _computes_here() or ("torch" in sys.modules and best_device()[0] != "cpu"):  # before torch nothing computes
        beside = ThreadPoolExecutor(1, "motionqa")
        try:
            return beside.submit(work)
        finally:
            beside.shutdown(wait=False)
    return _computing().submit(work)


def computed(function: Callable[P, T]) -> Callable[P, T]:
    """The function, run in the thread of `begin`; as it is where that thread calls it, or nothing runs on a processor.

    Gradient modes and autocasting belong to a thread, so the function sets its own.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        if best_device()[0] != "cpu" or _computes_here():
            return function(*args, **kwargs)
        return begin(lambda: function(*args, **kwargs)).result()

    return run


_NAME = "motionqa-computing"


@cache
def _computing() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, _NAME)


if hasattr(os, "register_at_fork"):  # a thread does not live on in a copy of the process; Windows makes none
    os.register_at_fork(after_in_child=_computing.cache_clear)


def _computes_here() -> bool:
    return threading.current_thread().name.startswith(_NAME)


@cache
def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def exactly(like: torch.Tensor) -> torch.autocast:
    """Full precision within mixed precision, for places on their way in and out of a network.

    bfloat16 has three digits. With it at the ends too, the released lifter put joints 12.7 mm away from where it puts
    them in float32, and with the ends exact 0.5 mm; the layers between are nearly all of the work.
    """
    import torch

    return torch.autocast(like.device.type, enabled=False)

"""Where networks run, and in which precision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def best_device() -> tuple[str, torch.dtype]:
    """("cuda", bfloat16) where there is one; else the CPU, in bfloat16 where its processor computes it natively."""
    import torch

    if torch.cuda.is_available():
        return "cuda", torch.bfloat16
    native = "avx512_bf16" in _cpu_flags() or "amx_bf16" in _cpu_flags()
    return "cpu", torch.bfloat16 if native else torch.float32


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

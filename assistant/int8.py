"""Language models with int8 weights, for servers without a GPU: torchao's, with products of single rows compiled.

Each word after the first reads every weight once, so half the bytes are worth having, but only where unpacking and
product are one loop. torchao's own product unpacks the whole matrix first and so is slower than bfloat16; compiled it
is faster, for one row. For prompts the compiled one is slower, and they take torchao's (`motionqa.eval.int8_costs`).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from motionqa.data.schema import InputError

SIZES = 64
"""Different sizes of layers in one model that get a product of their own; further ones stay uncompiled."""
Product = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def check_int8(device: str) -> None:
    """InputError, before anything is loaded, where int8 can not run: no torchao, no C++ compiler, or a GPU."""
    if device != "cpu":
        raise InputError(f"int8 is for processors, and this machine computes on {device}. Leave --precision out.")
    if importlib.util.find_spec("torchao") is None:
        raise InputError(
            "int8 needs the package torchao. Run `pip install 'motionqa[int8]'`, or leave --precision out."
        )
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++")):
        raise InputError(
            "int8 needs a C++ compiler, since torch compiles its products. Install g++ (Debian: `apt-get install "
            "g++`), or leave --precision out."
        )


def to_int8(model: nn.Module) -> None:
    """Every linear layer's weight becomes int8 with a scale for each row; embeddings and norms stay as they are.

    The first reply after this compiles a product for each size of layer.
    """
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(model, Int8WeightOnlyConfig(set_inductor_config=False))
    of_one_row: Product = torch.compile(  # type: ignore[call-overload]  (its overloads lack the two limits)
        lambda *given: F.linear(*given),  # noqa: PLW0108  (torch compiles Python's own functions)
        dynamic=False,
        recompile_limit=SIZES,
        isolate_recompiles=True,
    )
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.forward = partial(_forward, layer, of_one_row)


def _forward(layer: nn.Linear, of_one_row: Product, input: Float[Tensor, "*N D"]) -> Float[Tensor, "*N E"]:
    if input.numel() > input.shape[-1]:
        return F.linear(input, layer.weight, layer.bias)
    # A prompt's last row has the prompt's stride, and each other stride would be compiled anew.
    return of_one_row(input.reshape(-1), layer.weight, layer.bias).reshape(*input.shape[:-1], -1)

"""A Llama of transformers as one GGUF file, as llama.cpp runs it; its vocabulary is that of the GGUF it was built on.

llama.cpp's own converter knows a hundred architectures. This one knows `llama`, which the embedded model is, and needs
nothing but the `gguf` package.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from jaxtyping import Float

from motionqa.data.schema import InputError

if TYPE_CHECKING:
    import gguf
    from transformers import PreTrainedModel

Array = np.ndarray
GgufKind = Literal["f16", "q8_0"]
"""How matrices are stored: half precision, or blocks of 32 values in 8 bits with a scale."""


def write_gguf(
    path: Path, model: PreTrainedModel, template: str, like: Path, kind: GgufKind = "f16", name: str = ""
) -> Path:
    """The file, now holding the model, and from `like` the vocabulary and what else llama.cpp wants to know of it.

    `template` is the chat template that goes along. InputError where `like` can not be read or is another model's;
    ValueError for weights that are too large for half precision.
    """
    import gguf

    known = _read(like)
    tensors = dict(_tensors(model))
    _check_same(known, {k: v.shape for k, v in tensors.items()}, like)
    part = path.with_suffix(f".part{os.getpid()}")
    writer = gguf.GGUFWriter(part, "llama")
    try:
        writer.add_name(name or path.stem)
        writer.add_file_type({"f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}[kind])
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        _carry_over(known, writer)
        writer.add_chat_template(template)
        for key, weight in tensors.items():
            stored, how = _stored(weight, kind, key)
            writer.add_tensor(key, stored, raw_dtype=how)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    return part.replace(path)


def _read(path: Path) -> gguf.GGUFReader:
    import gguf

    try:
        known = gguf.GGUFReader(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can not be read as a GGUF file: {error}") from error
    field = known.fields.get("general.architecture")
    architecture = field.contents() if field else "nothing"
    if architecture != "llama":
        raise InputError(
            f"{path.name} is of the architecture {architecture!r}, and only 'llama' can be written here. "
            "Write the plain directory alone and give it to llama.cpp's convert_hf_to_gguf.py."
        )
    return known


def _carry_over(known: gguf.GGUFReader, writer: gguf.GGUFWriter) -> None:
    """Hyperparameters and vocabulary; not who made the model, and not its chat template."""
    for key, field in known.fields.items():
        if key.startswith(("llama.", "tokenizer.")) and not key.startswith("tokenizer.chat_template"):
            inner = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(key, field.contents(), field.types[0], sub_type=inner)


def _tensors(model: PreTrainedModel) -> Iterator[tuple[str, Float[Array, "..."]]]:
    """Weights by llama.cpp's names, float32. A tied output layer is left out, as llama.cpp expects."""
    import gguf

    config: Any = model.config
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, int(config.num_hidden_layers))
    head = model.get_output_embeddings()
    tied = head is not None and cast(Any, head).weight is cast(Any, model.get_input_embeddings()).weight
    heads = {"q_proj": int(config.num_attention_heads), "k_proj": int(config.num_key_value_heads)}
    for key, weight in model.state_dict().items():
        if tied and key == "lm_head.weight":
            continue
        name = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise InputError(f"The model has a part {key!r} that a GGUF file of the architecture 'llama' can not hold.")
        values = weight.detach().float().cpu().numpy()
        rotated = heads.get(key.split(".")[-2])
        yield name, _pairs_side_by_side(values, rotated) if rotated else values


def _pairs_side_by_side(weight: Float[Array, "R ..."], heads: int) -> Float[Array, "R ..."]:
    """Rows of a query or key projection in the order of GGUF: the two that rotate together follow each other.

    In transformers the second of a pair is half a head later (RoPE: Su et al., arXiv 2104.09864, section 3.2).
    """
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def _check_same(known: gguf.GGUFReader, shapes: dict[str, tuple[int, ...]], like: Path) -> None:
    expected = {t.name: tuple(int(n) for n in reversed(t.shape)) for t in known.tensors}
    wrong = sorted(k for k in expected.keys() | shapes.keys() if expected.get(k) != shapes.get(k))
    if wrong:
        first = wrong[0]
        raise InputError(
            f"{like.name} is not the GGUF of this model's base: {first} is {expected.get(first, 'missing')} there and "
            f"{shapes.get(first, 'missing')} here. Give the GGUF of the base model itself."
        )


def _stored(weight: Float[Array, "..."], kind: GgufKind, key: str) -> tuple[Array, gguf.GGMLQuantizationType]:
    """Vectors stay exact; matrices as `kind` says, in half precision where their rows do not divide into blocks."""
    import gguf

    if weight.ndim == 1:
        return weight, gguf.GGMLQuantizationType.F32
    if kind == "q8_0" and weight.shape[-1] % 32 == 0:
        how = gguf.GGMLQuantizationType.Q8_0
        return gguf.quants.quantize(weight, how), how
    with np.errstate(over="ignore"):
        half = weight.astype(np.float16)
    if not np.isfinite(half).all():
        raise ValueError(f"{key} is not finite in float16")
    return half, gguf.GGMLQuantizationType.F16

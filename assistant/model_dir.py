"""A trained assistant on disk: everything but the base model, in a directory that explains itself.

`config.json` names the base model and the encoders; `adapter/` is peft's own format; `projector.safetensors` holds
the projectors; `processor_config.json` and `chat_template.jinja` say how prompts are made; `recipe.json` how it was
trained, on what, and its scores; `README.md` is the model card. Weights are float16. The adapter has a folder of its
own, because transformers' Auto classes take a directory with an adapter at its top for nothing but an adapter.
"""

from __future__ import annotations

import copy
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.distributed.tensor import DTensor

from motionqa.assistant.config import MotionQAConfig, check_base, check_sources, fingerprint
from motionqa.assistant.llm import EMBEDDED_NAME, embedded_directory, load_causal_lm
from motionqa.assistant.model import MotionQAForConditionalGeneration
from motionqa.assistant.processor import MotionQAProcessor
from motionqa.data.schema import InputError
from motionqa.encoders.model_dir import require_finite

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ADAPTER, PROJECTOR, RECIPE, CARD = "adapter", "projector.safetensors", "recipe.json", "README.md"
LOAD_SETTINGS = ("base", "dtype", "device", "trainable", "four_bit", "sources")


@dataclass(frozen=True, eq=False)
class Base:
    """A language model to build on, its tokenizer, and what it is called."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str


@dataclass(frozen=True, eq=False)
class Assistant:
    """A multimodal language model and the processor that makes its inputs."""

    model: MotionQAForConditionalGeneration
    processor: MotionQAProcessor


def load_base(
    source: str | Path | None = None,
    *,
    dtype: torch.dtype | None = None,
    device: str | None = None,
    four_bit: bool = False,
) -> Base:
    """The base model of a name: the embedded one where none is given, a directory, or a hub id.

    `four_bit` loads it as QLoRA does (Dettmers et al., 2023): InputError without a GPU and bitsandbytes.
    """
    name = EMBEDDED_NAME if source is None else str(source)
    place = embedded_directory() if name == EMBEDDED_NAME else name
    settings = {"quantization_config": _four_bit()} if four_bit else {}
    return Base(*load_causal_lm(place, dtype=dtype, device=device, **settings), name=name)


def _four_bit() -> Any:
    missing = [] if torch.cuda.is_available() else ["an NVIDIA GPU"]
    if importlib.util.find_spec("bitsandbytes") is None:
        missing.append("the package bitsandbytes (`pip install bitsandbytes`)")
    if missing:
        raise InputError(f"QLoRA needs {' and '.join(missing)}, not found here. Train without --quantize 4bit.")
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def new_assistant(
    base: Base,
    widths: Mapping[str, int],
    sources: Mapping[str, str] | None = None,
    max_rows: Mapping[str, int] | None = None,
    **lora: Any,
) -> Assistant:
    """An assistant on a base model, its projectors untrained; `lora` sets fields of its configuration."""
    config = MotionQAConfig(
        text_config=base.model.config.get_text_config().to_dict(),
        base_name=base.name,
        base_fingerprint=fingerprint(base.model, base.tokenizer),
        widths=dict(widths),
        sources=dict(sources or {}),
        max_rows=dict(max_rows or {}),
        **lora,
    )
    model = MotionQAForConditionalGeneration(config, base.model)
    return Assistant(model, MotionQAProcessor(config, base.tokenizer))


def save_assistant(
    folder: Path,
    model: MotionQAForConditionalGeneration,
    processor: MotionQAProcessor | None = None,
    recipe: Any = None,
    data: Any = None,
    scores: Any = None,
    write: bool = True,
) -> Path:
    """The folder, now holding the assistant without its base model; the sections are dictionaries or dataclasses.

    Every process of a sharded model calls this, and only the one with `write` does. ValueError for weights that are
    not finite.
    """
    config = cast(MotionQAConfig, model.config)
    projectors = _half(model.projectors.state_dict(), "projector")
    adapters = None
    if isinstance(model.language_model, PeftModel):
        state = model.language_model.state_dict()
        adapters = _half({k: v for k, v in state.items() if "lora_" in k or "modules_to_save" in k}, "adapter")
    if not write:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    _without_paths(config).save_pretrained(folder)
    save_file(projectors, folder / PROJECTOR)
    (folder / PROJECTOR).chmod(0o644)  # safetensors writes private files, a released model is not
    if adapters is not None:
        _save_adapter(folder / ADAPTER, cast(PeftModel, model.language_model), adapters, config.base_name)
    if processor is not None:
        processor.save_pretrained(folder)
    sections = {"recipe": recipe, "data": data, "scores": scores}
    plain = {k: _plain(v) if is_dataclass(v) else dict(v or {}) for k, v in sections.items()}
    (folder / RECIPE).write_text(json.dumps(plain, indent=2, default=_plain) + "\n")
    (folder / CARD).write_text(_card(config, plain["scores"]))
    return folder


def _without_paths(config: MotionQAConfig) -> MotionQAConfig:
    """The configuration without where its base model lies on this machine: `base_name` says which one it is."""
    own = copy.deepcopy(config)
    if own.text_config is not None:
        own.text_config._name_or_path = ""
    return own


def load_assistant(
    folder: Path,
    base: str | Path | Base | None = None,
    *,
    dtype: torch.dtype | None = None,
    device: str | None = None,
    trainable: bool = False,
    four_bit: bool = False,
    sources: Mapping[str, str] | None = None,
) -> Assistant:
    """The assistant of a directory on its base model, in evaluation mode, adapters not merged.

    The base is looked for under the name it had, unless one is given; `sources` are the encoders at hand, by modality.
    InputError where a file is missing or damaged, and, with both names, for another base model or another encoder.
    """
    if not (folder / "config.json").exists():
        raise InputError(f"{folder} is no assistant's directory: it has no config.json. Give what training wrote.")
    try:
        config = MotionQAConfig.from_pretrained(folder)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{folder / 'config.json'} can not be read as an assistant's: {error}") from error
    if sources is not None:
        check_sources(config, dict(sources))
    if not isinstance(base, Base):
        base = load_base(base or config.base_name, dtype=dtype, device=device, four_bit=four_bit)
    check_base(config, base.name, fingerprint(base.model, base.tokenizer))
    model = MotionQAForConditionalGeneration(config, base.model)
    _load_weights(folder, model, trainable)
    return Assistant(model.eval(), MotionQAProcessor.from_pretrained(folder, base.tokenizer))


def export_merged(folder: Path, assistant: Assistant) -> Path:
    """A plain transformers directory of the language half with its adapters merged: words only, no learned tokens.

    llama.cpp's converter takes it. The assistant's own adapters are merged by this. The chat template goes with it.
    """
    assistant.model.merge_lora()
    assistant.model.base.save_pretrained(folder)
    tokenizer = assistant.processor.tokenizer
    before, tokenizer.chat_template = tokenizer.chat_template, assistant.processor.template
    try:
        tokenizer.save_pretrained(folder)
    finally:
        tokenizer.chat_template = before
    name = cast(MotionQAConfig, assistant.model.config).base_name
    (folder / CARD).write_text(
        f"# motionqa's language half\n\n{name} with the adapters of motionqa merged in. It reads the description of a "
        "movement in words; the learned tokens need motionqa itself.\n"
    )
    return folder


def _plain(value: Any) -> Any:
    """What json does not know: dataclasses as dictionaries, paths and the like as text."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def _half(state: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """The whole of each weight as float16, gathered where it is spread over processes."""
    whole = {k: v.full_tensor() if isinstance(v, DTensor) else v for k, v in state.items()}
    half = {k: v.detach().cpu().to(torch.float16).contiguous() for k, v in whole.items()}
    try:
        require_finite(half, f"the {what} to be saved")
    except InputError as error:
        raise ValueError(str(error)) from error
    return half


def _save_adapter(folder: Path, model: PeftModel, state: dict[str, Tensor], base_name: str) -> None:
    model.peft_config["default"].base_model_name_or_path = base_name  # not where it lies on this machine
    model.save_pretrained(str(folder), state_dict=state, save_embedding_layers=False)
    (folder / "adapter_model.safetensors").chmod(0o644)
    (folder / CARD).unlink(missing_ok=True)  # peft's card is a form; ours is one floor up


def _load_weights(folder: Path, model: MotionQAForConditionalGeneration, trainable: bool) -> None:
    try:
        model.projectors.load_state_dict({k: v.float() for k, v in load_file(folder / PROJECTOR).items()})
        if (folder / ADAPTER).exists():
            model.language_model = PeftModel.from_pretrained(model.base, str(folder / ADAPTER), is_trainable=trainable)
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise InputError(f"{folder} is not whole: {str(error).splitlines()[0]}. Copy the whole directory.") from error
    model.projectors.requires_grad_(trainable)


def _card(config: MotionQAConfig, scores: Mapping[str, Any]) -> str:
    rows = "".join(f"| {k} | {v} |\n" for k, v in scores.items() if isinstance(v, int | float | str))
    reads = ", ".join(f"{m} ({(config.sources or {}).get(m, 'source not recorded')})" for m in config.modalities)
    return (
        f"---\nbase_model: {config.base_name}\nlibrary_name: motionqa\n---\n\n# motionqa assistant\n\n"
        f"Answers questions about a person's movement. Built on {config.base_name}, which is not in this directory; "
        f"it reads words and these learned tokens: {reads or 'none'}. LoRA rank {config.lora_rank}, alpha "
        f"{config.lora_alpha}.\n\n`recipe.json` holds how it was trained, on what, and its scores.\n\n"
        + (f"| measure | value |\n|---|---|\n{rows}" if rows else "No scores are recorded.\n")
    )

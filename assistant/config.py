"""What a saved assistant says about itself: its base model, the encoders of its tokens, the sizes of its parts."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast, no_type_check

import torch
from transformers import AutoConfig, PretrainedConfig
from transformers.configuration_utils import SubConfigSpec

from motionqa.data.reading import MODALITIES
from motionqa.data.schema import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PLACEHOLDERS = {modality: f"<|{modality}|>" for modality in MODALITIES}
"""What stands in a prompt for one row of a modality's features."""
_SHAPE = (
    "model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "intermediate_size", "vocab_size", "head_dim", "tie_word_embeddings", "rope_parameters",
)  # fmt: skip
"""The parts of a base model's configuration that its fingerprint covers: those that its weights depend on."""


@no_type_check  # transformers gives its constructor more keywords than the class names
class MotionQAConfig(PretrainedConfig):
    """A language model that also reads learned features of a clip."""

    model_type = "motionqa"
    sub_configs_defaults = {"text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama")}  # noqa: RUF012

    text_config: Any = None
    """The base model's own configuration."""
    base_name: str = ""
    """What the base model was called: a hub id, or the name of the embedded one."""
    base_fingerprint: dict[str, str] | None = None
    """Hashes by which the base model is recognised: see `fingerprint`."""
    widths: dict[str, int] | None = None
    """Width of a row of features by modality; only modalities that this model reads."""
    sources: dict[str, str] | None = None
    """By modality: name and hash of the encoder or codebook whose features it was trained on."""
    max_rows: dict[str, int] | None = None
    """By modality: most rows of a clip; longer clips are averaged down to it. 256 where nothing is said."""
    placeholder_ids: dict[str, int] | None = None
    """Token ids of the placeholders: they follow the base's own, whose embedding table stays as it is."""
    lora_rank: int = 8
    lora_alpha: int = 16
    lora_dropout: float = 0.05
    lora_modules_to_save: list[str] | None = None
    """Modules of the base that are trained whole and saved with the adapter, by peft's `modules_to_save`."""
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        self.widths, self.sources = dict(self.widths or {}), dict(self.sources or {})
        unknown = set(self.widths) - set(MODALITIES)
        if unknown:
            raise ValueError(f"there is no modality {sorted(unknown)}, expected some of {', '.join(MODALITIES)}")
        self.max_rows = {m: (self.max_rows or {}).get(m, 256) for m in self.widths}
        self.base_fingerprint = dict(self.base_fingerprint or {})
        super().__post_init__(**kwargs)
        if self.placeholder_ids is None and self.text_config is not None:
            size = int(self.text_config.vocab_size)
            self.placeholder_ids = {m: size + k for k, m in enumerate(MODALITIES)}

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that this model reads, in the order in which they stand in a prompt."""
        return tuple(m for m in MODALITIES if m in (self.widths or {}))


def fingerprint(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """Hashes of a base model: its shape, vocabulary, a few embeddings and norms, and a few weights of its layers.

    Weights are rounded to bfloat16 first, so that a model is recognised in whichever precision it was loaded. Layers
    that are packed into 4 or 8 bits are left out.
    """
    known = model.config.get_text_config().to_dict()
    shape = json.dumps({k: known.get(k) for k in _SHAPE}, sort_keys=True, default=str)
    words = "\n".join(f"{i} {w}" for w, i in sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1]))
    table = cast(torch.nn.Embedding, model.get_input_embeddings()).weight.detach()
    rows = torch.linspace(0, len(table) - 1, 32).long().to(table.device)
    vectors = [p.detach() for p in model.parameters() if p.ndim == 1][::4]
    found = {
        "shape": _hash(shape.encode()),
        "vocabulary": _hash(words.encode()),
        "embeddings": _hash(*(_bytes(x) for x in (table[rows, :16], *(v[:16] for v in vectors)))),
    }
    head = model.get_output_embeddings()
    ends = [table.shape, head.weight.shape if head is not None else table.shape]
    inner = [p.detach() for p in model.parameters() if p.ndim == 2 and p.shape not in ends]
    if inner and all(p.is_floating_point() for p in inner):
        found["layers"] = _hash(*(_bytes(p[:4, :16]) for p in (inner[0], inner[len(inner) // 2], inner[-1])))
    return found


def check_base(config: MotionQAConfig, name: str, found: dict[str, str]) -> None:
    """InputError with both names where a base model is not the one that the assistant was trained on."""
    expected = config.base_fingerprint or {}
    other = [part for part in expected if part in found and found[part] != expected[part]]
    if other:
        raise InputError(
            f"This assistant was trained on the language model {config.base_name!r}, and {name!r} is another one "
            f"(different {', '.join(other)}). Load it with base={config.base_name!r}, or train it anew on {name!r}."
        )


def check_sources(config: MotionQAConfig, found: dict[str, str]) -> None:
    """InputError with both names where features come from another encoder or codebook than the model was trained on."""
    for modality in config.modalities:
        expected, came = (config.sources or {}).get(modality), found.get(modality)
        if modality in found and expected and came != expected:
            raise InputError(
                f"This assistant was trained on {modality} tokens of {expected!r}, and these come from {came!r}. "
                f"Encode the clip with {expected!r}, or train the assistant anew on {came!r}."
            )


def _bytes(values: torch.Tensor) -> bytes:
    return values.to(torch.bfloat16).contiguous().view(torch.int16).cpu().numpy().tobytes()


def _hash(*parts: bytes) -> str:
    return sha256(b"\0".join(parts)).hexdigest()[:16]

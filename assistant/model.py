"""The multimodal language model: any causal LM of the hub, a projector for each modality, LoRA through peft.

Learned tokens enter as HuMoCon's do (arXiv 2505.20920, section 3.3): projected features in place of word embeddings.
Rank 8 is the paper's. Loading and saving are in `model_dir.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from motionqa.assistant.config import MotionQAConfig
from motionqa.assistant.projector import Projector, table_scale
from motionqa.data.reading import MODALITIES

IGNORE = -100
"""The label of a token that carries no loss."""


class MotionQAForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """A causal language model whose prompts may hold learned features of a clip at their placeholders."""

    config_class = MotionQAConfig
    base_model_prefix = "language_model"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True

    if TYPE_CHECKING:

        def generate(self, *args: Any, **kwargs: Any) -> Any:
            """As in transformers, whose own annotation asks for more than a model has."""

    def __init__(self, config: MotionQAConfig, language_model: PreTrainedModel | None = None) -> None:
        """With the base model's weights where it is given, with random ones otherwise."""
        super().__init__(config)
        self._recomputes = False
        given = language_model is not None
        self.language_model: PreTrainedModel | PeftModel = (
            language_model if given else AutoModelForCausalLM.from_config(config.text_config)
        )
        table = cast(Tensor, self.base.get_input_embeddings().weight)
        hidden, scale = table.shape[1], table_scale(table)
        widths = cast("dict[str, int]", config.widths)
        self.projectors = nn.ModuleDict({m: Projector(widths[m], hidden, scale) for m in config.modalities})
        self.projectors.to(table.device)
        self.generation_config = self.base.generation_config
        self.post_init()
        self.requires_grad_(False)
        self.projectors.requires_grad_(True)

    # transformers calls these two after construction; both parts arrive initialised and tied.
    def initialize_weights(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the base model came with its weights, and projectors make their own."""

    def tie_weights(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """The base model ties its own."""
        self.base.tie_weights()

    @property
    def base(self) -> PreTrainedModel:
        """The language model itself, whether or not peft is wrapped around it."""
        model = self.language_model
        return cast(PreTrainedModel, model.get_base_model()) if isinstance(model, PeftModel) else model

    def get_input_embeddings(self) -> nn.Module:
        """The base model's embedding table."""
        return self.base.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        """The base model's output layer."""
        return cast(nn.Module, self.base.get_output_embeddings())

    def train(self, mode: bool = True) -> MotionQAForConditionalGeneration:
        """As in torch, but the frozen base stays in evaluation mode: only LoRA's own dropout is switched.

        With gradient checkpointing it does not, because transformers then checkpoints only in training mode.
        """
        super().train(mode)
        if not self._recomputes:
            for name, module in self.language_model.named_modules():
                module.training = mode and "lora_dropout" in name
        return self

    def gradient_checkpointing_enable(self, *args: Any, **kwargs: Any) -> None:
        """Recomputes the base model's layers in the backward pass, for less memory."""
        self._recomputes = True
        self.base.gradient_checkpointing_enable(*args, **kwargs)

    # ------------------------------------------------------------------------------------------- LoRA

    def add_lora(self) -> None:
        """Adapters of the configured rank on all linear layers of the base, float32, trainable; no effect at first."""
        if isinstance(self.language_model, PeftModel):
            raise ValueError("the model already has LoRA adapters")
        config = cast(MotionQAConfig, self.config)
        settings = LoraConfig(
            task_type="CAUSAL_LM",
            r=config.lora_rank,
            lora_alpha=config.lora_alpha,
            lora_dropout=config.lora_dropout,
            target_modules="all-linear",
            modules_to_save=config.lora_modules_to_save,
        )
        self.language_model = cast(PeftModel, get_peft_model(self.base, settings))

    def merge_lora(self) -> None:
        """Adapters become part of the base's weights: the same answers up to rounding, at the speed of the base."""
        if isinstance(self.language_model, PeftModel):
            self.language_model = cast(PreTrainedModel, self.language_model.merge_and_unload())

    # ---------------------------------------------------------------------------------------- running

    def embed(
        self, input_ids: Int[Tensor, "B L"], features: Mapping[str, Float[Tensor, "N D"] | None]
    ) -> Float[Tensor, "B L H"]:
        """Word embeddings with projected features at the placeholders, in reading order over the batch.

        ValueError before any compute where placeholders and rows differ in number, or rows have another width.
        """
        places = self._places(input_ids, features)
        anywhere = torch.zeros_like(input_ids, dtype=torch.bool)
        for place in places.values():
            anywhere |= place
        embeds = self.get_input_embeddings()(input_ids.masked_fill(anywhere, 0))
        for modality, place in places.items():
            rows = features.get(modality)
            if rows is None and not self.training:
                continue
            if rows is None:  # keeps the projector in the graph: DDP waits for a gradient of every parameter
                rows = embeds.new_zeros(0, cast(MotionQAConfig, self.config).widths[modality])  # type: ignore[index]
            projected = self.projectors[modality](rows.to(embeds.device)).to(embeds.dtype)
            embeds = embeds.masked_scatter(place[..., None], projected)
        return embeds

    def _places(
        self, input_ids: Int[Tensor, "B L"], features: Mapping[str, Float[Tensor, "N D"] | None]
    ) -> dict[str, Bool[Tensor, "B L"]]:
        """Where each modality's placeholders stand, checked against its features."""
        config = cast(MotionQAConfig, self.config)
        ids, widths = cast("dict[str, int]", config.placeholder_ids), cast("dict[str, int]", config.widths)
        places = {m: input_ids == ids[m] for m in config.modalities}
        for modality in MODALITIES:
            rows = features.get(modality)
            if rows is not None and modality not in widths:
                raise ValueError(f"this model reads {', '.join(widths) or 'words only'}, and {modality} features came")
            if rows is not None and rows.shape[1] != widths[modality]:
                raise ValueError(
                    f"{modality} features have {rows.shape[1]} values a row, expected {widths[modality]} as trained"
                )
            asked, came = int(places[modality].sum()) if modality in places else 0, 0 if rows is None else len(rows)
            if asked != came:
                raise ValueError(
                    f"the prompt has {asked} placeholders for {modality}, and {came} rows of {modality} features came; "
                    "build both with the same processor"
                )
        return places

    def forward(
        self,
        input_ids: Int[Tensor, "B L"] | None = None,
        motion: Float[Tensor, "N D"] | None = None,
        video: Float[Tensor, "M E"] | None = None,
        flow: Float[Tensor, "K F"] | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Int[Tensor, "_ L"] | None = None,
        past_key_values: Any = None,
        inputs_embeds: Float[Tensor, "B L H"] | None = None,
        labels: Int[Tensor, "B L"] | None = None,
        loss_weights: Float[Tensor, "B L"] | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits [B L V], or with labels the loss and only the logits [1 n V] of the tokens that are asked for.

        Features of a whole batch are given one after the other, in the order of its placeholders. `attention_mask` is
        [B L], or boolean [B 1 L L] for packed rows. `labels` stand at the tokens themselves; the loss is their mean,
        or their sum by `loss_weights`. ValueError for features that do not fit, and where no token is asked for.
        """
        if inputs_embeds is None:
            if input_ids is None:
                raise ValueError("give input_ids or inputs_embeds")
            inputs_embeds = self.embed(input_ids, {"motion": motion, "video": video, "flow": flow})
        given = {
            "inputs_embeds": inputs_embeds,
            "attention_mask": self._mask(attention_mask, inputs_embeds.dtype),
            "position_ids": position_ids,
        }
        if labels is None:
            return self.language_model(
                **given, past_key_values=past_key_values, logits_to_keep=logits_to_keep, **kwargs
            )
        asked = F.pad(labels[:, 1:] != IGNORE, (0, 1))
        if not asked.any():
            raise ValueError("no token of this batch carries a loss; expected labels other than -100")
        # Blocks that go on from a prefix run with its cache; others need none to train.
        cached = {"past_key_values": past_key_values, "use_cache": past_key_values is not None}
        with _only_rows(self.get_output_embeddings(), asked):
            out = self.language_model(**given, **{**kwargs, **cached})
        targets = labels[:, 1:][asked[:, :-1]]
        each = F.cross_entropy(out.logits[0].float(), targets, reduction="none")
        out["loss"] = each.mean() if loss_weights is None else (each * loss_weights[:, 1:][asked[:, :-1]]).sum()
        return out

    def _mask(self, mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
        """A boolean mask of pairs as the base's attention takes it: SDPA as it is, eager as something to add."""
        if mask is None or mask.ndim != 4 or mask.dtype != torch.bool:
            return mask
        attention = self.base.config._attn_implementation
        if attention == "sdpa":
            return mask
        if attention != "eager":
            raise ValueError(f"packed rows need attention sdpa or eager, the base model runs {attention}")
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min)

    def prepare_inputs_for_generation(  # type: ignore[override]
        self, input_ids: Tensor, is_first_iteration: bool | None = False, **kwargs: Any
    ) -> dict[str, Any]:
        """What one step of generation is given: features only at the first, later they are in the cache."""
        prepare = cast(Any, super()).prepare_inputs_for_generation
        inputs = prepare(input_ids, is_first_iteration=is_first_iteration, **kwargs)
        if not is_first_iteration and kwargs.get("use_cache", True):
            for modality in MODALITIES:
                inputs.pop(modality, None)
        return inputs

    def save_pretrained(self, save_directory: str | Path, **sections: Any) -> None:  # type: ignore[override]
        """Writes the directory that `model_dir.save_assistant` describes: everything but the base model."""
        from motionqa.assistant.model_dir import save_assistant

        save_assistant(Path(save_directory), self, **sections)  # type: ignore[arg-type]

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, pretrained_model_name_or_path: str | Path, *args: Any, **kwargs: Any
    ) -> MotionQAForConditionalGeneration:
        """The assistant of a directory: see `model_dir.load_assistant`, whose model this is."""
        from motionqa.assistant.model_dir import LOAD_SETTINGS, load_assistant

        del args
        known = {k: v for k, v in kwargs.items() if k in LOAD_SETTINGS}
        return load_assistant(Path(pretrained_model_name_or_path), **known).model  # type: ignore[return-value]


@contextmanager
def _only_rows(head: nn.Module, rows: Bool[Tensor, "B L"]) -> Iterator[None]:
    """Within, the output layer sees only these rows of the hidden states [B L H], as one row of a batch.

    The layer is large beside a small model, and most tokens of a packed row carry no loss. A hook, because models
    that scale or cap their logits do so in their own forward.
    """
    handle = head.register_forward_pre_hook(lambda _, given: (given[0][rows][None],))
    try:
        yield
    finally:
        handle.remove()


AutoConfig.register("motionqa", MotionQAConfig, exist_ok=True)
AutoModelForCausalLM.register(MotionQAConfig, MotionQAForConditionalGeneration, exist_ok=True)

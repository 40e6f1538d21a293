"""The tuned assistant as a language model of the chat: a clip is computed once, and every question goes on from there.

The system turn, which holds the clip, is the same tokens before every question (`processor.py`). Its keys and values
are kept for the last few clips; answers and likelihoods start from a copy that shares their memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from transformers import Cache

from motionqa.assistant.int8 import to_int8
from motionqa.assistant.likelihood import BATCH, AnswerLikelihood, continuation_totals
from motionqa.assistant.llm import Precision
from motionqa.assistant.model_dir import Assistant, Base, load_assistant
from motionqa.assistant.processor import ModelInputs
from motionqa.assistant.shared_cache import continued
from motionqa.assistant.streaming import GenerationConfig, stream_reply
from motionqa.data.schema import Conversation
from motionqa.encoders.device import computed


class TunedModel:
    """A `LanguageModel` and `WeighingModel` over an assistant. Its adapters are merged, for the speed of the base."""

    def __init__(self, assistant: Assistant, name: str, clips: int = 4, precision: Precision = "auto") -> None:
        """`clips` is how many clips are kept computed; one of 300 tokens takes 7 MB with SmolLM2-135M.

        Projectors keep their precision with `int8`: they run once a clip.
        """
        assistant.model.merge_lora()
        self.model, self.processor, self.name = assistant.model.eval(), assistant.processor, name
        self.tokenizer = assistant.processor.tokenizer
        self.device: torch.device = next(self.model.parameters()).device
        self.context_tokens = int(getattr(self.model.base.config, "max_position_embeddings", 2048))
        self.parameters = sum(p.numel() for p in self.model.parameters())
        if precision == "int8":
            to_int8(self.model.language_model)
        self._clips = clips
        self._kept: OrderedDict[str, Cache] = OrderedDict()
        self._one_at_a_time = threading.Lock()

    @classmethod
    @computed
    def load(
        cls,
        folder: Path,
        base: str | Path | Base | None = None,
        name: str | None = None,
        precision: Precision = "auto",
    ) -> TunedModel:
        """The assistant of a directory. InputError as `load_assistant`."""
        assistant = load_assistant(folder, base)
        known = name or f"{assistant.processor.config.base_name}, tuned on movements"
        return cls(assistant, known, precision=precision)

    @property
    def reads_clips(self) -> tuple[str, ...]:
        """Modalities of learned tokens that it takes."""
        return self.processor.config.modalities

    def count_tokens(self, conversation: Conversation) -> int:
        """Tokens of the conversation with the clip's placeholders, as the model is shown it."""
        return len(self.processor(conversation).input_ids)

    def stream(self, conversation: Conversation, config: GenerationConfig, stop: threading.Event) -> Iterator[str]:
        """Pieces of the reply; generation stops at the next token once `stop` is set, or the iteration is left.

        Exchanges that do not fit before the reply are left out, the oldest first.
        """
        inputs = self.processor(conversation, max_tokens=self.context_tokens - config.max_new_tokens)
        given = inputs.tensors(self.device)

        def generate(**settings: Any) -> None:
            cache = self._clip(inputs)
            ids = {k: given[k] for k in ("input_ids", "attention_mask")}
            self.model.generate(**(given if cache is None else ids), past_key_values=cache, **settings)

        return stream_reply(generate, self.tokenizer, config, stop, self._one_at_a_time)

    @computed
    def weigh(self, conversation: Conversation, answers: Sequence[str]) -> tuple[AnswerLikelihood, ...]:
        """The log-likelihood of each answer, with its end, as the whole next turn. ValueError for an empty answer."""
        if not answers or not all(a.strip() for a in answers):
            raise ValueError(f"expected answers that are not empty, got {list(answers)}")
        inputs = self.processor(conversation, max_tokens=self.context_tokens)
        rests = [self.processor.answer_ids(a) for a in answers]
        totals: list[float] = []
        with self._one_at_a_time, torch.inference_mode():
            cache, given = self._clip(inputs), inputs.tensors(self.device)
            rest = given if cache is None else {"input_ids": given["input_ids"][:, inputs.prefix :]}
            out = self.model(**rest, past_key_values=cache, use_cache=True, logits_to_keep=1)
            first = out.logits[0, -1].float().log_softmax(-1)
            for at in range(0, len(rests), BATCH):
                totals += continuation_totals(self.model, first, out.past_key_values, rests[at : at + BATCH])
        return tuple(AnswerLikelihood(a, t, len(r)) for a, t, r in zip(answers, totals, rests, strict=True))

    def _clip(self, inputs: ModelInputs) -> Cache | None:
        """Keys and values of the system turn, to go on from: computed once a clip. None where there is no such turn."""
        if not inputs.prefix:
            return None
        key = sha256(inputs.input_ids[: inputs.prefix].tobytes())
        for modality, rows in inputs.features.items():
            key.update(modality.encode() + rows.tobytes())
        name = key.hexdigest()
        if name not in self._kept:
            given = inputs.tensors(self.device)
            features = {m: given[m] for m in inputs.features}
            ids = given["input_ids"][:, : inputs.prefix]
            out = self.model(input_ids=ids, **features, use_cache=True, logits_to_keep=1)
            self._kept[name] = out.past_key_values
            if len(self._kept) > self._clips:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return continued(self._kept[name])

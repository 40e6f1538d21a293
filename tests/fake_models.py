"""Stand-ins for the large models, so that the logic around them is tested in milliseconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from motionqa.assistant.llm import GenerationConfig
from motionqa.data.schema import Conversation


class ScriptedModel:
    """A language model that says the same words every time and remembers what it was shown."""

    name = "scripted"

    def __init__(self, words: str = "three times", *, parameters: int | None = 10, context_tokens: int = 4096) -> None:
        self.words, self.parameters, self.context_tokens = words, parameters, context_tokens
        self.shown: list[Conversation] = []
        self.delay_s = 0.0

    def count_tokens(self, conversation: Conversation) -> int:
        return sum(len(t.text.split()) + 1 for t in conversation.turns)

    def stream(self, conversation: Conversation, config: GenerationConfig, stop: threading.Event) -> Iterator[str]:
        self.shown.append(conversation)
        for word in self.words.split()[: config.max_new_tokens]:
            if stop.is_set():
                return
            time.sleep(self.delay_s)
            yield word + " "


def tiny_model_directory(folder: Path) -> Path:
    """A random two-layer Llama with a word tokenizer and a chat template, saved as transformers saves models."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<unk>", "<|im_start|>", "<|im_end|>", "system", "user", "assistant", *"abcdefgh.?"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<|im_end|>", bos_token="<|im_start|>"
    )
    fast.chat_template = (
        "{% for m in messages %}<|im_start|> {{ m['role'] }} {{ m['content'] }} <|im_end|> {% endfor %}"
        "{% if add_generation_prompt %}<|im_start|> assistant {% endif %}"
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=256, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder

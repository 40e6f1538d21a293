"""Tiny assistants for tests: random Llamas, tokenizers in memory, made-up clips."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from motionqa.assistant.model_dir import Assistant, Base, new_assistant
from motionqa.data.reading import ClipTokens
from motionqa.data.schema import Conversation

SENTENCES = tuple(
    f"The {who} {what} {how} and then {after}."
    for who in ("person", "walker", "left hand", "right arm", "dancer")
    for what in ("waves", "walks forward", "turns", "squats", "throws a ball")
    for how in ("twice", "slowly", "to the left", "for 2.5 seconds")
    for after in ("stops", "sits down")
)
SOURCES = {"motion": "tiny encoder 0a1b", "video": "tiny film 2c3d"}
WIDTHS = {"motion": 6, "video": 4}


@cache
def chatml_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with ChatML's marks, as SmolLM2's is."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )


def sentencepiece_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """A Llama tokenizer of 200 sentences, trained by sentencepiece with its byte fallback and its `<s>`."""
    import sentencepiece
    from transformers import LlamaTokenizer

    model = io.BytesIO()
    cast(Any, sentencepiece.SentencePieceTrainer).train(
        sentence_iterator=iter(SENTENCES), model_writer=model, vocab_size=380, model_type="bpe", byte_fallback=True,
        unk_id=0, bos_id=1, eos_id=2, pad_id=-1, minloglevel=2,
    )  # fmt: skip
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    LlamaTokenizer.from_pretrained(folder, add_bos_token=True).save_pretrained(folder / "saved")
    return LlamaTokenizer.from_pretrained(folder / "saved")


def tiny_base(tokenizer: PreTrainedTokenizerBase | None = None, seed: int = 0, hidden: int = 32) -> Base:
    """A random two-layer Llama, float32."""
    tokenizer = tokenizer or chatml_tokenizer()
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True,
        initializer_range=0.15,
        bos_token_id=cast(int, tokenizer.bos_token_id), eos_token_id=cast(int, tokenizer.eos_token_id),
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():  # the table is also the output layer: small values could never make any word likely
        cast(torch.nn.Embedding, model.get_input_embeddings()).weight.mul_(4)
    return Base(model, tokenizer, f"tiny-{seed}")


def tiny_assistant(base: Base | None = None, lora: bool = True, seed: int = 1, **settings: Any) -> Assistant:
    """An assistant on a tiny base; its adapters have an effect, and nothing is dropped out."""
    torch.manual_seed(seed)
    lora_settings: dict[str, Any] = {"lora_dropout": 0.0, **settings}
    assistant = new_assistant(base or tiny_base(), WIDTHS, SOURCES, **lora_settings)
    if lora:
        assistant.model.add_lora()
        for name, weight in assistant.model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.1)
    return Assistant(assistant.model.eval(), assistant.processor)


def talkative(assistant: Assistant) -> Assistant:
    """The assistant, saying different things at different prompts and ending now and then, neither with any sense."""
    table = cast(torch.nn.Embedding, assistant.model.get_input_embeddings()).weight
    words = torch.randn(table.shape, generator=torch.Generator().manual_seed(0))
    words[cast(int, assistant.processor.tokenizer.eos_token_id)] *= 2
    cast(torch.nn.Linear, assistant.model.get_output_embeddings()).weight = torch.nn.Parameter(words)
    return assistant


def clip_tokens(rows: int = 5, seed: int = 0, video: int = 3) -> ClipTokens:
    """Random rows of motion and video."""
    rng = np.random.default_rng(seed)
    motion, film = rng.normal(size=(rows, 6)), rng.normal(size=(video, 4))
    return ClipTokens(motion.astype(np.float16), film.astype(np.float16) if video else None, sources=SOURCES)


def asked(
    question: str = "Which hand waves?", clip: ClipTokens | None = None, system: str = "Seen: wave."
) -> Conversation:
    """A conversation about a clip that ends with a question."""
    return Conversation(clip=clip).plus("system", system).plus("user", question)

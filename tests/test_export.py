"""The assistant for other programs: what is written is the same model, and the card shows how it has to be asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import gguf
import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GgufConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from motionqa.assistant.export import QUESTION, export_assistant
from motionqa.assistant.gguf_file import write_gguf
from motionqa.assistant.model_dir import Base, save_assistant
from motionqa.data.schema import InputError
from motionqa.tests.assistant_models import tiny_assistant, tiny_base

IDS = torch.arange(5, 45)[None]


def vocabulary_file(
    path: Path, base: Base, architecture: str = "llama", layers: int | None = None, tied: bool = True
) -> Path:
    """The GGUF file that a tiny base might have come in: its vocabulary and shapes, every weight zero."""
    config: Any = base.model.config
    bpe = json.loads(cast(Any, base.tokenizer).backend_tokenizer.to_str())["model"]
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("somebody's model")
    writer.add_license("somebody's terms")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    words = sorted(bpe["vocab"], key=bpe["vocab"].get)
    writer.add_token_list(words)
    writer.add_token_types([3 if word.startswith("<|") else 1 for word in words])
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in bpe["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("somebody's template")
    kv = config.hidden_size // config.num_attention_heads * config.num_key_value_heads
    wide, inner = config.hidden_size, config.intermediate_size
    shapes = {"token_embd": (config.vocab_size, wide), "output_norm": (wide,)}
    if not tied:
        shapes["output"] = shapes["token_embd"]
    for k in range(layers or config.num_hidden_layers):
        shapes |= {
            f"blk.{k}.{name}": shape
            for name, shape in {
                "attn_norm": (wide,), "ffn_norm": (wide,), "attn_q": (wide, wide), "attn_k": (kv, wide),
                "attn_v": (kv, wide), "attn_output": (wide, wide), "ffn_gate": (inner, wide), "ffn_up": (inner, wide),
                "ffn_down": (wide, inner),
            }.items()
        }  # fmt: skip
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", np.zeros(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def again(path: Path) -> Any:
    """The model of a GGUF file, as transformers reads it."""
    return AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    ).eval()


@pytest.mark.parametrize(("kind", "off"), [("f16", 0.02), ("q8_0", 0.6)])
def test_a_gguf_file_holds_the_same_model(tmp_path: Path, kind: Any, off: float) -> None:
    base = tiny_base()
    like = vocabulary_file(tmp_path / "base.gguf", base)
    found = again(write_gguf(tmp_path / "own.gguf", base.model, "mine", like, kind))
    assert isinstance(found, LlamaForCausalLM)
    with torch.inference_mode():
        true, got = base.model(IDS).logits, found(IDS).logits
    assert float(true.std()) > 5 * off
    assert torch.allclose(true, got, atol=off)


def test_its_vocabulary_is_that_of_the_base_and_its_template_and_name_are_ours(tmp_path: Path) -> None:
    base = tiny_base()
    like = vocabulary_file(tmp_path / "base.gguf", base)
    path = write_gguf(tmp_path / "own.gguf", base.model, "{{ mine }}", like, name="ours")
    fields = {k: f.contents() for k, f in gguf.GGUFReader(path).fields.items()}
    assert fields["general.name"] == "ours"
    assert fields["tokenizer.chat_template"] == "{{ mine }}"
    assert "general.license" not in fields
    assert fields["tokenizer.ggml.pre"] == "smollm"
    assert fields["llama.attention.head_count_kv"] == 2
    tokenizer = AutoTokenizer.from_pretrained(tmp_path, gguf_file=path.name)
    said = "<|im_start|>The walker squats twice.<|im_end|>"
    assert tokenizer(said).input_ids == base.tokenizer(said).input_ids
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base.gguf", "own.gguf"]


def test_an_output_layer_of_its_own_is_written_too(tmp_path: Path) -> None:
    base = tiny_base()
    config: Any = base.model.config
    config.tie_word_embeddings = False
    torch.manual_seed(5)
    untied = LlamaForCausalLM(config).eval()
    with pytest.raises(InputError, match=r"output\.weight is missing there"):
        write_gguf(tmp_path / "own.gguf", untied, "", vocabulary_file(tmp_path / "tied.gguf", base))
    like = vocabulary_file(tmp_path / "untied.gguf", base, tied=False)
    with torch.inference_mode():
        found, true = again(write_gguf(tmp_path / "own.gguf", untied, "", like))(IDS).logits, untied(IDS).logits
    assert torch.allclose(found, true, atol=0.02)
    assert float(true.abs().max()) > 0.2


def test_what_another_model_came_in_is_refused(tmp_path: Path) -> None:
    base = tiny_base()
    with pytest.raises(InputError, match=r"blk\.2\.attn_k\.weight is \(16, 32\) there and missing here"):
        write_gguf(tmp_path / "o.gguf", base.model, "", vocabulary_file(tmp_path / "deep.gguf", base, layers=3))
    with pytest.raises(InputError, match=r"architecture 'gemma'.*convert_hf_to_gguf"):
        write_gguf(tmp_path / "o.gguf", base.model, "", vocabulary_file(tmp_path / "g.gguf", base, "gemma"))
    (tmp_path / "text.gguf").write_text("no such file")
    with pytest.raises(InputError, match="can not be read as a GGUF file"):
        write_gguf(tmp_path / "o.gguf", base.model, "", tmp_path / "text.gguf")
    assert not list(tmp_path.glob("o.*"))


def test_a_model_of_another_family_is_refused(tmp_path: Path) -> None:
    like = vocabulary_file(tmp_path / "base.gguf", tiny_base())
    config = Qwen2Config(
        vocab_size=len(tiny_base().tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
    )  # fmt: skip
    with pytest.raises(InputError, match="is not the GGUF of this model's base"):
        write_gguf(tmp_path / "own.gguf", Qwen2ForCausalLM(config), "", like)


def test_weights_beyond_half_precision_are_not_written(tmp_path: Path) -> None:
    base = tiny_base()
    cast(Any, base.model).model.layers[0].mlp.up_proj.weight.data[0, 0] = 1e6
    like = vocabulary_file(tmp_path / "base.gguf", base)
    with pytest.raises(ValueError, match=r"blk\.0\.ffn_up\.weight is not finite"):
        write_gguf(tmp_path / "own.gguf", base.model, "", like)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base.gguf"]


def test_an_exported_assistant_answers_without_motionqa_as_it_does_with_it(tmp_path: Path) -> None:
    assistant, folder, out = tiny_assistant(), tmp_path / "assistant", tmp_path / "out"
    save_assistant(folder, assistant.model, assistant.processor)
    base = tiny_base()
    longer: Any = base.model.config
    longer.max_position_embeddings = 4096  # a real prompt in a tiny tokenizer's letters
    like = vocabulary_file(tmp_path / "base.gguf", base)
    export_assistant(out, folder, base=base, like=like)
    card = (out / "README.md").read_text()
    messages = json.loads(card.split("```json\n")[1].split("\n```")[0])
    assert [m["role"] for m in messages] == ["system", "user"]
    assert "Squats 3 times" in messages[0]["content"]
    assert messages[1]["content"].startswith(f"{QUESTION}\nAsked: how many times; a number.\nMeasured: ")
    assert (out / "ASSISTANT.md").read_text() == (folder / "README.md").read_text()
    plain: Any = AutoModelForCausalLM.from_pretrained(out).eval()
    tokenizer = AutoTokenizer.from_pretrained(out)
    given = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    assert tokenizer.decode(given["input_ids"][0]) in card
    with torch.inference_mode():
        said = plain.generate(**given, max_new_tokens=120, do_sample=False)[0, given["input_ids"].shape[1] :]
        read = again(next(out.glob("*-motionqa-f16.gguf")))
        assert torch.allclose(read(IDS).logits, plain(IDS).logits, atol=0.05)
        assert not torch.allclose(tiny_base().model(IDS).logits, plain(IDS).logits, atol=0.5)
    assert f"in transformers is: {tokenizer.decode(said, skip_special_tokens=True).strip()}" in card


def test_without_the_bases_own_file_the_card_names_the_converter(tmp_path: Path) -> None:
    assistant = tiny_assistant()
    save_assistant(tmp_path / "assistant", assistant.model, assistant.processor)
    base = tiny_base()
    cast(Any, base.model.config).max_position_embeddings = 4096
    out = export_assistant(tmp_path / "out", tmp_path / "assistant", base=base)
    assert not list(out.glob("*.gguf"))
    assert "convert_hf_to_gguf.py" in (out / "README.md").read_text()

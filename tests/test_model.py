"""The multimodal language model: features at placeholders, KV cache, LoRA, saving, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from motionqa.assistant.model import IGNORE, MotionQAForConditionalGeneration
from motionqa.assistant.model_dir import Assistant, Base, export_merged, load_assistant, load_base, new_assistant
from motionqa.data.schema import InputError
from motionqa.tests.assistant_models import SOURCES, WIDTHS, asked, clip_tokens, tiny_assistant, tiny_base


@pytest.fixture(scope="module")
def tiny() -> Assistant:
    return tiny_assistant()


def inputs(assistant: Assistant, **changes: object) -> dict[str, torch.Tensor]:
    return assistant.processor(asked(clip=clip_tokens(**changes))).tensors()  # type: ignore[arg-type]


def test_what_a_clip_shows_changes_what_the_model_says(tiny: Assistant) -> None:
    with torch.inference_mode():
        one, same, other = (tiny.model(**inputs(tiny, seed=s)).logits for s in (0, 0, 1))
    assert torch.equal(one, same)
    assert (one - other).abs().max() > 1e-3


def test_features_take_the_places_of_their_placeholders_in_order(tiny: Assistant) -> None:
    given = inputs(tiny)
    features = {m: given[m] for m in ("motion", "video")}
    embeds = tiny.model.embed(given["input_ids"], features)
    for modality, rows in features.items():
        place = given["input_ids"][0] == (tiny.model.config.placeholder_ids or {})[modality]
        assert torch.equal(embeds[0, place], tiny.model.projectors[modality](rows))
    words = given["input_ids"][0] < len(tiny.processor.tokenizer)
    assert torch.equal(embeds[0, words], tiny.model.get_input_embeddings()(given["input_ids"][0, words]))


@pytest.mark.parametrize("step", ["forward", "generate"])
def test_counts_that_differ_raise_before_any_compute(
    tiny: Assistant, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def computed(*_: object, **__: object) -> None:
        raise AssertionError("the base model was run")

    monkeypatch.setattr(tiny.model.get_input_embeddings(), "forward", computed)
    given = inputs(tiny)
    run = tiny.model if step == "forward" else tiny.model.generate
    with pytest.raises(ValueError, match="5 placeholders for motion, and 4 rows of motion"):
        run(**{**given, "motion": given["motion"][:4]})
    with pytest.raises(ValueError, match="3 placeholders for video, and 0 rows of video"):
        run(**{k: v for k, v in given.items() if k != "video"})
    with pytest.raises(ValueError, match="this model reads motion, video, and flow features came"):
        run(**given, flow=torch.zeros(1, 3))
    with pytest.raises(ValueError, match="motion features have 5 values a row, expected 6"):
        run(**{**given, "motion": given["motion"][:, :5]})


def test_generation_with_a_cache_is_generation_without(tiny: Assistant) -> None:
    given = inputs(tiny)
    with torch.inference_mode():
        cached = tiny.model.generate(**given, max_new_tokens=12, do_sample=False, eos_token_id=-1)
        whole = tiny.model.generate(**given, max_new_tokens=12, do_sample=False, eos_token_id=-1, use_cache=False)
    assert torch.equal(cached, whole)
    assert cached.shape[1] == given["input_ids"].shape[1] + 12


def test_a_cached_prefix_gives_the_logits_of_the_whole_prompt(tiny: Assistant) -> None:
    prompt = tiny.processor(asked(clip=clip_tokens()))
    given, at = prompt.tensors(), prompt.prefix
    with torch.inference_mode():
        whole = tiny.model(**given).logits
        features = {m: given[m] for m in ("motion", "video")}
        first = tiny.model(input_ids=given["input_ids"][:, :at], **features, use_cache=True)
        rest = tiny.model(input_ids=given["input_ids"][:, at:], past_key_values=first.past_key_values)
    assert torch.allclose(whole[:, at:], rest.logits, atol=1e-5)


def test_two_clips_in_one_batch_are_read_as_they_are_alone(tiny: Assistant) -> None:
    clips = [tiny.processor(asked(clip=clip_tokens(n, seed=n))).tensors() for n in (3, 7)]
    width = max(c["input_ids"].shape[1] for c in clips)
    ids = torch.full((2, width), 0)
    for row, clip in enumerate(clips):
        ids[row, : clip["input_ids"].shape[1]] = clip["input_ids"]
    rows = {m: torch.cat([c[m] for c in clips]) for m in ("motion", "video")}
    with torch.inference_mode():
        together = tiny.model(input_ids=ids, **rows).logits
        for row, clip in enumerate(clips):
            alone = tiny.model(**clip).logits[0]
            assert torch.allclose(together[row, : len(alone)], alone, atol=1e-5)


def test_the_loss_is_that_of_all_logits_at_the_labels_and_only_those_are_computed(tiny: Assistant) -> None:
    whole = tiny.processor(asked(clip=clip_tokens()).plus("assistant", "The left hand."), reply=False)
    given = whole.tensors()
    learned = torch.from_numpy(whole.loss_mask)[None]
    labels = torch.where(learned, given["input_ids"], IGNORE)
    out = tiny.model(**given, labels=labels)
    assert out.logits.shape[:2] == (1, int(learned.sum()))
    full = tiny.model(**given).logits[:, :-1]
    expected = torch.nn.functional.cross_entropy(full[learned[:, 1:]], labels[:, 1:][learned[:, 1:]])
    assert torch.allclose(out.loss, expected, atol=1e-6)
    weights = torch.rand(labels.shape)
    weighed = tiny.model(**given, labels=labels, loss_weights=weights).loss
    each = torch.nn.functional.cross_entropy(full[learned[:, 1:]], labels[learned], reduction="none")
    assert torch.allclose(weighed, (each * weights[learned]).sum(), atol=1e-5)
    with pytest.raises(ValueError, match="no token of this batch carries a loss"):
        tiny.model(**given, labels=torch.full_like(labels, IGNORE))


def test_the_base_is_frozen_and_stays_in_evaluation_mode_while_adapters_and_projectors_train() -> None:
    assistant = tiny_assistant(lora_dropout=0.5)
    trained = {n for n, p in assistant.model.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in n or n.startswith("projectors.") for n in trained)
    given = inputs(assistant)
    assistant.model.train()
    training = {n for n, m in assistant.model.language_model.named_modules() if m.training}
    assert training
    assert all("lora_dropout" in n for n in training)
    with torch.no_grad():
        assert not torch.equal(assistant.model(**given).logits, assistant.model(**given).logits)
        assistant.model.eval()
        assert torch.equal(assistant.model(**given).logits, assistant.model(**given).logits)


def test_a_batch_without_features_still_reaches_every_projector() -> None:
    model = tiny_assistant().model.train()
    ids = torch.arange(6)[None]
    model(input_ids=ids, labels=ids).loss.backward()
    for name, weight in model.projectors.named_parameters():
        assert weight.grad is not None, name
        assert not weight.grad.any()


def test_gradient_checkpointing_changes_no_gradient() -> None:
    grads = []
    for recompute in (False, True):
        assistant = tiny_assistant()
        model = assistant.model
        if recompute:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
        given = inputs(assistant)
        labels = torch.where(given["input_ids"] < 300, given["input_ids"], IGNORE)
        model(**given, labels=labels).loss.backward()
        grads.append({n: p.grad for n, p in model.named_parameters() if p.requires_grad})
    assert all(torch.allclose(grads[0][n], grads[1][n], atol=1e-6) for n in grads[0])


# ------------------------------------------------------------------------------------------- directory


def test_a_saved_assistant_says_the_same_after_loading(tmp_path: Path, tiny: Assistant) -> None:
    tiny.model.save_pretrained(
        tmp_path, processor=tiny.processor, recipe={"steps": 3}, data={"clips": 8}, scores={"exact": 0.5}
    )
    loaded = load_assistant(tmp_path, tiny_base())
    given = inputs(tiny)
    with torch.inference_mode():
        before, after = tiny.model(**given).logits, loaded.model(**given).logits
    assert torch.allclose(before, after, atol=5e-3)  # weights are stored as float16
    assert (before - after).abs().max() < 0.02 * before.abs().max()
    loaded.model.save_pretrained(tmp_path / "again", processor=loaded.processor)
    for name in ("projector.safetensors", "adapter/adapter_model.safetensors", "config.json", "chat_template.jinja"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_the_directory_holds_no_base_model_and_explains_itself(tmp_path: Path, tiny: Assistant) -> None:
    tiny.model.save_pretrained(tmp_path, processor=tiny.processor, recipe={"steps": 3}, scores={"exact": 0.5})
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} == {
        "config.json", "projector.safetensors", "adapter/adapter_config.json", "adapter/adapter_model.safetensors",
        "processor_config.json", "chat_template.jinja", "README.md", "recipe.json",
    }  # fmt: skip
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["base_name"] == "tiny-0"
    assert config["sources"] == SOURCES
    assert json.loads((tmp_path / "recipe.json").read_text()) == {
        "recipe": {"steps": 3},
        "data": {},
        "scores": {"exact": 0.5},
    }
    card = (tmp_path / "README.md").read_text()
    assert "tiny-0" in card
    assert "| exact | 0.5 |" in card


def test_a_saved_assistant_names_no_path_of_the_machine_it_was_made_on(tmp_path: Path) -> None:
    base = tiny_base()
    base.model.config._name_or_path = "/home/somebody/.cache/llm/base"
    assistant = tiny_assistant(base)
    assistant.model.save_pretrained(tmp_path, processor=assistant.processor)
    written = "".join(p.read_text() for p in tmp_path.rglob("*.json"))
    assert "SmolLM" in written or base.name in written
    assert "somebody" not in written


def test_another_base_model_is_refused_with_both_names(tmp_path: Path, tiny: Assistant) -> None:
    tiny.model.save_pretrained(tmp_path, processor=tiny.processor)
    with pytest.raises(InputError, match=r"'tiny-0', and 'tiny-5' is another one \(different embeddings, layers\)"):
        load_assistant(tmp_path, tiny_base(seed=5))
    with pytest.raises(InputError, match=r"'tiny-0'.*different .*shape"):
        load_assistant(tmp_path, tiny_base(hidden=64))


def test_another_encoder_is_refused_with_both_names(tmp_path: Path, tiny: Assistant) -> None:
    tiny.model.save_pretrained(tmp_path, processor=tiny.processor)
    with pytest.raises(InputError, match=r"'tiny encoder 0a1b'.*'newer encoder'"):
        load_assistant(tmp_path, tiny_base(), sources={"motion": "newer encoder"})
    assert load_assistant(tmp_path, tiny_base(), sources=SOURCES)


def test_a_damaged_or_missing_directory_says_what_is_wrong(tmp_path: Path, tiny: Assistant) -> None:
    with pytest.raises(InputError, match=r"no config\.json"):
        load_assistant(tmp_path)
    tiny.model.save_pretrained(tmp_path, processor=tiny.processor)
    (tmp_path / "projector.safetensors").write_bytes(b"torn")
    with pytest.raises(InputError, match="is not whole"):
        load_assistant(tmp_path, tiny_base())


def test_auto_classes_know_the_assistant(tmp_path: Path, tiny: Assistant) -> None:
    tiny.model.save_pretrained(tmp_path, processor=tiny.processor)
    assert AutoConfig.from_pretrained(tmp_path).base_name == "tiny-0"
    model = AutoModelForCausalLM.from_pretrained(tmp_path, base=tiny_base())
    assert isinstance(model, MotionQAForConditionalGeneration)
    given = inputs(tiny)
    with torch.inference_mode():
        assert torch.allclose(model(**given).logits, tiny.model(**given).logits, atol=5e-3)
    random = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path))
    assert random(**given).logits.shape == tiny.model(**given).logits.shape


def test_training_can_go_on_from_a_saved_assistant(tmp_path: Path, tiny: Assistant) -> None:
    tiny.model.save_pretrained(tmp_path, processor=tiny.processor)
    model = load_assistant(tmp_path, tiny_base(), trainable=True).model
    assert {n.split(".")[0] for n, p in model.named_parameters() if p.requires_grad} == {"projectors", "language_model"}
    assert all(p.dtype == torch.float32 for p in model.parameters() if p.requires_grad)
    assert not any(p.requires_grad for p in load_assistant(tmp_path, tiny_base()).model.parameters())


def test_merged_adapters_say_the_same_and_export_as_a_plain_model(tmp_path: Path) -> None:
    assistant = tiny_assistant()
    given = inputs(assistant)
    ids = torch.arange(8)[None]
    with torch.inference_mode():
        before, words = assistant.model(**given).logits, assistant.model(input_ids=ids).logits
        export_merged(tmp_path, assistant)
        assert torch.allclose(assistant.model(**given).logits, before, atol=1e-5)
        plain = AutoModelForCausalLM.from_pretrained(tmp_path)
        assert type(plain).__name__ == "LlamaForCausalLM"
        assert torch.allclose(plain(ids).logits, words, atol=1e-5)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    rendered = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    assert rendered == "<|im_start|>user\nHi<|im_end|>\n"
    assert "words only" not in rendered
    assert "learned tokens need motionqa" in (tmp_path / "README.md").read_text()


def test_a_base_in_bfloat16_keeps_its_trained_parts_in_float32_and_is_recognised(tmp_path: Path) -> None:
    exact = tiny_base()
    half = Base(tiny_base().model.bfloat16(), exact.tokenizer, exact.name)
    assistant = new_assistant(half, WIDTHS, SOURCES)
    assistant.model.add_lora()
    assert {p.dtype for p in assistant.model.parameters() if p.requires_grad} == {torch.float32}
    assistant.model(**inputs(assistant), labels=torch.zeros_like(inputs(assistant)["input_ids"])).loss.backward()
    assistant.model.save_pretrained(tmp_path, processor=assistant.processor)
    assert load_assistant(tmp_path, exact)  # the same weights, before rounding


def test_four_bits_without_a_gpu_say_what_is_missing() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(InputError, match="QLoRA needs an NVIDIA GPU"):
        load_base(four_bit=True)

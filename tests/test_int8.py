"""Language models with int8 weights: nearly the same answers from smaller weights, or what is missing for that."""

from __future__ import annotations

import importlib.util
import shutil
import threading
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import torch._dynamo.utils
from torch import nn

from motionqa.assistant.int8 import check_int8, to_int8
from motionqa.assistant.llm import GenerationConfig, LocalModel, load_llm
from motionqa.assistant.tuned import TunedModel
from motionqa.cli.app import app
from motionqa.data.schema import Conversation, InputError
from motionqa.tests.assistant_models import asked, clip_tokens, tiny_assistant
from motionqa.tests.fake_models import tiny_model_directory

needs_int8 = pytest.mark.skipif(
    importlib.util.find_spec("torchao") is None or not (shutil.which("g++") or shutil.which("clang++")),
    reason="needs the extra int8 (torchao), and a C++ compiler",
)


def layer(inner: int, outer: int) -> nn.Sequential:
    torch.manual_seed(inner)
    return nn.Sequential(nn.Linear(inner, outer)).bfloat16().eval()


@needs_int8
@pytest.mark.parametrize("rows", [1, 7])
def test_a_layer_in_int8_computes_nearly_the_same(rows: int) -> None:
    exact, rounded = layer(64, 96), layer(64, 96)
    to_int8(rounded)
    x = torch.randn(1, rows, 64, dtype=torch.bfloat16)
    with torch.inference_mode():
        true, found = exact(x).float(), rounded(x).float()
    assert found.shape == (1, rows, 96)
    assert 0 < float((true - found).abs().max()) < 0.05
    assert float(true.std()) > 0.3


@needs_int8
def test_the_last_row_of_a_prompt_of_any_length_needs_no_compiling_anew() -> None:
    rounded = layer(48, 80)
    to_int8(rounded)
    compiled = torch._dynamo.utils.counters["stats"]
    with torch.inference_mode():
        first = rounded(torch.ones(1, 3, 48, dtype=torch.bfloat16)[:, -1:])
        before = compiled["unique_graphs"]
        for length in (1, 5, 9, 17):
            assert torch.equal(rounded(torch.ones(1, length, 48, dtype=torch.bfloat16)[:, -1:]), first)
    assert compiled["unique_graphs"] == before > 0


@needs_int8
def test_an_assistant_in_int8_weighs_and_answers_nearly_as_before() -> None:
    exact, rounded = TunedModel(tiny_assistant(), "a"), TunedModel(tiny_assistant(), "b", precision="int8")
    conversation, answers = asked(clip=clip_tokens()), ("The left hand.", "Right.", "Twice and then stops.")
    before, after = (m.weigh(conversation, answers) for m in (exact, rounded))
    for a, b in zip(before, after, strict=True):
        assert a.total != b.total
        assert a.total == pytest.approx(b.total, abs=0.15 * abs(a.total))
    assert rounded.parameters == exact.parameters
    one, two = ("".join(m.stream(conversation, GenerationConfig(8), threading.Event())) for m in (exact, rounded))
    assert one
    assert two == "".join(rounded.stream(conversation, GenerationConfig(8), threading.Event()))
    assert one.split()[0] == two.split()[0]


@needs_int8
def test_a_plain_model_can_be_loaded_in_int8(tmp_path: Path) -> None:
    folder = tiny_model_directory(tmp_path)
    model = load_llm(str(folder), precision="int8")
    assert isinstance(model, LocalModel)
    kept = [cast(Any, m).weight.qdata.dtype for m in model.model.modules() if isinstance(m, nn.Linear)]
    assert set(kept) == {torch.int8}
    assert len(kept) == 2 * 7 + 1
    assert "".join(model.stream(Conversation().plus("user", "a b"), GenerationConfig(6), threading.Event()))


def test_what_is_missing_for_int8_is_said_before_a_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="int8 is for processors, and this machine computes on cuda"):
        check_int8("cuda")
    with pytest.raises(InputError, match="A server computes in its own precision"):
        load_llm("http://127.0.0.1:9/v1", precision="int8")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "torchao" else find(name, *a))
    with pytest.raises(InputError, match=r"pip install 'motionqa\[int8\]'"):
        check_int8("cpu")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: object())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(InputError, match=r"needs a C\+\+ compiler"):
        check_int8("cpu")


def test_the_page_does_not_start_without_what_int8_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "torchao" else find(name, *a))
    assert app(precision="int8") == 2
    assert "int8" in capsys.readouterr().err

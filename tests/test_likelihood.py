"""Answers weighed by a language model: what one forward pass per answer would give, for the price of one prompt."""

from __future__ import annotations

import pytest
import torch

from motionqa.assistant import likelihood
from motionqa.assistant.llm import LocalModel, WeighingModel
from motionqa.data.schema import Conversation
from motionqa.tests.fake_models import ScriptedModel, tiny_model_directory

CONVERSATION = Conversation().plus("system", "a b").plus("user", "c d ?")
ANSWERS = ("a", "a b", "a b c d e", "h", "f g")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel(tiny_model_directory(tmp_path_factory.mktemp("tiny")), "tiny")


def one_by_one(model: LocalModel, answer: str) -> float:
    """The answer's log-likelihood by a whole pass over prompt, answer and end."""
    prompt = model.tokenizer(model.rendered(CONVERSATION), add_special_tokens=False).input_ids
    whole = [*prompt, *model.tokenizer(answer, add_special_tokens=False).input_ids, model.tokenizer.eos_token_id]
    with torch.inference_mode():
        logits = model.model(torch.tensor([whole], device=model.device)).logits[0].float().log_softmax(-1)
    return sum(float(logits[k - 1, whole[k]]) for k in range(len(prompt), len(whole)))


def test_it_is_what_a_pass_over_each_answer_gives(tiny: LocalModel) -> None:
    found = tiny.weigh(CONVERSATION, ANSWERS)
    assert [f.answer for f in found] == list(ANSWERS)
    assert [f.tokens for f in found] == [2, 3, 6, 2, 3]  # the end counts
    for f in found:
        assert f.total == pytest.approx(one_by_one(tiny, f.answer), abs=0.05)  # bfloat16 where the machine has it
        assert f.per_token == f.total / f.tokens


def test_it_depends_neither_on_the_order_nor_on_the_batch(tiny: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    together = {f.answer: f.total for f in tiny.weigh(CONVERSATION, ANSWERS)}
    backwards = {f.answer: f.total for f in tiny.weigh(CONVERSATION, ANSWERS[::-1])}
    monkeypatch.setattr(likelihood, "BATCH", 2)
    in_twos = {f.answer: f.total for f in tiny.weigh(CONVERSATION, ANSWERS)}
    assert together == pytest.approx(backwards, abs=0.05)
    assert together == pytest.approx(in_twos, abs=0.05)


def test_the_prompt_is_run_once_for_all_answers(tiny: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    forward = tiny.model.forward

    def counted(*args: object, **kwargs: object) -> object:
        lengths.append(kwargs["input_ids"].shape)  # type: ignore[attr-defined]
        return forward(*args, **kwargs)

    monkeypatch.setattr(tiny.model, "forward", counted)
    tiny.weigh(CONVERSATION, ANSWERS)
    assert len(lengths) == 2
    assert lengths[0][0] == 1
    assert lengths[1] == (5, 5)  # five answers, the longest without its end


def test_probabilities_of_all_one_token_answers_and_the_end_sum_to_less_than_one(tiny: LocalModel) -> None:
    found = tiny.weigh(CONVERSATION, tuple("abcdefgh"))
    assert 0 < sum(torch.tensor([f.total for f in found]).exp().tolist()) < 1


def test_empty_answers_are_refused(tiny: LocalModel) -> None:
    for answers in ((), ("a", " ")):
        with pytest.raises(ValueError, match="not empty"):
            tiny.weigh(CONVERSATION, answers)


def test_who_can_weigh_is_told_by_type(tiny: LocalModel) -> None:
    assert isinstance(tiny, WeighingModel)
    assert not isinstance(ScriptedModel(), WeighingModel)

"""The tuned assistant in the chat: a clip is computed once, and answers are those of a plain run."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from motionqa.assistant.llm import ClipReadingModel, GenerationConfig, LanguageModel, WeighingModel
from motionqa.assistant.tuned import TunedModel
from motionqa.data.schema import Conversation, InputError
from motionqa.tests.assistant_models import asked, clip_tokens, sentencepiece_tokenizer, tiny_assistant, tiny_base

CONFIG = GenerationConfig(11)


@pytest.fixture(scope="module", params=["ChatML", "sentencepiece"])
def tuned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TunedModel:
    tokenizer = None if request.param == "ChatML" else sentencepiece_tokenizer(tmp_path_factory.mktemp("spm"))
    return TunedModel(tiny_assistant(tiny_base(tokenizer)), "tiny")


def reply(model: TunedModel, conversation: Conversation, config: GenerationConfig = CONFIG) -> str:
    return "".join(model.stream(conversation, config, threading.Event()))


def plain(model: TunedModel, conversation: Conversation) -> str:
    """The reply by one whole run, nothing kept."""
    inputs = model.processor(conversation)
    with torch.inference_mode():
        out = model.model.generate(**inputs.tensors(), max_new_tokens=11, do_sample=False)  # too few to go round
    new = out[0, len(inputs.input_ids) :]
    return str(model.tokenizer.decode(new, skip_special_tokens=True))


def test_it_is_a_language_model_that_weighs_and_reads_clips(tuned: TunedModel) -> None:
    assert isinstance(tuned, LanguageModel)
    assert isinstance(tuned, WeighingModel)
    assert isinstance(tuned, ClipReadingModel)
    assert tuned.reads_clips == ("motion", "video")
    assert tuned.count_tokens(asked(clip=clip_tokens(9))) == tuned.count_tokens(asked(clip=clip_tokens(5))) + 4


def test_replies_from_a_kept_clip_are_those_of_a_whole_run(tuned: TunedModel) -> None:
    clip, other = clip_tokens(), clip_tokens(6, seed=4)
    for question in ("Which hand waves?", "How often?", "Which hand waves?"):
        for shown in (clip, other):
            conversation = asked(question, shown)
            assert reply(tuned, conversation).strip() == plain(tuned, conversation).strip()
    history = asked(clip=clip).plus("assistant", "Left.").plus("user", "Sure?")
    assert reply(tuned, history).strip() == plain(tuned, history).strip()
    without = Conversation().plus("user", "Hello?")
    assert reply(tuned, without).strip() == plain(tuned, without).strip()


def test_a_clip_is_computed_once_for_all_questions(tuned: TunedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    widths: list[int] = []
    forward = tuned.model.language_model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        widths.append(kwargs["inputs_embeds"].shape[1])
        return forward(*args, **kwargs)

    monkeypatch.setattr(tuned.model.language_model, "forward", counted)
    clip = clip_tokens(12, seed=9)
    inputs = tuned.processor(asked(clip=clip))
    reply(tuned, asked(clip=clip))
    assert widths[0] == inputs.prefix
    assert widths[1] == len(inputs.input_ids) - inputs.prefix
    widths.clear()
    reply(tuned, asked("How often?", clip))
    tuned.weigh(asked("How often?", clip), ("Twice.", "Once."))
    assert max(widths) < inputs.prefix


def test_only_the_last_few_clips_are_kept() -> None:
    model = TunedModel(tiny_assistant(), "tiny", clips=2)
    for seed in range(4):
        reply(model, asked(clip=clip_tokens(seed=seed)), GenerationConfig(1))
    assert len(model._kept) == 2


def test_likelihoods_are_those_of_whole_runs(tuned: TunedModel) -> None:
    conversation, answers = asked(clip=clip_tokens()), ("The left hand.", "Right.", "The right arm waves twice.")
    found = tuned.weigh(conversation, answers)
    for answer, weighed in zip(answers, found, strict=True):
        inputs = tuned.processor(conversation)
        ids = torch.tensor([[*inputs.input_ids.tolist(), *tuned.processor.answer_ids(answer)]])
        features = {m: inputs.tensors()[m] for m in inputs.features}
        with torch.inference_mode():
            logits = tuned.model(input_ids=ids, **features).logits[0].log_softmax(-1)
        at = len(inputs.input_ids)
        expected = sum(float(logits[k - 1, ids[0, k]]) for k in range(at, ids.shape[1]))
        assert weighed.answer == answer
        assert weighed.tokens == ids.shape[1] - at
        assert weighed.total == pytest.approx(expected, abs=1e-3)
    with pytest.raises(ValueError, match="not empty"):
        tuned.weigh(conversation, ("a", " "))


def test_questions_from_several_threads_get_their_own_answers(tuned: TunedModel) -> None:
    conversations = [asked(clip=clip_tokens(seed=seed)) for seed in range(3)]
    expected = [reply(tuned, c) for c in conversations]
    found: dict[int, str] = {}

    def ask(k: int) -> None:
        found[k] = reply(tuned, conversations[k])

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[k] for k in range(3)] == expected


def test_the_stop_button_ends_a_reply(tuned: TunedModel) -> None:
    stop = threading.Event()
    stop.set()
    assert len(list(tuned.stream(asked(clip=clip_tokens()), GenerationConfig(200), stop))) < 20


def test_a_question_that_does_not_fit_is_refused(tuned: TunedModel) -> None:
    with pytest.raises(InputError, match="there is room for"):
        reply(tuned, asked("why? " * 600, clip_tokens()))


def test_it_loads_from_a_directory(tmp_path: Path) -> None:
    assistant = tiny_assistant()
    assistant.model.save_pretrained(tmp_path, processor=assistant.processor)
    model = TunedModel.load(tmp_path, tiny_base())
    assert model.name == "tiny-0, tuned on movements"
    assert isinstance(reply(model, asked(clip=clip_tokens())), str)

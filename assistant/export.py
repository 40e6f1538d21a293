"""The assistant for other programs: a plain language model with its adapters merged, a GGUF file, and how to ask it.

Learned tokens of a clip stay behind, since only motionqa can make them; the words and measurements that stand in the
prompt (`motionqa.assistant.prompt`) are text, and the assistant was tuned to answer from them alone as well.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from motionqa.assistant.config import MotionQAConfig
from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.gguf_file import GgufKind, write_gguf
from motionqa.assistant.llm import EMBEDDED_NAME, LanguageModel, embedded_gguf
from motionqa.assistant.model_dir import CARD, Base, export_merged, load_assistant
from motionqa.assistant.prompt import config_for
from motionqa.assistant.released import WEIGHTS, clip_encoder
from motionqa.assistant.session import ChatSession, Engine
from motionqa.assistant.tuned import TunedModel
from motionqa.data.schema import ClipEncoding
from motionqa.data.synthetic.motions import arm_raise, concatenate, render, squats, stand
from motionqa.encoders.kinematics.analyse import analyse
from motionqa.encoders.reader.words import read_clip

QUESTION = "How many squats does the person do?"
ASSISTANT_CARD = "ASSISTANT.md"


@dataclass(frozen=True)
class Example:
    """One clip and one question, as the exported model has to be asked."""

    clip: str
    question: str
    messages: Sequence[dict[str, str]]
    prompt: str
    """The messages as the chat template writes them, up to where the reply begins."""
    reply: str


def export_assistant(
    out: Path,
    folder: Path | None = None,
    *,
    base: str | Path | Base | None = None,
    gguf: GgufKind | None = "f16",
    like: Path | None = None,
    clip: Path | None = None,
    question: str = QUESTION,
) -> Path:
    """The folder, now holding the model for transformers, a GGUF file, and a card with one clip's exact prompt.

    `folder` is the assistant's, the released one by default. `like` is the base model's own GGUF file, known for the
    embedded base; without one no GGUF file is written. The example is a generated body where no `clip` is given.
    InputError where the assistant, its base, `like` or the clip can not be read.
    """
    folder = folder or WEIGHTS / "assistant"
    assistant = load_assistant(folder, base)
    name = str(cast(MotionQAConfig, assistant.model.config).base_name)
    if like is None and name == EMBEDDED_NAME:
        like = embedded_gguf()
    export_merged(out, assistant)
    file = None
    if gguf and like:
        file = out / f"{Path(name).name}-motionqa-{gguf}.gguf"
        write_gguf(file, assistant.model.base, assistant.processor.template, like, gguf, f"{name} of motionqa")
    has_card = (folder / CARD).exists()
    if has_card:
        shutil.copyfile(folder / CARD, out / ASSISTANT_CARD)
    shown = example(TunedModel(assistant, name), clip, question)
    (out / CARD).write_text(_card(name, file, has_card, shown))
    return out


def words_session(llm: LanguageModel) -> ChatSession:
    """A chat whose prompts hold all that is known of a clip in words, as a model without learned tokens needs them."""
    engine = Engine(clip_encoder(), llm, SentenceEmbedder())
    session = ChatSession(engine)
    session.prompt_config = replace(config_for(llm), clip="words")
    return session


def example(llm: TunedModel, clip: Path | None, question: str) -> Example:
    """How the model is asked about a clip, or a generated body, and what it replies. InputError as `ChatSession`."""
    session = words_session(llm)
    if clip is None:
        session.encoding = _generated(session)
    else:
        session.set_clip(clip)
    assert session.encoding is not None
    conversation = session.prompt(question).conversation
    messages = conversation.as_messages()
    template = llm.processor.template
    prompt = llm.tokenizer.apply_chat_template(
        messages, chat_template=template, add_generation_prompt=True, tokenize=False
    )
    reply = "".join(llm.stream(conversation, session.engine.generation, threading.Event()))
    return Example(session.encoding.name, question, messages, str(prompt), reply.strip())


def _generated(session: ChatSession) -> ClipEncoding:
    """A body that stands, squats three times and raises an arm."""
    pose = render(concatenate(stand(1.0), squats(3), arm_raise("right"), stand(1.0)))
    report = analyse(pose)
    reading = read_clip(pose, report, session.engine.encoder.reader)
    length = float(pose.times_s[-1] - pose.times_s[0] + 1 / pose.fps)
    return ClipEncoding("", "a generated body", "motion", length, (), 0, None, pose, report, reading=reading)


def _card(name: str, gguf: Path | None, has_card: bool, shown: Example) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    template = environment.from_string((Path(__file__).parent / "export_card.jinja").read_text())
    messages = json.dumps(list(shown.messages), indent=1, ensure_ascii=False)
    file = gguf.name if gguf else ""
    return template.render(name=name, gguf=file, has_card=has_card, shown=shown, messages=messages)

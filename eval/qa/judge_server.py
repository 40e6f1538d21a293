"""One question to an OpenAI-compatible server that judges: cached, retried within bounds, never guessed at."""

from __future__ import annotations

import ast
import json
import os
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionqa.data.cache import cache_root
from motionqa.data.schema import InputError
from motionqa.eval.qa.judge_prompt import OURS, JudgePrompt
from motionqa.eval.qa.predictions import write_whole

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True)
class JudgeConfig:
    """Which judge, and how patiently it is asked. All but the limits is part of each reply's cache key."""

    url: str
    """Base address, usually ending in /v1; the key comes from $OPENAI_API_KEY."""
    model: str
    prompt: JudgePrompt = OURS
    max_tokens: int = 64
    temperature: float = 0.0
    timeout_s: float = 60.0
    tries: int = 5
    """Requests for one reply, where the server is busy, broken or silent."""
    replies: int = 3
    """Replies asked for, with another seed each, where they can not be parsed."""
    backoff_s: float = 1.0
    """Wait after the first failure; doubled each time, up to a minute, unless the server names a time."""
    concurrency: int = 8

    def __post_init__(self) -> None:
        for name in ("tries", "replies", "concurrency", "max_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class Reply:
    """One reply of the server, as it came."""

    text: str
    model: str
    """What the server says it is."""
    cached: bool = False


@dataclass(frozen=True)
class Verdict:
    """What the judge said about one prediction; `error` instead where it could not be had."""

    id: str
    right: bool | None = None
    score: float | None = None
    """0 to 5, as the judge gave it."""
    model: str = ""
    reply: str = ""
    error: str = ""


class ServerDown(Exception):
    """The server did not give a reply within all tries."""


class JudgeServer:
    """A judge behind an address. Safe to share between threads."""

    def __init__(
        self, config: JudgeConfig, cache: Path | None = None, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        import httpx

        self.config = config
        self.cache = cache or cache_root() / "judge"
        self.unsaved = 0
        """Replies that could not be written to the cache: used, but paid for again by the next run."""
        self._sleep = sleep
        key = os.environ.get("OPENAI_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._url = f"{config.url.rstrip('/')}/chat/completions"
        self._client = httpx.Client(timeout=config.timeout_s, headers=headers)

    def close(self) -> None:
        """Ends all connections."""
        self._client.close()

    def verdict(self, id: str, question: str, answer: str, prediction: str) -> Verdict:
        """The judge's word on one prediction. Replies that can not be parsed are asked for again, then an error.

        `ServerDown` where there is no reply at all; InputError where the server refuses the request as such.
        """
        messages = self.config.prompt.messages(question, answer, prediction)
        reply = Reply("", "")
        for seed in range(self.config.replies):
            reply = self._reply(messages, seed)
            found = parse_verdict(reply.text)
            if found:
                return Verdict(id, found[0], found[1], reply.model, reply.text)
        why = f"{self.config.replies} replies could not be parsed, the last: {reply.text[:200]!r}"
        return Verdict(id, model=reply.model, reply=reply.text, error=why)

    def _reply(self, messages: list[dict[str, str]], seed: int) -> Reply:
        body = {
            "model": self.config.model,
            "messages": messages,
            "temperature": self.config.temperature,
            "max_tokens": self.config.max_tokens,
            "seed": seed,
        }
        key = sha256(json.dumps([self._url, body], sort_keys=True, ensure_ascii=False).encode()).hexdigest()
        path = self.cache / key[:2] / f"{key}.json"
        known = _cached(path)
        if known:
            return known
        reply = self._ask(body)
        try:
            write_whole(path, json.dumps({"sent": body, "text": reply.text, "model": reply.model}, ensure_ascii=False))
        except OSError:  # a full disk
            self.unsaved += 1
        return reply

    def _ask(self, body: dict[str, Any]) -> Reply:
        import httpx

        why = ""
        for attempt in range(self.config.tries):
            wait_s = min(60.0, self.config.backoff_s * 2**attempt) * random.uniform(0.75, 1.25)
            try:
                response = self._client.post(self._url, json=body)
                if response.status_code == 429 or response.status_code >= 500:
                    why = f"it answered {response.status_code}: {response.text[:200]}"
                    wait_s = _asked_to_wait(response) or wait_s
                elif response.is_error:
                    raise InputError(
                        f"The judge at {self.config.url} refuses: {response.status_code} {response.text[:300]}. "
                        "Check the address, the model's name and $OPENAI_API_KEY."
                    )
                else:
                    return _read(response.json())
            except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError, AttributeError) as error:
                if isinstance(error, InputError):
                    raise
                why = f"{type(error).__name__}: {error}"
            if attempt + 1 < self.config.tries:
                self._sleep(wait_s)
        raise ServerDown(f"no reply within {self.config.tries} tries; {why}")


def _read(reply: Any) -> Reply:
    """The words and the reported version in a server's reply; an error of any usual kind where it has another form."""
    text = reply["choices"][0]["message"]["content"]
    if not isinstance(text, str):
        raise ValueError(f"the reply holds no text: {str(reply)[:200]}")
    return Reply(text, " ".join(str(reply[k]) for k in ("model", "system_fingerprint") if reply.get(k)))


def _asked_to_wait(response: httpx.Response) -> float | None:
    try:
        return min(300.0, max(0.0, float(response.headers.get("Retry-After", ""))))
    except ValueError:
        return None


def _cached(path: Path) -> Reply | None:
    try:
        found = json.loads(path.read_text())
        return Reply(str(found["text"]), str(found["model"]), cached=True)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def parse_verdict(text: str) -> tuple[bool, float] | None:
    """(right, score 0 to 5) from a reply such as {'pred': 'yes', 'score': 4}; None where it says anything else."""
    for found in re.findall(r"\{[^{}]*\}", text):
        said = _literal(found)
        if not isinstance(said, dict):
            continue
        pred, score = said.get("pred"), said.get("score")
        word = ("yes" if pred else "no") if isinstance(pred, bool) else pred if isinstance(pred, str) else None
        try:
            number = float(score) if not isinstance(score, bool) and score is not None else float("nan")
        except (TypeError, ValueError):
            continue
        word = word.strip().lower() if isinstance(word, str) else word
        if word in ("yes", "no") and 0 <= number <= 5:
            return word == "yes", number
    return None


def _literal(text: str) -> object:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None

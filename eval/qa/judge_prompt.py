"""What a judge is told: a prompt is part of a protocol, so its hash stands beside every figure.

The wording of published evaluations is not shipped; give it as a file (`read_prompt`) and it is known by its hash.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from motionqa.data.schema import InputError


@dataclass(frozen=True)
class JudgePrompt:
    """What a judge is told and asked."""

    name: str
    source: str
    system: str
    question: str
    """With {question}, {answer} (the reference) and {prediction}."""

    @property
    def sha256(self) -> str:
        """Hex hash of both parts."""
        return sha256(f"{self.system}\0{self.question}".encode()).hexdigest()

    def messages(self, question: str, answer: str, prediction: str) -> list[dict[str, str]]:
        """The messages sent for one question."""
        # Not str.format: the texts hold braces of their own, and so may a prediction.
        asked = self.question
        head, rest = asked.split("{question}")
        middle, rest = rest.split("{answer}")
        after, tail = rest.split("{prediction}")
        filled = f"{head}{question}{middle}{answer}{after}{prediction}{tail}"
        return [{"role": "system", "content": self.system}, {"role": "user", "content": filled}]


OURS = JudgePrompt(
    "motionqa",
    "ours, after the protocol of Maaz et al., Video-ChatGPT (arXiv 2306.05424)",
    (
        "You grade answers to questions about videos. You see a question, the reference answer and a given answer, "
        "and decide whether the given answer says the same. Other words for the same thing are right; another thing, "
        "a contradiction or no answer is wrong."
    ),
    (
        "Question: {question}\nReference answer: {answer}\nGiven answer: {prediction}\n\n"
        'Reply with nothing but {"pred": "yes" or "no", "score": a whole number from 0 (unrelated) to 5 (the same)}.'
    ),
)
"""The default. Figures under it are not comparable with published ones, which need the published wording."""

PUBLISHED: dict[str, tuple[str, str]] = {
    "545a04c025fcc48933bcb9500e38fe8db3e63479c2bfa53801ecad1703f9cf66": (
        "video-chatgpt",
        "Maaz et al., Video-ChatGPT (arXiv 2306.05424), evaluation of ActivityNet-QA",
    ),
}
"""Wordings that published figures were judged by, by their hash: the texts are their authors' and not shipped here."""

_PLACES = ("{question}", "{answer}", "{prediction}")


def read_prompt(path: Path) -> JudgePrompt:
    """The prompt in a json file `{"system": "...", "question": "..."}`, named where its wording is a published one.

    The question holds {question}, {answer} and {prediction} once each, in this order. InputError where it does not.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no readable json file: {error}") from error
    if not isinstance(told, dict) or not all(isinstance(told.get(k), str) for k in ("system", "question")):
        raise InputError(f'{path} should hold {{"system": "...", "question": "..."}}')
    places = [told["question"].find(p) for p in _PLACES]
    if places != sorted(places) or -1 in places or any(told["question"].count(p) != 1 for p in _PLACES):
        raise InputError(f"{path}: the question should hold {', '.join(_PLACES)} once each, in this order")
    prompt = JudgePrompt(path.stem, "the user's own", told["system"], told["question"])
    name, source = PUBLISHED.get(prompt.sha256, (prompt.name, prompt.source))
    return replace(prompt, name=name, source=source)

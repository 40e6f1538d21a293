"""Hooks of the lmms-eval tasks beside this file: what is seen, what is asked, what counts as right."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

_NUMBERS = {w: str(i) for i, w in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight",
                                             "nine", "ten", "eleven", "twelve"))}  # fmt: skip


def doc_to_visual(doc: dict[str, Any]) -> list[str]:
    """The path of the question's video, below `$MOTIONQA_CLIPS`. FileNotFoundError where it is missing."""
    path = Path(os.environ.get("MOTIONQA_CLIPS", ".")) / doc["clip"]
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; set MOTIONQA_CLIPS to the folder that holds {doc['clip']}")
    return [str(path)]


def doc_to_text(doc: dict[str, Any], lmms_eval_specific_kwargs: dict[str, Any] | None = None) -> str:
    """The question, its options where it has some, between the task's own words."""
    words = lmms_eval_specific_kwargs or {}
    options = f"\nChoose one of: {', '.join(doc['options'])}." if doc.get("options") else ""
    return f"{words.get('pre_prompt', '')}{doc['question']}{options}{words.get('post_prompt', '')}"


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """1 or 0 by metric, for one question and the model's one reply."""
    said, right = results[0], str(doc["answer"])
    return {"exact": float(said == right), "normalised": float(_plain(said) == _plain(right))}


def _plain(text: str) -> str:
    words = re.sub(r"[^\w\s]|_", " ", text.lower()).split()
    return " ".join(_NUMBERS.get(w, w) for w in words if w not in ("a", "an", "the"))

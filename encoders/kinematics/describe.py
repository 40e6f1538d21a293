"""The report in plain English: the most telling facts first, within a token budget."""

from __future__ import annotations

from collections.abc import Callable

from motionqa.data.schema import MotionReport

Tokens = Callable[[str], int]


def estimate_tokens(text: str) -> int:
    """A quarter of the characters, rounded up: what English costs most tokenizers."""
    return -(-len(text) // 4)


def describe(report: MotionReport, max_tokens: int = 300, tokens: Tokens = estimate_tokens) -> str:
    """The movement in words: the summary first, then facts by salience, as many as fit in `max_tokens`; one always."""
    chosen: list[str] = []
    spent = 0
    for fact in sorted(report.facts, key=lambda f: -f.salience):
        cost = tokens(fact.text) + 1
        if spent + cost <= max_tokens or not chosen:
            chosen.append(fact.text)
            spent += cost
    return " ".join(chosen)

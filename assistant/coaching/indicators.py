"""CoachMe's six indicators of a critique, told by rule: error, time, body part, cause, method, coordination.

The rule asks for the finding's own words: an indicator is there when at least half of the content words of the rule
file's text for it stand in the critique, and for time when a moment or a repetition is named.
"""

from __future__ import annotations

import re

from motionqa.assistant.coaching.findings import Finding

SIX = ("error", "time", "body part", "causation", "method", "coordination")
_WORD = re.compile(r"[a-z]{3,}")
_FILLER = frozenset(
    _WORD.findall(
        "the and with for that this are was not from into your you its their his her them they than then when while "
        "what which should would could can will may must has have had does did out all too very more most only over"
    )
)
_TIME = re.compile(
    r"\d(?:\.\d)? ?s(?:econds?)?\b|\brepetitions?\b|\bstrides?\b|\bduring the hold\b|\bin part of the\b", re.IGNORECASE
)
_CAUSE = re.compile(
    r"\bbecause\b|\bcause\w*\b|\bcomes? from\b|\bmatters\b|\bsince\b|\bdue to\b|\breasons?\b", re.IGNORECASE
)


def content_words(text: str) -> set[str]:
    """The words that carry meaning, without a plural's s."""
    return {w.rstrip("s") for w in _WORD.findall(text.lower())} - _FILLER


def _told(text: str, *sources: str) -> bool:
    said = content_words(text)
    for source in sources:
        words = content_words(source)
        if words and 2 * len(words & said) >= len(words):
            return True
    return False


def indicators(text: str, finding: Finding) -> frozenset[str]:
    """Which of the six a text about a fault has. ValueError for a finding without a check."""
    check = finding.check
    if check is None:
        raise ValueError(f"{finding.title} is not a fault found by a check")
    present = {
        "error": _told(text, check.fault),
        "time": bool(_TIME.search(text)),
        "body part": bool(content_words(check.part) & content_words(text)),
        "causation": bool(_CAUSE.search(text)) and _told(text, check.cause, check.why),
        "method": _told(text, check.cue, check.drill),
        "coordination": _told(text, check.coordination),
    }
    return frozenset(name for name in SIX if present[name])

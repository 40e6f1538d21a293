"""Facts chosen for a reader: the most telling first, or those that a question asks about, within a token budget."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from motionqa.data.schema import Fact, MotionReport

Tokens = Callable[[str], int]

# Words of a question, by stem, and the topics they ask about. A stem ending in * matches any ending.
TOPIC_WORDS: dict[str, tuple[str, ...]] = {
    "count": ("how many", "how often", "count*", "number*", "times", "repetition*", "reps", "repeat*", "steps"),
    "time": ("when", "how long", "duration", "last*", "second*", "start*", "begin*", "end*", "tempo", "time"),
    "speed": ("fast*", "slow*", "speed", "quick*", "pace", "velocity", "hurr*"),
    "side": (
        "side",
        "which arm",
        "which leg",
        "which hand",
        "which foot",
        "left",
        "right",
        "most",
        "body part*",
        "limb*",
    ),
    "travel": ("direction", "where", "travel*", "far", "distance", "toward*", "away", "forward*", "backward*", "move*"),
    "turn": ("turn*", "rotat*", "direction", "face*", "facing", "spin*", "around"),
    "angle": ("angle*", "deep*", "bend*", "bent", "degree*", "flex*", "straight*", "lean*", "knee*", "elbow*", "far"),
    "symmetry": ("symmetr*", "even*", "equal*", "same", "differ*", "both", "balanced", "alike"),
    "order": ("first", "after*", "before", "then", "next", "last", "finally", "order", "sequence", "finish*", "begin*"),
    "posture": ("posture", "stand*", "sit*", "lie*", "lying", "upright", "position", "above", "head", "over*", "hold*"),
    "contact": ("floor", "ground", "foot", "feet", "jump*", "air"),
    "part": ("most", "body part*", "part*", "limb*", "moves", "which"),
    "summary": ("what", "doing", "do", "does", "action*", "activity", "describe", "happen*", "movement", "exercise*"),
    "view": ("see", "seen", "visible", "view", "judge*", "sure", "certain", "reliable"),
}
"""What each topic of a fact is asked by."""

STOP = frozenset(
    re.findall(
        r"\w+",
        "a an the is are was were do does did of to in on at and or it this that person they he she their his her "
        "what which how when where who why many much with for from be by there any",
    )
)
BODY_PARTS: dict[str, tuple[str, ...]] = {
    "arm": ("wrist", "elbow", "shoulder"),
    "hand": ("wrist",),
    "leg": ("knee", "ankle", "hip"),
    "foot": ("ankle",),
    "feet": ("ankle",),
    "back": ("thorax", "pelvis"),
    "trunk": ("thorax", "pelvis"),
    "torso": ("thorax", "pelvis"),
    "body": ("pelvis",),
    "head": ("head_top", "nose"),
}
"""Everyday words for the joints that show them."""


def estimate_tokens(text: str) -> int:
    """A quarter of the characters, rounded up: what English costs most tokenizers."""
    return -(-len(text) // 4)


def _asks(question: str, words: tuple[str, ...]) -> bool:
    """Whether a question holds one of the words or phrases."""
    return any(
        re.search(rf"\b{re.escape(w.rstrip('*'))}{'' if w.endswith('*') else chr(92) + 'b'}", question) for w in words
    )


def _stem(word: str) -> str:
    """A word without its commonest endings, so that "squats" meets "squatting"."""
    for ending in ("ting", "ning", "ping", "ing", "es", "s", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def _content(text: str) -> set[str]:
    return {_stem(w) for w in re.findall(r"[a-z]+", text.lower()) if w not in STOP}


def _score(fact: Fact, question: str, wanted: set[str], topics: set[str], moments: list[float]) -> float:
    """Relevance of a fact: topic, words, body parts and moments it shares with a question, and its salience."""
    score = fact.salience
    if fact.topic in topics:
        score += 1.0
    shared = wanted & _content(fact.text)
    score += 0.6 * min(len(shared), 4)
    for word, joints in BODY_PARTS.items():
        if re.search(rf"\b{word}s?\b", question) and any(j.endswith(joints) for j in fact.joints):
            score += 0.3
            break
    for side, other in (("left", "right"), ("right", "left")):
        if re.search(rf"\b{side}\b", question) and side not in fact.text and other in fact.text:
            score -= 0.3
    if any(fact.start_s - 0.25 <= t <= fact.end_s + 0.25 for t in moments):
        # A short fact around the moment says more about it than one about the whole clip.
        score += 0.8 / (1.0 + 0.2 * (fact.end_s - fact.start_s))
    return score


def rank_facts(report: MotionReport, question: str | None = None) -> tuple[Fact, ...]:
    """All facts, those that speak to the question first; by salience where there is no question.

    Works by words alone: the topics a question's words stand for, words it shares with a fact, body parts and
    moments ("at 2.5 s") it names. It orders facts; it answers nothing.
    """
    if not question:
        return tuple(sorted(report.facts, key=lambda f: -f.salience))
    asked = question.lower()
    topics = {topic for topic, words in TOPIC_WORDS.items() if _asks(asked, words)}
    wanted = _content(asked)
    moments = [float(x) for x in re.findall(r"(\d+(?:\.\d+)?)\s*(?:s\b|sec)", asked)]
    return tuple(sorted(report.facts, key=lambda f: -_score(f, asked, wanted, topics, moments)))


def select_facts(
    report: MotionReport, question: str | None = None, max_tokens: int = 200, tokens: Tokens = estimate_tokens
) -> tuple[Fact, ...]:
    """The summary and then the best-ranked facts that fit in `max_tokens`; at least one fact always.

    The summary (the most salient fact) leads whatever is asked, so that every choice can be read on its own.
    """
    ranked = rank_facts(report, question)
    lead = max(report.facts, key=lambda f: f.salience)
    chosen: list[Fact] = []
    spent = 0
    for fact in (lead, *(f for f in ranked if f is not lead)):
        cost = tokens(fact.text) + 1
        if spent + cost > max_tokens and chosen:
            continue
        chosen.append(fact)
        spent += cost
    return tuple(chosen)


def describe(report: MotionReport, max_tokens: int = 300, tokens: Tokens = estimate_tokens) -> str:
    """The movement in plain English: the summary first, then facts by salience, as many as fit in `max_tokens`."""
    return joined_text(select_facts(report, None, max_tokens, tokens))


def joined_text(chosen: Sequence[Fact]) -> str:
    """Facts as one paragraph."""
    return " ".join(f.text for f in chosen)

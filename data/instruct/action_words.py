"""One name for each action of the collections, and the words that speak of it.

Names are ours: `action_words.toml` holds them with their verb forms, `action_labels.toml` says which label of which
collection is which action. The reader and the questions share them.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

HERE = Path(__file__).parent
PARTS = ("left arm", "right arm", "both arms", "left leg", "right leg", "both legs", "trunk", "whole body")
"""What an action may be done with, once its side is known."""
_JOINTS = {
    "left arm": ("left_wrist",),
    "right arm": ("right_wrist",),
    "both arms": ("left_wrist", "right_wrist"),
    "left leg": ("left_ankle",),
    "right leg": ("right_ankle",),
    "both legs": ("left_ankle", "right_ankle"),
    "trunk": ("thorax",),
}


@dataclass(frozen=True)
class ActionWords:
    """How to speak of an action."""

    name: str
    """The short answer: "tennis serve"."""
    do: str
    does: str
    doing: str
    noun: str
    """With its article: "the tennis serve"."""
    nouns: str
    """Several of them, for counting; empty where nobody counts it."""
    part: str
    """One of `PARTS`, or "arm" or "leg" where the clip decides the side, or empty."""
    repeats: bool
    accepted: tuple[str, ...]
    """Other short answers that count as right."""
    near: tuple[str, ...]
    """Actions too like this one to be a wrong answer."""
    sided: bool
    """Whether the side, or the sense of rotation, is in the name."""

    @property
    def joints(self) -> tuple[str, ...]:
        """The joints that do it; empty where the clip decides or the whole body does it."""
        return _JOINTS.get(self.part, ())


@cache
def action_words() -> dict[str, ActionWords]:
    """Every action by its name, in the order of the file; ValueError where an entry is incomplete."""
    out: dict[str, ActionWords] = {}
    for template, entry in tomllib.loads((HERE / "action_words.toml").read_text()).items():
        ways = entry.get("ways", [""])
        for way, other in zip(ways, ways[::-1], strict=True):
            words = _words(template, entry, way, other)
            if words.name in out:
                raise ValueError(f"action_words.toml names {words.name!r} twice")
            out[words.name] = words
    for words in out.values():
        unknown = [n for n in words.near if n not in out]
        if unknown:
            raise ValueError(f"action_words.toml: {words.name!r} is near {unknown}, which are no actions")
    return out


def _words(template: str, entry: dict[str, object], way: str, other: str) -> ActionWords:
    """One entry for one way."""
    missing = [k for k in ("do", "does", "doing", "noun", "part") if k not in entry]
    if missing:
        raise ValueError(f"action_words.toml: {template!r} lacks {', '.join(missing)}")

    def text(key: str) -> str:
        return str(entry.get(key, "")).format(way=way, other=other)

    def texts(key: str) -> tuple[str, ...]:
        listed = entry.get(key, [])
        assert isinstance(listed, list)
        return tuple(str(t).format(way=way, other=other) for t in listed)

    if text("part") not in (*PARTS, "arm", "leg", ""):
        raise ValueError(f"action_words.toml: {template!r} is done with {text('part')!r}, expected one of {PARTS}")
    return ActionWords(
        template.format(way=way),
        text("do"),
        text("does"),
        text("doing"),
        text("noun"),
        text("nouns"),
        text("part"),
        bool(entry.get("repeats", False)),
        texts("accepted"),
        texts("near"),
        bool(way),
    )


@cache
def action_labels() -> dict[str, dict[str, tuple[str, ...]]]:
    """By collection and label: the action's name and the joints that do it; empty where the label names none."""
    labels = tomllib.loads((HERE / "action_labels.toml").read_text())
    names = action_words()
    for source, of in labels.items():
        for label, (name, *_) in ((k, v) for k, v in of.items() if v):
            if name not in names:
                raise ValueError(f"action_labels.toml: {label!r} of {source} is {name!r}, which is no action")
    return {source: {label: tuple(v) for label, v in of.items()} for source, of in labels.items()}


def canonical(source: str, label: str) -> str | None:
    """The action's name for a collection's label; None where the label names no action.

    Labels of collections that `action_labels.toml` does not know are taken where they are action names themselves.
    """
    found = action_labels().get(source, {}).get(label)
    if found is None:
        return label if label in action_words() else None
    return found[0] if found else None


def label_joints(source: str, label: str) -> tuple[str, ...]:
    """The joints that do the action of a label, as far as the source or the action's name fixes them."""
    name = canonical(source, label)
    if name is None:
        return ()
    found = action_labels().get(source, {}).get(label, ())
    return found[1:] or action_words()[name].joints


def names_of(source: str) -> tuple[str, ...]:
    """The names that a collection's labels have, each once, in the order of the file."""
    return tuple(dict.fromkeys(v[0] for v in action_labels().get(source, {}).values() if v))


_NEEDS_OBJECT = ("push", "spin")
"""Verbs whose forms by themselves say something else too: "pushing the hand forward", "a spinning kick"."""
_NO_ACTION = re.compile(
    r"\b(?:jump (?:straight )?to (?:the (?:part|moment|bit|point|place)|where|second|\d)|walk (?:me|us) through|"
    r"run (?:me|us|it) (?:through|by)|running time|kick(?:s|ed)? off)\b"
)
"""Verbs of actions in what is said to the assistant, not of the person."""


@cache
def _spoken() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Every action with a pattern of its forms; a plural that several share ("waves") names none of them."""
    shared = Counter(words.nouns for words in action_words().values())
    out = []
    for words in action_words().values():
        plural = words.nouns if shared[words.nouns] == 1 else ""
        verbs = (words.do, words.does, words.doing)
        says_it_alone = words.do.split()[0] == words.name and words.name not in _NEEDS_OBJECT
        alone = [v.split()[0] for v in verbs] if says_it_alone else []
        forms = {f.lower() for f in (words.name, *verbs, *alone, words.noun, plural) if f}
        out.append((words.name, re.compile(r"\b(?:" + "|".join(map(re.escape, sorted(forms))) + r")\b(?!-)")))
    return tuple(out)


@lru_cache(8192)
def spoken_of(text: str) -> frozenset[str]:
    """The actions that a text names in any of their forms."""
    plain = _NO_ACTION.sub(" ", text.lower())
    return frozenset(name for name, pattern in _spoken() if pattern.search(plain))


@lru_cache(8192)
def mentioned(text: str) -> tuple[str, ...]:
    """The actions that a text names, in the order of mention; of names within names ("walk and turn") the longest."""
    plain = _NO_ACTION.sub(" ", text.lower())
    found = [(m.start(), m.end(), name) for name, pattern in _spoken() for m in pattern.finditer(plain)]
    longest = [f for f in found if not any(o[0] <= f[0] and f[1] <= o[1] and o[:2] != f[:2] for o in found)]
    return tuple(dict.fromkeys(name for *_, name in sorted(longest)))


_WAY = re.compile(r"\b(left|right)\b(?! (hand|arm|leg))")


@lru_cache(8192)
def without_ways(text: str) -> str:
    """A text in small letters without actions that go left or right ("swipes left"): no side of the body is meant."""
    plain = text.lower()
    for name, pattern in _spoken():
        if _WAY.search(name):
            plain = pattern.sub(" ", plain)
    return plain


def form_of(name: str, form: Literal["do", "does", "doing", "noun"]) -> str:
    """A form of an action, said of anybody; its name where `action_words.toml` does not have it."""
    words = action_words().get(name)
    return str(getattr(words, form)).replace("{their}", "their") if words else name


def unlike(name: str, other: str) -> bool:
    """Whether the other action is clearly a different one: saying it would be wrong."""
    words = action_words()
    a, b = words[name], words[other]
    same = {a.name, *a.accepted} & {b.name, *b.accepted}
    return not same and other not in a.near and name not in b.near


def part_of(name: str, joints: tuple[str, ...]) -> str:
    """Which of `PARTS` does an action, its side read off the joints; "" where that is not known."""
    part = action_words()[name].part
    if part not in ("arm", "leg"):
        return part
    sides = {
        j.partition("_")[0] for j in joints if j.endswith(("wrist", "elbow") if part == "arm" else ("ankle", "knee"))
    }
    if len(sides) != 1:
        return f"both {part}s" if len(sides) == 2 else ""
    return f"{sides.pop()} {part}"


def overlapping(part: str, other: str) -> bool:
    """Whether two of `PARTS` have a limb in common: both arms include the left one."""
    if "whole body" in (part, other) or part == other:
        return True
    limb, limb2 = part.rstrip("s").split()[-1], other.rstrip("s").split()[-1]
    return limb == limb2 and any(p.startswith("both") for p in (part, other))

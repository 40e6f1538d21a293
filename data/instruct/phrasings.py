"""How questions are asked and answers are put: patterns from `phrasings/*.toml`, filled with whom and what it is about.

A pattern is a sentence with slots. {they} {them} {their} stand for whom the question is about, and {do} {are} {have},
{s} and {es} agree with it, so that one pattern asks about "they", "she" or "the person". At least three
patterns of each kind are held out: they stand under `held_out` in the file and are never trained on.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

FOLDER = Path(__file__).parent / "phrasings"
Which = Literal["train", "held_out", "all"]


@dataclass(frozen=True)
class Pattern:
    """One wording of a question."""

    kind: str
    number: int
    text: str
    held_out: bool

    @property
    def name(self) -> str:
        """`kind/number`, what an example records."""
        return f"{self.kind}/{self.number}"


@dataclass(frozen=True)
class Wording:
    """Every pattern of a kind of question, and the sentences that answer it."""

    kind: str
    patterns: tuple[Pattern, ...]
    sentences: Mapping[str, tuple[str, ...]]
    """By answer; "*" for every other."""

    def chosen(self, which: Which) -> tuple[Pattern, ...]:
        """The patterns for training, those held out, or all."""
        return tuple(p for p in self.patterns if which == "all" or p.held_out == (which == "held_out"))

    def sentences_for(self, answer: str) -> tuple[str, ...]:
        """The sentences that may give an answer; ValueError where the file has none."""
        found = self.sentences.get(answer, self.sentences.get("*", ()))
        if not found:
            raise ValueError(f"phrasings of {self.kind!r} have no sentence for the answer {answer!r}")
        return found


@cache
def wordings() -> dict[str, Wording]:
    """The wording of every kind; ValueError where a file is not as it should be."""
    out: dict[str, Wording] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        for kind, entry in tomllib.loads(path.read_text()).items():
            missing = [k for k in ("train", "held_out", "sentences") if not entry.get(k)]
            if missing or kind in out:
                raise ValueError(f"{path.name}: {kind!r} lacks {', '.join(missing)}" if missing else f"{kind!r} twice")
            texts = [(t, False) for t in entry["train"]] + [(t, True) for t in entry["held_out"]]
            patterns = tuple(Pattern(kind, i, t, held) for i, (t, held) in enumerate(texts))
            told = entry["sentences"]
            by_answer = told if isinstance(told, dict) else {"*": told}
            out[kind] = Wording(kind, patterns, {k: tuple(v) for k, v in by_answer.items()})
    return out


@dataclass(frozen=True)
class Subject:
    """Whom a question is about."""

    they: str
    them: str
    their: str
    plural: bool = False

    def slots(self) -> dict[str, str]:
        """The words that follow the subject."""
        p = self.plural
        words = {"they": self.they, "them": self.them, "their": self.their}
        words |= {"do": "do" if p else "does", "are": "are" if p else "is", "have": "have" if p else "has"}
        return words | {"s": "" if p else "s", "es": "" if p else "es"}


PERSON = Subject("the person", "the person", "their")
SUBJECTS = (
    (PERSON, 0.3),
    (Subject("they", "them", "their", plural=True), 0.14),
    (Subject("she", "her", "her"), 0.16),
    (Subject("he", "him", "his"), 0.16),
    (Subject("this person", "this person", "their"), 0.08),
    (Subject("the man", "the man", "his"), 0.04),
    (Subject("the woman", "the woman", "her"), 0.04),
    (Subject("somebody", "somebody", "their"), 0.0),
    (Subject("the athlete", "the athlete", "their"), 0.04),
    (Subject("the actor", "the actor", "their"), 0.04),
)


def a_subject(rng: np.random.Generator) -> Subject:
    """Whom to ask about: mostly "the person", "she", "he" or "they"."""
    weights = np.array([w for _, w in SUBJECTS])
    return SUBJECTS[int(rng.choice(len(SUBJECTS), p=weights / weights.sum()))][0]


def filled(text: str, slots: Mapping[str, str], subject: Subject = PERSON) -> str:
    """A pattern with its slots filled; {They} is {they} with a large letter. ValueError names a slot without a word."""
    words = dict(slots) | subject.slots()
    for name in ("acts", "acts2"):
        if f"{name}_many" in slots and subject.plural:
            words[name] = slots[f"{name}_many"]
    # "after they wave", as BABEL-QA says of "the person"; "after she waves" of "she".
    pronoun = {"her": "she", "his": "he"}.get(subject.their)
    for ending in ("", "2"):
        if f"plural{ending}" in slots:
            doing = f"{pronoun} {slots[f'acts{ending}']}" if pronoun else f"they {slots[f'plural{ending}']}"
            words[f"they_act{ending}"] = doing
    words = {k: v.replace("{their}", subject.their) for k, v in words.items()}
    words |= {k[:1].upper() + k[1:]: v[:1].upper() + v[1:] for k, v in words.items() if k[:1].islower()}
    try:
        out = text.format_map(words)
    except KeyError as e:
        raise ValueError(f"the pattern {text!r} needs {e}, there are {sorted(slots)}") from e
    return out[:1].upper() + out[1:] if text.startswith("{") else out


_WHO = re.compile(r"\{(they|them|their|do|are|have|s|es)\}|\b(they|she|he|the person|this person|somebody|someone|them|"
                  r"her|him|their|his|it|is|are|do|does|has|have)\b")  # fmt: skip


def without_people(text: str) -> str:
    """A pattern or question in lower case without pronouns, verbs that agree and punctuation: to compare wordings."""
    bare = _WHO.sub(" ", text.lower().replace("{s}", "").replace("{es}", ""))
    return re.sub(r"[^a-z0-9{}]+", " ", bare).strip()

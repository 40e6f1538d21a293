"""Captions of movements: somebody's description where the source has one, else our own sentences for the action."""

from __future__ import annotations

import csv
import re
import tomllib
from functools import cache
from pathlib import Path

from motionqa.data.instruct.action_words import action_words, label_joints, part_of
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.schema import InputError

WHO = ("A person", "Someone", "The person", "A human")


@cache
def told() -> dict[str, tuple[str, ...]]:
    """Our sentences for each action that has some of its own, without "A person"; ValueError for another name."""
    found = tomllib.loads((Path(__file__).parent / "captions.toml").read_text())
    unknown = sorted(set(found) - set(action_words()))
    if unknown:
        raise ValueError(f"captions.toml describes {unknown}, which are no actions")
    return {name: tuple(texts) for name, texts in found.items()}


def captions_of(clip: MocapClip, name: str | None, description: str = "") -> tuple[tuple[str, ...], bool]:
    """Sentences about a clip whose action is known, and whether the first is somebody's words about this very clip."""
    own = (sentence_of(description),) if description.strip() else ()
    joints = label_joints(clip.source, clip.label)
    return own + (captions_for(name, joints) if name else ()), bool(own)


def captions_for(name: str, joints: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Our sentences for an action; the limb is named where the clip fixes the side and the name does not."""
    words = action_words()[name]
    part = part_of(name, joints)
    limb = f" with the {part}" if words.part in ("arm", "leg") and part.startswith(("left", "right")) else ""
    plain = (
        f"A person {words.does}{limb}.",
        f"Someone is {words.doing}{limb}.",
        f"The person {words.does}{limb}.",
        f"A human {words.does}{limb}.",
        f"{words.doing[:1].upper()}{words.doing[1:]}{limb}.",
    )
    own = tuple(f"{WHO[i % len(WHO)]} {text}." for i, text in enumerate(told().get(name, ())))
    return own + plain


def sentence_of(description: str) -> str:
    """A catalogue's keywords as a sentence: "dance - small jetes, pirouette" is "Dance: small jetes, pirouette."."""
    text = re.sub(r"\s+", " ", description).strip().rstrip(".")
    text = re.sub(r"\s+-\s+", ": ", text, count=1)
    return text[:1].upper() + text[1:] + "."


def cmu_descriptions(path: Path) -> dict[str, str]:
    """Motion descriptions of the CMU index, by clip name such as "002_03".

    Columns `Subject`, `Trial #` and `Motion Description`; trials without a description are left out. InputError where
    a column is missing or a number is none.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        needed = ("Subject", "Trial #", "Motion Description")
        missing = [c for c in needed if c not in (rows.fieldnames or ())]
        if missing:
            raise InputError(f"{path.name} has no column {', '.join(missing)}; expected CMU's index as csv")
        out = {}
        for number, row in enumerate(rows, start=2):
            subject, trial, text = (str(row[c] or "").strip() for c in needed)
            if not (subject.isdigit() and trial.isdigit()):
                raise InputError(f"{path.name}, line {number}: subject {subject!r}, trial {trial!r}; expected numbers")
            if text:
                out[f"{int(subject):03d}_{int(trial):02d}"] = text
    return out

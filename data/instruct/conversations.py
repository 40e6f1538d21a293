"""Conversations about a known movement: each later question is understood only with the answer before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from motionqa.data.instruct.action_words import PARTS, action_words
from motionqa.data.instruct.ask_limbs import SIDES
from motionqa.data.instruct.asked import Asked, Known, act_slots, ans_slots, example, part_slots, seconds
from motionqa.data.instruct.example import InstructExample
from motionqa.data.instruct.known import KnownMotion
from motionqa.data.instruct.phrasings import Which, a_subject
from motionqa.data.instruct.questions import known
from motionqa.data.schema import MotionReport, Segment


def conversations_of(
    motion: KnownMotion, report: MotionReport, rng: np.random.Generator, phrasings: Which = "train"
) -> list[tuple[InstructExample, ...]]:
    """Conversations of two to four questions about one movement, each about the same "she", "he" or "person".

    In each, every question but the first leans on the one before. A movement without actions gives none.
    """
    k = known(motion, report, rng)
    out = []
    for asked in _of_one(k) if len(k.actions) == 1 else _of_several(k):
        subject = a_subject(rng)
        if len(asked) > 1:
            out.append(tuple(example(a, motion.clip, rng, phrasings, subject) for a in asked))
    return out


def _of_one(k: Known) -> Iterator[list[Asked]]:
    action = k.actions[0]
    words = action_words()[action.name]
    slots = act_slots(action.name) | {"name": action.name}
    start = Asked("action", action.name, "label", accepted=words.accepted, slots=slots)
    yield [start, *_side(k, action, "label")]
    yield [start, *_part(k, action, "label")]


def _of_several(k: Known) -> Iterator[list[Asked]]:
    if len(k.actions) < 2:
        return
    first, last = k.actions[0], k.actions[-1]
    onwards = [_action("follow/after", "after", a) for a in k.actions[1:]]
    yield [_action("action/first", "first", first), *onwards[:2], _lasts(k.actions[min(2, len(k.actions) - 1)])]
    back = [_action("follow/before", "before", a) for a in k.actions[-2::-1]]
    yield [_action("action/last", "last", last), *back[:2]]
    chosen = k.actions[int(k.rng.integers(len(k.actions)))]
    moment = round((chosen.start_s + chosen.end_s) / 2, 1)
    slots = act_slots(chosen.name) | {"second": seconds(moment)}
    accepted = action_words()[chosen.name].accepted
    at = Asked("at", chosen.name, "boundaries", accepted=accepted, slots=slots, span_s=(moment, moment))
    follow = _side(k, chosen, "boundaries") or _part(k, chosen, "boundaries")
    yield [at, _when(chosen), *follow]


def _action(wording: str, relation: str, action: Segment) -> Asked:
    accepted = action_words()[action.name].accepted
    span = (action.start_s, action.end_s)
    return Asked(wording, action.name, "boundaries", "action", relation, (), accepted, span, ans_slots(action.name))


def _when(action: Segment) -> Asked:
    start, end = seconds(action.start_s), seconds(action.end_s)
    span = (action.start_s, action.end_s)
    slots = {"start": start, "end": end}
    return Asked("follow/when", f"{start} to {end} s", "boundaries", kind="when", slots=slots, span_s=span)


def _lasts(action: Segment) -> Asked:
    length = seconds(round(action.end_s, 1) - round(action.start_s, 1))
    span = (action.start_s, action.end_s)
    return Asked("follow/lasts", f"{length} s", "boundaries", kind="lasts", slots={"seconds": length}, span_s=span)


def _side(k: Known, action: Segment, truth: str) -> list[Asked]:
    """Which arm, where it is sure and the name does not say it already."""
    side, _, limb = k.part(action).partition(" ")
    if limb not in ("arm", "arms") or action_words()[action.name].part.startswith(("left", "right")):
        return []
    asked = Asked("follow/side", side, "label", kind="side", options=SIDES, slots={"side": side})
    return [replace(asked, truth="label" if truth == "label" else "boundaries")]


def _part(k: Known, action: Segment, truth: str) -> list[Asked]:
    part = k.part(action)
    if not part:
        return []
    asked = Asked("follow/part", part, "label", kind="body_part", options=PARTS, slots=part_slots(part))
    return [replace(asked, truth="label" if truth == "label" else "boundaries")]

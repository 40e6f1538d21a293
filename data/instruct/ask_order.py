"""Questions that lead from one action to another, in BABEL-QA's grammar (Endo et al., ICML 2023, section 3).

A question asks for the action, the body part or the direction of a segment that is picked out by a relation (before,
after, between, first, last) to anchors, or is itself the anchor (while). An anchor is an action, a body part or a
direction that only one segment has. Body parts and directions are those that were measured as well as labelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from motionqa.data.instruct.action_words import PARTS, action_words, overlapping
from motionqa.data.instruct.asked import Asked, Known, act_slots, ans_slots, part_slots
from motionqa.data.instruct.movement import DIRECTIONS, direction
from motionqa.data.instruct.stitch import leg_m
from motionqa.data.schema import Segment

NO_WAY = ("sit down", "stand up", "get up", "cartwheel", "backflip", "side flip", "spin", "spin kick", "roll", "dance")
"""The pelvis moves in them without going anywhere, or the body has no steady forward direction."""
WAY = {"left": "to the left", "right": "to the right"}


@dataclass(frozen=True)
class Concepts:
    """What one segment is known by: its action, and its part and direction where they are sure."""

    action: Segment
    part: str
    direction: str


@dataclass(frozen=True)
class Anchor:
    """How to speak of a segment without its place in the order: "waving", "using the left arm", "moving forwards"."""

    index: int
    slots: dict[str, str]


def concepts_of(k: Known) -> list[Concepts]:
    """The concepts of every segment, in order."""
    leg = leg_m(k.motion.pose)
    sure = k.motion.pose.metric and k.motion.pose.root_motion == "measured"

    def way(action: Segment) -> str:
        return direction(k.report, leg, *k.stretch(action)) if sure and action.name not in NO_WAY else ""

    return [Concepts(a, k.part(a), way(a)) for a in k.actions]


def anchors_of(segments: list[Concepts]) -> list[Anchor]:
    """Every way to speak of exactly one of the segments."""
    out = []
    for i, c in enumerate(segments):
        if sum(o.action.name == c.action.name for o in segments) == 1:
            out.append(Anchor(i, act_slots(c.action.name)))
        # An unsure part or direction elsewhere might be the same one.
        if c.part and all(o.part for o in segments) and sum(overlapping(o.part, c.part) for o in segments) == 1:
            out.append(Anchor(i, _part_slots(c.part)))
        moves = c.direction not in ("", "on the spot")
        if moves and all(o.direction for o in segments) and sum(o.direction == c.direction for o in segments) == 1:
            out.append(Anchor(i, _way_slots(c.direction)))
    return out


def _part_slots(part: str) -> dict[str, str]:
    whose = part if part.startswith("both") else f"{{their}} {part}"
    words = {"act": f"use {whose}", "acts": f"uses {whose}", "acting": f"using {whose}", "plural": f"use their {part}"}
    if part.startswith("both"):
        words["plural"] = f"use {part}"
    return words | {"acts_many": words["act"]}


def _way_slots(way: str) -> dict[str, str]:
    there = WAY.get(way, way)
    words = {"act": f"move {there}", "acts": f"moves {there}", "acting": f"moving {there}", "plural": f"move {there}"}
    return words | {"acts_many": words["act"]}


def order_questions(k: Known) -> Iterator[Asked]:
    """One question for each relation and attribute that this sequence allows."""
    if not k.actions:
        return
    segments = concepts_of(k)
    anchors = anchors_of(segments)
    yield from _whiles(k, segments, anchors)
    if len(segments) < 2:
        return
    for relation, index in (("first", 0), ("last", len(segments) - 1)):
        yield _action(segments[index], f"action/{relation}", relation, {})
    for relation, step in (("after", 1), ("before", -1)):
        usable = [a for a in anchors if 0 <= a.index + step < len(segments)]
        for attribute in ("action", "body_part", "direction"):
            asked = [q for a in usable if (q := _related(segments[a.index + step], attribute, relation, a)) is not None]
            if asked:
                yield asked[int(k.rng.integers(len(asked)))]
    yield from _between(k, segments, anchors)


def _between(k: Known, segments: list[Concepts], anchors: list[Anchor]) -> Iterator[Asked]:
    pairs = [(a, b) for a in anchors for b in anchors if b.index == a.index + 2]
    if not pairs:
        return
    a, b = pairs[int(k.rng.integers(len(pairs)))]
    second = {f"{name}2": text for name, text in b.slots.items() if not name.endswith("_many")}
    second["acts2_many"] = b.slots["acts_many"]
    yield _action(segments[a.index + 1], "action/between", "between", a.slots | second)


def _action(segment: Concepts, wording: str, relation: str, slots: dict[str, str]) -> Asked:
    name = segment.action.name
    return Asked(
        wording,
        name,
        "boundaries",
        relation=relation,
        accepted=action_words()[name].accepted,
        slots=slots | ans_slots(name),
        span_s=(segment.action.start_s, segment.action.end_s),
    )


def _related(segment: Concepts, attribute: str, relation: str, anchor: Anchor) -> Asked | None:
    """A question for an attribute of a segment next to an anchor; None where the attribute is not sure."""
    if attribute == "action":
        return _action(segment, f"action/{relation}", relation, anchor.slots)
    slots = anchor.slots | ans_slots(segment.action.name) | {"rel": relation}
    return _attribute(segment, attribute, f"{attribute}/order", slots, relation)


def _attribute(segment: Concepts, attribute: str, wording: str, slots: dict[str, str], relation: str) -> Asked | None:
    answer = segment.part if attribute == "body_part" else segment.direction
    if not answer:
        return None
    if attribute == "body_part":
        slots, options = slots | part_slots(answer), PARTS
    else:
        slots, options = slots | {"way": WAY.get(answer, answer)}, DIRECTIONS
    span = (segment.action.start_s, segment.action.end_s)
    accepted = {"forwards": ("forward",), "backwards": ("backward",)}.get(answer, ())
    return Asked(wording, answer, "kinematics" if attribute == "direction" else "boundaries", relation=relation,
                 options=options, accepted=accepted, slots=slots, span_s=span)  # fmt: skip


def _whiles(k: Known, segments: list[Concepts], anchors: list[Anchor]) -> Iterator[Asked]:
    """The attributes of the anchor itself; one of each kind."""
    for attribute in ("body_part", "direction"):
        by_name = [a for a in anchors if "act_noun" in a.slots]
        asked = [
            q
            for a in by_name
            if (q := _attribute(segments[a.index], attribute, f"{attribute}/while",
                                a.slots | ans_slots(segments[a.index].action.name), "")) is not None
        ]  # fmt: skip
        if asked and len(segments) > 1:
            yield asked[int(k.rng.integers(len(asked)))]
        elif asked:
            yield replace(asked[0], truth="label" if attribute == "body_part" else "kinematics")
    others = [a for a in anchors if "act_noun" not in a.slots]
    if others and len(segments) > 1:
        a = others[int(k.rng.integers(len(others)))]
        yield _action(segments[a.index], "action/while", "", a.slots)

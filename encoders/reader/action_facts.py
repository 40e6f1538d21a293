"""What was recognised, a sentence for each way of asking: alone, its limb, after, before, first, last, longest, all.

A small language model copies what a sentence says and hardly combines two, so every relation between neighbouring
actions is said outright, with name, time and manner of the action that answers it. A limb that only one action uses
speaks of it as well as its name does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from motionqa.data.instruct.action_words import form_of, overlapping
from motionqa.data.reading import ReadAction
from motionqa.data.schema import Fact

CLEARLY_LONGEST = 1.15
"""So many times as long as the second longest."""


@dataclass(frozen=True)
class ToldAction:
    """An action with what is said of it."""

    action: ReadAction
    seen: str
    """What it looks like, for a movement without a name: "raises both arms"."""
    limb: str
    """What it is done with; empty where that is not known."""
    manner: str
    """Limb, direction, turn and height of the hands."""
    doubt: str = ""
    """What else it may be."""

    @property
    def when(self) -> str:
        """Its times and length."""
        start, end = round(self.action.start_s, 1), round(self.action.end_s, 1)
        return f"{start:.1f} to {end:.1f} s ({end - start:.1f} s)"

    @property
    def does(self) -> str:
        """A verb phrase with name, times and manner."""
        if not self.action.name:
            return f"{self.seen} (an unnamed movement{self.doubt}), {self.when}, {self.manner}".rstrip(", ")
        return (
            f"{form_of(self.action.name, 'does')} ({self.action.name}{self.doubt}), {self.when}, {self.manner}".rstrip(
                ", "
            )
        )


def action_facts(told: Sequence[ToldAction]) -> tuple[Fact, ...]:
    """The sentences, each with the moment of the action that it tells; none without actions."""
    return tuple(_facts(told))


def _facts(told: Sequence[ToldAction]) -> Iterator[Fact]:
    limbs: set[tuple[str, str]] = set()
    for one in told:
        yield _fact("action", f"The person {one.does}.", one, 0.6)
        if one.limb and (one.action.name, one.limb) not in limbs:
            limbs.add((one.action.name, one.limb))
            yield _fact(
                "limb", f"Body part used for {form_of(one.action.name, 'noun') or 'the movement'}: {one.limb}.", one
            )
    if len(told) < 2:
        return
    # An unknown limb may be any of them.
    limbs_told = [one.limb for one in told] if all(one.limb for one in told) else []
    alone = {limb for limb in limbs_told if sum(overlapping(limb, other) for other in limbs_told) == 1}
    for before, after in zip(told, told[1:], strict=False):
        if before.action.name:
            yield _fact("after", f"After {form_of(before.action.name, 'doing')}, the person {after.does}.", after)
        if after.action.name:
            yield _fact("before", f"Before {form_of(after.action.name, 'doing')}, the person {before.does}.", before)
        if before.limb in alone:
            yield _fact("after", f"After using {_with_article(before.limb)}, the person {after.does}.", after, 0.4)
        if after.limb in alone:
            yield _fact("before", f"Before using {_with_article(after.limb)}, the person {before.does}.", before, 0.4)
    yield _fact("first", f"The first action: the person {told[0].does}.", told[0])
    yield _fact("last", f"The last action: the person {told[-1].does}.", told[-1])
    first, second, *_ = sorted(told, key=_length, reverse=True)
    if _length(first) > CLEARLY_LONGEST * _length(second):
        yield _fact("longest", f"The longest action: the person {first.does}.", first)
    names = ", then ".join(one.action.name or "an unnamed movement" for one in told)
    whole = replace(told[0].action, end_s=told[-1].action.end_s)
    yield _fact("sequence", f"In order: {names}.", replace(told[0], action=whole))


def _fact(topic: str, text: str, one: ToldAction, salience: float = 0.5) -> Fact:
    return Fact(text, topic, one.action.start_s, one.action.end_s, value=one.action.probability, salience=salience)


def _with_article(limb: str) -> str:
    return limb if limb.startswith("both") else f"the {limb}"


def _length(one: ToldAction) -> float:
    return one.action.end_s - one.action.start_s

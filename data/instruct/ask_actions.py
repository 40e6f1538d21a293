"""Questions about which actions there are and when."""

from __future__ import annotations

from collections.abc import Iterator

from motionqa.data.instruct.action_words import action_words
from motionqa.data.instruct.asked import YES_NO, Asked, Known, act_slots, seconds, told
from motionqa.data.instruct.example import Truth
from motionqa.data.schema import Segment

NONE = "no such action"


def action_questions(k: Known) -> Iterator[Asked]:
    """Everything that labels and boundaries answer, apart from relations between actions."""
    if not k.actions:
        return
    if len(k.actions) == 1:
        yield from _single(k, k.actions[0])
    else:
        yield from _several(k)
        yield from _times(k)
        yield from _orders(k)
    yield from _true_actions(k)
    yield from _absent(k)


def _single(k: Known, action: Segment) -> Iterator[Asked]:
    words = action_words()[action.name]
    slots = act_slots(action.name) | {"name": action.name}
    yield Asked("action", action.name, "label", accepted=words.accepted, slots=slots)
    if len(k.others) >= 2:
        picked = [k.others[int(i)] for i in k.rng.choice(min(len(k.others), 12), 2, replace=False)]
        shown = [action.name, *picked]
        shown = [shown[int(i)] for i in k.rng.permutation(3)]
        doing = [action_words()[n].doing for n in shown]
        slots = slots | {"choices": f"{doing[0]}, {doing[1]} or {doing[2]}"}
        yield Asked("choice", action.name, "label", options=tuple(shown), accepted=words.accepted, slots=slots)


def _several(k: Known) -> Iterator[Asked]:
    """The list, how many different ones, the longest, and what is going on at a moment."""
    slots = told(k.actions)
    yield Asked("actions", slots["list"], "boundaries", slots=slots)
    names = {a.name for a in k.actions}
    slots = slots | {"count": str(len(names))}
    yield Asked("number_of_actions", str(len(names)), "boundaries", slots=slots)
    by_length = sorted(k.actions, key=lambda a: a.start_s - a.end_s)
    first, second = (a.end_s - a.start_s for a in by_length[:2])
    if first > 1.25 * second and first - second > 0.5 and len(names) == len(k.actions):
        name = by_length[0].name
        yield Asked("longest", name, "boundaries", accepted=action_words()[name].accepted, slots=act_slots(name))
    action = k.actions[int(k.rng.integers(len(k.actions)))]
    margin = 0.25 * (action.end_s - action.start_s)
    moment = round(float(k.rng.uniform(action.start_s + margin, action.end_s - margin)), 1)
    accepted = action_words()[action.name].accepted
    slots = act_slots(action.name) | {"second": seconds(moment)}
    yield Asked("at", action.name, "boundaries", accepted=accepted, slots=slots, span_s=(moment, moment))


def _times(k: Known) -> Iterator[Asked]:
    """When an action starts, ends, and how long it lasts; of actions that are done once."""
    once = [a for a in k.actions if sum(b.name == a.name for b in k.actions) == 1]
    for wording in ("when", "start", "end", "lasts"):
        if not once:
            return
        # The clip's own start and end are no boundaries to be found.
        inside = once[1:] if wording == "start" else once[:-1] if wording == "end" else once
        action = (inside or once)[int(k.rng.integers(len(inside or once)))]
        start, end = seconds(action.start_s), seconds(action.end_s)
        length = seconds(round(action.end_s, 1) - round(action.start_s, 1))
        answer = {"when": f"{start} to {end} s", "start": f"{start} s", "end": f"{end} s", "lasts": f"{length} s"}
        slots = act_slots(action.name) | {"start": start, "end": end, "seconds": length}
        span = (action.start_s, action.end_s)
        yield Asked(wording, answer[wording], "boundaries", slots=slots, span_s=span)


def _orders(k: Known) -> Iterator[Asked]:
    """Whether one comes before another: once truly so, once the other way round."""
    names = [a.name for a in k.actions]
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
    pairs = [(i, j) for i, j in pairs if names.count(names[i]) == names.count(names[j]) == 1]
    if not pairs:
        return
    i, j = pairs[int(k.rng.integers(len(pairs)))]
    for answer, (a, b) in (("yes", (names[i], names[j])), ("no", (names[j], names[i]))):
        slots = act_slots(a) | act_slots(b, "2") | told(k.actions)
        yield Asked("true_order", answer, "boundaries", options=YES_NO, slots=slots)


def _true_actions(k: Known) -> Iterator[Asked]:
    """Whether an action is done: one that is, and one that is clearly not."""
    truth: Truth = "label" if len(k.actions) == 1 else "boundaries"
    action = k.actions[int(k.rng.integers(len(k.actions)))]
    yield Asked("true_action", "yes", truth, options=YES_NO, slots=act_slots(action.name) | _instead(k))
    wrong = _wrong(k)
    if wrong:
        yield Asked("true_action", "no", truth, options=YES_NO, slots=act_slots(wrong) | _instead(k))


def _instead(k: Known) -> dict[str, str]:
    """What is done instead: {truth_does}, {truth_doing}."""
    words = [action_words()[a.name] for a in k.actions]
    return {
        "truth_does": ", then ".join(w.does for w in words),
        "truth_doing": ", then ".join(w.doing for w in words),
    }


def _wrong(k: Known) -> str:
    """An action that is not done: mostly one of the same collection, so that the collection gives nothing away."""
    if not k.others:
        return ""
    near = k.others[: max(1, len(k.others) // 2)] if k.rng.random() < 0.8 else k.others
    return near[int(k.rng.integers(len(near)))]


def _absent(k: Known) -> Iterator[Asked]:
    """A question that takes for granted what does not happen."""
    wrong = _wrong(k)
    if wrong:
        slots = act_slots(wrong) | _instead(k)
        truth: Truth = "label" if len(k.actions) == 1 else "boundaries"
        yield Asked("absent", NONE, truth, accepted=("none", "it does not happen", "never"), slots=slots)

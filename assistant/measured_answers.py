"""Answers that deny or leave out the very thing that was measured for their question give way to the measurement.

A small model shown "The right hand is above the head" may still write "Both hands". Only where the kind of question
leaves no doubt about which measurement answers it: counts, quantities with a unit, hands above the head, which side
bends more, which repetition is the largest, which of two recognised actions comes first; and where a question asks
nothing but whether a part is in view. Ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from motionqa.assistant.grounding import numbers_in, quantities_in
from motionqa.data.instruct.action_words import spoken_of
from motionqa.data.schema import Fact

REFUSING = ("cannot", "can not", "not visible")
"""What every refusal says that the model was tuned on."""
_COUNTED = {"how many times": "repetitions", "how many steps": "steps"}
_FEW = {0: re.compile(r"\b(no|none|not|never)\b"), 1: re.compile(r"\b(one|once|single)\b")}
_QUANTITIES = {
    "how fast the person moves": ("m/s", "at a speed of"),
    "how many steps a second": ("steps per second", "steps per second"),
    "the angle of the knees": ("degrees", "knee"),
}
"""By what is asked for: the unit, and words of the facts that measure this and nothing else (not an arm's speed)."""
_HANDS = {
    "left": re.compile(r"\bleft\b"), "right": re.compile(r"\bright\b"), "both": re.compile(r"\bboth\b"),
    "neither": re.compile(r"\b(neither|no|none|not)\b"),
}  # fmt: skip
_ASKED_ORDER = re.compile(r"whether (.+) comes before (.+); yes or no")
_TOLD_ORDER = re.compile(r"(.+) \([^()]* s\) comes before (.+) \([^()]* s\)\.")
_YES_NO = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_JOINT = re.compile(r"\b(knee|elbow)s?\b")
_SIDES = {
    "left": re.compile(r"\bleft\b"), "right": re.compile(r"\bright\b"),
    "equal": re.compile(r"\b(equal|equally|both|same|alike|neither)\b"),
}  # fmt: skip
_MORE_THAN = re.compile(r"\b(left|right)\b[^.]*\bmore than\b")
_ASKED_REPETITION = re.compile(r"which repetition is the (largest|smallest)")
_TOLD_REPETITION = re.compile(
    r"Repetition (?P<largest>\d+) of (?P<all>\d+) is the largest .*, repetition (?P<smallest>\d+) the smallest"
)
_ORDINALS = {"1": "first", "2": "second", "3": "third", "4": "fourth", "5": "fifth", "6": "sixth", "7": "seventh"}
_SEEN = r"(visible|in view|in the (picture|frame|video|clip)|in frame|on screen)"
_OWNER = r"(the|his|her|their|both|all of (the|his|her|their))"
_ASKED_VIEW = (
    re.compile(rf"^(are|is|can) {_OWNER} (?P<part>[a-z ]+?) (be )?({_SEEN}|seen)\W*$"),
    re.compile(rf"^(can|could|do) (you|i|we) see {_OWNER} (?P<part>[a-z ]+?)\W*$"),
)
"""A whole question: "Are the feet visible?", not "Can you see her wrists turning?"."""
_VIEWED = {
    "feet": "feet|foot|ankles?", "knees": "knees?", "legs": "legs?|feet|foot|knees?|ankles?", "hands": "hands?|wrists?",
    "arms": "arms?|hands?|wrists?|elbows?", "hips": "hips?|pelvis", "shoulders": "shoulders?",
    "body": "whole body|body|person|man|woman",
}  # fmt: skip
"""Parts by the words that questions and warnings use for them."""
_HIDDEN = re.compile(r"\b(is|are) out of view\b")
_ABOVE = re.compile(r"(The \w+|Neither) hand (is|goes) above the head")


def refuses(answer: str) -> bool:
    """Whether an answer says that the question cannot be answered."""
    return any(words in answer.lower() for words in REFUSING)


def as_measured(
    answer: str,
    question: str,
    meaning: str,
    facts: tuple[Fact, ...],
    known: Iterable[Fact] = (),
    brief: bool = False,
) -> str:
    """The answer, or what was measured where the answer denies it or leaves it out.

    `meaning` is what the question asks for as `question_kinds.toml` words it, `facts` stood beside the question,
    `known` is everything measured; `brief` answers in a word or two.
    """
    answer = _counted(answer, question, meaning, facts, brief)
    answer = _with_quantity(answer, meaning, facts, brief)
    answer = _with_order(answer, meaning, facts, brief)
    known = tuple(known)
    answer = _with_bends(answer, question, meaning, known, brief)
    answer = _with_repetition(answer, meaning, known, brief)
    answer = _with_view(answer, question, known, brief)
    return _with_hands(answer, meaning, known, brief)


def _counted(answer: str, question: str, meaning: str, facts: tuple[Fact, ...], brief: bool) -> str:
    """The answer; where it denies the one count that was measured for a question of how many, that count instead.

    A question that names an action is only answered by a count of that action, or by nought where it is missing.
    """
    unit = next((unit for start, unit in _COUNTED.items() if meaning.startswith(start)), "")
    if not unit or not facts:
        return answer
    first, named = facts[0], spoken_of(question)
    counts = [f for f in facts if f.topic == "count" and f.unit == unit and f.value is not None]
    fits = counts == [first] and (not named or bool(named & spoken_of(first.text)))
    if not fits and first.topic != "missing":
        return answer
    count = int(first.value or 0)
    said = {int(n) for n in numbers_in(answer) if n == int(n)}
    said |= {number for number, words in _FEW.items() if words.search(answer.lower())}
    if count in said:
        return answer
    return str(count) if brief else re.split(r" \(|;", first.text)[0].rstrip(".") + "."


def _with_quantity(answer: str, meaning: str, facts: tuple[Fact, ...], brief: bool) -> str:
    """The answer; where it says no quantity of the unit asked for and the best fact is the one measured, that fact."""
    unit, about = _QUANTITIES.get(meaning.partition("; ")[0], ("", ""))
    if not unit or not facts or about not in facts[0].text:
        return answer
    measured = [n for n, u in quantities_in(facts[0].text) if u == unit]
    if len(measured) != 1 or measured[0] in numbers_in(answer) or any(u == unit for _, u in quantities_in(answer)):
        return answer
    return f"{measured[0]:g} {unit}" if brief else facts[0].text


def _with_order(answer: str, meaning: str, facts: tuple[Fact, ...], brief: bool) -> str:
    """The answer; where it denies the order of the two actions that the question names, the measured one."""
    asked, said = _ASKED_ORDER.match(meaning), _YES_NO.match(answer)
    told = next((f for f in facts if f.topic == "named order"), None)
    order = _TOLD_ORDER.match(told.text) if told else None
    if not (asked and said and told and order):
        return answer
    earlier, later = order[1].lower(), order[2].lower()
    right = {(earlier, later): "yes", (later, earlier): "no"}.get((asked[1].lower(), asked[2].lower()))
    if right is None or said[1].lower() == right:
        return answer
    return right if brief else f"{right.capitalize()}: {told.text[:1].lower()}{told.text[1:]}"


def _with_bends(answer: str, question: str, meaning: str, known: tuple[Fact, ...], brief: bool) -> str:
    """The answer; where it names another side than that whose joint was measured to bend more, the measured one."""
    joint = _JOINT.search(question.lower())
    if not joint or not meaning.startswith("which side bends more"):
        return answer
    told = re.compile(rf"The (left|right) {joint[1]} bends more than|Both {joint[1]}s bend up to")
    fact = next((f for f in known if f.topic == "angle" and told.match(f.text)), None)
    found = told.match(fact.text) if fact else None
    if fact is None or found is None:
        return answer
    right = found[1] or "equal"
    compared = _MORE_THAN.search(answer.lower())
    said = {compared[1]} if compared else {name for name, words in _SIDES.items() if words.search(answer.lower())}
    if said == {right}:
        return answer
    return right if brief else fact.text


def _with_repetition(answer: str, meaning: str, known: Iterable[Fact], brief: bool) -> str:
    """The answer; where it does not name the repetition that was measured to be the largest or smallest, that one.

    Only where one set of repetitions was counted.
    """
    asked = _ASKED_REPETITION.match(meaning)
    told = [(f, found) for f in known if f.topic == "count" and (found := _TOLD_REPETITION.match(f.text))]
    if not asked or len(told) != 1:
        return answer
    fact, found = told[0]
    number = found[asked[1]]
    names = [rf"^{number}\W*$", rf"(number|repetition|rep) {number}\b", rf"\b{_ORDINALS.get(number, number + 'th')}\b"]
    names += [r"\blast\b"] if number == found["all"] else []
    if any(re.search(name, answer.lower()) for name in names):
        return answer
    return number if brief else fact.text


def _with_view(answer: str, question: str, known: Iterable[Fact], brief: bool) -> str:
    """The answer; for a question whether a part of the body is in view, what the report says of that.

    It names what is out of view and nothing else.
    """
    asked = next(filter(None, (words.search(question.lower()) for words in _ASKED_VIEW)), None)
    part = asked and next((part for part, words in _VIEWED.items() if re.fullmatch(words, asked["part"])), None)
    if not part:
        return answer
    hidden = [f.text for f in known if f.topic == "view" and _HIDDEN.search(f.text)]
    own = [text for text in hidden if re.search(rf"\b({_VIEWED[part]})\b", text.split(" out of view")[0].lower())]
    missing = own if part != "body" else hidden
    if missing:
        return "no" if brief else " ".join(text.split(":")[0].rstrip(".") + "." for text in missing)
    said = "the whole body is" if part == "body" else f"the {part} are"
    return "yes" if brief else f"Yes, {said} in view."


def _with_hands(answer: str, meaning: str, known: Iterable[Fact], brief: bool) -> str:
    """The answer; where it names other hands than those measured above the head, the measured ones."""
    if not meaning.startswith("which hand goes above the head"):
        return answer
    hands = [f.text for f in known if f.topic == "posture" and _ABOVE.match(f.text)]
    if not hands:
        return answer
    sides = [side for side in ("left", "right") if any(text.startswith(f"The {side}") for text in hands)]
    right = "both" if len(sides) == 2 else sides[0] if sides else "neither"
    said = {name for name, words in _HANDS.items() if words.search(answer.lower())}
    if said in ({right}, {right, *sides}, set(sides)):
        return answer
    return right if brief else " ".join(hands)

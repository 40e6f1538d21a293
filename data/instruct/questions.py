"""Every question that a known movement and its report answer, each in one wording; and conversations about it.

    report = analyse(motion.pose)
    examples = questions_of(motion, report, np.random.default_rng(0))

Truths come from labels, boundaries, generators and measurement; what is not clear is not asked. The report is that of
`motionqa.encoders.kinematics.analyse`, handed in because this room does not measure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from motionqa.data.instruct.action_words import action_words, names_of, unlike
from motionqa.data.instruct.ask_actions import action_questions
from motionqa.data.instruct.ask_limbs import limb_questions, posture_questions
from motionqa.data.instruct.ask_order import order_questions
from motionqa.data.instruct.ask_repetitions import repetition_questions
from motionqa.data.instruct.ask_travel import travel_questions
from motionqa.data.instruct.asked import Asked, Known, example, seconds
from motionqa.data.instruct.example import InstructExample
from motionqa.data.instruct.known import KnownMotion
from motionqa.data.instruct.phrasings import Which, wordings
from motionqa.data.instruct.refusals import refusal_questions, unseen_parts
from motionqa.data.schema import MotionReport

UNSEEN_ASKS = {"legs": ("leg_side", "steps", "knee_bend", "knee_angle", "bends_more", "leaves_floor", "cadence",
                        "arms_or_legs"),
               "arms": ("side", "true_side", "hand_above_head", "hands_stay_low", "which_hand_above",
                        "bends_more", "arms_or_legs")}  # fmt: skip
"""What is not asked of a movement whose legs or arms were not seen."""


def questions_of(
    motion: KnownMotion,
    report: MotionReport,
    rng: np.random.Generator,
    phrasings: Which = "train",
    kinds: Collection[str] | None = None,
) -> list[InstructExample]:
    """Every applicable question in one wording, from the training patterns or from those held out.

    `kinds` keeps only questions of these kinds (`kinds_of_questions`); ValueError for one that does not exist. The
    same motion, report and state of `rng` give the same examples.
    """
    unknown = sorted(set(kinds or ()) - set(kinds_of_questions()))
    if unknown:
        raise ValueError(f"there are no questions of kind {', '.join(unknown)}; there are {kinds_of_questions()}")
    k = known(motion, report, rng)
    asked = [a for a in asked_of(k) if kinds is None or _kind(a) in kinds]
    return [example(a, motion.clip, rng, phrasings) for a in asked]


def known(motion: KnownMotion, report: MotionReport, rng: np.random.Generator) -> Known:
    """The movement with the wrong actions that may be said of it, shuffled, those of its own collection first."""
    if len(report.times_s) != len(motion.pose):
        raise ValueError(f"{motion.clip}: {len(motion.pose)} frames but a report of {len(report.times_s)}")
    names = [a.name for a in motion.actions]
    if motion.source == "synthetic":
        own = [n for n, w in action_words().items() if w.repeats]
    else:
        own = list(names_of(motion.source)) or list(action_words())
    groups = [own, [n for n in action_words() if n not in own]]
    others = [
        n for g in groups for n in (g[int(i)] for i in rng.permutation(len(g))) if all(unlike(n, x) for x in names)
    ]
    return Known(motion, report, rng, tuple(others))


def asked_of(k: Known) -> Iterator[Asked]:
    """Every question with its truth, before it is worded."""
    unseen = {w for part in unseen_parts(k) for w in UNSEEN_ASKS[part]}
    for source in (
        action_questions,
        order_questions,
        limb_questions,
        posture_questions,
        travel_questions,
        repetition_questions,
        caption_questions,
        refusal_questions,
    ):
        yield from (a for a in source(k) if a.wording not in unseen)


def caption_questions(k: Known) -> Iterator[Asked]:
    """A caption, where there is one, and how long the clip is."""
    length = seconds(k.motion.duration_s)
    yield Asked("duration", f"{length} s", "kinematics", accepted=(length,), slots={"seconds": length})
    captions = k.motion.captions
    if captions:
        i = 0 if k.motion.described else int(k.rng.integers(len(captions)))
        rest = captions[:i] + captions[i + 1 :]
        truth = "caption" if k.motion.described else "label" if len(k.actions) < 2 else "boundaries"
        yield Asked("caption", captions[i], truth, accepted=rest, slots={"caption": captions[i]})


# Where an example's kind is not the wording's own name.
_KINDS = {"leg_side": "side", "hands_stay_low": "hand_above_head", "knee_angle": "angle", "on_spot": "direction",
          "back_upright": "posture", "bends_over": "posture", "travels": "direction", "steps": "count",
          "cadence": "speed", "leaves_floor": "contact", "repetition_time": "speed", "deepest": "coaching",
          "smallest": "coaching", "first_last": "compare", "tempo": "coaching", "even": "coaching",
          "advice": "coaching", "cannot": "refusal", "unseen": "not_visible"}  # fmt: skip


def _kind(asked: Asked) -> str:
    return asked.kind or asked.wording.partition("/")[0]


def kinds_of_questions() -> tuple[str, ...]:
    """Every kind that `questions_of` may give, in alphabetical order."""
    names = {w.partition("/")[0] for w in wordings()} - {"follow"}
    return tuple(sorted({_KINDS.get(n, n) for n in names}))

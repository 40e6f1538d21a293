"""Questions about limbs and posture: which one moves, how high the hands go, how far joints bend."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from motionqa.data.instruct.action_words import PARTS, part_of
from motionqa.data.instruct.asked import YES_NO, Asked, Known, act_slots, part_slots, seconds
from motionqa.data.instruct.movement import J, moving_side, part_paths
from motionqa.data.schema import Fact

SIDES = ("left", "right", "both")
EQUAL = ("both", "the same", "neither", "alike", "equally")
POSTURES = ("standing", "sitting", "lying")
OTHER = {"left": "right", "right": "left"}


def limb_questions(k: Known) -> Iterator[Asked]:
    """Which limb moves: by the label where there is one action, by measurement in every case."""
    if len(k.actions) == 1:
        yield from _of_action(k)
    yield from _more(k)
    if k.motion.pose.metric:
        yield from _alike(k)
    yield from _hands(k)


def posture_questions(k: Known) -> Iterator[Asked]:
    """Knees, back and posture; of recordings to scale, since others are too rough for angles."""
    if k.motion.pose.metric:
        yield from _knees(k)
        yield from _bends_more(k)
        yield from _back(k)
        yield from _postures(k)


def _of_action(k: Known) -> Iterator[Asked]:
    """Body part and side of the only action, where label and measurement agree."""
    action = k.actions[0]
    part = k.part(action)
    slots = act_slots(action.name) | part_slots(part)
    if part:
        yield Asked("body_part", part, "label", options=PARTS, slots=slots)
    side, _, limb = part.partition(" ")
    if limb in ("arm", "arms"):
        slots = slots | {"side": side}
        yield Asked("side", side, "label", options=SIDES, accepted=_hand(side), slots=slots)
        if side != "both":
            for answer, said in (("yes", side), ("no", OTHER[side])):
                yield Asked("true_side", answer, "label", options=YES_NO, slots=slots | {"side": said, "other": side})
    elif limb == "leg" and side != "both":
        yield Asked("leg_side", side, "label", kind="side", options=SIDES[:2], slots=slots | {"side": side})
    elif not part_of(action.name, action.joints):
        # The label does not say which arm: the measurement may.
        side = moving_side(k.motion.pose, *k.stretch(action), "arm")
        legs = moving_side(k.motion.pose, *k.stretch(action), "leg")
        if side and not legs:
            accepted = _hand(side)
            yield Asked("side", side, "kinematics", options=SIDES, accepted=accepted, slots=slots | {"side": side})


def _hand(side: str) -> tuple[str, ...]:
    return ("both arms", "both hands") if side == "both" else (f"{side} arm", f"{side} hand", f"the {side} arm")


def _more(k: Known) -> Iterator[Asked]:
    """Arms or legs, where one pair clearly moves more."""
    paths = part_paths(k.motion.pose, 0.0, k.motion.duration_s)
    if len(paths) < 4:
        return
    arms, legs = (paths[f"left {limb}"] + paths[f"right {limb}"] for limb in ("arm", "leg"))
    if max(arms, legs) > 1.0 and max(arms, legs) > 1.8 * min(arms, legs):
        more, less = ("arms", "legs") if arms > legs else ("legs", "arms")
        yield Asked("arms_or_legs", more, "kinematics", options=("arms", "legs"), slots={"more": more, "less": less})


def _alike(k: Known) -> Iterator[Asked]:
    """Whether left and right do the same: clearly one-sided, or the report says alike and the paths agree."""
    facts = [f.text for f in k.report.facts if f.topic == "symmetry"]
    for limb in ("arm", "leg"):
        side = moving_side(k.motion.pose, 0.0, k.motion.duration_s, limb)
        alike = side == "both" and f"The left and right {limb}s move alike." in facts
        if alike or side in OTHER:
            slots = {"limb": limb, "limbs": f"{limb}s", "more": side}
            yield Asked("symmetry", "yes" if alike else "no", "kinematics", options=YES_NO, slots=slots)


def _hands(k: Known) -> Iterator[Asked]:
    """Hands above the head: said by the report, with room to spare by the wrists' own height."""
    pose = k.motion.pose
    wrists = [J[f"{s}_wrist"] for s in ("left", "right")]
    if (pose.confidence[:, [*wrists, J["head_top"]]] > 0).mean() < 0.9 or _tipped(k, 0.15):
        return
    x = np.asarray(pose.xyz_m, float)
    tall = float(np.median(np.linalg.norm(x[:, J["head_top"]] - x[:, J["thorax"]], axis=1)))
    over = (x[:, wrists, 1] - x[:, [J["head_top"]], 1]) / tall  # in heads
    clear = [float(np.sort(over[:, i])[-max(2, round(0.1 * pose.fps))]) for i in (0, 1)]
    if any(-0.6 < c < 0.0 for c in clear):
        return  # the palm may or may not be higher
    up = [s for s, c in zip(("left", "right"), clear, strict=True) if c >= 0.0]
    told = [f for f in k.report.facts if re.fullmatch(r"The (left|right) hand is above the head .*", f.text)]
    if {f.text.split()[1] for f in told} != set(up):
        return
    highest = int(over.max(axis=1).argmax())
    side = "both" if len(up) == 2 else up[0] if up else "neither"
    phrase = {"both": "both hands go", "neither": "no hand goes"}.get(side, f"the {side} hand goes")
    slots = {"second": seconds(float(pose.times_s[highest])), "hand_goes": phrase}
    yes, no = ("yes", "no") if up else ("no", "yes")
    yield Asked("hand_above_head", yes, "kinematics", options=YES_NO, slots=slots)
    yield Asked("hands_stay_low", no, "kinematics", kind="hand_above_head", options=YES_NO, slots=slots)
    options = (*SIDES, "neither")
    yield Asked("which_hand_above", side, "kinematics", options=options, slots=slots | {"side": side})


def _tipped(k: Known, least_m: float) -> bool:
    """Whether the shoulders ever come lower than this above the hips."""
    x = k.motion.pose.xyz_m
    return bool((x[:, J["thorax"], 1] - x[:, J["pelvis"], 1] < least_m).any())


def _knees(k: Known) -> Iterator[Asked]:
    """How deeply the knees bend: named where far from the borders, and in degrees."""
    top = []
    for side in ("left", "right"):
        series = k.report.angles.get(f"{side}_knee_flexion")
        if series is None or np.isfinite(series.degrees).mean() < 0.9:
            return
        top.append(float(np.nanmax(series.degrees)))
    degrees = max(top)
    slots = {"degrees": f"{degrees:.0f}"}
    name = "hardly" if degrees < 30 else "a little" if 42 < degrees < 68 else "deeply" if degrees > 88 else ""
    if name:
        options = ("hardly", "a little", "deeply")
        yield Asked("knee_bend", name, "kinematics", options=options, slots=slots)
    if degrees > 30 and k.motion.source != "utd_mhad":  # bone lengths there vary too much for a number
        yield Asked("knee_angle", f"{degrees:.0f} degrees", "kinematics", kind="angle", slots=slots)


def _bends_more(k: Known) -> Iterator[Asked]:
    """Which knee or elbow bends further: clearly one, or both alike."""
    for joint, least in (("knee", 40.0), ("elbow", 65.0)):
        both = [k.report.angles.get(f"{side}_{joint}_flexion") for side in ("left", "right")]
        top = [float(np.nanmax(s.degrees)) for s in both if s is not None and np.isfinite(s.degrees).mean() >= 0.9]
        if len(top) < 2 or max(top) < least or 6 < abs(top[0] - top[1]) < 14:
            continue
        more = "equal" if abs(top[0] - top[1]) <= 6 else "left" if top[0] > top[1] else "right"
        slots = {"joint": joint, "more": f"{max(top):.0f}", "less": f"{min(top):.0f}"}
        accepted = EQUAL if more == "equal" else (f"the {more} {joint}", f"{more} {joint}")
        options = ("left", "right", "equal")
        yield Asked("bends_more", more, "kinematics", options=options, accepted=accepted, slots=slots)


def _back(k: Known) -> Iterator[Asked]:
    """Whether the trunk stays upright; between 20 and 35 degrees of lean nothing is asked."""
    lean = k.report.angles.get("trunk_lean_forward")
    aside = k.report.angles.get("trunk_lean_left")
    if lean is None or aside is None or np.isfinite(lean.degrees).mean() < 0.9 or _tipped(k, -0.05):
        return
    most = float(np.nanpercentile(np.abs(lean.degrees), 98))
    at = int(np.nanargmax(np.abs(lean.degrees)))
    sideways = float(np.nanpercentile(np.abs(aside.degrees), 98))
    slots = {
        "degrees": f"{most:.0f}",
        "second": seconds(float(k.report.times_s[at])),
        "lean": "forwards" if lean.degrees[at] > 0 else "backwards",
    }
    upright = "yes" if most < 17 and sideways < 15 else "no" if 38 < most < 110 else ""
    if upright:
        yield Asked("back_upright", upright, "kinematics", kind="posture", options=YES_NO, slots=slots)
        bends = "no" if upright == "yes" else "yes"
        yield Asked("bends_over", bends, "kinematics", kind="posture", options=YES_NO, slots=slots)


_POSTURE_OF = {"sit down": ("standing", "sitting"), "stand up": ("sitting", "standing")}
_ON_FEET = ("walk", "run", "wave", "raise", "clap", "throw", "draw", "swipe", "punch", "box", "knock", "catch", "push")


def _postures(k: Known) -> Iterator[Asked]:
    """Posture at the start and the end, as far as the only action fixes it."""
    if len(k.actions) != 1:
        return
    name = k.actions[0].name
    said = any(_lasting(f) for f in k.report.facts)
    start, end = _POSTURE_OF.get(name, ("standing", "standing") if name.startswith(_ON_FEET) and said else ("", ""))
    for when, posture in (("at the start", start), ("at the end", end)):
        if posture:
            yield Asked("posture", posture, "label", options=POSTURES, slots={"when": when, "posture": posture})


def _lasting(fact: Fact) -> bool:
    return fact.text in ("The person stays standing, upright, the whole time.",) or "walks" in fact.text

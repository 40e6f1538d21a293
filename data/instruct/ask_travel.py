"""Questions about where the body goes: direction, turn, steps, speed, and whether the feet leave the floor."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from motionqa.data.instruct.ask_order import NO_WAY, WAY
from motionqa.data.instruct.asked import YES_NO, Asked, Known, act_slots, seconds
from motionqa.data.instruct.movement import DIRECTIONS, TURNS, direction, travel, turning
from motionqa.data.instruct.stitch import leg_m
from motionqa.data.schema import Fact

IN_PLACE = ("walk in place", "jog in place")
GOING = ("walk", "walk backwards", "run", "walk and turn left", "walk and turn right", "walk to the left",
         "walk to the right")  # fmt: skip
STEPPING = (*IN_PLACE, *GOING)
STILL_FEET = ("wave", "raise", "clap", "draw", "swipe", "knock", "cross", "arm curl", "squat", "bow", "bend forward",
              "push", "catch")  # fmt: skip


def travel_questions(k: Known) -> Iterator[Asked]:
    """Of recordings to scale in which the pelvis' way is measured, nothing of others."""
    pose = k.motion.pose
    if pose.metric and pose.root_motion == "measured":
        yield from _ways(k)
        yield from _turns(k)
        yield from _gait(k)
        yield from _floor(k)


def _ways(k: Known) -> Iterator[Asked]:
    """Direction of travel over the whole clip, and yes/no questions about it."""
    leg = leg_m(k.motion.pose)
    way = direction(k.report, leg, 0.0, k.motion.duration_s)
    if not way or any(a.name in NO_WAY for a in k.actions):
        return
    metres = f"{max(abs(v) for v in travel(k.report, 0.0, k.motion.duration_s)[:2]):.1f}"
    there = WAY.get(way, way)
    accepted = {"forwards": ("forward", "ahead"), "backwards": ("backward", "back")}.get(way, (there,))
    slots = {"direction": way, "metres": metres, "way": there}
    yield Asked("direction", way, "kinematics", options=DIRECTIONS, accepted=accepted, slots=slots)
    still = way == "on the spot"
    yield Asked("on_spot", "yes" if still else "no", "kinematics", kind="direction", options=YES_NO, slots=slots)
    yield Asked("travels", "no" if still else "yes", "kinematics", kind="direction", options=YES_NO, slots=slots)
    if still:
        return  # moving one way would always be wrong
    truth = f"moves {there}"
    yield Asked("true_direction", "yes", "kinematics", options=YES_NO, slots={"way": there, "truth": truth})
    wrong = [WAY.get(d, d) for d in DIRECTIONS[:4] if d != way]
    slots = {"way": wrong[int(k.rng.integers(len(wrong)))], "truth": truth}
    yield Asked("true_direction", "no", "kinematics", options=YES_NO, slots=slots)


def _turns(k: Known) -> Iterator[Asked]:
    turn = turning(k.report, 0.0, k.motion.duration_s)
    said = [f for f in k.report.facts if f.topic == "turn"]
    denied = any(f.text.startswith("The person does not turn") for f in said)
    if not turn or (turn == "no") != denied:
        return
    net = k.report.trajectory.turn_deg
    slots = {"turn": turn, "degrees": f"{round(abs(net) / 10) * 10}"}
    accepted = ("none", "straight") if turn == "no" else (f"to the {turn}",)
    yield Asked("turn", turn, "kinematics", options=TURNS, accepted=accepted, slots=slots)


def _of(k: Known, topic: str, unit: str) -> list[Fact]:
    return [f for f in k.report.facts if f.topic == topic and f.unit == unit and f.value is not None]


def _gait(k: Known) -> Iterator[Asked]:
    """Steps, their rate and the speed, where one action of walking or running makes one bout; none where none is."""
    steps = _of(k, "count", "steps")
    names = {a.name for a in k.actions}
    if len(steps) != 1 or len(names) != 1:
        return
    (name,) = names
    slots = act_slots(name)
    count = int(steps[0].value or 0)
    if count == 0:
        if name.startswith(STILL_FEET):
            accepted = ("none", "no steps", "zero")
            yield Asked("steps", "0", "kinematics", kind="count", accepted=accepted, slots=slots | {"count": "0"})
        return
    # A bout that does not fill the clip leaves steps at its ends uncounted.
    covered = steps[0].end_s - steps[0].start_s > k.motion.duration_s - 0.8
    if name not in STEPPING or count < 3:
        return
    if covered:
        yield Asked("steps", str(count), "kinematics", kind="count", slots=slots | {"count": str(count)})
    rate = _of(k, "speed", "1/s")
    if len(rate) == 1:
        said = f"{rate[0].value:.1f}"
        accepted = (said, f"{said} steps per second")
        slots = slots | {"rate": said}
        yield Asked("cadence", f"{said} steps/s", "kinematics", kind="speed", accepted=accepted, slots=slots)
    speed = [f for f in _of(k, "speed", "m/s") if " at a speed of " in f.text]
    if len(speed) == 1 and name in GOING:
        said = f"{speed[0].value:.1f}"
        yield Asked("speed", f"{said} m/s", "kinematics", accepted=(said,), slots=slots | {"speed": said})


JUMPING = ("jump", "jumping jacks", "backflip", "side flip", "spin kick")
GROUNDED = ("squat", "sit down", "stand up", "bow", "walk", "wave", "raise", "clap", "draw", "swipe", "arm curl")


def _floor(k: Known) -> Iterator[Asked]:
    """Whether both feet leave the floor: only where label and measurement say the same."""
    names = {a.name for a in k.actions}
    said = [f for f in k.report.facts if f.text.startswith("Both feet leave the floor")]
    judged = not any("feet are out of view" in w for w in k.report.warnings)
    if not names or not judged:
        return
    if said and names & set(JUMPING):
        slots = {"second": seconds(said[0].start_s)}
        yield Asked("leaves_floor", "yes", "kinematics", kind="contact", options=YES_NO, slots=slots)
    elif not said and all(n.startswith(GROUNDED) for n in names) and np.isfinite(k.motion.pose.xyz_m).all():
        yield Asked("leaves_floor", "no", "kinematics", kind="contact", options=YES_NO)

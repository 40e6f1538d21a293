"""How the parts of a body are turned, from where its joints are: closed form, all frames at once.

A part that lies between joints is turned so that its own axis points as the joints say. What joints leave open, the
turn about that axis, comes from the plane in which the next joint bends (elbow, knee), and fades to the least turn
from the parent part as the limb straightens. Trunk and pelvis have axes of their own from hips and shoulders.

A body at rest is described by the same named points, so that "turned" always means: relative to rest.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

Array = np.ndarray
Points = Mapping[str, Float[Array, "T 3"]]
"""Named joints over time, metres; joints that were never seen are absent."""
RestPoints = Mapping[str, Float[Array, "1 3"]]
"""The same of a body at rest."""
Turns = dict[str, Float[Array, "T 3 3"]]
"""Per part: the rotation from rest to the pose, about world axes."""

SIDES = ("left", "right")
LIMBS = tuple((f"{s}_{a}", f"{s}_{b}", f"{s}_{c}") for s in SIDES for a, b, c in
              (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")))  # fmt: skip
PLANE_FROM_DEG, PLANE_FULL_DEG = 15.0, 45.0
"""Bend from which the plane of a limb begins to count, and from which it counts alone. Ours."""


def part_turns(rest: RestPoints, seen: Points) -> Turns:
    """Turns of pelvis, chest, head and, under the name of the joint it starts at, each part of the limbs.

    `seen` must have both hips and both shoulders; parts that end in absent joints follow the part before them.
    """
    turns = {"pelvis": _pelvis(seen) @ _pelvis(rest).mT, "chest": _chest(seen) @ _chest(rest).mT}
    turns["head"] = _head(rest, seen, turns["chest"])
    for first, middle, last in LIMBS:
        parent = turns["chest" if "shoulder" in first else "pelvis"]
        turns[first], turns[middle] = _limb(rest, seen, (first, middle, last), parent)
    for side in SIDES:
        ankle, toe = f"{side}_ankle", f"{side}_toe"
        shank = turns[f"{side}_knee"]
        turns[ankle] = _swung(rest, seen, ankle, toe, shank) if {ankle, toe} <= seen.keys() else shank
    return turns


def midpoint(points: Points, joint: str) -> Float[Array, "T 3"]:
    """Between the left and the right joint of a name."""
    return (points[f"left_{joint}"] + points[f"right_{joint}"]) / 2


def _across(points: Points, joint: str) -> Float[Array, "T 3"]:
    return points[f"left_{joint}"] - points[f"right_{joint}"]


def _trunk(points: Points) -> Float[Array, "T 3"]:
    return midpoint(points, "shoulder") - midpoint(points, "hip")


def _pelvis(points: Points) -> Float[Array, "T 3 3"]:
    return axes(_across(points, "hip"), _trunk(points))


def _chest(points: Points) -> Float[Array, "T 3 3"]:
    return axes(_trunk(points), _across(points, "shoulder"))


def _head(rest: RestPoints, seen: Points, chest: Float[Array, "T 3 3"]) -> Float[Array, "T 3 3"]:
    """From nose and ears where there are any, else from the direction in which the head lies above the shoulders."""
    face = ("nose", "left_ear", "right_ear")
    if all(j in seen for j in face):
        turned = [axes(_across(p, "ear"), p["nose"] - midpoint(p, "ear")) for p in (seen, rest)]
        return turned[0] @ turned[1].mT
    for above in ("head_top", "head"):
        if above in seen:
            was, now = (p[above] - midpoint(p, "shoulder") for p in (rest, seen))
            return least_turn(np.einsum("tij,tj->ti", chest, unit(was)), unit(now)) @ chest
    return chest


def _limb(
    rest: RestPoints, seen: Points, joints: tuple[str, str, str], parent: Float[Array, "T 3 3"]
) -> tuple[Float[Array, "T 3 3"], Float[Array, "T 3 3"]]:
    """Turns of the upper and the lower part of an arm or leg."""
    first, middle, last = joints
    if middle not in seen:
        return parent, parent
    if last not in seen:
        upper = _swung(rest, seen, first, middle, parent)
        return upper, upper
    upper_was, lower_was = unit(rest[middle] - rest[first]), unit(rest[last] - rest[middle])
    upper_now, lower_now = unit(seen[middle] - seen[first]), unit(seen[last] - seen[middle])
    hinge_was = unit(np.cross(upper_was, lower_was))
    bend_deg = np.degrees(np.arccos(np.clip((upper_now * lower_now).sum(-1, keepdims=True), -1, 1)))
    share = np.clip((bend_deg - PLANE_FROM_DEG) / (PLANE_FULL_DEG - PLANE_FROM_DEG), 0, 1)
    least = least_turn(np.einsum("tij,tj->ti", parent, upper_was), upper_now) @ parent
    straight = np.einsum("tij,tj->ti", least, hinge_was)
    hinge = share * unit(np.cross(upper_now, lower_now)) + (1 - share) * straight
    upper = axes(upper_now, hinge) @ axes(upper_was, hinge_was).mT
    lower = axes(lower_now, hinge) @ axes(lower_was, hinge_was).mT
    return upper, lower


def _swung(
    rest: RestPoints, seen: Points, start: str, end: str, parent: Float[Array, "T 3 3"]
) -> Float[Array, "T 3 3"]:
    """The parent's turn, and on top of it the least turn that points a part from one joint to the other."""
    carried = np.einsum("tij,tj->ti", parent, unit(rest[end] - rest[start]))
    return least_turn(carried, unit(seen[end] - seen[start])) @ parent


# ---------------------------------------------------------------------------------------- geometry


def unit(v: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
    """Vectors of length 1; vectors of length 0 stay."""
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)


def axes(main: Float[Array, "T 3"], second: Float[Array, "T 3"]) -> Float[Array, "T 3 3"]:
    """Right-handed axes as columns: along `main`, along what of `second` is square to it, and across both."""
    x = unit(main)
    y = unit(second - (x * second).sum(-1, keepdims=True) * x)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def least_turn(start: Float[Array, "T 3"], end: Float[Array, "T 3"]) -> Float[Array, "T 3 3"]:
    """The smallest rotations that turn unit vectors into others; about any square axis where they are opposite."""
    axis, cosine = np.cross(start, end), (start * end).sum(-1)
    sine = np.linalg.norm(axis, axis=-1)
    any_square = unit(np.cross(start, np.eye(3)[np.abs(start).argmin(axis=-1)]))
    axis = np.where((sine > 1e-6)[:, None], unit(axis), any_square)
    return Rotation.from_rotvec(axis * np.arctan2(sine, cosine)[:, None]).as_matrix()


def between(start: Float[Array, "T 3 3"], end: Float[Array, "T 3 3"], share: float) -> Float[Array, "T 3 3"]:
    """The rotations `share` of the way from one to the other along the shortest turn."""
    first = Rotation.from_matrix(start)
    step = (first.inv() * Rotation.from_matrix(end)).as_rotvec()
    return (first * Rotation.from_rotvec(share * step)).as_matrix()


def stretched(turn: Float[Array, "T 3 3"], along: Float[Array, "3"], factor: float) -> Float[Array, "T 3 3"]:
    """The turn of a part that is first made `factor` times as long in its rest direction `along`."""
    direction = along / np.linalg.norm(along)
    return turn @ (np.eye(3) + (factor - 1) * np.outer(direction, direction))

"""Clips joined into one longer movement whose boundaries are known.

Each next clip is turned about the vertical and moved so that the pelvis goes on where and in the direction in which it
was, then both are blended with a smooth step. Between poses that lie far apart the blend is lengthened by holding the
last and the first pose, so that no joint has to fly. Blended joints are put back on bones of the right length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from motionqa.data.instruct.action_words import action_words, unlike
from motionqa.data.instruct.known import KnownMotion
from motionqa.data.schema import Pose3D, Segment
from motionqa.data.skeleton import H36M_17

Array = np.ndarray
J = {name: i for i, name in enumerate(H36M_17.joints)}
MAX_SPEED_M_S = 3.5
"""What a hand needs at most, on average, to get from one pose to the next; a brisk raise of the arm."""
MAX_SIZE_RATIO = 1.6
CYCLIC = ("walk", "walk backwards", "run", "walk in place", "jog in place", "sneak", "walk like a zombie", "crawl",
          "dribble", "wave left hand", "wave right hand", "wave both hands")  # fmt: skip
"""Any few seconds of such a clip still show the action."""
LONG_S = 7.0
"""A longer clip of a cyclic action is cut before it is joined, so that none fills the whole sequence."""


def stitch(motions: Sequence[KnownMotion], blend_s: float = 0.3, gap_s: float = 0.0) -> KnownMotion:
    """The movements one after the other, sized to the first; a boundary is the middle of its blend.

    `gap_s` lengthens every blend. ValueError where there are fewer than two, where split, frame rate, joints or scale
    differ, or where one is shorter than two blends.
    """
    _check(motions, blend_s, gap_s)
    joined = motions[0].pose
    actions, counts = list(motions[0].actions), list(_counts(motions[0]))
    for motion in motions[1:]:
        joined, cut_s, shift_s = _joined(joined, motion.pose, blend_s, gap_s)
        actions = [replace(a, end_s=min(a.end_s, cut_s)) for a in actions]
        actions += [
            replace(a, start_s=max(a.start_s + shift_s, cut_s), end_s=a.end_s + shift_s) for a in motion.actions
        ]
        counts += _counts(motion)
    actions = [replace(a, end_s=min(a.end_s, len(joined) / joined.fps)) for a in actions]
    if any(a.end_s - a.start_s < 0.2 for a in actions):
        raise ValueError(f"blends of {blend_s} s leave no time for an action of {[m.clip for m in motions]}")
    first = motions[0]
    return KnownMotion(
        "+".join(m.clip for m in motions),
        first.source,
        first.split,
        joined,
        tuple(actions),
        _captions([a.name for a in actions]),
        tuple(counts) if any(counts) else (),
    )


def _counts(motion: KnownMotion) -> tuple[int, ...]:
    return motion.counts or (0,) * len(motion.actions)


def _captions(names: list[str]) -> tuple[str, ...]:
    """Sentences that tell the actions in order."""
    words = [action_words()[n] for n in names]
    if not words:
        return ()
    first, *rest = [w.does for w in words]
    return (
        f"A person {', then '.join([first, *rest])}.",
        f"Someone {first}{''.join(f', then {r}' for r in rest[:-1])}{f' and finally {rest[-1]}' if rest else ''}.",
        f"After {words[0].doing}, the person {', then '.join(rest)}." if rest else f"The person {first}.",
    )


def _check(motions: Sequence[KnownMotion], blend_s: float, gap_s: float) -> None:
    if len(motions) < 2:
        raise ValueError(f"joining takes two movements at least, got {len(motions)}")
    if blend_s <= 0 or gap_s < 0:
        raise ValueError(f"blend_s must be above 0 and gap_s not below, got {blend_s} and {gap_s}")
    first = motions[0]
    for motion in motions[1:]:
        for what, a, b in (
            ("split", first.split, motion.split),
            ("frame rate", first.pose.fps, motion.pose.fps),
            ("scale (metric)", first.pose.metric, motion.pose.metric),
        ):
            if a != b:
                raise ValueError(f"{first.clip} and {motion.clip} differ in {what}: {a} and {b}; they are not joined")
    for motion in motions:
        if motion.pose.skeleton is not H36M_17:
            raise ValueError(f"{motion.clip} has joints {motion.pose.skeleton.name}, expected {H36M_17.name}")
        if len(motion.pose) < 2 * round(blend_s * motion.pose.fps) + 2:
            raise ValueError(f"{motion.clip} lasts {motion.duration_s:.1f} s, too short for two blends of {blend_s} s")
    sizes = [leg_m(m.pose) for m in motions]
    if max(sizes) / min(sizes) > MAX_SIZE_RATIO:
        raise ValueError(f"legs of {', '.join(f'{s:.2f} m' for s in sizes)} are too unlike to be joined")


def leg_m(pose: Pose3D) -> float:
    """Median length of hip to knee to ankle, metres, of both legs."""
    x = pose.xyz_m
    bones = [np.linalg.norm(x[:, J[f"{s}_{a}"]] - x[:, J[f"{s}_{b}"]], axis=1) for s in ("left", "right")
             for a, b in (("hip", "knee"), ("knee", "ankle"))]  # fmt: skip
    return float(sum(np.median(b) for b in bones) / 2)


def _joined(a: Pose3D, b: Pose3D, blend_s: float, gap_s: float) -> tuple[Pose3D, float, float]:
    """One pose, the boundary's time, and how much later everything of `b` is."""
    fps = a.fps
    frames = round(blend_s * fps)
    sized = np.asarray(b.xyz_m, float) * (leg_m(a) / leg_m(b))
    first = np.asarray(a.xyz_m, float)
    far = np.linalg.norm(_centred(first[-frames // 2 or -1]) - _centred(sized[frames // 2]), axis=-1).max()
    # A smooth step's fastest moment is 1.9 times its mean.
    needed = int(np.ceil(1.9 * far / MAX_SPEED_M_S * fps))
    hold = max(0, needed - frames) + round(gap_s * fps)
    before = np.concatenate([first, np.repeat(first[-1:], hold, axis=0)])
    after = np.concatenate([np.repeat(sized[:1], hold, axis=0), sized])
    length = frames + hold
    after = _following(before[-length:], after, length, first, sized)
    weight = _smooth((np.arange(length) + 0.5) / length)[:, None, None]
    blend = _on_bones(before[-length:], after[:length], weight)
    sure_a = np.concatenate([a.confidence, np.repeat(a.confidence[-1:], hold, axis=0)])
    sure_b = np.concatenate([np.repeat(b.confidence[:1], hold, axis=0), b.confidence])
    sure = np.concatenate([sure_a[:-length], np.minimum(sure_a[-length:], sure_b[:length]), sure_b[length:]])
    xyz = np.concatenate([before[:-length], blend, after[length:]]).astype(np.float32)
    start = len(before) - length
    pose = replace(a, times_s=np.arange(len(xyz)) / fps, xyz_m=xyz, confidence=sure)
    return pose, (start + length / 2) / fps, (start + hold) / fps


def _following(tail: Array, after: Array, length: int, first: Array, second: Array) -> Array:
    """The second movement turned and moved to go on from the first's tail, both on one floor."""
    middle = length // 2
    turn = heading_rad(tail[middle]) - heading_rad(after[middle])
    cos, sin = np.cos(turn), np.sin(turn)
    turned = after @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    offset = tail[middle, J["pelvis"]] - turned[middle, J["pelvis"]]
    offset[1] = _floor(first) - _floor(second)
    return turned + offset


def heading_rad(frame: Float[Array, "17 3"]) -> float:
    """The direction a body faces about the vertical, from the lines through hips and shoulders; to the left grows."""
    left = sum(frame[J[f"left_{p}"]] - frame[J[f"right_{p}"]] for p in ("hip", "shoulder"))
    assert isinstance(left, np.ndarray)
    return float(np.arctan2(-left[2], left[0]))


def _floor(xyz: Array) -> float:
    """The height of the lowest ankle, without outliers."""
    return float(np.percentile(xyz[:, [J["left_ankle"], J["right_ankle"]], 1].min(axis=1), 10))


def _centred(frame: Array) -> Array:
    """The pose about its pelvis, facing +Z, so that two poses can be compared."""
    turn = -heading_rad(frame)
    cos, sin = np.cos(turn), np.sin(turn)
    return (frame - frame[J["pelvis"]]) @ np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])


def _smooth(x: Array) -> Array:
    return x * x * (3 - 2 * x)


def _on_bones(a: Array, b: Array, weight: Array) -> Array:
    """Positions between two movements with the bones' own lengths, the lower foot where it should be."""
    out = (1 - weight) * a + weight * b
    ankles = [J["left_ankle"], J["right_ankle"]]
    lowest = (1 - weight[:, 0, 0]) * a[:, ankles, 1].min(axis=1) + weight[:, 0, 0] * b[:, ankles, 1].min(axis=1)
    for child, parent in enumerate(H36M_17.parents):
        if parent >= 0:  # parents come before their children
            out[:, child] = out[:, parent] + _turned(
                a[:, child] - a[:, parent], b[:, child] - b[:, parent], weight[:, 0]
            )
    out[:, :, 1] += (lowest - out[:, ankles, 1].min(axis=1))[:, None]
    return out


def _turned(a: Array, b: Array, weight: Array) -> Array:
    """A bone on the way from one direction and length to another: along the great circle between them."""
    sizes = [np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-6) for x in (a, b)]
    first, second = a / sizes[0], b / sizes[1]
    # Opposite directions have no shortest way between them; just short of that there is one.
    angle = np.clip(np.arccos(np.clip((first * second).sum(axis=1, keepdims=True), -1, 1)), 1e-4, np.pi - 0.05)
    between = np.sin((1 - weight) * angle) * first + np.sin(weight * angle) * second
    between /= np.maximum(np.linalg.norm(between, axis=1, keepdims=True), 1e-6)
    return between * ((1 - weight) * sizes[0] + weight * sizes[1])


def cut(motion: KnownMotion, start_s: float, end_s: float) -> KnownMotion:
    """A part of a movement; actions are kept as far as they lie in it. ValueError where less than 8 frames are left."""
    fps = motion.pose.fps
    a, b = max(0, round(start_s * fps)), min(len(motion.pose), round(end_s * fps))
    if b - a < 8:
        raise ValueError(f"{start_s} to {end_s} s of {motion.clip} are {max(b - a, 0)} frames, expected at least 8")
    pose = motion.pose
    part = replace(pose, times_s=np.arange(b - a) / fps, xyz_m=pose.xyz_m[a:b], confidence=pose.confidence[a:b])
    kept = [
        Segment(x.name, max(x.start_s, a / fps) - a / fps, min(x.end_s, b / fps) - a / fps, x.joints)
        for x in motion.actions
        if min(x.end_s, b / fps) - max(x.start_s, a / fps) > 0.2
    ]
    name = f"{motion.clip}[{a / fps:.2f}-{b / fps:.2f}]"
    return replace(motion, clip=name, pose=part, actions=tuple(kept), counts=(), captions=motion.captions)


def stitched(
    motions: Sequence[KnownMotion], rng: np.random.Generator, count: int, most: int = 4, blend_s: float = 0.3
) -> list[KnownMotion]:
    """`count` sequences of two to `most` clips, each of one collection and one split, with different actions.

    Clips without a single known action are not used; long ones of `CYCLIC` actions are cut. ValueError where no
    collection has two different actions in one split.
    """
    groups: dict[tuple[str, str, float], dict[str, list[KnownMotion]]] = {}
    for m in motions:
        long = m.duration_s > LONG_S and not (len(m.actions) == 1 and m.actions[0].name in CYCLIC)
        if len(m.actions) == 1 and len(m.pose) >= 2 * round(blend_s * m.pose.fps) + 2 and not long:
            key = (m.source, m.split, m.pose.fps)
            groups.setdefault(key, {}).setdefault(m.actions[0].name, []).append(m)
    usable = [g for _, g in sorted(groups.items()) if len(g) > 1]
    if not usable:
        raise ValueError("joining needs clips of two different actions from one collection and split")
    sizes = np.array([sum(len(v) for v in g.values()) for g in usable], float) ** 0.5
    out: list[KnownMotion] = []
    while len(out) < count:
        group = usable[int(rng.choice(len(usable), p=sizes / sizes.sum()))]
        chosen = _chosen(group, rng, int(rng.integers(2, most + 1)))
        out.append(stitch([_short(m, rng) for m in chosen], blend_s))
    return out


def _chosen(group: dict[str, list[KnownMotion]], rng: np.random.Generator, count: int) -> list[KnownMotion]:
    """Clips of different actions, clearly so where there are enough, of bodies that fit."""
    names = list(group)
    picked = [names[int(rng.integers(len(names)))]]
    for _ in range(count - 1):
        others = [n for n in names if n not in picked]
        clear = [n for n in others if all(unlike(n, p) for p in picked)]
        if not others:
            break
        options = clear or others
        picked.append(options[int(rng.integers(len(options)))])
    chosen = [group[picked[0]][int(rng.integers(len(group[picked[0]])))]]
    for name in picked[1:]:
        fitting = [
            m for m in group[name] if 1 / MAX_SIZE_RATIO < leg_m(m.pose) / leg_m(chosen[0].pose) < MAX_SIZE_RATIO
        ]
        if fitting:
            chosen.append(fitting[int(rng.integers(len(fitting)))])
    return chosen if len(chosen) > 1 else _chosen(group, rng, count)


def _short(motion: KnownMotion, rng: np.random.Generator) -> KnownMotion:
    """A stretch of three to six seconds of a long repeated action, anything else as it is."""
    if motion.duration_s <= LONG_S:
        return motion
    length = float(rng.uniform(3.0, 6.0))
    start = float(rng.uniform(0, motion.duration_s - length))
    return cut(motion, start, start + length)

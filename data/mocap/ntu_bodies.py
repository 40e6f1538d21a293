"""The people in one NTU RGB+D `.skeleton` text file, before anyone is chosen.

Per frame: the number of bodies; per body one line of ten numbers that begins with its tracking id, the number of
joints, and per joint x, y, z (metres), two image positions, four of orientation, and the tracking state (0 not
tracked, 1 inferred, 2 tracked).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from motionqa.data.motion_files.raw_motion import read_text
from motionqa.data.schema import InputError

Array = np.ndarray

JOINTS, NUMBERS = 25, 12
BODY_NUMBERS = 10
SURE = np.array([0.0, 0.5, 1.0], dtype=np.float32)
"""Confidence of a tracking state; a joint that was inferred counts half. Ours."""
MAX_BODIES = 6
"""A Kinect follows six people at most."""
# What counts as a person when several were found, as in VA-LSTM's and later work's preparation of this data set.
MIN_BODY_FRAMES = 12
FLAT_RATIO = 0.8
FLAT_SHARE = 0.69754


@dataclass(frozen=True, eq=False)
class NtuBody:
    """One tracked body over all frames of the file; NaN and confidence 0 where it was not there."""

    xyz_m: Float[Array, "T 25 3"]
    confidence: Float[Array, "T 25"]

    @property
    def present(self) -> Array:
        """Frames in which it was tracked [T]."""
        return np.isfinite(self.xyz_m[:, 0, 0])

    @property
    def motion(self) -> float:
        """How much it moves: the variance of its coordinates over time, summed."""
        return float(self.xyz_m[self.present].var(axis=0).sum())

    @property
    def flat_share(self) -> float:
        """Share of frames in which it is wider than a person: furniture that the Kinect took for one."""
        there = self.xyz_m[self.present]
        spread = there.max(axis=1) - there.min(axis=1)
        return float((spread[:, 0] > FLAT_RATIO * spread[:, 1]).mean())

    def overlaps(self, other: NtuBody) -> bool:
        """Whether both are there in some frame."""
        return bool((self.present & other.present).any())

    def joined(self, other: NtuBody) -> NtuBody:
        """This body, and the other where this one is not there: a person that was lost and found under a new id."""
        mine = self.present
        return NtuBody(
            np.where(mine[:, None, None], self.xyz_m, other.xyz_m),
            np.where(mine[:, None], self.confidence, other.confidence),
        )


def read_bodies(path: Path) -> list[NtuBody]:
    """Every body of a `.skeleton` file, in the order of first appearance; empty where nobody was tracked.

    InputError where the file is cut off or no such file.
    """
    words = read_text(path).split()
    at = 0

    def take(count: int) -> list[str]:
        nonlocal at
        if at + count > len(words):
            raise InputError(f"{path.name} ends after {len(words)} numbers, in the middle of a frame; it is cut off")
        at += count
        return words[at - count : at]

    frames = _count(take(1)[0], "frames", 100_000, path)
    found: dict[str, dict[int, Array]] = {}
    for frame in range(frames):
        for _ in range(_count(take(1)[0], "bodies", MAX_BODIES, path)):
            # The id stays a word: it has more digits than a float keeps.
            body = take(BODY_NUMBERS)[0]
            if _count(take(1)[0], "joints", JOINTS, path) != JOINTS:
                raise InputError(f"{path.name}: a body without {JOINTS} joints; expected a Kinect v2 .skeleton file")
            table = np.array(take(JOINTS * NUMBERS)).reshape(JOINTS, NUMBERS)[:, [0, 1, 2, 11]]
            found.setdefault(body, {})[frame] = _numbers(table, path)
    return [_body(rows, frames) for rows in found.values()]


def _count(word: str, what: str, most: int, path: Path) -> int:
    if not word.isdigit() or int(word) > most:
        raise InputError(f"{path.name}: expected a number of {what} up to {most}, found {word[:30]!r}")
    return int(word)


def _numbers(table: Array, path: Path) -> Float[Array, "25 4"]:
    try:
        values = table.astype(np.float64)
    except ValueError as error:
        raise InputError(f"{path.name}: a joint's position is no number ({error})") from error
    if not np.isfinite(values).all() or not np.isin(values[:, 3], (0, 1, 2)).all():
        raise InputError(f"{path.name}: a joint has no finite position, or a tracking state other than 0, 1 and 2")
    return values


def _body(rows: dict[int, Array], frames: int) -> NtuBody:
    xyz = np.full((frames, JOINTS, 3), np.nan, dtype=np.float32)
    confidence = np.zeros((frames, JOINTS), dtype=np.float32)
    for frame, values in rows.items():
        xyz[frame] = values[:, :3]
        confidence[frame] = SURE[values[:, 3].astype(int)]
    return NtuBody(xyz, confidence)


def choose_people(bodies: list[NtuBody], count: int) -> list[NtuBody]:
    """Up to `count` people, the one who moves most first.

    Where several bodies were tracked, those seen in fewer than 12 frames and those mostly wider than a person are
    left out, unless that leaves nobody. A body that is never there at the same time as a chosen one is the same
    person under a new id.
    """
    kept = bodies
    for wanted in (lambda b: b.present.sum() >= MIN_BODY_FRAMES, lambda b: b.flat_share < FLAT_SHARE):
        kept = [b for b in kept if wanted(b)] or kept
    people: list[NtuBody] = []
    for body in sorted(kept, key=lambda b: -b.motion):
        same = next((i for i, p in enumerate(people) if not p.overlaps(body)), None)
        if same is not None:
            people[same] = people[same].joined(body)
        elif len(people) < count:
            people.append(body)
    return people

"""Synthetic bodies that do an exercise a known number of times, for training rows.

Recordings of the training people hold an action mostly once: a model that learns from them alone says "once" whatever
was counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from motionqa.data.instruct.ask_repetitions import COUNTED
from motionqa.data.instruct.known import KnownMotion, known_body
from motionqa.data.schema import MotionReport
from motionqa.data.synthetic import exercises as E
from motionqa.data.synthetic import motions as S
from motionqa.data.synthetic.body import BodyMotion

MOST = 9
"""Repetitions."""

Exercise = Callable[[int, np.random.Generator], BodyMotion]

EXERCISES: dict[str, Exercise] = {
    "squat": lambda n, rng: S.squats(n, depth_deg=rng.uniform(70, 120), period_s=rng.uniform(1.4, 2.6)),
    "lunge": lambda n, rng: S.lunge(_side(rng), n, depth_deg=rng.uniform(75, 100)),
    "jump": lambda n, rng: S.jumps(n, height_m=rng.uniform(0.15, 0.35)),
    "jumping jacks": lambda n, rng: S.jumping_jacks(n, period_s=rng.uniform(0.9, 1.3)),
    "push-up": lambda n, rng: E.push_up_set((1.0,) * n, elbow_deg=rng.uniform(80, 110), out_s=rng.uniform(0.7, 1.3)),
    "bend forward": lambda n, rng: S.forward_bend(n, angle_deg=rng.uniform(55, 90), move_s=rng.uniform(0.8, 1.2)),
    "arm curl": lambda n, rng: S.biceps_curls("both", n, period_s=rng.uniform(1.2, 2.0)),
    "raise left hand": lambda n, rng: S.arm_raise("left", n, move_s=rng.uniform(0.6, 1.0)),
    "raise right hand": lambda n, rng: S.arm_raise("right", n, move_s=rng.uniform(0.6, 1.0)),
    "raise both hands": lambda n, rng: S.arm_raise("both", n, move_s=rng.uniform(0.6, 1.0)),
}
"""By the action's name, so many times; what else is drawn makes no two alike."""


def _side(rng: np.random.Generator) -> S.Side:
    return "left" if rng.random() < 0.5 else "right"


def counted_bodies(rng: np.random.Generator, count: int) -> list[KnownMotion]:
    """So many bodies, the exercises in turn, each repeated once to `MOST` times; all counts are as frequent."""
    names = list(EXERCISES)
    out = []
    for i in range(count):
        name = names[i % len(names)]
        times = int(rng.integers(1, MOST + 1))
        body = EXERCISES[name](times, rng)
        out.append(known_body(body, name, times, clip=f"synthetic/{name} {times} {i}", seed=int(rng.integers(1 << 30))))
    return out


def counted_as_read(motion: KnownMotion, report: MotionReport) -> KnownMotion:
    """The movement, counts known only where the report that is shown with it counted as many of that very thing.

    A model that is taught other numbers than it is shown learns to make them up.
    """

    def shown(name: str) -> set[int]:
        wanted = COUNTED.get(name, ())
        return {len(s.repetitions) for s in report.repetitions if (s.name or s.signal) in wanted}

    known = [n if n in shown(a.name) else 0 for a, n in zip(motion.actions, motion.counts, strict=False)]
    return replace(motion, counts=tuple(known))

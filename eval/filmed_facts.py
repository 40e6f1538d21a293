"""What one camera keeps of what was measured on the exact motion: steps, repetitions, and which part moved.

    python -m motionqa.eval.filmed_facts --mocap MOCAP_FOLDER

Clips of the training side are filmed virtually, as for `build_motion_qa`, and measured again. Thresholds are set on
these; `--doubt` measures with others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from motionqa.assistant.released import lifting
from motionqa.data.detector_noise import load
from motionqa.data.mocap.actions import FRONT
from motionqa.data.mocap.packed import load_collections
from motionqa.data.schema import InputError, MotionReport
from motionqa.encoders.clip_encoder import load_lifter
from motionqa.encoders.filmed import filmed, random_film
from motionqa.encoders.kinematics.analyse import analyse
from motionqa.encoders.kinematics.config import KinematicsConfig
from motionqa.eval.build_motion_qa import motions
from motionqa.eval.qa.statistics import interval


@dataclass(frozen=True)
class Config:
    """Which clips, and from which confidence a joint is measured."""

    mocap: tuple[Path, ...]
    of_action: int = 6
    """Single clips of each action of each collection."""
    joined: int = 40
    standing: int = 70
    """Of the clips without steps, at most so many."""
    doubt: tuple[float, ...] = (KinematicsConfig().min_confidence, 0.5)
    """Values of `min_confidence` to compare; steps see joints down to `step_confidence`, or none less sure than 0.5."""
    seed: int = 11


@dataclass(frozen=True)
class Pair:
    """The same clip measured exactly and from its film."""

    exact: MotionReport
    film: MotionReport


def steps(report: MotionReport) -> int:
    """All steps of a report."""
    return sum(int(f.value or 0) for f in report.facts if f.topic == "count" and f.unit == "steps")


def _repetitions(report: MotionReport) -> dict[str, int]:
    return {s.name or s.signal: len(s.repetitions) for s in report.repetitions}


def _moved_most(report: MotionReport) -> str:
    return next((f.text for f in report.facts if f.topic == "part" and " most" in f.text), "")


def kept(pairs: Sequence[Pair]) -> dict[str, list[float]]:
    """By measure, 1 or 0 for everything that the exact motion shows: whether the film shows the same."""
    out: dict[str, list[float]] = {
        "steps, exact": [], "steps, off by at most one": [], "no steps where none are": [], "repetitions, exact": [],
        "what moves most": [],
    }  # fmt: skip
    for pair in pairs:
        true, found = steps(pair.exact), steps(pair.film)
        if true:
            out["steps, exact"].append(float(found == true))
            out["steps, off by at most one"].append(float(abs(found - true) <= 1))
        else:
            out["no steps where none are"].append(float(not found))
        sets = _repetitions(pair.film)
        out["repetitions, exact"] += [float(sets.get(k) == n) for k, n in _repetitions(pair.exact).items()]
        if most := _moved_most(pair.exact):
            out["what moves most"].append(float(_moved_most(pair.film) == most))
    return out


def _filmed(config: Config) -> Iterator[tuple]:
    chosen = lifting()
    assert chosen.weights is not None
    network, how = load_lifter(chosen.weights, chosen.version)
    known = motions(load_collections(config.mocap), "train", config.of_action, config.joined, config.seed)
    without = 0
    for i in np.random.default_rng(config.seed).permutation(len(known)):
        pose = known[i].pose
        exact = analyse(pose)
        without += not steps(exact)
        if not steps(exact) and without > config.standing:
            continue
        rng = np.random.default_rng((config.seed, int(i)))
        film = random_film(pose, FRONT.get(known[i].source, 0.0), rng, load())
        try:
            yield exact, filmed(pose, film, network, replace(how, batch=16))
        except InputError:
            continue  # too short to be lifted


def main(config: Config) -> None:
    """Prints the table, one column for each threshold."""
    clips = list(_filmed(config))
    print(f"{len(clips)} clips of the training side, filmed; share kept, 95 % by bootstrap")
    for doubt in config.doubt:
        usual = KinematicsConfig()
        thresholds = replace(usual, min_confidence=doubt, step_confidence=min(doubt, usual.step_confidence))
        if doubt >= 0.5:
            thresholds = replace(thresholds, step_confidence=doubt)
        found = kept([Pair(exact, analyse(pose, thresholds)) for exact, pose in clips])
        for name, values in found.items():
            if values:
                low, high = interval([str(i) for i in range(len(values))], values) or (0.0, 1.0)
                share = f"{np.mean(values):.2f} [{low:.2f}, {high:.2f}]"
                print(f"from confidence {doubt:<4} {name:28} {share} n={len(values)}")


if __name__ == "__main__":
    main(tyro.cli(Config))

"""Exercise sets whose count and faults are known: generated bodies, and motion-capture repetitions in a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from motionqa.data.instruct.known import known_motion
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.packed import load_collections, load_packed
from motionqa.data.schema import ClipEncoding, Pose3D
from motionqa.data.skeleton import H36M_17
from motionqa.data.synthetic import exercises as made
from motionqa.data.synthetic.body import BodyMotion, placed, render
from motionqa.encoders.kinematics.analyse import analyse

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class KnownSet:
    """A set of repetitions and what is true of it."""

    exercise: str
    pose: Pose3D
    count: int
    source: str
    faults: tuple[str, ...] = ()
    """Ids of the checks that it was made to fail."""


MAKERS: dict[str, Callable[..., BodyMotion]] = {
    "squat": made.squat_set,
    "push_up": made.push_up_set,
    "biceps_curl": made.curl_set,
    "overhead_press": made.press_set,
    "deadlift": made.deadlift_set,
    "sit_up": made.sit_up_set,
    "pull_up": made.pull_up_set,
    "lunge": made.lunge_set,
}
FAULTS: dict[str, tuple[tuple[str, dict[str, float]], ...]] = {
    "squat": (("depth", {"knee_deg": 75.0}), ("trunk_lean", {"lean_deg": 60.0})),
    "push_up": (("depth", {"elbow_deg": 60.0}), ("sag", {"sag_deg": 28.0}), ("pike", {"sag_deg": -38.0})),
    "biceps_curl": (
        ("lean_back", {"lean_back_deg": 24.0}),
        ("upper_arm", {"swing_deg": 55.0}),
        ("top", {"elbow_deg": 90.0}),
    ),
    "overhead_press": (("lockout", {"elbow_deg": 50.0}), ("arch", {"lean_back_deg": 26.0})),
    "deadlift": (("hinge", {"lean_deg": 27.0}),),
    "sit_up": (("height", {"up_deg": 40.0}),),
}
"""What makes a generated set fail a check, by exercise."""


def generated_sets(
    count: int, seed: int = 0, exercises: tuple[str, ...] = ("squat", "push_up", "biceps_curl")
) -> Iterator[KnownSet]:
    """Sets of 1 to 10 repetitions of varied depth, tempo, heading and noise; two in five hold a broken-off one."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        name = exercises[i % len(exercises)]
        reps = int(rng.integers(1, 11))
        depths = list(rng.uniform(0.85, 1.0, reps))
        if rng.random() < 0.4 and reps > 1:
            depths.insert(int(rng.integers(0, reps + 1)), float(rng.uniform(0.25, 0.5)))
        motion = MAKERS[name](tuple(depths), out_s=float(rng.uniform(0.5, 1.6)), back_s=float(rng.uniform(0.5, 1.6)),
                              rest_s=float(rng.uniform(0.1, 0.6)))  # fmt: skip
        motion = placed(motion, np.zeros(3), float(rng.uniform(0, 360)))
        pose = render(motion, noise_m=float(rng.uniform(0.003, 0.02)), seed=i)
        yield KnownSet(name, pose, reps, "generated")


def mocap_sets(mocap: Path, count: int, seed: int = 0) -> Iterator[KnownSet]:
    """UTD-MHAD's squats and two-arm curls, one performance each, put in a row 2 to 6 times with short blends."""
    clips = [c for c in load_packed(mocap / "utd_mhad.npz") if _exercise(c.label) in ("squat", "biceps_curl")]
    yield from _sets(clips, count, seed)


def held_out_sets(mocap: Path, seed: int = 0) -> Iterator[KnownSet]:
    """As `mocap_sets`, with lunges, and of the people whom no released model has seen."""
    clips = [c for c in load_packed(mocap / "utd_mhad.npz") if _exercise(c.label) and c.split == "test"]
    yield from _sets(clips, len(clips), seed)


def everyday_clips(mocap: Path, count: int) -> Iterator[ClipEncoding]:
    """Test clips of Bandai-Namco and UTD-MHAD, evenly drawn: no action of theirs is done on the hands or hanging."""
    files = [mocap / f"{name}.npz" for name in ("bandai_namco", "utd_mhad")]
    clips = [c for c in load_collections(files) if c.split == "test"]
    for i in np.unique(np.linspace(0, len(clips) - 1, min(count, len(clips))).astype(int)):
        yield encoded(KnownSet("", known_motion(clips[i]).pose, 0, clips[i].source))


def _sets(clips: Sequence[MocapClip], count: int, seed: int) -> Iterator[KnownSet]:
    rng = np.random.default_rng(seed)
    for i in range(min(count, len(clips))):
        clip = clips[i * len(clips) // min(count, len(clips))]
        times = int(rng.integers(2, 7))
        xyz = _in_a_row(clip.xyz_m, times, round(0.3 * clip.fps))
        t = np.arange(len(xyz)) / clip.fps
        pose = Pose3D(0, H36M_17, clip.fps, t, xyz, np.ones(xyz.shape[:2]), source="motion capture")
        yield KnownSet(_exercise(clip.label), pose, times, "mocap")


def _exercise(label: str) -> str:
    words = label.lower().replace("_", " ").replace("-", " ")
    named = {"squat": "squat", "curl": "biceps_curl", "lunge": "lunge"}
    return next((exercise for word, exercise in named.items() if word in words), "")


def _in_a_row(xyz: Array, times: int, blend: int) -> Array:
    """The clip again and again, with straight blends from its last to its first frame."""
    weight = ((np.arange(blend) + 1) / (blend + 1))[:, None, None]
    bridge = (1 - weight) * xyz[-1] + weight * xyz[0]
    parts = [xyz]
    for _ in range(times - 1):
        parts += [bridge, xyz]
    return np.concatenate(parts)


def faulty_sets(count: int, seed: int = 0) -> Iterator[KnownSet]:
    """Sets with one known fault each, exercise after exercise."""
    rng = np.random.default_rng(seed)
    kinds = [(name, *fault) for name, faults in FAULTS.items() for fault in faults]
    for i in range(count):
        name, check, change = kinds[i % len(kinds)]
        depths = tuple(rng.uniform(0.93, 1.0, int(rng.integers(2, 7))))
        values = {k: v * float(rng.uniform(0.97, 1.03)) for k, v in change.items()}
        motion = MAKERS[name](depths, out_s=float(rng.uniform(0.8, 1.5)), back_s=float(rng.uniform(0.8, 1.5)), **values)
        yield KnownSet(name, render(motion, noise_m=0.006, seed=i), len(depths), "generated", (check,))


def encoded(known: KnownSet) -> ClipEncoding:
    """The set as the encoder would hand over a motion file."""
    pose = replace(known.pose, notes=())
    return ClipEncoding(
        "0" * 64, f"{known.exercise}.bvh", "motion", float(pose.times_s[-1]), (), 0, None, pose, analyse(pose)
    )

"""The landmark tables of Exercise-Correction (N. Q. Bao, MIT): one row a video frame, a label and BlazePose landmarks.

Rows are consecutive frames of few videos, so a table is cut where the landmarks jump. The tables give positions as
parts of the picture's width and height but not its shape; the shape that keeps limb lengths most alike is taken.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from motionqa.assistant.coaching.exercise import Check, Exercise
from motionqa.assistant.coaching.quantities import QUANTITIES, series
from motionqa.data.schema import InputError, PoseSequence
from motionqa.data.skeleton import BLAZEPOSE_33
from motionqa.encoders.kinematics.config import ONE_CAMERA
from motionqa.encoders.kinematics.measures import Measures, measure
from motionqa.encoders.lift import from_image

Array = np.ndarray
HEIGHT = 720
SHAPES = (16 / 9, 4 / 3, 1.0, 3 / 4, 9 / 16)
JUMP = 8.0
"""A new video begins where landmarks move this many times further than usual, and by 0.06 of the picture."""
SIDES = ("left", "right")
_LIMBS = (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"), ("shoulder", "hip"))


@dataclass(frozen=True, eq=False)
class FormTable:
    """One table: frames in order, their labels, and which stretch of video each belongs to."""

    labels: tuple[str, ...]
    """Class names; `truth` indexes them."""
    truth: Int[Array, "N"]
    block: Int[Array, "N"]
    xy: Float[Array, "N 33 2"]
    """Pixels of a picture of height 720; NaN for landmarks the table does not have."""
    confidence: Float[Array, "N 33"]

    def pose(self, block: int) -> PoseSequence:
        """One stretch as the detector would give it, 25 frames a second."""
        rows = self.block == block
        count = int(rows.sum())
        return PoseSequence(0, BLAZEPOSE_33, 25.0, np.arange(count) / 25.0, np.nan_to_num(self.xy[rows]),
                            self.confidence[rows], 1280, HEIGHT, "table")  # fmt: skip


def read_form_table(path: Path, labels: tuple[str, ...]) -> FormTable:
    """A table with its labels in the given order. InputError where it is missing or has other labels."""
    if not path.exists():
        raise InputError(f"There is no table {path}. Give the folder that holds coach/exercise_correction.")
    with path.open() as file:
        header, *rows = list(csv.reader(file))
    unknown = {r[0] for r in rows} - set(labels)
    if unknown:
        raise InputError(f"{path.name} has labels {sorted(unknown)}, expected {', '.join(labels)}.")
    values = np.array([[float(v) for v in r[1:]] for r in rows]).reshape(len(rows), -1, 4)
    names = [c.removesuffix("_x").replace("foot_index", "toe") for c in header[1::4]]
    index = [BLAZEPOSE_33.index(n) for n in names]
    part = np.full((len(rows), 33, 2), np.nan)
    confidence = np.zeros((len(rows), 33))
    part[:, index], confidence[:, index] = values[..., :2], values[..., 3]
    truth = np.array([labels.index(r[0]) for r in rows])
    return FormTable(labels, truth, _blocks(values[..., :2]), part * (HEIGHT * _shape(part), HEIGHT), confidence)


def _blocks(xy: Float[Array, "N K 2"]) -> Int[Array, "N"]:
    step = np.abs(np.diff(xy, axis=0)).mean(axis=(1, 2))
    cut = step > max(0.06, JUMP * float(np.median(step)))
    return np.concatenate([[0], np.cumsum(cut)])


def _shape(part: Float[Array, "N 33 2"]) -> float:
    """Width over height of the picture: limbs seen at many angles keep their length only under the right one."""

    def spread(shape: float) -> float:
        xy = part * (shape, 1.0)
        lengths = [np.linalg.norm(xy[:, BLAZEPOSE_33.index(f"{s}_{a}")] - xy[:, BLAZEPOSE_33.index(f"{s}_{b}")], axis=1)
                   for s in SIDES for a, b in _LIMBS]  # fmt: skip
        alike = [float(np.std(x) / np.mean(x)) for x in lengths if np.isfinite(x).all()]
        return float(np.median(alike))

    return min(SHAPES, key=spread)


def frame_values(table: FormTable, quantities: tuple[str, ...], *, lead: bool = False) -> Float[Array, "N Q"]:
    """Each frame's quantities as the picture shows them; sided ones of the side whose joints are surer, or of the leg
    in front where `lead` is set."""
    out = np.full((len(table.truth), len(quantities)), np.nan)
    for block in range(int(table.block.max()) + 1):
        rows = np.flatnonzero(table.block == block)
        if len(rows) < 3:
            continue
        pose = table.pose(block)
        near = _surer_side(pose)
        m = measure(from_image(pose), ONE_CAMERA)
        ahead = series(m, "hip_flexion", "left") > series(m, "hip_flexion", "right")
        for q, name in enumerate(quantities):
            if lead and QUANTITIES[name].sided:
                out[rows, q] = np.where(ahead, series(m, name, "left"), series(m, name, "right"))
            else:
                out[rows, q] = _value(m, name, near)
    return out


def landmarks(table: FormTable) -> Float[Array, "N F"]:
    """Each frame's landmarks about the hips, in trunk lengths, turned to face right; 0 where unknown."""
    hips, shoulders = (
        table.xy[:, [BLAZEPOSE_33.index(f"{s}_{j}") for s in SIDES]].mean(axis=1) for j in ("hip", "shoulder")
    )
    trunk = np.linalg.norm(shoulders - hips, axis=1, keepdims=True)
    ahead = np.sign(table.xy[:, BLAZEPOSE_33.index("nose"), :1] - shoulders[:, :1])
    out = (table.xy - hips[:, None]) / np.maximum(trunk, 1e-6)[:, None]
    out[..., 0] *= np.where(ahead == 0, 1, ahead)
    return np.nan_to_num(out[:, np.isfinite(table.xy).all(axis=(0, 2))].reshape(len(out), -1))


def _value(m: Measures, name: str, near: str) -> Float[Array, "T"]:
    if not QUANTITIES[name].sided:
        return series(m, name)
    one, other = (series(m, name, s) for s in (near, SIDES[near == "left"]))
    return np.where(np.isfinite(one), one, other)


def _surer_side(pose: PoseSequence) -> str:
    joints = ("elbow", "knee", "ankle", "hip")
    sums = {s: sum(float(pose.confidence[:, BLAZEPOSE_33.index(f"{s}_{j}")].sum()) for j in joints) for s in SIDES}
    return max(sums, key=lambda s: sums[s])


def check_of(exercise: Exercise, id: str) -> Check:
    """An exercise's check by id. ValueError where it has none."""
    for check in exercise.checks:
        if check.id == id:
            return check
    raise ValueError(f"{exercise.name} has no check {id!r}")

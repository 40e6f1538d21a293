"""What tests of the analysis ask reports for, and bodies elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from motionqa.data.schema import MotionReport, Pose3D, RepetitionSet


def names(report: MotionReport) -> list[str]:
    """The segments in order."""
    return [s.name for s in report.segments]


def has(report: MotionReport, start: str) -> bool:
    """Whether a segment starts with these words."""
    return any(s.startswith(start) for s in names(report))


def counted(report: MotionReport, name: str) -> list[RepetitionSet]:
    """The sets of repetitions of a name."""
    return [r for r in report.repetitions if r.name == name]


def moved(pose: Pose3D, degrees: float = 0.0, scale: float = 1.0, offset: float = 0.0) -> Pose3D:
    """The pose turned about the vertical, scaled and shifted."""
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    return replace(pose, xyz_m=scale * pose.xyz_m @ turn.T + offset)

"""Which body parts move most and when, and how left compares with right."""

from __future__ import annotations

import numpy as np

from motionqa.data.schema import Activity, Asymmetry
from motionqa.encoders.kinematics.body import filled, low_pass
from motionqa.encoders.kinematics.measures import SIDES, Measures

PARTS = {
    "left arm": (("left_wrist", "left_elbow"), "thorax"),
    "right arm": (("right_wrist", "right_elbow"), "thorax"),
    "left leg": (("left_ankle", "left_knee"), "pelvis"),
    "right leg": (("right_ankle", "right_knee"), "pelvis"),
    "trunk": (("thorax",), "pelvis"),
    "head": (("head_top",), "thorax"),
}
COMPARED = {
    "knee_flexion": "knee bend",
    "hip_flexion": "hip bend",
    "elbow_flexion": "elbow bend",
    "shoulder_elevation": "arm raise",
}


def activity(m: Measures) -> tuple[Activity, ...]:
    """Speed of each body part relative to the trunk or pelvis, in the body's frame; busiest first.

    A limb's speed is the mean of its two outer joints'. Parts mostly unseen are left out.
    """
    if not m.moving:
        return ()
    measured = []
    for part, (joints, base) in PARTS.items():
        if any(m.body.seen(j) < 0.5 for j in (*joints, base)):
            continue
        speeds = [low_pass(filled(m.body.speed(m.body.relative(j, base))), m.fps, 3.0) for j in joints]
        speed = np.maximum(np.mean(speeds, axis=0), 0.0)
        # Filters are unsure about the first and last tenth of a second.
        edge = min(m.body.frames(0.1), len(speed) // 4)
        peak = edge + int(np.argmax(speed[edge : len(speed) - edge]))
        measured.append((part, float(speed.mean()), float(speed[peak]), float(m.body.times_s[peak])))
    total = sum(mean for _, mean, _, _ in measured)
    found = [Activity(p, mean, peak, when, mean / total if total > 1e-9 else 0.0) for p, mean, peak, when in measured]
    return tuple(sorted(found, key=lambda a: -a.mean_speed_m_s))


def asymmetry(m: Measures) -> tuple[Asymmetry, ...]:
    """Left and right compared: the largest value of each angle (95th percentile), and each hand's path."""
    if not m.moving:
        return ()
    out = []
    for name, words in COMPARED.items():
        pair = [m.angles.get(f"{s}_{name}") for s in SIDES]
        values = [a.degrees[np.isfinite(a.degrees)] if a is not None else np.array([]) for a in pair]
        if all(len(v) >= 0.5 * len(m.body) for v in values):
            left, right = (float(np.percentile(v, 95)) for v in values)
            out.append(Asymmetry(words, left, right, "degrees"))
    for end, base, words in (("wrist", "thorax", "hand path"), ("ankle", "pelvis", "foot path")):
        if all(m.body.seen(f"{s}_{end}") >= 0.5 for s in SIDES):
            paths = [float(np.sum(filled(m.body.speed(m.body.relative(f"{s}_{end}", base)))) / m.fps) for s in SIDES]
            out.append(Asymmetry(words, paths[0], paths[1], "m"))
    return tuple(out)

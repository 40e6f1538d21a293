"""Encodings of generated exercise sets, for the tests of the coach."""

from __future__ import annotations

from motionqa.data.schema import ClipEncoding
from motionqa.data.synthetic.body import BodyMotion, render
from motionqa.encoders.kinematics.analyse import analyse


def encoded(motion: BodyMotion, name: str = "set.bvh", *, noise_m: float = 0.004, sha: str = "0" * 64) -> ClipEncoding:
    """A motion as the encoder hands over a motion file."""
    pose = render(motion, noise_m=noise_m, seed=3)
    return ClipEncoding(sha, name, "motion", float(pose.times_s[-1]), (), 0, None, pose, analyse(pose))

"""Where the camera stands to the person, what of them it sees, and how sure a joint angle then is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from motionqa.data.schema import ClipEncoding
from motionqa.encoders.kinematics.body import Body, unit

View = Literal["front", "back", "side", "oblique", "space"]
"""`space` is motion capture: every side of the person is known."""
VIEWS: tuple[View, ...] = ("front", "back", "side", "oblique", "space")
FILMED: tuple[View, ...] = ("front", "back", "side", "oblique")

SIDE_WITHIN_DEG = 27.0
"""Seen from the side: the right-to-left line points at the camera within this angle."""
SIDE_WIDTH = 0.32
"""And in the picture both shoulders are no further apart than this part of the trunk's length."""
FRONT_WITHIN_DEG = 25.0
"""Seen from the front or back: that line lies across the picture within this angle."""

UNCERTAINTY_DEG: dict[View, float] = {"side": 6.0, "front": 6.0, "back": 6.0, "oblique": 12.0, "space": 1.0}
"""How far a joint angle may be off, degrees: about the mean errors that `make bench-coach` prints by view."""

PARTS = {
    "feet": ("left_ankle", "right_ankle"),
    "knees": ("left_knee", "right_knee"),
    "hips": ("left_hip", "right_hip"),
    "shoulders": ("left_shoulder", "right_shoulder"),
    "elbows": ("left_elbow", "right_elbow"),
    "hands": ("left_wrist", "right_wrist"),
}


@dataclass(frozen=True)
class Sight:
    """From where a person is seen, and how well."""

    view: View
    confidence: float
    """0 to 1: how clear the view is; near the border between two it is about a half."""
    near_side: Literal["left", "right"] | None
    """The side towards the camera where it sees the person from the side, else None."""
    seen: dict[str, float]
    """Part of the frames in which each body part is seen, 0 to 1; the better of both sides."""
    metric: bool
    """Whether lengths are known in metres, not guessed."""

    @property
    def unseen(self) -> tuple[str, ...]:
        """Body parts out of view most of the time."""
        return tuple(part for part, share in self.seen.items() if share < 0.5)

    def sentence(self) -> str:
        """The view in words."""
        words = {
            "front": "from the front", "back": "from behind", "side": f"from the {self.near_side or 'side'} side",
            "oblique": "at an angle, between front and side", "space": "from all sides (motion capture)",
        }[self.view]  # fmt: skip
        words = words.replace("the side side", "the side")
        hidden = (
            f" {_listed(self.unseen).capitalize()} are out of view; what needs them is not judged."
            if self.unseen
            else ""
        )
        return f"The person is seen {words}.{hidden}"


def _listed(words: tuple[str, ...]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else list(words))


def see(encoding: ClipEncoding, body: Body) -> Sight:
    """From where the encoded person is seen. Works for a person who stands, lies or hangs alike.

    The angle is that between the body's own right-to-left line and the camera's depth axis, median over the clip.
    """
    seen = {part: max(body.seen(joint) for joint in joints) for part, joints in PARTS.items()}
    pose = encoding.pose3d
    if not pose.camera and not pose.planar:
        return Sight("space", 1.0, None, seen, pose.metric)
    if pose.planar:
        return Sight("side" if body.side_view else "front", 0.6, _ahead_side(body), seen, False)
    across = [unit(body[f"left_{j}"] - body[f"right_{j}"]) for j in ("hip", "shoulder")]
    depth = _mean_seen([line[:, 2] for line in across])
    if not np.isfinite(depth).any():
        return Sight("oblique", 0.0, None, seen, pose.metric)
    middle = float(np.nanmedian(depth))
    # 0 where the line points at the camera, 90 where it lies across the picture.
    angle = float(np.degrees(np.arccos(np.clip(np.nanmedian(np.abs(depth)), 0, 1))))
    view: View = "side" if angle < SIDE_WITHIN_DEG else "oblique"
    if angle > 90 - FRONT_WITHIN_DEG:
        sideways = _mean_seen([line[:, 0] for line in across])
        view = "front" if np.nanmedian(sideways) > 0 else "back"
    border = min(abs(angle - SIDE_WITHIN_DEG), abs(angle - (90 - FRONT_WITHIN_DEG)))
    near = ("left" if middle > 0 else "right") if view != "front" and abs(middle) > 0.3 else None
    return Sight(view, min(1.0, 0.5 + border / 30), near, seen, pose.metric)


def _mean_seen(series: list[Float[np.ndarray, "T"]]) -> Float[np.ndarray, "T"]:
    """Mean over what is seen in each frame; NaN where nothing is."""
    stacked = np.stack(series)
    seen = np.isfinite(stacked).sum(axis=0)
    return np.where(seen > 0, np.nansum(stacked, axis=0) / np.maximum(seen, 1), np.nan)


def shoulder_width(body: Body) -> float:
    """Distance of the shoulders in the picture against the trunk's length there."""
    shoulders = np.linalg.norm((body["left_shoulder"] - body["right_shoulder"])[:, :2], axis=1)
    trunk = np.linalg.norm((body["thorax"] - body["pelvis"])[:, :2], axis=1)
    return float(np.nanmedian(shoulders) / max(float(np.nanpercentile(trunk, 70)), 1e-6))


def _ahead_side(body: Body) -> Literal["left", "right"] | None:
    """The side towards the camera in a flat side view, by which way the person faces."""
    if not body.side_view:
        return None
    return "right" if float(np.nanmedian(body.forward[:, 0])) > 0 else "left"

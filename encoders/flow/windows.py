"""Where in the picture a person is looked at for flow: windows, masks and joints at the looked-at frames.

Axis legend: `K` looked-at frames, `S` pixels along a side of a shown window. Places are pixels of the upright source
picture unless said otherwise; a window is left, top, width and height.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy.ndimage import maximum_filter1d

from motionqa.data.schema import Array, Clip, InputError, PoseSequence
from motionqa.data.skeleton import H36M_17, convert

SHARES = {
    ("head_top", "thorax"): 0.182,
    ("thorax", "pelvis"): 0.288,
    ("hip", "knee"): 0.245,
    ("knee", "ankle"): 0.246,
}
"""Lengths in statures (Winter 2009, figure 4.1); the longer side of the two legs counts."""
MIN_SHARE = 0.4
"""With less of the body seen its height is not guessed."""
MIN_JOINTS = 4
"""With fewer joints the window follows the outline."""
MIN_SIDE_PX = 24


@dataclass(frozen=True, eq=False)
class Followed:
    """One person at every looked-at frame."""

    pose: PoseSequence
    index: Int[Array, "K"]
    """The pose's frame nearest to each looked-at one."""
    joints_px: Float[Array, "K 17 2"]
    """NaN where unsure or outside the picture."""
    boxes_px: Float[Array, "K 4"]
    """Left, top, right and bottom of what is seen; NaN where nothing is."""
    sides_px: Float[Array, "K"]
    """Of the window of the pair that begins with each frame."""
    body_px: Float[Array, "K"]
    """Stature, pixels; NaN throughout where too little of the body is ever seen."""

    def outline(self, k: int) -> Bool[Array, "h w"]:
        """The person's mask over the whole picture, at the size the pose stage keeps."""
        assert self.pose.mask is not None
        return self.pose.mask[self.index[k]]

    def window(self, k: int, unit: Float[Array, "2"]) -> Float[Array, "4"] | None:
        """Around the person in frames k and k + 1, with corners on whole pixels of frames that are `unit` times
        smaller than the source; None where the person is missing in either."""
        boxes = self.boxes_px[k : k + 2]
        if not np.isfinite(boxes).all():
            return None
        middle = (boxes[:, :2].min(axis=0) + boxes[:, 2:].max(axis=0)) / 2
        side = max(2, round(float(self.sides_px[k] / unit.mean())))
        corner = np.round(middle / unit - side / 2)
        return np.concatenate([corner * unit, side * unit])


def follow(
    pose: PoseSequence, clip: Clip, times_s: Float[Array, "K"], margin: float, hold_s: float, min_confidence: float
) -> Followed:
    """The person of a pose at the looked-at times.

    ValueError for a pose without masks or of a picture of another size; InputError where the person is never seen.
    """
    if pose.mask is None:
        raise ValueError(
            f"person {pose.person_id} has no masks; flow needs a pose made with PoseConfig(with_mask=True)"
        )
    if (pose.width, pose.height) != (clip.width, clip.height):
        raise ValueError(
            f"the pose belongs to a picture of {pose.width} x {pose.height}, the clip has {clip.width} x {clip.height}"
        )
    index = np.abs(pose.times_s[None] - times_s[:, None]).argmin(axis=1)
    late = np.abs(pose.times_s[index] - times_s) > 1.0 / pose.fps  # the pose stage stopped at damage in the file
    joints, confidence = convert(pose.xy_px[index], pose.confidence[index], pose.skeleton, H36M_17)
    inside = ((joints >= 0) & (joints <= (pose.width - 1, pose.height - 1))).all(axis=-1)
    sure = inside & (confidence >= min_confidence) & ~late[:, None]
    joints = np.where(sure[..., None], joints, np.nan)
    boxes = np.stack([_box(joints[k], pose, int(index[k]), bool(late[k])) for k in range(len(times_s))])
    if not np.isfinite(boxes).any():
        raise InputError(
            f"Person {pose.person_id} is never seen: neither joints nor an outline. Flow is measured on people; "
            "film closer or choose another person."
        )
    sides = _sides(boxes, times_s, margin, hold_s)
    return Followed(pose, index, joints, boxes, sides, body_height_px(joints, times_s))


def _box(joints: Float[Array, "17 2"], pose: PoseSequence, index: int, late: bool) -> Float[Array, "4"]:
    """Around the sure joints; around the outline where there are too few."""
    sure = joints[np.isfinite(joints[:, 0])]
    if len(sure) >= MIN_JOINTS:
        return np.concatenate([sure.min(axis=0), sure.max(axis=0)])
    assert pose.mask is not None
    rows, columns = np.nonzero(pose.mask[index])
    if late or not len(rows):
        return np.full(4, np.nan)
    unit = pose.width / pose.mask.shape[2], pose.height / pose.mask.shape[1]
    ends = columns.min() * unit[0], rows.min() * unit[1], (columns.max() + 1) * unit[0], (rows.max() + 1) * unit[1]
    return np.array(ends, np.float64)


def _sides(boxes: Float[Array, "K 4"], times_s: Float[Array, "K"], margin: float, hold_s: float) -> Float[Array, "K"]:
    """Side of each pair's window: room for both boxes, and no smaller than shortly before and after."""
    after = np.concatenate([boxes[1:], boxes[-1:]])
    both = np.concatenate([np.fmin(boxes, after)[:, :2], np.fmax(boxes, after)[:, 2:]], axis=1)
    needed = np.nan_to_num((both[:, 2:] - both[:, :2]).max(axis=1)) * margin
    step_s = float(np.median(np.diff(times_s)))
    return np.maximum(maximum_filter1d(needed, 2 * round(hold_s / max(step_s, 1e-3)) + 1, mode="nearest"), MIN_SIDE_PX)


def body_height_px(joints: Float[Array, "K 17 2"], times_s: Float[Array, "K"], around_s: float = 1.0):
    """[K] stature in pixels: bones seen so far over their share of a body, as if it stood upright.

    Bones that point at the camera look short, so the 80th percentile of the second around counts. NaN throughout
    where less than 40 % of a body is ever seen.
    """
    now = np.full(len(joints), np.nan)
    lengths = {bone: _length(joints, *bone) for bone in SHARES}
    for k in range(len(joints)):
        seen = {bone: x[k] for bone, x in lengths.items() if np.isfinite(x[k])}
        share = sum(SHARES[bone] for bone in seen)
        if share >= MIN_SHARE:
            now[k] = sum(seen.values()) / share
    known = np.isfinite(now)
    if not known.any():
        return now
    tall = [np.percentile(now[known & (np.abs(times_s - t) <= around_s)], 80) for t in times_s[known]]
    return np.interp(times_s, times_s[known], tall)


def _length(joints: Float[Array, "K 17 2"], one: str, other: str) -> Float[Array, "K"]:
    """Of a bone; the longer of both sides' where it has sides."""
    sides = ("left_", "right_") if one in ("hip", "knee") else ("",)
    at = {name: joints[:, k] for k, name in enumerate(H36M_17.joints)}
    found = [np.linalg.norm(at[side + one] - at[side + other], axis=1) for side in sides]
    return np.fmax.reduce(found)


# ----------------------------------------------------------------------------------------------- cutting


def cut_out(
    image: UInt8[Array, "H W 3"], window_px: Float[Array, "4"], unit: Float[Array, "2"], side: int
) -> UInt8[Array, "S S 3"]:
    """What a window shows, `side` pixels wide; beyond the picture its edge goes on."""
    import cv2

    left, top = np.round(window_px[:2] / unit).astype(int)
    width, height = np.round(window_px[2:] / unit).astype(int)
    h, w = image.shape[:2]
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + width, w), min(top + height, h)
    part = image[y0:y1, x0:x1]
    beyond = y0 - top, top + height - y1, x0 - left, left + width - x1
    if any(beyond):
        above, below, before, after = (int(b) for b in beyond)
        part = cv2.copyMakeBorder(part, above, below, before, after, cv2.BORDER_REPLICATE)
    shrinks = width > side
    return cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def mask_in(
    outline: Bool[Array, "h w"], window_px: Float[Array, "4"], size_px: tuple[int, int], side: int
) -> Bool[Array, "S S"]:
    """A mask of the whole picture (`size_px` wide and high) inside a window, `side` pixels wide; none beyond."""
    import cv2

    per_px = np.array([outline.shape[1] / size_px[0], outline.shape[0] / size_px[1]])
    step = window_px[2:] / side * per_px
    start = window_px[:2] * per_px + 0.5 * step - 0.5
    matrix = np.array([[step[0], 0, start[0]], [0, step[1], start[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(outline.astype(np.float32), matrix, (side, side), flags=flags) >= 0.5


def stretched(outline: Bool[Array, "h w"], width: int, height: int) -> Bool[Array, "_ _"]:
    """A mask of the whole picture at another size."""
    import cv2

    return cv2.resize(outline.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0

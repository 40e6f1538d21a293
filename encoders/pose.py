"""Pose of one person over a clip: BlazePose on a window that follows the person, then smoothing without delay.

The window, the gap rule and the zero-phase filter are our choices: mediapipe's own One Euro filter is meant for live
cameras and lags, while here the whole clip is at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.signal import butter, sosfiltfilt

from motionqa.data.schema import Array, Clip, InputError, PersonTrack, Pose3D, PoseSequence
from motionqa.data.skeleton import BLAZEPOSE_33
from motionqa.data.video import decoded_size, iter_frames
from motionqa.encoders.blazepose import Landmarks, LandmarkTracker
from motionqa.encoders.people import crop_window
from motionqa.encoders.sides import exchange, exchanged_frames


@dataclass(frozen=True)
class PoseConfig:
    """How a person's landmarks are followed and cleaned."""

    min_confidence: float = 0.5
    window_radii: float = 3.0
    """Side of the square shown to the network, in body radii: room for raised arms and a late key frame."""
    window_px: int = 384
    """Windows are reduced to this: the landmark network sees 256 pixels, and the mask costs by the pixel."""
    lost_radii: float = 0.9
    """Landmarks whose hips lie farther than this from the track belong to somebody else: search afresh."""
    margin_s: float = 0.4
    """The person is looked for this long before the first and after the last key frame they were found in."""
    smoothing_hz: float = 6.0
    """Cut-off of the fourth-order zero-phase Butterworth filter, usual for human movement (Winter 2009, ch. 3)."""
    max_gap_s: float = 0.25
    """Shorter gaps are bridged by a straight line at confidence 0.3; longer ones stay unseen."""
    mask_side: int = 160
    with_mask: bool = True


@dataclass(frozen=True, eq=False)
class PersonPose:
    """What BlazePose saw of one person: joints in the image, and joints about the hips in metres."""

    image: PoseSequence
    world: Pose3D


def estimate_pose(
    clip: Clip, track: PersonTrack, config: PoseConfig = PoseConfig(), progress: Callable[[float], object] | None = None
) -> PersonPose:
    """BLAZEPOSE_33 landmarks of the tracked person in every analysed frame, smoothed.

    Frames without the person have confidence 0. Joints outside the picture have confidence 0: the network guesses
    them. InputError where no frame shows enough of a person, or where no frame could be decoded.
    """
    raw = _Raw(clip, config)
    tracker = LandmarkTracker(config.min_confidence, config.with_mask)
    try:
        for k, found in enumerate(_follow(clip, track, tracker, config)):
            raw.put(k, found)
            if progress:
                progress((k + 1) / len(clip))
    finally:
        tracker.close()
    if raw.decoded == 0:
        raise InputError(f"No frame of {clip.path.name!r} could be decoded. Copy or export the video again.")
    if not (raw.confidence.max(axis=1) > config.min_confidence).any():
        raise InputError(
            f"A person seems to be in {clip.path.name!r}, but no body joints could be made out. "
            "Film closer, with the whole body in view and more light."
        )
    return raw.cleaned(track.person_id)


@dataclass(frozen=True, eq=False)
class _Found:
    landmarks: Landmarks | None
    corner: tuple[int, int] = (0, 0)
    scale: float = 1.0
    """Source pixels per window pixel."""
    unit: float = 1.0
    """Source pixels per decoded pixel."""


def _follow(clip: Clip, track: PersonTrack, tracker: LandmarkTracker, config: PoseConfig) -> Iterator[_Found]:
    """Landmarks per decoded frame, from a window that moves with the track."""
    import cv2

    unit = clip.width / decoded_size(clip, 1280)[0]
    first, last = track.times_s[0] - config.margin_s, track.times_s[-1] + config.margin_s
    for k, frame in enumerate(iter_frames(clip, 1280)):
        time_s = float(clip.times_s[k])
        if not first <= time_s <= last:
            yield _Found(None)
            continue
        x, y, radius = (v / unit for v in track.circle_at(time_s))
        side = config.window_radii * radius
        crop, corner = crop_window(frame, (x - side / 2, y - side / 2, side, side))
        if min(crop.shape[:2]) < 16:
            yield _Found(None)
            continue
        shrink = min(1.0, config.window_px / max(crop.shape[:2]))
        small = cv2.resize(crop, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) if shrink < 1 else crop
        landmarks = tracker(small)
        if landmarks is not None:
            hips = landmarks.xy_px[[BLAZEPOSE_33.index("left_hip"), BLAZEPOSE_33.index("right_hip")]].mean(axis=0)
            away = np.hypot(*(hips / shrink + corner - (x, y))) / radius
            if away > config.lost_radii:
                tracker.restart()
                landmarks = None
        yield _Found(landmarks, corner, 1 / shrink, unit)


class _Raw:
    """Landmarks of every analysed frame as they arrive, then cleaned."""

    def __init__(self, clip: Clip, config: PoseConfig) -> None:
        frames, joints = len(clip), len(BLAZEPOSE_33)
        self.clip, self.config = clip, config
        self.xy = np.full((frames, joints, 2), np.nan)
        self.world = np.full((frames, joints, 3), np.nan)
        self.confidence = np.zeros((frames, joints))
        self.decoded = 0
        shrink = config.mask_side / max(clip.width, clip.height)
        self.mask_size = (max(1, round(clip.width * shrink)), max(1, round(clip.height * shrink)))
        self.mask = np.zeros((frames, self.mask_size[1], self.mask_size[0]), bool) if config.with_mask else None

    def put(self, k: int, found: _Found) -> None:
        self.decoded = k + 1
        landmarks = found.landmarks
        if landmarks is None:
            return
        xy = (landmarks.xy_px * found.scale + found.corner) * found.unit
        inside = ((xy >= 0) & (xy <= (self.clip.width, self.clip.height))).all(axis=1)
        self.xy[k], self.world[k] = xy, landmarks.world_m
        self.confidence[k] = np.where(inside, np.clip(landmarks.visibility, 0, 1), 0.0)
        if self.mask is not None and landmarks.mask is not None:
            self._paste_mask(k, landmarks.mask, found)

    def _paste_mask(self, k: int, probability: Float[Array, "H W"], found: _Found) -> None:
        import cv2

        per_px = self.mask_size[0] / self.clip.width * found.unit
        left, top = (round(c * per_px) for c in found.corner)
        width = max(1, min(self.mask_size[0] - left, round(probability.shape[1] * found.scale * per_px)))
        height = max(1, min(self.mask_size[1] - top, round(probability.shape[0] * found.scale * per_px)))
        small = cv2.resize(probability, (width, height), interpolation=cv2.INTER_AREA) > 0.5
        assert self.mask is not None
        target = self.mask[k, top : top + height, left : left + width]
        target |= small[: target.shape[0], : target.shape[1]]

    def cleaned(self, person_id: int) -> PersonPose:
        """Gaps bridged, an even time grid, jitter filtered; frames after damage in the file are cut off."""
        end = self.decoded
        times, fps = self.clip.times_s[:end], self.clip.fps
        xy, world, confidence = self.xy[:end], self.world[:end], self.confidence[:end]
        mask = None if self.mask is None else self.mask[:end]
        seen = np.isfinite(xy[:, 0, 0])
        wrong = exchanged_frames(xy, confidence, seen, BLAZEPOSE_33)
        xy, world, confidence = exchange(xy, world, confidence, wrong, BLAZEPOSE_33)
        seen, confidence = _bridge(times, seen, confidence, (xy, world), self.config.max_gap_s)
        if self.clip.variable_rate:
            times, seen, confidence, xy, world, mask = _even(times, fps, seen, confidence, xy, world, mask)
        xy = smooth(xy, seen, fps, self.config.smoothing_hz)
        world = smooth(world, seen, fps, self.config.smoothing_hz)
        confidence = np.where(seen[:, None], confidence, 0.0)
        image = PoseSequence(
            person_id, BLAZEPOSE_33, fps, times, xy, confidence, self.clip.width, self.clip.height, "BlazePose", mask
        )
        in_space = Pose3D(
            person_id, BLAZEPOSE_33, fps, times, world, confidence, "BlazePose world landmarks", "none", metric=False,
            camera=True,
        )  # fmt: skip
        return PersonPose(image, in_space)


def _bridge(
    times: Float[Array, "T"],
    seen: Bool[Array, "T"],
    confidence: Float[Array, "T J"],
    values: tuple[Float[Array, "T J _"], ...],
    max_gap_s: float,
) -> tuple[Bool[Array, "T"], Float[Array, "T J"]]:
    """Fills unseen frames in `values`: short gaps count as seen at confidence 0.3, the rest only hold the place."""
    known = np.flatnonzero(seen)
    if len(known) in (0, len(seen)):
        return seen, confidence
    for value in values:
        flat = value.reshape(len(value), -1)
        for column in range(flat.shape[1]):
            flat[:, column] = np.interp(times, times[known], flat[known, column])
    bridged, confidence = seen.copy(), confidence.copy()
    for before, after in zip(known, known[1:], strict=False):
        if after - before > 1 and times[after] - times[before] <= max_gap_s + 1e-6:
            bridged[before + 1 : after] = True
            confidence[before + 1 : after] = np.minimum(0.3, np.minimum(confidence[before], confidence[after]))
    return bridged, confidence


def _even(times, fps, seen, confidence, xy, world, mask):
    """Everything on an even time grid of `fps`: positions interpolated, the rest taken from the nearest frame."""
    grid = np.arange(times[0], times[-1] + 0.25 / fps, 1 / fps)
    nearest = np.abs(grid[:, None] - times[None]).argmin(axis=1)

    def resample(value: Array) -> Array:
        flat = value.reshape(len(value), -1)
        columns = [np.interp(grid, times, flat[:, c]) for c in range(flat.shape[1])]
        return np.stack(columns, axis=1).reshape(len(grid), *value.shape[1:])

    mask = None if mask is None else mask[nearest]
    return grid, seen[nearest], confidence[nearest], resample(xy), resample(world), mask


def smooth(
    values: Float[Array, "T J D"], seen: Bool[Array, "T"], fps: float, cutoff_hz: float
) -> Float[Array, "T J D"]:
    """Values low-pass filtered without delay over each run of seen frames; short runs and slow cameras unchanged."""
    if cutoff_hz >= 0.45 * fps:
        return values
    sos = butter(2, cutoff_hz, fs=fps, output="sos")  # order 2, run forwards and backwards: order 4
    out = values.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], seen.astype(int), [0]])))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start > 12:
            out[start:end] = sosfiltfilt(sos, values[start:end], axis=0, padlen=min(15, end - start - 1))
    return out

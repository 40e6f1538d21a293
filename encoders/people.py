"""Who is in the clip: people found at key frames and joined into tracks, and the choice of one of them.

BlazePose follows one person; this module decides which, so that a bystander nearer the lens is not analysed instead.
Detection is mediapipe's, assignment scipy's; the tiling, the gates and the ranking are our choices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

from motionqa.data.schema import Array, Clip, InputError, PersonTrack
from motionqa.data.video import decoded_size, iter_frames
from motionqa.encoders.blazepose import BodyCircle, PersonDetector


@dataclass(frozen=True)
class PersonChoice:
    """Which person to analyse: by rule, by number, or by a click on the picture."""

    rule: Literal["largest", "central"] = "largest"
    person_id: int | None = None
    click_px: tuple[float, float] | None = None
    """Point in the upright source image; goes with `click_s`."""
    click_s: float = 0.0


@dataclass(frozen=True)
class PeopleConfig:
    """How people are searched and joined over time."""

    key_frames_per_s: float = 3.0
    full_search_s: float = 1.5
    """How often overlapping square tiles are searched as well, for people small in a wide picture."""
    max_side: int = 720
    max_gap_s: float = 1.5
    """A person unseen for longer starts a new track."""
    reach_radii: float = 1.5
    """How far a body may move between key frames, in body radii."""


@dataclass
class _Track:
    times: list[float] = field(default_factory=list)
    circles: list[BodyCircle] = field(default_factory=list)

    def predicted(self, time_s: float) -> tuple[float, float]:
        """Where the body should be by now, moving on at its last velocity."""
        last = self.circles[-1]
        if len(self.times) < 2:
            return last.x_px, last.y_px
        before = self.circles[-2]
        ahead = min((time_s - self.times[-1]) / max(self.times[-1] - self.times[-2], 1e-6), 2.0)
        return last.x_px + (last.x_px - before.x_px) * ahead, last.y_px + (last.y_px - before.y_px) * ahead


def find_people(
    clip: Clip, config: PeopleConfig = PeopleConfig(), progress: Callable[[float], object] | None = None
) -> tuple[PersonTrack, ...]:
    """Every person of the clip as a track over key frames, most present first; empty where nobody is found.

    Presence is the body's size summed over the key frames it is seen in. Tracks seen only once in a clip of more
    than three key frames are dropped as false alarms.
    """
    every = max(1, round(clip.fps / config.key_frames_per_s))
    times = clip.times_s[::every]
    scale = clip.width / decoded_size(clip, config.max_side)[0]
    detector = PersonDetector()
    tracks: list[_Track] = []
    last_full = -np.inf
    try:
        for k, image in enumerate(iter_frames(clip, config.max_side, every)):
            time_s = float(times[k])
            full = time_s - last_full >= config.full_search_s - 1e-6
            last_full = time_s if full else last_full
            live = [t for t in tracks if time_s - t.times[-1] <= config.max_gap_s]
            _assign(live, tracks, _search(detector, image, live, time_s, full), time_s, config)
            if progress:
                progress((k + 1) / len(times))
    finally:
        detector.close()
    kept = [t for t in tracks if len(t.times) > 1 or len(times) <= 3]
    kept.sort(key=lambda t: -sum(c.radius_px for c in t.circles))
    return tuple(_freeze(i, track, scale) for i, track in enumerate(kept))


def choose_person(tracks: tuple[PersonTrack, ...], choice: PersonChoice, clip: Clip) -> PersonTrack:
    """The track the choice points at. InputError where the clip has no person, or none of that number."""
    if not tracks:
        raise InputError(
            f"No person was found in {clip.path.name!r}. The whole body should be in view, at least a tenth of the "
            "picture high and not too dark; motion files (BVH, TRC, …) work without a picture."
        )
    if choice.person_id is not None:
        by_id = {t.person_id: t for t in tracks}
        if choice.person_id not in by_id:
            raise InputError(f"There is no person {choice.person_id}; the clip has {sorted(by_id)}.")
        return by_id[choice.person_id]
    if choice.click_px is not None:
        x, y = choice.click_px
        return min(tracks, key=lambda t: _distance(t, choice.click_s, x, y))
    if choice.rule == "central":
        return min(tracks, key=lambda t: float(np.median(np.abs(t.center_px[:, 0] - clip.width / 2))))
    return tracks[0]


def _distance(track: PersonTrack, time_s: float, x: float, y: float) -> float:
    center_x, center_y, radius = track.circle_at(time_s)
    away_s = max(track.times_s[0] - time_s, time_s - track.times_s[-1], 0.0)
    return float(np.hypot(x - center_x, y - center_y) / radius + away_s)


def _search(detector: PersonDetector, image: Array, live: list[_Track], time_s: float, full: bool) -> list[BodyCircle]:
    """People in one key frame: the whole image, tiles when asked, and a close look where a known person was missed."""
    found = detector(image)
    if full:
        for window in _tiles(*image.shape[:2]):
            found += _look(detector, image, window)
    for track in live:
        x, y = track.predicted(time_s)
        radius = track.circles[-1].radius_px
        if not any(np.hypot(c.x_px - x, c.y_px - y) < radius for c in found):
            half = 1.6 * radius
            found += _look(detector, image, (x - half, y - half, 2 * half, 2 * half))
    return _distinct(found)


def _tiles(height: int, width: int) -> list[tuple[float, float, float, float]]:
    """Half-overlapping squares along the longer side, (x, y, width, height); none for a nearly square image."""
    side = min(height, width)
    longer = max(height, width)
    if longer < 1.3 * side:
        side = round(side * 0.67)
    count = int(np.ceil((longer - side) / (0.5 * side))) + 1
    starts = np.linspace(0, longer - side, count)
    across = [(min(height, width) - side) / 2]
    return [(s, a, side, side) if width >= height else (a, s, side, side) for s in starts for a in across]


def _look(detector: PersonDetector, image: Array, window: tuple[float, float, float, float]) -> list[BodyCircle]:
    """People in a window of the image, in the image's pixels."""
    crop, (left, top) = crop_window(image, window)
    if min(crop.shape[:2]) < 16:
        return []
    return [BodyCircle(c.x_px + left, c.y_px + top, c.radius_px, c.score) for c in detector(crop)]


def crop_window(image: Array, window: tuple[float, float, float, float]) -> tuple[Array, tuple[int, int]]:
    """The part of the image inside (x, y, width, height), and its top left corner; clipped at the border."""
    x, y, width, height = window
    left, top = max(0, round(x)), max(0, round(y))
    right, bottom = min(image.shape[1], round(x + width)), min(image.shape[0], round(y + height))
    return image[top : max(top, bottom), left : max(left, right)], (left, top)


def _distinct(found: list[BodyCircle]) -> list[BodyCircle]:
    """The same person found in several windows is kept once, where the detector was most certain."""
    kept: list[BodyCircle] = []
    for circle in sorted(found, key=lambda c: -c.score):
        same = any(
            np.hypot(circle.x_px - k.x_px, circle.y_px - k.y_px) < 0.5 * max(circle.radius_px, k.radius_px)
            for k in kept
        )
        if not same:
            kept.append(circle)
    return kept


def _assign(
    live: list[_Track], tracks: list[_Track], found: list[BodyCircle], time_s: float, config: PeopleConfig
) -> None:
    """Gives each detection to the nearest live track within reach, or starts a new track with it."""
    cost = np.full((len(live), len(found)), np.inf)
    for i, track in enumerate(live):
        x, y = track.predicted(time_s)
        for j, circle in enumerate(found):
            radius = track.circles[-1].radius_px
            distance = np.hypot(circle.x_px - x, circle.y_px - y) / radius
            ratio = circle.radius_px / radius
            if distance < config.reach_radii and 0.5 < ratio < 2:
                cost[i, j] = distance + abs(np.log(ratio))
    finite = np.where(np.isfinite(cost), cost, 1e6)
    taken = set()
    for i, j in zip(*linear_sum_assignment(finite), strict=True):
        if np.isfinite(cost[i, j]):
            live[i].times.append(time_s)
            live[i].circles.append(found[j])
            taken.add(j)
    tracks += [_Track([time_s], [circle]) for j, circle in enumerate(found) if j not in taken]


def _freeze(person_id: int, track: _Track, scale: float) -> PersonTrack:
    return PersonTrack(
        person_id=person_id,
        times_s=np.array(track.times),
        center_px=np.array([(c.x_px, c.y_px) for c in track.circles]) * scale,
        radius_px=np.array([c.radius_px for c in track.circles]) * scale,
        score=np.array([c.score for c in track.circles]),
    )

"""The picture on which a user clicks the person they mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from motionqa.data.schema import Array, ClipEncoding
from motionqa.data.video import DecodeConfig, iter_frames, read_clip


@dataclass(frozen=True, eq=False)
class PeoplePicture:
    """A frame in which as many people as possible are in view, with a numbered circle around each."""

    image: UInt8[Array, "H W 3"]
    time_s: float
    source_width: int


def people_picture(path: Path, encoding: ClipEncoding, decode: DecodeConfig, max_side: int = 854) -> PeoplePicture:
    """The picture for a clip with several people; the one analysed now is drawn thick. Tracks are drawn where they
    are at that moment or, when out of view then, where they are nearest to it in time."""
    import cv2

    clip = read_clip(path, decode)
    middles = np.array([t.times_s.mean() for t in encoding.people])
    in_view = [sum(t.times_s[0] <= time <= t.times_s[-1] for t in encoding.people) for time in clip.times_s]
    best = np.flatnonzero(np.array(in_view) == max(in_view))
    index = int(best[np.abs(clip.times_s[best] - middles.mean()).argmin()])
    image = next(frame for k, frame in enumerate(iter_frames(clip, max_side)) if k == index).copy()
    unit, time_s = clip.width / image.shape[1], float(clip.times_s[index])
    for track in encoding.people:
        x, y, radius = (v / unit for v in track.circle_at(time_s))
        present = track.times_s[0] <= time_s <= track.times_s[-1]
        chosen = track.person_id == encoding.person_id
        colour = (255, 200, 60) if chosen else (230, 230, 230) if present else (150, 150, 150)
        cv2.circle(image, (round(x), round(y)), round(radius), colour, 3 if chosen else 2, cv2.LINE_AA)
        label = f"{track.person_id}" if present else f"{track.person_id} (at {track.times_s[0]:.1f} s)"
        at = (round(x - 8), max(18, round(y - radius - 6)))
        cv2.putText(image, label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 4, cv2.LINE_AA)
        cv2.putText(image, label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, 2, cv2.LINE_AA)
    return PeoplePicture(image, time_s, clip.width)

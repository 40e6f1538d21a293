"""The picture on which a user clicks the person they mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from motionqa.assistant.overlay import mark_person
from motionqa.data.schema import Array, ClipEncoding, PersonTrack
from motionqa.data.video import DecodeConfig, frame_at, read_clip


@dataclass(frozen=True, eq=False)
class PeoplePicture:
    """A frame in which as many people as possible are in view, with a numbered mark around each."""

    image: UInt8[Array, "H W 3"]
    time_s: float
    source_width: int


def people_picture(path: Path, encoding: ClipEncoding, decode: DecodeConfig, max_side: int = 854) -> PeoplePicture:
    """The picture for a clip with several people: those in view at its moment, the one analysed now drawn thick."""
    clip = read_clip(path, decode)
    middles = np.array([t.times_s.mean() for t in encoding.people])
    in_view = [sum(t.times_s[0] <= time <= t.times_s[-1] for t in encoding.people) for time in clip.times_s]
    best = np.flatnonzero(np.array(in_view) == max(in_view))
    index = int(best[np.abs(clip.times_s[best] - middles.mean()).argmin()])
    image = frame_at(clip, index, max_side).copy()
    unit, time_s = clip.width / image.shape[1], float(clip.times_s[index])
    for track in encoding.people:
        if track.times_s[0] <= time_s <= track.times_s[-1]:
            chosen = track.person_id == encoding.person_id
            mark_person(
                image, track, time_s, 1 / unit, (255, 200, 60) if chosen else (235, 235, 235), 3 if chosen else 2
            )
    return PeoplePicture(image, time_s, clip.width)


def person_label(track: PersonTrack) -> str:
    """How a person is named in a list: number and when they are in view."""
    return f"Person {track.person_id}, {track.times_s[0]:.1f}–{track.times_s[-1]:.1f} s"

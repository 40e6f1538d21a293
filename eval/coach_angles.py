"""How exact the angles are that the coach judges by: drawn films of exact bodies seen from eight sides."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from motionqa.assistant.coaching.coach import Assessment, assess
from motionqa.assistant.coaching.exercise import Check
from motionqa.assistant.coaching.observed import Observed
from motionqa.assistant.coaching.quantities import QUANTITIES, series
from motionqa.assistant.coaching.view import View
from motionqa.data.schema import ClipEncoding, InputError, Pose3D
from motionqa.encoders.clip_encoder import ClipEncoder
from motionqa.encoders.kinematics.config import KinematicsConfig
from motionqa.encoders.kinematics.measures import Measures, measure
from motionqa.eval.benchmark import Row
from motionqa.eval.coach_sets import MAKERS, KnownSet, encoded

EXERCISES = ("squat", "deadlift", "biceps_curl", "overhead_press", "lunge", "push_up")


def angle_rows(encoder: ClipEncoder, command: str) -> Iterator[Row]:
    """Errors on drawn films of exact bodies seen from eight sides, by the view that was found.

    `angle_error`: mean over the frames; the value over the angles that an exercise's own rules judge from that view,
    beside it every angle over all exercises. `judged_angle_error`: what the rules read off, one value a repetition.
    """
    films = list(drawn_views(encoder))
    views: dict[int, Counter[View]] = {}
    for film in films:
        views.setdefault(film.azimuth, Counter())[film.view] += 1
    found = "; ".join(f"{a}°: {', '.join(f'{n} {v}' for v, n in c.items())}" for a, c in sorted(views.items()))
    split = f"{', '.join(EXERCISES)}, drawn as films from 8 sides; views found at {found}"
    for view in sorted({film.view for film in films}):
        of = [film for film in films if film.view == view]
        every, own, judged = (_gathered(film.errors() for film in of), _gathered(film.claimed_errors() for film in of),
                              _gathered(film.judged_errors() for film in of))  # fmt: skip
        for name, value, beside in (("angle_error", own, every), ("judged_angle_error", judged, judged)):
            mean = round(float(np.mean(list(value.values()))), 2) if value else None
            what = (
                f"{split}; value: mean over what an exercise's rules judge from here: {', '.join(value) or 'nothing'}"
            )
            goal = "<= 6" if value else "not judged"
            yield Row(f"{name}_{view}", mean, "degrees", None, beside, goal, what, command)


def _gathered(errors: Iterable[dict[str, float]]) -> dict[str, float]:
    """Means by name."""
    by_name: dict[str, list[float]] = {}
    for one in errors:
        for name, error in one.items():
            by_name.setdefault(name, []).append(error)
    return {name: round(float(np.mean(of)), 1) for name, of in by_name.items()}


@dataclass(frozen=True, eq=False)
class DrawnFilm:
    """Two repetitions of an exercise, exact and as read off a film from one side."""

    exercise: str
    azimuth: int
    body: Pose3D
    encoding: ClipEncoding

    @cached_property
    def film(self) -> Assessment:
        """What the coach makes of the film, told which exercise it is."""
        return assess(self.encoding, self.exercise)

    @property
    def view(self) -> View:
        """From where it was found to be seen."""
        return self.film.sight.view

    def errors(self) -> dict[str, float]:
        """Mean errors in degrees over the frames, by quantity."""
        truth = measure(self.body, KinematicsConfig())
        known = (q for q, of in QUANTITIES.items() if of.unit == "degrees" and of.measure is not None)
        found = {q: _angle_error(self.film.seen, truth, q) for q in known}
        return {q: error for q, error in found.items() if np.isfinite(error)}

    def claimed_errors(self) -> dict[str, float]:
        """Those of the quantities that the exercise's rules judge from here."""
        claimed = {c.quantity for c in self._checks()}
        return {f"{self.exercise} {q}": error for q, error in self.errors().items() if q in claimed}

    def judged_errors(self) -> dict[str, float]:
        """Mean errors of the values that the rules read off in degrees, by check; none where counts differ."""
        exact = assess(encoded(KnownSet(self.exercise, self.body, 2, "generated")), self.exercise)
        pairs = list(zip(self.film.table, exact.table, strict=False))
        if len(self.film.table) != len(exact.table):
            return {}
        out = {}
        for check in self._checks():
            off = [
                abs(seen.values[check.id] - true.values[check.id])
                for seen, true in pairs
                if check.id in seen.values and check.id in true.values
            ]
            if off and check.measured.unit == "degrees":
                out[f"{self.exercise} {check.id}"] = float(np.mean(off))
        return out

    def _checks(self) -> list[Check]:
        assert self.film.exercise is not None
        return [c for c in self.film.exercise.checks if self.view in c.views]


def drawn_views(encoder: ClipEncoder) -> Iterator[DrawnFilm]:
    """Each exercise from eight sides; those in which nobody is found are left out."""
    from motionqa.data.synthetic.drawn_figure import figure_frames
    from motionqa.data.synthetic.motions import render
    from motionqa.data.video_writer import write_video
    from motionqa.eval.drawn_clips import AZIMUTHS_DEG, turned

    for exercise in EXERCISES:
        body = render(MAKERS[exercise]((1, 1), rest_s=0.3))
        for azimuth in AZIMUTHS_DEG:
            with tempfile.TemporaryDirectory() as folder:
                video = write_video(figure_frames(turned(body, azimuth)), Path(folder) / "drawn.mp4")
                try:
                    yield DrawnFilm(exercise, int(azimuth), body, encoder.encode(video))
                except InputError:
                    continue


def _angle_error(seen: Observed, truth: Measures, quantity: str) -> float:
    """Mean absolute error in degrees over the frames, on the side towards the camera where there is one."""
    first = round(float(seen.m.body.times_s[0]) * truth.fps)
    sides = (
        ("",)
        if not QUANTITIES[quantity].sided
        else (seen.sight.near_side,)
        if seen.sight.near_side
        else ("left", "right")
    )
    errors = []
    for side in sides:
        found = seen.values(quantity, side or "")
        true = series(truth, quantity, side or "")[first : first + len(found)]
        error = np.abs(found[: len(true)] - true)
        if np.isfinite(error).mean() > 0.3:
            errors.append(float(np.nanmean(error)))
    return float(np.mean(errors)) if errors else np.nan

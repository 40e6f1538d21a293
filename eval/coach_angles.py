"""How exact the angles are that the coach judges by: drawn films of exact bodies seen from eight sides."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from motionqa.assistant.coaching.exercise_file import load_rules
from motionqa.assistant.coaching.observed import Observed, observe
from motionqa.assistant.coaching.quantities import QUANTITIES, series
from motionqa.data.schema import ClipEncoding, InputError
from motionqa.encoders.clip_encoder import ClipEncoder
from motionqa.encoders.kinematics.config import KinematicsConfig
from motionqa.encoders.kinematics.measures import Measures, measure
from motionqa.eval.benchmark import Row


def angle_rows(encoder: ClipEncoder, command: str) -> Iterator[Row]:
    """Error of joint angles on drawn films of exact bodies seen from eight sides, by the view that was found."""
    errors: dict[str, dict[str, list[float]]] = {}
    views: dict[int, list[str]] = {}
    for azimuth, truth, encoding in drawn_views(encoder):
        seen = observe(encoding)
        views.setdefault(azimuth, []).append(seen.sight.view)
        for quantity in QUANTITIES:
            if QUANTITIES[quantity].unit == "degrees" and QUANTITIES[quantity].measure is not None:
                error = _angle_error(seen, truth, quantity)
                if np.isfinite(error):
                    errors.setdefault(seen.sight.view, {}).setdefault(quantity, []).append(error)
    claimed = {(v, c.quantity) for e in load_rules().exercises.values() for c in e.checks for v in c.views}
    found = "; ".join(f"{a}°: {', '.join(v)}" for a, v in sorted(views.items()))
    for view, by_quantity in sorted(errors.items()):
        means = {q: round(float(np.mean(v)), 1) for q, v in by_quantity.items()}
        judged = [v for q, v in means.items() if (view, q) in claimed]
        value = round(float(np.mean(judged)), 2) if judged else None
        split = f"squat, hinge, curl, press, lunge and push-up drawn as films from 8 sides; views found at {found}; "
        split += "value: mean over the angles that rules judge from here"
        yield Row(
            f"angle_error_{view}", value, "degrees", None, means, "<= 6" if judged else "not judged", split, command
        )


def drawn_views(encoder: ClipEncoder) -> Iterator[tuple[int, Measures, ClipEncoding]]:
    """(azimuth, exact measures, encoding) of two drawn performances from eight sides."""
    from motionqa.data.synthetic import exercises as made
    from motionqa.data.synthetic.drawn_figure import figure_frames
    from motionqa.data.synthetic.motions import concatenate, render, stand
    from motionqa.data.video_writer import write_video
    from motionqa.eval.drawn_clips import AZIMUTHS_DEG, turned

    standing = concatenate(
        stand(0.3),
        *(make((1,), rest_s=0.2) for make in (made.squat_set, made.deadlift_set, made.curl_set, made.press_set)),
        made.lunge_set((1,), rest_s=0.2),
    )
    for motion in (standing, made.push_up_set((1, 1), sag_deg=10)):
        truth = measure(render(motion), KinematicsConfig())
        for azimuth in AZIMUTHS_DEG:
            with tempfile.TemporaryDirectory() as folder:
                video = write_video(figure_frames(turned(render(motion), azimuth)), Path(folder) / "drawn.mp4")
                try:
                    yield int(azimuth), truth, encoder.encode(video)
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

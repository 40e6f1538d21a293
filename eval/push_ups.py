"""Push-ups filmed by others, correct or wrong: what the rules say, and a small head that never saw the group."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from motionqa.assistant.coaching.coach import assess
from motionqa.assistant.coaching.observed import Observed
from motionqa.data.cache import content_sha256, encoding_key
from motionqa.data.schema import InputError
from motionqa.encoders.clip_encoder import ClipEncoder
from motionqa.eval.benchmark import Row
from motionqa.eval.small_head import balanced_accuracy, confusion, leave_groups_out

Array = np.ndarray
PUSH_UP = (
    "body_line",
    "elbow_flexion",
    "trunk_upright",
    "shoulder_elevation",
    "neck_flexion",
    "knee_flexion",
    "hip_flexion",
)


def push_up_rows(folder: Path, encoder: ClipEncoder, encoded_only: bool, command: str) -> Iterator[Row]:
    """Correct or wrong by video: rules alone, and a small head that never saw the video's group."""
    listed = list(csv.DictReader((folder / "labels.csv").open()))
    features, truth, groups, ruled, counted = [], [], [], [], []
    for line in listed:
        video = folder / line["file"]
        if encoded_only and not _known(encoder, video):
            continue
        try:
            found = assess(encoder.encode(video), "push_up")
        except InputError:
            continue
        features.append(video_features(found.seen))
        truth.append(int(line["label"] == "wrong"))
        groups.append(line["group"])
        ruled.append(int(bool(found.of_kind("fault"))))
        counted.append(len(found.table))
    y, rules = np.array(truth), np.array(ruled)
    if len(set(groups)) < 2:
        return
    head = leave_groups_out(np.array(features), y, groups, 2)
    majority = max(float(np.mean(y)), 1 - float(np.mean(y)))
    split = (
        f"{len(y)} of {len(listed)} videos, leave-one-group-out over {len(set(groups))} groups; confusion "
        f"correct/wrong: "
        f"head {confusion(y, head, 2).tolist()}, rules {confusion(y, rules, 2).tolist()}; "
        f"{int((np.array(counted) == 0).sum())} without a counted push-up; labels are the collectors', one a video"
    )
    beside = {
        "rules alone": round(balanced_accuracy(y, rules, 2), 3),
        "majority, balanced": 0.5,
        "majority, plain": round(majority, 3),
    }
    yield Row(
        "push_up_balanced_accuracy",
        round(balanced_accuracy(y, head, 2), 3),
        "balanced acc.",
        None,
        beside,
        "well above 0.5",
        split,
        command,
    )


def _known(encoder: ClipEncoder, video: Path) -> bool:
    """Whether a video was encoded before."""
    assert encoder.cache is not None
    return (encoder.cache.folder / f"{encoding_key(content_sha256(video), encoder.config)}.safetensors").exists()


def video_features(seen: Observed) -> Array:
    """Low, middle and high value of each quantity over a video, on the side towards the camera."""
    side = seen.sight.near_side or "left"
    out: list[float] = []
    for name in PUSH_UP:
        x = seen.values(name, side)
        good = x[np.isfinite(x)]
        out += [float(np.percentile(good, p)) for p in (5, 50, 95)] if len(good) > 5 else [np.nan] * 3
    return np.array(out)

"""What errors our 2D pose pipeline makes on real film, written as `motionqa.data.detector_noise.DetectorNoise`.

The truth of one calibrated view is what the other views say (`motionqa.finetune.calibrated_views`), so an error that
all views share, such as a hip marked too high from everywhere, is not seen here. Errors are in body sizes. Each joint's
error is a constant per clip, a slow and a fast smooth process, fitted to the autocovariance, and bursts beyond three
robust sigmas. Views without a calibration tell confidence, jitter, exchanged sides and missing frames only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from jaxtyping import Bool, Float

from motionqa.data.detector_noise import SHIPPED, DetectorNoise
from motionqa.data.schema import Array, InputError
from motionqa.data.skeleton import BLAZEPOSE_33, H36M_17, convert
from motionqa.finetune.calibrated_views import Camera, aligned, judged_by_others, read_qualisys, triangulate
from motionqa.finetune.error_parts import Split, bursts, runs, split_in_time

LIMB_PAIRS = tuple(
    tuple([H36M_17.index(f"{side}_{j}") for j in joints] for side in ("left", "right"))
    for joints in (("elbow", "wrist"), ("knee", "ankle"))
)
GROUPS = {
    "trunk": ("pelvis", "spine", "thorax", "left_hip", "right_hip", "left_shoulder", "right_shoulder"),
    "head": ("nose", "head_top"),
    "middle of limbs": ("left_elbow", "right_elbow", "left_knee", "right_knee"),
    "ends of limbs": ("left_wrist", "right_wrist", "left_ankle", "right_ankle"),
}
_MIRROR = list(H36M_17.mirror)
SHARED_BIAS = np.array([{"pelvis": 0.014, "thorax": 0.014, "spine": 0.01}.get(j, 0.02) for j in H36M_17.joints])
"""Assumed, not measured: what all views mark wrongly alike, in body sizes (0.02 is about 1 cm); midline joints are
means of others, so theirs is smaller."""


def body_size(xy: Float[Array, "T 17 2"]) -> float:
    """Root mean square distance of the joints from the pelvis, median over the frames."""
    return float(np.nanmedian(np.sqrt(((xy - xy[:, :1]) ** 2).sum(axis=-1).mean(axis=1))))


@dataclass(frozen=True, eq=False)
class Watched:
    """One clip as the pipeline saw it, before and after cleaning, in H36M_17."""

    path: Path
    fps: float
    size: tuple[int, int]
    raw_xy: Float[Array, "T 17 2"]
    """NaN where the person was not found."""
    exchanged: Bool[Array, "T"]
    """Frames whose sides the cleaning puts back."""
    xy: Float[Array, "T 17 2"]
    confidence: Float[Array, "T 17"]


def watch(path: Path) -> Watched:
    """The most present person of a video through the whole 2D pipeline. InputError where there is none."""
    from motionqa.data.video import read_clip
    from motionqa.encoders import pose
    from motionqa.encoders.blazepose import LandmarkTracker
    from motionqa.encoders.people import PersonChoice, choose_person, find_people
    from motionqa.encoders.sides import exchanged_frames

    clip = read_clip(path)
    track = choose_person(find_people(clip), PersonChoice(), clip)
    config = pose.PoseConfig(with_mask=False)
    raw, tracker = pose._Raw(clip, config), LandmarkTracker(config.min_confidence, False)
    try:
        for k, found in enumerate(pose._follow(clip, track, tracker, config)):
            raw.put(k, found)
    finally:
        tracker.close()
    seen = np.isfinite(raw.xy[:, 0, 0])
    if seen.sum() < 10:
        raise InputError(f"{path.name!r}: joints in {seen.sum()} frames only; at least 10 are needed.")
    exchanged = exchanged_frames(raw.xy, raw.confidence, seen, BLAZEPOSE_33)
    raw_xy = convert(raw.xy.copy(), raw.confidence, BLAZEPOSE_33, H36M_17)[0]
    image = raw.cleaned(track.person_id).image
    xy, confidence = convert(image.xy_px, image.confidence, BLAZEPOSE_33, H36M_17)
    return Watched(path, clip.fps, (clip.width, clip.height), raw_xy, exchanged, xy, confidence)


@dataclass(frozen=True, eq=False)
class Judged:
    """Errors of calibrated views, in body sizes, by what the other views say after cleaning."""

    error: Float[Array, "V T 17 2"]
    raw_error: Float[Array, "V T 17 2"]
    confidence: Float[Array, "V T 17"]
    inflation: Float[Array, "17"]
    expected: Float[Array, "V T 17 2"]
    misfit_px: tuple[float, float]
    """Median distance to the triangulated joints, before and after the cameras were turned to agree."""


def judge(cameras: Sequence[Camera], views: Sequence[Watched]) -> Judged:
    """Each view against the others, over the frames in which all of them saw the person."""
    end = min(len(v.xy) for v in views)
    pairs = list(zip(cameras, views, strict=True))
    px, raw = (np.stack([c.ideal(xy[:end], *v.size) for (c, v), xy in zip(pairs, found, strict=True)])
               for found in ([v.xy for v in views], [v.raw_xy for v in views]))  # fmt: skip
    sure = np.stack([v.confidence[:end] for v in views])
    together = np.isfinite(raw).all(axis=(0, 2, 3)) & (sure.max(axis=2) > 0).all(axis=0)
    if together.sum() < 20:
        raise InputError(f"All {len(views)} views see the person in {together.sum()} frames only; 20 are needed.")
    px, raw, sure = px[:, together], raw[:, together], sure[:, together]
    weight, size = np.clip(sure, 0.05, 1), np.array([body_size(xy) for xy in px])
    turned = aligned(cameras, px, weight)
    misfits = [np.stack([c.project(triangulate(cs, px, weight)) for c in cs]) - px for cs in (cameras, turned)]
    expected, inflation = judged_by_others(turned, px, weight, far_px=0.15 * float(size.mean()))
    unit = size[:, None, None, None]
    before, after = (float(np.median(np.linalg.norm(m, axis=-1))) for m in misfits)
    return Judged(
        (px - expected) / unit, (raw - expected) / unit, sure, np.median(inflation, axis=(0, 1)), expected / unit,
        (before, after),
    )  # fmt: skip


def limbs_exchanged(judged: Judged) -> list[int]:
    """Lengths of the runs in which an arm pair, or a leg pair, lies much nearer to the other side's place."""
    found = judged.error + judged.expected
    out: list[int] = []
    for left, right in LIMB_PAIRS:
        both, crossed = [*left, *right], [*right, *left]
        straight = np.linalg.norm(judged.error[:, :, both], axis=-1).mean(axis=-1)
        other = np.linalg.norm(found[:, :, crossed] - judged.expected[:, :, both], axis=-1).mean(axis=-1)
        out += [n for view in (straight > 0.3) & (other < 0.5 * straight) for n in runs(view)]
    return out


def jitter(clips: Sequence[Watched], cleaned: bool) -> Float[Array, "17"]:
    """Robust std of the second difference per joint, in body sizes; true acceleration is in it."""
    steps = []
    for clip in clips:
        xy = clip.xy if cleaned else clip.raw_xy
        second = np.diff(xy, 2, axis=0) / body_size(xy)
        steps.append(second[np.isfinite(second).all(axis=(1, 2))])
    return 1.4826 * np.median(np.abs(np.concatenate(steps)), axis=(0, 2))


def episodes(flags: Sequence[Bool[Array, "T"]], fps: Sequence[float]) -> dict[str, float]:
    """How often per second the flags are up, for how long on average, and the share of frames."""
    lengths = [n / f for flag, f in zip(flags, fps, strict=True) for n in runs(flag)]
    seconds = sum(len(flag) / f for flag, f in zip(flags, fps, strict=True))
    return {
        "rate_hz": len(lengths) / seconds, "duration_s": float(np.mean(lengths)) if lengths else 0.0,
        "share": sum(lengths) / seconds, "seconds_watched": seconds,
    }  # fmt: skip


def missing(seen: Bool[Array, "T"]) -> Bool[Array, "T"]:
    """Unseen frames between the first and the last seen one."""
    known = np.flatnonzero(seen)
    inside = np.zeros(len(seen), bool)
    inside[known[0] : known[-1]] = True
    return ~seen & inside


def confidence_by_folder(clips: Sequence[Watched]) -> tuple[Float[Array, "17"], float]:
    """Mean per joint and the joints' root mean square std, every folder of videos counting alike."""
    folders: dict[Path, list[Array]] = {}
    for clip in clips:
        folders.setdefault(clip.path.parent, []).append(clip.confidence[clip.confidence.max(axis=1) > 0])
    together = [np.concatenate(values) for values in folders.values()]
    mean = np.mean([c.mean(axis=0) for c in together], axis=0)
    square = np.mean([(c**2).mean(axis=0) for c in together], axis=0)
    return mean, float(np.sqrt((square - mean**2).mean()))


def confidence_by_error(judged: Judged) -> dict[str, list]:
    """Per joint group and fifth of the error: upper edge, mean and std of confidence."""
    table: dict[str, list] = {}
    for group, joints in GROUPS.items():
        columns = [H36M_17.index(j) for j in joints]
        size = np.linalg.norm(judged.error[:, :, columns], axis=-1).ravel()
        order = np.argsort(size)
        sure = judged.confidence[:, :, columns].ravel()[order]
        fifths = zip(np.array_split(size[order], 5), np.array_split(sure, 5), strict=True)
        table[group] = [[round(float(x), 4) for x in (e.max(), c.mean(), c.std())] for e, c in fifths]
    return table


def confidence_slope(judged: Judged) -> float:
    """How much confidence changes per body size of error, each joint about its own mean."""
    size = np.linalg.norm(judged.error, axis=-1)
    e, c = (x - x.mean(axis=(0, 1)) for x in (size, judged.confidence))
    return float((e * c).sum() / (e**2).sum())


def measure(
    cameras: Sequence[Camera], views: Sequence[Watched], others: Sequence[Watched]
) -> tuple[DetectorNoise, dict]:
    """The noise parameters and the tables behind them, from calibrated views and further clips."""
    clips = [*views, *others]
    fps = [clip.fps for clip in clips]
    judged, rate = judge(cameras, views), views[0].fps
    calm, burst = bursts(judged.error, rate)
    raw_calm, raw_burst = bursts(judged.raw_error, rate)
    parts, raw_parts = split_in_time(calm, rate), split_in_time(raw_calm, rate)
    crossed = limbs_exchanged(judged)
    left_over = {
        "count": len(crossed),
        "duration_s": float(np.mean(crossed)) / rate if crossed else 0.0,
        "seconds_watched": judged.error.shape[0] * judged.error.shape[1] / rate,
    }
    exchanges = episodes([clip.exchanged for clip in clips], fps)
    dropouts = episodes([missing(clip.confidence.max(axis=1) > 0) for clip in clips], fps)
    slope = confidence_slope(judged)
    noise = _noise(judged, parts, burst, left_over, exchanges, dropouts, confidence_by_folder(clips), slope)
    tables = {
        "misfit_px_before_and_after_turning_cameras": judged.misfit_px,
        "joint_rows": _rows(judged, parts, raw_parts, clips, noise),
        "shared_bias_assumed": dict(zip(H36M_17.joints, SHARED_BIAS.tolist(), strict=True)),
        "raw_times_s": {"slow": raw_parts.slow_s, "fast": raw_parts.fast_s},
        "bursts_cleaned": burst,
        "bursts_raw": raw_burst,
        "limb_exchanges_left_after_cleaning": left_over,
        "exchanged_sides_raw": exchanges,
        "dropouts_raw": episodes([missing(np.isfinite(clip.raw_xy[:, 0, 0])) for clip in clips], fps),
        "dropouts_cleaned": dropouts,
        "confidence_by_error_fifths": {"columns": ["upper edge", "mean", "std"], **confidence_by_error(judged)},
    }
    return noise, tables


def _noise(
    judged: Judged,
    parts: Split,
    burst: dict[str, float],
    left_over: dict[str, float],
    exchanges: dict[str, float],
    dropouts: dict[str, float],
    confidence: tuple[Float[Array, "17"], float],
    confidence_slope: float,
) -> DetectorNoise:
    """The parameters: sides pooled, the guess's own error taken out of the variance, the shared bias added."""

    def pooled(variance: Float[Array, "17"]) -> tuple[float, ...]:
        return tuple(round(float(x), 5) for x in np.sqrt((variance + variance[_MIRROR]) / 2))

    mean, std = confidence
    return DetectorNoise(
        bias_std=pooled(parts.bias_std**2 / judged.inflation + SHARED_BIAS**2),
        slow_std=pooled(parts.slow_std**2 / judged.inflation),
        fast_std=pooled(parts.fast_std**2 / judged.inflation),
        slow_s=round(parts.slow_s, 4),
        fast_s=round(parts.fast_s, 4),
        burst_rate_hz=round(burst["rate_hz"], 4),
        burst_s=round(burst["duration_s"], 4),
        burst_std=round(burst["std"] / float(np.sqrt(judged.inflation.mean())), 4),
        # None seen is not never: half an event in the time watched stands for it.
        swap_rate_hz=round(max(left_over["count"], 0.5) / left_over["seconds_watched"], 4),
        swap_s=round(left_over["duration_s"] or exchanges["duration_s"] or 0.3, 4),
        dropout_rate_hz=round(max(dropouts["rate_hz"], 0.5 / dropouts["seconds_watched"]), 4),
        dropout_s=round(dropouts["duration_s"] or 0.4, 4),
        confidence_mean=tuple(round(float(x), 4) for x in (mean + mean[_MIRROR]) / 2),
        confidence_std=round(std, 4),
        confidence_drop=round(max(-confidence_slope, 0.0), 4),
    )


def _rows(
    judged: Judged, parts: Split, raw_parts: Split, clips: Sequence[Watched], noise: DetectorNoise
) -> dict[str, dict[str, float]]:
    """Per joint: what was measured before sides were pooled, the variance deflated and the shared bias added."""

    def rms(error: Array) -> Array:
        return np.sqrt((error**2).mean(axis=(0, 1, 3)))

    def second(error: Array) -> Array:
        return 1.4826 * np.median(np.abs(np.diff(error, 2, axis=1)), axis=(0, 1, 3))

    columns = {
        "rms": rms(judged.error), "rms_raw": rms(judged.raw_error),
        "bias": parts.bias_std, "bias_raw": raw_parts.bias_std,
        "slow": parts.slow_std, "slow_raw": raw_parts.slow_std,
        "fast": parts.fast_std, "fast_raw": raw_parts.fast_std,
        "inflation": judged.inflation,
        "error_jitter": second(judged.error), "error_jitter_raw": second(judged.raw_error),
        "jitter": jitter(clips, True), "jitter_raw": jitter(clips, False),
        "confidence": np.array(noise.confidence_mean),
    }  # fmt: skip
    return {
        joint: {name: round(float(column[j]), 4) for name, column in columns.items()}
        for j, joint in enumerate(H36M_17.joints)
    }


def main(
    views: Annotated[tuple[Path, ...], tyro.conf.arg(help="videos of one movement, in the calibration's order")],
    calibration: Path,
    clips: tuple[Path, ...] = (),
    out: Path = SHIPPED,
) -> None:
    """Measures the 2D pipeline's errors and writes them where training finds them.

    Args:
        calibration: Qualisys calibration of the views
        clips: further videos, one view each
        out: the JSON file to write
    """
    cameras = read_qualisys(calibration)
    if len(cameras) != len(views):
        raise InputError(f"{calibration.name!r} has {len(cameras)} cameras, but {len(views)} views were given.")
    seen = [watch(path) for path in views]
    if len({round(v.fps, 3) for v in seen}) > 1:
        raise InputError(f"The views must share one frame rate, got {[round(v.fps, 3) for v in seen]}.")
    others, skipped = [], []
    for path in clips:
        try:
            others.append(watch(path))
        except InputError as error:
            skipped.append(f"{path.name}: {error}")
    noise, tables = measure(cameras, seen, others)
    names = ", ".join(clip.path.name for clip in [*seen, *others])
    on = f"BlazePose cleaned, {len(seen)} calibrated views and {len(others)} further clips: {names}"
    noise.to_json(out, on, {**tables, "skipped": skipped})
    print("\n".join([on, *skipped]))
    for joint, row in tables["joint_rows"].items():
        print(f"{joint:15}" + "".join(f" {name} {value:.3f}" for name, value in row.items()))


if __name__ == "__main__":
    tyro.cli(main)

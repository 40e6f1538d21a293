"""The errors of a 2D pose detector, as measured on real film, for training and testing a 2D-to-3D lifter.

A joint's error over a clip is a constant bias, a slow and a fast smooth random part, and rare bursts; besides, a limb
pair may be exchanged and whole frames may be missing. The smooth parts are first-order autoregressive processes driven
by another of the same kind: the cleaning's low-pass filter leaves errors smoother than a single such process.
MotionBERT (arXiv 2210.06551) trains on noise drawn at key frames (`PAPER`); ours is fitted to BlazePose after this
project's cleaning (`motionqa.finetune.measure_detector_noise`). Lengths are in body sizes: the root mean square
distance of the 17 joints from the pelvis, in the picture.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from motionqa.data.skeleton import H36M_17

Array = np.ndarray

SHIPPED = Path(__file__).with_name("detector_noise_blazepose.json")

_PELVIS, _THORAX, _SPINE = (H36M_17.index(j) for j in ("pelvis", "thorax", "spine"))
_HIPS, _SHOULDERS = (tuple(H36M_17.index(f"{s}_{j}") for s in ("left", "right")) for j in ("hip", "shoulder"))
_LIMB_PAIRS = tuple(
    tuple(tuple(H36M_17.index(f"{side}_{joint}") for joint in limb) for side in ("left", "right"))
    for limb in (("elbow", "wrist"), ("knee", "ankle"))
)


@dataclass(frozen=True)
class DetectorNoise:
    """Parameters of the error of each Human3.6M joint. Stds are per image axis, in body sizes."""

    bias_std: tuple[float, ...]
    slow_std: tuple[float, ...]
    fast_std: tuple[float, ...]
    slow_s: float
    """Time constant τ of the slow part: correlation (1 + t/τ)·exp(−t/τ), which falls to 1/e after about 2.1 τ."""
    fast_s: float
    burst_rate_hz: float
    """Bursts of large error per joint and second."""
    burst_s: float
    burst_std: float
    """Of a burst's height."""
    swap_rate_hz: float
    """Exchanges of the arms, or of the legs, that remain after cleaning, per second."""
    swap_s: float
    dropout_rate_hz: float
    """Runs of frames without the person, per second."""
    dropout_s: float
    confidence_mean: tuple[float, ...]
    confidence_std: float
    """Root mean square over the joints of each joint's std; joints far from 0 and 1 vary more than others."""
    confidence_drop: float
    """How much confidence falls per body size of a burst's error."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = np.asarray(getattr(self, field.name), float)
            expected = () if field.type == "float" else (len(H36M_17),)
            if value.shape != expected:
                raise ValueError(f"{field.name}: expected {expected or 'one number'}, got shape {value.shape}")
            if not np.isfinite(value).all() or (value < 0).any():
                raise ValueError(f"{field.name}: expected finite numbers of at least 0, got {value.tolist()}")
        if min(self.slow_s, self.fast_s) <= 0:
            raise ValueError(f"correlation times must be above 0, got slow_s {self.slow_s} and fast_s {self.fast_s}")

    def apply(
        self, xy: Float[Array, "T 17 2"], fps: float, rng: np.random.Generator, strength: float = 1.0
    ) -> tuple[Float[Array, "T 17 2"], Float[Array, "T 17"]]:
        """Joints as a detector would report them, and its confidence; body size must be 1 in the units of `xy`.

        `strength` scales every error and how often bursts, exchanges and missing frames happen; at 0 the joints come
        back as they are, with confidence 1. Missing frames have confidence 0 and a straight line through them.
        ValueError where joints are not finite: fill gaps first, or cut the clip there.
        """
        _check(xy, fps, strength)
        if strength == 0 or len(xy) == 0:
            return xy.copy(), np.ones(xy.shape[:2])
        error, mood = self._steady(len(xy), fps, rng)
        bursts = self._bursts(len(xy), fps, rng, strength)
        noisy = xy + (strength * (error + bursts)).astype(xy.dtype)
        centre, spread = self._logits
        drawn = 1 / (1 + np.exp(-centre - spread * mood)) - self.confidence_drop * np.sqrt((bursts**2).sum(axis=-1))
        confidence = 1 - min(strength, 1.0) * (1 - np.clip(drawn, 0, 1))
        self._exchange(noisy, confidence, fps, rng, strength)
        self._drop(noisy, confidence, fps, rng, strength)
        return noisy, confidence

    def _steady(
        self, frames: int, fps: float, rng: np.random.Generator
    ) -> tuple[Float[Array, "T 17 2"], Float[Array, "T 17"]]:
        """Bias, slow and fast error, and a slow standard normal process that moves confidence."""
        bias, slow, fast = self._mixing
        keep = np.exp(-1 / (fps * np.array([self.slow_s, self.slow_s, self.fast_s, self.fast_s, self.slow_s])))
        white = _smooth_processes(rng.standard_normal((frames + 1, 17, 5)), keep)
        error = slow @ white[..., :2] + fast @ white[..., 2:4] + bias @ rng.standard_normal((17, 2))
        return error, white[..., 4]

    @cached_property
    def _mixing(self) -> tuple[Float[Array, "17 17"], ...]:
        return tuple(_mixing(np.asarray(std, float)) for std in (self.bias_std, self.slow_std, self.fast_std))

    @cached_property
    def _logits(self) -> tuple[Float[Array, "17"], float]:
        """Centre per joint and common spread of the logit-normal draw that has the wanted mean and std."""
        z = np.linspace(-4, 4, 161)
        weight = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()
        mean = np.clip(self.confidence_mean, 1e-4, 1 - 1e-4)

        def fitted(spread: float) -> tuple[Float[Array, "17"], float]:
            def value(centre: Float[Array, "17"]) -> Float[Array, "17 Z"]:
                return 1 / (1 + np.exp(-np.clip(centre[:, None] + spread * z, -500, 500)))

            low, high = np.full(17, -200.0), np.full(17, 200.0)
            for _ in range(40):
                middle = (low + high) / 2
                above = value(middle) @ weight > mean
                low, high = np.where(above, low, middle), np.where(above, middle, high)
            variance = (value(low) - mean[:, None]) ** 2 @ weight
            return low, float(np.sqrt(variance.mean()))

        small, large = 0.0, 40.0
        for _ in range(25):
            spread = (small + large) / 2
            small, large = (spread, large) if fitted(spread)[1] < self.confidence_std else (small, spread)
        return fitted(small)[0], small

    def _bursts(self, frames: int, fps: float, rng: np.random.Generator, strength: float) -> Float[Array, "T 17 2"]:
        """Smooth humps of random height and direction, each on one joint."""
        out = np.zeros((frames, 17, 2))
        events = _episodes(self.burst_rate_hz * strength * 17, self.burst_s, frames, fps, rng)
        joints, heights = rng.integers(17, size=len(events)), self.burst_std * rng.standard_normal((len(events), 2))
        for (start, end), joint, height in zip(events, joints, heights, strict=True):
            # The 1.63 makes the hump's root mean square one.
            inside = np.arange(max(start, 0), min(end, frames))
            hump = 1.63 * np.sin(np.pi / (end - start) * (inside + 0.5 - start)) ** 2
            out[inside[0] : inside[-1] + 1, joint] += hump[:, None] * height
        for middle, parts in ((_PELVIS, _HIPS), (_THORAX, _SHOULDERS), (_SPINE, (*_HIPS, *_SHOULDERS))):
            out[:, middle] = out[:, list(parts)].mean(axis=1)
        return out

    def _exchange(
        self, xy: Float[Array, "T 17 2"], confidence: Float[Array, "T 17"], fps: float, rng: np.random.Generator,
        strength: float,
    ) -> None:  # fmt: skip
        """Gives the arms, or the legs, the other side's place for a while; in place."""
        for start, end in _episodes(self.swap_rate_hz * strength, self.swap_s, len(xy), fps, rng):
            left, right = _LIMB_PAIRS[rng.integers(len(_LIMB_PAIRS))]
            span, both, crossed = slice(max(start, 0), end), [*left, *right], [*right, *left]
            xy[span, both], confidence[span, both] = xy[span, crossed], confidence[span, crossed]

    def _drop(
        self, xy: Float[Array, "T 17 2"], confidence: Float[Array, "T 17"], fps: float, rng: np.random.Generator,
        strength: float,
    ) -> None:  # fmt: skip
        """Takes the person out of runs of frames, with straight lines in their place; in place."""
        seen = np.ones(len(xy), bool)
        for start, end in _episodes(self.dropout_rate_hz * strength, self.dropout_s, len(xy), fps, rng):
            seen[max(start, 0) : end] = False
        if seen.all():
            return
        confidence[~seen] = 0
        known = np.flatnonzero(seen)
        if len(known):  # a clip without a single seen frame keeps its joints: at confidence 0 they say nothing
            xy[:] = _between(xy, known)

    def to_json(self, path: Path, measured_on: str, tables: dict[str, object]) -> None:
        """Writes the parameters, what they were measured on, and the statistics behind them."""
        text = json.dumps({"measured_on": measured_on, "noise": asdict(self), "tables": tables}, indent=1)
        path.write_text(text + "\n", encoding="utf-8")


def load(path: Path | None = None) -> DetectorNoise:
    """The noise in a file of `DetectorNoise.to_json`; BlazePose's own where none is named."""
    noise: dict[str, Any] = json.loads((path or SHIPPED).read_text(encoding="utf-8"))["noise"]
    return DetectorNoise(**{k: _frozen(v) for k, v in noise.items()})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True)
class PaperNoise:
    """MotionBERT's synthetic noise: drawn at key frames, straight lines between, a little white noise on top.

    The paper's lengths are in a box of [-1, 1] around the clip, in which a body size is about `body_size`.
    The paper's mixture of a Gaussian and a uniform part is learned per joint and not given in the text;
    `gaussian_std` and `gaussian_share` are our stand-ins for it.
    """

    uniform_range: float = 0.06
    gaussian_std: float = 0.02
    gaussian_share: float = 0.5
    white_std: float = 0.002
    key_frame_every: int = 9
    """27 key frames in 243."""
    body_size: float = 0.55

    def apply(
        self, xy: Float[Array, "T 17 2"], fps: float, rng: np.random.Generator, strength: float = 1.0
    ) -> tuple[Float[Array, "T 17 2"], Float[Array, "T 17"]]:
        """As `DetectorNoise.apply`; confidence is 1 throughout."""
        _check(xy, fps, strength)
        if strength == 0 or len(xy) == 0:
            return xy.copy(), np.ones(xy.shape[:2])
        keys = -(-len(xy) // self.key_frame_every) + 1
        at_keys = np.zeros(((keys - 1) * self.key_frame_every + 1, 17, 2))
        known = np.arange(keys) * self.key_frame_every
        uniform = rng.uniform(-0.5, 0.5, (keys, 17, 2)) * self.uniform_range
        gaussian = self.gaussian_std * rng.standard_normal((keys, 17, 2))
        at_keys[known] = np.where(rng.random((keys, 17, 1)) < self.gaussian_share, gaussian, uniform)
        error = _between(at_keys, known)[: len(xy)] + self.white_std * rng.standard_normal(xy.shape)
        return xy + (strength / self.body_size * error).astype(xy.dtype), np.ones(xy.shape[:2])


PAPER = PaperNoise()


def _check(xy: Float[Array, "T J D"], fps: float, strength: float) -> None:
    if not np.isfinite(xy).all():
        frames = np.flatnonzero(~np.isfinite(xy).all(axis=(1, 2)))
        raise ValueError(
            f"expected finite joints, got NaN or infinity in {len(frames)} of {len(xy)} frames (first: {frames[0]}); "
            "fill gaps or cut the clip there"
        )
    if fps <= 0 or strength < 0:
        raise ValueError(f"expected fps above 0 and strength of at least 0, got fps {fps} and strength {strength}")


def _smooth_processes(white: Float[Array, "S J C"], keep: Float[Array, "C"]) -> Float[Array, "T J C"]:
    """Stationary unit AR(1) processes driven by AR(1) processes of the same coefficient, one frame fewer than given."""
    left = 1 - keep**2
    inner = white[0] / np.sqrt(left)
    out = white[1:].copy()
    out[0] = (inner + keep * out[0] / np.sqrt(left)) / left
    for k in range(1, len(out)):
        inner = keep * inner + white[k + 1]
        out[k] = keep * out[k - 1] + inner
    return out / np.sqrt((1 + keep**2) / left**3)


def _episodes(
    rate_hz: float, mean_s: float, frames: int, fps: float, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """(start, end) frames of random events; some begin before the clip does."""
    early_s = 3 * mean_s
    count = rng.poisson(rate_hz * (frames / fps + early_s))
    starts = np.floor(rng.uniform(-early_s, frames / fps, count) * fps).astype(int)
    ends = starts + np.maximum(np.rint(rng.exponential(mean_s, count) * fps).astype(int), 1)
    return [(start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True) if end > 0]


def _between(xy: Float[Array, "T J D"], known: Array) -> Float[Array, "T J D"]:
    """Straight lines between the known frames, the nearest known frame beyond them."""
    t = np.arange(len(xy))
    right = np.clip(np.searchsorted(known, t), 0, len(known) - 1)
    left = np.clip(np.searchsorted(known, t, side="right") - 1, 0, len(known) - 1)
    a, b = known[left], known[right]
    share = np.clip((t - a) / np.maximum(b - a, 1), 0, 1)[:, None, None].astype(xy.dtype)
    return xy[a] * (1 - share) + xy[b] * share


def _mixing(std: Float[Array, "17"]) -> Float[Array, "17 17"]:
    """The matrix that gives white noise these stds, keeping midline joints where the detector's skeleton puts them.

    Pelvis and thorax are the middle of the hips and shoulders, and the spine is the middle of both; so are their
    errors. The pelvis' and thorax' errors correlate as the spine's std asks.
    """
    out = np.diag(std)
    pelvis, thorax = std[_PELVIS], std[_THORAX]
    together = (4 * std[_SPINE] ** 2 - pelvis**2 - thorax**2) / max(2 * pelvis * thorax, 1e-12)
    together = float(np.clip(together, -1, 1))
    out[_THORAX, _PELVIS], out[_THORAX, _THORAX] = thorax * together, thorax * np.sqrt(1 - together**2)
    out[_SPINE] = (out[_PELVIS] + out[_THORAX]) / 2
    for middle, (left, right) in ((_PELVIS, _HIPS), (_THORAX, _SHOULDERS)):
        apart = np.sqrt(max((std[left] ** 2 + std[right] ** 2) / 2 - std[middle] ** 2, 0))
        out[left], out[right] = out[middle], out[middle]
        out[left, left], out[right, left] = apart, -apart
    return out

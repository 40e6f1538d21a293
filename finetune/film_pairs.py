"""Pairs for HuMoCon of real films: the person's picture, and their motion as the pose stage reads it off the film.

A film is looked at at 15 even moments a second, which need not be its frames: joints are interpolated there, pictures
are the nearest ones, and flow is scaled by the time that truly lies between its two. It is cut into stretches at cuts
of the film, after a few seconds, and where the person is missing for long. Where somebody else measured the motion
(Motion-X), features still come from the joints in the picture, as they will for users' films, and the joints to
decode to are the measured ones, turned into the camera's axes by the best rotation over the clip.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy.spatial.transform import Rotation

from motionqa.data.concept_pairs import FPS, ConceptClip
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.schema import Clip, InputError, PoseSequence
from motionqa.data.skeleton import H36M_17, convert
from motionqa.data.video import iter_frames
from motionqa.data.virtual_camera import MIRROR, mirrored
from motionqa.encoders.flow.cuts import CutWatch
from motionqa.encoders.lift import SMOOTHING_HZ
from motionqa.encoders.lifter import lift
from motionqa.encoders.pose import smooth
from motionqa.finetune.paired_clips import (
    FrozenNetworks,
    PairedClip,
    PictureSize,
    SeenPairs,
    cut_person,
    joint_features,
)

Array = np.ndarray


@dataclass(frozen=True)
class FilmPairConfig:
    """How films are cut into pairs; ours."""

    longest_s: float = 6.0
    """Longer films become several clips."""
    shortest_s: float = 1.0
    seen: float = 0.8
    """Least share of a stretch's moments in which the person is seen."""
    min_confidence: float = 0.3
    """Joints below tell nothing of how tall the person is."""
    decoded_side: int = 480
    """Longer side of decoded frames, pixels."""
    sides: PictureSize = PictureSize()


@dataclass(frozen=True)
class FilmWords:
    """What is known of a film beside its pictures."""

    source: str
    split: str
    label: str = ""
    subject: str = ""
    """Its group: the person or session that it shares with other films."""


@dataclass(frozen=True, eq=False)
class _Moments:
    """A film's person at 15 moments a second."""

    times_s: Float[Array, "T"]
    xy_px: Float[Array, "T 17 2"]
    confidence: Float[Array, "T 17"]
    joints_m: Float[Array, "T 17 3"]
    """About the pelvis, camera axes."""
    frame: Int[Array, "T"]
    """The clip's frame nearest to each moment."""
    pose_frame: Int[Array, "T"]

    def __len__(self) -> int:
        return len(self.times_s)


def film_pairs(
    clip: Clip,
    pose: PoseSequence,
    words: FilmWords,
    networks: FrozenNetworks,
    config: FilmPairConfig = FilmPairConfig(),
    measured: MocapClip | None = None,
) -> Iterator[PairedClip]:
    """The stretches of a film in which the person of `pose` is seen, named by the file's stem, content and number.

    Training films are taken mirrored as well. `measured` is the film's motion from elsewhere, its first frame at the
    film's beginning. Stretches that are too short or show too little are left out: InputError where all are, and for
    films of fewer than 13.5 frames a second or a pose without masks.
    """
    if pose.mask is None:
        raise InputError(f"{clip.path.name}: the pose has no outline; estimate it with PoseConfig(with_mask=True)")
    if clip.fps < 0.9 * FPS:
        raise InputError(
            f"{clip.path.name} has {clip.fps:.3g} frames a second, expected {0.9 * FPS:g} at least; give a faster film"
        )
    moments = _moments(clip, pose, networks, measured)
    stem = re.sub(r"[^A-Za-z0-9]+", "_", clip.path.stem).strip("_")
    count, why = 0, "it is too short"
    for rows, frames in _stretches(clip, moments, config):
        try:
            paired = _paired(
                f"{stem}_{clip.content_sha256[:8]}_{count:02d}",
                rows,
                frames,
                moments,
                pose,
                clip,
                words,
                networks,
                config,
            )
        except InputError as error:
            why = str(error)
            continue
        count += 1
        yield paired
    if count == 0:
        raise InputError(f"{clip.path.name} gives no pair of {config.shortest_s:g} s or more: {why}")


def _moments(clip: Clip, pose: PoseSequence, networks: FrozenNetworks, measured: MocapClip | None) -> _Moments:
    xy, confidence = convert(pose.xy_px, pose.confidence, pose.skeleton, H36M_17)
    lifted = lift(xy, confidence, pose.fps, networks.network, networks.lift)
    lifted = smooth(lifted, pose.seen, pose.fps, SMOOTHING_HZ)
    lifted = lifted - lifted[:, :1]
    known = np.flatnonzero(pose.seen)
    start, end = float(pose.times_s[known[0]]), float(pose.times_s[known[-1]])
    begins = float(clip.times_s[0])
    if measured is not None:
        end = min(end, begins + (len(measured) - 1) / measured.fps)
    times_s = start + np.arange(int((end - start) * FPS + 1e-6) + 1) / FPS
    nearest = _nearest(pose.times_s, times_s)
    joints_m = _at(lifted, pose.times_s, times_s)
    if measured is not None:
        given_s = begins + np.arange(len(measured)) / measured.fps
        given = _at(measured.xyz_m - measured.xyz_m[:, :1], given_s, times_s)
        joints_m = _turned_to(given, joints_m, confidence[nearest])
    return _Moments(
        times_s, _at(xy, pose.times_s, times_s), confidence[nearest], joints_m.astype(np.float32),
        _nearest(clip.times_s, times_s), nearest,
    )  # fmt: skip


def _nearest(known_s: Float[Array, "K"], wanted_s: Float[Array, "T"]) -> Int[Array, "T"]:
    right = np.searchsorted(known_s, wanted_s).clip(1, max(1, len(known_s) - 1))
    left = right - 1
    right = right.clip(max=len(known_s) - 1)
    return np.where(wanted_s - known_s[left] <= known_s[right] - wanted_s, left, right)


def _at(
    values: Float[Array, "K J D"], known_s: Float[Array, "K"], wanted_s: Float[Array, "T"]
) -> Float[Array, "T J D"]:
    flat = values.reshape(len(values), -1)
    return np.stack([np.interp(wanted_s, known_s, c) for c in flat.T], axis=1).reshape(-1, *values.shape[1:])


def _turned_to(
    given_m: Float[Array, "T 17 3"], camera_m: Float[Array, "T 17 3"], confidence: Float[Array, "T 17"]
) -> Float[Array, "T 17 3"]:
    """Measured joints about the pelvis in the axes of estimated ones, by one rotation for the whole clip."""
    weight = confidence[:, 1:].ravel()
    if not (weight > 0).any():
        return camera_m
    found = Rotation.align_vectors(camera_m[:, 1:].reshape(-1, 3), given_m[:, 1:].reshape(-1, 3), weights=weight)
    return given_m @ found[0].as_matrix().T


def _stretches(
    clip: Clip, moments: _Moments, config: FilmPairConfig
) -> Iterator[tuple[slice, list[UInt8[Array, "H W 3"]]]]:
    """Rows of moments in a row without a cut, and their pictures; only one stretch is held at a time."""
    longest = round(config.longest_s * FPS)
    watch, held, start = CutWatch(), [], 0
    for k, picture in enumerate(_pictures(clip, moments.frame, config.decoded_side)):
        change = watch(picture)
        if held and change is not None and change.cut:
            yield slice(start, k), held
            held, start = [], k
        elif len(held) > longest:
            yield slice(start, k), held
            held, start = held[-1:], k - 1
        held.append(picture)
    if held:
        yield slice(start, start + len(held)), held


def _pictures(clip: Clip, wanted: Int[Array, "T"], side: int) -> Iterator[UInt8[Array, "H W 3"]]:
    """The frames of those numbers, which do not fall; fewer where the file is damaged."""
    k = 0
    for number, picture in enumerate(iter_frames(clip, side)):
        while k < len(wanted) and wanted[k] == number:
            yield picture
            k += 1
        if k == len(wanted):
            return


def _paired(
    name: str,
    rows: slice,
    frames: list[UInt8[Array, "H W 3"]],
    moments: _Moments,
    pose: PoseSequence,
    clip: Clip,
    words: FilmWords,
    networks: FrozenNetworks,
    config: FilmPairConfig,
) -> PairedClip:
    if len(frames) < max(2, config.shortest_s * FPS):
        raise InputError("it is too short")
    xy, confidence, joints_m = moments.xy_px[rows], moments.confidence[rows], moments.joints_m[rows]
    seen = np.asarray((confidence > 0).any(axis=1))
    if seen.mean() < config.seen:
        raise InputError(f"the person is seen in {seen.mean():.0%} of it, expected {config.seen:.0%}")
    assert pose.mask is not None
    height, width = frames[0].shape[:2]
    masks = np.stack([_resized(pose.mask[k], width, height) for k in moments.pose_frame[rows]])
    masks &= seen[:, None, None]
    scaled = xy * (width / pose.width, height / pose.height)
    pictures = np.stack(frames)
    shown = SeenPairs(
        first=pictures[:-1],
        second=pictures[1:],
        mask=masks[:-1],
        joints_px=np.where((confidence >= config.min_confidence)[..., None], scaled, np.nan)[:-1],
        gap_s=np.diff(clip.times_s[moments.frame[rows]]),
    )
    cut = cut_person(shown, config.sides)
    takes = []
    for mirror in (False, True) if words.split == "train" else (False,):
        if mirror:
            xy, confidence = xy[:, MIRROR] * (-1, 1), confidence[:, MIRROR]
            joints_m = mirrored(joints_m)
        features = joint_features(xy, confidence, networks)
        given = (name, words.source, words.split, words.label, words.subject)
        takes.append(ConceptClip(*given, mirror, features, joints_m, (confidence > 0).astype(np.float32), True))
    return PairedClip(tuple(takes), *cut)


def _resized(mask: Bool[Array, "h w"], width: int, height: int) -> Bool[Array, "_ _"]:
    return cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5

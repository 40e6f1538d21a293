"""The motion concepts of an encoded clip: which code, from when to when, and how surely.

Videos and keypoint files are taken as they were seen, by their joints in the picture. Motion in space is projected
first, as training clips were: by a camera that stands still, 5° above the hips, in front of where the person faces
during the first second, 4 m from the nearest that they come to it. Then joints are taken 15 times a second.

Frames before the person is first seen and after they are last seen are left out; a clip shorter than a token (four
frames at 15 a second) has one, of its last frame held.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from jaxtyping import Bool, Float

from motionqa.data.concept_pairs import FPS
from motionqa.data.schema import ClipEncoding, InputError, Pose3D
from motionqa.data.skeleton import H36M_17, convert
from motionqa.data.virtual_camera import View, project, to_camera
from motionqa.encoders.concepts.book import BOOK, ConceptBook, ConceptWeights, load_book, require_book_of
from motionqa.encoders.concepts.frame_tokens import TOKEN_FRAMES
from motionqa.encoders.concepts.humocon import HuMoCon
from motionqa.encoders.concepts.motion_features import (
    MotionFeatures,
    Representation,
    motion_features,
    torch_representation,
)
from motionqa.encoders.concepts.track import ConceptTrack, encode_motion
from motionqa.encoders.device import best_device, computed
from motionqa.encoders.dstformer import DSTformer
from motionqa.encoders.lifter import LifterConfig
from motionqa.encoders.model_dir import load_model_dir

Array = np.ndarray

ELEVATION_DEG, NEAREST_M = 5.0, 4.0
"""Of the virtual camera."""
FACING_S = 1.0
"""The first so many seconds in which the trunk is seen say where the front is."""
STRIDE = 18
"""Frames from one of DSTformer's windows to the next, as in training."""

_LEFT = [H36M_17.index(f"left_{j}") for j in ("hip", "shoulder")]
_RIGHT = [H36M_17.index(f"right_{j}") for j in ("hip", "shoulder")]


@dataclass(frozen=True, eq=False)
class Concepts:
    """Loaded concepts: HuMoCon, the DSTformer whose features it reads, and what its codes are."""

    model: HuMoCon
    represent: Representation
    lifter: LifterConfig
    book: ConceptBook
    weights_sha256: str
    """Of HuMoCon's weights: codes of one version mean nothing in another."""


@dataclass(frozen=True, eq=False)
class ClipMotion:
    """A clip's motion as concepts."""

    track: ConceptTrack
    """Its times are the clip's."""
    seen: Bool[Array, "N"]
    """Tokens in which the person is seen in at least half of the frames."""


@dataclass(frozen=True)
class Segment:
    """Neighbouring moments of one concept."""

    code: int
    start_s: float
    end_s: float
    sureness: float
    """Between 0.5, as near to another code, and 1, right on it."""


@cache
@computed
def load_concepts(weights: ConceptWeights) -> Concepts:
    """HuMoCon, its DSTformer and its book, loaded once a version.

    InputError where a folder holds another network or is damaged, or where the three do not belong together.
    """
    found, below = load_model_dir(weights.weights), load_model_dir(weights.dstformer)
    if not isinstance(found.model, HuMoCon):
        raise InputError(f"{weights.weights} holds a {type(found.model).__name__}; give a folder with a HuMoCon")
    if not isinstance(below.model, DSTformer):
        raise InputError(f"{weights.dstformer} holds a {type(below.model).__name__}, expected a bare DSTformer")
    book = load_book(weights.weights / BOOK)
    require_book_of(book, found.weights_sha256, found.model.config.motion.quantizer.codes)
    if book.dstformer_sha256 != below.weights_sha256:
        raise InputError(
            f"these concepts read features of the DSTformer {book.dstformer_sha256[:12]}, {weights.dstformer.name} is "
            f"{below.weights_sha256[:12]}; train concepts on its features, or give the DSTformer they were trained on"
        )
    lifter = LifterConfig(**{**below.lifter, "stride": min(STRIDE, below.lifter["window"]), "batch": 32})
    model = found.model.to(best_device()[0])
    return Concepts(model, torch_representation(below.model), lifter, book, found.weights_sha256)


@computed
def clip_motion(encoding: ClipEncoding, concepts: Concepts) -> ClipMotion:
    """The clip's motion concepts. InputError where no frame shows the hips and another joint."""
    joints = seen_joints(encoding)
    found = motion_features(joints.xy, joints.confidence, FPS, concepts.represent, concepts.lifter)
    track = encode_motion(concepts.model, MotionFeatures(found.features, found.frames, FPS))
    shown = (joints.confidence[:, 0] > 0) & (joints.confidence[:, 1:] > 0).any(axis=1)
    padded = np.append(shown, np.repeat(shown[-1:], -len(shown) % TOKEN_FRAMES))
    seen = padded.reshape(-1, TOKEN_FRAMES).mean(axis=1) >= 0.5
    return ClipMotion(replace(track, edges_s=track.edges_s + joints.start_s), seen)


def sureness(margin: Float[Array, "N"]) -> Float[Array, "N"]:
    """How surely a moment is its code and not the next best: 1 / (2 - margin).

    That is the nearest code's share where the two nearest are weighed by one over their squared distances.
    """
    return 1 / (2 - margin)


def timeline(motion: ClipMotion) -> tuple[Segment, ...]:
    """Neighbouring tokens of one code as one segment; its sureness is their mean. Unseen tokens are left out."""
    track, sure = motion.track, sureness(motion.track.margin)
    out: list[Segment] = []
    begin = 0
    for k in range(1, len(track.codes) + 1):
        last = k == len(track.codes)
        if not last and track.codes[k] == track.codes[begin] and motion.seen[k] == motion.seen[begin]:
            continue
        if motion.seen[begin]:
            start, end = float(track.edges_s[begin]), float(track.edges_s[k])
            out.append(Segment(int(track.codes[begin]), start, end, float(sure[begin:k].mean())))
        begin = k
    return tuple(out)


# --------------------------------------------------------------------------------------------- joints


@dataclass(frozen=True, eq=False)
class SeenJoints:
    """Human3.6M joints in a picture, 15 times a second."""

    xy: Float[Array, "K 17 2"]
    """Any image unit, y down."""
    confidence: Float[Array, "K 17"]
    start_s: float
    """The clip's time of the first."""


def seen_joints(encoding: ClipEncoding) -> SeenJoints:
    """The person's joints as a camera sees them, from first to last seen. InputError where nobody is seen."""
    pose = encoding.pose
    try:
        if pose is not None:
            xy, confidence = convert(pose.xy_px, pose.confidence, pose.skeleton, H36M_17)
        else:
            xy, confidence = front_view(encoding.pose3d)
    except ValueError as error:
        raise InputError(f"{encoding.name!r} has too few joints for concepts ({error}); give a whole body") from error
    times = np.asarray((pose or encoding.pose3d).times_s, float)
    confidence = np.where(np.isfinite(xy).all(axis=-1), confidence, 0.0)
    shown = np.flatnonzero(confidence.max(axis=1) > 0)
    if not len(shown):
        raise InputError(f"nobody is seen in {encoding.name!r}, so there are no concepts; give a clip of a person")
    rows = slice(int(shown[0]), int(shown[-1]) + 1)
    xy, confidence, times = xy[rows], confidence[rows], times[rows]
    count = max(1, int(np.floor((times[-1] - times[0]) * FPS + 1e-6)) + 1)
    place = np.interp(times[0] + np.arange(count) / FPS, times, np.arange(len(times)))
    before = np.floor(place + 1e-6).astype(int)
    share = np.clip(place - before, 0, None)[:, None, None]
    after = np.where(share[:, 0, 0] > 1e-6, np.minimum(before + 1, len(times) - 1), before)
    xy = np.nan_to_num(xy)
    between = (1 - share) * xy[before] + share * xy[after]
    return SeenJoints(between, np.minimum(confidence[before], confidence[after]), float(times[0]))


def front_view(pose: Pose3D) -> tuple[Float[Array, "T 17 2"], Float[Array, "T 17"]]:
    """Joints in space as a virtual camera in front of the person sees them (see above), at focal length 1."""
    xyz, confidence = convert(pose.xyz_m, pose.confidence, pose.skeleton, H36M_17)
    confidence = np.where(np.isfinite(xyz).all(axis=-1), confidence, 0.0)
    xyz = np.nan_to_num(xyz)
    path = xyz[:, 0] - xyz[:, 0].mean(axis=0)
    distance = NEAREST_M + float(np.linalg.norm(path, axis=1).max())
    view = View(facing_deg(xyz, confidence, pose.fps), ELEVATION_DEG, 0.0, distance)
    return project(to_camera(xyz.astype(np.float32), view)), confidence


def facing_deg(xyz: Float[Array, "T 17 3"], confidence: Float[Array, "T 17"], fps: float) -> float:
    """The azimuth that hips and shoulders face at first; 0 where they are never seen or face nowhere."""
    trunk = np.flatnonzero((confidence[:, [*_LEFT, *_RIGHT]] > 0).all(axis=1))[: max(1, round(FACING_S * fps))]
    across = (xyz[trunk][:, _LEFT] - xyz[trunk][:, _RIGHT]).mean(axis=1)
    across = across[:, [0, 2]] / np.maximum(np.linalg.norm(across[:, [0, 2]], axis=1, keepdims=True), 1e-9)
    x, z = -across[:, 1].sum(), across[:, 0].sum()  # facing is left turned a quarter about the vertical
    return float(np.rad2deg(np.arctan2(x, z))) if np.hypot(x, z) > 1e-9 else 0.0

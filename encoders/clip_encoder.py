"""A file in, a `ClipEncoding` out: composes the branches, reports progress, keeps results in the cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from motionqa.data.cache import EncodingCache, content_sha256, encoding_key
from motionqa.data.motion_files.read import MotionOverrides, looks_like_motion_file, read_motion
from motionqa.data.schema import (
    ClipEncoding,
    Fact,
    InputError,
    MotionRecording,
    MotionReport,
    Pose3D,
    PoseSequence,
    RepetitionSet,
)
from motionqa.data.video import DecodeConfig, read_clip
from motionqa.encoders.device import begin, computed
from motionqa.encoders.kinematics.analyse import analyse
from motionqa.encoders.kinematics.config import ONE_CAMERA, KinematicsConfig
from motionqa.encoders.lift import along_the_ray, from_image, place_in_space, relift
from motionqa.encoders.lifter import LifterConfig, Network
from motionqa.encoders.people import PeopleConfig, PersonChoice, choose_person, find_people
from motionqa.encoders.pose import PersonPose, PoseConfig, estimate_pose
from motionqa.encoders.reader.read import Reader
from motionqa.encoders.reader.words import read_clip as read_movement

Progress = Callable[[str, float], object]
"""Called with the stage's name and the share of it that is done, 0 to 1."""


class Cancelled(Exception):
    """The user stopped the encoding or started another one."""


@dataclass(frozen=True)
class LiftingConfig:
    """Which network turns joints in the picture into joints in space."""

    weights: Path | None = None
    """Folder of a released DSTformer (`motionqa.encoders.model_dir`), or an official MotionBERT pose checkpoint; None
    for BlazePose's own depth."""
    version: str = ""
    """What the weights are, for the cache: two folders of one name may hold different ones."""


@dataclass(frozen=True)
class EncoderConfig:
    """Everything the encoding of a clip depends on; part of its cache key."""

    decode: DecodeConfig = DecodeConfig()
    people: PeopleConfig = PeopleConfig()
    pose: PoseConfig = PoseConfig()
    lifting: LiftingConfig = LiftingConfig()
    kinematics: KinematicsConfig = KinematicsConfig()
    """For motion files."""
    video_kinematics: KinematicsConfig = ONE_CAMERA
    person: PersonChoice = PersonChoice()
    motion_file: MotionOverrides = field(default_factory=MotionOverrides)


class ClipEncoder:
    """Encodes videos and motion files alike. Holds no state but its configuration, its reader and the cache."""

    def __init__(
        self,
        config: EncoderConfig = EncoderConfig(),
        cache: EncodingCache | None = None,
        reader: Reader | None = None,
        exercise_in: Callable[[ClipEncoding], RepetitionSet | None] | None = None,
    ) -> None:
        self.config = config
        self.cache = cache
        self.reader = reader
        """Names the actions; like the report, what it reads is not stored but read again in milliseconds."""
        self.exercise_in = exercise_in
        """Finds the exercise that a clip shows; the report and what is read then speak of that."""

    def encode(
        self,
        path: str | Path,
        progress: Progress | None = None,
        person: PersonChoice | None = None,
        config: EncoderConfig | None = None,
    ) -> ClipEncoding:
        """The encoding of one person in a file; from the cache when file and configuration are known.

        `config` replaces the encoder's own for this file, and `person` the choice of person in it.
        Raise `Cancelled` from `progress` to stop. InputError for anything that is wrong with the file.
        """
        path = Path(path)
        config = config or self.config
        config = replace(config, person=person) if person else config
        progress = progress or (lambda stage, share: None)
        if not path.exists():
            raise InputError(f"There is no file {path.name!r}. Give the path of a video or a motion file.")
        started = time.perf_counter()
        key = encoding_key(content_sha256(path), config)
        if self.cache and (known := self.cache.load(key, lambda pose: measure(pose, config))):
            progress("known already", 1.0)
            known = replace(known, name=path.name, timings_s={"cache": time.perf_counter() - started})
            return self._read(_with_scene(known), config)
        read = _encode_motion if looks_like_motion_file(path) else _encode_video
        encoding = read(path, config, progress)
        if self.cache:
            try:
                self.cache.save(key, encoding)
            except OSError as error:
                note = f"The encoding could not be kept for next time ({error})."
                encoding = replace(encoding, notes=(*encoding.notes, note))
        return self._read(_with_scene(encoding), config)

    def _read(self, encoding: ClipEncoding, config: EncoderConfig) -> ClipEncoding:
        """The encoding with the exercise that it shows, and with what the reader sees in it."""
        exercise = self.exercise_in(encoding) if self.exercise_in else None
        if exercise is not None:
            encoding = _with_scene(replace(encoding, report=measure(encoding.pose3d, config, exercise)))
        reading = read_movement(
            encoding.pose3d, encoding.report, self.reader, lambda pose: measure(pose, config), exercise
        )
        return replace(encoding, reading=reading)


def measure(pose: Pose3D, config: EncoderConfig, exercise: RepetitionSet | None = None) -> MotionReport:
    """The motion report, with the thresholds that fit where the pose comes from."""
    return analyse(pose, config.video_kinematics if pose.camera else config.kinematics, exercise)


def _with_scene(encoding: ClipEncoding) -> ClipEncoding:
    """The encoding with facts about the clip itself: its length, who is in it, and when the person is in view."""
    times, end = encoding.pose3d.times_s, encoding.duration_s
    first, last = float(times[0]), float(times[-1])
    found = [Fact(f"The clip lasts {end:.1f} s.", "time", 0.0, end, (), round(end, 1), "s", 0.3)]
    if encoding.kind == "video":
        count = len(encoding.people)
        people = "Only one person is" if count == 1 else f"{count} people are"
        text = f"{people} seen in the clip" + (f"; this is about person {encoding.person_id}." if count > 1 else ".")
        found.append(Fact(text, "people", 0.0, end, (), count, "people", 0.3))
        if first > 0.5 or last < end - 0.7:
            text = f"The person is in view from {first:.1f} to {last:.1f} s."
            found.append(Fact(text, "view", first, last, (), round(last - first, 1), "s", 0.4))
    ordered = sorted((*encoding.report.facts, *found), key=lambda f: -f.salience)
    return replace(encoding, report=replace(encoding.report, facts=tuple(ordered)))


class _Stopwatch:
    """Seconds per stage, with the stage announced as it starts."""

    def __init__(self, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._since = time.perf_counter()

    def stage(self, name: str) -> Callable[[float], object]:
        self._progress(name, 0.0)
        return lambda share: self._progress(name, share)

    def done(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = now - self._since
        self._since = now


def _encode_video(path: Path, config: EncoderConfig, progress: Progress) -> ClipEncoding:
    watch = _Stopwatch(progress)
    watch.stage("reading")
    clip = read_clip(path, config.decode)
    watch.done("reading")
    people = find_people(clip, config.people, watch.stage("finding people"))
    track = choose_person(people, config.person, clip)
    watch.done("finding people")
    lifting = config.lifting
    weights = lifting.weights
    lifter = begin(lambda: load_lifter(weights, lifting.version)) if weights else None  # while the body is followed
    pose = estimate_pose(clip, track, config.pose, watch.stage("following the body"))
    watch.done("following the body")
    watch.stage("lifting to 3D")
    pose3d = _seen_part(_in_space(pose, lifter.result() if lifter else None))
    watch.done("lifting to 3D")
    watch.stage("measuring")
    report = measure(pose3d, config)
    watch.done("measuring")
    notes = list(clip.notes)
    if len(pose.image) < len(clip):
        notes.append(f"The file is damaged after {pose.image.times_s[-1]:.1f} s; what comes before was analysed.")
    if len(people) > 1:
        notes.append(
            f"{len(people)} people were seen; the answers are about person {track.person_id}, "
            f"in view from {track.times_s[0]:.1f} s to {track.times_s[-1]:.1f} s."
        )
    return ClipEncoding(
        content_sha256=clip.content_sha256,
        name=path.name,
        kind="video",
        duration_s=clip.duration_s,
        people=people,
        person_id=track.person_id,
        pose=pose.image,
        pose3d=pose3d,
        report=report,
        notes=tuple(notes),
        timings_s=watch.seconds,
    )


def _in_space(pose: PersonPose, lifter: tuple[Network, LifterConfig] | None) -> Pose3D:
    """Joints in the room: lifted where there is a network for it, else as BlazePose guesses them."""
    if lifter is None:
        return place_in_space(pose.image, pose.world)
    network, config = lifter
    return place_in_space(pose.image, relift(pose.image, pose.world, network, config), along_the_ray(pose.image))


@cache
@computed
def load_lifter(weights: Path, version: str) -> tuple[Network, LifterConfig]:
    """The network of a released folder or an official checkpoint, and how it is fed; loaded once a version."""
    del version  # the cache tells new weights in an old place by it
    from motionqa.encoders.lifter import OFFICIAL, torch_network
    from motionqa.encoders.model_dir import load_model_dir
    from motionqa.encoders.pretrained import load_dstformer

    if weights.is_file():
        return computed(torch_network(load_dstformer(weights)[0])), OFFICIAL
    released = load_model_dir(weights)
    return computed(torch_network(released.model)), LifterConfig(**released.lifter)


def _seen_part(pose: Pose3D) -> Pose3D:
    """The stretch from the first to the last frame in which the person is seen."""
    seen = (pose.confidence.max(axis=1) > 0).nonzero()[0]
    span = slice(int(seen[0]), int(seen[-1]) + 1)
    return replace(
        pose, times_s=pose.times_s[span], xyz_m=pose.xyz_m[span], confidence=pose.confidence[span]
    )  # fmt: skip


def _encode_motion(path: Path, config: EncoderConfig, progress: Progress) -> ClipEncoding:
    watch = _Stopwatch(progress)
    watch.stage("reading")
    recording = read_motion(path, config.motion_file)
    watch.done("reading")
    watch.stage("measuring")
    pose3d, pose = _chosen(recording, config.person, path)
    report = measure(pose3d, config)
    watch.done("measuring")
    notes = list(recording.info.notes) + list(pose3d.notes)
    everyone = recording.poses or recording.image_poses
    if len(everyone) > 1:
        notes.append(f"{len(everyone)} people are in the file; the answers are about person {pose3d.person_id}.")
    return ClipEncoding(
        content_sha256=content_sha256(path),
        name=path.name,
        kind="motion",
        duration_s=float(pose3d.times_s[-1] - pose3d.times_s[0] + 1 / pose3d.fps),
        people=(),
        person_id=pose3d.person_id,
        pose=pose,
        pose3d=pose3d,
        report=report,
        notes=tuple(notes),
        timings_s=watch.seconds,
    )


def _chosen(recording: MotionRecording, choice: PersonChoice, path: Path) -> tuple[Pose3D, PoseSequence | None]:
    """The person asked for; else the one seen longest."""
    everyone: tuple[Pose3D, ...] | tuple[PoseSequence, ...] = recording.poses or recording.image_poses
    if not everyone:
        raise InputError(f"{path.name!r} holds no person.")
    if choice.person_id is None:
        person = max(everyone, key=lambda p: float(p.confidence.sum()))
    else:
        by_id = {p.person_id: p for p in everyone}
        if choice.person_id not in by_id:
            raise InputError(f"There is no person {choice.person_id} in {path.name!r}; it has {sorted(by_id)}.")
        person = by_id[choice.person_id]
    if isinstance(person, Pose3D):
        return person, None
    return _seen_part(from_image(person)), person

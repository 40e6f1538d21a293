"""NTU RGB+D 60 (Shahroudy et al., CVPR 2016): the official `.skeleton` files as labelled clips.

Files are named SsssCcccPpppRrrrAaaa: setup, camera, performer, replication, action. Kinect v2 camera space: metres,
right-handed, Y up, X to the sensor's left, Z away from it, 30 fps.

Protocols: cross-subject trains on 20 named performers of 40, cross-view on cameras 2 and 3 and tests on camera 1; there
is no official validation side. The samples that the authors list as without skeletons are empty files or hold nobody;
they are counted and left out as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from motionqa.data.mocap.clip import MocapClip, Split
from motionqa.data.mocap.ntu_bodies import choose_people, read_bodies
from motionqa.data.mocap.packed import MIN_FRAMES
from motionqa.data.mocap.read_report import ReadReport, warn_of_skipped
from motionqa.data.motion_files.gaps import fill_gaps
from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17, KINECT_25, convert

FPS = 30.0
TRAIN_PERFORMERS = frozenset({1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38})
TRAIN_CAMERAS = frozenset({2, 3})
Protocol = Literal["cross_subject", "cross_view"]

ACTIONS: tuple[str, ...] = (
    *("drink water", "eat meal", "brush teeth", "brush hair", "drop", "pick up", "throw", "sit down", "stand up"),
    *("clap", "read", "write", "tear up paper", "put on jacket", "take off jacket", "put on shoe", "take off shoe"),
    *("put on glasses", "take off glasses", "put on hat", "take off hat", "cheer up", "wave hand", "kick something"),
    *("reach into pocket", "hop", "jump up", "phone call", "play with phone", "type on keyboard", "point at something"),
    *("take selfie", "check time", "rub hands", "nod head", "shake head", "wipe face", "salute", "palms together"),
    *("cross hands in front", "sneeze or cough", "stagger", "fall", "touch head", "touch chest", "touch back"),
    *("touch neck", "nausea", "fan self", "punch other person", "kick other person", "push other person"),
    *("pat other's back", "point at other person", "hug other person", "give to other person", "touch other's pocket"),
    *("shake hands", "walk towards each other", "walk apart"),
)
"""The 60 actions in our words; `ACTIONS[n - 1]` is A0n. From A050 on, two people."""


@dataclass(frozen=True)
class NtuName:
    """What a file's name says."""

    setup: int
    camera: int
    performer: int
    replication: int
    action: int

    @property
    def label(self) -> str:
        """The action in words."""
        return ACTIONS[self.action - 1]

    def split(self, protocol: Protocol) -> Split:
        """The official side."""
        trains = self.performer in TRAIN_PERFORMERS if protocol == "cross_subject" else self.camera in TRAIN_CAMERAS
        return "train" if trains else "test"


def parse_name(stem: str) -> NtuName | None:
    """The parts of an official file name; None for other names and for actions beyond 60."""
    match = re.fullmatch(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})", stem)
    if match is None:
        return None
    name = NtuName(*(int(g) for g in match.groups()))
    return name if 1 <= name.action <= len(ACTIONS) else None


def load_ntu60(
    folder: Path, protocol: Protocol = "cross_subject", report: ReadReport | None = None, people: int = 1
) -> Iterator[MocapClip]:
    """A clip for the main person of each sample below `folder`, in the order of their names.

    With `people=2` the second person of a sample follows as a clip of its own, its id ending in `#2`, over the same
    frames. What is left out is recorded in `report`, or in a warning at the end. InputError at once where `folder`
    holds no `.skeleton` files.
    """
    if protocol not in ("cross_subject", "cross_view"):
        raise ValueError(f"protocol is {protocol!r}, expected cross_subject or cross_view")
    if people not in (1, 2):
        raise ValueError(f"people must be 1 or 2, got {people}")
    files = sorted(folder.rglob("*.skeleton"), key=lambda p: p.stem)
    if not files:
        raise InputError(f"{folder} holds no .skeleton files; unpack the official nturgbd_skeletons_s001_to_s017 there")
    return _clips(files, protocol, report, people)


def _clips(files: list[Path], protocol: Protocol, report: ReadReport | None, people: int) -> Iterator[MocapClip]:
    record = report or ReadReport("ntu60")
    for file in files:
        name = parse_name(file.stem)
        if name is None:
            record.skip(file.stem, "not named like one of the 60 actions' samples")
            continue
        try:
            clips = _sample(file, name, protocol, people)
        except InputError as error:
            record.skip(file.stem, str(error).replace(file.name, "the file"))
            continue
        record.clips += len(clips)
        yield from clips
    if report is None:
        warn_of_skipped(record)


def _sample(file: Path, name: NtuName, protocol: Protocol, people: int) -> list[MocapClip]:
    chosen = choose_people(read_bodies(file), people)
    if not chosen:
        raise InputError("nobody was tracked")
    there = np.flatnonzero(chosen[0].present)
    rows = slice(int(there[0]), int(there[-1]) + 1)
    if rows.stop - rows.start < MIN_FRAMES:
        raise InputError(f"fewer than {MIN_FRAMES} frames with a person")
    clips = []
    for number, body in enumerate(chosen, 1):
        if not body.present[rows].any():
            continue
        xyz, confidence = fill_gaps(body.xyz_m[rows], body.confidence[rows], FPS)
        xyz, confidence = convert(xyz, confidence, KINECT_25, H36M_17)
        clip_id = file.stem if number == 1 else f"{file.stem}#{number}"
        clips.append(
            MocapClip(
                "ntu60",
                clip_id,
                FPS,
                xyz.astype(np.float32),
                confidence.astype(np.float32),
                name.split(protocol),
                name.label,
                subject=f"P{name.performer:03d}",
            )
        )
    return clips

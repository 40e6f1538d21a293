"""A movement whose actions are known: from a labelled clip, from joined clips, or from a synthetic body.

A segment's `joints` say which limb does the action where the source fixes it: UTD-MHAD and MSR-Action3D subjects did
the one-handed actions with the right hand (their papers), so a throw there carries `right_wrist`; its mirror image
carries `left_wrist`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from motionqa.data.instruct.action_words import action_words, canonical, label_joints
from motionqa.data.instruct.captions import captions_of
from motionqa.data.mocap.clip import MocapClip, Split
from motionqa.data.schema import Pose3D, Segment
from motionqa.data.skeleton import H36M_17, SMPL_22, convert, mirrored_name
from motionqa.data.synthetic.body import BodyMotion, render

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class KnownMotion:
    """A movement and its actions in order; a stretch of time outside every action is not known."""

    clip: str
    """The builder's name for it, unique over the collections: `utd_mhad/a1_s1_t1`."""
    source: str
    split: Split
    pose: Pose3D
    actions: tuple[Segment, ...]
    """Names of `motionqa.data.instruct.action_words`, with times."""
    captions: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    """How often each action is repeated, one number an action, 0 where that is not known; empty: none is known."""
    described: bool = False
    """True where a caption is somebody's words about this very clip, not written here for its action."""

    def __post_init__(self) -> None:
        if self.counts and len(self.counts) != len(self.actions):
            raise ValueError(f"{self.clip}: {len(self.actions)} actions but {len(self.counts)} counts")
        for before, after in zip(self.actions, self.actions[1:], strict=False):
            if after.start_s < before.end_s - 1e-6:
                raise ValueError(f"{self.clip}: {after.name!r} starts before {before.name!r} has ended")

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last."""
        return len(self.pose) / self.pose.fps


def known_motion(clip: MocapClip, description: str = "") -> KnownMotion:
    """A labelled clip with its label as the one action over all of it; no action where the label names none.

    `description` is somebody's words about this clip (`cmu_descriptions`), the first of its captions. Joints stay as
    they are (`H36M_17`); time starts at 0.
    """
    times = np.arange(len(clip)) / clip.fps
    pose = Pose3D(0, H36M_17, clip.fps, times, clip.xyz_m, clip.confidence, clip.source, metric=clip.metric)
    name = canonical(clip.source, clip.label)
    actions = ()
    if name is not None:
        actions = (Segment(name, 0.0, len(clip) / clip.fps, label_joints(clip.source, clip.label)),)
    told, own = captions_of(clip, name, description)
    return KnownMotion(f"{clip.source}/{clip.clip_id}", clip.source, clip.split, pose, actions, told, (), own)


def known_body(body: BodyMotion, name: str, count: int = 0, clip: str = "synthetic", seed: int = 0) -> KnownMotion:
    """A synthetic body that does one known action `count` times (0: not a matter of counting).

    ValueError where the name is none of `action_words`.
    """
    if name not in action_words():
        raise ValueError(f"{name!r} is no action of action_words.toml")
    pose = render(body, noise_m=0.002, seed=seed)
    xyz, sure = convert(pose.xyz_m, pose.confidence, SMPL_22, H36M_17)
    pose = replace(pose, skeleton=H36M_17, xyz_m=xyz, confidence=sure)
    joints = tuple(dict.fromkeys(j for label in body.labels for j in label.joints))
    action = Segment(name, 0.0, len(body) / body.fps, joints)
    return KnownMotion(clip, "synthetic", "train", pose, (action,), (), (count,))


def mirrored_motion(motion: KnownMotion) -> KnownMotion:
    """The mirror image: left and right exchanged in joints, names and captions, and so is the sense of rotation.

    Reflected in the plane X = 0 of the pose's own axes. The clip's name ends in `~mirrored`; twice gives it back.
    """
    pose = motion.pose
    order = list(pose.skeleton.mirror)
    xyz = pose.xyz_m[:, order] * np.array([-1, 1, 1], dtype=pose.xyz_m.dtype)
    clip, mark, _ = motion.clip.partition("~mirrored")
    return replace(
        motion,
        clip=clip if mark else f"{clip}~mirrored",
        pose=replace(pose, xyz_m=xyz, confidence=pose.confidence[:, order]),
        actions=tuple(
            replace(a, name=mirrored_words(a.name), joints=tuple(mirrored_name(j) for j in a.joints))
            for a in motion.actions
        ),
        captions=tuple(mirrored_words(c) for c in motion.captions),
    )


_SWAPS = (
    ("counter clockwise", "clockwise"),
    ("counter-clockwise", "clockwise"),
    ("counterclockwise", "clockwise"),
    ("anticlockwise", "clockwise"),
    ("anti-clockwise", "clockwise"),
    ("left", "right"),
    ("Left", "Right"),
    ("leftwards", "rightwards"),
    ("lefthanded", "righthanded"),
)
_TURNED = {a: b for pair in _SWAPS for a, b in (pair, pair[::-1])} | {"clockwise": "counter clockwise"}
_SIDED = re.compile(r"\b(" + "|".join(sorted(_TURNED, key=len, reverse=True)) + r")(?=\b|[-_])")


def mirrored_words(text: str) -> str:
    """The text about the mirror image: left for right, clockwise for counter clockwise, and back."""
    return _SIDED.sub(lambda found: _TURNED[found.group(1)], text)

"""Which clip is for training, validation or test. Decided by who or what moves, never by a frame.

- UTD-MHAD and MSR-Action3D: the official cross-subject protocol, odd subjects train and even subjects test
  (Chen et al., ICIP 2015; Li et al., CVPR4HB 2010).
- CMU: by subject. DeepMimic, which names no performer: by source clip, a clip and its mirror image together.
- Bandai-Namco, which names no performer and holds near copies of each content and style: by style. The two data sets
  name the same style differently; both names go to the same side. The choice of styles is ours.
- One in twenty groups of the training side is for validation: a group is a label and style, or a label and subject.
"""

from __future__ import annotations

import hashlib
import re

from motionqa.data.mocap.clip import MocapClip, Split

BANDAI_TEST_STYLES = frozenset({"youthful", "childish", "exhausted", "tired", "musical", "proud"})
CMU_TEST_SUBJECTS = frozenset({"002"})
DEEPMIMIC_TEST_SHARE = 5
VALIDATION_SHARE = 20


def split_of(source: str, clip_id: str, label: str, style: str, subject: str, official: str = "") -> Split:
    """The side a clip is on; `official` is the source's own word for it, which decides between train and test."""
    if official:
        test = official == "test"
    elif source == "bandai_namco":
        test = style in BANDAI_TEST_STYLES
    elif source == "cmu":
        test = subject in CMU_TEST_SUBJECTS
    else:
        test = _one_in(DEEPMIMIC_TEST_SHARE, without_mirror(clip_id))
    if test:
        return "test"
    group = "/".join((source, label, style or subject or without_mirror(clip_id)))
    return "val" if _one_in(VALIDATION_SHARE, group) else "train"


def half_of(clip: MocapClip) -> int:
    """Which half of its collection's people, styles or clips a clip is in, for cross-fitting: 0 or 1."""
    if clip.source in ("utd_mhad", "msr_action3d"):  # odd subjects train: every second of them
        return int("".join(c for c in clip.subject if c.isdigit()) or 0) // 2 % 2
    return int(_one_in(2, "/".join((clip.source, clip.subject or clip.style or without_mirror(clip.clip_id)))))


def without_mirror(clip_id: str) -> str:
    """The clip's name without the word that marks its mirror image."""
    return re.sub(r"[_-]?mirror", "", clip_id)


def _one_in(share: int, name: str) -> bool:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % share == 0

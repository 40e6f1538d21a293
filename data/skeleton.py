"""Joint sets and the conversions between them.

A skeleton is an ordered tuple of joint names with parents; the order is part of the value, never a list of magic
indices elsewhere. Names mean the same place in every set: `left_shoulder` is always the shoulder joint (not the
collar bone), `left_hip` the hip joint, `left_toe` the ball or tip of the foot. Left and right are the person's own.

The mean-of-two-joints recipes for pelvis, thorax and spine follow the Human3.6M joint set as MotionBERT uses it
(arXiv 2210.06551, section 3.1); the head-top extrapolations are ours and are documented beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

Array = np.ndarray


@dataclass(frozen=True)
class Skeleton:
    """An ordered set of named joints with a tree over them; parent -1 is the root."""

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.joints) != len(self.parents):
            raise ValueError(f"{self.name}: {len(self.joints)} joints but {len(self.parents)} parents")
        if len(set(self.joints)) != len(self.joints):
            repeated = sorted({j for j in self.joints if self.joints.count(j) > 1})
            raise ValueError(f"{self.name}: joint names must be unique, repeated: {repeated}")

    def __len__(self) -> int:
        return len(self.joints)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.joints)}

    def __contains__(self, joint: object) -> bool:
        return joint in self._index

    def index(self, joint: str) -> int:
        """Position of a joint; ValueError naming the skeleton where it has none."""
        if joint not in self._index:
            raise ValueError(f"skeleton {self.name} has no joint {joint!r}; it has {', '.join(self.joints)}")
        return self._index[joint]

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) index pairs."""
        return tuple((p, c) for c, p in enumerate(self.parents) if p >= 0)

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """For each joint, the index of its left/right counterpart (itself on the midline)."""
        return tuple(self._index.get(mirrored_name(j), i) for i, j in enumerate(self.joints))


def mirrored_name(name: str) -> str:
    """The name with left and right exchanged, wherever they stand in it."""
    return name.replace("left", "\0").replace("right", "left").replace("\0", "right")


def _tree(name: str, spec: str) -> Skeleton:
    """Skeleton from `joint:parent` words in joint order; a word without a parent is a root."""
    words = [w.partition(":") for w in spec.split()]
    order = [joint for joint, _, _ in words]
    return Skeleton(name, tuple(order), tuple(order.index(p) if p else -1 for _, _, p in words))


H36M_17 = _tree(
    "h36m_17",
    """pelvis right_hip:pelvis right_knee:right_hip right_ankle:right_knee
    left_hip:pelvis left_knee:left_hip left_ankle:left_knee
    spine:pelvis thorax:spine nose:thorax head_top:nose
    left_shoulder:thorax left_elbow:left_shoulder left_wrist:left_elbow
    right_shoulder:thorax right_elbow:right_shoulder right_wrist:right_elbow""",
)
COCO_17 = _tree(
    "coco_17",
    """nose left_eye:nose right_eye:nose left_ear:left_eye right_ear:right_eye
    left_shoulder:nose right_shoulder:nose left_elbow:left_shoulder right_elbow:right_shoulder
    left_wrist:left_elbow right_wrist:right_elbow left_hip:left_shoulder right_hip:right_shoulder
    left_knee:left_hip right_knee:right_hip left_ankle:left_knee right_ankle:right_knee""",
)
BLAZEPOSE_33 = _tree(
    "blazepose_33",
    """nose left_eye_inner:nose left_eye:left_eye_inner left_eye_outer:left_eye
    right_eye_inner:nose right_eye:right_eye_inner right_eye_outer:right_eye
    left_ear:left_eye_outer right_ear:right_eye_outer mouth_left:nose mouth_right:nose
    left_shoulder:nose right_shoulder:nose left_elbow:left_shoulder right_elbow:right_shoulder
    left_wrist:left_elbow right_wrist:right_elbow left_pinky:left_wrist right_pinky:right_wrist
    left_hand:left_wrist right_hand:right_wrist left_thumb:left_wrist right_thumb:right_wrist
    left_hip:left_shoulder right_hip:right_shoulder left_knee:left_hip right_knee:right_hip
    left_ankle:left_knee right_ankle:right_knee left_heel:left_ankle right_heel:right_ankle
    left_toe:left_ankle right_toe:right_ankle""",
)
OPENPOSE_25 = _tree(
    "openpose_25",
    """nose:thorax thorax:pelvis right_shoulder:thorax right_elbow:right_shoulder right_wrist:right_elbow
    left_shoulder:thorax left_elbow:left_shoulder left_wrist:left_elbow pelvis
    right_hip:pelvis right_knee:right_hip right_ankle:right_knee
    left_hip:pelvis left_knee:left_hip left_ankle:left_knee
    right_eye:nose left_eye:nose right_ear:right_eye left_ear:left_eye
    left_toe:left_ankle left_small_toe:left_toe left_heel:left_ankle
    right_toe:right_ankle right_small_toe:right_toe right_heel:right_ankle""",
)
OPENPOSE_18 = _tree(
    "openpose_18",
    """nose:thorax thorax right_shoulder:thorax right_elbow:right_shoulder right_wrist:right_elbow
    left_shoulder:thorax left_elbow:left_shoulder left_wrist:left_elbow
    right_hip:thorax right_knee:right_hip right_ankle:right_knee
    left_hip:thorax left_knee:left_hip left_ankle:left_knee
    right_eye:nose left_eye:nose right_ear:right_eye left_ear:left_eye""",
)
HALPE_26 = _tree(
    "halpe_26",
    """nose:thorax left_eye:nose right_eye:nose left_ear:left_eye right_ear:right_eye
    left_shoulder:thorax right_shoulder:thorax left_elbow:left_shoulder right_elbow:right_shoulder
    left_wrist:left_elbow right_wrist:right_elbow left_hip:pelvis right_hip:pelvis
    left_knee:left_hip right_knee:right_hip left_ankle:left_knee right_ankle:right_knee
    head_top:nose thorax:pelvis pelvis left_toe:left_ankle right_toe:right_ankle
    left_small_toe:left_toe right_small_toe:right_toe left_heel:left_ankle right_heel:right_ankle""",
)
_SMPL_BODY = """pelvis left_hip:pelvis right_hip:pelvis spine1:pelvis left_knee:left_hip right_knee:right_hip
    spine2:spine1 left_ankle:left_knee right_ankle:right_knee spine3:spine2 left_toe:left_ankle right_toe:right_ankle
    neck:spine3 left_clavicle:spine3 right_clavicle:spine3 head:neck
    left_shoulder:left_clavicle right_shoulder:right_clavicle left_elbow:left_shoulder right_elbow:right_shoulder
    left_wrist:left_elbow right_wrist:right_elbow"""
SMPL_22 = _tree("smpl_22", _SMPL_BODY)
SMPL_24 = _tree("smpl_24", _SMPL_BODY + " left_hand:left_wrist right_hand:right_wrist")
KINECT_20 = _tree(
    "kinect_20",
    """head:neck neck:spine spine:pelvis pelvis
    left_shoulder:neck left_elbow:left_shoulder left_wrist:left_elbow left_hand:left_wrist
    right_shoulder:neck right_elbow:right_shoulder right_wrist:right_elbow right_hand:right_wrist
    left_hip:pelvis left_knee:left_hip left_ankle:left_knee left_toe:left_ankle
    right_hip:pelvis right_knee:right_hip right_ankle:right_knee right_toe:right_ankle""",
)
KINECT_25 = _tree(
    "kinect_25",
    """pelvis spine:pelvis neck:thorax head:neck
    left_shoulder:thorax left_elbow:left_shoulder left_wrist:left_elbow left_hand:left_wrist
    right_shoulder:thorax right_elbow:right_shoulder right_wrist:right_elbow right_hand:right_wrist
    left_hip:pelvis left_knee:left_hip left_ankle:left_knee left_toe:left_ankle
    right_hip:pelvis right_knee:right_hip right_ankle:right_knee right_toe:right_ankle
    thorax:spine left_hand_tip:left_hand left_thumb:left_wrist right_hand_tip:right_hand right_thumb:right_wrist""",
)
KITML_21 = _tree(
    "kitml_21",
    """pelvis spine1:pelvis spine3:spine1 neck:spine3 head:neck
    left_shoulder:spine3 left_elbow:left_shoulder left_wrist:left_elbow
    right_shoulder:spine3 right_elbow:right_shoulder right_wrist:right_elbow
    left_hip:pelvis left_knee:left_hip left_ankle:left_knee left_heel:left_ankle left_toe:left_heel
    right_hip:pelvis right_knee:right_hip right_ankle:right_knee right_heel:right_ankle right_toe:right_heel""",
)

SKELETONS: dict[str, Skeleton] = {
    s.name: s
    for s in (
        H36M_17,
        COCO_17,
        BLAZEPOSE_33,
        OPENPOSE_25,
        OPENPOSE_18,
        HALPE_26,
        SMPL_22,
        SMPL_24,
        KINECT_20,
        KINECT_25,
        KITML_21,
    )
}
"""Every named joint set, for look-up by name from the command line or a file."""

# How to build a joint that a skeleton does not have: the first recipe whose joints all exist is used.
# Each recipe is a weighted sum of joints with weights adding up to one.
Recipe = tuple[tuple[str, float], ...]


def _between(a: str, b: str, weight_b: float = 0.5) -> Recipe:
    return ((a, 1 - weight_b), (b, weight_b))


_EARS: Recipe = _between("left_ear", "right_ear")
_SHOULDERS: Recipe = _between("left_shoulder", "right_shoulder")


def _beyond(points: Recipe, base: Recipe, factor: float) -> Recipe:
    """The point `factor` times the way from `base` past `points`: points + factor · (points − base)."""
    return tuple((j, w * (1 + factor)) for j, w in points) + tuple((j, -w * factor) for j, w in base)


RECIPES: dict[str, tuple[Recipe, ...]] = {
    "pelvis": (_between("left_hip", "right_hip"),),
    "thorax": (_SHOULDERS, (("neck", 1.0),)),
    "spine": (
        (("left_hip", 0.25), ("right_hip", 0.25), ("left_shoulder", 0.25), ("right_shoulder", 0.25)),
        _between("pelvis", "thorax"),
        (("spine2", 1.0),),
    ),
    "neck": ((("thorax", 1.0),), _SHOULDERS),
    "head": (_EARS, (("nose", 1.0),)),
    # The head joint of mocap rigs is the skull's base or centre, close to the nose seen from the side.
    "nose": ((("head", 1.0),), _EARS),
    # Ours, a rule of thumb: the crown lies about 0.6 of the shoulder-to-ear distance above the ears.
    "head_top": (
        _beyond(_EARS, _SHOULDERS, 0.6),
        _beyond((("head", 1.0),), (("neck", 1.0),), 0.8),
        _beyond((("nose", 1.0),), _SHOULDERS, 0.6),
        _beyond((("head", 1.0),), _SHOULDERS, 0.5),
    ),
    "left_toe": (),
    "right_toe": (),
}


def recipe_for(joint: str, source: Skeleton) -> Recipe | None:
    """How to compute a joint from a skeleton's own joints, or None where nothing known gives it."""
    if joint in source:
        return ((joint, 1.0),)
    return next((r for r in RECIPES.get(joint, ()) if all(j in source for j, _ in r)), None)


def convert(
    positions: Float[Array, "T J D"],
    confidence: Float[Array, "T J"],
    source: Skeleton,
    target: Skeleton,
) -> tuple[Float[Array, "T K D"], Float[Array, "T K"]]:
    """Positions and confidences of another joint set, with missing midline joints built from their neighbours.

    A built joint is as sure as the least sure joint it was built from. Works on image or space positions alike.
    ValueError names every target joint that the source can not give.
    """
    if positions.shape[1] != len(source):
        raise ValueError(f"{source.name} has {len(source)} joints but the positions have {positions.shape[1]}")
    recipes = {joint: recipe_for(joint, source) for joint in target.joints}
    missing = [joint for joint, recipe in recipes.items() if recipe is None]
    if missing:
        raise ValueError(f"cannot build {', '.join(missing)} of {target.name} from skeleton {source.name}")
    weights = np.zeros((len(target), len(source)))
    for row, recipe in enumerate(recipes.values()):
        for joint, weight in recipe or ():
            weights[row, source.index(joint)] += weight
    used = weights != 0
    new_confidence = np.stack([confidence[:, row].min(axis=1) for row in used], axis=1)
    # NaN · 0 is NaN, so unseen joints must not reach joints that do not use them.
    new_positions = np.stack(
        [np.einsum("tjd,j->td", positions[:, row], w[row]) for row, w in zip(used, weights, strict=True)], axis=1
    )
    return new_positions.astype(positions.dtype), new_confidence.astype(confidence.dtype)

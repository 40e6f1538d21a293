"""The rig of the open body anny: its shape at a stature, its bones placed as turns say, its skin.

anny is loaded once a process; the very first load on a machine computes its blend shapes for about a minute and keeps
them in the user's cache (`~/.cache/anny`, or $ANNY_CACHE_DIR). Its own posing is not used, since it keeps bone lengths
and these are stretched; its skinning is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from motionqa.encoders.body.bone_alignment import (
    LIMBS,
    SIDES,
    Points,
    RestPoints,
    Turns,
    between,
    least_turn,
    midpoint,
    part_turns,
    stretched,
    unit,
)

Array = np.ndarray
UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""anny stands along Z and faces -Y; turned to stand along Y and face +Z. Its left is +X in both."""
STRETCH = (0.75, 1.35)
"""How much shorter or longer than the chosen stature's a part may be made."""
STATURES = tuple((age, 0.5) for age in (0.33, 0.45, 0.56)) + tuple((0.67, h) for h in np.linspace(0, 1, 9).tolist())
"""(age, height) of anny from a child to a tall adult; its other traits stay in the middle."""
CHUNK = 16
SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
NECK = ("neck01", "neck02", "neck03", "head")
BONES = {"shoulder": "upperarm01", "elbow": "lowerarm01", "wrist": "wrist",
         "hip": "upperleg01", "knee": "lowerleg01", "ankle": "foot"}  # fmt: skip
"""The bone that begins at each joint."""
PARTS = {"shoulder": ("upperarm",), "elbow": ("lowerarm",), "wrist": ("wrist", "finger", "metacarpal"),
         "hip": ("upperleg",), "knee": ("lowerleg",), "ankle": ("foot", "toe")}  # fmt: skip
"""The bones that move with the one that begins at a joint."""


@lru_cache(maxsize=1)
def load_anny() -> Any:
    """The anny model in float32. Processes that come first together wait for one of them to prepare it."""
    import anny
    from anny.paths import get_anny_cache_path
    from filelock import FileLock

    folder = get_anny_cache_path()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder / "motionqa.lock")):
        return anny.Anny(skinning_method="lbs").to(torch.float32).eval()


@lru_cache(maxsize=1)
def _faces() -> Int[Array, "F 3"]:
    return load_anny().get_triangular_faces().numpy().astype(np.int32)


@lru_cache(maxsize=1)
def _face_points() -> tuple[Any, tuple[str, ...]]:
    """anny's own weights of vertices for nose, ears and toe tips."""
    import anny

    regressor = anny.KeypointsRegressor.coco(load_anny())
    return regressor.regression_weights, tuple(regressor.labels)


@torch.no_grad()
def _coefficients() -> torch.Tensor:
    """Blend shape weights of every stature [S, C]."""
    model = load_anny()
    traits = {name: torch.full((len(STATURES),), 0.5) for name in model.phenotype_labels}
    traits["age"], traits["height"] = torch.tensor(STATURES).T
    return model.get_phenotype_blendshape_coefficients(**traits)


@dataclass(frozen=True, eq=False)
class AnnyRig:
    """anny at rest in one stature: Y up, facing +Z, metres."""

    vertices_m: Float[Array, "V 3"]
    heads_m: Float[Array, "N 3"]
    """Where each bone begins."""
    points: RestPoints
    """Named joints of the body at rest."""

    @classmethod
    @torch.no_grad()
    def of_stature(cls, lengths_m: Mapping[str, float]) -> AnnyRig:
        """The stature whose trunk, legs and arms together are nearest to the given ones in length."""
        model, options = load_anny(), _coefficients()
        heads = model.template_bone_heads + torch.einsum("npd,sn->spd", model.bone_heads_blendshapes, options)
        named = _joint_points(heads.numpy() @ UPRIGHT.T)
        compared = [k for k in ("trunk", "knee", "ankle", "elbow", "wrist") if k in lengths_m]
        totals = sum(_rest_length(named, k) for k in compared)
        wanted = sum(lengths_m[k] for k in compared)
        place = np.interp(wanted, totals, np.arange(len(STATURES)))
        low = min(int(place), len(STATURES) - 2)
        mixed = torch.lerp(options[low], options[low + 1], float(place - low))[None]
        vertices = model.get_rest_vertices(mixed)[0]
        bones = (model.template_bone_heads + torch.einsum("npd,sn->pd", model.bone_heads_blendshapes, mixed)).numpy()
        weights, labels = _face_points()
        face = (weights @ vertices).numpy() @ UPRIGHT.T
        upright = vertices.numpy() @ UPRIGHT.T
        points = _joint_points(bones[None] @ UPRIGHT.T)
        points |= {label: face[None, i] for i, label in enumerate(labels) if label in ("nose", "left_ear", "right_ear")}
        points["head_top"] = upright[None, upright[:, 1].argmax()]
        return cls(upright, bones @ UPRIGHT.T, points)

    def posed(self, seen: Points, lengths_m: Mapping[str, float]) -> PosedAnny:
        """The body turned as the joints say, its parts as long as given, its hips at the joints' hips."""
        turns = part_turns(self.points, seen)
        placing = _Placing(self, len(seen["left_hip"]))
        _place_trunk(placing, seen, turns, lengths_m)
        for limb in LIMBS:
            _place_limb(placing, turns, lengths_m, limb)
        joints = {f"{side}_{j}": placing.head(f"{b}.{side[0].upper()}") for side in SIDES for j, b in BONES.items()}
        return PosedAnny(self, placing.turn, placing.place_m, joints)

    def stretch(self, part: str, lengths_m: Mapping[str, float]) -> float:
        """How much longer than this body's a part should be, within reason; 1 where its length is not known."""
        if part not in lengths_m:
            return 1.0
        return float(np.clip(lengths_m[part] / _rest_length(self.points, part)[0], *STRETCH))


@dataclass(frozen=True, eq=False)
class PosedAnny:
    """The rig over time: bone `n` takes a point x at rest to `turn (x - head) + place`."""

    rig: AnnyRig
    turn: Float[Array, "T N 3 3"]
    place_m: Float[Array, "T N 3"]
    joints_m: dict[str, Float[Array, "T 3"]]

    @property
    def faces(self) -> Int[Array, "F 3"]:
        """Triangles as vertex numbers."""
        return _faces()

    @torch.no_grad()
    def skinned(self) -> Float[Array, "T V 3"]:
        """The vertices in metres, float32, by anny's linear blend skinning."""
        moves = np.zeros((*self.turn.shape[:2], 4, 4), dtype=np.float32)
        moves[..., :3, :3] = self.turn
        moves[..., :3, 3] = self.place_m - np.einsum("tnij,nj->tni", self.turn, self.rig.heads_m)
        moves[..., 3, 3] = 1
        model, rest = load_anny(), torch.from_numpy(self.rig.vertices_m.astype(np.float32))
        parts = [
            model.get_skinned_vertices(rest.expand(len(part), -1, -1), torch.from_numpy(part)).numpy()
            for part in np.split(moves, range(CHUNK, len(moves), CHUNK))
        ]
        return np.concatenate(parts).astype(np.float32)


# ----------------------------------------------------------------------------------------- bones placed


class _Placing:
    """Bones are placed one after the other, each where the one before it ends."""

    def __init__(self, rig: AnnyRig, frames: int) -> None:
        self.rig, self.labels = rig, list(load_anny().bone_labels)
        self.turn = np.zeros((frames, len(self.labels), 3, 3))
        self.place_m = np.zeros((frames, len(self.labels), 3))

    def part(self, bones: tuple[str, ...], turn: Float[Array, "T 3 3"], anchor: str, at: Float[Array, "T 3"]) -> None:
        """Bones that move as one (with a side, by their names' beginning), the head of `anchor` put somewhere."""
        origin = self.rest(anchor)
        for i, label in enumerate(self.labels):
            if label in bones or _kind(label) in bones:
                self.turn[:, i] = turn
                self.place_m[:, i] = at + np.einsum("tij,j->ti", turn, self.rig.heads_m[i] - origin)

    def rest(self, bone: str) -> Float[Array, "3"]:
        """The head of a bone at rest."""
        return self.rig.heads_m[self.labels.index(bone)]

    def head(self, bone: str) -> Float[Array, "T 3"]:
        """The head of a bone where it was placed."""
        return self.place_m[:, self.labels.index(bone)]

    def carried(self, bone: str, point: Float[Array, "3"]) -> Float[Array, "T 3"]:
        """Where a placed bone takes a point of the body at rest."""
        i = self.labels.index(bone)
        return self.place_m[:, i] + np.einsum("tij,j->ti", self.turn[:, i], point - self.rig.heads_m[i])


def _kind(label: str) -> str:
    """`finger.L` of `finger1-2.L`."""
    return re.sub(r"\d[\d-]*", "", label)


def _place_trunk(placing: _Placing, seen: Points, turns: Turns, lengths_m: Mapping[str, float]) -> None:
    """Pelvis and chest as rigid parts of the seen length, the spine between them, neck and head on top."""
    rest = placing.rig.points
    hips_m, shoulders_m = midpoint(rest, "hip")[0], midpoint(rest, "shoulder")[0]
    up, factor = shoulders_m - hips_m, placing.rig.stretch("trunk", lengths_m)
    hips = midpoint(seen, "hip")
    top = hips + factor * np.linalg.norm(up) * unit(midpoint(seen, "shoulder") - hips)
    pelvis = stretched(turns["pelvis"], np.array([1.0, 0.0, 0.0]), placing.rig.stretch("hip", lengths_m))
    chest = stretched(turns["chest"], up, factor)
    for k, bone in enumerate(SPINE):
        share, head = k / (len(SPINE) - 1), placing.rest(bone)
        at_pelvis = hips + np.einsum("tij,j->ti", stretched(turns["pelvis"], up, factor), head - hips_m)
        at_chest = top + np.einsum("tij,j->ti", chest, head - shoulders_m)
        turn = stretched(between(turns["pelvis"], turns["chest"], share), up, factor)
        placing.part((bone,), turn, bone, (1 - share) * at_pelvis + share * at_chest)
    at_root = hips + np.einsum("tij,j->ti", pelvis, placing.rest("root") - hips_m)
    placing.part(("root", "pelvis.L", "pelvis.R"), pelvis, "root", at_root)
    before = SPINE[-1]
    for share, bone in zip((0.25, 0.5, 0.75, 1.0), NECK, strict=True):
        turn = between(turns["chest"], turns["head"], share)
        also = ("eye.L", "eye.R") if bone == "head" else ()
        placing.part((bone, *also), turn, bone, placing.carried(before, placing.rest(bone)))
        before = bone
    for side in SIDES:
        _place_shoulder(placing, seen, turns["chest"], side)


def _place_shoulder(placing: _Placing, seen: Points, chest: Float[Array, "T 3 3"], side: str) -> None:
    """Collar bone and shoulder blade swung and stretched so that the arm begins at the seen shoulder."""
    mark = side[0].upper()
    start, end = placing.rest(f"clavicle.{mark}"), placing.rest(f"upperarm01.{mark}")
    base = placing.carried(SPINE[-1], start)
    toward = seen[f"{side}_shoulder"] - base
    factor = float(np.clip(np.median(np.linalg.norm(toward, axis=-1)) / np.linalg.norm(end - start), *STRETCH))
    carried = np.einsum("tij,j->ti", chest, end - start)
    turn = stretched(least_turn(unit(carried), unit(toward)) @ chest, end - start, factor)
    placing.part((f"clavicle.{mark}", f"shoulder.{mark}"), turn, f"clavicle.{mark}", base)


def _place_limb(placing: _Placing, turns: Turns, lengths_m: Mapping[str, float], limb: tuple[str, str, str]) -> None:
    """Upper part, lower part, and hand or foot, each where the one before ends."""
    mark = limb[0][0].upper()
    joints = [name.split("_")[1] for name in limb]
    before = f"pelvis.{mark}" if joints[0] == "hip" else f"clavicle.{mark}"
    for name, joint, following in zip(limb, joints, (*joints[1:], None), strict=True):
        bone = f"{BONES[joint]}.{mark}"
        turn = turns[limb[1]] if joint == "wrist" else turns[name]
        if following is not None:
            along = placing.rest(f"{BONES[following]}.{mark}") - placing.rest(bone)
            turn = stretched(turn, along, placing.rig.stretch(following, lengths_m))
        kinds = tuple(f"{kind}.{mark}" for kind in PARTS[joint])
        placing.part(kinds, turn, bone, placing.carried(before, placing.rest(bone)))
        before = bone


def _joint_points(heads_m: Float[Array, "S N 3"]) -> dict[str, Float[Array, "S 3"]]:
    """Named joints of bodies at rest, from where their bones begin."""
    labels = load_anny().bone_labels
    points = {
        f"{side}_{joint}": heads_m[:, labels.index(f"{bone}.{side[0].upper()}")]
        for side in SIDES
        for joint, bone in (BONES | {"toe": "toe2-1"}).items()
    }
    return points | {"head": heads_m[:, labels.index("head")]}


def _rest_length(points: Points, part: str) -> Float[Array, "S"]:
    """Length of a part of bodies at rest, metres, by the names of `motionqa.encoders.body.anny_body`."""
    starts = {"knee": "hip", "ankle": "knee", "elbow": "shoulder", "wrist": "elbow"}
    if part == "trunk":
        along = midpoint(points, "shoulder") - midpoint(points, "hip")
    elif part in starts:
        along = points[f"left_{part}"] - points[f"left_{starts[part]}"]
    else:
        along = points[f"left_{part}"] - midpoint(points, part)
    return np.linalg.norm(along, axis=-1)

"""The one place where other people's joint names become ours.

A name is cut into words (`mixamorig:LeftUpLeg` → left, up, leg), the side is taken out, and the rest is looked up.
Three words mean different places in different rigs and are settled by what else the rig has on that side:

- "shoulder" is the collar bone where the chain also has an upper arm, else the shoulder joint;
- "leg" is the knee where there is an upper leg, thigh or hip, else the hip joint;
- "foot" and "hand" are ankle and wrist, unless ankle and wrist exist under their own names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from motionqa.data.skeleton import H36M_17, SKELETONS, Skeleton, recipe_for

# Words that start a name and say nothing: namespaces, exporters' and game engines' prefixes.
_PREFIX = re.compile(
    r"^(.*[:|]|mixamorig\d*_?|CC_Base_|RL_|Bip\d+[ _]?|J_Bip_|Character\d*_|Avatar_?|Armature_|DEF-|ORG-|jnt_|jt_|b_)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|[a-z]+|\d+")
_SIDES = {"left": "left", "l": "left", "lt": "left", "right": "right", "r": "right", "rt": "right"}

# Sided parts: our name → the words that mean it, most trusted first.
_SIDED: dict[str, tuple[str, ...]] = {
    "clavicle": ("clavicle", "collar", "collarbone", "clavicula", "scapula", "shoulder"),
    "shoulder": ("upperarm", "uparm", "arm", "humerus", "shldr", "shldrbend", "shoulderjoint", "shoulder"),
    "elbow": ("elbow", "forearm", "lowerarm", "lowarm", "loarm", "forearmbend", "radius"),
    "wrist": ("wrist", "hand", "palm"),
    "hand": ("hand",),
    "hip": ("upleg", "upperleg", "thigh", "thighbend", "femur", "hip", "hipjoint", "leg"),
    "knee": ("knee", "lowerleg", "lowleg", "loleg", "calf", "shin", "tibia", "leg"),
    "ankle": ("ankle", "foot"),
    "toe": ("toebase", "toe", "toes", "ball", "bigtoe", "footindex", "metatarsals", "foot", "toeend"),
    "small_toe": ("smalltoe", "pinkytoe"),
    "heel": ("heel",),
    "eye": ("eye",),
    "ear": ("ear",),
    "eye_inner": ("eyeinner",),
    "eye_outer": ("eyeouter",),
    "pinky": ("pinky",),
    "thumb": ("thumb",),
}
_MIDDLE: dict[str, tuple[str, ...]] = {
    "pelvis": ("hips", "hip", "pelvis", "hipcenter", "midhip", "chip", "spinebase", "root", "", "cog", "bodyworld"),
    "neck": ("neck", "shouldercenter", "necktwist", "necklower", "lowerneck", "upperneck"),
    "head": ("head", "skull"),
    "nose": ("nose",),
    "head_top": ("headtop", "headtopend", "tophead", "vertex", "headend"),
}
_FACE_AND_FINGERS = ("eye_inner", "eye", "eye_outer", "ear", "pinky", "thumb", "small_toe")
"""Parts that rigs have in dozens and that nothing here measures; kept for markers and key points only."""
_TORSO_WORDS = """spine spinelower spineupper spinemid spineshoulder chest chestlower chestupper upperchest lowerchest
    torso thorax abdomen abdomenlower abdomenupper ab waist lowerback upperback back trunk lumbar stomach ribcage"""
_TORSO = frozenset(_TORSO_WORDS.split())
_VERTEBRAE = frozenset(("L5", "L3", "T12", "T8"))
"""Xsens names trunk segments so; "L" is no side there."""
_UPPER_ARM = frozenset(("upperarm", "uparm", "arm", "humerus", "shldr", "shldrbend"))
_UPPER_LEG = frozenset(("upleg", "upperleg", "thigh", "thighbend", "femur", "hip"))
_LOWER_LEG = frozenset(("knee", "lowerleg", "lowleg", "calf", "shin"))
# (part, word) → other words on the same side, and whether one of them must be there or none, for the word to mean it.
_AMBIGUOUS: dict[tuple[str, str], tuple[frozenset[str], bool]] = {
    ("clavicle", "shoulder"): (_UPPER_ARM, True),
    ("shoulder", "shoulder"): (_UPPER_ARM, False),
    ("hip", "leg"): (_LOWER_LEG, True),
    ("knee", "leg"): (_UPPER_LEG, True),
    ("toe", "foot"): (frozenset(("ankle",)), True),
    ("hand", "hand"): (frozenset(("wrist",)), True),
}

# Bones of ASF files by our joint at their END, which is where an ASF bone has its position. The forearm is two
# bones there: "radius" ends in its middle, "wrist" at the wrist.
ASF_BONE_ENDS: dict[str, str] = {
    "root": "pelvis",
    "lowerback": "spine1",
    "upperback": "spine2",
    "thorax": "neck",
    "upperneck": "head",
    "head": "head_top",
} | {
    f"{letter}{bone}": f"{side}_{joint}"
    for letter, side in (("l", "left"), ("r", "right"))
    for bone, joint in {
        "hipjoint": "hip",
        "femur": "knee",
        "tibia": "ankle",
        "foot": "toe",
        "clavicle": "shoulder",
        "humerus": "elbow",
        "wrist": "wrist",
        "hand": "hand",
    }.items()
}

# For joint sets put together from names: each joint's parent is the first of these that exists.
_TRUNK = ("spine3", "spine2", "spine", "spine1", "pelvis")
_PARENTS: dict[str, tuple[str, ...]] = {
    "pelvis": (),
    "spine1": ("pelvis",),
    "spine": ("pelvis",),
    "spine2": ("spine1", "pelvis"),
    "spine3": ("spine2", "spine1", "pelvis"),
    "thorax": _TRUNK,
    "neck": ("thorax", *_TRUNK),
    "head": ("neck", "thorax", *_TRUNK),
    "nose": ("head", "neck", "thorax", *_TRUNK),
    "head_top": ("head", "nose", "neck", "thorax", *_TRUNK),
}
_SIDED_PARENTS: dict[str, tuple[str, ...]] = {
    "eye_inner": ("nose",),
    "eye": ("eye_inner", "nose", "head"),
    "eye_outer": ("eye",),
    "ear": ("eye_outer", "eye", "nose", "head"),
    "clavicle": _TRUNK,
    "shoulder": ("clavicle", "thorax", "spine3", "neck", *_TRUNK),
    "elbow": ("shoulder",),
    "wrist": ("elbow",),
    "hand": ("wrist",),
    "pinky": ("wrist",),
    "thumb": ("wrist",),
    "hip": ("pelvis",),
    "knee": ("hip",),
    "ankle": ("knee",),
    "heel": ("ankle",),
    "toe": ("ankle",),
    "small_toe": ("toe", "ankle"),
}
_ORDER = (*_PARENTS, *(f"{side}_{part}" for side in ("left", "right") for part in _SIDED_PARENTS))


def split_name(name: str) -> tuple[str | None, str, int | None]:
    """(side, the rest in lower case without separators, trailing number) of a joint's name."""
    bare = name.strip()
    while (shorter := _PREFIX.sub("", bare, count=1)) != bare:
        bare = shorter
    words = [w.lower() for w in _WORD.findall(bare)]
    side = next((_SIDES[w] for w in words if w in _SIDES), None)
    words = [w for w in words if w not in _SIDES]
    if words and words[0] == "c" and len(words) > 1:
        words = words[1:]
    number = int(words.pop()) if words and words[-1].isdigit() and len(words[-1]) < 6 else None
    core = "".join(words)
    if side is None and core[:1] in "lr" and core[1:] in _KNOWN_SIDED:
        side, core = ("left" if core[0] == "l" else "right"), core[1:]
    return side, core, number


_KNOWN_SIDED = frozenset(w for words in _SIDED.values() for w in words)


def match_names(names: Sequence[str], parents: Sequence[int] | None = None, markers: bool = False) -> dict[str, int]:
    """Our joint name → index into `names`, for every joint that can be named. Where two would do, the better name
    wins, then the one nearer the root. `markers`: "head" beside a "nose" is the crown, as in Halpe marker files."""
    if set(names) <= set(_ORDER):
        return {joint: names.index(joint) for joint in _ORDER if joint in names}
    split = [split_name(n) for n in names]
    depth = _depths(len(names), parents)
    found: dict[str, int] = {}
    for side in ("left", "right"):
        here: dict[str, list[int]] = {}
        for i, (s, core, _) in enumerate(split):
            if s == side and not _is_end_site(names[i]):
                here.setdefault(core, []).append(i)
        for part, words in _SIDED.items():
            if parents is not None and part in _FACE_AND_FINGERS:
                continue
            word = next((w for w in words if w in here and _means(part, w, here)), None)
            if word is not None:
                found[f"{side}_{part}"] = min(here[word], key=lambda i: (split[i][2] or 0, depth[i]))
    middle: dict[str, list[int]] = {}
    for i, (s, core, _) in enumerate(split):
        if s is None and not _is_end_site(names[i]):
            middle.setdefault(core, []).append(i)
    for joint, words in _MIDDLE.items():
        word = next((w for w in words if w in middle), None)
        if word is not None:
            found[joint] = min(middle[word], key=lambda i: (depth[i], split[i][2] or 0))
    if markers and "nose" in found and "head" in found and "head_top" not in found:
        found["head_top"] = found.pop("head")
    torso = [i for core, indices in middle.items() if core in _TORSO for i in indices]
    torso += [i for i, n in enumerate(names) if n.strip().upper() in _VERTEBRAE]
    found |= _name_torso(sorted(set(torso), key=lambda i: (depth[i], i)))
    _use_end_sites(found, names, parents)
    return {joint: found[joint] for joint in _ORDER if joint in found}


def _means(part: str, word: str, here: dict[str, list[int]]) -> bool:
    """Whether a word means this part, given the other words on the same side."""
    if (part, word) not in _AMBIGUOUS:
        return True
    others, wanted = _AMBIGUOUS[part, word]
    return bool(others & here.keys()) == wanted


def _name_torso(chain: list[int]) -> dict[str, int]:
    """Spine joints from the pelvis up: one is "spine", two are the lowest and highest of SMPL's three."""
    match len(chain):
        case 0:
            return {}
        case 1:
            return {"spine": chain[0]}
        case 2:
            return {"spine1": chain[0], "spine3": chain[1]}
    return {"spine1": chain[0], "spine2": chain[len(chain) // 2], "spine3": chain[-1]}


END_SITE = " End Site"


def _is_end_site(name: str) -> bool:
    return name.endswith(END_SITE)


def _use_end_sites(found: dict[str, int], names: Sequence[str], parents: Sequence[int] | None) -> None:
    """A foot's end stands in for missing toes, a neck's end for a missing head."""
    if parents is None:
        return
    ends = {parents[i]: i for i, name in enumerate(names) if _is_end_site(name)}
    for base, tip in (("left_ankle", "left_toe"), ("right_ankle", "right_toe"), ("neck", "head")):
        if tip not in found and base in found and found[base] in ends:
            found[tip] = ends[found[base]]


def _depths(count: int, parents: Sequence[int] | None) -> list[int]:
    depth = [0] * count
    for i, parent in enumerate(parents or ()):
        depth[i] = depth[parent] + 1 if 0 <= parent < i else 0
    return depth


def build_skeleton(joints: Sequence[str], name: str) -> Skeleton:
    """The skeleton of these joints: a named one where the set is the same, else one in our usual order."""
    known = next((s for s in SKELETONS.values() if set(s.joints) == set(joints)), None)
    if known is not None:
        return known
    order = [j for j in _ORDER if j in joints]
    parents = []
    for joint in order:
        side, _, part = joint.partition("_")
        if joint in _PARENTS:
            candidates = _PARENTS[joint]
        else:
            candidates = tuple(f"{side}_{p}" if p in _SIDED_PARENTS else p for p in _SIDED_PARENTS[part])
        parents.append(next((order.index(p) for p in candidates if p in order), -1))
    return Skeleton(f"{name}_{len(order)}", tuple(order), tuple(parents))


def missing_joints(skeleton: Skeleton) -> list[str]:
    """Joints of the Human3.6M set that this skeleton can not give."""
    return [joint for joint in H36M_17.joints if recipe_for(joint, skeleton) is None]

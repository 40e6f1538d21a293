"""Joint centres from skin markers of common sets, where a file has no joints.

Sets: Vicon Plug-in-Gait (and its bone outputs), OpenSim's gait2392 and Rajagopal 2016, OpenCap's augmented markers.
Hip centres: Harrington et al., *J. Biomech.* 40 (2007), regression on pelvis width and depth. Shoulder centres: Rab et
al., *Gait & Posture* 15 (2002), 17 % of the inter-acromial distance below the acromion. Knees, ankles, elbows and
wrists are the middle of the lateral and medial marker; with a lateral one alone, knee and ankle lie half a usual joint
width plus the marker's radius inwards, an elbow is the marker itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from motionqa.data.motion_files.raw_motion import METRES_PER
from motionqa.data.schema import InputError

Array = np.ndarray

# Marker site → names, "{s}" standing for L or R, in capitals and without separators.
SITES: dict[str, tuple[str, ...]] = {
    "asis": ("{s}ASI", "{s}ASIS", "{s}IAS"),
    "psis": ("{s}PSI", "{s}PSIS", "{s}IPS"),
    "knee_lateral": ("{s}KNE", "{s}KNEE", "{s}LFC", "{s}KNEELAT", "{s}FLE"),
    "knee_medial": ("{s}KNM", "{s}MKNE", "{s}MKNEE", "{s}MFC", "{s}KNEEMED", "{s}KNEM", "{s}FME"),
    "ankle_lateral": ("{s}ANK", "{s}ANKLE", "{s}LMAL", "{s}ANKLELAT", "{s}FAL"),
    "ankle_medial": ("{s}ANM", "{s}MANK", "{s}MANKLE", "{s}MMAL", "{s}MED", "{s}ANKLEMED", "{s}ANKM", "{s}TAM"),
    "heel": ("{s}HEE", "{s}HEEL", "{s}CAL", "{s}CALC", "{s}FCC"),
    "toe": ("{s}TOE", "{s}TOETIP", "{s}MT2", "{s}BIGTOE"),
    "acromion": ("{s}SHO", "{s}ACR", "{s}ACROMIUM", "{s}ACROMION", "{s}SHOULDER", "{s}CAJ"),
    "elbow_lateral": ("{s}ELB", "{s}LEL", "{s}LELB", "{s}LELBOW", "{s}ELBOW", "{s}HLE"),
    "elbow_medial": ("{s}ELM", "{s}MEL", "{s}MELB", "{s}MELBOW", "{s}ELBM", "{s}ELBM", "{s}HME"),
    "wrist_thumb": ("{s}WRA", "{s}FARADIUS", "{s}LWRIST", "{s}WRIST", "{s}WRISTLAT", "{s}RSP"),
    "wrist_little": ("{s}WRB", "{s}FAULNA", "{s}MWRIST", "{s}WRISTMED", "{s}USP"),
    "head_front": ("{s}FHD",),
    "head_back": ("{s}BHD",),
    # Centres that the capture software worked out itself: named so, or Plug-in-Gait's bone origins.
    "hip_center": ("{s}HJC", "{s}FEP"),
    "knee_center": ("{s}KJC", "{s}FEO"),
    "ankle_center": ("{s}AJC", "{s}TIO"),
    "shoulder_center": ("{s}SJC", "{s}CLO"),
    "elbow_center": ("{s}EJC", "{s}HUO"),
    "wrist_center": ("{s}WJC", "{s}RAO"),
}
MIDDLE_SITES: dict[str, tuple[str, ...]] = {
    "sacrum": ("SACR", "SACRAL", "VSACRAL", "VSACR", "SACRUM"),
    "c7": ("C7",),
    "clavicle": ("CLAV", "STERNUM", "SJN"),
    "t10": ("T10",),
    "sternum": ("STRN", "SXS"),
    "head_top": ("TOPHEAD", "HEADTOP", "VERTEX"),
    "head_center": ("HEDO",),
    "head": ("HEAD",),
}
KNEE_HALF_WIDTH_M = 0.05
ANKLE_HALF_WIDTH_M = 0.035
MARKER_RADIUS_M = 0.007

Path3 = Float[Array, "T 3"]


def joint_centres(
    names: Sequence[str], positions: Float[Array, "T M 3"], units: str | None
) -> tuple[tuple[str, ...], Float[Array, "T J 3"], tuple[str, ...]]:
    """(our joint names, their positions in file units, notes) from a marker set.

    InputError names the joints that can not be had and the markers that were found.
    """
    sites = _sites(names, positions)
    metre = 1.0 / (METRES_PER[units] if units in METRES_PER else _guess_scale(positions))
    found: dict[str, Path3] = {}
    notes: list[str] = []
    for side in ("left", "right"):
        _add_hip(found, sites, side, metre)
    for side in ("left", "right"):
        _add_leg(found, sites, side, metre, notes)
    _add_trunk(found, sites)
    for side in ("left", "right"):
        _add_arm(found, sites, side, notes)
    needed = [f"{s}_{j}" for s in ("left", "right") for j in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")]
    missing = [j for j in needed if j not in found]
    if missing:
        raise InputError(
            f"cannot work out {', '.join(missing)} from the markers {', '.join(list(names)[:60])}. Known are joint "
            "names (LHip, LKnee, …), Plug-in-Gait, OpenSim gait2392 and Rajagopal, and OpenCap marker sets; rename the "
            "markers, or export joint centres"
        )
    notes.append("Joint centres were worked out from skin markers: hips by Harrington 2007, shoulders by Rab 2002.")
    return tuple(found), np.stack(list(found.values()), axis=1), tuple(dict.fromkeys(notes))


def _sites(names: Sequence[str], positions: Float[Array, "T M 3"]) -> dict[str, Path3]:
    """Marker paths by site, e.g. "left_asis"; a site counts only where its marker was seen at least once."""
    keys = [re.sub(r"[^A-Z0-9]", "", re.sub(r"_study$", "", n.split(":")[-1], flags=re.I).upper()) for n in names]
    wanted = dict(MIDDLE_SITES)
    for site, forms in SITES.items():
        wanted |= {f"{side}_{site}": tuple(f.format(s=side[0].upper()) for f in forms) for side in ("left", "right")}
    sites: dict[str, Path3] = {}
    for site, forms in wanted.items():
        at = next((keys.index(f) for f in forms if f in keys), None)
        if at is not None and np.isfinite(positions[:, at]).all(axis=1).any():
            sites[site] = positions[:, at]
    return sites


def _guess_scale(positions: Float[Array, "T M 3"]) -> float:
    """Metres per unit from the size of the box around all markers: between 0.8 and 2.8 m across."""
    with np.errstate(all="ignore"):
        box = np.nanmax(positions, axis=1) - np.nanmin(positions, axis=1)
        size = float(np.nanmedian(np.linalg.norm(box, axis=1)))
    return next((s for s in METRES_PER.values() if 0.8 <= size * s <= 2.8), 0.001)


def _unit(vectors: Path3) -> Path3:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _across(vector: Path3, along: Path3) -> Path3:
    """The part of a vector at right angles to another, of length one."""
    along = _unit(along)
    return _unit(vector - np.sum(vector * along, axis=1, keepdims=True) * along)


def _add_hip(found: dict[str, Path3], sites: dict[str, Path3], side: str, metre: float) -> None:
    if f"{side}_hip_center" in sites:
        found[f"{side}_hip"] = sites[f"{side}_hip_center"]
        return
    if not {"left_asis", "right_asis"} <= sites.keys():
        return
    if {"left_psis", "right_psis"} <= sites.keys():
        back = 0.5 * (sites["left_psis"] + sites["right_psis"])
    elif "sacrum" in sites:
        back = sites["sacrum"]
    else:
        return
    front = 0.5 * (sites["left_asis"] + sites["right_asis"])
    leftward = _unit(sites["left_asis"] - sites["right_asis"])
    forward = _across(front - back, leftward)
    upward = np.cross(forward, leftward)
    width = float(np.nanmedian(np.linalg.norm(sites["left_asis"] - sites["right_asis"], axis=1)))
    depth = float(np.nanmedian(np.linalg.norm(front - back, axis=1)))
    sign = 1.0 if side == "left" else -1.0
    found[f"{side}_hip"] = (
        front
        + (-0.24 * depth - 0.0099 * metre) * forward
        + (-0.30 * width - 0.0109 * metre) * upward
        + sign * (0.33 * width + 0.0073 * metre) * leftward
    )


def _add_leg(found: dict[str, Path3], sites: dict[str, Path3], side: str, metre: float, notes: list[str]) -> None:
    above = found.get(f"{side}_hip")
    for joint, half_width in (("knee", KNEE_HALF_WIDTH_M), ("ankle", ANKLE_HALF_WIDTH_M)):
        center, lateral, medial = (sites.get(f"{side}_{joint}_{k}") for k in ("center", "lateral", "medial"))
        if center is not None:
            found[f"{side}_{joint}"] = center
        elif lateral is not None and medial is not None:
            found[f"{side}_{joint}"] = 0.5 * (lateral + medial)
        elif lateral is not None and above is not None and {"left_hip", "right_hip"} <= found.keys():
            inward = (
                found["right_hip"] - found["left_hip"] if side == "left" else found["left_hip"] - found["right_hip"]
            )
            shift = (half_width + MARKER_RADIUS_M) * metre
            found[f"{side}_{joint}"] = lateral + shift * _across(inward, lateral - above)
            notes.append("Knees or ankles have a lateral marker only: the centre is put half a usual width inwards.")
        above = found.get(f"{side}_{joint}")
    for joint in ("heel", "toe"):
        if f"{side}_{joint}" in sites:
            found[f"{side}_{joint}"] = sites[f"{side}_{joint}"]


def _add_trunk(found: dict[str, Path3], sites: dict[str, Path3]) -> None:
    for joint, pair in (("neck", ("c7", "clavicle")), ("spine2", ("t10", "sternum"))):
        if set(pair) <= sites.keys():
            found[joint] = 0.5 * (sites[pair[0]] + sites[pair[1]])
    around = [sites[k] for s in ("left", "right") for k in (f"{s}_head_front", f"{s}_head_back") if k in sites]
    if "head_center" in sites:
        found["head"] = sites["head_center"]
    elif len(around) >= 3:
        found["head"] = sum(around[1:], around[0]) / len(around)
    elif "head" in sites:
        found["head"] = sites["head"]
    if "head_top" in sites:
        found["head_top"] = sites["head_top"]


def _add_arm(found: dict[str, Path3], sites: dict[str, Path3], side: str, notes: list[str]) -> None:
    if f"{side}_shoulder_center" in sites:
        found[f"{side}_shoulder"] = sites[f"{side}_shoulder_center"]
    elif {"left_acromion", "right_acromion"} <= sites.keys() and {"left_hip", "right_hip"} <= found.keys():
        tops = 0.5 * (sites["left_acromion"] + sites["right_acromion"])
        down = _unit(0.5 * (found["left_hip"] + found["right_hip"]) - tops)
        width = float(np.nanmedian(np.linalg.norm(sites["left_acromion"] - sites["right_acromion"], axis=1)))
        found[f"{side}_shoulder"] = sites[f"{side}_acromion"] + 0.17 * width * down
    for joint, pair in (("elbow", ("lateral", "medial")), ("wrist", ("thumb", "little"))):
        center = sites.get(f"{side}_{joint}_center")
        there = [sites[k] for p in pair if (k := f"{side}_{joint}_{p}") in sites]
        if center is not None:
            found[f"{side}_{joint}"] = center
        elif there:
            found[f"{side}_{joint}"] = sum(there[1:], there[0]) / len(there)
            if len(there) == 1:
                notes.append("Elbows or wrists have one marker only: the joint is taken to be there, 2 to 4 cm off.")

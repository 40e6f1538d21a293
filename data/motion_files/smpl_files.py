"""AMASS and other SMPL-family parameters (npz), posed with the user's own body model through smplx.

AMASS: Mahmood et al., ICCV 2019. SMPL: Loper et al., SIGGRAPH Asia 2015. Only joints are computed: shaped template →
joint regressor → rigid transforms (equations 2 to 4 and 10 of SMPL), with smplx's own functions; the skin is not
needed. The first 22 joints are the same in SMPL, SMPL-H and SMPL-X.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from motionqa.data.motion_files.array_files import load_npz, npz_keys
from motionqa.data.motion_files.raw_motion import MotionOverrides, RawMotion, choose_frames
from motionqa.data.motion_files.smpl_pickle import load_body_model
from motionqa.data.schema import InputError
from motionqa.data.skeleton import SMPL_22

Array = np.ndarray

WIDTHS = {72: "smpl", 156: "smplh", 165: "smplx", 66: "smplh", 63: "smplh"}
FPS_KEYS = ("mocap_framerate", "mocap_frame_rate", "fps", "framerate", "mocap_fps")
BATCH = 2048


@dataclass(frozen=True, eq=False)
class _Parameters:
    pose: Float[Array, "T 66"]
    """Axis-angle of the first 22 joints, radians."""
    root_m: Float[Array, "T 3"]
    betas: Float[Array, "B"]
    kind: str
    gender: str
    fps: float | None


@dataclass(frozen=True, eq=False)
class _BodyModel:
    template: Float[Array, "V 3"]
    shape_directions: Float[Array, "V 3 B"]
    regressor: Float[Array, "J V"]
    parents: tuple[int, ...]


def is_smpl_npz(keys: list[str]) -> bool:
    """Whether an npz with these arrays holds SMPL-family parameters."""
    return "poses" in keys or "body_pose" in keys or {"root_orient", "pose_body"} <= set(keys)


def read_smpl_npz(path: Path, overrides: MotionOverrides) -> list[RawMotion]:
    """The person of an AMASS or SMPL npz, as 22 joints. InputError says which body model file is needed."""
    parameters = read_parameters(path)
    frames = choose_frames(len(parameters.pose), parameters.fps, overrides)
    file, notes = _find_model(parameters, overrides, path)
    model = _load_model(file)
    positions = _joints(model, parameters, frames.keep)
    raw = RawMotion(
        "smpl",
        SMPL_22.joints,
        positions,
        frames,
        # AMASS is Z up throughout; other tools' files are not, so the data is asked.
        usual_up="z",
        units="m",
        skeleton=SMPL_22,
        detected={"skeleton": f"{parameters.kind} parameters, body model {file.name}", "gender": parameters.gender},
        notes=notes,
    )
    return [raw]


def read_parameters(path: Path) -> _Parameters:
    keys = npz_keys(path)
    pose_keys = tuple(k for k in ("poses", "global_orient", "root_orient", "body_pose", "pose_body") if k in keys)
    optional = ("trans", "transl", "betas", "gender", "surface_model_type", *FPS_KEYS)
    data = load_npz(path, pose_keys, optional=optional)
    if "poses" in data:
        parts = [_rows(data["poses"], path, "poses")]
    else:
        orient = "global_orient" if "global_orient" in data else "root_orient"
        body = "body_pose" if "body_pose" in data else "pose_body"
        if orient not in data or body not in data:
            raise InputError(f"{path.name} has {', '.join(keys[:20])}; expected poses, or a root and a body pose")
        parts = [_rows(data[orient], path, orient), _rows(data[body], path, body)]
    if len({len(p) for p in parts}) != 1:
        raise InputError(f"{path.name}: root and body pose have {[len(p) for p in parts]} frames; the file is damaged")
    pose = np.concatenate(parts, axis=1)
    kind = WIDTHS.get(pose.shape[1])
    if kind is None or pose.shape[1] < 66:
        raise InputError(
            f"{path.name}: {pose.shape[1]} pose values per frame, expected 72 (SMPL), 156 (SMPL-H), 165 (SMPL-X) or 66"
        )
    root = data.get("trans", data.get("transl"))
    root_m = np.zeros((len(pose), 3)) if root is None else _rows(root, path, "trans")
    if root_m.shape != (len(pose), 3):
        raise InputError(f"{path.name}: trans has shape {root_m.shape}, expected ({len(pose)}, 3)")
    betas = data.get("betas", np.zeros(10))
    betas = _rows(betas, path, "betas")[0] if betas.ndim == 2 and len(betas) else np.ravel(betas)
    if betas.dtype.kind not in "fiu" or not np.isfinite(betas).all() or np.abs(betas).max(initial=0.0) > 20:
        raise InputError(f"{path.name}: betas are no plausible body shape (finite numbers within ±20 expected)")
    fps = next((float(data[k].ravel()[0]) for k in FPS_KEYS if k in data and _is_numeric(data[k])), None)
    gender = _word(data.get("gender")).lower() or "neutral"
    gender = gender if gender in ("male", "female") else "neutral"
    surface = _word(data.get("surface_model_type")).lower()
    kind = surface if surface in ("smpl", "smplh", "smplx") else kind
    return _Parameters(pose[:, :66], root_m, np.asarray(betas, dtype=np.float64), kind, gender, fps)


def _rows(values: Array, path: Path, key: str) -> Float[Array, "T D"]:
    if values.dtype.kind not in "fiu" or values.ndim < 2:
        raise InputError(
            f"{path.name}: {key} is {values.dtype}{list(values.shape)}, expected numbers, one row per frame"
        )
    return np.asarray(values, dtype=np.float64).reshape(len(values), -1)


def _is_numeric(values: Array) -> bool:
    return values.dtype.kind in "fiu" and values.size > 0


def _word(values: Array | None) -> str:
    if values is None or values.size == 0 or values.dtype.kind not in "SU":
        return ""
    item = values.ravel()[0]
    return item.decode("latin-1") if isinstance(item, bytes) else str(item)


# ------------------------------------------------------------------------------------------- body model


def _find_model(parameters: _Parameters, overrides: MotionOverrides, path: Path) -> tuple[Path, tuple[str, ...]]:
    """The best fitting model file below the user's directory, and what had to be taken instead of the asked one."""
    kind, gender = parameters.kind, parameters.gender
    place = overrides.body_model
    needs = (
        f"{path.name} holds {kind.upper()} parameters, not joints: posing them needs the {kind.upper()} body model "
        f"({gender}), a file such as {kind.upper()}_{gender.upper()}.npz from the model's site (its licence is yours "
        "to accept). Set body_model to that file or its directory"
    )
    if place is None:
        raise InputError(needs)
    if place.is_file():
        return place, ()
    if not place.is_dir():
        raise InputError(f"body_model {place} does not exist. {needs}")
    files = sorted(p for p in place.glob("**/*") if p.suffix.lower() in (".npz", ".pkl") and p.is_file())[:500]
    kinds = [kind, *(k for k in ("smplh", "smplx", "smpl") if k != kind)]
    genders = [gender, *(g for g in ("neutral", "male", "female") if g != gender)]
    for k in kinds:
        for g in genders:
            found = next((p for p in files if _model_kind(p, place) == k and _model_gender(p, place) == g), None)
            if found is not None:
                same = k == kind and g == gender
                return found, () if same else (f"{kind} {gender} was asked for; {found.name} ({k} {g}) is used.",)
    raise InputError(f"no model file was found in {place}. {needs}")


def _model_kind(file: Path, place: Path) -> str | None:
    name = "/".join(file.relative_to(place.parent).parts).lower()
    marks = (("smplx", "smplx"), ("smplh", "smplh"), ("smpl", "smpl"), ("basicmodel", "smpl"))
    return next((kind for mark, kind in marks if mark in name), None)


def _model_gender(file: Path, place: Path) -> str | None:
    name = "/".join(file.relative_to(place).parts).lower()
    marks = (("female", "female"), ("male", "male"), ("neutral", "neutral"), ("_f_", "female"), ("_m_", "male"))
    return next((gender for mark, gender in marks if mark in name), None)


@lru_cache(maxsize=4)  # AMASS has 11,000 sequences to one body model
def _load_model(file: Path) -> _BodyModel:
    keys = ("v_template", "shapedirs", "J_regressor", "kintree_table")
    data = load_body_model(file, keys)
    template, shapes, regressor, tree = (data[k] for k in keys)
    vertices, joints = len(template), len(regressor)
    right = (
        template.shape == (vertices, 3)
        and shapes.ndim == 3
        and shapes.shape[:2] == (vertices, 3)
        and regressor.shape == (joints, vertices)
        and tree.ndim == 2
        and tree.shape[1] == joints
        and joints >= 22
        and all(a.dtype.kind in "fiu" for a in (template, shapes, regressor, tree))
    )
    if not right:
        shapes_found = {k: np.shape(data[k]) for k in keys}
        raise InputError(f"{file.name} has arrays of shapes {shapes_found}, which is no SMPL-family body model")
    parents = tuple(int(p) for p in tree[0].astype(np.int64)[:22])
    if any(not 0 <= p < i for i, p in enumerate(parents) if i):
        raise InputError(f"{file.name}: kintree_table is no tree of joints in order; the file is damaged")
    return _BodyModel(
        template.astype(np.float64), shapes.astype(np.float64), regressor[:22].astype(np.float64), (-1, *parents[1:])
    )


def _joints(model: _BodyModel, parameters: _Parameters, keep: slice) -> Float[Array, "T 22 3"]:
    """Posed joint positions in metres of the kept frames."""
    try:
        import torch
        from smplx import lbs
    except ImportError as error:
        raise InputError(
            f"reading SMPL parameters needs the packages smplx and torch ({error}); install them"
        ) from error
    kinematics: Any = lbs  # smplx annotates with a Tensor class of its own
    used = min(len(parameters.betas), model.shape_directions.shape[2], 300)
    betas = torch.from_numpy(parameters.betas[:used])[None]
    template = torch.from_numpy(model.template)[None]
    shaped = template + kinematics.blend_shapes(betas, torch.from_numpy(model.shape_directions[..., :used].copy()))
    rest = kinematics.vertices2joints(torch.from_numpy(model.regressor), shaped)
    parents = torch.tensor(model.parents)
    pose, root_m = parameters.pose[keep], parameters.root_m[keep]
    posed = []
    for start in range(0, len(pose), BATCH):
        part = torch.from_numpy(np.ascontiguousarray(pose[start : start + BATCH]))
        turns = kinematics.batch_rodrigues(part.reshape(-1, 3)).reshape(-1, 22, 3, 3)
        joints, _ = kinematics.batch_rigid_transform(turns, rest.expand(len(part), -1, -1), parents, dtype=part.dtype)
        posed.append(joints.numpy())
    return np.concatenate(posed) + root_m[:, None]

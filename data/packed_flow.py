"""Clips packed for small networks: a few even moments of a person, 64 x 64, with the flow seen in each.

One `NAME.npz` a clip holds what is seen and the classical flow; `NAME.hmore.npz` beside it holds H-MoRe's, so that
either can be made afresh alone. `about.json` and `hmore.json` say how they were made. All flow is in body heights per
second, 0 outside the person.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from motionqa.data.schema import InputError

Array = np.ndarray

Condition = Literal["none", "dis", "world", "local", "both"]
FLOWS: dict[Condition, tuple[str, ...]] = {
    "none": (),
    "dis": ("dis",),
    "world": ("world",),
    "local": ("local",),
    "both": ("world", "local"),
}
"""The flows that a network is given beside what is seen."""
ABOUT, HMORE = "about.json", "hmore.json"
WALKS, KNOWN_TRIALS = ("jog", "walk"), ("1", "2")
"""Of UTD-MHAD, to tell people by: the actions that are gaits, and the trials that train and are the gallery (ours)."""


@dataclass(frozen=True)
class PackedName:
    """What a packed clip shows; words are empty where the source has none."""

    name: str
    label: str = ""
    """The action, or the way of walking (nm, bg, cl)."""
    subject: str = ""
    take: str = ""
    view: str = ""
    split: str = ""


@dataclass(frozen=True, eq=False)
class PackedSight:
    """What is seen of a person, and the classical flow there."""

    seen: Float[Array, "T H W"]
    """0 outside the person; inside 1, or relative depth from 0.1 (far) to 1 (near)."""
    dis: Float[Array, "T 2 H W"]


@dataclass(frozen=True, eq=False)
class PackedHMoRe:
    """World flow and the person's own course; their difference inside the person is the local flow."""

    world: Float[Array, "T 2 H W"]
    trend: Float[Array, "T 2"]


def channel_count(condition: Condition) -> int:
    """Channels of `packed_channels`: what is seen, and two for every flow."""
    return 1 + 2 * len(FLOWS[condition])


def sight_path(folder: Path, name: str) -> Path:
    """Where a clip's sight is kept."""
    return folder / f"{name}.npz"


def hmore_path(folder: Path, name: str) -> Path:
    """Where a clip's H-MoRe flow is kept."""
    return folder / f"{name}.hmore.npz"


def save_sight(folder: Path, about: PackedName, sight: PackedSight) -> None:
    """Keeps a clip as float16, whole or not at all."""
    words = {k: np.array(v) for k, v in asdict(about).items()}
    _write(sight_path(folder, about.name), seen=_half(sight.seen), dis=_half(sight.dis), **words)


def save_hmore(folder: Path, name: str, flow: PackedHMoRe) -> None:
    """Keeps a clip's H-MoRe flow as float16, whole or not at all."""
    _write(hmore_path(folder, name), world=_half(flow.world), trend=_half(flow.trend))


def packed_names(folder: Path) -> list[PackedName]:
    """What a folder of packed clips holds, by name. InputError where it holds none."""
    files = sorted(f for f in folder.glob("*.npz") if not f.name.endswith(".hmore.npz")) if folder.is_dir() else []
    if not files:
        raise InputError(
            f"{folder} holds no packed clips; motionqa.finetune.depth_flow and motionqa.finetune.gait_flow make them"
        )
    fields = tuple(PackedName.__dataclass_fields__)
    return [PackedName(**{k: str(v) for k, v in _read(f, fields).items()}) for f in files]


def packed_channels(folder: Path, name: str, condition: Condition) -> Float[Array, "T C H W"]:
    """What a network is given of one clip: what is seen, then x and y of each flow of the condition; float16.

    InputError where the flow was not packed.
    """
    sight = _read(sight_path(folder, name), ("seen", "dis"))
    parts = [sight["seen"][:, None]]
    wanted = FLOWS[condition]
    if "dis" in wanted:
        parts.append(sight["dis"])
    if {"world", "local"} & set(wanted):
        path = hmore_path(folder, name)
        if not path.exists():
            raise InputError(f"{folder} holds no H-MoRe flow of {name}; pack it with --flow MODEL_FOLDER")
        flow = _read(path, ("world", "trend"))
        inside = sight["seen"][:, None] > 0
        local = np.where(inside, flow["world"] - flow["trend"][..., None, None], np.float16(0))
        parts += [{"world": flow["world"], "local": local}[w] for w in wanted]
    return np.concatenate(parts, axis=1)


def claim(folder: Path, kind: str, how: dict[str, Any]) -> None:
    """Says in the folder how what it holds is made (`about.json` or `hmore.json`, `run.json` of a training run).

    InputError where it was made otherwise before: things of two makings would look like one set.
    """
    path = folder / kind
    text = json.dumps(how, indent=1, sort_keys=True) + "\n"
    if path.exists() and path.read_text() != text:
        raise InputError(
            f"{path} says that what is there was made otherwise ({' '.join(path.read_text().split())}); give another "
            f"folder, or remove {path.name} and the files that it speaks of"
        )
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def packing(folder: Path, condition: Condition) -> dict[str, Any]:
    """How the channels of a condition were made, as `claim` left it; empty where nobody said."""
    kinds = (ABOUT, HMORE) if {"world", "local"} & set(FLOWS[condition]) else (ABOUT,)
    return {k: json.loads((folder / k).read_text()) for k in kinds if (folder / k).exists()}


def _half(values: Float[Array, "..."]) -> Float[Array, "..."]:
    if not np.isfinite(values).all():
        raise ValueError("flow that is not finite was about to be packed")
    return values.astype(np.float16)


def _write(path: Path, **arrays: Array) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("wb") as f:
        np.savez_compressed(f, allow_pickle=False, **arrays)
    os.replace(part, path)


def _read(path: Path, keys: tuple[str, ...]) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as data:
            return {k: data[k] for k in keys}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is no whole packed clip ({error}); remove it and pack again") from error

"""Motion capture as films of it would be read, kept in npz files that `motionqa.finetune.film_bank` writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from motionqa.data.mocap.clip import MocapClip
from motionqa.data.schema import InputError


def load_bank(folder: Path, clips: Sequence[MocapClip]) -> list[MocapClip]:
    """The films of given clips, as clips: same names and splits, joints as read off the film.

    InputError where the folder holds no films.
    """
    files = sorted(folder.glob("films-*.npz"))
    if not files:
        raise InputError(f"{folder} holds no films; write them with python -m motionqa.finetune.film_bank")
    named = {f"{c.source}/{c.clip_id}": c for c in clips}
    out = []
    for file in files:
        with np.load(file) as data:
            offsets, names = data["offsets"], data["clip"]
            xyz, confidence = data["xyz_m"], data["confidence"].astype(np.float32)
        for name, a, b in zip(names, offsets, offsets[1:], strict=False):
            if b > a and str(name) in named:
                out.append(replace(named[str(name)], xyz_m=xyz[a:b], confidence=confidence[a:b]))
    return out

"""Where the weights that ship with the project are, and the choice between lifters by name."""

from __future__ import annotations

import json
from pathlib import Path

from motionqa.data.schema import InputError
from motionqa.encoders.clip_encoder import LiftingConfig

WEIGHTS = Path(__file__).parent / "weights"
LIFTERS = ("dstformer", "blazepose")
DEFAULT_LIFTER = "dstformer"


def lifting(name: str = DEFAULT_LIFTER) -> LiftingConfig:
    """The lifter of a name: `dstformer` (released), `blazepose` (its own depth), or a folder of weights.

    InputError where there is no such folder.
    """
    if name == "blazepose":
        return LiftingConfig()
    folder = WEIGHTS / "dstformer" if name == "dstformer" else Path(name)
    config = folder / "config.json"
    if not config.exists():
        raise InputError(
            f"There is no lifter {name!r}: expected {' or '.join(LIFTERS)}, or a folder with config.json and "
            "model.safetensors as written by pretraining."
        )
    return LiftingConfig(folder, json.loads(config.read_text())["weights_sha256"][:16])

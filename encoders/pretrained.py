"""The one door for weights: official MotionBERT and RAFT-small checkpoints in, our own model directories in and out.

Official checkpoints (arXiv 2210.06551; `latest_epoch.bin`, `best_epoch.bin`) are torch pickles that hold a state dict
under `model_pos` (pretraining and 3D pose) or `model` (mesh and action, where the encoder's names begin with
`backbone.`), often with `module.` before every name. The names left are those of `motionqa.encoders.dstformer`.
RAFT-small (Teed and Deng, ECCV 2020; `raft-small.pth`) is a bare state dict with the names of
`motionqa.encoders.flow.raft`.

Nothing is matched in part unless it is asked for, and every key of the file is accounted for in the `LoadReport`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from motionqa.data.schema import InputError
from motionqa.encoders.dstformer import DSTformer, DSTformerConfig
from motionqa.encoders.flow.hmore import FlowConfig, WorldFlow
from motionqa.encoders.flow.raft import RAFTSmall
from motionqa.encoders.model_dir import ModelDir, load_model_dir, require_finite, save_model_dir

__all__ = [
    "LoadReport",
    "ModelDir",
    "infer_config",
    "load_dstformer",
    "load_model_dir",
    "load_raft_small",
    "read_state",
    "save_model_dir",
]

WRAPPERS = ("model_pos_ema", "model_ema", "state_dict_ema", "ema", "model_pos", "model", "state_dict", "net")
"""Where checkpoints keep their state dict; averaged (ema) weights first, since those are the ones to be used."""
PREFIXES = ("module.", "ema_model.", "_orig_mod.")
"""What DataParallel, averaging and torch.compile put before every name."""
BACKBONE = "backbone."


@dataclass(frozen=True)
class LoadReport:
    """What became of every key, of the file and of the model."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...] = ()
    """In the model but not in the file."""
    unexpected: tuple[str, ...] = ()
    """In the file but not in the model."""
    wrong_shape: tuple[str, ...] = ()
    """`name: (shape in the file) instead of (shape in the model)`."""
    set_aside: tuple[str, ...] = ()
    """The task head beside the `backbone.` of official mesh and action checkpoints: known, no part of DSTformer."""
    by_design: tuple[str, ...] = ()
    """In the model and in no such checkpoint, since they are this project's own: they keep their start."""

    @property
    def complete(self) -> bool:
        """Whether the model got all its weights and the file had no unexplained ones."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    def __str__(self) -> str:
        lines = [f"{len(self.loaded)} tensors loaded"]
        for word in ("missing", "unexpected", "wrong_shape", "set_aside", "by_design"):
            names = getattr(self, word)
            if names:
                what = "missing by design" if word == "by_design" else word.replace("_", " ")
                lines.append(f"{len(names)} {what}: {_some(names)}")
        return "\n".join(lines)


def _some(names: tuple[str, ...], limit: int = 12) -> str:
    return ", ".join(names[:limit]) + (f", … ({len(names) - limit} more)" if len(names) > limit else "")


# ------------------------------------------------------------------------------------------------ reading


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, wrappers and prefixes that every name carries taken off.

    Reads torch files (`.bin`, `.pth`, `.pt`, `.ckpt`) without running anything they bring along, and `.safetensors`.
    Names under `backbone.` keep it, beside their task head's. InputError for files that are no checkpoint.
    """
    if not path.is_file():
        raise InputError(f"{path} is no file; give the checkpoint itself, e.g. latest_epoch.bin")
    if path.stat().st_size == 0:
        raise InputError(f"{path.name} is empty (0 bytes); download it again")
    state: Any = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    for _ in range(3):  # a wrapper may hold a wrapper
        inner = state if isinstance(state, Mapping) else {}
        state = next((inner[w] for w in WRAPPERS if isinstance(inner.get(w), Mapping)), state)
    tensors = {str(k): v for k, v in state.items() if isinstance(v, Tensor)} if isinstance(state, Mapping) else {}
    if not tensors:
        found = f"the keys {_some(tuple(map(str, state)))}" if isinstance(state, Mapping) else type(state).__name__
        raise InputError(
            f"{path.name} holds no state dict: found {found}, expected tensors by name, or one of {', '.join(WRAPPERS)}"
        )
    return _without_prefixes(tensors)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path.name} is no whole safetensors file ({error}); download it again") from error


def _read_torch(path: Path) -> Any:
    try:
        # Official checkpoints record their best loss as a numpy number: plain data, but unknown to torch.
        with torch.serialization.safe_globals(_NUMPY_NUMBERS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or foreign file can fail anywhere
        what = re.sub(r"\s+", " ", str(error))[:200]
        raise InputError(
            f"{path.name} is no checkpoint that can be read safely ({type(error).__name__}: {what}). Expected a torch "
            "file of tensors and plain numbers, such as MotionBERT's latest_epoch.bin; download it again"
        ) from error


def _numpy_numbers() -> list[Any]:
    scalar = np.float64(0).__reduce__()[0]  # numpy keeps moving the module that it lives in
    names = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    return [*names, np.dtype, *(type(np.dtype(kind)) for kind in ("f8", "f4", "i8", "i4"))]


_NUMPY_NUMBERS = _numpy_numbers()


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for _ in PREFIXES:
        for prefix in PREFIXES:
            # Averaged models keep a count beside the weights, without the prefix.
            named = {k for k in tensors if k.startswith(prefix)}
            if named and all(tensors[k].ndim == 0 for k in tensors.keys() - named):
                tensors = {k.removeprefix(prefix): v for k, v in tensors.items()}
    return tensors


def _encoder_part(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The encoder's tensors, and the names that belong to a task head beside it."""
    if not any(k.startswith(BACKBONE) for k in state):
        return dict(state), ()
    inside = {k.removeprefix(BACKBONE): v for k, v in state.items() if k.startswith(BACKBONE)}
    return inside, tuple(k for k in state if not k.startswith(BACKBONE))


# ------------------------------------------------------------------------------------------- understanding


def infer_config(state: Mapping[str, Tensor], heads: int = 8) -> DSTformerConfig:
    """The sizes of the DSTformer that a state dict belongs to, from its shapes.

    The number of attention heads leaves no trace in them: 8 in every official checkpoint. InputError names what
    would have to be there where it is no DSTformer's; ValueError where `heads` does not divide the width.
    """
    inside, _ = _encoder_part(state)
    ranks = {
        "joints_embed.weight": 2,
        "pos_embed": 3,
        "temp_embed": 4,
        "pre_logits.fc.weight": 2,
        "blocks_st.0.mlp_s.fc1.weight": 2,
    }
    absent = [k for k, rank in ranks.items() if k not in inside or inside[k].ndim != rank]
    if absent:
        raise InputError(
            f"this is no DSTformer checkpoint: {', '.join(absent)} missing or of another rank; "
            f"it has {_some(tuple(inside))}"
        )
    width, channels = inside["joints_embed.weight"].shape
    layers = {int(m[1]) for k in inside if (m := re.match(r"blocks_st\.(\d+)\.", k))}
    outputs = inside["head.weight"].shape[0] if "head.weight" in inside else DSTformerConfig.out_channels
    return DSTformerConfig(
        joints=inside["pos_embed"].shape[1],
        in_channels=channels,
        out_channels=outputs,
        width=width,
        depth=max(layers) + 1,
        heads=heads,
        mlp_ratio=inside["blocks_st.0.mlp_s.fc1.weight"].shape[0] / width,
        representation=inside["pre_logits.fc.weight"].shape[0],
        max_frames=inside["temp_embed"].shape[1],
    )


def load_dstformer(path: Path, heads: int = 8, allow_partial: bool = False) -> tuple[DSTformer, LoadReport]:
    """The DSTformer of a checkpoint in float32, in evaluation mode, and what became of each of its keys.

    InputError naming what does not fit on anything but a full match, unless `allow_partial`; weights that are missing
    then keep their random start. InputError, always, where a weight is not finite.
    """
    state = read_state(path)
    inside, set_aside = _encoder_part(state)
    model = DSTformer(infer_config(state, heads))
    return model, _filled(model, inside, path, allow_partial, set_aside=set_aside)


def load_raft_small(
    path: Path, allow_partial: bool = False, config: FlowConfig = FlowConfig()
) -> tuple[WorldFlow, LoadReport]:
    """H-MoRe's Φ from a RAFT-small checkpoint, in float32, in evaluation mode, and what became of each of its keys.

    What Φ has beyond RAFT-small (attention, learned enlargement) is missing by design and keeps its start, which
    leaves RAFT-small's answer as it is, but for the enlargement's softness. InputError naming what does not fit on
    anything but a full match, unless `allow_partial`; always where no key fits, or a weight is not finite.
    """
    model = WorldFlow(config)
    published = RAFTSmall().state_dict().keys()
    ours = tuple(k for k in model.state_dict() if k not in published)
    report = _filled(model, read_state(path), path, allow_partial, by_design=ours)
    if not report.loaded:
        raise InputError(f"{path.name} is no RAFT-small checkpoint: not a single name and shape fits\n{report}")
    return model, report


def _filled(
    model: nn.Module,
    state: Mapping[str, Tensor],
    path: Path,
    allow_partial: bool,
    set_aside: tuple[str, ...] = (),
    by_design: tuple[str, ...] = (),
) -> LoadReport:
    """Puts a checkpoint's tensors into a model, which is then in evaluation mode, and reports every key."""
    own = model.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    report = LoadReport(
        loaded=tuple(fitting),
        missing=tuple(k for k in own if k not in state and k not in by_design),
        unexpected=tuple(k for k in state if k not in own),
        wrong_shape=tuple(
            f"{k}: {tuple(v.shape)} instead of {tuple(own[k].shape)}"
            for k, v in state.items()
            if k in own and k not in fitting
        ),
        set_aside=set_aside,
        by_design=tuple(k for k in by_design if k not in state),
    )
    if not report.complete and not allow_partial:
        what = type(model).__name__
        raise InputError(f"{path.name} does not fit {what}:\n{report}\nallow_partial loads what does")
    require_finite(fitting, path.name)
    model.load_state_dict(fitting, strict=False)
    model.eval()
    return report

"""Our own released networks: a directory that explains itself.

`config.json` says which network it is and its sizes, how it is to be used (`lifter`, or `usage` of a head: its task,
classes and frames), how it was trained (`recipe`), on
what (`data`) and how well it does (`scores`); `model.safetensors` holds the weights as float16.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from motionqa.data.schema import InputError
from motionqa.encoders.concepts.humocon import HuMoCon, HuMoConConfig
from motionqa.encoders.dstformer import DSTformer, DSTformerConfig
from motionqa.encoders.flow.heads import FlowActionNet, FlowGaitNet
from motionqa.encoders.flow.hmore import FlowConfig, HMoRe
from motionqa.encoders.heads import ActionHead, EmbeddingHead, MotionModel, TemporalTransformer
from motionqa.encoders.mlp_lifter import MLPLifter
from motionqa.encoders.reader.network import MotionReader, ReaderConfig

CONFIG, WEIGHTS = "config.json", "model.safetensors"
SECTIONS = ("lifter", "usage", "recipe", "data", "scores")
SIZED = {
    "mlp": MLPLifter,
    "transformer": TemporalTransformer,
    "flow_action": FlowActionNet,
    "flow_gait": FlowGaitNet,
}
"""Networks that are made from their `sizes` alone."""
CONFIGURED = {DSTformer: "dstformer", HMoRe: "hmore", HuMoCon: "humocon", MotionReader: "reader"}
"""Networks that are made from a configuration."""


@dataclass(frozen=True, eq=False)
class ModelDir:
    """A model as released: its network with weights, and everything it says about itself."""

    model: nn.Module
    """In evaluation mode, float32: a DSTformer, a MotionModel, one of the baselines, H-MoRe, or what reads its flow."""
    lifter: dict[str, Any] = field(default_factory=dict)
    """How the network is fed and read: window, normalisation, unit of its output."""
    usage: dict[str, Any] = field(default_factory=dict)
    """What a head is for: task, classes, frames a clip."""
    recipe: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""
    """Of the file of weights: which version this is."""


def save_model_dir(
    folder: Path,
    model: nn.Module,
    lifter: Any = None,
    usage: Any = None,
    recipe: Any = None,
    data: Any = None,
    scores: Any = None,
) -> Path:
    """The folder, now holding the model; each section is a dictionary or a dataclass.

    Files are exchanged whole and the configuration names the weights it belongs to, so that no reader takes half of
    a model for one. Other files in the folder stay. ValueError for another kind of network, and for weights that are
    not finite in float16.
    """
    name, sizes = _network(model)
    weights = {k: _half(k, v) for k, v in model.state_dict().items()}
    blob = save(weights)
    sections = {"lifter": lifter, "usage": usage, "recipe": recipe, "data": data, "scores": scores}
    config = {
        "network": name,
        "config": sizes,
        "weights_sha256": hashlib.sha256(blob).hexdigest(),
        **{k: _section(k, v) for k, v in sections.items()},
    }
    text = json.dumps(config, indent=2, default=_plain)
    folder.mkdir(parents=True, exist_ok=True)
    _write_whole(folder / WEIGHTS, blob)
    _write_whole(folder / CONFIG, (text + "\n").encode())
    return folder


def load_model_dir(folder: Path) -> ModelDir:
    """The model of a directory written by `save_model_dir`, weights as float32.

    InputError where a file is missing, damaged or of another model, or where a single weight does not fit.
    """
    config = _read_config(folder)
    try:
        blob = (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise InputError(f"{folder} has no readable {WEIGHTS} ({error.strerror}); copy the whole directory") from error
    if hashlib.sha256(blob).hexdigest() != config["weights_sha256"]:
        raise InputError(f"{folder}: {WEIGHTS} is not the file that {CONFIG} was written for; copy both again")
    try:
        model = _build(config["network"], config["config"])
        state = {k: v.float() if v.is_floating_point() else v for k, v in load(blob).items()}
        require_finite(state, str(folder / WEIGHTS))
        model.load_state_dict(state)
    except InputError:
        raise
    except (SafetensorError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{folder}: the weights do not fit the network that {CONFIG} describes: {error}") from error
    return ModelDir(model.eval(), **{k: config[k] for k in SECTIONS}, weights_sha256=config["weights_sha256"])


def require_finite(state: Mapping[str, Tensor], what: str) -> None:
    """InputError naming the tensors that hold NaN or infinity."""
    bad = [k for k, v in state.items() if v.is_floating_point() and not torch.isfinite(v).all()]
    if bad:
        raise InputError(
            f"{what} holds NaN or infinity in {', '.join(bad[:12])}; it was saved from a run that diverged"
        )


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text())
    except OSError as error:
        raise InputError(f"{folder} is no model directory: no readable {CONFIG} ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{folder / CONFIG} is no whole json ({error}); copy it again") from error
    expected = ("network", "config", "weights_sha256", *SECTIONS)
    missing = [k for k in expected if not isinstance(config, dict) or k not in config]
    if missing:
        raise InputError(f"{folder / CONFIG} lacks {', '.join(missing)}; it was not written by this project")
    return config


def _network(model: nn.Module) -> tuple[str, dict[str, Any]]:
    """The name and sizes that `_build` makes the same network from."""
    for kind, name in CONFIGURED.items():
        if isinstance(model, kind):
            return name, asdict(model.config)  # type: ignore[arg-type]
    if isinstance(model, MotionModel) and isinstance(model.head, ActionHead | EmbeddingHead):
        name = "action" if isinstance(model.head, ActionHead) else "embedding"
        return name, {"backbone": asdict(model.backbone.config), "head": model.head.sizes}
    if isinstance(model, MLPLifter | TemporalTransformer | FlowActionNet | FlowGaitNet):
        return next(name for name, kind in SIZED.items() if kind is type(model)), model.sizes
    raise ValueError(
        "a model directory holds a DSTformer, alone or with a head, a baseline, H-MoRe, a network over its flow, "
        f"HuMoCon, or a reader; not a {type(model).__name__}"
    )


def _build(network: str, sizes: dict[str, Any]) -> nn.Module:
    if network == "dstformer":
        return DSTformer(DSTformerConfig(**sizes))
    if network in ("action", "embedding"):
        head = ActionHead if network == "action" else EmbeddingHead
        return MotionModel(DSTformer(DSTformerConfig(**sizes["backbone"])), head(**sizes["head"]))
    if network == "hmore":
        return HMoRe(FlowConfig(**sizes))
    if network == "humocon":
        return HuMoCon(HuMoConConfig.of(sizes))
    if network == "reader":
        return MotionReader(ReaderConfig.of(sizes))
    if network in SIZED:
        return SIZED[network](**sizes)
    raise ValueError(
        f"network is {network!r}, expected dstformer, action, embedding, mlp or transformer, or of the flow branch "
        "hmore, flow_action or flow_gait, humocon, or reader"
    )


def _half(name: str, value: Tensor) -> Tensor:
    if not value.is_floating_point():
        return value.detach().cpu().contiguous()
    half = value.detach().cpu().to(torch.float16).contiguous()
    if not torch.isfinite(half).all():
        raise ValueError(f"{name} is not finite in float16 (largest value {value.abs().max().item():.3g}); not saved")
    return half


def _section(name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError(f"{name} is a {type(value).__name__}, expected a dictionary or a dataclass")


def _plain(value: Any) -> Any:
    """What json does not know: dataclasses within sections, numbers of numpy and torch, paths and the like as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    item = getattr(value, "item", None)
    return item() if callable(item) else str(value)


def _write_whole(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as part:
        part.write(content)
    try:
        os.chmod(part.name, 0o644)  # temporary files are private, a released model is not
        os.replace(part.name, path)
    except OSError:
        Path(part.name).unlink(missing_ok=True)
        raise

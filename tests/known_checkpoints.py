"""Small networks with random weights, and checkpoints as other projects write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from motionqa.encoders.dstformer import DSTformer, DSTformerConfig

CONFIG = DSTformerConfig(
    joints=6, in_channels=2, out_channels=4, width=16, depth=3, heads=8, mlp_ratio=1.5, representation=10, max_frames=11
)


def model(config: DSTformerConfig = CONFIG, seed: int = 3) -> DSTformer:
    torch.manual_seed(seed)
    made = DSTformer(config).eval()
    for parameter in made.parameters():
        parameter.data = torch.randn_like(parameter) * 0.3
    return made


def pose_checkpoint(path: Path, state: dict[str, Tensor], **more: Any) -> Path:
    """As MotionBERT's training scripts write it: optimizer state, and the best loss as a numpy number."""
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(2))])
    content = {
        "epoch": 59,
        "lr": 1e-4,
        "optimizer": optimizer.state_dict(),
        "model_pos": state,
        "min_loss": np.mean([37.2]),
    }
    torch.save(content | more, path)
    return path


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + k: v for k, v in state.items()}

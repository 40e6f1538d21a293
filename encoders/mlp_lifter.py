"""The per-frame baseline beside DSTformer: residual MLP of Martinez et al., "A simple yet effective baseline for 3d
human pose estimation" (ICCV 2017), on joints with confidence. It sees one frame at a time and no other."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class MLPLifter(nn.Module):
    """17 joints of one frame to 17 joints in space, through two residual blocks."""

    def __init__(self, width: int = 1024, dropout: float = 0.25) -> None:
        super().__init__()
        self.sizes = {"width": width, "dropout": dropout}
        self.enter = nn.Sequential(nn.Linear(17 * 3, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout)),
                *(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout)),
            )
            for _ in range(2)
        )
        self.leave = nn.Linear(width, 17 * 3)

    def forward(self, joints: Float[Tensor, "B T 17 3"]) -> Float[Tensor, "B T 17 3"]:
        """Joints in space, each frame for itself."""
        x = self.enter(joints.reshape(-1, 17 * 3))
        for block in self.blocks:
            x = x + block(x)
        return self.leave(x).reshape(*joints.shape[:2], 17, 3)

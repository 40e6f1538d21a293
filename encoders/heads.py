"""What is put on the motion representation for a task: action classes, and embeddings for one-shot recognition.

MotionBERT (arXiv 2210.06551), section 3.4: the representation's mean over time, joints side by side, through one
hidden layer; for one-shot recognition a single linear layer to a unit vector trained with a supervised contrastive
loss (Khosla et al., NeurIPS 2020).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from motionqa.encoders.dstformer import DSTformer


class ActionHead(nn.Module):
    """Class scores: dropout, mean over time, hidden layer with batch norm, linear."""

    def __init__(
        self, joints: int, representation: int, classes: int, hidden: int = 2048, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.sizes = {
            "joints": joints,
            "representation": representation,
            "classes": classes,
            "hidden": hidden,
            "dropout": dropout,
        }
        self.dropout = nn.Dropout(dropout)
        self.fc1 = nn.Linear(joints * representation, hidden)
        self.bn = nn.BatchNorm1d(hidden, momentum=0.1)
        self.fc2 = nn.Linear(hidden, classes)

    def forward(self, representation: Float[Tensor, "B T J R"]) -> Float[Tensor, "B K"]:
        over_time = rearrange(self.dropout(representation).mean(dim=1), "b j r -> b (j r)")
        return self.fc2(F.relu(self.bn(self.fc1(over_time))))


class EmbeddingHead(nn.Module):
    """A unit vector a clip: mean over time, linear."""

    def __init__(self, joints: int, representation: int, width: int = 2048, dropout: float = 0.1) -> None:
        super().__init__()
        self.sizes = {"joints": joints, "representation": representation, "width": width, "dropout": dropout}
        self.dropout = nn.Dropout(dropout)
        self.fc1 = nn.Linear(joints * representation, width)

    def forward(self, representation: Float[Tensor, "B T J R"]) -> Float[Tensor, "B E"]:
        over_time = rearrange(self.dropout(representation).mean(dim=1), "b j r -> b (j r)")
        return F.normalize(self.fc1(over_time), dim=-1)


class MotionModel(nn.Module):
    """A DSTformer backbone with one head."""

    def __init__(self, backbone: DSTformer, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, joints: Float[Tensor, "B T 17 3"]) -> Float[Tensor, "B K"]:
        return self.head(self.backbone.represent(joints))


class TemporalTransformer(nn.Module):
    """A baseline without DSTformer: about 1 M parameters over frames of normalised joints (Vaswani et al., 2017).

    Two strided convolutions over time, two transformer layers, mean over time, linear.
    """

    def __init__(
        self, classes: int, width: int = 192, joints: int = 17, channels: int = 3, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.sizes = {"classes": classes, "width": width, "joints": joints, "channels": channels, "dropout": dropout}
        self.enter = nn.Sequential(
            nn.Conv1d(joints * channels, width, 5, padding=2), nn.BatchNorm1d(width), nn.GELU(),
            nn.Conv1d(width, width, 5, stride=2, padding=2), nn.BatchNorm1d(width), nn.GELU(), nn.Dropout(dropout),
        )  # fmt: skip
        self.place = nn.Parameter(0.02 * torch.randn(1, 256, width))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout, F.gelu, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Dropout(0.5), nn.Linear(width, classes))

    def forward(self, joints: Float[Tensor, "B T 17 3"]) -> Float[Tensor, "B K"]:
        x = self.enter(rearrange(joints, "b t j c -> b (j c) t"))
        x = rearrange(x, "b d t -> b t d")
        return self.leave(self.layers(x + self.place[:, : x.shape[1]]).mean(dim=1))


def supervised_contrastive(
    embedding: Float[Tensor, "B E"], label: Int[Tensor, "B"], temperature: float = 0.1
) -> Float[Tensor, ""]:
    """Mean over clips of −log p(same action), over all other clips of the batch (Khosla et al. 2020, equation 2).

    Clips without a partner of their own action do not count; ValueError where no clip has one.
    """
    same = label[:, None] == label[None]
    other = ~torch.eye(len(label), dtype=torch.bool, device=label.device)
    partners = (same & other).sum(dim=1)
    if not (partners > 0).any():
        raise ValueError("no action occurs twice in the batch; draw several clips of each action")
    scores = (embedding @ embedding.T / temperature).masked_fill(~other, float("-inf"))
    log_p = scores - scores.logsumexp(dim=1, keepdim=True)
    of_partners = torch.where(same & other, log_p, 0.0).sum(dim=1)
    return -(of_partners / partners.clamp(min=1))[partners > 0].mean()

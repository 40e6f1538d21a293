"""Motion concepts: DSTformer's representation of a body over time to codes, and back to joints (HuMoCon, section 3).

What the words mean here, in shapes and units:

- **state** `[B T S]`: what the encoder makes of one frame before it looks at others (the frozen DSTformer has already
  looked around); no unit, S = 64.
- **velocity** `[B T-1 17 3]`: displacement of each joint from a frame to the next, relative to the pelvis, in the
  camera's axes, metres a frame at 15 frames a second.
- **concept** `[B N D]`: the code of four frames, a vector of width 128 among 512.

Where this differs from the paper, which leaves sizes open: all numbers; joints are in the lifter's axes (x to the
image's right, y down, z away, metres, about the pelvis), so that any camera's person can be encoded.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from motionqa.encoders.concepts.frame_tokens import FrameVQ, FromTokens, ToTokens
from motionqa.encoders.concepts.quantizer import Quantizer, QuantizerConfig


@dataclass(frozen=True)
class MotionVQConfig:
    """Sizes; ours."""

    joints: int = 17
    representation: int = 256
    """DSTformer's, per joint and frame."""
    joint_width: int = 24
    state: int = 64
    width: int = 192
    quantizer: QuantizerConfig = QuantizerConfig()
    scale_m: float = 0.25
    """About the RMS of a joint's coordinates about the pelvis in training clips: the unit of the decoder."""
    speed_m: float = 0.025
    """About the RMS of a joint's displacement in a frame, along an axis: the unit of predicted velocity."""


LEAST_SPREAD = 0.05
"""Features that hardly ever change are not blown up further than this."""


class MotionVQ(FrameVQ):
    """`states`, `latents`, `quantise`, `decode`: the four steps from DSTformer's features to joints."""

    mean: Tensor
    spread: Tensor

    def __init__(self, config: MotionVQConfig = MotionVQConfig()) -> None:
        super().__init__()
        self.config = config
        token = config.quantizer.width
        shape = (config.joints, config.representation)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("spread", torch.ones(shape))
        self.of_joint = nn.Linear(config.representation, config.joint_width)
        self.of_body = nn.Linear(config.joints * config.joint_width, config.state)
        self.to_tokens = ToTokens(config.state, config.width, token)
        self.quantizer = Quantizer(config.quantizer)
        self.from_tokens = FromTokens(token, config.width)
        self.head = nn.Linear(config.width, config.joints * 3)
        nn.init.normal_(self.head.weight, std=0.1 * config.width**-0.5)  # a random pose that jumps is worse than none

    def centre(self, features: Float[Tensor, "M J R"], joints: Float[Tensor, "M J 3"]) -> None:
        """Takes these features and joints for what is usual: `states` sees what differs, `decode` begins at the mean.

        DSTformer's representation is saturated: most of it never changes, and what does is small beside that.
        """
        spread, mean = torch.std_mean(features, dim=0)
        self.mean.copy_(mean)
        self.spread.copy_(spread.clamp(min=LEAST_SPREAD))
        with torch.no_grad():
            self.head.bias.copy_(joints.mean(dim=0).flatten() / self.config.scale_m)

    def states(self, features: Float[Tensor, "B T J R"]) -> Float[Tensor, "B T S"]:
        """Frame-level states. ValueError for features of another DSTformer."""
        expected = (self.config.joints, self.config.representation)
        if tuple(features.shape[2:]) != expected:
            raise ValueError(
                f"expected features of {expected[0]} joints x {expected[1]}, got {tuple(features.shape[2:])}; they "
                "come from a DSTformer of another size than the one these weights were trained on"
            )
        body = F.gelu(self.of_joint((features - self.mean) / self.spread)).flatten(2)
        return self.of_body(body)

    def decode(
        self, vectors: Float[Tensor, "B N D"], hidden: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B T J 3"]:
        """Joints about the pelvis in metres; their differences over time are the decoded velocity.

        Tokens that are `hidden` are covered after quantisation: the decoder guesses them from the others.
        """
        flat = self.head(self.from_tokens(vectors, hidden)) * self.config.scale_m
        joints = rearrange(flat, "b t (j d) -> b t j d", d=3)
        return joints - joints[:, :, :1]


def velocity(joints: Float[Tensor, "B T J 3"]) -> Float[Tensor, "B _ J 3"]:
    """Displacement of each joint from a frame to the next, metres a frame; one fewer than there are frames."""
    return joints.diff(dim=1)

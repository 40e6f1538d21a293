"""Video concepts: frames of a person and human-centric flow to codes, and back to frames (HuMoCon, section 3).

What the words mean here, in shapes and units:

- **frames** `[B T C 64 64]`: what is seen of the person; 0 outside the outline, inside 1, brightness or relative depth
  up to 1.
- **flow** `[B T 4 64 64]`: H-MoRe's world flow (x, y) and local flow (x, y) from this frame to the next, body heights
  per second, 0 outside the person.
- **state** `[B T S]`: what the encoder makes of one frame and of the flow that led to it; no unit, S = 64.
- **velocity** `[B T-1 4 8 8]`: the flow from a frame to the next, averaged over 8 x 8 squares of the picture.
- **concept** `[B N D]`: the code of four frames, a vector of width 128 among 512.

The flow shown with a frame is the one that arrives there, never the one that leaves: that is the velocity to find.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from motionqa.encoders.concepts.frame_tokens import FrameVQ, FromTokens, ToTokens
from motionqa.encoders.concepts.quantizer import Quantizer, QuantizerConfig

FLOW_CHANNELS = 4
VELOCITY_SIDE = 8


class FrameEncoder(Protocol):
    """What looks at single pictures. A larger one takes the place of the compact one through `FRAME_ENCODERS`."""

    width: int

    def __call__(self, pictures: Float[Tensor, "M C H W"], /) -> Float[Tensor, "M W"]: ...


@dataclass(frozen=True)
class VideoVQConfig:
    """Sizes; ours."""

    side: int = 64
    channels: int = 1
    """Of what is seen, without flow."""
    frame_encoder: str = "compact"
    """A name of `FRAME_ENCODERS`."""
    frame_width: int = 128
    state: int = 64
    width: int = 192
    quantizer: QuantizerConfig = QuantizerConfig()
    decoded_side: int = 32
    """Side of reconstructed frames; finer detail is not asked for."""
    flow_scale: float = 0.05
    """About the RMS of averaged flow, body heights per second: the unit of predicted velocity."""

    def __post_init__(self) -> None:
        if self.side % 32 or self.side % self.decoded_side or self.decoded_side % 8:
            raise ValueError(
                f"side {self.side} must be a multiple of 32 and of decoded_side {self.decoded_side}, itself of 8"
            )


class CompactFrames(nn.Module):
    """Four convolutions that see a picture through ever larger squares."""

    def __init__(self, config: VideoVQConfig) -> None:
        super().__init__()
        self.width = config.frame_width
        channels = config.channels + FLOW_CHANNELS
        sizes = (channels, 32, 48, 64)
        strides = (4, 2, 2)
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, s + 1 if s == 2 else s, s, padding=int(s == 2))
            for a, b, s in zip(sizes, sizes[1:], strides, strict=False)
        )
        self.leave = nn.Linear(sizes[-1] * (config.side // 16) ** 2, config.frame_width)

    def forward(self, pictures: Float[Tensor, "M C H W"]) -> Float[Tensor, "M F"]:
        x = pictures
        for layer in self.layers:
            x = F.gelu(layer(x))
        return self.leave(x.flatten(1))


FRAME_ENCODERS: dict[str, Callable[[VideoVQConfig], nn.Module]] = {"compact": CompactFrames}
"""Frame encoders by the name that a configuration gives; add a larger one here before a model is built or loaded.

They are given pictures of `channels` + 4 channels and answer with vectors of their `width` (`FrameEncoder`)."""


class VideoVQ(FrameVQ):
    """`states`, `latents`, `quantise`, `decode`: the four steps from frames and flow to frames again."""

    usual: Tensor

    def __init__(self, config: VideoVQConfig = VideoVQConfig()) -> None:
        super().__init__()
        self.config = config
        if config.frame_encoder not in FRAME_ENCODERS:
            raise ValueError(
                f"there is no frame encoder {config.frame_encoder!r}, only {', '.join(sorted(FRAME_ENCODERS))}; put it "
                "into motionqa.encoders.concepts.video_vq.FRAME_ENCODERS before the model is built"
            )
        token = config.quantizer.width
        self.register_buffer("usual", torch.zeros(config.channels, config.side, config.side))
        self.frames = FRAME_ENCODERS[config.frame_encoder](config)
        width = self.frames.width
        assert isinstance(width, int)
        self.of_frame = nn.Linear(width, config.state)
        self.to_tokens = ToTokens(config.state, config.width, token)
        self.quantizer = Quantizer(config.quantizer)
        self.from_tokens = FromTokens(token, config.width)
        self.grid = config.decoded_side // 8
        self.head = nn.Linear(config.width, 64 * self.grid**2)
        self.paint = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in ((64, 32), (32, 16)))
        self.finish = nn.ConvTranspose2d(16, config.channels, 4, 2, 1)

    def centre(self, seen: Float[Tensor, "M C H W"]) -> None:
        """Takes the mean of these frames for what is usual: `states` sees what differs, `decode` begins there."""
        self.usual.copy_(seen.mean(dim=0))

    def states(
        self, seen: Float[Tensor, "B T C H W"], flow: Float[Tensor, "B T 4 H W"] | None
    ) -> Float[Tensor, "B T S"]:
        """Frame-level states; without flow, as if nothing had moved. ValueError for frames of another size."""
        config = self.config
        expected = (config.channels, config.side, config.side)
        if tuple(seen.shape[2:]) != expected:
            raise ValueError(f"expected frames of [channels, side, side] {expected}, got {tuple(seen.shape[2:])}")
        return self.frame_states(seen, None if flow is None else arriving(flow))

    def frame_states(
        self, seen: Float[Tensor, "B T C H W"], came: Float[Tensor, "B T 4 H W"] | None
    ) -> Float[Tensor, "B T S"]:
        """States of single frames and the flow that arrived at each."""
        if came is None:
            came = seen.new_zeros(*seen.shape[:2], FLOW_CHANNELS, *seen.shape[3:])
        pictures = torch.cat([seen - self.usual, came / (4 * self.config.flow_scale)], dim=2).flatten(0, 1)
        return self.of_frame(F.gelu(self.frames(pictures))).unflatten(0, seen.shape[:2])

    def decode(
        self, vectors: Float[Tensor, "B N D"], hidden: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B T C h w"]:
        """What is seen, at `decoded_side`. Tokens that are `hidden` are covered after quantisation."""
        features = self.from_tokens(vectors, hidden)
        x = self.head(features).flatten(0, 1).unflatten(1, (64, self.grid, self.grid))
        for layer in self.paint:
            x = F.gelu(layer(x))
        usual = coarse(self.usual[None, None], self.config.decoded_side)
        return self.finish(x).unflatten(0, features.shape[:2]) + usual


def arriving(flow: Float[Tensor, "B T 4 H W"]) -> Float[Tensor, "B T 4 H W"]:
    """The flow that led to each frame: the one that left the frame before; 0 at the first."""
    return torch.cat([torch.zeros_like(flow[:, :1]), flow[:, :-1]], dim=1)


def coarse(pictures: Float[Tensor, "B T C H W"], side: int) -> Float[Tensor, "B T C h w"]:
    """Means over squares, so that `side` x `side` values are left."""
    return F.adaptive_avg_pool2d(pictures.flatten(0, 1), side).unflatten(0, pictures.shape[:2])


def flow_velocity(flow: Float[Tensor, "B T 4 H W"]) -> Float[Tensor, "B _ 4 h w"]:
    """The velocity of a video: coarse flow from each frame to the next; one fewer than there are frames."""
    return coarse(flow[:, :-1], VELOCITY_SIDE)

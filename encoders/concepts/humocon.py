"""HuMoCon (arXiv 2505.20920): two encoders that discover concepts, in motion and in video, and what trains them.

    motion features ─ states ─ latents ─ codes ─┬─ masked ─ decoder ─ joints      reconstruction
                         │                      ├─ hypernetwork(state)            discriminative informativeness
                         └── ∇ of its score ────┴─ causal transformer ─ velocity  actionable informativeness
    frames and flow  ─ the same, with flow as velocity
    codes of both ─ two projections ─ one space                                   alignment, on pairs

`HuMoCon.forward` gives every term; `motionqa.finetune.pretrain_concepts` weighs them. Each squared error is over the
mean square that its target usually has, so 1 is as bad as predicting nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from motionqa.encoders.concepts.align import AlignConfig, Alignment
from motionqa.encoders.concepts.frame_tokens import TOKEN_FRAMES, hidden_tokens
from motionqa.encoders.concepts.informativeness import (
    ConceptClassifier,
    ConceptConfig,
    VelocityTransformer,
    actionable_loss,
    discriminative_loss,
)
from motionqa.encoders.concepts.motion_vq import MotionVQ, MotionVQConfig, velocity
from motionqa.encoders.concepts.quantizer import Quantised, QuantizerConfig
from motionqa.encoders.concepts.video_vq import (
    FLOW_CHANNELS,
    VELOCITY_SIDE,
    VideoVQ,
    VideoVQConfig,
    coarse,
    flow_velocity,
)


@dataclass(frozen=True)
class HuMoConConfig:
    """Sizes of all parts, and the windows that clips are cut into."""

    motion: MotionVQConfig = MotionVQConfig()
    video: VideoVQConfig = VideoVQConfig()
    concept: ConceptConfig = ConceptConfig()
    align: AlignConfig = AlignConfig()
    window: int = 24
    """Frames a window; longer clips are stitched of overlapping ones."""
    fps: float = 15.0

    def __post_init__(self) -> None:
        if self.window % TOKEN_FRAMES or not TOKEN_FRAMES <= self.window <= self.concept.max_frames:
            raise ValueError(
                f"window {self.window} must be a multiple of {TOKEN_FRAMES}, at most {self.concept.max_frames} frames"
            )

    @classmethod
    def of(cls, sizes: dict[str, Any]) -> HuMoConConfig:
        """From what `dataclasses.asdict` made of one."""
        parts: dict[str, Any] = dict(sizes)
        for name, kind in (("motion", MotionVQConfig), ("video", VideoVQConfig)):
            inner = dict(parts[name])
            parts[name] = kind(**{**inner, "quantizer": QuantizerConfig(**inner["quantizer"])})
        parts["concept"], parts["align"] = ConceptConfig(**parts["concept"]), AlignConfig(**parts["align"])
        return cls(**parts)


@dataclass(frozen=True, eq=False)
class ConceptInputs:
    """Windows of motion, and the video of the first `pairs` of them; either may be missing altogether."""

    features: Float[Tensor, "B T J R"] | None = None
    """DSTformer's representation."""
    joints: Float[Tensor, "B T J 3"] | None = None
    """About the pelvis, camera axes, metres."""
    measured: Float[Tensor, "B T J"] | None = None
    """0 where a joint is not known."""
    seen: Float[Tensor, "P T C H W"] | None = None
    flow: Float[Tensor, "P T 4 H W"] | None = None
    pairs: int = 0

    def to(self, device: torch.device) -> ConceptInputs:
        """The same on another device."""
        names = ("features", "joints", "measured", "seen", "flow")
        moved = {n: None if (x := getattr(self, n)) is None else x.to(device) for n in names}
        return ConceptInputs(**moved, pairs=self.pairs)


@dataclass(frozen=True)
class Terms:
    """Which terms are computed, and how much of the quantised features the decoders do not see."""

    discriminative: bool = True
    actionable: bool = True
    align: bool = True
    mask: float = 0.15
    quantise: bool = True
    """False before the codebooks start: decoders and alignment are given levelled latents as they are, and the terms
    about concepts are left out, since there are none yet."""


class HuMoCon(nn.Module):
    """Both encoders, their hypernetworks and velocity transformers, and the shared space."""

    def __init__(self, config: HuMoConConfig = HuMoConConfig()) -> None:
        super().__init__()
        self.config = config
        motion, video = config.motion, config.video
        self.motion, self.video = MotionVQ(motion), VideoVQ(video)
        self.motion_concepts = ConceptClassifier(motion.state, motion.quantizer.width, config.concept)
        self.video_concepts = ConceptClassifier(video.state, video.quantizer.width, config.concept)
        self.motion_velocity = VelocityTransformer(motion.state, motion.joints * 3, config.concept)
        self.video_velocity = VelocityTransformer(video.state, FLOW_CHANNELS * VELOCITY_SIDE**2, config.concept)
        self.align = Alignment(motion.quantizer.width, video.quantizer.width, config.align)

    def forward(self, inputs: ConceptInputs, terms: Terms = Terms()) -> dict[str, Tensor]:
        """Every term by name, unweighted, and beside them accuracies, which are only watched."""
        out: dict[str, Tensor] = {}
        tokens: dict[str, Tensor] = {}
        if inputs.features is not None:
            tokens["motion"] = self._motion(inputs, terms, out)
        if inputs.seen is not None:
            tokens["video"] = self._video(inputs, terms, out)
        if terms.align and inputs.pairs and len(tokens) == 2:
            found = self.align.loss(tokens["motion"][: inputs.pairs], tokens["video"][: inputs.pairs])
            out["align"], out["align_accuracy"] = found["loss"], found["accuracy"]
        return out

    def _motion(self, inputs: ConceptInputs, terms: Terms, out: dict[str, Tensor]) -> Tensor:
        features, joints, measured = inputs.features, inputs.joints, inputs.measured
        assert features is not None
        assert joints is not None
        assert measured is not None
        part = self.motion
        states = part.states(features)
        found = self._tokens(part, states, terms)
        decoded = part.decode(found.vectors, hidden_tokens(found.vectors, terms.mask))
        # Reconstruction, L2, of positions and of their differences.
        weight = measured[..., None].expand_as(joints)
        moved, both = velocity(joints), weight[:, 1:] * weight[:, :-1]
        out["motion_rec"] = _share(decoded - joints, weight, part.config.scale_m)
        out["motion_speed"] = _share(velocity(decoded) - moved, both, part.config.speed_m)
        out["motion_commit"] = found.commitment
        target = moved.flatten(2) / part.config.speed_m
        self._velocity_terms("motion", states, found.vectors, found.codes, target, both.flatten(2), terms, out)
        return found.vectors

    def _video(self, inputs: ConceptInputs, terms: Terms, out: dict[str, Tensor]) -> Tensor:
        seen, flow = inputs.seen, inputs.flow
        assert seen is not None
        part = self.video
        states = part.states(seen, flow)
        found = self._tokens(part, states, terms)
        decoded = part.decode(found.vectors, hidden_tokens(found.vectors, terms.mask))
        target = coarse(seen, part.config.decoded_side)
        out["video_rec"] = (decoded - target).square().mean() / target.square().mean().clamp(min=1e-3)
        out["video_commit"] = found.commitment
        if flow is not None:
            moved = flow_velocity(flow).flatten(2) / part.config.flow_scale
            self._velocity_terms("video", states, found.vectors, found.codes, moved, None, terms, out)
        return found.vectors

    def _tokens(self, part: MotionVQ | VideoVQ, states: Tensor, terms: Terms) -> Quantised:
        latents = part.latents(states)
        if terms.quantise:
            return part.quantise(latents)
        open_ended = part.quantizer.levelled(latents)
        return Quantised(
            open_ended, open_ended.new_zeros(open_ended.shape[:2], dtype=torch.long), latents.new_zeros(())
        )

    def _velocity_terms(
        self, which: str, states: Tensor, vectors: Tensor, codes: Tensor, moved: Tensor, weight: Tensor | None,
        terms: Terms, out: dict[str, Tensor],
    ) -> None:  # fmt: skip
        if not terms.quantise:
            return
        classifier = getattr(self, f"{which}_concepts")
        if terms.discriminative:
            told = discriminative_loss(classifier, states, vectors, codes, self.config.concept.sampled)
            out[f"{which}_dis"], out[f"{which}_dis_accuracy"] = told["loss"], told["accuracy"]
        if terms.actionable:
            transformer = getattr(self, f"{which}_velocity")
            out[f"{which}_act"] = actionable_loss(classifier, transformer, states, vectors, moved, weight)


def _share(error: Tensor, weight: Tensor, scale: float) -> Tensor:
    """Weighted mean square over the target's usual one."""
    return (error.square() * weight).sum() / weight.sum().clamp(min=1) / scale**2

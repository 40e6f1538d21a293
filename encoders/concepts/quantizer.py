"""Vectors to the nearest of a set of learned codes: the concepts of HuMoCon (arXiv 2505.20920, section on VQ-VAE).

The codebook is vector-quantize-pytorch's: moving averages of what is assigned to a code, a k-means start, and codes
that nobody uses put where a vector of the batch is. Ours: vectors are levelled first, to zero mean and unit variance
over the batch (Łańcucki et al., IJCNN 2020), since codes that are averages of the past cannot follow an encoder that
drifts; a code counts as unused below a share of its fair share of the batch, so that the rule does not depend on the
batch's size; a codebook that was not started is an error instead of a k-means run in passing; and a frozen one stays
as it is, levels included, in training too.

Axis legend: `B` clips, `N` tokens, `D` width of a code, `K` codes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from motionqa.data.schema import InputError


@dataclass(frozen=True)
class QuantizerConfig:
    """Size of a codebook and how it learns. 512 codes is what peers use; the rest is ours."""

    codes: int = 512
    width: int = 128
    decay: float = 0.98
    """Of the moving averages, a step."""
    dead_below: float = 0.1
    """A code with less than this share of (tokens a step / codes) is put elsewhere; 0 leaves unused codes alone."""
    kmeans_iters: int = 10

    def __post_init__(self) -> None:
        if self.codes < 2 or self.width < 1:
            raise ValueError(f"a codebook needs at least 2 codes of width 1, got {self.codes} of width {self.width}")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must be at least 0 and below 1, got {self.decay}")


@dataclass(frozen=True, eq=False)
class Quantised:
    """Vectors after quantisation."""

    vectors: Float[Tensor, "B N D"]
    """The codes' vectors; gradients pass straight through to what was quantised."""
    codes: Int[Tensor, "B N"]
    commitment: Float[Tensor, ""]
    """Mean squared distance of what was quantised from its codes, both levelled; 0 outside training."""


@dataclass(frozen=True)
class CodeUsage:
    """How a codebook is used."""

    used: float
    """Share of the codes that occur at all."""
    perplexity: float
    """As many codes used equally often would have the same entropy."""


def code_usage(counts: Float[Tensor, "K"] | Int[Tensor, "K"]) -> CodeUsage:
    """Usage from how often each code occurred; nothing used where nothing was counted."""
    total = counts.sum().item()
    if total <= 0:
        return CodeUsage(0.0, 0.0)
    share = counts.double() / total
    entropy = -(share * share.clamp(min=1e-12).log()).sum()
    return CodeUsage(float((counts > 0).double().mean()), float(entropy.exp()))


class Quantizer(nn.Module):
    """A codebook. `start` it once with vectors of the encoder, then it learns while in training mode."""

    recent: Tensor
    fresh: Tensor

    def __init__(self, config: QuantizerConfig = QuantizerConfig()) -> None:
        from vector_quantize_pytorch import VectorQuantize  # takes as long to import as torch itself

        super().__init__()
        self.config = config
        self.frozen = False
        self.book = VectorQuantize(
            dim=config.width,
            codebook_size=config.codes,
            decay=config.decay,
            kmeans_init=True,
            kmeans_iters=config.kmeans_iters,
            threshold_ema_dead_code=int(config.dead_below > 0),  # on or off; the amount is set in each step
            commitment_weight=1.0,
            rotation_trick=False,  # straight through, as in the paper
        )
        self.level = nn.BatchNorm1d(config.width, affine=False, momentum=0.05)
        self.register_buffer("fresh", torch.tensor(False))
        self.register_buffer("recent", torch.zeros(config.codes))
        """How often each code was used of late. The library's own averages say it of codes that were just moved too."""

    @property
    def vectors(self) -> Float[Tensor, "K D"]:
        """The codes' vectors."""
        return self.book.codebook

    @property
    def started(self) -> bool:
        """Whether the codes have been placed."""
        return bool(self._held("initted"))

    def _held(self, name: str) -> Tensor:
        """One of the library's own tensors: initted, embed, embed_avg (sums), cluster_size (counts)."""
        return self.book._codebook.get_buffer(name)

    def start(self, vectors: Float[Tensor, "M D"]) -> None:
        """Places the codes by k-means on these vectors. ValueError for fewer vectors than codes."""
        if len(vectors) < self.config.codes:
            raise ValueError(f"{len(vectors)} vectors cannot start {self.config.codes} codes; give at least as many")
        with torch.no_grad():
            spread, mean = torch.var_mean(vectors.float(), dim=0)
            self._held("initted").fill_(False)
            self.book._codebook.init_embed_(((vectors.float() - mean) / (spread + self.level.eps).sqrt())[None])
            self.place(self.vectors, mean, spread)

    def place(self, codes: Float[Tensor, "K D"], mean: Float[Tensor, "D"], spread: Float[Tensor, "D"]) -> None:
        """Puts all codes at once, with the level (mean and variance) that vectors are brought to before the look-up."""
        level = self.level.state_dict() | {"running_mean": mean, "running_var": spread}
        self.level.load_state_dict(level)
        with torch.no_grad():
            self._held("embed").copy_(codes[None])
            self._held("initted").fill_(True)
            self.fresh.fill_(True)

    def _count_alike(self, fair: float) -> None:
        """Codes that were just placed all count as if they had had their fair share so far."""
        self._held("cluster_size").fill_(fair)
        self._held("embed_avg").copy_(fair * self._held("embed"))
        self.fresh.fill_(False)

    def freeze(self) -> Quantizer:
        """Itself; from now on codes and levels stay as they are, whatever mode the model is in."""
        self.frozen = True
        return self.train(self.training)

    def train(self, mode: bool = True) -> Quantizer:
        """Itself in training or evaluation mode; a frozen codebook's levels are always those it was frozen with."""
        super().train(mode)
        self.level.train(mode and not self.frozen)
        return self

    def levelled(self, vectors: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        """The vectors where codes are: by the batch's mean and variance in training, by those learned elsewhere."""
        return self.level(vectors.float().flatten(0, 1)).unflatten(0, vectors.shape[:2])

    def forward(self, vectors: Float[Tensor, "B N D"]) -> Quantised:
        """The nearest code of each vector. ValueError where the codebook was not started."""
        if not self.started:
            raise ValueError("the codebook has no codes yet; call start with vectors of the encoder, or load weights")
        fair = vectors.shape[0] * vectors.shape[1] / self.config.codes
        codebook: Any = self.book._codebook
        codebook.threshold_ema_dead_code = self.config.dead_below * fair
        codebook.reset_cluster_size = fair
        if self.training and not self.frozen and self.fresh:
            self._count_alike(fair)
        with torch.autocast(vectors.device.type, enabled=False):  # distances need more than bfloat16's three digits
            found, codes, commitment = self.book(self.levelled(vectors), freeze_codebook=self.frozen)
        if self.training and not self.frozen:
            self.recent.mul_(self.config.decay).add_(torch.bincount(codes.flatten(), minlength=self.config.codes))
        return Quantised(found, codes, commitment.squeeze())

    def distances(self, vectors: Float[Tensor, "B N D"]) -> Float[Tensor, "B N K"]:
        """Squared distance of each vector, levelled, from each code."""
        codes = self.vectors.expand(len(vectors), -1, -1)
        return torch.cdist(self.levelled(vectors), codes, compute_mode="donot_use_mm_for_euclid_dist").square()

    def counts(self, codes: Iterable[Int[Tensor, "..."]]) -> Int[Tensor, "K"]:
        """How often each code occurs."""
        return sum(
            (torch.bincount(c.flatten().cpu(), minlength=self.config.codes) for c in codes),
            torch.zeros(self.config.codes, dtype=torch.long),
        )

    def running_usage(self) -> CodeUsage:
        """Usage over about the last 1 / (1 - decay) training steps; codes below a tenth of a fair share are unused."""
        counts = self.recent.cpu()
        return code_usage(torch.where(counts > 0.1 * counts.mean(), counts, torch.zeros_like(counts)))


def save_codebook(path: Path, quantizer: Quantizer, name: str) -> Path:
    """The file, now holding the codes' vectors, the level they are at, and whose they are."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    level = quantizer.level.state_dict()
    parts = {"vectors": quantizer.vectors, "mean": level["running_mean"], "spread": level["running_var"]}
    save_file({k: v.detach().cpu().contiguous() for k, v in parts.items()}, path, metadata={"of": name})
    return path


def load_codebook(path: Path, quantizer: Quantizer, name: str) -> None:
    """Puts a saved codebook into `quantizer`, which belongs to the model `name`.

    InputError where the file is damaged or its codes are of another number or width; both names are in the message.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            vectors, mean, spread = (file.get_tensor(k).float() for k in ("vectors", "mean", "spread"))
            of = (file.metadata() or {}).get("of", "unnamed")
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is no codebook file ({error}); save one with save_codebook") from error
    expected = (quantizer.config.codes, quantizer.config.width)
    if tuple(vectors.shape) != expected or mean.shape != vectors.shape[1:] or spread.shape != mean.shape:
        size = " codes of width ".join(str(n) for n in vectors.shape)
        raise InputError(
            f"{path.name}, the codebook of {of!r}, holds {size}; {name!r} has {expected[0]} codes of width "
            f"{expected[1]}. Codebooks are exchanged between models of one size only: give the one saved for {name!r}"
        )
    if not all(torch.isfinite(x).all() for x in (vectors, mean, spread)):
        raise InputError(f"{path.name}, the codebook of {of!r}, holds NaN or infinity; save it again")
    quantizer.place(vectors, mean, spread)

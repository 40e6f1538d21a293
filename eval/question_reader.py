"""A small reader that answers closed questions from a clip's tokens alone: what tokens say, without a language model.

Ours: HuMoCon (arXiv 2505.20920, its ablation on BABEL-QA) tunes a language model on every variant's concepts; hours a
variant on two cores. A question is a sentence vector that becomes a few queries; they look twice at the tokens, whose
moments they know, and a linear layer chooses an answer. Axis legend: `C` clips, `M` questions about each, `N` tokens,
`D` a token's width, `S` a sentence vector's, `W` the reader's, `A` answers, `K` questions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

Array = np.ndarray


@dataclass(frozen=True)
class ReaderConfig:
    """Size and training of a reader; chosen on training people alone (`motionqa.eval.concept_questions`)."""

    width: int = 128
    heads: int = 4
    looks: int = 2
    queries: int = 4
    """Of each question."""
    dropout: float = 0.2
    steps: int = 1500
    clips: int = 16
    """Of a batch, each with all its questions."""
    rate: float = 1e-3
    decay: float = 0.05
    hidden: float = 0.1
    """Share of tokens that are hidden in training."""

    def __post_init__(self) -> None:
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width must be even and a multiple of {self.heads} heads, got {self.width}")


@dataclass(frozen=True, eq=False)
class TokenTrack:
    """A clip's tokens and the middles of their times; no tokens for a reader that is to see no motion."""

    vectors: Float[Array, "N D"]
    middle_s: Float[Array, "N"]


@dataclass(frozen=True, eq=False)
class Answering:
    """What a reader learns from or is asked: sentence vectors, which clip each is about, and right answers."""

    asked: Float[Array, "K S"]
    clips: Sequence[str]
    answers: Int[Array, "K"]
    """Which of the vocabulary; -1 where the right answer is not in it."""

    @cached_property
    def by_clip(self) -> dict[str, list[int]]:
        """Which questions are about each clip."""
        rows: dict[str, list[int]] = {}
        for row, clip in enumerate(self.clips):
            rows.setdefault(clip, []).append(row)
        return rows


class Look(nn.Module):
    """Each query looks at the tokens by itself; then a question's queries are thought over together."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        whole = config.queries * config.width
        self.before = nn.LayerNorm(config.width)
        self.see = nn.MultiheadAttention(config.width, config.heads, config.dropout, batch_first=True)
        self.think = nn.Sequential(
            nn.LayerNorm(whole), nn.Linear(whole, 2 * config.width), nn.GELU(), nn.Dropout(config.dropout),
            nn.Linear(2 * config.width, whole), nn.Dropout(config.dropout),
        )  # fmt: skip

    def forward(
        self, x: Float[Tensor, "C M Q W"], seen: Float[Tensor, "C N W"], absent: Bool[Tensor, "C N"]
    ) -> Float[Tensor, "C M Q W"]:
        asked = self.before(x).flatten(1, 2)
        found, _ = self.see(asked, seen, seen, key_padding_mask=absent, need_weights=False)
        x = x + found.view_as(x)
        return x + self.think(x.flatten(2)).view_as(x)


class QuestionReader(nn.Module):
    """Questions and tokens to a score for every answer."""

    def __init__(self, sentence: int, token: int, answers: int, config: ReaderConfig = ReaderConfig()) -> None:
        super().__init__()
        self.config = config
        whole = config.queries * config.width
        self.ask = nn.Linear(sentence, whole)
        self.enter = nn.Sequential(nn.Linear(token, config.width), nn.Dropout(config.dropout))
        self.nothing = nn.Parameter(torch.zeros(config.width))
        """Always among the tokens, so that there is something to look at."""
        self.looks = nn.ModuleList(Look(config) for _ in range(config.looks))
        self.answer = nn.Sequential(nn.LayerNorm(whole), nn.Dropout(config.dropout), nn.Linear(whole, answers))

    def forward(
        self, asked: Float[Tensor, "C M S"], tokens: Float[Tensor, "C N D"], middle_s: Float[Tensor, "C N"],
        absent: Bool[Tensor, "C N"],
    ) -> Float[Tensor, "C M A"]:  # fmt: skip
        width = self.config.width
        seen = self.enter(tokens) + sines(middle_s, width)
        seen = torch.cat([self.nothing.expand(len(seen), 1, width), seen], dim=1)
        absent = F.pad(absent, (1, 0), value=False)
        x = self.ask(asked).unflatten(-1, (self.config.queries, width))
        for look in self.looks:
            x = look(x, seen, absent)
        return self.answer(x.flatten(2))


def sines(moments_s: Float[Tensor, "C N"], width: int) -> Float[Tensor, "C N W"]:
    """Sines and cosines of moments, with periods from half a second to a minute and a half."""
    periods = torch.logspace(math.log10(0.5), math.log10(90.0), width // 2)
    angle = 2 * math.pi * moments_s[..., None] / periods
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


class Tokens:
    """Tracks of clips, standardised by those that training asks about, so that no variant's scale matters."""

    def __init__(self, tracks: Mapping[str, TokenTrack], training: Sequence[str]) -> None:
        known = np.concatenate([tracks[name].vectors for name in sorted(set(training))]).astype(np.float32)
        self.width = known.shape[1]
        self._tracks = tracks
        self._mean = known.mean(axis=0) if len(known) else np.zeros(self.width, np.float32)
        spread = known.std(axis=0) if len(known) else np.ones(self.width, np.float32)
        self._scale = np.where(spread > 1e-6, spread, 1.0)

    def batch(self, clips: Sequence[str]) -> tuple[Float[Tensor, "C N D"], Float[Tensor, "C N"], Bool[Tensor, "C N"]]:
        """Tokens, their moments, and which places hold none."""
        tracks = [self._tracks[name] for name in clips]
        longest = max(len(t.vectors) for t in tracks)
        tokens = np.zeros((len(tracks), longest, self.width), np.float32)
        middle = np.zeros((len(tracks), longest), np.float32)
        absent = np.ones((len(tracks), longest), bool)
        for row, track in enumerate(tracks):
            n = len(track.vectors)
            tokens[row, :n] = (track.vectors - self._mean) / self._scale
            middle[row, :n], absent[row, :n] = track.middle_s, False
        return torch.from_numpy(tokens), torch.from_numpy(middle), torch.from_numpy(absent)


def _questions(data: Answering, clips: Sequence[str]) -> tuple[Float[Tensor, "C M S"], Int[Tensor, "C M"]]:
    """The sentence vectors about each clip, and the answers; -1 where there are fewer questions."""
    rows = [data.by_clip[name] for name in clips]
    most = max(len(r) for r in rows)
    asked = np.zeros((len(rows), most, data.asked.shape[1]), np.float32)
    answers = np.full((len(rows), most), -1)
    for i, some in enumerate(rows):
        asked[i, : len(some)], answers[i, : len(some)] = data.asked[some], data.answers[some]
    return torch.from_numpy(asked), torch.from_numpy(answers)


def train_reader(
    data: Answering, tokens: Tokens, answers: int, config: ReaderConfig = ReaderConfig(), seed: int = 0,
    watch: Callable[[int, QuestionReader], None] | None = None,
) -> QuestionReader:  # fmt: skip
    """A reader trained on the questions whose answers are in the vocabulary; `watch` is called every tenth of the way.

    ValueError where there are none.
    """
    usable = sorted({name for name, k in zip(data.clips, data.answers, strict=True) if k >= 0})
    if not usable:
        raise ValueError("no training question has an answer of the vocabulary")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = QuestionReader(data.asked.shape[1], tokens.width, answers, config).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=config.rate, weight_decay=config.decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.rate, config.steps, pct_start=0.1)
        for step, clips in zip(range(config.steps), _batches(usable, config.clips, seed), strict=False):
            asked, right = _questions(data, clips)
            found, middle, absent = tokens.batch(clips)
            absent |= torch.rand(absent.shape) < config.hidden
            scores = model(asked, found, middle, absent)
            loss = F.cross_entropy(scores.flatten(0, 1), right.flatten(), ignore_index=-1)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            if watch is not None and (step + 1) % max(1, config.steps // 10) == 0:
                watch(step + 1, model)
                model.train()
    return model.eval()


def _batches(clips: Sequence[str], size: int, seed: int) -> Iterator[list[str]]:
    """Clips in an order that is drawn anew whenever all were there."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(clips))
        for at in range(0, max(1, len(order) - size + 1), size):
            yield [clips[int(i)] for i in order[at : at + size]]


def answers_of(model: QuestionReader, data: Answering, tokens: Tokens, size: int = 32) -> Int[Array, "K"]:
    """Which answer of the vocabulary each question gets."""
    model.eval()
    out = np.full(len(data.clips), -1)
    names = list(data.by_clip)
    with torch.inference_mode():
        for at in range(0, len(names), size):
            clips = names[at : at + size]
            best = model(_questions(data, clips)[0], *tokens.batch(clips)).argmax(dim=-1).numpy()
            for name, row in zip(clips, best, strict=True):
                out[data.by_clip[name]] = row[: len(data.by_clip[name])]
    return out

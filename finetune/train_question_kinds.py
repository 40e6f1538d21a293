"""Trains the classifier of questions (`assistant/question_kinds.py`) on the training wordings.

    python -m motionqa.finetune.train_question_kinds --mocap MOCAP_FOLDER --out DIR

Questions are the wordings filled for movements of the training people. Accuracy is measured on wordings that the
classifier has not seen, five times with another fifth; the one that is saved has seen all. The wordings that
motion_qa asks in are in neither. Multinomial logistic regression; minutes on one core.
"""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Float, Int
from safetensors.numpy import save_file
from torch.nn.functional import cross_entropy

from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.question_kinds import shares, topic_questions, topics_of_kinds
from motionqa.data.instruct.conversations import conversations_of
from motionqa.data.instruct.example import InstructExample
from motionqa.data.instruct.known import KnownMotion, known_motion, mirrored_motion
from motionqa.data.instruct.phrasings import a_subject, filled, wordings
from motionqa.data.instruct.questions import questions_of
from motionqa.data.instruct.stitch import stitched
from motionqa.data.mocap.packed import load_collections
from motionqa.encoders.kinematics.analyse import analyse

FOLDS = 5


@dataclass(frozen=True)
class KindsConfig:
    """The recipe."""

    mocap: tuple[Path, ...]
    out: Path
    single: int = 200
    joined: int = 200
    rounds: int = 3
    """How often each movement is asked everything, in other words."""
    most: int = 250
    """Questions of a kind."""
    decay: float = 3e-5
    seed: int = 0


@dataclass(frozen=True)
class AskedKind:
    """A question with its kind and wording."""

    text: str
    kind: str
    phrasing: str


def kind_of(example: InstructExample) -> str:
    """The kind of a question as `question_kinds.toml` names it."""
    wording = example.phrasing.rpartition("/")[0]
    return f"{wording}/{example.relation}" if wording.endswith("/order") else wording


def asked_of(motions: Iterable[KnownMotion], config: KindsConfig) -> list[AskedKind]:
    """Questions about movements, and those that name nothing of a movement, at most so many of a kind."""
    rng = np.random.default_rng((config.seed, 1))
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for motion in motions:
        report = analyse(motion.pose)
        for _ in range(config.rounds):
            later = [e for talk in conversations_of(motion, report, rng) for e in talk[1:]]
            for e in (*questions_of(motion, report, rng), *later):
                found[kind_of(e)][e.question] = e.phrasing
    for name, wording in wordings().items():
        for pattern in wording.chosen("train"):
            for _ in range(3 if name in topics_of_kinds() else 0):
                try:
                    found[name][filled(pattern.text, {}, a_subject(rng))] = pattern.name
                except ValueError:
                    break  # it needs to know the movement
    for topic, questions in topic_questions().items():
        found[f"topic/{topic}"] = {q: q for q in questions}
    out = []
    for kind in topics_of_kinds():
        texts = sorted(found[kind].items())
        picked = rng.permutation(len(texts))[: config.most]
        out += [AskedKind(texts[i][0], kind, texts[i][1]) for i in picked]
    return out


def regression(
    x: Float[np.ndarray, "N D"], y: Int[np.ndarray, "N"], kinds: int, decay: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights [K D] and bias [K] of the regression; each kind counts the same."""
    inputs, targets = torch.from_numpy(x).float(), torch.from_numpy(y)
    balance = 1.0 / torch.bincount(targets, minlength=kinds).clamp(min=1).float()
    weights = torch.zeros(kinds, x.shape[1], requires_grad=True)
    bias = torch.zeros(kinds, requires_grad=True)
    solver = torch.optim.LBFGS([weights, bias], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        solver.zero_grad()
        loss = cross_entropy(inputs @ weights.T + bias, targets, balance) + decay * weights.square().sum()
        loss.backward()
        return loss

    solver.step(closure)
    return weights.detach().numpy(), bias.detach().numpy()


def topic_shares(kinds: Sequence[str]) -> Float[np.ndarray, "K T"]:
    """How well each topic answers each kind."""
    topics = sorted({t for of in topics_of_kinds().values() for t in of})
    return np.array([[shares(k).get(t, 0.0) for t in topics] for k in kinds])


def scores(
    weights: np.ndarray, bias: np.ndarray, x: Float[np.ndarray, "N D"], y: Int[np.ndarray, "N"], kinds: Sequence[str]
) -> tuple[float, float]:
    """How often the likeliest kind is right, and how often the likeliest topic answers, where one does."""
    logits = x @ weights.T + bias
    each = np.exp(logits - logits.max(1, keepdims=True))
    table = topic_shares(kinds)
    topics = (each / each.sum(1, keepdims=True)) @ table
    has = table[y].sum(1) > 0
    right = table[y, topics.argmax(1)][has] > 0
    return float((logits.argmax(1) == y).mean()), float(right.mean())


def main(config: KindsConfig) -> None:
    """Prints accuracy on wordings held out in turn, and writes the classifier trained on all."""
    rng = np.random.default_rng(config.seed)
    known = [known_motion(c) for c in load_collections(config.mocap) if c.split == "train" and c.metric]
    known = [m for m in known if m.actions]
    both = [*known, *(mirrored_motion(m) for m in known)]
    single = [both[i] for i in rng.choice(len(both), config.single, replace=False)]
    asked = asked_of([*single, *stitched(both, rng, config.joined)], config)
    embedder = SentenceEmbedder()
    x = embedder([a.text for a in asked])
    kinds = tuple(topics_of_kinds())
    y = np.array([kinds.index(a.kind) for a in asked])
    fold = np.array([zlib.crc32(a.phrasing.encode()) % FOLDS for a in asked])
    print(f"{len(asked)} questions, {len({a.phrasing for a in asked})} wordings, {len(set(y))} of {len(kinds)} kinds")
    print("without:", ", ".join(k for i, k in enumerate(kinds) if i not in set(y)) or "none")
    found = [
        scores(*regression(x[fold != f], y[fold != f], len(kinds), config.decay), x[fold == f], y[fold == f], kinds)
        for f in range(FOLDS)
    ]
    kind, topic = np.mean(found, axis=0)
    print(f"unseen wordings: kind {kind:.3f}, topic {topic:.3f}; folds {np.round(found, 3).tolist()}")
    weights, bias = regression(x, y, len(kinds), config.decay)
    config.out.mkdir(parents=True, exist_ok=True)
    save_file(
        {"weights": weights.astype(np.float16), "bias": bias.astype(np.float16)}, config.out / "model.safetensors"
    )
    about = {
        "kinds": kinds,
        "questions": len(asked),
        "unseen_wordings": {"kind": round(float(kind), 3), "topic": round(float(topic), 3)},
    }
    (config.out / "config.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main(tyro.cli(KindsConfig))

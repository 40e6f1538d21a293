"""Trains the classifier of questions (`assistant/question_kinds.py`) on the training wordings.

    python -m motionqa.finetune.train_question_kinds --mocap MOCAP_FOLDER --out DIR

Questions are the wordings filled for movements of the training people. Accuracy is measured on wordings that the
classifier has not seen, five times with another fifth; `DIR` holds the one that has seen all, `DIR/fold0` and so on
those that left a fifth out, which the language model's training rows are made with. The wordings that motion_qa asks
in are in none. Forty minutes on two cores.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Float, Int
from peft import get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from transformers import get_linear_schedule_with_warmup

from motionqa.assistant.embedder import SentenceEmbedder, load_minilm
from motionqa.assistant.question_kinds import (
    RANK,
    QuestionKinds,
    adapted,
    meanings,
    shares,
    topic_questions,
    topics_of_kinds,
)
from motionqa.data.instruct.conversations import conversations_of
from motionqa.data.instruct.example import InstructExample
from motionqa.data.instruct.known import KnownMotion, known_motion, mirrored_motion
from motionqa.data.instruct.phrasings import a_subject, filled, wordings
from motionqa.data.instruct.questions import questions_of
from motionqa.data.instruct.stitch import stitched
from motionqa.data.mocap.packed import load_collections
from motionqa.encoders.kinematics.analyse import analyse
from motionqa.finetune.counted_bodies import counted_bodies

FOLDS = 5


@dataclass(frozen=True)
class KindsConfig:
    """The recipe."""

    mocap: tuple[Path, ...]
    out: Path
    single: int = 200
    joined: int = 200
    counted: int = 60
    """Synthetic bodies that repeat a movement: recordings hardly ask how many."""
    rounds: int = 3
    """How often each movement is asked everything, in other words."""
    most: int = 200
    """Questions of a kind."""
    decay: float = 3e-5
    """Of the regression that training starts from."""
    epochs: int = 2
    batch: int = 32
    rate: float = 5e-4
    smoothing: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class AskedKind:
    """A question with its kind and wording."""

    text: str
    kind: str
    phrasing: str


def kind_of(example: InstructExample) -> str:
    """The kind of a question as `question_kinds.toml` names it."""
    wording, _, number = example.phrasing.rpartition("/")
    if wording == "true_order":
        return f"{wording}/reversed" if later_first(wordings()[wording].patterns[int(number)].text) else wording
    return f"{wording}/{example.relation}" if wording.endswith("/order") else wording


def later_first(pattern: str) -> bool:
    """Whether a wording that says which of two actions is earlier names the later one first."""
    slots = re.findall(r"\{(?:they_)?act[a-z_]*(2?)(?:_many)?\}", pattern, re.IGNORECASE)
    if not slots:
        raise ValueError(f"the wording {pattern!r} names no action")
    return slots[0] == "2"


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


def tuned(asked: Sequence[AskedKind], kinds: Sequence[str], config: KindsConfig) -> QuestionKinds:
    """A classifier of its own for these questions: adapters and linear layer together, starting from a regression."""
    torch.manual_seed(config.seed)
    tokenizer, network = load_minilm()
    plain = SentenceEmbedder(tokenizer, network)
    y = torch.tensor([kinds.index(a.kind) for a in asked])
    x = torch.from_numpy(plain([a.text for a in asked])).float()
    network = adapted(network)
    layer = regression(x, y, len(kinds), config.decay)
    counts = torch.bincount(y, minlength=len(kinds)).clamp(min=1)
    balance = counts.float().rsqrt() / counts.float().rsqrt()[y].mean()
    trained = [p for p in network.parameters() if p.requires_grad]
    rates = [{"params": trained, "lr": config.rate}, {"params": layer.parameters(), "lr": 5 * config.rate}]
    solver = torch.optim.AdamW(rates, weight_decay=0.01)
    total = config.epochs * (len(asked) // config.batch)
    schedule = get_linear_schedule_with_warmup(solver, min(30, total // 4), total)
    order = torch.Generator().manual_seed(config.seed)
    network.train()
    for _ in range(config.epochs):
        for rows in torch.randperm(len(asked), generator=order).split(config.batch)[: len(asked) // config.batch]:
            batch = tokenizer([asked[i].text for i in rows.tolist()], padding=True, return_tensors="pt")
            vectors = mean_vectors(network(**batch).last_hidden_state, batch["attention_mask"])
            loss = cross_entropy(layer(vectors), y[rows], balance, label_smoothing=config.smoothing)
            solver.zero_grad()
            loss.backward()
            solver.step()
            schedule.step()
    weights, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    return QuestionKinds(tuple(kinds), weights, bias, SentenceEmbedder(tokenizer, network.eval()))


def mean_vectors(hidden: Float[Tensor, "B T D"], mask: Int[Tensor, "B T"]) -> Float[Tensor, "B D"]:
    """Unit mean vectors over the tokens that are there, as `SentenceEmbedder` makes them one by one."""
    return normalize((hidden * mask[..., None]).sum(1), dim=1)


def regression(x: Float[Tensor, "N D"], y: Int[Tensor, "N"], kinds: int, decay: float) -> nn.Linear:
    """Multinomial logistic regression in which each kind counts the same."""
    balance = 1.0 / torch.bincount(y, minlength=kinds).clamp(min=1).float()
    layer = nn.Linear(x.shape[1], kinds)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    solver = torch.optim.LBFGS(layer.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        loss = cross_entropy(layer(x), y, balance) + decay * layer.weight.square().sum()
        loss.backward()
        return loss

    solver.step(closure)
    return layer


@dataclass(frozen=True)
class KindScores:
    """How often the likeliest of each is right."""

    kind: float
    topic: float
    """Among questions that a topic answers."""
    form: float
    """Of the answer, among questions whose form is known."""


def scores(found: Sequence[Mapping[str, float]], right: Sequence[str]) -> KindScores:
    """Of the probabilities of each question's kinds, against the right ones."""
    kinds = tuple(topics_of_kinds())
    p = np.array([[each[k] for k in kinds] for each in found])
    y = np.array([kinds.index(k) for k in right])
    topics, forms = topic_shares(kinds), answer_forms(kinds)
    has_topic, has_form = topics[y].sum(1) > 0, forms[y].sum(1) > 0
    return KindScores(
        float((p.argmax(1) == y).mean()),
        float((topics[y, (p @ topics).argmax(1)] > 0)[has_topic].mean()),
        float(forms[y, (p @ forms).argmax(1)][has_form].mean()),
    )


def topic_shares(kinds: Sequence[str]) -> Float[np.ndarray, "K T"]:
    """How well each topic answers each kind."""
    topics = sorted({t for of in topics_of_kinds().values() for t in of})
    return np.array([[shares(k).get(t, 0.0) for t in topics] for k in kinds])


def answer_forms(kinds: Sequence[str]) -> Float[np.ndarray, "K F"]:
    """1 for the form of each kind's answers."""
    forms = sorted({form for _, form in meanings().values()})
    return np.array([[float(k in meanings() and meanings()[k][1] == f) for f in forms] for k in kinds])


def fold_of(phrasing: str) -> int:
    """Which of the `FOLDS` a wording is left out in."""
    return zlib.crc32(phrasing.encode()) % FOLDS


def save(found: QuestionKinds, folder: Path, about: Mapping[str, object]) -> None:
    """Writes a trained classifier as `load_question_kinds` reads it; its adapters must not be folded in yet."""
    folder.mkdir(parents=True, exist_ok=True)
    adapters = get_peft_model_state_dict(found.embedder.network)
    tensors = {"weights": torch.from_numpy(found.weights), "bias": torch.from_numpy(found.bias), **adapters}
    save_file({name: x.detach().half().contiguous() for name, x in tensors.items()}, folder / "model.safetensors")
    config = {"base": "all-MiniLM-L6-v2", "rank": RANK, "kinds": found.kinds, **about}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def main(config: KindsConfig) -> None:
    """Prints accuracy on wordings held out in turn, and writes the classifier trained on all."""
    rng = np.random.default_rng(config.seed)
    known = [known_motion(c) for c in load_collections(config.mocap) if c.split == "train" and c.metric]
    known = [m for m in known if m.actions]
    both = [*known, *(mirrored_motion(m) for m in known)]
    single = [both[i] for i in rng.choice(len(both), config.single, replace=False)]
    joined = stitched(both, rng, config.joined)
    asked = asked_of([*single, *joined, *counted_bodies(rng, config.counted)], config)
    kinds = tuple(topics_of_kinds())
    missing = ", ".join(sorted(set(kinds) - {a.kind for a in asked})) or "none"
    print(f"{len(asked)} questions, {len({a.phrasing for a in asked})} wordings; kinds without: {missing}", flush=True)
    found = []
    for fold in range(FOLDS):
        unseen = [a for a in asked if fold_of(a.phrasing) == fold]
        classifier = tuned([a for a in asked if fold_of(a.phrasing) != fold], kinds, config)
        found.append(scores([classifier.probabilities(a.text) for a in unseen], [a.kind for a in unseen]))
        print(f"without fold {fold}: {found[-1]}", flush=True)
        save(classifier, config.out / f"fold{fold}", {"left_out": fold})
    mean = {f.name: round(float(np.mean([getattr(x, f.name) for x in found])), 3) for f in fields(KindScores)}
    print("unseen wordings:", ", ".join(f"{name} {value}" for name, value in mean.items()))
    save(tuned(asked, kinds, config), config.out, {"questions": len(asked), "unseen_wordings": mean})


if __name__ == "__main__":
    main(tyro.cli(KindsConfig))

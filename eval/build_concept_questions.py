"""Questions about motion for readers of concepts: clips of training and held-out people, features, sentence vectors.

    python -m motionqa.eval.build_concept_questions --mocap MOCAP_FOLDER --out QUESTIONS

Questions and test clips are those of motion_qa (`motionqa.eval.build_motion_qa`), every clip as its exact motion, seen
from the front. Training questions are in training wordings about training people; some of those people (`CHOOSING`) are
a part of their own, `val`, on which the reader's recipe was chosen. What there is already is kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.released import lifting
from motionqa.data.concept_pairs import ConceptClip, save_part
from motionqa.data.instruct.known import KnownMotion
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.packed import load_collections
from motionqa.data.packed_flow import claim
from motionqa.data.schema import InputError
from motionqa.encoders.concepts.motion_features import torch_representation
from motionqa.encoders.concepts.shown_clip import Shown, features_of, front
from motionqa.encoders.dstformer import DSTformer
from motionqa.encoders.lifter import LifterConfig
from motionqa.encoders.model_dir import load_model_dir
from motionqa.eval.build_motion_qa import BuildConfig, motions, questions
from motionqa.eval.concept_questions import PARTS, SENTENCES, questions_path

ABOUT = "about.json"
CHOOSING = {"utd_mhad": "s7", "bandai_namco": "elderly", "cmu": "007"}
"""Training people, or styles where people have no names, on whom the reader's recipe is chosen."""


@dataclass(frozen=True)
class QuestionsConfig:
    """How many clips there are, and of what."""

    mocap: tuple[Path, ...]
    out: Path
    of_action: int = 40
    """Single training clips of each action of each collection."""
    joined: int = 420
    """Training clips of two to four actions."""
    questions: int = 11
    """Of one training clip, at most; about eight of them have closed answers."""
    weights: str = "dstformer"
    """The frozen DSTformer: a released name, or a folder."""
    stride: int = 18
    """Frames from one of DSTformer's windows to the next, as the concepts were trained."""
    seed: int = 0


def part_motions(clips: Sequence[MocapClip], part: str, config: QuestionsConfig) -> list[KnownMotion]:
    """The movements of a part; those of `test` are motion_qa's."""
    if part == "test":
        of = BuildConfig((), config.out)
        return motions(clips, "test", of.of_action, of.joined, of.seed)
    own = [c for c in clips if (CHOOSING.get(c.source) == (c.subject or c.style)) == (part == "val")]
    share = 1 if part == "train" else 5
    return motions(own, "train", -(-config.of_action // share), config.joined // share, config.seed)


def part_questions(motion: KnownMotion, number: int, part: str, config: QuestionsConfig) -> list[dict[str, object]]:
    """What is asked about one movement, as motion_qa's files hold it."""
    test = part == "test"
    how = BuildConfig((), config.out) if test else BuildConfig((), config.out, questions=config.questions)
    seed = (how.seed, 1, number) if test else (config.seed, 2, PARTS.index(part), number)
    rng = np.random.default_rng(seed)
    return list(questions(motion, f"{part}-{number:04d}", how, rng, "held_out" if test else "train"))


def mocap_clip(motion: KnownMotion, name: str) -> MocapClip:
    """A known movement as a clip, its actions side by side as the label."""
    pose, label = motion.pose, "+".join(a.name for a in motion.actions)
    return MocapClip(
        motion.source, name, pose.fps, pose.xyz_m, pose.confidence, motion.split, label, metric=pose.metric
    )


def write_part(clips: Sequence[MocapClip], part: str, config: QuestionsConfig) -> None:
    """The features, then the questions of a part: one with questions is whole."""
    saved = _frozen(config)
    represent, lifter = torch_representation(saved[0]), saved[1]
    entries: list[dict[str, object]] = []
    seen: list[ConceptClip] = []
    for i, motion in enumerate(part_motions(clips, part, config)):
        name = f"{part}-{i:04d}"
        seen.append(features_of(Shown(mocap_clip(motion, name), front(motion.source)), represent, lifter))
        entries += part_questions(motion, i, part, config)
        if (i + 1) % 100 == 0:
            print(f"{part}: {i + 1} clips, {len(entries)} questions", flush=True)
    save_part(config.out, part, [np.asarray(c.features) for c in seen], seen)
    questions_path(config.out, part).write_text(json.dumps(entries, indent=1))
    print(f"{part}: {len(seen)} clips, {len(entries)} questions", flush=True)


def _frozen(config: QuestionsConfig) -> tuple[DSTformer, LifterConfig]:
    """The network whose features these are, and how clips are cut for it."""
    folder = lifting(config.weights).weights
    if folder is None:
        raise InputError(f"{config.weights!r} is no DSTformer; give dstformer or a folder of weights")
    saved = load_model_dir(folder)
    if not isinstance(saved.model, DSTformer):
        raise InputError(f"{folder} holds a {type(saved.model).__name__}, expected a DSTformer without a head")
    how = LifterConfig(**saved.lifter)
    return saved.model, replace(how, stride=min(config.stride, how.window), batch=32)


def write_sentences(out: Path) -> None:
    """Every question's text once, with its sentence vector."""
    entries = [e for part in PARTS for e in json.loads(questions_path(out, part).read_text())]
    texts = sorted({e["question"] for e in entries})
    embed = SentenceEmbedder()
    vectors = np.concatenate([embed(texts[k : k + 256]) for k in range(0, len(texts), 256)])
    np.savez(out / SENTENCES, allow_pickle=False, texts=np.array(texts), vectors=vectors.astype(np.float32))


def main(config: QuestionsConfig) -> None:
    """Writes the parts that are not there yet, and the sentence vectors."""
    how = {k: getattr(config, k) for k in ("of_action", "joined", "questions", "stride", "seed")}
    folder = lifting(config.weights).weights
    if folder is not None:
        how["weights_sha256"] = json.loads((folder / "config.json").read_text())["weights_sha256"]
    claim(config.out, ABOUT, how)
    clips = load_collections(config.mocap)
    for part in PARTS:
        if not questions_path(config.out, part).exists():
            write_part(clips, part, config)
    if not (config.out / SENTENCES).exists():
        write_sentences(config.out)


if __name__ == "__main__":
    main(tyro.cli(QuestionsConfig))

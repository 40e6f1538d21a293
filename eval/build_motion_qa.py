"""Builds motion_qa from held-out motion capture: clips, questions in held-out words, and questions for blind rules.

    python -m motionqa.eval.build_motion_qa --mocap MOCAP_FOLDER --out DIR

Clips are of test people and styles only: single ones, spread over actions, and two to four joined. Every second is
filmed virtually and lifted. Truth comes from labels, boundaries and the exact motion, never from what was read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from motionqa.assistant.released import lifting
from motionqa.data.detector_noise import load
from motionqa.data.instruct.example import InstructExample
from motionqa.data.instruct.known import KnownMotion, known_motion, mirrored_motion
from motionqa.data.instruct.phrasings import Which
from motionqa.data.instruct.questions import questions_of
from motionqa.data.instruct.stitch import stitched
from motionqa.data.mocap.actions import FRONT
from motionqa.data.mocap.clip import MocapClip, Split
from motionqa.data.mocap.packed import load_collections
from motionqa.data.schema import InputError, Pose3D
from motionqa.data.skeleton import H36M_17
from motionqa.encoders.clip_encoder import load_lifter
from motionqa.encoders.filmed import filmed, random_film
from motionqa.encoders.kinematics.analyse import analyse

Array = np.ndarray


@dataclass(frozen=True)
class BuildConfig:
    """How large the benchmark is."""

    mocap: tuple[Path, ...]
    out: Path
    of_action: int = 3
    """Single clips of each action of each collection."""
    joined: int = 140
    questions: int = 8
    """Of one clip, at most."""
    training: int = 300
    """Clips of the training side whose questions blind rules learn from."""
    seed: int = 0


def motions(clips: Sequence[MocapClip], split: Split, of_action: int, joined: int, seed: int) -> list[KnownMotion]:
    """Single clips spread over actions, every second one mirrored, then joined ones."""
    rng = np.random.default_rng((seed, split == "test"))
    known = [known_motion(c) for c in clips if c.split == split and c.metric]
    known = [m for m in known if m.actions]
    single: list[KnownMotion] = []
    for key in sorted({(m.source, m.actions[0].name) for m in known}):
        of = [m for m in known if (m.source, m.actions[0].name) == key]
        single += [of[i] for i in rng.permutation(len(of))[:of_action]]
    single = [mirrored_motion(m) if i % 2 else m for i, m in enumerate(single)]
    both = [*known, *(mirrored_motion(m) for m in known)]
    return [*single, *stitched(both, rng, joined)]


def chosen(examples: Sequence[InstructExample], most: int, rng: np.random.Generator) -> list[InstructExample]:
    """At most so many questions of a clip, drawn at random: kinds come as often as they can be asked."""
    return [examples[i] for i in rng.permutation(len(examples))[:most]]


def questions(
    motion: KnownMotion, name: str, config: BuildConfig, rng: np.random.Generator, phrasings: Which
) -> Iterator[dict[str, object]]:
    """The questions of one clip as the file holds them."""
    found = questions_of(motion, analyse(motion.pose), rng, phrasings)
    for i, example in enumerate(chosen(found, config.questions, rng)):
        yield {**asdict(example), "clip": name, "id": f"{name}/{i}"}


def save_clip(path: Path, pose: Pose3D, name: str) -> None:
    """A packed npz of one clip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    xyz = np.clip(np.round(pose.xyz_m * 1000), -32768, 32767).astype(np.int16)
    np.savez_compressed(
        path,
        positions_mm=xyz,
        confidence=pose.confidence.astype(np.float32),
        offsets=np.array([0, len(xyz)]),
        fps=np.array([pose.fps], np.float32),
        clip_id=np.array([name]),
        joint_names=np.array(H36M_17.joints),
        parents=np.array(H36M_17.parents, np.int16),
    )


def main(config: BuildConfig) -> None:
    """Writes both files of questions, and the test clips."""
    clips = load_collections(config.mocap)
    chosen_lifter = lifting()
    assert chosen_lifter.weights is not None
    network, how = load_lifter(chosen_lifter.weights, chosen_lifter.version)
    how = replace(how, batch=16)
    entries = []
    for i, motion in enumerate(motions(clips, "test", config.of_action, config.joined, config.seed)):
        rng = np.random.default_rng((config.seed, 1, i))
        name = f"{i:04d}-{'filmed' if i // 2 % 2 else 'exact'}-{'joined' if len(motion.actions) > 1 else 'single'}"
        pose = motion.pose
        if i // 2 % 2:
            try:
                pose = filmed(pose, random_film(pose, FRONT.get(motion.source, 0.0), rng, load()), network, how)
            except InputError as error:
                print(f"{motion.clip} can not be filmed and stays exact: {error}")
        save_clip(config.out / "clips" / f"{name}.npz", pose, motion.clip)
        entries += questions(motion, name, config, rng, "held_out")
        if (i + 1) % 50 == 0:
            print(f"{i + 1} clips, {len(entries)} questions", flush=True)
    (config.out / "motion_qa_test.json").write_text(json.dumps(entries, indent=1))
    blind = []
    known = motions(clips, "train", 4, config.training // 2, config.seed)
    for i in np.random.default_rng(config.seed).permutation(len(known))[: config.training]:
        rng = np.random.default_rng((config.seed, 2, int(i)))
        blind += questions(known[i], f"train-{i:04d}", config, rng, "train")
    (config.out / "motion_qa_train.json").write_text(json.dumps(blind, indent=1))
    print(f"{len(entries)} test questions on {len({e['clip'] for e in entries})} clips, {len(blind)} for blind rules")


if __name__ == "__main__":
    main(tyro.cli(BuildConfig))

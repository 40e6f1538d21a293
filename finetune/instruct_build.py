"""What the language model is tuned on: clips as the chat would see them, in words and tokens, and questions about them.

    python -m motionqa.finetune.instruct_build --mocap MOCAP_FOLDER --readers FULL FOLD_0 FOLD_1 --out ROWS

Training people and styles only. Words come from the reader that has not seen the clip (cross-fitting), so that they
are as doubtful as they will be; tokens come from the released reader, whose space the projector learns. Half of the
clips are filmed virtually and lifted. Every question is shown the facts that the chat would choose for it, and what it
asks for, by a classifier that has not seen its wording.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from motionqa.assistant.embedder import SentenceEmbedder
from motionqa.assistant.prompt import BRIEFLY, TUNED, clip_question
from motionqa.assistant.question_kinds import load_question_kinds
from motionqa.assistant.released import lifting
from motionqa.assistant.retrieval import choose_facts, known_facts
from motionqa.data.detector_noise import load
from motionqa.data.instruct.action_words import spoken_of
from motionqa.data.instruct.conversations import conversations_of
from motionqa.data.instruct.example import InstructExample
from motionqa.data.instruct.known import KnownMotion, known_motion, mirrored_motion
from motionqa.data.instruct.questions import questions_of
from motionqa.data.instruct.selection import varied
from motionqa.data.instruct.stitch import stitched
from motionqa.data.mocap.actions import FRONT
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.packed import load_collections
from motionqa.data.mocap.splits import half_of
from motionqa.data.reading import ClipTokens, MotionReading
from motionqa.data.schema import Fact, InputError, MotionReport, Pose3D
from motionqa.encoders.clip_encoder import load_lifter
from motionqa.encoders.filmed import filmed, random_film
from motionqa.encoders.kinematics.analyse import analyse
from motionqa.encoders.kinematics.config import ONE_CAMERA
from motionqa.encoders.lifter import LifterConfig, Network
from motionqa.encoders.reader.features import FPS, STRIDE
from motionqa.encoders.reader.read import load_reader, read_pose
from motionqa.encoders.reader.words import read_clip, worded
from motionqa.finetune.as_read import measured_as_shown, timed_as_read
from motionqa.finetune.counted_bodies import counted_as_read, counted_bodies
from motionqa.finetune.instruct_rows import RowWriter, Span, TrainClip
from motionqa.finetune.train_question_kinds import FOLDS, fold_of
from motionqa.finetune.training import recipe_of

Talk = tuple[tuple[str, str], ...]
"""Turns of the user with their answers."""


@dataclass(frozen=True)
class InstructBuild:
    """How much is built, and with what."""

    mocap: tuple[Path, ...]
    out: Path
    readers: tuple[Path, Path, Path]
    """The released reader, and those that left out half 0 and half 1 of the training groups."""
    kinds: Path
    """What `train_question_kinds` wrote: a classifier of questions for each fold of wordings that it left out."""
    single: int = 700
    joined: int = 900
    counted: int = 160
    """Synthetic bodies that do an exercise a known number of times."""
    questions: int = 9
    """Of one clip."""
    dialogues: float = 0.35
    """Share of clips with one conversation of several turns beside."""
    brief: float = 0.5
    """Share of questions that ask for a word or two."""
    unexplained: float = 0.15
    """Share of questions beside which it is not said what they ask for."""
    filmed: float = 0.5
    masked: float = 0.2
    """Share of single clips whose name is withheld from the reading: a movement that nobody named is described."""
    refusals: int = 2
    """Questions beside the others that nobody can answer from movement."""
    seed: int = 0


def sampled(clips: Sequence[MocapClip], config: InstructBuild, rng: np.random.Generator) -> list[KnownMotion]:
    """Single clips, spread over actions, joined ones, and counted bodies; mirror images as often as originals.

    Joined clips are all of one half of the training groups, so that one reader has seen none of them.
    """
    train = [c for c in clips if c.split == "train" and c.metric]
    out: list[KnownMotion] = []
    for half in (0, 1):
        known = [known_motion(c) for c in train if half_of(c) == half]
        known = [m for m in known if m.actions]
        both = [*known, *(mirrored_motion(m) for m in known)]
        names = np.array([f"{m.source}/{m.actions[0].name}" for m in both])
        weight = np.array([1 / np.sqrt((names == n).sum()) for n in names])
        picked = rng.choice(len(both), config.single // 2, p=weight / weight.sum(), replace=False)
        out += [replace(both[i], clip=f"{half}:{both[i].clip}") for i in picked]
        out += [replace(m, clip=f"{half}:{m.clip}") for m in stitched(both, rng, config.joined // 2)]
    out += [replace(m, clip=f"{rng.integers(2)}:{m.clip}") for m in counted_bodies(rng, config.counted)]
    return [out[i] for i in rng.permutation(len(out))]


class Builder:
    """Clips to training rows, with the networks loaded once."""

    def __init__(self, config: InstructBuild) -> None:
        self.config = config
        chosen = lifting()
        assert chosen.weights is not None
        self.network: Network
        self.network, lifter = load_lifter(chosen.weights, chosen.version)
        self.lifter: LifterConfig = replace(lifter, flip=False, phases=1, batch=16)
        self.released, *self.halves = (load_reader(folder) for folder in config.readers)
        self.noise = load()
        self.embedder = SentenceEmbedder()
        self.kinds = [load_question_kinds(config.kinds / f"fold{fold}") for fold in range(FOLDS)]

    def clip(self, motion: KnownMotion, number: int) -> TrainClip:
        """One row: what is seen of a movement, and what is asked about it."""
        rng = np.random.default_rng((self.config.seed, 3, number))
        pose = self.seen(motion, rng)
        measure = _measure(pose)
        report = measure(pose)
        reading = read_clip(pose, report, self.halves[int(motion.clip[0])], measure)
        if len(motion.actions) == 1 and rng.random() < self.config.masked:
            withheld = tuple(replace(a, name="", alternatives=()) for a in reading.actions)
            reading = worded(replace(reading, actions=withheld), report, pose, measure)
        words, facts = reading.words, known_facts(report, reading)
        tokens = read_pose(pose, self.released).tokens
        truth = report if pose is motion.pose else analyse(motion.pose)
        # Repetitions are asked about as they are shown, not as the film hid them.
        truth, motion = replace(truth, repetitions=report.repetitions), counted_as_read(motion, report)
        asked = questions_of(motion, truth, rng, "train")
        if pose is not motion.pose:
            asked = measured_as_shown(asked, questions_of(replace(motion, pose=pose), report, rng, "train"))
        found = [told_as_read(e, motion, words, report) for e in asked]
        found = [e for e in taught(found, reading) if e]
        refused = [e for e in found if e.kind == "refusal"]
        kept = varied(found, self.config.questions, rng)
        kept += [refused[i] for i in rng.permutation(len(refused))[: self.config.refusals]]
        dialogues = [self.asked(e, facts, rng) for e in kept]
        if rng.random() < self.config.dialogues:
            talks = [taught(t, reading) for t in conversations_of(motion, truth, rng, "train")]
            whole = [[e for e in t if e] for t in talks if all(t)]
            dialogues += [self.conversation(whole[i], facts, rng) for i in rng.permutation(len(whole))[:1]]
        return TrainClip(motion.clip, (words,), (tokens,), spans_of(motion, tokens), tuple(dialogues))

    def seen(self, motion: KnownMotion, rng: np.random.Generator) -> Pose3D:
        """The movement exactly, or as read off a film of it."""
        if rng.random() >= self.config.filmed:
            return motion.pose
        try:
            film = random_film(motion.pose, FRONT.get(motion.source, 0.0), rng, self.noise)
            return filmed(motion.pose, film, self.network, self.lifter)
        except InputError:
            return motion.pose

    def asked(
        self, example: InstructExample, known: tuple[Fact, ...], rng: np.random.Generator
    ) -> tuple[tuple[str, str], ...]:
        """The user's turn with its facts, and the answer: in brief, or in a sentence."""
        if rng.random() < self.config.brief:
            return ((self.turn(example, known, rng, BRIEFLY), example.answer),)
        return ((self.turn(example, known, rng), example.sentence),)

    def conversation(self, turns: Sequence[InstructExample], known: tuple[Fact, ...], rng: np.random.Generator) -> Talk:
        """Several turns; as in the chat, facts stand beside the last question only."""
        *before, last = turns
        previous = before[-1].question if before else ""
        said = [(e.question, e.sentence) for e in before]
        return (*said, (self.turn(last, known, rng, previous=previous), last.sentence))

    def turn(
        self,
        example: InstructExample,
        known: tuple[Fact, ...],
        rng: np.random.Generator,
        suffix: str = "",
        previous: str = "",
    ) -> str:
        """The question as the chat would put it, understood by a classifier that has not seen its wording."""
        kinds, question = self.kinds[fold_of(example.phrasing)], example.question
        facts = choose_facts(known, question, self.embedder, TUNED.facts, previous, kinds=kinds)
        explained = rng.random() >= self.config.unexplained
        return clip_question(question, facts, suffix, kinds.meaning(question, previous) if explained else "")


def _measure(pose: Pose3D) -> Callable[[Pose3D], MotionReport]:
    """How a pose is measured: as the chat does it, by where it comes from."""
    return (lambda p: analyse(p, ONE_CAMERA)) if pose.camera else analyse


def taught(examples: Iterable[InstructExample], reading: MotionReading) -> list[InstructExample | None]:
    """Each example with the times that were read; None in the place of one that the reading can not answer."""
    return [timed_as_read(e, reading.actions) if answerable(e, reading.words) else None for e in examples]


def answerable(example: InstructExample, words: str) -> bool:
    """Whether the reading holds what the answer says.

    Nobody can say anything of an action that was not recognised, or know that one is not there which was.
    """
    asked = spoken_of(example.question)
    if example.kind not in DENIABLE and not _named(asked, words):
        return False
    denied = example.kind == "absent" or (example.kind == "true_action" and example.answer == "no")
    if denied and asked & spoken_of(_SUSPECTED.sub("", words)):
        return False
    return sayable(example.sentence, words)


def sayable(sentence: str, words: str) -> bool:
    """Whether an answer names only actions that the reading names or suspects; what it denies may be any."""
    if sentence.lower().startswith("no"):
        return True
    return _named(spoken_of(sentence), words)


def _named(names: Iterable[str], words: str) -> bool:
    seen = spoken_of(words)
    return all(any(name in other for other in seen) for name in names)


def told_as_read(example: InstructExample, motion: KnownMotion, words: str, report: MotionReport) -> InstructExample:
    """The example; where the only action is not read and not even suspected, its answer describes the movement instead.

    So that a movement without a name comes out as what was measured and not as somebody's guess.
    """
    if example.kind not in NAMING or len(motion.actions) != 1 or "unnamed movement" not in words:
        return example
    summary = next((f.text for f in report.facts if f.topic == "summary"), "")
    if motion.actions[0].name in spoken_of(words) or not summary:
        return example
    brief = summary.removeprefix("The person ").rstrip(".")
    return replace(example, answer=brief, sentence=summary, options=(), accepted=())


NAMING = ("action", "caption")
"""Kinds of questions that ask for the name of what is done."""
_SUSPECTED = re.compile(r"\(or [^)]*\)|perhaps [^,)]*")
"""What else an action may be, as `encoders/reader/words.py` says it."""
DENIABLE = ("absent", "true_action", "true_order", "choice", "count", "refusal")
"""Kinds of questions that may name an action which is not there."""


def spans_of(motion: KnownMotion, tokens: ClipTokens) -> tuple[Span, ...]:
    """Each action in words, with the token rows that it covers."""
    rows = 0 if tokens.motion is None else len(tokens.motion)
    out = []
    for action in motion.actions:
        first, last = (round(t * FPS / STRIDE) for t in (action.start_s, action.end_s))
        if first < rows:
            out.append(Span(action.name, first, min(max(last, first + 1), rows)))
    return tuple(out)


def main(config: InstructBuild) -> None:
    """Writes the rows; a build that was cut off goes on."""
    clips = load_collections(config.mocap)
    found = sampled(clips, config, np.random.default_rng(config.seed))
    builder = Builder(config)

    with RowWriter(config.out, recipe_of(config), builder.released.source) as writer:
        for i in range(writer.done, len(found)):
            writer.add(builder.clip(found[i], i))
            if (i + 1) % 50 == 0:
                print(f"{i + 1}/{len(found)} clips", flush=True)


if __name__ == "__main__":
    main(tyro.cli(InstructBuild))

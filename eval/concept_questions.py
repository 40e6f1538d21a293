"""What concepts are worth to questions about motion: readers trained anew on each variant's tokens, and blind ones.

    python -m motionqa.eval.concept_questions --questions QUESTIONS --model MODEL

QUESTIONS is what `motionqa.eval.build_concept_questions` wrote. The command trains a reader on one model's concepts
without some of the training people (`val`) and says along the way how it does on them: so the recipe of `ReaderConfig`
was chosen. Rows (`concept_question_rows.py`) train on both and ask about people and wordings that nobody trained on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from jaxtyping import Float

from motionqa.data.concept_pairs import FPS, ConceptClip, load_part
from motionqa.data.instruct.selection import is_closed_kind
from motionqa.data.motion_files.array_files import load_npz
from motionqa.data.schema import InputError
from motionqa.encoders.concepts.frame_tokens import TOKEN_FRAMES
from motionqa.encoders.concepts.humocon import HuMoCon
from motionqa.encoders.concepts.track import encode_motion, motion_of
from motionqa.encoders.model_dir import load_model_dir
from motionqa.eval.concept_runs import token_features
from motionqa.eval.qa.blind import majority_by_type
from motionqa.eval.qa.motion_qa import NAME, read_motion_qa
from motionqa.eval.qa.protocols import NORMALISED
from motionqa.eval.qa.question import Prediction, Question
from motionqa.eval.question_reader import (
    Answering,
    QuestionReader,
    ReaderConfig,
    Tokens,
    TokenTrack,
    answers_of,
    train_reader,
)

Array = np.ndarray

PARTS = ("train", "val", "test")
SENTENCES = "sentences.npz"
LEAST = 5
"""An answer that training has less often is not learned."""
MOTION = (
    "arms_or_legs", "body_part", "contact", "count", "direction", "hand_above_head", "knee_bend", "posture", "side",
    "symmetry", "true_direction", "true_side", "turn", "which_hand_above",
)  # fmt: skip
"""Kinds that ask how the body moves; the others ask which action it is, or in which order."""


def questions_path(folder: Path, part: str) -> Path:
    """Where the questions of a part are."""
    return folder / f"{NAME}_{part}.json"


@dataclass(frozen=True, eq=False)
class QuestionSet:
    """Closed questions of training people and of others, with their clips."""

    train: tuple[Question, ...]
    test: tuple[Question, ...]
    answers: tuple[str, ...]
    """What a reader can answer: what training answers often enough."""
    sentences: Mapping[str, Float[Array, "Q"]]
    """The vector of each question's text."""
    clips: Mapping[str, ConceptClip]
    left_out: float
    """Share of the test questions that are not asked, because their answers are not closed or need no motion."""

    @property
    def out_of_reach(self) -> float:
        """Share of what is asked whose answer no reader can give; it counts as wrong."""
        return float(np.mean(self.answering(self.test).answers < 0))

    def answering(self, questions: Sequence[Question]) -> Answering:
        """Questions as a reader takes them."""
        numbers = {answer: i for i, answer in enumerate(self.answers)}
        return Answering(
            np.stack([self.sentences[q.text] for q in questions]),
            [q.clip for q in questions],
            np.array([numbers.get(q.answer, -1) for q in questions]),
        )


def load_questions(folder: Path, train: Sequence[str] = ("train", "val"), test: str = "test") -> QuestionSet:
    """The closed questions of some parts, and those of another to be asked. InputError where anything is missing."""
    parts = (*train, test)
    missing = [p for p in (*(questions_path(folder, x) for x in parts), folder / SENTENCES) if not p.exists()]
    if missing:
        raise InputError(
            f"{folder} holds no {missing[0].name}; make the questions with motionqa.eval.build_concept_questions"
        )
    learned = [q for part in train for q in read_motion_qa(folder, part).questions if is_closed(q)]
    asked = read_motion_qa(folder, test).questions
    kept = load_npz(folder / SENTENCES, ("texts", "vectors"))
    sentences = dict(zip((str(t) for t in kept["texts"]), kept["vectors"], strict=True))
    clips = {c.name: c for part in parts for c in load_part(folder, part)}
    chosen = tuple(q for q in asked if is_closed(q))
    for q in (*learned, *chosen):
        if q.clip not in clips or q.text not in sentences:
            raise InputError(f"{folder} has no clip or sentence vector for question {q.id}; make the questions again")
    return QuestionSet(
        tuple(learned), chosen, vocabulary(learned), sentences, clips, 1 - len(chosen) / max(1, len(asked))
    )


def is_closed(question: Question) -> bool:
    """Whether a question has an exact answer that takes the motion to know."""
    return is_closed_kind(question.type)


def asks_how(question: Question) -> bool:
    """Whether a question asks how the body moves, not which action it is."""
    return question.type in MOTION


def vocabulary(questions: Sequence[Question], least: int = LEAST) -> tuple[str, ...]:
    """The answers that occur at least so often, in alphabetical order. InputError where none does."""
    counts = Counter(q.answer for q in questions)
    kept = tuple(sorted(a for a, n in counts.items() if n >= least))
    if not kept:
        raise InputError(f"no answer occurs {least} times in {len(questions)} training questions; give more clips")
    return kept


# ------------------------------------------------------------------------------------------------- readers

Points = Float[Array, "K"]
"""1 for each question that was answered rightly, else 0; a mean of several readers in between."""


def points(questions: Sequence[Question], answers: Sequence[str]) -> Points:
    """Which answers are right, synonyms included."""
    given = (Prediction(q.id, a) for q, a in zip(questions, answers, strict=True))
    return np.array([NORMALISED.score(q, p) for q, p in zip(questions, given, strict=True)])


def majority(asked: QuestionSet) -> Points:
    """What the commonest training answer to each kind of question reaches."""
    known = {q.type for q in asked.train}
    answer = majority_by_type(asked.train)
    return points(asked.test, [answer(q).answer if q.type in known else "" for q in asked.test])


def reading(asked: QuestionSet, tracks: Mapping[str, TokenTrack], config: ReaderConfig, seed: int) -> Points:
    """What a reader reaches that was trained on these tokens."""
    data = asked.answering(asked.train)
    tokens = Tokens(tracks, data.clips)
    reader = train_reader(data, tokens, len(asked.answers), config, seed)
    return answered(asked, reader, tokens)


def answered(asked: QuestionSet, reader: QuestionReader, tokens: Tokens) -> Points:
    """What a trained reader reaches on the questions to be asked."""
    found = answers_of(reader, asked.answering(asked.test), tokens)
    return points(asked.test, [asked.answers[k] for k in found])


def concept_tracks(model: HuMoCon, clips: Mapping[str, ConceptClip]) -> dict[str, TokenTrack]:
    """The vectors of each clip's motion codes."""
    tracks = {name: encode_motion(model, motion_of(clip)) for name, clip in clips.items()}
    return {name: TokenTrack(t.vectors, (t.edges_s[:-1] + t.edges_s[1:]) / 2) for name, t in tracks.items()}


def feature_tracks(clips: Mapping[str, ConceptClip]) -> dict[str, TokenTrack]:
    """DSTformer's features below the concepts, a mean for every token."""
    return {name: _evenly(token_features(clip).astype(np.float16)) for name, clip in clips.items()}


def no_tracks(clips: Mapping[str, ConceptClip]) -> dict[str, TokenTrack]:
    """Nothing of any clip: what a reader reaches by the questions alone."""
    return {name: _evenly(np.zeros((0, 1), np.float32)) for name in clips}


def _evenly(vectors: Float[Array, "N D"]) -> TokenTrack:
    return TokenTrack(vectors, (np.arange(len(vectors)) + 0.5) * TOKEN_FRAMES / FPS)


# --------------------------------------------------------------------------------------------------- recipe


@dataclass(frozen=True)
class ChoiceConfig:
    """What a reader is tried on."""

    questions: Path
    model: Path | None = None
    """A trained HuMoCon; DSTformer's features where it is left out."""
    reader: ReaderConfig = ReaderConfig()
    seed: int = 0


def main(config: ChoiceConfig) -> None:
    """Prints how a reader does on the people kept out of training, a line every tenth of the way."""
    asked = load_questions(config.questions, ("train",), "val")
    if config.model is None:
        tracks = feature_tracks(asked.clips)
    else:
        model = load_model_dir(config.model).model
        if not isinstance(model, HuMoCon):
            raise InputError(f"{config.model} holds a {type(model).__name__}, expected HuMoCon")
        tracks = concept_tracks(model, asked.clips)
    how = np.array([asks_how(q) for q in asked.test])
    data = asked.answering(asked.train)
    tokens = Tokens(tracks, data.clips)

    def told(step: int, reader: QuestionReader) -> None:
        right = answered(asked, reader, tokens)
        print(f"step {step}: {right.mean():.3f} of {len(right)}, how it moves {right[how].mean():.3f}", flush=True)

    print(f"majority by kind {majority(asked).mean():.3f}; {len(data.clips)} questions, {len(asked.answers)} answers")
    train_reader(data, tokens, len(asked.answers), config.reader, config.seed, told)


if __name__ == "__main__":
    main(tyro.cli(ChoiceConfig))

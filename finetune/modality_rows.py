"""Training rows in three modalities: clips shown in motion, video and flow tokens, in each of them, and in any mixture.

    python -m motionqa.finetune.modality_rows --mocap MOCAP_FOLDER --features CONCEPT_FEATURES --packed PACKED \\
        --concepts RUN/model --out ROWS

For the ablation "with and without flow, video and velocity terms": one assistant learns from every subset of a clip's
tokens, so that what each is worth can be asked of the same weights (`motionqa.eval.modality_questions`). Nothing is
said of a clip in words. The empty subset is among them: what is answered without any token is then what was learned
about questions, not what an unusual prompt does. Training people only; both is our choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import tyro

from motionqa.assistant.prompt import BRIEFLY, clip_question
from motionqa.data.instruct.known import KnownMotion
from motionqa.data.instruct.questions import questions_of
from motionqa.data.instruct.selection import telling
from motionqa.data.reading import MODALITIES, ClipTokens
from motionqa.encoders.concepts.clip_tokens import PairedClip, TokenEncoder, TokenFiles, paired_clips
from motionqa.encoders.kinematics.analyse import analyse
from motionqa.finetune.instruct_build import Talk
from motionqa.finetune.instruct_rows import RowWriter, Span, TrainClip
from motionqa.finetune.training import recipe_of

SUBSETS = tuple(some for count in (3, 2, 1, 0) for some in combinations(MODALITIES, count))
"""Every subset of the modalities, the whole first and the empty one last: the readings of a clip."""


@dataclass(frozen=True)
class ModalityRowsConfig(TokenFiles):
    """How many clips and questions, and what they are made from."""

    out: Path
    limit: int | None = None
    """Only so many clips, evenly drawn: for trying out."""
    questions: int = 14
    """Of one clip, at most; closed kinds only."""
    val: bool = False
    """Also the clips of training people that are set aside for validation."""
    seed: int = 0


def train_clip(clip: PairedClip, tokens: ClipTokens, config: ModalityRowsConfig) -> TrainClip:
    """One row: a clip in each subset of its tokens, without words, and closed questions in training wordings."""
    talks = dialogues(clip.motion, config.questions, np.random.default_rng((config.seed, *clip.name.encode())))
    readings = tuple(tokens.only(some) for some in SUBSETS)
    return TrainClip(clip.motion.clip, ("",) * len(SUBSETS), readings, spans_of(clip.motion, tokens), talks)


def dialogues(motion: KnownMotion, most: int, rng: np.random.Generator) -> tuple[Talk, ...]:
    """At most so many questions with brief answers, by label and exact motion; of each kind one before a second."""
    found = telling(questions_of(motion, analyse(motion.pose), rng, "train"), most, rng)
    return tuple(((clip_question(e.question, (), BRIEFLY), e.answer),) for e in found)


def spans_of(motion: KnownMotion, tokens: ClipTokens) -> tuple[Span, ...]:
    """The clip's one action over all its rows, whichever modality a reading has first: the end is the longest's."""
    rows = max(len(x) for m in MODALITIES if (x := tokens.of(m)) is not None)
    return tuple(Span(action.name, 0, rows) for action in motion.actions)


def evenly(clips: Sequence[PairedClip], limit: int | None) -> list[PairedClip]:
    """So many clips, evenly spread over the list."""
    if limit is None or limit >= len(clips):
        return list(clips)
    return [clips[i] for i in np.linspace(0, len(clips) - 1, limit).astype(int)]


def main(config: ModalityRowsConfig) -> None:
    """Writes the rows; a build that was cut off goes on."""
    clips = evenly(paired_clips(config, ("train", "val") if config.val else ("train",)), config.limit)
    encoder = TokenEncoder(config)
    about = {**recipe_of(config), "subsets": SUBSETS, "sources": encoder.sources}
    with RowWriter(config.out, about, encoder.sources, part_clips=50) as writer:
        for i in range(writer.done, len(clips)):
            writer.add(train_clip(clips[i], encoder(clips[i].seen), config))
            if (i + 1) % 50 == 0 or i + 1 == len(clips):
                print(f"{i + 1}/{len(clips)} clips", flush=True)


if __name__ == "__main__":
    main(tyro.cli(ModalityRowsConfig))

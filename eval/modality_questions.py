"""What motion, video, flow and the velocity terms are each worth to an assistant that reads all of them.

    python -m motionqa.eval.modality_questions --llm RUN/model --mocap MOCAP_FOLDER --features CONCEPT_FEATURES \\
        --packed PACKED --concepts CONCEPT_RUN/model --out ANSWERS

The assistant was tuned on rows of `motionqa.finetune.modality_rows`, every subset of tokens alike. Here it is asked
about UTD-MHAD's held-out people, in wordings kept from training, with each subset shown, and with none. A second
assistant (`--without-velocity`), tuned alike on the tokens of an encoder that was trained without the velocity terms
(HuMoCon, arXiv 2505.20920: its ablation), gives the last rows. Answers are kept in ANSWERS, clip by clip, so that a
run that was stopped goes on; `--publish` puts the rows into motion_qa's table beside the others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from motionqa.assistant.clip_replies import clip_replies
from motionqa.assistant.model_dir import ADAPTER, PROJECTOR, Assistant, Base, load_assistant
from motionqa.assistant.prompt import BRIEFLY, TUNED, clip_opening, clip_question
from motionqa.data.instruct.questions import questions_of
from motionqa.data.instruct.selection import telling
from motionqa.data.packed_flow import claim
from motionqa.data.reading import MODALITIES
from motionqa.data.schema import InputError
from motionqa.encoders.concepts.clip_tokens import PairedClip, TokenEncoder, TokenFiles, paired_clips
from motionqa.encoders.kinematics.analyse import analyse
from motionqa.eval.benchmark import RESULTS, Row, publish, published
from motionqa.eval.qa.motion_qa import NAME, TOLERANT
from motionqa.eval.qa.predictors import short_answer
from motionqa.eval.qa.question import Prediction, Question
from motionqa.eval.qa.statistics import compare, interval

COMMAND = "make bench-modalities MOCAP=FOLDER"
SHOWN: dict[str, tuple[str, ...]] = {
    "all": MODALITIES,
    "no flow": ("motion", "video"),
    "no video": ("motion", "flow"),
    "no motion": ("video", "flow"),
    "motion": ("motion",),
    "video": ("video",),
    "flow": ("flow",),
    "none": (),
}
"""The subsets of a clip's tokens by what rows call them."""
UNSTEADY = {
    "motion": "motion of an encoder without velocity terms",
    "all": "all, of encoders without velocity terms",
}
"""What the second assistant is shown, and what its rows are called."""
KINDS = ("action", "choice", "body_part", "side", "direction", "posture", "count")
"""Kinds of questions with rows of their own."""
ASKED = "asked.json"


@dataclass(frozen=True)
class ModalityConfig(TokenFiles):
    """Who is asked, and how much."""

    llm: Path
    """The tuned assistant's directory."""
    out: Path
    """Where answers are kept, and the table."""
    without_velocity: Path | None = None
    """The directory of an assistant tuned on rows of a concept run without velocity terms."""
    concepts_without_velocity: Path | None = None
    """That run's model."""
    questions: int = 8
    """About one clip, at most."""
    limit: int | None = 1500
    """About so many questions, on clips evenly drawn; all clips where it is None."""
    publish: bool = False
    """Put the rows into `docs/benchmarks/motion_qa.json`, beside those that are there."""
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.without_velocity is None) != (self.concepts_without_velocity is None):
            raise InputError("--without-velocity and --concepts-without-velocity belong together; give both or none")


Said = dict[str, dict[str, str]]
"""Answers by showing and question."""


def asked_about(clips: Sequence[PairedClip], config: ModalityConfig) -> list[tuple[PairedClip, list[Question]]]:
    """Clips with closed questions about them, as many in all as the limit says, clips evenly drawn."""
    limit = config.limit or len(clips) * config.questions
    count = min(len(clips), -(-limit // config.questions))
    found = [
        (c, clip_questions(c, config)) for c in (clips[i] for i in np.linspace(0, len(clips) - 1, count).astype(int))
    ]
    while found and sum(len(some) for _, some in found[:-1]) >= limit:
        found.pop()
    if found:
        clip, some = found[-1]
        found[-1] = clip, some[: limit - sum(len(q) for _, q in found[:-1])]
    return found


def clip_questions(clip: PairedClip, config: ModalityConfig) -> list[Question]:
    """What is asked about one clip, in held-out wordings; the truth is its label and its exact motion."""
    rng = np.random.default_rng((config.seed, *clip.name.encode()))
    found = telling(questions_of(clip.motion, analyse(clip.motion.pose), rng, "held_out"), config.questions, rng)
    return [
        Question(f"{clip.name}/{i}", clip.name, e.question, e.answer, e.kind, e.relation, (), e.accepted, e.span_s)
        for i, e in enumerate(found)
    ]


def answers(
    assistant: Assistant,
    encoder: TokenEncoder,
    asked: Sequence[tuple[PairedClip, Sequence[Question]]],
    shown: Sequence[str],
    path: Path,
) -> Said:
    """The assistant's answers with each subset shown; those in the file are not asked for again."""
    found = _kept(path)
    for number, (clip, questions) in enumerate(asked):
        if clip.name in found:
            continue
        tokens = encoder(clip.seen)
        openings = [clip_opening(replace(TUNED, clip="tokens"), "", tokens.only(SHOWN[name])) for name in shown]
        replies = clip_replies(assistant, openings, [clip_question(q.text, (), BRIEFLY) for q in questions])
        ids = [q.id for q in questions]
        found[clip.name] = {
            name: dict(zip(ids, map(short_answer, row), strict=True)) for name, row in zip(shown, replies, strict=True)
        }
        with path.open("a") as file:
            file.write(json.dumps({"clip": clip.name, "said": found[clip.name]}) + "\n")
        if (number + 1) % 20 == 0:
            print(f"{path.stem}: {number + 1}/{len(asked)} clips", flush=True)
    return {name: {k: v for c, _ in asked for k, v in found[c.name][name].items()} for name in shown}


def _kept(path: Path) -> dict[str, Said]:
    """The answers of a file by clip; a line that was cut off is taken out of it."""
    if not path.exists():
        return {}
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    return {entry["clip"]: entry["said"] for entry in map(json.loads, whole.splitlines())}


# --------------------------------------------------------------------------------------------------- rows


@dataclass(frozen=True, eq=False)
class Points:
    """Questions in order, and which of them were answered rightly in each showing."""

    questions: Sequence[Question]
    by_showing: Mapping[str, Sequence[float]]

    @property
    def clips(self) -> list[str]:
        return [q.clip for q in self.questions]

    def mean(self, name: str) -> float:
        """Share of right answers; NaN without questions."""
        return float(np.mean(self.by_showing[name])) if self.questions else float("nan")

    def of(self, kind: str) -> Points:
        """The questions of one kind."""
        kept = [i for i, q in enumerate(self.questions) if q.type == kind]
        return Points([self.questions[i] for i in kept], {k: [v[i] for i in kept] for k, v in self.by_showing.items()})


def points(questions: Sequence[Question], said: Said) -> Points:
    """Answers as motion_qa scores them."""
    return Points(
        questions,
        {name: [TOLERANT.score(q, Prediction(q.id, of[q.id])) for q in questions] for name, of in said.items()},
    )


def rows_of(found: Points, split: str) -> list[Row]:
    """A row for each showing with what it lacks to "all", then one for each kind of questions."""
    rows = [_row(found, name, "motion" if name == UNSTEADY["motion"] else "all", split) for name in found.by_showing]
    for kind in KINDS:
        some = found.of(kind)
        if some.questions:
            beside = {name: round(some.mean(name), 4) for name in found.by_showing if name != "all"}
            unit = f"exact, n={len(some.questions)}"
            between = interval(some.clips, some.by_showing["all"])
            value = round(some.mean("all"), 4)
            rows.append(Row(f"tokens shown: all, kind {kind}", value, unit, between, beside, "", split, COMMAND))
    return rows


def _row(found: Points, name: str, against: str, split: str) -> Row:
    own = found.by_showing[name]
    beside, more = {}, ""
    if name != against:
        ahead = compare("exact", found.clips, found.by_showing[against], own)
        ends = ahead.interval or (float("nan"), float("nan"))
        beside = {against: round(found.mean(against), 4), f"{against} less this": round(ahead.difference, 4)}
        more = (
            f"; {against} less this {ahead.difference:+.4f} [{ends[0]:+.4f}, {ends[1]:+.4f}], p = {ahead.p_value:.4f} "
            "(one-sided, over clips)"
        )
    value, between = round(found.mean(name), 4), interval(found.clips, own)
    return Row(f"tokens shown: {name}", value, "exact", between, beside, "", split + more, COMMAND)


def _split(found: Points) -> str:
    return (
        f"{len(found.questions)} closed questions on {len(set(found.clips))} clips of UTD-MHAD's held-out people, "
        "held-out wordings, tokens without a word about the clip; one assistant tuned on every subset; video tokens "
        "come from an encoder that sees flow itself; intervals: 95 % bootstrap over clips"
    )


def _weights(folder: Path) -> str:
    """The hash of what was trained: adapter and projectors."""
    files = sorted([folder / PROJECTOR, *(folder / ADAPTER).glob("*.safetensors")])
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]


def ask(config: ModalityConfig, base: Base | None = None) -> Points:
    """Asks both assistants what was not asked before, and scores it; their base model may be handed in."""
    runs = [("answers", config.llm, config.concepts, tuple(SHOWN))]
    if config.without_velocity is not None and config.concepts_without_velocity is not None:
        runs.append(("without_velocity", config.without_velocity, config.concepts_without_velocity, tuple(UNSTEADY)))
    claim(config.out, ASKED, {k: getattr(config, k) for k in ("questions", "limit", "seed")})
    asked = asked_about(paired_clips(config, ("test",)), config)
    said: Said = {}
    for name, folder, concepts, shown in runs:
        encoder = TokenEncoder(replace(config, concepts=concepts))
        assistant = load_assistant(folder, base, sources=encoder.sources)
        assistant.model.merge_lora()
        claim(config.out, f"{name}.json", {"weights_sha256": _weights(folder), **encoder.sources})
        of = answers(assistant, encoder, asked, shown, config.out / f"{name}.jsonl")
        said |= of if name == "answers" else {UNSTEADY[k]: v for k, v in of.items()}
    return points([q for _, some in asked for q in some], said)


def put(rows: Sequence[Row], config: ModalityConfig, results: Path = RESULTS) -> Path:
    """Prints the table and keeps it beside the answers, or in motion_qa's table with the rows that are there."""
    if not config.publish:
        return publish("modality_questions", rows, config.out)
    return publish(NAME, list((published(NAME, results) | {r.id: r for r in rows}).values()), results)


def main(config: ModalityConfig) -> None:
    """Asks, scores and prints."""
    found = ask(config)
    put(rows_of(found, _split(found)), config)


if __name__ == "__main__":
    main(tyro.cli(ModalityConfig))

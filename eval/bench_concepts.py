"""What the concepts of HuMoCon reach: reconstruction, use of the codebooks, agreement with actions, retrieval, speed.

    make bench-concepts CONCEPTS=FOLDER

The folder holds `features` (`motionqa.finetune.concept_features`), ABLATION-SEED/model as
`motionqa.finetune.pretrain_concepts` wrote them, and `questions` (`motionqa.eval.build_concept_questions`). Values are
means over the seeds, intervals their range. Rows whose runs are not there have no value, or keep the published one.
Rows that begin with "released" are of the weights that ship, one model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import tyro

from motionqa.assistant.released import DEFAULT_CONCEPTS, WEIGHTS, lifting
from motionqa.data.concept_pairs import ConceptClip
from motionqa.data.pose_metrics import mpjpe_mm
from motionqa.data.schema import InputError
from motionqa.encoders.concepts.frame_tokens import TOKEN_FRAMES
from motionqa.encoders.concepts.motion_features import motion_features, torch_representation
from motionqa.encoders.concepts.quantizer import code_usage
from motionqa.encoders.concepts.track import encode_motion
from motionqa.encoders.dstformer import DSTformer
from motionqa.encoders.lifter import LifterConfig
from motionqa.encoders.model_dir import load_model_dir
from motionqa.eval import concept_question_rows
from motionqa.eval.benchmark import Row, median_row, publish, published
from motionqa.eval.concept_questions import load_questions
from motionqa.eval.concept_runs import LABELLED, NAMES, Kept, Run, Runs, find_runs, load_run, token_features
from motionqa.eval.concept_runs import over_seeds as _over_seeds
from motionqa.eval.concept_scores import (
    HighEnergy,
    bags,
    cluster,
    high_energy,
    linear_probe,
    nmi_above_chance,
    nmi_of_clips,
    recall_at,
    velocity_error_mm,
)
from motionqa.eval.question_reader import ReaderConfig

COMMAND = "make bench-concepts"
Rows = Iterator[Row]
over_seeds = partial(_over_seeds, command=COMMAND)
Array = np.ndarray

RELEASED = "released: "
K_MEANS = "k-means on DSTformer features"


@dataclass(frozen=True)
class Config:
    """Where features and trained models are."""

    features: Path
    runs: Path = Path("runs/concepts")
    only: tuple[str, ...] = ()
    """Parts to measure; all where none is named."""
    questions: Path | None = None
    """What `motionqa.eval.build_concept_questions` wrote; without it questions are not measured."""
    reader: ReaderConfig = ReaderConfig()
    """What answers them."""
    released: Path = WEIGHTS / DEFAULT_CONCEPTS
    """The concepts that ship, or a folder of weights that might: measured as the runs are."""
    weights: str = "dstformer"
    """The lifter whose features the runs stand on, for the speed."""


# ------------------------------------------------------------------------------------------ reconstruction

VELOCITY_ABLATIONS = ("plain", "no_velocity", "no_actionable", "no_discriminative", "no_speed", "no_mask")


def _energy(run: Run, clips: Sequence[ConceptClip]) -> HighEnergy:
    fps = run.model.config.fps
    long = [c for c in clips if len(c) >= 8]
    return sum((high_energy(run.decoded(c), c.joints_m, fps) for c in long), HighEnergy(0.0, 0.0, 0.0))


def reconstruction_rows(config: Config, kept: Kept, runs: Runs) -> Rows:
    """Motion decoded from its codes alone, beside recipes without the velocity terms."""
    del config
    sources = {"": kept.test, "_mocap": [c for c in kept.test if c.source != LABELLED]}

    def mean(score: Callable[[Array, Array], Array], run: Run) -> float:
        return float(np.concatenate([score(run.decoded(c), c.joints_m) for c in kept.test]).mean())

    split = f"{len(kept.test)} held-out clips, decoded from codes alone"
    beside = VELOCITY_ABLATIONS
    yield over_seeds("motion_mpjpe", runs, lambda r: mean(mpjpe_mm, r), "mm", beside=beside, split=split)
    yield over_seeds(
        "velocity_error", runs, lambda r: mean(velocity_error_mm, r), "mm/frame", beside=beside, split=split
    )
    for suffix, clips in sources.items():
        what = f"{len(clips)} held-out clips{' of optical and inertial mocap' if suffix else ''}, 15 frames a second"
        row = over_seeds(
            f"energy_above_4hz{suffix}",
            runs,
            lambda r, c=clips: _energy(r, c).kept,
            "of the true",
            beside=beside,
            split=what,
        )
        yield row
        plain = row.baselines.get(NAMES["plain"])
        ratio = None if row.value is None or not plain else round(row.value / plain, 3)
        yield Row(f"energy_over_plain{suffix}", ratio, "x", None, {}, ">= 1.5", what, COMMAND)
        yield over_seeds(
            f"energy_explained{suffix}", runs, lambda r, c=clips: _energy(r, c).explained, "of the true", beside=beside,
            split=f"{what}, in the right phase",
        )  # fmt: skip


# --------------------------------------------------------------------------------------------------- codes


def usage_rows(config: Config, kept: Kept, runs: Runs) -> Rows:
    """Codes in use over all held-out clips."""
    del config
    filmed = [c for c in kept.test if c.has_video]
    for which, clips in (("motion", kept.test), ("video", filmed)):

        def usage(run: Run, which: str = which, clips: Sequence[ConceptClip] = clips) -> tuple[float, float]:
            codes = (torch.from_numpy(getattr(run, which)(c).codes) for c in clips)
            found = code_usage(getattr(run.model, which).quantizer.counts(codes))
            return found.used, found.perplexity

        split = f"{sum(-(-len(c) // TOKEN_FRAMES) for c in clips)} tokens of {len(clips)} held-out clips"
        beside = VELOCITY_ABLATIONS if which == "motion" else ()
        goal = ">= 0.6" if which == "motion" else ""
        yield over_seeds(
            f"{which}_codes_used",
            runs,
            lambda r, u=usage: u(r)[0],
            "of the codes",
            beside=beside,
            goal=goal,
            split=split,
        )
        yield over_seeds(f"{which}_perplexity", runs, lambda r, u=usage: u(r)[1], "codes", beside=beside, split=split)


def label_rows(config: Config, kept: Kept, runs: Runs) -> Rows:
    """Agreement of motion's codes with UTD-MHAD's actions, on subjects nobody trained on."""
    del config
    train, test = kept.training, kept.labelled
    truth, known = [c.label for c in test], [c.label for c in train]
    clusters = cluster(np.concatenate([token_features(c) for c in train]), _codebook(runs))
    count = len(clusters.centres)
    found = {id(c): clusters.assign(token_features(c)) for c in (*train, *test)}

    def probe(codes: Callable[[ConceptClip], Array], count: int) -> float:
        return linear_probe(bags([codes(c) for c in train], count), known, bags([codes(c) for c in test], count), truth)

    split = f"{len(test)} clips of UTD-MHAD's even subjects, {len(set(truth))} actions; fitted on the odd ones"
    goal = "ahead of k-means and plain"
    beside = ("plain", "no_velocity", "no_discriminative", "no_alignment", "no_unpaired")
    clustered = [found[id(c)] for c in test]
    for name, agreement in (("codes_nmi", nmi_of_clips), ("codes_nmi_above_chance", nmi_above_chance)):
        yield over_seeds(
            name, runs, lambda r, of=agreement: of([r.motion(c).codes for c in test], truth), "", beside=beside,
            goal=goal, split=split, more={K_MEANS: round(agreement(clustered, truth), 3)},
        )  # fmt: skip
    yield over_seeds(
        "codes_probe", runs, lambda r: 100 * probe(lambda c: r.motion(c).codes, r.model.config.motion.quantizer.codes),
        "% correct", beside=beside, goal=goal, split=f"{split}; bags of codes",
        more={K_MEANS: round(100 * probe(lambda c: found[id(c)], count), 2)}, digits=2,
    )  # fmt: skip


def _codebook(runs: Runs) -> int:
    """As many clusters as the runs have codes."""
    sizes = {r.model.config.motion.quantizer.codes for of in runs.values() for r in of} or {512}
    if len(sizes) > 1:
        raise InputError(f"the runs have codebooks of {sorted(sizes)} codes; give runs of one size")
    return sizes.pop()


# ----------------------------------------------------------------------------------------------- retrieval


def retrieval_rows(config: Config, kept: Kept, runs: Runs) -> Rows:
    """Which action and subject: motion from video and video from motion."""
    del config
    clips = [c for c in kept.labelled if c.has_video]
    groups = [f"{c.label} by {c.subject}" for c in clips]
    split = f"{len(clips)} clips of UTD-MHAD's even subjects, {len(set(groups))} action and subject pairs"
    found: dict[int, dict[str, dict[int, float]]] = {}

    def recalls(run: Run) -> dict[str, dict[int, float]]:
        if id(run) not in found:
            motion, video = (np.stack([of(c).embedding for c in clips]) for of in (run.motion, run.video))
            found[id(run)] = {
                "motion_to_video": recall_at(motion, groups, video, groups),
                "video_to_motion": recall_at(video, groups, motion, groups),
            }
        return found[id(run)]

    beside = ("no_alignment", "no_velocity", "no_discriminative", "no_unpaired")
    chance = {k: round(100 * min(1.0, k / max(1, len(set(groups)))), 2) for k in (1, 5)}
    for way in ("motion_to_video", "video_to_motion"):
        for k in (1, 5):
            goal = ">= 60" if k == 5 else ""
            yield over_seeds(
                f"{way}_r{k}", runs if clips else {}, lambda r, w=way, k=k: 100 * recalls(r)[w][k], "%", beside=beside,
                more={"chance": chance[k]}, goal=goal, split=split, digits=2,
            )  # fmt: skip


# ------------------------------------------------------------------------------------- questions and speed


def question_rows(config: Config, kept: Kept, runs: Runs) -> Rows:
    """The paper's ablation on questions, by a small reader of the concepts instead of a language model."""
    del kept
    if config.questions is None:
        yield from concept_question_rows.not_measured(COMMAND)
    else:
        yield from concept_question_rows.question_rows(load_questions(config.questions), runs, COMMAND, config.reader)


def speed_rows(config: Config, kept: Kept, runs: Runs) -> Rows:
    """Seconds from the joints in the picture of a 10 s clip to its motion concepts."""
    del kept
    split = f"300 frames of joints at 30 a second, {torch.get_num_threads()} threads"
    if not runs.get("full"):
        yield Row("encode_10s", None, "s", None, {}, "<= 1", split, COMMAND)
        return
    folder = lifting(config.weights).weights
    assert folder is not None
    saved = load_model_dir(folder)
    assert isinstance(saved.model, DSTformer)
    represent, lifter = torch_representation(saved.model), LifterConfig(**saved.lifter)
    xy = _walking(300)
    seconds = []
    for _ in range(6):
        started = time.perf_counter()
        features = motion_features(xy, np.ones(xy.shape[:2], np.float32), 30.0, represent, lifter)
        encode_motion(runs["full"][0].model, features)
        seconds.append(time.perf_counter() - started)
    yield median_row("encode_10s", seconds[1:], "s", goal="<= 1", split=f"{split}; median of 5, range", command=COMMAND)


def _walking(frames: int) -> Array:
    """Somebody on the spot, as image positions."""
    from motionqa.data.skeleton import H36M_17, SMPL_22, convert
    from motionqa.data.synthetic.body import joint_positions
    from motionqa.data.synthetic.motions import walk

    body = joint_positions(walk(3))
    body = np.concatenate([body] * (frames // len(body) + 1))[:frames]
    joints, _ = convert(body, np.ones(body.shape[:2]), SMPL_22, H36M_17)
    return (joints[..., :2] * (200, -200) + 300).astype(np.float32)


# ---------------------------------------------------------------------------------------------------- main


def released_rows(config: Config, kept: Kept, runs: Runs) -> Rows:
    """What is measured of the runs, of the released weights."""
    del runs
    one: Runs = {"full": [load_run(config.released, kept)]}
    for part in (reconstruction_rows, usage_rows, label_rows, retrieval_rows):
        for row in part(config, kept, one):
            if row.value is not None:
                split = row.split.replace("runs: full 1; intervals: range over seeds", "one model")
                yield replace(row, id=f"{RELEASED}{row.id}", interval=None, split=split)


PARTS: dict[str, Callable[[Config, Kept, Runs], Rows]] = {
    "reconstruction": reconstruction_rows,
    "usage": usage_rows,
    "labels": label_rows,
    "retrieval": retrieval_rows,
    "questions": question_rows,
    "speed": speed_rows,
    "released": released_rows,
}


def main(config: Config) -> None:
    """Measures the parts asked for; rows of other parts stay as they were published."""
    unknown = set(config.only) - set(PARTS)
    if unknown:
        raise SystemExit(f"There is no part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}.")
    kept = Kept(config.features)
    runs = find_runs(config.runs, kept)
    rows = published("concepts")
    for name, part in PARTS.items():
        if not config.only or name in config.only:
            for row in part(config, kept, runs):
                if row.value is not None or row.id not in rows:
                    rows[row.id] = row
    publish("concepts", list(rows.values()))


if __name__ == "__main__":
    main(tyro.cli(Config))

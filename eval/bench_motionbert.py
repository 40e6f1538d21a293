"""What the MotionBERT part of the project reaches: 3D pose, action recognition, one-shot, several cameras, speed.

    make bench-motionbert MOCAP=FOLDER RUNS=FOLDER VIEWS=FOLDER

RUNS holds what `make train-motionbert` wrote; rows whose models or data are not there keep their published figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor

from motionqa.assistant.released import lifting
from motionqa.data.detector_noise import load
from motionqa.data.mocap.actions import ActionTask, action_task, one_shot_task, test_inputs
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.packed import load_collections
from motionqa.data.pose_metrics import mpjpe_mm, pa_mpjpe_mm
from motionqa.encoders.device import best_device
from motionqa.encoders.dstformer import SIZES, Attention, DSTformer
from motionqa.encoders.lifter import LifterConfig, Network, torch_network
from motionqa.encoders.model_dir import load_model_dir
from motionqa.eval.benchmark import Row, median_row, publish, published
from motionqa.eval.drawn_clips import drawn_people
from motionqa.eval.lifting import LiftingScores, SeenPerson, disagreement_mm, lifted, score, see
from motionqa.eval.recognition import hits, joint_embedding, one_shot_accuracy, scorer, wilson

COMMAND = "make bench-motionbert"
Rows = Iterator[Row]


@dataclass(frozen=True)
class Config:
    """Where data and trained models are."""

    mocap: Path
    """Folder of the packed collections."""
    runs: Path = Path("runs")
    """Folder of the trained baselines and heads: NAME/model."""
    views: Path | None = None
    """Folder of cam01.mp4 to cam04.mp4 (pose2sim's single-person demo)."""
    weights: str = "dstformer"
    """The lifter to measure: a released name, or a folder."""
    only: tuple[str, ...] = ()
    """Parts to measure; all where none is named."""
    drawn: int = 16
    """How many held-out clips are drawn and filmed."""

    def folder(self) -> Path:
        folder = lifting(self.weights).weights
        assert folder is not None
        return folder


# ------------------------------------------------------------------------------------------------- 3D pose

HELD_OUT = (
    "every third held-out clip of all metric collections: UTD-MHAD even subjects, Bandai-Namco styles, CMU subject 2, "
    "DeepMimic clips; one fixed virtual view a clip; interval: bootstrap over clips"
)


def loaded(folder: Path) -> tuple[Network, LifterConfig]:
    """A saved lifter and how it is fed."""
    saved = load_model_dir(folder)
    return torch_network(saved.model), LifterConfig(**saved.lifter)


def pose_rows(config: Config, clips: Sequence[MocapClip]) -> Rows:
    """MPJPE and acceleration error from noisy and from exact joints in the picture."""
    test = [c for c in clips if c.split == "test" and c.metric][::3]
    network, usual = loaded(config.folder())
    alone = replace(usual, window=1, stride=1, batch=128)
    lifters = {"DSTformer": (network, usual), "one frame at a time": (network, alone)}
    if (config.runs / "mlp" / "model").exists():
        lifters["MLP (per frame)"] = loaded(config.runs / "mlp" / "model")
    for seen, noise in (("noisy", load()), ("exact", None)):
        found = {name: score(test, noise, *lifter) for name, lifter in lifters.items()}
        for metric in ("mpjpe", "acceleration", "pa_mpjpe"):
            yield _pose_row(f"{metric}_{seen}", metric, found)
        for source in sorted(set(found["DSTformer"].sources)):
            yield _pose_row(f"mpjpe_{seen}_{source}", "mpjpe", found, source)


GOALS = {
    "mpjpe_noisy": "<= 40, and <= 0.75 x MLP",
    "acceleration_noisy": "<= 0.5 x MLP",
    "mpjpe_exact": "<= 20",
    "acceleration_exact": "<= 0.5 x MLP",
}


def _pose_row(id: str, metric: str, found: dict[str, LiftingScores], source: str | None = None) -> Row:
    ours = found["DSTformer"]
    value, *beside = (round(s.mean(metric, source), 2) for s in found.values())
    names = [n for n in found if n != "DSTformer"]
    unit = "mm/frame^2" if metric == "acceleration" else "mm"
    return Row(
        id, value, unit, ours.interval(metric) if source is None else None, dict(zip(names, beside, strict=True)),
        GOALS.get(id, ""), HELD_OUT if source is None else f"held-out clips of {source}", COMMAND,
    )  # fmt: skip


def drawn_rows(config: Config, clips: Sequence[MocapClip]) -> Rows:
    """Held-out clips drawn as films: the chat's own joints, lifted, beside BlazePose's own depth."""
    bandai = [c for c in clips if c.split == "test" and c.source == "bandai_namco"]
    chosen = bandai[:: max(1, len(bandai) // config.drawn)][: config.drawn]
    network, usual = loaded(config.folder())
    errors: dict[str, list[float]] = {"ours": [], "blazepose": [], "ours_pa": [], "blazepose_pa": []}
    for _, person, truth in drawn_people(chosen, config.mocap):
        shown = person.image.seen
        for name, found in (("ours", lifted(person, network, usual)), ("blazepose", person.world_m)):
            errors[name].append(float(mpjpe_mm(found[shown], truth[shown]).mean()))
            errors[f"{name}_pa"].append(float(pa_mpjpe_mm(found[shown], truth[shown]).mean()))
    split = (
        f"{len(errors['ours'])} held-out Bandai-Namco clips drawn as films, eight views; median and range over clips"
    )
    for suffix, id in (("", "mpjpe_drawn_film"), ("_pa", "pa_mpjpe_drawn_film")):
        beside = {"BlazePose world landmarks": round(float(np.median(errors[f"blazepose{suffix}"])), 2)}
        goal = "below BlazePose"
        yield median_row(id, errors[f"ours{suffix}"], "mm", baselines=beside, goal=goal, split=split, command=COMMAND)


def views_rows(config: Config, clips: Sequence[MocapClip]) -> Rows:
    """Four cameras' lifted bodies against each other after one rigid alignment and scale a pair."""
    del clips
    if config.views is None:
        return
    people: list[SeenPerson] = [see(video) for video in sorted(config.views.glob("cam0*.mp4"))]
    network, usual = loaded(config.folder())
    seen = [p.image.seen for p in people]
    ours = disagreement_mm([lifted(p, network, usual) for p in people], seen)
    theirs = disagreement_mm([p.world_m for p in people], seen)
    yield Row(
        "views_disagreement", round(float(np.mean(ours)), 2), "mm", (round(min(ours), 2), round(max(ours), 2)),
        {"BlazePose world landmarks": round(float(np.mean(theirs)), 2)}, "below BlazePose",
        f"pose2sim's walker, {len(people)} cameras, {len(ours)} pairs; interval: range over pairs", COMMAND,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------- action recognition


@dataclass(frozen=True)
class Recognition:
    """One row: the runs it comes from are named TASK-KIND-SEED."""

    id: str
    task: str
    run: str
    goal: str


RECOGNITION = (
    Recognition("utd_mhad", "utd_mhad", "utd_mhad", ">= 98, pretrained ahead"),
    Recognition("utd_mhad_10_percent", "utd_mhad", "utd_mhad10", "pretrained ahead"),
    Recognition("msr_action3d", "msr_action3d", "msr_action3d", ">= 95"),
    Recognition("bandai_namco", "bandai_namco", "bandai_namco", ">= 90"),
)
KINDS = {"pretrained": "pretrained", "scratch": "from scratch", "transformer": "temporal transformer"}


def _runs(config: Config, name: str, kind: str) -> list[Path]:
    return sorted(config.runs.glob(f"{name}-{kind}-[0-9]*/model"))


def action_rows(config: Config, clips: Sequence[MocapClip]) -> Rows:
    """Accuracy on the test side, pretrained beside from scratch and beside a temporal transformer."""
    for wanted in RECOGNITION:
        task = action_task(clips, wanted.task)
        found = {kind: [_right(task, run) for run in _runs(config, wanted.run, kind)] for kind in KINDS}
        if not found["pretrained"]:
            continue
        means = {kind: round(100 * float(np.mean(right)), 2) for kind, right in found.items() if right}
        beside = {KINDS[k]: v for k, v in means.items() if k != "pretrained"}
        runs = ", ".join(f"{KINDS[k]} {len(right)}" for k, right in found.items() if right)
        yield Row(
            wanted.id, means["pretrained"], "% correct", wilson(np.concatenate(found["pretrained"])), beside,
            wanted.goal, f"{len(task.test)} test clips; runs: {runs}; interval: Wilson, 95 %", COMMAND,
        )  # fmt: skip


def _right(task: ActionTask, run: Path) -> np.ndarray:
    saved = load_model_dir(run)
    return hits(task, scorer(saved.model, log_softmax=True), saved.usage["frames"])


def one_shot_rows(config: Config, clips: Sequence[MocapClip]) -> Rows:
    """Novel actions from one exemplar each: nearest by the learned embedding, and by joints."""
    task = one_shot_task(clips)
    runs = {kind: _runs(config, "one_shot", kind) for kind in ("pretrained", "scratch")}
    if not runs["pretrained"]:
        return
    shares = {k: np.concatenate([_one_shot(task, r) for r in found]) for k, found in runs.items() if found}
    joints = one_shot_accuracy(task, lambda clip: joint_embedding(clip, 32))
    ours = 100 * shares.pop("pretrained")
    low, high = np.percentile(ours, [2.5, 97.5])
    beside = {KINDS[k]: round(100 * float(v.mean()), 2) for k, v in shares.items()}
    beside["nearest neighbour on joints"] = round(100 * float(joints.mean()), 2)
    yield Row(
        "one_shot", round(float(ours.mean()), 2), "% correct", (round(float(low), 2), round(float(high), 2)), beside,
        ">= 60", f"{len(task.novel)} novel actions of UTD-MHAD, {len(task.test)} clips of the test subjects, "
        f"{len(task.exemplars)} sets of exemplars; interval: over sets", COMMAND,
    )  # fmt: skip


def _one_shot(task: object, run: Path) -> np.ndarray:
    saved = load_model_dir(run)
    embed = scorer(saved.model, log_softmax=False)
    frames = saved.usage["frames"]
    return one_shot_accuracy(task, lambda clip: embed(test_inputs(clip, frames)).mean(axis=0))  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------- speed


def speed_rows(config: Config, clips: Sequence[MocapClip]) -> Rows:
    """Frames a second of 243-frame windows as the chat runs them, beside float32 with attention written out."""
    del config, clips
    for size in ("lite", "full"):
        rates = _rates(DSTformer(replace(SIZES[size], max_frames=243)), rounds=7)
        ratios = [a / b for a, b in zip(rates["ours"], rates["written out"], strict=True)]
        beside = {k: round(float(np.median(v)), 1) for k, v in rates.items() if k != "ours"}
        split = f"{size} size, batch 1, {torch.get_num_threads()} threads, ours in {best_device()[1]}, 7 rounds"
        yield median_row(
            f"speed_{size}", rates["ours"], "frames/s", baselines=beside, split=split, command=COMMAND
        )  # fmt: skip
        yield median_row(f"speed_{size}_ratio", ratios, "x", goal=">= 1.5", split=split, command=COMMAND)


def _rates(model: DSTformer, rounds: int) -> dict[str, list[float]]:
    joints = torch.randn(1, 243, 17, 3)
    network = torch_network(model)
    rates: dict[str, list[float]] = {"ours": [], "written out": [], "float32": []}
    for _ in range(rounds):
        rates["ours"].append(243 / _seconds(lambda: network(joints.numpy())))
        rates["float32"].append(243 / _seconds(lambda: model(joints)))
        with written_out():
            rates["written out"].append(243 / _seconds(lambda: model(joints)))
    return rates


def _seconds(work: Callable[[], object]) -> float:
    with torch.inference_mode():
        started = time.perf_counter()
        work()
        return time.perf_counter() - started


@contextmanager
def written_out() -> Iterator[None]:
    """DSTformer with attention as matrix products and a softmax, every intermediate in memory."""
    fused = Attention._attend

    def naive(self: Attention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        del self
        weights = (q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5
        return weights.softmax(dim=-1) @ v

    Attention._attend = naive
    try:
        yield
    finally:
        Attention._attend = fused


# ---------------------------------------------------------------------------------------------------- main

PARTS: dict[str, Callable[[Config, Sequence[MocapClip]], Rows]] = {
    "pose": pose_rows,
    "drawn": drawn_rows,
    "views": views_rows,
    "actions": action_rows,
    "one_shot": one_shot_rows,
    "speed": speed_rows,
}


def main(config: Config) -> None:
    """Measures the parts asked for; rows of other parts stay as they were published."""
    unknown = set(config.only) - set(PARTS)
    if unknown:
        raise SystemExit(f"There is no part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}.")
    clips = load_collections((config.mocap,))
    rows = published("motionbert")
    for name, part in PARTS.items():
        if not config.only or name in config.only:
            rows.update({row.id: row for row in part(config, clips)})
    publish("motionbert", list(rows.values()))


if __name__ == "__main__":
    main(tyro.cli(Config))

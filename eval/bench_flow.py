"""What H-MoRe reaches: exact flow of drawn people, real held-out films, the paper's ablations, costs.

    make bench-flow MOCAP=FOLDER RUNS=FOLDER FILMS=FOLDER

RUNS holds NAME/model for hmore, photometric, skeleton, boundary and both, depth_actions/*.json and gait/*.json; FILMS
what `motionqa.finetune.flow_pairs` wrote. Figures whose model or data are not there are None beside the baselines'
figures.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tyro

from motionqa.data.kept_films import film_files, film_pair, group_of, load_film
from motionqa.data.mocap.packed import load_collections
from motionqa.data.schema import InputError
from motionqa.data.synthetic.puppet_sampler import PuppetConfig, PuppetSampler
from motionqa.data.synthetic.puppets import FlowPair
from motionqa.eval.benchmark import Row, publish, published
from motionqa.eval.flow_costs import chamfer_rows, size_rows, speed_rows
from motionqa.eval.flow_estimators import CLASSICAL, Estimator, background_motion, dis, saved_flow, world_flow
from motionqa.eval.flow_memory import memory_rows
from motionqa.eval.flow_scores import angle_errors, body_error, leak, moves, outline_distance
from motionqa.eval.qa.statistics import interval

COMMAND = "make bench-flow MOCAP=FOLDER RUNS=FOLDER FILMS=FOLDER"
Rows = Iterator[Row]

TEST_SEED = 1_000_000
"""Training seeds are small; the textures, bodies and cameras drawn from this one are seen by no training."""


@dataclass(frozen=True)
class Config:
    """Where data and trained models are."""

    mocap: Path
    """Folder of the packed collections."""
    runs: Path = Path("runs/flow")
    """Folder of the trained networks: NAME/model."""
    films: Path | None = None
    """Folder of kept films; only held-out ones are measured."""
    weights: Path | None = None
    """The network to measure; without, RUNS/hmore/model."""
    only: tuple[str, ...] = ()
    """Parts to measure; all where none is named."""
    pairs: int = 200
    """How many drawn pairs."""

    def model(self, name: str) -> Path:
        return self.weights if name == OURS and self.weights else self.runs / name / "model"


OURS = "hmore"
BASELINE = "photometric"
ABLATIONS = ("skeleton", "boundary", "both")


def networks(config: Config) -> dict[str, Estimator]:
    """The flow of every network that is there, by the name of its run."""
    names = [n for n in (OURS, BASELINE, *ABLATIONS) if config.model(n).exists()]
    if config.weights and OURS not in names:
        raise InputError(f"there is no model directory {config.weights}; give the folder that holds config.json")
    return {n: world_flow(saved_flow(config.model(n))) for n in names}


# ------------------------------------------------------------------------------------------------- measures


@dataclass
class Measure:
    """Values of one measure by method, each of a cluster (pair or group of films) that is drawn as a whole."""

    id: str
    unit: str
    goal: str
    split: str
    values: dict[str, list[float]] = field(default_factory=dict)
    clusters: dict[str, list[str]] = field(default_factory=dict)

    def add(self, method: str, cluster: str, *values: float) -> None:
        self.values.setdefault(method, []).extend(values)
        self.clusters.setdefault(method, []).extend([cluster] * len(values))

    def mean(self, method: str) -> float | None:
        values = self.values.get(method)
        return round(float(np.mean(values)), 4) if values else None

    def means(self, methods: Mapping[str, str]) -> dict[str, float]:
        """Figures of the methods that were measured, under the names to print."""
        return {shown: value for m, shown in methods.items() if (value := self.mean(m)) is not None}

    def spread(self, method: str) -> tuple[float, float] | None:
        values = self.values.get(method)
        found = interval(self.clusters[method], values) if values else None
        return (round(found[0], 4), round(found[1], 4)) if found else None

    def rows(self) -> Rows:
        """Ours beside every baseline, and what it becomes by both constraints alone beside by either."""
        beside = {m: m for m in self.values if m not in (OURS, *ABLATIONS)}
        yield Row(
            self.id, self.mean(OURS), self.unit, self.spread(OURS), self.means(beside), self.goal, self.split, COMMAND
        )
        alone = self.means(
            {**{n: f"{n} only" for n in ABLATIONS if n != "both"}, OURS: "before, exact flow in drawn pairs"}
        )
        goal = "both constraints ahead of each alone, as in the paper's table, or explained"
        yield Row(
            f"ablation_{self.id}", self.mean("both"), self.unit, self.spread("both"), alone, goal, self.split, COMMAND
        )


def with_people(sampler: PuppetSampler, count: int) -> Iterator[FlowPair]:
    """The first so many pairs in which somebody is seen."""
    drawn = (sampler.pairs(step, 1)[0] for step in itertools.count())
    return itertools.islice((p for p in drawn if p.masks.any()), count)


def drawn_rows(config: Config) -> Rows:
    """End-point errors and leak on drawn pairs, driven by held-out clips, before a camera that always moves."""
    clips = [c for c in load_collections((config.mocap,)) if c.split == "test"]
    sampler = PuppetSampler(clips, PuppetConfig(camera_moves=1.0), TEST_SEED)
    split = (
        f"{config.pairs} drawn pairs of {' x '.join(map(str, sampler.config.size))} px, held-out clips, textures and "
        "cameras of their own seed, camera always moving; interval: bootstrap over pairs"
    )
    in_picture = Measure("epe_body", "px", "lowest, by >= 20 %", f"{split}; motion in the picture, camera's included")
    in_world = Measure(
        "epe_body_still_world", "px", "lowest",
        f"{split}; motion in a still world: from all methods the camera's motion is taken by one affine fit to DIS "
        "outside the people",
    )  # fmt: skip
    outside = Measure("leak", "px", "lowest", f"{split}; mean flow farther than 2 px from people")
    methods = {**CLASSICAL, **networks(config)}
    for k, pair in enumerate(with_people(sampler, config.pairs)):
        assert pair.flow is not None
        camera = background_motion(dis(pair), pair.masks)
        true_camera = background_motion(pair.flow, pair.masks)
        for name, estimate in methods.items():
            flow = estimate(pair)
            in_picture.add(name, str(k), body_error(flow, pair))
            in_world.add(name, str(k), body_error(flow - camera, pair, true_camera))
            outside.add(name, str(k), leak(flow, pair))
            if name in CLASSICAL:
                steadied = flow - background_motion(flow, pair.masks)
                outside.add(f"{name}, camera taken out", str(k), leak(steadied, pair))
    for measure in (in_picture, in_world, outside):
        yield from measure.rows()


GAP, STRIDE = 2, 6
"""Frames between the pictures of a filmed pair, and from pair to pair."""


def film_rows(config: Config) -> Rows:
    """Directions at joints and edges at outlines on films that no training saw."""
    files = film_files(config.films, test=True) if config.films else []
    split = (
        f"{len(files)} held-out films in {len({group_of(f) for f in files})} groups, frames {GAP} apart, joints and "
        "masks of the project's pose stage, pairs whose joints move >= 1 px; interval: bootstrap over groups"
    )
    angle = Measure("film_angle", "deg", "lowest", f"{split}; joints that move >= 1 px, none left out for weak flow")
    rim = Measure(
        "film_outline", "px", "lowest", f"{split}; exact Chamfer distance of the sharpest flow edges and the outline"
    )
    methods = {**CLASSICAL, **networks(config)} if files else {}
    for path in files:
        film = load_film(path)
        for k in range(0, len(film.frames) - GAP, STRIDE):
            pair = film_pair(film, k, k + GAP, film.frames.shape[1:3])
            if not moves(pair):
                continue
            for name, estimate in methods.items():
                flow = estimate(pair)
                angle.add(name, film.group, *angle_errors(flow, pair).tolist())
                distance = outline_distance(flow, pair)
                rim.add(name, film.group, *([distance] if distance is not None else []))
    for measure in (angle, rim):
        yield from measure.rows()


# ---------------------------------------------------------------------------------------------- downstream

CONDITIONS = ("none", "dis", "world", "local", "both")
"""What the action model of depth video sees beside the depth."""


@dataclass(frozen=True)
class Accuracy:
    """Share of right answers among n."""

    share: float
    n: int


def read_accuracies(files: Sequence[Path]) -> dict[str, Accuracy]:
    """Accuracy by condition; of several files (seeds), the mean and the number of clips of all.

    Each file is `{condition: {"accuracy": 0 to 1, "n": clips}}`; InputError for anything else.
    """
    found: dict[str, list[Accuracy]] = {}
    for path in files:
        try:
            table = json.loads(path.read_text())
            for name in CONDITIONS:
                if name in table:
                    found.setdefault(name, []).append(_accuracy(table[name]))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f'{path}: expected {{condition: {{"accuracy": 0 to 1, "n": clips}}}}, got a file with {error}'
            ) from error
    return {k: Accuracy(float(np.mean([a.share for a in v])), sum(a.n for a in v)) for k, v in found.items()}


def _accuracy(entry: Mapping[str, object]) -> Accuracy:
    share, n = float(str(entry["accuracy"])), int(str(entry["n"]))
    if not 0 <= share <= 1 or n < 1:
        raise ValueError(f"accuracy {share} of {n} clips")
    return Accuracy(share, n)


def action_rows(config: Config) -> Rows:
    """Actions from depth video with world and local flow beside the depth, and with less."""
    found = read_accuracies(sorted((config.runs / "depth_actions").glob("*.json")))
    shown = {k: round(100 * a.share, 2) for k, a in found.items()}
    both = found.get("both")
    spread = None
    if both is not None:
        from scipy.stats import binomtest

        range_ = binomtest(round(both.share * both.n), both.n).proportion_ci(method="wilson")
        spread = (round(100 * range_.low, 2), round(100 * range_.high, 2))
    clips = f"{both.n} test clips of all runs" if both else "not measured"
    yield Row(
        "utd_depth_actions", shown.get("both"), "% correct", spread, {k: v for k, v in shown.items() if k != "both"},
        "both > local > world > none, or explained",
        f"UTD-MHAD depth video, official cross-subject protocol, {clips}; interval: Wilson, 95 %", COMMAND,
    )  # fmt: skip


def gait_rows(config: Config) -> Rows:
    """Who walks there: rank-1 with world and local flow beside outline and depth, and with less."""
    found: dict[str, list[dict[str, float]]] = {}
    for path in sorted((config.runs / "gait").glob("*-[0-9]*.json")):
        scored = json.loads(path.read_text())
        if "all" in scored:  # CASIA-B's figures are of views and clothes, and for those who have it
            found.setdefault(scored["condition"], []).append(scored["all"])
    shares = {k: round(100 * float(np.mean([one["rank1"] for one in of])), 2) for k, of in found.items()}
    both = found.get("both", [])
    spread = tuple(round(100 * end(o["rank1"] for o in both), 2) for end in (min, max)) if len(both) > 1 else None
    probes = f"{both[0]['n']:.0f} probes of walk and jog, range of {len(both)} runs" if both else "not measured"
    yield Row(
        "utd_people_by_gait", shares.get("both"), "% rank-1", spread,  # type: ignore[arg-type]
        {k: v for k, v in shares.items() if k != "both"},
        "both ahead of none", f"UTD-MHAD depth video, trials 3 and 4 against 1 and 2 of the same people, {probes}",
        COMMAND,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------- main

PARTS: dict[str, Callable[[Config], Rows]] = {
    "drawn": drawn_rows,
    "films": film_rows,
    "actions": action_rows,
    "gait": gait_rows,
    "chamfer": lambda config: chamfer_rows(COMMAND, config.mocap, TEST_SEED),
    "size": lambda config: size_rows(COMMAND, config.model(OURS)),
    "speed": lambda config: speed_rows(COMMAND, config.model(OURS)),
    "memory": lambda config: memory_rows(COMMAND, config.model(OURS) if config.model(OURS).exists() else None),
}


def main(config: Config) -> None:
    """Measures the parts asked for; rows of other parts stay as they were published."""
    unknown = set(config.only) - set(PARTS)
    if unknown:
        raise SystemExit(f"There is no part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}.")
    rows = published("flow")
    for name, part in PARTS.items():
        if not config.only or name in config.only:
            rows.update({row.id: row for row in part(config)})
    publish("flow", list(rows.values()))


if __name__ == "__main__":
    main(tyro.cli(Config))

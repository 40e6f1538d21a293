"""Who walks here? Rank-1 identification from embeddings, by the usual protocol of CASIA-B and on the small run.

    python -m motionqa.eval.gait --packed PACKED --models RUNS/gait/none-0/model RUNS/gait/both-0/model --out RUNS/gait

A probe is right where the nearest sequence of the gallery, Euclidean, is of the same person. CASIA-B: each pair of
views is scored by itself, pairs of the same view are left out, and the rest is averaged, first over gallery views and
then over probe views (GaitSet, Chao et al., AAAI 2019); NM, BG and CL apart. UTD-MHAD, which has one view: trials 1
and 2 of each person are the gallery and 3 and 4 the probes, walk (a23) and jog (a22); all the same people trained on
the gallery, so it asks for known people on other takes. That split is ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from jaxtyping import Float

from motionqa.data.packed_flow import KNOWN_TRIALS, WALKS, Condition, PackedName, packed_channels, packed_names
from motionqa.data.schema import InputError

Array = np.ndarray


Embed = Callable[[Float[Array, "B T C H W"]], Float[Array, "B E"]]
"""Packed clips to embeddings."""


@dataclass(frozen=True)
class Rank1:
    """The share of right probes: the mean over probe views, each the mean over gallery views."""

    share: float
    by_view: Mapping[str, float]
    """Of each probe view."""
    probes: int
    pairs: int
    """Pairs of views that had probes and a gallery."""
    unmatched: int
    """Probes of people who are in no gallery: they count as wrong."""


def rank1(
    gallery: Float[Array, "G E"],
    gallery_people: Sequence[str],
    probes: Float[Array, "N E"],
    probe_people: Sequence[str],
    gallery_views: Sequence[str] | None = None,
    probe_views: Sequence[str] | None = None,
    leave_out_same_view: bool = True,
) -> Rank1:
    """Rank-1 of probes against a gallery; without views, all against all.

    ValueError where lists do not fit the embeddings or where no pair of views can be compared.
    """
    if (gallery_views is None) != (probe_views is None):
        raise ValueError("give the views of both the gallery and the probes, or of neither")
    if gallery_views is None or probe_views is None:
        gallery_views, probe_views = [""] * len(gallery), [""] * len(probes)
        leave_out_same_view = False
    known, asked = np.array(gallery_people), np.array(probe_people)
    seen_from, asked_from = np.array(gallery_views), np.array(probe_views)
    if not (len(known) == len(seen_from) == len(gallery) and len(asked) == len(asked_from) == len(probes)):
        raise ValueError(
            f"{len(gallery)} gallery embeddings, {len(known)} people, {len(seen_from)} views; "
            f"{len(probes)} probes, {len(asked)} people, {len(asked_from)} views: the numbers must agree"
        )
    by_view: dict[str, float] = {}
    pairs = 0
    for view in sorted(set(asked_from.tolist())):
        mine = asked_from == view
        shares = []
        for other in sorted(set(seen_from.tolist())):
            if leave_out_same_view and other == view:
                continue
            there = seen_from == other
            nearest = _distance(probes[mine], gallery[there]).argmin(axis=1)
            shares.append(float((known[there][nearest] == asked[mine]).mean()))
        if shares:
            by_view[view] = float(np.mean(shares))
            pairs += len(shares)
    if not by_view:
        raise ValueError("no probe view has a gallery of another view; there is nothing to compare")
    unmatched = int((~np.isin(asked, known)).sum())
    return Rank1(float(np.mean(list(by_view.values()))), by_view, len(asked), pairs, unmatched)


def _distance(one: Float[Array, "N E"], other: Float[Array, "G E"]) -> Float[Array, "N G"]:
    """Squared Euclidean distances."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    return (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * one @ other.T


def casia_b_scores(names: Sequence[PackedName], embeddings: Float[Array, "N E"]) -> dict[str, Rank1]:
    """NM, BG and CL of CASIA-B; walks are in `label` (nm, bg, cl) and `take`, views in `view`, roles in `split`.

    InputError where gallery or probes are not packed.
    """
    held = [i for i, n in enumerate(names) if n.split == "gallery"]
    asked = {k: [i for i, n in enumerate(names) if n.split == "probe" and n.label == k] for k in ("nm", "bg", "cl")}
    missing = [k for k, v in {"gallery": held, **asked}.items() if not v]
    if missing:
        raise InputError(f"no packed sequences of {', '.join(missing)}; pack subjects above 074 of CASIA-B, all walks")
    return {kind: _compare(names, embeddings, held, probes, views=True) for kind, probes in asked.items()}


def utd_scores(names: Sequence[PackedName], embeddings: Float[Array, "N E"]) -> dict[str, Rank1]:
    """Rank-1 of UTD-MHAD's walk and jog: together, each against itself, and across the two actions.

    InputError where a side has no clips.
    """
    held = [i for i, n in enumerate(names) if n.take in KNOWN_TRIALS]
    asked = [i for i, n in enumerate(names) if n.take not in KNOWN_TRIALS]
    if not held or not asked:
        raise InputError(f"of {len(names)} clips {len(held)} are of trials 1 and 2 and {len(asked)} of 3 and 4")
    scores = {"all": _compare(names, embeddings, held, asked, views=False)}
    for known in sorted({names[i].label for i in held}):
        for probe in sorted({names[i].label for i in asked}):
            sides = [i for i in held if names[i].label == known], [i for i in asked if names[i].label == probe]
            scores[f"{probe} among {known}"] = _compare(names, embeddings, *sides, views=False)
    return scores


def _compare(
    names: Sequence[PackedName], embeddings: Float[Array, "N E"], held: list[int], asked: list[int], views: bool
) -> Rank1:
    return rank1(
        embeddings[held],
        [names[i].subject for i in held],
        embeddings[asked],
        [names[i].subject for i in asked],
        [names[i].view for i in held] if views else None,
        [names[i].view for i in asked] if views else None,
    )


@dataclass(frozen=True)
class GaitEvalConfig:
    """Which models are scored on which packed clips."""

    packed: Path
    models: tuple[Path, ...]
    out: Path | None = None
    """Folder for NAME.json of each condition; printed alone without."""
    batch: int = 32


def load_gait(folder: Path) -> tuple[Embed, Condition, str]:
    """A trained gait network as a function on packed clips, its condition, and the task it was trained for.

    InputError for another kind of model.
    """
    import torch

    from motionqa.encoders.device import best_device
    from motionqa.encoders.flow.heads import FlowGaitNet
    from motionqa.encoders.model_dir import load_model_dir

    found = load_model_dir(folder)
    if not isinstance(found.model, FlowGaitNet):
        raise InputError(f"{folder} holds a {type(found.model).__name__}; give one of motionqa.finetune.train_gait")
    device = best_device()[0]
    model, steps = found.model.to(device), int(found.usage["steps"])

    def run(clips: Float[Array, "B T C H W"]) -> Float[Array, "B E"]:
        moments = np.linspace(0, clips.shape[1] - 1, steps).round().astype(int)
        with torch.inference_mode():
            return model(torch.from_numpy(clips[:, moments]).float().to(device)).cpu().numpy()

    return run, found.usage["condition"], found.usage["task"]


def score(folder: Path, packed: Path, batch: int = 32) -> tuple[str, Condition, dict[str, Rank1]]:
    """The task and condition of a model, and its rank-1 figures on packed clips.

    InputError where there are no clips for its task.
    """
    run, condition, task = load_gait(folder)
    names = packed_names(packed)
    names = [n for n in names if (n.split != "train" if task == "casia_b" else n.label in WALKS)]
    if not names:
        raise InputError(f"{packed} holds no clips for {task}; pack them first")
    parts = [
        run(np.stack([packed_channels(packed, n.name, condition) for n in names[k : k + batch]]))
        for k in range(0, len(names), batch)
    ]
    scores = casia_b_scores if task == "casia_b" else utd_scores
    return task, condition, scores(names, np.concatenate(parts))


def main(config: GaitEvalConfig) -> None:
    """Prints a line for each model and figure, and keeps them."""
    for folder in config.models:
        task, condition, scores = score(folder, config.packed, config.batch)
        for what, found in scores.items():
            print(f"{condition:6} {what:20} {100 * found.share:6.2f} % of {found.probes} ({folder})")
        if config.out:
            config.out.mkdir(parents=True, exist_ok=True)
            table = {what: {"rank1": s.share, "n": s.probes, "unmatched": s.unmatched} for what, s in scores.items()}
            path = config.out / f"{folder.parent.name}.json"
            path.write_text(json.dumps({"condition": condition, "task": task, **table}, indent=1) + "\n")


if __name__ == "__main__":
    main(tyro.cli(GaitEvalConfig))

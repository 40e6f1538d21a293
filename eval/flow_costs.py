"""What H-MoRe costs: parameters and products, time beside RAFT-small, memory, and what the centroid distance saves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from motionqa.data.mocap.packed import load_collections
from motionqa.data.synthetic.puppet_sampler import PuppetConfig, PuppetSampler
from motionqa.data.synthetic.puppets import FlowPair
from motionqa.encoders.flow.hmore import FlowConfig, HMoRe
from motionqa.encoders.flow.losses import FlowLossConfig, chamfer, outline, patch_centroids
from motionqa.encoders.flow.raft import RAFTSmall
from motionqa.eval.benchmark import Row, median_row
from motionqa.eval.flow_estimators import dis, saved_flow
from motionqa.eval.flow_scores import flow_edge_pixels

Rows = Iterator[Row]

SIDE = 256
THREADS = 2
PAPER_PARAMETERS_M, PAPER_GFLOPS = 5.57, 861.5


def the_network(folder: Path) -> HMoRe:
    """The released network, or one of the usual size where there is none: costs do not depend on weights."""
    return saved_flow(folder) if folder.exists() else HMoRe(FlowConfig()).eval()


def pictures(device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Two random pictures of 256 x 256 pixels and one person's mask."""
    torch.manual_seed(0)
    mask = torch.zeros(1, 1, SIDE, SIDE, device=device)
    mask[..., 40:220, 90:170] = 1
    return torch.rand(1, 3, SIDE, SIDE, device=device), torch.rand(1, 3, SIDE, SIDE, device=device), mask


# ---------------------------------------------------------------------------------------------------- size


def size_rows(command: str, folder: Path) -> Rows:
    """Parameters, and multiply-adds counted twice, at 256 x 256."""
    ours, raft = the_network(folder), RAFTSmall().eval()
    first, second, mask = pictures()
    updates = ours.config.updates
    split = f"256 x 256, one person, {updates} updates"
    counts = [sum(p.numel() for p in m.parameters()) / 1e6 for m in (ours, raft)]
    yield Row(
        "parameters", round(counts[0], 3), "M", None,
        {"paper": PAPER_PARAMETERS_M, "RAFT-small": round(counts[1], 3)}, "beside the paper's", split, command,
    )  # fmt: skip
    flops = flops_g(lambda: ours(first, second, mask)), flops_g(lambda: raft(first, second, updates))
    yield Row(
        "flops", round(flops[0], 2), "GFLOP", None, {"paper": PAPER_GFLOPS, "RAFT-small": round(flops[1], 2)},
        "beside the paper's",
        f"{split}; matrix products, convolutions and attention as torch counts them; the paper names no input size",
        command,
    )  # fmt: skip


def flops_g(work: Callable[[], object]) -> float:
    """Floating-point operations of a forward pass, 10^9."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 1e9


# --------------------------------------------------------------------------------------------------- speed


def speed_rows(command: str, folder: Path, rounds: int = 9) -> Rows:
    """Time a pair beside RAFT-small with as many updates, measured in turns; frames a second on a GPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        ours, raft = seconds(the_network(folder), "cpu", rounds)
    finally:
        torch.set_num_threads(before)
    split = f"256 x 256, one pair, one person, float32, {THREADS} threads, {rounds} rounds in turns"
    beside = {"RAFT-small": round(1000 * float(np.median(raft)), 1)}
    yield median_row("speed_cpu", [1000 * s for s in ours], "ms", baselines=beside, split=split, command=command)
    ratios = [a / b for a, b in zip(ours, raft, strict=True)]
    yield median_row("speed_ratio", ratios, "x", goal="<= 1.15", split=split, command=command)
    if not torch.cuda.is_available():
        yield Row("speed_gpu", None, "frames/s", None, {}, ">= 34", "no GPU on this machine", command)
        return
    ours, raft = seconds(the_network(folder), "cuda", 5 * rounds)
    split = f"256 x 256, one pair, one person, float32, {torch.cuda.get_device_name()}, {5 * rounds} rounds in turns"
    beside = {"RAFT-small": round(1 / float(np.median(raft)), 1)}
    rates = [1 / s for s in ours]
    yield median_row("speed_gpu", rates, "frames/s", baselines=beside, goal=">= 34", split=split, command=command)


def seconds(model: HMoRe, device: str, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds a pair of a network and of RAFT-small with as many updates, one after the other in each round."""
    ours, raft = model.to(device), RAFTSmall().eval().to(device)
    first, second, mask = pictures(device)
    updates = ours.config.updates
    times: tuple[list[float], list[float]] = ([], [])
    for k in range(rounds + 2):
        for taken, work in zip(
            times, (lambda: ours(first, second, mask), lambda: raft(first, second, updates)), strict=True
        ):
            elapsed = _seconds(work, device)
            if k >= 2:  # the first rounds warm the caches up
                taken.append(elapsed)
    return times


def _seconds(work: Callable[[], object], device: str = "cpu") -> float:
    with torch.inference_mode():
        if device != "cpu":
            torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - started


# -------------------------------------------------------------------------------------------------- chamfer


def centroid_distance(one: Float[Tensor, "H W"], other: Float[Tensor, "H W"], side: int) -> Float[Tensor, ""]:
    """The paper's approximation of the Chamfer distance: between centroids of patches, weighted by mass, px."""
    (at_one, mass_one), (at_other, mass_other) = (patch_centroids(c[None], side) for c in (one, other))
    used_one, used_other = mass_one[0] > 0, mass_other[0] > 0
    distance = torch.cdist(at_one[0, used_one], at_other[0, used_other])
    there = (distance.amin(dim=1) * mass_one[0, used_one]).sum() / mass_one.sum()
    back = (distance.amin(dim=0) * mass_other[0, used_other]).sum() / mass_other.sum()
    return (there + back) / 2


CURVES = {256: 40, 768: 10}
"""Side of the pictures that curves are drawn in, and how many pairs."""


def chamfer_rows(command: str, mocap: Path, seed: int) -> Rows:
    """How far the centroid distance is from the exact one, and how much faster, between DIS' edges and outlines."""
    clips = [c for c in load_collections((mocap,)) if c.split == "test"]
    for size, count in CURVES.items():
        sampler = PuppetSampler(clips, PuppetConfig(size=(size, size)), seed)
        curves = [c for k in range(count) if (c := curves_of(sampler.pairs(k, 1)[0])) is not None]
        yield from approximation_rows(command, curves)


def curves_of(pair: FlowPair) -> tuple[Tensor, Tensor] | None:
    """The edges of DIS' flow and the people's outline; None where one of them is empty."""
    rim = outline(torch.from_numpy(pair.masks.any(axis=0))[None].float())[0]
    edges = flow_edge_pixels(dis(pair), pair.masks, int(rim.sum()))
    return (torch.from_numpy(edges).float(), rim) if edges.any() else None


def approximation_rows(command: str, curves: list[tuple[Tensor, Tensor]]) -> Rows:
    """Error and speed-up for each size of patch, medians and ranges over pairs of curves of one picture size."""
    exact = [float(chamfer(*pair)) for pair in curves]
    size = curves[0][0].shape[-1]
    for side in FlowLossConfig().patches:
        split = f"{len(curves)} drawn pairs of {size} px, edges of DIS against outlines; patches of {side} px"
        off = [abs(float(centroid_distance(*pair, side)) - e) for pair, e in zip(curves, exact, strict=True)]
        beside = {"exact distance": round(float(np.median(exact)), 3)}
        yield median_row(
            f"chamfer_error_{size}_{side}", off, "px", baselines=beside, goal=f"<= {side // 2}", split=split,
            command=command,
        )  # fmt: skip
        ratios = []
        for pair in curves:
            works = partial(chamfer, *pair), partial(centroid_distance, *pair, side)
            slow, fast = (min(_seconds(work) for _ in range(5)) for work in works)
            ratios.append(slow / fast)
        yield median_row(
            f"chamfer_speedup_{size}_{side}", ratios, "x", goal="> 1",
            split=f"{split}; {torch.get_num_threads()} threads, best of 5 each", command=command,
        )  # fmt: skip

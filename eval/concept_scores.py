"""How good concepts are: what motion keeps through its codes, how codes agree with actions, and what is found by them.

Pure functions on arrays; `motionqa.eval.bench_concepts` puts them into rows. Usage and perplexity of a codebook are in
`motionqa.encoders.concepts.quantizer.code_usage`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.vq import kmeans2
from scipy.sparse import coo_array

from motionqa.data.schema import InputError

Array = np.ndarray

HIGH_HZ = 4.0


# ------------------------------------------------------------------------------------------ reconstruction


def velocity_error_mm(found_m: Float[Array, "T J 3"], true_m: Float[Array, "T J 3"]) -> Float[Array, "_"]:
    """Mean distance between the joints' displacements, mm a frame, for each pair of neighbouring frames.

    Both poses about joint 0, as the decoder knows them.
    """
    moved = [np.diff(x - x[:, :1], axis=0) for x in (found_m, true_m)]
    return 1000 * np.linalg.norm(moved[0] - moved[1], axis=-1).mean(axis=1)


@dataclass(frozen=True)
class HighEnergy:
    """Energy of joint trajectories above a frequency, m² summed over joints, axes and frequencies."""

    true: float
    found: float
    missed: float
    """Of the difference between found and true: 0 where the fast movement is the right one."""

    @property
    def kept(self) -> float:
        """Found energy over true energy; right or wrong movement alike."""
        return self.found / self.true if self.true > 0 else float("nan")

    @property
    def explained(self) -> float:
        """Share of the true energy that is there in the right phase: 1 - missed / true; below 0 for noise."""
        return 1 - self.missed / self.true if self.true > 0 else float("nan")

    def __add__(self, other: HighEnergy) -> HighEnergy:
        return HighEnergy(self.true + other.true, self.found + other.found, self.missed + other.missed)


def high_energy(
    found_m: Float[Array, "_ J 3"], true_m: Float[Array, "_ J 3"], fps: float, above_hz: float = HIGH_HZ
) -> HighEnergy:
    """Energy above a frequency by FFT over the clip, joints about joint 0, mean taken away, Hann window.

    The window keeps slow movement, which is thousands of times stronger, from leaking upwards. InputError for fewer
    than 8 frames, or where the frame rate shows nothing above that frequency.
    """
    if len(true_m) < 8 or len(found_m) != len(true_m):
        raise InputError(f"expected two clips of one length of at least 8 frames, got {len(found_m)} and {len(true_m)}")
    if fps / 2 <= above_hz:
        raise InputError(f"{fps:g} frames a second show nothing above {above_hz:g} Hz; more than {2 * above_hz:g} do")

    def energy(joints: Array) -> float:
        about = joints - joints[:, :1]
        shaped = (about - about.mean(axis=0)) * np.hanning(len(about))[:, None, None]
        power = np.abs(np.fft.rfft(shaped, axis=0)) ** 2
        return float(power[np.fft.rfftfreq(len(about), 1 / fps) > above_hz].sum())

    return HighEnergy(energy(true_m), energy(found_m), energy(found_m - true_m))


# ---------------------------------------------------------------------------------------- codes and actions


def normalised_mutual_information(first: Sequence[object], second: Sequence[object]) -> float:
    """NMI of two labellings, 0 to 1: I(a; b) over the mean of their entropies (Strehl and Ghosh, JMLR 2002, with the
    arithmetic mean, as scikit-learn has it). 0 where either says nothing; InputError for unequal or no labels.
    """
    if len(first) != len(second) or len(first) == 0:
        raise InputError(f"expected two labellings of the same things, got {len(first)} and {len(second)} labels")
    a, b = (np.unique(np.asarray([str(v) for v in x]), return_inverse=True)[1] for x in (first, second))
    joint = coo_array((np.ones(len(a)), (a, b))).tocsr()
    joint.sum_duplicates()
    rows, columns = joint.nonzero()
    together = joint[rows, columns] / len(a)
    share_a, share_b = np.bincount(a) / len(a), np.bincount(b) / len(b)
    information = float((together * np.log(together / (share_a[rows] * share_b[columns]))).sum())
    entropies = [-float((s * np.log(s)).sum()) for s in (share_a, share_b)]
    mean = sum(entropies) / 2
    return float(np.clip(information / mean, 0.0, 1.0)) if mean > 0 else 0.0


def nmi_of_clips(codes: Sequence[Int[Array, "_"]], labels: Sequence[str]) -> float:
    """NMI of the codes of clips' tokens with their clips' labels."""
    spread = np.repeat(np.asarray(labels), [len(c) for c in codes])
    return normalised_mutual_information(np.concatenate(codes).tolist(), spread.tolist())


def nmi_above_chance(codes: Sequence[Int[Array, "_"]], labels: Sequence[str], draws: int = 20, seed: int = 0) -> float:
    """How far NMI lies above its mean with the labels drawn anew among the clips.

    Tokens of a clip share their codes, so codes that tell clips apart have an NMI with any labels of clips, the more of
    it the more codes there are. Ours.
    """
    rng = np.random.default_rng(seed)
    shuffled = [nmi_of_clips(codes, rng.permutation(np.asarray(labels)).tolist()) for _ in range(draws)]
    return nmi_of_clips(codes, labels) - float(np.mean(shuffled))


def bags(codes: Sequence[Int[Array, "_"]], count: int) -> Float[Array, "N K"]:
    """How often each code occurs in each clip, as shares."""
    return np.stack([np.bincount(c, minlength=count) / max(1, len(c)) for c in codes])


def linear_probe(
    train: Float[Array, "N D"],
    train_labels: Sequence[str],
    test: Float[Array, "M D"],
    test_labels: Sequence[str],
    penalty: float = 1.0,
) -> float:
    """Share of test rows whose label a ridge regression onto one-hot labels finds, fitted on the training rows.

    Columns are standardised by the training rows. Labels that training does not know count as not found.
    """
    classes = sorted(set(train_labels))
    mean, spread = train.mean(axis=0), train.std(axis=0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    x, y = (train - mean) / scale, np.array([[label == c for c in classes] for label in train_labels], float)
    gram = x @ x.T + penalty * x.shape[1] * np.eye(len(x))  # dual form: there are fewer clips than columns
    weights = x.T @ np.linalg.solve(gram, y - y.mean(axis=0))
    found = ((test - mean) / scale @ weights + y.mean(axis=0)).argmax(axis=1)
    return float(np.mean([classes[k] == label for k, label in zip(found, test_labels, strict=True)]))


@dataclass(frozen=True, eq=False)
class Clusters:
    """k-means over vectors that were reduced to their main directions: the baseline that learns no concepts."""

    mean: Float[Array, "D"]
    directions: Float[Array, "D P"]
    centres: Float[Array, "K P"]

    def assign(self, vectors: Float[Array, "M D"]) -> Int[Array, "M"]:
        """The nearest centre of each vector."""
        reduced = (vectors - self.mean) @ self.directions
        far = (self.centres**2).sum(axis=1)[None] - 2 * reduced @ self.centres.T
        return far.argmin(axis=1)


def cluster(vectors: Float[Array, "N D"], count: int, directions: int = 64, seed: int = 0) -> Clusters:
    """k-means++ (scipy) into `count` clusters, in the `directions` of largest variance. InputError for too few."""
    if len(vectors) < count:
        raise InputError(f"{len(vectors)} vectors cannot make {count} clusters")
    mean = vectors.mean(axis=0)
    centred = vectors - mean
    values, axes = np.linalg.eigh(centred.T @ centred)
    main = axes[:, np.argsort(values)[::-1][:directions]]
    centres, _ = kmeans2(centred @ main, count, iter=20, minit="++", rng=np.random.default_rng(seed))
    return Clusters(mean, main, centres)


# ------------------------------------------------------------------------------------------------ retrieval


def recall_at(
    queries: Float[Array, "N E"],
    query_groups: Sequence[str],
    gallery: Float[Array, "M E"],
    gallery_groups: Sequence[str],
    ks: Sequence[int] = (1, 5),
) -> dict[int, float]:
    """Share of queries whose own group is among the first k groups of the gallery, for every k.

    Groups (the distinct action and subject pairs of a test set) are ranked by the likeness of their best member; a
    group that is as like as the right one counts as ahead of it. InputError where a query's group is not in the
    gallery: it could never be found.
    """
    names = sorted(set(gallery_groups))
    if missing := sorted(set(query_groups) - set(names)):
        raise InputError(f"the gallery holds nothing of {len(missing)} groups, such as {missing[0]!r}")
    likeness = queries @ gallery.T
    members = np.array(gallery_groups)
    best = np.stack([likeness[:, members == name].max(axis=1) for name in names], axis=1)
    own = np.array([names.index(g) for g in query_groups])
    ahead = (best >= best[np.arange(len(own)), own][:, None]).sum(axis=1) - 1
    return {k: float((ahead < k).mean()) for k in ks}

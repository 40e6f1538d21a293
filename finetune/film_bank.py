"""Motion capture as films of it would be read, computed once: what the reader learns from beside the exact motion.

    python -m motionqa.finetune.film_bank --mocap MOCAP_FOLDER --out BANK

Every metric clip is filmed `views` times from about the front, with the detector's measured errors, and lifted
(`motionqa.encoders.filmed`). What is there already is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from motionqa.assistant.released import lifting
from motionqa.data.detector_noise import load
from motionqa.data.instruct.known import known_motion
from motionqa.data.mocap.actions import FRONT
from motionqa.data.mocap.clip import MocapClip
from motionqa.data.mocap.packed import load_collections
from motionqa.data.schema import InputError, Pose3D
from motionqa.encoders.clip_encoder import load_lifter
from motionqa.encoders.filmed import Film, filmed, random_film
from motionqa.encoders.lifter import LifterConfig, Network


@dataclass(frozen=True)
class BankConfig:
    """What is filmed, and how."""

    mocap: tuple[Path, ...]
    out: Path
    views: int = 1
    side_deg: float = 75.0
    """Cameras stand up to so far from the front."""
    strength: tuple[float, float] = (0.4, 1.2)
    """Of the detector's errors."""
    longest_s: float = 20.0
    """Only so much of a clip is filmed."""
    seed: int = 0
    weights: str = "dstformer"


def main(config: BankConfig) -> None:
    """Writes `films-<view>.npz`: joints, confidence and offsets in the order of the clips, with their names."""
    chosen = lifting(config.weights)
    assert chosen.weights is not None
    network, how = load_lifter(chosen.weights, chosen.version)
    how = replace(how, flip=False, phases=1, batch=16)
    clips = [c for c in load_collections(config.mocap) if c.metric]
    config.out.mkdir(parents=True, exist_ok=True)
    for view in range(config.views):
        target = config.out / f"films-{view}.npz"
        if target.exists():
            continue
        parts: list[Pose3D | None] = []
        for i, clip in enumerate(clips):
            rng = np.random.default_rng((config.seed, view, i))
            kept = slice(0, round(config.longest_s * clip.fps))
            pose = known_motion(replace(clip, xyz_m=clip.xyz_m[kept], confidence=clip.confidence[kept])).pose
            film = random_film(pose, FRONT.get(clip.source, 0.0), rng, load(), config.side_deg, config.strength)
            parts.append(_filmed(pose, film, network, how))
            if (i + 1) % 200 == 0:
                print(f"view {view}: {i + 1}/{len(clips)}", flush=True)
        _save(target, clips, parts)


def _filmed(pose: Pose3D, film: Film, network: Network, how: LifterConfig) -> Pose3D | None:
    try:
        return filmed(pose, film, network, how)
    except (InputError, ValueError) as error:
        print(f"{pose.source}: {error}", flush=True)  # counted by its missing rows
        return None


def _save(target: Path, clips: list[MocapClip], parts: list[Pose3D | None]) -> None:
    lengths = [len(p) if p else 0 for p in parts]
    some = [p for p in parts if p]
    np.savez(
        target,
        xyz_m=np.concatenate([p.xyz_m for p in some]).astype(np.float32),
        confidence=np.concatenate([p.confidence for p in some]).astype(np.float16),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        clip=np.array([f"{c.source}/{c.clip_id}" for c in clips]),
    )


if __name__ == "__main__":
    main(tyro.cli(BankConfig))

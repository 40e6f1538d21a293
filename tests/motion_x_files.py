"""Small motions in Motion-X's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from motionqa.data.mocap.motion_x import WIDTH

Array = np.ndarray


def motion(frames: int = 30, seed: int = 1) -> Array:
    """[T, 322] numbers of somebody upright (Y up) who walks along Z at 1 m/s and moves a little."""
    rng = np.random.default_rng(seed)
    out = rng.normal(size=(frames, WIDTH)) * 0.1  # hands, jaw and face say nothing of the joints
    out[:, :3] = 0
    out[:, 3:66] = np.cumsum(rng.normal(size=(frames, 63)) * 0.005, axis=0)
    out[:, 309:312] = np.stack([np.zeros(frames), np.full(frames, 0.95), np.arange(frames) / 30], axis=1)
    out[:, 312:] = np.linspace(-1, 1, 10)
    return out.astype(np.float32)


def write_motion(root: Path, name: str, data: Array | None = None, text: str = "", video: bool = False) -> None:
    """One motion in the layout of Motion-X++."""
    places = (root / "motion/motion_generation/smplx322", root / "text/semantic_label", root / "video")
    for place in places:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
    np.save(places[0] / f"{name}.npy", motion() if data is None else data, allow_pickle=False)
    if text:
        (places[1] / f"{name}.txt").write_text(f"\n{text}\n")
    if video:
        (places[2] / f"{name}.mp4").write_bytes(b"video")

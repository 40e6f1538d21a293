"""Clips to try at once: a motion file made by the project's own figure, and a walk filmed by others if it is there."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from motionqa.data.cache import cache_root
from motionqa.data.schema import Pose3D
from motionqa.data.synthetic.motions import arm_raise, concatenate, render, squats, stand


def example_files() -> tuple[Path, ...]:
    """Paths of the example clips: made on first use; the filmed ones only where `make samples` has fetched them."""
    folder = cache_root() / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    figure = folder / "three_squats_then_right_arm.trc"
    if not figure.exists():
        write_trc(render(concatenate(stand(0.5), squats(3), arm_raise("right"), stand(0.5))), figure)
    return (figure, *sorted(folder.glob("*.mp4")))


FILMED = "walk_outdoors_(filmed_by_the_Sports2D_authors).mp4"


def keep_filmed_example(path: Path) -> Path:
    """Copies a filmed clip, fetched by `make samples`, among the examples."""
    target = cache_root() / "examples" / FILMED
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    return target


def write_trc(pose: Pose3D, path: Path) -> None:
    """Joint positions as a TRC file (OpenSim's marker format), millimetres."""
    names = pose.skeleton.joints
    head = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{pose.fps}\t{pose.fps}\t{len(pose)}\t{len(names)}\tmm\t{pose.fps}\t1\t{len(pose)}",
        "Frame#\tTime\t" + "\t\t\t".join(names),
        "\t\t" + "\t".join(f"{axis}{i + 1}" for i in range(len(names)) for axis in "XYZ"),
    ]
    rows = [
        f"{k + 1}\t{t:.4f}\t" + "\t".join(f"{v:.2f}" for v in frame.ravel() * 1000)
        for k, (t, frame) in enumerate(zip(pose.times_s, pose.xyz_m, strict=True))
    ]
    path.write_text("\n".join([*head, "", *rows]) + "\n")


if __name__ == "__main__":
    keep_filmed_example(Path(sys.argv[1]))

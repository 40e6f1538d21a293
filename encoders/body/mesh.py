"""A body's surface over time, and the files it can be saved to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from motionqa.data.schema import InputError

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class BodyMeshSequence:
    """Vertices of one body at key frames: metres, right-handed, Y up, where the joints of the clip are."""

    vertices_m: Float[Array, "T V 3"]
    """float32."""
    faces: Int[Array, "F 3"]
    """Triangles as vertex numbers, counter-clockwise seen from outside."""
    times_s: Float[Array, "T"]
    residual_mm: Float[Array, "T"]
    """Mean distance of the body's joints from the clip's at each key frame; NaN where no joint could be compared."""
    source: str
    """What the body is and how it was posed: "fitted to the joints …" or "regressed by mesh weights …"."""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        frames = len(self.vertices_m)
        if len(self.times_s) != frames or len(self.residual_mm) != frames:
            raise ValueError(
                f"{frames} frames of vertices, but {len(self.times_s)} times and {len(self.residual_mm)} residuals"
            )

    def __len__(self) -> int:
        return len(self.times_s)


FORMATS = (".npz", ".glb", ".obj")


def check_mesh_path(path: Path) -> None:
    """InputError where a file of this name cannot be written as a mesh."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path.name}: a mesh is saved as {', '.join(FORMATS)}; change the ending")


def save_mesh(mesh: BodyMeshSequence, path: Path) -> tuple[Path, ...]:
    """The files written: all key frames in an .npz; one file a key frame for .obj and .glb (`name_0000.obj`, …).

    InputError for other endings, and where trimesh (it comes with `motionqa[mesh]`) is not installed.
    """
    check_mesh_path(path)
    ending = path.suffix.lower()
    path.parent.mkdir(parents=True, exist_ok=True)
    if ending == ".npz":
        np.savez_compressed(
            path, vertices_m=mesh.vertices_m, faces=mesh.faces, times_s=mesh.times_s, residual_mm=mesh.residual_mm,
            source=np.array(mesh.source),
        )  # fmt: skip
        return (path,)
    try:
        import trimesh
    except ImportError as error:
        raise InputError(f"writing {ending} needs trimesh: pip install 'motionqa[mesh]', or save as .npz") from error
    written = []
    for k, vertices in enumerate(mesh.vertices_m):
        one = path if len(mesh) == 1 else path.with_name(f"{path.stem}_{k:04d}{ending}")
        trimesh.Trimesh(vertices, mesh.faces, process=False).export(one)
        written.append(one)
    return tuple(written)

"""Clip encodings on disk: one safetensors file per content and configuration.

The motion report is not stored: measuring it again takes milliseconds and keeps it in step with the code.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from motionqa.data.schema import Array, ClipEncoding, MotionReport, PersonTrack, Pose3D, PoseSequence
from motionqa.data.skeleton import Skeleton

FORMAT = 2
"""Raised when stored encodings no longer mean what they did; part of every key."""


def cache_root() -> Path:
    """`$MOTIONQA_CACHE`, or the platform's cache folder for motionqa."""
    return Path(os.environ.get("MOTIONQA_CACHE") or platformdirs.user_cache_dir("motionqa"))


def content_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, or of a folder's files in order of their names."""
    if path.is_dir():
        return sha256("".join(content_sha256(p) for p in sorted(path.iterdir()) if p.is_file()).encode()).hexdigest()
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def encoding_key(content_sha256: str, config: Any) -> str:
    """File name stem for one content under one configuration (a dataclass)."""
    settings = json.dumps([FORMAT, asdict(config)], sort_keys=True, default=str)
    return f"{content_sha256[:32]}-{sha256(settings.encode()).hexdigest()[:16]}"


class EncodingCache:
    """A folder of encodings, private to the user and bounded in size: the least recently used go first."""

    def __init__(self, folder: Path | None = None, max_bytes: int = 500_000_000) -> None:
        self.folder = folder or cache_root() / "encodings"
        self.max_bytes = max_bytes

    def load(self, key: str, measure: Callable[[Pose3D], MotionReport]) -> ClipEncoding | None:
        """The stored encoding with its report measured afresh, or None. An unreadable file is removed."""
        path = self.folder / f"{key}.safetensors"
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="np") as file:
                meta = json.loads(file.metadata()["motionqa"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            os.utime(path)
            return _unpack(meta, arrays, measure)
        except (SafetensorError, KeyError, TypeError, ValueError, OSError):
            path.unlink(missing_ok=True)
            return None

    def save(self, key: str, encoding: ClipEncoding) -> None:
        """Stores an encoding in one step: no reader sees half a file. OSError where the folder can not be written."""
        meta, arrays = _pack(encoding)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as part:
            pass
        try:
            save_file(arrays, part.name, metadata={"motionqa": json.dumps(meta)})
            os.replace(part.name, self.folder / f"{key}.safetensors")
        except (OSError, SafetensorError) as error:
            Path(part.name).unlink(missing_ok=True)
            raise OSError(str(error)) from error
        self._prune()

    def _prune(self) -> None:
        files = sorted(self.folder.glob("*.safetensors"), key=lambda p: p.stat().st_mtime, reverse=True)
        total = 0
        for path in files:
            total += path.stat().st_size
            if total > self.max_bytes:
                path.unlink(missing_ok=True)


def _pack(encoding: ClipEncoding) -> tuple[dict[str, Any], dict[str, Array]]:
    arrays: dict[str, Array] = {}
    people = []
    for track in encoding.people:
        name = f"people.{track.person_id}"
        people.append(track.person_id)
        for part in ("times_s", "center_px", "radius_px", "score"):
            arrays[f"{name}.{part}"] = getattr(track, part).astype(np.float32)
    pose3d = encoding.pose3d
    arrays |= {"pose3d.times_s": pose3d.times_s, "pose3d.xyz_m": pose3d.xyz_m.astype(np.float32)}
    arrays["pose3d.confidence"] = pose3d.confidence.astype(np.float32)
    meta: dict[str, Any] = {
        "encoding": {
            name: getattr(encoding, name)
            for name in ("content_sha256", "name", "kind", "duration_s", "person_id", "notes", "timings_s")
        },
        "people": people,
        "pose3d": {
            name: getattr(pose3d, name)
            for name in ("person_id", "fps", "source", "root_motion", "metric", "planar", "camera", "notes")
        },
        "pose3d_skeleton": asdict(pose3d.skeleton),
    }
    pose = encoding.pose
    if pose is not None:
        arrays |= {"pose.times_s": pose.times_s, "pose.xy_px": pose.xy_px.astype(np.float32)}
        arrays["pose.confidence"] = pose.confidence.astype(np.float32)
        meta["pose"] = {name: getattr(pose, name) for name in ("person_id", "fps", "width", "height", "source")}
        meta["pose_skeleton"] = asdict(pose.skeleton)
        if pose.mask is not None:
            arrays["pose.mask"] = np.packbits(pose.mask)
            meta["mask_shape"] = pose.mask.shape
    return meta, {name: np.ascontiguousarray(value) for name, value in arrays.items()}


def _unpack(meta: dict[str, Any], arrays: dict[str, Array], measure: Callable[[Pose3D], MotionReport]) -> ClipEncoding:
    def tensor(name: str) -> Array:
        return arrays[name].astype(np.float64)

    def skeleton(name: str) -> Skeleton:
        spec = meta[name]
        return Skeleton(spec["name"], tuple(spec["joints"]), tuple(spec["parents"]))

    pose3d_meta = meta["pose3d"] | {"notes": tuple(meta["pose3d"]["notes"])}
    pose3d = Pose3D(
        skeleton=skeleton("pose3d_skeleton"),
        times_s=tensor("pose3d.times_s"),
        xyz_m=tensor("pose3d.xyz_m"),
        confidence=tensor("pose3d.confidence"),
        **pose3d_meta,
    )
    pose = None
    if "pose" in meta:
        mask = None
        if "mask_shape" in meta:
            shape = tuple(meta["mask_shape"])
            mask = np.unpackbits(arrays["pose.mask"], count=int(np.prod(shape))).reshape(shape).astype(bool)
        pose = PoseSequence(
            skeleton=skeleton("pose_skeleton"),
            times_s=tensor("pose.times_s"),
            xy_px=tensor("pose.xy_px"),
            confidence=tensor("pose.confidence"),
            mask=mask,
            **meta["pose"],
        )
    parts = ("times_s", "center_px", "radius_px", "score")
    people = tuple(PersonTrack(i, *(tensor(f"people.{i}.{part}") for part in parts)) for i in meta["people"])
    encoding = meta["encoding"] | {"notes": tuple(meta["encoding"]["notes"])}
    return ClipEncoding(people=people, pose=pose, pose3d=pose3d, report=measure(pose3d), **encoding)

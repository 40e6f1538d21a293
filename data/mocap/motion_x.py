"""Motion-X (Lin et al., NeurIPS 2023): whole-body motion of films as SMPL-X parameters, with sentences and videos.

Layout of the releases: motion `motion_data/smplx_322/SUBSET/…/NAME.npy`, or in Motion-X++
`motion/motion_generation/smplx322/…`; sentences `texts/semantic_labels/SUBSET/…/NAME.txt`, or `text/semantic_label/…`;
videos, which only users with their owners' leave have, `video/SUBSET/…/NAME.mp4`. All motion is at 30 frames a second
and Y up; AIST's paths are not to scale before the data set's own script has been run on them, which the joints about
the pelvis do not depend on.

A frame is 322 numbers: root orientation 3, body pose 63, hands 90, jaw 3, facial expression 50, face shape 100,
translation 3, betas 10. Joints need the licensed SMPL-X model; hands, jaw and face are not read.

Splits: the lists `train.txt`, `val.txt` and `test.txt` where they are there, which hold clips of one film on several
sides; else one film in five is for tests, with all clips cut from it.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from motionqa.data.mocap.clip import MocapClip, Split
from motionqa.data.mocap.packed import MIN_FRAMES
from motionqa.data.mocap.read_report import ReadReport, warn_of_skipped
from motionqa.data.motion_files.array_files import load_npy
from motionqa.data.motion_files.raw_motion import MotionOverrides
from motionqa.data.motion_files.read import read_motion
from motionqa.data.schema import InputError
from motionqa.data.skeleton import H36M_17, convert
from motionqa.data.video import VIDEO_SUFFIXES

Array = np.ndarray

SOURCE = "motion_x"
FPS = 30.0
LAYOUT = {
    "root_orient": 3,
    "pose_body": 63,
    "pose_hand": 90,
    "pose_jaw": 3,
    "face_expr": 50,
    "face_shape": 100,
    "trans": 3,
    "betas": 10,
}
"""Parts of a frame in their order, and how many numbers each has."""
WIDTH = sum(LAYOUT.values())
MOTIONS = ("motion_data/smplx_322", "motion/motion_generation/smplx322", "motion/smplx_322", "motion/smplx322")
TEXTS = ("texts/semantic_labels", "text/semantic_label", "texts/semantic_label", "text/semantic_labels")
VIDEOS = ("video", "videos")
LISTS = (".", "datasets", "split")
"""Where the lists of the official split may lie."""
TEST_SHARE = 5
NO_LIMIT = 10_000_000


@dataclass(frozen=True)
class MotionXFile:
    """One motion, and what belongs to it."""

    name: str
    """Subset, folders and name: `fitness/subset_0033/Quad_Stretch_clip_3`."""
    motion: Path
    video: Path | None
    text: str
    """What is done, in a sentence; empty where none is given."""
    split: Split

    @property
    def subset(self) -> str:
        """The collection within Motion-X."""
        return self.name.partition("/")[0]

    @property
    def recording(self) -> str:
        """The film or capture that a clip was cut from, its mirror image included."""
        folder, _, stem = self.name.rpartition("/")
        stem = re.sub(r"_clip_?\d+$", "", stem)
        return f"{folder.partition('/')[0]}/{re.sub(r'^M(?=[0-9]+$)', '', stem)}"

    @property
    def label(self) -> str:
        """The action as the file's name says it; empty where that is a number."""
        words = self.recording.rpartition("/")[2].replace("_", " ")
        return "" if re.fullmatch(r"[0-9 ]*", words) else words


def find_motion_x(root: Path) -> list[MotionXFile]:
    """Every motion below `root` by name. InputError where the folder is not laid out as a release.

    Where official lists are there, motions that none of them names are left out.
    """
    motions = next((root / m for m in MOTIONS if (root / m).is_dir()), None)
    files = sorted(motions.rglob("*.npy")) if motions else []
    if motions is None or not files:
        raise InputError(
            f"{root} has no motions of Motion-X; expected {' or '.join(MOTIONS[:2])} with SUBSET/…/NAME.npy in it"
        )
    texts = next((root / t for t in TEXTS if (root / t).is_dir()), None)
    videos = next((root / v for v in VIDEOS if (root / v).is_dir()), None)
    listed = _lists(root)
    out = []
    for file in files:
        name = file.relative_to(motions).with_suffix("").as_posix()
        found = MotionXFile(name, file, _video(videos, name), _text(texts, name), "train")
        split = listed.get(name) if listed else _own_split(found.recording)
        if split is not None:
            out.append(MotionXFile(found.name, found.motion, found.video, found.text, split))
    if not out:
        raise InputError(
            f"none of the {len(files)} motions in {motions} is in the lists of {root}; take lists that fit"
        )
    return out


def _video(videos: Path | None, name: str) -> Path | None:
    if videos is None:
        return None
    return next((p for s in VIDEO_SUFFIXES if (p := videos / f"{name}{s}").is_file()), None)


def _text(texts: Path | None, name: str) -> str:
    path = texts / f"{name}.txt" if texts is not None else None
    if path is None or not path.is_file():
        return ""
    lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[0] if lines else ""


def _lists(root: Path) -> dict[str, Split]:
    sides: tuple[Split, ...] = ("train", "val", "test")
    folder = next((root / at for at in LISTS if (root / at / "test.txt").is_file()), None)
    if folder is None:
        return {}
    found: dict[str, Split] = {}
    for side in sides:
        path = folder / f"{side}.txt"
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
            name = line.strip().removesuffix(".npy")
            if name and found.setdefault(name, side) != side:
                raise InputError(f"{name} is in {found[name]}.txt and in {path.name}; a clip can be on one side only")
    return found


def _own_split(recording: str) -> Split:
    number = int.from_bytes(hashlib.sha256(f"{SOURCE}/{recording}".encode()).digest()[:4])
    return "test" if number % TEST_SHARE == 0 else "train"


def parameters(path: Path) -> dict[str, Float[Array, "T _"]]:
    """The parts of a motion file by the names of `LAYOUT`. InputError where it is not [frames, 322] finite numbers."""
    data = load_npy(path)
    if data.dtype.kind not in "fiu" or data.ndim != 2 or data.shape[1] != WIDTH or len(data) == 0:
        raise InputError(
            f"{path.name} is {data.dtype}{list(data.shape)}, expected [frames, {WIDTH}] numbers: Motion-X's SMPL-X "
            "parameters (not its 263 or 623 features)"
        )
    if not np.isfinite(data).all():
        raise InputError(f"{path.name} holds NaN or infinity; download it again")
    edges = np.cumsum([0, *LAYOUT.values()])
    data = data.astype(np.float64)
    return {part: data[:, a:b] for part, a, b in zip(LAYOUT, edges, edges[1:], strict=False)}


def read_motion_x(file: MotionXFile, body_model: Path | None) -> MocapClip:
    """The joints of a motion at 30 frames a second, metres, Y up, posed by smplx with the user's own model.

    `body_model` is the file or folder of the licensed SMPL-X model. InputError without one, and as `parameters`.
    """
    found = parameters(file.motion)
    kept = {k: found[k] for k in ("root_orient", "pose_body", "trans")}
    with tempfile.TemporaryDirectory() as folder:
        # Posed by the reader of AMASS' files, whose SMPL-X release names the same parts.
        path = Path(folder) / f"{file.motion.stem}.npz"
        np.savez(path, allow_pickle=False, betas=found["betas"][0], surface_model_type="smplx", fps=FPS, **kept)
        overrides = MotionOverrides(
            format="smpl", fps=FPS, units="m", up_axis="y", handedness="right", body_model=body_model,
            max_frames=NO_LIMIT,
        )  # fmt: skip
        pose = read_motion(path, overrides).poses[0]
    xyz, confidence = convert(pose.xyz_m, pose.confidence, pose.skeleton, H36M_17)
    return MocapClip(
        SOURCE, file.name, pose.fps, xyz.astype(np.float32), confidence.astype(np.float32), file.split, file.label,
        subject=file.recording,
    )  # fmt: skip


def load_motion_x(
    root: Path,
    body_model: Path | None,
    report: ReadReport | None = None,
    splits: tuple[Split, ...] = ("train", "val", "test"),
) -> Iterator[MocapClip]:
    """The motions below `root` in the order of their names; only those of `splits`.

    Unreadable and too short ones are recorded in `report`, or in a warning at the end. InputError at once where there
    are no motions, or no body model.
    """
    check_body_model(body_model)
    return _clips(find_motion_x(root), body_model, report, splits)


def check_body_model(body_model: Path | None) -> None:
    """InputError where there is no such file or folder."""
    if body_model is None or not body_model.exists():
        raise InputError(
            f"body_model is {body_model}: Motion-X holds SMPL-X parameters, so posing them needs that model, a file "
            "such as SMPLX_NEUTRAL.npz or its folder (its licence is yours to accept)"
        )


def _clips(
    files: list[MotionXFile], body_model: Path | None, report: ReadReport | None, splits: tuple[Split, ...]
) -> Iterator[MocapClip]:
    record = report or ReadReport(SOURCE)
    for file in files:
        if file.split not in splits:
            continue
        try:
            clip = read_motion_x(file, body_model)
        except InputError as error:
            record.skip(file.name, str(error).replace(file.motion.name, "the file"))
            continue
        if len(clip) < MIN_FRAMES:
            record.skip(file.name, f"fewer than {MIN_FRAMES} frames")
            continue
        record.clips += 1
        yield clip
    if report is None:
        warn_of_skipped(record)

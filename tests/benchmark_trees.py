"""Folders of exactly the shape of the official benchmarks, a few questions each, written on the spot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from motionqa.eval.qa.mvbench import SEVEN
from motionqa.tests import motion_writers as write
from motionqa.tests.video_files import numbered_video

VOCABULARIES = {
    "action": ["walk", "sit", "stand up", "kick", "throw", "jump"],
    "direction": ["forward", "backwards", "right", "left"],
    "body_part": ["right hand", "left hand", "right leg", "left leg"],
}
SEGMENTS = [(0.0, 1.0, ["walk"], "walk forward"), (1.0, 1.2, ["transition"], "transition"),
            (1.2, 2.0, ["sit"], "sit down"), (2.0, 3.0, ["kick"], "kick with right leg")]  # fmt: skip


def dump(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
    return path


def program(query: str, *filters: tuple[str, str, str]) -> list[str]:
    """NSPose's program for filters of (attribute, concept, relation or '')."""
    lines, ends = ["[0]=scene([0])"], []
    for attribute, concept, relation in filters:
        lines.append(f"[{len(lines)}]=filter_{attribute}([0], {concept})")
        if relation:
            lines.append(f"[{len(lines)}]=relate([{len(lines) - 1}], {relation})")
        ends.append(len(lines) - 1)
    if len(ends) > 1:
        lines.append(f"[{len(lines)}]=intersect({ends})")
    return [*lines, f"?=query_{query}([{len(lines) - 1}])"]


def babel_entries(start: int = 0, clip: str = "7644") -> list[list[Any]]:
    """Five questions on one motion: each type and each relation."""
    return [
        [f"{start:06d}", "What direction does the person move while they walk?",
         program("direction", ("action", "walk", "")), clip, "forward"],
        [f"{start + 1:06d}", "What action does the person do before they sit?",
         program("action", ("action", "sit", "before")), clip, "walk"],
        [f"{start + 2:06d}", "What action does the person do after they walk?",
         program("action", ("action", "walk", "after")), clip, "sit"],
        [f"{start + 3:06d}", "What body part does the person use after they sit?",
         program("body_part", ("action", "sit", "after")), clip, "right leg"],
        [f"{start + 4:06d}", "What action does the person do after they walk and before they use their right leg?",
         program("action", ("action", "walk", "after"), ("body_part", "right leg", "before")), clip, "sit"],
    ]  # fmt: skip


def amass_npz(path: Path, frames: int, fps: float) -> Path:
    """A person standing upright in AMASS's Z-up axes who walks at 1 m/s along -Y."""
    path.parent.mkdir(parents=True, exist_ok=True)
    poses = np.zeros((frames, 156))
    poses[:, :3] = (np.pi / 2, 0, 0)
    trans = np.stack([np.zeros(frames), -np.arange(frames) / fps, np.full(frames, 0.95)], axis=1)
    np.savez(path, poses=poses, trans=trans, betas=np.zeros(16), gender="neutral", mocap_framerate=fps)
    return path


def babel_qa(folder: Path, motions: bool = True) -> Path:
    """The official files, two AMASS motions (120 and 100 fps), a body model and BABEL's annotations."""
    for attribute, words in VOCABULARIES.items():
        dump(folder / f"BABELQA_{attribute}_answer_vocab.json", {w: i for i, w in enumerate(words)})
    splits = {
        "train": babel_entries(0),
        "val": babel_entries(10, "12"),
        "test": [*babel_entries(20), *babel_entries(30, "12")],
    }
    for split, entries in splits.items():
        dump(folder / f"BABELQA_{split}.json", entries)
    dump(folder / "split_question_ids.json", {s: [e[0] for e in entries] for s, entries in splits.items()})
    dump(folder / "amass_to_babel.json", {"CMU/91/91_48_poses": "7644", "KIT/3/kick_poses": "12"})
    if motions:
        amass_npz(folder / "amass/CMU/91/91_48_poses.npz", 361, 120.0)
        amass_npz(folder / "amass/KIT/3/kick_poses.npz", 301, 100.0)
        (folder / "body_models/smplh").mkdir(parents=True)
        np.savez(folder / "body_models/smplh/SMPLH_NEUTRAL.npz", allow_pickle=False, **write.body_model())
        labels = [{"start_t": a, "end_t": b, "act_cat": c, "proc_label": p} for a, b, c, p in SEGMENTS]
        motion = {"babel_sid": 7644, "feat_p": "CMU/CMU/91/91_48_poses.npz", "dur": 3.0}
        dump(folder / "train.json", {"7644": motion | {"seq_ann": None, "frame_ann": {"labels": labels[::-1]}}})
    return folder


def humman_qa(folder: Path) -> Path:
    """The published files with one motion."""
    for attribute, words in VOCABULARIES.items():
        dump(folder / f"HuMMan_{attribute}_answer_vocab.json", {w: i for i, w in enumerate(words)})
    for k, split in enumerate(("train", "val", "test")):
        dump(folder / f"HuMMan_{split}.json", babel_entries(10 * k, "p000517_a000197_updated_bodypart"))
    amass_npz(folder / "motions/p000517_a000197.npz", 60, 30.0)
    return folder


def activitynet_qa(folder: Path, videos: Sequence[str] = ("aaa.mp4", "bbb.mkv")) -> Path:
    """All nine types on two videos; `no` questions lead the test file, as in the official one."""
    answers = ["walking", "left", "before", "yes", "red", "ball", "gym", "2", "coach"]
    order = [3, 8, 6, 7, 5, 0, 4, 2, 1]
    for split in ("train", "val", "test"):
        q, a = [], []
        for k, video in enumerate(("aaa", "bbb")):
            for t in order:
                identity = f"v_{video}_{t + 1}"
                q.append({"video_name": video, "question": f"question of type {t}", "question_id": identity})
                given = answers[t] if split == "train" or k == 0 else f"not {answers[t]}"
                a.append({"answer": given, "type": t, "question_id": identity})
        dump(folder / f"{split}_q.json", q[::-1])
        dump(folder / f"{split}_a.json", a)
    for name in videos:
        (folder / "videos/test").mkdir(parents=True, exist_ok=True)
        numbered_video(folder / "videos/test" / f"v_{name}", [k / 10 for k in range(8)])
    return folder


def mvbench(folder: Path) -> Path:
    """Two questions of each of the seven sub-tasks, on one video each."""
    for task in SEVEN:
        entry: dict[str, Any] = {"video": "a.mp4", "question": "What?", "candidates": ["run", "jump", "sit"]}
        entry |= {"start": 0.1, "end": 0.6} if task.bounded else {}
        dump(folder / "json" / task.file, [entry | {"answer": "run"}, entry | {"answer": "sit"}])
        place = folder / "video" / task.folder / "a.mp4"
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_file():
            numbered_video(place, [k / 10 for k in range(8)])
    return folder

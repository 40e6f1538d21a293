"""Clips that were captured and filmed at once, as learned tokens of all three modalities, with their exact motion.

They are UTD-MHAD's, seen from the front: motion and video tokens are the vectors of HuMoCon's codes (arXiv 2505.20920,
section 3.3), one for every four frames; flow tokens are ours (`motionqa.encoders.flow.flow_tokens`). The video encoder
looks at frames and the flow between them, so a clip shown without flow tokens is not without flow in its video tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motionqa.data.concept_pairs import ConceptClip, load_part
from motionqa.data.depth_video import take_name
from motionqa.data.instruct.known import KnownMotion, known_motion
from motionqa.data.mocap.clip import Split
from motionqa.data.mocap.packed import load_collections
from motionqa.data.packed_flow import hmore_path
from motionqa.data.reading import ClipTokens
from motionqa.data.schema import InputError
from motionqa.encoders.concepts.humocon import HuMoCon
from motionqa.encoders.concepts.track import encode_clip, motion_of, video_of
from motionqa.encoders.flow.flow_tokens import packed_rows, packed_source
from motionqa.encoders.model_dir import load_model_dir

SOURCE = "utd_mhad"


@dataclass(frozen=True)
class TokenFiles:
    """What clips and their tokens are made from."""

    mocap: tuple[Path, ...]
    """Packed collections, UTD-MHAD's skeletons among them, or folders of them."""
    features: Path
    """What `motionqa.finetune.concept_features` wrote, videos included."""
    packed: Path
    """What `motionqa.finetune.depth_flow` wrote with H-MoRe's flow."""
    concepts: Path
    """A trained HuMoCon: the model's folder of a run of `motionqa.finetune.pretrain_concepts`."""


@dataclass(frozen=True, eq=False)
class PairedClip:
    """A captured movement whose action is known, and what its encoders take."""

    name: str
    """As the collection's videos have it: `a1_s1_t1`."""
    motion: KnownMotion
    seen: ConceptClip


def paired_clips(files: TokenFiles, splits: Sequence[Split]) -> list[PairedClip]:
    """The clips of some splits that have motion, video and flow, in order; how many have not is printed.

    InputError where there are none.
    """
    packs = [f for p in files.mocap for f in ([p] if p.is_file() else sorted(p.glob(f"{SOURCE}.npz")))]
    known = {take_name(c.clip_id): c for c in load_collections(packs) if c.source == SOURCE and c.split in splits}
    front: dict[str, ConceptClip] = {}
    for split in splits:
        for clip in load_part(files.features, split):
            if clip.source == SOURCE and not clip.mirrored:
                front.setdefault(clip.name, clip)  # the first view is the one from the front
    whole = [n for n, c in front.items() if n in known and c.has_video and hmore_path(files.packed, n).exists()]
    motions = {n: known_motion(known[n]) for n in whole}
    found = [PairedClip(n, m, front[n]) for n, m in motions.items() if m.actions]
    if not found:
        raise InputError(
            f"no clip of {SOURCE} for {' and '.join(splits)} has a skeleton, features and a video in {files.features} "
            f"and H-MoRe's flow in {files.packed}; make them with motionqa.finetune.concept_features and "
            "motionqa.finetune.depth_flow"
        )
    if len(found) < len(known):
        print(f"{len(known) - len(found)} of {len(known)} clips lack a video, flow or a known action and are left out")
    return found


class TokenEncoder:
    """Clips to tokens with one trained HuMoCon, whose hash is part of the tokens' sources."""

    def __init__(self, files: TokenFiles) -> None:
        """InputError where the folder holds another network."""
        saved = load_model_dir(files.concepts)
        if not isinstance(saved.model, HuMoCon):
            raise InputError(f"{files.concepts} holds a {type(saved.model).__name__}, expected HuMoCon")
        self.model, self._files = saved.model, files
        sha = saved.weights_sha256[:12]
        self.sources = {
            "motion": f"humocon motion {sha}",
            "video": f"humocon video {sha}",
            "flow": packed_source(files.packed),
        }

    def __call__(self, clip: ConceptClip) -> ClipTokens:
        """All three modalities of a clip, as float16."""
        found = encode_clip(self.model, motion_of(clip), video_of(self._files.features, clip))
        assert found.motion is not None
        assert found.video is not None
        rows = (found.motion.vectors, found.video.vectors, packed_rows(self._files.packed, clip.name))
        return ClipTokens(*(x.astype(np.float16) for x in rows), sources=self.sources)

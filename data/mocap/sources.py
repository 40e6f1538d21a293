"""The collections that motion capture comes from and their terms, for the cards of models trained on them."""

from __future__ import annotations

from collections.abc import Iterable

from motionqa.data.mocap.clip import MocapClip

TERMS = {
    "bandai_namco": "Bandai-Namco Research Motion Dataset, Bandai Namco Research Inc., CC BY-NC 4.0",
    "utd_mhad": "UTD-MHAD (Chen, Jafari, Kehtarnavaz, ICIP 2015), no licence stated",
    "msr_action3d": "MSR Action3D (Li, Zhang, Liu, CVPR4HB 2010), no licence stated",
    "cmu": "mocap.cs.cmu.edu, funded by NSF EIA-0196217; free to use, not to sell as data",
    "deepmimic": "DeepMimic motions (Peng et al. 2018), MIT",
    "amass": "AMASS (Mahmood et al., ICCV 2019), non-commercial research; its parts have terms of their own",
    "human36m": "Human3.6M (Ionescu et al., TPAMI 2014), academic use",
    "motion_x": "Motion-X (Lin et al., NeurIPS 2023), non-commercial research; its films have terms of their own",
}


def terms_of(source: str) -> str:
    """The terms of a collection, also where people are drawn over it (`rendered/COLLECTION`)."""
    return TERMS.get(source.removeprefix("rendered/"), "unknown")


def collections_of(clips: Iterable[MocapClip], split: str = "train") -> dict[str, dict[str, object]]:
    """Per collection on one side of the split: how many clips, how many minutes, and its terms."""
    by_source: dict[str, list[MocapClip]] = {}
    for clip in clips:
        if clip.split == split:
            by_source.setdefault(clip.source, []).append(clip)
    return {
        source: {
            "clips": len(of),
            "minutes": round(sum(len(c) / c.fps for c in of) / 60, 1),
            "terms": terms_of(source),
        }
        for source, of in by_source.items()
    }

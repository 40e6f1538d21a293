"""The moment that a BABEL-QA question asks about: its program run on BABEL's own segment labels.

BABEL: Punnakkal et al., CVPR 2021, `babel_v1.0` train and val json: per motion `frame_ann.labels` with `start_t`,
`end_t` (seconds), `act_cat` and `proc_label`. Which labels count as a concept follows NSPose's description: actions by
BABEL's category, body parts and directions by the words of the label, a direction not where it is part of a body
part's name; hop counts as jump and lift as take up. Neighbours are the next segments in time, transitions passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionqa.data.schema import InputError
from motionqa.eval.qa.nspose_files import Step
from motionqa.eval.qa.official_files import load_dictionary

BODY_PARTS = tuple(f"{side} {part}" for part in ("hand", "arm", "leg", "foot") for side in ("left", "right"))
SYNONYMS = {
    "backwards": ("backwards", "backward"),
    "forward": ("forwards", "forward"),
    "jump": ("jump", "hop"),
    "take/pick something up": ("take/pick something up", "lift something"),
}


@dataclass(frozen=True)
class Segment:
    """A labelled part of a motion, in seconds."""

    start_s: float
    end_s: float
    categories: tuple[str, ...]
    label: str

    def has(self, attribute: str, concept: str) -> bool:
        """Whether the segment is an `action`, a `direction` or a `body_part` of that name."""
        words = SYNONYMS.get(concept, (concept,))
        if attribute == "action":
            return any(w in self.categories for w in words)
        if attribute == "body_part":
            return concept in self.label
        parts = [p for p in BODY_PARTS if p in self.label]
        return any(w in self.label and not any(w in p for p in parts) for w in words)


def read_segments(folder: Path) -> dict[str, tuple[Segment, ...]]:
    """Segments in order of time by BABEL id, from `train.json` and `val.json`; {} where neither is there."""
    return {i: _segments(motion, f"{path}, motion {i}") for path, i, motion in _annotated(folder)}


def read_durations(folder: Path) -> dict[str, float]:
    """Seconds that BABEL states for each motion (`dur`), by BABEL id; {} where its files are not there."""
    found = {}
    for path, babel_id, motion in _annotated(folder):
        try:
            found[babel_id] = float(motion["dur"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}, motion {babel_id}: no dur in seconds; use the v1.0 release") from error
    return found


def _annotated(folder: Path) -> Iterator[tuple[Path, str, Any]]:
    places = (
        folder,
        folder / "babel_v1.0_release",
        folder / "babel",
        folder / "babel_v1-0_release" / "babel_v1.0_release",
    )
    for name in ("train.json", "val.json"):
        path = next((p / name for p in places if (p / name).is_file()), None)
        for babel_id, motion in (load_dictionary(path) if path else {}).items():
            yield path or folder, babel_id, motion


def _segments(motion: Any, where: str) -> tuple[Segment, ...]:
    try:
        notes = motion["frame_ann"] or motion["seq_ann"]
        labels = notes["labels"]
        whole = (0.0, float(motion["dur"]))
        segments = [
            Segment(
                float(whole[0] if label.get("start_t") is None else label["start_t"]),
                float(whole[1] if label.get("end_t") is None else label["end_t"]),
                tuple(label["act_cat"] or ()),
                str(label["proc_label"]),
            )
            for label in labels
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{where}: no BABEL annotation ({type(error).__name__}: {error}); use the v1.0 release"
        ) from error
    return tuple(sorted((s for s in segments if s.end_s > s.start_s), key=lambda s: s.start_s))


def span_of(program: Sequence[Step], segments: Sequence[Segment]) -> tuple[float, float] | None:
    """Seconds of the segment that a program ends on; None where a filter fits none or several, or at the ends."""
    filtered: int | None = None
    asked: set[int] | None = None
    for step in program:
        if step.function.startswith("filter_"):
            attribute = step.function.removeprefix("filter_")
            fitting = [i for i, s in enumerate(segments) if s.has(attribute, step.concept)]
            if len(fitting) != 1:
                return None
            filtered = fitting[0]
        elif step.function == "relate" and filtered is not None:
            beside = _neighbour(filtered, -1 if step.concept == "before" else 1, segments)
            asked = {beside} if asked is None else asked & {beside}
    if asked is None and filtered is not None:
        asked = {filtered}
    if asked is None or len(asked) != 1 or -1 in asked:
        return None
    segment = segments[next(iter(asked))]
    return segment.start_s, segment.end_s


def _neighbour(position: int, way: int, segments: Sequence[Segment]) -> int:
    """The segment before (-1) or after (1), passing over one transition; -1 beyond the ends."""
    at = position + way
    if 0 <= at < len(segments) and "transition" in segments[at].categories:
        at += way
    return at if 0 <= at < len(segments) else -1

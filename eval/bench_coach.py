"""What the coach reaches: counting, form faults, angles from eight views, numbers and indicators in critiques, time.

    make bench-coach DATA=FOLDER

DATA is a folder with `mocap/`, `coach/exercise_correction/` and `video/pushfit/`. Parts whose data are not there, or
that `--only` leaves out, keep their published figures. Videos are encoded once into `--encodings`, so a stopped run
goes on.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro

from motionqa.assistant.coaching.coach import Assessment, Critique, assess, coach, write_critique
from motionqa.assistant.coaching.critique import note
from motionqa.assistant.coaching.exercise_file import load_rules
from motionqa.assistant.coaching.in_clip import exercise_in
from motionqa.assistant.coaching.indicators import SIX, indicators
from motionqa.assistant.coaching.number_check import unfounded
from motionqa.assistant.coaching.repetitions import count
from motionqa.assistant.llm import GenerationConfig, LanguageModel, load_llm
from motionqa.assistant.released import lifting, reader
from motionqa.data.cache import EncodingCache
from motionqa.data.schema import Conversation, InputError
from motionqa.encoders.clip_encoder import ClipEncoder, EncoderConfig
from motionqa.encoders.reader.read import read_pose
from motionqa.eval.benchmark import Row, median_row, publish, published
from motionqa.eval.coach_angles import angle_rows
from motionqa.eval.coach_forms import form_rows
from motionqa.eval.coach_sets import (
    KnownSet,
    encoded,
    everyday_clips,
    faulty_sets,
    generated_sets,
    held_out_sets,
    mocap_sets,
)
from motionqa.eval.push_ups import push_up_rows

COMMAND = "make bench-coach"
Rows = Iterator[Row]
Array = np.ndarray


@dataclass(frozen=True)
class Config:
    """Where data are, and what is measured."""

    data: Path
    """Folder with mocap/, coach/exercise_correction/ and video/pushfit/."""
    encodings: Path = Path("runs/coach/encodings")
    """Where encoded videos are kept between runs."""
    only: tuple[str, ...] = ()
    """Parts: counts, recognised, forms, angles, critiques, wording, pushups, time. All where none is named."""
    sets: int = 120
    """Generated sets to count."""
    mocap_sets: int = 60
    everyday: int = 400
    """Clips of other movements, in which no exercise is to be named unasked."""
    critiques: int = 100
    worded: int = 100
    """Critiques worded by the embedded language model."""
    encoded_only: bool = False
    """Only the push-up videos that were encoded before."""

    def encoder(self) -> ClipEncoder:
        return ClipEncoder(EncoderConfig(lifting=lifting()), EncodingCache(self.encodings, 4_000_000_000))


# -------------------------------------------------------------------------------------------- counts


def count_rows(config: Config) -> Rows:
    """Counted repetitions against known ones; the exercise is recognised, not given."""
    known = list(generated_sets(config.sets))
    yield from _counts(
        "generated",
        known,
        "generated bodies: 1 to 10 squats, push-ups or curls, noise 3 to 20 mm, two in five sets with a broken-off one",
    )
    if (config.data / "mocap").exists():
        row = "UTD-MHAD squats and arm curls, one performance put in a row 2 to 6 times"
        yield from _counts("mocap", list(mocap_sets(config.data / "mocap", config.mocap_sets)), row)


def _counts(name: str, known: list[KnownSet], split: str) -> Rows:
    rules = load_rules()
    off, named = [], []
    for one in known:
        found = assess(encoded(one), rules=rules)
        given = count(found.seen.m, rules.exercises[one.exercise])
        off.append(abs(len(given.cycles) - one.count))
        named.append(found.exercise is not None and found.exercise.name == one.exercise)
    errors = np.array(off)
    split = f"{len(known)} sets, {split}"
    yield _share(f"count_exact_{name}", errors == 0, ">= 0.90", split)
    yield _share(f"count_within_one_{name}", errors <= 1, ">= 0.98", split)
    yield _share(f"recognised_{name}", np.array(named), "", split)


def recognised_rows(config: Config) -> Rows:
    """Which exercise it is, for people nobody trained on: rules weighed with the reader, beside rules alone."""
    rules, read_by = load_rules(), reader()
    assert read_by is not None
    hits: dict[str, list[bool]] = {"read": [], "rules": []}
    for one in held_out_sets(config.data / "mocap"):
        bare = encoded(one)
        read = replace(bare, reading=read_pose(one.pose, read_by))
        for how, encoding in (("read", read), ("rules", bare)):
            found = assess(encoding, rules=rules).exercise
            hits[how].append(found is not None and found.name == one.exercise)
    split = f"{len(hits['read'])} sets of UTD-MHAD's even subjects: squats, arm curls and lunges, 2 to 6 in a row"
    yield _share("recognised_held_out", np.array(hits["read"]), "", split, rules=float(np.mean(hits["rules"])))
    clips = list(everyday_clips(config.data / "mocap", config.everyday))
    wrong = np.array([exercise_in(clip) is not None for clip in clips])
    split = f"{len(clips)} test clips of motion capture without a push-up, sit-up or pull-up, evenly drawn, exact"
    yield _share("named_unasked_elsewhere", wrong, "", split)


def _share(id: str, hits: Array, goal: str, split: str, **beside: float) -> Row:
    """A share with its Wilson interval."""
    n, p, z = len(hits), float(np.mean(hits)), 1.96
    middle, half = (
        (p + z * z / (2 * n)) / (1 + z * z / n),
        z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n),
    )
    return Row(
        id, round(p, 3), "share", (round(middle - half, 3), round(middle + half, 3)), beside, goal, split, COMMAND
    )


# ----------------------------------------------------------------------------------------- critiques


class Liar:
    """A language model that changes the numbers in every second version: what the check of numbers is for."""

    name, context_tokens, parameters = "liar", 4096, None

    def __init__(self) -> None:
        self.asked = 0

    def count_tokens(self, conversation: Conversation) -> int:
        return sum(len(t.text.split()) for t in conversation.turns)

    def stream(self, conversation: Conversation, config: GenerationConfig, stop: threading.Event) -> Iterator[str]:
        del config, stop
        self.asked += 1
        words = ["Listen:", *conversation.turns[-1].text.partition("\n")[0].removeprefix("Note: ").split()]
        for i, word in enumerate(words):
            number = word.strip(".,;:")
            lies = self.asked % 2 and number.replace(".", "").isdigit()
            yield (word.replace(number, str(round(float(number)) + 1 + i)) if lies else word) + " "


def critique_rows(config: Config) -> Rows:
    """Numbers that are not in the findings, and the six indicators, over critiques of sets with a known fault."""
    found = [(known, assess(encoded(known), known.exercise)) for known in faulty_sets(config.critiques)]
    split = f"{len(found)} generated sets with one known fault each"
    yield _share(
        "fault_found",
        np.array([known.faults[0] in {f.id for f in a.of_kind("fault")} for known, a in found]),
        "",
        split,
    )
    for name, model in (("template", None), ("liar", Liar())):
        yield from _texts(name, [a for _, a in found], model, split)


def wording_rows(config: Config) -> Rows:
    """The same for the embedded language model, and how often its words could be used."""
    chosen = [assess(encoded(known), known.exercise) for known in faulty_sets(config.worded)]
    yield from _texts(
        "embedded",
        chosen,
        load_llm(None),
        f"{len(chosen)} generated sets with one known fault each, worded by the embedded model",
    )


def _texts(name: str, found: list[Assessment], model: LanguageModel | None, split: str) -> Rows:
    wrong, present, kept, all_corrections = 0, [], 0, 0
    for one in found:
        critique = write_critique(one, model)
        sources = [f.text for f in one.findings] + [note(f) for f in one.of_kind("fault")]
        sources += [*one.limits, one.sight.sentence()]
        wrong += sum(len(unfounded(part, *sources)) for part in (critique.opening, critique.praise))
        for c in critique.corrections:
            present.append(len(indicators(f"{c.title}. {c.text}", c.finding)) == len(SIX))
            kept += c.source == "model"
            all_corrections += 1
            wrong += len(unfounded(c.text, note(c.finding)))
    yield Row(f"numbers_not_measured_{name}", float(wrong), "numbers", None, {}, "0", split, COMMAND)
    yield _share(
        f"six_indicators_{name}", np.array(present), ">= 0.95", f"{len(present)} corrections of {split}; told by rule"
    )
    if model is not None:
        yield _share(
            f"worded_by_model_{name}",
            np.arange(all_corrections) < kept,
            "",
            f"{all_corrections} corrections of {split}; the rest fell back to the template",
        )


# ---------------------------------------------------------------------------------------------- time


def time_rows(config: Config) -> Rows:
    """Seconds from a 30-second clip to the first words of its critique, against the pose loop."""
    from motionqa.data.synthetic import exercises as made
    from motionqa.data.synthetic.drawn_figure import figure_frames
    from motionqa.data.synthetic.motions import render
    from motionqa.data.video_writer import write_video
    from motionqa.eval.drawn_clips import turned

    del config
    person = turned(render(made.squat_set((1,) * 13, rest_s=0.3)), 90.0)
    frames = slice(0, 900)
    person = replace(
        person, times_s=person.times_s[frames], xyz_m=person.xyz_m[frames], confidence=person.confidence[frames]
    )
    encoder = ClipEncoder(EncoderConfig(lifting=lifting()))
    with tempfile.TemporaryDirectory() as folder:
        clip = write_video(figure_frames(person), Path(folder) / "squats.mp4")
        runs = [_timed(clip, encoder) for _ in range(3)]
    seconds, critique = runs[-1]
    beside = {f"{what}, s": round(s, 2) for what, s in seconds.items()}
    beside["against our pose loop"] = round(seconds["begins"] / seconds["our pose loop"], 2)
    ratios = [s["begins"] / s["bare pose loop"] for s, _ in runs]
    split = f"drawn person, 640 x 480, 30 s, {len(critique.assessment.table)} squats counted; the critique begins with "
    split += "its opening and first correction; median, range of three, beside them the last"
    yield median_row(
        "critique_begins_over_bare_pose_loop",
        ratios,
        "ratio",
        baselines=beside,
        goal="<= 1.3",
        split=split,
        command=COMMAND,
    )


def _timed(clip: Path, encoder: ClipEncoder) -> tuple[dict[str, float], Critique]:
    """Seconds of each part up to a clip's critique, and the critique."""
    from motionqa.eval.bench_chat import bare_pose_loop

    bare = bare_pose_loop(clip)
    started = time.perf_counter()
    encoding = encoder.encode(clip)
    encoded_s = time.perf_counter() - started
    critique = coach(encoding)
    begins = time.perf_counter() - started
    loop = encoding.timings_s["following the body"]
    parts = {"bare pose loop": bare, "our pose loop": loop, "begins": begins}
    return parts | {"assessing and template": begins - encoded_s}, critique


def _form_rows(config: Config) -> Rows:
    return form_rows(config.data / "coach" / "exercise_correction", COMMAND)


def _angle_rows(config: Config) -> Rows:
    return angle_rows(config.encoder(), COMMAND)


def _push_up_rows(config: Config) -> Rows:
    return push_up_rows(config.data / "video" / "pushfit", config.encoder(), config.encoded_only, COMMAND)


PARTS: dict[str, Callable[[Config], Rows]] = {
    "counts": count_rows,
    "recognised": recognised_rows,
    "forms": _form_rows,
    "angles": _angle_rows,
    "critiques": critique_rows,
    "wording": wording_rows,
    "pushups": _push_up_rows,
    "time": time_rows,
}


def main(config: Config) -> None:
    """Measures the parts asked for and publishes them with the rest of the last run."""
    unknown = set(config.only) - set(PARTS)
    if unknown:
        raise SystemExit(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    rows = published("coach")
    for name, part in PARTS.items():
        if config.only and name not in config.only:
            continue
        try:
            for row in part(config):
                rows[row.id] = row
                print(row.id, row.value, row.baselines, flush=True)
        except (InputError, FileNotFoundError) as error:
            print(f"{name} left out: {error}")
    publish("coach", list(rows.values()))


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))

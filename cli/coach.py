"""`motionqa coach`: a critique of an exercise from the shell, with a report, a reference and a person's history."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from motionqa.cli.encoding import encoder_config, progress_line
from motionqa.data.motion_files.raw_motion import MotionOverrides
from motionqa.data.schema import InputError


@dataclass(frozen=True)
class Keeping:
    """A person's assessments over time, kept in a file on this machine."""

    person_name: str | None = None
    """Keep this assessment under a name, and show the progress in the report."""
    history: Path | None = None
    """The file; by default in motionqa's cache folder."""
    export_history: Path | None = None
    """Write all that is kept about the person as JSON to this file."""
    delete_history: bool = False
    """Remove all that is kept about the person. No clip is needed."""


def coach(
    clip: Annotated[Path | None, tyro.conf.Positional] = None,
    /,
    exercise: str | None = None,
    reference: Path | None = None,
    report: Path | None = None,
    video: Path | None = None,
    view: Literal["front", "back", "side", "oblique"] | None = None,
    rules: tuple[Path, ...] = (),
    person: int | None = None,
    start_s: float = 0.0,
    lifter: str = "dstformer",
    llm: str | None = None,
    llm_model: str | None = None,
    words: bool | None = None,
    json_output: Annotated[bool, tyro.conf.arg(name="json")] = False,
    cache: bool = True,
    keeping: tyro.conf.OmitArgPrefixes[Keeping] = Keeping(),
    motion: MotionOverrides = MotionOverrides(),
) -> int:
    """Says what was good about an exercise, what was not, when, by how much, why it matters and what to try.

    Args:
        clip: video or motion file
        exercise: which exercise it is, where it would be recognised wrongly
        reference: another clip of the same exercise to compare with
        report: write a one-page HTML report to this file
        video: write the clip with its faults marked to this file (mp4)
        view: from where it was filmed, where that would be judged wrongly
        rules: folders with further exercises (*.toml); the format is described in assistant/exercises/FORMAT.md
        person: number of the person, where several are in view
        start_s: analyse a long video from here
        lifter: what puts a video's joints into space: dstformer, blazepose, or a folder of weights
        llm: directory, hub id or OpenAI-compatible server's URL instead of the released assistant
        llm_model: which of the server's models
        words: let the language model word the corrections; by default where --llm names one, as the embedded model is
            too small to do it well
        json_output: print the findings as JSON
        cache: keep the clip's encoding
        keeping: a person's history
        motion: what a motion file really holds, where it was detected wrongly
    """
    if clip is None:
        return _history_only(keeping)
    return _coach(clip, exercise, reference, report, video, view, rules, _Setting(
        person, start_s, lifter, llm, llm_model, words, json_output, cache, motion), keeping)  # fmt: skip


@dataclass(frozen=True)
class _Setting:
    person: int | None
    start_s: float
    lifter: str
    llm: str | None
    llm_model: str | None
    words: bool | None
    json_output: bool
    cache: bool
    motion: MotionOverrides


def _coach(
    clip: Path,
    exercise: str | None,
    reference: Path | None,
    report: Path | None,
    video: Path | None,
    view: Literal["front", "back", "side", "oblique"] | None,
    rules: tuple[Path, ...],
    setting: _Setting,
    keeping: Keeping,
) -> int:
    from motionqa.assistant.coaching.coach import coach as criticise
    from motionqa.assistant.coaching.exercise_file import load_rules
    from motionqa.assistant.llm import load_llm
    from motionqa.encoders.people import PersonChoice

    for path in (clip, reference):
        if path is not None and not path.exists():
            raise InputError(f"There is no file {path.name!r}. Give the path of a video or a motion file.")
    loaded = load_rules(*rules)
    if exercise is not None:
        loaded.find(exercise)  # before minutes are spent on the video
    encoder = _encoder(setting)
    choice = PersonChoice(person_id=setting.person) if setting.person is not None else None
    encoding = encoder.encode(clip, progress_line(), choice)
    other = encoder.encode(reference, progress_line()) if reference is not None else None
    wanted = setting.llm is not None if setting.words is None else setting.words
    llm = load_llm(setting.llm, server_model=setting.llm_model) if wanted else None
    critique = criticise(encoding, exercise, reference=other, llm=llm, rules=loaded, view=view)
    _print(critique, setting.json_output)
    past = _keep(critique, keeping)
    if video is not None:
        from motionqa.assistant.coaching.annotated_video import draw_faults

        print(draw_faults(clip, critique.assessment, video, encoder.config.decode), file=sys.stderr)
    if report is not None:
        from motionqa.assistant.coaching.annotated_video import annotated_frames, stills
        from motionqa.assistant.coaching.report import write_report

        found = critique.assessment
        pictures = stills(annotated_frames(clip, found, encoder.config.decode), found)
        print(write_report(critique, report, past, pictures), file=sys.stderr)
    return 0


def _encoder(setting: _Setting):  # heavy imports are kept inside
    from motionqa.assistant.released import clip_encoder
    from motionqa.data.cache import EncodingCache

    config = encoder_config(setting.start_s, setting.lifter, setting.motion)
    return clip_encoder(config, EncodingCache() if setting.cache else None)


def _print(critique, as_json: bool) -> None:
    import json

    found = critique.assessment
    if as_json:
        print(json.dumps({
            "exercise": found.exercise.name if found.exercise else None,
            "guesses": [asdict(g) for g in found.guesses],
            "view": asdict(found.sight),
            "repetitions": [asdict(r) for r in found.table],
            "findings": [{k: v for k, v in asdict(f).items() if k != "check"} | {"id": f.id} for f in found.findings],
            "limits": list(found.limits),
            "critique": critique.text,
            "wording": asdict(critique.wording),
        }, indent=2, default=str))  # fmt: skip
        return
    print(critique.text)
    print()
    for finding in found.findings:
        mark = {"fault": "*", "good": "+", "note": " ", "unjudged": "?"}[finding.kind]
        off = (
            ""
            if finding.uncertainty is None or finding.unit is None
            else f" (± {finding.uncertainty:g} {finding.unit})"
        )
        print(f" {mark} {finding.start_s:5.1f}-{finding.end_s:.1f} s  {finding.text}{off}")
    for note in (*found.encoding.notes, *found.limits):
        print(f" ! {note}")
    print(f" ! {critique.wording.sentence}")


def _keep(critique, keeping: Keeping):
    """The person's assessments of this exercise, this one among them; none where no name is given."""
    from motionqa.assistant.coaching.history import History

    if keeping.person_name is None:
        return ()
    history = History(keeping.history)
    if critique.assessment.exercise is None:
        return ()
    history.add(keeping.person_name, critique)
    if keeping.export_history is not None:
        print(history.export(keeping.person_name, keeping.export_history), file=sys.stderr)
    return history.of(keeping.person_name, critique.assessment.exercise.name)


def _history_only(keeping: Keeping) -> int:
    """Export and deletion without a clip."""
    from motionqa.assistant.coaching.history import History

    if keeping.person_name is None or not (keeping.export_history or keeping.delete_history):
        raise InputError("Give a clip, or --person-name with --export-history FILE or --delete-history.")
    history = History(keeping.history)
    if keeping.export_history is not None:
        print(history.export(keeping.person_name, keeping.export_history))
    if keeping.delete_history:
        count = history.delete(keeping.person_name)
        print(f"{count} assessments of {keeping.person_name} removed.")
    return 0

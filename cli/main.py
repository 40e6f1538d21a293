"""`motionqa COMMAND`: the engine from the shell. Exit status 2 with one line on standard error for bad input."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import tyro

from motionqa.cli.app import app
from motionqa.cli.coach import coach
from motionqa.cli.concepts import concepts
from motionqa.cli.encoding import encoder_config, progress_line
from motionqa.cli.evaluate import doctor, evaluate
from motionqa.cli.export import export
from motionqa.cli.flow import flow
from motionqa.data.motion_files.raw_motion import MotionOverrides
from motionqa.data.schema import Answer, InputError

Clip = Annotated[Path, tyro.conf.Positional]


def ask(
    clip: Clip,
    question: tyro.conf.Positional[str],
    /,
    person: int | None = None,
    start_s: float = 0.0,
    lifter: str = "dstformer",
    llm: str | None = None,
    llm_model: str | None = None,
    json_output: Annotated[bool, tyro.conf.arg(name="json")] = False,
    cache: bool = True,
    motion: MotionOverrides = MotionOverrides(),
) -> int:
    """Answers a question about the person's movement in a video or motion file.

    Args:
        clip: video or motion file
        question: what to find out
        person: number of the person, where several are in view
        start_s: analyse a long video from here
        lifter: what puts a video's joints into space: dstformer, blazepose, a folder of weights, or an official
            MotionBERT checkpoint
        llm: directory, hub id or OpenAI-compatible server's URL instead of the released assistant;
            SmolLM2-135M-Instruct is the embedded model as it came, untuned
        llm_model: which of the server's models
        json_output: print the answer with its evidence as JSON
        cache: keep the clip's encoding for the next question
        motion: what a motion file really holds, where it was detected wrongly
    """
    from motionqa.assistant.prompt import LARGE, check_question
    from motionqa.assistant.session import ChatSession, load_engine
    from motionqa.encoders.people import PersonChoice

    if not clip.exists():
        raise InputError(f"There is no file {clip.name!r}. Give the path of a video or a motion file.")
    check_question(question, LARGE)
    engine = load_engine(llm, llm_model=llm_model, encoder=encoder_config(start_s, lifter, motion), use_cache=cache)
    session = ChatSession(engine)
    session.set_clip(clip, progress_line(), PersonChoice(person_id=person) if person is not None else None)
    if json_output:
        *_, answer = session.ask(question)
        print(json.dumps(asdict(answer), indent=2))
        return 0
    answer = streamed(session.ask(question))
    for evidence in answer.evidence:
        mark = "*" if evidence.cited else " "
        print(f" {mark} {evidence.fact.start_s:5.1f}-{evidence.fact.end_s:.1f} s  {evidence.fact.text}")
    if answer.unmeasured:
        print(f" ! not measured: {', '.join(answer.unmeasured)}")
    for note in session.encoding.notes if session.encoding else ():
        print(f" ! {note}")
    return 0


def streamed(answers: Iterable[Answer]) -> Answer:
    """The last of an answer's states, printed as it grows; one that gave way to a measurement is printed anew."""
    shown, answer = "", None
    for answer in answers:
        grown = answer.text.startswith(shown)
        print(answer.text[len(shown) :] if grown else f"\n-> {answer.text} (as measured)", end="", flush=True)
        shown = answer.text
    assert answer is not None
    print()
    return answer


def describe(
    clip: Clip,
    /,
    person: int | None = None,
    start_s: float = 0.0,
    lifter: str = "dstformer",
    max_tokens: int = 300,
    cache: bool = True,
    motion: MotionOverrides = MotionOverrides(),
) -> int:
    """Prints what was recognised and measured, in words; no language model is used.

    Args:
        clip: video or motion file
        person: number of the person, where several are in view
        start_s: analyse a long video from here
        lifter: what puts a video's joints into space: dstformer, blazepose, a folder of weights, or an official
            MotionBERT checkpoint
        max_tokens: about how long the text may be
        cache: keep the clip's encoding
        motion: what a motion file really holds, where it was detected wrongly
    """
    from motionqa.assistant.released import clip_encoder
    from motionqa.data.cache import EncodingCache
    from motionqa.encoders.kinematics.describe import describe as in_words
    from motionqa.encoders.people import PersonChoice
    from motionqa.encoders.reader.words import told_actions

    encoder = clip_encoder(encoder_config(start_s, lifter, motion), EncodingCache() if cache else None)
    choice = PersonChoice(person_id=person) if person is not None else None
    encoding = encoder.encode(clip, progress_line(), choice)
    for action in told_actions(encoding.reading, encoding.report) if encoding.reading else ():
        print(f" ~ {action.start_s:5.1f}-{action.end_s:.1f} s  {action.text}")
    print(in_words(encoding.report, max_tokens))
    for note in (*encoding.notes, *encoding.report.warnings):
        print(f" ! {note}")
    return 0


def info(file: Clip, /, motion: MotionOverrides = MotionOverrides()) -> int:
    """Prints what a video or motion file holds and how that was detected.

    Args:
        file: video or motion file
        motion: what a motion file really holds, where it was detected wrongly
    """
    from motionqa.data.motion_files.read import looks_like_motion_file, read_motion
    from motionqa.data.video import read_clip

    if looks_like_motion_file(file):
        found = asdict(read_motion(file, motion).info)
        detected = found.pop("detected")
        notes = found.pop("notes")
        for name, value in found.items():
            print(f"{name:10} {value}" + (f"   ({detected[name]})" if name in detected else ""))
    else:
        clip = read_clip(file)
        notes = clip.notes
        print(f"format     video, {clip.codec}")
        print(f"size       {clip.width} x {clip.height}, turned by {clip.rotation_deg} degrees")
        rate = "varying" if clip.variable_rate else "constant"
        print(f"frames     {clip.source_frames} in {clip.duration_s:.2f} s, {clip.source_fps:.2f} fps, {rate}")
        print(f"analysed   {len(clip)} frames from {clip.times_s[0]:.2f} s to {clip.times_s[-1]:.2f} s")
    for note in notes:
        print(f" ! {note}")
    return 0


def mesh(
    clip: Clip,
    /,
    out: Path = Path("mesh.npz"),
    person: int | None = None,
    start_s: float = 0.0,
    lifter: str = "dstformer",
    per_second: float = 10.0,
    cache: bool = True,
    motion: MotionOverrides = MotionOverrides(),
) -> int:
    """Writes the person's body as a mesh over time: the open body anny, fitted to the joints.

    Args:
        clip: video or motion file
        out: .npz for all moments in one file; .glb or .obj for one file a moment
        person: number of the person, where several are in view
        start_s: analyse a long video from here
        lifter: what puts a video's joints into space: dstformer, blazepose, a folder of weights, or an official
            MotionBERT checkpoint
        per_second: moments a second that get a body, 120 at most in all
        cache: keep the clip's encoding
        motion: what a motion file really holds, where it was detected wrongly
    """
    from motionqa.data.cache import EncodingCache
    from motionqa.encoders.body.anny_body import FitConfig
    from motionqa.encoders.body.body_mesh import body_mesh
    from motionqa.encoders.body.mesh import check_mesh_path, save_mesh
    from motionqa.encoders.clip_encoder import ClipEncoder
    from motionqa.encoders.people import PersonChoice

    check_mesh_path(out)
    if per_second <= 0:
        raise InputError(f"per_second must be above 0, got {per_second}")
    encoder = ClipEncoder(encoder_config(start_s, lifter, motion), EncodingCache() if cache else None)
    choice = PersonChoice(person_id=person) if person is not None else None
    encoding = encoder.encode(clip, progress_line(), choice)
    body = body_mesh(encoding.pose3d, config=FitConfig(per_second))
    written = save_mesh(body, out)
    print(f"{written[0]}" + (f" to {written[-1].name}" if len(written) > 1 else ""))
    print(f"{body.source}; {body.vertices_m.shape[1]} vertices, {len(body.faces)} triangles")
    for note in (*encoding.notes, *body.notes):
        print(f" ! {note}")
    return 0


COMMANDS = {
    "ask": ask,
    "describe": describe,
    "info": info,
    "mesh": mesh,
    "coach": coach,
    "flow": flow,
    "concepts": concepts,
    "app": app,
    "export": export,
    "eval": evaluate,
    "doctor": doctor,
}


def main() -> None:
    """Entry point of the `motionqa` command."""
    os.environ.setdefault("GLOG_minloglevel", "2")  # mediapipe's start-up chatter
    try:
        status = tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="motionqa", description=__doc__)
    except InputError as error:
        print(f"motionqa: {error}", file=sys.stderr)
        status = 2
    except BrokenPipeError:  # the reader (`| head`) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)


if __name__ == "__main__":
    main()

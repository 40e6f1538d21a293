"""What a question about a 10-second 720p clip costs, stage by stage, beside a bare pose loop and a bare `generate`.

`make bench-chat` runs it; every repetition measures all lines, so that ratios are of one and the same moment.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import tyro

from motionqa.eval.benchmark import Row, median_row, publish

COMMAND = "make bench-chat"
SPLIT = "drawn person, 1280 x 720, 30 fps, 10 s: stands, squats three times, raises an arm"
QUESTION = "How many squats does the person do?"


def make_clip(path: Path) -> Path:
    """A 10-second 720p video of the project's drawn person; the sampled length is exact."""
    from motionqa.data.synthetic.drawn_figure import Camera, figure_frames
    from motionqa.data.synthetic.motions import arm_raise, concatenate, render, squats, stand
    from motionqa.data.video_writer import write_video

    person = render(concatenate(stand(1.0), squats(3), arm_raise("right"), stand(4.0)))
    span = slice(0, 300)
    person = replace(person, times_s=person.times_s[span], xyz_m=person.xyz_m[span], confidence=person.confidence[span])
    return write_video(figure_frames(person, camera=Camera(1280, 720)), path)


def bare_pose_loop(clip: Path, with_mask: bool = False) -> float:
    """Seconds that OpenCV decoding and mediapipe's Pose with its defaults take: what one would write in ten lines."""
    import cv2
    from mediapipe.python.solutions.pose import Pose

    started = time.perf_counter()
    capture = cv2.VideoCapture(str(clip))
    with Pose(enable_segmentation=with_mask) as pose:
        while True:
            more, frame = capture.read()
            if not more:
                break
            pose.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    return time.perf_counter() - started


LOADING = "loading the lifter, once"


def encode(clip: Path) -> dict[str, float]:
    """Seconds per stage of the project's encoding as the chat does it, uncached; loading the lifter apart."""
    from motionqa.assistant.released import lifting
    from motionqa.encoders.clip_encoder import ClipEncoder, EncoderConfig, load_lifter

    chosen = lifting()
    assert chosen.weights is not None
    started = time.perf_counter()
    load_lifter(chosen.weights, chosen.version)
    loaded = time.perf_counter()
    timings = ClipEncoder(EncoderConfig(lifting=chosen)).encode(clip).timings_s
    return timings | {LOADING: loaded - started, "encoding": time.perf_counter() - loaded}


def decode(clip: Path) -> float:
    """Seconds to decode every frame alone."""
    from motionqa.data.video import iter_frames, read_clip

    started = time.perf_counter()
    count = sum(1 for _ in iter_frames(read_clip(clip)))
    assert count == 300
    return time.perf_counter() - started


def chat(clip: Path, new_tokens: int = 48) -> dict[str, float]:
    """First token and tokens/s of a first and a follow-up question, and of a bare `generate` on the same prompt."""
    import torch

    from motionqa.assistant.llm import EMBEDDED_NAME, GenerationConfig, LocalModel, load_llm
    from motionqa.assistant.prompt import build_prompt
    from motionqa.assistant.retrieval import choose_facts
    from motionqa.assistant.session import ChatSession, load_engine
    from motionqa.assistant.tuned import TunedModel
    from motionqa.encoders.device import computed

    engine = load_engine(use_cache=True)
    plain = load_llm(EMBEDDED_NAME)
    assert isinstance(plain, LocalModel)
    session = ChatSession(engine)
    session.set_clip(clip)
    list(session.ask(QUESTION))  # warm
    session.history = ()
    *_, answer = session.ask(QUESTION)
    *_, follow_up = session.ask("Which arm is raised?")
    encoding = session.encoding
    assert encoding is not None
    facts = choose_facts(encoding.report.facts, QUESTION, engine.embedder, session.prompt_config.facts)
    prompt = build_prompt(engine.llm, session.prompt_config, QUESTION, facts, (), new_tokens, encoding.reading)
    model, tokenizer = plain.model, plain.tokenizer
    # The base model on a prompt of the same length: what the words are makes no difference to its time.
    ids = torch.full((1, engine.llm.count_tokens(prompt.conversation)), tokenizer("so").input_ids[0])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    @computed
    def bare(tokens: int) -> float:
        started = time.perf_counter()
        with torch.inference_mode():
            model.generate(**inputs, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False)  # type: ignore[operator]
        return time.perf_counter() - started

    bare(1)
    bare_first = bare(1)
    bare_rate = (new_tokens - 1) / (bare(new_tokens) - bare_first)
    assert isinstance(engine.llm, LocalModel | TunedModel)
    engine.llm.model.generation_config.min_new_tokens = new_tokens  # an answer of five words says little about a rate
    started, first = time.perf_counter(), 0.0
    for _ in engine.llm.stream(prompt.conversation, GenerationConfig(new_tokens), threading.Event()):
        first = first or time.perf_counter() - started
    rate = (new_tokens - 1) / (time.perf_counter() - started - first)
    return {
        "first token": answer.timings_s["first token"],
        "first token of the follow-up": follow_up.timings_s["first token"],
        "bare first token": bare_first,
        "prompt tokens": float(ids.shape[1]),
        "tokens/s": rate,
        "bare tokens/s": bare_rate,
    }


PARTS = {
    "bare pose loop": lambda clip: {"seconds": bare_pose_loop(clip)},
    "bare pose loop with mask": lambda clip: {"seconds": bare_pose_loop(clip, with_mask=True)},
    "decode": lambda clip: {"seconds": decode(clip)},
    "encode": encode,
    "chat": chat,
}


def main(repetitions: int = 3, part: str | None = None, clip: Path | None = None) -> None:
    """Prints the table and writes docs/benchmarks/chat.json.

    Args:
        repetitions: how often everything is measured
        part: internal: run one part in this process and print its figures
        clip: internal: the clip to run it on
    """
    if part is not None and clip is not None:
        figures = PARTS[part](clip)
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(figures | {"peak MiB": peak_mib}))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = make_clip(Path(folder) / "clip.mp4")
        runs = [{name: _apart(name, path) for name in PARTS} for _ in range(repetitions)]
    publish("chat", _rows(runs))


def _apart(part: str, clip: Path) -> dict[str, float]:
    """One part in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, "-m", "motionqa.eval.bench_chat", "--part", part, "--clip", str(clip)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{part} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _rows(runs: list[dict[str, dict[str, float]]]) -> list[Row]:
    def row(id: str, values: list[float], unit: str, goal: str = "", **baselines: list[float]) -> Row:
        beside = {k.replace("_", " "): round(float(np.median(v)), 4) for k, v in baselines.items()}
        return median_row(id, values, unit, goal=goal, baselines=beside, split=SPLIT, command=COMMAND)

    def of(part: str, figure: str) -> list[float]:
        return [run[part][figure] for run in runs]

    loop = of("bare pose loop", "seconds")
    encoding = of("encode", "encoding")
    chat_rows = [
        row("first token", of("chat", "first token"), "s", "", bare_generate=of("chat", "bare first token")),
        row(
            "first token of a follow-up", of("chat", "first token of the follow-up"), "s", "no encoding",
            encoding=encoding, bare_generate=of("chat", "bare first token"),
        ),
        row("tokens per second", of("chat", "tokens/s"), "1/s", "", bare_generate=of("chat", "bare tokens/s")),
    ]  # fmt: skip
    stages = [k for k in runs[0]["encode"] if k not in ("encoding", "peak MiB")]
    return [
        row("bare pose loop", loop, "s", with_mask=of("bare pose loop with mask", "seconds")),
        row("decode alone", of("decode", "seconds"), "s"),
        *(row(stage, of("encode", stage), "s") for stage in stages),
        row("encoding", encoding, "s", bare_pose_loop=loop),
        row("encoding / bare pose loop", [e / b for e, b in zip(encoding, loop, strict=True)], "ratio", "<= 1.5"),
        *chat_rows,
        row("peak memory, encoding", of("encode", "peak MiB"), "MiB", bare_pose_loop=of("bare pose loop", "peak MiB")),
        row("peak memory, encoding and chat", of("chat", "peak MiB"), "MiB"),
    ]


if __name__ == "__main__":
    tyro.cli(main)

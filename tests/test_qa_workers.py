"""Many workers: the same predictions as one, and a killed worker costs nothing but time."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from motionqa.assistant.examples import write_trc
from motionqa.data.schema import InputError
from motionqa.data.synthetic.motions import arm_raise, render, squats
from motionqa.encoders.clip_encoder import EncoderConfig
from motionqa.eval.qa import workers
from motionqa.eval.qa.predict import predict
from motionqa.eval.qa.question import Benchmark, ClipFile, Prediction, Question
from motionqa.eval.qa.workers import encode_clips, predict_on_ray
from motionqa.tests.small_benchmark import FakePredictor, small_benchmark

BENCHMARK = small_benchmark()


class Dying(FakePredictor):
    """Kills its own process at one question, once: the marker file remembers."""

    def __init__(self, marker: Path) -> None:
        super().__init__()
        self.marker = marker

    def _answer(self, question: Question) -> Prediction:
        if question.id == "q007" and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._answer(question)


def clips_in(folder: Path) -> Benchmark:
    """Two motion files, one that is no motion file, and one that is missing."""
    write_trc(render(squats(2)), folder / "a.trc")
    write_trc(render(arm_raise("left")), folder / "b.trc")
    (folder / "broken.trc").write_text("PathFileType\nnothing")

    def find(question: Question) -> ClipFile:
        path = folder / f"{question.clip}.trc"
        if not path.exists():
            raise InputError(f"{path.name} is missing")
        return ClipFile(path)

    names = ("a", "broken", "b", "missing", "a")
    questions = tuple(Question(f"q{k}", name, "?", "", "t") for k, name in enumerate(names))
    return Benchmark("clips", "test", questions, (), (), (), find)


def test_encoding_ahead_fills_the_cache_and_says_what_could_not_be_read(tmp_path: Path) -> None:
    benchmark = clips_in(tmp_path)
    done = encode_clips(benchmark, EncoderConfig(), tmp_path / "work", tmp_path / "cache")
    assert [e.clip for e in done] == ["a", "broken", "b", "missing"]
    assert [bool(e.error) for e in done] == [False, True, False, True]
    assert done[3].error == "missing.trc is missing"
    assert len(list((tmp_path / "cache").glob("*.safetensors"))) == 2
    again = encode_clips(benchmark, EncoderConfig(), tmp_path / "work", tmp_path / "cache")
    assert [e.error for e in again] == [e.error for e in done]


def test_without_ray_more_workers_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'motionqa\[ray\]'"):
        predict_on_ray(BENCHMARK, FakePredictor, {}, True, tmp_path, 2)


def test_what_a_worker_does_is_what_the_driver_would_do() -> None:
    import pickle

    from motionqa.eval.qa.predict import answer, open_tasks
    from motionqa.eval.qa.predictions import from_line
    from motionqa.eval.qa.shard import Shard

    task = open_tasks(BENCHMARK, Shard(), {}, True)[2]
    rows = workers._Answering(FakePredictor)({"task": pickle.dumps(task)})
    there = [replace(from_line(row["line"]), seconds=0.0) for row in rows]
    assert there == [replace(p, seconds=0.0) for p in answer(FakePredictor(), task)]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_ray_workers_give_the_bytes_of_one_process_even_if_one_is_killed(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    one = predict(BENCHMARK, FakePredictor(), tmp_path / "one").merged.path.read_bytes()
    settings = FakePredictor().settings
    two = predict_on_ray(BENCHMARK, FakePredictor, settings, True, tmp_path / "two", 2)
    assert two.merged.path.read_bytes() == one
    marker = tmp_path / "killed"
    killed = predict_on_ray(BENCHMARK, lambda: Dying(marker), settings, True, tmp_path / "killed-run", 2)
    assert marker.exists()
    assert killed.merged.path.read_bytes() == one
    assert killed.answered == 18
    # Ray keeps the processors of the killed actor; another step of the same command must not wait for them.
    assert predict_on_ray(BENCHMARK, FakePredictor, settings, True, tmp_path / "after", 2).answered == 18


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_ray_workers_encode_what_one_process_encodes(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    benchmark = clips_in(tmp_path)
    for name, count in (("one", 1), ("two", 2)):
        done = encode_clips(benchmark, EncoderConfig(), tmp_path / "work", tmp_path / name, count)
        assert [bool(e.error) for e in done] == [False, True, False, True]
    files = sorted(p.name for p in (tmp_path / "one").glob("*.safetensors"))
    assert files == sorted(p.name for p in (tmp_path / "two").glob("*.safetensors"))
    for file in files:
        a, b = load_file(tmp_path / "one" / file), load_file(tmp_path / "two" / file)
        assert a.keys() == b.keys()
        assert all(np.array_equal(a[k], b[k]) for k in a)

"""Answering a benchmark: each clip looked at once, failures counted, and the same bytes however often it is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from motionqa.data.schema import InputError
from motionqa.eval.qa.manifest import read_manifest
from motionqa.eval.qa.predict import answer, open_tasks, predict
from motionqa.eval.qa.predictions import PredictionsFile, part_path, read_predictions
from motionqa.eval.qa.question import Benchmark, ClipFile, Prediction, Question
from motionqa.eval.qa.shard import Shard
from motionqa.tests.small_benchmark import FakePredictor, small_benchmark

BENCHMARK = small_benchmark()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("whole")
    return predict(BENCHMARK, FakePredictor(), out).merged.path.read_bytes()


def test_every_clip_is_looked_at_once_and_every_question_answered_in_official_order(tmp_path: Path) -> None:
    predictor = FakePredictor()
    account = predict(BENCHMARK, predictor, tmp_path)
    assert sorted(predictor.looked) == [f"clip{k}" for k in range(6)]
    assert [p.id for p in read_predictions(account.merged.path)] == [q.id for q in BENCHMARK.questions]
    assert (account.answered, account.known, account.merged.missing) == (18, 0, ())
    assert "18 answered now, 0 before, 0 failed, 0 open" in str(account)


def test_a_second_call_answers_nothing_again(tmp_path: Path, uninterrupted: bytes) -> None:
    predict(BENCHMARK, FakePredictor(), tmp_path)
    again = FakePredictor()
    account = predict(BENCHMARK, again, tmp_path)
    assert (again.looked, account.answered, account.known) == ([], 0, 18)
    assert account.merged.path.read_bytes() == uninterrupted


def killed_somewhere(out: Path, rng: random.Random) -> bool:
    """Predicts in a process that SIGKILL ends in the middle of a random write, sync or renaming; False if it ended."""
    child = os.fork()
    if child == 0:
        try:
            left = rng.randrange(12)

            def chance(call: Callable[..., Any]) -> Callable[..., Any]:
                def perhaps(*args: Any) -> Any:
                    nonlocal left
                    left -= 1
                    if left < 0:
                        if call is os.write:  # torn at any byte
                            call(args[0], args[1][: rng.randrange(len(args[1]) + 1)])
                        os.kill(os.getpid(), signal.SIGKILL)
                    return call(*args)

                return perhaps

            os.write, os.fsync, os.replace = chance(os.write), chance(os.fsync), chance(os.replace)
            Path.replace = chance(Path.replace)  # type: ignore[method-assign]
            predict(BENCHMARK, FakePredictor(), out)
            os._exit(0)
        finally:
            os._exit(1)  # whatever goes wrong must not go on as a second pytest
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_random_moments_it_ends_with_the_same_bytes(tmp_path: Path, seed: int, uninterrupted: bytes) -> None:
    rng = random.Random(seed)
    kills = 0
    while killed_somewhere(tmp_path, random.Random(rng.random())) and kills < 60:
        kills += 1
    predict(BENCHMARK, FakePredictor(), tmp_path)
    assert kills >= 2
    assert (tmp_path / "predictions.jsonl").read_bytes() == uninterrupted
    lines = part_path(tmp_path, Shard()).read_text().splitlines()
    assert len(lines) == len({json.loads(line)["id"] for line in lines}) == 18  # nothing was answered twice


def test_killed_from_outside_it_goes_on_too(tmp_path: Path, uninterrupted: bytes) -> None:
    for _ in range(3):
        child = os.fork()
        if child == 0:
            try:
                predict(BENCHMARK, FakePredictor(delay_s=0.02), tmp_path)
            finally:
                os._exit(0)
        part, before = part_path(tmp_path, Shard()), _lines(part_path(tmp_path, Shard()))
        while _lines(part) < min(before + 3, 18):  # by progress, not by time: a busy machine must not change the test
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert predict(BENCHMARK, FakePredictor(), tmp_path).known >= 9
    assert (tmp_path / "predictions.jsonl").read_bytes() == uninterrupted


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.parametrize("count", [2, 3, 10])
def test_shards_together_give_the_same_bytes_as_one_run(tmp_path: Path, count: int, uninterrupted: bytes) -> None:
    *_, account = (predict(BENCHMARK, FakePredictor(), tmp_path, Shard(k, count)) for k in reversed(range(count)))
    assert not account.merged.missing
    assert account.merged.path.read_bytes() == uninterrupted


def test_a_run_can_go_on_with_another_number_of_shards(tmp_path: Path, uninterrupted: bytes) -> None:
    predict(BENCHMARK, FakePredictor(), tmp_path, Shard(1, 3))
    rest = FakePredictor()
    account = predict(BENCHMARK, rest, tmp_path)
    assert account.known + len(rest.answered) == 18
    assert account.merged.path.read_bytes() == uninterrupted


def test_another_number_of_shards_at_the_same_time_is_refused(tmp_path: Path) -> None:
    predict(BENCHMARK, FakePredictor(), tmp_path, Shard(0, 2))
    ids = {q.id for q in BENCHMARK.questions}
    with (
        PredictionsFile(part_path(tmp_path, Shard(0, 2)), ids),
        pytest.raises(InputError, match=r"shard 0/2 is writing.*this one is shard 0/3"),
    ):
        predict(BENCHMARK, FakePredictor(), tmp_path, Shard(0, 3))


def test_missing_and_broken_clips_are_counted_and_the_rest_is_answered(tmp_path: Path) -> None:
    benchmark = small_benchmark(missing=("clip1", "clip2"))
    account = predict(benchmark, FakePredictor(breaks=("clip3",), fails=("q000",)), tmp_path)
    failed = {p.id: p.error for p in account.merged.failed}
    assert len(failed) == 10
    assert account.failures["clip: clip….npz is missing; download it"] == 6
    assert "ValueError" in failed["q003"]
    assert failed["q000"] == "RuntimeError: the model is gone"
    assert not account.merged.missing
    assert not account.stopped


def test_failures_are_tried_again_on_demand_only(tmp_path: Path, uninterrupted: bytes) -> None:
    predict(BENCHMARK, FakePredictor(fails=("q000", "q005")), tmp_path)
    assert predict(BENCHMARK, FakePredictor(), tmp_path).answered == 0
    account = predict(BENCHMARK, FakePredictor(), tmp_path, retry_failed=True)
    assert account.answered == 2
    assert account.merged.path.read_bytes() == uninterrupted


def test_a_model_that_is_gone_stops_the_run_but_missing_clips_do_not(tmp_path: Path) -> None:
    everything = tuple(q.id for q in BENCHMARK.questions)
    account = predict(BENCHMARK, FakePredictor(fails=everything), tmp_path / "a", give_up_after=4)
    assert "4 questions in a row failed" in account.stopped
    assert len(account.merged.missing) == 14
    gone = small_benchmark(missing=tuple(f"clip{k}" for k in range(6)))
    account = predict(gone, FakePredictor(), tmp_path / "b", give_up_after=4)
    assert not account.stopped
    assert len(account.merged.failed) == 18


class SideBySide(FakePredictor):
    """Answers that depend on which questions stand together, as sums in bfloat16 do."""

    def answer_together(self, questions: Sequence[Question]) -> tuple[Prediction, ...]:
        if any(q.id in self.fails for q in questions):
            raise RuntimeError("out of memory")
        return tuple(Prediction(q.id, f"{k} of {len(questions)}") for k, q in enumerate(questions))


def test_questions_answered_side_by_side_keep_their_group_when_resumed_in_its_middle(tmp_path: Path) -> None:
    whole = predict(BENCHMARK, SideBySide(), tmp_path / "whole").merged
    assert {p.answer for p in whole.predictions} == {"0 of 3", "1 of 3", "2 of 3"}

    def halt(done: int, *_: object) -> None:
        if done == 5:
            raise KeyboardInterrupt

    assert predict(BENCHMARK, SideBySide(), tmp_path / "broken", progress=halt).answered == 5
    account = predict(BENCHMARK, SideBySide(), tmp_path / "broken")
    assert (account.answered, account.known) == (13, 5)
    assert account.merged.path.read_bytes() == whole.path.read_bytes()


def test_a_group_that_fails_is_counted_question_by_question_and_tried_again_on_demand(tmp_path: Path) -> None:
    account = predict(BENCHMARK, SideBySide(fails=("q000",)), tmp_path)
    assert account.failures == {"RuntimeError: out of memory": 3}
    assert predict(BENCHMARK, SideBySide(), tmp_path, retry_failed=True).answered == 3


def test_a_group_whose_answers_are_to_other_questions_is_caught(tmp_path: Path) -> None:
    class Mixed(SideBySide):
        def answer_together(self, questions: Sequence[Question]) -> tuple[Prediction, ...]:
            return super().answer_together(questions)[:-1]

    account = predict(BENCHMARK, Mixed(), tmp_path)
    assert len(account.merged.failed) == 18
    assert "asked and answered different questions" in account.merged.failed[0].error


def test_another_configuration_in_the_same_folder_is_refused_with_both_values(tmp_path: Path) -> None:
    predict(BENCHMARK, FakePredictor(), tmp_path)
    with pytest.raises(InputError, match=r"predictor\.kind was 'fake' and is now 'other'"):
        predict(BENCHMARK, FakePredictor(kind="other"), tmp_path)
    fewer = replace(BENCHMARK, questions=BENCHMARK.questions[:4])
    with pytest.raises(InputError, match=r"questions was 18 and is now 4"):
        predict(fewer, FakePredictor(), tmp_path)
    assert read_manifest(tmp_path)["run"]["predictor"] == {"kind": "fake"}


def test_other_versions_are_noted_and_do_no_harm(tmp_path: Path) -> None:
    predict(BENCHMARK, FakePredictor(), tmp_path, Shard(0, 2))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["versions"]["numpy"] = "0.1"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    account = predict(BENCHMARK, FakePredictor(), tmp_path)
    assert any("numpy was '0.1'" in note for note in account.notes)


def test_a_full_disk_ends_the_run_with_an_account_and_it_can_be_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uninterrupted: bytes
) -> None:
    write, count = os.write, 0

    def full(file: int, data: bytes) -> int:
        nonlocal count
        count += 1
        if count > 7:
            write(file, data[:5])
            raise OSError(28, "No space left on device")
        return write(file, data)

    monkeypatch.setattr("motionqa.eval.qa.predictions.os.write", full)
    account = predict(BENCHMARK, FakePredictor(), tmp_path)
    monkeypatch.undo()
    assert "No space left" in account.stopped
    assert account.answered == 7
    assert len(account.merged.missing) == 11
    assert predict(BENCHMARK, FakePredictor(), tmp_path).merged.path.read_bytes() == uninterrupted


def test_a_disk_that_is_found_full_only_at_the_end_is_in_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uninterrupted: bytes
) -> None:
    def full(_: PredictionsFile) -> None:
        monkeypatch.undo()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PredictionsFile, "sync", full)
    account = predict(BENCHMARK, FakePredictor(), tmp_path)
    assert "No space left" in account.stopped
    assert "run the same command again" in account.stopped
    assert predict(BENCHMARK, FakePredictor(), tmp_path).merged.path.read_bytes() == uninterrupted


def test_interrupting_from_the_keyboard_ends_with_an_account(tmp_path: Path) -> None:
    def halt(done: int, total: int, seconds: float) -> None:
        assert done <= total
        assert seconds >= 0
        if done == 5:
            raise KeyboardInterrupt

    account = predict(BENCHMARK, FakePredictor(), tmp_path, progress=halt)
    assert account.stopped.startswith("interrupted")
    assert account.answered == 5


def test_questions_about_different_parts_of_a_file_get_different_looks() -> None:
    spans = {"a": (0.0, 1.0), "b": (0.0, 1.0), "c": (1.0, 2.0)}

    def find(question: Question) -> ClipFile:
        return ClipFile(Path("x.mp4"), span_s=spans[question.id])

    questions = tuple(Question(i, "x", "?", "", "t") for i in spans)
    benchmark = Benchmark("spans", "test", questions, (), (), (), find)

    class Seen(FakePredictor):
        def _answer(self, question: Question) -> Prediction:
            return Prediction(question.id, str(len(self.looked)))

    (task,) = open_tasks(benchmark, Shard(), {}, True)
    assert [p.answer for p in answer(Seen(), task)] == ["1", "1", "2"]


def test_a_predictor_that_answers_another_question_is_caught(tmp_path: Path) -> None:
    class Mixed(FakePredictor):
        def _answer(self, question: Question) -> Prediction:
            return Prediction("q000", question.text)

    account = predict(BENCHMARK, Mixed(), tmp_path)
    assert len(account.merged.failed) == 17
    assert all("answered 'q000' when asked" in p.error for p in account.merged.failed)


def test_blind_predictors_are_never_told_where_a_clip_is(tmp_path: Path) -> None:
    class Blind(FakePredictor):
        def look_at(self, clip: Any) -> Any:
            assert clip is None
            return self._answer

    predictor = Blind()
    predictor.needs_clips = False
    assert not predict(small_benchmark(missing=("clip1",)), predictor, tmp_path).merged.failed

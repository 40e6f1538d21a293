"""The predictions file: what is written once is never lost, doubled or silently dropped."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionqa.data.schema import InputError
from motionqa.eval.qa.predictions import (
    PredictionsFile,
    answered,
    from_line,
    merge,
    part_path,
    read_predictions,
    repair,
    to_line,
)
from motionqa.eval.qa.question import Prediction
from motionqa.eval.qa.shard import Shard

IDS = ("a", "b", "c", "d")


@settings(deadline=None)
@given(
    st.text(min_size=1, max_size=8),
    st.text(max_size=30),
    st.dictionaries(st.text(max_size=5), st.floats(-1e6, 1e6), max_size=3),
    st.text(max_size=10),
)
def test_a_line_gives_back_the_prediction_whatever_is_in_it(
    id: str, answer: str, scores: dict[str, float], error: str
) -> None:
    before = Prediction(id, answer, scores, ((0.0, 1.5),), error, 0.25, {"said": answer})
    line = to_line(before)
    assert "\n" not in line
    after = from_line(line)
    assert (after.id, after.answer, after.error, after.evidence_s) == (id, answer, error, ((0.0, 1.5),))
    assert after.scores == pytest.approx(before.scores, abs=1e-6)
    assert "seconds" not in to_line(before, seconds=False)


def test_malformed_lines_are_refused_with_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    lines = [to_line(Prediction("a", "x")), "{oops", '{"answer": "no id"}', '{"id": "b", "answer": 3}', '{"id": "c"}',
             '{"id": "d", "answer": "x", "scores": {"o": "NaN"}}', "[1]"]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"6 of 7 lines.*line 2: not JSON.*line 3: no \"id\".*line 4.*line 5.*line 7"):
        read_predictions(path)


def test_bytes_that_are_no_text_are_refused_and_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(to_line(Prediction("a", "x")).encode() + b"\n" + b'{"id": "b\xff", "answer": ""}\n')
    with pytest.raises(InputError, match="line 2"):
        read_predictions(path)


@pytest.mark.parametrize("kept", range(0, 40, 3))
def test_a_line_torn_at_any_byte_is_removed_and_the_rest_stays(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "p.jsonl"
    whole, torn = to_line(Prediction("a", "größer")), to_line(Prediction("b", "kürzer, still")).encode()
    path.write_bytes(whole.encode() + b"\n" + torn[: min(kept, len(torn) - 1)])
    note = repair(path)
    assert [p.id for p in read_predictions(path)] == ["a"]
    assert path.read_bytes().endswith(b"\n")
    assert bool(note) == (kept > 0)


def test_a_whole_line_that_only_lost_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(to_line(Prediction("a", "x")) + "\n" + to_line(Prediction("b", "y")))
    assert "put back" in repair(path)
    with PredictionsFile(path, IDS) as file:
        assert set(file.done) == {"a", "b"}
        file.append(Prediction("c", "z"))
    assert [p.id for p in read_predictions(path)] == ["a", "b", "c"]


def test_two_runs_never_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    with PredictionsFile(path, IDS), pytest.raises(InputError, match="Another run is writing"):
        PredictionsFile(path, IDS)
    with PredictionsFile(path, IDS) as file:
        file.append(Prediction("a", "x"))


def test_a_question_is_answered_once_but_a_failure_may_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    with PredictionsFile(path, IDS) as file:
        file.append(Prediction("a", error="gone"))
        file.append(Prediction("a", "x"))
        with pytest.raises(ValueError, match="answered already"):
            file.append(Prediction("a", "y"))
    with PredictionsFile(path, IDS) as file:
        assert file.done["a"].answer == "x"


def test_unknown_and_doubled_ids_are_errors_with_counts(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    lines = [to_line(Prediction(i, "x")) for i in ("a", "z1", "z2", "b")]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"2 ids .* of no question .*'z1'"):
        PredictionsFile(path, IDS)
    path.write_text("\n".join([lines[0], lines[3], lines[0], lines[3]]) + "\n")
    with pytest.raises(InputError, match=r"2 ids .* answered twice"):
        PredictionsFile(path, IDS)
    with pytest.raises(InputError):  # the lock was given back each time
        PredictionsFile(path, IDS)


def test_merging_gives_the_official_order_and_the_same_bytes_over_any_shards(tmp_path: Path) -> None:
    given_ = {i: Prediction(i, f"answer {i}", seconds=k) for k, i in enumerate(IDS)}
    texts = []
    for name, parts in (("one", [("d", "a", "c", "b")]), ("two", [("b", "d"), ("c", "a")])):
        for k, ids in enumerate(parts):
            with PredictionsFile(part_path(tmp_path / name, Shard(k, len(parts))), IDS) as file:
                for i in ids:
                    file.append(given_[i])
        merged = merge(tmp_path / name, IDS)
        assert not merged.missing
        texts.append(merged.path.read_bytes())
    assert texts[0] == texts[1]
    assert [p.id for p in read_predictions(tmp_path / "one" / "predictions.jsonl")] == list(IDS)


def test_merging_says_what_is_missing_and_prefers_an_answer_to_a_failure(tmp_path: Path) -> None:
    with PredictionsFile(part_path(tmp_path, Shard(0, 2)), IDS) as file:
        file.append(Prediction("a", "x"))
        file.append(Prediction("b", error="gone"))
    with PredictionsFile(part_path(tmp_path, Shard(1, 2)), IDS) as file:
        file.append(Prediction("a", error="gone"))
    merged = merge(tmp_path, IDS)
    assert merged.missing == ("c", "d")
    assert [p.id for p in merged.failed] == ["b"]
    assert merged.predictions[0].answer == "x"


def test_merging_while_a_line_is_being_written_leaves_that_line_out(tmp_path: Path) -> None:
    path = part_path(tmp_path, Shard())
    path.parent.mkdir(parents=True)
    path.write_text(to_line(Prediction("a", "x")) + "\n" + '{"id": "b", "ans')
    assert set(answered(tmp_path, IDS)) == {"a"}
    assert path.read_text().endswith('"ans')  # the writer's file is not touched


def test_a_full_disk_leaves_whole_lines_and_the_file_can_be_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with PredictionsFile(path, IDS) as file:
        file.append(Prediction("a", "x"))
        size = path.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))  # a line more does not fit
        try:
            with pytest.raises(OSError) as caught:  # noqa: PT011
                file.append(Prediction("b", "a long answer that does not fit any more"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert caught.value.errno in (errno.EFBIG, errno.ENOSPC)
        assert path.stat().st_size == size
        file.append(Prediction("b", "y"))
    assert [p.id for p in read_predictions(path)] == ["a", "b"]


def test_shards_are_disjoint_complete_and_never_split_a_clip() -> None:
    from motionqa.tests.small_benchmark import small_benchmark

    questions = small_benchmark(7, 4).questions
    for count in (1, 2, 3, 9):
        parts = [[q for group in Shard(k, count).of(questions) for q in group] for k in range(count)]
        assert sorted(q.id for part in parts for q in part) == [q.id for q in questions]
        clips = [{q.clip for q in part} for part in parts]
        assert sum(map(len, clips)) == len(set().union(*clips))


def test_a_shard_is_read_from_text_and_from_what_torchrun_sets() -> None:
    assert Shard.parse("1/4") == Shard(1, 4)
    assert Shard.of_this_process({"RANK": "3", "WORLD_SIZE": "8"}) == Shard(3, 8)
    assert Shard.of_this_process({}) == Shard()
    for text in ("4/4", "a/b", "1", "-1/2"):
        with pytest.raises(InputError, match="0/2"):
            Shard.parse(text)
    with pytest.raises(InputError, match="set both or neither"):
        Shard.of_this_process({"RANK": "1"})


def test_predictions_that_are_not_there_say_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Run the predict step first"):
        read_predictions(tmp_path / os.devnull.strip("/"))

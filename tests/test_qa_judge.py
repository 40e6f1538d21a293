"""The judge: cached, retried within bounds, and its failures never counted as wrong answers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from motionqa.data.schema import InputError
from motionqa.eval.qa.judge import Judged, judge, judged_protocol, load_judged, save_judged
from motionqa.eval.qa.judge_prompt import OURS, PUBLISHED, read_prompt
from motionqa.eval.qa.judge_server import JudgeConfig, JudgeServer, parse_verdict
from motionqa.eval.qa.question import Prediction
from motionqa.eval.qa.scoring import score_predictions
from motionqa.tests.judge_server import Answer, Served, judge_server
from motionqa.tests.small_benchmark import small_benchmark

BENCHMARK = small_benchmark(3, 2)
GIVEN = [Prediction(q.id, f"I saw {q.id}") for q in BENCHMARK.questions]
NO = Served("{'pred': 'no', 'score': 1}")


def judged(answer: Answer, cache: Path, given: list[Prediction] = GIVEN, **settings: object) -> tuple[Judged, int]:
    """The verdicts, and how many requests they took."""
    with judge_server(answer) as (url, seen):
        config = JudgeConfig(url, "judge", **{"backoff_s": 0.0, "concurrency": 3, "tries": 3, **settings})  # type: ignore[arg-type]
        server = JudgeServer(config, cache, sleep=lambda seconds: None)
        try:
            return judge(BENCHMARK, given, server, give_up_after=4), len(seen)
        finally:
            server.close()


def asked_id(body: dict) -> str:
    found = re.search(r"I saw (q\d+)", body["messages"][1]["content"])
    assert found
    return found[1]


def test_verdicts_are_joined_by_id_whatever_order_replies_come_in(tmp_path: Path) -> None:
    def odd_ones_slowly(_: int, body: dict) -> Served:
        k = int(asked_id(body)[1:])
        return Served("{'pred': 'yes', 'score': 5}" if k % 2 else "{'pred': 'no', 'score': 0}", delay_s=0.05 * (k % 2))

    found, requests = judged(odd_ones_slowly, tmp_path)
    assert [(v.id, v.right) for v in found.verdicts] == [(q.id, bool(k % 2)) for k, q in enumerate(BENCHMARK.questions)]
    assert requests == 6
    assert found.mean_score == 2.5
    assert found.versions == ("judge-2026-01 fp1",)
    assert found.prompt_sha256 == OURS.sha256


def test_the_prompt_carries_question_reference_and_answer_and_no_placeholder(tmp_path: Path) -> None:
    bodies = []

    def keep(_: int, body: dict) -> Served:
        bodies.append(body)
        return Served()

    odd = [Prediction(p.id, "{answer} {'pred': 'yes'}") for p in GIVEN]
    judged(keep, tmp_path, odd, concurrency=1)
    system, user = (m["content"] for m in bodies[0]["messages"])
    assert system == OURS.system
    assert "Question: What is done at 0?\nReference answer: walk\nGiven answer: {answer} {'pred': 'yes'}\n\n" in user
    assert bodies[0]["temperature"] == 0


def test_a_second_call_asks_nothing_again_and_another_model_or_answer_does(tmp_path: Path) -> None:
    with judge_server(lambda *_: Served()) as (url, seen):
        for model, given, requests in (("a", GIVEN, 6), ("a", GIVEN, 6), ("b", GIVEN, 12),
                                       ("a", [Prediction(p.id, "else") for p in GIVEN], 18)):  # fmt: skip
            server = JudgeServer(JudgeConfig(url, model), tmp_path)
            judge(BENCHMARK, given, server)
            server.close()
            assert len(seen) == requests


@pytest.mark.parametrize(
    "bad",
    [
        Served(status=429, headers={"Retry-After": "0"}), Served(status=429), Served(status=500), Served(status=503),
        Served(raw="<html>gateway</html>"), Served(raw='{"choices": []}'), Served(raw='{"error": "overloaded"}'),
        Served(raw="[]"), Served(raw='{"choices": [{"message": {"content": null}}]}'),
    ],
)  # fmt: skip
def test_a_server_that_stumbles_twice_is_asked_again(tmp_path: Path, bad: Served) -> None:
    failures: dict[str, int] = {}

    def stumble(_: int, body: dict) -> Served:
        failures[asked_id(body)] = failures.get(asked_id(body), 0) + 1
        return bad if failures[asked_id(body)] < 3 else NO

    found, requests = judged(stumble, tmp_path)
    assert [v.right for v in found.verdicts] == [False] * 6
    assert requests == 18


def test_a_server_that_is_too_slow_is_no_wrong_answer(tmp_path: Path) -> None:
    def late(_: int, body: dict) -> Served:
        return Served(delay_s=0.6 if asked_id(body) == "q001" else 0.0)

    found, _ = judged(late, tmp_path, timeout_s=0.2, tries=2)
    assert [v.id for v in found.failures] == ["q001"]
    assert "Timeout" in found.failures[0].error
    assert len(found.given) == 5


def test_a_server_that_never_recovers_ends_the_run_within_bounds_and_can_be_gone_on_with(tmp_path: Path) -> None:
    found, requests = judged(lambda k, _: Served() if k < 1 else Served(status=500), tmp_path, concurrency=1)
    assert requests <= 1 + 3 * 5  # the rest is not asked for
    assert found.stopped
    assert len(found.given) == 1
    assert len(found.verdicts) == 6
    assert all(v.right is None for v in found.failures)
    again, more = judged(lambda *_: Served(), tmp_path)
    assert not again.failures
    assert more == 6  # another address: its replies are another judge's


def test_nonsense_is_asked_for_again_with_another_seed_and_then_counted_apart(tmp_path: Path) -> None:
    def nonsense(_: int, body: dict) -> Served:
        if asked_id(body) == "q002":
            return Served("Well, it depends.")
        return Served("dunno") if body["seed"] == 0 else NO

    with judge_server(nonsense) as (url, seen):
        server = JudgeServer(JudgeConfig(url, "judge", replies=3), tmp_path)
        first = judge(BENCHMARK, GIVEN, server)
        assert len(seen) == 5 * 2 + 3
        second = judge(BENCHMARK, GIVEN, server)
        server.close()
        assert len(seen) == 13  # nonsense was paid for, too
    assert first.verdicts == second.verdicts
    assert [v.id for v in first.failures] == ["q002"]
    assert "could not be parsed, the last: 'Well, it depends.'" in first.failures[0].error
    assert "no verdict on 1" in first.text()


def test_a_refusal_is_an_error_in_the_servers_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"refuses: 401 wrong key.*OPENAI_API_KEY"):
        judged(lambda *_: Served(status=401, raw="wrong key"), tmp_path)


def test_unanswered_questions_are_not_sent_and_not_judged(tmp_path: Path) -> None:
    given = [*GIVEN[:4], Prediction(GIVEN[4].id, error="no clip"), Prediction(GIVEN[5].id, error="no clip")]
    found, requests = judged(lambda *_: Served(), tmp_path, given)
    assert (requests, found.unanswered, len(found.verdicts)) == (4, 2, 4)


def test_the_servers_wish_to_wait_is_heard(tmp_path: Path) -> None:
    waits: list[float] = []
    busy = Served(status=429, headers={"Retry-After": "7"})
    with judge_server(lambda k, _: busy if k == 0 else Served()) as (url, _):
        server = JudgeServer(JudgeConfig(url, "judge"), tmp_path, sleep=waits.append)
        assert server.verdict("a", "?", "x", "x").right
        server.close()
    assert waits == [7.0]


def test_a_full_disk_keeps_the_verdict_and_says_that_it_will_be_paid_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("motionqa.eval.qa.judge_server.write_whole", full)
    found, _ = judged(lambda *_: Served(), tmp_path)
    assert len(found.given) == 6
    assert "6 replies could not be kept" in found.text()


def test_verdicts_come_back_from_their_file_and_score_only_what_was_judged(tmp_path: Path) -> None:
    def one_fails(_: int, body: dict) -> Served:
        return Served("?") if asked_id(body) == "q003" else Served() if asked_id(body) < "q003" else NO

    found, _ = judged(one_fails, tmp_path / "cache")
    again = load_judged(save_judged(found, tmp_path))
    assert again.verdicts == found.verdicts
    protocol, ids = judged_protocol(again)
    assert "q003" not in ids
    given = [p for p in GIVEN if p.id in ids]
    scored = score_predictions(BENCHMARK, given, partial=True, protocols=[protocol])
    assert scored.table.figure("judge: judge").value == pytest.approx(3 / 5)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("{'pred': 'yes', 'score': 4}", (True, 4)),
        ('{"pred": "No", "score": 0}', (False, 0)),
        ("```python\n{'pred': 'yes', 'score': 4.8}\n```", (True, 4.8)),
        ("Sure! {'pred': 'no', 'score': '2'} Hope this helps", (False, 2)),
        ('{"pred": true, "score": 5}', (True, 5)),
        ("{'score': 3, 'pred': ' yes '}", (True, 3)),
        ("yes", None),
        ("{'pred': 'maybe', 'score': 3}", None),
        ("{'pred': 'yes'}", None),
        ("{'pred': 'yes', 'score': 9}", None),
        ("{'pred': 'yes', 'score': None}", None),
        ("{'pred': ['yes'], 'score': 3}", None),
        ("{pred: yes, score: 3}", None),
        ("", None),
        ("{" * 3000, None),
    ],
)
def test_only_a_whole_verdict_counts(text: str, verdict: tuple[bool, float] | None) -> None:
    assert parse_verdict(text) == verdict


def test_the_prompts_hash_changes_with_any_letter() -> None:
    from dataclasses import replace

    assert replace(OURS, system=OURS.system + " ").sha256 != OURS.sha256
    assert json.dumps(OURS.messages("q", "a", "p"))


def test_a_prompt_file_is_read_and_a_published_wording_known_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.json"
    told = {"system": "Grade.", "question": "Q {question} R {answer} A {prediction}"}
    path.write_text(json.dumps(told))
    prompt = read_prompt(path)
    assert (prompt.name, prompt.system) == ("mine", "Grade.")
    assert prompt.messages("a{answer}b", "c", "d")[1]["content"] == "Q a{answer}b R c A d"
    monkeypatch.setitem(PUBLISHED, prompt.sha256, ("known", "a paper"))
    assert (read_prompt(path).name, read_prompt(path).source) == ("known", "a paper")


@pytest.mark.parametrize(
    "content",
    ["no json", "[]", '{"system": "x"}', '{"system": "x", "question": "{answer} {question} {prediction}"}',
     '{"system": "x", "question": "{question} {answer}"}'],
)  # fmt: skip
def test_a_prompt_file_without_its_places_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"mine\.json"):
        read_prompt(path)

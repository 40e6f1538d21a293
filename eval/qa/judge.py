"""A run's predictions before a judge: every verdict kept, failures counted apart, nothing paid for twice.

The published practice on ActivityNet-QA (Video-ChatGPT's prompt): accuracy is the share of "yes", and the score is the
mean of integers from 0 to 5. Figures move by up to ten points with the judge's version, so model, reported version and
prompt hash are part of the result. Known faults of others' scripts that are avoided here: a failed call scored as
"no", endless retry on a reply that can not be parsed, and verdicts joined by position.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from motionqa.eval.qa.joining import join
from motionqa.eval.qa.judge_server import JudgeServer, ServerDown, Verdict
from motionqa.eval.qa.predictions import write_whole
from motionqa.eval.qa.question import Benchmark, Prediction, Protocol, Question

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Judged:
    """All verdicts of one judge on one run."""

    judge: str
    """The model's name as it was asked for."""
    versions: tuple[str, ...]
    """What the server said it is; more than one where it changed on the way."""
    prompt: str
    prompt_sha256: str
    verdicts: tuple[Verdict, ...]
    """In the benchmark's order; those with an `error` are failures of the judge, never wrong answers."""
    unanswered: int
    """Questions without an answer, which were not sent."""
    stopped: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What else was sent: temperature, token limit. The published script left both at the server's defaults."""
    unsaved: int = 0
    """Replies that the cache could not keep."""
    answers_sha256: Mapping[str, str] = field(default_factory=dict)
    """Hash of each answer that was judged, by id: a verdict says nothing about another answer."""

    @property
    def given(self) -> tuple[Verdict, ...]:
        """Verdicts that were reached."""
        return tuple(v for v in self.verdicts if not v.error)

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """Questions that the judge gave no usable verdict on."""
        return tuple(v for v in self.verdicts if v.error)

    @property
    def mean_score(self) -> float | None:
        """Mean of the 0 to 5 scores, whole numbers as the published script takes them; None without verdicts."""
        scores = [int(v.score or 0) for v in self.given]
        return sum(scores) / len(scores) if scores else None

    def text(self) -> str:
        """What was judged, by whom, and what failed."""
        right = sum(bool(v.right) for v in self.given)
        lines = [
            f"judge {self.judge} (says it is {', '.join(self.versions) or 'nothing'}), prompt {self.prompt} "
            f"{self.prompt_sha256[:12]}",
            f"  {right} of {len(self.given)} right"
            + (f" ({right / len(self.given):.3f}), mean score {self.mean_score:.2f}" if self.given else ""),
            f"  no verdict on {len(self.failures)}, not sent because unanswered {self.unanswered}",
        ]
        counts = Counter(v.error.split("; it answered")[0][:120] for v in self.failures)
        lines += [f"    {count} x {why}" for why, count in counts.most_common(5)]
        lines += [f"  ! {self.unsaved} replies could not be kept; is the disk full?"] if self.unsaved else []
        return "\n".join(lines + ([f"  ! stopped early: {self.stopped}"] if self.stopped else []))


def judge(
    benchmark: Benchmark,
    predictions: Iterable[Prediction],
    server: JudgeServer,
    *,
    partial: bool = False,
    give_up_after: int = 10,
    progress: Progress | None = None,
) -> Judged:
    """A verdict on every answered question; known replies come from the cache, so that a second call goes on.

    After `give_up_after` questions in a row without any reply the rest is left for a later call. InputError where
    ids do not fit the benchmark or the server refuses.
    """
    joined = join(benchmark.questions, predictions, partial)
    found, stopped = _ask_all(joined.answered, server, give_up_after, progress)
    verdicts = tuple(found.get(q.id, Verdict(q.id, error="not asked: " + stopped)) for q, _ in joined.answered)
    versions = dict.fromkeys(v.model for v in verdicts if v.model)
    prompt = server.config.prompt
    return Judged(server.config.model, tuple(versions), prompt.name, prompt.sha256, verdicts,
                  len(joined.failed) + len(joined.missing), stopped,
                  {"temperature": server.config.temperature, "max_tokens": server.config.max_tokens},
                  server.unsaved, {q.id: answer_sha256(p) for q, p in joined.answered})  # fmt: skip


def answer_sha256(prediction: Prediction) -> str:
    """Hex hash of what was answered."""
    return sha256(prediction.answer.encode()).hexdigest()


def _ask_all(
    pairs: Sequence[tuple[Question, Prediction]], server: JudgeServer, most: int, progress: Progress | None
) -> tuple[dict[str, Verdict], str]:
    found: dict[str, Verdict] = {}
    down, stopped = 0, ""
    with ThreadPoolExecutor(server.config.concurrency) as pool:
        waiting: dict[Future[Verdict], str] = {}
        for question, prediction in pairs:
            work = pool.submit(server.verdict, question.id, question.text, question.answer, prediction.answer)
            waiting[work] = question.id
        try:
            for done in as_completed(waiting):
                if done.cancelled():
                    continue
                try:
                    found[waiting[done]] = done.result()
                    down = 0
                except ServerDown as error:
                    found[waiting[done]] = Verdict(waiting[done], error=str(error))
                    down += 1
                if progress:
                    progress(len(found), len(waiting))
                if down >= most and not stopped:
                    stopped = f"{down} questions in a row got no reply ({found[waiting[done]].error[:200]})"
                    _cancel(waiting)
        except BaseException as error:
            _cancel(waiting)
            if not isinstance(error, KeyboardInterrupt):
                raise
            stopped = "interrupted"
    return found, stopped


def _cancel(waiting: dict[Future[Verdict], str]) -> None:
    for work in waiting:
        work.cancel()


# ------------------------------------------------------------------------------------- file and figures


def verdicts_path(out: Path, judged_by: str, prompt_sha256: str) -> Path:
    """Where a judge's verdicts on a run are kept."""
    name = "".join(c if c.isalnum() or c in "-._" else "_" for c in judged_by)
    return out / f"judged-{name}-{prompt_sha256[:8]}.json"


def save_judged(judged: Judged, out: Path) -> Path:
    """Writes the verdicts in one step and returns the file. OSError where it can not be written."""
    path = verdicts_path(out, judged.judge, judged.prompt_sha256)
    write_whole(path, json.dumps(asdict(judged), indent=1, ensure_ascii=False) + "\n")
    return path


def load_judged(path: Path) -> Judged:
    """The verdicts in a file written by `save_judged`."""
    found = json.loads(path.read_text())
    verdicts = tuple(Verdict(**v) for v in found.pop("verdicts"))
    return Judged(**{**found, "versions": tuple(found["versions"]), "verdicts": verdicts})


def judged_protocol(judged: Judged) -> tuple[Protocol, frozenset[str]]:
    """A protocol that scores by these verdicts, and the ids it has verdicts on: score those only."""
    right = {v.id: float(bool(v.right)) for v in judged.given}
    version = ", ".join(judged.versions) or "unknown version"
    about = (
        f"{judged.judge} ({version}) says that the answer means the reference; prompt {judged.prompt} "
        f"{judged.prompt_sha256[:12]}; {len(judged.failures)} without a verdict are left out."
    )
    return Protocol(f"judge: {judged.judge}", about, lambda q, p: right[q.id]), frozenset(right)

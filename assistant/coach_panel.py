"""The coach on the page: what its buttons do. A critique, its marks in the clip, its report, a person's history.

Recognising the exercise is done by rule; the lists let the user say better. Findings become facts, so that questions in
the chat go on from the critique.
"""

from __future__ import annotations

import html
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr

from motionqa.assistant.coaching.annotated_video import mark_faults, marked_frames, stills
from motionqa.assistant.coaching.coach import TOPIC, Critique, coach, coaching_facts
from motionqa.assistant.coaching.critique import can_word
from motionqa.assistant.coaching.exercise_file import load_rules
from motionqa.assistant.coaching.history import History
from motionqa.assistant.coaching.on_page import critique_html
from motionqa.assistant.coaching.report import progress_plots, write_report
from motionqa.assistant.coaching.view import FILMED, View
from motionqa.assistant.overlay import time_offset_s
from motionqa.assistant.panels import seek
from motionqa.assistant.session import Engine
from motionqa.assistant.tab import Visit, problem, status
from motionqa.assistant.uploads import Uploads
from motionqa.data.schema import ClipEncoding, InputError
from motionqa.encoders.clip_encoder import Cancelled, Progress

DRAWN_WITHIN_S = 180.0
"""How long the marks wait for the clip to be drawn."""
AS_SEEN = "as seen"
VIEW_WORDS: dict[View, str] = {
    "front": "the front", "back": "behind", "side": "the side", "oblique": "an angle", "space": "all sides",
}  # fmt: skip


def exercise_choices(critique: Critique | None = None) -> list[tuple[str, str]]:
    """What the list of exercises offers: first what was recognised, then every exercise by name."""
    own = "as recognised"
    rules = load_rules().exercises
    best = critique.assessment.guesses[0] if critique and critique.assessment.guesses else None
    if critique and critique.assessment.exercise and best and not best.named_by_user:
        own += f": {rules[best.name].title.lower()} ({best.confidence:.2f})"
    return [(own, ""), *sorted((e.title, name) for name, e in rules.items())]


def view_choices(critique: Critique | None = None) -> list[tuple[str, str]]:
    """What the list of views offers."""
    seen = f"{AS_SEEN}: from {VIEW_WORDS[critique.assessment.sight.view]}" if critique else AS_SEEN
    return [(seen, ""), *((f"from {VIEW_WORDS[v]}", v) for v in FILMED)]


def fresh() -> tuple[Any, ...]:
    """The coach's panes for a new clip: exercises, views, note, critique, report, what is kept."""
    return (
        gr.update(choices=exercise_choices(), value=""),
        gr.update(choices=view_choices(), value=""),
        "",
        "",
        gr.update(value=None, visible=False),
        gr.update(visible=False),
    )


class CoachPanel:
    """The handlers of the coach's tab. Holds the shared engine and the history; the rest is in the `Visit`."""

    def __init__(self, engine: Engine, uploads: Uploads, history: History | None = None) -> None:
        self.engine, self.uploads = engine, uploads
        self.history = history or History()

    # --------------------------------------------------------------------------------------- critique

    def criticise(
        self,
        visit: Visit | None,
        exercise: str,
        view: str,
        reference: str | None,
        messages: list[dict[str, Any]],
        progress: gr.Progress = gr.Progress(),
    ) -> tuple[Any, ...]:
        """Fills the coach's panes and puts the critique into the chat; the reason where there is none."""
        encoding = visit.chat.encoding if visit else None
        if visit is None or encoding is None:
            return self._keep(problem("There is no clip yet. Upload a video or a motion file of an exercise first."))
        try:
            other = self._reference(visit, reference, lambda stage, share: progress(share, desc=f"reference: {stage}"))
            progress(0.9, desc="judging")
            llm = self.engine.llm if can_word(self.engine.llm) else None
            named: View | None = next((v for v in FILMED if v == view), None)
            critique = coach(encoding, exercise or None, reference=other, llm=llm, view=named)
        except InputError as error:
            return self._keep(problem(str(error)))
        except Cancelled:
            return self._keep(gr.skip())
        visit.chat.learned = tuple(f for f in visit.chat.learned if f.topic != TOPIC)
        if not visit.chat.learn(encoding, coaching_facts(critique)):  # another clip came meanwhile
            return self._keep(gr.skip())
        visit.critique, visit.stills = critique, {}
        asked, answer = _exchange(critique)
        visit.chat.history = (*visit.chat.history, (asked, answer))
        offset = time_offset_s(encoding)
        talk = [{"role": "user", "content": asked}, {"role": "assistant", "content": _markdown(critique, offset)}]
        return (
            gr.update(choices=exercise_choices(critique), value=exercise),
            gr.update(choices=view_choices(critique), value=view),
            _problems(critique),
            critique_html(critique, lambda start, end: seek(start, end, offset)),
            self._report(visit),
            gr.update(visible=critique.assessment.exercise is not None),
            [*(messages or []), *talk],
        )

    @staticmethod
    def _keep(note: Any) -> tuple[Any, ...]:
        return (gr.skip(), gr.skip(), note, *(gr.skip() for _ in range(4)))

    def _reference(self, visit: Visit, upload: str | None, progress: Progress) -> ClipEncoding | None:
        """The clip to compare with, encoded once for each upload, which is then deleted."""
        if not upload:
            visit.reference = None
            return None
        if visit.reference is None or visit.reference[0] != upload:
            path = Path(upload).resolve()
            self.uploads.take(path)
            try:
                config = self.engine.encoder.config
                visit.reference = (upload, self.engine.encoder.encode(path, progress, None, config))
            finally:
                self.uploads.release(path)
        return visit.reference[1]

    def mark(self, visit: Visit | None, progress: gr.Progress = gr.Progress()) -> Any:
        """The clip with the critique's faults marked; the clip as it was drawn where there are none."""
        critique = visit.critique if visit else None
        if visit is None or critique is None:
            return gr.skip()
        end = time.monotonic() + DRAWN_WITHIN_S
        while visit.critique is critique and visit.drawn is None and time.monotonic() < end:
            time.sleep(0.1)
        drawn, target = visit.drawn, visit.folder / f"{uuid4().hex}.mp4"
        if drawn is None or visit.critique is not critique:
            return gr.skip()
        if not critique.assessment.of_kind("fault"):
            return _video(drawn)

        def step(share: float) -> None:
            if visit.critique is not critique:
                raise Cancelled("another critique came")
            progress(share, desc="marking the faults")

        try:
            mark_faults(drawn, critique.assessment, target, step)
            step(1.0)
        except Cancelled:
            target.unlink(missing_ok=True)
            return gr.skip()
        return _video(target)

    def illustrate(self, visit: Visit | None) -> Any:
        """The report anew, with a picture of each fault out of the drawn clip."""
        critique = visit.critique if visit else None
        if visit is None or critique is None or visit.drawn is None:
            return gr.skip()
        pictures = stills(marked_frames(visit.drawn, critique.assessment), critique.assessment)
        if visit.critique is not critique or not pictures:
            return gr.skip()
        visit.stills = pictures
        return self._report(visit)

    def _report(self, visit: Visit, person: str = "") -> Any:
        """The report of the present critique to download, with a person's history where one is named."""
        critique = visit.critique
        assert critique is not None
        exercise = critique.assessment.exercise
        past = self.history.of(person, exercise.name) if person and exercise else ()
        folder = visit.folder / uuid4().hex
        folder.mkdir()
        name = f"{exercise.name if exercise else 'movement'}_report.html"
        return gr.update(value=str(write_report(critique, folder / name, past, visit.stills)), visible=True)

    # ---------------------------------------------------------------------------------------- history

    def save(self, visit: Visit | None, person: str) -> tuple[Any, ...]:
        """Keeps the critique under a name: note, plots, export, report."""
        critique = visit.critique if visit else None
        if visit is None or critique is None:
            return (problem("There is no critique yet. Press Critique first."), *(gr.skip() for _ in range(3)))
        try:
            self.history.add(person, critique)
            return (*self._shown(visit, person), self._report(visit, person))
        except InputError as error:
            return (problem(str(error)), *(gr.skip() for _ in range(3)))

    def show(self, visit: Visit | None, person: str) -> tuple[Any, ...]:
        """What is kept under a name: note, plots, export."""
        try:
            return self._shown(visit, person)
        except InputError as error:
            return problem(str(error)), "", gr.update(visible=False)

    def _shown(self, visit: Visit | None, person: str) -> tuple[Any, ...]:
        person = person.strip()
        kept = self.history.of(person)
        if visit is None or not kept:
            raise InputError(f"Nothing is kept under the name {person!r}." if person else "Type a name first.")
        titles = {name: e.title for name, e in load_rules().exercises.items()}
        parts = []
        for exercise in dict.fromkeys(a.exercise for a in kept):
            past = [a for a in kept if a.exercise == exercise]
            plots = "".join(progress_plots(past)) or "<p>Plots begin with the second assessment.</p>"
            days = ", ".join(dict.fromkeys(a.taken_at[:10] for a in past))
            title = html.escape(titles.get(exercise, exercise))
            parts.append(f'<h3>{title}</h3><p class="faint">{days}</p><div class="plots">{plots}</div>')
        folder = visit.folder / uuid4().hex
        folder.mkdir()
        file = self.history.export(person, folder / "assessments.json")
        count = f"{len(kept)} assessment{'s' * (len(kept) != 1)}"
        note = status(f"{count} kept under {person!r}, on this machine only: numbers and words, no pictures.")
        return note, f'<div class="coach">{"".join(parts)}</div>', gr.update(value=str(file), visible=True)

    def delete(self, person: str) -> tuple[Any, ...]:
        """Removes what is kept under a name: note, plots, export."""
        try:
            count = self.history.delete(person)
        except InputError as error:
            return problem(str(error)), gr.skip(), gr.skip()
        note = f"{count} assessment{'s' * (count != 1)} of {person.strip()!r} deleted."
        return status(note), "", gr.update(value=None, visible=False)


def _video(path: Path) -> Any:
    return gr.update(value=str(path), visible=True)


def _problems(critique: Critique) -> str:
    """What could not be done, where anything could not; the critique says it as well."""
    limits = critique.assessment.limits
    return problem(" ".join(limits)) if limits else status("Judged. The clip above shows each fault at its moment.")


def _exchange(critique: Critique) -> tuple[str, str]:
    """The critique as a question and a short answer, for the conversation that goes on from it."""
    exercise = critique.assessment.exercise
    name = exercise.noun if exercise else "movement"
    if not critique.corrections:
        return f"What should be corrected in this {name}?", critique.opening
    titles = "; ".join(f"{i}. {c.title}" for i, c in enumerate(critique.corrections, 1))
    return f"What should be corrected in this {name}?", f"To correct, most important first: {titles}."


def _markdown(critique: Critique, offset_s: float) -> str:
    """The short answer for the chat, with the worst moments to click."""
    lines = [critique.opening]
    for i, c in enumerate(critique.corrections, 1):
        at = c.finding.worst.at_s if c.finding.worst else c.finding.start_s
        check = c.finding.check
        cue = f" {check.cue}" if check else ""
        lines.append(f"{i}. **{c.title}.**{cue} [▶ {at:.1f} s]({seek(at - 0.6, at + 0.6, offset_s)})")
    lines.append("Ask on: why it matters, what to try, when it happens. The tab *Coach* has it all.")
    return "\n\n".join(lines)

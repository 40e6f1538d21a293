"""What is kept for one browser tab, and how the page words a status."""

from __future__ import annotations

import html
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from motionqa.assistant.coaching.coach import Critique
from motionqa.assistant.concept_timeline import ShownConcepts
from motionqa.assistant.flow_view import ShownFlow
from motionqa.assistant.people_picker import PeoplePicture
from motionqa.assistant.session import ChatSession
from motionqa.assistant.uploads import Uploads
from motionqa.data.schema import ClipEncoding
from motionqa.encoders.clip_encoder import EncoderConfig


@dataclass
class Visit:
    """One browser tab: its conversation, and a private folder for what was made for it."""

    chat: ChatSession
    uploads: Uploads
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="motionqa-")))
    source: Path | None = None
    """The uploaded file, until everything that needs it is done."""
    picture: PeoplePicture | None = None
    """What the user clicks on to pick a person."""
    config: EncoderConfig = EncoderConfig()
    """How the present file was read."""
    uses: set[str] = field(default_factory=set)
    """What the upload is still needed for: "video", "people", "flow"."""
    flow: ShownFlow | None = None
    concepts: ShownConcepts | None = None
    flow_request: int = 0
    """Counts up when flow is asked for or stopped; the one under way then ends."""

    drawn: Path | None = None
    """The annotated clip, once it is drawn."""
    critique: Critique | None = None
    """What the coach last said about the present clip."""
    reference: tuple[str, ClipEncoding] | None = None
    """The clip to compare with, and the upload it was read from."""
    stills: dict[str, str] = field(default_factory=dict)
    """Pictures of the critique's faults, for its report."""

    def new_clip(self) -> None:
        """Forgets what was made of the clip before; a reference stays."""
        self.flow, self.concepts, self.drawn, self.critique, self.stills = None, None, None, None, {}

    def done(self, use: str) -> None:
        """One use less of the upload, which goes with the last."""
        self.uses.discard(use)
        if not self.uses:
            self.forget_source()

    def forget_source(self) -> None:
        """The upload is no longer needed here."""
        source, self.source = self.source, None
        if source:
            self.uploads.release(source)

    def stop_flow(self) -> None:
        """Ends the flow that is being measured or drawn."""
        self.flow_request += 1

    def close(self) -> None:
        """Deletes everything that belongs to the tab."""
        self.chat.stop()
        self.chat.cancel_clip()
        self.stop_flow()
        self.forget_source()
        shutil.rmtree(self.folder, ignore_errors=True)


def status(text: str) -> str:
    """A line that says how things stand, as HTML."""
    return f'<div class="status">{html.escape(text)}</div>'


def problem(text: str) -> str:
    """A line that says what went wrong, as HTML."""
    return f'<div class="status problem">⚠ {html.escape(text)}</div>'

"""What a reader of a whole collection did with each of its files."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field


@dataclass
class ReadReport:
    """How many clips were read, and what was left out and why; filled while a collection is being read."""

    source: str
    clips: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    """File, or file and part: why it gave no clip."""

    def skip(self, name: str, why: str) -> None:
        """Records something left out."""
        self.skipped[name] = why

    @property
    def reasons(self) -> dict[str, int]:
        """How many were left out for each reason, most frequent first."""
        counts: dict[str, int] = {}
        for why in self.skipped.values():
            counts[why] = counts.get(why, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: -item[1]))

    def __str__(self) -> str:
        left_out = "".join(f"\n  {count} left out: {why}" for why, count in self.reasons.items())
        return f"{self.source}: {self.clips} clips{left_out}"


def warn_of_skipped(report: ReadReport) -> None:
    """A warning with the report, where anything was left out: for callers who gave no report of their own."""
    if report.skipped:
        warnings.warn(f"{report}\npass a ReadReport to see each", stacklevel=3)

"""Uploaded files, deleted soon after their last use.

Gradio stores equal uploads of two users as one file, so a file may only go when nobody uses it and nobody who just
uploaded it is still waiting for their turn: a minute after the last use.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

GRACE_S = 60.0


def upload_folder() -> Path:
    """Where gradio puts uploads."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio").resolve()


class Uploads:
    """Who uses which upload. Files outside the upload folder, such as the examples, are never deleted."""

    def __init__(self, grace_s: float | None = None) -> None:
        self.grace_s = GRACE_S if grace_s is None else grace_s
        self._users: Counter[Path] = Counter()
        self._lock = threading.Lock()

    def take(self, path: Path) -> None:
        """One more user of the file."""
        with self._lock:
            self._users[path] += 1

    def release(self, path: Path) -> None:
        """One user less; the last one has the file deleted after the grace period."""
        with self._lock:
            self._users[path] = max(0, self._users[path] - 1)
        if path.is_relative_to(upload_folder()):
            timer = threading.Timer(self.grace_s, self._delete, [path])
            timer.daemon = True
            timer.start()

    def _delete(self, path: Path) -> None:
        with self._lock:
            fresh = path.exists() and time.time() - path.stat().st_mtime < self.grace_s
            if self._users[path] <= 0 and not fresh:
                path.unlink(missing_ok=True)
                del self._users[path]

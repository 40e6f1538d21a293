"""The page in a real browser, for tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@contextmanager
def opened(address: str, timeout_s: float = 60) -> Iterator[Any]:
    """The page at an address, ready for a question; it must close without an error in its scripts."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "Chromium is needed for the browser tests: apt-get install chromium, or run with -m 'not browser'"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        tab = browser.new_page(viewport={"width": 1300, "height": 1000})
        tab.set_default_timeout(1000 * timeout_s)
        problems: list[str] = []
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.goto(address)
        tab.wait_for_selector("#question textarea")
        yield tab
        browser.close()
        assert problems == []

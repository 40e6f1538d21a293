"""A server that speaks chat completions on this machine and misbehaves as told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[int, dict[str, Any]], "Served"]
"""From the number of the request (from 0) and its body."""


@dataclass(frozen=True)
class Served:
    """One response."""

    text: str = "{'pred': 'yes', 'score': 4}"
    status: int = 200
    delay_s: float = 0.0
    raw: str | None = None
    """The whole body, instead of a chat completion around `text`."""
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def judge_server(answer: Answer) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The server's address, and the bodies it was sent so far."""
    seen: list[dict[str, Any]] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(seen)
                seen.append(body)
            served = answer(number, body)
            time.sleep(served.delay_s)
            choices = [{"message": {"content": served.text}}]
            reply = {"model": "judge-2026-01", "system_fingerprint": "fp1", "choices": choices}
            data = (served.raw if served.raw is not None else json.dumps(reply)).encode()
            try:
                self.send_response(served.status)
                for name, value in served.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:  # the client has given up waiting
                pass

        def log_message(self, format: str, *args: Any) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}/v1", seen
    finally:
        httpd.shutdown()
        httpd.server_close()

"""A real server on loopback that answers as the Hugging Face hub and as GitHub's raw files do."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40


@dataclass
class Served:
    """`files` by path; `refusals` by path: a status and the hub's code of the error. `asked` are the paths of GETs.

    Of a path in `broken` so many answers end in the middle.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    broken: dict[str, int] = field(default_factory=dict)


@contextmanager
def serving() -> Iterator[Served]:
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            served.asked.append(self.path)
            data = self._answer()
            if served.broken.get(self.path, 0):
                served.broken[self.path] -= 1
                data, self.close_connection = data[: len(data) // 2], True
            self.wfile.write(data)

        def _answer(self) -> bytes:
            status, code = served.refusals.get(self.path, (200 if self.path in served.files else 404, "EntryNotFound"))
            data = served.files.get(self.path, b"") if status == 200 else b""
            self.send_response(status)
            if status == 200:
                self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
            else:
                self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            return data

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

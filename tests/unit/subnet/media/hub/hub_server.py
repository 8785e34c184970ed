"""A hub on 127.0.0.1 that speaks the real one's API and misbehaves on demand."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Fault:
    """One misdeed: a status with headers, a cut after `cut` bytes, `slow` seconds between kilobytes, wrong bytes."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    slow: float = 0.0
    wrong: bool = False
    garbage: bool = False


@dataclass
class HubServer:
    """What the hub holds, the faults that wait for requests whose path holds a text, and the requests it saw."""

    repositories: dict[str, dict[str, bytes]]
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    small: tuple[str, ...] = ()  # paths kept without LFS: no sha256
    page: int = 1000
    token: str | None = None
    url: str = ""
    elsewhere: str = ""  # where large files are served: another host

    def fault(self, path: str) -> Fault | None:
        for text, waiting in self.faults.items():
            if text in path and waiting:
                return waiting.pop(0) if len(waiting) > 1 or waiting[0].status != 599 else waiting[0]
        return None

    def requests(self, text: str) -> int:
        return sum(text in path for path, _ in self.seen)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.seen.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
        fault = self.hub.fault(path)
        if fault is not None and fault.status:
            self._send(503 if fault.status == 599 else fault.status, b"{}", fault.headers)
        elif self.hub.token and not path.startswith("/cdn/") and self.headers.get("authorization") != self.hub.token:
            self._send(401, b"{}")
        elif path.startswith("/api/datasets/"):
            self._api(path.removeprefix("/api/datasets/"), fault)
        else:
            self._file(path, fault)

    def _api(self, path: str, fault: Fault | None) -> None:
        name = "/".join(path.split("/")[:2])
        files = self.hub.repositories.get(name)
        if files is None:
            self._send(404, b"{}")
        elif fault is not None and fault.garbage:
            self._send(200, b"<html>")
        elif "/revision/" in path:
            self._send(200, json.dumps({"sha": COMMIT}).encode())
        else:
            query = urlsplit(self.path).query
            start = int(query.partition("cursor=")[2] or 0)
            entries = [self._entry(path, files[path]) for path in sorted(files)][start : start + self.hub.page]
            more = start + self.hub.page < len(files)
            following = f"{self.hub.url}{urlsplit(self.path).path}?recursive=true&cursor={start + self.hub.page}"
            self._send(200, json.dumps(entries).encode(), {"Link": f'<{following}>; rel="next"'} if more else {})

    def _entry(self, path: str, data: bytes) -> dict[str, object]:
        blob = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
        entry: dict[str, object] = {"type": "file", "oid": blob, "size": len(data), "path": path}
        if path not in self.hub.small:
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return entry

    def _file(self, path: str, fault: Fault | None) -> None:
        _, kind, owner, name, _, _, *rest = (
            path.split("/") if path.startswith("/datasets/") else ["", *path.split("/")[1:]]
        )
        files = self.hub.repositories.get(f"{owner}/{name}", {})
        data = files.get("/".join(rest))
        if data is None:
            self._send(404, b"{}")
            return
        if kind == "datasets" and self.hub.elsewhere:
            self._send(302, b"", {"Location": f"{self.hub.elsewhere}/cdn/{owner}/{name}/resolve/x/{'/'.join(rest)}"})
            return
        if fault is not None and fault.wrong:
            data = bytes(len(data))
        self._body(data, fault)

    def _body(self, data: bytes, fault: Fault | None) -> None:
        start, end, asked = 0, len(data), self.headers.get("range")
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(len(data), int(last) + 1 if last else len(data))
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(end - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        self.end_headers()
        if fault is not None and fault.cut is not None:
            self.wfile.write(data[start : min(end, start + fault.cut)])
            self.close_connection = True
            return
        step = 1024 if fault is not None and fault.slow else 1 << 20
        try:
            for at in range(start, end, step):
                self.wfile.write(data[at : min(end, at + step)])
                if fault is not None and fault.slow:
                    time.sleep(fault.slow)
        except OSError:
            self.close_connection = True

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients hang up in the middle: that is what the tests are about. Anything else is told."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


DOWN = Fault(status=599)  # answers 503 for as long as it waits


@contextmanager
def serve(hub: HubServer, *, other_host: bool = False) -> Iterator[HubServer]:
    """Run `hub` on a free port; with `other_host` large files are redirected to another name of this machine."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = _Server(("127.0.0.1", 0), handler)
    port = server.server_address[1]
    hub.url = f"http://127.0.0.1:{port}"
    hub.elsewhere = f"http://localhost:{port}" if other_host else ""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

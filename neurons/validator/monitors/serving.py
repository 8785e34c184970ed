"""Numbers of a program for Prometheus, on a port of this machine alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, start_http_server

from subnet.errors import SettingsError
from subnet.wire.http.hosts import ours

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def serve_metrics(port: int, registry: CollectorRegistry) -> None:
    """Serve metrics on 127.0.0.1, to who asks for an address or for localhost. Raises SettingsError for a port that
    cannot be had."""
    try:
        server, _ = start_http_server(port, addr="127.0.0.1", registry=registry)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it must be in 0..65535"
        raise SettingsError(f"--metrics_port {port}: {reason}; give a free one") from error
    served = server.get_app()
    if served is not None:
        server.set_app(_guarded(served))


def _guarded(served: WSGIApplication) -> WSGIApplication:
    """The same for requests to this machine by its own names."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if ours(environ[key] for key in ("HTTP_HOST",) if key in environ):
            return served(environ, start_response)
        start_response("421 Misdirected Request", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"Ask for 127.0.0.1 or localhost.\n"]

    return answer

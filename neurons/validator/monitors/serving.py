"""Numbers of a program for Prometheus, on a port of this machine alone."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, start_http_server

from subnet.errors import SettingsError


def serve_metrics(port: int, registry: CollectorRegistry) -> None:
    """Serve metrics on 127.0.0.1. Raises SettingsError for a port that cannot be had."""
    try:
        start_http_server(port, addr="127.0.0.1", registry=registry)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it must be in 0..65535"
        raise SettingsError(f"--metrics_port {port}: {reason}; give a free one") from error

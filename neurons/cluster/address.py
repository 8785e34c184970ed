"""Where `assay replicas` answers, as whoever asks there types it."""

from __future__ import annotations

from urllib.parse import urlsplit

from subnet.errors import SettingsError


def check_address(address: str) -> None:
    """Raises SettingsError for what is not http://HOST:PORT or https://HOST:PORT."""
    try:
        parts = urlsplit(address)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port and not parts.path.strip("/")
    except ValueError:  # a port that is none
        whole = False
    if not whole:
        raise SettingsError(f"--detector.address must be http://HOST:PORT, not {address!r}")

"""The chain: one protocol, three backends (the SDK client, memory, and a development node)."""

from __future__ import annotations

from typing import Final

from subnet.errors import SettingsError

NETWORKS: Final = ("finney", "test", "local")


def check_endpoint(flag: str, given: str) -> None:
    """Raises SettingsError naming `flag` for what is neither a network nor addresses with commas between them."""
    for name in (part.strip() for part in given.split(",")):
        if name not in NETWORKS and not name.startswith(("ws://", "wss://")):
            known = ", ".join(NETWORKS)
            raise SettingsError(f"{flag} {name!r}: use {known}, or an address with ws:// or wss://")

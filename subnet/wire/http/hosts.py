"""Whom a request is for, by its Host: a guard against pages whose name is bound anew to an address of this machine.

To a browser such a page is of one origin with whatever listens there, and reads its answers (DNS rebinding); but what
it sends still names the page. No stranger has a page at an IP address of ours, or at localhost (RFC 6761, 6.3). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from ipaddress import ip_address
from typing import Final

from subnet.errors import SettingsError

_HOST: Final = re.compile(r"\[([0-9a-f:.%]+)\](?::[0-9]*)?|([^\[\]:@]+?)\.?(?::[0-9]*)?", re.IGNORECASE)
_NAME: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*", re.IGNORECASE)


def ours(hosts: Iterable[str], names: Collection[str] = ()) -> bool:
    """Whether all values of Host in a request (RFC 9110, 7.2) are IP addresses, localhost, or among `names`."""
    return all(_is_ours(host, names) for host in hosts)


def own_names(given: Iterable[str], flag: str) -> frozenset[str]:
    """Names of this machine as `ours` takes them. Raises SettingsError that names the `flag`."""
    for name in given:
        if not _NAME.fullmatch(name):
            raise SettingsError(f"{flag} {name!r}: give a name alone, such as assay.example, without scheme or port")
    return frozenset(name.lower() for name in given)


def _is_ours(host: str, names: Collection[str]) -> bool:
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = (match[1] or match[2]).lower()
    return name == "localhost" or name.endswith(".localhost") or name in names or _is_address(name)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True

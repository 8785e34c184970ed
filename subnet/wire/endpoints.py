"""Which published endpoints a validator may call. What is on chain, strangers wrote.

Only literal addresses: a name could resolve to another place each time (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
from typing import Final

from subnet.types import Endpoint

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# IPv6 ranges that carry an IPv4 address inside, so that a refused one could hide there.
_TRANSLATED: Final = tuple(
    ipaddress.ip_network(text)
    for text in ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)


def refusal(endpoint: Endpoint | None, *, local: bool) -> str:
    """Why `endpoint` must not be called, or "". `local` also allows private and loopback addresses."""
    if endpoint is None:
        return "no endpoint is published"
    if not 0 < endpoint.port < 65536:
        return f"{endpoint.port} is not a port"
    try:
        address = ipaddress.ip_address(endpoint.host)
    except ValueError:
        return "the published host is not an IP address"
    return _kind(address, local)


def _kind(address: Address, local: bool) -> str:
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        return "the address has a scope"
    if address.is_unspecified or address.is_multicast or address.is_link_local:
        return f"{address} is not the address of a host"
    if local and (address.is_loopback or address.is_private):
        return ""
    if any(address in network for network in _TRANSLATED):
        return f"{address} carries another address inside"
    return "" if address.is_global else f"{address} is not a public address"

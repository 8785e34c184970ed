"""Which published endpoints a validator may call, and so which a miner may publish. What is on chain, strangers wrote.

Only literal addresses: a name could resolve to another place each time (DNS rebinding). Sources: the IANA registries of
special-purpose addresses (IPv4 and IPv6, 2026), RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo), RFC 9637.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

from subnet.types import Endpoint

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_WEB: Final = frozenset({80, 443})  # of the ports below 1024 the only ones that an axon may have
# Services that answer to strangers' bytes or must not see them: databases, brokers, caches, control planes, desktops.
_SERVICES: Final = frozenset(
    {
        *(1433, 1434, 1521, 1723, 1883, 2049, 2181, 2375, 2376, 2379, 2380, 2483, 2484, 3128, 3268, 3269),
        *(3306, 3389, 4369, 4505, 4506, 5037, 5060, 5061, 5432, 5433, 5601, 5671, 5672, 5900, 5901),
        *(5984, 5985, 5986, 6000, 6379, 6380, 6443, 6660, 6666, 6667, 6697, 7199, 7474, 7687, 8086),
        *(8300, 8301, 8500, 8600, 9042, 9092, 9093, 9160, 9200, 9300, 9418, 10050, 10051, 10250, 10255),
        *(10256, 11211, 15672, 16379, 25672, 26379, 26257, 27017, 27018, 27019, 28017, 33060, 50070, 61616),
    }
)
# Not public, whatever Python's own table says in one version or another.
_REFUSED: Final[tuple[Network, ...]] = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "100.64.0.0/10", "100.100.100.200/32"),
        *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "240.0.0.0/4"),
        *("fec0::/10", "3fff::/20", "5f00::/16", "2001:db8::/32", "2001::/23", "100::/64", "100:0:0:1::/64"),
    )
)
# IPv6 ranges that carry an IPv4 address, which would be called in the end: mapped, translated, compatible, NAT64.
_CARRIERS: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "::/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
    )
)
_LOOPBACK: Final = ipaddress.IPv6Address("::1")


def refusal(endpoint: Endpoint | None, *, local: bool) -> str:
    """Why `endpoint` must not be called, or "". `local` also allows private and loopback addresses."""
    if endpoint is None:
        return "no endpoint is published"
    return _refusal(endpoint.host, endpoint.port, local)


@lru_cache(4096)
def _refusal(host: str, port: int, local: bool) -> str:
    if not 0 < port < 65536:
        return f"{port} is not a port"
    if port in _SERVICES or (port < 1024 and port not in _WEB):
        return f"port {port} belongs to another service: an axon has 80, 443 or one above 1023"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "the published host is not an IP address"
    return _kind(address, local)


def _kind(address: Address, local: bool) -> str:
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        return "the address has a scope"
    if address.is_unspecified or address.is_multicast or address.is_link_local:
        return f"{address} is not the address of a host"
    if address != _LOOPBACK and any(address in network for network in _CARRIERS):
        return f"{address} carries another address inside: publish that one"
    if local and (address.is_loopback or address.is_private):
        return ""
    refused = not address.is_global or any(address in network for network in _REFUSED)
    return f"{address} is not a public address" if refused else ""

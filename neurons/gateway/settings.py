"""The gateway's own flags."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cyclopts import Parameter

from neurons import settings as s
from subnet.errors import SettingsError

MOST_MEGABYTES = 30.0  # what the server reads of one request


@Parameter(name="gateway")
@dataclass(frozen=True)
class GatewaySettings:
    """Where the gateway listens, whom it asks, how much it takes, what it keeps."""

    ip: str = "127.0.0.1"
    """Address to listen on; by default only this machine reaches it. TLS is a proxy's."""
    port: int = 8093
    """Port to listen on; 0 takes a free one."""
    database: str = ""
    """postgresql:// address of keys and jobs that gateways of several machines share; by default they are a file of
    this one. A command line shows in `ps`: a password is better in ~/.pgpass."""
    miners: int = 5
    """Miners whose answers are put together, 1 to 8; who fails is replaced by another."""
    timeout: float = 5.0
    """Seconds from asking to the answer; with what has come by then it is made."""
    miner_rate: float = 2.0
    """Requests a second to one miner at most: miners count them with the validator's own."""
    confidence: float = 0.9
    """How probable a verdict must be, and that other miners would say the same side, above 0.5; else uncertain."""
    least: int = 2
    """Answers of miners with skill that a verdict needs."""
    megabytes: float = 16.0
    """Largest file, in MiB, at most 30."""
    urls: tuple[str, ...] = ()
    """Schemes of addresses that clients may give instead of a file, https or http, once for each. By default none is
    taken, and this machine calls no address of theirs."""
    at_once: int = 4
    """Pictures in work at one time."""
    waiting: int = 32
    """Pictures that wait for that; further ones get 503."""
    jobs: int = 64
    """Clips that wait at one time; further ones get 503."""
    key_jobs: int = 8
    """Clips of one key that wait at one time; further ones get 429."""
    keep_answers: float = 1.0
    """Hours for which the answer to a clip, or to a request with an Idempotency-Key, can be fetched again. Files are
    deleted with the answer to them, always. At least 0.01, half a minute, or no answer to a clip is ever fetched."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"--gateway.port must be in 0..65535, not {self.port}")
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"--gateway.{name} must be in {low:g}..{high:g}, not {value:g}")
        if not 0.5 < self.confidence < 1:
            raise SettingsError(f"--gateway.confidence must be above 0.5 and below 1, not {self.confidence:g}")
        if self.least > self.miners:
            raise SettingsError(
                f"--gateway.least ({self.least}) is above --gateway.miners ({self.miners}), so that there would "
                "be no verdict: lower it, or ask more"
            )
        check_database(self.database)
        if unknown := sorted(set(self.urls) - {"https", "http"}):
            raise SettingsError(f"--gateway.urls must be https or http, not {unknown[0]!r}")
        try:
            ipaddress.ip_address(self.ip)
        except ValueError as error:
            raise SettingsError(f"--gateway.ip must be an IP address, not {self.ip!r}") from error

    @property
    def bytes(self) -> int:
        """Of the largest file."""
        return int(self.megabytes * 2**20)


_RANGES = (
    ("miners", 1, 8),
    ("timeout", 0.1, 30),
    ("miner_rate", 0.01, 1000),
    ("least", 1, 8),
    ("megabytes", 0.01, MOST_MEGABYTES),
    ("at_once", 1, 256),
    ("waiting", 0, 4096),
    ("jobs", 1, 100_000),
    ("key_jobs", 1, 100_000),
    ("keep_answers", 0.01, 24 * 365),
)


def check_database(address: str) -> None:
    """Raises SettingsError for what is no address of a PostgreSQL server."""
    if address and not address.startswith(("postgresql://", "postgres://")):
        raise SettingsError("--gateway.database must be an address postgresql://HOST/NAME, or nothing for a file")


def folder_of(state: Path | None) -> Path:
    """Where a gateway's keys and jobs lie."""
    return state or s.home() / "gateway"

"""API keys: who may ask for what, how fast and how much. A key is told once, and kept as a hash.

A key is `assay_ID_SECRET`. SECRET has 256 random bits, so that one round of SHA-256 hides it as well as many would.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from neurons.gateway.store.database import Connection, Database
from subnet.errors import SettingsError, SubnetError

PATTERN: Final = re.compile(r"assay_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
BURST: Final = 10.0  # requests at once, where the rate allows as many in a minute; else what comes in 10 seconds
DAY: Final = 86_400  # seconds; quotas begin anew at midnight UTC


class Scope(StrEnum):
    """What a key opens."""

    IMAGE = "image"
    VIDEO = "video"
    ANSWERS = "answers"  # also to see what each miner said


@dataclass(frozen=True)
class Key:
    """One key without its secret. `rate` in requests a minute, `quota` in requests a day; times since 1970."""

    id: str
    name: str
    scopes: frozenset[Scope]
    rate: float
    quota: int
    webhook: str  # address, "" for none
    created: float
    revoked: float | None = None
    spent: int = 0  # of today's quota


class Spent(SubnetError):
    """A key has no request left: says why, and for how many seconds."""

    def __init__(self, reason: str, retry_after: float) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Keys:
    """The keys in a gateway's database. Every method raises StateError where that cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, scopes: frozenset[Scope], rate: float, quota: int, webhook: str = "") -> tuple[Key, str]:
        """A new key, and the text that its owner sends. Raises SettingsError for wrong values and a name in use."""
        _check(name, scopes, rate, quota, webhook)
        now, secret = self._database.now(), secrets.token_urlsafe(32)
        key = Key(secrets.token_hex(6), name, scopes, rate, quota, webhook, now)
        row = (
            *(key.id, name, _digest(secret), ",".join(sorted(scopes)), rate, quota, webhook, now),
            *(None, _burst(rate), now),
        )
        with self._database.writing(alone=True) as db:
            if db.execute("SELECT 1 FROM keys WHERE name = ?", (name,)).fetchone():
                raise SettingsError(f"NAME {name!r} is in use: revoked keys keep theirs; give another")
            db.execute(f"INSERT INTO keys VALUES ({','.join('?' * len(row))})", row)
        return key, f"assay_{key.id}_{secret}"

    def all(self) -> list[Key]:
        """Every key, also revoked ones, the oldest first."""
        with self._database.reading() as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM {_KEYS} ORDER BY created, id", (self._today(),))
            return [_key(row) for row in rows.fetchall()]

    def revoke(self, name: str) -> Key:
        """Make a key, by name or id, useless for good. Raises SettingsError for one that is not there."""
        with self._database.writing() as db:
            sql = f"SELECT {_COLUMNS} FROM {_KEYS} WHERE name = ? OR id = ?"
            found = db.execute(sql, (self._today(), name, name)).fetchone()
            if found is None:
                raise SettingsError(f"KEY {name!r}: there is none of that name or id; see `assay gateway key list`")
            db.execute("UPDATE keys SET revoked = coalesce(revoked, ?) WHERE id = ?", (self._database.now(), found[0]))
        return _key(found)

    def find(self, text: str) -> Key | None:
        """The key whose owner sent `text`; None for one that is wrong or revoked."""
        match = PATTERN.fullmatch(text)
        if match is None:
            return None
        with self._database.reading() as db:
            sql = f"SELECT {_COLUMNS}, digest FROM {_KEYS} WHERE id = ?"
            row = db.execute(sql, (self._today(), match[1])).fetchone()
        same = hmac.compare_digest(_digest(match[2]), row[-1] if row else b"\0" * 32)
        return _key(row) if row and same and row[7] is None else None

    def named(self, id: str) -> Key | None:
        """The key with this id, None for one that is not there or revoked."""
        with self._database.reading() as db:
            sql = f"SELECT {_COLUMNS} FROM {_KEYS} WHERE id = ? AND revoked IS NULL"
            row = db.execute(sql, (self._today(), id)).fetchone()
        return _key(row) if row else None

    def admit(self, key: Key, *, fresh: bool = True) -> None:
        """Take one request from what the rate of `key` allows now. Raises Spent when there is none, and for a `fresh`
        one, which will need some of the quota, when that is used up."""
        now = self._database.now()
        with self._database.writing() as db:
            sql = "SELECT tokens, counted FROM keys WHERE id = ? FOR UPDATE"
            tokens, counted = db.execute(sql, (key.id,)).fetchone() or (0.0, now)
            used = db.execute("SELECT used FROM quotas WHERE key = ? AND day = ?", (key.id, _day(now))).fetchone()
            if fresh and used and used[0] >= key.quota:
                raise _all_used(key, now)
            tokens = min(_burst(key.rate), tokens + max(0.0, now - counted) * key.rate / 60)
            if tokens < 1:
                raise Spent(f"more than {key.rate:g} requests a minute", (1 - tokens) * 60 / key.rate)
            db.execute("UPDATE keys SET tokens = ?, counted = ? WHERE id = ?", (tokens - 1, now, key.id))

    def spend(self, key: Key) -> int:
        """Count one file for today's quota of `key`; the day. Raises Spent when that is used up."""
        now = self._database.now()
        with self._database.writing() as db:
            taken = db.execute(
                "INSERT INTO quotas VALUES (?, ?, 1) ON CONFLICT (key, day) DO UPDATE SET used = quotas.used + 1 "
                "WHERE quotas.used < ?",
                (key.id, _day(now), key.quota),
            ).rowcount
            if not taken:
                raise _all_used(key, now)
            db.execute("DELETE FROM quotas WHERE key = ? AND day < ?", (key.id, _day(now) - 1))
        return _day(now)

    def give_back(self, key: Key, day: int) -> None:
        """A file that was counted on `day` does not count after all."""
        with self._database.writing() as db:
            give_back(db, key.id, day)

    def _today(self) -> int:
        return _day(self._database.now())


def give_back(db: Connection, key: str, day: int) -> None:
    """One file less of a key, by its id, on a day."""
    db.execute("UPDATE quotas SET used = used - 1 WHERE key = ? AND day = ? AND used > 0", (key, day))


_COLUMNS: Final = "id, name, scopes, rate, quota, webhook, created, revoked, coalesce(used, 0)"
_KEYS: Final = "keys LEFT JOIN quotas ON key = id AND day = ?"


def _day(now: float) -> int:
    return int(now // DAY)


def _all_used(key: Key, now: float) -> Spent:
    return Spent(f"all {key.quota} requests of today are used", (_day(now) + 1) * DAY - now)


def _key(row: Sequence[Any]) -> Key:
    key_id, name, scopes, rate, quota, webhook, created, revoked, spent, *_ = row
    known = frozenset(map(Scope, str(scopes).split(",")))
    return Key(key_id, name, known, rate, quota, webhook, created, revoked, spent)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _burst(rate: float) -> float:
    return max(1.0, min(BURST, rate), rate / 6)


def _check(name: str, scopes: frozenset[Scope], rate: float, quota: int, webhook: str) -> None:
    if not re.fullmatch(r"[\w.@+ -]{1,64}", name):
        raise SettingsError(f"NAME must have 1 to 64 letters, digits and signs of ._@+-, not {name!r}")
    if not scopes & {Scope.IMAGE, Scope.VIDEO}:
        raise SettingsError("--scopes: name image, video or both, or the key opens nothing")
    if not (math.isfinite(rate) and 0 < rate <= 100_000):
        raise SettingsError(f"--rate must be above 0 and at most 100,000 requests a minute, not {rate:g}")
    if not 1 <= quota <= 10**9:
        raise SettingsError(f"--quota must be in 1..1,000,000,000 requests a day, not {quota}")
    try:
        parts = urlsplit(webhook)
        host = (parts.hostname or "").encode("idna")  # and the port: both raise ValueError
        fine = not webhook or (parts.scheme in ("http", "https") and host and parts.port != 0 and not parts.username)
    except ValueError:
        fine = False
    if not fine or not webhook.isprintable() or " " in webhook:  # urlsplit passes over line ends
        raise SettingsError(
            "--webhook must be an http:// or https:// address with a valid host and port, without spaces, and without "
            "a name and password in it"
        )

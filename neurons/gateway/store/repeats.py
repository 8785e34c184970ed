"""Idempotency keys: a request that is sent again under the same key gets the answer of the first, and asks nobody.

Only what a client marks with such a key is kept: the answer and a hash of the upload, not the upload itself.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from neurons.gateway.store.database import LEASE_SECONDS, Database
from subnet.errors import SubnetError


@dataclass(frozen=True)
class Answered:
    """What the first request was answered with: an HTTP status, its JSON, and where a job is, "" for none."""

    status: int
    body: str
    location: str = ""


@dataclass(frozen=True)
class First:
    """A request that is in hand: the first under its token. Of several, when one was taken for dead, `turn` tells."""

    key: str
    token: str
    digest: bytes
    turn: str


class InHand(SubnetError):
    """The first request under this key is not answered yet."""


class Different(SubnetError):
    """Another upload came under this key."""


class Repeats:
    """Answers in a gateway's database, kept for `keep` seconds. Methods raise StateError where that cannot be used."""

    def __init__(self, database: Database, *, keep: float) -> None:
        self._database, self._keep = database, keep

    def begin(self, key: str, token: str, digest: bytes) -> Answered | First:
        """The answer to the same request, or this one as the first. Raises InHand and Different."""
        now, first = self._database.now(), First(key, token, digest, secrets.token_hex(8))
        with self._database.writing(alone=True) as db:
            db.execute("DELETE FROM answers WHERE key = ? AND token = ? AND until < ?", (key, token, now))
            sql = "SELECT digest, status, body, location FROM answers WHERE key = ? AND token = ?"
            row = db.execute(sql, (key, token)).fetchone()
            if row is None:
                db.execute(_WRITE, _row(first, now + LEASE_SECONDS, None))
                return first
        if row[0] != digest:
            raise Different("another file was sent under this Idempotency-Key; give each file its own")
        if row[1] is None:
            raise InHand("the first request under this Idempotency-Key is not answered yet")
        return Answered(row[1], row[2], row[3])

    def hold(self, first: First) -> None:
        """Say that a request is still in hand."""
        with self._database.writing() as db:
            sql = "UPDATE answers SET until = ? WHERE key = ? AND token = ? AND turn = ? AND status IS NULL"
            values = (self._database.now() + LEASE_SECONDS, first.key, first.token, first.turn)
            db.execute(sql, values)

    def end(self, first: First, answered: Answered | None) -> None:
        """Keep the answer; without one the next request is a first one again. Nothing is changed where this one was
        taken for dead, and its token for another."""
        with self._database.writing() as db:
            if answered is None:
                sql = "DELETE FROM answers WHERE key = ? AND token = ? AND turn = ?"
                db.execute(sql, (first.key, first.token, first.turn))
                return
            db.execute(_WRITE, _row(first, self._database.now() + self._keep, answered))

    def forget(self) -> None:
        """Delete what is too old."""
        with self._database.writing() as db:
            gone = db.execute("DELETE FROM answers WHERE until < ?", (self._database.now(),)).rowcount
        if gone:
            self._database.tidy()


_WRITE: Final = (
    "INSERT INTO answers (key, token, digest, turn, until, status, body, location) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (key, token) DO UPDATE SET until = excluded.until, status = excluded.status, body = excluded.body, "
    "location = excluded.location WHERE answers.turn = excluded.turn"
)


def _row(first: First, until: float, answered: Answered | None) -> tuple[str | bytes | float | int | None, ...]:
    told = (None, None, None) if answered is None else (answered.status, answered.body, answered.location)
    return (first.key, first.token, first.digest, first.turn, until, *told)

"""Idempotency keys: a request that is sent again under the same key gets the answer of the first, and asks nobody.

Only what a client marks with such a key is kept: the answer and a hash of the upload, not the upload itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from neurons.gateway.store.database import Database
from subnet.errors import SubnetError

IN_HAND_SECONDS: Final = 120.0  # after which a request whose process died may be sent again


@dataclass(frozen=True)
class Answered:
    """What the first request was answered with: an HTTP status, its JSON, and where a job is, "" for none."""

    status: int
    body: str
    location: str = ""


class InHand(SubnetError):
    """The first request under this key is not answered yet."""


class Different(SubnetError):
    """Another upload came under this key."""


class Repeats:
    """Answers in a gateway's database, kept for `keep` seconds. Methods raise StateError where that cannot be used."""

    def __init__(self, database: Database, *, keep: float) -> None:
        self._database, self._keep = database, keep

    def begin(self, key: str, token: str, digest: bytes) -> Answered | None:
        """The answer to the same request, or None where this is the first. Raises InHand and Different."""
        now = self._database.now()
        with self._database.writing(alone=True) as db:
            db.execute("DELETE FROM answers WHERE until < ?", (now,))
            sql = "SELECT digest, status, body, location FROM answers WHERE key = ? AND token = ?"
            row = db.execute(sql, (key, token)).fetchone()
            if row is None:
                values = (key, token, digest, now + IN_HAND_SECONDS)
                db.execute("INSERT INTO answers (key, token, digest, until) VALUES (?, ?, ?, ?)", values)
                return None
        if row[0] != digest:
            raise Different("another file was sent under this Idempotency-Key; give each file its own")
        if row[1] is None:
            raise InHand("the first request under this Idempotency-Key is not answered yet")
        return Answered(row[1], row[2], row[3])

    def end(self, key: str, token: str, answered: Answered | None) -> None:
        """Keep the answer; without one the next request is a first one again."""
        with self._database.writing() as db:
            if answered is None:
                db.execute("DELETE FROM answers WHERE key = ? AND token = ?", (key, token))
                return
            values = (answered.status, answered.body, answered.location, self._database.now() + self._keep, key, token)
            db.execute(
                "UPDATE answers SET status = ?, body = ?, location = ?, until = ? WHERE key = ? AND token = ?", values
            )

"""Jobs: uploads that are answered later, and their answers until they are forgotten."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from neurons.gateway.store.database import LEASE_SECONDS, Database
from neurons.gateway.store.keys import give_back
from subnet.errors import SubnetError

WAIT_SECONDS: Final = 600.0  # from its upload on, for which a job that cannot be answered now is tried again
TRIES: Final = 3  # by processes that died over it
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class State(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Job:
    """One job of a key; `answer` is JSON, of a failed one the problem, "" before."""

    id: str
    key: str
    created: float
    until: float  # when its answer is forgotten
    state: State
    answer: str = ""
    request: str = field(default="", compare=False)  # the id of the request that brought it
    day: int = field(default=0, compare=False)  # whose quota counts it
    turn: int = field(default=0, compare=False)  # how many processes took it up so far, but for those that put it back

    @property
    def location(self) -> str:
        """Its path in the API."""
        return f"/v1/jobs/{self.id}"


class TooMany(SubnetError):
    """There are too many jobs: of this key where `own`, else in all."""

    def __init__(self, count: int, own: bool) -> None:
        super().__init__(f"{count} clips {'of this key ' if own else ''}wait to be judged; send this one again later")
        self.own = own


class Jobs:
    """The jobs in a gateway's database. Every method raises StateError where that cannot be used.

    An upload is deleted with the answer to it. `keep` is for how many seconds an answer can be fetched. Of a job that
    is not answered, `lease` in the table is the time from which on it may be taken: the one that waits longest first.
    """

    def __init__(self, database: Database, *, keep: float, of_key: int, most: int) -> None:
        self._database, self._keep, self._of_key, self._most = database, keep, of_key, most

    def put(self, key: str, upload: bytes, request: str = "", day: int = 0) -> Job:
        """Queue an upload of `key`, which a request brought and the quota of a day counts. Raises TooMany."""
        now = self._database.now()
        until = now + self._keep + WAIT_SECONDS
        job = Job(secrets.token_urlsafe(16), key, now, until, State.QUEUED, request=request, day=day)
        with self._database.writing(alone=True) as db:
            for own, most, condition in ((True, self._of_key, "AND key = ?"), (False, self._most, "")):
                sql = f"SELECT count(*) FROM jobs WHERE {_OPEN} {condition}"
                count = db.execute(sql, (key,) if own else ()).fetchone()[0]
                if count >= most:
                    raise TooMany(count, own)
            db.execute(
                "INSERT INTO jobs (id, key, created, until, state, lease, tries, upload, answer, request, day) "
                "VALUES (?, ?, ?, ?, ?, ?, 0, ?, '', ?, ?)",
                (job.id, key, now, until, job.state.value, now, upload, request, day),
            )
        return job

    def take(self) -> tuple[Job, bytes] | None:
        """The job that waits longest, or whose process died over it, from now on this process's; None without one.

        Whoever gets one with a `turn` above TRIES is to fail it: so many processes died over it.
        """
        now = self._database.now()
        with self._database.writing() as db:
            row = db.execute(  # a lease that is far away was given by a clock that was wrong
                f"SELECT id, key, created, until, request, day, tries, upload FROM jobs WHERE {_OPEN} "
                "AND (lease <= ? OR lease > ?) ORDER BY lease, created LIMIT 1 FOR UPDATE SKIP LOCKED",
                (now, now + 2 * LEASE_SECONDS),
            ).fetchone()
            if row is None:
                return None
            db.execute(
                "UPDATE jobs SET state = 'running', lease = ?, tries = tries + 1 WHERE id = ?",
                (now + LEASE_SECONDS, row[0]),
            )
        job = Job(row[0], row[1], row[2], row[3], State.RUNNING, request=row[4], day=row[5], turn=row[6] + 1)
        return job, row[7]

    def hold(self, job: Job) -> None:
        """Say that a job that was taken is still worked on."""
        with self._database.writing() as db:
            sql = f"UPDATE jobs SET lease = ? WHERE {_MINE}"
            db.execute(sql, (self._database.now() + LEASE_SECONDS, *_mine(job)))

    def put_back(self, job: Job, pause: float) -> bool:
        """Have a job taken again after `pause` seconds, at most LEASE_SECONDS, as if it had not been taken before.
        False, and nothing is changed, for one that came more than WAIT_SECONDS ago."""
        now = self._database.now()
        if now - job.created > WAIT_SECONDS:
            return False
        with self._database.writing() as db:
            sql = f"UPDATE jobs SET state = 'queued', lease = ?, tries = ? WHERE {_MINE}"
            db.execute(sql, (now + min(pause, LEASE_SECONDS), job.turn - 1, *_mine(job)))
        return True

    def finish(self, job: Job, state: State, answer: str, *, counts: bool = True) -> Job | None:
        """Keep the answer, and delete the upload; None, and nothing is changed, where another took the job over.

        One that does not count is given back to the quota, and what was answered under its request's Idempotency-Key
        is forgotten, so that the request may be sent again.
        """
        until = self._database.now() + self._keep
        with self._database.writing() as db:
            changed = db.execute(
                f"UPDATE jobs SET state = ?, answer = ?, until = ?, upload = NULL WHERE {_MINE}",
                (state.value, answer, until, *_mine(job)),
            ).rowcount
            if not changed:
                return None
            if not counts:
                give_back(db, job.key, job.day)
                db.execute("DELETE FROM answers WHERE key = ? AND location = ?", (job.key, job.location))
        self._database.tidy()
        return replace(job, until=until, state=state, answer=answer)

    def find(self, id: str, key: str) -> Job | None:
        """A job of `key`; None for one of another, or one that is forgotten."""
        if not _ID.fullmatch(id):
            return None
        with self._database.reading() as db:
            row = db.execute(
                "SELECT id, key, created, until, state, answer FROM jobs "
                f"WHERE id = ? AND key = ? AND (until >= ? OR {_OPEN})",
                (id, key, self._database.now()),
            ).fetchone()
        return Job(row[0], row[1], row[2], row[3], State(row[4]), row[5]) if row else None

    def waiting(self) -> int:
        """How many are not answered."""
        with self._database.reading() as db:
            return int(db.execute(f"SELECT count(*) FROM jobs WHERE {_OPEN}").fetchone()[0])

    def forget(self) -> None:
        """Delete answers that are too old; what is not answered is kept until it is."""
        with self._database.writing() as db:
            gone = db.execute(f"DELETE FROM jobs WHERE until < ? AND NOT {_OPEN}", (self._database.now(),)).rowcount
        if gone:
            self._database.tidy()


_OPEN: Final = "(state IN ('queued', 'running'))"
_MINE: Final = "id = ? AND state = 'running' AND tries = ?"


def _mine(job: Job) -> tuple[str, int]:
    return job.id, job.turn

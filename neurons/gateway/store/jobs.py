"""Jobs: uploads that are answered later, and their answers until they are forgotten."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from neurons.gateway.store.database import Database
from subnet.errors import SubnetError

LEASE_SECONDS: Final = 30.0  # for which a job is one process's, from when it last said so; then another takes it over
WAIT_SECONDS: Final = 600.0  # for which a job may wait, beside the time for which its answer is kept
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
    until: float  # when it is forgotten
    state: State
    answer: str = ""
    turn: int = field(default=0, compare=False)  # how many processes took it up so far


class TooMany(SubnetError):
    """There are too many jobs: of this key where `own`, else in all."""

    def __init__(self, count: int, own: bool) -> None:
        super().__init__(f"{count} jobs {'of this key ' if own else ''}are waiting; fetch some of them first")
        self.own = own


class Jobs:
    """The jobs in a gateway's database. Every method raises StateError where that cannot be used.

    An upload is deleted with the answer to it. `keep` is for how many seconds an answer can be fetched.
    """

    def __init__(self, database: Database, *, keep: float, of_key: int, most: int) -> None:
        self._database, self._keep, self._of_key, self._most = database, keep, of_key, most

    def put(self, key: str, upload: bytes) -> Job:
        """Queue an upload of `key`. Raises TooMany."""
        now = self._database.now()
        job = Job(secrets.token_urlsafe(16), key, now, now + self._keep + WAIT_SECONDS, State.QUEUED)
        with self._database.writing(alone=True) as db:
            db.execute("DELETE FROM jobs WHERE until < ?", (now,))
            for own, most, condition in ((True, self._of_key, "AND key = ?"), (False, self._most, "")):
                sql = f"SELECT count(*) FROM jobs WHERE state IN ('queued', 'running') {condition}"
                count = db.execute(sql, (key,) if own else ()).fetchone()[0]
                if count >= most:
                    raise TooMany(count, own)
            db.execute("INSERT INTO jobs VALUES (?, ?, ?, ?, ?, 0, 0, ?, '')", (*_row(job), upload))
        return job

    def take(self) -> tuple[Job, bytes] | None:
        """The oldest job that waits, or whose process died over it, from now on this process's; None without one."""
        now = self._database.now()
        with self._database.writing() as db:
            row = db.execute(
                "SELECT id, key, created, until, tries, upload FROM jobs WHERE upload IS NOT NULL AND tries < ? AND "
                "(state = 'queued' OR (state = 'running' AND lease < ?)) ORDER BY created LIMIT 1 "
                "FOR UPDATE SKIP LOCKED",
                (TRIES, now),
            ).fetchone()
            if row is None:
                return None
            db.execute(
                "UPDATE jobs SET state = 'running', lease = ?, tries = tries + 1 WHERE id = ?",
                (now + LEASE_SECONDS, row[0]),
            )
        return Job(row[0], row[1], row[2], row[3], State.RUNNING, turn=row[4] + 1), row[5]

    def hold(self, job: Job) -> None:
        """Say that a job that was taken is still worked on."""
        with self._database.writing() as db:
            sql = "UPDATE jobs SET lease = ? WHERE id = ? AND state = 'running' AND tries = ?"
            db.execute(sql, (self._database.now() + LEASE_SECONDS, job.id, job.turn))

    def finish(self, job: Job, state: State, answer: str) -> Job | None:
        """Keep the answer, and delete the upload; None, and nothing is changed, where another took the job over."""
        until = self._database.now() + self._keep
        with self._database.writing() as db:
            changed = db.execute(
                "UPDATE jobs SET state = ?, answer = ?, until = ?, upload = NULL "
                "WHERE id = ? AND state = 'running' AND tries = ?",
                (state.value, answer, until, job.id, job.turn),
            ).rowcount
        if not changed:
            return None
        self._database.tidy()
        return Job(job.id, job.key, job.created, until, state, answer)

    def find(self, id: str, key: str) -> Job | None:
        """A job of `key`; None for one of another, or one that is forgotten."""
        if not _ID.fullmatch(id):
            return None
        with self._database.reading() as db:
            row = db.execute(
                "SELECT id, key, created, until, state, answer FROM jobs WHERE id = ? AND key = ? AND until >= ?",
                (id, key, self._database.now()),
            ).fetchone()
        return Job(row[0], row[1], row[2], row[3], State(row[4]), row[5]) if row else None

    def waiting(self) -> int:
        """How many are not answered."""
        with self._database.reading() as db:
            sql = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')"
            return int(db.execute(sql).fetchone()[0])

    def give_up(self, answer: str) -> None:
        """Fail jobs over which `TRIES` processes died, and forget what is too old."""
        now = self._database.now()
        with self._database.writing(alone=True) as db:
            db.execute(
                "UPDATE jobs SET state = 'failed', answer = ?, upload = NULL "
                "WHERE state = 'running' AND lease < ? AND tries >= ?",
                (answer, now, TRIES),
            )
            db.execute("DELETE FROM jobs WHERE until < ?", (now,))


def _row(job: Job) -> tuple[str, str, float, float, str]:
    return job.id, job.key, job.created, job.until, job.state.value

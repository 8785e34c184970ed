"""Answers jobs, one after another, and tells those who want to be told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import Final

from neurons.gateway.requests.problems import Kind, Problem, Refusal
from neurons.gateway.requests.uploads import Upload
from neurons.gateway.schemas import Detection, ProblemBody
from neurons.gateway.server import body_of
from neurons.gateway.service import Service
from neurons.gateway.store.jobs import LEASE_SECONDS, TRIES, Job, Jobs, State
from neurons.gateway.store.keys import Key, Keys, Scope
from neurons.gateway.webhooks import Webhooks
from neurons.log import Log, Notes
from subnet.errors import StateError
from subnet.types import Modality

LOOK_SECONDS: Final = 1.0  # between two looks for jobs of other processes
FULL_SECONDS: Final = 10.0  # between two tries at a database that cannot be used


@dataclass(frozen=True)
class Worker:
    """Takes jobs from the gateway's database until it is cancelled; `wake` says that there is one."""

    service: Service
    jobs: Jobs
    keys: Keys
    webhooks: Webhooks
    wake: asyncio.Event
    log: Log

    async def run(self) -> None:
        """Answer jobs for ever. One whose process ends over it is taken up again by the next."""
        notes = Notes(self.log)
        while True:
            self.wake.clear()
            try:
                more = await self._next()
            except StateError as error:
                notes.tell("the gateway's own records cannot be used", str(error), logging.ERROR, error=str(error))
                await asyncio.sleep(FULL_SECONDS)
                continue
            notes.mend("the gateway's own records cannot be used")
            if not more:
                try:
                    await asyncio.wait_for(self.wake.wait(), LOOK_SECONDS)
                except TimeoutError:
                    continue

    async def _next(self) -> bool:
        """Answer the oldest job; whether there was one. Raises StateError."""
        lost = Problem(Kind.FAULT, f"{TRIES} processes ended over this file, so it is not tried again")
        await asyncio.to_thread(self.jobs.give_up, _text(lost, ""))
        taken = await asyncio.to_thread(self.jobs.take)
        if taken is None:
            return False
        job, upload = taken
        key = await asyncio.to_thread(self.keys.named, job.key)
        holding = asyncio.create_task(self._hold(job))
        try:
            answer = await self._answer(job, key, upload)
        finally:
            holding.cancel()
        state = State.FAILED if isinstance(answer, Problem) else State.DONE
        done = await asyncio.to_thread(self.jobs.finish, job, state, _text(answer, job.id))
        if done is not None and key is not None and isinstance(answer, Problem) and answer.kind.passes:
            await asyncio.to_thread(self.keys.give_back, key)
        if done is not None and key is not None and key.webhook:
            self.webhooks.tell(key, done.id, body_of(done).model_dump_json(exclude_none=True))
        return True

    async def _hold(self, job: Job) -> None:
        """Keep the job this process's."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 4)
            with contextlib.suppress(StateError):  # the next one may be heard in time
                await asyncio.to_thread(self.jobs.hold, job)

    async def _answer(self, job: Job, key: Key | None, upload: bytes) -> Detection | Problem:
        if key is None:
            return Problem(Kind.UNAUTHORIZED, "the key was revoked")
        try:
            return await self.service.detect(Upload(upload, Modality.VIDEO), each=Scope.ANSWERS in key.scopes)
        except Refusal as refused:
            return refused.problem


def _text(answer: Detection | Problem, id: str) -> str:
    body = ProblemBody(**answer.fields(id)) if isinstance(answer, Problem) else answer
    return body.model_dump_json(exclude_none=True)

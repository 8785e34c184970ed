"""Answers jobs, one after another, and tells those who want to be told."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from neurons.gateway.requests.problems import Kind, Problem, Refusal
from neurons.gateway.requests.uploads import Upload
from neurons.gateway.schemas import Detection, ProblemBody
from neurons.gateway.server import body_of
from neurons.gateway.service import Service
from neurons.gateway.store.holding import held
from neurons.gateway.store.jobs import TRIES, Job, Jobs, State
from neurons.gateway.store.keys import Key, Keys, Scope
from neurons.gateway.store.repeats import Repeats
from neurons.gateway.webhooks import Webhooks
from neurons.log import Log, Notes
from subnet.errors import StateError
from subnet.types import Modality

LOOK_SECONDS: Final = 1.0  # between two looks for jobs of other processes
AGAIN_SECONDS: Final = 5.0  # between two tries at a job, where nothing else is said
FULL_SECONDS: Final = 10.0  # between two tries at a database that cannot be used


@dataclass(frozen=True)
class Worker:
    """Takes jobs from the gateway's database until it is cancelled; `wake` says that there is one."""

    service: Service
    jobs: Jobs
    keys: Keys
    repeats: Repeats
    webhooks: Webhooks
    wake: asyncio.Event
    log: Log

    async def run(self) -> None:
        """Answer jobs for ever, and forget old answers. A job whose process ends over it is taken up by the next."""
        notes = Notes(self.log)
        while True:
            self.wake.clear()
            try:
                await asyncio.to_thread(self._forget)
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

    def _forget(self) -> None:
        self.jobs.forget()
        self.repeats.forget()

    async def _next(self) -> bool:
        """Answer the job that waits longest, or put it back; whether there was one. Raises StateError."""
        taking = asyncio.ensure_future(asyncio.to_thread(self.jobs.take))
        try:
            taken = await asyncio.shield(taking)
        except asyncio.CancelledError:
            if (taken := await taking) is not None:
                await asyncio.to_thread(self.jobs.put_back, taken[0], 0.0)
            raise
        if taken is None:
            return False
        job, upload = taken
        with structlog.contextvars.bound_contextvars(request_id=job.request):
            try:
                key = await asyncio.to_thread(self.keys.named, job.key)
                async with held(partial(self.jobs.hold, job)):
                    answer = await self._answer(job, key, upload)
            except asyncio.CancelledError:
                await asyncio.to_thread(self.jobs.put_back, job, 0.0)
                raise
            if not await self._again(job, answer):
                await self._end(job, key, answer)
        return True

    async def _again(self, job: Job, answer: Detection | Problem) -> bool:
        """Whether the job is put back, since it may be answered later."""
        if not isinstance(answer, Problem) or not answer.kind.passes or job.turn > TRIES:
            return False
        return await asyncio.to_thread(self.jobs.put_back, job, answer.retry_after or AGAIN_SECONDS)

    async def _end(self, job: Job, key: Key | None, answer: Detection | Problem) -> None:
        """Keep the answer, and tell it."""
        if isinstance(answer, Problem):
            body: Detection | ProblemBody = ProblemBody(**answer.fields(job.request))
            state, counts = State.FAILED, not answer.kind.passes
        else:
            body, state, counts = answer, State.DONE, True
        text = body.model_dump_json(exclude_none=True)
        done = await asyncio.to_thread(self.jobs.finish, job, state, text, counts=counts)
        if done is not None and key is not None and key.webhook:
            self.webhooks.tell(key, done.id, body_of(done).model_dump_json(exclude_none=True))

    async def _answer(self, job: Job, key: Key | None, upload: bytes) -> Detection | Problem:
        if key is None:
            return Problem(Kind.UNAUTHORIZED, "the key was revoked")
        if job.turn > TRIES:
            return Problem(Kind.FAULT, f"{TRIES} processes ended over this file, so it is not tried again")
        try:
            return await self.service.detect(Upload(upload, Modality.VIDEO), each=Scope.ANSWERS in key.scopes)
        except Refusal as refused:
            return refused.problem

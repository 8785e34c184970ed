"""What runs in a replica's process: one detector, and how it answers a request. Plain Python: no Ray in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from detectors.evaluation.self_test import example
from neurons import settings as s
from neurons.cluster.batch_format import About, to_reply, unpack
from neurons.cluster.remote import NO_MEMORY, QUESTION, UNREADABLE
from neurons.miner.loading import load_detector
from neurons.miner.settings import JudgeSettings
from subnet.errors import MediaError, SubnetError
from subnet.types import Media, Modality, Prediction

if TYPE_CHECKING:
    from neurons.replicas.telling import Telling

SMOOTHING = 0.2
LEAST = 1e-6  # seconds
JSON = "application/json"
SICK = 3  # batches in a row that failed by no fault of theirs: a card that is lost stays so until the process ends


class Replica:
    """Answers packed batches of one modality, one batch at a time."""

    def __init__(self, wanted: JudgeSettings, modality: Modality, replicas: int) -> None:
        """Raises as `load_detector`."""
        (self._detector,) = load_detector(wanted, modality).values()
        self._wanted, self._modality = wanted, modality
        self._about = About(self._detector.name, self._detector.weights_hash, replicas, 1.0)
        self._turn = asyncio.Lock()
        self._failures = 0
        self._pace, self._telling_pace = _Pace(), _Pace()
        self._judge([example(modality)])

    async def __call__(self, request: Request) -> Response:
        """The reply to a request; its status says whose fault it is when there is no answer."""
        data, question = await request.body(), request.query_params.get(QUESTION, "")
        try:
            batch = await asyncio.to_thread(unpack, data)
            reply = await self._answer(batch, question)
        except MediaError as error:
            return Response(str(error), UNREADABLE)
        except MemoryError as error:
            return Response(str(error), NO_MEMORY)
        except (SubnetError, RuntimeError, ValueError) as error:
            self._failures += 1
            return Response(f"{type(error).__name__}: {error}", HTTPStatus.INTERNAL_SERVER_ERROR)
        self._failures *= not batch
        return Response(reply, media_type=JSON)

    async def _answer(self, batch: Sequence[Media], question: str) -> str:
        if not question and not batch:  # a replica at work answers it, too
            return to_reply(replace(self._about, seconds=self._pace.seconds))
        async with self._turn:
            return await asyncio.to_thread(self._tell, batch, question)

    def _tell(self, batch: Sequence[Media], question: str) -> str:
        if not question:
            predictions = self._judge(batch)
            return to_reply(replace(self._about, seconds=self._pace.seconds), predictions)
        began = time.perf_counter()
        told = self._telling.answer(question, batch)
        self._telling_pace.add(began, len(batch))
        seconds = self._telling_pace.seconds or self._pace.seconds
        return to_reply(replace(self._about, seconds=seconds), told=told)

    def _judge(self, batch: Sequence[Media]) -> list[Prediction]:
        began = time.perf_counter()
        predictions = self._detector.predict(batch)
        self._pace.add(began, len(batch))
        return predictions

    @cached_property
    def _telling(self) -> Telling:
        from neurons.replicas.telling import Telling  # with torch, which an export does without

        served = self._detector if self._wanted.serving == "plain" else None
        return Telling(self._wanted.of(self._modality), s.device(self._wanted.device, "--detector.device"), served)

    def check_health(self) -> None:
        """Ray asks every few seconds, and replaces a replica for which this raises."""
        if self._failures >= SICK:
            raise RuntimeError(f"{self._about.name} failed {self._failures} times in a row")


class _Pace:
    """How many seconds an item takes, smoothed; measured whether or not anybody still waits for the answer."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def add(self, began: float, count: int) -> None:
        """`count` items were begun at `time.perf_counter()` = `began`, and are done."""
        if count:
            each = max(LEAST, (time.perf_counter() - began) / count)
            self.seconds += SMOOTHING * (each - self.seconds) if self.seconds else each

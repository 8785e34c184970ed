"""What runs in a replica's process: one detector, and how it answers a request. Plain Python: no Ray in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from detectors.evaluation.self_test import example
from neurons.cluster.batch_format import About, to_reply, unpack
from neurons.cluster.remote import NO_MEMORY, UNREADABLE
from neurons.miner.loading import load_detector
from neurons.miner.settings import JudgeSettings
from subnet.errors import MediaError, SubnetError
from subnet.types import Media, Modality, Prediction

SMOOTHING = 0.2
LEAST = 1e-6  # seconds
JSON = "application/json"
SICK = 3  # batches in a row that failed by no fault of theirs: a card that is lost stays so until the process ends


class Replica:
    """Answers packed batches of one modality, one batch at a time."""

    def __init__(self, wanted: JudgeSettings, modality: Modality, replicas: int) -> None:
        """Raises as `load_detector`."""
        (self._detector,) = load_detector(wanted, modality).values()
        self._about = About(self._detector.name, self._detector.weights_hash, replicas, 1.0)
        self._turn = asyncio.Lock()
        self._failures, self._seconds = 0, 0.0
        self._judge([example(modality)])

    async def __call__(self, request: Request) -> Response:
        """The reply to a request; its status says whose fault it is when there is no answer."""
        data = await request.body()
        try:
            batch = await asyncio.to_thread(unpack, data)
            predictions = await self._in_turn(batch) if batch else []
        except MediaError as error:
            return Response(str(error), UNREADABLE)
        except MemoryError as error:
            return Response(str(error), NO_MEMORY)
        except (SubnetError, RuntimeError, ValueError) as error:
            self._failures += 1
            return Response(f"{type(error).__name__}: {error}", HTTPStatus.INTERNAL_SERVER_ERROR)
        self._failures *= not batch
        return Response(to_reply(replace(self._about, seconds=self._seconds), predictions), media_type=JSON)

    async def _in_turn(self, batch: Sequence[Media]) -> list[Prediction]:
        async with self._turn:
            return await asyncio.to_thread(self._judge, batch)

    def _judge(self, batch: Sequence[Media]) -> list[Prediction]:
        """The answers; how long one takes is measured whether or not anybody still waits for them."""
        began = time.perf_counter()
        predictions = self._detector.predict(batch)
        each = max(LEAST, (time.perf_counter() - began) / len(batch))
        self._seconds += SMOOTHING * (each - self._seconds) if self._seconds else each
        return predictions

    def check_health(self) -> None:
        """Ray asks every few seconds, and replaces a replica for which this raises."""
        if self._failures >= SICK:
            raise RuntimeError(f"{self._about.name} failed {self._failures} times in a row")

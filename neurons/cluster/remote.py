"""Detectors that answer on the replicas of a Ray cluster (`assay replicas`), which a miner asks over HTTP.

No part of Ray is in the miner: when a cluster goes, its drivers go with it, and the miner must not. What a replica
answers follows from the batch alone, so a batch that was lost with its replica is asked again, of another. One that
breaks `BROKEN` replicas may be to blame itself and is given up, before it takes them all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final

import httpx2

from neurons.cluster.batch_format import About, from_reply, pack
from neurons.log import Log
from neurons.signals import pause
from subnet.errors import MediaUnreadable, Overloaded, SettingsError
from subnet.printing import excerpt
from subnet.types import Media, Modality, Prediction

PREFIX: Final = "/assay"  # of the applications' routes
LOOK_SECONDS: Final = 1.0  # between two looks at the replicas
PATIENCE: Final = 9.0  # seconds for a batch in all: validators wait for 10
TRY_SECONDS: Final = 5.0  # for one replica to answer: one that is cut off never does
BUDGET: Final = 2.0  # seconds of work in one request, so that slow and hung can be told apart
START_SECONDS: Final = 60.0  # for the replicas to come up, when a miner starts
PAUSE: Final = 0.1  # seconds before a batch is asked again
BROKEN: Final = 3
NO_MEMORY: Final = 507  # a replica's MemoryError
UNREADABLE: Final = 422  # a replica's MediaError
NOT_THERE: Final = (404, 503)  # Serve knows no such application yet, or has no room


class RemoteDetector:
    """The replicas of one modality as a `Detector`; `name` and `weights_hash` are theirs when the miner starts."""

    def __init__(self, modality: Modality, about: About, replicas: Replicas) -> None:
        self.name, self.modality, self.weights_hash, self._replicas = about.name, modality, about.weights_hash, replicas

    def predict(self, batch: Sequence[Media]) -> list[Prediction]:
        """One prediction per item, in order. Raises MediaUnreadable, MemoryError, and Overloaded without an answer."""
        if not batch:
            return []
        if self._replicas.why_not:
            raise Overloaded(self._replicas.why_not, retry_after=5.0)
        ends, predictions = time.monotonic() + PATIENCE, list[Prediction]()
        size = max(1, int(BUDGET / self._replicas.seconds[self.modality]))
        for first in range(0, len(batch), size):
            part = batch[first : first + size]
            predictions += self._replicas.ask(self.modality, pack(part), len(part), ends - time.monotonic())[1]
        return predictions


class Replicas:
    """What answers at `address`. `why_not` is why nothing does, by the last look, or ""."""

    def __init__(self, address: str, log: Log) -> None:
        self.address, self.why_not = address.rstrip("/"), ""
        self.served: dict[Modality, About] = {}
        self.seconds: dict[Modality, float] = {}  # for an item, as the last replica said that answered
        self._client = httpx2.Client(trust_env=False, limits=httpx2.Limits(max_connections=None))
        self._log = log

    def __enter__(self) -> Replicas:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    @property
    def lanes(self) -> int:
        """Batches of one modality that are worth asking at once: one that is judged and one that waits, each."""
        return 2 * max(about.replicas for about in self.served.values())

    async def detectors(self, stop: asyncio.Event, patience: float = START_SECONDS) -> dict[Modality, RemoteDetector]:
        """What is served, once it is; empty when `stop` comes first. Raises SettingsError after `patience` seconds."""
        ends, before = time.monotonic() + patience, ""
        while not stop.is_set():
            try:
                self.served = {modality: await asyncio.to_thread(self._look, modality) for modality in Modality}
            except Overloaded as error:
                if time.monotonic() > ends:
                    raise SettingsError(f"--detector.address: {error}; start `assay replicas` there") from error
                if str(error) != before:
                    self._log.warning("the replicas do not answer yet", why=str(error))
                before = str(error)
                await pause(stop, LOOK_SECONDS)
                continue
            return {modality: RemoteDetector(modality, about, self) for modality, about in self.served.items()}
        return {}

    async def watch(self, stop: asyncio.Event) -> None:
        """Keep `why_not` true until `stop`, and tell of every change."""
        while not await pause(stop, LOOK_SECONDS):
            before, now = self.why_not, ""
            try:
                for modality in Modality:
                    await asyncio.to_thread(self._look, modality)
            except Overloaded as error:
                now = str(error)
            self.why_not = now
            if now and now != before:
                self._log.warning("the replicas do not answer", why=now)
            elif before and not now:
                self._log.info("the replicas are back", address=self.address)

    def _look(self, modality: Modality) -> About:
        return self.ask(modality, pack([]), 0, TRY_SECONDS)[0]

    def ask(self, modality: Modality, body: bytes, count: int, patience: float) -> tuple[About, list[Prediction]]:
        """Who answers a packed batch of `count` items within `patience` seconds, and what. Raises as `predict`."""
        ends, broken = time.monotonic() + patience, 0
        while True:
            url = f"{self.address}{PREFIX}/{modality}"
            left = ends - time.monotonic()
            try:
                response = self._client.post(url, content=body, timeout=max(0.1, min(TRY_SECONDS, left)))
                answer = self._read(response, modality, count)
                if not isinstance(answer, str):
                    return answer
                why, there = answer, response.status_code not in (200, *NOT_THERE)
            except httpx2.ConnectError as error:
                why, there = f"nothing listens at {self.address}: {error}", False
            except httpx2.TransportError as error:
                why, there = f"no answer from {self.address}: {error or type(error).__name__}", True
            broken += there
            if broken >= BROKEN or time.monotonic() + PAUSE >= ends:
                raise Overloaded(f"{modality}s: {why}")
            time.sleep(PAUSE)

    def _read(self, response: httpx2.Response, modality: Modality, count: int) -> tuple[About, list[Prediction]] | str:
        """The answer, or why it is none. Raises MediaUnreadable and MemoryError, which no other replica changes."""
        if response.status_code == UNREADABLE:
            raise MediaUnreadable(excerpt(response.text))
        if response.status_code == NO_MEMORY:
            raise MemoryError(excerpt(response.text))
        if response.status_code != 200:
            return f"{self.address} answers {response.status_code}: {excerpt(response.text)}"
        try:
            about, predictions = from_reply(response.content)
        except ValueError as error:
            return f"{self.address} does not answer as replicas of this version do: {error}"
        first = self.served.get(modality, about)
        if (about.name, about.weights_hash) != (first.name, first.weights_hash):
            return (
                f"a replica answers with {about.name} ({about.weights_hash[:12]}), and this miner began with "
                f"{first.name} ({first.weights_hash[:12]}): give every host the same weights, or restart the miner"
            )
        if len(predictions) != count:
            return f"{len(predictions)} answers to {count} items"
        self.seconds[modality] = about.seconds
        return about, predictions

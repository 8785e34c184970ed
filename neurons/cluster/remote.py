"""Detectors that answer on the replicas of a Ray cluster (`assay replicas`), which are asked over HTTP.

No part of Ray is in who asks: when a cluster goes, its drivers go with it, and a miner or a site must not. What a
replica answers follows from the batch alone, so a batch that was lost with its replica is asked again, of another. One
that breaks `BROKEN` replicas may be to blame itself and is given up, before it takes them all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, TypeVar

import httpx2

from neurons.cluster.batch_format import About, from_reply, pack
from neurons.log import Log
from neurons.signals import pause
from subnet.errors import MediaError, MediaUnreadable, Overloaded, SettingsError
from subnet.printing import excerpt
from subnet.types import Media, Modality, Prediction

T = TypeVar("T")

PREFIX: Final = "/assay"  # of the applications' routes
LOOK_SECONDS: Final = 1.0  # between two looks at the replicas
PATIENCE: Final = 9.0  # seconds for a batch in all: validators wait for 10
TRY_SECONDS: Final = 5.0  # for one replica to answer: one that is cut off never does
BUDGET: Final = 2.0  # seconds of work in one request, so that slow and hung can be told apart
START_SECONDS: Final = 60.0  # for the replicas to come up, when a miner starts
PAUSE: Final = 0.1  # seconds before a batch is asked again
BROKEN: Final = 3
MOST: Final = 4 * 2**20  # bytes of a reply
NO_MEMORY: Final = 507  # a replica's MemoryError
UNREADABLE: Final = 422  # a replica's MediaError
NOT_THERE: Final = (404, 503)  # Serve knows no such application yet, or has no room
QUESTION: Final = "question"  # what is asked beside predictions, in an address


class RemoteDetector:
    """The replicas of one modality as a `Detector`; `name` and `weights_hash` are theirs when the miner starts."""

    def __init__(self, modality: Modality, about: About, replicas: Replicas) -> None:
        self.name, self.modality, self.weights_hash = about.name, modality, about.weights_hash
        self._about, self._replicas = about, replicas

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
            predictions += self._replicas.ask(
                self.modality, pack(part), _answers_to(len(part)), ends, first=self._about
            )[1]
        return predictions


def _answers_to(count: int) -> Callable[[bytes], list[Prediction]]:
    """Reads the predictions for as many items out of a reply. It raises ValueError."""

    def read(reply: bytes) -> list[Prediction]:
        predictions = from_reply(reply)[1]
        if len(predictions) != count:
            raise ValueError(f"{len(predictions)} answers to {count} items")
        return predictions

    return read


class Replicas:
    """What answers at `address`. `why` is why nothing of a modality does, by the last look, or ""."""

    def __init__(self, address: str, log: Log) -> None:
        self.address = address.rstrip("/")
        self.why: dict[Modality, str] = {}
        self.served: dict[Modality, About] = {}  # by the last look that was answered
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
    def why_not(self) -> str:
        """Why not all modalities are answered, by the last look, or ""."""
        return next(filter(None, self.why.values()), "")

    @property
    def count(self) -> int:
        """Replicas of a modality, as far as is known."""
        return max((about.replicas for about in self.served.values()), default=1)

    @property
    def lanes(self) -> int:
        """Batches of one modality that are worth asking at once: one that is judged and one that waits, each."""
        return 2 * self.count

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

    async def watch(self, stop: asyncio.Event, *, pinned: bool = True) -> None:
        """Keep `why` true until `stop`, and tell of every change.

        Where it is `pinned`, only the detectors and weights count that were served first.
        """
        while not await pause(stop, LOOK_SECONDS):
            before = self.why_not
            for modality in Modality:
                first = self.served.get(modality) if pinned else None
                try:
                    self.served[modality] = await asyncio.to_thread(self._look, modality, first)
                    self.why[modality] = ""
                except Overloaded as error:
                    self.why[modality] = str(error)
            now = self.why_not
            if now and now != before:
                self._log.warning("the replicas do not answer", why=now)
            elif before and not now:
                self._log.info("the replicas are back", address=self.address)

    def _look(self, modality: Modality, first: About | None = None) -> About:
        """Who answers. Raises Overloaded."""
        try:
            return self.ask(modality, pack([]), _answers_to(0), time.monotonic() + TRY_SECONDS, first=first)[0]
        except (MediaError, MemoryError) as error:  # of an empty batch
            raise Overloaded(f"{modality}s: {self.address} does not answer as replicas do: {error}") from error

    def ask(
        self,
        modality: Modality,
        body: bytes,
        read: Callable[[bytes], T],
        ends: float,
        *,
        first: About | None,
        question: str = "",
        each: float | None = None,
    ) -> tuple[About, T]:
        """Who answers a packed batch, and what, as `read` takes it out of a reply or raises ValueError.

        Tries end when `time.monotonic()` is `ends`, each after `each` seconds (TRY_SECONDS), and all after PATIENCE
        where nobody is there. An answer of another
        detector than `first`, or with other weights, is none. `question` is one of `neurons.cluster.questions`. Raises
        as `RemoteDetector.predict`.
        """
        url, broken = f"{self.address}{PREFIX}/{modality}", 0
        away = min(ends, time.monotonic() + PATIENCE)
        asked = {QUESTION: question} if question else None
        while True:
            if self._client.is_closed:
                raise Overloaded("nobody is asked any more: this program ends")
            left = max(0.1, min(each or TRY_SECONDS, ends - time.monotonic()))
            try:
                status, reply = self._post(url, body, left, asked)
                answer = self._read(status, reply, modality, read, first)
                if not isinstance(answer, str):
                    return answer
                why, there = answer, status not in (200, *NOT_THERE)
            except httpx2.ConnectError as error:
                why, there = f"nothing listens at {self.address}: {error}", False
            except (httpx2.TransportError, httpx2.DecodingError) as error:
                why, there = f"no answer from {self.address}: {error or type(error).__name__}", True
            broken += there
            if broken >= BROKEN or time.monotonic() + PAUSE >= (ends if there else away):
                raise Overloaded(f"{modality}s: {why}")
            time.sleep(PAUSE)

    def _post(self, url: str, body: bytes, seconds: float, asked: dict[str, str] | None) -> tuple[int, bytes]:
        """Status and body of a reply that is whole in time, and not too large. Raises TransportError."""
        ends, reply = time.monotonic() + seconds, bytearray()
        with self._client.stream("POST", url, content=body, timeout=seconds, params=asked) as response:
            for chunk in response.iter_bytes():
                reply += chunk
                if len(reply) > MOST:
                    raise httpx2.ReadError(f"a reply of more than {MOST} bytes")
                if time.monotonic() > ends:
                    raise httpx2.ReadTimeout(f"half a reply in {seconds:.1f} s")
            return response.status_code, bytes(reply)

    def _read(
        self, status: int, reply: bytes, modality: Modality, read: Callable[[bytes], T], first: About | None
    ) -> tuple[About, T] | str:
        """The answer, or why it is none. Raises MediaUnreadable and MemoryError, which no other replica changes."""
        text = excerpt(reply[:1000].decode("utf-8", "replace"))
        if status == UNREADABLE:
            raise MediaUnreadable(text)
        if status == NO_MEMORY:
            raise MemoryError(text)
        if status != 200:
            return f"{self.address} answers {status}: {text}"
        try:
            about, answer = from_reply(reply)[0], read(reply)
        except ValueError as error:
            return f"{self.address} does not answer as replicas of this version do: {excerpt(str(error))}"
        if first is not None and not about.same(first):
            return (
                f"a replica answers with {about.name} ({about.weights_hash[:12]}), and the first one did with "
                f"{first.name} ({first.weights_hash[:12]}): give every host the same weights, or restart who asks"
            )
        self.seconds[modality] = about.seconds
        return about, answer

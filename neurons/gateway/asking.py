"""Whom a gateway asks, and how: exactly as a validator asks a challenge.

Each miner is sent a cut of its own, 256 pixels square, distorted at a level drawn as rounds draw theirs, moved and
encoded by the code that makes challenges, under the same headers, on a connection of its own. What a miner could tell
by, and what not, is in docs/gateway.md.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from subnet.game.sampling import Sampling
from subnet.game.variant import CONTENT_TYPES, render
from subnet.media.cutting import cut
from subnet.protocols import Transport
from subnet.types import Media, Neuron, Prediction, Query, Reply
from subnet.wire.admission import Buckets, Policy

RECENT: Final = 60  # answers by whose times it is known who is silent
FEW: Final = 20  # of them tell too little
PATIENCE: Final = 1.0  # seconds until then
LEAST_PATIENCE: Final = 0.1  # seconds
MORE: Final = 0.25  # questions beside each: so much more work where all are slow, and no more
MORE_AT_ONCE: Final = 10.0
WIRE_SECONDS: Final = 10.0  # that a miner has for a reply, whenever the answer is made: as for a challenge


Begin = Callable[[int], set[asyncio.Task[Reply]]]  # asks so many more


@dataclass(frozen=True)
class Heard:
    """P(synthetic) by hotkey, and how many were asked."""

    said: Mapping[str, float]
    asked: int


class Asking:
    """Asks miners over `transport`; what is encoded is so in `executor`.

    `rate` bounds the requests a second to one miner. For who is silent longer than 19 of 20 answers took lately, one
    more is asked, so that nobody's silence costs the client `seconds`: of five questions one at most. A reply that
    comes too late, or for a client who has hung up, is waited for in the background: a miner that is slow is not hung
    up on sooner than in a round. `tell` hears of every reply.
    """

    def __init__(
        self,
        transport: Transport,
        executor: Executor,
        *,
        count: int,
        seconds: float,
        rate: float,
        tell: Callable[[Reply], None] = lambda reply: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport, self._executor, self._count, self._seconds = transport, executor, count, seconds
        self._buckets = Buckets(Policy(rate=rate, burst=max(1.0, 2 * rate)), monotonic)
        self._late: set[asyncio.Task[Reply]] = set()
        self._tell, self._took = tell, deque[float](maxlen=RECENT)
        self._credit = MORE_AT_ONCE  # questions that may be asked for silent miners

    async def ask(self, media: Sequence[Media], order: Sequence[Neuron], sampling: Sampling) -> Heard:
        """Ask the first of `order`, and for each that fails the next, until `count` have answered or time is up.

        `media` are cuts of one file in time, of which each miner is asked one. Time begins once the first are encoded.
        """
        left = (neuron for neuron in order if self._buckets.take(neuron.hotkey))
        ready = list(await asyncio.gather(*(self._question(media, sampling) for _ in range(self._count))))
        asked: dict[asyncio.Task[Reply], str] = {}

        async def ask_one(neuron: Neuron) -> Reply:
            query = ready.pop() if ready else await self._question(media, sampling)
            (reply,) = await self._transport.ask([(neuron, query)], WIRE_SECONDS)
            if isinstance(reply.answer, Prediction):
                self._took.append(reply.latency)
            self._tell(reply)
            return reply

        def begin(number: int) -> set[asyncio.Task[Reply]]:
            tasks = {asyncio.create_task(ask_one(neuron)): neuron.hotkey for neuron in islice(left, number)}
            asked.update(tasks)
            return set(tasks)

        try:
            said = await self._hear(begin, asked)
        finally:
            for task in asked:
                if not task.done():
                    self._late.add(task)
                    task.add_done_callback(self._late.discard)
        return Heard(said, len(asked))

    async def _hear(self, begin: Begin, asked: Mapping[asyncio.Task[Reply], str]) -> dict[str, float]:
        """P(synthetic) by hotkey of those that answer. Where nobody is left who could be asked for a silent one, it is
        waited for as long again, and no longer if there is any answer."""
        loop, said, patience = asyncio.get_running_loop(), dict[str, float](), self._patience()
        ends, more, spare, idle = loop.time() + self._seconds, loop.time() + patience, self._count, False
        pending = begin(self._count)
        self._credit = min(MORE_AT_ONCE, self._credit + MORE * len(pending))
        while pending and len(said) < self._count and (now := loop.time()) < ends:
            wait = max(0.0, min(ends, more) - now)
            done, pending = await asyncio.wait(pending, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            answers = {asked[task]: task.result().answer for task in done}
            told = {hotkey: answer.p_synthetic for hotkey, answer in answers.items() if isinstance(answer, Prediction)}
            said |= told
            pending |= begin(len(done) - len(told))
            if loop.time() >= more:
                begun = begin(max(0, min(self._count - len(said), spare, int(self._credit))))
                self._credit -= len(begun)
                if idle and not begun and said:
                    break
                pending, spare = pending | begun, spare - len(begun)
                more, idle = loop.time() + patience, not begun
        return dict(islice(said.items(), self._count))

    def _patience(self) -> float:
        """Seconds from which on a miner counts as silent."""
        usual = float(np.quantile(self._took, 0.95)) if len(self._took) >= FEW else PATIENCE
        return min(max(usual, LEAST_PATIENCE), self._seconds / 2)

    async def _question(self, media: Sequence[Media], sampling: Sampling) -> Query:
        rng = np.random.default_rng(secrets.randbits(128))
        return await asyncio.get_running_loop().run_in_executor(self._executor, question, media, sampling, rng)

    async def close(self) -> None:
        """Wait for nobody any more."""
        for task in (late := list(self._late)):
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


def question(media: Sequence[Media], sampling: Sampling, rng: np.random.Generator) -> Query:
    """What one miner is sent, made as an item of a pool and the variant of it are; with its digest."""
    taken = cut(media[int(rng.integers(len(media)))], rng).media
    weights = np.asarray(sampling.level_weights)
    level = int(rng.choice(len(weights), p=weights / weights.sum()))
    query = Query(taken.modality, render(taken, level, rng), CONTENT_TYPES[taken.modality])
    assert query.digest  # made here, off the event loop
    return query


def choose(neurons: Sequence[Neuron], weights: Mapping[int, float], rng: np.random.Generator) -> list[Neuron]:
    """Neurons in the order in which they are asked: at random, with chances in proportion to weights by uid.

    Neurons without a weight are not asked, unless nobody has one: then all are alike. One of each coldkey comes before
    a second one of any.
    """
    weighed = [(neuron, weights.get(neuron.uid, 0.0)) for neuron in neurons]
    if not any(weight > 0 for _, weight in weighed):
        weighed = [(neuron, 1.0) for neuron in neurons]
    due = [(rng.exponential() / weight, neuron.uid, neuron) for neuron, weight in weighed if weight > 0]
    order = [neuron for *_, neuron in sorted(due, key=lambda each: each[:2])]
    return list(_spread(order))


def _spread(order: Sequence[Neuron]) -> Iterator[Neuron]:
    """By rank among those of the same coldkey; in the given order within each rank."""
    ranks: dict[str, int] = {}
    ranked: list[tuple[int, Neuron]] = []
    for neuron in order:
        rank = ranks[neuron.coldkey] = ranks.get(neuron.coldkey, -1) + 1
        ranked.append((rank, neuron))
    return (neuron for _, neuron in sorted(ranked, key=lambda pair: pair[0]))

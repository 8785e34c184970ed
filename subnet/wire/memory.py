"""A transport without a network: a function answers for every miner. For tests, simulations and first steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from subnet.protocols import Transport
from subnet.types import Answer, Failure, Neuron, Query, Reply


class MemoryTransport(Transport):
    """Carries queries to `answer`, which gives what a miner would: a `Reply`, or an `Answer` that took no time.

    A reply whose latency is beyond the deadline becomes a TIMEOUT, as it would on a network, without any waiting.
    What `answer` raises is a fault of the caller's and is passed on.
    """

    def __init__(self, answer: Callable[[Neuron, Query], Reply | Answer]) -> None:
        self._answer = answer

    async def ask(self, asks: Sequence[tuple[Neuron, Query]], deadline: float) -> list[Reply]:
        """One reply per ask, in order; `deadline` in seconds."""
        return [_within(deadline, self._answer(neuron, query)) for neuron, query in asks]


def _within(deadline: float, answer: Reply | Answer) -> Reply:
    reply = answer if isinstance(answer, Reply) else Reply(answer, 0.0)
    if reply.latency > deadline:
        return Reply(Failure.TIMEOUT, deadline, reason=f"no complete reply in {deadline:.1f} s")
    return reply

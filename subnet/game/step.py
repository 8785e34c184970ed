"""One validator step: plan, draw, vary, ask, judge, settle. The whole game on one screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from subnet.errors import SubnetError
from subnet.game.history import History
from subnet.game.sampling import RoundPlan
from subnet.game.scoring import is_void, settle
from subnet.game.variant import variant
from subnet.protocols import Transport
from subnet.types import Challenge, Neuron, Outcome, Query, Reply, Sample, Snapshot


class Draw(Protocol):
    """What a source gave for one round: the sample, and whatever else the source knows it by."""

    @property
    def sample(self) -> Sample: ...

    @property
    def twin(self) -> Sample | None:
        """The real sample that a synthetic one was made from, where the plan asks for it and the source has it."""


DrawT_co = TypeVar("DrawT_co", bound=Draw, covariant=True)


@dataclass(frozen=True)
class Round(Generic[DrawT_co]):
    """Everything one step did: the fact that is journalled, and the history that came of it."""

    plan: RoundPlan
    block: int
    history: History
    drawn: DrawT_co | None = None  # None when nothing could be drawn
    outcomes: tuple[Outcome, ...] = ()
    replies: tuple[Reply, ...] = ()
    queries: tuple[str, ...] = ()  # sha256 of what each hotkey was sent, in the order of the outcomes
    void: str = ""  # why the round does not count, "" when it does

    @property
    def sample(self) -> Sample | None:
        """What was asked about, None when nothing could be drawn."""
        return self.drawn.sample if self.drawn else None


async def step(
    plan: RoundPlan,
    snapshot: Snapshot,
    history: History,
    draw: Callable[[RoundPlan], DrawT_co],
    transport: Transport,
    deadline: float,
    executor: Executor,
) -> Round[DrawT_co]:
    """Play one round. Never raises for what a miner or a source does: our own fault makes the round void.

    `draw` and the encoding of variants run in `executor`, off the event loop; `deadline` is in seconds.
    """
    loop = asyncio.get_running_loop()
    neurons = [neuron for hotkey in plan.hotkeys if (neuron := snapshot.neuron(hotkey))]
    if not neurons:
        return Round(plan, snapshot.block, history, void="nobody to ask")
    drawn: DrawT_co | None = None
    try:
        drawn = await loop.run_in_executor(executor, draw, plan)
        challenges = [challenge_of(plan, drawn, n.hotkey) for n in neurons]
        varied = (loop.run_in_executor(executor, vary, c, n.hotkey) for c, n in zip(challenges, neurons, strict=True))
        queries, hashes = zip(*await asyncio.gather(*varied), strict=True)
    except (SubnetError, OSError) as fault:
        return Round(plan, snapshot.block, history, drawn, void=f"{type(fault).__name__}: {fault}")
    replies = await transport.ask(list(zip(neurons, queries, strict=True)), deadline)
    outcomes = judge(challenges, neurons, replies, snapshot.block)
    void = "nobody was heard" if is_void(outcomes) else ""
    return Round(plan, snapshot.block, settle(history, outcomes), drawn, outcomes, tuple(replies), hashes, void)


def vary(challenge: Challenge, hotkey: str) -> tuple[Query, str]:
    """What `hotkey` is sent, and its digest: made here, off the event loop, it is there when it is signed."""
    query = variant(challenge, hotkey)
    return query, query.digest


def challenge_of(plan: RoundPlan, drawn: Draw, hotkey: str) -> Challenge:
    """What `hotkey` is asked: in a twin round the photograph or what was made of it, else what was drawn."""
    twin = drawn.twin if hotkey in plan.real else None
    sample = drawn.sample if twin is None else twin
    return Challenge(f"{plan.number:08d}-{plan.seed:016x}", sample, plan.seed, plan.level)


def judge(
    challenges: Sequence[Challenge], neurons: Sequence[Neuron], replies: Sequence[Reply], block: int
) -> tuple[Outcome, ...]:
    """One outcome per neuron, in order, each by the truth about what it was asked."""
    return tuple(
        Outcome(neuron.hotkey, asked.id, asked.sample.modality, asked.sample.label, reply.answer, reply.latency, block)
        for asked, neuron, reply in zip(challenges, neurons, replies, strict=True)
    )

"""What the chain made of a local network, epoch by epoch, read back from the states that the node still has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from subnet.types import Snapshot


class Past(Protocol):
    """A chain that answers for blocks behind its head."""

    async def snapshot(self, *, at: int | None = None) -> Snapshot: ...

    async def trust(self, *, at: int | None = None) -> dict[int, tuple[float, float]]: ...


@dataclass(frozen=True)
class Paid:
    """One epoch as it was paid in `block`. By hotkey; shares and trust in 0..1."""

    block: int
    incentive: Mapping[str, float]
    consensus: Mapping[str, float]
    validator_trust: Mapping[str, float]
    last_update: Mapping[str, int]  # block of the last weights, 0 for none


async def read_epochs(chain: Past, head: int, tempo: int) -> list[Paid]:
    """Every epoch up to block `head` of a chain that began at block 0. Raises ChainError where states are gone."""
    return [await _paid(chain, block) for block in range(tempo, head + 1, tempo)]


async def _paid(chain: Past, block: int) -> Paid:
    neurons = (await chain.snapshot(at=block)).neurons
    trust = await chain.trust(at=block)
    return Paid(
        block,
        {neuron.hotkey: neuron.incentive for neuron in neurons},
        {neuron.hotkey: trust[neuron.uid][0] for neuron in neurons},
        {neuron.hotkey: trust[neuron.uid][1] for neuron in neurons},
        {neuron.hotkey: neuron.last_update for neuron in neurons},
    )


def weighted(epochs: Sequence[Paid], hotkey: str, tempo: int, until: int | None = None) -> list[bool]:
    """From the epoch of its first weights to the last that ended by block `until`: whether `hotkey` set any in each."""
    played = [epoch for epoch in epochs if until is None or epoch.block <= until]
    news = [epoch.block - tempo < epoch.last_update[hotkey] <= epoch.block for epoch in played]
    return news[news.index(True) :] if True in news else []


def rows(epochs: Sequence[Paid], miners: Mapping[str, str], validators: Mapping[str, str]) -> list[dict[str, Any]]:
    """For the report: each epoch by the names of its miners and validators, whose hotkeys are given."""
    return [
        {
            "block": epoch.block,
            "incentive": {name: round(epoch.incentive[hotkey], 6) for name, hotkey in miners.items()},
            "consensus": {name: round(epoch.consensus[hotkey], 6) for name, hotkey in miners.items()},
            "validator_trust": {name: round(epoch.validator_trust[hotkey], 6) for name, hotkey in validators.items()},
            "last_update": {name: epoch.last_update[hotkey] for name, hotkey in validators.items()},
        }
        for epoch in epochs
    ]

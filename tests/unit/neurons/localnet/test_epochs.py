"""What is read back of the chain's epochs."""

from __future__ import annotations

import asyncio

from neurons.localnet.epochs import Paid, read_epochs, rows, weighted
from subnet.types import Hyperparameters, Neuron, Snapshot


class Node:
    """A chain whose values tell of which block they are."""

    async def snapshot(self, *, at: int | None = None) -> Snapshot:
        assert at is not None
        neurons = (
            Neuron(0, "validator", "c", 1.0, permit=True, last_update=at - 1),
            Neuron(1, "miner", "c", 0.0, permit=False, incentive=at / 100),
        )
        return Snapshot(1, at, neurons, Hyperparameters(tempo=10, weights_rate_limit=2))

    async def trust(self, *, at: int | None = None) -> dict[int, tuple[float, float]]:
        assert at is not None
        return {0: (0.0, 1 - at / 100), 1: (at / 50, 0.0)}


def test_every_epoch_is_read_at_its_own_block() -> None:
    """Up to the head, none twice and none left out; each neuron by its hotkey, whatever its uid."""
    epochs = asyncio.run(read_epochs(Node(), 35, 10))
    assert [epoch.block for epoch in epochs] == [10, 20, 30]
    assert [row for row in rows(epochs, {"npr": "miner"}, {"first": "validator"}) if row["block"] == 20] == [
        {
            "block": 20,
            "incentive": {"npr": 0.2},
            "consensus": {"npr": 0.4},
            "validator_trust": {"first": 0.8},
            "last_update": {"first": 19},
        }
    ]


def test_an_epoch_without_new_weights_is_one_in_which_none_were_set() -> None:
    """Those before the first weights do not count; weights in the epoch's own block do, those of the last one do not.

    Nor do epochs that ended after the validator had played: others went on, and it had nothing more to say.
    """
    updates = [(10, 0), (20, 15), (30, 30), (40, 30), (50, 49)]
    epochs = [Paid(block, {}, {}, {}, {"validator": last}) for block, last in updates]
    assert weighted(epochs, "validator", 10) == [True, True, False, True]
    assert weighted(epochs[:1], "validator", 10) == []
    assert weighted(epochs, "validator", 10, until=39) == [True, True]

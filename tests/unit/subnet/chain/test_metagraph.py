"""From the SDK's metagraph to ours: nothing that a chain shows becomes a number that cannot be reckoned with."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from subnet.chain.metagraph import snapshot_of

RAW = {
    "weights_rate_limit": 1,
    "weights_version": 0,
    "min_allowed_weights": 1,
    "max_weights_limit": 65535,
    "commit_reveal_weights_enabled": False,
    "immunity_period": 1,
}


class Graph(list[SimpleNamespace]):
    """The SDK's shape: rows, and facts beside them."""

    block, tempo, raw = 7, 20, RAW


def row(uid: int, hotkey: str, stake: float = 1.0, axon: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(
        uid=uid, hotkey=hotkey, coldkey="c", total_stake=SimpleNamespace(amount=stake), validator_permit=False,
        axon=axon, last_update=0, block_at_registration=0, incentive=0.0, dividends=0.0,
    )  # fmt: skip


@pytest.mark.parametrize("stake", [float("nan"), float("inf"), float("-inf")])
def test_a_stake_that_is_no_number_is_none(stake: float) -> None:
    """Such a neuron has no stake, and so is no validator."""
    assert snapshot_of(34, Graph([row(0, "a", stake)])).neurons[0].stake == 0.0


def test_a_subnet_without_neurons_and_endpoints_shared_by_two() -> None:
    """Nobody is nobody; two hotkeys of one address stay two."""
    assert snapshot_of(34, Graph()).neurons == ()
    both = snapshot_of(34, Graph([row(0, "a", axon="1.2.3.4:9"), row(1, "b", axon="1.2.3.4:9")])).neurons
    assert both[0].endpoint == both[1].endpoint
    assert {neuron.hotkey for neuron in both} == {"a", "b"}


@pytest.mark.parametrize("axon", [None, "", "1.2.3.4", "1.2.3.4:0", "1.2.3.4:65536", ":9", "x:y"])
def test_what_is_no_address_is_no_endpoint(axon: str | None) -> None:
    """It is not served."""
    assert snapshot_of(34, Graph([row(0, "a", axon=axon)])).neurons[0].endpoint is None
